// Sorting of contiguous rows. Functions return 0, 1 (out of memory) or 3 (unordered type).
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace covector {

// A sorting function for one dtype from elsewhere: ascending, NaNs last; `unused` is null.
using Sorter = int (*)(void* data, intptr_t n, void* unused);
void set_sorter(int code, Sorter sorter);

// Ascending, in place; NaNs last, -0.0 equal to 0.0, complex numbers lexicographically.
int32_t sort_rows(int32_t code, void* data, int64_t rows, int64_t n);

// Stable, by the first `nkeys` operands lexicographically; all operands are permuted alike. `out`
// has where the results go, which may be where the operand in its place is, or null where none is
// wanted.
int32_t sort_multi(int32_t nops, const int32_t* codes, const void* const* in, void* const* out,
                   int32_t nkeys, int64_t rows, int64_t n);

// The k largest of each row, largest first; NaN counts as largest; ties by lowest index.
int32_t top_k(int32_t code, const void* in, void* values, int32_t* indices, int64_t rows, int64_t n,
              int64_t k);

// Each row with the elements of its m ranks where sorting would put them and smaller ones before
// them, and where all of them were; those that are between two ranks, or equal, keep their order.
// `found` are the elements of the ranks. Results that are null are not computed.
int32_t partition(int32_t code, const void* in, const int32_t* ranks, void* values,
                  int32_t* indices, void* found, int64_t rows, int64_t n, int64_t m);

// How many of the n elements of its row, in order, are less than each of m queries, or not greater
// where `right` says so.
int32_t search_rows(int32_t code, int32_t right, const void* ordered, const void* queries,
                    int32_t* out, int64_t rows, int64_t n, int64_t m);

}  // namespace covector
