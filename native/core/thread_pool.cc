// The thread pool. One loop at a time owns it. Workers join a loop through a counter, so that
// the owner never waits for a worker that was too slow to wake up. Loops shorter than a wake-up
// stay with their owner: how long the bodies take is remembered from their last loops.
#include "core/thread_pool.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

#include "core/signal_mask.h"
#include "core/spin_lock.h"

namespace covector {
namespace {

// Idle workers look out for work for this long before they sleep.
constexpr int64_t kSpinTime = 100'000;  // ns
// Waking costs the owner some microseconds, and the worker comes after ten to fifty, with cold
// caches: measured, loops below this lose by it.
constexpr int64_t kWorthWaking = 100'000;
// Handing chunks to a worker that is awake costs some transfers of cache lines.
constexpr int64_t kWorthSharing = 4'000;

int64_t now_ns() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

thread_local bool inside_loop = false;

int available_cpus() {
  int n = 0;
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long quota, period;
    if (std::fscanf(f, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0)
      n = std::min(n ? n : 1 << 20, int((quota + period - 1) / period));
    std::fclose(f);
  }
#endif
  return n > 0 ? n : std::max(1, int(std::thread::hardware_concurrency()));
}

int default_num_threads() {
  if (const char* text = std::getenv("COVECTOR_NUM_THREADS")) {
    int n = std::atoi(text);
    if (n > 0) return std::min(n, 1024);
  }
  return available_cpus();
}

bool never() { return false; }

bool run_chunks_here(LoopBody body, void* frame, int64_t n, int64_t grain, bool (*stop)()) {
  for (int64_t b = 0; b < n; b += grain) {
    if (b > 0 && stop()) return false;
    body(frame, b, n - b < grain ? n : b + grain);
  }
  return true;
}

class Pool {
 public:
  explicit Pool(int workers) {
    SignalsBlocked blocked;
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      // Fewer threads than asked for: the caller takes part, so loops still finish.
    }
  }

  ~Pool() {
    stop_ = true;
    epoch_.fetch_add(1);
    epoch_.notify_all();
    for (auto& t : threads_) t.join();
  }

  bool run(LoopBody body, void* frame, int64_t n, int64_t grain, int64_t chunks,
           bool (*stop)()) {
    body_ = body;
    frame_ = frame;
    n_ = n;
    grain_ = grain;
    chunks_ = chunks;
    next_.store(0, std::memory_order_relaxed);
    abandoned_.store(false, std::memory_order_relaxed);
    inside_loop = true;
    int64_t start = now_ns();
    Cost& cost = costs_[(reinterpret_cast<uintptr_t>(body) >> 4) % kCosts];
    if (cost.body != body) cost = {body, 1e9};
    int64_t done = 0;
    if (!worth_sharing(cost.per_element * double(n), start)) {
      take_chunk();
      done = 1;
      // The same body may do more on this call.
      int64_t rest = (now_ns() - start) * (chunks - 1);
      if (rest < kWorthWaking) {
        while (take_chunk()) continue;
        finish(cost, start, n);
        return true;
      }
    }
    open_.store(true);
    epoch_.fetch_add(1);
    // Spinning workers see the epoch; a system call is needed only for sleeping ones.
    if (sleeping_.load() > 0) epoch_.notify_all();
    bool stopped = false;
    while (!stopped && take_chunk()) {
      ++done;
      stopped = stop();
    }
    // Nobody takes a chunk from here on.
    if (stopped) next_.store(chunks, std::memory_order_relaxed);
    finish(cost, start, std::min(n, done * grain));
    open_.store(false);
    for (int spins = 0; inside_.load() != 0; ++spins) {
      if (spins < 512) {
        cpu_relax();
        continue;
      }
      // Workers may be in chunks that go on for ever: they look out for this.
      if (!stopped && stop()) {
        stopped = true;
        abandoned_.store(true, std::memory_order_relaxed);
      }
      sched_yield();
    }
    return !stopped;
  }

  bool abandoned() const { return abandoned_.load(std::memory_order_relaxed); }

 private:
  struct Cost {
    LoopBody body;
    double per_element;  // ns
  };
  static constexpr size_t kCosts = 256;

