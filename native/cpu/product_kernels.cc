// The kernels of product_kernels.h.
//
// Compiled once for each instruction set, into a table named by COVECTOR_PRODUCT_KERNELS.
#include "cpu/product_kernels.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
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
constexpr int kSums = kBytes / 4;
constexpr int kColumns = 2 * kSums;
#if defined(__AVX512BW__)
constexpr int kIntegerRows = 8;
#else
constexpr int kIntegerRows = 6;
#endif
static_assert(kIntegerRows <= kMostIntegerRows);

void store_bits(void* to, Bits32 first, Bits32 second) {
  std::memcpy(to, &first, sizeof first);
  std::memcpy(static_cast<char*>(to) + sizeof first, &second, sizeof second);
}

// sums + the products of pairs of numbers of 16 bits, modulo 2³².
Bits32 add_pairs(Bits32 sums, Bits32 a, Bits32 b) {
#if defined(__AVX512BW__)
  return sums + (Bits32)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return sums + (Bits32)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return sums + (Bits32)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  const Bits32 low = (Bits32)((Sums)(a << 16) >> 16) * (Bits32)((Sums)(b << 16) >> 16);
  return sums + low + (Bits32)((Sums)a >> 16) * (Bits32)((Sums)b >> 16);
#endif
}

// The same by one instruction; the compiler's flags do not have it, and only processors that do
// are asked for it. And of four numbers of 8 bits, which are unsigned on one side.
#if defined(__AVX512BW__)
Bits32 add_pairs_at_once(Bits32 sums, Bits32 a, Bits32 b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}
Bits32 add_signed_right(Bits32 sums, Bits32 a, Bits32 b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}
Bits32 add_signed_left(Bits32 sums, Bits32 a, Bits32 b) { return add_signed_right(sums, b, a); }
#endif

// The sums are in registers, so all loops over rows are unrolled.
template <Bits32 (*kAdd)(Bits32, Bits32, Bits32), int R>
void integer_tile(const IntegerTile& tile) {
  Bits32 sums[R][2];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    sums[r][0] = load_numbers(tile.start);
    sums[r][1] = load_numbers(tile.start + kSums);
  }
  const uint32_t *a = tile.a, *b = tile.b;
  for (int64_t t = 0; t < tile.units; ++t, a += tile.a_step, b += kColumns) {
    const Bits32 first = load_numbers(b), second = load_numbers(b + kSums);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Bits32 left = Bits32{} + a[r];
      sums[r][0] = kAdd(sums[r][0], left, first);
      sums[r][1] = kAdd(sums[r][1], left, second);
    }
  }
  uint32_t rows[R][kColumns];
  const bool whole = tile.columns == kColumns, add = whole && tile.add;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    void* c = whole ? static_cast<void*>(tile.c + r * tile.c_row) : rows[r];
    Bits32 old[2] = {};
    if (add) std::memcpy(old, c, sizeof old);
    store_bits(c, sums[r][0] + old[0], sums[r][1] + old[1]);
  }
  if (whole) return;
  for (int r = 0; r < R; ++r) {
    int32_t* c = tile.c + r * tile.c_row;
    for (int j = 0; j < tile.columns; ++j)
      c[j] = int32_t(tile.add ? uint32_t(c[j]) + rows[r][j] : rows[r][j]);
  }
}

// Tiles of one row to kIntegerRows.
template <Bits32 (*kAdd)(Bits32, Bits32, Bits32)>
struct IntegerTiles {
  template <int... R>
  static constexpr std::array<IntegerTileFunction, sizeof...(R)> all(
      std::integer_sequence<int, R...>) {
    return {integer_tile<kAdd, R + 1>...};
  }
  static constexpr auto kTiles = all(std::make_integer_sequence<int, kIntegerRows>());
};

