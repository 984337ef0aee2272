// Element types: codes, sizes and names, shared with Python and with generated code.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace covector {

enum Code : uint8_t {
  kBool = 0,
  kI8 = 1,
  kI16 = 2,
  kI32 = 3,
  kI64 = 4,
  kU8 = 5,
  kU16 = 6,
  kU32 = 7,
  kU64 = 8,
  kF16 = 9,
  kBF16 = 10,
  kF32 = 11,
  kF64 = 12,
  kC64 = 13,
  kC128 = 14,
  kKey = 15,  // an opaque PRNG key of two 32-bit words
};
constexpr int kNumCodes = 16;
constexpr int kMaxCodes = 48;  // codes past kNumCodes are registered from Python

inline constexpr uint8_t kBuiltinItemsize[kNumCodes] = {1, 1, 2, 4, 8, 1, 2,  4,
                                                        8, 2, 2, 4, 8, 8, 16, 8};
inline constexpr const char* kCodeName[kNumCodes] = {
    "bool",   "int8",    "int16",    "int32",   "int64",   "uint8",     "uint16",     "uint32",
    "uint64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128", "key"};

inline bool is_integer(int code) { return code >= kI8 && code <= kU64; }
inline bool is_signed(int code) { return code >= kI8 && code <= kI64; }
inline bool is_real_float(int code) { return code >= kF16 && code <= kF64; }
inline bool is_complex(int code) { return code == kC64 || code == kC128; }

// Rounds x to `precision` significant bits, with exponents bounded below by `min_quantum`
// (the exponent of the smallest subnormal). Ties go to even.
inline double round_to_precision(double x, int precision, int min_quantum) {
  int exponent;
  std::frexp(x, &exponent);
  int quantum = exponent - precision;
  if (quantum < min_quantum) quantum = min_quantum;
  return std::ldexp(std::nearbyint(std::ldexp(x, -quantum)), quantum);
}

inline float bf16_to_float(uint16_t h) { return std::bit_cast<float>(uint32_t(h) << 16); }

inline uint16_t bf16_from_double(double x) {
  if (std::isnan(x)) return std::signbit(x) ? 0xFFC0 : 0x7FC0;
  if (std::isfinite(x)) x = round_to_precision(x, 8, -133);
  // Past the largest bfloat16 the conversion to float may stay finite: 2^128 does not.
  if (std::fabs(x) >= 0x1p128) return std::signbit(x) ? 0xFF80 : 0x7F80;
  return uint16_t(std::bit_cast<uint32_t>(float(x)) >> 16);
}

inline float half_to_float(uint16_t h) {
  int exponent = (h >> 10) & 31, mantissa = h & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude =
        mantissa ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(float(mantissa), -24);
  else
    magnitude = std::ldexp(float(mantissa + 1024), exponent - 25);
  return (h & 0x8000) ? -magnitude : magnitude;
}

inline uint16_t half_from_double(double x) {
  uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  double a = std::fabs(x);
  if (std::isnan(a)) return sign | 0x7E00;
  if (std::isfinite(a)) a = round_to_precision(a, 11, -24);
  if (a >= 0x1p16) return sign | 0x7C00;
  if (a < 0x1p-14) return sign | uint16_t(std::ldexp(a, 24));
  int exponent;
  double fraction = std::frexp(a, &exponent);  // in [0.5, 1)
  return sign | uint16_t(((exponent + 14) << 10) | (uint32_t(std::ldexp(fraction, 11)) & 1023));
}

}  // namespace covector
