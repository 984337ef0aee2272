// Exponentials of matrices and their derivatives, by Padé approximation with scaling and squaring.
//
// A. Al-Mohy, N. Higham, "A new scaling and squaring algorithm for the matrix exponential", SIAM
// J. Matrix Anal. Appl. 31 (2009), 970-989, with bounds in place of estimates of the norms of the
// powers that are not formed; "Computing the Fréchet derivative of the matrix exponential, with an
// application to condition number estimation", same volume, 1639-1657: the derivative of every step
// is computed beside it. The limits of norms are the roots of these papers' backward error bounds,
// in single precision for its rounding unit.
#include <array>
#include <utility>
#include <vector>

#include "cpu/blas.h"
#include "cpu/lapack.h"
#include "cpu/lapack_common.h"

namespace covector {
namespace {

template <class T>
using Getrf = void (*)(const int*, const int*, T*, const int*, int*, int*);
template <class T>
using Getrs = void (*)(const char*, const int*, const int*, const T*, const int*, const int*, T*,
                       const int*, int*);

// A matrix and, where not null, its derivative.
template <class T>
struct Pair {
  T *value, *tangent;
};

// A multiple of a matrix; of the identity where `matrix` is null.
template <class T>
struct Term {
  double factor;
  const Pair<T>* matrix;
};

template <class T>
constexpr int32_t code_for = type_index<T> == 0   ? kF32
                             : type_index<T> == 1 ? kF64
                             : type_index<T> == 2 ? kC64
                                                  : kC128;

// Columns of right-hand sides that one task solves for.
constexpr int64_t kSolveColumns = 64;

// Operations on n×n matrices with or without derivatives.
template <class T>
struct Algebra {
  int64_t n;
  T* spare;

  void multiply(const T* a, const T* b, T* out) const {
    gemm(code_for<T>, 0, 0, n, n, n, a, n, b, n, out, n, 1, 0, 0, 0);
  }

  // out must be none of the factors.
  void multiply(const Pair<T>& a, const Pair<T>& b, const Pair<T>& out) const {
    multiply(a.value, b.value, out.value);
    if (!out.tangent) return;
    multiply(a.value, b.tangent, out.tangent);
    multiply(a.tangent, b.value, spare);
    for (int64_t i = 0; i < n * n; ++i) out.tangent[i] += spare[i];
  }

  template <size_t K>
  void sum(const std::array<Term<T>, K>& terms, const Pair<T>& out) const {
    using R = Real<T>;
    for (T* Pair<T>::* part : {&Pair<T>::value, &Pair<T>::tangent}) {
      T* to = out.*part;
      if (!to) continue;
      bool first = true;
      for (const Term<T>& t : terms) {
        if (!t.matrix) continue;
        const T* from = t.matrix->*part;
        const R f = R(t.factor);
        if (first)
          for (int64_t i = 0; i < n * n; ++i) to[i] = f * from[i];
        else
          for (int64_t i = 0; i < n * n; ++i) to[i] += f * from[i];
        first = false;
      }
      if (first) std::fill(to, to + n * n, T(0));
      if (part == &Pair<T>::value)
        for (const Term<T>& t : terms)
          if (!t.matrix)
            for (int64_t i = 0; i < n; ++i) to[i * n + i] += R(t.factor);
    }
  }

  // x q = p for x in place of p; q is overwritten. In LAPACK's order that is qᵀ xᵀ = pᵀ.
  bool divide(const Pair<T>& p, const Pair<T>& q, int* pivots) const {
    const int ni = int(n);
    int info = 0;
    find_routine_for<T, Getrf<T>>(Routine::getrf)(&ni, &ni, q.value, &ni, pivots, &info);
    if (info) return false;
    solve(q.value, pivots, p.value);
    if (p.tangent) {
      multiply(p.value, q.tangent, spare);
      for (int64_t i = 0; i < n * n; ++i) p.tangent[i] -= spare[i];
      solve(q.value, pivots, p.tangent);
    }
    return true;
  }

