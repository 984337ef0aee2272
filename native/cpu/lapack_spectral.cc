// Eigenvalues and singular values.
//
// The row-major matrix a is aᵀ to LAPACK. For Hermitian a that is conj(a), with the conjugates
// of its eigenvectors. From aᵀ = U' S V'ᴴ follows a = conj(V') S U'ᵀ, which in row-major memory
// are V'ᴴ and U' as LAPACK leaves them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Syevd = void (*)(const char*, const char*, const int*, T*, const int*, T*, T*, const int*,
                       int*, const int*, int*);
template <class R>
using Heevd = void (*)(const char*, const char*, const int*, std::complex<R>*, const int*, R*,
                       std::complex<R>*, const int*, R*, const int*, int*, const int*, int*);
template <class T>
using Gesdd = void (*)(const char*, const int*, const int*, T*, const int*, T*, T*, const int*, T*,
                       const int*, T*, const int*, int*, int*);
template <class R>
using ComplexGesdd = void (*)(const char*, const int*, const int*, std::complex<R>*, const int*, R*,
                              std::complex<R>*, const int*, std::complex<R>*, const int*,
                              std::complex<R>*, const int*, R*, int*, int*);
template <class T>
using Gesvd = void (*)(const char*, const char*, const int*, const int*, T*, const int*, T*, T*,
                       const int*, T*, const int*, T*, const int*, int*);
template <class R>
using ComplexGesvd = void (*)(const char*, const char*, const int*, const int*, std::complex<R>*,
                              const int*, R*, std::complex<R>*, const int*, std::complex<R>*,
                              const int*, std::complex<R>*, const int*, R*, int*);
template <class T>
using Geev = void (*)(const char*, const char*, const int*, T*, const int*, T*, T*, T*, const int*,
                      T*, const int*, T*, const int*, int*);
template <class R>
using ComplexGeev = void (*)(const char*, const char*, const int*, std::complex<R>*, const int*,
                             std::complex<R>*, std::complex<R>*, const int*, std::complex<R>*,
                             const int*, std::complex<R>*, const int*, R*, int*);

template <class T>
T conjugate(T x) {
  if constexpr (is_complex_v<T>)
    return std::conj(x);
  else
    return x;
}

template <class T>
void transpose_in_place(T* a, int64_t n) {
  constexpr int64_t kBlock = 16;
  for (int64_t i0 = 0; i0 < n; i0 += kBlock)
    for (int64_t j0 = 0; j0 <= i0; j0 += kBlock)
      for (int64_t i = i0; i < std::min(n, i0 + kBlock); ++i)
        for (int64_t j = j0; j < std::min(i, j0 + kBlock); ++j)
          std::swap(a[i * n + j], a[j * n + i]);
}

// Workspace of one thread.
template <class T>
struct Room {
  Room(int64_t lwork, int64_t lrwork, int64_t liwork) : work(lwork), rwork(lrwork), iwork(liwork) {}
  explicit operator bool() const { return bool(work) && bool(rwork) && bool(iwork); }
  Scratch<T> work;
  Scratch<Real<T>> rwork;
  Scratch<int> iwork;
};

template <class T>
int call_eigh(const char* job, int32_t lower, int n, T* a, Real<T>* values, T* work, int lwork,
              Real<T>* rwork, int lrwork, int* iwork, int liwork) {
  int info = 0;
  const char* triangle = lower ? "U" : "L";
  if constexpr (is_complex_v<T>)
    find_routine_for<T, Heevd<Real<T>>>(Routine::syevd)(
        job, triangle, &n, a, &n, values, work, &lwork, rwork, &lrwork, iwork, &liwork, &info);
  else
    find_routine_for<T, Syevd<T>>(Routine::syevd)(job, triangle, &n, a, &n, values, work, &lwork,
                                                  iwork, &liwork, &info);
  return info;
}

template <class T>
bool triangle_finite(int32_t lower, const T* a, int64_t n) {
  bool ok = true;
  for (int64_t i = 0; i < n; ++i)
    ok &= lower ? all_finite(a + i * n, i + 1) : all_finite(a + i * n + i, n - i);
  return ok;
}

