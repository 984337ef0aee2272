// The callback slot of the runtime table.
#include "cpu/callbacks.h"

#include <unordered_map>

#include "cpu/executable.h"
#include "cpu/runtime.h"
#include "ffi/call.h"
#include "python/ref.h"
#include "python/trace_state.h"

namespace covector {
namespace {

std::unordered_map<int64_t, PyObject*>& callbacks() {
  static auto* map = new std::unordered_map<int64_t, PyObject*>;
  return *map;
}
int64_t next_id = 1;

PyObject* address_list(int64_t n, void** addresses) {
  Ref list(PyList_New(n));
  if (!list) return nullptr;
  for (int64_t i = 0; i < n; ++i) {
    PyObject* address = PyLong_FromVoidPtr(addresses[i]);
    if (!address) return nullptr;
    PyList_SET_ITEM(list.get(), i, address);
  }
  return list.release();
}

// Ids of Python's functions are odd; an even one is the address of a native call.
int32_t run_callback(int64_t id, int64_t nin, void** ins, int64_t nout, void** outs) {
  if (id % 2 == 0) return reinterpret_cast<const ffi::Call*>(id)->run(ins, outs);
  GilGuard gil;
  if (PyErr_Occurred()) return kPythonError;  // an earlier callback of the same run failed
  if (thread_state.running) thread_state.running->pin();
  auto it = callbacks().find(id);
  if (it == callbacks().end()) {
    PyErr_Format(PyExc_RuntimeError, "callback %lld is not registered", (long long)id);
    return kPythonError;
  }
  Ref callable = Ref::borrow(it->second);
  Ref in(address_list(nin, ins)), out(address_list(nout, outs));
  if (!in || !out) return kPythonError;
  Ref result(PyObject_CallFunctionObjArgs(callable.get(), in.get(), out.get(), nullptr));
  return result ? kOk : kPythonError;
}

}  // namespace

int64_t register_callback(PyObject* callable) {
  int64_t id = next_id;
  next_id += 2;
  callbacks()[id] = Py_NewRef(callable);
  return id;
}

bool unregister_callback(int64_t id) {
  auto it = callbacks().find(id);
  if (it == callbacks().end()) return false;
  PyObject* callable = it->second;
  callbacks().erase(it);
  Py_DECREF(callable);
  return true;
}

void init_callbacks() { runtime_table[kSlotCallback] = reinterpret_cast<void*>(run_callback); }

}  // namespace covector
