"""The few primitives that transformations themselves bind, with all their rules.

Sums of tangents, broadcasts, transposes, reshapes, sums, conversions, barriers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.dims import DimExpr
from covector.core.dtypes import DType
from covector.core.errors import InconclusiveDimensionOperation, at_user_line
from covector.core.opspec import UNIT, OpSpec
from covector.core.rules import Zero, add_row, batching_rules, jvp_rules, transpose_rules
from covector.core.trace import Primitive, current_trace, eval_trace

add_any_p = Primitive("add_any")
broadcast_in_dim_p = Primitive("broadcast_in_dim")
transpose_p = Primitive("transpose")
reshape_p = Primitive("reshape")
reduce_sum_p = Primitive("reduce_sum")
convert_element_type_p = Primitive("convert_element_type")
optimization_barrier_p = Primitive("optimization_barrier", multiple_results=True)


def add_any(x: Any, y: Any) -> Any:
    """Sum of two tangents or cotangents of one type.

    Parameters
    ----------
    x, y : array_like

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector.interpreters import ad
    >>> ad.add_jaxvals(1.0, 2.0)
    Array(3., dtype=float32, weak_type=True)
    """
    return add_any_p.bind_params((x, y), {})


def broadcast_in_dim(x: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Any:
    """Array of ``shape`` in which ``x`` lies along ``broadcast_dimensions``."""
    shape = tuple(shape)
    if aval_of(x).shape == shape and len(broadcast_dimensions) == len(shape):
        return x
    return broadcast_in_dim_p.bind_params(
        (x,), {"shape": shape, "broadcast_dimensions": tuple(broadcast_dimensions)}
    )


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """Permute dimensions: dimension ``i`` of the result is ``permutation[i]`` of ``x``."""
    permutation = tuple(permutation)
    if permutation == tuple(range(len(permutation))):
        return x
    return transpose_p.bind_params((x,), {"permutation": permutation})


def reshape(x: Any, shape: Shape) -> Any:
    """``x`` with its elements, in row-major order, in an array of ``shape``."""
    return x if aval_of(x).shape == shape else reshape_p.bind_params((x,), {"new_sizes": shape})


def moveaxis(x: Any, src: int, dst: int) -> Any:
    """Move dimension ``src`` to position ``dst``, keeping the order of the others."""
    if src == dst:
        return x
    perm = list(range(len(aval_of(x).shape)))
    perm.insert(dst, perm.pop(src))
    return transpose_p.bind_params((x,), {"permutation": tuple(perm)})


def reduce_sum(x: Any, axes: Sequence[int]) -> Any:
    """Sum over ``axes`` (non-negative)."""
    return reduce_sum_p.bind_params((x,), {"axes": tuple(axes)}) if axes else x


def convert_element_type(x: Any, dtype: DType, weak_type: bool = False) -> Any:
    """``x`` in another canonical dtype; ``x`` itself if it has that type already."""
    aval = aval_of(x)
    if aval.dtype == dtype and aval.weak_type == weak_type and hasattr(x, "aval"):
        return x
    return convert_element_type_p.bind_params(
        (x,), {"new_dtype": dtype, "weak_type": bool(weak_type)}
    )


def _size_as_array(d: DimExpr) -> Any:
    if current_trace() is eval_trace:
        raise InconclusiveDimensionOperation(
            f"the size {d} has a value only where a function is traced for export{at_user_line()}"
        )
    params = {"new_dtype": d.dtype, "weak_type": True}
    return convert_element_type_p.bind_params((d,), params)


DimExpr.__jax_array__ = _size_as_array  # type: ignore[method-assign, assignment]


def scalar(value: Any, dtype: DType, weak_type: bool = False) -> Any:
    """Rank-0 array of a canonical dtype."""
    if dtype == dtypes.bool_:
        value = bool(value)
    return _native.array_from_scalar(value, dtypes.code_of[dtype], weak_type)


def full(shape: Shape, value: Any, dtype: DType) -> Any:
    """Array filled with the Python scalar ``value``."""
    x = scalar(value, dtype)
    if not shape:
        return x
    return broadcast_in_dim_p.bind_params((x,), {"shape": shape, "broadcast_dimensions": ()})


def zeros(aval: ShapedArray) -> Any:
    """Array of zeros of type ``aval`` (a NumPy array for ``float0``).

    Parameters
    ----------
    aval : ShapedArray

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.interpreters.ad.zeros_like_aval(cv.core.ShapedArray((2,), "float32"))
    Array([0., 0.], dtype=float32)
    """
    if aval.dtype == dtypes.float0:
        # It has no values: a symbolic size may be any.
        return np.zeros([d if type(d) is int else 1 for d in aval.shape], dtypes.float0)
    if dtypes.is_extended(aval.dtype):
        key = _native.array_from_buffer(
            np.zeros((), np.uint64), dtypes.code_of[aval.dtype], (), False, False
        )
        return broadcast_in_dim(key, aval.shape, ())
    return full(aval.shape, 0, aval.dtype)


# --- tangents, cotangents and mapped axes ------------------------------------------------


def instantiate(tangent: Any) -> Any:
    """An array for a tangent: zeros if it is a `Zero`.

    Parameters
    ----------
    tangent : array_like or Zero

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> ad.instantiate_zeros(ad.Zero(cv.core.ShapedArray((2,), "float32")))
    Array([0., 0.], dtype=float32)
    """
    return zeros(tangent.aval) if type(tangent) is Zero else tangent


def fill_zeros(
    primals: Sequence[Any], nonzero: Sequence[bool], tangents: Iterable[Any]
) -> list[Any]:
    """A tangent for each of ``primals``: the next of ``tangents`` where it is not zero."""
    rest = iter(tangents)
    return [next(rest) if nz else Zero.of(x) for x, nz in zip(primals, nonzero, strict=True)]


def add_tangents(x: Any, y: Any) -> Any:
    """Sum of two tangents or cotangents, either of which may be `Zero`.

    Parameters
    ----------
    x, y : array_like or Zero

    Returns
    -------
    Array or Zero

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import ad
    >>> ad.add_tangents(ad.Zero(cv.typeof(1.0)), 2.0)
    2.0
    """
    if type(x) is Zero:
        return y
    if type(y) is Zero:
        return x
    return add_any(x, y)


def sum_to(ct: Any, aval: ShapedArray) -> Any:
    """Sum ``ct`` to rank 0 if the operand, of type ``aval``, was a rank-0 one that broadcast."""
    if not aval.shape:
        shape = aval_of(ct).shape
        if shape:
            return reduce_sum(ct, tuple(range(len(shape))))
    return ct


def broadcast_dim(x: Any, size: int, dst: int) -> Any:
    """Repeat ``x`` along a new dimension of ``size`` at position ``dst``."""
    shape = list(aval_of(x).shape)
    shape.insert(dst, size)
    return broadcast_in_dim(x, shape, [i for i in range(len(shape)) if i != dst])


def bring_dim(x: Any, size: int, src: int | None, dst: int) -> Any:
    """``x`` with its mapped axis at ``dst``, repeated along it if it is not mapped."""
    return broadcast_dim(x, size, dst) if src is None else moveaxis(x, src, dst)


def mapped_first(args: Sequence[Any], dims: Sequence[int | None]) -> list[Any]:
    """``args`` with the mapped axes, of those that have one, in front."""
    return [x if d is None else moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True)]


# --- rules: add_any ----------------------------------------------------------------------

Batched = tuple[Any, int | None]
Dims = Sequence[int | None]


@add_any_p.def_abstract_eval
def _add_any_aval(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise TypeError(f"add_any takes operands of one type, got {x.str_short()}, {y.str_short()}")
    return x if not x.weak_type else y


def _add_any_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    return add_any(*primals), add_tangents(*tangents)


def _add_any_batch(axis_size: int, args: Sequence[Any], dims: Dims) -> Batched:
    d = dims[0] if dims[0] is not None else dims[1]
    assert d is not None
    x, y = (bring_dim(x, axis_size, src, d) for x, src in zip(args, dims, strict=True))
    return add_any(x, y), d


jvp_rules[add_any_p] = _add_any_jvp
transpose_rules[add_any_p] = lambda ct, x, y: [ct, ct]
batching_rules[add_any_p] = _add_any_batch
add_row(add_any_p, OpSpec("add_any", 2, "numeric", domain=(UNIT, UNIT)))


def _def_linear(prim: Primitive) -> None:
    """The derivative of a linear primitive of one operand."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        (t,) = tangents
        return out, Zero.of(out) if type(t) is Zero else prim.bind_params((t,), params)

    jvp_rules[prim] = jvp


