// Discrete Fourier transforms along up to three axes of a row-major array.
#pragma once

#include <cstdint>

namespace covector {

enum FftKind { kFft, kInverseFft, kRealFft, kInverseRealFft };

// Axis k has n[k] elements; outer[k] and inner[k] are the products of the dimensions before and
// after it, of the complex array. Axes that are not there have n 0. The last one is the half axis
// of a real transform, whose n is that of the real side. Inverse transforms are divided by the
// product of n. 0, or 1 where memory ran out, 3 for a dtype that is none of ours.
int32_t fft(int32_t code, int32_t kind, const void* in, void* out, int64_t outer0, int64_t n0,
            int64_t inner0, int64_t outer1, int64_t n1, int64_t inner1, int64_t outer2,
            int64_t n2, int64_t inner2);

}  // namespace covector
