// The registered Python objects, and the cache of abstract values.
#include "host/registry.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "python/ref.h"

namespace covector {

uint8_t itemsizes[kMaxCodes] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16, 8};
PyTypeObject* ndarray_type = nullptr;
PyTypeObject* generic_type = nullptr;
PyObject* numpy_converter = nullptr;

namespace {

PyObject* dtypes[kMaxCodes];
std::string names[kMaxCodes];
SmallType* small_types[kMaxCodes];
PyObject* aval_factory;
PyObject* placed_aval_factory;

struct AvalEntry {
  PyObject* aval;
  int code, ndim;
  bool weak;
  int64_t shape[4];
};
constexpr int kAvalSlots = 1024;
constexpr int kAvalCachedDims = 4;
AvalEntry avals[kAvalSlots];

void clear_avals() {
  for (auto& entry : avals) Py_CLEAR(entry.aval);
}

// A dict, so that references to types are owned and looked up by identity of the type object.
std::unordered_map<PyTypeObject*, PyObject*>& flatteners() {
  static auto* map = new std::unordered_map<PyTypeObject*, PyObject*>;
  return *map;
}

}  // namespace

PyObject* dtype_object(int code) {
  if (!dtypes[code]) PyErr_Format(PyExc_RuntimeError, "no dtype is registered for code %d", code);
  return dtypes[code];
}

const char* dtype_name(int code) {
  if (code < kNumCodes) return kCodeName[code];
  return names[code].c_str();
}

bool parse_code(PyObject* obj, int* code) {
  long value = PyLong_AsLong(obj);
  if (value == -1 && PyErr_Occurred()) return false;
  if (!is_code(value)) {
    PyErr_Format(PyExc_ValueError, "%ld is not a dtype code", value);
    return false;
  }
  *code = int(value);
  return true;
}

bool set_dtypes(PyObject* sequence) {
  Ref fast(PySequence_Fast(sequence, "set_dtypes expects a sequence of dtypes"));
  if (!fast) return false;
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
  if (n > kMaxCodes) {
    PyErr_Format(PyExc_ValueError, "at most %d dtypes can be registered", kMaxCodes);
    return false;
  }
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* dtype = PySequence_Fast_GET_ITEM(fast.get(), i);
    if (i >= kNumCodes) {
      Ref size(PyObject_GetAttrString(dtype, "itemsize"));
      long value = size ? PyLong_AsLong(size.get()) : -1;
      if (value < 1 || value > 16) {
        if (!PyErr_Occurred())
          PyErr_SetString(PyExc_ValueError, "a dtype's itemsize must be between 1 and 16");
        return false;
      }
      Ref name(PyObject_Str(dtype));
      const char* text = name ? PyUnicode_AsUTF8(name.get()) : nullptr;
      if (!text) return false;
      names[i] = text;
      itemsizes[i] = uint8_t(value);
    }
    Py_INCREF(dtype);
    Py_XSETREF(dtypes[i], dtype);
  }
  clear_avals();
  return true;
}

const SmallType* small_type(int code) { return small_types[code]; }

bool set_small_type(int code, char kind, int dlpack, const char* doubles, size_t nbytes) {
  if (!is_code(code) || code < kNumCodes || nbytes != sizeof(SmallType::values)) return false;
  if (!small_types[code]) small_types[code] = new SmallType;
  small_types[code]->kind = kind;
  small_types[code]->dlpack = uint8_t(dlpack);
  std::memcpy(small_types[code]->values, doubles, nbytes);
  return true;
}

void set_placed_aval_factory(PyObject* factory) {
  Py_INCREF(factory);
  Py_XSETREF(placed_aval_factory, factory);
}

void set_aval_factory(PyObject* factory) {
  Py_INCREF(factory);
  Py_XSETREF(aval_factory, factory);
  clear_avals();
}

void set_numpy_types(PyObject* ndarray, PyObject* generic) {
  Py_INCREF(ndarray);
  Py_INCREF(generic);
  Py_XSETREF(ndarray_type, reinterpret_cast<PyTypeObject*>(ndarray));
  Py_XSETREF(generic_type, reinterpret_cast<PyTypeObject*>(generic));
}

void set_converter(PyObject* converter) {
  Py_INCREF(converter);
  Py_XSETREF(numpy_converter, converter);
}

PyObject* shape_tuple(int ndim, const int64_t* shape) {
  PyObject* tuple = PyTuple_New(ndim);
  if (!tuple) return nullptr;
  for (int i = 0; i < ndim; ++i) {
    PyObject* n = PyLong_FromLongLong(shape[i]);
    if (!n) {
      Py_DECREF(tuple);
      return nullptr;
    }
    PyTuple_SET_ITEM(tuple, i, n);
  }
  return tuple;
}

PyObject* placed_aval(PyObject* aval, PyObject* sharding) {
  PyObject* placed = nullptr;
  if (sharding && placed_aval_factory)
    placed = PyObject_CallFunctionObjArgs(placed_aval_factory, aval, sharding, nullptr);
  else if (sharding)
    PyErr_SetString(PyExc_RuntimeError, "no factory of placed avals is registered");
  Py_DECREF(aval);
  return placed;
}

PyObject* make_aval(int code, bool weak, int ndim, const int64_t* shape) {
  if (!aval_factory) {
    PyErr_SetString(PyExc_RuntimeError, "no aval factory is registered");
    return nullptr;
  }
  AvalEntry* entry = nullptr;
  if (ndim <= kAvalCachedDims) {
    uint64_t hash = uint64_t(code) * 2 + weak + uint64_t(ndim) * 131;
    for (int i = 0; i < ndim; ++i) hash = (hash ^ uint64_t(shape[i])) * 0x9E3779B97F4A7C15u;
    entry = &avals[(hash ^ (hash >> 32)) % kAvalSlots];
    if (entry->aval && entry->code == code && entry->weak == weak && entry->ndim == ndim &&
        std::equal(shape, shape + ndim, entry->shape))
      return Py_NewRef(entry->aval);
  }
  PyObject* dtype = dtype_object(code);
  if (!dtype) return nullptr;
  Ref dims(shape_tuple(ndim, shape));
  if (!dims) return nullptr;
  PyObject* aval = PyObject_CallFunctionObjArgs(aval_factory, dims.get(), dtype,
                                                weak ? Py_True : Py_False, nullptr);
  if (aval && entry) {
    entry->code = code;
    entry->weak = weak;
    entry->ndim = ndim;
    std::copy(shape, shape + ndim, entry->shape);
    Py_INCREF(aval);
    Py_XSETREF(entry->aval, aval);
  }
  return aval;
}

PyObject* node_flattener(PyTypeObject* type) {
  auto it = flatteners().find(type);
  return it == flatteners().end() ? nullptr : it->second;
}

void register_node(PyObject* type, PyObject* flatten) {
  Py_INCREF(flatten);
  auto [it, inserted] = flatteners().emplace(reinterpret_cast<PyTypeObject*>(type), flatten);
  if (inserted)
    Py_INCREF(type);
  else
    Py_SETREF(it->second, flatten);
}

}  // namespace covector
