// The caching allocator. Blocks below 2 MiB live in free lists by size class; larger ones are
// mapped directly, aligned to huge pages, and reused best-fit. The cache is bounded: the large
// block that has been free for longest goes first.
#include "core/allocator.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "core/spin_lock.h"

namespace covector {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHuge = size_t(2) << 20;
constexpr size_t kLinearLimit = 1024;  // classes are multiples of 64 up to here,
constexpr int kLinearClasses = 16;     // then four to a doubling
constexpr int kClasses = kLinearClasses + 4 * 11 + 1;
constexpr size_t kTooLarge = size_t(1) << 48;

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
};

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
    size_t pages = size_t(std::max(1L, sysconf(_SC_PHYS_PAGES)));
    size_t ram = pages * size_t(sysconf(_SC_PAGESIZE));
    limit_ = std::min(ram / 4, size_t(4) << 30);
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
      if (FreeBlock* head = free_[c]) {
        free_[c] = head->next;
        cached_ -= size;
        block = head;
        count(size);
      }
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
    std::vector<std::pair<void*, size_t>> evicted;
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
        cached_ += size;
      } else {
        large_.emplace(size, LargeBlock{block, ++clock_});
        cached_ += size;
      }
    }
    for (auto [p, n] : evicted) release_to_system(p, n);
  }

  void trim() {
    FreeBlock* small[kClasses];
    std::multimap<size_t, LargeBlock> large;
    {
      std::lock_guard guard(lock_);
      std::copy(free_, free_ + kClasses, small);
      std::fill(free_, free_ + kClasses, nullptr);
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
  }

  AllocatorStats stats() {
    std::lock_guard guard(lock_);
    return {in_use_, peak_, cached_, limit_, allocations_, system_allocations_};
  }

  void before_fork() { lock_.lock(); }
  void after_fork() { lock_.unlock(); }

 private:
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
  std::multimap<size_t, LargeBlock> large_;
  size_t limit_ = 0, cached_ = 0, in_use_ = 0, peak_ = 0;
  uint64_t clock_ = 0, allocations_ = 0, system_allocations_ = 0;
};

// Never destroyed: blocks may be freed while the interpreter and the process shut down.
Allocator& allocator() {
  static Allocator* instance = [] {
    auto* a = new Allocator;
    pthread_atfork([] { allocator().before_fork(); }, [] { allocator().after_fork(); },
                   [] { allocator().after_fork(); });
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