// rows × columns of a as LAPACK sees it.
template <class T>
int call_svd(int32_t flags, const char* job, int rows, int columns, T* a, Real<T>* s, T* u, int ldu,
             T* vt, int ldvt, T* work, int lwork, Real<T>* rwork, int* iwork) {
  int info = 0;
  if (flags & kByQr) {
    if constexpr (is_complex_v<T>)
      find_routine_for<T, ComplexGesvd<Real<T>>>(Routine::gesvd)(
          job, job, &rows, &columns, a, &rows, s, u, &ldu, vt, &ldvt, work, &lwork, rwork, &info);
    else
      find_routine_for<T, Gesvd<T>>(Routine::gesvd)(job, job, &rows, &columns, a, &rows, s, u, &ldu,
                                                    vt, &ldvt, work, &lwork, &info);
    return info;
  }
  if constexpr (is_complex_v<T>)
    find_routine_for<T, ComplexGesdd<Real<T>>>(Routine::gesdd)(
        job, &rows, &columns, a, &rows, s, u, &ldu, vt, &ldvt, work, &lwork, rwork, iwork, &info);
  else
    find_routine_for<T, Gesdd<T>>(Routine::gesdd)(job, &rows, &columns, a, &rows, s, u, &ldu, vt,
                                                  &ldvt, work, &lwork, iwork, &info);
  return info;
}

// Complex eigenvalues in `values`, vectors as LAPACK stores them in `left` and `right`.
template <class T>
int call_eig(int n, T* a, Real<T>* re, Real<T>* im, T* values, T* left, T* right, T* work,
             int lwork, Real<T>* rwork) {
  int info = 0;
  const char *jobl = left ? "V" : "N", *jobr = right ? "V" : "N";
  if constexpr (is_complex_v<T>)
    find_routine_for<T, ComplexGeev<Real<T>>>(Routine::geev)(
        jobl, jobr, &n, a, &n, values, left, &n, right, &n, work, &lwork, rwork, &info);
  else
    find_routine_for<T, Geev<T>>(Routine::geev)(jobl, jobr, &n, a, &n, re, im, left, &n, right, &n,
                                                work, &lwork, &info);
  return info;
}

// Row-major complex vectors from columns in which real problems keep a conjugate pair as a real
// and an imaginary part.
template <class T>
void unpack_vectors(const T* v, const Real<T>* im, std::complex<Real<T>>* out, int64_t n) {
  if constexpr (is_complex_v<T>) {
    transpose_copy(v, n, out, n, n, n);
  } else {
    for (int64_t j = 0; j < n; ++j) {
      const T* x = v + j * n;
      if (im[j] == 0 || j + 1 == n) {
        for (int64_t i = 0; i < n; ++i) out[i * n + j] = x[i];
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        out[i * n + j] = {x[i], x[n + i]};
        out[i * n + j + 1] = {x[i], -x[n + i]};
      }
      ++j;
    }
  }
}

// The power of two by which geev's matrix is to be divided, 0 for none: some LAPACKs do not give
// back the scale that they take from matrices of very large or very small elements.
template <class T>
int geev_scale(const T* a, int64_t n) {
  using R = Real<T>;
  const R* x = reinterpret_cast<const R*>(a);
  const int64_t parts = n * int64_t(sizeof(T) / sizeof(R));
  R largest = 0;
  for (int64_t i = 0; i < parts; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == 0) return 0;
  const int e = std::ilogb(largest);
  return std::abs(e) > std::numeric_limits<R>::max_exponent / 4 ? e : 0;
}

template <class T>
void scale_by(T* a, int64_t n, int e) {
  using R = Real<T>;
  R* x = reinterpret_cast<R*>(a);
  for (int64_t i = 0; i < n * int64_t(sizeof(T) / sizeof(R)); ++i) x[i] = std::ldexp(x[i], e);
}

}  // namespace

int32_t eigh(int32_t code, int32_t lower, const void* a_, void* vectors_, void* values_, int64_t n,
             int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    using R = Real<T>;
    auto a = static_cast<const T*>(a_);
    auto vectors = static_cast<T*>(vectors_);
    auto values = static_cast<R*>(values_);
    T none{}, size{};
    R real{}, real_size{};
    int integers = 0;
    const char* job = vectors ? "V" : "N";
    call_eigh<T>(job, lower, int(n), &none, &real, &size, -1, &real_size, -1, &integers, -1);
    int lwork = workspace_size(size), lrwork = workspace_size(real_size), liwork = integers;
    return over_batch(batch, 9.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Room<T> room(int64_t(lwork) + (vectors ? 0 : n * n), lrwork, liwork);
      if (!room) return false;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = a + i * n * n;
        T* v = vectors ? vectors + i * n * n : room.work.get() + lwork;
        int info = -1;
        if (triangle_finite(lower, ai, n)) {
          std::copy(ai, ai + n * n, v);
          info = call_eigh(job, lower, int(n), v, values + i * n, room.work.get(), lwork,
                           room.rwork.get(), lrwork, room.iwork.get(), liwork);
        }
        if (info == 0 && vectors) {
          transpose_in_place(v, n);
          if constexpr (is_complex_v<T>)
            for (int64_t j = 0; j < n * n; ++j) v[j] = conjugate(v[j]);
        } else if (info != 0) {
          fill_nan(v, n * n);
          fill_nan(values + i * n, n);
        }
      }
      return true;
    });
  });
}

