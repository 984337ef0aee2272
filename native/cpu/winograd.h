// Convolutions by windows of three by three with fewer products than they have terms.
#pragma once

#include <cstdint>

#include "cpu/convolution_windows.h"

namespace covector {

// Whether the windows are such, and there are enough products to save.
bool has_short_cut(const Windows<float>& w, int64_t outputs);

// False where memory ran out or something was not finite, as what is added and taken away again
// would then not be as if it had not been there; the result is to be computed otherwise.
bool by_short_cut(const Windows<float>& w, const float* kernel, float* result, int64_t outputs);

}  // namespace covector
