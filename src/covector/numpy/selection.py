"""Choosing elements: select, take, nonzero and their relatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.avals import Array
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, canonical_shape, product, scalar
from covector.core.trace import Tracer
from covector.numpy._index import as_index_array
from covector.numpy._util import (
    array,
    broadcast_all,
    broadcast_shapes,
    broadcast_to,
    check_out,
    concrete,
    convert,
    fused,
    is_concrete,
    promote_dtypes,
    shape_of,
)
from covector.numpy.creation import asarray
from covector.numpy.elementwise import _where
from covector.numpy.indexing import normalized
from covector.numpy.positions import nonzero, unravel
from covector.numpy.ufuncs import truth
from covector.primitives.indexing import GatherScatterMode


@fused()
def _select(condlist: list[Any], choicelist: list[Any], default: Any) -> Any:
    choices = promote_dtypes("select", *choicelist, default)
    out = choices[-1]
    for cond, choice in zip(reversed(condlist), reversed(choices[:-1]), strict=True):
        out = _where(cond, choice, out)
    operands = (*condlist, *choices)
    shape = broadcast_shapes("select", *[shape_of(v) for v in operands], of=operands)
    return broadcast_to(array(out), shape)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Elements of the choice whose condition is the first that holds, else ``default``.

    Parameters
    ----------
    condlist : sequence of array_like of bool
    choicelist : sequence of array_like
        As many as conditions; all broadcast together.
    default : array_like

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there are not as many conditions as choices.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([1, 5, 9])
    >>> np.select([x < 3, x < 7], [x * 10, x * 100], default=-1)
    Array([ 10, 500,  -1], dtype=int32)
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(
            f"select takes as many conditions as choices, at least one; got {len(condlist)} and "
            f"{len(choicelist)}{at_user_line()}"
        )
    return _select([asarray(c) for c in condlist], [asarray(c) for c in choicelist], default)


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Elements of ``choices[a]``, each at its own position.

    Parameters
    ----------
    a : array_like of int
    choices : sequence of array_like
        All broadcast together with ``a``.
    out : None
        Not supported: arrays are immutable.
    mode : {'raise', 'wrap', 'clip'}
        What indices out of range mean; ``raise`` only where ``a`` is concrete.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If an index is out of range, or ``a`` is not of integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.choose(np.array([0, 1, 0]), [np.array([1, 2, 3]), np.array([10, 20, 30])])
    Array([ 1, 20,  3], dtype=int32)
    """
    check_out(out, "choose")
    x = asarray(a)
    if x.dtype not in dtypes.INTEGERS:
        raise ValueError(f"choose takes integers to choose by, got {describe(x)}{at_user_line()}")
    options = [asarray(c) for c in choices]
    n = len(options)
    if mode == "raise":
        v = concrete(x, "the argument a of choose with mode='raise'")
        if ((v < 0) | (v >= n)).any():
            raise ValueError(f"choose: an index is not in [0, {n}){at_user_line()}")
    elif mode == "wrap":
        x = x % n
    elif mode == "clip":
        x = lax.clamp(x.dtype.type(0), x, x.dtype.type(n - 1))
    else:
        raise ValueError(
            f"choose: mode must be 'raise', 'wrap' or 'clip', got {mode!r}{at_user_line()}"
        )
    options = promote_dtypes("choose", *options)
    x, *options = broadcast_all("choose", convert(x, dtypes.int32), *options)
    return lax.select_n(x, *options)


