// What a compiled program is to those who call it, whatever runs it.
#pragma once

#include <Python.h>

#include <vector>

#include "host/array.h"
#include "python/ref.h"

namespace covector {

struct ArraySpec {
  int code;
  bool weak;
  std::vector<int64_t> shape;
  int64_t size;
  int ndim() const { return int(shape.size()); }
};

// An argument of a program: an Array, or a Python scalar already converted at `data`.
struct Argument {
  void* data;  // null for an Array that the host cannot address
  ArrayObject* array;
};

// A program with the types of its inputs and outputs. The GIL is held in all functions.
class Executable {
 public:
  explicit Executable(PyObject* name) : name_(Py_NewRef(name)) {}
  virtual ~Executable() { Py_DECREF(name_); }
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  PyObject* name() const { return name_; }  // borrowed; for messages
  const std::vector<ArraySpec>& inputs() const { return inputs_; }
  size_t num_outputs() const { return num_outputs_; }

  // Fills `results` with new references, or returns false with an exception set. The arguments
  // must be alive, have the types of the inputs and be where `bring` puts them. Donated arrays are
  // deleted.
  bool call(const Argument* arguments, PyObject** results) const {
    if (donated_.empty()) [[likely]]
      return run(arguments, results);
    return call_donating(arguments, results);
  }

  // Whether the array is where the program takes it.
  virtual bool takes(const ArrayObject*) const { return true; }
  // The array as the program takes input `i`, if it is somewhere else: a new reference; null with
  // an exception.
  ArrayObject* brought(size_t i, ArrayObject* array) const;

  // Has calls delete the array given as input `i`.
  bool donate(int64_t i);

  // For the garbage collector: the Python objects that the program owns.
  virtual int traverse(visitproc, void*) const { return 0; }

 protected:
  virtual bool run(const Argument* arguments, PyObject** results) const = 0;
  // The array where the program takes it: a new reference; null with an exception.
  virtual ArrayObject* bring(ArrayObject* array) const {
    return as_array(Py_NewRef(as_object(array)));
  }

  std::vector<size_t> donated_;   // inputs, and for each input whether it is one of them
  std::vector<bool> is_donated_;  // (empty if there are none)
  std::vector<ArraySpec> inputs_;
  size_t num_outputs_ = 0;

 private:
  bool call_donating(const Argument* arguments, PyObject** results) const;

  PyObject* name_;
};

// Python's view of it: the types of the several kinds of Executable are subtypes of ExecutableType.
struct ExecutableObject {
  PyObject_HEAD
  Executable* body;
};

extern PyTypeObject* ExecutableType;

inline Executable* executable_of(PyObject* obj) {
  return reinterpret_cast<ExecutableObject*>(obj)->body;
}

// Slots of a subtype's dealloc and traverse.
void executable_dealloc(PyObject* self);
int executable_traverse(PyObject* self, visitproc visit, void* arg);

// For constructors: an object of the type that owns `body`, which is deleted on failure.
PyObject* wrap_executable(PyTypeObject* type, Executable* body);
// A tuple (code, shape) or, with_weak, (code, shape, weak).
bool parse_spec(PyObject* item, bool with_weak, ArraySpec* spec);
bool bad_executable(const char* message);  // sets ValueError; false

template <class F>
bool for_each_item(PyObject* sequence, const char* what, F&& f) {
  Ref fast(PySequence_Fast(sequence, what));
  if (!fast) return false;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i)
    if (!f(PySequence_Fast_GET_ITEM(fast.get(), i))) return false;
  return true;
}

bool init_executable(PyObject* module);
bool init_hosted_executable(PyObject* module);

}  // namespace covector
