// NumPy's vectorised sort, called directly on memory.
#pragma once

namespace covector {

// Gives the engine NumPy's sorting functions. Without them it sorts by itself.
void use_numpy_sort();

}  // namespace covector
