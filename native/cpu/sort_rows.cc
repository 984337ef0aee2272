// Sorting rows of one operand: as unsigned integers through order-preserving images, by radix;
// short rows by a sorter for the dtype.
#include <algorithm>
#include <atomic>
#include <vector>

#include "cpu/order.h"
#include "cpu/radix.h"
#include "cpu/sort.h"

namespace covector {

Sorter sorters[kNumCodes] = {};

void set_sorter(int code, Sorter sorter) { sorters[code] = sorter; }

namespace {

constexpr int64_t kSorterLimit = 64 * 1024;
constexpr int64_t kElementsOfRows = 4096;  // short rows are handed out in groups

template <class U>
void counting_sort(U* a, int64_t n) {
  int64_t counts[256] = {};
  for (int64_t i = 0; i < n; ++i) ++counts[a[i]];
  for (int v = 0; v < 256; ++v) {
    std::memset(a, v, size_t(counts[v]));
    a += counts[v];
  }
}

// The signs of the zeros of a row, which are equal: they keep their order.
template <class U, class Order>
class ZeroSigns {
 public:
  ZeroSigns(const U* row, int64_t n) {
    int64_t plus = 0, minus = 0;
    for (int64_t i = 0; i < n; ++i) {
      plus += row[i] == 0;
      minus += row[i] == Order::kSign;
    }
    if (!plus || !minus) return;
    zeros_.reserve(size_t(plus + minus));
    for (int64_t i = 0; i < n; ++i)
      if (U(row[i] << 1) == 0) zeros_.push_back(row[i]);
  }
  void restore(U* row, int64_t n) const {
    if (zeros_.empty()) return;
    U zero = Order::template image<true>(0);
    U* first = std::partition_point(
        row, row + n, [=](U bits) { return Order::template image<true>(bits) < zero; });
    std::copy(zeros_.begin(), zeros_.end(), first);
  }

 private:
  std::vector<U> zeros_;
};

// Replaces a row by its images, sorted, and these by the elements again.
template <class U, class Order>
bool sort_images(U* row, int64_t n) {
  Cut cut(n);
  Range<U> range = range_of<U>(cut, [=](int64_t i) {
    return row[i] = Order::template image<false>(row[i]);
  });
  U* sorted = row;
  Row order = row_order(n, [=](int64_t i) { return row[i]; });
  if (order == Row::kDescending) {
    std::reverse(row, row + n);
  } else if (order == Row::kUnordered) {
    RadixSorter<U> sorter(cut);
    if (!sorter) return false;
    sorted = sorter.sort(row, range.low, range.high, std::countr_zero(range.differing));
    cut.each([&](int64_t, int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) row[i] = Order::inverse(sorted[i]);
    });
    return true;
  }
  cut.each([&](int64_t, int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) row[i] = Order::inverse(row[i]);
  });
  return true;
}

template <class U, class Order>
bool sort_row_of_images(int code, U* row, int64_t n) {
  Sorter sorter = sorters[code];
  if (sorter && n <= kSorterLimit) return sorter(row, n, nullptr) == 0;
  if constexpr (sizeof(U) > 1) {
    if (n > kComparisonLimit) return sort_images<U, Order>(row, n);
  }
  for (int64_t i = 0; i < n; ++i) row[i] = Order::template image<false>(row[i]);
  if constexpr (sizeof(U) == 1)
    counting_sort(row, n);
  else
    std::sort(row, row + n);
  for (int64_t i = 0; i < n; ++i) row[i] = Order::inverse(row[i]);
  return true;
}

template <class U, class Order>
bool sort_row(int code, U* row, int64_t n) {
  if (row_standing(code, row, n) & kAscending) return true;
  if constexpr (Order::kFloat) {
    ZeroSigns<U, Order> signs(row, n);
    if (!sort_row_of_images<U, Order>(code, row, n)) return false;
    signs.restore(row, n);
    return true;
  } else {
    return sort_row_of_images<U, Order>(code, row, n);
  }
}

}  // namespace

int32_t sort_rows(int32_t code, void* data, int64_t rows, int64_t n) {
  if (rows <= 0 || n <= 1) return 0;
  if (is_complex(code)) return sort_multi(1, &code, &data, &data, 1, rows, n);
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
