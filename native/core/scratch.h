// Temporary memory from the caching allocator, given back at the end of the scope.
#pragma once

#include <cstdint>

#include "core/allocator.h"

namespace covector {

template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : data_(allocate(size_t(n) * sizeof(T), &capacity_)) {}
  ~Scratch() {
    if (data_) deallocate(data_, capacity_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  explicit operator bool() const { return data_ != nullptr; }
  T* get() { return static_cast<T*>(data_); }

 private:
  size_t capacity_ = 0;
  void* data_;
};

}  // namespace covector
