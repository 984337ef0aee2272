"""Elementary and special functions, written once for every backend that writes programs.

A function takes and gives `Num`, numbers with operators over a `Writer`: what a backend writes
scalar instructions with. The modules of functions that few programs have are imported when a
program first has one.
"""

from covector.core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    globals(),
    {},
    modules=(
        "bessel",
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
        "jets",
        "logarithm",
        "normal",
        "owens",
        "parameters",
        "power",
        "transformations",
        "trigonometric",
        "zeta",
    ),
)
