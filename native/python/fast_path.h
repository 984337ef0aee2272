// FastPath: an executable with the way from a call's leaves to its inputs and from its outputs
// to the result.
#pragma once

#include <Python.h>

#include <cstdint>
#include <vector>

#include "python/executable.h"
#include "python/signature.h"

namespace covector {

// One step of building the result, on a stack of objects.
struct OutStep {
  enum Op : uint32_t { kLeaf, kTuple, kList, kDict, kNone, kCustom };
  Op op;
  uint32_t count;    // the output's index, or the number of children on the stack
  PyObject* object;  // owned: the keys (a tuple) of a dict, or the function of a custom node
};

struct FastPathBody {
  ExecutableObject* executable = nullptr;  // owned
  std::vector<uint32_t> kept;
  std::vector<OutStep> steps;
  bool single = false;      // the result is output 0
  bool flat_tuple = false;  // the result is the tuple of all outputs in order
};

struct FastPathObject {
  PyObject_HEAD
  FastPathBody body;
};

extern PyTypeObject* FastPathType;

PyObject* run_fast_path(FastPathObject* path, const Signature& signature);
// Whether the leaves are what the executable takes; otherwise an exception is set.
bool check_fast_path(FastPathObject* path, const Signature& signature);

bool init_fast_path(PyObject* module);

}  // namespace covector
