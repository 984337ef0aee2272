// Elements as Python numbers, and Python numbers as elements.
#include <algorithm>
#include <complex>
#include <cstring>

#include "host/array.h"
#include "host/registry.h"
#include "python/ref.h"

namespace covector {
namespace {

template <class T>
T load(const char* data) {
  T x;
  std::memcpy(&x, data, sizeof x);
  return x;
}

template <class T>
bool store(void* out, T x) {
  std::memcpy(out, &x, sizeof x);
  return true;
}

bool unsupported(int code, PyObject* value) {
  PyErr_Format(PyExc_TypeError, "cannot convert a Python %.100s to dtype %s",
               Py_TYPE(value)->tp_name, dtype_name(code));
  return false;
}

bool out_of_bounds(int code, PyObject* value) {
  PyErr_Clear();
  PyObject* text = PyObject_Repr(value);
  if (!text) {  // of more digits than Python writes
    PyErr_Clear();
    text = PyUnicode_FromString("of thousands of digits");
  }
  if (!text) return false;
  PyErr_Format(PyExc_OverflowError, "Python integer %U out of bounds for %s%s", text,
               dtype_name(code),
               code == kI32 ? "; 64-bit integers need the option enable_x64" : "");
  Py_DECREF(text);
  return false;
}

bool store_integer(int code, PyObject* value, void* out) {
  if (code == kU64) {
    unsigned long long x = PyLong_AsUnsignedLongLong(value);
    if (x == ~0ull && PyErr_Occurred()) return out_of_bounds(code, value);
    return store(out, uint64_t(x));
  }
  int overflow;
  long long x = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (x == -1 && !overflow && PyErr_Occurred()) return false;
  auto narrow = [&](auto zero) {
    using T = decltype(zero);
    if (overflow || x < (long long)std::numeric_limits<T>::min() ||
        x > (long long)std::numeric_limits<T>::max())
      return out_of_bounds(code, value);
    return store(out, T(x));
  };
  switch (code) {
    case kI8: return narrow(int8_t{});
    case kI16: return narrow(int16_t{});
    case kI32: return narrow(int32_t{});
    case kI64: return narrow(int64_t{});
    case kU8: return narrow(uint8_t{});
    case kU16: return narrow(uint16_t{});
    default: return narrow(uint32_t{});
  }
}

bool store_float(int code, double x, void* out) {
  switch (code) {
    case kF16: return store(out, half_from_double(x));
    case kBF16: return store(out, bf16_from_double(x));
    case kF32: return store(out, float(x));
    default: return store(out, x);
  }
}

// A number of at most eight bits, as the dtype's own scalar type makes it of a Python number.
bool store_small(int code, const SmallType* type, PyObject* value, void* out) {
  if (type->kind != 'f') {
    if (!PyLong_Check(value)) return unsupported(code, value);
    auto [least, most] = std::minmax_element(std::begin(type->values), std::end(type->values));
    int overflow;
    long long x = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (x == -1 && !overflow && PyErr_Occurred()) return false;
    if (overflow || double(x) < *least || double(x) > *most) return out_of_bounds(code, value);
  }
  Ref number(type->kind == 'f' ? PyNumber_Float(value) : PyNumber_Long(value));
  PyObject* dtype = number ? dtype_object(code) : nullptr;
  Ref scalar_type(dtype ? PyObject_GetAttrString(dtype, "type") : nullptr);
  Ref element(scalar_type ? PyObject_CallOneArg(scalar_type.get(), number.get()) : nullptr);
  Ref bytes(element ? PyObject_CallMethod(element.get(), "tobytes", nullptr) : nullptr);
  if (!bytes) return false;
  const char* data = PyBytes_AsString(bytes.get());
  return data && store(out, *data);
}

// The only element of a 0-d array, or null with NumPy's kind of error.
const char* scalar_data(PyObject* self) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (a->ndim != 0) {
    Ref dims(shape_tuple(a->ndim, a->shape));
    if (dims)
      PyErr_Format(PyExc_TypeError,
                   "only 0-d (scalar) arrays can be converted to Python scalars, got shape %R",
                   dims.get());
    return nullptr;
  }
  a = on_host(a);
  return a ? a->data : nullptr;
}

PyObject* to_list(const ArrayObject* a, int axis, const char** data) {
  if (axis == a->ndim) {
    PyObject* element = element_to_python(a->code, *data);
    *data += itemsizes[a->code];
    return element;
  }
  Ref list(PyList_New(a->shape[axis]));
  if (!list) return nullptr;
  for (int64_t i = 0; i < a->shape[axis]; ++i) {
    PyObject* item = to_list(a, axis + 1, data);
    if (!item) return nullptr;
    PyList_SET_ITEM(list.get(), i, item);
  }
  return list.release();
}

}  // namespace

