// Threads for the tasks that native functions schedule. Loops have their own (core/thread_pool.h):
// a task may wait for others, and outlive the program that scheduled it.
#include "ffi/tasks.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "core/forks.h"
#include "core/signal_mask.h"
#include "core/thread_pool.h"

namespace covector::ffi {
namespace {

class Tasks {
 public:
  // False if there is no thread for it.
  bool add(void (*task)(void*), void* data) {
    std::lock_guard lock(mutex_);
    if (waiting_ <= int(tasks_.size()) && threads_ < num_threads()) start();
    if (!threads_) return false;
    tasks_.emplace_back(task, data);
    added_.notify_one();
    return true;
  }
  const unsigned generation = fork_generation();

 private:
  void start() {
    SignalsBlocked blocked;
    try {
      std::thread([this] { work(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++waiting_;
      added_.wait(lock, [&] { return !tasks_.empty(); });
      --waiting_;
      auto [task, data] = tasks_.front();
      tasks_.pop_front();
      lock.unlock();
      task(data);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::pair<void (*)(void*), void*>> tasks_;
  int threads_ = 0, waiting_ = 0;
};

std::mutex mutex;

// Never destroyed: its threads end with the process. A forked child has none, and makes its own.
Tasks& tasks() {
  static Tasks* all = nullptr;
  std::lock_guard lock(mutex);
  if (!all || all->generation != fork_generation()) all = new Tasks;
  return *all;
}

}  // namespace

void schedule(void (*task)(void*), void* data) {
  if (!tasks().add(task, data)) task(data);
}

}  // namespace covector::ffi
