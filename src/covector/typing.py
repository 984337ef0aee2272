"""Types for annotations (`covector.typing`).

Examples
--------
>>> import covector as cv
>>> from covector.typing import ArrayLike, DTypeLike
>>> def scaled(x: ArrayLike, dtype: DTypeLike) -> cv.Array:
...     return 2 * cv.numpy.asarray(x, dtype)
>>> scaled([1, 2], "float32")
Array([2., 4.], dtype=float32)
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from covector.core.array_type import Array


@runtime_checkable
class SupportsDType(Protocol):
    """What has a dtype, and stands for it."""

    @property
    def dtype(self) -> np.dtype[Any]: ...


# What functions take for an array. A list is none: numpy.asarray makes one of it.
ArrayLike = Array | np.ndarray | np.bool_ | np.number | bool | int | float | complex
# What functions take for a dtype: a name, a type, a dtype, or what has one.
DTypeLike = str | type[Any] | np.dtype[Any] | SupportsDType

__all__ = ["ArrayLike", "DTypeLike"]