PyObject* element_to_python(int code, const char* data) {
  switch (code) {
    case kBool: return PyBool_FromLong(*data != 0);
    case kI8: return PyLong_FromLong(load<int8_t>(data));
    case kI16: return PyLong_FromLong(load<int16_t>(data));
    case kI32: return PyLong_FromLong(load<int32_t>(data));
    case kI64: return PyLong_FromLongLong(load<int64_t>(data));
    case kU8: return PyLong_FromLong(load<uint8_t>(data));
    case kU16: return PyLong_FromLong(load<uint16_t>(data));
    case kU32: return PyLong_FromUnsignedLong(load<uint32_t>(data));
    case kU64: return PyLong_FromUnsignedLongLong(load<uint64_t>(data));
    case kF16: return PyFloat_FromDouble(half_to_float(load<uint16_t>(data)));
    case kBF16: return PyFloat_FromDouble(bf16_to_float(load<uint16_t>(data)));
    case kF32: return PyFloat_FromDouble(load<float>(data));
    case kF64: return PyFloat_FromDouble(load<double>(data));
    case kC64: {
      auto z = load<std::complex<float>>(data);
      return PyComplex_FromDoubles(z.real(), z.imag());
    }
    case kC128: {
      auto z = load<std::complex<double>>(data);
      return PyComplex_FromDoubles(z.real(), z.imag());
    }
  }
  if (const SmallType* type = small_type(code)) {
    double x = type->values[uint8_t(*data)];
    return type->kind == 'f' ? PyFloat_FromDouble(x) : PyLong_FromDouble(x);
  }
  PyErr_Format(PyExc_TypeError, "elements of dtype %s have no Python equivalent", dtype_name(code));
  return nullptr;
}

bool element_from_python(int code, PyObject* value, void* out) {
  if (const SmallType* type = small_type(code); type && !PyComplex_Check(value))
    return store_small(code, type, value, out);
  if (PyFloat_CheckExact(value)) {
    double x = PyFloat_AS_DOUBLE(value);
    if (is_real_float(code)) [[likely]]
      return store_float(code, x, out);
    if (code == kC64) return store(out, std::complex<float>(float(x)));
    if (code == kC128) return store(out, std::complex<double>(x));
    return unsupported(code, value);
  }
  if (PyLong_Check(value)) {  // bool too
    if (code == kBool) {
      if (!PyBool_Check(value)) return unsupported(code, value);
      return store(out, uint8_t(value == Py_True));
    }
    if (is_integer(code)) return store_integer(code, value, out);
    if (code > kC128) return unsupported(code, value);
    double x = PyLong_AsDouble(value);
    if (x == -1 && PyErr_Occurred()) return out_of_bounds(code, value);
    if (is_real_float(code)) return store_float(code, x, out);
    if (code == kC64) return store(out, std::complex<float>(float(x)));
    return store(out, std::complex<double>(x));
  }
  if (PyComplex_Check(value) && is_complex(code)) {
    Py_complex z = PyComplex_AsCComplex(value);
    if (code == kC64) return store(out, std::complex<float>(float(z.real), float(z.imag)));
    return store(out, std::complex<double>(z.real, z.imag));
  }
  if (PyFloat_Check(value)) {  // a subclass
    Ref exact(PyFloat_FromDouble(PyFloat_AS_DOUBLE(value)));
    return exact && element_from_python(code, exact.get(), out);
  }
  return unsupported(code, value);
}

