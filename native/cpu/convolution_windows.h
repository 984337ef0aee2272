// The matrix of windows of a convolution: where its elements lie in the operand, and a copy of the
// part of it that a block of rows reads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/scratch.h"

namespace covector {

// Along one dimension rows are `row_step` apart and the entries of a row `step`.
struct Axis {
  int64_t in, rows, row_step, entries, step, pad, spacing;

  // Elements between the first and the last that `n` rows side by side reach, with both.
  int64_t span(int64_t n) const { return (n - 1) * row_step + (entries - 1) * step + 1; }
};

// The matrix of windows: a row for each of `outer` and of a place in the axes, with `run` elements
// for each of its entries. The operand has `width` elements at a place.
template <class T>
struct Windows {
  const T* operand;
  Axis axes[3];
  int64_t outer, width, run;

  int64_t entries() const { return axes[0].entries * axes[1].entries * axes[2].entries; }
  int64_t rows() const { return outer * axes[0].rows * axes[1].rows * axes[2].rows; }
  int64_t columns() const { return entries() * run; }

  // No window reaches beyond the operand, or between its elements.
  bool inside() const {
    for (const Axis& a : axes)
      if (a.pad != 0 || a.spacing != 1 || a.span(a.rows) > a.in) return false;
    return true;
  }

  // Where the operand has what lies at q, or -1.
  static int64_t place(const Axis& a, int64_t q) {
    if (q < 0 || q % a.spacing != 0) return -1;
    q /= a.spacing;
    return q < a.in ? q : -1;
  }
};

// Rows [y, y + ny) × [z, z + nz) of one outer element and one place along the first axis.
struct Block {
  int64_t outer, x, y, z, ny, nz;
  int64_t first_row, rows_of_line;

  int64_t rows() const { return ny * nz; }
  // In the matrix of all rows.
  int64_t row(int64_t r) const { return first_row + r / nz * rows_of_line + r % nz; }
};

// How the rows are cut into blocks. It depends on sizes alone.
template <class T>
class Blocks {
 public:
  explicit Blocks(const Windows<T>& w, int64_t most_rows = kMostRows) : w_(w) {
    const Axis &y = w.axes[1], &z = w.axes[2];
    const int64_t line = w.axes[0].entries * w.width * int64_t(sizeof(T));
    auto bytes = [&](int64_t ny, int64_t nz) { return line * y.span(ny) * z.span(nz); };
    nz_ = std::min(z.rows, most_rows);
    while (nz_ > kFewestRows && bytes(1, nz_) > kBytes) nz_ = (nz_ + 1) / 2;
    ny_ = std::clamp<int64_t>(most_rows / nz_, 1, y.rows);
    while (ny_ > 1 && bytes(ny_, nz_) > kBytes) --ny_;
    along_y_ = (y.rows + ny_ - 1) / ny_;
    along_z_ = (z.rows + nz_ - 1) / nz_;
    ny_ = (y.rows + along_y_ - 1) / along_y_;
    nz_ = (z.rows + along_z_ - 1) / along_z_;
  }

  int64_t count() const { return w_.outer * w_.axes[0].rows * along_y_ * along_z_; }
  int64_t most_rows() const { return ny_ * nz_; }
  int64_t most_lines() const { return ny_; }

  Block operator[](int64_t k) const {
    const auto& [x, y, z] = w_.axes;
    Block b;
    b.z = k % along_z_ * nz_;
    b.y = k / along_z_ % along_y_ * ny_;
    b.x = k / along_z_ / along_y_ % x.rows;
    b.outer = k / along_z_ / along_y_ / x.rows;
    // The last ones may be cut off, or begin behind the end where the cut is uneven.
    b.ny = std::clamp<int64_t>(y.rows - b.y, 0, ny_);
    b.nz = std::clamp<int64_t>(z.rows - b.z, 0, nz_);
    b.first_row = ((b.outer * x.rows + b.x) * y.rows + b.y) * z.rows + b.z;
    b.rows_of_line = z.rows;
    return b;
  }

 private:
  // Bytes of the operand that a block reads, where it can be chosen, and numbers of rows.
  static constexpr int64_t kBytes = 256 * 1024, kFewestRows = 48, kMostRows = 512;

  const Windows<T>& w_;
  int64_t ny_, nz_, along_y_, along_z_;
};

// What the windows of a block read: a copy with the zeros around and between the elements, or the
// operand itself where there are none. Rows and entries lie at offsets that add up.
template <class T>
class Patch {
 public:
  Patch(const Windows<T>& w, const Blocks<T>& blocks)
      : w_(w),
        copied_(!w.inside()),
        lines_(w.axes[1].span(blocks.most_lines())),
        places_(w.axes[2].span(blocks.most_rows() / blocks.most_lines())),
        copy_(copied_ ? w.axes[0].entries * lines_ * places_ * w.width : 0),
        line_((copied_ ? places_ : w.axes[2].in) * w.width),
        plane_(copied_ ? lines_ * line_ : w.axes[0].step * w.axes[1].in * line_) {}

  explicit operator bool() const { return !copied_ || copy_; }

  void read(const Block& b) {
    const auto& [x, y, z] = w_.axes;
    const T* image = w_.operand + b.outer * x.in * y.in * z.in * w_.width;
    const int64_t qx = b.x * x.row_step, qy = b.y * y.row_step, qz = b.z * z.row_step;
    if (!copied_) {
      data_ = image + ((qx * y.in + qy) * z.in + qz) * w_.width;
      return;
    }
    data_ = copy_.get();
    for (int64_t ex = 0; ex < x.entries; ++ex) {
      const int64_t px = w_.place(x, qx + ex * x.step - x.pad);
      for (int64_t l = 0; l < y.span(b.ny); ++l) {
        const int64_t py = px < 0 ? -1 : w_.place(y, qy + l - y.pad);
        T* to = copy_.get() + ex * plane_ + l * line_;
        if (py < 0)
          std::fill_n(to, line_, T(0));
        else
          copy_line(image + (px * y.in + py) * z.in * w_.width, qz - z.pad, z.span(b.nz), to);
      }
    }
  }

  const T* data() const { return data_; }
  int64_t row(int64_t ly, int64_t lz) const {
    return ly * w_.axes[1].row_step * line_ + lz * row_step();
  }
  int64_t row_step() const { return w_.axes[2].row_step * w_.width; }
  int64_t entry(int64_t ex, int64_t ey, int64_t ez) const {
    return ex * plane_ + ey * w_.axes[1].step * line_ + ez * w_.axes[2].step * w_.width;
  }

 private:
  // Places [q, q + n) of a line.
  void copy_line(const T* line, int64_t q, int64_t n, T* to) const {
    const Axis& z = w_.axes[2];
    const int64_t width = w_.width;
    if (z.spacing == 1) {
      const int64_t begin = std::clamp<int64_t>(-q, 0, n);
      const int64_t end = std::clamp<int64_t>(z.in - q, begin, n);
      to = std::fill_n(to, begin * width, T(0));
      if (end > begin) to = std::copy_n(line + (q + begin) * width, (end - begin) * width, to);
      std::fill_n(to, (n - end) * width, T(0));
      return;
    }
    for (int64_t k = 0; k < n; ++k) {
      const int64_t at = w_.place(z, q + k);
      to = at < 0 ? std::fill_n(to, width, T(0)) : std::copy_n(line + at * width, width, to);
    }
  }

  const Windows<T>& w_;
  const bool copied_;
  const int64_t lines_, places_;
  Scratch<T> copy_;
  const int64_t line_, plane_;
  const T* data_ = nullptr;
};

}  // namespace covector
