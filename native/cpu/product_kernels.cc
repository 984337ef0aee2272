// The kernels of product_kernels.h.
//
// Compiled once for each instruction set, into a table named by COVECTOR_PRODUCT_KERNELS.
#include "cpu/product_kernels.h"

#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace covector {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
// Terms that are added up before their sum is stored; places that are read at a time.
constexpr int kTerms = 8, kPlaces = 4;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
constexpr int kTerms = 4, kPlaces = 3;
#else
constexpr int kBytes = 16;
constexpr int kTerms = 4, kPlaces = 3;
#endif
// Rows whose sums are in registers where a matrix is read across.
constexpr int kRows = 4;

template <class S>
struct VectorOf {
  typedef S type __attribute__((vector_size(kBytes)));
};
template <class S>
using Vector = typename VectorOf<S>::type;
typedef uint16_t Bits16 __attribute__((vector_size(kBytes / 2)));
typedef uint32_t Bits32 __attribute__((vector_size(kBytes)));

template <class T>
constexpr int64_t kLanes = kBytes / sizeof(SumOf<T>);

template <class S>
Vector<S> load_numbers(const S* from) {
  Vector<S> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
Vector<float> load(const float* from) { return load_numbers(from); }
Vector<double> load(const double* from) { return load_numbers(from); }

Bits32 wide_bits(const void* from) {
  Bits16 bits;
  std::memcpy(&bits, from, sizeof bits);
  return __builtin_convertvector(bits, Bits32);
}

Vector<float> load(const BHalf* from) { return (Vector<float>)(wide_bits(from) << 16); }

// Exponents that are all ones stay so; multiplying moves the others, and gives subnormal numbers an
// exponent.
Vector<float> load(const Half* from) {
  const Bits32 bits = wide_bits(from), moved = (bits & 0x7fff) << 13;
  const Bits32 special = (Bits32)((bits & 0x7c00) == 0x7c00);
  const Bits32 number = (Bits32)((Vector<float>)moved * 0x1p112f);
  const Bits32 magnitude = (special & (moved | 0x7f800000)) | (~special & number);
  return (Vector<float>)(magnitude | (bits & 0x8000) << 16);
}

template <class S>
void store(S* to, Vector<S> v) {
  std::memcpy(to, &v, sizeof v);
}

// Up to N numbers from position `at` on, of `count` there are; zeros for the others.
template <int64_t N, class T>
void copy_some(const T* from, int64_t at, int64_t count, T* to) {
  for (int64_t i = 0; i < N; ++i) to[i] = at + i < count ? from[at + i] : T{};
}

// The factors of K terms at two vectors of places, times those of all rows.
template <class T, int K>
[[gnu::always_inline]] inline void along_step(const Strip<T>& s, const T* const* w, int64_t ahead,
                                              int64_t term, int64_t place) {
  using S = SumOf<T>;
  constexpr int64_t n = kLanes<T>;
  Vector<S> left[K], right[K];
  for (int i = 0; i < K; ++i) {
    left[i] = load(w[i]);
    right[i] = load(w[i] + n);
    __builtin_prefetch(w[i] + ahead);
    if (sizeof(T) * 2 * n > 64) __builtin_prefetch(w[i] + ahead + n);
  }
  for (int64_t r = 0; r < s.rows; ++r) {
    S* sums = s.sums + r * s.sums_row + place;
    const S* x = s.x + r * s.x_row + term;
    Vector<S> first = load(sums), second = load(sums + n);
    for (int i = 0; i < K; ++i) {
      first += left[i] * x[i];
      second += right[i] * x[i];
    }
    store(sums, first);
    store(sums + n, second);
  }
}

template <class T, int K>
void along_terms(const Strip<T>& strip, int64_t term) {
  const Strip<T> s = strip;  // which what is stored cannot change
  constexpr int64_t n = 2 * kLanes<T>;
  const T *w[K], *at[K];
  for (int i = 0; i < K; ++i) w[i] = s.w + (term + i) * s.w_row;
  const int64_t ahead = term + 2 * K <= s.terms ? K * s.w_row : 0;
  int64_t place = 0;
  for (; place + n <= s.places; place += n) {
    for (int i = 0; i < K; ++i) at[i] = w[i] + place;
    along_step<T, K>(s, at, ahead, term, place);
  }
  if (place == s.places) return;
  T some[K][n];
  for (int i = 0; i < K; ++i) {
    copy_some<n>(w[i], place, s.places, some[i]);
    at[i] = some[i];
  }
  along_step<T, K>(s, at, 0, term, place);
}

template <class T>
void along(const Strip<T>& s) {
  int64_t term = 0;
  for (; term + kTerms <= s.terms; term += kTerms) along_terms<T, kTerms>(s, term);
  for (; term < s.terms; ++term) along_terms<T, 1>(s, term);
}

template <class T, int R, int P>
[[gnu::always_inline]] inline void dots_step(const SumOf<T>* const* x, const T* const* w, int64_t t,
                                             int64_t ahead, Vector<SumOf<T>> (&sums)[R][P]) {
  Vector<SumOf<T>> factors[P];
  for (int p = 0; p < P; ++p) {
    factors[p] = load(w[p] + t);
    __builtin_prefetch(w[p] + t + ahead);
  }
  for (int r = 0; r < R; ++r) {
    const Vector<SumOf<T>> left = load(x[r] + t);
    for (int p = 0; p < P; ++p) sums[r][p] += left * factors[p];
  }
}

template <class T, int R, int P>
void dots(const Strip<T>& s, int64_t row, int64_t place) {
  using S = SumOf<T>;
  constexpr int64_t n = kLanes<T>;
  const S* x[R];
  const T* w[P];
  for (int r = 0; r < R; ++r) x[r] = s.x + (row + r) * s.x_row;
  for (int p = 0; p < P; ++p) w[p] = s.w + (place + p) * s.w_row;
  Vector<S> sums[R][P] = {};
  int64_t t = 0;
  const int64_t ahead = place + 2 * P <= s.places ? P * s.w_row : 0;
  for (; t + n <= s.terms; t += n) dots_step<T, R, P>(x, w, t, ahead, sums);
  if (t < s.terms) {
    S some_x[R][n];
    T some_w[P][n];
    for (int r = 0; r < R; ++r) {
      copy_some<n>(x[r], t, s.terms, some_x[r]);
      x[r] = some_x[r];
    }
    for (int p = 0; p < P; ++p) {
      copy_some<n>(w[p], t, s.terms, some_w[p]);
      w[p] = some_w[p];
    }
    dots_step<T, R, P>(x, w, 0, 0, sums);
  }
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p) {
      S lanes[n];
      store(lanes, sums[r][p]);
      for (int64_t half = n / 2; half; half /= 2)
        for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
      s.sums[(row + r) * s.sums_row + place + p] += lanes[0];
    }
}