PyObject* array_item(PyObject* self, PyObject* const* args, Py_ssize_t nargs) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  if (nargs == 1 && PyTuple_Check(args[0])) {
    PyObject* tuple = args[0];
    return array_item(self, &PyTuple_GET_ITEM(tuple, 0), PyTuple_GET_SIZE(tuple));
  }
  int64_t at = 0;
  if (nargs == 0) {
    if (a->size != 1) {
      PyErr_SetString(PyExc_ValueError, "can only convert an array of size 1 to a Python scalar");
      return nullptr;
    }
  } else if (nargs != 1 && nargs != a->ndim) {
    PyErr_Format(PyExc_ValueError, "item() takes no index, a flat index or %d indices, got %zd",
                 a->ndim, nargs);
    return nullptr;
  }
  for (Py_ssize_t i = 0; i < nargs; ++i) {
    Py_ssize_t index = PyNumber_AsSsize_t(args[i], PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) return nullptr;
    int64_t n = nargs == 1 ? a->size : a->shape[i];
    int64_t positive = index < 0 ? index + n : index;
    if (positive < 0 || positive >= n) {
      PyErr_Format(PyExc_IndexError, "index %zd is out of bounds for size %lld", index,
                   (long long)n);
      return nullptr;
    }
    at = at * n + positive;
  }
  a = on_host(a);
  return a ? element_to_python(a->code, a->data + at * itemsizes[a->code]) : nullptr;
}

PyObject* array_tolist(PyObject* self, PyObject*) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a) || !(a = on_host(a))) return nullptr;
  const char* data = a->data;
  return to_list(a, 0, &data);
}

int array_bool(PyObject* self) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return -1;
  if (a->size != 1) {
    Ref dims(shape_tuple(a->ndim, a->shape));
    if (dims)
      PyErr_Format(
          PyExc_ValueError,
          "The truth value of an %s is ambiguous: shape=%R dtype=%s. Use a.any() or a.all()",
          a->size == 0 ? "empty array" : "array with more than one element", dims.get(),
          dtype_name(a->code));
    return -1;
  }
  if (!(a = on_host(a))) return -1;
  Ref element(element_to_python(a->code, a->data));
  return element ? PyObject_IsTrue(element.get()) : -1;
}

PyObject* array_int(PyObject* self) {
  const char* data = scalar_data(self);
  if (!data) return nullptr;
  Ref element(element_to_python(as_array(self)->code, data));
  return element ? PyNumber_Long(element.get()) : nullptr;
}

PyObject* array_float(PyObject* self) {
  const char* data = scalar_data(self);
  if (!data) return nullptr;
  Ref element(element_to_python(as_array(self)->code, data));
  return element ? PyNumber_Float(element.get()) : nullptr;
}

PyObject* array_complex(PyObject* self, PyObject*) {
  const char* data = scalar_data(self);
  if (!data) return nullptr;
  Ref element(element_to_python(as_array(self)->code, data));
  if (!element) return nullptr;
  Py_complex z = PyComplex_AsCComplex(element.get());
  return PyErr_Occurred() ? nullptr : PyComplex_FromCComplex(z);
}

PyObject* array_index(PyObject* self) {
  ArrayObject* a = as_array(self);
  if (!check_alive(a)) return nullptr;
  const SmallType* type = small_type(a->code);
  if (a->ndim != 0 || !(is_integer(a->code) || (type && type->kind != 'f'))) {
    PyErr_SetString(PyExc_TypeError,
                    "only integer scalar arrays can be converted to a scalar index");
    return nullptr;
  }
  a = on_host(a);
  return a ? element_to_python(a->code, a->data) : nullptr;
}

}  // namespace covector
