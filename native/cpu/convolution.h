// Convolutions of many features: products of matrices of windows.
#pragma once

#include <cstdint>

namespace covector {

// Of three spatial dimensions, each of `in`, `window` and `out` elements: the operand's element at
// q = out·stride + window·dilation - pad counts where q / spacing is whole and inside.
//
// If `batch_last` is 0, the operand is [batch, in, features], the kernel [window, features of a
// group, outputs] and the result [batch, out, outputs], where each of `groups` groups of outputs
// takes its part of the features. If it is 1, they are [features, in, batch], [features, window,
// outputs] and [out, batch, outputs], and groups is 1.
//
// 0, or 1 where memory ran out, 3 where a dtype is not supported.
int32_t convolution(int32_t code, int32_t batch_last, const void* operand, const void* kernel,
                    void* result, int64_t batch, int64_t features, int64_t outputs, int64_t groups,
                    int64_t in0, int64_t window0, int64_t out0, int64_t stride0, int64_t pad0,
                    int64_t spacing0, int64_t dilation0, int64_t in1, int64_t window1,
                    int64_t out1, int64_t stride1, int64_t pad1, int64_t spacing1,
                    int64_t dilation1, int64_t in2, int64_t window2, int64_t out2, int64_t stride2,
                    int64_t pad2, int64_t spacing2, int64_t dilation2);

}  // namespace covector
