// The Array type: life cycle, attributes and views.
#include "host/array.h"

#include <structmember.h>

#include <cstring>

#include "host/registry.h"
#include "python/ref.h"
#include "python/type.h"

namespace covector {

PyTypeObject* ArrayType = nullptr;

namespace {

constexpr int kFreeListLimit = 256;
ArrayObject* free_list[kFreeListLimit];
int free_count = 0;

ArrayObject* new_object() {
  if (free_count > 0) {
    ArrayObject* a = free_list[--free_count];
    PyObject_Init(as_object(a), ArrayType);
    return a;
  }
  return PyObject_New(ArrayObject, ArrayType);
}

ArrayObject *oldest = nullptr, *newest = nullptr;

void link(ArrayObject* a) {
  a->older = newest;
  a->newer = nullptr;
  (newest ? newest->newer : oldest) = a;
  newest = a;
}

void unlink(ArrayObject* a) {
  (a->older ? a->older->newer : oldest) = a->newer;
  (a->newer ? a->newer->older : newest) = a->older;
}

void array_dealloc(PyObject* self) {
  ArrayObject* a = as_array(self);
  unlink(a);  // before anything that may run Python code
  if (a->weakrefs) PyObject_ClearWeakRefs(self);
  if (a->storage) a->storage->drop();
  Py_XDECREF(a->aval);
  Py_XDECREF(a->host);
  if (a->shape != a->inline_shape) PyMem_Free(a->shape);
  PyTypeObject* type = Py_TYPE(self);
  if (free_count < kFreeListLimit)
    free_list[free_count++] = a;
  else
    PyObject_Free(self);
  Py_DECREF(type);
}

PyObject* get_shape(PyObject* self, void*) {
  return shape_tuple(as_array(self)->ndim, as_array(self)->shape);
}
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(as_array(self)->ndim); }
PyObject* get_size(PyObject* self, void*) { return PyLong_FromLongLong(as_array(self)->size); }
PyObject* get_nbytes(PyObject* self, void*) {
  return PyLong_FromSize_t(array_nbytes(as_array(self)));
}
PyObject* get_itemsize(PyObject* self, void*) {
  return PyLong_FromLong(itemsizes[as_array(self)->code]);
}
PyObject* get_dtype(PyObject* self, void*) {
  return Py_XNewRef(dtype_object(as_array(self)->code));
}
PyObject* get_weak_type(PyObject* self, void*) { return PyBool_FromLong(as_array(self)->weak); }
PyObject* get_code(PyObject* self, void*) { return PyLong_FromLong(as_array(self)->code); }
PyObject* get_aval(PyObject* self, void*) {
  ArrayObject* a = as_array(self);
  if (!a->aval) {
    PyObject* aval = make_aval(a->code, a->weak, a->ndim, a->shape);
    if (aval && placement_typed(a->placement))
      aval = placed_aval(aval, placement_sharding(a->placement));
    if (!aval) return nullptr;
    Py_XSETREF(a->aval, aval);  // the factory may have asked for it too
  }
  return Py_NewRef(a->aval);
}

PyObject* get_sharding(PyObject* self, void*) {
  return Py_XNewRef(placement_sharding(as_array(self)->placement));
}
PyObject* get_committed(PyObject* self, void*) {
  return PyBool_FromLong(placement_committed(as_array(self)->placement));
}
PyObject* get_placement(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(as_array(self)->placement);
}
PyObject* get_on_host(PyObject* self, void*) {
  ArrayObject* a = as_array(self);
  return check_alive(a) ? PyBool_FromLong(a->storage->memory == nullptr) : nullptr;
}

// Whether other arrays on the same memory may be made, without a program.
PyObject* get_viewable(PyObject* self, void*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  return PyBool_FromLong(!a->storage->memory && !placement_spread(a->placement));
}

bool require_host(const ArrayObject* a, const char* what) {
  if (!a->storage->memory) return true;
  PyErr_Format(PyExc_RuntimeError, "%s of an array that the host cannot address", what);
  return false;
}

PyObject* unsafe_buffer_pointer(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  const Memory* memory = a->storage->memory;
  if (!memory || !memory->address)
    return require_host(a, "the address") ? PyLong_FromVoidPtr(a->data) : nullptr;
  uintptr_t address;
  return memory->address(*a->storage, &address) ? PyLong_FromSize_t(address) : nullptr;
}
PyObject* on_device_size_in_bytes(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  size_t size = array_nbytes(a);
  const Memory* memory = a->storage->memory;
  if (memory && memory->size && !memory->size(*a->storage, &size)) return nullptr;
  return PyLong_FromSize_t(size);
}
PyObject* copy_to_host_async(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  const Memory* memory = a->storage->memory;
  if (memory && memory->start_reading && !a->host && !memory->start_reading(*a->storage))
    return nullptr;
  Py_RETURN_NONE;
}
PyObject* to_host(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  return check_alive(a) ? Py_XNewRef(as_object(on_host(a))) : nullptr;
}
PyObject* placed(PyObject* self, PyObject* index) {
  ArrayObject* a = as_array(self);
  Placement placement;
  if (!check_alive(a) || !parse_placement(index, &placement)) return nullptr;
  if (a->placement == placement) return Py_NewRef(self);
  return as_object(array_alias(a, a->weak, placement));
}
PyObject* copied(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  // Memory of others is theirs to copy: without, nothing overwrites what two arrays share.
  if (a->storage->memory) return as_object(array_alias(a, a->weak));
  ArrayObject* copy = array_empty(a->code, a->weak, a->ndim, a->shape);
  if (!copy) return nullptr;
  copy->placement = a->placement;
  if (size_t n = array_nbytes(a)) std::memcpy(copy->data, a->data, n);
  return as_object(copy);
}
PyObject* is_deleted(PyObject* self, PyObject*) {
  return PyBool_FromLong(as_array(self)->storage == nullptr);
}
PyObject* delete_(PyObject* self, PyObject*) {
  array_delete(as_array(self));
  Py_RETURN_NONE;
}
PyObject* block_until_ready(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (a->storage->memory && a->storage->memory->wait) {
    Storage* storage = a->storage->share();  // waiting may run code that deletes the array
    bool ok = storage->memory->wait(*storage);
    storage->drop();
    if (!ok) return nullptr;
  }
  return Py_NewRef(self);
}
PyObject* is_ready(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  Storage* storage = a->storage->share();
  const Memory* memory = storage->memory;
  bool ready = !memory || !memory->is_ready || memory->is_ready(*storage);
  storage->drop();
  return PyBool_FromLong(ready);
}

PyObject* with_weak(PyObject* self, PyObject* flag) {
  ArrayObject* a = as_array(self);
  int weak = PyObject_IsTrue(flag);
  if (weak < 0) return nullptr;
  if (a->weak == bool(weak)) return Py_NewRef(self);
  if (!check_alive(a)) return nullptr;
  return as_object(array_alias(a, weak));
}

PyObject* view(ArrayObject* a, int code, const std::vector<int64_t>& shape, bool weak) {
  int64_t size = count_elements(code, int(shape.size()), shape.data());
  if (size < 0) return nullptr;
  if (size_t(size) * itemsizes[code] != array_nbytes(a)) {
    Ref to(shape_tuple(int(shape.size()), shape.data()));
    Ref from(shape_tuple(a->ndim, a->shape));
    if (to && from)
      PyErr_Format(PyExc_ValueError, "cannot view an array of shape %R and dtype %s as %R and %s",
                   from.get(), dtype_name(a->code), to.get(), dtype_name(code));
    return nullptr;
  }
  if (!require_host(a, "a view")) return nullptr;
  ArrayObject* made =
      array_wrap(code, weak, int(shape.size()), shape.data(), a->storage->share(), a->data);
  if (made) made->placement = a->placement;
  return as_object(made);
}

PyObject* reshaped(PyObject* self, PyObject* shape_obj) {
  ArrayObject* a = as_array(self);
  std::vector<int64_t> shape;
  if (!check_alive(a) || !parse_shape(shape_obj, &shape)) return nullptr;
  return view(a, a->code, shape, a->weak);
}

PyObject* bitcast(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* a = as_array(self);
  std::vector<int64_t> shape;
  int code;
  if (nargs != 2) {
    PyErr_SetString(PyExc_TypeError, "_bitcast(code, shape)");
    return nullptr;
  }
  if (!check_alive(a) || !parse_code(args[0], &code) || !parse_shape(args[1], &shape))
    return nullptr;
  return view(a, code, shape, false);
}

PyObject* subarray(PyObject* self, PyObject* index) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (a->ndim == 0) {
    PyErr_SetString(PyExc_IndexError, "a 0-d array cannot be indexed by an integer");
    return nullptr;
  }
  Py_ssize_t i = PyNumber_AsSsize_t(index, PyExc_IndexError);
  if (i == -1 && PyErr_Occurred()) return nullptr;
  int64_t n = a->shape[0], at = i < 0 ? i + n : i;
  if (at < 0 || at >= n) {
    PyErr_Format(PyExc_IndexError, "index %zd is out of bounds for axis 0 with size %lld", i,
                 (long long)n);
    return nullptr;
  }
  if (!require_host(a, "a view")) return nullptr;
  if (a->ndim == 1) {
    ArrayObject* element = array_empty(a->code, a->weak, 0, nullptr);
    if (!element) return nullptr;
    size_t size = itemsizes[a->code];
    std::memcpy(element->data, a->data + at * size, size);
    element->placement = a->placement;
    return as_object(element);
  }
  int64_t stride = a->size / n * itemsizes[a->code];
  ArrayObject* made = array_wrap(a->code, a->weak, a->ndim - 1, a->shape + 1, a->storage->share(),
                                 a->data + at * stride);
  if (made) made->placement = a->placement;
  return as_object(made);
}

