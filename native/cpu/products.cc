// Few rows times a matrix, which is read once as it lies, and products of small integers.
#include "cpu/products.h"

#include <algorithm>
#include <atomic>

#include "core/dtype.h"
#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/instruction_set.h"

namespace covector {
namespace {

const ProductKernels& kernels() {
#if defined(COVECTOR_X86_KERNELS)
  switch (instruction_set()) {
    case kAvx512: return product_kernels_avx512;
    case kAvx2: return product_kernels_avx2;
    default: break;
  }
#endif
  return product_kernels_baseline;
}

int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }
int64_t round_up(int64_t n, int64_t to) { return pieces(n, to) * to; }

// Products of fewer multiply-adds than this are one task.
constexpr int64_t kTaskWork = 1 << 18;

// --- few rows -------------------------------------------------------------------------------

float number(Half x) { return half_to_float(x.bits); }
float number(BHalf x) { return bf16_to_float(x.bits); }
float number(float x) { return x; }
double number(double x) { return x; }

template <class T>
const StripKernels<T>& strip_kernels() {
  const ProductKernels& all = kernels();
  if constexpr (std::is_same_v<T, float>)
    return all.f32;
  else if constexpr (std::is_same_v<T, double>)
    return all.f64;
  else if constexpr (std::is_same_v<T, Half>)
    return all.f16;
  else
    return all.bf16;
}

// The sums of a strip that stay in the first cache; and the pieces of the rows, in the second, that
// a matrix read across is multiplied with: each piece ends with sums over the lanes of vectors.
constexpr int64_t kCloseBytes = 24 * 1024;
constexpr int64_t kFarBytes = 64 * 1024;
// Terms after which a sum is added to those of the terms before, so that roundings do not pile up.
constexpr int64_t kSummedTerms = 512;
// Where there are few places, terms are cut into parts, of at least so many.
constexpr int64_t kFewStrips = 4;
constexpr int64_t kPartTerms = 4096;
constexpr int64_t kMostParts = 8;

// How a product of few rows is cut, which depends on sizes alone.
struct Cut {
  int64_t width, strips;  // places of a strip
  int64_t length, parts;  // terms of a part
  int64_t block;          // terms that are read at a time

  Cut(int64_t rows, int64_t places, int64_t terms, bool across, int64_t itemsize) {
    const int64_t close = kCloseBytes / (rows * itemsize);
    if (across) {
      width = std::clamp<int64_t>(places / 16, 4, 64);
      block = std::clamp<int64_t>(kFarBytes / (rows * itemsize) / 64 * 64, 256, 4096);
    } else {
      width = std::clamp<int64_t>(close / kStripPadding * kStripPadding, 64, 4096);
      const int64_t least = std::clamp<int64_t>(places / 64, 1, kFewStrips);
      width = round_up(pieces(places, std::max(least, pieces(places, width))), kStripPadding);
      block = kSummedTerms;
    }
    strips = pieces(places, width);
    parts = strips < kFewStrips ? std::clamp<int64_t>(terms / kPartTerms, 1, kMostParts) : 1;
    length = round_up(pieces(terms, parts), 64);
    parts = pieces(terms, length);
  }
};

// x[r, t], row by row: as it is, or a copy.
template <class T>
class Rows {
 public:
  using S = SumOf<T>;

  Rows(const T* x, int64_t rows, int64_t terms, int64_t row, int64_t term)
      : copy_(in_place(term) ? 0 : rows * terms), row_(in_place(term) ? row : terms) {
    if constexpr (std::is_same_v<T, S>)
      if (in_place(term)) {
        data_ = x;
        return;
      }
    data_ = copy_.get();
    for (int64_t r = 0; data_ && r < rows; ++r)
      for (int64_t t = 0; t < terms; ++t)
        copy_.get()[r * terms + t] = number(x[r * row + t * term]);
  }
  explicit operator bool() const { return data_ != nullptr; }
  const S* data() const { return data_; }
  int64_t row() const { return row_; }

 private:
  static bool in_place(int64_t term) { return std::is_same_v<T, S> && term == 1; }