  void solve(const T* factors, const int* pivots, T* x) const {
    const int ni = int(n);
    auto columns = [&](int64_t begin, int64_t end) {
      int count = int(end - begin), info = 0;
      find_routine_for<T, Getrs<T>>(Routine::getrs)("N", &ni, &count, factors, &ni, pivots,
                                                    x + begin * n, &ni, &info);
    };
    if (n < 2 * kSolveColumns || !SingleThreadedBlas::available())
      columns(0, n);
    else
      parallel_for(n, kSolveColumns, columns);
  }

  double norm(const T* a) const {  // the largest sum of magnitudes in a row
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) {
      double total = 0;
      for (int64_t j = 0; j < n; ++j) total += double(std::abs(a[i * n + j]));
      largest = std::max(largest, total);
    }
    return largest;
  }
};

// Coefficients of the numerators of the diagonal Padé approximants.
constexpr double kPade3[] = {120, 60, 12, 1};
constexpr double kPade5[] = {30240, 15120, 3360, 420, 30, 1};
constexpr double kPade7[] = {17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1};
constexpr double kPade9[] = {17643225600., 8821612800., 2075673600., 302702400., 30270240.,
                             2162160.,     110880.,     3960.,       90.,        1.};
constexpr double kPade13[] = {
    64764752532480000., 32382376266240000., 7771770303897600., 1187353796428800., 129060195264000.,
    10559470521600.,    670442572800.,      33522128640.,      1323241920.,       40840800.,
    960960.,            16380.,             182.,              1.};

// The norms up to which an approximant is exact to the working precision.
struct Degree {
  int m;
  const double* coefficients;
  double limit, derivative_limit;
};
constexpr Degree kDouble[] = {{3, kPade3, 1.495585217958292e-2, 1.081338577784837e-2},
                              {5, kPade5, 2.539398330063230e-1, 1.998063206978949e-1},
                              {7, kPade7, 9.504178996162932e-1, 7.834608472962045e-1},
                              {9, kPade9, 2.097847961257068, 1.782448623969279},
                              {13, kPade13, 4.25, 4.25}};
constexpr Degree kSingle[] = {{3, kPade3, 4.258730034897931e-1, 3.080330418453301e-1},
                              {5, kPade5, 1.880152698533769, 1.482532614793145},
                              {7, kPade7, 3.925724846433284, 3.248671755200478}};

// Squarings that rounding errors ask for beyond those that the norms of powers do: the paper's ℓ.
// The norm of |a|^(2m+1) is found by products of |a| with vectors.
template <class T>
int more_squarings(const T* a, int64_t n, int m, double scale, double norm) {
  std::vector<double> size(size_t(n), 1.0), next(size_t(n), 0.0);
  double log_power = 0;
  for (int k = 0; k < 2 * m + 1; ++k) {
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) {
      double total = 0;
      for (int64_t j = 0; j < n; ++j) total += double(std::abs(a[i * n + j])) * size[size_t(j)];
      next[size_t(i)] = total;
      largest = std::max(largest, total);
    }
    if (largest == 0) return 0;
    log_power += std::log2(largest * scale);
    for (int64_t i = 0; i < n; ++i) size[size_t(i)] = next[size_t(i)] / largest;
  }
  // 1/|c| = binomial(2m, m) (2m+1)!
  double log_c = 2 * std::lgamma(m + 1.0) - std::lgamma(2 * m + 1.0) - std::lgamma(2 * m + 2.0);
  double unit = double(std::numeric_limits<Real<T>>::epsilon()) / 2;
  double log_alpha = log_c / std::log(2.0) + log_power - std::log2(norm * scale) - std::log2(unit);
  return std::max(0, int(std::ceil(log_alpha / (2 * m))));
}

// Workspace of one exponential, for matrices with or without derivatives.
constexpr int kMatrices = 8;

template <class T>
class Exponential {
 public:
  Exponential(int64_t n, T* room, int* pivots, bool tangents)
      : algebra_{n, room}, pivots_(pivots), tangents_(tangents) {
    T* next = room + n * n;
    for (Pair<T>& p : matrices_) {
      p = {next, tangents ? next + n * n : nullptr};
      next += (tangents ? 2 : 1) * n * n;
    }
  }

