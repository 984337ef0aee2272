// JitFunction: a callable that finds the compiled program for its arguments.
#pragma once

#include <Python.h>

namespace covector {

bool init_jit_function(PyObject* module);

}  // namespace covector
