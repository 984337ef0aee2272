// What ducc0's FFT (native/third_party/ducc0) takes for locks: it only guards its cache of plans.
// Its loops run in the calling thread; ours spread the work.
#pragma once

#include <condition_variable>
#include <mutex>

#include "core/spin_lock.h"

namespace covector {

// A lock that nobody holds while the process forks.
class ForkSafeLock {
 public:
  ForkSafeLock();
  ForkSafeLock(const ForkSafeLock&) = delete;
  ForkSafeLock& operator=(const ForkSafeLock&) = delete;
  void lock() { lock_.lock(); }
  void unlock() { lock_.unlock(); }

 private:
  SpinLock lock_;
};

}  // namespace covector

namespace DUCC0_NAMESPACE {
namespace detail_threading {

using Mutex = covector::ForkSafeLock;
using LockGuard = std::lock_guard<Mutex>;
using UniqueLock = std::unique_lock<Mutex>;
using CondVar = std::condition_variable_any;

}  // namespace detail_threading
}  // namespace DUCC0_NAMESPACE
