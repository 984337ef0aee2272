// Products of matrices of which one side is short: right factors in panels as wide as tiles.
#include <algorithm>
#include <atomic>

#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/products.h"
#include "cpu/tiles.h"

namespace covector {
namespace {

// Rows of a task, which share its panel; terms whose factors are kept ready.
constexpr int64_t kRows = 16 * kTileRows;
constexpr int64_t kTerms = 384;
// Terms that are packed at a time where they lie next to each other.
constexpr int64_t kTurned = 16;
// Products of fewer multiply-adds than this are one task.
constexpr int64_t kTaskWork = 1 << 17;

// Factors of `columns` places, `width` to each of the terms.
template <class T>
void pack(const T* b, int64_t term, int64_t place, int64_t terms, int64_t columns, int64_t width,
          T* to) {
  if (columns < width) std::fill_n(to, terms * width, T(0));
  if (place == 1) {
    for (int64_t t = 0; t < terms; ++t) std::copy_n(b + t * term, columns, to + t * width);
    return;
  }
  // A few terms of all places at a time: what is written stays close.
  for (int64_t begin = 0; begin < terms; begin += kTurned) {
    const int64_t end = std::min(begin + kTurned, terms);
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t t = begin; t < end; ++t) to[t * width + j] = b[j * place + t * term];
  }
}

}  // namespace

template <class T>
bool panel_gemm(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, const T* a,
                int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc) {
  using Tiles = TilesOf<T>;
  const int64_t row = trans_a ? 1 : lda, step = trans_a ? lda : 1;
  const int64_t term = trans_b ? 1 : ldb, place = trans_b ? ldb : 1;
  const int64_t lanes = Tiles::lanes(), most = tile_kernels().most_vectors * lanes;
  const int64_t columns = std::min(most, (n + lanes - 1) / lanes * lanes);
  const int64_t across = (n + columns - 1) / columns, down = (m + kRows - 1) / kRows;
  const int64_t work = std::max<int64_t>(1, std::min(m, kRows) * columns * k);
  std::atomic<bool> short_of_memory = false;
  auto task = [&](int64_t first, int64_t last) {
    Scratch<T> panel(columns * std::min(k, kTerms));
    if (!panel) {
      short_of_memory = true;
      return;
    }
    for (int64_t at = first; at < last; ++at) {
      const int64_t j = at / down * columns, i = at % down * kRows;
      const int64_t wide = std::min(columns, n - j), high = std::min(kRows, m - i);
      const int vectors = int((wide + lanes - 1) / lanes);
      const bool kept = k <= kTerms && at > first && at % down > 0;
      for (int64_t t = 0; t < k; t += kTerms) {
        const int64_t terms = std::min(kTerms, k - t);
        if (!kept)
          pack(b + t * term + j * place, term, place, terms, wide, vectors * lanes, panel.get());
        const Stretch<T> all{0, terms, panel.get()};
        for (int64_t r = 0; r < high; r += kTileRows) {
          const int rows = int(std::min<int64_t>(kTileRows, high - r));
          const T* from[kTileRows];
          T* to[kTileRows];
          for (int p = 0; p < rows; ++p) {
            from[p] = a + (i + r + p) * row + t * step;
            to[p] = c + (i + r + p) * ldc + j;
          }
          Tiles::run(vectors, from, to, rows, wide, t > 0, &all, 1, step);
        }
      }
    }
  };
  parallel_for(across * down, std::max<int64_t>(1, kTaskWork / work), task);
  return !short_of_memory;
}

template bool panel_gemm<float>(bool, bool, int64_t, int64_t, int64_t, const float*, int64_t,
                                const float*, int64_t, float*, int64_t);
template bool panel_gemm<double>(bool, bool, int64_t, int64_t, int64_t, const double*, int64_t,
                                 const double*, int64_t, double*, int64_t);

}  // namespace covector
