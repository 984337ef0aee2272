// The signature of a call: what must be equal for two calls to share a compiled program.
#pragma once

#include <Python.h>

#include <cstdint>
#include <vector>

#include "python/small_vector.h"

namespace covector {

// What of a call is static, by position and by name.
struct StaticArguments {
  std::vector<long> positions;   // negative ones count from the end of the positional arguments
  std::vector<PyObject*> names;  // owned strings
};

// Words describe structure, types and shapes; objects (static values, dict keys, names and
// auxiliary data of nodes) stand beside them in order of appearance.
class Signature {
 public:
  enum Outcome { kEligible, kIneligible, kError };

  SmallVector<uint64_t, 48> words;
  SmallVector<PyObject*, 8> objects;  // borrowed from the call or from `owned`
  SmallVector<PyObject*, 16> leaves;  // Arrays and Python scalars; likewise
  SmallVector<PyObject*, 16> owned;

  ~Signature() {
    for (PyObject* obj : owned) Py_DECREF(obj);
  }

  Outcome build(const StaticArguments& statics, PyObject* const* args, Py_ssize_t nargs,
                PyObject* kwnames);
  // Of words and objects; false with an exception where an object has no hash.
  bool hash(uint64_t* result) const;

 private:
  Outcome add(PyObject* obj);
  Outcome add_other(PyObject* obj);
  Outcome add_dict(PyObject* dict);
  Outcome add_node(PyObject* obj, PyObject* flatten);
  Outcome add_static(PyObject* obj);
  PyObject* own(PyObject* obj) {  // takes over the reference
    owned.push_back(obj);
    return obj;
  }
};

enum class Equality { kYes, kNo, kError };

// Python equality of values with the same type.
Equality equal_objects(PyObject* a, PyObject* b);

}  // namespace covector
