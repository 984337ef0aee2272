// Sorting a long row in parallel: pieces are sorted apart and merged pairwise.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/scratch.h"
#include "core/thread_pool.h"

namespace covector {

constexpr int64_t kSortPiece = 256 * 1024;  // at least this many elements to a piece
constexpr int64_t kMaxPieces = 16;
constexpr int64_t kMergeGrain = 64 * 1024;

// How many of the first `at` elements of the merged sequence come from a. Ties take a first.
template <class T, class Less>
int64_t merge_split(const T* a, int64_t na, const T* b, int64_t nb, int64_t at, Less less) {
  int64_t low = std::max<int64_t>(0, at - nb), high = std::min(at, na);
  while (low < high) {
    int64_t i = (low + high) / 2;
    if (less(b[at - i - 1], a[i]))
      high = i;
    else
      low = i + 1;
  }
  return low;
}

// Writes elements [begin, end) of the merged sequence.
template <class T, class Less>
void merge_range(const T* a, int64_t na, const T* b, int64_t nb, T* out, int64_t begin, int64_t end,
                 Less less) {
  int64_t i = merge_split(a, na, b, nb, begin, less), j = begin - i;
  int64_t k = begin;
  while (k < end && i < na && j < nb) {
    // This many steps cannot run out of either input. The choice is made by masks: a branch
    // would be mispredicted every other time.
    int64_t steps = std::min({end - k, na - i, nb - j});
    for (; steps > 0; --steps, ++k) {
      T x = a[i], y = b[j];
      int64_t take_b = less(y, x);
      out[k] = x ^ ((x ^ y) & T(-take_b));
      j += take_b;
      i += 1 - take_b;
    }
  }
  while (k < end && i < na) out[k++] = a[i++];
  while (k < end && j < nb) out[k++] = b[j++];
}

// sort_piece(data, n) -> bool sorts a piece. The pieces depend on n only.
template <class T, class SortPiece, class Less>
bool parallel_sort(T* data, int64_t n, SortPiece sort_piece, Less less) {
  int64_t pieces = 1;
  while (pieces < kMaxPieces && n / (2 * pieces) >= kSortPiece) pieces *= 2;
  if (pieces == 1 || num_threads() == 1) return sort_piece(data, n);
  auto bound = [&](int64_t p) { return n * p / pieces; };
  std::atomic<bool> ok{true};
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      if (!sort_piece(data + bound(p), bound(p + 1) - bound(p))) ok = false;
  });
  if (!ok) return false;
  Scratch<T> scratch(n);
  if (!scratch) return false;
  T *from = data, *to = scratch.get();
  for (int64_t width = 1; width < pieces; width *= 2) {
    for (int64_t p = 0; p < pieces; p += 2 * width) {
      int64_t start = bound(p), middle = bound(p + width), stop = bound(p + 2 * width);
      parallel_for(stop - start, kMergeGrain, [&](int64_t begin, int64_t end) {
        merge_range(from + start, middle - start, from + middle, stop - middle, to + start, begin,
                    end, less);
      });
    }
    std::swap(from, to);
  }
  if (from != data) std::memcpy(static_cast<void*>(data), from, size_t(n) * sizeof(T));
  return true;
}

}  // namespace covector
