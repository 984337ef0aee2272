// Sums of products by tiles that stay in registers, compiled once for each instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu/instruction_set.h"

namespace covector {

// Rows of a tile; it has up to `most_vectors` vectors of columns.
constexpr int kTileRows = 6;
constexpr int kMostTileVectors = 4;

// `count` terms of the sums: the left factors lie `offset` behind the start of their row and a step
// apart, the right ones are `b`, as many as the tile is wide for each term.
template <class T>
struct Stretch {
  int64_t offset, count;
  const T* b;
};

// A tile of results, of which `count` rows and `columns` are written, or added where `add` says so.
template <class T>
struct Tile {
  const T* a[kTileRows];
  T* c[kTileRows];
  int count, columns;
  bool add;
};

template <class T>
using TileKernel = void (*)(const Tile<T>& tile, const Stretch<T>* stretches, int64_t n,
                            int64_t step);

// Four by four elements of each of `n` features, which lie `line` and `place` apart, to the sixteen
// numbers of `to`, `apart` from each other, that filters of three by three are multiplied with where
// they have gone the like way; and back, from the products to two by two results. A number that is
// not 0 says that something was not finite. (S. Winograd, "Arithmetic complexity of computations",
// 1980; A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", 2016: F(2×2,3×3).)
template <class T>
using FilterInput = T (*)(const T* from, int64_t line, int64_t place, int64_t n, T* to,
                          int64_t apart);
template <class T>
using FilterOutput = T (*)(const T* from, int64_t apart, int64_t n, T* const* to);

struct TileKernels {
  int vector_bytes, most_vectors;
  FilterInput<float> filter_input;
  FilterOutput<float> filter_output;
  // By vectors - 1.
  TileKernel<float> single_precision[kMostTileVectors];
  TileKernel<double> double_precision[kMostTileVectors];

  template <class T>
  TileKernel<T> of(int vectors) const {
    if constexpr (std::is_same_v<T, float>)
      return single_precision[vectors - 1];
    else
      return double_precision[vectors - 1];
  }
};

extern const TileKernels tile_kernels_baseline;
extern const TileKernels tile_kernels_avx2, tile_kernels_avx512;  // where the compiler knows them

}  // namespace covector
