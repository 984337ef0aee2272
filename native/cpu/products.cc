// Few rows times a matrix, which is read once as it lies, and products of small integers.
#include "cpu/products.h"

#include <algorithm>
#include <atomic>
#include <type_traits>

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

// Units of the factors that tiles are given at a time: of the columns of one, they stay in the
// first cache.
constexpr int64_t kBlockUnits = 256;
// Lines of one operand that a task packs for itself, at most. Those of the other are packed once
// for all, as many units of them as these bytes hold.
constexpr int64_t kTaskLines = 256;
constexpr int64_t kSharedBytes = 8 << 20;
// Tasks for each thread, at least, if there is work for them.
constexpr int64_t kThreadTasks = 4;

// How products of A by B are added up.
struct IntegerForm {
  const IntegerTileFunction* tiles;  // by rows
  int64_t terms;                     // of a unit
  IntegerUnit left, right;
  uint32_t flip;    // of the left units
  uint32_t offset;  // what this adds to each left factor, times -1
};

template <class T>
constexpr IntegerUnit kPairsOf = std::is_same_v<T, int16_t> ? IntegerUnit::kWordPairs
                                 : std::is_signed_v<T>      ? IntegerUnit::kSignedPairs
                                                            : IntegerUnit::kUnsignedPairs;

// Bytes are multiplied with bytes of which one has a sign and the other has none. Where both have,
// or neither has, the left ones change sides, which takes or adds 128 from each of them.
template <class A, class B>
IntegerForm integer_form() {
  const IntegerKernels& all = kernels().integers;
  if (!has_integer_products()) return {all.pairs, 2, kPairsOf<A>, kPairsOf<B>, 0, 0};
  if constexpr (sizeof(A) == 1 && sizeof(B) == 1) {
    constexpr bool both = std::is_signed_v<A> == std::is_signed_v<B>;
    return {std::is_signed_v<B> ? all.signed_right : all.signed_left,
            4,
            IntegerUnit::kBytes,
            IntegerUnit::kBytes,
            both ? 0x80808080u : 0u,
            both ? std::is_signed_v<B> ? uint32_t(-128) : 128u : 0u};
  }
  return {all.fused_pairs, 2, kPairsOf<A>, kPairsOf<B>, 0, 0};
}

// Rows of the left, or columns of the right factors, in groups for tiles.
struct Lines {
  const char* from;
  int64_t itemsize, line, term;  // elements between lines, and between terms
  int64_t count, each, width;    // of a group; and what it is filled up to
  int64_t head;                  // numbers before the units of a group
  IntegerUnit unit;
  uint32_t flip;
  void (*pack)(const IntegerLines&);

  int64_t groups() const { return pieces(count, each); }
  int64_t lines(int64_t group) const { return std::min(each, count - group * each); }
  int64_t size(int64_t units) const { return head + units * width; }
};

class IntegerProduct {
 public:
  template <class A, class B>
  IntegerProduct(std::type_identity<A>, std::type_identity<B>, bool trans_a, bool trans_b,
                 int64_t m, int64_t n, int64_t k, const void* a, int64_t lda, const void* b,
                 int64_t ldb, int32_t* c, int64_t ldc)
      : form_(integer_form<A, B>()), k_(k), c_(c), ldc_(ldc) {
    const IntegerKernels& all = kernels().integers;
    left_ = {static_cast<const char*>(a),
             sizeof(A),
             trans_a ? 1 : lda,
             trans_a ? lda : 1,
             m,
             pieces(m, pieces(m, all.rows)),
             all.rows,
             0,
             form_.left,
             form_.flip,
             all.pack_left};
    right_ = {static_cast<const char*>(b),
              sizeof(B),
              trans_b ? ldb : 1,
              trans_b ? 1 : ldb,
              n,
              all.columns,
              all.columns,
              all.columns,
              form_.right,
              0,
              all.pack_right};
    // Tasks take what there is more of; or rows, if there are not enough columns for all threads.
    by_rows_ = m > n || (right_.groups() < wanted_tasks() && left_.groups() > right_.groups());
  }

  bool run() const {
    const Lines &own = by_rows_ ? left_ : right_, &shared = by_rows_ ? right_ : left_;
    const int64_t block = kBlockUnits * form_.terms, groups = shared.groups();
    const int64_t stretch =
        std::min(std::max<int64_t>(1, kSharedBytes / 4 / (groups * shared.size(kBlockUnits))),
                 pieces(k_, block)) *
        block;
    Scratch<uint32_t> packed(groups * stretch_size(shared, std::min(stretch, k_)));
    if (!packed) return false;
    const int64_t together =
        std::max<int64_t>(1, std::min(kTaskLines / own.each, own.groups() / wanted_tasks()));
    const int64_t tasks = pieces(own.groups(), together);
    std::atomic<bool> short_of_memory = false;
    for (int64_t t = 0; t < k_; t += stretch) {
      const int64_t terms = std::min(stretch, k_ - t);
      const int64_t size = stretch_size(shared, terms);
      parallel_for(groups, grain(groups, groups * shared.each * terms * kPackWork),
                   [&](int64_t begin, int64_t end) {
                     pack(shared, begin, end - begin, t, terms, packed.get() + begin * size, size);
                   });
      parallel_for(tasks, grain(tasks, left_.count * right_.count * terms),
                   [&](int64_t begin, int64_t end) {
                     Scratch<uint32_t> mine(together * own.size(kBlockUnits));
                     if (!mine)
                       short_of_memory = true;
                     else
                       for (int64_t i = begin; i < end; ++i)
                         task(i * together, std::min(together, own.groups() - i * together), t,
                              terms, packed.get(), size, mine.get());
                   });
    }
    return !short_of_memory;
  }

