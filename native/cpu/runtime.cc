// The runtime table. The callback slot is filled by the Python bindings.
#include "cpu/runtime.h"

#include "core/allocator.h"
#include "core/thread_pool.h"
#include "cpu/blas.h"
#include "cpu/convolution.h"
#include "cpu/fft.h"
#include "cpu/lapack.h"
#include "cpu/sort.h"

namespace covector {
namespace {

int32_t parallel_for_slot(const void*, LoopBody body, void* frame, int64_t n, int64_t grain) {
  return parallel_for_until(body, frame, n, grain, interrupted) ? kOk : kPythonError;
}

int32_t poll_slot() { return interrupted() || loop_abandoned() ? kPythonError : kOk; }

constexpr CallbackFn no_function = nullptr;

}  // namespace

bool (*interrupted)() = [] { return false; };

void* runtime_table[kSlots] = {
#define X(name, python, function) reinterpret_cast<void*>(function),
    COVECTOR_RUNTIME_SLOTS(X)
#undef X
};

}  // namespace covector
