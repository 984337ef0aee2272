"""Contiguous and strided parts of arrays: `slice`, `dynamic_slice`, `dynamic_update_slice`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, structural
from covector.core.avals import Array, Shape, ShapedArray, aval_of
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import (
    PY_SCALARS,
    as_array,
    as_operand,
    bind_known,
    canonical_axis,
    canonical_shape,
    scalar,
    weak_operand,
)
from covector.core.trace import JaxprTrace, JaxprTracer, Tracer, current_trace
from covector.primitives.arithmetic import add_p, min_p
from covector.primitives.compare import lt_p
from covector.primitives.select import select_n_p
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p
from covector.primitives.structure import slice_p, squeeze_p

_BOOL = ShapedArray((), dtypes.bool_)


# --- public functions --------------------------------------------------------------------


def slice(  # noqa: A001
    operand: Any,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Any:
    """The part of ``operand`` from ``start_indices`` up to ``limit_indices``, in ``strides``.

    Parameters
    ----------
    operand : array_like
    start_indices, limit_indices : sequence of int
        One for each dimension, with ``0 <= start <= limit <= size``.
    strides : sequence of int, optional
        At least 1, and 1 by default.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the indices do not fit the operand.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.arange(12).reshape(3, 4)
    >>> lax.slice(x, (0, 1), (2, 4), (1, 2))
    Array([[1, 3],
           [5, 7]], dtype=int32)
    """
    x = as_operand(operand, "slice")
    start, limit = tuple(map(as_size, start_indices)), tuple(map(as_size, limit_indices))
    steps = None if strides is None else tuple(map(operator.index, strides))
    if steps is not None and all(s == 1 for s in steps):
        steps = None
    if steps is None and limit == aval_of(x).shape and start == (0,) * len(start):
        return as_array(x)
    return slice_p.bind(x, start_indices=start, limit_indices=limit, strides=steps)


def slice_in_dim(
    operand: Any,
    start_index: int | None,
    limit_index: int | None,
    stride: int = 1,
    axis: int = 0,
) -> Any:
    """`slice` along one axis; indices count from the end where negative.

    Parameters
    ----------
    operand : array_like
    start_index, limit_index : int or None
        None for the start and the end of the axis.
    stride : int
    axis : int
        Negative ones count from the end.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the indices do not fit the operand.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.slice_in_dim(np.array([1, 2, 3, 4, 5]), 1, -1, 2)
    Array([2, 4], dtype=int32)
    """
    x = as_operand(operand, "slice_in_dim")
    shape = aval_of(x).shape
    axis = canonical_axis(axis, len(shape))
    n = shape[axis]
    lo = 0 if start_index is None else as_size(start_index)
    hi = n if limit_index is None else as_size(limit_index)
    lo, hi = (lo + n if lo < 0 else lo), (hi + n if hi < 0 else hi)
    start, limit, steps = [0] * len(shape), list(shape), [1] * len(shape)
    start[axis], limit[axis], steps[axis] = lo, hi, as_size(stride)
    return slice(x, start, limit, steps)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """The elements of ``operand`` at ``index`` along ``axis``.

    Parameters
    ----------
    operand : array_like
    index : int
        Negative ones count from the end.
    axis : int
        Negative ones count from the end.
    keepdims : bool
        Whether the axis stays, with size 1.

    Returns
    -------
    Array

    Raises
    ------
    IndexError
        If there is no such index.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[1, 2], [3, 4]])
    >>> lax.index_in_dim(x, 1)
    Array([[3, 4]], dtype=int32)
    >>> lax.index_in_dim(x, -1, axis=1, keepdims=False)
    Array([2, 4], dtype=int32)
    """
    x = as_operand(operand, "index_in_dim")
    shape = aval_of(x).shape
    axis = canonical_axis(axis, len(shape))
    n, i = shape[axis], as_size(index)
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for axis {axis} of size {n}{at_user_line()}")
    i += n if i < 0 else 0
    out = slice_in_dim(x, i, i + 1, 1, axis)
    return out if keepdims else squeeze_p.bind(out, dimensions=(axis,))


def _start_scalars(name: str, starts: Any, shape: Shape, allow_negative: Any) -> list[Any]:
    """Start indices as scalars that count from the start of each dimension."""
    if isinstance(starts, (Array, Tracer, np.ndarray)) and getattr(starts, "ndim", 0) == 1:
        n = starts.shape[0]
        if isinstance(starts, np.ndarray):
            starts = [int(s) for s in starts]
        else:
            starts = [
                squeeze_p.bind(slice(starts, (i,), (i + 1,)), dimensions=(0,)) for i in range(n)
            ]
    starts = list(starts)
    if len(starts) != len(shape):
        raise TypeError(
            f"{name} of an array of shape {shape} needs {len(shape)} start indices, got "
            f"{len(starts)}{at_user_line()}"
        )
    allow = (
        [allow_negative] * len(shape) if isinstance(allow_negative, bool) else list(allow_negative)
    )
    return [start_index(s, d, a, name) for s, d, a in zip(starts, shape, allow, strict=True)]


def start_index(s: Any, size: int, allow_negative: bool = True, name: str = "the function") -> Any:
    """An index, negative ones counted from the end of a dimension of ``size``."""
    if type(s) is int:
        s = s + size if s < 0 and allow_negative else s
        if -(2**31) <= s < 2**31:
            return s
        if dtypes.position_dtype(size) == dtypes.int32:
            return min(max(s, -(2**31)), 2**31 - 1)
        return structural.scalar(min(max(s, -(2**63)), 2**63 - 1), dtypes.int64)
    if isinstance(s, (np.integer, np.ndarray)) and not np.ndim(s):
        return start_index(int(s), size, allow_negative, name)
    aval = s.aval if isinstance(s, Tracer) else aval_of(as_operand(s, name))
    if aval.shape or aval.dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"{name}: start indices must be integer scalars, got {aval.str_short()}{at_user_line()}"
        )
    if aval.dtype == dtypes.uint64:
        # Positions are compared as signed integers.
        return min_p.bind(s, scalar(2**63 - 1, aval.dtype))
    if not allow_negative or aval.dtype in dtypes.UNSIGNED:
        return s
    wanted = dtypes.position_dtype(size)
    if aval.dtype.itemsize < wanted.itemsize:
        s = structural.convert_element_type(s, wanted)
        aval = aval_of(s)
    trace = current_trace()
    memo = key = None
    if type(trace) is JaxprTrace and type(s) is JaxprTracer and s._trace is trace:
        # Loops read and write several arrays of one size at the same index.
        memo, key = trace.memo, (s._var, size)
        found = memo.get(key) if memo is not None else None
        if found is not None:
            return JaxprTracer(trace, found.aval, found)
    n = scalar(size, aval.dtype)
    if type(n) is not int:
        aval = aval.strip_weak_type()
    negative = bind_known(lt_p, (s, scalar(0, aval.dtype)), {}, _BOOL)
    out = bind_known(select_n_p, (negative, s, bind_known(add_p, (s, n), {}, aval)), {}, aval)
    if memo is not None:
        memo[key] = out._var  # type: ignore[attr-defined]
    return out


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """The part of ``operand`` of shape ``slice_sizes`` that starts at run-time indices.

    Parameters
    ----------
    operand : array_like
    start_indices : sequence of integer scalars, or an integer vector
        Clamped so that the part lies inside the operand.
    slice_sizes : sequence of int
    allow_negative_indices : bool or sequence of bool
        Whether negative starts count from the end.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the part is larger than the operand, or a start is not an integer.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.arange(12).reshape(3, 4)
    >>> lax.dynamic_slice(x, (1, 1), (2, 2))
    Array([[ 5,  6],
           [ 9, 10]], dtype=int32)
    >>> lax.dynamic_slice(x, (5, 5), (1, 2))
    Array([[10, 11]], dtype=int32)
    """
    x = as_operand(operand, "dynamic_slice")
    starts = _start_scalars(
        "dynamic_slice", start_indices, aval_of(x).shape, allow_negative_indices
    )
    sizes = canonical_shape(slice_sizes, "slice_sizes")
    return dynamic_slice_p.bind(x, *starts, slice_sizes=sizes)


def dynamic_update_slice(
    operand: Any,
    update: Any,
    start_indices: Any,
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """``operand`` with the part that starts at ``start_indices`` replaced by ``update``.

    Starts are clamped so that the update lies inside the operand.

    Parameters
    ----------
    operand : array_like
    update : array_like
        Of the dtype and number of dimensions of ``operand``.
    start_indices : sequence of integer scalars, or an integer vector
    allow_negative_indices : bool or sequence of bool
        Whether negative starts count from the end.

    Returns
    -------
    Array
        A new array: ``operand`` does not change.

    Raises
    ------
    TypeError
        If the update is larger than the operand, or of another dtype.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.dynamic_update_slice(np.zeros(5), np.array([1.0, 2.0]), (2,))
    Array([0., 0., 1., 2., 0.], dtype=float32)
    >>> lax.dynamic_update_slice(np.zeros(5), np.array([1.0, 2.0]), (4,))
    Array([0., 0., 0., 1., 2.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_update_slice")
    u = as_operand(update, "dynamic_update_slice")
    if type(u) in PY_SCALARS:
        u = weak_operand("dynamic_update_slice", u, x)
    starts = _start_scalars(
        "dynamic_update_slice", start_indices, aval_of(x).shape, allow_negative_indices
    )
    return dynamic_update_slice_p.bind(x, u, *starts)


def dynamic_slice_in_dim(
    operand: Any,
    start_index: Any,
    slice_size: int,
    axis: int = 0,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_slice` along one axis.

    Parameters
    ----------
    operand : array_like
    start_index : integer scalar
        Clamped so that the part lies inside the operand.
    slice_size : int
    axis : int
        Negative ones count from the end.
    allow_negative_indices : bool
        Whether negative starts count from the end.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.dynamic_slice_in_dim(np.array([1, 2, 3, 4]), 1, 2)
    Array([2, 3], dtype=int32)
    """
    x = as_operand(operand, "dynamic_slice_in_dim")
    shape = aval_of(x).shape
    axis = canonical_axis(axis, len(shape))
    starts: list[Any] = [0] * len(shape)
    sizes = list(shape)
    starts[axis], sizes[axis] = start_index, slice_size
    return dynamic_slice(x, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any,
    index: Any,
    axis: int = 0,
    keepdims: bool = True,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """The elements of ``operand`` at a run-time ``index`` along ``axis``.

    Parameters
    ----------
    operand : array_like
    index : integer scalar
        Clamped to the axis.
    axis : int
        Negative ones count from the end.
    keepdims : bool
        Whether the axis stays, with size 1.
    allow_negative_indices : bool
        Whether negative indices count from the end.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[1, 2], [3, 4]])
    >>> lax.dynamic_index_in_dim(x, 1, keepdims=False)
    Array([3, 4], dtype=int32)
    >>> lax.dynamic_index_in_dim(x, 7, axis=1)
    Array([[2],
           [4]], dtype=int32)
    """
    out = dynamic_slice_in_dim(
        operand, index, 1, axis, allow_negative_indices=allow_negative_indices
    )
    if keepdims:
        return out
    return squeeze_p.bind(out, dimensions=(canonical_axis(axis, out),))


def dynamic_update_slice_in_dim(
    operand: Any,
    update: Any,
    start_index: Any,
    axis: int,
    *,
    allow_negative_indices: bool = True,
) -> Any:
    """`dynamic_update_slice` along one axis.

    Parameters
    ----------
    operand : array_like
    update : array_like
        Of the dtype and number of dimensions of ``operand``.
    start_index : integer scalar
        Clamped so that the update lies inside the operand; 0 along other axes.
    axis : int
        Negative ones count from the end.
    allow_negative_indices : bool
        Whether negative starts count from the end.

    Returns
    -------
    Array
        A new array: ``operand`` does not change.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.dynamic_update_slice_in_dim(np.zeros(4), np.array([1.0, 2.0]), 1, axis=0)
    Array([0., 1., 2., 0.], dtype=float32)
    """
    x = as_operand(operand, "dynamic_update_slice_in_dim")
    shape = aval_of(x).shape
    starts: list[Any] = [0] * len(shape)
    starts[canonical_axis(axis, len(shape))] = start_index
    return dynamic_update_slice(x, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """``operand`` with the elements at ``index`` along ``axis`` replaced by ``update``.

    Parameters
    ----------
    operand : array_like
    update : array_like
        Of the dtype of ``operand``, with the axis (of size 1) or without it.
    index : integer scalar
        Clamped to the axis.
    axis : int
        Negative ones count from the end.
    allow_negative_indices : bool
        Whether negative indices count from the end.

    Returns
    -------
    Array
        A new array: ``operand`` does not change.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.dynamic_update_index_in_dim(np.zeros((2, 2)), np.array([1.0, 2.0]), 1, axis=1)
    Array([[0., 1.],
           [0., 2.]], dtype=float32)
    """
    x = as_operand(operand, "dynamic_update_index_in_dim")
    shape = aval_of(x).shape
    axis = canonical_axis(axis, len(shape))
    u = as_operand(update, "dynamic_update_index_in_dim")
    ushape = aval_of(u).shape
    if type(u) in PY_SCALARS:
        u = weak_operand("dynamic_update_index_in_dim", u, x)
    if len(ushape) != len(shape):
        part = list(ushape)
        part.insert(axis, 1)
        dims = tuple(i for i in range(len(part)) if i != axis)
        u = structural.broadcast_in_dim(u, part, dims)
    return dynamic_update_slice_in_dim(
        x, u, index, axis, allow_negative_indices=allow_negative_indices
    )
