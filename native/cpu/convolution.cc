// Windows are rows of a matrix that is nowhere stored: tiles of results read them where they lie,
// in the operand or a copy of some of its lines with the padding.
#include "cpu/convolution.h"

#include <atomic>
#include <complex>

#include "core/thread_pool.h"
#include "cpu/convolution_windows.h"
#include "cpu/lapack_common.h"
#include "cpu/tiles.h"
#include "cpu/winograd.h"

namespace covector {
namespace {

// Bytes of the right factors that tiles of a block take one after the other.
constexpr int64_t kPanelBytes = 128 * 1024;
// Where all rows add to one result: parts of the sum, and the bytes that they may take together.
constexpr int64_t kMostParts = 16;
constexpr int64_t kPartBytes = int64_t(64) << 20;
constexpr int64_t kSumGrain = 16 * 1024;

// --- a row of windows makes a row of the result -----------------------------------------------

template <class T>
struct RowsOfResults {
  using Tiles = TilesOf<T>;
  using S = Stretch<Real<T>>;

  const Windows<T>& w;
  const Panels<T>& panels;
  const T* packed;  // [panel][column of the matrix of windows][width]
  T* result;
  int64_t outputs;

  int64_t depth() const {
    return std::max<int64_t>(16, kPanelBytes / (panels.width() * int64_t(sizeof(T))));
  }
  int64_t most_stretches() const { return w.entries() + w.columns() / depth() + 2; }

  // The entries of a window, those that lie side by side as one, cut after each `depth` terms.
  int64_t stretches(const Patch<T>& patch, const Panel& p, S* to) const {
    const auto& [x, y, z] = w.axes;
    const int64_t most = depth();
    const T* b = packed + p.begin * w.columns();
    int64_t n = 0, t = 0, next = -1;
    for (int64_t ex = 0; ex < x.entries; ++ex)
      for (int64_t ey = 0; ey < y.entries; ++ey)
        for (int64_t ez = 0; ez < z.entries; ++ez) {
          int64_t at = patch.entry(ex, ey, ez) + p.group * w.run;
          for (int64_t rest = w.run; rest > 0;) {
            const int64_t count = std::min(rest, most - t % most);
            if (at == next && t % most != 0)
              to[n - 1].count += count;
            else
              to[n++] = {at * Tiles::kParts, count,
                         reinterpret_cast<const Real<T>*>(b + t * p.width)};
            t += count, rest -= count, next = at += count;
          }
        }
    return n;
  }

  void block(const Block& b, const Patch<T>& patch, const Panel& p, S* list) const {
    const int64_t n = stretches(patch, p, list), most = depth();
    for (int64_t first = 0, last = 0; first < n; first = last) {
      for (int64_t terms = 0; last < n && terms < most;) terms += list[last++].count;
      for (int64_t r = 0; r < b.rows(); r += Tiles::kRows) {
        const int rows = int(std::min<int64_t>(Tiles::kRows, b.rows() - r));
        const T* a[Tiles::kRows];
        T* c[Tiles::kRows];
        for (int k = 0; k < rows; ++k) {
          a[k] = patch.data() + patch.row((r + k) / b.nz, (r + k) % b.nz);
          c[k] = result + b.row(r + k) * outputs + p.first;
        }
        Tiles::run(p.vectors, a, c, rows, p.columns, first > 0, list + first, last - first,
                   Tiles::kParts);
      }
    }
  }
};

template <class T>
int32_t rows_of_results(const Windows<T>& w, const T* kernel, T* result, int64_t outputs,
                        int64_t groups) {
  const Panels<T> panels(outputs, groups);
  const Blocks<T> blocks(w);
  Scratch<T> packed(panels.count() * panels.width() * w.columns());
  if (!packed) return 1;
  parallel_for(panels.count() * w.columns(), kSumGrain / panels.width() + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i)
                   pack_row(kernel + i % w.columns() * outputs, panels[i / w.columns()],
                            packed.get() + i * panels.width());
               });
  const RowsOfResults<T> rows{w, panels, packed.get(), result, outputs};
  std::atomic<bool> failed{false};
  parallel_for(blocks.count() * panels.count(), 1, [&](int64_t task, int64_t) {
    Patch<T> patch(w, blocks);
    Scratch<typename RowsOfResults<T>::S> list(rows.most_stretches());
    if (!patch || !list) {
      failed = true;
      return;
    }
    const Block b = blocks[task / panels.count()];
    if (b.ny == 0 || b.nz == 0) return;
    patch.read(b);
    rows.block(b, patch, panels[task % panels.count()], list.get());
  });
  return failed ? 1 : 0;
}

// --- all rows of windows add to one result ------------------------------------------------------

template <class T>
struct SumOfRows {
  using Tiles = TilesOf<T>;
  using S = Stretch<Real<T>>;

  const Windows<T>& w;
  const T* kernel;
  int64_t outputs;

