// Arrays of several processes combined element by element, in the order of the processes.
#pragma once

#include <cstdint>

namespace covector::processes {

enum Reduction : uint8_t { kSum, kProd, kMax, kMin, kAnd, kOr, kXor, kNumReductions };
inline constexpr const char* kReductionName[kNumReductions] = {"sum", "prod", "max", "min",
                                                               "and", "or",   "xor"};

// Whether there is such a reduction of elements of a code (core/dtype.h).
bool can_reduce(int code, Reduction op);

// out[i] = rows[0][i] op rows[1][i] op …; `out` may be one of the rows. Integers wrap around. Sums
// and products of floats of 16 bits are taken in float32 and rounded once. A NaN is the maximum and
// the minimum of whatever it meets.
void reduce_rows(int code, Reduction op, void* out, const void* const* rows, int n, int64_t count);

}  // namespace covector::processes
