// What belongs to a thread: the current trace, the configuration key, the running program.
#pragma once

#include <Python.h>

#include <cstdint>

namespace covector {

struct RunningProgram;  // executable.h

struct ThreadState {
  PyObject* trace;  // owned; null stands for the eval trace
  uint64_t context_key;
  RunningProgram* running;
};

// A few words in the static block of the C library, so that reading them takes one instruction.
#if defined(__GLIBC__)
extern thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec")));
#else
extern thread_local constinit ThreadState thread_state;
#endif

PyObject* current_trace(PyObject*, PyObject*);
PyObject* swap_trace(PyObject*, PyObject* trace);
PyObject* set_eval_trace(PyObject*, PyObject* trace);
PyObject* context_key(PyObject*, PyObject*);
PyObject* set_context_key(PyObject*, PyObject* key);

}  // namespace covector
