// Tiles of two by two results by sixteen products a feature instead of thirty-six: the operand's
// four by four elements and the kernel are transformed, multiplied, and the products combined.
#include "cpu/winograd.h"

#include <atomic>

#include "core/thread_pool.h"
#include "cpu/tiles.h"

namespace covector {
namespace {

using T = float;

constexpr int64_t kProducts = 16;
// Tiles of a block, whose transforms stay in cache.
constexpr int64_t kTiles = 60;
// Where there are fewer features or outputs, the transforms cost what the products save.
constexpr int64_t kFewest = 24;
// Terms of a running sum: longer ones are less exact.
constexpr int64_t kTerms = 64;
constexpr int64_t kGrain = 4096;

// A row of the matrix of windows becomes one of tiles: every second place, of four by four.
Windows<T> tiles_of(Windows<T> w) {
  for (Axis* a : {&w.axes[1], &w.axes[2]}) {
    a->rows = (a->rows + 1) / 2;
    a->row_step = 2;
    a->entries = 4;
  }
  return w;
}

// G g Gᵀ of the kernel of an input and an output, `apart` from each other.
void transform_kernel(const T* g, int64_t apart, T* to, int64_t to_apart) {
  T half[4][3];
  for (int j = 0; j < 3; ++j) {
    const T a = g[j * apart], b = g[(3 + j) * apart], c = g[(6 + j) * apart];
    half[0][j] = a;
    half[1][j] = (a + c + b) / 2;
    half[2][j] = (a + c - b) / 2;
    half[3][j] = c;
  }
  for (int i = 0; i < 4; ++i) {
    const T a = half[i][0], b = half[i][1], c = half[i][2];
    T* row = to + i * 4 * to_apart;
    row[0] = a;
    row[to_apart] = (a + c + b) / 2;
    row[2 * to_apart] = (a + c - b) / 2;
    row[3 * to_apart] = c;
  }
}

struct ShortCut {
  const Windows<T>& w;      // of the convolution,
  const Windows<T>& tiles;  // and of its tiles
  const Blocks<T>& blocks;
  const Panels<T>& panels;
  const T* packed;  // [panel][product][feature][width]
  T* result;
  int64_t outputs;

  int64_t features() const { return w.width; }

  // Transforms of the operand: [product][tile][feature].
  bool transform(const Patch<T>& patch, const Block& b, T* to) const {
    bool finite = true;
    for (int64_t t = 0; t < b.rows(); ++t)
      finite &= tile_kernels().filter_input(
                    patch.data() + patch.row(t / b.nz, t % b.nz), patch.entry(0, 1, 0),
                    patch.entry(0, 0, 1), features(), to + t * features(),
                    blocks.most_rows() * features()) == 0;
    return finite;
  }

  // [product][tile][width] of a panel.
  void multiply(const Block& b, const Panel& p, const T* from, T* to) const {
    for (int64_t k = 0; k < kProducts; ++k) {
      const T* right = packed + (p.begin * kProducts + k * p.width) * features();
      for (int64_t t = 0; t < b.rows(); t += kTileRows) {
        const int rows = int(std::min<int64_t>(kTileRows, b.rows() - t));
        const T* a[kTileRows];
        T* c[kTileRows];
        for (int r = 0; r < rows; ++r) {
          a[r] = from + (k * blocks.most_rows() + t + r) * features();
          c[r] = to + (k * blocks.most_rows() + t + r) * p.width;
        }
        for (int64_t f = 0; f < features(); f += kTerms) {
          const Stretch<T> some{f, std::min(kTerms, features() - f), right + f * p.width};
          TilesOf<T>::run(p.vectors, a, c, rows, p.width, f > 0, &some, 1, 1);
        }
      }
    }
  }

  // Results of a tile beyond the end go to `nowhere`.
  bool combine(const Block& b, const Panel& p, const T* from, T* nowhere) const {
    const int64_t lines = w.axes[1].rows, places = w.axes[2].rows;
    bool finite = true;
    for (int64_t t = 0; t < b.rows(); ++t) {
      const int64_t y = 2 * (b.y + t / b.nz), z = 2 * (b.z + t % b.nz);
      T* to[4];
      for (int k = 0; k < 4; ++k) {
        const int64_t line = y + k / 2, place = z + k % 2;
        const int64_t row = ((b.outer * w.axes[0].rows + b.x) * lines + line) * places + place;
        to[k] = line < lines && place < places ? result + row * outputs + p.first
                                               : nowhere + k * p.width;
      }
      finite &= tile_kernels().filter_output(from + t * p.width, blocks.most_rows() * p.width,
                                             p.columns, to) == 0;
    }
    return finite;
  }
};

}  // namespace

bool has_short_cut(const Windows<float>& w, int64_t outputs) {
  const auto& [x, y, z] = w.axes;
  for (const Axis* a : {&y, &z})
    if (a->entries != 3 || a->step != 1 || a->row_step != 1 || a->spacing != 1 || a->rows < 4)
      return false;
  return x.entries == 1 && w.run == w.width && w.width >= kFewest && outputs >= kFewest;
}

bool by_short_cut(const Windows<float>& w, const float* kernel, float* result, int64_t outputs) {
  const Panels<T> panels(outputs, 1);
  const Windows<T> tiles = tiles_of(w);
  const Blocks<T> blocks(tiles, kTiles);
  const int64_t features = w.width, width = panels.width();
  Scratch<T> packed(panels.count() * kProducts * features * width);
  if (!packed) return false;
  parallel_for(panels.count() * features, kGrain / width + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Panel p = panels[i / features];
      const int64_t f = i % features;
      T* to = packed.get() + p.begin * kProducts * features + f * width;
      for (int64_t k = 0; k < kProducts; ++k) std::fill_n(to + k * features * width, width, T(0));
      for (int64_t o = 0; o < p.columns; ++o)
        transform_kernel(kernel + f * outputs + p.first + o, features * outputs, to + o,
                         features * width);
    }
  });
  if (!all_finite(packed.get(), panels.count() * kProducts * features * width)) return false;
  const ShortCut cut{w, tiles, blocks, panels, packed.get(), result, outputs};
  std::atomic<bool> failed{false};
  parallel_for(blocks.count(), 1, [&](int64_t task, int64_t) {
    Patch<T> patch(tiles, blocks);
    Scratch<T> in((kProducts + 1) * blocks.most_rows() * features);
    Scratch<T> out(kProducts * blocks.most_rows() * width), nowhere(4 * width);
    if (!patch || !in || !out || !nowhere) {
      failed = true;
      return;
    }
    const Block b = blocks[task];
    if (b.rows() == 0 || failed) return;
    patch.read(b);
    bool finite = cut.transform(patch, b, in.get());
    for (int64_t k = 0; finite && k < panels.count(); ++k) {
      const Panel p = panels[k];
      cut.multiply(b, p, in.get(), out.get());
      finite = cut.combine(b, p, out.get(), nowhere.get());
    }
    if (!finite) failed = true;
  });
  return !failed;
}

}  // namespace covector
