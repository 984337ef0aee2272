// QR factorisation and products of Householder reflections.
#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Geqrf = void (*)(const int*, const int*, T*, const int*, T*, T*, const int*, int*);
template <class T>
using Orgqr = void (*)(const int*, const int*, const int*, T*, const int*, const T*, T*, const int*,
                       int*);
template <class T>
using Geqp3 = void (*)(const int*, const int*, T*, const int*, int*, T*, T*, const int*, int*);
using std::complex;
template <class R>
using ComplexGeqp3 = void (*)(const int*, const int*, complex<R>*, const int*, int*, complex<R>*,
                              complex<R>*, const int*, R*, int*);

// The routines with the sizes of one problem. Those that find `work` null answer with the size
// of workspace that they want.
template <class T>
struct Householder {
  int m, n;

  int geqrf(T* a, T* taus, T* work, int lwork) const {
    int info = 0;
    find_routine_for<T, Geqrf<T>>(Routine::geqrf)(&m, &n, a, &m, taus, work, &lwork, &info);
    return info;
  }

  int geqp3(T* a, int* columns, T* taus, T* work, int lwork, Real<T>* rwork) const {
    int info = 0;
    if constexpr (is_complex_v<T>)
      find_routine_for<T, ComplexGeqp3<Real<T>>>(Routine::geqp3)(&m, &n, a, &m, columns, taus, work,
                                                                 &lwork, rwork, &info);
    else
      find_routine_for<T, Geqp3<T>>(Routine::geqp3)(&m, &n, a, &m, columns, taus, work, &lwork,
                                                    &info);
    return info;
  }

  // The first `columns` columns of the product of k reflections.
  int orgqr(int columns, int k, T* a, const T* taus, T* work, int lwork) const {
    int info = 0;
    find_routine_for<T, Orgqr<T>>(Routine::orgqr)(&m, &columns, &k, a, &m, taus, work, &lwork,
                                                  &info);
    return info;
  }
};

template <class T>
int query_geqrf(Householder<T> h) {
  T a{}, taus{}, answer{};
  h.geqrf(&a, &taus, &answer, -1);
  return workspace_size(answer);
}

template <class T>
int query_orgqr(Householder<T> h, int columns, int k) {
  T a{}, taus{}, answer{};
  h.orgqr(columns, k, &a, &taus, &answer, -1);
  return workspace_size(answer);
}

}  // namespace

int32_t qr(int32_t code, const void* a_, void* q_, void* r_, int32_t* permutation, int64_t m,
           int64_t n, int64_t k, int64_t batch) {
  if (!fits(m) || !fits(n)) return 3;
  int64_t reflections = std::min(m, n);
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_);
    auto q = static_cast<T*>(q_), r = static_cast<T*>(r_);
    if (reflections == 0) {
      for (int64_t i = 0; i < batch; ++i) {
        set_identity(q + i * m * k, m, k);
        for (int64_t j = 0; permutation && j < n; ++j) permutation[i * n + j] = int32_t(j);
      }
      return 0;
    }
    Householder<T> h{int(m), int(n)};
    int lwork = std::max(query_geqrf(h), query_orgqr(h, int(k), int(reflections)));
    if (permutation) {
      T none{}, answer{};
      Real<T> real{};
      int column = 0;
      h.geqp3(&none, &column, &none, &answer, -1, &real);
      lwork = std::max(lwork, workspace_size(answer));
    }
    int64_t size = m * std::max(n, k);
    return over_batch(batch, double(m) * n * reflections, [&](int64_t begin, int64_t end) {
      Scratch<T> room(size + reflections + lwork);
      Scratch<Real<T>> rwork(permutation ? 2 * n : 1);
      if (!room || !rwork) return false;
      T *w = room.get(), *taus = w + size, *work = taus + reflections;
      for (int64_t i = begin; i < end; ++i) {
        const T* ai = a + i * m * n;
        T *qi = q + i * m * k, *ri = r + i * k * n;
        int32_t* columns = permutation ? permutation + i * n : nullptr;
        int info = -1;
        if (all_finite(ai, m * n)) {
          transpose_copy(ai, n, w, m, m, n);
          if (columns) {
            std::fill(columns, columns + n, 0);  // every column is free to move
            info = h.geqp3(w, columns, taus, work, lwork, rwork.get());
            for (int64_t j = 0; j < n; ++j) --columns[j];
          } else {
            info = h.geqrf(w, taus, work, lwork);
          }
        } else if (columns) {
          for (int64_t j = 0; j < n; ++j) columns[j] = int32_t(j);
        }
        std::fill(ri, ri + k * n, T(0));
        if (info == 0) {
          for (int64_t j = 0; j < n; ++j)
            for (int64_t l = 0; l < std::min(j + 1, reflections); ++l) ri[l * n + j] = w[j * m + l];
          info = h.orgqr(int(k), int(reflections), w, taus, work, lwork);
        }
        if (info == 0) {
          transpose_copy(w, m, qi, k, k, m);
        } else {
          fill_nan(qi, m * k);
          for (int64_t l = 0; l < reflections; ++l) fill_nan(ri + l * n + l, n - l);
        }
      }
      return true;
    });
  });
}

int32_t geqrf(int32_t code, const void* a_, void* out_, void* taus_, int64_t m, int64_t n,
              int64_t batch) {
  int64_t k = std::min(m, n);
  if (!fits(m) || !fits(n)) return 3;
  if (k == 0) return 0;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_);
    auto out = static_cast<T*>(out_), taus = static_cast<T*>(taus_);
    Householder<T> h{int(m), int(n)};
    int lwork = query_geqrf(h);
    return over_batch(batch, double(m) * n * k, [&](int64_t begin, int64_t end) {
      Scratch<T> room(m * n + lwork);
      if (!room) return false;
      T *w = room.get(), *work = w + m * n;
      for (int64_t i = begin; i < end; ++i) {
        int info = -1;
        if (all_finite(a + i * m * n, m * n)) {
          transpose_copy(a + i * m * n, n, w, m, m, n);
          info = h.geqrf(w, taus + i * k, work, lwork);
        }
        if (info == 0) {
          transpose_copy(w, m, out + i * m * n, n, n, m);
        } else {
          fill_nan(out + i * m * n, m * n);
          fill_nan(taus + i * k, k);
        }
      }
      return true;
    });
  });
}

int32_t householder_product(int32_t code, const void* a_, const void* taus_, void* out_, int64_t m,
                            int64_t n, int64_t k, int64_t batch) {
  if (!fits(m) || !fits(n)) return 3;
  if (n == 0) return 0;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_), taus = static_cast<const T*>(taus_);
    auto out = static_cast<T*>(out_);
    Householder<T> h{int(m), int(n)};
    int lwork = query_orgqr(h, int(n), int(k));
    return over_batch(batch, double(m) * n * (k + 1), [&](int64_t begin, int64_t end) {
      Scratch<T> room(m * n + lwork);
      if (!room) return false;
      T *w = room.get(), *work = w + m * n;
      for (int64_t i = begin; i < end; ++i) {
        int info = -1;
        if (all_finite(a + i * m * n, m * n) && all_finite(taus + i * k, k)) {
          transpose_copy(a + i * m * n, n, w, m, m, n);
          info = h.orgqr(int(n), int(k), w, taus + i * k, work, lwork);
        }
        if (info == 0)
          transpose_copy(w, m, out + i * m * n, n, n, m);
        else
          fill_nan(out + i * m * n, m * n);
      }
      return true;
    });
  });
}

}  // namespace covector
