// The k largest elements: candidates above a rising threshold are collected and cut back to k.
#include <algorithm>
#include <atomic>

#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/order.h"
#include "cpu/sort.h"

namespace covector {
namespace {

template <class U>
struct Candidate {
  U image;
  uint32_t index;
  // Best first: larger image, then lower index.
  bool operator<(const Candidate& other) const {
    return image != other.image ? image > other.image : index < other.index;
  }
};

template <class U, class Order>
void top_k_row(const U* row, U* values, int32_t* indices, int64_t n, int64_t k,
               Candidate<U>* buffer, int64_t room) {
  int64_t held = 0;
  U threshold = 0;
  bool full = false;  // k candidates no worse than the threshold have been seen
  for (int64_t i = 0; i < n; ++i) {
    U image = Order::template image<true>(row[i]);
    // A later element equal to the threshold loses to the k earlier ones.
    if (full && image <= threshold) continue;
    buffer[held++] = {image, uint32_t(i)};
    if (held == room) {
      std::nth_element(buffer, buffer + (k - 1), buffer + held);
      held = k;
      threshold = buffer[k - 1].image;
      full = true;
    }
  }
  if (held > k) std::nth_element(buffer, buffer + (k - 1), buffer + held);
  std::sort(buffer, buffer + k);
  for (int64_t j = 0; j < k; ++j) {
    values[j] = row[buffer[j].index];
    indices[j] = int32_t(buffer[j].index);
  }
}

}  // namespace

int32_t top_k(int32_t code, const void* in, void* values, int32_t* indices, int64_t rows, int64_t n,
              int64_t k) {
  if (rows <= 0 || k <= 0) return 0;
  if (k > n || n > INT32_MAX) return 3;
  std::atomic<bool> failed{false};
  bool ordered = with_order(code, [&](auto zero, auto order) {
    using U = decltype(zero);
    using Order = decltype(order);
    int64_t room = std::min(n, 2 * k + 64);
    parallel_for(rows, std::max<int64_t>(1, 8192 / n), [&](int64_t begin, int64_t end) {
      Scratch<Candidate<U>> buffer(room);
      if (!buffer) {
        failed = true;
        return;
      }
      for (int64_t r = begin; r < end; ++r)
        top_k_row<U, Order>(static_cast<const U*>(in) + r * n, static_cast<U*>(values) + r * k,
                            indices + r * k, n, k, buffer.get(), room);
    });
  });
  return !ordered ? 3 : failed ? 1 : 0;
}

}  // namespace covector
