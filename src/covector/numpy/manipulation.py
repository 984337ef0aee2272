"""Shapes and order of elements: reshape, transpose, squeeze, flip, roll."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import Array, aval_of
from covector.core.dims import DimExpr, as_size
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import (
    canonical_axes,
    canonical_axis,
    canonical_shape,
    product,
    scalar,
)
from covector.core.structural import reshape_p
from covector.core.trace import Tracer
from covector.numpy._util import (
    array,
    broadcast_all,
    fused,
    shape_of,
)
from covector.numpy.creation import asarray
from covector.numpy.powers import _remainder
from covector.sharding.results import laid_out

# --- shape -------------------------------------------------------------------------------


def shape(a: Any) -> tuple[int, ...]:
    """The sizes of the dimensions of ``a``.

    Parameters
    ----------
    a : array_like
        Lists are taken too.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.shape([[1, 2, 3]])
    (1, 3)
    """
    return shape_of(a) if not isinstance(a, (list, tuple)) else onp.shape(a)


def ndim(a: Any) -> int:
    """The number of dimensions of ``a``.

    Parameters
    ----------
    a : array_like
        Lists are taken too.

    Returns
    -------
    int

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ndim(np.zeros((2, 3)))
    2
    """
    return len(shape(a))


def size(a: Any, axis: Any = None) -> int:
    """The number of elements of ``a``, or its size along an axis or several.

    Parameters
    ----------
    a : array_like
        Lists are taken too.
    axis : int or tuple of int, optional
        By default all axes.

    Returns
    -------
    int
        1 for a scalar.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.zeros((2, 3))
    >>> np.size(x), np.size(x, 1)
    (6, 3)
    """
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
        n = as_size(n)
        if n < 0:
            if n != -1 or unknown is not None:
                raise ShapeMismatchError(
                    f"reshape of {describe(x)} to {tuple(sizes)}: at most one size may be unknown "
                    f"(-1){at_user_line()}"
                )
            unknown = i
        out.append(n)
    if unknown is not None:
        known = product(n for n in out if n != -1)
        total = product(x.shape)
        if known == 0 or total % known:
            raise ShapeMismatchError(
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

    Parameters
    ----------
    a : array_like
    shape : int or tuple of int
        Of as many elements as ``a``; one size may be -1, and is worked out.
    order : {'C', 'F'}
        Whether the last index changes fastest, or the first.
    copy : bool, optional
        Accepted and ignored: arrays are immutable.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.
    newshape : int or tuple of int, optional
        An older name of ``shape``.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the numbers of elements differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.reshape(np.arange(6), (2, -1))
    Array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    >>> np.reshape(np.arange(6), (2, 3), order="F")
    Array([[0, 2, 4],
           [1, 3, 5]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(reshape, locals())
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
    """``a`` as a vector.

    Parameters
    ----------
    a : array_like
    order : {'C', 'F'}
        Whether elements are read with the last index changing fastest, or the first.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.ravel(x), np.ravel(x, "F")
    (Array([1, 2, 3, 4], dtype=int32), Array([1, 3, 2, 4], dtype=int32))
    """
    if out_sharding is not None:
        return laid_out(ravel, locals())
    x = array(a, "ravel")
    if order == "K":
        raise NotImplementedError("ravel with order='K' is not supported")
    return reshape(x, (x.size,), "F" if order == "F" else "C")


def transpose(a: Any, axes: Any = None) -> Any:
    """``a`` with its dimensions reversed, or in the order ``axes``.

    Parameters
    ----------
    a : array_like
    axes : sequence of int, optional
        Dimension ``i`` of the result is dimension ``axes[i]`` of ``a``.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``axes`` is not a permutation of the dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.transpose(np.array([[1, 2, 3], [4, 5, 6]]))
    Array([[1, 4],
           [2, 5],
           [3, 6]], dtype=int32)
    >>> np.transpose(np.zeros((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
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
    """``a`` with its dimensions in the order ``axes``.

    Parameters
    ----------
    a : array_like
    axes : sequence of int
        Dimension ``i`` of the result is dimension ``axes[i]`` of ``a``.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Any:
    """``x`` with its last two dimensions exchanged.

    Parameters
    ----------
    x : array_like
        Of two or more dimensions: a matrix, or a stack of matrices.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``x`` has fewer than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.matrix_transpose(np.array([[1, 2], [3, 4]]))
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    x = array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ValueError(
            f"matrix_transpose takes an array of two or more dimensions, got {describe(x)}"
            f"{at_user_line()}"
        )
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """``a`` with two dimensions exchanged.

    Parameters
    ----------
    a : array_like
    axis1, axis2 : int

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = array(a, "swapaxes")
    i, j = canonical_axis(axis1, x, "axis1"), canonical_axis(axis2, x, "axis2")
    perm = list(range(x.ndim))
    perm[i], perm[j] = j, i
    return structural.transpose(x, perm)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """``a`` with the dimensions ``source`` at the positions ``destination``.

    Parameters
    ----------
    a : array_like
    source : int or sequence of int
        Dimensions of ``a`` to move; the others keep their order.
    destination : int or sequence of int
        Where they are in the result.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``source`` and ``destination`` differ in length.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = array(a, "moveaxis")
    src = canonical_axes(source, x, "source")
    dst = canonical_axes(destination, x, "destination")
    if len(src) != len(dst):
        raise ValueError(
            f"moveaxis: source {src} and destination {dst} differ in length{at_user_line()}"
        )
    perm = [i for i in range(x.ndim) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        perm.insert(d, s)
    return structural.transpose(x, perm)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """``a`` with dimension ``axis`` moved before dimension ``start``; see `moveaxis`.

    Parameters
    ----------
    a : array_like
    axis : int
    start : int
        Position before which the dimension is put.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.rollaxis(np.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    x = array(a, "rollaxis")
    k = canonical_axis(axis, x)
    start = canonical_axis(start, x.ndim + (start >= 0), "start")
    return structural.moveaxis(x, k, start - (k < start))


def squeeze(a: Any, axis: Any = None) -> Any:
    """``a`` without its dimensions of size 1, or without those in ``axis``.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Dimensions to remove; by default all of size 1.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a dimension in ``axis`` is not of size 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    >>> np.squeeze(np.zeros((1, 3, 1)), axis=0).shape
    (3, 1)
    """
    x = array(a, "squeeze")
    dims = (
        tuple(i for i, n in enumerate(x.shape) if n == 1)
        if axis is None
        else canonical_axes(axis, x)
    )
    return lax.squeeze(x, dims)


def expand_dims(a: Any, axis: Any = 0) -> Any:
    """``a`` with new dimensions of size 1 at the positions ``axis`` of the result.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.expand_dims(np.array([1, 2]), 1)
    Array([[1],
           [2]], dtype=int32)
    >>> np.expand_dims(np.array([1, 2]), (0, -1)).shape
    (1, 2, 1)
    """
    x = array(a, "expand_dims")
    several = isinstance(axis, (tuple, list, range)) or getattr(axis, "ndim", 0)
    axes = tuple(axis) if several else (axis,)
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
    """Arrays with at least one dimension.

    Parameters
    ----------
    *arys : array_like
        Those of at least one dimension stay as they are.

    Returns
    -------
    Array, or list of Array
        A list unless one array is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.atleast_1d(3.0, np.array([1, 2]))
    [Array([3.], dtype=float32, weak_type=True), Array([1, 2], dtype=int32)]
    """
    return _atleast(arys, "atleast_1d", lambda x: x if x.ndim else lax.reshape(x, (1,)))


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two dimensions; new ones come first.

    Parameters
    ----------
    *arys : array_like
        Those of at least two dimensions stay as they are.

    Returns
    -------
    Array, or list of Array
        A list unless one array is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.atleast_2d(np.array([1, 2]))
    Array([[1, 2]], dtype=int32)
    """
    return _atleast(
        arys,
        "atleast_2d",
        lambda x: x if x.ndim > 1 else lax.reshape(x, (1, x.size) if x.ndim else (1, 1)),
    )


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three dimensions; a vector becomes the middle one.

    Parameters
    ----------
    *arys : array_like
        Those of at least three dimensions stay as they are; a matrix gets a last one.

    Returns
    -------
    Array, or list of Array
        A list unless one array is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.atleast_3d(np.array([1, 2])).shape, np.atleast_3d(np.zeros((2, 3))).shape
    ((1, 2, 1), (2, 3, 1))
    """

    def grow(x: Any) -> Any:
        if x.ndim == 0:
            return lax.reshape(x, (1, 1, 1))
        if x.ndim == 1:
            return lax.reshape(x, (1, x.size, 1))
        return lax.reshape(x, (*x.shape, 1)) if x.ndim == 2 else x

    return _atleast(arys, "atleast_3d", grow)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to.

    Parameters
    ----------
    *shapes : int or tuple of int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If sizes, counted from the last dimension, differ where neither is 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.broadcast_shapes((3, 1), (2,), (4, 1, 1))
    (4, 3, 2)
    """
    return lax.broadcast_shapes(*shapes)


def broadcast_arrays(*args: Any) -> list[Any]:
    """Arrays broadcast to their common shape.

    Parameters
    ----------
    *args : array_like

    Returns
    -------
    list of Array
        Each in its own dtype.

    Raises
    ------
    TypeError
        If the shapes do not broadcast together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.broadcast_arrays(np.array([1, 2]), np.array([[3], [4]]))
    [Array([[1, 2],
           [1, 2]], dtype=int32), Array([[3, 3],
           [4, 4]], dtype=int32)]
    """
    return broadcast_all("broadcast_arrays", *[array(a, "broadcast_arrays") for a in args])


# --- order -------------------------------------------------------------------------------


def flip(m: Any, axis: Any = None) -> Any:
    """``m`` with the order of elements reversed along ``axis`` (all by default).

    Parameters
    ----------
    m : array_like
    axis : int or tuple of int, optional
        By default all axes.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.flip(np.array([[1, 2], [3, 4]]))
    Array([[4, 3],
           [2, 1]], dtype=int32)
    >>> np.flip(np.array([[1, 2], [3, 4]]), axis=1)
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    x = array(m, "flip")
    return lax.rev(x, canonical_axes(axis, x))


def fliplr(m: Any) -> Any:
    """``m`` with the order of columns reversed.

    Parameters
    ----------
    m : array_like
        Of two or more dimensions.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fliplr(np.array([[1, 2], [3, 4]]))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    return flip(m, 1)


def flipud(m: Any) -> Any:
    """``m`` with the order of rows reversed.

    Parameters
    ----------
    m : array_like
        Of one or more dimensions.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.flipud(np.array([[1, 2], [3, 4]]))
    Array([[3, 4],
           [1, 2]], dtype=int32)
    """
    return flip(m, 0)


@fused("k", "axes")
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """``m`` turned ``k`` times by 90 degrees from the first of ``axes`` towards the second.

    Parameters
    ----------
    m : array_like
        Of two or more dimensions.
    k : int
        Negative numbers turn the other way.
    axes : tuple of two int
        The plane in which to turn.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the axes are the same.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.rot90(np.array([[1, 2], [3, 4]]))
    Array([[2, 4],
           [1, 3]], dtype=int32)
    """
    x = array(m, "rot90")
    i, j = (canonical_axis(a, x) for a in axes)
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
    """``a`` with elements shifted along ``axis`` (flattened by default), around the end.

    Parameters
    ----------
    a : array_like
    shift : int or sequence of int, or array of them
        By how much to move elements to higher positions; it may be traced.
    axis : int or tuple of int, optional
        As many as there are shifts, or one; by default the array is flattened, and gets its
        shape back.

    Returns
    -------
    Array
        Of the shape and dtype of ``a``.

    Raises
    ------
    ValueError
        If the numbers of shifts and axes do not agree.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.roll(np.array([1, 2, 3, 4]), 1)
    Array([4, 1, 2, 3], dtype=int32)
    >>> np.roll(np.array([[1, 2], [3, 4], [5, 6]]), -1, axis=0)
    Array([[3, 4],
           [5, 6],
           [1, 2]], dtype=int32)
    """
    x = array(a, "roll")
    if isinstance(axis, list):
        axis = tuple(axis)
    if isinstance(shift, (list, tuple)):
        if all(isinstance(s, (int, onp.integer, DimExpr)) for s in shift):
            shift = tuple(as_size(s) for s in shift)
        else:
            shift = asarray(shift)
    elif isinstance(shift, onp.integer):
        shift = int(shift)
    if isinstance(shift, (int, DimExpr)):
        return _roll_static(x, shift=(shift,), axis=axis)
    if isinstance(shift, tuple):
        return _roll_static(x, shift=shift, axis=axis)
    if aval_of(shift).dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"roll: shift must be integers, got {describe(shift)}; round it, or convert it with "
            f"astype(int){at_user_line()}"
        )
    return _roll_dynamic(x, shift, axis=axis)


def _roll_axes(x: Any, n: int, axis: Any) -> tuple[tuple[int, ...], int]:
    axes = canonical_axes(axis, x) if not isinstance(axis, tuple) else tuple(
        canonical_axis(k, x) for k in axis
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
        by = 0 if size == 0 else by % size
        if by != 0:
            parts = [
                lax.slice_in_dim(x, size - by, size, axis=k),
                lax.slice_in_dim(x, 0, size - by, axis=k),
            ]
            x = lax.concatenate(parts, k)
    return x


@fused("axis")
def _roll_dynamic(x: Any, shift: Any, *, axis: Any) -> Any:
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
        start = lax.sub(scalar(size, shift.dtype), _remainder(by, size))
        doubled = lax.concatenate([x, x], k)
        x = lax.dynamic_slice_in_dim(doubled, start, size, k)
    return x
