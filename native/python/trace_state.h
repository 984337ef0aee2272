// What belongs to a thread: the current trace, the configuration key, the running program.
#pragma once

#include <Python.h>

#include <atomic>
#include <cstdint>

namespace covector {

struct RunningProgram;  // cpu/executable.h

enum class Filtering : uint8_t { kUnset, kOn, kOff };

struct ThreadState {
  PyObject* trace;       // owned; null stands for the eval trace
  uint64_t context_key;  // 0: the thread has no options of its own, those of the process hold
  uint64_t outer_key;    // the key of the process when this one was computed
  Filtering filtering;   // of tracebacks; kUnset: as the process
  RunningProgram* running;
};

// A few words in the static block of the C library, so that reading them takes one instruction.
#if defined(__GLIBC__)
extern thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec")));
#else
extern thread_local constinit ThreadState thread_state;
#endif

// The options of the process, which hold for threads that have none of their own.
extern std::atomic<uint64_t> default_context_key;
extern std::atomic<Filtering> default_filtering;

// The key of a thread whose options no longer go with those of the process, computed anew.
uint64_t fresh_context_key();

inline uint64_t context_key() {
  uint64_t outer = default_context_key.load(std::memory_order_relaxed);
  if (!thread_state.context_key) return outer;
  return thread_state.outer_key == outer ? thread_state.context_key : fresh_context_key();
}

inline bool filters_tracebacks() {
  Filtering own = thread_state.filtering;
  return (own != Filtering::kUnset ? own : default_filtering.load(std::memory_order_relaxed)) !=
         Filtering::kOff;
}

PyObject* current_trace(PyObject*, PyObject*);
PyObject* swap_trace(PyObject*, PyObject* trace);
PyObject* set_eval_trace(PyObject*, PyObject* trace);
PyObject* get_context_key(PyObject*, PyObject*);
PyObject* set_context_key(PyObject*, PyObject* key);
PyObject* set_thread_options(PyObject*, PyObject* const* args, Py_ssize_t nargs);
PyObject* set_default_options(PyObject*, PyObject* const* args, Py_ssize_t nargs);
PyObject* set_rekey(PyObject*, PyObject* rekey);

}  // namespace covector
