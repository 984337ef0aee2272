// Row-major products as column-major ones with the operands exchanged: Cᵀ = op(B)ᵀ op(A)ᵀ.
#include "cpu/blas.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <complex>
#include <memory>
#include <type_traits>

#include "core/dtype.h"
#include "core/thread_pool.h"
#include "cpu/fortran.h"
#include "cpu/products.h"

namespace covector {
namespace {

template <class T>
using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const T*,
                      const T*, const int*, const T*, const int*, const T*, T*, const int*);
template <class T>
using Gemv = void (*)(const char*, const int*, const int*, const T*, const T*, const int*, const T*,
                      const int*, const T*, T*, const int*);

template <class T>
constexpr bool is_blas_type =
    std::is_same_v<T, float> || std::is_same_v<T, double> ||
    std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

bool fits(int64_t x) { return x <= INT_MAX; }

// What elements are read as, added up in and written as where BLAS does not apply.
template <class T>
struct Plain {
  using Sum = T;
  using Result = T;
  static T load(T x) { return x; }
};
template <class T>
  requires(std::is_integral_v<T>)
struct Plain<T> {  // modulo 2³², for which signed numbers have no defined behaviour
  using Sum = uint32_t;
  using Result = int32_t;
  static Sum load(T x) { return Sum(int32_t(x)); }
};
template <>
struct Plain<Half> {
  using Sum = float;
  using Result = float;
  static float load(Half x) { return half_to_float(x.bits); }
};
template <>
struct Plain<BHalf> {
  using Sum = float;
  using Result = float;
  static float load(BHalf x) { return bf16_to_float(x.bits); }
};
template <class T>
using ResultOf = typename Plain<T>::Result;

template <class T>
T conjugate(T x) {
  return x;
}
template <class R>
std::complex<R> conjugate(std::complex<R> x) {
  return std::conj(x);
}

template <class T, class B>
void plain_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
                const B* b, int64_t ldb, ResultOf<T>* c, int64_t ldc) {
  using Sum = typename Plain<T>::Sum;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      Sum sum{};
      for (int64_t l = 0; l < k; ++l) {
        Sum x = Plain<T>::load(trans_a ? a[l * lda + i] : a[i * lda + l]);
        Sum y = Plain<B>::load(trans_b ? b[j * ldb + l] : b[l * ldb + j]);
        if (trans_a == 2) x = conjugate(x);
        if (trans_b == 2) y = conjugate(y);
        sum = sum + x * y;
      }
      c[i * ldc + j] = ResultOf<T>(sum);
    }
}

template <class T>
void one_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
              const T* b, int64_t ldb, ResultOf<T>* c, int64_t ldc) {
  if constexpr (!is_blas_type<T>) {
    plain_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
  } else {
    auto gemm = find_routine_for<T, Gemm<T>>(Routine::gemm);
    if (!gemm || !fits(m) || !fits(n) || !fits(k) || !fits(lda) || !fits(ldb) || !fits(ldc)) {
      plain_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
      return;
    }
    int mi = int(m), ni = int(n), ki = int(k), la = int(lda), lb = int(ldb), lc = int(ldc);
    const T one(1), zero(0);
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
      if (auto gemv = find_routine_for<T, Gemv<T>>(Routine::gemv); gemv && (n == 1 || m == 1)) {
        const int unit = 1;
        if (n == 1) {  // c = op(A) b; A's rows are BLAS's columns
          const int incb = trans_b ? unit : lb;
          if (trans_a)
            gemv("N", &mi, &ki, &one, a, &la, b, &incb, &zero, c, &lc);
          else
            gemv("T", &ki, &mi, &one, a, &la, b, &incb, &zero, c, &lc);
        } else {  // cᵀ = op(B)ᵀ aᵀ
          const int inca = trans_a ? la : unit;
          if (trans_b)
            gemv("T", &ki, &ni, &one, b, &lb, a, &inca, &zero, c, &unit);
          else
            gemv("N", &ni, &ki, &one, b, &lb, a, &inca, &zero, c, &unit);
        }
        return;
      }
    }
    static constexpr char kOp[] = {'N', 'T', 'C'};
    gemm(&kOp[trans_b], &kOp[trans_a], &ni, &mi, &ki, &one, b, &lb, a, &la, &zero, c, &lc);
  }
}

