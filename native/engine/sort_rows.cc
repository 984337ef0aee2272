// Sorting rows of one operand: as unsigned integers, through order-preserving images.
#include <atomic>

#include "engine/order.h"
#include "engine/radix.h"
#include "engine/scratch.h"
#include "engine/sort.h"

namespace covector {
namespace {

constexpr int64_t kComparisonLimit = 256;  // below, comparisons beat counting digits

template <class U>
void counting_sort(U* a, int64_t n) {
  int64_t counts[256] = {};
  for (int64_t i = 0; i < n; ++i) ++counts[a[i]];
  for (int v = 0; v < 256; ++v) {
    std::memset(a, v, size_t(counts[v]));
    a += counts[v];
  }
}

template <class U>
bool sort_unsigned(U* a, int64_t n) {
  if (n <= kComparisonLimit) {
    std::sort(a, a + n);
    return true;
  }
  if constexpr (sizeof(U) == 1) {
    counting_sort(a, n);
    return true;
  } else {
    Scratch<U> scratch(n);
    if (!scratch) return false;
    radix_sort(a, scratch.get(), n, sizeof(U) * 8, [](U x) { return x; });
    return true;
  }
}

}  // namespace

int32_t sort_rows(int32_t code, void* data, int64_t rows, int64_t n) {
  if (rows <= 0 || n <= 1) return 0;
  if (is_complex(code)) return sort_multi(1, &code, &data, 1, rows, n);
  std::atomic<bool> failed{false};
  bool ordered = with_order(code, [&](auto zero, auto order) {
    using U = decltype(zero);
    using Order = decltype(order);
    U* all = static_cast<U*>(data);
    parallel_for(rows, std::max<int64_t>(1, 4096 / n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        U* row = all + r * n;
        parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
          for (int64_t i = b; i < e; ++i) row[i] = Order::template image<false>(row[i]);
        });
        if (!sort_unsigned(row, n)) failed = true;
        parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
          for (int64_t i = b; i < e; ++i) row[i] = Order::inverse(row[i]);
        });
      }
    });
  });
  return !ordered ? 3 : failed ? 1 : 0;
}

}  // namespace covector
