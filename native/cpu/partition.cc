// Rows parted at ranks: the elements there are those that sorting would put there, what comes
// before them stands before them. The elements of the ranks are found by their leading digits,
// those of a part keep their order: the result is one only.
#include <algorithm>
#include <atomic>

#include "core/scratch.h"
#include "cpu/order.h"
#include "cpu/order_kernels.h"
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

// Writes the elements of the `m` increasing `ranks` among `from`, which lie between `low` and
// `high`, to `out`. The rooms are of n elements each. False when out of memory.
template <class U>
bool select(const U* from, U low, U high, int64_t n, const int64_t* ranks, int64_t skipped,
            int64_t m, U* out, U* room, U* other) {
  if (n <= kSortLimit) {
    std::copy(from, from + n, room);
    std::sort(room, room + n);
    for (int64_t j = 0; j < m; ++j) out[j] = room[ranks[j] - skipped];
    return true;
  }
  Cut cut(n);
  int width = std::bit_width(U(high - low));
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
    for (int64_t i = begin; i < end; ++i) ++count[U(from[i] - low) >> shift];
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
      U x = from[i];
      int64_t& to = place[U(x - low) >> shift];
      if (to >= 0) room[to++] = x;
    }
  });
  for (const Group *g = groups.get(), *last = g + ngroups; g < last; ++g) {
    const U* part = room + g->at;
    Range<U> range = range_of<U>(Cut(g->count), [=](int64_t i) { return part[i]; });
    if (!select<U>(part, range.low, range.high, g->count, ranks + g->begin, skipped + g->before,
                   g->end - g->begin, out + g->begin, other + g->at, room + g->at))
      return false;
  }
  return true;
}

// Which results are wanted of a row; the others are null.
template <class U>
struct Results {
  U* values;
  int32_t* indices;
  U* found;
};

template <class U, class Order>
class RowPartition {
 public:
  RowPartition(int code, int64_t n, int64_t m)
      : cut_(n),
        code_(code),
        m_(m),
        ranks_(m),
        pivots_(m),
        bits_(m),
        images_(n),
        room_(n),
        other_(n),
        counts_(cut_.pieces * (2 * m + 1)) {}
  explicit operator bool() {
    return ranks_ && pivots_ && bits_ && images_ && room_ && other_ && counts_;
  }

  bool part(const U* row, const int32_t* ranks, Results<U> out) {
    int64_t* wanted = ranks_.get();
    for (int64_t j = 0; j < m_; ++j) wanted[j] = std::clamp<int64_t>(ranks[j], 0, cut_.n - 1);
    unsigned holds = row_standing(code_, row, cut_.n);
    if (holds & kAscending) {
      if (out.found)
        for (int64_t j = 0; j < m_; ++j) out.found[j] = row[wanted[j]];
      keep(row, out);
      return true;
    }
    std::sort(wanted, wanted + m_);
    Range<U> range = write_images(row);
    const U* images = images_.get();
    U* pivots = pivots_.get();
    if (holds & kStrictlyDescending) {
      for (int64_t j = 0; j < m_; ++j) pivots[j] = images[cut_.n - 1 - wanted[j]];
    } else if (!select<U>(images, range.low, range.high, cut_.n, wanted, 0, m_, pivots,
                          room_.get(), other_.get())) {
      return false;
    }
    if (out.found) write_found(row, ranks, out.found);
    int64_t n = std::unique(pivots, pivots + m_) - pivots;
    if (!out.values && !out.indices) return true;
    if (n == 1) {
      arrange_about(*pivots, row, out);
    } else if (n <= kLinearLimit) {
      arrange(row, out, 2 * n + 1, [=](U x) {
        int64_t part = 0;
        for (int64_t j = 0; j < n; ++j) part += int64_t(x > pivots[j]) + (x >= pivots[j]);
        return part;
      });
    } else {
      arrange(row, out, 2 * n + 1, [=](U x) {
        int64_t j = std::lower_bound(pivots, pivots + n, x) - pivots;
        return 2 * j + (j < n && pivots[j] == x);
      });
    }
    return true;
  }

 private:
  static U image(U bits) { return Order::template image<true>(bits); }