  static int64_t size(int64_t n, bool tangents) {
    return (1 + (tangents ? 2 : 1) * kMatrices) * n * n;
  }

  // False where the result would not be one: too many squarings, or a denominator is singular.
  bool compute(const T* a, const T* e, const Pair<T>& out, int max_squarings) {
    const int64_t n = algebra_.n;
    std::copy(a, a + n * n, a_.value);
    if (e) std::copy(e, e + n * n, a_.tangent);
    int squarings = choose();
    if (squarings < 0 || squarings > max_squarings) return false;
    approximate();
    if (!algebra_.divide(sum_, difference_, pivots_)) return false;
    // An even number of exchanges ends where it began.
    Pair<T> x = sum_, y = difference_;
    for (int i = 0; i < squarings; ++i) {
      algebra_.multiply(x, x, y);
      std::swap(x, y);
    }
    if (out.value) std::copy(x.value, x.value + n * n, out.value);
    if (out.tangent) std::copy(x.tangent, x.tangent + n * n, out.tangent);
    return true;
  }

 private:
  double limit(const Degree& d) const { return tangents_ ? d.derivative_limit : d.limit; }

  bool fits(const Degree& d, double eta, double norm) const {
    return eta <= limit(d) && more_squarings(a_.value, algebra_.n, d.m, 1.0, norm) == 0;
  }

  // Chooses the degree, computes the powers that it takes, and scales; the number of squarings.
  int choose() {
    constexpr bool single = sizeof(Real<T>) == 4;
    const Degree* degrees = single ? kSingle : kDouble;
    algebra_.multiply(a_, a_, a2_);
    const double norm = algebra_.norm(a_.value);
    degree_ = degrees;
    if (norm == 0) return 0;
    const double d2 = std::sqrt(algebra_.norm(a2_.value));
    if (fits(degrees[0], d2, norm)) return 0;
    algebra_.multiply(a2_, a2_, a4_);
    const double d4 = std::pow(algebra_.norm(a4_.value), 1.0 / 4);
    degree_ = degrees + 1;
    if (fits(degrees[1], std::max(d4, std::min(d2, std::pow(d2 * d2 * d4 * d4 * d4 * d4, 1.0 / 6))),
             norm))
      return 0;
    algebra_.multiply(a4_, a2_, a6_);
    const double d6 = std::pow(algebra_.norm(a6_.value), 1.0 / 6);
    const double eta = std::max(d6, d4);  // ‖a⁸‖ is at most ‖a⁴‖²
    const double last = std::min(eta, std::max(d4, std::pow(d4, 0.4) * std::pow(d6, 0.6)));
    if (!std::isfinite(last)) return -1;
    degree_ = degrees + 2;
    if constexpr (!single) {
      for (; degree_ < degrees + 4; ++degree_)
        if (fits(*degree_, eta, norm)) return 0;
    }
    const double ratio = (single ? eta : last) / limit(*degree_);
    int squarings = ratio > 1 ? int(std::ceil(std::log2(ratio))) : 0;
    const double scaled = std::ldexp(1.0, -squarings);
    squarings += more_squarings(a_.value, algebra_.n, degree_->m, scaled, norm);
    scale(a_, squarings);
    scale(a2_, 2 * squarings);
    scale(a4_, 4 * squarings);
    scale(a6_, 6 * squarings);
    return squarings;
  }

  void scale(const Pair<T>& x, int powers) const {
    if (powers == 0) return;
    const Real<T> f = std::ldexp(Real<T>(1), -powers);
    for (T* part : {x.value, x.tangent})
      for (int64_t i = 0; part && i < algebra_.n * algebra_.n; ++i) part[i] *= f;
  }

