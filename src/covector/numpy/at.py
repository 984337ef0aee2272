"""``x.at[index]``: new arrays that differ from ``x`` at an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy import indexing
from covector.numpy._index import NOTHING, Promised
from covector.numpy.indexing import get_with_mode
from covector.numpy.updates import update
from covector.sharding.results import laid_out


class IndexHelper:
    """``x.at``: ``x.at[index].set(y)`` is a copy of ``x`` with ``y`` at an index.

    In place of ``x[i] = y`` write ``x = x.at[i].set(y)``; in place of ``x[i] += y`` write
    ``x = x.at[i].add(y)``. There are also ``multiply``, ``divide``, ``power``, ``min``, ``max``,
    ``apply``, and ``get``, which reads. Indices are those of ``x[index]``; what they mean out of
    bounds, the argument ``mode`` says. Compiled, an update happens in place where nobody else
    uses ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.zeros(3)
    >>> x.at[1].set(5.0)
    Array([0., 5., 0.], dtype=float32)
    >>> x.at[np.array([0, 0, 2])].add(1.0)
    Array([2., 0., 1.], dtype=float32)
    """

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> IndexRef:
        return IndexRef(self.array, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise setitem_error(self.array, index, value)

    def __repr__(self) -> str:
        return f"IndexHelper({self.array!r})"


class IndexRef:
    """``x.at[index]``: an array and an index, to be read or updated.

    All methods return a new array and take

    mode : {'fill', 'drop', 'clip', 'promise_in_bounds', 'wrap'}, optional
        What indices out of bounds mean. By default reads are clamped and updates dropped.
    indices_are_sorted, unique_indices : bool
        Promises about the indices, negative ones counted from the start; wrong promises give
        undefined results.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.zeros(3).at[1].set(5.0)
    Array([0., 5., 0.], dtype=float32)
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"IndexRef({self.array!r}, {self.index!r})"

    def __add__(self, other: Any) -> NoReturn:
        text = _index_text(self.index)
        raise TypeError(
            f"x.at[{text}] is not an array, but what reads or updates one: write x[{text}] for the "
            f"elements, x.at[{text}].add(y) for a copy of x with them changed{at_user_line()}"
        )

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __add__

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        fill_value: Any = None,
        wrap_negative_indices: bool = True,
        out_sharding: Any = None,
    ) -> Any:
        """``x[index]``; ``fill_value`` is read out of bounds in mode ``fill``."""
        if out_sharding is not None:
            return laid_out(IndexRef.get, locals(), "at[].get")
        clips = mode in (None, "clip") and fill_value is None
        index = self.index if wrap_negative_indices else _not_wrapped(self.index, clips)
        if mode is None and fill_value is None:
            return indexing.getitem(self.array, index)
        return get_with_mode(self.array, index, mode, fill_value)

    def set(
        self,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        wrap_negative_indices: bool = True,
        out_sharding: Any = None,
    ) -> Any:
        """``x`` with ``x[index] = values``."""
        if out_sharding is not None:
            return laid_out(IndexRef.set, locals(), "at[].set")
        index, promised = self.index, NOTHING
        if indices_are_sorted or unique_indices:
            # Numbers before the first element that are not counted from the end leave the order.
            promised = Promised(indices_are_sorted and wrap_negative_indices, unique_indices)
        if not wrap_negative_indices:
            index = _not_wrapped(index, mode == "clip")
        return update(self.array, index, values, "set", mode, promised)

    def add(
        self,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        wrap_negative_indices: bool = True,
        out_sharding: Any = None,
    ) -> Any:
        """``x`` with ``values`` added at the index, as often as a position occurs in it."""
        if out_sharding is not None:
            return laid_out(IndexRef.add, locals(), "at[].add")
        index, promised = self.index, NOTHING
        if indices_are_sorted or unique_indices:
            # Numbers before the first element that are not counted from the end leave the order.
            promised = Promised(indices_are_sorted and wrap_negative_indices, unique_indices)
        if not wrap_negative_indices:
            index = _not_wrapped(index, mode == "clip")
        return update(self.array, index, values, "add", mode, promised)

    def subtract(self, values: Any, **options: Any) -> Any:
        """``x`` with ``values`` subtracted at the index."""
        return _with(self, values, "subtract", **options)

    def multiply(self, values: Any, **options: Any) -> Any:
        """``x`` with the elements at the index multiplied by ``values``."""
        return _with(self, values, "multiply", **options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Any:
        """``x`` with the elements at the index divided by ``values``."""
        return _with(self, values, "divide", **options)

    def power(self, values: Any, **options: Any) -> Any:
        """``x`` with the elements at the index raised to the power of ``values``."""
        return _with(self, values, "power", **options)

    def min(self, values: Any, **options: Any) -> Any:
        """``x`` with the minimum of its elements at the index and ``values``."""
        return _with(self, values, "min", **options)

    def max(self, values: Any, **options: Any) -> Any:
        """``x`` with the maximum of its elements at the index and ``values``."""
        return _with(self, values, "max", **options)

    def apply(self, func: Callable[[Any], Any], **options: Any) -> Any:
        """``x`` with ``func`` applied to the elements at the index."""
        return _with(self, None, func, **options)


def _with(
    ref: IndexRef,
    values: Any,
    op: Any,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
    wrap_negative_indices: bool = True,
    out_sharding: Any = None,
) -> Any:
    if out_sharding is not None:
        return laid_out(_with, locals(), f"at[].{op if isinstance(op, str) else 'apply'}")
    promised = Promised(indices_are_sorted and wrap_negative_indices, unique_indices)
    index = ref.index if wrap_negative_indices else _not_wrapped(ref.index, mode == "clip")
    return update(ref.array, index, values, op, mode, promised)


def _not_wrapped(index: Any, clips: bool) -> Any:
    """An index in which no negative number counts from the end: all are out of bounds, before the
    first element."""
    if isinstance(index, tuple):
        return tuple([_not_wrapped(i, clips) for i in index])
    dtype = getattr(index, "dtype", None)
    is_number = type(index) is int or (dtype is not None and dtypes.is_integer(dtype))
    if not is_number:
        return index
    own = dtypes.default_int()
    outside = 0 if clips else dtypes.LIMITS[own][1]
    if type(index) is int:
        return outside if index < 0 else index
    index = lax.convert_element_type(index, own)
    return lax.select(lax.lt(index, 0), lax.full_like(index, outside), index)


def setitem_error(x: Any, index: Any, value: Any) -> TypeError:
    """The error for ``x[index] = value``, with what to write instead."""
    text = _index_text(index)
    return TypeError(
        f"arrays are immutable: {describe(x)} does not support item assignment. In place of "
        f"x[{text}] = y write x = x.at[{text}].set(y), or x = x.at[{text}].add(y) for += (see "
        f"covector.numpy.ndarray.at).{at_user_line()}"
    )


def _index_text(index: Any) -> str:
    if isinstance(index, slice):
        parts = [index.start, index.stop] + ([index.step] if index.step is not None else [])
        return ":".join("" if p is None else str(p) for p in parts)
    if isinstance(index, tuple):
        return ", ".join(map(_index_text, index))
    if index is Ellipsis:
        return "..."
    return str(index) if isinstance(index, int) else "idx"