  // The images of a row's elements, and their least and greatest.
  Range<U> write_images(const U* row) {
    U lows[kRadixPieces], highs[kRadixPieces], *images = images_.get();
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      order_kernels(code_).images(row + begin, end - begin, images + begin, lows + p, highs + p);
    });
    return {*std::min_element(lows, lows + cut_.pieces),
            *std::max_element(highs, highs + cut_.pieces), 0};
  }

  // Writes the elements of the ranks, of which `pivots_` has the images. Equal ones that differ,
  // zeros and NaNs, are taken in their order.
  void write_found(const U* row, const int32_t* ranks, U* found) {
    const int64_t* wanted = ranks_.get();
    U *pivots = pivots_.get(), *bits = bits_.get(), *room = room_.get();
    const U* images = images_.get();
    for (int64_t j = 0; j < m_; ++j) bits[j] = Order::inverse(pivots[j]);
    if constexpr (Order::kFloat) {
      for (U special : {image(0), image(U(~Order::kSign))}) {
        auto [begin, end] = std::equal_range(pivots, pivots + m_, special);
        if (begin == end) continue;
        int64_t before = 0, same = 0;
        for (int64_t i = 0; i < cut_.n; ++i) {
          U x = images[i];
          before += x < special;
          if (x == special) room[same++] = row[i];
        }
        for (int64_t j = begin - pivots; j < end - pivots; ++j) bits[j] = room[wanted[j] - before];
      }
    }
    for (int64_t j = 0; j < m_; ++j) {
      int64_t rank = std::clamp<int64_t>(ranks[j], 0, cut_.n - 1);
      found[j] = bits[std::lower_bound(wanted, wanted + m_, rank) - wanted];
    }
  }

  // A row that is in order stays as it is.
  void keep(const U* row, Results<U> out) {
    if (!out.values && !out.indices) return;
    cut_.each([&](int64_t, int64_t begin, int64_t end) {
      if (out.values) std::copy(row + begin, row + end, out.values + begin);
      if (out.indices)
        for (int64_t i = begin; i < end; ++i) out.indices[i] = int32_t(i);
    });
  }

  template <class F>
  void arrange(const U* row, Results<U> out, int64_t parts, F part_of) {
    int64_t* counts = counts_.get();
    const U* images = images_.get();
    auto part_at = [=](int64_t i) { return part_of(images[i]); };
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
      for (int64_t i = begin; i < end; ++i) write(row, out, i, place[part_at(i)]++);
    });
  }

  static void write(const U* row, Results<U> out, int64_t i, int64_t to) {
    if (out.values) out.values[to] = row[i];
    if (out.indices) out.indices[to] = int32_t(i);
  }

  // The same about one pivot, without waiting for what was counted last.
  void arrange_about(U pivot, const U* row, Results<U> out) {
    const U* images = images_.get();
    int64_t less[kRadixPieces], equal[kRadixPieces], all_less = 0, all_equal = 0;
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t below = 0, upto = 0;
      for (int64_t i = begin; i < end; ++i) {
        below += images[i] < pivot;
        upto += images[i] <= pivot;
      }
      less[p] = below;
      equal[p] = upto - below;
    });
    for (int64_t p = 0; p < cut_.pieces; ++p) {
      all_less += std::exchange(less[p], all_less);
      all_equal += std::exchange(equal[p], all_equal);
    }
    cut_.each([&](int64_t p, int64_t begin, int64_t end) {
      int64_t below = less[p], same = all_less + equal[p];
      int64_t above = all_less + all_equal + (begin - less[p] - equal[p]);
      auto part = [&](auto write) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t lower = images[i] < pivot, higher = images[i] > pivot;
          // What follows is not to be guessed, so there is no branch.
          write(i, same ^ ((same ^ below) & -lower) ^ ((same ^ above) & -higher));
          below += lower;
          above += higher;
          same += 1 - lower - higher;
        }
      };
      if (out.values && out.indices) {
        part([=](int64_t i, int64_t to) {
          out.values[to] = row[i];
          out.indices[to] = int32_t(i);
        });
      } else if (out.values) {
        part([=](int64_t i, int64_t to) { out.values[to] = row[i]; });
      } else {
        part([=](int64_t i, int64_t to) { out.indices[to] = int32_t(i); });
      }
    });
  }

  Cut cut_;
  int code_;
  int64_t m_;
  Scratch<int64_t> ranks_;
  Scratch<U> pivots_, bits_, images_, room_, other_;
  Scratch<int64_t> counts_;
};

}  // namespace

int32_t partition(int32_t code, const void* in, const int32_t* ranks, void* values,
                  int32_t* indices, void* found, int64_t rows, int64_t n, int64_t m) {
  if (rows <= 0) return 0;
  if (m < 0 || n > INT32_MAX) return 3;
  std::atomic<bool> failed{false};
  bool ordered = with_order(code, [&](auto zero, auto order) {
    using U = decltype(zero);
    if (n <= 0) {  // There is nothing to find.
      if (found) std::memset(found, 0, size_t(rows * m) * sizeof(U));
      return;
    }
    auto at = [](auto* results, int64_t i) { return results ? results + i : nullptr; };
    parallel_for(rows, std::max<int64_t>(1, kElementsOfRows / n), [&](int64_t begin, int64_t end) {
      RowPartition<U, decltype(order)> row(code, n, m);
      if (!row) {
        failed = true;
        return;
      }
      for (int64_t r = begin; r < end; ++r) {
        Results<U> out{at(static_cast<U*>(values), r * n), at(indices, r * n),
                       at(static_cast<U*>(found), r * m)};
        if (!row.part(static_cast<const U*>(in) + r * n, ranks + r * m, out)) failed = true;
      }
    });
  });
  return !ordered ? 3 : failed ? 1 : 0;
}

}  // namespace covector
