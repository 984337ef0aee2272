// Reference-counted memory that arrays share.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace covector {

struct Storage;

// A kind of memory that the host cannot address.
struct Memory {
  // Host memory with the elements of a Storage; null, with the error reported, if that fails.
  Storage* (*read)(const Storage& from);
  // Waits until what is computed into it is there, and whether it is; null where programs are
  // through when their call returns.
  bool (*wait)(const Storage& storage) = nullptr;
  bool (*is_ready)(const Storage& storage) = nullptr;
  // Begins what `read` ends; null where reading takes no time worth it.
  bool (*start_reading)(const Storage& from) = nullptr;
  // Where the elements are on the device, and how many bytes they take there.
  bool (*address)(const Storage& storage, uintptr_t* out) = nullptr;
  bool (*size)(const Storage& storage, size_t* out) = nullptr;
};

struct Storage {
  enum Kind : uint32_t {
    kInline,    // the data follow this header in one block
    kSeparate,  // the data have a block of their own
    kForeign,   // somebody else's memory: `release(context)` gives it back
  };

  void* data;  // null where the host cannot address it
  size_t nbytes;
  size_t capacity;  // of the block that deallocate() is given
  std::atomic<int32_t> refs;
  Kind kind;
  void (*release)(void*);
  void* context;
  const Memory* memory;  // null: the host's

  // Each returns a new reference, or nullptr when memory is exhausted.
  static Storage* create(size_t nbytes);
  static Storage* wrap(void* data, size_t nbytes, void (*release)(void*), void* context,
                       const Memory* memory = nullptr);

  Storage* share() {
    refs.fetch_add(1, std::memory_order_relaxed);
    return this;
  }
  void drop() {
    // A sole owner need not pay for an atomic read-modify-write.
    if (refs.load(std::memory_order_acquire) == 1 ||
        refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy();
  }
  // Nobody else can see the memory, so that a program may overwrite it.
  bool is_exclusive() const {
    return kind != kForeign && refs.load(std::memory_order_acquire) == 1;
  }

 private:
  void destroy();
};

}  // namespace covector
