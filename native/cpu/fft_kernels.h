// One-dimensional transforms of many lines in one thread, compiled once for each instruction set.
#pragma once

#include <cstdint>

namespace covector {

// Lines of `n` elements, `stride` apart, in `outer` groups of `inner` lines that are next to each
// other; the groups are as far apart as n elements of all lines they would have room for.
struct FftLines {
  int64_t outer, n, inner, stride;
};

// in and out have n elements a line; of a real transform the complex side has n / 2 + 1. The
// result is multiplied by `scale`. Arrays of complex numbers may be the same.
using FftKernel = void (*)(const void* in, void* out, const FftLines& lines, bool forward,
                           double scale);

struct FftKernels {
  // By precision: float, double.
  FftKernel complex[2], real_to_complex[2], complex_to_real[2];
};

extern const FftKernels fft_kernels_baseline;
extern const FftKernels fft_kernels_avx2;  // where the compiler knows it

}  // namespace covector
