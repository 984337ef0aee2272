// Stable sorting of several operands by several keys: a permutation is refined from the last
// key to the first, and then applied to every operand.
//
// One key is sorted as 64-bit words: the key's order-preserving image, less the smallest, above
// the element's position. The words are distinct, so any sort of them is stable. Where an image
// has more bits than are left beside the position, its low bits are looked at afterwards, in
// the runs of equal high bits.
#include <atomic>
#include <bit>

#include "core/scratch.h"
#include "cpu/order.h"
#include "cpu/order_kernels.h"
#include "cpu/radix.h"
#include "cpu/sort.h"

namespace covector {
namespace {

constexpr int64_t kGrain = 64 * 1024;
constexpr int64_t kElementsOfRows = 2048;
constexpr int64_t kBlock = 512;  // elements whose order is looked at at once
constexpr int64_t kFirst = 64;   // those that tell of most rows

// Writes the images of a row's elements, in the order of `order` (the identity where null).
template <class P>
void read_images(int code, const char* data, int64_t stride, const P* order, uint64_t* images,
                 int64_t n) {
  with_order(code, [&](auto zero, auto o) {
    using U = decltype(zero);
    using Order = decltype(o);
    parallel_for(n, kGrain, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        int64_t at = order ? int64_t(order[i]) : i;
        images[i] = Order::template image<true>(*reinterpret_cast<const U*>(data + at * stride));
      }
    });
  });
}

void read_complex64(const char* data, const uint32_t* order, uint64_t* images, int64_t n) {
  const uint32_t* words = reinterpret_cast<const uint32_t*>(data);
  parallel_for(n, kGrain, [&](int64_t b, int64_t e) {
    for (int64_t i = b; i < e; ++i) {
      int64_t at = order ? int64_t(order[i]) : i;
      images[i] = uint64_t(FloatOrder32::image<true>(words[2 * at])) << 32 |
                  FloatOrder32::image<true>(words[2 * at + 1]);
    }
  });
}

// Sorts the runs of words that are equal above their positions by what was left out of the images.
void sort_runs(uint64_t* words, const uint64_t* images, int64_t n, int position_bits) {
  uint64_t mask = (uint64_t(1) << position_bits) - 1;
  auto less = [=](uint64_t x, uint64_t y) {
    uint64_t p = x & mask, q = y & mask;
    return images[p] != images[q] ? images[p] < images[q] : p < q;
  };
  for (int64_t i = 0; i < n;) {
    int64_t end = i + 1;
    while (end < n && words[end] >> position_bits == words[i] >> position_bits) ++end;
    if (end - i > 1) std::sort(words + i, words + end, less);
    i = end;
  }
}

// The order of a row's elements number b to e - 1 (but the first) and those before them, as far as
// the keys before did not tell: `later[i - b]` says that they did. False where it descends.
template <class U, class Order>
bool ascends(const char* data, int64_t stride, int64_t b, int64_t e, bool* later) {
  bool up = true;
  U before = Order::template image<true>(*reinterpret_cast<const U*>(data + (b - 1) * stride));
  for (int64_t i = b; i < e; ++i) {
    U x = Order::template image<true>(*reinterpret_cast<const U*>(data + i * stride));
    up &= later[i - b] | (before <= x);
    later[i - b] |= before < x;
    before = x;
  }
  return up;
}