# --- rules: broadcast_in_dim -------------------------------------------------------------


@broadcast_in_dim_p.def_abstract_eval
def _broadcast_in_dim_aval(
    x: ShapedArray, *, shape: Shape, broadcast_dimensions: tuple[int, ...]
) -> ShapedArray:
    last = -1
    n = len(shape)
    ok = len(broadcast_dimensions) == len(x.shape)
    if ok:
        for size, d in zip(x.shape, broadcast_dimensions, strict=True):
            if not last < d < n or (size != shape[d] and size != 1):
                ok = False
                break
            last = d
    if not ok:
        raise TypeError(
            f"broadcast_in_dim of {x.str_short()} to shape {shape} along dimensions "
            f"{broadcast_dimensions}: there must be one dimension of the result for each of the "
            "operand's, in increasing order, each of the operand's size or with the operand's "
            f"of size 1{at_user_line()}"
        )
    return ShapedArray(shape, x.dtype, x.weak_type)


def _broadcast_transpose(
    ct: Any, x: Any, *, shape: Shape, broadcast_dimensions: tuple[int, ...]
) -> list[Any]:
    old = x.aval.shape
    grown = [d for size, d in zip(old, broadcast_dimensions, strict=True) if size == 1 != shape[d]]
    axes = [d for d in range(len(shape)) if d not in broadcast_dimensions] + grown
    return [reshape(reduce_sum(ct, sorted(axes)), old)]


