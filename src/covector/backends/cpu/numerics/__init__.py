"""Arithmetic and mathematical functions of scalars and vectors, as LLVM instructions.

The functions themselves are those of `covector.numerics`.
"""

from covector.core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals(), {}, modules=("complex_math",))
