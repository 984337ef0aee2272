// A caching allocator: 64-byte aligned blocks, size classes, huge pages from 2 MiB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace covector {

struct AllocatorStats {
  size_t bytes_in_use;
  size_t peak_bytes_in_use;
  size_t bytes_cached;
  size_t cache_limit;
  uint64_t allocations;
  uint64_t system_allocations;
};

// Returns a block of at least nbytes, or nullptr. `*capacity` is the block's true size, which
// deallocate() must be given back.
void* allocate(size_t nbytes, size_t* capacity);
void deallocate(void* block, size_t capacity);

// The same for callers that cannot remember a capacity (generated code).
void* allocate_unsized(int64_t nbytes);
void deallocate_unsized(void* data);

AllocatorStats allocator_stats();
void trim_allocator();  // gives all cached blocks back to the system

}  // namespace covector
