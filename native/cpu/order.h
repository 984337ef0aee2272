// Order-preserving images: unsigned integers that compare as the elements do. NaNs come last.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "core/dtype.h"

// Kernels for one instruction set use these, so no copy of theirs may be linked into other code.
#define COVECTOR_INLINE [[gnu::always_inline]]

namespace covector {

// U: the unsigned type of the element's width. kCanonical makes -0.0 and 0.0 the same, which
// cannot be undone; without it -0.0 comes just before 0.0.
template <class U>
struct SignedOrder {
  static constexpr bool kFloat = false;
  static constexpr U kSign = U(1) << (sizeof(U) * 8 - 1);
  template <bool kCanonical>
  COVECTOR_INLINE static U image(U bits) {
    return bits ^ kSign;
  }
  COVECTOR_INLINE static U inverse(U image) { return image ^ kSign; }
};

template <class U>
struct UnsignedOrder {
  static constexpr bool kFloat = false;
  template <bool kCanonical>
  COVECTOR_INLINE static U image(U bits) {
    return bits;
  }
  COVECTOR_INLINE static U inverse(U image) { return image; }
};

template <class U, U kInfinity, U kNan>
struct FloatOrder {
  static constexpr bool kFloat = true;
  static constexpr U kSign = U(1) << (sizeof(U) * 8 - 1);
  template <bool kCanonical>
  COVECTOR_INLINE static U image(U bits) {
    if (U(bits & ~kSign) > kInfinity) return kNan | kSign;
    if (kCanonical && bits == kSign) bits = 0;
    return (bits & kSign) ? U(~bits) : U(bits | kSign);
  }
  COVECTOR_INLINE static U inverse(U image) {
    return (image & kSign) ? U(image & ~kSign) : U(~image);
  }
};

using HalfOrder = FloatOrder<uint16_t, 0x7C00, 0x7E00>;
using BHalfOrder = FloatOrder<uint16_t, 0x7F80, 0x7FC0>;
using FloatOrder32 = FloatOrder<uint32_t, 0x7F800000u, 0x7FC00000u>;
using FloatOrder64 = FloatOrder<uint64_t, 0x7FF0000000000000u, 0x7FF8000000000000u>;

// Calls f(U{}, Order{}) for the real element type `code`; false for a type without an order.
template <class F>
bool with_order(int code, F&& f) {
  switch (code) {
    case kBool:
    case kU8: f(uint8_t{}, UnsignedOrder<uint8_t>{}); return true;
    case kU16: f(uint16_t{}, UnsignedOrder<uint16_t>{}); return true;
    case kU32: f(uint32_t{}, UnsignedOrder<uint32_t>{}); return true;
    case kU64: f(uint64_t{}, UnsignedOrder<uint64_t>{}); return true;
    case kI8: f(uint8_t{}, SignedOrder<uint8_t>{}); return true;
    case kI16: f(uint16_t{}, SignedOrder<uint16_t>{}); return true;
    case kI32: f(uint32_t{}, SignedOrder<uint32_t>{}); return true;
    case kI64: f(uint64_t{}, SignedOrder<uint64_t>{}); return true;
    case kF16: f(uint16_t{}, HalfOrder{}); return true;
    case kBF16: f(uint16_t{}, BHalfOrder{}); return true;
    case kF32: f(uint32_t{}, FloatOrder32{}); return true;
    case kF64: f(uint64_t{}, FloatOrder64{}); return true;
  }
  return false;
}

}  // namespace covector
