"""Sets of elements: unique, unions, intersections, membership, bits."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.dims import as_size, min_dim
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, scalar
from covector.core.structural import moveaxis
from covector.numpy._util import (
    array,
    broadcast_to,
    check_concrete,
    concrete,
    convert,
    fused,
    promote_dtypes,
)
from covector.numpy.creation import asarray
from covector.numpy.joining import concatenate
from covector.numpy.positions import nonzero
from covector.numpy.sorting import search


class UniqueAllResult(NamedTuple):
    """Unique values, where they first occur, how to restore the array, and their numbers."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCountsResult(NamedTuple):
    """Unique values and their numbers."""

    values: Any
    counts: Any


class UniqueInverseResult(NamedTuple):
    """Unique values and how to restore the array."""

    values: Any
    inverse_indices: Any


def _differs(rows: Any, equal_nan: bool) -> Any:
    """For each of the sorted ``rows``, whether it differs from the one before (the first does)."""
    n = rows.shape[0]
    if not n:
        return lax.full((0,), True, dtypes.bool_)
    before, after = lax.slice_in_dim(rows, 0, n - 1), lax.slice_in_dim(rows, 1, n)
    different = lax.ne(before, after)
    if equal_nan and rows.dtype in dtypes.INEXACT:
        both = lax.bitwise_and(lax.ne(before, before), lax.ne(after, after))
        different = lax.bitwise_and(different, lax.bitwise_not(both))
    different = lax.reduce_or(different, tuple(range(1, rows.ndim)))
    return lax.concatenate([lax.full((1,), True, dtypes.bool_), different], 0)


