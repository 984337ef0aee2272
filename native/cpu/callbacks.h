// Calls from generated code back into Python.
#pragma once

#include <Python.h>

#include <cstdint>

namespace covector {

int64_t register_callback(PyObject* callable);
bool unregister_callback(int64_t id);
void init_callbacks();  // fills the slot of the runtime table

}  // namespace covector
