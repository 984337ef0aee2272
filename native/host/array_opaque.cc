// Arrays in memory that the host cannot address: a handle of their backend, read on demand.
#include <cstring>

#include "host/array.h"
#include "host/registry.h"
#include "python/ref.h"

namespace covector {
namespace {

// The handle is a Python object with a method to_host(), which returns the bytes in C order. It may
// have the methods wait() and is_ready(), where programs go on when their call has returned.
Storage* read_handle(const Storage& from) {
  Ref bytes(PyObject_CallMethod(static_cast<PyObject*>(from.context), "to_host", nullptr));
  if (!bytes) return nullptr;
  Py_buffer view;
  if (PyObject_GetBuffer(bytes.get(), &view, PyBUF_C_CONTIGUOUS) < 0) return nullptr;
  Storage* to = nullptr;
  if (size_t(view.len) != from.nbytes)
    PyErr_Format(PyExc_RuntimeError, "a buffer of %zu bytes was read from its device as %zd bytes",
                 from.nbytes, view.len);
  else if (!(to = Storage::create(from.nbytes)))
    PyErr_NoMemory();
  else if (from.nbytes)
    std::memcpy(to->data, view.buf, from.nbytes);
  PyBuffer_Release(&view);
  return to;
}

// What a method without arguments returns; None if there is none of that name.
Ref asked(const Storage& of, const char* name) {
  PyObject* handle = static_cast<PyObject*>(of.context);
  Ref method(PyObject_GetAttrString(handle, name));
  if (method) return Ref(PyObject_CallNoArgs(method.get()));
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return Ref();
  PyErr_Clear();
  return Ref(Py_NewRef(Py_None));
}

bool wait_for_handle(const Storage& storage) { return bool(asked(storage, "wait")); }

bool handle_is_ready(const Storage& storage) {
  Ref found = asked(storage, "is_ready");
  if (!found) PyErr_Clear();  // whoever waits is told
  return !found || found.get() != Py_False;
}

void release_handle(void* context) {
  if (!Py_IsInitialized()) return;
  GilGuard gil;
  Py_DECREF(static_cast<PyObject*>(context));
}

constexpr Memory kHandles{read_handle, wait_for_handle, handle_is_ready};

}  // namespace

ArrayObject* fetch_to_host(ArrayObject* a) {
  if (a->host) return as_array(a->host);
  Storage* storage = a->storage->share();  // reading may run code that deletes the array
  Storage* there = storage->memory->read(*storage);
  storage->drop();
  if (!there) return nullptr;
  ArrayObject* copy = array_wrap(a->code, a->weak, a->ndim, a->shape, there, there->data);
  if (!copy) return nullptr;
  Py_XSETREF(a->host, as_object(copy));
  return copy;
}

PyObject* opaque_array(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  int code, weak;
  Placement placement;
  std::vector<int64_t> shape;
  if (nargs != 5) {
    PyErr_SetString(PyExc_TypeError, "opaque_array(handle, code, shape, weak, placement)");
    return nullptr;
  }
  if (!parse_code(args[1], &code) || !parse_shape(args[2], &shape) ||
      (weak = PyObject_IsTrue(args[3])) < 0 || !parse_placement(args[4], &placement))
    return nullptr;
  int64_t size = count_elements(code, int(shape.size()), shape.data());
  if (size < 0) return nullptr;
  Storage* storage = Storage::wrap(nullptr, size_t(size) * itemsizes[code], release_handle,
                                   Py_NewRef(args[0]), &kHandles);
  if (!storage) {
    Py_DECREF(args[0]);
    return PyErr_NoMemory();
  }
  ArrayObject* a = array_wrap(code, weak, int(shape.size()), shape.data(), storage, nullptr);
  if (a) a->placement = placement;
  return as_object(a);
}

PyObject* array_handle(PyObject* self, void*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (a->storage->memory != &kHandles) Py_RETURN_NONE;
  return Py_NewRef(static_cast<PyObject*>(a->storage->context));
}

}  // namespace covector
