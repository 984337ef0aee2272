// Stable sorting of several operands by several keys: a permutation is refined from the last
// key to the first, and then applied to every operand.
#include <atomic>

#include "engine/order.h"
#include "engine/radix.h"
#include "engine/scratch.h"
#include "engine/sort.h"

namespace covector {
namespace {

constexpr int64_t kComparisonLimit = 256;

// One real key of a row: complex operands count as two, the real part first.
struct Key {
  int code;
  const char* data;
  int64_t stride;  // in bytes
};

template <class U, class Position>
struct Keyed {
  U key;
  Position position;
};

// Refines `order` (a permutation, or null for the identity) by one key.
template <class Position>
bool refine(const Key& key, Position* order, bool identity, int64_t n) {
  bool ok = true;
  with_order(key.code, [&](auto zero, auto o) {
    using U = decltype(zero);
    using Order = decltype(o);
    using Item = Keyed<U, Position>;
    Scratch<Item> items(n), spare(n);
    Scratch<Position> previous(identity ? 0 : n);
    if (!items || !spare || !previous) {
      ok = false;
      return;
    }
    Item* a = items.get();
    parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        int64_t at = identity ? i : int64_t(order[i]);
        U bits = *reinterpret_cast<const U*>(key.data + at * key.stride);
        a[i] = {Order::template image<true>(bits), Position(i)};
      }
    });
    if (n <= kComparisonLimit)
      std::sort(a, a + n, [](const Item& x, const Item& y) {
        return x.key != y.key ? x.key < y.key : x.position < y.position;
      });
    else
      radix_sort(a, spare.get(), n, sizeof(U) * 8, [](const Item& x) { return x.key; });
    if (identity) {
      for (int64_t i = 0; i < n; ++i) order[i] = a[i].position;
    } else {
      std::memcpy(previous.get(), order, size_t(n) * sizeof(Position));
      for (int64_t i = 0; i < n; ++i) order[i] = previous.get()[a[i].position];
    }
  });
  return ok;
}

struct Wide {
  uint64_t words[2];
};

template <class T, class Position>
bool permute(T* row, const Position* order, int64_t n) {
  Scratch<T> copy(n);
  if (!copy) return false;
  T* out = copy.get();
  parallel_for(n, kRadixChunk, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) out[i] = row[order[i]];
  });
  std::memcpy(row, out, size_t(n) * sizeof(T));
  return true;
}

template <class Position>
bool permute(void* row, int itemsize, const Position* order, int64_t n) {
  switch (itemsize) {
    case 1: return permute(static_cast<uint8_t*>(row), order, n);
    case 2: return permute(static_cast<uint16_t*>(row), order, n);
    case 4: return permute(static_cast<uint32_t*>(row), order, n);
    case 8: return permute(static_cast<uint64_t*>(row), order, n);
    default: return permute(static_cast<Wide*>(row), order, n);
  }
}

template <class Position>
bool sort_row(int32_t nops, const int32_t* codes, void** ptrs, int32_t nkeys, int64_t row,
              int64_t n) {
  Scratch<Position> order(n);
  if (!order) return false;
  bool identity = true;
  auto refine_by = [&](int code, const char* data, int64_t stride) {
    bool ok = refine<Position>({code, data, stride}, order.get(), identity, n);
    identity = false;
    return ok;
  };
  for (int k = nkeys - 1; k >= 0; --k) {
    int code = codes[k], size = kBuiltinItemsize[code];
    const char* data = static_cast<const char*>(ptrs[k]) + row * n * size;
    if (is_complex(code)) {
      int part = code == kC64 ? kF32 : kF64;
      if (!refine_by(part, data + size / 2, size) || !refine_by(part, data, size)) return false;
    } else if (!refine_by(code, data, size)) {
      return false;
    }
  }
  for (int o = 0; o < nops; ++o) {
    int size = kBuiltinItemsize[codes[o]];
    if (!permute(static_cast<char*>(ptrs[o]) + row * n * size, size, order.get(), n)) return false;
  }
  return true;
}

}  // namespace

int32_t sort_multi(int32_t nops, const int32_t* codes, void** ptrs, int32_t nkeys, int64_t rows,
                   int64_t n) {
  for (int o = 0; o < nops; ++o)
    if (codes[o] < 0 || codes[o] >= kNumCodes || (o < nkeys && codes[o] == kKey)) return 3;
  if (rows <= 0 || n <= 1 || nkeys <= 0) return 0;
  std::atomic<bool> failed{false};
  parallel_for(rows, std::max<int64_t>(1, 2048 / n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      bool ok = n <= int64_t(UINT32_MAX)
                    ? sort_row<uint32_t>(nops, codes, ptrs, nkeys, r, n)
                    : sort_row<uint64_t>(nops, codes, ptrs, nkeys, r, n);
      if (!ok) failed = true;
    }
  });
  return failed ? 1 : 0;
}

}  // namespace covector
