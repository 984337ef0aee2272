// Calls of native functions from compiled programs, without Python.
#pragma once

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "covector/ffi_abi.h"
#include "ffi/api.h"

namespace covector::ffi {

// What a handler reported, or what is wrong with a call.
class Failure : public std::runtime_error {
 public:
  Failure(covector_ffi_code code, const std::string& message)
      : std::runtime_error(message), code(code) {}
  const covector_ffi_code code;
};

struct Handlers {
  std::string name;
  covector_ffi_bundle bundle;
  int minor;  // the version they were built for
};

// Handlers are called without the GIL.

// The metadata of a handler, as it answers a caller of version 0.`minor`; or a Failure.
covector_ffi_metadata describe(covector_ffi_handler* handler, int minor);

// An array that a function is called with.
struct ArrayType {
  covector_ffi_dtype dtype;
  std::vector<int64_t> dims;
  int64_t nbytes;
};

// Attributes, in the form of the interface; they are filled in and then belong to a Call.
class Attributes {
 public:
  void add(const std::string& name, covector_ffi_kind kind, void* item);
  void* scalar(covector_ffi_dtype dtype, const std::string& bytes);
  void* array(covector_ffi_dtype dtype, size_t count, const std::string& bytes);
  void* text(const std::string& value);
  Attributes& inner() { return inner_.emplace_back(); }
  // Sorted by name.
  covector_ffi_attributes* view();

 private:
  // Deques: what has an address keeps it.
  std::deque<std::vector<uint64_t>> memory_;  // aligned
  std::deque<std::string> strings_;
  std::deque<covector_ffi_text> texts_;
  std::deque<covector_ffi_scalar> scalars_;
  std::deque<covector_ffi_array> arrays_;
  std::deque<Attributes> inner_;
  struct Entry {
    covector_ffi_text* name;
    covector_ffi_kind kind;
    void* item;
  };
  std::vector<Entry> entries_;
  std::vector<covector_ffi_text*> names_;
  std::vector<covector_ffi_kind> kinds_;
  std::vector<void*> items_;
  covector_ffi_attributes view_{};
};

// Mapped axes that the function is called for each element of, the outermost first: the size of
// each, and of each array the bytes from an element to the next.
struct Level {
  int64_t size;
  std::vector<int64_t> strides;
};

// An argument that is given in the memory of a result.
struct Alias {
  size_t arg, result;
  int64_t nbytes;
};

// One call in a program.
class Call {
 public:
  // Runs the instantiation; throws a Failure.
  Call(Handlers handlers, const std::vector<ArrayType>& args, const std::vector<ArrayType>& results,
       std::deque<Attributes> attributes, std::vector<Level> levels, std::vector<Alias> aliases);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // For the slot of the runtime table: a Status, with a Python exception set where it is no success.
  // May be called from several threads at once.
  int32_t run(void** ins, void** outs) const;

 private:
  struct Run;

  Handlers handlers_;
  size_t num_args_, num_results_;
  std::deque<std::vector<int64_t>> dims_;
  std::vector<covector_ffi_buffer> buffers_;  // arguments, then results, without addresses
  std::vector<int32_t> kinds_;
  std::deque<Attributes> attributes_;
  covector_ffi_frame frame_{};
  std::vector<Level> levels_;
  std::vector<Alias> aliases_;
  State instantiated_;
};

}  // namespace covector::ffi
