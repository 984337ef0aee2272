// covector._native.ffi.
#pragma once

#include <nanobind/nanobind.h>

namespace covector::ffi {

void add_ffi(nanobind::module_ parent);

}  // namespace covector::ffi
