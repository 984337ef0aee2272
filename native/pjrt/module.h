// covector._native.pjrt.
#pragma once

#include <nanobind/nanobind.h>

namespace covector::pjrt {

void add_pjrt(nanobind::module_ parent);

}  // namespace covector::pjrt
