// The caching allocator. Blocks below 2 MiB live in free lists by size class; larger ones are
// mapped directly, aligned to huge pages, and reused best-fit. The cache is bounded: the large
// block that has been free for longest goes first. What nobody has asked for in a while goes back
// to the system, by a thread that lives as long as there is much of it.
#include "core/allocator.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "core/signal_mask.h"
#include "core/spin_lock.h"
#include "core/system_memory.h"

namespace covector {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHuge = size_t(2) << 20;
constexpr size_t kLinearLimit = 1024;  // classes are multiples of 64 up to here,
constexpr int kLinearClasses = 16;     // then four to a doubling
constexpr int kClasses = kLinearClasses + 4 * 11 + 1;
constexpr size_t kTooLarge = size_t(1) << 48;
// Blocks that lie unused from one beat to the one after next are given back.
constexpr auto kBeat = std::chrono::seconds(1);
// So much may lie for ever.
constexpr size_t kLittle = size_t(16) << 20;

int class_of(size_t nbytes) {
  if (nbytes <= kLinearLimit) return nbytes == 0 ? 0 : int((nbytes - 1) / kAlignment);
  int doubling = std::bit_width(nbytes - 1) - 1;  // 2^doubling < nbytes <= 2^(doubling+1)
  size_t quarter = (nbytes - 1 - (size_t(1) << doubling)) >> (doubling - 2);
  return kLinearClasses + 4 * (doubling - 10) + int(quarter);
}

size_t class_size(int c) {
  if (c < kLinearClasses) return size_t(c + 1) * kAlignment;
  int doubling = 10 + (c - kLinearClasses) / 4, quarter = (c - kLinearClasses) % 4;
  return (size_t(1) << doubling) + (size_t(quarter + 1) << (doubling - 2));
}

struct FreeBlock {
  FreeBlock* next;
};

struct LargeBlock {
  void* block;
  uint64_t freed_at;
  uint64_t beat;
};

using Blocks = std::vector<std::pair<void*, size_t>>;

void* map_large(size_t size) {
  size_t reserved = size + kHuge;
  void* p = mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  char* base = static_cast<char*>(p);
  char* aligned = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(base) + kHuge - 1) &
                                          ~uintptr_t(kHuge - 1));
  if (aligned > base) munmap(base, aligned - base);
  size_t tail = (base + reserved) - (aligned + size);
  if (tail) munmap(aligned + size, tail);
#ifdef MADV_HUGEPAGE
  madvise(aligned, size, MADV_HUGEPAGE);
#endif
  return aligned;
}

void release_to_system(void* block, size_t size) {
  if (size >= kHuge)
    munmap(block, size);
  else
    std::free(block);
}

void* acquire_from_system(size_t size) {
  return size >= kHuge ? map_large(size) : std::aligned_alloc(kAlignment, size);
}

class Allocator {
 public:
  Allocator() {
    available_ = memory_limit();
    limit_ = std::min(available_ / 4, size_t(4) << 30);
#if defined(__SANITIZE_ADDRESS__)
    limit_ = 0;  // let the sanitizer see every use after free
#endif
  }

  void* allocate(size_t nbytes, size_t* capacity) {
    if (nbytes > kTooLarge) return nullptr;
    void* block = nullptr;
    size_t size;
    if (nbytes <= kHuge - kHuge / 8) {
      int c = class_of(nbytes);
      size = class_size(c);
      std::lock_guard guard(lock_);
      if ((block = pop_small(c, size))) count(size);
    } else {
      size = (nbytes + kHuge - 1) & ~(kHuge - 1);
      std::lock_guard guard(lock_);
      auto it = large_.lower_bound(size);
      if (it != large_.end() && it->first <= size + size / 4) {
        size = it->first;
        block = it->second.block;
        large_.erase(it);
        cached_ -= size;
        count(size);
      }
    }
    if (!block) {
      make_room(size);
      block = acquire_from_system(size);
      if (!block) {
        trim();
        block = acquire_from_system(size);
        if (!block) return nullptr;
      }
      std::lock_guard guard(lock_);
      ++system_allocations_;
      count(size);
    }
    *capacity = size;
    return block;
  }

  void deallocate(void* block, size_t size) {
    Blocks evicted;
    bool start = false;
    {
      std::lock_guard guard(lock_);
      in_use_ -= size;
      while (cached_ + size > limit_ && !large_.empty()) evicted.push_back(pop_oldest());
      if (cached_ + size > limit_) {
        evicted.emplace_back(block, size);
      } else if (size < kHuge) {
        int c = class_of(size);
        auto* head = static_cast<FreeBlock*>(block);
        head->next = free_[c];
        free_[c] = head;
        ++count_[c];
        cached_ += size;
      } else {
        large_.emplace(size, LargeBlock{block, ++clock_, beat_});
        cached_ += size;
      }
      start = cached_ > kLittle && !keeper_;
      keeper_ |= start;
    }
    for (auto [p, n] : evicted) release_to_system(p, n);
    if (start) start_keeper();
  }