// The block from row `start` to `stop` along the first axis, on the same memory.
PyObject* rows(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  Py_ssize_t start = nargs == 2 ? PyNumber_AsSsize_t(args[0], PyExc_IndexError) : 0;
  if (start == -1 && PyErr_Occurred()) return nullptr;
  Py_ssize_t stop = nargs == 2 ? PyNumber_AsSsize_t(args[1], PyExc_IndexError) : -1;
  if (stop == -1 && PyErr_Occurred()) return nullptr;
  if (nargs != 2 || a->ndim == 0 || start < 0 || stop < start || stop > a->shape[0]) {
    PyErr_SetString(PyExc_IndexError, "_rows(start, stop) takes a range of the first axis");
    return nullptr;
  }
  if (!require_host(a, "a view")) return nullptr;
  std::vector<int64_t> shape(a->shape, a->shape + a->ndim);
  size_t row = a->shape[0] ? array_nbytes(a) / size_t(a->shape[0]) : 0;
  shape[0] = stop - start;
  ArrayObject* made = array_wrap(a->code, a->weak, a->ndim, shape.data(), a->storage->share(),
                                 a->data + size_t(start) * row);
  if (made) made->placement = a->placement;
  return as_object(made);
}

Py_ssize_t length(PyObject* self) {
  ArrayObject* a = as_array(self);
  if (a->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of unsized object");
    return -1;
  }
  return a->shape[0];
}

