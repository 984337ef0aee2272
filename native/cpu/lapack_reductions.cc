// Reductions to Hessenberg, tridiagonal and Schur form, and products with their reflections.
//
// A matrix is copied to column-major order, reduced in place, and copied back.
#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Gehrd = void (*)(const int*, const int*, const int*, T*, const int*, T*, T*, const int*,
                       int*);
template <class T>
using Sytrd = void (*)(const char*, const int*, T*, const int*, Real<T>*, Real<T>*, T*, T*,
                       const int*, int*);
template <class T>
using Ormqr = void (*)(const char*, const char*, const int*, const int*, const int*, const T*,
                       const int*, const T*, T*, const int*, T*, const int*, int*);
template <class T>
using Gees = void (*)(const char*, const char*, void*, const int*, T*, const int*, int*, T*, T*, T*,
                      const int*, T*, const int*, int*, int*);
template <class R>
using ComplexGees = void (*)(const char*, const char*, void*, const int*, std::complex<R>*,
                             const int*, int*, std::complex<R>*, std::complex<R>*, const int*,
                             std::complex<R>*, const int*, R*, int*, int*);
template <class T>
using Trsyl = void (*)(const char*, const char*, const int*, const int*, const int*, const T*,
                       const int*, const T*, const int*, T*, const int*, Real<T>*, int*);

template <class T>
int call_gehrd(int n, T* a, T* taus, T* work, int lwork) {
  int info = 0, first = 1;
  find_routine_for<T, Gehrd<T>>(Routine::gehrd)(&n, &first, &n, a, &n, taus, work, &lwork, &info);
  return info;
}

template <class T>
int call_sytrd(int32_t lower, int n, T* a, Real<T>* d, Real<T>* e, T* taus, T* work, int lwork) {
  int info = 0;
  find_routine_for<T, Sytrd<T>>(Routine::sytrd)(lower ? "L" : "U", &n, a, &n, d, e, taus, work,
                                                &lwork, &info);
  return info;
}

// The sizes of a product of k reflections of length `length` with an m×n matrix.
template <class T>
struct Reflections {
  int32_t flags;
  int length, m, n, k;

  int apply(const T* a, const T* taus, T* c, T* work, int lwork) const {
    int info = 0, lda = std::max(1, length), ldc = std::max(1, m);
    const char* op = !(flags & kTransposeQ) ? "N" : is_complex_v<T> ? "C" : "T";
    find_routine_for<T, Ormqr<T>>(Routine::ormqr)(flags & kRightQ ? "R" : "L", op, &m, &n, &k, a,
                                                  &lda, taus, c, &ldc, work, &lwork, &info);
    return info;
  }
};

// w and im hold the eigenvalues, which T already shows.
template <class T>
int call_gees(int n, T* a, T* w, T* im, T* q, T* work, int lwork, Real<T>* rwork) {
  int info = 0, chosen = 0, unordered = 0;
  const char* job = q ? "V" : "N";
  if constexpr (is_complex_v<T>)
    find_routine_for<T, ComplexGees<Real<T>>>(Routine::gees)(job, "N", nullptr, &n, a, &n, &chosen,
                                                             w, q, &n, work, &lwork, rwork,
                                                             &unordered, &info);
  else
    find_routine_for<T, Gees<T>>(Routine::gees)(job, "N", nullptr, &n, a, &n, &chosen, w, im, q, &n,
                                                work, &lwork, &unordered, &info);
  return info;
}

}  // namespace

int32_t hessenberg(int32_t code, const void* a_, void* out_, void* taus_, int64_t n,
                   int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_);
    auto out = static_cast<T*>(out_), taus = static_cast<T*>(taus_);
    T none{}, size{};
    call_gehrd<T>(int(n), &none, &none, &size, -1);
    const int lwork = workspace_size(size);
    return over_batch(batch, 4.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> room(n * n + lwork);
      if (!room) return false;
      T *copy = room.get(), *work = copy + n * n;
      for (int64_t i = begin; i < end; ++i) {
        int info = -1;
        if (all_finite(a + i * n * n, n * n)) {
          transpose_copy(a + i * n * n, n, copy, n, n, n);
          info = call_gehrd(int(n), copy, taus + i * (n - 1), work, lwork);
        }
        if (info == 0) {
          transpose_copy(copy, n, out + i * n * n, n, n, n);
        } else {
          fill_nan(out + i * n * n, n * n);
          fill_nan(taus + i * (n - 1), n - 1);
        }
      }
      return true;
    });
  });
}

int32_t tridiagonal(int32_t code, int32_t lower, const void* a_, void* out_, void* d_, void* e_,
                    void* taus_, int64_t n, int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    using R = Real<T>;
    auto a = static_cast<const T*>(a_);
    auto out = static_cast<T*>(out_), taus = static_cast<T*>(taus_);
    auto d = static_cast<R*>(d_), e = static_cast<R*>(e_);
    T none{}, size{};
    R real{};
    call_sytrd<T>(lower, int(n), &none, &real, &real, &none, &size, -1);
    const int lwork = workspace_size(size);
    return over_batch(batch, 2.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> room(n * n + lwork);
      if (!room) return false;
      T *copy = room.get(), *work = copy + n * n;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = a + i * n * n;
        bool ok = true;
        for (int64_t j = 0; j < n; ++j)
          ok &= lower ? all_finite(ai + j * n, j + 1) : all_finite(ai + j * n + j, n - j);
        transpose_copy(ai, n, copy, n, n, n);
        const int64_t k = i * (n - 1);
        if (ok && call_sytrd(lower, int(n), copy, d + i * n, e + k, taus + k, work, lwork) == 0) {
          transpose_copy(copy, n, out + i * n * n, n, n, n);
        } else {
          fill_nan(out + i * n * n, n * n);
          fill_nan(d + i * n, n);
          fill_nan(e + k, n - 1);
          fill_nan(taus + k, n - 1);
        }
      }
      return true;
    });
  });
}

