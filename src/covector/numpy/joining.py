"""Joining, splitting and repeating arrays."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.avals import Array
from covector.core.dims import DimExpr, as_size, is_at_least, max_dim, min_dim
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, canonical_shape, product
from covector.core.trace import Tracer
from covector.numpy._util import (
    array,
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
from covector.numpy.manipulation import atleast_1d, atleast_2d, atleast_3d, expand_dims, ndim
from covector.sharding.results import laid_out

# --- joining -----------------------------------------------------------------------------


def _parts(arrays: Any, name: str) -> list[Any]:
    if isinstance(arrays, (Array, Tracer, onp.ndarray)):
        return [array(arrays)[i] for i in range(shape_of(arrays)[0])]
    if not isinstance(arrays, (list, tuple)):
        raise TypeError(
            f"{name} takes a sequence of arrays, got {describe(arrays)}{at_user_line()}"
        )
    if not arrays:
        raise ValueError(f"{name} needs at least one array{at_user_line()}")
    return [asarray(x) for x in arrays]


@fused("axis", "dtype")
def _concatenate(parts: list[Any], *, axis: int, dtype: Any) -> Any:
    if dtype is not None:
        dt = dtypes.check_user_dtype(dtype, "concatenate")
        parts = [convert(p, dt) for p in parts]
    elif len(parts) > 1:
        parts = promote_dtypes("concatenate", *parts)
    return lax.concatenate(parts, axis)


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Any:
    """Arrays joined along ``axis``, flattened first if it is None.

    Parameters
    ----------
    arrays : sequence of array_like
        Of one or more dimensions, and of equal shapes but for ``axis``.
    axis : int, optional
    dtype : dtype, optional
        By default the one that all promote to.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there are no arrays, or they have no dimension.
    TypeError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.concatenate([np.array([[1, 2]]), np.array([[3, 4], [5, 6]])])
    Array([[1, 2],
           [3, 4],
           [5, 6]], dtype=int32)
    >>> np.concatenate([np.array([[1, 2]]), np.array([3.5])], axis=None)
    Array([1. , 2. , 3.5], dtype=float32)
    """
    parts = _parts(arrays, "concatenate")
    if axis is None:
        parts, axis = [lax.reshape(p, (p.size,)) for p in parts], 0
    if not parts[0].ndim:
        raise ValueError(
            "concatenate takes a list of arrays of one or more dimensions, as in "
            f"concatenate([x, y]), got {describe(parts[0])} in it; to join numbers, see stack"
            f"{at_user_line()}"
        )
    return _concatenate(parts, axis=canonical_axis(axis, parts[0]), dtype=dtype)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Arrays joined along ``axis``; see `concatenate`.

    Parameters
    ----------
    arrays : sequence of array_like
        Of equal shapes but for ``axis``.
    axis : int, optional

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.concat([np.array([1, 2]), np.array([3])])
    Array([1, 2, 3], dtype=int32)
    """
    return concatenate(arrays, axis)


@fused("axis", "dtype")
def _stack(parts: list[Any], *, axis: int, dtype: Any) -> Any:
    parts = promote_dtypes("stack", *parts) if len(parts) > 1 else parts
    if dtype is not None:
        parts = [convert(p, dtypes.check_user_dtype(dtype, "stack")) for p in parts]
    return lax.concatenate([expand_dims(p, axis) for p in parts], axis)


def stack(arrays: Any, axis: int = 0, out: Any = None, dtype: Any = None) -> Any:
    """Arrays of one shape joined along a new axis.

    Parameters
    ----------
    arrays : sequence of array_like
    axis : int
        Position of the new axis in the result.
    out : None
        Not supported: arrays are immutable.
    dtype : dtype, optional
        By default the one that all promote to.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.stack([np.array([1, 2]), np.array([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    >>> np.stack([np.array([1, 2]), np.array([3, 4])], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    check_out(out, "stack")
    parts = _parts(arrays, "stack")
    first = parts[0].shape
    if any(p.shape != first for p in parts):
        raise ValueError(
            f"stack takes arrays of one shape, got {', '.join(str(p.shape) for p in parts)}"
            f"{at_user_line()}"
        )
    return _stack(parts, axis=canonical_axis(axis, len(first) + 1), dtype=dtype)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The subarrays of ``x`` at each position along ``axis``.

    Parameters
    ----------
    x : array_like
        Of one or more dimensions.
    axis : int

    Returns
    -------
    tuple of Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unstack(np.array([[1, 2], [3, 4]]), axis=1)
    (Array([1, 3], dtype=int32), Array([2, 4], dtype=int32))
    """
    x = array(x, "unstack")
    if x.ndim == 0:
        raise ValueError(f"unstack takes an array of one or more dimensions{at_user_line()}")
    return lax.unstack(x, axis)