def piecewise(x: Any, condlist: Any, funclist: list[Any], *args: Any, **kw: Any) -> Any:
    """Functions (or constants) of ``x``, each where its condition holds.

    One function more than there are conditions is the default; without it, 0.

    Parameters
    ----------
    x : array_like
    condlist : array_like of bool, or list of them
    funclist : list of callables or scalars
        Called with the whole of ``x``.
    *args, **kw
        Passed to the functions too.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Raises
    ------
    ValueError
        If there are not as many functions as conditions, or one more.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([-2.0, 1.0, 3.0])
    >>> np.piecewise(x, [x < 0, x > 2], [lambda v: -v, 100.0, 0.0])
    Array([  2.,   0., 100.], dtype=float32)
    """
    x = asarray(x)
    if isinstance(condlist, (list, tuple)) and condlist and not shape_of(asarray(condlist[0])):
        conditions = [condlist] if not isinstance(condlist[0], (Array, Tracer)) else list(condlist)
        conditions = [asarray(c) for c in conditions]
        if len(conditions) == 1 and conditions[0].ndim == 1 and conditions[0].shape != x.shape:
            conditions = list(conditions[0])
    elif isinstance(condlist, (list, tuple)):
        conditions = [asarray(c) for c in condlist]
    else:
        conditions = list(asarray(condlist)) if asarray(condlist).ndim > x.ndim else [
            asarray(condlist)
        ]  # fmt: skip
    functions = list(funclist)
    if len(functions) == len(conditions):
        functions.append(0)
    elif len(functions) != len(conditions) + 1:
        raise ValueError(
            f"piecewise: {len(conditions)} conditions need as many functions, or one more, got "
            f"{len(functions)}{at_user_line()}"
        )
    values = [convert(array(f(x, *args, **kw) if callable(f) else f), x.dtype) for f in functions]
    out = broadcast_to(values[-1], x.shape)
    for cond, value in zip(conditions, values[:-1], strict=True):
        out = _where(cond, value, out)
    return out


def extract(condition: Any, arr: Any, *, size: Any = None, fill_value: Any = 0) -> Any:
    """Elements of the flattened ``arr`` where the flattened ``condition`` holds.

    Parameters
    ----------
    condition : array_like
    arr : array_like
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar
        What to fill up with.

    Returns
    -------
    Array
        A vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.extract(x % 2 == 0, x)
    Array([2, 4], dtype=int32)
    """
    cond = asarray(condition)
    return compress(lax.reshape(cond, (cond.size,)), arr, size=size, fill_value=fill_value)


def compress(
    condition: Any,
    a: Any,
    axis: int | None = None,
    *,
    size: Any = None,
    fill_value: Any = 0,
    out: Any = None,
) -> Any:
    """Elements (or slices along ``axis``) of ``a`` where ``condition``, a vector, holds.

    Parameters
    ----------
    condition : array_like
        Shorter ones leave out what follows.
    a : array_like
    axis : int, optional
        By default the array is flattened first.
    size : int, optional
        Number of elements to return; needed under tracing.
    fill_value : scalar
        What to fill up with.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``condition`` is not a vector.
    IndexError
        If it holds past the end of the axis.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.compress(np.array([False, True]), np.array([[1, 2], [3, 4], [5, 6]]), axis=0)
    Array([[3, 4]], dtype=int32)
    """
    check_out(out, "compress")
    cond, x = asarray(condition), asarray(a)
    if cond.ndim != 1:
        raise ValueError(f"compress takes a vector as condition, got {describe(cond)}")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    before = (slice(None),) * axis
    if size is None:
        v = concrete(cond, "the argument condition of compress").astype(bool)
        if v[x.shape[axis] :].any():
            raise IndexError(f"compress: the condition is longer than axis {axis}{at_user_line()}")
        return x[(*before, onp.nonzero(v)[0].astype(onp.int32))]
    (index,) = nonzero(cond, size=size, fill_value=x.shape[axis])
    return x.at[(*before, index)].get(mode="fill", fill_value=fill_value)


# --- take and put ------------------------------------------------------------------------


def _index_mode(mode: Any) -> Any:
    return "wrap" if mode == "wrap" else None if mode is None else GatherScatterMode.from_any(mode)


