// The entry point of generated code as an executable.
#pragma once

#include "call/executable.h"
#include "cpu/runtime.h"
#include "python/small_vector.h"

namespace covector {

constexpr int64_t kFreshOutput = -1;
constexpr int64_t kConstOutput = int64_t(1) << 20;  // and above; below: forwarded inputs

// A program that runs without having released the GIL. Keeps the memory of its arguments alive
// where other Python code may run meanwhile.
struct RunningProgram {
  const Argument* arguments;
  size_t count;
  bool pinned = false;
  RunningProgram* outer = nullptr;
  PyThreadState* released = nullptr;  // since it has turned out to be long
  SmallVector<Storage*, 16> pins;

  void pin();
  void unpin();
  void release_gil();
};

bool init_cpu_executable(PyObject* module);

}  // namespace covector