  // Numerator and denominator in sum_ and difference_.
  void approximate() {
    const double* b = degree_->coefficients;
    const Pair<T>&u = sum_, &v = difference_;
    switch (degree_->m) {
      case 3:
        algebra_.template sum<2>({{{b[1], nullptr}, {b[3], &a2_}}}, work_);
        algebra_.template sum<2>({{{b[0], nullptr}, {b[2], &a2_}}}, v);
        break;
      case 5:
        algebra_.template sum<3>({{{b[1], nullptr}, {b[3], &a2_}, {b[5], &a4_}}}, work_);
        algebra_.template sum<3>({{{b[0], nullptr}, {b[2], &a2_}, {b[4], &a4_}}}, v);
        break;
      case 7:
        odd_and_even(b, {0, nullptr}, {0, nullptr});
        break;
      case 9:
        algebra_.multiply(a4_, a4_, other_);
        odd_and_even(b, {b[9], &other_}, {b[8], &other_});
        break;
      default: {
        algebra_.template sum<3>({{{b[13], &a6_}, {b[11], &a4_}, {b[9], &a2_}}}, work_);
        algebra_.multiply(a6_, work_, u);
        algebra_.template sum<3>({{{b[12], &a6_}, {b[10], &a4_}, {b[8], &a2_}}}, work_);
        algebra_.multiply(a6_, work_, other_);
        // u and v are written last, as u is read before.
        odd_and_even(b, {1, &u}, {1, &other_});
      }
    }
    algebra_.multiply(a_, work_, u);
    const int64_t n = algebra_.n;
    for (T* Pair<T>::* part : {&Pair<T>::value, &Pair<T>::tangent}) {
      T *odd = u.*part, *even = v.*part;
      for (int64_t i = 0; odd && i < n * n; ++i) {
        const T o = odd[i], e = even[i];
        odd[i] = e + o;
        even[i] = e - o;
      }
    }
  }

  // The terms up to a⁶ and one more: the odd ones divided by a in work_, the even ones.
  void odd_and_even(const double* b, Term<T> odd, Term<T> even) {
    if (!odd.matrix) {
      odd = {0, &a6_};
      even = {0, &a6_};
    }
    algebra_.template sum<5>(
        {{{b[1], nullptr}, {b[3], &a2_}, {b[5], &a4_}, {b[7], &a6_}, odd}}, work_);
    algebra_.template sum<5>(
        {{{b[0], nullptr}, {b[2], &a2_}, {b[4], &a4_}, {b[6], &a6_}, even}}, difference_);
  }

  Algebra<T> algebra_;
  int* pivots_;
  bool tangents_;
  const Degree* degree_ = nullptr;
  std::array<Pair<T>, kMatrices> matrices_;
  const Pair<T>&a_ = matrices_[0], &a2_ = matrices_[1], &a4_ = matrices_[2], &a6_ = matrices_[3];
  const Pair<T>&work_ = matrices_[4], &other_ = matrices_[5];
  const Pair<T>&sum_ = matrices_[6], &difference_ = matrices_[7];
};

}  // namespace

int32_t exponential(int32_t code, int32_t max_squarings, const void* a_, const void* e_,
                    void* out_, void* derivative_, int64_t n, int64_t batch) {
  if (n <= 0) return 0;
  if (!fits(n)) return 3;
  return with_element(code, [&](auto element) {
    using T = decltype(element);
    auto a = static_cast<const T*>(a_), e = static_cast<const T*>(e_);
    auto out = static_cast<T*>(out_), derivative = static_cast<T*>(derivative_);
    return over_batch(batch, 20.0 * n * n * n, [&](int64_t begin, int64_t end) {
      Scratch<T> room(Exponential<T>::size(n, e != nullptr));
      Scratch<int> pivots(n);
      if (!room || !pivots) return false;
      Exponential<T> work(n, room.get(), pivots.get(), e != nullptr);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i * n * n;
        Pair<T> to{out ? out + at : nullptr, e ? derivative + at : nullptr};
        bool ok = all_finite(a + at, n * n) && (!e || all_finite(e + at, n * n));
        if (!ok || !work.compute(a + at, e ? e + at : nullptr, to, max_squarings)) {
          fill_nan(to.value, n * n);
          fill_nan(to.tangent, n * n);
        }
      }
      return true;
    });
  });
}

}  // namespace covector
