"""Public functions that make, broadcast, reshape, join and split arrays."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, structural
from covector.core.avals import Array, aval_of, to_array
from covector.core.dims import DimExpr
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.operands import (
    PY_SCALARS,
    as_array,
    as_operand,
    canonical_axes,
    canonical_axis,
    canonical_shape,
    product,
    weak_operand,
)
from covector.core.structural import broadcast_in_dim_p, reshape_p, transpose_p
from covector.core.trace import Tracer
from covector.lax.slicing import slice_in_dim
from covector.primitives.convert import bitcast_convert_type_p, convert
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, squeeze_p
from covector.sharding.results import laid, laid_out, like


def broadcast_in_dim(
    operand: Any, shape: Any, broadcast_dimensions: Sequence[int], *, out_sharding: Any = None
) -> Any:
    """Array of ``shape`` with dimension ``i`` of ``operand`` along ``broadcast_dimensions[i]``.

    Parameters
    ----------
    operand : array_like
        Dimensions of size 1 are repeated.
    shape : int or sequence of int
    broadcast_dimensions : sequence of int
        Increasing, one for each dimension of ``operand``.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the dimensions do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.broadcast_in_dim(np.array([1, 2, 3]), (2, 3), (1,))
    Array([[1, 2, 3],
           [1, 2, 3]], dtype=int32)
    >>> lax.broadcast_in_dim(np.array([1, 2]), (2, 3), (0,))
    Array([[1, 1, 1],
           [2, 2, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(broadcast_in_dim, locals())
    shape = canonical_shape(shape)
    x = as_operand(operand, "broadcast_in_dim")
    dims = tuple(map(int, broadcast_dimensions))
    if len(set(dims)) == len(dims) == len(aval_of(x).shape) and list(dims) != sorted(dims):
        order = sorted(range(len(dims)), key=lambda i: dims[i])
        x, dims = structural.transpose(x, order), tuple(sorted(dims))
    if aval_of(x).shape == shape and dims == tuple(range(len(shape))):
        return as_array(x)
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=dims)


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Repeat ``operand`` along new leading dimensions of the given sizes.

    Parameters
    ----------
    operand : array_like
    sizes : int or sequence of int
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the shape ``sizes`` followed by that of ``operand``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.broadcast(np.array([1, 2]), (3,))
    Array([[1, 2],
           [1, 2],
           [1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(broadcast, locals())
    x = as_operand(operand, "broadcast")
    sizes = canonical_shape(sizes, "sizes")
    shape = aval_of(x).shape
    n = len(sizes)
    return broadcast_in_dim(x, (*sizes, *shape), tuple(range(n, n + len(shape))))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that NumPy's rules broadcast ``shapes`` to.

    Parameters
    ----------
    *shapes : int or sequence of int

    Returns
    -------
    tuple of int
        Empty without arguments.

    Raises
    ------
    ValueError
        If the shapes do not broadcast together.

    Examples
    --------
    >>> from covector import lax
    >>> lax.broadcast_shapes((2, 1), (3,), (5, 1, 1))
    (5, 2, 3)
    """
    shapes = tuple((s,) if isinstance(s, int) else tuple(s) for s in shapes)
    rank = max((len(s) for s in shapes), default=0)
    out = [1] * rank
    for s in shapes:
        for i, n in enumerate(s, rank - len(s)):
            if n != 1:
                if out[i] not in (1, n):
                    raise ShapeMismatchError(
                        "incompatible shapes for broadcasting: "
                        f"{', '.join(map(str, shapes))}{at_user_line()}"
                    )
                out[i] = n
    return tuple(out)


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """``x`` with leading dimensions of size 1 up to ``rank`` dimensions.

    Parameters
    ----------
    x : array_like
    rank : int

    Returns
    -------
    Array
        ``x`` as it is if it has as many dimensions or more.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.broadcast_to_rank(np.array([1, 2]), 3)
    Array([[[1, 2]]], dtype=int32)
    """
    x = as_array(x)
    n = rank - x.ndim
    return x if n <= 0 else reshape_p.bind(x, new_sizes=(1,) * n + x.shape)


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """``arr`` broadcast to the shape of ``like_arr``.

    Parameters
    ----------
    arr : array_like
        Its dimensions correspond to the last ones of ``like_arr``.
    like_arr : array_like
        Only the shape counts.

    Returns
    -------
    Array
        Of the dtype of ``arr``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.broadcast_like(np.array([1, 2]), np.zeros((3, 2)))
    Array([[1, 2],
           [1, 2],
           [1, 2]], dtype=int32)
    """
    shape, x = aval_of(like_arr).shape, as_operand(arr, "broadcast_like")
    n = len(aval_of(x).shape)
    return broadcast_in_dim(x, shape, tuple(range(len(shape) - n, len(shape))))


def reshape(
    operand: Any,
    new_sizes: Any,
    dimensions: Sequence[int] | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """``operand`` with its elements, in row-major order, in an array of shape ``new_sizes``.

    Parameters
    ----------
    operand : array_like
    new_sizes : int or sequence of int
        Their product is the number of elements; none is inferred.
    dimensions : sequence of int, optional
        The order in which the operand's dimensions are read.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    TypeError or ValueError
        If the number of elements differs.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reshape(np.array([[1, 2, 3], [4, 5, 6]]), (3, 2))
    Array([[1, 2],
           [3, 4],
           [5, 6]], dtype=int32)
    >>> lax.reshape(np.array([[1, 2, 3], [4, 5, 6]]), (6,), (1, 0))
    Array([1, 4, 2, 5, 3, 6], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(reshape, locals())
    x = as_operand(operand, "reshape")
    sizes = canonical_shape(new_sizes, "new_sizes")
    if dimensions is not None:
        x = structural.transpose(x, canonical_axes(dimensions, aval_of(x)))
    if aval_of(x).shape == sizes:
        return as_array(x)
    return reshape_p.bind(x, new_sizes=sizes)


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """``operand`` with dimension ``i`` taken from its dimension ``permutation[i]``.

    Parameters
    ----------
    operand : array_like
    permutation : sequence of int

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If ``permutation`` is not one of the dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.transpose(np.array([[1, 2, 3], [4, 5, 6]]), (1, 0))
    Array([[1, 4],
           [2, 5],
           [3, 6]], dtype=int32)
    """
    x = as_operand(operand, "transpose")
    perm = tuple(operator.index(p) for p in permutation)
    if perm == tuple(range(len(aval_of(x).shape))):
        return as_array(x)
    return transpose_p.bind(x, permutation=perm)


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """``array`` without the given dimensions, which have size 1.

    Parameters
    ----------
    array : array_like
    dimensions : sequence of int
        Negative ones count from the end.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a dimension does not have size 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.squeeze(np.array([[[1, 2]]]), (0, -2))
    Array([1, 2], dtype=int32)
    """
    x = as_operand(array, "squeeze")
    dims = canonical_axes(tuple(dimensions), aval_of(x), "dimensions")
    return squeeze_p.bind(x, dimensions=tuple(sorted(dims))) if dims else as_array(x)


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """``array`` with new dimensions of size 1 at the given positions of the result.

    Parameters
    ----------
    array : array_like
    dimensions : sequence of int
        Negative ones count from the end of the result.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a position is named twice or does not exist.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.expand_dims(np.array([1, 2]), (0, 2)).shape
    (1, 2, 1)
    """
    x = as_operand(array, "expand_dims")
    shape = aval_of(x).shape
    rank = len(shape) + len(tuple(dimensions))
    dims = canonical_axes(tuple(dimensions), rank, "dimensions")
    if not dims:
        return as_array(x)
    sizes = list(shape)
    for d in sorted(dims):
        sizes.insert(d, 1)
    keep = tuple(i for i in range(rank) if i not in dims)
    return broadcast_in_dim_p.bind(x, shape=tuple(sizes), broadcast_dimensions=keep)


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """``operand`` with dimensions ``start`` up to (not including) ``stop`` merged into one.

    Parameters
    ----------
    operand : array_like
    start_dimension : int
        Negative ones count from the end.
    stop_dimension : int, optional
        By default all dimensions from the start on are merged.

    Returns
    -------
    Array
        If ``start`` is ``stop``, with a new dimension of size 1.

    Raises
    ------
    ValueError
        If ``stop`` lies before ``start``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.collapse(np.zeros((2, 3, 4, 5)), 1, 3).shape
    (2, 12, 5)
    """
    x = as_array(operand, "collapse")
    lo, hi, _ = slice_indices(start_dimension, stop_dimension, x.ndim)
    if hi < lo:
        raise ValueError(
            f"collapse of dimensions {start_dimension} to {stop_dimension} of {x.aval.str_short()}"
        )
    return reshape(x, (*x.shape[:lo], product(x.shape[lo:hi]), *x.shape[hi:]))


def slice_indices(start: int, stop: int | None, n: int) -> tuple[int, int, int]:
    import builtins

    return builtins.slice(start, stop).indices(n)


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """``operand`` with the order of elements reversed along ``dimensions``.

    Parameters
    ----------
    operand : array_like
    dimensions : sequence of int
        Negative ones count from the end.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.rev(np.array([[1, 2], [3, 4]]), (1,))
    Array([[2, 1],
           [4, 3]], dtype=int32)
    """
    x = as_operand(operand, "rev")
    dims = canonical_axes(tuple(dimensions), aval_of(x), "dimensions")
    return rev_p.bind(x, dimensions=dims) if dims else as_array(x)


def concatenate(operands: Any, dimension: int) -> Any:
    """Arrays of one dtype joined along ``dimension``.

    Parameters
    ----------
    operands : sequence of array_like
        Of one dtype, and of shapes that are equal but along ``dimension``. An array stands for its
        rows.
    dimension : int

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there are no operands.
    TypeError
        If dtypes or shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.concatenate([np.array([1, 2]), np.array([3])], 0)
    Array([1, 2, 3], dtype=int32)
    """
    if isinstance(operands, (Array, Tracer, np.ndarray)):
        operands = list(operands)  # type: ignore[arg-type]
    if not operands:
        raise ValueError(f"concatenate needs at least one array{at_user_line()}")
    xs = [as_operand(x, "concatenate") for x in operands]
    if len(xs) == 1:
        return as_array(xs[0])
    return concatenate_p.bind(*xs, dimension=int(dimension))


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape and dtype joined along a new dimension.

    Parameters
    ----------
    operands : sequence of array_like
    axis : int
        Position of the new dimension; negative ones count from the end of the result.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there are no operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.stack([np.array([1, 2]), np.array([3, 4])], axis=1)
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    xs = [as_array(x, "stack") for x in operands]
    if not xs:
        raise ValueError(f"stack needs at least one array{at_user_line()}")
    axis = canonical_axis(axis, xs[0].ndim + 1)
    return concatenate([expand_dims(x, (axis,)) for x in xs], axis)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The subarrays of ``x`` at each position along ``axis``.

    Parameters
    ----------
    x : array_like
    axis : int
        Negative ones count from the end.

    Returns
    -------
    tuple of Array
        Without that axis.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.unstack(np.array([[1, 2], [3, 4]]), axis=1)
    (Array([1, 3], dtype=int32), Array([2, 4], dtype=int32))
    """
    x = as_array(x, "unstack")
    axis = canonical_axis(axis, x)
    return tuple(
        squeeze(slice_in_dim(x, i, i + 1, axis=axis), (axis,)) for i in range(x.shape[axis])
    )


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Consecutive pieces of ``operand`` along ``axis``, of the given sizes.

    Parameters
    ----------
    operand : array_like
    sizes : sequence of int
    axis : int
        Negative ones count from the end.

    Returns
    -------
    list of Array

    Raises
    ------
    ValueError
        If the sizes do not add up to that of the axis.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.split(np.array([1, 2, 3, 4, 5]), (2, 3))
    [Array([1, 2], dtype=int32), Array([3, 4, 5], dtype=int32)]
    """
    x = as_array(operand, "split")
    axis = canonical_axis(axis, x)
    sizes = canonical_shape(tuple(sizes), "sizes")
    if sum(sizes) != x.shape[axis]:
        raise ValueError(
            f"split of {x.aval.str_short()} along axis {axis} into sizes {sizes}, whose sum is "
            f"{sum(sizes)}{at_user_line()}"
        )
    out, at = [], 0
    for n in sizes:
        out.append(slice_in_dim(x, at, at + n, axis=axis))
        at += n
    return out


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """``operand`` repeated ``reps[i]`` times along dimension ``i``.

    Parameters
    ----------
    operand : array_like
    reps : sequence of int
        One for each dimension.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the number of repetitions is not that of the dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.tile(np.array([[1, 2]]), (2, 3))
    Array([[1, 2, 1, 2, 1, 2],
           [1, 2, 1, 2, 1, 2]], dtype=int32)
    """
    x = as_array(operand, "tile")
    reps = canonical_shape(tuple(reps), "reps")
    if len(reps) != x.ndim:
        raise ValueError(
            f"tile of {x.aval.str_short()} needs one repetition per dimension, got {reps}"
            f"{at_user_line()}"
        )
    if all(r == 1 for r in reps):
        return x
    shape: list[int] = []
    dims = []
    for r, s in zip(reps, x.shape, strict=True):
        if r != 1:
            shape.append(r)
        dims.append(len(shape))
        shape.append(s)
    out = broadcast_in_dim_p.bind(x, shape=tuple(shape), broadcast_dimensions=tuple(dims))
    return reshape(out, tuple(r * s for r, s in zip(reps, x.shape, strict=True)))


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """``operand`` with padding before, after and between its elements.

    Parameters
    ----------
    operand : array_like
    padding_value : scalar of the operand's dtype
    padding_config : sequence of (low, high, interior)
        One triple per dimension; negative ``low`` and ``high`` cut elements off.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.pad(np.array([1, 2, 3]), 0, [(1, 2, 1)])
    Array([0, 1, 0, 2, 0, 3, 0, 0], dtype=int32)
    >>> lax.pad(np.array([1, 2, 3]), 0, [(-1, 0, 0)])
    Array([2, 3], dtype=int32)
    """
    x = as_operand(operand, "pad")
    value = padding_value
    if type(value) in PY_SCALARS:
        value = weak_operand("pad", value, x)
    config = tuple(
        tuple([k if type(k) is DimExpr else int(k) for k in widths]) for widths in padding_config
    )
    return pad_p.bind(x, as_operand(value, "pad"), padding_config=config)


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """Array of ``shape`` filled with the scalar ``fill_value``.

    Parameters
    ----------
    shape : int or sequence of int
    fill_value : scalar
    dtype : dtype, optional
        By default that of ``fill_value``.
    sharding : Sharding, optional
        Where the array is, or how it is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If ``fill_value`` is not a scalar.
    OverflowError
        If it is a Python integer that the dtype does not hold.

    Examples
    --------
    >>> from covector import lax
    >>> lax.full((2, 2), 7)
    Array([[7, 7],
           [7, 7]], dtype=int32, weak_type=True)
    """
    if sharding is not None:
        return laid(full(shape, fill_value, dtype), sharding, "full")
    shape = canonical_shape(shape)
    x = as_operand(fill_value, "full")
    aval = aval_of(x)
    if aval.shape:
        raise TypeError(
            f"full takes a scalar to fill with, got {aval.str_short()}; see "
            f"covector.numpy.full{at_user_line()}"
        )
    weak = dtype is None and aval.weak_type
    dt = aval.dtype if dtype is None else dtypes.canonicalize_dtype(dtype)
    if isinstance(x, (Tracer, Array)):
        x = convert(x, dt, weak)
    elif dtypes.is_extended(dt):
        # Each of the words that a key consists of.
        words = structural.full((2,), _value_in(x, dtypes.uint32), dtypes.uint32)
        x = bitcast_convert_type_p.bind(words, new_dtype=dt)
    else:
        x = structural.scalar(_value_in(x, dt), dt, weak)
    return broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=()) if shape else x


def _value_in(x: Any, dtype: Any) -> Any:
    if type(x) is int and dtype in dtypes.INTEGERS:
        dtypes.check_fits(x, dtype)
        return x
    if type(x) is int and dtype in dtypes.INEXACT and dtype not in dtypes.ROUNDED:
        return float(x)
    v = np.asarray(x)
    if v.dtype.kind == "c" and not dtypes.is_complex(dtype):
        v = v.real
    return dtypes.cast(v, dtype).item()


def full_like(
    x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None
) -> Any:
    """Array like ``x``, filled with the scalar ``fill_value``.

    Parameters
    ----------
    x : array_like
        Only its shape and dtype count; an object with these attributes will do.
    fill_value : scalar
    dtype : dtype, optional
        By default that of ``x``.
    shape : int or sequence of int, optional
        By default that of ``x``.
    sharding : Sharding, optional
        Where the array is, or how it is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.full_like(np.array([1.0, 2.0]), 7)
    Array([7., 7.], dtype=float32)
    """
    if sharding is not None:
        return laid(full_like(x, fill_value, dtype, shape), sharding, "full_like")
    new_shape = np.shape(x) if shape is None and not hasattr(x, "shape") else (
        x.shape if shape is None else canonical_shape(shape)
    )  # fmt: skip
    if dtype is None and dtypes.is_extended(getattr(x, "dtype", None)):
        dtype = x.dtype
    dt = aval_of(x).dtype if dtype is None and not hasattr(x, "dtype") else (
        x.dtype if dtype is None else dtype
    )  # fmt: skip
    out = full(new_shape, fill_value, dt)
    if dtype is None and getattr(x, "weak_type", False):
        out = convert(out, out.dtype, True)
    return like(out, x, shape)


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Any:
    """Array of zeros: memory is never handed out uninitialised.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : dtype
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector import lax
    >>> lax.empty((2,), "int32")
    Array([0, 0], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(empty, locals())
    return full(shape, 0, dtype)


def iota(dtype: Any, size: int) -> Any:
    """``[0, 1, …, size - 1]``.

    Parameters
    ----------
    dtype : dtype
        Of numbers.
    size : int

    Returns
    -------
    Array
        Of one dimension.

    Examples
    --------
    >>> from covector import lax
    >>> lax.iota("float32", 3)
    Array([0., 1., 2.], dtype=float32)
    """
    return iota_p.bind(
        dtype=dtypes.canonicalize_dtype(dtype), shape=canonical_shape(size, "size"), dimension=0
    )


def broadcasted_iota(dtype: Any, shape: Any, dimension: int, *, out_sharding: Any = None) -> Any:
    """Array of ``shape`` whose elements are their index along ``dimension``.

    Parameters
    ----------
    dtype : dtype
        Of numbers.
    shape : int or sequence of int
    dimension : int
        Negative ones count from the end.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector import lax
    >>> lax.broadcasted_iota("int32", (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(broadcasted_iota, locals())
    shape = canonical_shape(shape)
    return iota_p.bind(
        dtype=dtypes.canonicalize_dtype(dtype),
        shape=shape,
        dimension=canonical_axis(dimension, len(shape), "dimension"),
    )


def shape_as_value(shape: Any) -> Any:
    """A shape as a vector of integers.

    Parameters
    ----------
    shape : int or sequence of int

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector import lax
    >>> lax.shape_as_value((2, 3))
    Array([2, 3], dtype=int32)
    """
    return to_array(np.asarray(canonical_shape(shape), dtypes.default_int()))
