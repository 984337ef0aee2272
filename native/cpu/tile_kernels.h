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

struct TileKernels {
  int vector_bytes, most_vectors;
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
