// covector._native.processes.
#pragma once

#include <nanobind/nanobind.h>

namespace covector::processes {

void add_processes(nanobind::module_ parent);

}  // namespace covector::processes
