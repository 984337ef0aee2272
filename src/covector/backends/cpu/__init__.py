"""The CPU's backend: the loops of a schedule become LLVM IR and machine code.

What writes LLVM IR is imported when a program is first compiled, not when its code is on disk.
"""

from covector.core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals(), {}, modules=("generate",))
