// Read-only views of an array's memory: the buffer protocol and NumPy.
//
// A view holds the Storage, not only the Array, so that an array with views is never mistaken
// for the sole owner of its memory when it is donated.
#include <cstring>

#include "host/array.h"
#include "host/registry.h"
#include "python/ref.h"

namespace covector {
namespace {

const char* buffer_format(int code) {
  static_assert(sizeof(long) == 8 || sizeof(long long) == 8);
  constexpr const char* kInt64 = sizeof(long) == 8 ? "l" : "q";
  constexpr const char* kUInt64 = sizeof(long) == 8 ? "L" : "Q";
  switch (code) {
    case kBool: return "?";
    case kI8: return "b";
    case kI16: return "h";
    case kI32: return "i";
    case kI64: return kInt64;
    case kU8: return "B";
    case kU16: return "H";
    case kU32: return "I";
    case kU64: return kUInt64;
    case kF16: return "e";
    case kF32: return "f";
    case kF64: return "d";
    case kC64: return "Zf";
    case kC128: return "Zd";
  }
  return nullptr;
}

struct ViewState {
  Storage* storage;
  Py_ssize_t dims[1];  // shape, then strides
};

// The bytes of a Storage, as the base of NumPy views.
struct BytesObject {
  PyObject_HEAD
  Storage* storage;
  char* data;
  Py_ssize_t nbytes;
};

PyTypeObject* BytesType = nullptr;

void bytes_dealloc(PyObject* self) {
  reinterpret_cast<BytesObject*>(self)->storage->drop();
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

int bytes_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  auto* bytes = reinterpret_cast<BytesObject*>(self);
  return PyBuffer_FillInfo(view, self, bytes->data, bytes->nbytes, 1, flags);
}

PyType_Slot bytes_slots[] = {
    {Py_tp_doc, const_cast<char*>("The memory of an Array, kept alive for its NumPy views.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(bytes_dealloc)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(bytes_getbuffer)},
    {0, nullptr},
};

PyType_Spec bytes_spec = {"covector._native.ArrayMemory", sizeof(BytesObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, bytes_slots};

PyObject* numpy_ndarray() {
  if (ndarray_type) return Py_NewRef(reinterpret_cast<PyObject*>(ndarray_type));
  Ref numpy(PyImport_ImportModule("numpy"));
  return numpy ? PyObject_GetAttrString(numpy.get(), "ndarray") : nullptr;
}

}  // namespace

int array_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  ArrayObject* a = as_array(self);
  view->obj = nullptr;
  if (!check_alive(a)) return -1;
  if (!(a = on_host(a))) {
    // NumPy drops what is raised here and asks in another way: Ctrl-C is to reach it there.
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
      PyErr_SetString(PyExc_BufferError, "interrupted while waiting for the array's elements");
      PyErr_SetInterrupt();
    }
    return -1;
  }
  const char* format = buffer_format(a->code);
  if (!format) {
    PyErr_Format(PyExc_BufferError, "dtype %s has no buffer format%s", dtype_name(a->code),
                 a->code == kKey ? "; use random.key_data to see a key's words" : "");
    return -1;
  }
  if (flags & PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "an Array is immutable: its buffer is read-only");
    return -1;
  }
  auto* state = static_cast<ViewState*>(
      PyMem_Malloc(sizeof(ViewState) + 2 * size_t(a->ndim) * sizeof(Py_ssize_t)));
  if (!state) {
    PyErr_NoMemory();
    return -1;
  }
  state->storage = a->storage->share();
  Py_ssize_t* shape = state->dims;
  Py_ssize_t* strides = state->dims + a->ndim;
  size_t stride = itemsizes[a->code];  // may wrap around in an empty array
  for (int i = a->ndim - 1; i >= 0; --i) {
    shape[i] = a->shape[i];
    strides[i] = Py_ssize_t(stride);
    stride *= size_t(a->shape[i]);
  }
  view->buf = a->data;
  view->obj = Py_NewRef(self);
  view->len = Py_ssize_t(array_nbytes(a));
  view->itemsize = itemsizes[a->code];
  view->readonly = 1;
  view->ndim = a->ndim;
  view->format = (flags & PyBUF_FORMAT) ? const_cast<char*>(format) : nullptr;
  view->shape = (flags & PyBUF_ND) ? shape : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? strides : nullptr;
  view->suboffsets = nullptr;
  view->internal = state;
  return 0;
}

void array_releasebuffer(PyObject*, Py_buffer* view) {
  auto* state = static_cast<ViewState*>(view->internal);
  state->storage->drop();
  PyMem_Free(state);
}

PyObject* array_to_numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyObject *dtype = Py_None, *copy = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:__array__", const_cast<char**>(names), &dtype,
                                   &copy))
    return nullptr;
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (a->code == kKey) {
    PyErr_SetString(PyExc_TypeError,
                    "an array of PRNG keys cannot become a NumPy array; use random.key_data");
    return nullptr;
  }
  if (!(a = on_host(a))) return nullptr;
  PyObject* own = dtype_object(a->code);
  Ref ndarray(own ? numpy_ndarray() : nullptr);
  Ref shape(ndarray ? shape_tuple(a->ndim, a->shape) : nullptr);
  if (!shape) return nullptr;
  auto* bytes = PyObject_New(BytesObject, BytesType);
  if (!bytes) return nullptr;
  bytes->storage = a->storage->share();
  bytes->data = a->data;
  bytes->nbytes = Py_ssize_t(array_nbytes(a));
  Ref base(reinterpret_cast<PyObject*>(bytes));
  Ref result(PyObject_CallFunctionObjArgs(ndarray.get(), shape.get(), own, base.get(), nullptr));
  if (!result) return nullptr;
  if (dtype != Py_None && dtype != own) {
    Ref result_dtype(PyObject_GetAttrString(result.get(), "dtype"));
    int same = result_dtype ? PyObject_RichCompareBool(result_dtype.get(), dtype, Py_EQ) : -1;
    if (same < 0) return nullptr;
    if (!same) {
      if (copy == Py_False) {
        PyErr_SetString(PyExc_ValueError, "a change of dtype needs a copy, but copy=False");
        return nullptr;
      }
      return PyObject_CallMethod(result.get(), "astype", "O", dtype);
    }
  }
  int wanted = copy == Py_None ? 0 : PyObject_IsTrue(copy);
  if (wanted < 0) return nullptr;
  return wanted ? PyObject_CallMethod(result.get(), "copy", nullptr) : result.release();
}

bool init_array_buffer() {
  BytesType = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&bytes_spec));
  return BytesType != nullptr;
}

}  // namespace covector
