// Cholesky and LU factorisation, triangular systems.
//
// A row-major matrix is the transposition of a column-major one. For Hermitian a, potrf's upper
// factor of that, conj(a) = Uᴴ U, is in the same memory the lower one of a: a = Uᵀ conj(U).
#include "engine/lapack.h"
#include "engine/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Potrf = void (*)(const char*, const int*, T*, const int*, int*);
template <class T>
using Getrf = void (*)(const int*, const int*, T*, const int*, int*, int*);
template <class T>
using Trsm = void (*)(const char*, const char*, const char*, const char*, const int*, const int*,
                      const T*, const T*, const int*, T*, const int*);

template <class T>
void one_cholesky(const T* a, T* out, int64_t n) {
  bool ok = true;
  for (int64_t i = 0; i < n; ++i) {
    ok &= all_finite(a + i * n, i + 1);
    std::copy(a + i * n, a + i * n + i + 1, out + i * n);
    std::fill(out + i * n + i + 1, out + (i + 1) * n, T(0));
  }
  if (ok) {
    int ni = int(n), info = 0;
    find_routine_for<T, Potrf<T>>(Routine::potrf)("U", &ni, out, &ni, &info);
    ok = info == 0;
  }
  if (!ok)
    for (int64_t i = 0; i < n; ++i) fill_nan(out + i * n, i + 1);
}

template <class T>
void one_triangular_solve(int32_t flags, const T* a, T* x, int64_t n, int64_t m, int64_t ldx) {
  // Row-major op(a) x = b is xᵀ op(a)ᵀ = bᵀ: the other side, the other triangle, the same op.
  const bool right = flags & kRight;
  const char* op = !(flags & kTranspose) ? "N" : flags & kConjugate ? "C" : "T";
  int rows = int(right ? n : m), columns = int(right ? m : n);
  int ld = int(std::max<int64_t>(1, ldx)), lda = int(n);
  const T one(1);
  find_routine_for<T, Trsm<T>>(Routine::trsm)(right ? "L" : "R", flags & kLower ? "U" : "L", op,
                                              flags & kUnit ? "U" : "N", &rows, &columns, &one, a,
                                              &lda, x, &ld);
}

// Sides of a system from which its right-hand sides are spread over threads, and how many of
// them are one task.
constexpr int64_t kParallelSystem = 64;
constexpr int64_t kRightHandSides = 64;

template <class T>
void parallel_triangular_solve(int32_t flags, const T* a, T* x, int64_t n, int64_t m) {
  if (n < kParallelSystem || m < 2 * kRightHandSides || !SingleThreadedBlas::available())
    return one_triangular_solve(flags, a, x, n, m, flags & kRight ? n : m);
  parallel_for(m, kRightHandSides, [&](int64_t begin, int64_t end) {
    if (flags & kRight)
      one_triangular_solve(flags, a, x + begin * n, n, end - begin, n);
    else
      one_triangular_solve(flags, a, x + begin, n, end - begin, m);
  });
}

void permute(const int32_t* pivots, int32_t* permutation, int64_t k, int64_t n) {
  for (int64_t i = 0; i < n; ++i) permutation[i] = int32_t(i);
  for (int64_t i = 0; i < k; ++i)
    if (pivots[i] >= 0 && pivots[i] < n) std::swap(permutation[i], permutation[pivots[i]]);
}

template <class T>
void one_lu(const T* a, T* out, int32_t* pivots, T* work, int64_t m, int64_t n) {
  int64_t k = std::min(m, n);
  int info = -1;
  if (all_finite(a, m * n)) {
    transpose_copy(a, n, work, m, m, n);
    int mi = int(m), ni = int(n);
    find_routine_for<T, Getrf<T>>(Routine::getrf)(&mi, &ni, work, &mi, pivots, &info);
  }
  if (info >= 0) {  // a zero pivot is no failure
    transpose_copy(work, m, out, n, n, m);
    for (int64_t i = 0; i < k; ++i) --pivots[i];
  } else {
    fill_nan(out, m * n);
    for (int64_t i = 0; i < k; ++i) pivots[i] = int32_t(i);
  }
}

}  // namespace

int32_t cholesky(int32_t code, const void* a, void* out, int64_t n, int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    return over_batch(batch, double(n) * n * n / 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        one_cholesky(static_cast<const T*>(a) + i * n * n, static_cast<T*>(out) + i * n * n, n);
      return true;
    });
  });
}

int32_t triangular_solve(int32_t code, int32_t flags, const void* a, const void* b, void* x,
                         int64_t n, int64_t m, int64_t batch) {
  if (n <= 0 || m <= 0) return 0;
  if (!fits(n) || !fits(m)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    return over_batch(batch, double(n) * n * m, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* xi = static_cast<T*>(x) + i * n * m;
        std::memcpy(static_cast<void*>(xi), static_cast<const T*>(b) + i * n * m,
                    size_t(n * m) * sizeof(T));
        parallel_triangular_solve(flags, static_cast<const T*>(a) + i * n * n, xi, n, m);
      }
      return true;
    });
  });
}

int32_t lu(int32_t code, const void* a, void* out, int32_t* pivots, int32_t* permutation, int64_t m,
           int64_t n, int64_t batch) {
  int64_t k = std::min(m, n);
  if (!fits(m) || !fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    return over_batch(batch, double(m) * n * k, [&](int64_t begin, int64_t end) {
      Scratch<T> work(std::max<int64_t>(1, m * n));
      if (!work) return false;
      for (int64_t i = begin; i < end; ++i) {
        if (k > 0)
          one_lu(static_cast<const T*>(a) + i * m * n, static_cast<T*>(out) + i * m * n,
                 pivots + i * k, work.get(), m, n);
        permute(pivots + i * k, permutation + i * m, k, m);
      }
      return true;
    });
  });
}

int32_t pivots_to_permutation(const int32_t* pivots, int32_t* permutation, int64_t k, int64_t n,
                              int64_t batch) {
  for (int64_t i = 0; i < batch; ++i) permute(pivots + i * k, permutation + i * n, k, n);
  return 0;
}

}  // namespace covector
