// The kernels of tile_kernels.h: vectors of columns times numbers of the rows.
//
// Compiled once for each instruction set, into a table named by COVECTOR_TILE_KERNELS.
#include "cpu/tile_kernels.h"

#include <cstring>

namespace covector {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64, kMost = 4;
#elif defined(__AVX2__)
constexpr int kBytes = 32, kMost = 2;
#elif defined(__aarch64__)
constexpr int kBytes = 16, kMost = 4;
#else
constexpr int kBytes = 16, kMost = 2;
#endif

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};

template <class V, class T>
V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T, int N>
void kernel(const Tile<T>& tile, const Stretch<T>* stretches, int64_t n, int64_t step) {
  using V = typename VectorOf<T>::type;
  constexpr int kLanes = kBytes / sizeof(T);
  V sum[kTileRows][N] = {};
  for (int64_t s = 0; s < n; ++s) {
    const T* a[kTileRows];
    for (int r = 0; r < kTileRows; ++r) a[r] = tile.a[r] + stretches[s].offset;
    const T* b = stretches[s].b;
    const int64_t end = stretches[s].count * step;
    for (int64_t i = 0; i != end; i += step, b += N * kLanes) {
      V right[N];
      for (int j = 0; j < N; ++j) right[j] = load<V>(b + j * kLanes);
      for (int r = 0; r < kTileRows; ++r)
        for (int j = 0; j < N; ++j) sum[r][j] += right[j] * a[r][i];
    }
  }
  for (int r = 0; r < tile.count; ++r) {
    T out[N * kLanes];
    std::memcpy(out, sum[r], sizeof out);
    T* c = tile.c[r];
    if (tile.add)
      for (int j = 0; j < tile.columns; ++j) c[j] += out[j];
    else
      std::memcpy(c, out, tile.columns * sizeof(T));
  }
}

template <class T, int N>
constexpr TileKernel<T> kernel_of() {
  if constexpr (N <= kMost)
    return kernel<T, N>;
  else
    return nullptr;
}

}  // namespace

const TileKernels COVECTOR_TILE_KERNELS = {
    kBytes,
    kMost,
    {kernel_of<float, 1>(), kernel_of<float, 2>(), kernel_of<float, 3>(), kernel_of<float, 4>()},
    {kernel_of<double, 1>(), kernel_of<double, 2>(), kernel_of<double, 3>(),
     kernel_of<double, 4>()},
};

}  // namespace covector
