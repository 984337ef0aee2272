// Tracebacks that show the users' frames and not the library's.
#pragma once

namespace covector {

// Drops the library's frames from the traceback of the exception that is set, and from those of
// its causes and contexts, unless the option traceback_filtering is off.
void filter_raised();

}  // namespace covector