@fused("axis", "mode", "unique_indices", "indices_are_sorted", "fill_value")
def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: Any = None,
    mode: Any = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Any:
    """Elements of ``a`` at ``indices`` along ``axis`` (of the flattened array by default).

    Parameters
    ----------
    a : array_like
    indices : array_like of int
        Negative ones count from the end.
    axis : int, optional
    out : None
        Not supported: arrays are immutable.
    mode : {'fill', 'clip', 'wrap'}, optional
        What indices out of bounds mean; by default NaN (or an extreme integer) is read.
    unique_indices, indices_are_sorted : bool
        Accepted and ignored.
    fill_value : scalar, optional
        Read out of bounds in mode ``fill``.

    Returns
    -------
    Array
        The shape of ``indices`` takes the place of the axis.

    Raises
    ------
    TypeError
        If the indices are not integers.
    IndexError
        If there is nothing to take from.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.take(np.array([1.0, 2.0, 3.0]), np.array([2, -1, 5]))
    Array([ 3.,  3., nan], dtype=float32)
    >>> np.take(np.array([[1, 2], [3, 4]]), np.array([1, 3]), axis=1, mode="clip")
    Array([[2, 2],
           [4, 4]], dtype=int32)
    """
    check_out(out, "take")
    x, index = array(a, "take"), array(indices, "take", 1)
    if index.dtype == dtypes.bool_:
        # To NumPy too, truth values are the positions 0 and 1 here, not a mask.
        index = convert(index, dtypes.int32)
    if index.dtype not in dtypes.INTEGERS:
        raise TypeError(f"take takes integer indices, got {describe(index)}{at_user_line()}")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    if x.shape[axis] == 0 and index.size:
        raise IndexError(
            f"take: axis {axis} of {describe(x)} has no elements to take{at_user_line()}"
        )
    if mode == "clip":
        # Negative indices do not count from the end in this mode.
        index = lax.max(index, index.dtype.type(0))
    at = (slice(None),) * axis + (index,)
    if mode == "raise":
        raise NotImplementedError(
            f"take with mode='raise' is not supported: compiled code does not raise; use 'fill', "
            f"'clip' or 'wrap'{at_user_line()}"
        )
    return x.at[at].get(mode="fill" if mode is None else mode, fill_value=fill_value)


def _along(x: Any, index: Any, axis: int, wrap: bool, normalize: bool = True) -> Any:
    """Index arrays of all dimensions for an operation along ``axis``."""
    shape = broadcast_shapes(
        "take_along_axis",
        (*x.shape[:axis], 1, *x.shape[axis + 1 :]),
        (*index.shape[:axis], 1, *index.shape[axis + 1 :]),
        of=(x, index),
    )
    full = (*shape[:axis], index.shape[axis], *shape[axis + 1 :])
    index = broadcast_to(index, full)
    n = x.shape[axis]
    if wrap:
        index = index % max(n, 1)
    elif normalize:
        index = normalized(as_index_array(index, dtypes.position_dtype(n)), n)
    return index, full