def _broadcast_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Dims,
    *,
    shape: Shape,
    broadcast_dimensions: tuple[int, ...],
) -> Batched:
    out = broadcast_in_dim_p.bind(
        bring_dim(args[0], axis_size, dims[0], 0),
        shape=(axis_size, *shape),
        broadcast_dimensions=(0, *[d + 1 for d in broadcast_dimensions]),
    )
    return out, 0


_def_linear(broadcast_in_dim_p)
transpose_rules[broadcast_in_dim_p] = _broadcast_transpose
batching_rules[broadcast_in_dim_p] = _broadcast_batch


# --- rules: transpose --------------------------------------------------------------------


@transpose_p.def_abstract_eval
def _transpose_aval(x: ShapedArray, *, permutation: tuple[int, ...]) -> ShapedArray:
    shape = x.shape
    if sorted(permutation) != list(range(len(shape))):
        raise TypeError(
            f"transpose of {x.str_short()}: {permutation} is not a permutation of its "
            f"{len(shape)} dimensions{at_user_line()}"
        )
    return ShapedArray(tuple([shape[i] for i in permutation]), x.dtype, x.weak_type)


def _transpose_transpose(ct: Any, x: Any, *, permutation: tuple[int, ...]) -> list[Any]:
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return [transpose(ct, inverse)]


def _transpose_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], *, permutation: tuple[int, ...]
) -> Batched:
    d = dims[0]
    return transpose(args[0], (d, *[p + (p >= d) for p in permutation])), 0


_def_linear(transpose_p)
transpose_rules[transpose_p] = _transpose_transpose
batching_rules[transpose_p] = _transpose_batch


# --- rules: reshape ----------------------------------------------------------------------


@reshape_p.def_abstract_eval
def _reshape_aval(x: ShapedArray, *, new_sizes: Shape) -> ShapedArray:
    if math.prod(x.shape) != math.prod(new_sizes):
        raise TypeError(
            f"cannot reshape {x.str_short()}, of {math.prod(x.shape)} elements, into shape "
            f"{new_sizes}, of {math.prod(new_sizes)}{at_user_line()}"
        )
    return ShapedArray(new_sizes, x.dtype, x.weak_type)


def _reshape_batch(axis_size: int, args: Sequence[Any], dims: Dims, *, new_sizes: Shape) -> Batched:
    x = bring_dim(args[0], axis_size, dims[0], 0)
    return reshape_p.bind(x, new_sizes=(axis_size, *new_sizes)), 0


