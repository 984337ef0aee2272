// Where arrays are, as an index into a table: a sharding, and whether the array is committed to it.
#pragma once

#include <Python.h>

#include <cstdint>

namespace covector {

using Placement = uint32_t;

constexpr Placement kDefaultPlacement = 0;  // on the first device of the CPU, not committed

PyObject* placement_sharding(Placement placement);  // borrowed; null with an exception
bool placement_committed(Placement placement);
bool placement_spread(Placement placement);  // over several devices
bool placement_typed(Placement placement);   // whether types say it
bool parse_placement(PyObject* obj, Placement* placement);

// add_placement(sharding, committed, spread, typed) -> index: placements stay for as long as the process.
PyObject* add_placement(PyObject*, PyObject* const* args, Py_ssize_t nargs);
// set_default_sharding(f): f() -> the sharding of the default placement, asked for once.
PyObject* set_default_sharding(PyObject*, PyObject* function);

}  // namespace covector
