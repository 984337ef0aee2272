// The current trace and the context key of each thread.
#include "python/trace_state.h"

namespace covector {

#if defined(__GLIBC__)
thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec"))) = {};
#else
thread_local constinit ThreadState thread_state = {};
#endif

std::atomic<uint64_t> default_context_key{0};
std::atomic<Filtering> default_filtering{Filtering::kUnset};

namespace {

PyObject* eval_trace = nullptr;
PyObject* rekey = nullptr;  // calls set_thread_options

bool parse_key(PyObject* obj, uint64_t* key) {
  *key = PyLong_AsUnsignedLongLong(obj);
  return *key != ~0ull || !PyErr_Occurred();
}

bool parse_options(PyObject* const* args, Py_ssize_t nargs, uint64_t* key, Filtering* filtering) {
  if (nargs != 2) {
    PyErr_SetString(PyExc_TypeError, "expected (context_key, filter_tracebacks)");
    return false;
  }
  int filter = PyObject_IsTrue(args[1]);
  *filtering = args[1] == Py_None ? Filtering::kUnset : filter ? Filtering::kOn : Filtering::kOff;
  return filter >= 0 && parse_key(args[0], key);
}

}  // namespace

uint64_t fresh_context_key() {
  thread_state.outer_key = default_context_key;
  PyObject* done = rekey ? PyObject_CallNoArgs(rekey) : Py_NewRef(Py_None);
  if (!done) PyErr_WriteUnraisable(rekey);
  Py_XDECREF(done);
  return thread_state.context_key ? thread_state.context_key : default_context_key.load();
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

PyObject* get_context_key(PyObject*, PyObject*) {
  return PyLong_FromUnsignedLongLong(context_key());
}

PyObject* set_context_key(PyObject*, PyObject* key) {
  uint64_t value;
  if (!parse_key(key, &value)) return nullptr;
  thread_state.context_key = value;
  thread_state.outer_key = default_context_key;
  Py_RETURN_NONE;
}

PyObject* set_thread_options(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  uint64_t key;
  Filtering filtering;
  if (!parse_options(args, nargs, &key, &filtering)) return nullptr;
  thread_state.context_key = key;
  thread_state.outer_key = default_context_key;
  thread_state.filtering = filtering;
  Py_RETURN_NONE;
}

PyObject* set_default_options(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  uint64_t key;
  Filtering filtering;
  if (!parse_options(args, nargs, &key, &filtering)) return nullptr;
  default_context_key = key;
  default_filtering = filtering;
  Py_RETURN_NONE;
}

PyObject* set_rekey(PyObject*, PyObject* callable) {
  Py_INCREF(callable);
  Py_XSETREF(rekey, callable);
  Py_RETURN_NONE;
}

}  // namespace covector
