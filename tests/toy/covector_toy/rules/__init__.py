"""The rules of all primitives, a module a family."""

from covector_toy.rules import (  # noqa: F401 - each fills the table
    bits,
    collectives,
    control,
    convolution,
    elementwise,
    fourier,
    indexing,
    linalg,
    reductions,
    special,
    structure,
    windows,
)