def _joined(tup: Any, name: str, grow: Any, axis: Any, dtype: Any = None) -> Any:
    parts = _parts(tup, name)
    parts = [grow(p) for p in parts]
    return _concatenate(parts, axis=axis(parts) if callable(axis) else axis, dtype=dtype)


def vstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the first axis, vectors as rows.

    Parameters
    ----------
    tup : sequence of array_like
    dtype : dtype, optional
        By default the one that all promote to.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vstack([np.array([1, 2]), np.array([3, 4])])
    Array([[1, 2],
           [3, 4]], dtype=int32)
    """
    return _joined(tup, "vstack", atleast_2d, 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the second axis, vectors along the first.

    Parameters
    ----------
    tup : sequence of array_like
    dtype : dtype, optional
        By default the one that all promote to.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.hstack([np.array([[1], [2]]), np.array([[3], [4]])])
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    return _joined(tup, "hstack", atleast_1d, lambda ps: 0 if ps[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the third axis.

    Parameters
    ----------
    tup : sequence of array_like
        Vectors and matrices get a last dimension first; see `atleast_3d`.
    dtype : dtype, optional
        By default the one that all promote to.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.dstack([np.array([1, 2]), np.array([3, 4])])
    Array([[[1, 3],
            [2, 4]]], dtype=int32)
    """
    return _joined(tup, "dstack", atleast_3d, 2, dtype)


