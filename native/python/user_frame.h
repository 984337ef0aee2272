// Whose code a source file holds, and the line of the user's code that a library call comes from.
#pragma once

#include <Python.h>

namespace covector {

// Helpers are packages that the library calls on behalf of its users, and they too.
enum class FileKind : unsigned char { kUser, kLibrary, kHelper };
FileKind file_kind(PyObject* filename);

PyObject* user_frame(PyObject*, PyObject* prefix);
PyObject* set_internal_prefixes(PyObject*, PyObject* const* args, Py_ssize_t nargs);

}  // namespace covector
