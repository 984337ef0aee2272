// Matrix products that BLAS takes too long for, or does not know.
#pragma once

#include <cstdint>

#include "cpu/product_kernels.h"

namespace covector {

// A product of few rows, or columns, has up to this many.
constexpr int64_t kFewRows = 16;

// As gemm of blas.h, of which one side has few rows. False, and nothing done, if memory is short.
template <class T>
bool skinny_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                 int64_t lda, const T* b, int64_t ldb, SumOf<T>* c, int64_t ldc);

// As gemm, of which one side is short.
template <class T>
bool panel_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc);

// As gemm, of integers of 8 or 16 bits, modulo 2³².
template <class A, class B>
bool integer_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const A* a,
                  int64_t lda, const B* b, int64_t ldb, int32_t* c, int64_t ldc);

}  // namespace covector
