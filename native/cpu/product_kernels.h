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

// Rows of a tile of results, and the numbers of 16 bits that a row of factors is cut into.
constexpr int kIntegerRows = 6;

// Sums over pairs of terms: the two factors of a pair lie next to each other, on the left in rows,
// on the right for one column after the other, as many as a tile is wide.
struct IntegerTile {
  const int16_t* a[kIntegerRows];
  const int16_t* b;
  int64_t pairs;
  int32_t* c[kIntegerRows];
  int count, columns;
  bool add;
};
struct IntegerKernels {
  int columns;  // of a tile
  void (*tile)(const IntegerTile& tile);
  // The same where the processor multiplies and adds pairs in one instruction.
  void (*fused_tile)(const IntegerTile& tile);
  // Pairs for the columns of a tile, of which `count` there are: from two rows, the second of which
  // may be missing.
  void (*pair_i8)(const int8_t* one, const int8_t* other, int count, int16_t* to);
  void (*pair_u8)(const uint8_t* one, const uint8_t* other, int count, int16_t* to);
  void (*pair_i16)(const int16_t* one, const int16_t* other, int count, int16_t* to);
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