  // Adds to `sum`, of columns × outputs, what the rows of a block give; a line is a stretch.
  void block(const Block& b, const Patch<T>& patch, const Panel& p, bool add, T* right, S* lines,
             T* sum) const {
    for (int64_t r = 0; r < b.rows(); ++r)
      pack_row(kernel + b.row(r) * outputs, p, right + r * p.width);
    for (int64_t l = 0; l < b.ny; ++l)
      lines[l] = {patch.row(l, 0) * Tiles::kParts, b.nz,
                  reinterpret_cast<const Real<T>*>(right + l * b.nz * p.width)};
    const auto& [x, y, z] = w.axes;
    for (int64_t ex = 0; ex < x.entries; ++ex)
      for (int64_t ey = 0; ey < y.entries; ++ey)
        for (int64_t ez = 0; ez < z.entries; ++ez) {
          entry(b, patch.data() + patch.entry(ex, ey, ez), patch.row_step(), p, add, lines,
                sum + p.first);
          sum += w.run * outputs;
        }
  }

  void entry(const Block& b, const T* from, int64_t step, const Panel& p, bool add, const S* lines,
             T* sum) const {
    for (int64_t i = 0; i < w.run; i += Tiles::kRows) {
      const int rows = int(std::min<int64_t>(Tiles::kRows, w.run - i));
      const T* a[Tiles::kRows];
      T* c[Tiles::kRows];
      for (int k = 0; k < rows; ++k) {
        a[k] = from + i + k;
        c[k] = sum + (i + k) * outputs;
      }
      Tiles::run(p.vectors, a, c, rows, p.columns, add, lines, b.ny, step * Tiles::kParts);
    }
  }
};

template <class T>
int32_t sum_of_rows(const Windows<T>& w, const T* kernel, T* result, int64_t outputs) {
  const Panels<T> panels(outputs, 1);
  const Blocks<T> blocks(w);
  const int64_t size = w.columns() * outputs;
  const int64_t most =
      std::clamp<int64_t>(kPartBytes / (size * int64_t(sizeof(T))), 2, kMostParts);
  const int64_t part = (blocks.count() + most - 1) / most;  // blocks
  const int64_t parts = (blocks.count() + part - 1) / part;
  Scratch<T> sums(parts > 1 ? parts * size : 0);
  if (parts > 1 && !sums) return 1;
  const SumOfRows<T> rows{w, kernel, outputs};
  std::atomic<bool> failed{false};
  parallel_for(parts * panels.count(), 1, [&](int64_t task, int64_t) {
    Patch<T> patch(w, blocks);
    Scratch<T> right(blocks.most_rows() * panels.width());
    Scratch<typename SumOfRows<T>::S> lines(blocks.most_lines());
    if (!patch || !right || !lines) {
      failed = true;
      return;
    }
    const int64_t p = task / panels.count(), begin = p * part;
    T* sum = parts > 1 ? sums.get() + p * size : result;
    for (int64_t k = begin; k < std::min(begin + part, blocks.count()); ++k) {
      const Block b = blocks[k];
      patch.read(b);
      rows.block(b, patch, panels[task % panels.count()], k > begin, right.get(), lines.get(),
                 sum);
    }
  });
  if (failed) return 1;
  if (parts > 1)
    parallel_for(size, kSumGrain, [&](int64_t begin, int64_t end) {
      std::copy(sums.get() + begin, sums.get() + end, result + begin);
      for (int64_t p = 1; p < parts; ++p)
        for (int64_t i = begin; i < end; ++i) result[i] += sums.get()[p * size + i];
    });
  return 0;
}

}  // namespace

int32_t convolution(int32_t code, int32_t batch_last, const void* operand, const void* kernel,
                    void* result, int64_t batch, int64_t features, int64_t outputs, int64_t groups,
                    int64_t in0, int64_t window0, int64_t out0, int64_t stride0, int64_t pad0,
                    int64_t spacing0, int64_t dilation0, int64_t in1, int64_t window1,
                    int64_t out1, int64_t stride1, int64_t pad1, int64_t spacing1,
                    int64_t dilation1, int64_t in2, int64_t window2, int64_t out2, int64_t stride2,
                    int64_t pad2, int64_t spacing2, int64_t dilation2) {
  auto axis = [&](int64_t in, int64_t window, int64_t out, int64_t stride, int64_t pad,
                  int64_t spacing, int64_t dilation) {
    return batch_last ? Axis{in, window, dilation, out, stride, pad, spacing}
                      : Axis{in, out, stride, window, dilation, pad, spacing};
  };
  return with_element(code, [&](auto zero) -> int32_t {
    using T = decltype(zero);
    const Windows<T> w{static_cast<const T*>(operand),
                       {axis(in0, window0, out0, stride0, pad0, spacing0, dilation0),
                        axis(in1, window1, out1, stride1, pad1, spacing1, dilation1),
                        axis(in2, window2, out2, stride2, pad2, spacing2, dilation2)},
                       batch_last ? features : batch,
                       batch_last ? batch : features,
                       batch_last ? batch : features / groups};
    const T* k = static_cast<const T*>(kernel);
    T* to = static_cast<T*>(result);
    if constexpr (std::is_same_v<T, float>)
      if (!batch_last && groups == 1 && has_short_cut(w, outputs) &&
          by_short_cut(w, k, to, outputs))
        return 0;
    return batch_last ? sum_of_rows(w, k, to, outputs)
                      : rows_of_results(w, k, to, outputs, groups);
  });
}

}  // namespace covector
