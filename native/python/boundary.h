// A function as users call it.
#pragma once

#include <Python.h>

namespace covector {

bool init_boundary(PyObject* module);

}  // namespace covector
