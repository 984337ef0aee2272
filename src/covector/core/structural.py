"""The few operations that transformations themselves bind: tangent sums, broadcasts, transposes.

Their derivative and batching rules stand in `covector.lax` with those of all other primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.dtypes import DType
from covector.core.errors import at_user_line
from covector.core.trace import Primitive

add_any_p = Primitive("add_any")
broadcast_in_dim_p = Primitive("broadcast_in_dim")
transpose_p = Primitive("transpose")
reduce_sum_p = Primitive("reduce_sum")
convert_element_type_p = Primitive("convert_element_type")
optimization_barrier_p = Primitive("optimization_barrier", multiple_results=True)

optimization_barrier_p.def_abstract_eval(lambda *xs: list(xs))


@add_any_p.def_abstract_eval
def _add_any_aval(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if x.shape != y.shape or x.dtype != y.dtype:
        raise TypeError(f"add_any takes operands of one type, got {x.str_short()}, {y.str_short()}")
    return x if not x.weak_type else y


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


@transpose_p.def_abstract_eval
def _transpose_aval(x: ShapedArray, *, permutation: tuple[int, ...]) -> ShapedArray:
    shape = x.shape
    if sorted(permutation) != list(range(len(shape))):
        raise TypeError(
            f"transpose of {x.str_short()}: {permutation} is not a permutation of its "
            f"{len(shape)} dimensions{at_user_line()}"
        )
    return ShapedArray(tuple([shape[i] for i in permutation]), x.dtype, x.weak_type)


@reduce_sum_p.def_abstract_eval
def _reduce_sum_aval(x: ShapedArray, *, axes: tuple[int, ...]) -> ShapedArray:
    n = len(x.shape)
    if len(set(axes)) != len(axes) or any(not 0 <= a < n for a in axes):
        raise ValueError(
            f"reduce_sum of {x.str_short()} over axes {axes}: axes must be distinct and lie in "
            f"[0, {n}){at_user_line()}"
        )
    shape = tuple([s for i, s in enumerate(x.shape) if i not in axes])
    return ShapedArray(shape, x.dtype, x.weak_type)


@convert_element_type_p.def_abstract_eval
def _convert_aval(x: ShapedArray, *, new_dtype: DType, weak_type: bool) -> ShapedArray:
    if dtypes.is_extended(x.dtype) != dtypes.is_extended(new_dtype):
        raise TypeError(
            f"convert_element_type of {x.str_short()} to {new_dtype}: PRNG keys do not convert to "
            f"other types; see random.key_data and random.wrap_key_data{at_user_line()}"
        )
    return ShapedArray(x.shape, new_dtype, weak_type)


def add_any(x: Any, y: Any) -> Any:
    """Sum of two tangents or cotangents of one type."""
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
    """Array of zeros of type ``aval`` (a NumPy array for ``float0``)."""
    if aval.dtype == dtypes.float0:
        return np.zeros(aval.shape, dtypes.float0)
    if dtypes.is_extended(aval.dtype):
        key = _native.array_from_buffer(
            np.zeros((), np.uint64), dtypes.code_of[aval.dtype], (), False, False
        )
        return broadcast_in_dim(key, aval.shape, ())
    return full(aval.shape, 0, aval.dtype)
