// How elements stand to one another, and where they belong among others: one thread's loops,
// compiled once for each instruction set. NaNs come last, -0.0 equals 0.0.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "cpu/instruction_set.h"

namespace covector {

// What holds of all neighbours among some elements.
enum Standing : unsigned {
  kAscending = 1,
  kStrictlyAscending = 2,
  kStrictlyDescending = 4,
};

struct OrderKernels {
  // What holds of the `n` elements: some of `Standing`.
  unsigned (*standing)(const void* elements, int64_t n);
  // For each of `m` queries how many of the `n` elements, in order, are less, or not greater where
  // `right` says so.
  void (*search)(const void* elements, int64_t n, const void* queries, int64_t m, bool right,
                 int32_t* out);
  // The elements' canonical images (order.h), and the least and the greatest of them.
  void (*images)(const void* elements, int64_t n, void* out, void* low, void* high);
};

// By element type; those of complex numbers are null.
extern const OrderKernels order_kernels_baseline[kNumCodes];
extern const OrderKernels order_kernels_avx2[kNumCodes];  // where the compiler knows them
extern const OrderKernels order_kernels_avx512[kNumCodes];

inline const OrderKernels& order_kernels(int code) {
#if defined(COVECTOR_X86_KERNELS)
  switch (instruction_set()) {
    case kAvx512: return order_kernels_avx512[code];
    case kAvx2: return order_kernels_avx2[code];
    default: break;
  }
#endif
  return order_kernels_baseline[code];
}

}  // namespace covector