@fused("axis", "mode", "fill_value", "wrap_negative_indices")
def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Any:
    """Elements of ``arr`` at ``indices`` along ``axis``, the other dimensions running together.

    Parameters
    ----------
    arr : array_like
    indices : array_like of int
        Of as many dimensions as ``arr``; the others than ``axis`` broadcast with it.
    axis : int, optional
        None takes from the flattened array.
    mode : {'fill', 'clip', 'wrap'}, optional
        What indices out of bounds mean; by default NaN (or an extreme integer) is read.
    fill_value : scalar, optional
        Read out of bounds in mode ``fill``.
    wrap_negative_indices : bool, optional
        Whether negative indices count from the end, as they do by default.

    Returns
    -------
    Array
        Of the size of ``indices`` along ``axis``.

    Raises
    ------
    TypeError
        If the indices are not integers.
    ValueError
        If the numbers of dimensions differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[3, 1, 2], [9, 8, 7]])
    >>> np.take_along_axis(x, np.argsort(x, axis=1), axis=1)
    Array([[1, 2, 3],
           [7, 8, 9]], dtype=int32)
    """
    x, index = array(arr, "take_along_axis"), array(indices, "take_along_axis", 1)
    if index.dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"take_along_axis takes integer indices, got {describe(index)}{at_user_line()}"
        )
    if axis is None:
        if index.ndim != 1:
            raise ValueError(
                f"take_along_axis with axis=None takes a vector of indices{at_user_line()}"
            )
        x, axis = lax.reshape(x, (x.size,)), 0
    if x.ndim != index.ndim:
        raise ValueError(
            f"take_along_axis: the array has {x.ndim} dimensions and the indices {index.ndim}; "
            f"they must agree{at_user_line()}"
        )
    axis = canonical_axis(axis, x)
    mode = _index_mode(mode)
    index, full = _along(x, index, axis, mode == "wrap", wrap_negative_indices is not False)
    x = broadcast_to(x, (*full[:axis], x.shape[axis], *full[axis + 1 :]))
    others = tuple(i for i in range(x.ndim) if i != axis)
    if 0 in full:
        return lax.full(full, 0, x.dtype)
    if not x.shape[axis]:
        raise IndexError(
            f"take_along_axis: axis {axis} of an array of shape {x.shape} has no elements to take"
            f"{at_user_line()}"
        )
    if mode == "wrap":
        mode = GatherScatterMode.PROMISE_IN_BOUNDS
    elif mode is None:
        mode = GatherScatterMode.FILL_OR_DROP
    return lax.gather(
        x,
        lax.reshape(index, (*full, 1)),
        lax.GatherDimensionNumbers((), (axis,), (axis,), others, others),
        (1,) * x.ndim,
        mode=mode,
        fill_value=fill_value,
    )


def _immutable(inplace: bool, name: str) -> None:
    if inplace:
        raise ValueError(
            f"{name}: arrays are immutable, so the result is a new array; pass inplace=False"
            f"{at_user_line()}"
        )


