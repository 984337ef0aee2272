// Calls of users' native functions (covector/ffi.h) from generated code, without Python.
#pragma once

#include <cstdint>

#include "covector/ffi.h"

namespace covector {

// One call in a program. `call` has everything but the addresses of arrays: its `args` are the
// descriptions of the arguments and, after them, of the results. Python owns it, and lays out the
// same struct (runtime/foreign.py).
struct ForeignCall {
  covector_ffi_function function;
  const covector_ffi_call* call;
  int32_t levels;  // of mapped axes that the function is called for each element of
  int32_t aliases;
  const int64_t* sizes;    // of each level
  const int64_t* strides;  // of each level and array, in bytes
  const int64_t* alias;    // triples: argument, result that takes its memory, bytes
};

int32_t run_foreign(const ForeignCall& what, void** ins, void** outs);

}  // namespace covector
