"""The emission rules of all primitives, a module a family."""

from covector.backends.pjrt.rules import (  # noqa: F401 - each fills the table
    callbacks,
    control,
    elementwise,
    fourier,
    indexing,
    linalg,
    nvidia,
    products,
    reductions,
    sharding,
    special,
    structure,
    windows,
)