  Scratch<S> copy_;
  int64_t row_;
  const S* data_ = nullptr;
};

// `totals[r, p]` = Σ over terms [begin, end) of x[r, t] w[t, p], of the places from `first` on.
template <class T>
void strip_totals(const Rows<T>& x, int64_t rows, const Cut& cut, int64_t begin, int64_t end,
                  const T* w, int64_t w_row, bool across, int64_t first, int64_t places,
                  SumOf<T>* sums, SumOf<T>* totals) {
  using S = SumOf<T>;
  const StripKernels<T>& kernel = strip_kernels<T>();
  const int64_t padded = round_up(cut.width, kStripPadding), size = rows * padded;
  std::fill_n(totals, size, S(0));
  const bool once = end - begin <= cut.block;
  for (int64_t t = begin; t < end; t += cut.block) {
    if (!once) std::fill_n(sums, size, S(0));
    const T* from = across ? w + first * w_row + t : w + t * w_row + first;
    const Strip<T> strip{x.data() + t, rows,  x.row(), std::min(cut.block, end - t),
                         from,         w_row, places,  once ? totals : sums,
                         padded};
    across ? kernel.across(strip) : kernel.along(strip);
    for (int64_t i = 0; !once && i < size; ++i) totals[i] += sums[i];
  }
}

// c[r, p] = Σ x[r, t] w[t, p] for few rows; strides between rows and terms of x, and between rows
// and places of c.
template <class T>
bool skinny(int64_t rows, int64_t places, int64_t terms, const T* x_, int64_t x_row, int64_t x_term,
            const T* w, int64_t w_row, bool across, SumOf<T>* c, int64_t c_row, int64_t c_place) {
  using S = SumOf<T>;
  const Cut cut(rows, places, terms, across, sizeof(S));
  const int64_t size = rows * round_up(cut.width, kStripPadding), tasks = cut.strips * cut.parts;
  const Rows<T> x(x_, rows, terms, x_row, x_term);
  // Of each part of each strip where there are several parts, else of those that are being added.
  Scratch<S> all(cut.parts > 1 ? tasks * size : 0);
  if (!x || !all) return false;
  std::atomic<bool> short_of_memory = false;
  auto write = [&](int64_t strip, const S* totals) {
    const int64_t first = strip * cut.width, padded = size / rows;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t p = first; p < std::min(first + cut.width, places); ++p)
        c[r * c_row + p * c_place] = totals[r * padded + p - first];
  };
  auto task = [&](int64_t begin, int64_t end) {
    Scratch<S> own(2 * size);
    if (!own) {
      short_of_memory = true;
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const int64_t strip = i / cut.parts, part = i % cut.parts;
      const int64_t first = strip * cut.width, term = part * cut.length;
      S* totals = cut.parts > 1 ? all.get() + i * size : own.get() + size;
      strip_totals<T>(x, rows, cut, term, std::min(term + cut.length, terms), w, w_row, across,
                      first, std::min(cut.width, places - first), own.get(), totals);
      if (cut.parts == 1) write(strip, totals);
    }
  };
  const int64_t work = std::max<int64_t>(1, rows * places * terms);
  parallel_for(tasks, std::max<int64_t>(1, tasks * kTaskWork / work), task);
  if (short_of_memory) return false;
  for (int64_t strip = 0; cut.parts > 1 && strip < cut.strips; ++strip) {
    S* totals = all.get() + strip * cut.parts * size;
    for (int64_t part = 1; part < cut.parts; ++part)
      for (int64_t i = 0; i < size; ++i) totals[i] += totals[part * size + i];
    write(strip, totals);
  }
  return true;
}

// --- integers -------------------------------------------------------------------------------

// A block of results, and the terms of which factors are kept ready for it.
constexpr int64_t kBlockRows = 16 * kIntegerRows;
constexpr int64_t kBlockColumns = 256;
constexpr int64_t kBlockTerms = 512;

using TileFunction = void (*)(const IntegerTile&);

TileFunction tile_function() {
  const IntegerKernels& all = kernels().integers;
#if defined(COVECTOR_X86_KERNELS)
  static const bool fused = instruction_set() == kAvx512 && __builtin_cpu_supports("avx512vnni");
  if (fused) return all.fused_tile;
#endif
  return all.tile;
}

template <class T>
auto pair_function() {
  const IntegerKernels& all = kernels().integers;
  if constexpr (std::is_same_v<T, int8_t>)
    return all.pair_i8;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return all.pair_u8;
  else
    return all.pair_i16;
}

// Rows of left factors, each with an even number of terms.
template <class T>
void pack_left(const T* a, int64_t row, int64_t term, int64_t rows, int64_t terms, int64_t apart,
               int16_t* to) {
  for (int64_t r = 0; r < rows; ++r) {
    int16_t* out = to + r * apart;
    const T* from = a + r * row;
    if (term == 1)
      for (int64_t t = 0; t < terms; ++t) out[t] = int16_t(from[t]);
    else
      for (int64_t t = 0; t < terms; ++t) out[t] = int16_t(from[t * term]);
    if (terms % 2) out[terms] = 0;
  }
}