int32_t ormqr(int32_t code, int32_t flags, const void* a_, const void* taus_, const void* c_,
              void* out_, int64_t m, int64_t n, int64_t k, int64_t batch) {
  if (m <= 0 || n <= 0) return 0;
  if (!fits(m) || !fits(n)) return 3;
  const int64_t length = flags & kRightQ ? n : m;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_), taus = static_cast<const T*>(taus_);
    auto c = static_cast<const T*>(c_);
    auto out = static_cast<T*>(out_);
    Reflections<T> q{flags, int(length), int(m), int(n), int(k)};
    T none{}, size{};
    q.apply(&none, &none, &none, &size, -1);
    const int lwork = workspace_size(size);
    return over_batch(batch, 4.0 * m * n * (k + 1), [&](int64_t begin, int64_t end) {
      Scratch<T> room(length * k + m * n + lwork);
      if (!room) return false;
      T *vectors = room.get(), *copy = vectors + length * k, *work = copy + m * n;
      for (int64_t i = begin; i < end; ++i) {
        const T *ai = a + i * length * k, *ti = taus + i * k, *ci = c + i * m * n;
        int info = -1;
        if (all_finite(ai, length * k) && all_finite(ti, k) && all_finite(ci, m * n)) {
          transpose_copy(ai, k, vectors, length, length, k);
          transpose_copy(ci, n, copy, m, m, n);
          info = q.apply(vectors, ti, copy, work, lwork);
        }
        if (info == 0)
          transpose_copy(copy, m, out + i * m * n, n, n, m);
        else
          fill_nan(out + i * m * n, m * n);
      }
      return true;
    });
  });
}

int32_t schur(int32_t code, const void* a_, void* t_, void* q_, int64_t n, int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_);
    auto t = static_cast<T*>(t_), q = static_cast<T*>(q_);
    T none{}, size{};
    Real<T> real{};
    call_gees<T>(int(n), &none, &none, &none, q ? &none : nullptr, &size, -1, &real);
    const int lwork = workspace_size(size);
    return over_batch(batch, 25.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> room(2 * n * n + 2 * n + lwork);
      Scratch<Real<T>> rwork(n);
      if (!room || !rwork) return false;
      T *copy = room.get(), *w = copy + n * n, *im = w + n, *work = im + n;
      T* vectors = q ? work + lwork : nullptr;
      for (int64_t i = begin; i < end; ++i) {
        int info = -1;
        if (all_finite(a + i * n * n, n * n)) {
          transpose_copy(a + i * n * n, n, copy, n, n, n);
          info = call_gees(int(n), copy, w, im, vectors, work, lwork, rwork.get());
        }
        if (info == 0) {
          transpose_copy(copy, n, t + i * n * n, n, n, n);
          if (q) transpose_copy(vectors, n, q + i * n * n, n, n, n);
        } else {
          fill_nan(t + i * n * n, n * n);
          if (q) fill_nan(q + i * n * n, n * n);
        }
      }
      return true;
    });
  });
}

int32_t triangular_sylvester(int32_t code, int32_t flags, const void* a_, const void* b_,
                             const void* c_, void* x_, int64_t m, int64_t n, int64_t batch) {
  if (m <= 0 || n <= 0) return 0;
  if (!fits(m) || !fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_), b = static_cast<const T*>(b_);
    auto c = static_cast<const T*>(c_);
    auto x = static_cast<T*>(x_);
    const char* adjoint = is_complex_v<T> ? "C" : "T";
    const char *op_a = flags & kAdjointA ? adjoint : "N", *op_b = flags & kAdjointB ? adjoint : "N";
    const int sign = flags & kMinus ? -1 : 1, mi = int(m), ni = int(n);
    return over_batch(batch, double(m) * n * (m + n), [&](int64_t begin, int64_t end) {
      Scratch<T> room(m * m + n * n + m * n);
      if (!room) return false;
      T *left = room.get(), *right = left + m * m, *copy = right + n * n;
      for (int64_t i = begin; i < end; ++i) {
        const T *ai = a + i * m * m, *bi = b + i * n * n, *ci = c + i * m * n;
        T* xi = x + i * m * n;
        if (!all_finite(ai, m * m) || !all_finite(bi, n * n) || !all_finite(ci, m * n)) {
          fill_nan(xi, m * n);
          continue;
        }
        transpose_copy(ai, m, left, m, m, m);
        transpose_copy(bi, n, right, n, n, n);
        transpose_copy(ci, n, copy, m, m, n);
        Real<T> scale = 1;
        int info = 0;
        find_routine_for<T, Trsyl<T>>(Routine::trsyl)(op_a, op_b, &sign, &mi, &ni, left, &mi, right,
                                                      &ni, copy, &mi, &scale, &info);
        transpose_copy(copy, m, xi, n, n, m);
        if (scale != 1)
          for (int64_t k = 0; k < m * n; ++k) xi[k] /= scale;
      }
      return true;
    });
  });
}

}  // namespace covector
