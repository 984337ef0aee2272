// Sorting of unsigned integers by radix: their leading digits are sorted from the last to the
// first, and what is still out of order afterwards, which is little, in runs of equal digits.
//
// A sorted row of integers is one only, and every pass is stable: the result does not depend on
// how the work is cut.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/order_kernels.h"

namespace covector {

constexpr int kDigitBits = 11, kShortDigitBits = 8;  // the latter in rows that counts would outgrow
constexpr int64_t kShortRow = 16 * 1024;
constexpr int kPasses = 3;
constexpr int64_t kRadixPiece = 128 * 1024, kRadixPieces = 8;
constexpr int64_t kInsertionLimit = 24, kComparisonLimit = 256;

// A row cut into equal pieces, which may be worked on at once.
struct Cut {
  int64_t n, pieces;
  explicit Cut(int64_t n) : n(n), pieces(std::clamp<int64_t>(n / kRadixPiece, 1, kRadixPieces)) {
    if (num_threads() == 1) pieces = 1;
  }
  int64_t start(int64_t piece) const { return n / pieces * piece + std::min(piece, n % pieces); }
  template <class F>
  void each(F&& f) const {
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) f(p, start(p), start(p + 1));
    });
  }
};

// What the elements have in common.
template <class U>
struct Range {
  U low, high, differing;  // the bits in which they differ
};

// The range of f(0), …, f(n - 1), each of which is called once.
template <class U, class F>
Range<U> range_of(const Cut& cut, F f) {
  Range<U> parts[kRadixPieces];
  U firsts[kRadixPieces];
  cut.each([&](int64_t p, int64_t begin, int64_t end) {
    U first = f(begin);
    Range<U> part{first, first, 0};
    for (int64_t i = begin + 1; i < end; ++i) {
      U x = f(i);
      part.low = std::min(part.low, x);
      part.high = std::max(part.high, x);
      part.differing |= x ^ first;
    }
    parts[p] = part;
    firsts[p] = first;
  });
  Range<U> all = parts[0];
  for (int64_t p = 1; p < cut.pieces; ++p) {
    all.low = std::min(all.low, parts[p].low);
    all.high = std::max(all.high, parts[p].high);
    all.differing |= parts[p].differing | (firsts[p] ^ firsts[0]);
  }
  return all;
}

template <class U>
class RadixSorter {
 public:
  explicit RadixSorter(Cut cut)
      : cut_(cut),
        bits_(cut.n <= kShortRow ? kShortDigitBits : kDigitBits),
        counts_(cut.pieces << bits_),
        scratch_(cut.n) {}
  explicit operator bool() { return counts_ && scratch_; }

  // Where the sorted elements of `a`, which lie between two, are then: there or in memory of this
  // sorter. The lowest `settled` bits are equal in all, or in order already among those elements
  // that are equal but for them.
  U* sort(U* a, U low, U high, int settled) {
    low = U(low >> settled << settled);
    int width = std::bit_width(U(U(high - low) >> settled));
    int passes = std::min(kPasses, (width + bits_ - 1) / bits_);
    if (!passes) return a;
    int digit = std::min(bits_, (width + passes - 1) / passes);
    int lowest = settled + std::max(0, width - passes * digit);
    U *from = a, *to = scratch_.get();
    for (int pass = 0; pass < passes; ++pass)
      if (move(from, to, low, lowest + pass * digit, digit)) std::swap(from, to);
    if (lowest > settled) finish(from, low, lowest);
    return from;
  }

  // One thread's work, in place.
  void sort_in_place(U* a) {
    Range<U> range = range_of<U>(cut_, [=](int64_t i) { return a[i]; });
    const U* sorted = sort(a, range.low, range.high, 0);
    if (sorted != a) std::memcpy(a, sorted, size_t(cut_.n) * sizeof(U));
  }

 private:
  // Sorts by one digit, stably; false if it is the same in all elements.
  bool move(const U* from, U* to, U low, int shift, int bits) {
    U mask = U((uint64_t(1) << bits) - 1);
    int64_t size = int64_t(1) << bits, *counts = counts_.get();
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t* count = counts + p * size;
      std::memset(count, 0, size_t(size) * sizeof *count);
      for (int64_t i = begin; i < end; ++i) ++count[U(U(from[i] - low) >> shift) & mask];
    });
    int64_t position = 0;
    for (int64_t d = 0; d < size; ++d) {
      int64_t before = position;
      for (int64_t p = 0; p < cut_.pieces; ++p)
        position += std::exchange(counts[p * size + d], position);
      if (position - before == cut_.n) return false;
    }
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t* place = counts + p * size;
      for (int64_t i = begin; i < end; ++i) {
        U x = from[i];
        to[place[U(U(x - low) >> shift) & mask]++] = x;
      }
    });
    return true;
  }

  // Sorts the runs of elements that are equal from bit `lowest` on.
  void finish(U* a, U low, int lowest) {
    auto same = [=](U x, U y) { return U(x - low) >> lowest == U(y - low) >> lowest; };
    // A run is of the piece in which it begins.
    int64_t starts[kRadixPieces + 1];
    for (int64_t p = 0; p <= cut_.pieces; ++p) {
      int64_t i = cut_.start(p);
      while (p && i < cut_.n && same(a[i - 1], a[i])) ++i;
      starts[p] = i;
    }
    cut_.each([&](int64_t p, int64_t, int64_t) {
      for (int64_t i = starts[p] + 1; i < starts[p + 1]; ++i) {
        if (a[i - 1] <= a[i]) continue;
        int64_t begin = i - 1, end = i + 1;
        while (begin > starts[p] && same(a[begin - 1], a[i])) --begin;
        while (end < starts[p + 1] && same(a[end], a[i])) ++end;
        sort_run(a + begin, end - begin);
        i = end;
      }
    });
  }

  static void sort_run(U* a, int64_t n) {
    if (n <= kInsertionLimit) {
      for (int64_t i = 1; i < n; ++i) {
        U x = a[i];
        int64_t j = i;
        for (; j > 0 && a[j - 1] > x; --j) a[j] = a[j - 1];
        a[j] = x;
      }
      return;
    }
    if (n > kComparisonLimit) {
      RadixSorter sorter{Cut(n)};
      if (sorter) return sorter.sort_in_place(a);
    }
    std::sort(a, a + n);  // needs no memory
  }

  Cut cut_;
  int bits_;
  Scratch<int64_t> counts_;
  Scratch<U> scratch_;
};

// What holds of all neighbours in a row of real numbers: some of `Standing`.
inline unsigned row_standing(int code, const void* row, int64_t n) {
  const char* data = static_cast<const char*>(row);
  std::atomic<unsigned> holds{~0u};
  Cut(n).each([&](int64_t, int64_t begin, int64_t end) {
    int64_t first = std::max<int64_t>(begin - 1, 0);
    holds &= order_kernels(code).standing(data + first * kBuiltinItemsize[code], end - first);
  });
  return holds;
}

// How a row stands already.
enum class Row { kUnordered, kAscending, kDescending };

// kDescending: strictly, so that turning the row round is stable.
template <class F>
Row row_order(int64_t n, F f) {
  constexpr int64_t kBlock = 256;
  bool up = true, down = true;
  for (int64_t i = 1; i < n && (up || down);) {
    bool ascends = true, descends = true;
    for (int64_t end = std::min(n, i + kBlock); i < end; ++i) {
      ascends &= f(i - 1) <= f(i);
      descends &= f(i - 1) > f(i);
    }
    up &= ascends;
    down &= descends;
  }
  return up ? Row::kAscending : down ? Row::kDescending : Row::kUnordered;
}

}  // namespace covector
