"""Lowering rules: one file per family of primitives."""

from covector.compiler.lower import (  # noqa: F401
    control,
    elementwise,
    indexing,
    library,
    linalg,
    reduce,
    structure,
)