_def_linear(reshape_p)
transpose_rules[reshape_p] = lambda ct, x, *, new_sizes: [reshape(ct, x.aval.shape)]
batching_rules[reshape_p] = _reshape_batch


# --- rules: reduce_sum -------------------------------------------------------------------


@reduce_sum_p.def_abstract_eval
def _reduce_sum_aval(x: ShapedArray, *, axes: tuple[int, ...]) -> ShapedArray:
    if dtypes.is_extended(x.dtype):
        raise TypeError(
            f"reduce_sum takes numbers, but the operand is {x.str_short()}; see random.key_data"
            f"{at_user_line()}"
        )
    n = len(x.shape)
    if len(set(axes)) != len(axes) or any(not 0 <= a < n for a in axes):
        raise ValueError(
            f"reduce_sum of {x.str_short()} over axes {axes}: axes must be distinct and lie in "
            f"[0, {n}){at_user_line()}"
        )
    shape = tuple([s for i, s in enumerate(x.shape) if i not in axes])
    return ShapedArray(shape, x.dtype, x.weak_type)


def _sum_transpose(ct: Any, x: Any, *, axes: tuple[int, ...]) -> list[Any]:
    shape = x.aval.shape
    return [broadcast_in_dim(ct, shape, [i for i in range(len(shape)) if i not in axes])]


def _sum_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], *, axes: tuple[int, ...]
) -> Batched:
    d = dims[0]
    moved = tuple([a + (a >= d) for a in axes])
    return reduce_sum_p.bind(args[0], axes=moved), d - sum(a < d for a in moved)


_def_linear(reduce_sum_p)
transpose_rules[reduce_sum_p] = _sum_transpose
batching_rules[reduce_sum_p] = _sum_batch


# --- rules: convert_element_type ---------------------------------------------------------


@convert_element_type_p.def_abstract_eval
def _convert_aval(x: ShapedArray, *, new_dtype: DType, weak_type: bool) -> ShapedArray:
    if dtypes.is_extended(x.dtype) != dtypes.is_extended(new_dtype):
        raise TypeError(
            f"convert_element_type of {x.str_short()} to {new_dtype}: PRNG keys do not convert to "
            f"other types; see random.key_data and random.wrap_key_data{at_user_line()}"
        )
    return ShapedArray(x.shape, new_dtype, weak_type)


def _convert_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, new_dtype: DType, weak_type: bool
) -> tuple[Any, Any]:
    (x,), (g,) = primals, tangents
    out = convert_element_type_p.bind(x, new_dtype=new_dtype, weak_type=weak_type)
    if type(g) is Zero or not dtypes.is_inexact(new_dtype):
        return out, Zero.of(out)
    return out, convert_element_type(g, new_dtype, weak_type)


def _convert_transpose(ct: Any, x: Any, *, new_dtype: DType, weak_type: bool) -> list[Any]:
    # Of a complex cotangent of a real number the real part counts: conversion keeps just that.
    return [convert_element_type(ct, x.aval.dtype, x.aval.weak_type)]


def _convert_batch(axis_size: int, args: Sequence[Any], dims: Dims, **params: Any) -> Batched:
    return convert_element_type_p.bind_params(args, params), dims[0]


jvp_rules[convert_element_type_p] = _convert_jvp
transpose_rules[convert_element_type_p] = _convert_transpose
batching_rules[convert_element_type_p] = _convert_batch
add_row(
    convert_element_type_p,
    OpSpec("convert_element_type", 1, "a number or boolean", complex_cost=1, domain=(UNIT,)),
)


# --- rules: optimization_barrier ---------------------------------------------------------

optimization_barrier_p.def_abstract_eval(lambda *xs: list(xs))


def _barrier_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    out = optimization_barrier_p.bind(*primals)
    live = [t for t in tangents if type(t) is not Zero]
    moved = iter(optimization_barrier_p.bind(*live) if live else ())
    return out, [t if type(t) is Zero else next(moved) for t in tangents]


jvp_rules[optimization_barrier_p] = _barrier_jvp
transpose_rules[optimization_barrier_p] = lambda cts, *xs: optimization_barrier_p.bind(
    *[instantiate(ct) for ct in cts]
)
batching_rules[optimization_barrier_p] = lambda axis_size, args, dims: (
    optimization_barrier_p.bind(*args),
    list(dims),
)