PyObject* sizeof_(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(sizeof(ArrayObject) + array_nbytes(as_array(self)));
}

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "The dimensions, a tuple of ints.", nullptr},
    {"ndim", get_ndim, nullptr, "The number of dimensions.", nullptr},
    {"size", get_size, nullptr, "The number of elements.", nullptr},
    {"nbytes", get_nbytes, nullptr, "The size of the elements in bytes.", nullptr},
    {"itemsize", get_itemsize, nullptr, "The size of one element in bytes.", nullptr},
    {"dtype", get_dtype, nullptr, "The element type.", nullptr},
    {"weak_type", get_weak_type, nullptr,
     "Whether the dtype gives way to the other operand's in type promotion.", nullptr},
    {"aval", get_aval, nullptr, "The abstract value: shape, dtype and weak type.", nullptr},
    {"sharding", get_sharding, nullptr, "On which devices the elements are.", nullptr},
    {"committed", get_committed, nullptr,
     "Whether the array stays on its devices, rather than going where it is needed.", nullptr},
    {"_code", get_code, nullptr, "The native code of the dtype.", nullptr},
    {"_viewable", get_viewable, nullptr,
     "Whether the host addresses it and it is on one device.", nullptr},
    {"_placement", get_placement, nullptr, "The index of the placement.", nullptr},
    {"_on_host", get_on_host, nullptr, "Whether the host can address the elements.", nullptr},
    {"_handle", array_handle, nullptr,
     "The backend's object for memory that the host cannot address, or None.", nullptr},
    {nullptr},
};