// Products of fewer multiply-adds than this are one task; larger ones are cut along their
// longer side into blocks. Every block packs the whole other operand, so large products, which
// have work enough for all, are cut into larger ones, if these are a few; and into columns where
// they are square, since BLAS, to which columns are rows, packs the left operand in smaller pieces.
constexpr int64_t kBlockWork = 1 << 20;
constexpr int64_t kLargeWork = int64_t(1) << 28;
constexpr int64_t kBlockSide = 128;
constexpr int64_t kLargeBlockSide = 512;
constexpr int64_t kFewBlocks = 4;
constexpr int64_t kMostBlocks = 16;
// A product of few results whose summed axis is by far the longest is cut along that: so nothing is
// packed twice.
constexpr int64_t kLongSum = 4;
constexpr int64_t kMostParts = 8;
constexpr int64_t kPartLength = 512;
constexpr int64_t kFewResults = 1 << 20;
// Results that one task adds up.
constexpr int64_t kSumGrain = 16 * 1024;
// Elements of a matrix that few rows are multiplied with, from which on they are not packed.
constexpr int64_t kSkinnyMatrix = 1 << 20;
// Terms of a sum from which on that is worth it, by how such a matrix is read: few of them end
// soon.
constexpr int64_t kTermsAlong = 32;
constexpr int64_t kTermsAcross = 512;
// Products of a short side and long sums, which BLAS packs into pieces that are too small for it.
constexpr int64_t kPanelRows = 32, kMostPanelRows = 256;
constexpr int64_t kPanelTerms = 256;
constexpr int64_t kPanelWork = 1 << 22;

// How many pieces a sum of k products of m by n results is cut into; 1 if it is not. It is a power
// of two, and depends on sizes alone.
int64_t sum_parts(int64_t m, int64_t n, int64_t k) {
  int64_t side = std::max(m, n);
  if (std::min(m, n) < 2 || m * n > kFewResults || k < kLongSum * side) return 1;
  int64_t parts = std::min({kMostParts, k / side, k / kPartLength});
  return parts < 2 ? 1 : int64_t(std::bit_floor(uint64_t(parts)));
}

// The product as a sum of `parts`, each over a piece of the summed axis, in order.
template <class T>
void summed_gemm(int64_t parts, int trans_a, int trans_b, int64_t m, int64_t n, int64_t k,
                 const T* a, int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc) {
  int64_t length = ((k + parts - 1) / parts + 15) / 16 * 16;
  auto sums = std::make_unique_for_overwrite<T[]>((parts - 1) * m * n);
  parallel_for(parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      int64_t begin = p * length, end = std::min(begin + length, k);
      one_gemm(trans_a, trans_b, m, n, end - begin, a + begin * (trans_a ? lda : 1), lda,
               b + begin * (trans_b ? 1 : ldb), ldb, p ? sums.get() + (p - 1) * m * n : c,
               p ? n : ldc);
    }
  });
  parallel_for(m, std::max<int64_t>(1, kSumGrain / n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t p = 0; p < parts - 1; ++p) {
        const T* row = sums.get() + (p * m + i) * n;
        for (int64_t j = 0; j < n; ++j) c[i * ldc + j] += row[j];
      }
  });
}