// K numbers in 32 bits.
template <int K, class T>
uint32_t unit_of(const T* from, int64_t apart) {
  uint32_t unit = 0;
  for (int i = 0; i < K; ++i)
    unit |= (uint32_t(int32_t(from[i * apart])) & (K == 4 ? 0xff : 0xffff)) << 32 / K * i;
  return unit;
}

// The last unit, of fewer terms than others.
template <int K, class T>
uint32_t last_unit(const T* from, int64_t apart, int64_t terms) {
  T all[K] = {};
  for (int64_t i = 0; i < terms; ++i) all[i] = from[i * apart];
  return unit_of<K>(all, 1);
}

#if defined(__AVX2__)
typedef uint32_t Eight __attribute__((vector_size(32)));

// Eight units of each of eight lines, which are `line` bytes apart, as eight of one place.
template <int W>
void pack_square(const char* from, int64_t line, uint32_t flip, uint32_t* to) {
  Eight half[2][4];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    Eight rows[4], pairs[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      std::memcpy(&rows[r], from + (4 * h + r) * line, sizeof rows[r]);
      rows[r] ^= flip;
    }
#pragma GCC unroll 2
    for (int r = 0; r < 4; r += 2) {
      pairs[r] = __builtin_shufflevector(rows[r], rows[r + 1], 0, 8, 1, 9, 4, 12, 5, 13);
      pairs[r + 1] = __builtin_shufflevector(rows[r], rows[r + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 2
    for (int r = 0; r < 2; ++r) {
      half[h][2 * r] = __builtin_shufflevector(pairs[r], pairs[r + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      half[h][2 * r + 1] =
          __builtin_shufflevector(pairs[r], pairs[r + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    const Eight low = __builtin_shufflevector(half[0][r], half[1][r], 0, 1, 2, 3, 8, 9, 10, 11);
    const Eight high = __builtin_shufflevector(half[0][r], half[1][r], 4, 5, 6, 7, 12, 13, 14, 15);
    std::memcpy(to + r * W, &low, sizeof low);
    std::memcpy(to + (r + 4) * W, &high, sizeof high);
  }
}
#endif

// Units of L lines, one of which is W apart from the next.
template <int K, int W, int L, class T>
void pack_along(const T* from, int64_t line, int64_t terms, uint32_t flip, uint32_t* to) {
  int64_t t = 0;
#if defined(__AVX2__)
  if constexpr (L == 8 && K * sizeof(T) == 4)
    for (; t + 8 * K <= terms; t += 8 * K, to += 8 * W)
      pack_square<W>(reinterpret_cast<const char*>(from + t), line * sizeof(T), flip, to);
#endif
  for (; t + K <= terms; t += K, to += W)
    for (int i = 0; i < L; ++i) to[i] = unit_of<K>(from + i * line + t, 1) ^ flip;
  if (t < terms)
    for (int i = 0; i < L; ++i) to[i] = last_unit<K>(from + i * line + t, 1, terms - t) ^ flip;
}

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef uint16_t Words __attribute__((vector_size(16)));
typedef uint32_t Units __attribute__((vector_size(16)));

// Two rows interleaved: of the first halves of them, and of the second.
Words low(Bytes a, Bytes b) {
  return (Words)__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                        23);
}
Words high(Bytes a, Bytes b) {
  return (Words)__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                        15, 31);
}
Units low(Words a, Words b) {
  return (Units)__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
Units high(Words a, Words b) {
  return (Units)__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

// Places that are asked for before they are packed.
constexpr int64_t kAhead = 4;

// Lines that lie next to each other: the units of one place of a group. Four rows of bytes are
// interleaved in pairs, and these in pairs.
template <int K, int W, class T>
[[gnu::always_inline]] inline void pack_across(const T* from, int64_t term, uint32_t flip,
                                               uint32_t* to) {
  if constexpr (K == 4 && W % 16 == 0) {
    for (int i = 0; i < W; i += 16) {
      Bytes rows[4];
      for (int r = 0; r < 4; ++r) std::memcpy(&rows[r], from + r * term + i, sizeof rows[r]);
      const Words a = low(rows[0], rows[1]), b = low(rows[2], rows[3]);
      const Words c = high(rows[0], rows[1]), d = high(rows[2], rows[3]);
      const Units units[4] = {low(a, b) ^ flip, high(a, b) ^ flip, low(c, d) ^ flip,
                              high(c, d) ^ flip};
      std::memcpy(to + i, units, sizeof units);
    }
  } else {
    for (int i = 0; i < W; ++i) to[i] = unit_of<K>(from + i, term) ^ flip;
  }
}

// A group may have fewer lines than a tile takes.
template <int K, int W, class T>
void pack_lines(const IntegerLines& s) {
  const T* from = static_cast<const T*>(s.from);
  const int64_t groups = (s.count + s.each - 1) / s.each, whole = s.terms / K * K;
  auto lines = [&](int64_t g) { return int(std::min(s.each, s.count - g * s.each)); };
  for (int64_t g = 0; g < groups; ++g)
    if (lines(g) < W)
      std::memset(s.to + g * s.group, 0, sizeof(uint32_t) * W * size_t((s.terms + K - 1) / K));
  if (s.term == 1) {
    constexpr int L = W % 8 ? W : 8;
    for (int64_t g = 0; g < groups; ++g) {
      const T* first = from + g * s.each * s.line;
      uint32_t* to = s.to + g * s.group;
      int i = 0;
      for (; i + L <= lines(g); i += L)
        pack_along<K, W, L>(first + i * s.line, s.line, s.terms, s.flip, to + i);
      for (; i < lines(g); ++i)
        pack_along<K, W, 1>(first + i * s.line, s.line, s.terms, s.flip, to + i);
    }
    return;
  }
  for (int64_t t = 0; t < whole; t += K) {
    const int64_t ahead = t + kAhead * K + K <= whole ? kAhead * K * s.term : 0;
    for (int64_t g = 0; g < groups; ++g) {
      const T* first = from + t * s.term + g * s.each;
      uint32_t* to = s.to + g * s.group + t / K * W;
      for (int i = 0; i < K; ++i) __builtin_prefetch(first + ahead + i * s.term);
      if (lines(g) == W)
        pack_across<K, W>(first, s.term, s.flip, to);
      else
        for (int i = 0; i < lines(g); ++i) to[i] = unit_of<K>(first + i, s.term) ^ s.flip;
    }
  }
  for (int64_t g = 0; whole < s.terms && g < groups; ++g)
    for (int i = 0; i < lines(g); ++i)
      s.to[g * s.group + whole / K * W + i] =
          last_unit<K>(from + whole * s.term + g * s.each + i, s.term, s.terms - whole) ^ s.flip;
}

template <int W>
void pack(const IntegerLines& s) {
  switch (s.unit) {
    case IntegerUnit::kBytes: return pack_lines<4, W, uint8_t>(s);
    case IntegerUnit::kSignedPairs: return pack_lines<2, W, int8_t>(s);
    case IntegerUnit::kUnsignedPairs: return pack_lines<2, W, uint8_t>(s);
    case IntegerUnit::kWordPairs: return pack_lines<2, W, int16_t>(s);
  }
}

}  // namespace

const ProductKernels COVECTOR_PRODUCT_KERNELS = {
    {along<float>, across<float>},
    {along<double>, across<double>},
    {along<Half>, across<Half>},
    {along<BHalf>, across<BHalf>},
    {kIntegerRows, kColumns, IntegerTiles<add_pairs>::kTiles.data(),
#if defined(__AVX512BW__)
     IntegerTiles<add_pairs_at_once>::kTiles.data(), IntegerTiles<add_signed_right>::kTiles.data(),
     IntegerTiles<add_signed_left>::kTiles.data(),
#else
     nullptr, nullptr, nullptr,
#endif
     pack<kIntegerRows>, pack<kColumns>},
};

}  // namespace covector
