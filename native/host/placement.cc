// The table of placements.
#include "host/placement.h"

#include <vector>

#include "python/ref.h"

namespace covector {
namespace {

struct Entry {
  PyObject* sharding;  // null for the default placement until it is asked for
  bool committed;
  bool spread;
  bool typed;
};

std::vector<Entry>& table() {
  static auto* entries = new std::vector<Entry>{{nullptr, false, false, false}};
  return *entries;
}

PyObject* default_sharding = nullptr;

}  // namespace

PyObject* placement_sharding(Placement placement) {
  if (PyObject* found = table()[placement].sharding) return found;
  if (!default_sharding) {
    PyErr_SetString(PyExc_RuntimeError, "no default sharding is registered");
    return nullptr;
  }
  PyObject* sharding = PyObject_CallNoArgs(default_sharding);
  if (sharding) Py_XSETREF(table()[placement].sharding, sharding);
  return sharding;
}

bool placement_committed(Placement placement) { return table()[placement].committed; }
bool placement_spread(Placement placement) { return table()[placement].spread; }
bool placement_typed(Placement placement) { return table()[placement].typed; }

bool parse_placement(PyObject* obj, Placement* placement) {
  long value = PyLong_AsLong(obj);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value < 0 || size_t(value) >= table().size()) {
    PyErr_Format(PyExc_ValueError, "%ld is not a placement", value);
    return false;
  }
  *placement = Placement(value);
  return true;
}

PyObject* add_placement(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 4) {
    PyErr_SetString(PyExc_TypeError, "add_placement(sharding, committed, spread, typed)");
    return nullptr;
  }
  int flags[3];
  for (int i = 0; i < 3; ++i)
    if ((flags[i] = PyObject_IsTrue(args[1 + i])) < 0) return nullptr;
  table().push_back({Py_NewRef(args[0]), flags[0] != 0, flags[1] != 0, flags[2] != 0});
  return PyLong_FromSize_t(table().size() - 1);
}

PyObject* set_default_sharding(PyObject*, PyObject* function) {
  Py_INCREF(function);
  Py_XSETREF(default_sharding, function);
  Py_RETURN_NONE;
}

}  // namespace covector
