"""The emission rules of all primitives, a module a family."""

from covector.backends.pjrt.rules import (  # noqa: F401 - each fills the table
    control,
    elementwise,
    fourier,
    indexing,
    products,
    reductions,
    special,
    structure,
    windows,
)
