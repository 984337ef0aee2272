// Arrays from Python objects.
#include <cstring>

#include "host/array.h"
#include "host/registry.h"
#include "python/ref.h"

namespace covector {
namespace {

constexpr size_t kReleaseGilBytes = size_t(1) << 20;

bool check_nargs(const char* signature, Py_ssize_t nargs, Py_ssize_t least, Py_ssize_t most) {
  if (nargs >= least && nargs <= most) return true;
  PyErr_Format(PyExc_TypeError, "wrong number of arguments (%zd): %s", nargs, signature);
  return false;
}

void release_py_buffer(void* context) {
  if (!Py_IsInitialized()) return;
  GilGuard gil;
  auto* view = static_cast<Py_buffer*>(context);
  PyBuffer_Release(view);
  PyMem_Free(view);
}

}  // namespace

PyObject* array_from_buffer(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (!check_nargs("array_from_buffer(obj, code, shape, weak=False, alias=False)", nargs, 3, 5))
    return nullptr;
  int code;
  std::vector<int64_t> shape;
  int weak = nargs > 3 ? PyObject_IsTrue(args[3]) : 0;
  int alias = nargs > 4 ? PyObject_IsTrue(args[4]) : 0;
  if (weak < 0 || alias < 0 || !parse_code(args[1], &code) || !parse_shape(args[2], &shape))
    return nullptr;
  int64_t size = count_elements(code, int(shape.size()), shape.data());
  if (size < 0) return nullptr;
  size_t nbytes = size_t(size) * itemsizes[code];

  auto* view = static_cast<Py_buffer*>(PyMem_Malloc(sizeof(Py_buffer)));
  if (!view) return PyErr_NoMemory();
  if (PyObject_GetBuffer(args[0], view, PyBUF_C_CONTIGUOUS) < 0) {
    PyMem_Free(view);
    return nullptr;
  }
  PyObject* result = nullptr;
  if (size_t(view->len) != nbytes) {
    PyErr_Format(PyExc_ValueError, "the buffer has %zd bytes, but shape and dtype need %zu",
                 view->len, nbytes);
  } else if (alias && reinterpret_cast<uintptr_t>(view->buf) % itemsizes[code] == 0) {
    Storage* storage = Storage::wrap(view->buf, nbytes, release_py_buffer, view);
    if (!storage) {
      PyBuffer_Release(view);
      PyMem_Free(view);
      return PyErr_NoMemory();
    }
    return as_object(array_wrap(code, weak, int(shape.size()), shape.data(), storage, view->buf));
  } else if (ArrayObject* a = array_empty(code, weak, int(shape.size()), shape.data())) {
    if (nbytes >= kReleaseGilBytes) {
      Py_BEGIN_ALLOW_THREADS;
      std::memcpy(a->data, view->buf, nbytes);
      Py_END_ALLOW_THREADS;
    } else if (nbytes) {
      std::memcpy(a->data, view->buf, nbytes);
    }
    result = as_object(a);
  }
  PyBuffer_Release(view);
  PyMem_Free(view);
  return result;
}

PyObject* array_from_scalar(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (!check_nargs("array_from_scalar(value, code, weak=False)", nargs, 2, 3)) return nullptr;
  int code, weak = nargs > 2 ? PyObject_IsTrue(args[2]) : 0;
  alignas(16) char element[16];
  if (weak < 0 || !parse_code(args[1], &code) || !element_from_python(code, args[0], element))
    return nullptr;
  ArrayObject* a = array_empty(code, weak, 0, nullptr);
  if (a) std::memcpy(a->data, element, itemsizes[code]);
  return as_object(a);
}

PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (!check_nargs("empty(code, shape, weak=False)", nargs, 2, 3)) return nullptr;
  int code, weak = nargs > 2 ? PyObject_IsTrue(args[2]) : 0;
  std::vector<int64_t> shape;
  if (weak < 0 || !parse_code(args[0], &code) || !parse_shape(args[1], &shape)) return nullptr;
  return as_object(array_empty(code, weak, int(shape.size()), shape.data()));
}

}  // namespace covector
