// Stable least-significant-digit radix sort, in parallel for long inputs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/thread_pool.h"

namespace covector {

constexpr int kDigitBits = 8;  // 256 open cache lines: the scattered writes stay in L1
constexpr int kDigits = 1 << kDigitBits;
constexpr int64_t kRadixChunk = 64 * 1024;  // elements a thread takes at a time

// One pass by the digit at `shift`. Returns false, without moving anything, if all elements
// have the same digit.
template <class T, class KeyOf>
bool radix_pass(const T* from, T* to, int64_t n, int shift, KeyOf key_of,
                std::vector<uint64_t>& counts) {
  int64_t chunks = (n + kRadixChunk - 1) / kRadixChunk;
  counts.assign(size_t(chunks) * kDigits, 0);
  parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
    uint64_t* count = &counts[size_t(b / kRadixChunk) * kDigits];
    for (int64_t i = b; i < e; ++i) ++count[(key_of(from[i]) >> shift) & (kDigits - 1)];
  });
  uint64_t position = 0;
  for (int d = 0; d < kDigits; ++d) {
    uint64_t start = position;
    for (int64_t c = 0; c < chunks; ++c) {
      uint64_t count = counts[size_t(c) * kDigits + d];
      counts[size_t(c) * kDigits + d] = position;
      position += count;
    }
    if (position - start == uint64_t(n)) return false;
  }
  parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
    uint64_t* place = &counts[size_t(b / kRadixChunk) * kDigits];
    for (int64_t i = b; i < e; ++i) {
      T x = from[i];
      to[place[(key_of(x) >> shift) & (kDigits - 1)]++] = x;
    }
  });
  return true;
}

// Sorts by the low `key_bits` of key_of(x); the result is in `a`.
template <class T, class KeyOf>
void radix_sort(T* a, T* scratch, int64_t n, int key_bits, KeyOf key_of) {
  T *from = a, *to = scratch;
  std::vector<uint64_t> counts;
  for (int shift = 0; shift < key_bits; shift += kDigitBits)
    if (radix_pass(from, to, n, shift, key_of, counts)) std::swap(from, to);
  if (from != a) std::memcpy(static_cast<void*>(a), from, size_t(n) * sizeof(T));
}

}  // namespace covector