def column_stack(tup: Any) -> Any:
    """Arrays joined along the second axis, vectors as columns.

    Parameters
    ----------
    tup : sequence of array_like

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.column_stack([np.array([1, 2]), np.array([3, 4])])
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """

    def grow(x: Any) -> Any:
        return x if x.ndim > 1 else lax.reshape(x, (x.size, 1))

    return _joined(tup, "column_stack", grow, 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` followed by ``values`` along ``axis``, flattened first if it is None.

    Parameters
    ----------
    arr, values : array_like
        Of equal shapes but for ``axis``.
    axis : int, optional

    Returns
    -------
    Array
        A new array: ``arr`` stays as it is.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.append(np.array([1, 2]), np.array([[3, 4]]))
    Array([1, 2, 3, 4], dtype=int32)
    """
    x, v = array(arr, "append"), array(values, "append")
    if axis is None:
        return concatenate([lax.reshape(x, (x.size,)), lax.reshape(v, (v.size,))], 0)
    return concatenate([x, v], axis)


def block(arrays: Any) -> Any:
    """Array assembled from nested lists of blocks, the innermost along the last axis.

    Parameters
    ----------
    arrays : nested list of array_like
        All blocks at the same depth of nesting.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a list is empty, or the depths differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a = np.array([[1, 2]])
    >>> np.block([[a, a], [a * 10, a * 100]])
    Array([[  1,   2,   1,   2],
           [ 10,  20, 100, 200]], dtype=int32)
    """

    def depth(x: Any) -> int:
        if not isinstance(x, list):
            return 0
        if not x:
            raise ValueError(f"block: a list of blocks is empty{at_user_line()}")
        levels = {depth(v) for v in x}
        if len(levels) > 1:
            raise ValueError(f"block: the lists are nested to different depths{at_user_line()}")
        return 1 + levels.pop()

    levels = depth(arrays)

    def leaves(x: Any) -> Any:
        return [y for v in x for y in leaves(v)] if isinstance(x, list) else [array(x, "block")]

    rank = max([levels, *[x.ndim for x in leaves(arrays)]])

    def build(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            x = array(x, "block")
            return lax.reshape(x, (1,) * (rank - x.ndim) + x.shape)
        return concatenate([build(v, level + 1) for v in x], axis=rank - levels + level)

    return build(arrays, 0)


# --- splitting ---------------------------------------------------------------------------


def _split(name: str, ary: Any, where: Any, axis: int, even: bool) -> list[Any]:
    x = array(ary, name)
    axis = canonical_axis(axis, x)
    n = x.shape[axis]
    if isinstance(where, (tuple, list)) or shape_of(where):
        if isinstance(where, (tuple, list)):
            cuts = [w if type(w) is DimExpr else int(w) for w in where]
        else:
            cuts = [int(c) for c in concrete(where, f"the argument indices_or_sections of {name}")]
        edges = [0, *[max_dim(min_dim(c + n if c < 0 else c, n), 0) for c in cuts], n]
    else:
        (parts,) = canonical_shape(where if not hasattr(where, "item") else int(where))
        if parts == 0:
            raise ValueError(f"{name}: the number of sections must be positive{at_user_line()}")
        small, extra = divmod(n, parts)
        if extra and even:
            raise ValueError(
                f"{name}: axis {axis} of size {n} does not divide into {parts} equal parts; see "
                f"array_split{at_user_line()}"
            )
        edges = [0]
        for i in range(parts):
            edges.append(edges[-1] + small + (i < extra))
    return [
        lax.slice_in_dim(x, a, max_dim(a, b), axis=axis)
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts of ``ary`` along ``axis``: so many equal ones, or cut at positions.

    Parameters
    ----------
    ary : array_like
    indices_or_sections : int or sequence of int
        Number of parts, or the positions before which to cut.
    axis : int

    Returns
    -------
    list of Array

    Raises
    ------
    ValueError
        If the axis does not divide into equal parts; see `array_split`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.split(np.arange(4), 2)
    [Array([0, 1], dtype=int32), Array([2, 3], dtype=int32)]
    >>> np.split(np.arange(4), [1, 3])
    [Array([0], dtype=int32), Array([1, 2], dtype=int32), Array([3], dtype=int32)]
    """
    return _split("split", ary, indices_or_sections, axis, True)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts of ``ary`` along ``axis``, of nearly equal size.

    Parameters
    ----------
    ary : array_like
    indices_or_sections : int or sequence of int
        Number of parts, the first ones longer by one where they differ, or the positions before
        which to cut.
    axis : int

    Returns
    -------
    list of Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array_split(np.arange(5), 2)
    [Array([0, 1, 2], dtype=int32), Array([3, 4], dtype=int32)]
    """
    return _split("array_split", ary, indices_or_sections, axis, False)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the first axis.

    Parameters
    ----------
    ary : array_like
    indices_or_sections : int or sequence of int
        See `split`.

    Returns
    -------
    list of Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vsplit(np.array([[1, 2], [3, 4]]), 2)
    [Array([[1, 2]], dtype=int32), Array([[3, 4]], dtype=int32)]
    """
    return _split("vsplit", ary, indices_or_sections, 0, True)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the second axis (the first of a vector).

    Parameters
    ----------
    ary : array_like
    indices_or_sections : int or sequence of int
        See `split`.

    Returns
    -------
    list of Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.hsplit(np.array([[1, 2, 3]]), [1])
    [Array([[1]], dtype=int32), Array([[2, 3]], dtype=int32)]
    """
    return _split("hsplit", ary, indices_or_sections, 0 if ndim(ary) == 1 else 1, True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the third axis.

    Parameters
    ----------
    ary : array_like
        Of three or more dimensions.
    indices_or_sections : int or sequence of int
        See `split`.

    Returns
    -------
    list of Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> [part.shape for part in np.dsplit(np.zeros((1, 2, 6)), 3)]
    [(1, 2, 2), (1, 2, 2), (1, 2, 2)]
    """
    return _split("dsplit", ary, indices_or_sections, 2, True)


# --- repeating ---------------------------------------------------------------------------


def tile(A: Any, reps: Any) -> Any:  # noqa: N803
    """``A`` repeated ``reps[i]`` times along dimension ``i``, counted from the last.

    Parameters
    ----------
    A : array_like
    reps : int or tuple of int
        Shorter ones are 1 for the first dimensions; longer ones give the result new dimensions.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.tile(np.array([1, 2]), 2)
    Array([1, 2, 1, 2], dtype=int32)
    >>> np.tile(np.array([1, 2]), (2, 1))
    Array([[1, 2],
           [1, 2]], dtype=int32)
    """
    x = array(A, "tile")
    reps = canonical_shape(reps, "reps")
    n = max(x.ndim, len(reps))
    reps = (1,) * (n - len(reps)) + reps
    return lax.tile(lax.reshape(x, (1,) * (n - x.ndim) + x.shape), reps)


def repeat(
    a: Any,
    repeats: Any,
    axis: int | None = None,
    *,
    total_repeat_length: int | None = None,
    out_sharding: Any = None,
) -> Any:
    """Each element of ``a`` (or slice along ``axis``) repeated.

    Parameters
    ----------
    a : array_like
    repeats : int or array of int
        One number, or one per element along the axis.
    axis : int, optional
        The flattened array by default.
    total_repeat_length : int, optional
        Size of the result along the axis; needed where ``repeats`` is traced. Longer results
        are cut, shorter ones padded with the last element.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a number is negative, or there is not one per element.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.repeat(np.array([1, 2]), 2)
    Array([1, 1, 2, 2], dtype=int32)
    >>> np.repeat(np.array([[1, 2], [3, 4]]), np.array([1, 2]), axis=0)
    Array([[1, 2],
           [3, 4],
           [3, 4]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(repeat, locals())
    x = array(a, "repeat")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, max(x.ndim, 1))
    x = x if x.ndim else lax.reshape(x, (1,))
    n = x.shape[axis]
    if isinstance(repeats, (list, tuple)):
        repeats = onp.asarray(repeats)
    if type(repeats) is DimExpr:
        return _repeated(x, repeats, axis)
    if total_repeat_length is None:
        if not is_concrete(repeats):
            concrete(repeats, "the argument repeats of repeat (or total_repeat_length)")
        counts = concrete(repeats, "the argument repeats of repeat")
        if (counts < 0).any():
            raise ValueError(f"repeat: repeats must not be negative, got {counts}{at_user_line()}")
        if counts.ndim == 0 or counts.size == 1:
            return _repeated(x, int(counts.reshape(())), axis)
        if counts.shape != (n,):
            raise ValueError(
                f"repeat: {counts.shape} repeats for axis {axis} of size {n}{at_user_line()}"
            )
        index = onp.repeat(onp.arange(n, dtype=onp.int32), counts)
        return x[(slice(None),) * axis + (index,)]
    total = as_size(total_repeat_length)
    counts = broadcast_to(convert(array(repeats, "repeat"), dtypes.int32), (n,))
    if n == 0:
        return lax.full((*x.shape[:axis], total, *x.shape[axis + 1 :]), 0, x.dtype)
    # Position p belongs to the last element whose repetitions start at or before p.
    starts = lax.sub(lax.cumsum(counts, 0), counts)
    marks = lax.full((total,), 0, dtypes.int32).at[starts].add(1)
    index = lax.sub(lax.cumsum(marks, 0), onp.int32(1))
    return x[(slice(None),) * axis + (index,)]


def _repeated(x: Any, times: Any, axis: int) -> Any:
    """All elements along an axis as often."""
    sizes = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    out = lax.broadcast_in_dim(x, sizes, tuple(i + (i > axis) for i in range(x.ndim)))
    return lax.reshape(out, (*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :]))


def resize(a: Any, new_shape: Any) -> Any:
    """``a`` cut, or repeated, to fill an array of ``new_shape``.

    Parameters
    ----------
    a : array_like
    new_shape : int or tuple of int

    Returns
    -------
    Array
        Zeros if ``a`` has no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.resize(np.array([1, 2, 3]), (2, 4))
    Array([[1, 2, 3, 1],
           [2, 3, 1, 2]], dtype=int32)
    """
    x = array(a, "resize")
    sizes = canonical_shape(new_shape, "new_shape")
    flat = lax.reshape(x, (x.size,))
    n = product(sizes)
    if x.size == 0:
        return lax.full(sizes, 0, x.dtype)
    if not is_at_least(x.size, n, False):
        flat = lax.tile(flat, (-(-n // x.size),))
    return lax.reshape(lax.slice_in_dim(flat, 0, n), sizes)
