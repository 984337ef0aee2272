// Sorting unsigned integers by the best means at hand.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/scratch.h"
#include "cpu/merge.h"
#include "cpu/radix.h"
#include "cpu/sort.h"

namespace covector {

extern Sorter sorters[kNumCodes];  // null where there is none

constexpr int64_t kComparisonLimit = 128;  // below, comparisons beat counting digits

template <class U>
void counting_sort(U* a, int64_t n) {
  int64_t counts[256] = {};
  for (int64_t i = 0; i < n; ++i) ++counts[a[i]];
  for (int v = 0; v < 256; ++v) {
    std::memset(a, v, size_t(counts[v]));
    a += counts[v];
  }
}

// One thread; false when out of memory.
template <class U>
bool sort_unsigned_piece(U* a, int64_t n) {
  if constexpr (sizeof(U) == 1) {
    counting_sort(a, n);
    return true;
  } else {
    Sorter sorter = sizeof(U) == 4 ? sorters[kU32] : sizeof(U) == 8 ? sorters[kU64] : nullptr;
    if (sorter) return sorter(a, n, nullptr) == 0;
    if (n <= kComparisonLimit || n > int64_t(UINT32_MAX)) {
      std::sort(a, a + n);
      return true;
    }
    Scratch<U> scratch(n);
    if (!scratch) return false;
    radix_sort(a, scratch.get(), n);
    return true;
  }
}

template <class U>
bool sort_unsigned(U* a, int64_t n) {
  if constexpr (sizeof(U) == 1)
    return sort_unsigned_piece(a, n);
  else
    return parallel_sort(a, n, sort_unsigned_piece<U>, [](U x, U y) { return x < y; });
}

}  // namespace covector