// Whether elements b to e - 1 of a row (but the first of all) and those before them are sorted.
bool block_in_order(int32_t nkeys, const int32_t* codes, const void* const* in, int64_t row,
                    int64_t n, int64_t b, int64_t e) {
  auto key = [=](int k) {
    return static_cast<const char*>(in[k]) + row * n * kBuiltinItemsize[codes[k]];
  };
  // That each key ascends by itself is seen fastest.
  bool each = true;
  for (int k = 0; k < nkeys && each; ++k) {
    if ((each = !is_complex(codes[k]))) {
      unsigned holds = order_kernels(codes[k]).standing(
          key(k) + (b - 1) * kBuiltinItemsize[codes[k]], e - b + 1);
      if (holds & kStrictlyAscending) return true;
      each = holds & kAscending;
      if (!k && !each) return false;
    }
  }
  if (each) return true;
  bool later[kBlock] = {};
  for (int k = 0; k < nkeys; ++k) {
    int size = kBuiltinItemsize[codes[k]], parts = is_complex(codes[k]) ? 2 : 1;
    int code = codes[k] == kC64 ? kF32 : codes[k] == kC128 ? kF64 : codes[k];
    for (int part = 0; part < parts; ++part) {
      bool up = true;
      with_order(code, [&](auto zero, auto order) {
        using U = decltype(zero);
        up = ascends<U, decltype(order)>(key(k) + part * int(sizeof(U)), size, b, e, later);
      });
      if (!up) return false;
    }
  }
  return true;
}

// Whether a row is sorted already, by all its keys.
bool in_order(int32_t nkeys, const int32_t* codes, const void* const* in, int64_t row, int64_t n) {
  if (n > 1 && !block_in_order(nkeys, codes, in, row, n, 1, std::min(n, kFirst))) return false;
  std::atomic<bool> sorted{true};
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t b = std::max<int64_t>(begin, 1); b < end; b += kBlock) {
      if (!sorted.load(std::memory_order_relaxed)) return;
      if (!block_in_order(nkeys, codes, in, row, n, b, std::min(end, b + kBlock))) sorted = false;
    }
  });
  return sorted;
}

void copy_row(const void* from, void* to, int64_t bytes) {
  parallel_for(bytes, kGrain * 8, [=](int64_t b, int64_t e) {
    std::memcpy(static_cast<char*>(to) + b, static_cast<const char*>(from) + b, size_t(e - b));
  });
}

struct Wide {
  uint64_t words[2];
};

class RowSorter {
 public:
  explicit RowSorter(int64_t n)
      : n_(n),
        bits_(std::bit_width(uint64_t(n - 1))),
        images_(n),
        words_(n),
        order_(n),
        previous_(n),
        copy_(n),
        sorter_(Cut(n)) {}
  explicit operator bool() const { return images_ && words_ && order_ && previous_ && copy_; }

  bool sort(int32_t nops, const int32_t* codes, const void* const* in, void* const* out,
            int32_t nkeys, int64_t row) {
    identity_ = true;
    for (int k = nkeys - 1; k >= 0; --k) {
      int code = codes[k], size = kBuiltinItemsize[code];
      const char* data = static_cast<const char*>(in[k]) + row * n_ * size;
      if (code == kC64) {
        read_complex64(data, order(), images_.get(), n_);
        if (!refine()) return false;
      } else if (code == kC128) {  // by the imaginary part, then by the real part
        for (int part = 1; part >= 0; --part) {
          read_images(kF64, data + 8 * part, size, order(), images_.get(), n_);
          if (!refine()) return false;
        }
      } else {
        read_images(code, data, size, order(), images_.get(), n_);
        if (!refine()) return false;
      }
    }
    for (int o = 0; o < nops; ++o) {
      if (!out[o]) continue;
      int64_t size = kBuiltinItemsize[codes[o]], begin = row * n_ * size;
      const char* from = static_cast<const char*>(in[o]) + begin;
      char* to = static_cast<char*>(out[o]) + begin;
      switch (size) {
        case 1: permute<uint8_t>(from, to); break;
        case 2: permute<uint16_t>(from, to); break;
        case 4: permute<uint32_t>(from, to); break;
        case 8: permute<uint64_t>(from, to); break;
        default: permute<Wide>(from, to); break;
      }
    }
    return true;
  }

 private:
  const uint32_t* order() { return identity_ ? nullptr : order_.get(); }

