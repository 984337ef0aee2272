// The line of the user's code that a library call comes from.
#pragma once

#include <Python.h>

namespace covector {

PyObject* user_frame(PyObject*, PyObject* prefix);
PyObject* set_internal_prefixes(PyObject*, PyObject* prefixes);

}  // namespace covector
