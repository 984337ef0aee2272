// Kernels of reductions. Loops are plain, for the compiler to make vectors of; it is told not to
// make one operation of products and sums (CMakeLists.txt), so that every machine rounds alike.
#include "processes/reduce.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "core/dtype.h"

namespace covector::processes {
namespace {

// How many elements are combined at a time: what is between the rows stays in the first cache.
constexpr int64_t kBlock = 512;

struct Sum {
  template <class T>
  static T of(T a, T b) {
    if constexpr (std::is_integral_v<T>) return T(std::make_unsigned_t<T>(a) + std::make_unsigned_t<T>(b));
    return a + b;
  }
};

struct Prod {
  template <class T>
  static T of(T a, T b) {
    // Wide enough that no promotion makes it signed.
    using Wide = std::conditional_t<sizeof(T) < 8, uint32_t, uint64_t>;
    if constexpr (std::is_integral_v<T>) return T(Wide(a) * Wide(b));
    return a * b;
  }
};

struct Max {
  template <class T>
  static T of(T a, T b) {
    return a >= b || a != a ? a : b;
  }
};

struct Min {
  template <class T>
  static T of(T a, T b) {
    return a <= b || a != a ? a : b;
  }
};

struct And {
  template <class T>
  static T of(T a, T b) {
    return T(a & b);
  }
};

struct Or {
  template <class T>
  static T of(T a, T b) {
    return T(a | b);
  }
};

struct Xor {
  template <class T>
  static T of(T a, T b) {
    return T(a ^ b);
  }
};

// Complex numbers, ordered by their real parts, then by the imaginary ones.
template <class R>
struct Complex {
  R re, im;
  Complex operator+(Complex b) const { return {re + b.re, im + b.im}; }
  Complex operator*(Complex b) const { return {re * b.re - im * b.im, re * b.im + im * b.re}; }
  bool operator>=(Complex b) const {
    return (re > b.re && im == im && b.im == b.im) || (re == b.re && im >= b.im);
  }
  bool operator<=(Complex b) const {
    return (re < b.re && im == im && b.im == b.im) || (re == b.re && im <= b.im);
  }
  bool operator!=(Complex b) const { return re != b.re || im != b.im; }
};

// Elements as they are in memory, and the numbers that are calculated with.
template <class T>
struct Plain {
  using Stored = T;
  using Number = T;
  static T load(T x) { return x; }
  static T store(T x) { return x; }
};

struct Half {
  using Stored = uint16_t;
  using Number = float;
  static float load(uint16_t h) {
    const uint32_t sign = uint32_t(h & 0x8000) << 16, rest = uint32_t(h & 0x7FFF) << 13;
    const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(rest) * 0x1p112f);
    return std::bit_cast<float>(sign | (rest >= 0x0F800000 ? rest | 0x7F800000 : finite));
  }
  static uint16_t store(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x), f = bits & 0x7FFFFFFF;
    const uint32_t large = f > 0x7F800000 ? 0x7C00 | (f >> 13 & 0x3FF) : 0x7C00;
    // The sum with one half of a subnormal's quantum times 2^24 rounds to that quantum.
    const uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(f) + 0.5f) - 0x3F000000;
    const uint32_t normal = (f - 0x38000000 + 0xFFF + (f >> 13 & 1)) >> 13;
    return uint16_t(bits >> 16 & 0x8000) |
           uint16_t(f >= 0x47800000 ? large : f < 0x38800000 ? small : normal);
  }
};

struct BFloat16 {
  using Stored = uint16_t;
  using Number = float;
  static float load(uint16_t h) { return bf16_to_float(h); }
  static uint16_t store(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    const uint32_t nan = (bits >> 16 & 0x8000) | 0x7FC0;
    return uint16_t((bits & 0x7FFFFFFF) > 0x7F800000 ? nan
                                                     : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
};

template <class Element, class Op>
void fold(void* out, const void* const* rows, int n, int64_t count) {
  using Stored = typename Element::Stored;
  using Number = typename Element::Number;
  auto row = [&](int k) { return static_cast<const Stored*>(rows[k]); };
  auto* to = static_cast<Stored*>(out);
  if (n == 1) {
    if (out != rows[0]) std::memcpy(out, rows[0], size_t(count) * sizeof(Stored));
    return;
  }
  for (int64_t at = 0; at < count; at += kBlock) {
    const int64_t size = std::min(kBlock, count - at);
    const Stored *a = row(0) + at, *b = row(1) + at;
    if (n == 2) {
      for (int64_t i = 0; i < size; ++i)
        to[at + i] = Element::store(Op::of(Element::load(a[i]), Element::load(b[i])));
      continue;
    }
    Number sum[kBlock];
    for (int64_t i = 0; i < size; ++i) sum[i] = Op::of(Element::load(a[i]), Element::load(b[i]));
    for (int k = 2; k < n - 1; ++k) {
      const Stored* c = row(k) + at;
      for (int64_t i = 0; i < size; ++i) sum[i] = Op::of(sum[i], Element::load(c[i]));
    }
    const Stored* c = row(n - 1) + at;
    for (int64_t i = 0; i < size; ++i) to[at + i] = Element::store(Op::of(sum[i], Element::load(c[i])));
  }
}

using Kernel = void (*)(void*, const void* const*, int, int64_t);

template <class Element>
Kernel arithmetic(Reduction op) {
  switch (op) {
    case kSum: return fold<Element, Sum>;
    case kProd: return fold<Element, Prod>;
    case kMax: return fold<Element, Max>;
    case kMin: return fold<Element, Min>;
    default: return nullptr;
  }
}

template <class T>
Kernel bitwise(Reduction op) {
  switch (op) {
    case kAnd: return fold<Plain<T>, And>;
    case kOr: return fold<Plain<T>, Or>;
    case kXor: return fold<Plain<T>, Xor>;
    default: return nullptr;
  }
}

template <class T>
Kernel integer(Reduction op) {
  Kernel found = bitwise<std::make_unsigned_t<T>>(op);
  return found ? found : arithmetic<Plain<T>>(op);
}

Kernel kernel_of(int code, Reduction op) {
  switch (code) {
    case kBool: return bitwise<uint8_t>(op == kMax ? kOr : op == kMin ? kAnd : op);
    case kI8: return integer<int8_t>(op);
    case kI16: return integer<int16_t>(op);
    case kI32: return integer<int32_t>(op);
    case kI64: return integer<int64_t>(op);
    case kU8: return integer<uint8_t>(op);
    case kU16: return integer<uint16_t>(op);
    case kU32: return integer<uint32_t>(op);
    case kU64: return integer<uint64_t>(op);
    case kF16: return arithmetic<Half>(op);
    case kBF16: return arithmetic<BFloat16>(op);
    case kF32: return arithmetic<Plain<float>>(op);
    case kF64: return arithmetic<Plain<double>>(op);
    case kC64: return arithmetic<Plain<Complex<float>>>(op);
    case kC128: return arithmetic<Plain<Complex<double>>>(op);
    default: return nullptr;
  }
}

}  // namespace

bool can_reduce(int code, Reduction op) { return kernel_of(code, op) != nullptr; }

void reduce_rows(int code, Reduction op, void* out, const void* const* rows, int n, int64_t count) {
  kernel_of(code, op)(out, rows, n, count);
}

}  // namespace covector::processes
