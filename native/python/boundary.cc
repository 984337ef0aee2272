// Boundary: a function that looks and works like the one inside, but whose errors show the
// frames of its callers only.
#include "python/boundary.h"

#include <structmember.h>

#include "python/ref.h"
#include "python/type.h"

namespace covector {
namespace {

struct BoundaryObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* function;
  PyObject* module;  // where users find it, which need not be where it is defined
  PyObject* weakrefs;
};

PyTypeObject* BoundaryType = nullptr;

BoundaryObject* as_boundary(PyObject* obj) { return reinterpret_cast<BoundaryObject*>(obj); }

PyObject* boundary_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  return user_result(PyObject_Vectorcall(as_boundary(self)->function, args, nargsf, kwnames));
}

// --- attributes: those of the function, but for the few that the type defines ---------------

bool is_module_attribute(PyObject* name) {
  return PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "__module__") == 0;
}

PyObject* get_attribute(PyObject* self, PyObject* name) {
  // The type has a __module__ of its own, which the generic look-up would find.
  if (is_module_attribute(name)) return Py_NewRef(as_boundary(self)->module);
  PyObject* found = PyObject_GenericGetAttr(self, name);
  if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
  PyErr_Clear();
  return PyObject_GetAttr(as_boundary(self)->function, name);
}

int set_attribute(PyObject* self, PyObject* name, PyObject* value) {
  if (value && is_module_attribute(name)) {
    Py_INCREF(value);
    Py_XSETREF(as_boundary(self)->module, value);
    return 0;
  }
  return PyObject_SetAttr(as_boundary(self)->function, name, value);  // deletes if value is null
}

PyObject* get_wrapped(PyObject* self, void*) { return Py_NewRef(as_boundary(self)->function); }
PyObject* get_doc(PyObject* self, void*) {
  return PyObject_GetAttrString(as_boundary(self)->function, "__doc__");
}

// The object that `module.qualname` names; null, without an exception, if there is none.
Ref find_global(PyObject* module, PyObject* qualname) {
  Ref found(PyImport_GetModule(module));
  Ref dot(PyUnicode_FromString("."));
  Ref parts(found && dot ? PyUnicode_Split(qualname, dot.get(), -1) : nullptr);
  for (Py_ssize_t i = 0; found && parts && i < PyList_GET_SIZE(parts.get()); ++i)
    found = Ref(PyObject_GetAttr(found.get(), PyList_GET_ITEM(parts.get(), i)));
  PyErr_Clear();
  return parts ? std::move(found) : Ref();
}

// Like a function: its qualified name. One that has no place of its own is made again from the
// function inside, which is up to the pickler.
PyObject* reduce(PyObject* self, PyObject*) {
  BoundaryObject* b = as_boundary(self);
  Ref qualname(PyObject_GetAttrString(b->function, "__qualname__"));
  if (!qualname) PyErr_Clear();
  if (qualname && PyUnicode_Check(qualname.get()) && PyUnicode_Check(b->module) &&
      find_global(b->module, qualname.get()).get() == self)
    return qualname.release();
  return Py_BuildValue("O(OO)", Py_TYPE(self), b->function, b->module);
}

PyObject* same(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* repr(PyObject* self) {
  Ref name(PyObject_GetAttrString(as_boundary(self)->function, "__qualname__"));
  if (!name) return nullptr;
  return PyUnicode_FromFormat("<function %S.%S>", as_boundary(self)->module, name.get());
}

// --- construction and life cycle ------------------------------------------------------------

PyObject* boundary_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"function", "module", nullptr};
  PyObject *function, *module = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Boundary", const_cast<char**>(names),
                                   &function, &module))
    return nullptr;
  if (!PyCallable_Check(function)) {
    PyErr_Format(PyExc_TypeError, "Boundary takes a function, got %.200s",
                 Py_TYPE(function)->tp_name);
    return nullptr;
  }
  Ref home = Ref::borrow(module);
  if (module == Py_None) {
    home = Ref(PyObject_GetAttrString(function, "__module__"));
    if (!home) return nullptr;
  }
  BoundaryObject* self = as_boundary(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  self->vectorcall = boundary_call;
  self->function = Py_NewRef(function);
  self->module = home.release();
  return reinterpret_cast<PyObject*>(self);
}

int boundary_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_boundary(self)->function);
  Py_VISIT(as_boundary(self)->module);
  return 0;
}

int boundary_clear(PyObject* self) {
  // A cleared function may still be called by a finaliser.
  Py_INCREF(Py_None);
  Py_XSETREF(as_boundary(self)->function, Py_None);
  return 0;
}

void boundary_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  if (as_boundary(self)->weakrefs) PyObject_ClearWeakRefs(self);
  Py_CLEAR(as_boundary(self)->function);
  Py_CLEAR(as_boundary(self)->module);
  free_object(self);
}

PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {"__copy__", same, METH_NOARGS, nullptr},
    {"__deepcopy__", same, METH_O, nullptr},
    {nullptr},
};

PyGetSetDef getset[] = {
    {"__wrapped__", get_wrapped, nullptr, nullptr, nullptr},
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {nullptr},
};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(BoundaryObject, vectorcall), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(BoundaryObject, weakrefs), READONLY, nullptr},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(boundary_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(boundary_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(boundary_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(boundary_clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(bind_method)},
    {Py_tp_getattro, reinterpret_cast<void*>(get_attribute)},
    {Py_tp_setattro, reinterpret_cast<void*>(set_attribute)},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {"covector._native.Boundary", sizeof(BoundaryObject), 0, kFunctionFlags, slots};

}  // namespace

bool init_boundary(PyObject* module) { return add_type(module, "Boundary", &spec, &BoundaryType); }

}  // namespace covector
