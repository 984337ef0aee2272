// Signals that arrive while compiled code runs.
#pragma once

#include <Python.h>

namespace covector {

// Lets compiled code look out for signals from now on; false with an exception set.
bool init_interrupts();

}  // namespace covector