int32_t svd(int32_t code, int32_t flags, const void* a_, void* s_, void* u_, void* vh_, int64_t m,
            int64_t n, int64_t batch) {
  if (!fits(m) || !fits(n)) return 3;
  const int64_t k = std::min(m, n);
  const bool full = flags & kFull;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    using R = Real<T>;
    auto a = static_cast<const T*>(a_);
    auto s = static_cast<R*>(s_);
    auto u = static_cast<T*>(u_), vh = static_cast<T*>(vh_);
    const int64_t u_columns = full ? m : k, vh_rows = full ? n : k;
    if (k == 0) {
      for (int64_t i = 0; u && i < batch; ++i) {
        set_identity(u + i * m * u_columns, m, u_columns);
        set_identity(vh + i * vh_rows * n, vh_rows, n);
      }
      return 0;
    }
    const char* job = !u ? "N" : full ? "A" : "S";
    // LAPACK's left singular vectors are our vh (n rows, column-major), its right ones our u.
    const int rows = int(n), columns = int(m), ldu = int(n), ldvt = int(u_columns);
    T none{}, size{};
    R real{};
    int integer = 0;
    call_svd<T>(flags, job, rows, columns, &none, &real, &none, ldu, &none, ldvt, &size, -1, &real,
                &integer);
    const int lwork = workspace_size(size);
    const int64_t big = std::max(m, n);
    const int64_t lrwork =
        !is_complex_v<T> ? 1 : std::max(5 * k * k + 7 * k, 2 * big * k + 2 * k * k + k);
    return over_batch(batch, 15.0 * m * n * k, [&](int64_t begin, int64_t end) {
      Room<T> room(int64_t(lwork) + m * n, lrwork, 8 * k);
      if (!room) return false;
      T *work = room.work.get(), *copy = work + lwork;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = a + i * m * n;
        T* ui = u ? u + i * m * u_columns : nullptr;
        T* vi = u ? vh + i * vh_rows * n : nullptr;
        int info = -1;
        if (all_finite(ai, m * n)) {
          std::copy(ai, ai + m * n, copy);
          info = call_svd<T>(flags, job, rows, columns, copy, s + i * k, u ? vi : &none, ldu,
                             u ? ui : &none, ldvt, work, lwork, room.rwork.get(), room.iwork.get());
        }
        if (info != 0) {
          fill_nan(s + i * k, k);
          fill_nan(ui, m * u_columns);
          fill_nan(vi, vh_rows * n);
        }
      }
      return true;
    });
  });
}

int32_t eig(int32_t code, const void* a_, void* values_, void* left_, void* right_, int64_t n,
            int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    using R = Real<T>;
    using C = std::complex<R>;
    auto a = static_cast<const T*>(a_);
    auto values = static_cast<C*>(values_), left = static_cast<C*>(left_);
    auto right = static_cast<C*>(right_);
    T none{}, size{};
    R real{};
    T* wanted_left = left ? &none : nullptr;
    T* wanted_right = right ? &none : nullptr;
    call_eig<T>(int(n), &none, &real, &real, &none, wanted_left, wanted_right, &size, -1, &real);
    const int lwork = workspace_size(size);
    return over_batch(batch, 25.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Room<T> room(int64_t(lwork) + 3 * n * n + n, 2 * n, 1);
      if (!room) return false;
      T *work = room.work.get(), *copy = work + lwork, *w = copy + n * n;
      T *vl = left ? w + n : nullptr, *vr = right ? w + n + n * n : nullptr;
      R *re = room.rwork.get(), *im = re + n;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = a + i * n * n;
        int info = -1, scale = 0;
        if (all_finite(ai, n * n)) {
          transpose_copy(ai, n, copy, n, n, n);
          scale = geev_scale(copy, n * n);
          if (scale) scale_by(copy, n * n, -scale);
          info = call_eig<T>(int(n), copy, re, im, w, vl, vr, work, lwork, re);
        }
        if (info == 0) {
          for (int64_t j = 0; j < n; ++j)
            if constexpr (is_complex_v<T>)
              values[i * n + j] = w[j];
            else
              values[i * n + j] = {re[j], im[j]};
          if (scale) scale_by(values + i * n, n, scale);
          if (left) unpack_vectors<T>(vl, im, left + i * n * n, n);
          if (right) unpack_vectors<T>(vr, im, right + i * n * n, n);
        } else {
          fill_nan(values + i * n, n);
          if (left) fill_nan(left + i * n * n, n * n);
          if (right) fill_nan(right + i * n * n, n * n);
        }
      }
      return true;
    });
  });
}

}  // namespace covector
