// The kernels of order_kernels.h, in a table named by COVECTOR_ORDER_KERNELS.
//
// All is local to this file, so that no code of one set is linked into another.
#include "cpu/order_kernels.h"

#include <type_traits>

#include "cpu/order.h"

namespace covector {
namespace {

constexpr int64_t kBlock = 512, kFirst = 64;
constexpr int kLanes = 16;

// Numbers that the processor compares. kNan: some are not numbers, which no comparison says.
template <class T>
struct Plain {
  using Stored = T;
  using Key = T;
  static constexpr bool kNan = std::is_floating_point_v<T>;
  static Key key(Stored x) { return x; }
};

// Halves, as integers that compare like them.
template <int kInfinity>
struct Half {
  using Stored = uint16_t;
  using Key = int32_t;
  static constexpr bool kNan = false;
  static Key key(Stored bits) {
    int32_t size = bits & 0x7FFF;
    if (size > kInfinity) return kInfinity + 1;
    return bits & 0x8000 ? -size : size;
  }
};

template <size_t kBytes>
using Word = std::conditional_t<
    kBytes == 1, uint8_t,
    std::conditional_t<kBytes == 2, uint16_t, std::conditional_t<kBytes == 4, uint32_t, uint64_t>>>;

int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

template <class O>
unsigned standing(const void* elements, int64_t n) {
  using Key = typename O::Key;
  using W = Word<sizeof(Key)>;
  const auto* a = static_cast<const typename O::Stored*>(elements);
  unsigned holds = kAscending | kStrictlyAscending | kStrictlyDescending;
  // The first few tell of most rows that nothing holds.
  int64_t block = kFirst;
  for (int64_t begin = 1; begin < n && holds; begin += block, block = kBlock) {
    // Whether some neighbours ascend, descend, are equal.
    W ups = 0, downs = 0, equals = 0;
    for (int64_t i = begin, end = least(n, begin + block); i < end; ++i) {
      Key x = O::key(a[i - 1]), y = O::key(a[i]);
      W up = x < y, down = x > y;
      if constexpr (O::kNan) {
        W first = x != x, second = y != y;
        up |= W(second & W(first ^ 1));
        down |= W(first & W(second ^ 1));
      }
      ups |= up;
      downs |= down;
      equals |= W(W(up | down) ^ 1);
    }
    if (downs) holds &= ~unsigned(kAscending | kStrictlyAscending);
    if (equals) holds &= ~unsigned(kStrictlyAscending | kStrictlyDescending);
    if (ups) holds &= ~unsigned(kStrictlyDescending);
  }
  return holds;
}

// Whether an element comes before a place of a query; neither is NaN.
template <bool kRight, class Key>
bool before(Key element, Key query) {
  return kRight ? element <= query : element < query;
}

// The elements before a query's place, which are known to be `low` to `high`.
template <class O, bool kRight>
int64_t place(const typename O::Stored* a, typename O::Key query, int64_t low, int64_t high) {
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (before<kRight>(O::key(a[middle]), query))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// The queries of a block are searched for among the elements between the least and the greatest of
// them only, all at once: the memory of one need not be waited for by the others.
template <class O, bool kRight>
void search_block(const typename O::Stored* a, int64_t numbers, int64_t n,
                  const typename O::Stored* queries, int64_t m, int32_t* out) {
  using Key = typename O::Key;
  Key keys[kBlock], least_of[kLanes], most_of[kLanes];
  int32_t places[kBlock];
  for (int64_t i = 0; i < m; ++i) keys[i] = O::key(queries[i]);
  int64_t padded = (m + kLanes - 1) / kLanes * kLanes, first = 0;
  if constexpr (O::kNan) {
    while (first < m && keys[first] != keys[first]) ++first;
    if (first == m) {
      for (int64_t i = 0; i < m; ++i) out[i] = int32_t(kRight ? n : numbers);
      return;
    }
  }
  for (int64_t i = m; i < padded; ++i) keys[i] = keys[first];
  for (int j = 0; j < kLanes; ++j) least_of[j] = most_of[j] = keys[first];
  for (int64_t i = 0; i < padded; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      Key x = keys[i + j];
      least_of[j] = x < least_of[j] ? x : least_of[j];
      most_of[j] = x > most_of[j] ? x : most_of[j];
    }
  }
  Key lowest = least_of[0], highest = most_of[0];
  for (int j = 1; j < kLanes; ++j) {
    if (least_of[j] < lowest) lowest = least_of[j];
    if (most_of[j] > highest) highest = most_of[j];
  }
  int64_t low = place<O, kRight>(a, lowest, 0, numbers);
  int64_t count = place<O, kRight>(a, highest, low, numbers) - low;
  for (int64_t i = 0; i < m; ++i) places[i] = int32_t(low);
  if (count > 0) {
    for (; count > 1; count -= count / 2) {
      int32_t half = int32_t(count / 2);
      const auto* probed = a + (half - 1);
      for (int64_t i = 0; i < m; ++i)
        places[i] += before<kRight>(O::key(probed[places[i]]), keys[i]) ? half : 0;
    }
    for (int64_t i = 0; i < m; ++i) places[i] += before<kRight>(O::key(a[places[i]]), keys[i]);
  }
  if constexpr (O::kNan) {
    int32_t end = int32_t(kRight ? n : numbers);
    for (int64_t i = 0; i < m; ++i) places[i] = keys[i] != keys[i] ? end : places[i];
  }
  for (int64_t i = 0; i < m; ++i) out[i] = places[i];
}

template <class O, bool kRight>
void search_all(const typename O::Stored* a, int64_t n, const typename O::Stored* queries,
                int64_t m, int32_t* out) {
  int64_t numbers = n;
  if constexpr (O::kNan) {
    numbers = 0;
    for (int64_t high = n; numbers < high;) {
      int64_t middle = numbers + (high - numbers) / 2;
      if (a[middle] == a[middle])
        numbers = middle + 1;
      else
        high = middle;
    }
  }
  for (int64_t i = 0; i < m; i += kBlock)
    search_block<O, kRight>(a, numbers, n, queries + i, least(kBlock, m - i), out + i);
}

template <class O>
void search(const void* elements, int64_t n, const void* queries, int64_t m, bool right,
            int32_t* out) {
  const auto* a = static_cast<const typename O::Stored*>(elements);
  const auto* q = static_cast<const typename O::Stored*>(queries);
  if (right)
    search_all<O, true>(a, n, q, m, out);
  else
    search_all<O, false>(a, n, q, m, out);
}

template <class U, class Order>
void images(const void* elements, int64_t n, void* out, void* low, void* high) {
  const U* a = static_cast<const U*>(elements);
  U* image = static_cast<U*>(out);
  U least = ~U(0), most = 0;
  for (int64_t i = 0; i < n; ++i) {
    U x = Order::template image<true>(a[i]);
    image[i] = x;
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  *static_cast<U*>(low) = least;
  *static_cast<U*>(high) = most;
}

template <class O, class Order>
constexpr OrderKernels kKernels{standing<O>, search<O>,
                                images<Word<sizeof(typename O::Stored)>, Order>};

template <class T>
using Integer = std::conditional_t<std::is_signed_v<T>, SignedOrder<Word<sizeof(T)>>,
                                   UnsignedOrder<Word<sizeof(T)>>>;

template <class T>
constexpr OrderKernels kIntegers = kKernels<Plain<T>, Integer<T>>;

}  // namespace

extern const OrderKernels COVECTOR_ORDER_KERNELS[kNumCodes] = {
    kIntegers<uint8_t>,
    kIntegers<int8_t>,
    kIntegers<int16_t>,
    kIntegers<int32_t>,
    kIntegers<int64_t>,
    kIntegers<uint8_t>,
    kIntegers<uint16_t>,
    kIntegers<uint32_t>,
    kIntegers<uint64_t>,
    kKernels<Half<0x7C00>, HalfOrder>,
    kKernels<Half<0x7F80>, BHalfOrder>,
    kKernels<Plain<float>, FloatOrder32>,
    kKernels<Plain<double>, FloatOrder64>,
    {nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr},
};

}  // namespace covector
