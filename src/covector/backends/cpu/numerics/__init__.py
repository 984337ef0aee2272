"""Arithmetic and mathematical functions of scalars and vectors, as LLVM instructions.

The modules of functions that few programs have are imported when a program first has one.
"""

from covector.core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    globals(),
    {},
    modules=(
        "bessel",
        "complex_math",
        "error",
        "exponential",
        "faddeeva",
        "gamma",
        "gamma_function",
        "hypergeometric",
        "incomplete_beta",
        "incomplete_gamma",
        "integrals",
        "inverse_trig",
        "logarithm",
        "normal",
        "owens",
        "power",
        "trigonometric",
        "zeta",
    ),
)