  bool worth_sharing(double expected, int64_t start) const {
    if (expected >= kWorthWaking) return true;
    if (expected < kWorthSharing) return false;
    // Workers are awake, or will be when the next loop comes, if it follows as closely.
    return sleeping_.load(std::memory_order_relaxed) < int(threads_.size()) ||
           start - last_end_ < kSpinTime;
  }

  // The owner's share of the loop is over.
  void finish(Cost& cost, int64_t start, int64_t elements) {
    inside_loop = false;
    last_end_ = now_ns();
    if (elements == 0) return;  // the workers were faster
    double measured = double(last_end_ - start) / double(elements);
    // The owner may have been interrupted: believe a rise by steps.
    cost.per_element = std::min(measured, 2 * cost.per_element);
  }

  bool take_chunk() {
    int64_t c = next_.fetch_add(1, std::memory_order_relaxed);
    if (c >= chunks_) return false;
    int64_t b = c * grain_;
    body_(frame_, b, n_ - b < grain_ ? n_ : b + grain_);
    return true;
  }

  void work() {
    inside_loop = true;
    uint32_t seen = 0;
    while (!stop_) {
      uint32_t now = wait_for_epoch(seen);
      seen = now;
      // Entering before looking whether the loop is open is what makes it safe for the owner
      // to return as soon as it has closed the loop and found nobody inside.
      inside_.fetch_add(1);
      if (open_.load())
        while (take_chunk()) continue;
      inside_.fetch_sub(1);
    }
  }

  uint32_t wait_for_epoch(uint32_t seen) {
    int64_t deadline = now_ns() + kSpinTime;
    do {
      for (int i = 0; i < 64; ++i) {
        uint32_t now = epoch_.load();
        if (now != seen) return now;
        cpu_relax();
      }
    } while (now_ns() < deadline);
    sleeping_.fetch_add(1);
    uint32_t now;
    while ((now = epoch_.load()) == seen) epoch_.wait(seen);
    sleeping_.fetch_sub(1);
    return now;
  }

  std::vector<std::thread> threads_;
  Cost costs_[kCosts] = {};
  int64_t last_end_ = 0;
  LoopBody body_ = nullptr;
  void* frame_ = nullptr;
  int64_t n_ = 0, grain_ = 1, chunks_ = 0;
  std::atomic<bool> stop_{false}, open_{false}, abandoned_{false};
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<int> sleeping_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> inside_{0};
};

// Never destroyed at exit: sleeping workers die with the process.
std::mutex owner_mutex;
Pool* pool = nullptr;
std::atomic<int> thread_count{0};

void forget_pool_after_fork() {
  new (&owner_mutex) std::mutex;  // a lost thread may have held it
  pool = nullptr;                 // its threads do not exist in the child
  inside_loop = false;
}

}  // namespace

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  if (n == 0) {
    static std::once_flag once;
    std::call_once(once, [] { pthread_atfork(nullptr, nullptr, forget_pool_after_fork); });
    n = default_num_threads();
    thread_count.store(n, std::memory_order_relaxed);
  }
  return n;
}

void set_num_threads(int n) {
  num_threads();  // registers the fork handler
  if (n < 1) n = 1;
  if (inside_loop) return;
  std::lock_guard guard(owner_mutex);
  if (n == thread_count) return;
  delete pool;
  pool = nullptr;
  thread_count = n;
}

void parallel_for(LoopBody body, void* frame, int64_t n, int64_t grain) {
  parallel_for_until(body, frame, n, grain, never);
}

bool loop_abandoned() { return inside_loop && pool && pool->abandoned(); }

bool parallel_for_until(LoopBody body, void* frame, int64_t n, int64_t grain, bool (*stop)()) {
  if (n <= 0) return true;
  if (grain < 1) grain = 1;
  if (n <= grain) {
    body(frame, 0, n);
    return true;
  }
  int threads = num_threads();
  if (threads == 1 || inside_loop || !owner_mutex.try_lock())
    return run_chunks_here(body, frame, n, grain, stop);
  std::lock_guard guard(owner_mutex, std::adopt_lock);
  if (!pool) pool = new Pool(thread_count - 1);
  return pool->run(body, frame, n, grain, (n - 1) / grain + 1, stop);
}

}  // namespace covector
