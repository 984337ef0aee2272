// What Python tells the native core at import: dtype objects, the aval factory, NumPy's types.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/dtype.h"

namespace covector {

extern uint8_t itemsizes[kMaxCodes];  // 0 for a code that is not in use
extern PyTypeObject* ndarray_type;    // null until registered
extern PyTypeObject* generic_type;
extern PyObject* numpy_converter;

inline bool is_code(long code) { return code >= 0 && code < kMaxCodes && itemsizes[code] != 0; }

PyObject* dtype_object(int code);  // borrowed; null with an exception if unregistered
const char* dtype_name(int code);  // for messages
bool parse_code(PyObject* obj, int* code);

bool set_dtypes(PyObject* sequence);
// A number of at most eight bits, one byte an element: what each byte stands for.
struct SmallType {
  char kind;       // 'f' float, 'i' signed, 'u' unsigned
  uint8_t dlpack;  // DLPack's code of the format; 0 if it has none
  double values[256];
};
const SmallType* small_type(int code);  // null for a code of another kind
bool set_small_type(int code, char kind, int dlpack, const char* doubles, size_t nbytes);

void set_aval_factory(PyObject* factory);
void set_placed_aval_factory(PyObject* factory);
void set_numpy_types(PyObject* ndarray, PyObject* generic);
void set_converter(PyObject* converter);

// The abstract value for a shape and dtype: avals are immutable, so equal ones are shared.
PyObject* make_aval(int code, bool weak, int ndim, const int64_t* shape);
// The one for an array with a sharding (null with an exception, as is `aval`, which it takes over).
PyObject* placed_aval(PyObject* aval, PyObject* sharding);

PyObject* shape_tuple(int ndim, const int64_t* shape);

// How a registered container type is taken apart: f(obj) -> (children, aux). Null if none.
PyObject* node_flattener(PyTypeObject* type);
void register_node(PyObject* type, PyObject* flatten);

}  // namespace covector
