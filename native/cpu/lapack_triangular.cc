// Cholesky and LU factorisation, triangular systems, symmetric products.
//
// A row-major matrix is the transposition of a column-major one. For Hermitian a, potrf's upper
// factor of that, conj(a) = Uᴴ U, is in the same memory the lower one of a: a = Uᵀ conj(U). So is
// its lower factor the upper one of a.
#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

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
using Syrk = void (*)(const char*, const char*, const int*, const int*, const T*, const T*,
                      const int*, const T*, T*, const int*);
template <class T>
using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const T*,
                      const T*, const int*, const T*, const int*, const T*, T*, const int*);

// Sides up to which plain loops over row-major real matrices beat the calls of BLAS and LAPACK,
// which take a good part of a microsecond.
constexpr int64_t kSmallSide = 12;
constexpr int64_t kSmallTriangle = 8;
constexpr int64_t kFewRightHandSides = 32;

template <class T>
bool small_cholesky(T* a, int64_t n) {
  for (int64_t j = 0; j < n; ++j) {
    T* row = a + j * n;
    for (int64_t i = j; i < n; ++i) {
      T sum = a[i * n + j];
      for (int64_t k = 0; k < j; ++k) sum -= a[i * n + k] * row[k];
      if (i > j) {
        a[i * n + j] = sum / row[j];
      } else {
        if (!(sum > 0)) return false;
        row[j] = std::sqrt(sum);
      }
    }
  }
  return true;
}

template <class T>
void small_triangular_solve(int32_t flags, const T* a, T* x, int64_t n, int64_t m) {
  // x op(a) = b is op(a)ᵀ xᵀ = bᵀ; the strides say where elements are.
  const bool right = flags & kRight;
  const bool transposed = bool(flags & kTranspose) != right;
  const bool lower = bool(flags & kLower) != transposed;
  const int64_t row = transposed ? 1 : n, column = transposed ? n : 1;
  const int64_t unknown = right ? 1 : m, next = right ? n : 1;
  for (int64_t step = 0; step < n; ++step) {
    int64_t i = lower ? step : n - 1 - step;
    T* xi = x + i * unknown;
    for (int64_t k = lower ? 0 : i + 1; k < (lower ? i : n); ++k) {
      T factor = a[i * row + k * column];
      const T* xk = x + k * unknown;
      for (int64_t r = 0; r < m; ++r) xi[r * next] -= factor * xk[r * next];
    }
    if (flags & kUnit) continue;
    T pivot = a[i * row + i * column];
    for (int64_t r = 0; r < m; ++r) xi[r * next] /= pivot;
  }
}

template <class T>
void small_lu(T* a, int32_t* pivots, int64_t m, int64_t n) {
  for (int64_t j = 0; j < std::min(m, n); ++j) {
    int64_t best = j;
    for (int64_t i = j + 1; i < m; ++i)
      if (std::abs(a[i * n + j]) > std::abs(a[best * n + j])) best = i;
    pivots[j] = int32_t(best);
    T* row = a + j * n;
    if (best != j) std::swap_ranges(row, row + n, a + best * n);
    if (row[j] == 0) continue;
    for (int64_t i = j + 1; i < m; ++i) {
      T* other = a + i * n;
      T factor = other[j] /= row[j];
      for (int64_t c = j + 1; c < n; ++c) other[c] -= factor * row[c];
    }
  }
}

// The triangle of row i that counts: [first, last).
struct Triangle {
  bool upper;
  int64_t n;
  int64_t first(int64_t i) const { return upper ? i : 0; }
  int64_t last(int64_t i) const { return upper ? n : i + 1; }
};

template <class T>
bool factor_in_place(bool upper, T* a, int64_t n) {
  if constexpr (!is_complex_v<T>)
    if (n <= kSmallSide) {
      if (!upper) return small_cholesky(a, n);
      T turned[kSmallSide * kSmallSide];
      transpose_copy(a, n, turned, n, n, n);
      const bool ok = small_cholesky(turned, n);
      transpose_copy(turned, n, a, n, n, n);
      return ok;
    }
  int ni = int(n), info = 0;
  find_routine_for<T, Potrf<T>>(Routine::potrf)(upper ? "L" : "U", &ni, a, &ni, &info);
  return info == 0;
}

template <class T>
void one_cholesky(bool upper, const T* a, T* out, int64_t n) {
  const Triangle kept{upper, n};
  bool ok = true;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t first = kept.first(i), last = kept.last(i);
    const T* from = a + i * n;
    T* row = out + i * n;
    ok &= all_finite(from + first, last - first);
    std::fill(row, row + first, T(0));
    std::copy(from + first, from + last, row + first);
    std::fill(row + last, row + n, T(0));
  }
  if (ok && factor_in_place(upper, out, n)) return;
  for (int64_t i = 0; i < n; ++i)
    fill_nan(out + i * n + kept.first(i), kept.last(i) - kept.first(i));
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
  if constexpr (!is_complex_v<T>)
    if (n <= kSmallTriangle && m <= kFewRightHandSides)
      return small_triangular_solve(flags, a, x, n, m);
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
  const bool ok = all_finite(a, m * n);
  if constexpr (!is_complex_v<T>)
    if (ok && m <= kSmallSide && n <= kSmallSide) {
      std::copy(a, a + m * n, out);
      return small_lu(out, pivots, m, n);
    }
  if (ok) {
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

// Rows of a symmetric product that are one task.
constexpr int64_t kProductRows = 128;

// Rows [begin, end) of a aᵀ up to the diagonal, which in LAPACK's order are columns.
template <class T>
void product_rows(const T* a, T* out, int64_t n, int64_t k, int64_t begin, int64_t end) {
  const T one(1), zero(0);
  int before = int(begin), rows = int(end - begin), ki = int(k), ld = int(n);
  if (before)
    find_routine_for<T, Gemm<T>>(Routine::gemm)("T", "N", &before, &rows, &ki, &one, a, &ki,
                                                a + begin * k, &ki, &zero, out + begin * n, &ld);
  find_routine_for<T, Syrk<T>>(Routine::syrk)("U", "T", &rows, &ki, &one, a + begin * k, &ki, &zero,
                                              out + begin * n + begin, &ld);
}

template <class T>
void one_symmetric_product(const T* a, T* out, int64_t n, int64_t k) {
  auto tasks = (n + kProductRows - 1) / kProductRows;
  parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      product_rows(a, out, n, k, i * kProductRows, std::min(n, (i + 1) * kProductRows));
  });
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j) out[j * n + i] = out[i * n + j];
}

}  // namespace

int32_t symmetric_product(int32_t code, const void* a, void* out, int64_t n, int64_t k,
                          int64_t batch) {
  if (!fits(n) || !fits(k)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    if (k == 0) {
      std::fill_n(static_cast<T*>(out), n * n * batch, T(0));
      return 0;
    }
    return over_batch(batch, double(n) * n * k, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        one_symmetric_product(static_cast<const T*>(a) + i * n * k,
                              static_cast<T*>(out) + i * n * n, n, k);
      return true;
    });
  });
}

int32_t cholesky(int32_t code, int32_t upper, const void* a, void* out, int64_t n,
                 int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    return over_batch(batch, double(n) * n * n / 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        one_cholesky(upper, static_cast<const T*>(a) + i * n * n, static_cast<T*>(out) + i * n * n, n);
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
