// The Array object: an immutable, C-contiguous view of a Storage, and where it is.
#pragma once

#include <Python.h>

#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "core/storage.h"
#include "host/placement.h"

namespace covector {

constexpr int kInlineDims = 8;
constexpr int kMaxDims = 64;

struct ArrayObject {
  PyObject_HEAD
  Storage* storage;  // null once deleted
  char* data;        // null in memory that the host cannot address
  int64_t size;
  int64_t* shape;  // inline_shape, or a block of its own for many dimensions
  uint8_t code;
  bool weak;
  bool marked;  // while a call looks for arrays that it was given twice
  int32_t ndim;
  Placement placement;
  PyObject* aval;  // null until asked for
  PyObject* host;  // the Array of the same elements on the host, null until asked for
  PyObject* weakrefs;
  ArrayObject *older, *newer;  // all arrays that exist, in the order in which they were made
  int64_t inline_shape[kInlineDims];
};

extern PyTypeObject* ArrayType;

inline bool is_array(PyObject* obj) { return Py_TYPE(obj) == ArrayType; }
inline ArrayObject* as_array(PyObject* obj) { return reinterpret_cast<ArrayObject*>(obj); }
inline PyObject* as_object(ArrayObject* a) { return reinterpret_cast<PyObject*>(a); }

size_t array_nbytes(const ArrayObject* a);

// Takes over the reference to `storage`, also on failure.
ArrayObject* array_wrap(int code, bool weak, int ndim, const int64_t* shape, Storage* storage,
                        void* data);
// Fresh, uninitialised memory; MemoryError names the shape and dtype.
ArrayObject* array_empty(int code, bool weak, int ndim, const int64_t* shape);
// Another array on the same memory. The array must be alive.
ArrayObject* array_alias(const ArrayObject* a, bool weak);
ArrayObject* array_alias(const ArrayObject* a, bool weak, Placement placement);
void array_delete(ArrayObject* a);

// The array whose elements the host can read: the array itself, or a copy that it keeps. Borrowed;
// null with an exception. The array must be alive.
ArrayObject* fetch_to_host(ArrayObject* a);
inline ArrayObject* on_host(ArrayObject* a) {
  if (!a->storage->memory) [[likely]]
    return a;
  return fetch_to_host(a);
}

void raise_deleted(const ArrayObject* a);
inline bool check_alive(const ArrayObject* a) {
  if (a->storage) [[likely]]
    return true;
  raise_deleted(a);
  return false;
}
ArrayObject* require_array(PyObject* obj);  // borrowed; TypeError unless an Array

// The dimensions of a Python sequence, not negative.
bool parse_shape(PyObject* obj, std::vector<int64_t>* shape);
// The number of elements, or -1 with an exception where the size in bytes overflows.
int64_t count_elements(int code, int ndim, const int64_t* shape);

// array_scalar.cc
PyObject* element_to_python(int code, const char* data);
// Writes a Python bool, int, float or complex as an element (at most 16 bytes).
bool element_from_python(int code, PyObject* value, void* out);
PyObject* array_item(PyObject* self, PyObject* const* args, Py_ssize_t nargs);
PyObject* array_tolist(PyObject* self, PyObject*);
int array_bool(PyObject* self);
PyObject* array_int(PyObject* self);
PyObject* array_float(PyObject* self);
PyObject* array_complex(PyObject* self, PyObject*);
PyObject* array_index(PyObject* self);

// array_buffer.cc
int array_getbuffer(PyObject* self, Py_buffer* view, int flags);
void array_releasebuffer(PyObject* self, Py_buffer* view);
PyObject* array_to_numpy(PyObject* self, PyObject* args, PyObject* kwargs);
bool init_array_buffer();

// array_dlpack.cc
PyObject* array_dlpack(PyObject* self, PyObject* args, PyObject* kwargs);
PyObject* array_dlpack_device(PyObject* self, PyObject*);
PyObject* from_dlpack_capsule(PyObject* module, PyObject* const* args, Py_ssize_t nargs);

// array_make.cc
PyObject* array_from_buffer(PyObject*, PyObject* const* args, Py_ssize_t nargs);
PyObject* array_from_scalar(PyObject*, PyObject* const* args, Py_ssize_t nargs);
PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t nargs);

// nonzero.cc
PyObject* nonzero(PyObject*, PyObject* const* args, Py_ssize_t nargs);

// array_opaque.cc
PyObject* opaque_array(PyObject*, PyObject* const* args, Py_ssize_t nargs);
PyObject* array_handle(PyObject* self, void*);

// The arrays that exist and are not deleted, the oldest first.
PyObject* live_arrays(PyObject*, PyObject*);

bool init_array(PyObject* module);

}  // namespace covector