 private:
  // Multiply-adds that take as long as packing a factor.
  static constexpr int64_t kPackWork = 16;

  static int64_t wanted_tasks() { return num_threads() > 1 ? kThreadTasks * num_threads() : 1; }
  static int64_t grain(int64_t n, int64_t work) {
    return std::max<int64_t>(1, n * kTaskWork / std::max<int64_t>(1, work));
  }
  int64_t units(int64_t terms) const { return pieces(terms, form_.terms); }
  // What the blocks of a group take up.
  int64_t stretch_size(const Lines& s, int64_t terms) const {
    return pieces(units(terms), kBlockUnits) * s.head + units(terms) * s.width;
  }

  // Blocks of some groups, one after the other. What is to be added to the sums of the right ones
  // comes first.
  void pack(const Lines& s, int64_t group, int64_t groups, int64_t first, int64_t terms,
            uint32_t* to, int64_t size) const {
    const int64_t block = kBlockUnits * form_.terms;
    for (int64_t t = first; t < first + terms; t += block) {
      const int64_t length = std::min(block, first + terms - t);
      const int64_t lines = std::min(groups * s.each, s.count - group * s.each);
      s.pack({s.from + (group * s.each * s.line + t * s.term) * s.itemsize, s.line, s.term, lines,
              s.each, length, s.unit, s.flip, to + s.head, size});
      for (int64_t g = 0; s.head && g < groups; ++g) offsets(to + g * size, units(length));
      to += s.size(units(length));
    }
  }

  // The offset of the left factors times the sums of those of each column.
  void offsets(uint32_t* panel, int64_t units) const {
    const int64_t width = right_.width;
    std::fill_n(panel, width, 0u);
    if (!form_.offset) return;
    static constexpr uint32_t kOnes = 0x01010101;
    int32_t sums[64];
    form_.tiles[0]({&kOnes, panel + width, 0, units, panel, sums, 0, int(width), false});
    for (int64_t j = 0; j < width; ++j) panel[j] = uint32_t(sums[j]) * form_.offset;
  }

  // The results of some groups of a task's own lines with all shared ones.
  void task(int64_t first, int64_t count, int64_t from, int64_t terms, const uint32_t* shared,
            int64_t shared_size, uint32_t* mine) const {
    const Lines &own = by_rows_ ? left_ : right_, &other = by_rows_ ? right_ : left_;
    const int64_t block = kBlockUnits * form_.terms;
    for (int64_t t = 0; t < terms; t += block) {
      const int64_t length = std::min(block, terms - t), own_size = own.size(units(length));
      pack(own, first, count, from + t, length, mine, own_size);
      const uint32_t* theirs = shared + t / block * other.size(kBlockUnits);
      const bool add = from + t > 0;
      if (by_rows_)
        tiles(first, count, mine, own_size, 0, other.groups(), theirs, shared_size, units(length),
              add);
      else
        tiles(0, other.groups(), theirs, shared_size, first, count, mine, own_size, units(length),
              add);
    }
  }

  void tiles(int64_t row, int64_t rows, const uint32_t* a, int64_t a_size, int64_t column,
             int64_t columns, const uint32_t* b, int64_t b_size, int64_t units, bool add) const {
    for (int64_t q = 0; q < columns; ++q) {
      const uint32_t* panel = b + q * b_size;
      for (int64_t p = 0; p < rows; ++p) {
        int32_t* c = c_ + (row + p) * left_.each * ldc_ + (column + q) * right_.each;
        form_.tiles[left_.lines(row + p) - 1]({a + p * a_size, panel + right_.head, left_.width,
                                               units, panel, c, ldc_, int(right_.lines(column + q)),
                                               add});
      }
    }
  }

  IntegerForm form_;
  Lines left_, right_;
  bool by_rows_;
  int64_t k_;
  int32_t* c_;
  int64_t ldc_;
};

}  // namespace

template <class T>
bool skinny_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                 int64_t lda, const T* b, int64_t ldb, SumOf<T>* c, int64_t ldc) {
  if (m <= n)
    return skinny<T>(m, n, k, a, trans_a ? 1 : lda, trans_a ? lda : 1, b, ldb, trans_b, c, ldc, 1);
  return skinny<T>(n, m, k, b, trans_b ? ldb : 1, trans_b ? 1 : ldb, a, lda, !trans_a, c, 1, ldc);
}

template <class A, class B>
bool integer_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const A* a,
                  int64_t lda, const B* b, int64_t ldb, int32_t* c, int64_t ldc) {
  return IntegerProduct(std::type_identity<A>(), std::type_identity<B>(), trans_a, trans_b, m, n, k,
                        a, lda, b, ldb, c, ldc)
      .run();
}

#define COVECTOR_SKINNY(T)                                                                         \
  template bool skinny_gemm<T>(bool, bool, int64_t, int64_t, int64_t, const T*, int64_t, const T*, \
                               int64_t, SumOf<T>*, int64_t);
COVECTOR_SKINNY(float)
COVECTOR_SKINNY(double)
COVECTOR_SKINNY(Half)
COVECTOR_SKINNY(BHalf)
#undef COVECTOR_SKINNY
#define COVECTOR_INTEGER(A, B)                                                               \
  template bool integer_gemm<A, B>(bool, bool, int64_t, int64_t, int64_t, const A*, int64_t, \
                                   const B*, int64_t, int32_t*, int64_t);
COVECTOR_INTEGER(int8_t, int8_t)
COVECTOR_INTEGER(int8_t, uint8_t)
COVECTOR_INTEGER(uint8_t, int8_t)
COVECTOR_INTEGER(uint8_t, uint8_t)
COVECTOR_INTEGER(int16_t, int16_t)
#undef COVECTOR_INTEGER

}  // namespace covector