  void trim() {
    FreeBlock* small[kClasses];
    std::multimap<size_t, LargeBlock> large;
    {
      std::lock_guard guard(lock_);
      std::copy(free_, free_ + kClasses, small);
      std::fill(free_, free_ + kClasses, nullptr);
      std::fill(count_, count_ + kClasses, 0);
      std::fill(least_, least_ + kClasses, 0);
      large.swap(large_);
      cached_ = 0;
    }
    for (FreeBlock* head : small)
      while (head) {
        FreeBlock* next = head->next;
        std::free(head);
        head = next;
      }
    for (auto& [size, entry] : large) munmap(entry.block, size);
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
  }

  AllocatorStats stats() {
    std::lock_guard guard(lock_);
    return {in_use_, peak_, cached_, limit_, allocations_, system_allocations_};
  }

  void before_fork() { lock_.lock(); }
  void after_fork(bool child) {
    if (child) keeper_ = false;  // threads do not exist in the child
    lock_.unlock();
  }

 private:
  void* pop_small(int c, size_t size) {
    FreeBlock* head = free_[c];
    if (!head) return nullptr;
    free_[c] = head->next;
    if (--count_[c] < least_[c]) least_[c] = count_[c];
    cached_ -= size;
    return head;
  }

  // Where memory is short, what is cached goes before the system is asked for more.
  void make_room(size_t size) {
    Blocks evicted;
    {
      std::lock_guard guard(lock_);
      while (!large_.empty() && in_use_ + cached_ + size > available_ / 2)
        evicted.push_back(pop_oldest());
    }
    for (auto [p, n] : evicted) release_to_system(p, n);
  }

  // What lay unused since the last beat, taken out of the cache; whether much is left in it.
  bool beat(Blocks* unused) {
    std::lock_guard guard(lock_);
    for (int c = 0; c < kClasses; ++c) {
      for (uint32_t k = least_[c]; k > 0; --k)
        unused->emplace_back(pop_small(c, class_size(c)), class_size(c));
      least_[c] = count_[c];
    }
    for (auto it = large_.begin(); it != large_.end();) {
      if (it->second.beat == beat_) {
        ++it;
        continue;
      }
      unused->emplace_back(it->second.block, it->first);
      cached_ -= it->first;
      it = large_.erase(it);
    }
    ++beat_;
    keeper_ = cached_ > kLittle;
    return keeper_;
  }

  void start_keeper() {
    SignalsBlocked blocked;
    try {
      std::thread([this] {
        for (bool more = true; more;) {
          std::this_thread::sleep_for(kBeat);
          Blocks unused;
          more = beat(&unused);
          for (auto [p, n] : unused) release_to_system(p, n);
        }
      }).detach();
    } catch (const std::system_error&) {
      std::lock_guard guard(lock_);
      keeper_ = false;
    }
  }

  void count(size_t size) {
    ++allocations_;
    in_use_ += size;
    if (in_use_ > peak_) peak_ = in_use_;
  }

  std::pair<void*, size_t> pop_oldest() {
    auto oldest = large_.begin();
    for (auto it = large_.begin(); it != large_.end(); ++it)
      if (it->second.freed_at < oldest->second.freed_at) oldest = it;
    std::pair<void*, size_t> result{oldest->second.block, oldest->first};
    cached_ -= oldest->first;
    large_.erase(oldest);
    return result;
  }

  SpinLock lock_;
  FreeBlock* free_[kClasses] = {};
  uint32_t count_[kClasses] = {};  // free blocks,
  uint32_t least_[kClasses] = {};  // and the fewest there were since the last beat
  std::multimap<size_t, LargeBlock> large_;
  size_t available_ = 0, limit_ = 0, cached_ = 0, in_use_ = 0, peak_ = 0;
  uint64_t clock_ = 0, beat_ = 0, allocations_ = 0, system_allocations_ = 0;
  bool keeper_ = false;  // a thread gives back what is not used
};

// Never destroyed: blocks may be freed while the interpreter and the process shut down.
Allocator& allocator() {
  static Allocator* instance = [] {
    auto* a = new Allocator;
    pthread_atfork([] { allocator().before_fork(); }, [] { allocator().after_fork(false); },
                   [] { allocator().after_fork(true); });
    return a;
  }();
  return *instance;
}

// Whether new blocks are filled with rubbish (for tests: who reads what was never written?).
bool poisons() {
  static const bool yes = [] {
    const char* value = std::getenv("COVECTOR_POISON_MEMORY");
    return value && *value && std::strcmp(value, "0") != 0;
  }();
  return yes;
}

}  // namespace

void* allocate(size_t nbytes, size_t* capacity) {
  void* block = allocator().allocate(nbytes, capacity);
  if (block && poisons()) std::memset(block, 0x7F, nbytes);
  return block;
}
void deallocate(void* block, size_t capacity) { allocator().deallocate(block, capacity); }
AllocatorStats allocator_stats() { return allocator().stats(); }
void trim_allocator() { allocator().trim(); }

void* allocate_unsized(int64_t nbytes) {
  if (nbytes < 0) return nullptr;
  size_t capacity;
  char* block = static_cast<char*>(allocate(size_t(nbytes) + kAlignment, &capacity));
  if (!block) return nullptr;
  *reinterpret_cast<size_t*>(block) = capacity;
  return block + kAlignment;
}

void deallocate_unsized(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - kAlignment;
  deallocate(block, *reinterpret_cast<size_t*>(block));
}

}  // namespace covector
