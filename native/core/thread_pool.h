// Data-parallel loops over a pool of threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace covector {

using LoopBody = void (*)(void* frame, int64_t begin, int64_t end);

// Calls body over [0, n) in chunks of `grain` elements (the last may be shorter). The chunks
// depend on n and grain only; which thread runs which does not. Runs in the calling thread when
// there is one chunk or one thread, inside another parallel loop, or while another thread's
// loop has the pool.
void parallel_for(LoopBody body, void* frame, int64_t n, int64_t grain);

// The same, looking out between chunks: what has not begun once `stop()` says so is left undone.
// Whether all was done.
bool parallel_for_until(LoopBody body, void* frame, int64_t n, int64_t grain, bool (*stop)());

// Whether what the calling thread does for such a loop is of no use any more: `stop()` said so while
// others were waited for.
bool loop_abandoned();

template <class F>
void parallel_for(int64_t n, int64_t grain, F&& body) {
  using Body = std::remove_reference_t<F>;
  parallel_for([](void* f, int64_t b, int64_t e) { (*static_cast<Body*>(f))(b, e); },
               const_cast<void*>(static_cast<const void*>(&body)), n, grain);
}

int num_threads();
void set_num_threads(int n);

}  // namespace covector
