// NumPy's C interface names one sorting function per dtype. For the built-in numbers these are
// plain loops over memory, which need neither the GIL nor an array object.
#include "host/numpy_sort.h"

#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "cpu/sort.h"

namespace covector {

void use_numpy_sort() {
  if (_import_array() < 0) {
    PyErr_Clear();
    return;
  }
  constexpr struct {
    int code, type;
  } kSorted[] = {{kI32, NPY_INT32},  {kU32, NPY_UINT32},  {kI64, NPY_INT64},
                 {kU64, NPY_UINT64}, {kF32, NPY_FLOAT32}, {kF64, NPY_FLOAT64}};
  for (auto [code, type] : kSorted) {
    PyArray_Descr* descr = PyArray_DescrFromType(type);
    if (!descr) {
      PyErr_Clear();
      continue;
    }
    PyArray_ArrFuncs* functions = PyDataType_GetArrFuncs(descr);
    if (functions) set_sorter(code, reinterpret_cast<Sorter>(functions->sort[NPY_QUICKSORT]));
    Py_DECREF(descr);
  }
}

}  // namespace covector
