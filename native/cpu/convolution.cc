// Windows are gathered as rows of a matrix, a block at a time that stays in cache, and multiplied.
#include "cpu/convolution.h"

#include "cpu/lapack_common.h"

namespace covector {
namespace {

// Bytes of a block of rows, and how many rows it has.
constexpr int64_t kBlockBytes = 256 * 1024;
constexpr int64_t kFewestRows = 8, kMostRows = 1024;
// Where all rows add to one result: parts of the sum, and the bytes that they may take together.
constexpr int64_t kMostParts = 16;
constexpr int64_t kPartBytes = int64_t(64) << 20;
constexpr int64_t kSumGrain = 16 * 1024;

// Along one dimension rows are `row_step` apart and the entries of a row `step`.
struct Axis {
  int64_t in, rows, row_step, entries, step, pad, spacing;
};

// The matrix of windows: a row for each of `outer` and of a place in the axes, with `run` elements
// for each of its entries. The operand has `width` elements at a place.
template <class T>
struct Windows {
  const T* operand;
  Axis axes[3];
  int64_t outer, width, run;

  int64_t rows() const { return outer * axes[0].rows * axes[1].rows * axes[2].rows; }
  int64_t columns() const { return axes[0].entries * axes[1].entries * axes[2].entries * run; }

  // Each place is a window of its own.
  bool plain() const {
    for (const Axis& a : axes)
      if (a.entries != 1 || a.row_step != 1 || a.pad != 0 || a.spacing != 1 || a.rows != a.in)
        return false;
    return true;
  }

  // Where the operand has what lies at q, or -1.
  static int64_t place(const Axis& a, int64_t q) {
    if (q < 0 || q % a.spacing != 0) return -1;
    q /= a.spacing;
    return q < a.in ? q : -1;
  }

  // The entries along the last axis of a row whose first is at q.
  T* gather_line(const T* line, int64_t q, T* to) const {
    const Axis& a = axes[2];
    if (a.step == 1 && a.spacing == 1 && run == width) {
      const int64_t begin = std::clamp<int64_t>(-q, 0, a.entries);
      const int64_t end = std::clamp<int64_t>(a.in - q, begin, a.entries);
      to = std::fill_n(to, begin * run, T(0));
      if (end > begin) to = std::copy_n(line + (q + begin) * width, (end - begin) * run, to);
      return std::fill_n(to, (a.entries - end) * run, T(0));
    }
    for (int64_t e = 0; e < a.entries; ++e, q += a.step) {
      const int64_t at = place(a, q);
      to = at < 0 ? std::fill_n(to, run, T(0)) : std::copy_n(line + at * width, run, to);
    }
    return to;
  }

  // Rows [begin, end), from the element `first` of each place on.
  void gather(int64_t begin, int64_t end, int64_t first, T* to) const {
    const auto& [x, y, z] = axes;
    const int64_t line = z.entries * run;
    for (int64_t r = begin; r < end; ++r) {
      const int64_t rz = r % z.rows, ry = r / z.rows % y.rows, rx = r / z.rows / y.rows % x.rows;
      const T* image = operand + r / z.rows / y.rows / x.rows * x.in * y.in * z.in * width + first;
      for (int64_t ex = 0; ex < x.entries; ++ex) {
        const int64_t px = place(x, rx * x.row_step + ex * x.step - x.pad);
        for (int64_t ey = 0; ey < y.entries; ++ey) {
          const int64_t py = px < 0 ? -1 : place(y, ry * y.row_step + ey * y.step - y.pad);
          if (py < 0)
            to = std::fill_n(to, line, T(0));
          else
            to = gather_line(image + (px * y.in + py) * z.in * width, rz * z.row_step - z.pad, to);
        }
      }
    }
  }

