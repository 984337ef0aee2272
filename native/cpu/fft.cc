// Transforms cut into tasks of lines, which the kernels do in one thread each.
#include "cpu/fft.h"

#include <algorithm>
#include <atomic>

#include "core/dtype.h"
#include "core/scratch.h"
#include "core/thread_pool.h"
#include "cpu/ducc0_custom_lowlevel_threading.h"
#include "cpu/fft_kernels.h"
#include "cpu/instruction_set.h"

#include <pthread.h>

namespace covector {

// --- locks of the caches of plans -----------------------------------------------------------

namespace {

constexpr int kMostLocks = 16;
SpinLock locks_lock;
ForkSafeLock* locks[kMostLocks];
int locks_known = 0;

void before_fork() {
  locks_lock.lock();
  for (int i = 0; i < locks_known; ++i) locks[i]->lock();
}

void after_fork() {
  for (int i = 0; i < locks_known; ++i) locks[i]->unlock();
  locks_lock.unlock();
}

}  // namespace

ForkSafeLock::ForkSafeLock() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(before_fork, after_fork, after_fork); });
  std::lock_guard guard(locks_lock);
  if (locks_known < kMostLocks) locks[locks_known++] = this;
}

// --- transforms -----------------------------------------------------------------------------

namespace {

// Elements of a task, and of the shortest run of memory that tasks side by side have.
constexpr int64_t kTask = 1 << 16;
constexpr int64_t kRun = 64;

// Vectors longer than AVX2's take more lines at a time than the first cache holds: they are slower.
const FftKernels& kernels() {
#if defined(COVECTOR_X86_KERNELS)
  if (instruction_set() != kBaseline) return fft_kernels_avx2;
#endif
  return fft_kernels_baseline;
}

struct Pass {
  FftKernel kernel;
  bool forward;
  double scale;
  int64_t in_n, out_n;          // elements of a line
  int64_t in_size, out_size;    // bytes of an element
};

// One axis. Tasks are some of the outer groups whole, or a part of one.
bool run(const Pass& p, const void* in, void* out, int64_t outer, int64_t n, int64_t inner) {
  if (outer == 0 || inner == 0 || n == 0) return true;
  const bool whole = n * inner <= kTask;
  const int64_t part = whole ? inner : std::min(inner, std::max(kRun, kTask / n / kRun * kRun));
  const int64_t parts = (inner + part - 1) / part;
  const int64_t grain = whole ? std::max<int64_t>(1, kTask / (n * inner)) : 1;
  std::atomic<bool> failed{false};
  auto body = [&](int64_t begin, int64_t end) {
    try {
      for (int64_t t = begin; t < end;) {
        const int64_t first = t / parts, at = t % parts * part;
        const int64_t groups = whole ? end - t : 1;
        const FftLines lines{groups, n, std::min(part, inner - at), inner};
        p.kernel(static_cast<const char*>(in) + (first * p.in_n * inner + at) * p.in_size,
                 static_cast<char*>(out) + (first * p.out_n * inner + at) * p.out_size, lines,
                 p.forward, p.scale);
        t += groups;
      }
    } catch (...) {  // of memory alone
      failed = true;
    }
  };
  parallel_for(outer * parts, grain, body);
  return !failed;
}

struct Axis {
  int64_t outer, n, inner;
};

struct Transform {
  int precision;
  int64_t real;  // bytes of a real number
  double scale;
  const Axis* axes;
  int rank;
  bool forward;

  bool complex_pass(const void* in, void* out, int k, double factor) const {
    const Axis& a = axes[k];
    const Pass pass{kernels().complex[precision], forward, factor, a.n, a.n, 2 * real, 2 * real};
    return run(pass, in, out, a.outer, a.n, a.inner);
  }
  // The axes before `end`, from the last to the first; the first of the passes reads `in`.
  bool complex_passes(const void* in, void* out, int end, double factor) const {
    for (int k = end - 1; k >= 0; --k) {
      if (!complex_pass(in, out, k, factor)) return false;
      in = out;
      factor = 1;
    }
    return true;
  }
  bool real_to_complex(const void* in, void* out) const {
    const Axis& a = axes[rank - 1];
    const Pass pass{kernels().real_to_complex[precision], true, scale, a.n, a.n / 2 + 1, real,
                    2 * real};
    return run(pass, in, out, a.outer, a.n, a.inner) &&
           complex_passes(out, out, rank - 1, 1);
  }
  bool complex_to_real(const void* in, void* out) const {
    const Axis& a = axes[rank - 1];
    const Pass pass{kernels().complex_to_real[precision], false, scale, a.n / 2 + 1, a.n, 2 * real,
                    real};
    if (rank == 1) return run(pass, in, out, a.outer, a.n, a.inner);
    Scratch<char> between(a.outer * (a.n / 2 + 1) * a.inner * 2 * real);
    return between && complex_passes(in, between.get(), rank - 1, 1) &&
           run(pass, between.get(), out, a.outer, a.n, a.inner);
  }
};

}  // namespace

int32_t fft(int32_t code, int32_t kind, const void* in, void* out, int64_t outer0, int64_t n0,
            int64_t inner0, int64_t outer1, int64_t n1, int64_t inner1, int64_t outer2,
            int64_t n2, int64_t inner2) {
  const Axis axes[] = {{outer0, n0, inner0}, {outer1, n1, inner1}, {outer2, n2, inner2}};
  int rank = 0;
  double count = 1;
  while (rank < 3 && axes[rank].n != 0) count *= double(axes[rank++].n);
  if (rank == 0) return 0;
  const bool single = code == kF32 || code == kC64;
  if (!single && code != kF64 && code != kC128) return 3;
  const bool forward = kind == kFft || kind == kRealFft;
  const Transform t{single ? 0 : 1, single ? 4 : 8, forward ? 1 : 1 / count, axes, rank, forward};
  bool done = false;
  if (kind == kRealFft)
    done = t.real_to_complex(in, out);
  else if (kind == kInverseRealFft)
    done = t.complex_to_real(in, out);
  else
    done = t.complex_passes(in, out, rank, t.scale);
  return done ? 0 : 1;
}

}  // namespace covector
