// Matrix products through BLAS.
#pragma once

#include <cstdint>

namespace covector {

enum class BlasRoutine {
  sgemm,
  dgemm,
  cgemm,
  zgemm,
  sgemv,
  dgemv,
  set_threads,
  get_threads,
  count
};
inline constexpr const char* kBlasName[] = {"sgemm", "dgemm", "cgemm",           "zgemm",
                                            "sgemv", "dgemv", "set_num_threads", "get_num_threads"};

// Fortran-style routines: every argument is a pointer, integers are 32 bits wide. The last two
// are plain C functions, void(int) and int(), that the library may lack.
void set_blas(BlasRoutine routine, void* address);

// C = op(A) op(B), row-major, m×n with inner dimension k, `batch` times. op transposes where
// trans is 1 and takes the conjugate transpose where it is 2.
void gemm(int32_t code, int32_t trans_a, int32_t trans_b, int64_t m, int64_t n, int64_t k,
          const void* a, int64_t lda, const void* b, int64_t ldb, void* c, int64_t ldc,
          int64_t batch, int64_t stride_a, int64_t stride_b, int64_t stride_c);

}  // namespace covector
