// The Python type of all executables.
#include "call/executable.h"

#include <algorithm>

#include "host/registry.h"
#include "python/small_vector.h"
#include "python/type.h"

namespace covector {

PyTypeObject* ExecutableType = nullptr;

namespace {

bool check_argument(const Executable& e, size_t i, ArrayObject* a) {
  const ArraySpec& spec = e.inputs()[i];
  if (!check_alive(a)) return false;
  if (a->code == spec.code && a->ndim == spec.ndim() &&
      std::equal(spec.shape.begin(), spec.shape.end(), a->shape))
    return true;
  Ref expected(shape_tuple(spec.ndim(), spec.shape.data())), given(shape_tuple(a->ndim, a->shape));
  if (expected && given)
    PyErr_Format(PyExc_TypeError, "%U: argument %zu has shape %R and dtype %s, expected %R and %s",
                 e.name(), i, given.get(), dtype_name(a->code), expected.get(),
                 dtype_name(spec.code));
  return false;
}

PyObject* call(PyObject* self, PyObject* arrays) {
  const Executable& e = *executable_of(self);
  Ref fast(PySequence_Fast(arrays, "call() expects a sequence of Arrays"));
  if (!fast) return nullptr;
  size_t n = size_t(PySequence_Fast_GET_SIZE(fast.get()));
  if (n != e.inputs().size()) {
    PyErr_Format(PyExc_TypeError, "%U takes %zu arrays, got %zu", e.name(), e.inputs().size(), n);
    return nullptr;
  }
  SmallVector<Argument, 16> arguments;
  std::vector<Ref> held;  // the caller's list may change while the program runs
  held.reserve(2 * n);
  for (size_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(fast.get(), i);
    ArrayObject* a = require_array(item);
    if (!a || !check_argument(e, i, a)) return nullptr;
    held.push_back(Ref::borrow(item));
    a = e.brought(i, a);
    if (!a) return nullptr;
    held.emplace_back(as_object(a));
    arguments.push_back({a->data, a});
  }
  SmallVector<PyObject*, 16> results;
  results.resize(e.num_outputs());
  if (!e.call(arguments.data(), results.data())) return nullptr;
  PyObject* list = PyList_New(Py_ssize_t(results.size()));
  for (size_t i = 0; i < results.size(); ++i)
    if (list)
      PyList_SET_ITEM(list, Py_ssize_t(i), results[i]);
    else
      Py_DECREF(results[i]);
  return list;
}

PyObject* donate(PyObject* self, PyObject* inputs) {
  auto add = [&](PyObject* item) {
    long long i = PyLong_AsLongLong(item);
    if (i == -1 && PyErr_Occurred()) return false;
    return executable_of(self)->donate(i);
  };
  if (!for_each_item(inputs, "donate() expects a sequence of ints", add)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* get_name(PyObject* self, void*) { return Py_NewRef(executable_of(self)->name()); }

PyObject* repr(PyObject* self) {
  const Executable& e = *executable_of(self);
  return PyUnicode_FromFormat("<Executable %U: %zu inputs, %zu outputs>", e.name(),
                              e.inputs().size(), e.num_outputs());
}

PyGetSetDef getset[] = {
    {"name", get_name, nullptr, "The name in messages.", nullptr},
    {nullptr},
};

PyMethodDef methods[] = {
    {"call", call, METH_O, "call(arrays): run on a sequence of Arrays; returns a list."},
    {"donate", donate, METH_O, "donate(inputs): have calls delete the arrays given for them."},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A compiled program that can be called on Arrays.")},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_dealloc, reinterpret_cast<void*>(executable_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(executable_traverse)},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.Executable", sizeof(ExecutableObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
                        Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

bool Executable::donate(int64_t i) {
  if (i < 0 || size_t(i) >= inputs_.size()) return bad_executable("a donated input does not exist");
  is_donated_.resize(inputs_.size());
  if (!is_donated_[size_t(i)]) donated_.push_back(size_t(i));
  is_donated_[size_t(i)] = true;
  return true;
}

ArrayObject* Executable::brought(size_t i, ArrayObject* array) const {
  Ref there(as_object(bring(array)));
  // What the array keeps of itself elsewhere is not given away with it.
  if (there && there.get() == array->host && !donated_.empty() && is_donated_[i])
    return array_alias(as_array(there.get()), as_array(there.get())->weak);
  return as_array(there.release());
}

bool Executable::call_donating(const Argument* arguments, PyObject** results) const {
  // Marks, because a program may have thousands of arguments. Nothing else runs meanwhile.
  size_t twice = inputs_.size();
  for (size_t i : donated_)
    if (ArrayObject* a = arguments[i].array) {
      if (a->marked) twice = i;
      a->marked = true;
    }
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (arguments[i].array && arguments[i].array->marked && !is_donated_[i]) twice = i;
  for (size_t i : donated_)
    if (arguments[i].array) arguments[i].array->marked = false;
  if (twice < inputs_.size()) {
    size_t first = twice;
    for (size_t i : donated_)
      if (i != twice && arguments[i].array == arguments[twice].array) first = i;
    PyErr_Format(PyExc_RuntimeError,
                 "%U was given one array as two arguments, the arrays number %zu and %zu that it "
                 "uses, and it is donated: its memory cannot be used twice. Pass a copy, x.copy(), "
                 "or leave it out of donate_argnums",
                 name(), std::min(first, twice), std::max(first, twice));
    return false;
  }
  if (!run(arguments, results)) return false;
  for (size_t i : donated_)
    if (arguments[i].array) array_delete(arguments[i].array);
  return true;
}

void executable_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  delete executable_of(self);
  free_object(self);
}

int executable_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  const Executable* body = executable_of(self);
  return body ? body->traverse(visit, arg) : 0;
}

PyObject* wrap_executable(PyTypeObject* type, Executable* body) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self)
    reinterpret_cast<ExecutableObject*>(self)->body = body;
  else
    delete body;
  return self;
}

bool parse_spec(PyObject* item, bool with_weak, ArraySpec* spec) {
  PyObject *code, *shape, *weak = Py_False;
  if (!PyTuple_Check(item)) {
    PyErr_SetString(PyExc_TypeError, "a spec must be a tuple (code, shape[, weak])");
    return false;
  }
  if (!PyArg_ParseTuple(item, with_weak ? "OOO" : "OO", &code, &shape, &weak)) return false;
  int truth = PyObject_IsTrue(weak);
  if (truth < 0 || !parse_code(code, &spec->code) || !parse_shape(shape, &spec->shape))
    return false;
  spec->weak = truth;
  spec->size = count_elements(spec->code, spec->ndim(), spec->shape.data());
  return spec->size >= 0;
}

bool bad_executable(const char* message) {
  PyErr_SetString(PyExc_ValueError, message);
  return false;
}

bool init_executable(PyObject* module) {
  return add_type(module, "Executable", &spec, &ExecutableType);
}

}  // namespace covector