template <class T, int P>
void across_places(const Strip<T>& s, int64_t place) {
  int64_t row = 0;
  for (; row + kRows <= s.rows; row += kRows) dots<T, kRows, P>(s, row, place);
  switch (s.rows - row) {
    case 1: return dots<T, 1, P>(s, row, place);
    case 2: return dots<T, 2, P>(s, row, place);
    case 3: return dots<T, 3, P>(s, row, place);
  }
}

template <class T>
void across(const Strip<T>& s) {
  int64_t place = 0;
  for (; place + kPlaces <= s.places; place += kPlaces) across_places<T, kPlaces>(s, place);
  for (; place < s.places; ++place) across_places<T, 1>(s, place);
}

// --- integers -------------------------------------------------------------------------------

typedef int32_t Sums __attribute__((vector_size(kBytes)));
typedef uint32_t Unsigned __attribute__((vector_size(kBytes)));
constexpr int kSums = kBytes / 4;
constexpr int kColumns = 2 * kSums;

// sums + the products of pairs of numbers of 16 bits, modulo 2³².
Sums add_pairs(Sums sums, Sums a, Sums b) {
#if defined(__AVX512BW__)
  return (Sums)((Unsigned)sums + (Unsigned)_mm512_madd_epi16((__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
  return (Sums)((Unsigned)sums + (Unsigned)_mm256_madd_epi16((__m256i)a, (__m256i)b));
#else
  const Sums low = ((a << 16) >> 16) * ((b << 16) >> 16), high = (a >> 16) * (b >> 16);
  return (Sums)((Unsigned)sums + (Unsigned)low + (Unsigned)high);
#endif
}

// The same by one instruction; the compiler's flags do not have it, and only processors that do
// are asked for it.
Sums add_pairs_at_once(Sums sums, Sums a, Sums b) {
#if defined(__AVX512BW__)
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
#else
  return add_pairs(sums, a, b);
#endif
}

template <Sums (*kAdd)(Sums, Sums, Sums)>
void integer_tile(const IntegerTile& tile) {
  Sums sums[kIntegerRows][2] = {};
  const int16_t* b = tile.b;
  for (int64_t t = 0; t < tile.pairs; ++t, b += 2 * kColumns) {
    Sums right[2];
    std::memcpy(&right[0], b, sizeof right[0]);
    std::memcpy(&right[1], b + kColumns, sizeof right[1]);
    for (int r = 0; r < kIntegerRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, tile.a[r] + 2 * t, sizeof pair);
      const Sums left = Sums{} + pair;
      sums[r][0] = kAdd(sums[r][0], left, right[0]);
      sums[r][1] = kAdd(sums[r][1], left, right[1]);
    }
  }
  uint32_t out[kIntegerRows][kColumns];
  for (int r = 0; r < kIntegerRows; ++r) {
    std::memcpy(out[r], &sums[r][0], sizeof sums[r][0]);
    std::memcpy(out[r] + kSums, &sums[r][1], sizeof sums[r][1]);
  }
  for (int r = 0; r < tile.count; ++r) {
    int32_t* c = tile.c[r];
    for (int j = 0; j < tile.columns; ++j)
      c[j] = int32_t(tile.add ? uint32_t(c[j]) + out[r][j] : out[r][j]);
  }
}

template <class T>
void pair(const T* one, const T* other, int count, int16_t* to) {
  T rows[2][kColumns] = {};
  if (count < kColumns || !other) {
    for (int j = 0; j < count; ++j) rows[0][j] = one[j];
    for (int j = 0; other && j < count; ++j) rows[1][j] = other[j];
    one = rows[0], other = rows[1];
  }
  for (int j = 0; j < kColumns; ++j) {
    const uint32_t both = uint16_t(int16_t(one[j])) | uint32_t(int16_t(other[j])) << 16;
    std::memcpy(to + 2 * j, &both, sizeof both);
  }
}

}  // namespace

const ProductKernels COVECTOR_PRODUCT_KERNELS = {
    {along<float>, across<float>},
    {along<double>, across<double>},
    {along<Half>, across<Half>},
    {along<BHalf>, across<BHalf>},
    {kColumns, integer_tile<add_pairs>, integer_tile<add_pairs_at_once>, pair<int8_t>,
     pair<uint8_t>, pair<int16_t>},
};

}  // namespace covector
