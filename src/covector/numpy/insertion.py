"""Inserting and removing elements."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.dims import DimExpr
from covector.core.errors import at_user_line
from covector.core.operands import as_number, canonical_axes, canonical_axis, scalar
from covector.numpy._util import (
    array,
    broadcast_to,
    concrete,
    convert,
    is_concrete,
    shape_of,
)
from covector.numpy.manipulation import moveaxis
from covector.numpy.positions import nonzero
from covector.numpy.sorting import argsort


def _positions(obj: Any, n: int, name: str) -> onp.ndarray:
    """The positions along an axis of size ``n`` that an index object selects."""
    if isinstance(obj, slice):
        return onp.arange(n)[obj]
    index = concrete(
        onp.asarray(obj) if isinstance(obj, (list, tuple)) else obj, f"the argument obj of {name}"
    )
    if index.dtype == onp.bool_:
        if index.shape != (n,):
            raise ValueError(f"{name}: a mask of shape {index.shape} for an axis of size {n}")
        return onp.nonzero(index)[0]
    return index.astype(onp.int64)


def delete(
    arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False
) -> Any:
    """``arr`` without the elements (or slices along ``axis``) at ``obj``.

    Parameters
    ----------
    arr : array_like
    obj : int, slice, sequence of int or array_like
        Positions, or a mask of booleans; concrete, but for a single position, or with
        ``assume_unique_indices``.
    axis : int, optional
        By default the array is flattened first.
    assume_unique_indices : bool
        Whether all positions differ, so that the size of the result is known where they are traced.

    Returns
    -------
    Array

    Raises
    ------
    IndexError
        If a position is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.delete(np.array([1, 2, 3, 4]), [0, 2])
    Array([2, 4], dtype=int32)
    >>> np.delete(np.array([[1, 2], [3, 4]]), 0, axis=1)
    Array([[2],
           [4]], dtype=int32)
    """
    x = array(arr, "delete")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    n = x.shape[axis]
    if not isinstance(obj, (slice, list, tuple)) and (type(n) is DimExpr or not is_concrete(obj)):
        if shape_of(obj) == ():
            # One traced position: the elements after it move up.
            if is_concrete(obj):
                _check_within(int(concrete(obj, "the argument obj of delete")), n, axis)
            index = lax.iota(dtypes.int32, n - 1)
            at = convert(array(obj), dtypes.int32)
            at = lax.select(lax.lt(at, onp.int32(0)), lax.add(at, as_number(n, at.dtype)), at)
            index = lax.add(index, convert(lax.ge(index, at), dtypes.int32))
            return x[(slice(None),) * axis + (index,)]
        if assume_unique_indices and array(obj).dtype in dtypes.INTEGERS:
            at = array(obj)
            kept = lax.full((n,), True, dtypes.bool_).at[at].set(False)
            (index,) = nonzero(kept, size=max(n - at.size, 0))
            return x[(slice(None),) * axis + (index,)]
    positions = onp.atleast_1d(_positions(obj, n, "delete"))
    outside = positions[(positions < -n) | (positions >= n)]
    if outside.size:
        _check_within(int(outside[0]), n, axis)
    keep = onp.ones(n, bool)
    keep[positions] = False
    return x[(slice(None),) * axis + (onp.nonzero(keep)[0].astype(onp.int32),)]


def _check_within(i: int, n: Any, axis: int) -> None:
    if not -n <= i < n:
        raise IndexError(
            f"delete: index {i} is out of bounds for axis {axis} of size {n}{at_user_line()}"
        )


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` with ``values`` inserted before the positions ``obj`` along ``axis``.

    Parameters
    ----------
    arr : array_like
    obj : int, slice, sequence of int or array_like
        Positions in ``arr`` as it is; a mask must be concrete.
    values : array_like
        Converted to the dtype of ``arr``.
    axis : int, optional
        By default the array is flattened first.

    Returns
    -------
    Array

    Raises
    ------
    IndexError
        If a position is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.insert(np.array([1, 2, 3]), 1, 99)
    Array([ 1, 99,  2,  3], dtype=int32)
    >>> np.insert(np.array([1, 2, 3]), np.array([0, 3]), np.array([10, 20]))
    Array([10,  1,  2,  3, 20], dtype=int32)
    """
    x, v = array(arr, "insert"), array(values, "insert")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    n = x.shape[axis]
    v = convert(v, x.dtype)
    if not isinstance(obj, (slice, list, tuple)) and (type(n) is DimExpr or not is_concrete(obj)):
        return _insert_traced(x, array(obj), v, axis)
    positions = _positions(obj, n, "insert")
    if ((positions < -n) | (positions > n)).any():
        raise IndexError(
            f"insert: index {positions} is out of bounds for axis {axis} of size {n}"
            f"{at_user_line()}"
        )
    if positions.ndim == 0 or positions.size == 1:
        at = int(positions.reshape(()))
        at += n if at < 0 else 0
        v = _single(x, v, axis, positions.ndim == 0)
        parts = [lax.slice_in_dim(x, 0, at, axis=axis), v, lax.slice_in_dim(x, at, n, axis=axis)]
        return lax.concatenate(parts, axis)
    positions = onp.where(positions < 0, positions + n, positions)
    order = onp.argsort(positions, kind="stable")
    target = positions.copy()
    target[order] += onp.arange(positions.size)
    total = n + positions.size
    old = onp.ones(total, bool)
    old[target] = False
    sizes = (*x.shape[:axis], total, *x.shape[axis + 1 :])
    before = (slice(None),) * axis
    out = lax.full(sizes, 0, x.dtype)
    out = out.at[(*before, onp.nonzero(old)[0])].set(x)
    v = broadcast_to(v, (*x.shape[:axis], positions.size, *x.shape[axis + 1 :]))
    return out.at[(*before, target)].set(v)