  int64_t rows_of_block() const {
    const int64_t wanted = kBlockBytes / std::max<int64_t>(1, columns() * int64_t(sizeof(T)));
    return std::clamp(wanted, kFewestRows, kMostRows) / kFewestRows * kFewestRows;
  }
};

template <class T>
using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const T*,
                      const T*, const int*, const T*, const int*, const T*, T*, const int*);

// c (m×n, rows ldc apart) = op(a) b, or that is added; a is m×k, or k×m where it is transposed.
template <class T>
void multiply(bool transposed, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
              int64_t ldb, bool add, T* c, int64_t ldc) {
  if (auto routine = find_routine_for<T, Gemm<T>>(Routine::gemm)) {
    // The transposed product of column-major matrices.
    const int mi = int(n), ni = int(m), ki = int(k), la = int(ldb), lb = int(lda), lc = int(ldc);
    const T one(1), before(add ? 1 : 0);
    routine("N", transposed ? "T" : "N", &mi, &ni, &ki, &one, b, &la, a, &lb, &before, c, &lc);
    return;
  }
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      T sum = add ? c[i * ldc + j] : T(0);
      for (int64_t l = 0; l < k; ++l)
        sum += a[transposed ? l * lda + i : i * lda + l] * b[l * ldb + j];
      c[i * ldc + j] = sum;
    }
}

// A row of windows makes a row of the result.
template <class T>
int32_t rows_of_results(const Windows<T>& w, const T* kernel, T* result, int64_t outputs,
                        int64_t groups) {
  const int64_t rows = w.rows(), k = w.columns(), n = outputs / groups;
  const bool plain = groups == 1 && w.plain();
  const int64_t block = w.rows_of_block();
  std::atomic<bool> failed{false};
  SingleThreadedBlas guard;
  parallel_for(rows, block, [&](int64_t first, int64_t last) {
    Scratch<T> gathered(plain ? 0 : block * k);
    if (!plain && !gathered) {
      failed = true;
      return;
    }
    for (int64_t begin = first; begin < last; begin += block) {
      const int64_t end = std::min(last, begin + block);
      for (int64_t g = 0; g < groups; ++g) {
        const T* a = w.operand + begin * w.width;
        if (!plain) w.gather(begin, end, g * w.run, gathered.get());
        multiply(false, end - begin, n, k, plain ? a : gathered.get(), k, kernel + g * n, outputs,
                 false, result + begin * outputs + g * n, outputs);
      }
    }
  });
  return failed ? 1 : 0;
}

// All rows of windows add to one result of columns × outputs, in parts of fixed sizes.
template <class T>
int32_t sum_of_rows(const Windows<T>& w, const T* kernel, T* result, int64_t outputs) {
  const int64_t rows = w.rows(), columns = w.columns(), size = columns * outputs;
  const int64_t block = w.rows_of_block();
  const int64_t most =
      std::clamp<int64_t>(kPartBytes / (size * int64_t(sizeof(T))), 2, kMostParts);
  const int64_t blocks = (rows + block - 1) / block;
  const int64_t part = (blocks + most - 1) / most * block;  // rows
  const int64_t parts = (rows + part - 1) / part;
  Scratch<T> sums(parts > 1 ? parts * size : 0);
  if (parts > 1 && !sums) return 1;
  std::atomic<bool> failed{false};
  SingleThreadedBlas guard;
  parallel_for(parts, 1, [&](int64_t p, int64_t) {
    Scratch<T> gathered(block * columns);
    if (!gathered) {
      failed = true;
      return;
    }
    T* sum = parts > 1 ? sums.get() + p * size : result;
    for (int64_t begin = p * part; begin < std::min(rows, (p + 1) * part); begin += block) {
      const int64_t end = std::min(rows, begin + block);
      w.gather(begin, end, 0, gathered.get());
      multiply(true, columns, outputs, end - begin, gathered.get(), columns,
               kernel + begin * outputs, outputs, begin > p * part, sum, outputs);
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
    if (!fits(w.columns()) || !fits(outputs)) return 3;
    const T* k = static_cast<const T*>(kernel);
    T* to = static_cast<T*>(result);
    return batch_last ? sum_of_rows(w, k, to, outputs)
                      : rows_of_results(w, k, to, outputs, groups);
  });
}

}  // namespace covector
