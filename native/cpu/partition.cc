// Rows parted at ranks: the elements there are those that sorting would put there, what comes
// before them stands before them. The elements of the ranks are found by their leading digits,
// those of a part keep their order: the result is one only.
#include <algorithm>
#include <atomic>

#include "core/scratch.h"
#include "cpu/order.h"
#include "cpu/radix.h"
#include "cpu/sort.h"

namespace covector {
namespace {

constexpr int64_t kSortLimit = 64;   // below, sorting finds the ranks
constexpr int64_t kLinearLimit = 8;  // pivots that an element is compared with one by one
constexpr int64_t kElementsOfRows = 8192;

// Ranks whose elements have one leading digit.
struct Group {
  int64_t before, count;  // elements of lower digits, and of this one
  int64_t begin, end;     // which ranks
  int64_t at;             // where the elements are collected
};

template <class U>
struct Collected {
  const U* at;
  U operator()(int64_t i) const { return at[i]; }
};

// Writes the elements of the `m` increasing `ranks` among get(0), …, get(n - 1) to `out`. The
// rooms are of n elements each. False when out of memory.
template <class U, class Get>
bool select(Get get, int64_t n, const int64_t* ranks, int64_t skipped, int64_t m, U* out, U* room,
            U* other) {
  if (n <= kSortLimit) {
    for (int64_t i = 0; i < n; ++i) room[i] = get(i);
    std::sort(room, room + n);
    for (int64_t j = 0; j < m; ++j) out[j] = room[ranks[j] - skipped];
    return true;
  }
  Cut cut(n);
  Range<U> range = range_of<U>(cut, get);
  U low = range.low;
  int width = std::bit_width(U(range.high - low));
  int bits = n <= kShortRow ? kShortDigitBits : kDigitBits;
  int shift = std::max(0, width - bits);
  int64_t size = int64_t(1) << bits;
  Scratch<int64_t> counted(cut.pieces * size);
  Scratch<Group> groups(m);
  if (!counted || !groups) return false;
  int64_t* counts = counted.get();
  cut.each([&](int64_t p, int64_t begin, int64_t end) {
    int64_t* count = counts + p * size;
    std::memset(count, 0, size_t(size) * sizeof *count);
    for (int64_t i = begin; i < end; ++i) ++count[U(get(i) - low) >> shift];
  });
  // From here on a count is where the elements of a piece go, -1 for those of no rank.
  int64_t ngroups = 0, before = 0, at = 0;
  for (int64_t d = 0, j = 0; d < size; ++d) {
    int64_t count = 0;
    for (int64_t p = 0; p < cut.pieces; ++p) count += counts[p * size + d];
    int64_t first = j;
    for (; j < m && ranks[j] - skipped < before + count; ++j) out[j] = U(low + U(U(d) << shift));
    for (int64_t p = 0, place = at; p < cut.pieces; ++p) {
      int64_t& own = counts[p * size + d];
      int64_t here = own;
      own = j > first ? place : -1;
      place += here;
    }
    if (j > first) {
      groups.get()[ngroups++] = {before, count, first, j, at};
      at += count;
    }
    before += count;
  }
  if (!shift) return true;  // A digit is the whole number.
  cut.each([&](int64_t p, int64_t begin, int64_t end) {
    int64_t* place = counts + p * size;
    for (int64_t i = begin; i < end; ++i) {
      U x = get(i);
      int64_t& to = place[U(x - low) >> shift];
      if (to >= 0) room[to++] = x;
    }
  });
  for (const Group *g = groups.get(), *last = g + ngroups; g < last; ++g) {
    if (!select<U>(Collected<U>{room + g->at}, g->count, ranks + g->begin, skipped + g->before,
                   g->end - g->begin, out + g->begin, other + g->at, room + g->at))
      return false;
  }
  return true;
}

template <class U, class Order>
class RowPartition {
 public:
  RowPartition(int64_t n, int64_t m)
      : cut_(n),
        m_(m),
        ranks_(m),
        pivots_(m),
        room_(n),
        other_(n),
        counts_(cut_.pieces * (2 * m + 1)) {}
  explicit operator bool() { return ranks_ && pivots_ && room_ && other_ && counts_; }

  bool part(const U* row, const int32_t* ranks, U* values, int32_t* indices) {
    int64_t* wanted = ranks_.get();
    for (int64_t j = 0; j < m_; ++j) wanted[j] = std::clamp<int64_t>(ranks[j], 0, cut_.n - 1);
    std::sort(wanted, wanted + m_);
    auto get = [=](int64_t i) { return Order::template image<true>(row[i]); };
    U* pivots = pivots_.get();
    if (!select<U>(get, cut_.n, wanted, 0, m_, pivots, room_.get(), other_.get())) return false;
    int64_t n = std::unique(pivots, pivots + m_) - pivots;
    if (n == 1) {
      U pivot = *pivots;
      arrange(row, values, indices, 3, [=](U x) { return int64_t(x > pivot) + (x >= pivot); });
    } else if (n <= kLinearLimit) {
      arrange(row, values, indices, 2 * n + 1, [=](U x) {
        int64_t part = 0;
        for (int64_t j = 0; j < n; ++j) part += int64_t(x > pivots[j]) + (x >= pivots[j]);
        return part;
      });
    } else {
      arrange(row, values, indices, 2 * n + 1, [=](U x) {
        int64_t j = std::lower_bound(pivots, pivots + n, x) - pivots;
        return 2 * j + (j < n && pivots[j] == x);
      });
    }
    return true;
  }

 private:
  template <class F>
  void arrange(const U* row, U* values, int32_t* indices, int64_t parts, F part_of) {
    int64_t* counts = counts_.get();
    auto part_at = [=](int64_t i) { return part_of(Order::template image<true>(row[i])); };
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t* count = counts + p * parts;
      std::fill_n(count, parts, 0);
      for (int64_t i = begin; i < end; ++i) ++count[part_at(i)];
    });
    int64_t position = 0;
    for (int64_t c = 0; c < parts; ++c)
      for (int64_t p = 0; p < cut_.pieces; ++p)
        position += std::exchange(counts[p * parts + c], position);
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t* place = counts + p * parts;
      for (int64_t i = begin; i < end; ++i) {
        int64_t to = place[part_at(i)]++;
        values[to] = row[i];
        indices[to] = int32_t(i);
      }
    });
  }

  Cut cut_;
  int64_t m_;
  Scratch<int64_t> ranks_;
  Scratch<U> pivots_, room_, other_;
  Scratch<int64_t> counts_;
};

}  // namespace

int32_t partition(int32_t code, const void* in, const int32_t* ranks, void* values,
                  int32_t* indices, int64_t rows, int64_t n, int64_t m) {
  if (rows <= 0 || n <= 0) return 0;
  if (m < 0 || n > INT32_MAX) return 3;
  std::atomic<bool> failed{false};
  bool ordered = with_order(code, [&](auto zero, auto order) {
    using U = decltype(zero);
    parallel_for(rows, std::max<int64_t>(1, kElementsOfRows / n), [&](int64_t begin, int64_t end) {
      RowPartition<U, decltype(order)> row(n, m);
      if (!row) {
        failed = true;
        return;
      }
      for (int64_t r = begin; r < end; ++r)
        if (!row.part(static_cast<const U*>(in) + r * n, ranks + r * m,
                      static_cast<U*>(values) + r * n, indices + r * n))
          failed = true;
    });
  });
  return !ordered ? 3 : failed ? 1 : 0;
}

}  // namespace covector