PyMethodDef methods[] = {
    {"unsafe_buffer_pointer", unsafe_buffer_pointer, METH_NOARGS, "The address of the elements."},
    {"on_device_size_in_bytes", on_device_size_in_bytes, METH_NOARGS,
     "on_device_size_in_bytes($self, /)\n--\n\nThe bytes that the elements take on their device."},
    {"copy_to_host_async", copy_to_host_async, METH_NOARGS,
     "copy_to_host_async($self, /)\n--\n\nBegin to copy the elements to the host; reading them "
     "waits for the end of it."},
    {"is_deleted", is_deleted, METH_NOARGS, "Whether the array was donated or deleted."},
    {"delete", delete_, METH_NOARGS, "Give up the memory; later use raises RuntimeError."},
    {"is_ready", is_ready, METH_NOARGS, "Whether the value is computed."},
    {"block_until_ready", block_until_ready, METH_NOARGS, "Wait for the value; returns self."},
    {"_to_host", to_host, METH_NOARGS, "The array itself, or its copy on the host."},
    {"_placed", placed, METH_O, "The same memory with another placement of the same device."},
    {"_rows", as_method(rows), METH_FASTCALL, "A block along the first axis, on the same memory."},
    {"_copied", copied, METH_NOARGS, "Another array with the same elements."},
    {"_with_weak", with_weak, METH_O, "The same elements with another weak_type."},
    {"_reshaped", reshaped, METH_O, "The same elements with another shape."},
    {"_bitcast", as_method(bitcast), METH_FASTCALL, "The same bytes as another dtype and shape."},
    {"_subarray", subarray, METH_O,
     "self[i] along the first axis; what has dimensions shares memory."},
    {"item", as_method(array_item), METH_FASTCALL, 
     "item($self, /, *args)\n--\n\nOne element as a Python scalar."},
    {"tolist", array_tolist, METH_NOARGS, 
     "tolist($self, /)\n--\n\nThe elements as nested lists."},
    {"__complex__", array_complex, METH_NOARGS, nullptr},
    {"__array__", as_method(array_to_numpy), METH_VARARGS | METH_KEYWORDS,
     "__array__(dtype=None, copy=None): a read-only NumPy view, without a copy if possible."},
    {"__dlpack__", as_method(array_dlpack), METH_VARARGS | METH_KEYWORDS,
     "__dlpack__(*, stream=None, max_version=None, dl_device=None, copy=None)"},
    {"__dlpack_device__", array_dlpack_device, METH_NOARGS, nullptr},
    {"__sizeof__", sizeof_, METH_NOARGS, nullptr},
    {nullptr},
};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ArrayObject, weakrefs), READONLY, nullptr},
    {nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("An immutable array on a device.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(array_dealloc)},
    {Py_tp_getset, getset},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_mp_length, reinterpret_cast<void*>(length)},
    {Py_sq_length, reinterpret_cast<void*>(length)},
    {Py_nb_bool, reinterpret_cast<void*>(array_bool)},
    {Py_nb_int, reinterpret_cast<void*>(array_int)},
    {Py_nb_float, reinterpret_cast<void*>(array_float)},
    {Py_nb_index, reinterpret_cast<void*>(array_index)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(array_getbuffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(array_releasebuffer)},
    {0, nullptr},
};

PyType_Spec spec = {"covector.Array", sizeof(ArrayObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

size_t array_nbytes(const ArrayObject* a) { return size_t(a->size) * itemsizes[a->code]; }

ArrayObject* array_wrap(int code, bool weak, int ndim, const int64_t* shape, Storage* storage,
                        void* data) {
  ArrayObject* a = new_object();
  int64_t* dims = a ? a->inline_shape : nullptr;
  if (a && ndim > kInlineDims) {
    dims = static_cast<int64_t*>(PyMem_Malloc(size_t(ndim) * sizeof(int64_t)));
    if (!dims) {
      PyTypeObject* type = Py_TYPE(a);
      PyObject_Free(a);
      Py_DECREF(type);
      a = nullptr;
      PyErr_NoMemory();
    }
  }
  if (!a) {
    storage->drop();
    return nullptr;
  }
  uint64_t size = 1;  // wraps around harmlessly where another dimension is 0
  for (int i = 0; i < ndim; ++i) {
    dims[i] = shape[i];
    size *= uint64_t(shape[i]);
  }
  a->storage = storage;
  a->data = static_cast<char*>(data);
  a->size = int64_t(size);
  a->shape = dims;
  a->code = uint8_t(code);
  a->weak = weak;
  a->marked = false;
  a->ndim = ndim;
  a->placement = kDefaultPlacement;
  a->aval = nullptr;
  a->host = nullptr;
  a->weakrefs = nullptr;
  link(a);
  return a;
}

PyObject* live_arrays(PyObject*, PyObject*) {
  Py_ssize_t count = 0, filled = 0;
  for (ArrayObject* a = oldest; a; a = a->newer) count += a->storage != nullptr;
  PyObject* list = PyList_New(count);  // a garbage collection here may end some of them
  if (!list) return nullptr;
  for (ArrayObject* a = oldest; a && filled < count; a = a->newer)
    if (a->storage) PyList_SET_ITEM(list, filled++, Py_NewRef(as_object(a)));
  if (filled < count && PyList_SetSlice(list, filled, count, nullptr) < 0) Py_CLEAR(list);
  return list;
}

int64_t count_elements(int code, int ndim, const int64_t* shape) {
  int64_t size = 1, nbytes;
  bool overflow = false, empty = false;
  for (int i = 0; i < ndim; ++i) {
    overflow |= __builtin_mul_overflow(size, shape[i], &size);
    empty |= shape[i] == 0;
  }
  if (empty) return 0;
  if (overflow || __builtin_mul_overflow(size, int64_t(itemsizes[code]), &nbytes)) {
    Ref dims(shape_tuple(ndim, shape));
    if (dims)
      PyErr_Format(PyExc_MemoryError, "an array of shape %R and dtype %s is too large", dims.get(),
                   dtype_name(code));
    return -1;
  }
  return size;
}

ArrayObject* array_empty(int code, bool weak, int ndim, const int64_t* shape) {
  int64_t size = count_elements(code, ndim, shape);
  if (size < 0) return nullptr;
  size_t nbytes = size_t(size) * itemsizes[code];
  Storage* storage = Storage::create(nbytes);
  if (!storage) {
    Ref dims(shape_tuple(ndim, shape));
    if (dims)
      PyErr_Format(PyExc_MemoryError,
                   "out of memory: cannot allocate %zu bytes for an array of shape %R and dtype %s",
                   nbytes, dims.get(), dtype_name(code));
    return nullptr;
  }
  return array_wrap(code, weak, ndim, shape, storage, storage->data);
}

ArrayObject* array_alias(const ArrayObject* a, bool weak) {
  return array_alias(a, weak, a->placement);
}

ArrayObject* array_alias(const ArrayObject* a, bool weak, Placement placement) {
  ArrayObject* alias = array_wrap(a->code, weak, a->ndim, a->shape, a->storage->share(), a->data);
  if (alias) alias->placement = placement;
  return alias;
}

void array_delete(ArrayObject* a) {
  if (Storage* storage = std::exchange(a->storage, nullptr)) storage->drop();
  a->data = nullptr;
  Py_CLEAR(a->host);
}

void raise_deleted(const ArrayObject* a) {
  Ref dims(shape_tuple(a->ndim, a->shape));
  if (dims)
    PyErr_Format(PyExc_RuntimeError,
                 "Array has been deleted with shape=%R dtype=%s: it was donated to a compiled "
                 "function or deleted with .delete()",
                 dims.get(), dtype_name(a->code));
}

ArrayObject* require_array(PyObject* obj) {
  if (is_array(obj)) return as_array(obj);
  PyErr_Format(PyExc_TypeError, "expected an Array, got %.200s", Py_TYPE(obj)->tp_name);
  return nullptr;
}

bool parse_shape(PyObject* obj, std::vector<int64_t>* shape) {
  Ref fast(PySequence_Fast(obj, "a shape must be a sequence of integers"));
  if (!fast) return false;
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
  if (n > kMaxDims) {
    PyErr_Format(PyExc_ValueError, "an array has at most %d dimensions, got %zd", kMaxDims, n);
    return false;
  }
  shape->clear();
  for (Py_ssize_t i = 0; i < n; ++i) {
    Py_ssize_t dim =
        PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(fast.get(), i), PyExc_OverflowError);
    if (dim == -1 && PyErr_Occurred()) return false;
    if (dim < 0) {
      PyErr_Format(PyExc_ValueError, "dimensions must not be negative, got %zd", dim);
      return false;
    }
    shape->push_back(dim);
  }
  return true;
}

bool init_array(PyObject* module) {
  return add_type(module, "Array", &spec, &ArrayType) && init_array_buffer();
}

}  // namespace covector