@fused("equal_nan", "with_order")
def _sorted_unique(rows: Any, *, equal_nan: bool, with_order: bool) -> tuple[Any, Any, Any]:
    """Rows in order, the permutation that sorts them, and which are the first of their kind.

    Without an order the permutation is of no meaning.
    """
    n, width = rows.shape
    dt = dtypes.default_int()
    positions = lax.iota(dt, n)
    if width == 0:
        return rows, positions, lax.eq(positions, scalar(0, dt))
    columns = [lax.index_in_dim(rows, j, 1, False) for j in range(width)]
    if width == 1 and not with_order:
        ordered = lax.reshape(lax.sort(columns[0], 0), (n, 1))
        return ordered, positions, _differs(ordered, equal_nan)
    *_, order = lax.sort((*columns, positions), 0, num_keys=width)
    ordered = rows[order]
    return ordered, order, _differs(ordered, equal_nan)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,  # noqa: A002
) -> Any:
    """Distinct elements (or slices along ``axis``), in increasing order.

    Parameters
    ----------
    ar : array_like
    return_index, return_inverse, return_counts : bool
        Also return where each first occurs, indices that restore ``ar``, and how often.
    axis : int, optional
        The flattened array by default.
    equal_nan : bool
        Whether all NaN count as one.
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.
    sorted : bool
        Accepted: the result is always in order.

    Returns
    -------
    Array, or tuple of Array
        A tuple if more than the elements is asked for.

    Raises
    ------
    ConcretizationTypeError
        If ``ar`` is traced and ``size`` is not given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([3, 1, 3, 2])
    >>> np.unique(x), np.unique(x, size=4, fill_value=-1)
    (Array([1, 2, 3], dtype=int32), Array([ 1,  2,  3, -1], dtype=int32))
    >>> np.unique(np.array([[1, 2], [1, 2], [0, 5]]), axis=0, return_counts=True)
    (Array([[0, 5],
           [1, 2]], dtype=int32), Array([1, 2], dtype=int32))
    """
    x = array(ar, "unique")
    if size is None:
        check_concrete(x, "the argument of unique (or its argument size)")
    if equal_nan and x.dtype in dtypes.COMPLEX:
        # One NaN stands for all of them, whichever part of the numbers is NaN.
        x = lax.select(lax.ne(x, x), lax.full_like(x, math.nan), x)
    shape = x.shape
    if axis is None:
        moved = lax.reshape(x, (x.size,))
    else:
        moved = lax.transpose(
            x, (k := canonical_axis(axis, x), *[i for i in range(x.ndim) if i != k])
        )
    n = moved.shape[0]
    rows = lax.reshape(moved, (n, moved.size // n if n else 1))
    wanted = (bool(return_index), bool(return_inverse), bool(return_counts))
    ordered, order, first = _sorted_unique(
        rows, equal_nan=bool(equal_nan), with_order=wanted[0] or wanted[1]
    )
    if size is None:
        starts = onp.nonzero(concrete(first, "the first of equal elements"))[0].astype(onp.int32)
        count = starts.size
        picked = asarray(starts)
    else:
        count = as_size(size)
        (picked,) = _starts(first, size=count)
    values, index, inverse, counts = _collect(
        ordered, order, first, picked, n_rows=n, with_inverse=wanted[1], with_counts=wanted[2]
    )
    if size is not None:
        if fill_value is None:
            fill = ordered[0] if n else scalar(0, x.dtype)
        else:
            fill = convert(array(fill_value), x.dtype)
        valid = lax.lt(lax.iota(dtypes.int32, count), convert(first.sum(), dtypes.int32))
        values, index, counts = _filled(valid, values, index, counts, fill)
    out_shape = (count, *moved.shape[1:])
    values = lax.reshape(values, out_shape)
    if axis is not None:
        values = moveaxis(values, 0, canonical_axis(axis, len(shape)))
    elif wanted[1]:
        inverse = lax.reshape(inverse, shape)
    out = [part for part, w in zip((index, inverse, counts), wanted, strict=True) if w]
    return (values, *out) if out else values


def _filled(valid: Any, values: Any, index: Any, counts: Any, fill: Any) -> tuple[Any, Any, Any]:
    """Values, their positions and counts, those that are not valid filled up."""
    spread = lax.broadcast_in_dim(valid, values.shape, (0,))
    values = lax.select(spread, values, array(broadcast_to(fill, values.shape)))
    counts = lax.select(valid, counts, lax.full_like(counts, 0))
    if index.size:
        index = lax.select(valid, index, broadcast_to(index[:1], index.shape))
    return values, index, counts


def _starts(first: Any, *, size: int) -> tuple[Any, ...]:
    return nonzero(first, size=size, fill_value=max(first.shape[0] - 1, 0))


@fused("n_rows", "with_inverse", "with_counts")
def _collect(
    ordered: Any, order: Any, first: Any, picked: Any, *, n_rows: int, with_inverse: bool,
    with_counts: bool,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    dt = dtypes.default_int()
    if n_rows == 0:
        empty = lax.full((picked.shape[0],), 0, dt)
        zero = lax.full((picked.shape[0], ordered.shape[1]), 0, ordered.dtype)
        return zero, empty, lax.full((0,), 0, dt), empty
    group = lax.sub(lax.cumsum(convert(first, dt), 0), scalar(1, dt))
    inverse = lax.full((n_rows,), 0, dt)
    if with_inverse:
        inverse = inverse.at[order].set(group, unique_indices=True)
    counts = lax.full((picked.shape[0],), 0, dt)
    if with_counts:
        counts = counts.at[group].add(1, mode="drop")
    return ordered[picked], order[picked], inverse, counts


def unique_all(x: Any, /, *, size: Any = None, fill_value: Any = None) -> UniqueAllResult:
    """Unique values with indices, inverse and counts; see `unique`.

    Parameters
    ----------
    x : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.

    Returns
    -------
    UniqueAllResult
        A named tuple of ``values``, ``indices``, ``inverse_indices`` and ``counts``. Each NaN
        counts as an element of its own.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unique_all(np.array([3, 1, 3])).indices
    Array([1, 0], dtype=int32)
    """
    return UniqueAllResult(
        *unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_counts(x: Any, /, *, size: Any = None, fill_value: Any = None) -> UniqueCountsResult:
    """Unique values with counts; see `unique`.

    Parameters
    ----------
    x : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.

    Returns
    -------
    UniqueCountsResult
        A named tuple of ``values`` and ``counts``. Each NaN counts as an element of its own.

    Examples
    --------
    >>> import covector.numpy as np
    >>> values, counts = np.unique_counts(np.array([3, 1, 3]))
    >>> values, counts
    (Array([1, 3], dtype=int32), Array([1, 2], dtype=int32))
    """
    return UniqueCountsResult(
        *unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_inverse(x: Any, /, *, size: Any = None, fill_value: Any = None) -> UniqueInverseResult:
    """Unique values with the inverse; see `unique`.

    Parameters
    ----------
    x : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.

    Returns
    -------
    UniqueInverseResult
        A named tuple of ``values`` and ``inverse_indices``, of the shape of ``x``. Each NaN counts
        as an element of its own.

    Examples
    --------
    >>> import covector.numpy as np
    >>> values, inverse = np.unique_inverse(np.array([3, 1, 3]))
    >>> values, inverse
    (Array([1, 3], dtype=int32), Array([1, 0, 1], dtype=int32))
    """
    return UniqueInverseResult(
        *unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value)
    )


def unique_values(x: Any, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """Unique values; see `unique`.

    Parameters
    ----------
    x : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.

    Returns
    -------
    Array
        A vector in increasing order. Each NaN counts as an element of its own.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unique_values(np.array([3, 1, 3]))
    Array([1, 3], dtype=int32)
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def _vector(x: Any, name: str) -> Any:
    x = array(x, name)
    return lax.reshape(x, (x.size,))


def union1d(ar1: Any, ar2: Any, *, size: Any = None, fill_value: Any = None) -> Any:
    """Distinct elements of two arrays.

    Parameters
    ----------
    ar1, ar2 : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element by default.

    Returns
    -------
    Array
        A vector in increasing order.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.union1d(np.array([3, 1]), np.array([2, 3]))
    Array([1, 2, 3], dtype=int32)
    """
    both = concatenate([_vector(ar1, "union1d"), _vector(ar2, "union1d")])
    return unique(both, size=size, fill_value=fill_value)


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: Any = None,
    fill_value: Any = None,
) -> Any:
    """Distinct elements that are in both arrays.

    Parameters
    ----------
    ar1, ar2 : array_like
    assume_unique : bool
        Accepted and ignored.
    return_indices : bool
        Also return where the elements first occur in both arrays.
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element found by default.

    Returns
    -------
    Array, or tuple of three Array
        Vectors; the elements in increasing order.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.intersect1d(np.array([3, 1, 2]), np.array([2, 3, 5]), return_indices=True)
    (Array([2, 3], dtype=int32), Array([2, 0], dtype=int32), Array([0, 1], dtype=int32))
    """
    x, y = (_vector(v, "intersect1d") for v in promote_dtypes("intersect1d", ar1, ar2))
    values, order, first = _distinct(x, with_order=return_indices)
    common = lax.bitwise_and(first, isin(values, y))
    out, at = _chosen(values, common, size, fill_value)
    if not return_indices:
        return out
    others, other_order, _ = _distinct(y, with_order=True)
    # Past the elements found, the index of no element.
    found = lax.lt(at, scalar(x.size, at.dtype))
    index_x = lax.select(found, order.at[at].get(mode="clip"), lax.full_like(at, x.size))
    index_y = other_order.at[search(others, out, "left")].get(mode="clip")
    return out, index_x, lax.select(found, index_y, lax.full_like(at, y.size))


def setdiff1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: Any = None,
    fill_value: Any = None,
) -> Any:
    """Distinct elements of the first array that are not in the second.

    Parameters
    ----------
    ar1, ar2 : array_like
    assume_unique : bool
        Whether the elements of ``ar1`` are known to differ; they keep their order then.
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; 0 by default.

    Returns
    -------
    Array
        A vector, in increasing order unless ``assume_unique``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.setdiff1d(np.array([5, 3, 1, 3]), np.array([1, 2]))
    Array([3, 5], dtype=int32)
    """
    x = _vector(ar1, "setdiff1d")
    if assume_unique:
        keep = isin(x, ar2, invert=True)
    else:
        x, _, first = _distinct(x)
        keep = lax.bitwise_and(first, isin(x, ar2, invert=True))
    return _chosen(x, keep, size, 0 if fill_value is None else fill_value)[0]


def setxor1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    *,
    size: Any = None,
    fill_value: Any = None,
) -> Any:
    """Distinct elements that are in exactly one of two arrays.

    Parameters
    ----------
    ar1, ar2 : array_like
    assume_unique : bool
        Accepted and ignored.
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar, optional
        What to fill up with; the smallest element found by default.

    Returns
    -------
    Array
        A vector in increasing order.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.setxor1d(np.array([3, 1, 2]), np.array([2, 5]))
    Array([1, 3, 5], dtype=int32)
    """
    pair = [_vector(v, "setxor1d") for v in promote_dtypes("setxor1d", ar1, ar2)]
    sets = [_distinct(v) for v in pair]
    values = [ordered for ordered, _, _ in sets]
    keep = []
    for (x, _, first), (y, _, _) in (sets, sets[::-1]):
        unordered = x.dtype in dtypes.COMPLEX or not y.size
        there = isin(x, y) if unordered else _among(x, y)
        keep.append(lax.bitwise_and(first, lax.bitwise_not(there)))
    if size is None:  # Few may be left to sort.
        chosen = [_chosen(v, k, None, None)[0] for v, k in zip(values, keep, strict=True)]
        return lax.sort(lax.concatenate(chosen, 0))
    both, kept = lax.sort((lax.concatenate(values, 0), lax.concatenate(keep, 0)), num_keys=1)
    return _chosen(both, kept, size, fill_value)[0]


def _distinct(x: Any, *, with_order: bool = False) -> tuple[Any, Any, Any]:
    """A vector in order, the permutation that sorts it, and which are the first of their kind.

    Without an order the permutation is of no meaning.
    """
    ordered, order, first = _sorted_unique(
        lax.reshape(x, (x.size, 1)), equal_nan=True, with_order=with_order
    )
    return lax.reshape(ordered, (x.size,)), order, first


def _chosen(values: Any, keep: Any, size: Any, fill_value: Any) -> tuple[Any, Any]:
    """The elements to keep and their positions, filled up with ``fill_value`` or the first one."""
    n = values.shape[0]
    (at,) = nonzero(keep, size=size, fill_value=None if size is None else n)
    if size is None:
        return values[at], at
    if not n:
        return lax.full(at.shape, 0 if fill_value is None else fill_value, values.dtype), at
    out = values.at[at].get(mode="clip")
    fill = out[:1] if fill_value is None else convert(array(fill_value), values.dtype)
    inside = lax.lt(at, scalar(n, at.dtype))
    return lax.select(inside, out, broadcast_to(fill, out.shape)), at


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    method: str = "auto",
) -> Any:
    """Elementwise: is the element among ``test_elements``.

    Parameters
    ----------
    element : array_like
    test_elements : array_like
        NaN is among nothing.
    assume_unique : bool
        Accepted and ignored.
    invert : bool
        Whether to ask if it is not among them.
    method : str
        Accepted and ignored.

    Returns
    -------
    Array
        Booleans, of the shape of ``element``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.isin(np.array([[1, 2], [3, 4]]), np.array([2, 4, 8]))
    Array([[False,  True],
           [False,  True]], dtype=bool)
    """
    # A Python integer need not fit the dtype of the elements.
    x, t = (onp.asarray(v) if type(v) is int else v for v in (element, test_elements))
    return _isin(x, t, invert=bool(invert))


@fused("invert")
def _isin(element: Any, test_elements: Any, *, invert: bool) -> Any:
    x, t = (array(v) for v in promote_dtypes("isin", element, test_elements))
    t = lax.reshape(t, (t.size,))
    if t.size == 0:
        return lax.full(x.shape, invert, dtypes.bool_)
    if t.dtype in dtypes.COMPLEX or (type(t.size) is int and t.size <= 16):
        found = lax.full(x.shape, False, dtypes.bool_)
        for i in range(t.size):
            found = lax.bitwise_or(found, lax.eq(x, lax.index_in_dim(t, i, 0, False)))
    elif t.dtype in dtypes.INTEGERS:
        found = _in_integers(x, t)
    else:
        found = _among(x, lax.sort(t, 0))
    return lax.bitwise_not(found) if invert else found


@fused()
def _among(x: Any, ordered: Any) -> Any:
    """Whether each element is one of an ordered vector, which has some."""
    at = search(ordered, x, "left")
    return lax.eq(ordered.at[at].get(mode="clip"), x)


_TABLE = 6  # entries for an element: as much memory as the elements take


def _in_integers(x: Any, t: Any) -> Any:
    """By a table of those between the least and the greatest of ``t``, if they are not too many."""
    unsigned = (
        dtypes.as_dtype(f"uint{8 * x.dtype.itemsize}") if x.dtype in dtypes.SIGNED else x.dtype
    )
    size = min_dim(_TABLE * (x.size + t.size), min(2**31 - 1, 1 << 8 * x.dtype.itemsize))
    most = scalar(size - 1, unsigned)
    low, high = lax.reduce_min(t, (0,)), lax.reduce_max(t, (0,))
    # Differences that the signed type could not hold.
    span = convert(lax.sub(high, low), unsigned)

    def by_table(x: Any, t: Any) -> Any:
        at, place = (convert(lax.sub(v, low), unsigned) for v in (x, t))
        place = convert(lax.min(place, most), dtypes.int32)
        table = lax.full((size,), False, dtypes.bool_).at[place].set(True, mode="promise_in_bounds")
        found = table.at[convert(lax.min(at, most), dtypes.int32)].get(mode="promise_in_bounds")
        return lax.bitwise_and(found, lax.le(at, span))

    return lax.cond(lax.le(span, most), by_table, lambda x, t: _among(x, lax.sort(t, 0)), x, t)


# --- bits --------------------------------------------------------------------------------


@fused("axis", "bitorder")
def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Any:
    """Booleans packed into bytes along ``axis`` (flattened by default).

    Parameters
    ----------
    a : array_like
        Booleans or integers: bits are 1 where they are not zero.
    axis : int, optional
    bitorder : {'big', 'little'}
        Whether the first bit is the highest of a byte or the lowest.

    Returns
    -------
    Array
        uint8 numbers; the last bits of a byte that is not full are 0.

    Raises
    ------
    TypeError
        If ``a`` is of floats or complex numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.packbits(np.array([1, 0, 1, 0, 0, 0, 0, 0, 1]))
    Array([160, 128], dtype=uint8)
    """
    x = array(a, "packbits")
    if x.dtype not in dtypes.INTEGERS and x.dtype != dtypes.bool_:
        raise TypeError(f"packbits takes booleans or integers, got {describe(x)}{at_user_line()}")
    _check_bitorder(bitorder)
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    bits = convert(lax.ne(x, x.dtype.type(0)), dtypes.uint8)
    n = x.shape[axis]
    pads = tuple((0, -n % 8, 0) if i == axis else (0, 0, 0) for i in range(x.ndim))
    bits = lax.pad(bits, onp.uint8(0), pads)
    shape = (*x.shape[:axis], (n + 7) // 8, 8, *x.shape[axis + 1 :])
    bits = lax.reshape(bits, shape)
    shift = lax.broadcasted_iota(dtypes.uint8, shape, axis + 1)
    if bitorder == "big":
        shift = lax.sub(onp.uint8(7), shift)
    return lax.reduce_sum(lax.shift_left(bits, shift), (axis + 1,))


@fused("axis", "count", "bitorder")
def unpackbits(
    a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Any:
    """The bits of bytes along ``axis`` (flattened by default), as zeros and ones.

    Parameters
    ----------
    a : array_like
        uint8 numbers.
    axis : int, optional
    count : int, optional
        Number of bits to return: a negative one leaves out as many at the end, a larger one than
        there are adds zeros.
    bitorder : {'big', 'little'}
        Whether the first bit is the highest of a byte or the lowest.

    Returns
    -------
    Array
        uint8 numbers.

    Raises
    ------
    TypeError
        If ``a`` is not of uint8.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unpackbits(np.array([5], dtype=np.uint8))
    Array([0, 0, 0, 0, 0, 1, 0, 1], dtype=uint8)
    """
    x = array(a, "unpackbits")
    if x.dtype != dtypes.uint8:
        raise TypeError(f"unpackbits takes uint8, got {describe(x)}{at_user_line()}")
    _check_bitorder(bitorder)
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    shape = (*x.shape[: axis + 1], 8, *x.shape[axis + 1 :])
    shift = lax.broadcasted_iota(dtypes.uint8, shape, axis + 1)
    if bitorder == "big":
        shift = lax.sub(onp.uint8(7), shift)
    dims = tuple(i + (i > axis) for i in range(x.ndim))
    wide = lax.broadcast_in_dim(x, shape, dims)
    bits = lax.bitwise_and(lax.shift_right_logical(wide, shift), onp.uint8(1))
    total = x.shape[axis] * 8
    bits = lax.reshape(bits, (*x.shape[:axis], total, *x.shape[axis + 1 :]))
    if count is None:
        return bits
    if count < 0:
        return lax.slice_in_dim(bits, 0, total + count, axis=axis)
    out = lax.slice_in_dim(bits, 0, min(count, total), axis=axis)
    pads = tuple((0, max(count - total, 0), 0) if i == axis else (0, 0, 0) for i in range(x.ndim))
    return lax.pad(out, onp.uint8(0), pads)


def _check_bitorder(bitorder: str) -> None:
    if bitorder not in ("big", "little"):
        raise ValueError(f"bitorder must be 'big' or 'little', got {bitorder!r}{at_user_line()}")
