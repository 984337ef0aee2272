"""What the functions of `covector.scipy.linalg` share: operands, choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.numpy._util import array, inexact, promote_inexact
from covector.numpy.linalg._factorizations import matrices

__all__ = ["choice", "matrices", "matrices_together", "vector"]


def vector(a: Any, name: str) -> Any:
    """``a`` as an array of floats or complex numbers with at least one dimension."""
    x = array(inexact(a, name), name)
    if not x.ndim:
        raise ValueError(f"{name} takes vectors, shape (..., n), got {describe(x)}{at_user_line()}")
    return x


def matrices_together(name: str, *operands: Any) -> list[Any]:
    """Operands as arrays of one dtype of floats or complex numbers."""
    return [array(x, name) for x in promote_inexact(name, *operands)]


def choice(name: str, argument: str, value: Any, offered: Sequence[Any]) -> None:
    """Raise an error unless ``value`` is one of those ``offered``."""
    if value not in offered:
        known = ", ".join(map(repr, offered))
        raise ValueError(
            f"{name}: {argument} must be one of {known}, got {value!r}{at_user_line()}"
        )
