// What the factorisations share: element types, the loop over a batch, copies, NaN.
#pragma once

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/dtype.h"
#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/fortran.h"

namespace covector {

template <class T>
struct RealOf {
  using type = T;
};
template <class R>
struct RealOf<std::complex<R>> {
  using type = R;
};
template <class T>
using Real = typename RealOf<T>::type;
template <class T>
inline constexpr bool is_complex_v = !std::is_same_v<T, Real<T>>;

inline bool finite(float x) { return std::isfinite(x); }
inline bool finite(double x) { return std::isfinite(x); }
template <class R>
bool finite(std::complex<R> x) {
  return std::isfinite(x.real()) && std::isfinite(x.imag());
}

template <class T>
T not_a_number() {
  constexpr auto nan = std::numeric_limits<Real<T>>::quiet_NaN();
  if constexpr (is_complex_v<T>)
    return T(nan, nan);
  else
    return nan;
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  bool ok = true;
  for (int64_t i = 0; i < n; ++i) ok &= finite(x[i]);
  return ok;
}

template <class T>
void fill_nan(T* x, int64_t n) {
  if (x) std::fill(x, x + n, not_a_number<T>());
}

inline bool fits(int64_t x) { return x <= INT_MAX; }

// out (n×m) = the transposition of a (m×n, rows lda apart), in blocks that stay in cache.
template <class T>
void transpose_copy(const T* a, int64_t lda, T* out, int64_t ldo, int64_t m, int64_t n) {
  constexpr int64_t kBlock = 16;
  for (int64_t i0 = 0; i0 < m; i0 += kBlock)
    for (int64_t j0 = 0; j0 < n; j0 += kBlock) {
      int64_t i1 = std::min(m, i0 + kBlock), j1 = std::min(n, j0 + kBlock);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) out[j * ldo + i] = a[i * lda + j];
    }
}

// out (m×n) = the identity in its first columns, zeros elsewhere.
template <class T>
void set_identity(T* out, int64_t m, int64_t n) {
  std::fill(out, out + m * n, T(0));
  for (int64_t i = 0; i < std::min(m, n); ++i) out[i * n + i] = T(1);
}

// Operations per chunk of a batch, counting what a call of LAPACK costs whatever its size.
constexpr double kChunkWork = 1 << 18;
constexpr double kCallWork = 2000;

// body(begin, end) over fixed chunks of the batch; false from it means that memory ran out.
template <class F>
int32_t over_batch(int64_t batch, double work, F&& body) {
  if (batch <= 0) return 0;
  SingleThreadedBlas guard;
  if (batch == 1) return body(0, 1) ? 0 : 1;
  std::atomic<bool> failed{false};
  parallel_for(batch, std::max<int64_t>(1, int64_t(kChunkWork / (work + kCallWork))),
               [&](int64_t begin, int64_t end) {
                 if (!body(begin, end)) failed = true;
               });
  return failed ? 1 : 0;
}

// f(T{}) for the element type of a code; a status that says "not possible" for others.
template <class F>
int32_t with_element(int32_t code, F&& f) {
  switch (code) {
    case kF32: return f(float{});
    case kF64: return f(double{});
    case kC64: return f(std::complex<float>{});
    case kC128: return f(std::complex<double>{});
  }
  return 3;
}

// The size of workspace that LAPACK answered a query with, which it gives as a number of the
// element type; rounded up, as single precision may have rounded it down.
template <class T>
int workspace_size(T answer) {
  double n = double(std::real(answer));
  return int(std::min(double(INT_MAX), n * (1 + 1e-6) + 1));
}

}  // namespace covector
