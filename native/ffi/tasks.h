// Tasks of native functions, on threads of their own.
#pragma once

namespace covector::ffi {

// Has some thread run the task, the calling one where no other can be had.
void schedule(void (*task)(void*), void* data);

}  // namespace covector::ffi