  // Sorts the order so far by the images, which stand in it.
  bool refine() {
    const uint64_t* images = images_.get();
    Row standing = row_order(n_, [=](int64_t i) { return images[i]; });
    if (standing == Row::kAscending && !identity_) return true;
    uint64_t mask = (uint64_t(1) << bits_) - 1;
    const uint64_t* words = words_.get();
    if (standing == Row::kUnordered && !(words = sorted_words())) return false;
    uint32_t *order = order_.get(), *previous = previous_.get();
    if (!identity_) std::memcpy(previous, order, size_t(n_) * sizeof *order);
    parallel_for(n_, kGrain, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) {
        uint32_t position = uint32_t(standing == Row::kAscending    ? i
                                     : standing == Row::kDescending ? n_ - 1 - i
                                                                    : words[i] & mask);
        order[i] = identity_ ? position : previous[position];
      }
    });
    identity_ = false;
    return true;
  }

  // Positions, in the low bits of words that are sorted by image; null when out of memory.
  const uint64_t* sorted_words() {
    const uint64_t* images = images_.get();
    Cut cut(n_);
    Range<uint64_t> range = range_of<uint64_t>(cut, [=](int64_t i) { return images[i]; });
    uint64_t low = range.low;
    // Low bits that are the same in all elements are left out.
    int same = std::countr_zero(range.differing);
    int width = int(std::bit_width((range.high - low) >> same));
    int spare = std::max(0, width - (64 - bits_));
    int shift = same + spare;
    uint64_t* words = words_.get();
    cut.each([&](int64_t, int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i)
        words[i] = ((images[i] - low) >> shift) << bits_ | uint64_t(i);
    });
    if (n_ <= kComparisonLimit) {
      std::sort(words, words + n_);
    } else {
      if (!sorter_) return nullptr;
      words = sorter_.sort(words, 0, ((range.high - low) >> shift) << bits_, bits_);
    }
    if (spare) sort_runs(words, images, n_, bits_);
    return words;
  }

  template <class T>
  void permute(const char* from, char* to) {
    const T* row = reinterpret_cast<const T*>(from);
    T* out = reinterpret_cast<T*>(from == to ? static_cast<void*>(copy_.get()) : to);
    const uint32_t* order = order_.get();
    parallel_for(n_, kGrain, [&](int64_t b, int64_t e) {
      for (int64_t i = b; i < e; ++i) out[i] = row[order[i]];
    });
    if (from == to) copy_row(out, to, n_ * int64_t(sizeof(T)));
  }

  int64_t n_;
  int bits_;
  bool identity_ = true;
  Scratch<uint64_t> images_, words_;
  Scratch<uint32_t> order_, previous_;
  Scratch<Wide> copy_;
  RadixSorter<uint64_t> sorter_;
};

}  // namespace

int32_t sort_multi(int32_t nops, const int32_t* codes, const void* const* in, void* const* out,
                   int32_t nkeys, int64_t rows, int64_t n) {
  for (int o = 0; o < nops; ++o)
    if (codes[o] < 0 || codes[o] >= kNumCodes || (o < nkeys && codes[o] == kKey)) return 3;
  if (n > int64_t(UINT32_MAX)) return 3;
  if (rows <= 0 || n <= 0) return 0;
  std::atomic<bool> failed{false};
  parallel_for(rows, std::max<int64_t>(1, kElementsOfRows / n), [&](int64_t begin, int64_t end) {
    RowSorter sorter(n);
    if (!sorter) {
      failed = true;
      return;
    }
    for (int64_t r = begin; r < end; ++r) {
      if (!in_order(nkeys, codes, in, r, n)) {
        if (!sorter.sort(nops, codes, in, out, nkeys, r)) failed = true;
        continue;
      }
      for (int o = 0; o < nops; ++o) {
        if (!out[o] || out[o] == in[o]) continue;
        int64_t bytes = n * kBuiltinItemsize[codes[o]];
        copy_row(static_cast<const char*>(in[o]) + r * bytes,
                 static_cast<char*>(out[o]) + r * bytes, bytes);
      }
    }
  });
  return failed ? 1 : 0;
}

}  // namespace covector
