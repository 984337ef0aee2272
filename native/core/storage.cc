// Creation and destruction of Storage.
#include "core/storage.h"

#include <new>

#include "core/allocator.h"

namespace covector {
namespace {

constexpr size_t kHeader = 64;  // keeps the data that follow aligned
constexpr size_t kInlineLimit = size_t(256) << 10;
static_assert(sizeof(Storage) <= kHeader);

}  // namespace

Storage* Storage::create(size_t nbytes) {
  size_t capacity;
  if (nbytes <= kInlineLimit) {
    char* block = static_cast<char*>(allocate(kHeader + nbytes, &capacity));
    if (!block) return nullptr;
    return new (block)
        Storage{block + kHeader, nbytes, capacity, 1, kInline, nullptr, nullptr, nullptr};
  }
  size_t header_capacity;
  void* header = allocate(sizeof(Storage), &header_capacity);
  if (!header) return nullptr;
  void* data = allocate(nbytes, &capacity);
  if (!data) {
    deallocate(header, header_capacity);
    return nullptr;
  }
  return new (header) Storage{data, nbytes, capacity, 1, kSeparate, nullptr, nullptr, nullptr};
}

Storage* Storage::wrap(void* data, size_t nbytes, void (*release)(void*), void* context,
                       const Memory* memory) {
  size_t capacity;
  void* header = allocate(sizeof(Storage), &capacity);
  if (!header) return nullptr;
  return new (header) Storage{data, nbytes, capacity, 1, kForeign, release, context, memory};
}

void Storage::destroy() {
  if (kind == kInline) {
    deallocate(this, capacity);
    return;
  }
  if (kind == kSeparate)
    deallocate(data, capacity);
  else if (release)
    release(context);
  deallocate(this, kHeader);
}

}  // namespace covector
