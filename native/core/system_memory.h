// How much memory this process may use.
#pragma once

#include <cstddef>

namespace covector {

// The machine's memory, or what the control groups of the process leave of it.
size_t memory_limit();

}  // namespace covector
