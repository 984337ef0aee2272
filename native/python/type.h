// What the definitions of Python types share.
#pragma once

#include <Python.h>

#include "python/traceback.h"

namespace covector {

constexpr unsigned int kFunctionFlags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                        Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR;

// tp_descr_get of functions: in a class they are methods.
inline PyObject* bind_method(PyObject* self, PyObject* instance, PyObject*) {
  if (!instance || instance == Py_None) return Py_NewRef(self);
  return PyMethod_New(self, instance);
}

// The result of a function that users call. An exception keeps only the frames that are theirs.
inline PyObject* user_result(PyObject* result) {
  if (!result) [[unlikely]]
    filter_raised();
  return result;
}

// The end of tp_dealloc of a type made from a PyType_Spec.
inline void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// Makes a type, a subtype of `base` if there is one, and puts it into the module; `*type` keeps a
// reference.
inline bool add_type(PyObject* module, const char* name, PyType_Spec* spec, PyTypeObject** type,
                     PyTypeObject* base = nullptr) {
  PyObject* made = PyType_FromSpecWithBases(spec, reinterpret_cast<PyObject*>(base));
  *type = reinterpret_cast<PyTypeObject*>(made);
  return made && PyModule_AddObjectRef(module, name, made) == 0;
}

}  // namespace covector
