// The kernels of fft_kernels.h, by ducc0 (native/third_party/ducc0).
//
// Compiled once for each instruction set, into a namespace of ducc0's and a table named by
// COVECTOR_FFT_KERNELS, so that no code of one set is linked into another.
#include "cpu/fft_kernels.h"

#include <complex>
#include <vector>

#include "ducc0/fft/fftnd_impl.h"

namespace DUCC0_NAMESPACE {
namespace detail_threading {

// Work is cut up before it comes here.
size_t adjust_nthreads(size_t) { return 1; }

namespace {

class OneThread : public Scheduler {
 public:
  explicit OneThread(size_t n) : rest_(0, n) {}
  size_t num_threads() const override { return 1; }
  size_t thread_num() const override { return 0; }
  Range getNext() override { return std::exchange(rest_, Range()); }

 private:
  Range rest_;
};

}  // namespace

void execStatic(size_t n, size_t, size_t, std::function<void(Scheduler&)> body) {
  OneThread all(n);
  body(all);
}

void execParallel(size_t, std::function<void(Scheduler&)> body) {
  OneThread all(1);
  body(all);
}

}  // namespace detail_threading
}  // namespace DUCC0_NAMESPACE

namespace covector {
namespace {

namespace ducc = DUCC0_NAMESPACE;

// A line alone is transformed by other code than many.
bool is_one_line(const FftLines& l) { return l.outer == 1 && l.inner == 1 && l.stride == 1; }

using Sizes = std::vector<size_t>;

Sizes shape(const FftLines& l, int64_t n) {
  if (is_one_line(l)) return {size_t(n)};
  return {size_t(l.outer), size_t(n), size_t(l.inner)};
}

std::vector<ptrdiff_t> strides(const FftLines& l, int64_t n) {
  if (is_one_line(l)) return {1};
  return {n * l.stride, l.stride, 1};
}

template <class T>
ducc::cfmav<T> input(const void* data, const FftLines& l, int64_t n) {
  return ducc::cfmav<T>(static_cast<const T*>(data), shape(l, n), strides(l, n));
}

template <class T>
ducc::vfmav<T> output(void* data, const FftLines& l, int64_t n) {
  return ducc::vfmav<T>(static_cast<T*>(data), shape(l, n), strides(l, n));
}

size_t axis(const FftLines& l) { return is_one_line(l) ? 0 : 1; }

template <class T>
void complex_kernel(const void* in, void* out, const FftLines& l, bool forward, double scale) {
  using C = std::complex<T>;
  ducc::c2c(input<C>(in, l, l.n), output<C>(out, l, l.n), {axis(l)}, forward, T(scale), 1);
}

template <class T>
void real_kernel(const void* in, void* out, const FftLines& l, bool forward, double scale) {
  using C = std::complex<T>;
  ducc::r2c(input<T>(in, l, l.n), output<C>(out, l, l.n / 2 + 1), axis(l), forward, T(scale), 1);
}

template <class T>
void back_kernel(const void* in, void* out, const FftLines& l, bool forward, double scale) {
  using C = std::complex<T>;
  ducc::c2r(input<C>(in, l, l.n / 2 + 1), output<T>(out, l, l.n), axis(l), forward, T(scale), 1);
}

}  // namespace

const FftKernels COVECTOR_FFT_KERNELS = {
    {complex_kernel<float>, complex_kernel<double>},
    {real_kernel<float>, real_kernel<double>},
    {back_kernel<float>, back_kernel<double>},
};

}  // namespace covector