def put_along_axis(
    arr: Any,
    indices: Any,
    values: Any,
    axis: int | None,
    inplace: bool = True,
    *,
    mode: Any = None,
) -> Any:
    """``arr`` with ``values`` at ``indices`` along ``axis``, as a new array (``inplace=False``).

    Parameters
    ----------
    arr : array_like
    indices : array_like of int
        Of as many dimensions as ``arr``.
    values : array_like
        Broadcast to the indices.
    axis : int, optional
        None puts into the flattened array.
    inplace : bool
        Must be False.
    mode : {'drop', 'clip', 'wrap'}, optional
        What indices out of bounds mean; by default their values are dropped.

    Returns
    -------
    Array
        Of the shape of ``arr``.

    Raises
    ------
    ValueError
        If ``inplace`` is True.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[3, 1, 2], [9, 8, 7]])
    >>> np.put_along_axis(x, np.array([[0], [2]]), 0, axis=1, inplace=False)
    Array([[0, 1, 2],
           [9, 8, 0]], dtype=int32)
    """
    _immutable(inplace, "put_along_axis")
    x, index = asarray(arr), asarray(indices)
    shape = x.shape
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x)
    index, full = _along(x, index, axis, mode == "wrap")
    grid = [lax.broadcasted_iota(dtypes.position_dtype(n), full, d) for d, n in enumerate(full)]
    grid[axis] = index
    v = broadcast_to(asarray(values), full)
    return lax.reshape(x.at[tuple(grid)].set(v, mode=mode), shape)


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Any:
    """``a`` with ``v`` at the flat positions ``ind``, as a new array (``inplace=False``).

    Parameters
    ----------
    a : array_like
    ind : array_like of int
    v : array_like
        Repeated as often as needed.
    mode : {'drop', 'clip', 'wrap'}, optional
        What indices out of bounds mean; by default their values are dropped.
    inplace : bool
        Must be False.

    Returns
    -------
    Array
        Of the shape of ``a``.

    Raises
    ------
    ValueError
        If ``inplace`` is True.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.put(np.zeros((2, 2), int), np.array([0, 3]), np.array([5, 6]), inplace=False)
    Array([[5, 0],
           [0, 6]], dtype=int32)
    """
    _immutable(inplace, "put")
    x, index, values = asarray(a), asarray(ind), asarray(v)
    if not index.size or not values.size:
        return x
    index = lax.reshape(index, (index.size,))
    values = lax.reshape(values, (values.size,))
    times = -(-index.size // values.size)
    values = lax.slice_in_dim(lax.tile(values, (times,)), 0, index.size)
    flat = lax.reshape(x, (x.size,))
    return lax.reshape(flat.at[index].set(values, mode=mode or "drop"), x.shape)


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Any:
    """``arr`` with ``vals``, repeated, where ``mask`` holds, as a new array (``inplace=False``).

    Parameters
    ----------
    arr : array_like
    mask : array_like
        Of as many elements as ``arr``.
    vals : array_like
        The first one goes to the first element of the mask that is true, and so on.
    inplace : bool
        Must be False.

    Returns
    -------
    Array
        Of the shape and dtype of ``arr``.

    Raises
    ------
    ValueError
        If ``inplace`` is True, the mask does not fit, or there are no values.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([1, 2, 3, 4])
    >>> np.place(x, x > 1, np.array([10, 20]), inplace=False)
    Array([ 1, 10, 20, 10], dtype=int32)
    """
    _immutable(inplace, "place")
    x, m, v = asarray(arr), asarray(mask), asarray(vals)
    if m.size != x.size:
        raise ValueError(f"place: the mask has {m.size} elements, the array {x.size}")
    if not v.size:
        raise ValueError(f"place needs at least one value{at_user_line()}")
    flat = lax.reshape(truth(m, "place"), (m.size,))
    rank = lax.sub(lax.cumsum(convert(flat, dtypes.int32), 0), onp.int32(1))
    v = lax.reshape(v, (v.size,))
    chosen = v[rank % v.size]
    return lax.reshape(_where(flat, convert(chosen, x.dtype), lax.reshape(x, (x.size,))), x.shape)


# --- positions ---------------------------------------------------------------------------


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Flat positions as one index per dimension of an array of ``shape``.

    Parameters
    ----------
    indices : array_like of int
        Negative ones count from the end; those out of bounds are moved to the nearest end.
    shape : int or tuple of int
        The sizes may be traced.

    Returns
    -------
    tuple of Array
        Each of the shape of ``indices``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unravel_index(np.array([1, 5]), (2, 3))
    (Array([0, 1], dtype=int32), Array([1, 2], dtype=int32))
    """
    index = asarray(indices)
    dt = index.dtype
    parts = shape if isinstance(shape, (list, tuple)) else (shape,)
    if not all(is_concrete(n) for n in parts):
        return tuple(_unravel_traced(index, [convert(array(n), dt) for n in parts]))
    sizes = canonical_shape(shape)
    total = product(sizes)
    index = normalized(index, total)
    wide = index.dtype
    index = lax.clamp(scalar(0, wide), index, scalar(max(total - 1, 0), wide))
    return tuple([convert(i, dt) for i in unravel(index, sizes)])


def _unravel_traced(index: Any, sizes: list[Any]) -> list[Any]:
    """`unravel_index` for sizes that are known at run time only."""
    total = functools.reduce(lax.mul, sizes)
    one = scalar(1, index.dtype)
    zero = scalar(0, index.dtype)
    index = lax.select(lax.lt(index, zero), lax.add(index, total), index)
    index = lax.clamp(zero, index, lax.max(lax.sub(total, one), zero))
    out = []
    for n in reversed(sizes):
        n = lax.max(n, one)
        out.append(lax.rem(index, n))
        index = lax.div(index, n)
    return out[::-1]


def ravel_multi_index(
    multi_index: Sequence[Any],
    dims: Sequence[int],
    mode: str = "raise",
    order: str = "C",
    *,
    dtype: Any = None,
) -> Any:
    """Flat positions of indices into an array of shape ``dims``.

    Parameters
    ----------
    multi_index : sequence of array_like of int
        One for each dimension.
    dims : sequence of int
    mode : {'raise', 'wrap', 'clip'}
        What indices out of bounds mean; ``raise`` only where they are concrete.
    order : {'C', 'F'}
        Whether the last index changes fastest, or the first.
    dtype : dtype, optional
        Of the result.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there are not as many indices as dimensions, or one is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ravel_multi_index((np.array([0, 1]), np.array([1, 2])), (2, 3))
    Array([1, 5], dtype=int32)
    """
    sizes = canonical_shape(tuple(dims), "dims")
    index = [asarray(i) for i in multi_index]
    if len(index) != len(sizes):
        raise ValueError(
            f"ravel_multi_index: {len(index)} indices for {len(sizes)} dimensions{at_user_line()}"
        )
    if mode == "raise":
        for i, n in zip(index, sizes, strict=True):
            v = concrete(i, "the argument multi_index of ravel_multi_index with mode='raise'")
            if ((v < 0) | (v >= n)).any():
                raise ValueError(f"ravel_multi_index: an index is out of bounds{at_user_line()}")
    elif mode == "clip":
        index = [
            lax.clamp(scalar(0, i.dtype), i, scalar(n - 1, i.dtype))
            for i, n in zip(index, sizes, strict=True)
        ]
    elif mode == "wrap":
        index = [i % n for i, n in zip(index, sizes, strict=True)]
    else:
        raise ValueError(f"ravel_multi_index: unknown mode {mode!r}{at_user_line()}")
    pairs = list(zip(index, sizes, strict=True))
    if order == "F":
        pairs.reverse()
    out: Any = 0
    for i, n in pairs:
        out = out * n + i
    return out if dtype is None else convert(out, dtypes.canonicalize_dtype(dtype))


def ix_(*args: Any) -> tuple[Any, ...]:
    """Index arrays that select the cross product of sequences of positions.

    Parameters
    ----------
    *args : array_like of int
        Vectors.

    Returns
    -------
    tuple of Array
        As many dimensions each as there are arguments, all of size 1 but its own.

    Raises
    ------
    ValueError
        If an argument is not a vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.arange(12).reshape(3, 4)
    >>> x[np.ix_([0, 2], [1, 3])]
    Array([[ 1,  3],
           [ 9, 11]], dtype=int32)
    """
    n = len(args)
    out = []
    for i, a in enumerate(args):
        x = asarray(a)
        if x.ndim != 1:
            raise ValueError(f"ix_ takes vectors, got {describe(x)}{at_user_line()}")
        if x.dtype == dtypes.bool_:
            raise NotImplementedError(f"ix_ of boolean vectors is not supported{at_user_line()}")
        out.append(lax.reshape(x, tuple(x.size if i == j else 1 for j in range(n))))
    return tuple(out)


def mask_indices(
    n: int, mask_func: Callable[[Any, int], Any], k: int = 0, *, size: int | None = None
) -> tuple[Any, Any]:
    """Indices of the nonzero elements of ``mask_func`` of an ``n`` by ``n`` matrix of ones.

    Parameters
    ----------
    n : int
    mask_func : callable
        Such as `triu`; called with the matrix and ``k``.
    k : int
    size : int, optional
        Number of indices to return; needed under tracing.

    Returns
    -------
    tuple of two Array
        Row and column indices.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.mask_indices(3, np.triu, 1)
    (Array([0, 0, 1], dtype=int32), Array([1, 2, 2], dtype=int32))
    """
    found = nonzero(mask_func(lax.full((n, n), 1, dtypes.default_int()), k), size=size)
    return found[0], found[1]
