"""Reading an index expression: what it selects along each dimension of an array."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import Array, refuse_mask
from covector.core.dims import DimExpr, is_within, slice_bounds
from covector.core.errors import NonConcreteBooleanIndexError, at_user_line, describe
from covector.core.record import Record
from covector.core.structural import convert_element_type
from covector.core.trace import Tracer, origin
from covector.numpy._util import check_here
from covector.numpy.creation import asarray


class Slice(Record):
    """A static range of ``size`` elements from ``start`` in steps of ``step`` (maybe negative)."""

    start: int
    size: int
    step: int


class Moving(Record):
    """A range of ``size`` elements from a start that is traced, or out of bounds."""

    start: Any
    size: int


class Window:
    """A range of known size from a start that may be traced; made by `ds`.

    Attributes
    ----------
    start : int or array of int
    size, stride : int
    """

    __slots__ = ("start", "size", "stride")

    def __init__(self, start: Any, size: Any, stride: Any) -> None:
        self.start, self.size, self.stride = start, size, stride

    def __repr__(self) -> str:
        return f"Slice(start={self.start}, size={self.size}, stride={self.stride})"


def ds(start: Any, size: Any = None, stride: int | None = None) -> Any:
    """An index for ``size`` elements from ``start`` on, which may be traced.

    Parameters
    ----------
    start : int, array_like or None
        Negative ones count from the end. A range that is out of bounds is moved into them where it
        is read, and not written. None stands for the whole axis; without ``size`` this is the size,
        and the start 0.
    size : int, optional
    stride : int, optional
        Positive.

    Returns
    -------
    Slice or slice
        To be used in ``x[...]``, ``x.at[...]`` and indices of references.

    Raises
    ------
    TypeError
        If the size or the stride is no Python integer.
    ValueError
        If the size is negative, or the stride not positive.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.jit(lambda x, i: x[cv.ds(i, 2)])(np.arange(5), 3)
    Array([3, 4], dtype=int32)
    """
    if start is None:
        return slice(None)
    if size is None:
        start, size = 0, start
    for value, what, least in ((size, "size", 0), (1 if stride is None else stride, "stride", 1)):
        if not hasattr(value, "__index__") or isinstance(value, Tracer):
            raise TypeError(f"the {what} of ds must be an integer, got {value!r}{at_user_line()}")
        if int(value) < least:
            raise ValueError(
                f"the {what} of ds must be at least {least}, got {value}{at_user_line()}"
            )
    return Window(start, int(size), 1 if stride is None else int(stride))


class NewAxis(Record):
    """A new dimension of size 1."""


class Scalar(Record):
    """One position: a Python integer, or a traced or concrete rank-0 integer array."""

    value: Any


class Advanced(Record):
    """Positions given by an integer array; ``new_axis`` if it takes up no dimension."""

    value: Any
    new_axis: bool = False


Item = Slice | Moving | NewAxis | Scalar | Advanced
NEW_AXIS = NewAxis()


def parse(index: Any, x: Any) -> list[Item]:
    """One item per dimension of the array ``x``, and one per new axis, in order.

    Raises
    ------
    IndexError
        If there are too many indices, or a boolean mask does not fit.
    TypeError
        If an entry is not an index.
    """
    shape = x.shape
    items: list[Item] = []
    dim = 0
    for entry in _complete(index, x):
        if entry is None:
            items.append(NEW_AXIS)
            continue
        t = type(entry)
        if t is slice:
            items.append(_slice(entry, shape[dim]))
            dim += 1
        elif t is Window:
            items.append(_window(entry, shape[dim]))
            dim += 1
        elif t is int:
            n = shape[dim]
            if type(n) is not int and is_within(entry, n) is None:
                entry = structural.full((), entry, dtypes.default_int())  # for the run to decide
            items.append(Scalar(entry))
            dim += 1
        elif entry.dtype == dtypes.bool_:
            items.extend(_mask(entry, x, dim))
            dim += entry.ndim
        else:
            items.append(Scalar(entry) if entry.ndim == 0 else Advanced(entry))
            dim += 1
    return items


def _complete(index: Any, x: Any) -> list[Any]:
    """The entries of an index, with a full slice for each dimension that none refers to."""
    entries = [_no_list(i) for i in index] if type(index) is tuple else [index]
    used = 0
    dots = None
    prepared: list[Any] = []
    for entry in entries:
        if entry is Ellipsis:
            if dots is not None:
                raise IndexError(
                    f"an index has at most one ellipsis ('...'), got {index!r:.100}{at_user_line()}"
                )
            dots = len(prepared)
            prepared.append(Ellipsis)
            continue
        entry = _prepare(entry)
        prepared.append(entry)
        if entry is None:
            continue
        if getattr(entry, "dtype", None) == dtypes.bool_:
            used += entry.ndim
        else:
            used += 1
    n = len(x.shape)
    if used > n:
        raise IndexError(
            f"too many indices: the array {describe(x)} has {n} dimension{'s' * (n != 1)}, but "
            f"{used} were indexed{at_user_line()}"
        )
    full = [slice(None)] * (n - used)
    if dots is None:
        prepared.extend(full)
    else:
        prepared[dots : dots + 1] = full
    return prepared


def _no_list(entry: Any) -> Any:
    """An entry of a tuple; a list there can only mean an array."""
    if not isinstance(entry, (list, tuple)):
        return entry
    return asarray(entry, None if entry else dtypes.int32)


def _prepare(entry: Any) -> Any:
    """An entry as None, slice, int, or an integer or boolean array."""
    t = type(entry)
    if entry is None or t is int or t is slice or t is Window:
        return entry
    if t is bool:
        return onp.asarray(entry)
    if t is not Array and not isinstance(entry, (Tracer, onp.ndarray, onp.generic)):
        if isinstance(entry, (list, tuple)):
            if not entry:
                return onp.zeros((0,), onp.int32)
            raise TypeError(
                f"a {t.__name__} as an index is not allowed, because it could mean an array or "
                f"several indices: use x[covector.numpy.array(...)] in place of x[[...]]; got "
                f"{describe(entry)}{at_user_line()}"
            )
        if hasattr(entry, "__jax_array__"):
            entry = entry.__jax_array__()
        elif hasattr(entry, "__index__"):
            return int(entry.__index__())
        elif hasattr(entry, "__array__"):
            entry = onp.asarray(entry)
        else:
            raise TypeError(
                f"an index consists of integers, slices, arrays of integers or booleans, '...' "
                f"and None; got {describe(entry)}{at_user_line()}"
            )
    dt = entry.dtype
    if dt != dtypes.bool_ and dt not in dtypes.INTEGERS:
        raise TypeError(
            f"an index must have an integer or boolean dtype, got {describe(entry)}{at_user_line()}"
        )
    if isinstance(entry, (onp.ndarray, onp.generic)):
        if type(entry) is not onp.ndarray:
            refuse_mask(entry)
        if dt != dtypes.bool_ and not entry.ndim:
            return int(entry)
        return onp.asarray(entry)
    return entry


def _integer(x: Any, what: str) -> int | None:
    if x is None or type(x) is int or type(x) is DimExpr:
        return x
    if isinstance(x, Tracer) and x.concrete() is None:
        raise IndexError(
            f"the {what} of a slice must be known while the function is traced, but "
            f"{x.describe()} is traced: the size of the result depends on it.{origin(x)}\nUse "
            "covector.lax.dynamic_slice for a part of fixed size at a traced position, or mark "
            f"the argument static.{at_user_line()}"
        )
    try:
        return int(x.__index__())
    except (AttributeError, TypeError) as e:
        raise TypeError(
            f"the {what} of a slice must be an integer, got {describe(x)}{at_user_line()}"
        ) from e


def _slice(s: slice, n: int) -> Slice:
    if s.start is None and s.stop is None and s.step is None:
        return Slice(0, n, 1)
    start, stop = _integer(s.start, "start"), _integer(s.stop, "stop")
    step = _integer(s.step, "step")
    if step == 0:
        raise ValueError(f"the step of a slice must not be 0{at_user_line()}")
    return Slice(*slice_bounds(slice(start, stop, step), n))


def _window(w: Window, n: int) -> Item:
    extent = (w.size - 1) * w.stride + 1 if w.size else 0
    if extent > n:
        raise IndexError(
            f"{w} selects a range of {extent} elements of an axis of {n}{at_user_line()}"
        )
    start = _prepare(w.start)
    if getattr(start, "ndim", 0) or getattr(start, "dtype", None) == dtypes.bool_:
        raise TypeError(
            f"the start of ds must be an integer, got {describe(start)}{at_user_line()}"
        )
    dtype = dtypes.default_int()
    if not isinstance(start, Tracer):
        start = int(start)
        start = start + n if start < 0 else start
        if 0 <= start <= n - extent:
            return Slice(start, w.size, w.stride)
        # Far outside is as good as outside, and fits.
        start = dtype.type(min(max(start, -n - 1 - extent), n))
    elif start.dtype in dtypes.SIGNED:
        start = lax.select(start < 0, start + dtypes.as_dtype(start.dtype).type(n), start)
    if w.stride == 1:
        return Moving(start, w.size)
    at = asarray(convert_element_type(start, dtype) + onp.arange(0, extent, w.stride).astype(dtype))
    # Negative ones do not count from the end once more: they are out of bounds.
    return Advanced(lax.select(at < 0, lax.full_like(at, -n - 1), at))


def _mask(mask: Any, x: Any, dim: int) -> list[Item]:
    """A boolean array as the integer arrays of the positions where it is true."""
    k = mask.ndim
    if isinstance(mask, Tracer):
        value = mask.concrete()
        if value is None:
            raise NonConcreteBooleanIndexError(
                f"an array was indexed by the traced boolean mask {mask.describe()}: the size of "
                f"the result depends on its values.{origin(mask)}\nUse covector.numpy.where(mask, "
                "x, other) in place of x[mask], x.at[mask].set(scalar) to assign, or the argument "
                f"size of covector.numpy.nonzero.{at_user_line()}"
            )
        mask = value
    if tuple(mask.shape) != x.shape[dim : dim + k] and 0 not in mask.shape:
        which = f"dimension {dim}" if k == 1 else f"dimensions {dim} to {dim + k - 1}"
        raise IndexError(
            f"the mask {describe(mask)} does not fit {which} of the array {describe(x)}"
            f"{at_user_line()}"
        )
    check_here(mask, "the boolean mask")
    values = onp.asarray(mask)
    if k == 0:
        return [Advanced(onp.zeros((int(values),), onp.int32), True)]
    dt = dtypes.index_dtype(max(values.shape))
    return [Advanced(i.astype(dt)) for i in onp.nonzero(values)]


def as_index_array(x: Any, widest: Any) -> Any:
    """An integer array fit to compute positions with: at least 32 bits wide.

    NumPy arrays of 64 bits are narrowed if positions are, ``widest`` being their type.
    """
    if isinstance(x, onp.ndarray):
        narrow = widest == dtypes.int32 and not dtypes.x64_enabled()
        if x.dtype.itemsize < 4 or (x.dtype.itemsize == 8 and narrow):
            x = onp.clip(x, -(2**31), 2**31 - 1).astype(onp.int32)
        return x
    if x.dtype.itemsize < 4:
        return convert_element_type(x, dtypes.int32)
    return x


def is_static(x: Any) -> bool:
    return type(x) is int or isinstance(x, onp.ndarray)


# --- what is known of index arrays -------------------------------------------------------


class Promised(Record):
    """What is known of indices, counted from the start of each dimension."""

    sorted: bool = False
    unique: bool = False


NOTHING = Promised()


def order_of(indices: onp.ndarray) -> Promised:
    """Whether known index vectors rise."""
    flat = indices.reshape(-1, indices.shape[-1])
    step = flat[1:] - flat[:-1]
    # The sign of the first component that changes.
    first = onp.take_along_axis(step, (step != 0).argmax(-1, keepdims=True), -1)
    return Promised(bool((first >= 0).all()), bool((first > 0).all()))
