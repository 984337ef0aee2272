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

// t = Bᵀ d along one direction, and two results of four products.
template <class T>
void forward(const T* d, T* t) {
  t[0] = d[0] - d[2];
  t[1] = d[1] + d[2];
  t[2] = d[2] - d[1];
  t[3] = d[1] - d[3];
}

template <class T>
T filter_input(const T* __restrict from, int64_t line, int64_t place, int64_t n, T* __restrict to,
               int64_t apart) {
  T odd = 0;
#pragma GCC ivdep
  for (int64_t c = 0; c < n; ++c) {
    T rows[4][4], columns[4][4];
    for (int i = 0; i < 4; ++i) {
      T d[4];
      for (int j = 0; j < 4; ++j) d[j] = from[i * line + j * place + c];
      forward(d, rows[i]);
    }
    for (int j = 0; j < 4; ++j) {
      const T d[4] = {rows[0][j], rows[1][j], rows[2][j], rows[3][j]};
      forward(d, columns[j]);
    }
    T sum = 0;
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        to[(i * 4 + j) * apart + c] = columns[j][i];
        sum += columns[j][i] * T(0);
      }
    to[16 * apart + c] = sum;
  }
  for (int64_t c = 0; c < n; ++c) odd = to[16 * apart + c] == 0 ? odd : T(1);
  return odd;
}

template <class T>
T filter_output(const T* __restrict from, int64_t apart, int64_t n, T* const* to) {
  T *__restrict a = to[0], *__restrict b = to[1], *__restrict c = to[2], *__restrict d = to[3];
  T odd = 0;
#pragma GCC ivdep
  for (int64_t o = 0; o < n; ++o) {
    T left[4], right[4];
    for (int i = 0; i < 4; ++i) {
      const T* m = from + i * 4 * apart + o;
      left[i] = m[0] + m[apart] + m[2 * apart];
      right[i] = m[apart] - m[2 * apart] - m[3 * apart];
    }
    a[o] = left[0] + left[1] + left[2];
    b[o] = right[0] + right[1] + right[2];
    c[o] = left[1] - left[2] - left[3];
    d[o] = right[1] - right[2] - right[3];
  }
  for (int64_t o = 0; o < n; ++o) {
    const T sum = (a[o] + b[o] + c[o] + d[o]) * T(0);
    odd = sum == 0 ? odd : T(1);
  }
  return odd;
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
    filter_input<float>,
    filter_output<float>,
    {kernel_of<float, 1>(), kernel_of<float, 2>(), kernel_of<float, 3>(), kernel_of<float, 4>()},
    {kernel_of<double, 1>(), kernel_of<double, 2>(), kernel_of<double, 3>(),
     kernel_of<double, 4>()},
};

}  // namespace covector
