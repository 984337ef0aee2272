// Matrix products, through BLAS where it is the best way.
#pragma once

#include <cstdint>

namespace covector {

// The code of a product of elements of two types; that of one type is the type's own.
constexpr int32_t product_code(int32_t left, int32_t right) {
  return left == right ? left : left | right << 8;
}

// C = op(A) op(B), row-major, m×n with inner dimension k, `batch` times. op transposes where
// trans is 1 and takes the conjugate transpose where it is 2. Elements are those of `code`,
// which are of two types only where one is int8 and the other uint8; products of smaller floats are
// float32, those of integers (8 bits, or 16 with a sign) int32, modulo 2³².
void gemm(int32_t code, int32_t trans_a, int32_t trans_b, int64_t m, int64_t n, int64_t k,
          const void* a, int64_t lda, const void* b, int64_t ldb, void* c, int64_t ldc,
          int64_t batch, int64_t stride_a, int64_t stride_b, int64_t stride_c);

}  // namespace covector
