"""Lowering rules: one file per family of primitives.

The families that most programs have no primitive of are imported by `lowering.find_rule`.
"""

from covector.compiler.lower import (  # noqa: F401
    elementwise,
    indexing,
    library,
    reduce,
    selection,
    structure,
)  # fmt: skip
