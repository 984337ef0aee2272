// Tiles of results for any element type, and the right factors as they take them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/lapack_common.h"
#include "cpu/tile_kernels.h"

namespace covector {

inline const TileKernels& tile_kernels() {
#if defined(COVECTOR_X86_KERNELS)
  switch (instruction_set()) {
    case kAvx512: return tile_kernels_avx512;
    case kAvx2: return tile_kernels_avx2;
    default: break;
  }
#endif
  return tile_kernels_baseline;
}

// Tiles of elements of any type by those of real numbers. A complex row is two real ones, of its
// real and its imaginary parts; both are multiplied by real and imaginary parts of the columns.
template <class T>
struct TilesOf {
  static constexpr int kParts = is_complex_v<T> ? 2 : 1;
  static constexpr int kRows = kTileRows / kParts;
  using R = Real<T>;

  static int64_t lanes() { return tile_kernels().vector_bytes / int64_t(sizeof(T)); }

  // c = or += Σ of what the stretches say; `step` is in real numbers, as they are.
  static void run(int vectors, const T* const* a, T* const* c, int rows, int64_t columns, bool add,
                  const Stretch<R>* stretches, int64_t n, int64_t step) {
    Tile<R> tile;
    tile.count = rows * kParts;
    tile.columns = int(columns) * kParts;
    tile.add = add && kParts == 1;
    R products[kTileRows][kMostTileVectors * 64 / sizeof(R)];
    for (int r = 0; r < kTileRows; ++r) {
      const int row = std::min(r / kParts, rows - 1);
      tile.a[r] = reinterpret_cast<const R*>(a[row]) + r % kParts;
      tile.c[r] = kParts == 1 ? reinterpret_cast<R*>(c[row]) : products[r];
    }
    tile_kernels().template of<R>(vectors)(tile, stretches, n, step);
    if constexpr (is_complex_v<T>)
      for (int r = 0; r < rows; ++r)
        for (int64_t j = 0; j < columns; ++j) {
          const R *re = products[2 * r] + 2 * j, *im = products[2 * r + 1] + 2 * j;
          const T value(re[0] - im[1], re[1] + im[0]);
          c[r][j] = add ? c[r][j] + value : value;
        }
  }
};

// --- the right factors, in panels as wide as tiles ------------------------------------------

// Columns [first, first + columns) of the right factors, which belong to one group of them.
struct Panel {
  int64_t group, first, columns;
  int vectors;
  int64_t begin, width;  // where it lies among the packed ones of a row
};

template <class T>
class Panels {
 public:
  Panels(int64_t outputs, int64_t groups) : of_group_(outputs / groups) {
    const int64_t vectors = (of_group_ + lanes() - 1) / lanes();
    const int64_t most = tile_kernels().most_vectors;
    each_ = (vectors + most - 1) / most;
    vectors_ = int((vectors + each_ - 1) / each_);
    each_ = (vectors + vectors_ - 1) / vectors_;
    count_ = groups * each_;
  }

  int64_t count() const { return count_; }
  int64_t width() const { return vectors_ * lanes(); }
  Panel operator[](int64_t k) const {
    const int64_t group = k / each_, at = k % each_ * width();
    const int64_t columns = std::min(width(), of_group_ - at);
    return {group, group * of_group_ + at, columns, vectors_, k * width(), width()};
  }

 private:
  static int64_t lanes() { return TilesOf<T>::lanes(); }

  int64_t of_group_, each_, count_;
  int vectors_;
};

// Some columns of a row of the right factors, filled up with zeros to whole vectors.
template <class T>
void pack_row(const T* row, const Panel& p, T* to) {
  std::copy_n(row + p.first, p.columns, to);
  std::fill_n(to + p.columns, p.width - p.columns, T(0));
}

}  // namespace covector
