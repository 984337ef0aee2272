"""Shapes and order of elements: reshape, transpose, flip, roll, join, split, repeat."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import Array
from covector.core.errors import at_user_line, describe
from covector.core.trace import Tracer
from covector.lax._common import canonical_axes, canonical_axis, canonical_shape, product
from covector.lax.structure import reshape_p
from covector.numpy._util import (
    array,
    broadcast_all,
    broadcast_to,
    check_out,
    concrete,
    convert,
    fused,
    is_concrete,
    promote_dtypes,
    shape_of,
)

# --- shape -------------------------------------------------------------------------------


def shape(a: Any) -> tuple[int, ...]:
    """The sizes of the dimensions of ``a``."""
    return shape_of(a) if not isinstance(a, (list, tuple)) else onp.shape(a)


def ndim(a: Any) -> int:
    """The number of dimensions of ``a``."""
    return len(shape(a))


def size(a: Any, axis: Any = None) -> int:
    """The number of elements of ``a``, or its size along an axis or several."""
    sizes = shape(a)
    if axis is None:
        return product(sizes)
    return product(sizes[i] for i in canonical_axes(axis, len(sizes)))


def new_shape(x: Any, sizes: Any) -> tuple[int, ...]:
    """The shape asked for in a reshape, with a -1 in it worked out."""
    if type(sizes) is int:
        sizes = (sizes,)
    elif isinstance(sizes, (Array, onp.ndarray, onp.integer)):
        sizes = tuple(onp.atleast_1d(onp.asarray(sizes)).tolist())
    elif not isinstance(sizes, (tuple, list)):
        sizes = canonical_shape(sizes)
    out = []
    unknown = None
    for i, n in enumerate(sizes):
        if isinstance(n, Tracer):
            (n,) = canonical_shape((n,))
        n = operator.index(n)
        if n < 0:
            if n != -1 or unknown is not None:
                raise TypeError(
                    f"reshape of {describe(x)} to {tuple(sizes)}: at most one size may be unknown "
                    f"(-1){at_user_line()}"
                )
            unknown = i
        out.append(n)
    if unknown is not None:
        known = product(n for n in out if n != -1)
        total = product(x.shape)
        if known == 0 or total % known:
            raise TypeError(
                f"cannot reshape {describe(x)}, of {total} elements, into shape {tuple(sizes)}"
                f"{at_user_line()}"
            )
        out[unknown] = total // known
    return tuple(out)


def reshape(
    a: Any,
    shape: Any = None,
    order: str = "C",
    *,
    copy: bool | None = None,
    out_sharding: Any = None,
    newshape: Any = None,
) -> Any:
    """``a`` with its elements in an array of another shape; one size may be -1.

    ``order='F'`` reads and writes the elements with the first index changing fastest.
    """
    x = array(a, "reshape")
    sizes = new_shape(x, newshape if shape is None else shape)
    if order == "C":
        return x if x.shape == sizes else reshape_p.bind_params((x,), {"new_sizes": sizes})
    if order != "F":
        raise NotImplementedError(f"reshape with order={order!r} is not supported{at_user_line()}")
    flipped = structural.transpose(x, tuple(reversed(range(x.ndim))))
    out = lax.reshape(flipped, tuple(reversed(sizes)))
    return structural.transpose(out, tuple(reversed(range(len(sizes)))))


def ravel(a: Any, order: str = "C", *, out_sharding: Any = None) -> Any:
    """``a`` as a vector."""
    x = array(a, "ravel")
    if order == "K":
        raise NotImplementedError("ravel with order='K' is not supported")
    return reshape(x, (x.size,), "F" if order == "F" else "C")


def transpose(a: Any, axes: Any = None) -> Any:
    """``a`` with its dimensions reversed, or in the order ``axes``."""
    x = array(a, "transpose")
    n = x.ndim
    perm = tuple(reversed(range(n))) if axes is None else canonical_axes(axes, n, "axes")
    if len(perm) != n:
        raise ValueError(
            f"transpose: axes {perm} is not a permutation of the {n} dimensions of "
            f"{describe(x)}{at_user_line()}"
        )
    return structural.transpose(x, perm)


def permute_dims(a: Any, /, axes: Any) -> Any:
    """``a`` with its dimensions in the order ``axes``."""
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Any:
    """``x`` with its last two dimensions exchanged."""
    x = array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ValueError(
            f"matrix_transpose takes an array of two or more dimensions, got {describe(x)}"
            f"{at_user_line()}"
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """``a`` with two dimensions exchanged."""
    x = array(a, "swapaxes")
    i, j = canonical_axis(axis1, x.ndim, "axis1"), canonical_axis(axis2, x.ndim, "axis2")
    perm = list(range(x.ndim))
    perm[i], perm[j] = j, i
    return structural.transpose(x, perm)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """``a`` with the dimensions ``source`` at the positions ``destination``."""
    x = array(a, "moveaxis")
    src = canonical_axes(source, x.ndim, "source")
    dst = canonical_axes(destination, x.ndim, "destination")
    if len(src) != len(dst):
        raise ValueError(
            f"moveaxis: source {src} and destination {dst} differ in length{at_user_line()}"
        )
    perm = [i for i in range(x.ndim) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        perm.insert(d, s)
    return structural.transpose(x, perm)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """``a`` with dimension ``axis`` moved before dimension ``start``; see `moveaxis`."""
    x = array(a, "rollaxis")
    k = canonical_axis(axis, x.ndim)
    start = canonical_axis(start, x.ndim + 1, "start")
    return structural.moveaxis(x, k, start - (k < start))


def squeeze(a: Any, axis: Any = None) -> Any:
    """``a`` without its dimensions of size 1, or without those in ``axis``."""
    x = array(a, "squeeze")
    dims = (
        tuple(i for i, n in enumerate(x.shape) if n == 1)
        if axis is None
        else canonical_axes(axis, x.ndim)
    )
    return lax.squeeze(x, dims)


def expand_dims(a: Any, axis: Any) -> Any:
    """``a`` with new dimensions of size 1 at the positions ``axis`` of the result."""
    x = array(a, "expand_dims")
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    rank = x.ndim + len(axes)
    dims = canonical_axes(axes, rank)
    sizes = list(x.shape)
    for d in sorted(dims):
        sizes.insert(d, 1)
    return reshape_p.bind_params((x,), {"new_sizes": tuple(sizes)}) if dims else x


def _atleast(arys: tuple[Any, ...], name: str, grow: Any) -> Any:
    out = [grow(array(x, name, i)) for i, x in enumerate(arys)]
    return out[0] if len(out) == 1 else out


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one dimension."""
    return _atleast(arys, "atleast_1d", lambda x: x if x.ndim else lax.reshape(x, (1,)))


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two dimensions; new ones come first."""
    return _atleast(
        arys,
        "atleast_2d",
        lambda x: x if x.ndim > 1 else lax.reshape(x, (1, x.size) if x.ndim else (1, 1)),
    )


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three dimensions; a vector becomes the middle one."""

    def grow(x: Any) -> Any:
        if x.ndim == 0:
            return lax.reshape(x, (1, 1, 1))
        if x.ndim == 1:
            return lax.reshape(x, (1, x.size, 1))
        return lax.reshape(x, (*x.shape, 1)) if x.ndim == 2 else x

    return _atleast(arys, "atleast_3d", grow)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to."""
    return lax.broadcast_shapes(*shapes)


def broadcast_arrays(*args: Any) -> list[Any]:
    """Arrays broadcast to their common shape."""
    return broadcast_all("broadcast_arrays", *[array(a, "broadcast_arrays") for a in args])


# --- order -------------------------------------------------------------------------------


def flip(m: Any, axis: Any = None) -> Any:
    """``m`` with the order of elements reversed along ``axis`` (all by default)."""
    x = array(m, "flip")
    return lax.rev(x, canonical_axes(axis, x.ndim))


def fliplr(m: Any) -> Any:
    """``m`` with the order of columns reversed."""
    return flip(m, 1)


def flipud(m: Any) -> Any:
    """``m`` with the order of rows reversed."""
    return flip(m, 0)


@fused("k", "axes")
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """``m`` turned ``k`` times by 90 degrees from the first of ``axes`` towards the second."""
    x = array(m, "rot90")
    i, j = (canonical_axis(a, x.ndim) for a in axes)
    if i == j:
        raise ValueError(f"rot90: the axes must be different, got {axes}{at_user_line()}")
    k = k % 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (i, j))
    perm = list(range(x.ndim))
    perm[i], perm[j] = j, i
    if k == 1:
        return structural.transpose(flip(x, j), perm)
    return flip(structural.transpose(x, perm), j)


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """``a`` with elements shifted along ``axis`` (flattened by default), around the end."""
    x = array(a, "roll")
    if isinstance(axis, list):
        axis = tuple(axis)
    if isinstance(shift, (list, tuple)):
        if all(isinstance(s, (int, onp.integer)) for s in shift):
            shift = tuple(int(s) for s in shift)
        else:
            from covector.numpy.creation import asarray

            shift = asarray(shift)
    elif isinstance(shift, onp.integer):
        shift = int(shift)
    if isinstance(shift, int):
        return _roll_static(x, shift=(shift,), axis=axis)
    if isinstance(shift, tuple):
        return _roll_static(x, shift=shift, axis=axis)
    return _roll_dynamic(x, shift, axis=axis)


def _roll_axes(x: Any, n: int, axis: Any) -> tuple[tuple[int, ...], int]:
    axes = canonical_axes(axis, x.ndim) if not isinstance(axis, tuple) else tuple(
        canonical_axis(k, x.ndim) for k in axis
    )  # fmt: skip
    if n != len(axes) and n != 1 and len(axes) != 1:
        raise ValueError(
            f"roll: {n} shifts for {len(axes)} axes; their numbers must agree{at_user_line()}"
        )
    return axes, max(n, len(axes))


@fused("shift", "axis")
def _roll_static(x: Any, *, shift: tuple[int, ...], axis: Any) -> Any:
    if axis is None:
        total = sum(shift)
        flat = lax.reshape(x, (x.size,))
        return lax.reshape(_roll_static(flat, shift=(total,), axis=0), x.shape)
    axes, n = _roll_axes(x, len(shift), axis)
    for i in range(n):
        k, by = axes[i % len(axes)], shift[i % len(shift)]
        size = x.shape[k]
        by = by % size if size else 0
        if by:
            parts = [
                lax.slice_in_dim(x, size - by, size, axis=k),
                lax.slice_in_dim(x, 0, size - by, axis=k),
            ]
            x = lax.concatenate(parts, k)
    return x


@fused("axis")
def _roll_dynamic(x: Any, shift: Any, *, axis: Any) -> Any:
    from covector.numpy.ufuncs import _remainder

    shift = array(shift, "roll")
    if axis is None:
        flat = lax.reshape(x, (x.size,))
        total = shift if not shift.ndim else lax.reduce_sum(shift, (0,))
        return lax.reshape(_roll_dynamic(flat, total, axis=0), x.shape)
    count = shift.size
    axes, n = _roll_axes(x, count, axis)
    flat_shift = lax.reshape(shift, (count,))
    for i in range(n):
        k = axes[i % len(axes)]
        size = x.shape[k]
        if size == 0:
            continue
        by = lax.index_in_dim(flat_shift, i % count, 0, False)
        start = lax.sub(shift.dtype.type(size), _remainder(by, size))
        doubled = lax.concatenate([x, x], k)
        x = lax.dynamic_slice_in_dim(doubled, start, size, k)
    return x


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
    from covector.numpy.creation import asarray

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
        Of equal shapes but for ``axis``.
    axis : int, optional
    dtype : dtype, optional
    """
    parts = _parts(arrays, "concatenate")
    if axis is None:
        parts, axis = [lax.reshape(p, (p.size,)) for p in parts], 0
    if not parts[0].ndim:
        raise ValueError(
            f"concatenate takes arrays of one or more dimensions; see stack{at_user_line()}"
        )
    return _concatenate(parts, axis=canonical_axis(axis, parts[0].ndim), dtype=dtype)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Arrays joined along ``axis``; see `concatenate`."""
    return concatenate(arrays, axis)


@fused("axis", "dtype")
def _stack(parts: list[Any], *, axis: int, dtype: Any) -> Any:
    parts = promote_dtypes("stack", *parts) if len(parts) > 1 else parts
    if dtype is not None:
        parts = [convert(p, dtypes.check_user_dtype(dtype, "stack")) for p in parts]
    return lax.concatenate([expand_dims(p, axis) for p in parts], axis)


def stack(arrays: Any, axis: int = 0, out: Any = None, dtype: Any = None) -> Any:
    """Arrays of one shape joined along a new axis."""
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
    """The subarrays of ``x`` at each position along ``axis``."""
    x = array(x, "unstack")
    if x.ndim == 0:
        raise ValueError(f"unstack takes an array of one or more dimensions{at_user_line()}")
    return lax.unstack(x, axis)


def _joined(tup: Any, name: str, grow: Any, axis: Any, dtype: Any = None) -> Any:
    parts = _parts(tup, name)
    parts = [grow(p) for p in parts]
    return _concatenate(parts, axis=axis(parts) if callable(axis) else axis, dtype=dtype)


def vstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the first axis, vectors as rows."""
    return _joined(tup, "vstack", atleast_2d, 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the second axis, vectors along the first."""
    return _joined(tup, "hstack", atleast_1d, lambda ps: 0 if ps[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the third axis."""
    return _joined(tup, "dstack", atleast_3d, 2, dtype)


def column_stack(tup: Any) -> Any:
    """Arrays joined along the second axis, vectors as columns."""

    def grow(x: Any) -> Any:
        return x if x.ndim > 1 else lax.reshape(x, (x.size, 1))

    return _joined(tup, "column_stack", grow, 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` followed by ``values`` along ``axis``, flattened first if it is None."""
    x, v = array(arr, "append"), array(values, "append")
    if axis is None:
        return concatenate([lax.reshape(x, (x.size,)), lax.reshape(v, (v.size,))], 0)
    return concatenate([x, v], axis)


def block(arrays: Any) -> Any:
    """Array assembled from nested lists of blocks, the innermost along the last axis."""

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
    axis = canonical_axis(axis, x.ndim)
    n = x.shape[axis]
    if isinstance(where, (tuple, list)) or shape_of(where):
        cuts = concrete(
            onp.asarray([int(w) for w in where]) if isinstance(where, (tuple, list)) else where,
            f"the argument indices_or_sections of {name}",
        )
        edges = [0] + [min(max(int(c) + n if c < 0 else int(c), 0), n) for c in cuts] + [n]
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
        lax.slice_in_dim(x, a, max(a, b), axis=axis)
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts of ``ary`` along ``axis``: so many equal ones, or cut at positions."""
    return _split("split", ary, indices_or_sections, axis, True)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Consecutive parts of ``ary`` along ``axis``, of nearly equal size."""
    return _split("array_split", ary, indices_or_sections, axis, False)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the first axis."""
    return _split("vsplit", ary, indices_or_sections, 0, True)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the second axis (the first of a vector)."""
    return _split("hsplit", ary, indices_or_sections, 0 if ndim(ary) == 1 else 1, True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Consecutive parts along the third axis."""
    return _split("dsplit", ary, indices_or_sections, 2, True)


# --- repeating ---------------------------------------------------------------------------


def tile(A: Any, reps: Any) -> Any:  # noqa: N803
    """``A`` repeated ``reps[i]`` times along dimension ``i``, counted from the last."""
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
    """
    x = array(a, "repeat")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, max(x.ndim, 1))
    x = x if x.ndim else lax.reshape(x, (1,))
    n = x.shape[axis]
    if isinstance(repeats, (list, tuple)):
        repeats = onp.asarray(repeats)
    if total_repeat_length is None:
        if not is_concrete(repeats):
            concrete(repeats, "the argument repeats of repeat (or total_repeat_length)")
        counts = concrete(repeats, "the argument repeats of repeat")
        if (counts < 0).any():
            raise ValueError(f"repeat: repeats must not be negative, got {counts}{at_user_line()}")
        if counts.ndim == 0 or counts.size == 1:
            c = int(counts.reshape(()))
            sizes = (*x.shape[: axis + 1], c, *x.shape[axis + 1 :])
            dims = tuple(i + (i > axis) for i in range(x.ndim))
            out = lax.broadcast_in_dim(x, sizes, dims)
            return lax.reshape(out, (*x.shape[:axis], n * c, *x.shape[axis + 1 :]))
        if counts.shape != (n,):
            raise ValueError(
                f"repeat: {counts.shape} repeats for axis {axis} of size {n}{at_user_line()}"
            )
        index = onp.repeat(onp.arange(n, dtype=onp.int32), counts)
        return x[(slice(None),) * axis + (index,)]
    total = operator.index(total_repeat_length)
    counts = broadcast_to(convert(array(repeats, "repeat"), dtypes.int32), (n,))
    if n == 0:
        return lax.full((*x.shape[:axis], total, *x.shape[axis + 1 :]), 0, x.dtype)
    # Position p belongs to the last element whose repetitions start at or before p.
    starts = lax.sub(lax.cumsum(counts, 0), counts)
    marks = lax.full((total,), 0, dtypes.int32).at[starts].add(1)
    index = lax.sub(lax.cumsum(marks, 0), onp.int32(1))
    return x[(slice(None),) * axis + (index,)]


def resize(a: Any, new_shape: Any) -> Any:
    """``a`` cut, or repeated, to fill an array of ``new_shape``."""
    x = array(a, "resize")
    sizes = canonical_shape(new_shape, "new_shape")
    flat = lax.reshape(x, (x.size,))
    n = product(sizes)
    if x.size == 0:
        return lax.full(sizes, 0, x.dtype)
    flat = lax.tile(flat, (math.ceil(n / x.size),)) if n > x.size else flat
    return lax.reshape(lax.slice_in_dim(flat, 0, n), sizes)


# --- insertion and removal ---------------------------------------------------------------


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
    """``arr`` without the elements (or slices along ``axis``) at ``obj``."""
    x = array(arr, "delete")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x.ndim)
    n = x.shape[axis]
    if not isinstance(obj, (slice, list, tuple)) and not is_concrete(obj):
        if shape_of(obj) == ():
            # One traced position: the elements after it move up.
            index = lax.iota(dtypes.int32, n - 1)
            at = convert(array(obj), dtypes.int32)
            at = lax.select(lax.lt(at, onp.int32(0)), lax.add(at, onp.int32(n)), at)
            index = lax.add(index, convert(lax.ge(index, at), dtypes.int32))
            return x[(slice(None),) * axis + (index,)]
    positions = onp.atleast_1d(_positions(obj, n, "delete"))
    if ((positions < -n) | (positions >= n)).any():
        raise IndexError(
            f"delete: index {positions} is out of bounds for axis {axis} of size {n}"
            f"{at_user_line()}"
        )
    keep = onp.ones(n, bool)
    keep[positions] = False
    return x[(slice(None),) * axis + (onp.nonzero(keep)[0].astype(onp.int32),)]


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` with ``values`` inserted before the positions ``obj`` along ``axis``."""
    x, v = array(arr, "insert"), array(values, "insert")
    if axis is None:
        x, axis = lax.reshape(x, (x.size,)), 0
    axis = canonical_axis(axis, x.ndim)
    n = x.shape[axis]
    v = convert(v, x.dtype)
    positions = _positions(obj, n, "insert")
    if ((positions < -n) | (positions > n)).any():
        raise IndexError(
            f"insert: index {positions} is out of bounds for axis {axis} of size {n}"
            f"{at_user_line()}"
        )
    if positions.ndim == 0 or positions.size == 1:
        at = int(positions.reshape(()))
        at += n if at < 0 else 0
        if positions.ndim == 0 and v.ndim:
            # Along the axis come the values' own first dimension, as NumPy has it.
            v = lax.reshape(v, (1,) * (x.ndim - v.ndim) + v.shape)
            v = moveaxis(v, 0, axis)
        elif v.ndim:
            v = lax.reshape(v, (1,) * (x.ndim - v.ndim) + v.shape)
        count = v.shape[axis] if v.ndim else 1
        sizes = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        v = broadcast_to(v, sizes)
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


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """A vector without its leading (``f``) and trailing (``b``) zeros; it must be concrete."""
    x = array(filt, "trim_zeros")
    values = concrete(x, "the argument of trim_zeros")
    nonzero = onp.argwhere(values != 0)
    axes = canonical_axes(axis, x.ndim)
    index: list[slice] = [slice(None)] * x.ndim
    for k in axes:
        if len(nonzero) == 0:
            index[k] = slice(0, 0)
            continue
        lo = int(nonzero[:, k].min()) if "f" in trim.lower() else 0
        hi = int(nonzero[:, k].max()) + 1 if "b" in trim.lower() else x.shape[k]
        index[k] = slice(lo, hi)
    return x[tuple(index)]
