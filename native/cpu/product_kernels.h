// Sums of products that BLAS takes too long for, compiled once for each instruction set: few rows
// times a large matrix, and products of small integers.
#pragma once

#include <cstdint>
#include <type_traits>

namespace covector {

struct Half {
  uint16_t bits;
};
struct BHalf {
  uint16_t bits;
};

// What products of T are added up in.
template <class T>
using SumOf = std::conditional_t<std::is_integral_v<T>, int32_t,
                                 std::conditional_t<std::is_same_v<T, double>, double, float>>;

// --- few rows times a matrix ----------------------------------------------------------------

// Rows of sums are filled up to multiples of this.
constexpr int64_t kStripPadding = 32;

// sums[r, p] += Σ x[r, t] w[t, p] over `terms` terms. Where `w` is read along, the factors of one
// term lie next to each other and terms `w_row` apart; where it is read across, those of one place.
template <class T>
struct Strip {
  const SumOf<T>* x;
  int64_t rows, x_row, terms;
  const T* w;
  int64_t w_row, places;
  SumOf<T>* sums;
  int64_t sums_row;
};
template <class T>
struct StripKernels {
  void (*along)(const Strip<T>& strip);
  void (*across)(const Strip<T>& strip);
};

// --- integers -------------------------------------------------------------------------------

// Rows of a tile of results, at most.
constexpr int kMostIntegerRows = 8;

// Factors are packed in units of 32 bits: of four terms, as they are, or of two, of 16 bits each.
enum class IntegerUnit { kBytes, kSignedPairs, kUnsignedPairs, kWordPairs };

// Lines of factors, rows of the left or columns of the right ones, of which there are `count`. A
// group of them, filled up with zeros to what a tile takes, is packed so that the units of one
// place of all lines lie next to each other. `flip` is what they are combined with by exclusive or.
struct IntegerLines {
  const void* from;
  int64_t line, term;  // between lines, and between terms, one of which is 1
  int64_t count, each, terms;
  IntegerUnit unit;
  uint32_t flip;
  uint32_t* to;
  int64_t group;  // between the first units of groups
};

// c = or += start + the sums over units; those of one row are `a_step` apart. A tile of R rows has
// that many results, and as many columns of them as there are.
struct IntegerTile {
  const uint32_t *a, *b;
  int64_t a_step, units;
  const uint32_t* start;  // of each column
  int32_t* c;
  int64_t c_row;
  int columns;
  bool add;
};
using IntegerTileFunction = void (*)(const IntegerTile& tile);

struct IntegerKernels {
  int rows, columns;  // of a tile
  // By the number of rows: of pairs, and where the processor multiplies and adds them in one
  // instruction of pairs, and of bytes of which those of one side have a sign.
  const IntegerTileFunction *pairs, *fused_pairs, *signed_right, *signed_left;
  void (*pack_left)(const IntegerLines& lines);
  void (*pack_right)(const IntegerLines& lines);
};

struct ProductKernels {
  StripKernels<float> f32;
  StripKernels<double> f64;
  StripKernels<Half> f16;
  StripKernels<BHalf> bf16;
  IntegerKernels integers;
};

extern const ProductKernels product_kernels_baseline;
extern const ProductKernels product_kernels_avx2, product_kernels_avx512;  // where there are some

}  // namespace covector
