// How often this process was forked from another one.
#pragma once

#include <pthread.h>

#include <atomic>

namespace covector {

inline std::atomic<unsigned> forks_seen{0};

// A number that a forked child finds changed; without a call of the system.
inline unsigned fork_generation() {
  static const int once = pthread_atfork(nullptr, nullptr, [] { ++forks_seen; });
  (void)once;
  return forks_seen.load(std::memory_order_relaxed);
}

}  // namespace covector