// Panels of right factors as wide as tiles, in pairs of terms.
template <class T>
void pack_right(const T* b, int64_t term, int64_t column, int64_t columns, int64_t terms,
                int16_t* to) {
  const int64_t width = kernels().integers.columns, pairs = pieces(terms, 2);
  const auto pair = pair_function<T>();
  for (int64_t j = 0; j < columns; j += width, to += pairs * width * 2) {
    const int count = int(std::min(width, columns - j));
    if (column == 1) {
      for (int64_t t = 0; t < terms; t += 2)
        pair(b + t * term + j, t + 1 < terms ? b + (t + 1) * term + j : nullptr, count,
             to + t * width);
      continue;
    }
    for (int64_t i = 0; i < width; ++i) {
      int16_t* out = to + 2 * i;
      for (int64_t t = 0; t < 2 * pairs; ++t)
        out[t / 2 * 2 * width + t % 2] =
            i < count && t < terms ? int16_t(b[(j + i) * column + t * term]) : int16_t(0);
    }
  }
}

}  // namespace

template <class T>
bool skinny_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                 int64_t lda, const T* b, int64_t ldb, SumOf<T>* c, int64_t ldc) {
  if (m <= n)
    return skinny<T>(m, n, k, a, trans_a ? 1 : lda, trans_a ? lda : 1, b, ldb, trans_b, c, ldc, 1);
  return skinny<T>(n, m, k, b, trans_b ? ldb : 1, trans_b ? 1 : ldb, a, lda, !trans_a, c, 1, ldc);
}

template <class T>
bool integer_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                  int64_t lda, const T* b, int64_t ldb, int32_t* c, int64_t ldc) {
  const int64_t row = trans_a ? 1 : lda, left_term = trans_a ? lda : 1;
  const int64_t right_term = trans_b ? 1 : ldb, column = trans_b ? ldb : 1;
  const int64_t width = kernels().integers.columns;
  const int64_t rows = std::min(kBlockRows, round_up(m, kIntegerRows));
  const int64_t columns = std::min(kBlockColumns, round_up(n, width));
  const int64_t terms = std::min(kBlockTerms, round_up(k, 2));
  const int64_t down = pieces(m, rows), tasks = down * pieces(n, columns);
  std::atomic<bool> short_of_memory = false;
  const TileFunction run = tile_function();
  auto task = [&](int64_t begin, int64_t end) {
    Scratch<int16_t> factors((rows + columns) * terms);
    if (!factors) {
      short_of_memory = true;
      return;
    }
    int16_t *left = factors.get(), *right = left + rows * terms;
    for (int64_t at = begin; at < end; ++at) {
      const int64_t i = at % down * rows, j = at / down * columns;
      const int64_t height = std::min(rows, m - i), wide = std::min(columns, n - j);
      for (int64_t t = 0; t < k; t += terms) {
        const int64_t length = std::min(terms, k - t), pairs = pieces(length, 2);
        pack_left(a + i * row + t * left_term, row, left_term, height, length, terms, left);
        pack_right(b + t * right_term + j * column, right_term, column, wide, length, right);
        for (int64_t q = 0; q < wide; q += width)
          for (int64_t p = 0; p < height; p += kIntegerRows) {
            IntegerTile tile;
            tile.count = int(std::min<int64_t>(kIntegerRows, height - p));
            tile.columns = int(std::min(width, wide - q));
            tile.pairs = pairs;
            tile.add = t > 0;
            tile.b = right + q * pairs * 2;
            for (int r = 0; r < kIntegerRows; ++r) {
              const int64_t is = p + std::min(r, tile.count - 1);
              tile.a[r] = left + is * terms;
              tile.c[r] = c + (i + is) * ldc + j + q;
            }
            run(tile);
          }
      }
    }
  };
  const int64_t work = m * n * k;
  parallel_for(tasks, std::max<int64_t>(1, tasks * kTaskWork / work), task);
  return !short_of_memory;
}

#define COVECTOR_SKINNY(T)                                                                         \
  template bool skinny_gemm<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*, \
                               int64_t, SumOf<T>*, int64_t);
COVECTOR_SKINNY(float)
COVECTOR_SKINNY(double)
COVECTOR_SKINNY(Half)
COVECTOR_SKINNY(BHalf)
#undef COVECTOR_SKINNY
#define COVECTOR_INTEGER(T)                                                               \
  template bool integer_gemm<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, \
                                const T*, int64_t, int32_t*, int64_t);
COVECTOR_INTEGER(int8_t)
COVECTOR_INTEGER(uint8_t)
COVECTOR_INTEGER(int16_t)
#undef COVECTOR_INTEGER

}  // namespace covector
