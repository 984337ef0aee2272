// Tridiagonal systems and eigenvalues, and updates of Cholesky factors: linear in their operands'
// sizes but for LAPACK's eigenvectors.
#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Stevd = void (*)(const char*, const int*, T*, T*, T*, const int*, T*, const int*, int*,
                       const int*, int*);

template <class T>
int call_stevd(int n, T* d, T* e, T* vectors, T* work, int lwork, int* iwork, int liwork) {
  int info = 0;
  find_routine_for<T, Stevd<T>>(Routine::stevd)(vectors ? "V" : "N", &n, d, e, vectors, &n, work,
                                                &lwork, iwork, &liwork, &info);
  return info;
}

// The bands of a tridiagonal matrix during elimination, which fills a second upper one.
template <class T>
struct Bands {
  T *lower, *diagonal, *upper, *second;
};

// Gaussian elimination with partial pivoting; x (n×m) is the right-hand side, then the solution.
// False where a pivot is zero and is not to be replaced by the smallest number.
template <class T>
bool solve_bands(Bands<T> w, T* x, int64_t n, int64_t m, bool perturb) {
  const T smallest = std::numeric_limits<Real<T>>::min();
  auto usable = [&](T& pivot) {
    if (pivot != T(0)) return true;
    pivot = smallest;
    return perturb;
  };
  for (int64_t i = 0; i + 1 < n; ++i) {
    T *row = x + i * m, *next = row + m;
    w.second[i] = 0;
    if (std::abs(w.lower[i + 1]) > std::abs(w.diagonal[i])) {
      std::swap(w.diagonal[i], w.lower[i + 1]);
      std::swap(w.upper[i], w.diagonal[i + 1]);
      if (i + 2 < n) std::swap(w.second[i], w.upper[i + 1]);
      std::swap_ranges(row, row + m, next);
    }
    if (!usable(w.diagonal[i])) return false;
    const T factor = w.lower[i + 1] / w.diagonal[i];
    w.diagonal[i + 1] -= factor * w.upper[i];
    if (i + 2 < n) w.upper[i + 1] -= factor * w.second[i];
    for (int64_t j = 0; j < m; ++j) next[j] -= factor * row[j];
  }
  if (!usable(w.diagonal[n - 1])) return false;
  for (int64_t i = n - 1; i >= 0; --i) {
    T* row = x + i * m;
    for (int64_t j = 0; j < m; ++j) {
      T sum = row[j];
      if (i + 1 < n) sum -= w.upper[i] * row[m + j];
      if (i + 2 < n) sum -= w.second[i] * row[2 * m + j];
      row[j] = sum / w.diagonal[i];
    }
  }
  return true;
}

template <class T>
T conjugate(T x) {
  if constexpr (is_complex_v<T>)
    return std::conj(x);
  else
    return x;
}

}  // namespace

int32_t tridiagonal_solve(int32_t code, int32_t perturb, const void* dl_, const void* d_,
                          const void* du_, const void* b_, void* x_, int64_t n, int64_t m,
                          int64_t batch) {
  if (n <= 0 || m <= 0) return 0;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto dl = static_cast<const T*>(dl_), d = static_cast<const T*>(d_);
    auto du = static_cast<const T*>(du_), b = static_cast<const T*>(b_);
    auto x = static_cast<T*>(x_);
    return over_batch(batch, 8.0 * n * m, [&](int64_t begin, int64_t end) {
      Scratch<T> room(4 * n);
      if (!room) return false;
      T* bands = room.get();
      for (int64_t i = begin; i < end; ++i) {
        std::copy(dl + i * n, dl + (i + 1) * n, bands);
        std::copy(d + i * n, d + (i + 1) * n, bands + n);
        std::copy(du + i * n, du + (i + 1) * n, bands + 2 * n);
        std::copy(b + i * n * m, b + (i + 1) * n * m, x + i * n * m);
        if (!solve_bands<T>({bands, bands + n, bands + 2 * n, bands + 3 * n}, x + i * n * m, n, m,
                            perturb))
          fill_nan(x + i * n * m, n * m);
      }
      return true;
    });
  });
}

int32_t eigh_tridiagonal(int32_t code, const void* d_, const void* e_, void* values_,
                         void* vectors_, int64_t n, int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) -> int32_t {
    using T = decltype(element);
    if constexpr (is_complex_v<T>) {
      return 3;
    } else {
      auto d = static_cast<const T*>(d_), e = static_cast<const T*>(e_);
      auto values = static_cast<T*>(values_), vectors = static_cast<T*>(vectors_);
      T none{}, size{};
      int integers = 0;
      call_stevd<T>(int(n), &none, &none, vectors ? &none : nullptr, &size, -1, &integers, -1);
      const int lwork = workspace_size(size), liwork = integers;
      return over_batch(batch, 4.0 * n * n * (vectors ? n : 1), [&](int64_t begin, int64_t end) {
        Scratch<T> room(n + (vectors ? n * n : 0) + lwork);
        Scratch<int> iwork(liwork);
        if (!room || !iwork) return false;
        T *off = room.get(), *work = off + n, *copy = vectors ? work + lwork : nullptr;
        for (int64_t i = begin; i < end; ++i) {
          const T *di = d + i * n, *ei = e + i * (n - 1);
          T* w = values + i * n;
          int info = -1;
          if (all_finite(di, n) && all_finite(ei, n - 1)) {
            std::copy(di, di + n, w);
            std::copy(ei, ei + n - 1, off);
            info = call_stevd(int(n), w, off, copy, work, lwork, iwork.get(), liwork);
          }
          if (info != 0) {
            fill_nan(w, n);
            if (vectors) fill_nan(vectors + i * n * n, n * n);
          } else if (vectors) {
            transpose_copy(copy, n, vectors + i * n * n, n, n, n);
          }
        }
        return true;
      });
    }
  });
}

int32_t cholesky_update(int32_t code, const void* r_, const void* w_, void* out_, int64_t n,
                        int64_t batch) {
  if (n <= 0) return 0;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto r = static_cast<const T*>(r_), w = static_cast<const T*>(w_);
    auto out = static_cast<T*>(out_);
    return over_batch(batch, 3.0 * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> room(n);
      if (!room) return false;
      T* y = room.get();
      for (int64_t i = begin; i < end; ++i) {
        // Rotations of each row of r with y = wᴴ, such that y's element on the diagonal vanishes.
        for (int64_t j = 0; j < n; ++j) y[j] = conjugate(w[i * n + j]);
        for (int64_t k = 0; k < n; ++k) {
          const T* from = r + (i * n + k) * n;
          T* row = out + (i * n + k) * n;
          std::fill(row, row + k, T(0));
          const T a = from[k], b = y[k];
          const Real<T> length = std::hypot(std::abs(a), std::abs(b));
          if (length == 0) {
            std::copy(from + k, from + n, row + k);
            continue;
          }
          const T c = a / length, s = b / length;
          for (int64_t j = k; j < n; ++j) {
            const T above = from[j], below = y[j];
            row[j] = conjugate(c) * above + conjugate(s) * below;
            y[j] = c * below - s * above;
          }
          row[k] = length;
        }
      }
      return true;
    });
  });
}

}  // namespace covector
