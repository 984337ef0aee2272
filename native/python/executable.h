// A compiled program with its constants and the types of its inputs and outputs.
#pragma once

#include <Python.h>

#include <string>
#include <vector>

#include "engine/runtime.h"
#include "python/array.h"
#include "python/small_vector.h"

namespace covector {

constexpr int64_t kFreshOutput = -1;
constexpr int64_t kConstOutput = int64_t(1) << 20;  // and above; below: forwarded inputs

struct ArraySpec {
  int code;
  bool weak;
  std::vector<int64_t> shape;
  int64_t size;
  int ndim() const { return int(shape.size()); }
};

struct OutputSpec : ArraySpec {
  int64_t kind;
  int64_t donor;  // the input whose memory is taken over, or -1
};

struct Program {
  Entry entry;
  std::vector<int64_t> params;
  std::vector<ArrayObject*> consts;  // owned aliases: deleting the caller's does no harm
  std::vector<ArraySpec> inputs;
  std::vector<OutputSpec> outputs;
  size_t fresh_outputs = 0;
  size_t workspace_bytes = 0;
  bool donates = false;
  bool release_gil = false;
  PyObject* keepalive = nullptr;
  PyObject* name = nullptr;
};

struct ExecutableObject {
  PyObject_HEAD
  Program program;
};

extern PyTypeObject* ExecutableType;

// An argument of a program: an Array, or a Python scalar already converted at `data`.
struct Argument {
  void* data;
  ArrayObject* array;
};

// Keeps the memory of a program's arguments alive where other Python code may run meanwhile.
struct RunningProgram {
  const Argument* arguments;
  size_t count;
  bool pinned = false;
  RunningProgram* outer = nullptr;
  SmallVector<Storage*, 16> pins;

  void pin();
  void unpin();
};

// Fills `results` with new references, or returns false with an exception set. The arguments
// must be alive and have the types of the program's inputs.
bool run_program(ExecutableObject* executable, const Argument* arguments, PyObject** results);

bool init_executable(PyObject* module);

}  // namespace covector
