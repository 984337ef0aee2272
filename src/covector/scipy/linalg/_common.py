"""What the functions of `covector.scipy.linalg` share: operands, choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy._util import array, inexact, promote_inexact


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


def whole_number(name: str, n: Any, smallest: int) -> int:
    """``n`` as an integer of at least ``smallest``."""
    try:
        size = int(n)
    except TypeError:
        size = -1
    if size != n or size < smallest:
        raise ValueError(
            f"{name}: n must be an integer of at least {smallest}, got {n!r}{at_user_line()}"
        )
    return size


def grid(m: int, n: int) -> tuple[Any, Any]:
    """Row and column of every place of a matrix."""
    i, j = (lax.broadcasted_iota(dtypes.int32, (m, n), k) for k in (0, 1))
    return i, j
