"""The public type `Array`: what annotations and ``isinstance`` see of arrays and tracers."""

from __future__ import annotations

from typing import Any

from covector.core.avals import Array as _Array
from covector.core.trace import Tracer


class _ArrayMeta(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, (_Array, Tracer))

    def __subclasscheck__(cls, c: type) -> bool:
        return issubclass(c, (_Array, Tracer)) or super().__subclasscheck__(c)

    def __getattr__(cls, name: str) -> Any:
        return getattr(_Array, name)


class Array(metaclass=_ArrayMeta):
    """An immutable array on a device.

    For annotations and ``isinstance``, which holds for the arrays that a function sees while
    it is transformed too. Arrays are made by functions such as `covector.numpy.array`.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.numpy.arange(3)
    >>> isinstance(x, cv.Array)
    True
    >>> isinstance(x.__array__(), cv.Array)  # a NumPy array
    False

    Elements are set in a copy:

    >>> x.at[0].set(5)
    Array([5, 1, 2], dtype=int32)
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "covector.Array cannot be instantiated; use covector.numpy.array, or another function "
            "that creates arrays"
        )


Array.__module__ = "covector"