// The products that BLAS takes too long for. Whether it was done.
template <class T>
bool own_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
              const T* b, int64_t ldb, ResultOf<T>* c, int64_t ldc) {
  if constexpr (std::is_same_v<T, ResultOf<T>>) {
    const int64_t few = std::min(m, n);
    if constexpr (std::is_same_v<SumOf<T>, T>)
      if (few >= kPanelRows && few <= kMostPanelRows && k >= kPanelTerms && m * n * k >= kPanelWork)
        return panel_gemm<T>(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
    const bool across = m <= n ? trans_b : !trans_a;
    if (few < 2 || few > kFewRows || std::max(m, n) * k < kSkinnyMatrix) return false;
    if (k < (across ? kTermsAcross : kTermsAlong)) return false;
  }
  if constexpr (std::is_same_v<SumOf<T>, ResultOf<T>>)
    return skinny_gemm<T>(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
  return false;
}

template <class T>
void blocked_float_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                        int64_t lda, const T* b, int64_t ldb, ResultOf<T>* c, int64_t ldc) {
  if (own_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc)) return;
  int64_t side = std::max(m, n);
  int64_t work = m * n * std::max<int64_t>(1, k);
  bool large = work >= kLargeWork;
  if constexpr (is_blas_type<T>) {
    int64_t parts = sum_parts(m, n, k);
    if (work >= kBlockWork && parts > 1 && SingleThreadedBlas::available()) {
      summed_gemm(parts, trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
      return;
    }
  }
  int64_t blocks = std::min(large ? kFewBlocks : kMostBlocks, side / kBlockSide);
  if (large) blocks = std::max(blocks, std::min(kMostBlocks, side / kLargeBlockSide));
  if (work < kBlockWork || blocks < 2 || !SingleThreadedBlas::available()) {
    one_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
    return;
  }
  int64_t block = ((side + blocks - 1) / blocks + 15) / 16 * 16;
  bool rows = m > n || (m == n && !large);
  parallel_for(side, block, [&](int64_t begin, int64_t end) {
    if (rows)
      one_gemm(trans_a, trans_b, end - begin, n, k, a + begin * (trans_a ? 1 : lda), lda, b, ldb,
               c + begin * ldc, ldc);
    else
      one_gemm(trans_a, trans_b, m, end - begin, k, a, lda, b + begin * (trans_b ? ldb : 1), ldb,
               c + begin, ldc);
  });
}

template <class T, class B>
void blocked_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                  int64_t lda, const B* b, int64_t ldb, ResultOf<T>* c, int64_t ldc) {
  if (k == 0)
    for (int64_t i = 0; i < m; ++i) std::fill_n(c + i * ldc, n, ResultOf<T>(0));
  else if constexpr (!std::is_integral_v<T>)
    blocked_float_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
  else if (!integer_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc))
    plain_gemm(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc);
}

// Below this many multiply-adds of a product it is better to spread the batch over threads.
constexpr int64_t kSmallProduct = 64 * 64 * 64;
constexpr int64_t kGrainWork = 64 * 1024;

template <class T, class B>
void batched_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, const void* a_,
                  int64_t lda, const void* b_, int64_t ldb, void* c_, int64_t ldc, int64_t batch,
                  int64_t stride_a, int64_t stride_b, int64_t stride_c) {
  auto a = static_cast<const T*>(a_);
  auto b = static_cast<const B*>(b_);
  auto c = static_cast<ResultOf<T>*>(c_);
  SingleThreadedBlas guard;
  auto some = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      blocked_gemm(trans_a, trans_b, m, n, k, a + i * stride_a, lda, b + i * stride_b, ldb,
                   c + i * stride_c, ldc);
  };
  int64_t work = std::max<int64_t>(1, k) * m * n;
  if (batch > 1 && work <= kSmallProduct)
    parallel_for(batch, std::max<int64_t>(1, kGrainWork / work), some);
  else
    some(0, batch);
}

}  // namespace

void gemm(int32_t code, int32_t trans_a, int32_t trans_b, int64_t m, int64_t n, int64_t k,
          const void* a, int64_t lda, const void* b, int64_t ldb, void* c, int64_t ldc,
          int64_t batch, int64_t stride_a, int64_t stride_b, int64_t stride_c) {
  if (m <= 0 || n <= 0 || batch <= 0) return;
  // BLAS insists on leading dimensions of at least the row length, also where it is one row.
  lda = std::max(lda, trans_a ? m : k);
  ldb = std::max(ldb, trans_b ? k : n);
  ldc = std::max(ldc, n);
  if (lda < 1) lda = 1;
  if (ldb < 1) ldb = 1;
  auto of = [&](auto left, auto right) {
    batched_gemm<decltype(left), decltype(right)>(trans_a, trans_b, m, n, k, a, lda, b, ldb, c, ldc,
                                                  batch, stride_a, stride_b, stride_c);
  };
  auto run = [&](auto element) { of(element, element); };
  switch (code) {
    case kF32: return run(float{});
    case kF64: return run(double{});
    case kC64: return run(std::complex<float>{});
    case kC128: return run(std::complex<double>{});
    case kF16: return run(Half{});
    case kBF16: return run(BHalf{});
    case kI8: return run(int8_t{});
    case kU8: return run(uint8_t{});
    case kI16: return run(int16_t{});
    case product_code(kI8, kU8): return of(int8_t{}, uint8_t{});
    case product_code(kU8, kI8): return of(uint8_t{}, int8_t{});
  }
}

}  // namespace covector