def _single(x: Any, v: Any, axis: int, scalar_position: bool) -> Any:
    """Values that are inserted at one position, in the shape that they take in the result."""
    if v.ndim:
        v = lax.reshape(v, (1,) * (x.ndim - v.ndim) + v.shape)
        if scalar_position:
            # Along the axis come the values' own first dimension, as NumPy has it.
            v = moveaxis(v, 0, axis)
    count = v.shape[axis] if v.ndim else 1
    return broadcast_to(v, (*x.shape[:axis], count, *x.shape[axis + 1 :]))


def _insert_traced(x: Any, at: Any, v: Any, axis: int) -> Any:
    """`insert` at positions that are known at run time only."""
    if at.dtype not in dtypes.INTEGERS or at.ndim > 1:
        concrete(at, "the argument obj of insert, if it is no vector of integers,")
    n = x.shape[axis]
    at = convert(at, dtypes.default_int())
    at = lax.select(lax.lt(at, scalar(0, at.dtype)), lax.add(at, scalar(n, at.dtype)), at)
    at = lax.clamp(scalar(0, at.dtype), at, scalar(n, at.dtype))
    if at.size == 1:
        v = _single(x, v, axis, at.ndim == 0)
        k = v.shape[axis]
        target = lax.add(lax.reshape(at, ()), lax.iota(at.dtype, k))
    else:
        k = at.size
        v = broadcast_to(v, (*x.shape[:axis], k, *x.shape[axis + 1 :]))
        # Each moves up by the number of those that come before it.
        order = argsort(at, stable=True)
        target = at.at[order].add(lax.iota(at.dtype, k), unique_indices=True)
    total = n + k
    (kept,) = nonzero(lax.full((total,), True, dtypes.bool_).at[target].set(False), size=n)
    before = (slice(None),) * axis
    out = lax.full((*x.shape[:axis], total, *x.shape[axis + 1 :]), 0, x.dtype)
    return out.at[(*before, kept)].set(x).at[(*before, target)].set(v)


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """A vector without its leading (``f``) and trailing (``b``) zeros; it must be concrete.

    Parameters
    ----------
    filt : array_like
        Of several dimensions, the outermost slices without other elements are left out.
    trim : {'fb', 'f', 'b'}
    axis : int or tuple of int, optional
        By default all axes.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.trim_zeros(np.array([0, 0, 1, 0, 2, 0]))
    Array([1, 0, 2], dtype=int32)
    >>> np.trim_zeros(np.array([0, 1, 0]), "f")
    Array([1, 0], dtype=int32)
    """
    x = array(filt, "trim_zeros")
    values = concrete(x, "the argument of trim_zeros")
    nonzero = onp.argwhere(values != 0)
    axes = canonical_axes(axis, x)
    index: list[slice] = [slice(None)] * x.ndim
    for k in axes:
        if len(nonzero) == 0:
            index[k] = slice(0, 0)
            continue
        lo = int(nonzero[:, k].min()) if "f" in trim.lower() else 0
        hi = int(nonzero[:, k].max()) + 1 if "b" in trim.lower() else x.shape[k]
        index[k] = slice(lo, hi)
    return x[tuple(index)]
