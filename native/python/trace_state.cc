// The current trace and the context key of each thread.
#include "python/trace_state.h"

namespace covector {

#if defined(__GLIBC__)
thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec"))) = {};
#else
thread_local constinit ThreadState thread_state = {};
#endif

namespace {
PyObject* eval_trace = nullptr;
}

PyObject* current_trace(PyObject*, PyObject*) {
  if (thread_state.trace) return Py_NewRef(thread_state.trace);
  return Py_NewRef(eval_trace ? eval_trace : Py_None);
}

PyObject* swap_trace(PyObject*, PyObject* trace) {
  PyObject* old = thread_state.trace;
  thread_state.trace = trace == eval_trace ? nullptr : Py_NewRef(trace);
  if (old) return old;
  return Py_NewRef(eval_trace ? eval_trace : Py_None);
}

PyObject* set_eval_trace(PyObject*, PyObject* trace) {
  Py_INCREF(trace);
  Py_XSETREF(eval_trace, trace);
  Py_RETURN_NONE;
}

PyObject* context_key(PyObject*, PyObject*) {
  return PyLong_FromUnsignedLongLong(thread_state.context_key);
}

PyObject* set_context_key(PyObject*, PyObject* key) {
  unsigned long long value = PyLong_AsUnsignedLongLong(key);
  if (value == ~0ull && PyErr_Occurred()) return nullptr;
  thread_state.context_key = value;
  Py_RETURN_NONE;
}

}  // namespace covector
