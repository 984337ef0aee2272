// Least-significant-digit radix sort of unsigned integers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace covector {

// Passes over digits that are the same in all elements are skipped.
template <class U>
void radix_sort(U* a, U* scratch, int64_t n) {
  constexpr int kBits = 8, kDigits = 1 << kBits, kPasses = sizeof(U);
  uint32_t counts[kPasses][kDigits] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int p = 0; p < kPasses; ++p) ++counts[p][(a[i] >> (p * kBits)) & (kDigits - 1)];
  U *from = a, *to = scratch;
  for (int p = 0; p < kPasses; ++p) {
    uint32_t position = 0;
    bool same = false;
    for (uint32_t& count : counts[p]) {
      same |= int64_t(count) == n;
      count = std::exchange(position, position + count);
    }
    if (same) continue;
    for (int64_t i = 0; i < n; ++i) {
      U x = from[i];
      to[counts[p][(x >> (p * kBits)) & (kDigits - 1)]++] = x;
    }
    std::swap(from, to);
  }
  if (from != a) std::memcpy(a, from, size_t(n) * sizeof(U));
}

}  // namespace covector
