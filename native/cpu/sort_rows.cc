// Sorting rows of one operand: by a sorter for its dtype, or as unsigned integers through
// order-preserving images.
#include <atomic>

#include "cpu/order.h"
#include "cpu/sort.h"
#include "cpu/sort_unsigned.h"

namespace covector {

Sorter sorters[kNumCodes] = {};

void set_sorter(int code, Sorter sorter) { sorters[code] = sorter; }

namespace {

constexpr int64_t kImageGrain = 64 * 1024;
constexpr int64_t kElementsOfRows = 4096;  // short rows are handed out in groups

template <class U, class Order>
bool sort_row(int code, U* row, int64_t n) {
  Sorter sorter = sorters[code];
  if (sorter && n <= kImageGrain) return sorter(row, n, nullptr) == 0;
  parallel_for(n, kImageGrain, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) row[i] = Order::template image<false>(row[i]);
  });
  bool ok = sort_unsigned(row, n);
  parallel_for(n, kImageGrain, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) row[i] = Order::inverse(row[i]);
  });
  return ok;
}

}  // namespace

int32_t sort_rows(int32_t code, void* data, int64_t rows, int64_t n) {
  if (rows <= 0 || n <= 1) return 0;
  if (is_complex(code)) return sort_multi(1, &code, &data, 1, rows, n);
  std::atomic<bool> failed{false};
  bool ordered = with_order(code, [&](auto zero, auto order) {
    using U = decltype(zero);
    U* all = static_cast<U*>(data);
    parallel_for(rows, std::max<int64_t>(1, kElementsOfRows / n), [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r)
        if (!sort_row<U, decltype(order)>(code, all + r * n, n)) failed = true;
    });
  });
  return !ordered ? 3 : failed ? 1 : 0;
}

}  // namespace covector
