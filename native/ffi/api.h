// What native functions may call while they run on the host, and what a run of one holds.
#pragma once

#include <cstdint>
#include <string>

#include "covector/ffi_abi.h"

struct covector_ffi_error {
  covector_ffi_code code;
  std::string message;
};

namespace covector::ffi {

// The table of functions.
const covector_ffi_api* host_api();

// An object that a handler has left, of a registered type.
struct State {
  int64_t type = 0;
  void* object = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();
};

// Waits until a future is completed, and destroys it: the error, which is the caller's, or null.
covector_ffi_error* await_future(covector_ffi_future* future);

// Gives a type its number, or checks it; an error is the caller's.
covector_ffi_error* register_type(const std::string& name, covector_ffi_type_id* type,
                                  const covector_ffi_type_info* info);

}  // namespace covector::ffi

// Of one run of a function, or of its instantiation.
struct covector_ffi_context {
  covector::ffi::State* states[3];  // of the stages before execution; null where there is none
  int handler_minor;                // the version it was built for
  bool runs;                        // false while it is instantiated
  int64_t run_id = 0;               // made when it is asked for
};
