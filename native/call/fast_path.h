// FastPath: an executable with the way from a call's leaves to its inputs and from its outputs
// to the result.
#pragma once

#include <Python.h>

#include <cstdint>
#include <vector>

#include "call/executable.h"
#include "call/signature.h"

namespace covector {

// One step of building the result, on a stack of objects.
struct OutStep {
  enum Op : uint32_t { kLeaf, kTuple, kList, kDict, kNone, kCustom };
  Op op;
  uint32_t count;    // the output's index, or the number of children on the stack
  PyObject* object;  // owned: the keys (a tuple) of a dict, or the function of a custom node
};

struct FastPathBody {
  PyObject* object = nullptr;  // owned: the Python object of the executable
  Executable* executable = nullptr;
  std::vector<uint32_t> kept;
  std::vector<OutStep> steps;
  bool single = false;      // the result is output 0
  bool flat_tuple = false;  // the result is the tuple of all outputs in order
  bool brings = false;      // some leaves are where the executable does not take them
};

struct FastPathObject {
  PyObject_HEAD
  FastPathBody body;
};

extern PyTypeObject* FastPathType;

PyObject* run_fast_path(FastPathObject* path, const Signature& signature);
// Prepares for calls of this signature. False, with an exception set, if its leaves are not what
// the executable takes.
bool bind_fast_path(FastPathObject* path, const Signature& signature);

bool init_fast_path(PyObject* module);

}  // namespace covector
