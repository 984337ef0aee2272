"""Sorting and selection: `sort`, `top_k`, `partition`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import bring_dim
from covector.core.trace import Primitive
from covector.primitives.common import ORDERED, check_dtype
from covector.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, gather_p
from covector.primitives.structure import broadcasted_iota, expand_dims

sort_p = Primitive("sort", multiple_results=True)
top_k_p = Primitive("top_k", multiple_results=True)
# Operands x and ranks, of any number along the axis; results x, parted there, and the indices in x
# of its elements, of which those between two ranks, and equal ones, keep their order.
partition_p = Primitive("partition", multiple_results=True)


# --- constructors: what rules bind ---------------------------------------------------------


def sort(xs: Sequence[Any], dimension: int, num_keys: int = 1) -> list[Any]:
    """Arrays sorted along ``dimension`` by the first ``num_keys`` of them."""
    return sort_p.bind(*xs, dimension=dimension, is_stable=True, num_keys=num_keys)


@sort_p.def_abstract_eval
def _sort_aval(
    *xs: ShapedArray, dimension: int, is_stable: bool, num_keys: int
) -> list[ShapedArray]:
    shape = xs[0].shape
    if any(x.shape != shape for x in xs):
        raise TypeError(
            f"sort takes arrays of one shape, got {', '.join(x.str_short() for x in xs)}"
            f"{at_user_line()}"
        )
    if not 0 <= dimension < len(shape):
        raise ValueError(
            f"sort of {xs[0].str_short()} along dimension {dimension}, which does not exist"
            f"{at_user_line()}"
        )
    if any(dtypes.is_extended(x.dtype) for x in xs[:num_keys]):
        raise TypeError(f"sort: PRNG keys have no order; see random.key_data{at_user_line()}")
    if not 1 <= num_keys <= len(xs):
        raise ValueError(
            f"sort of {len(xs)} arrays by num_keys={num_keys}: needs 1 to {len(xs)}{at_user_line()}"
        )
    return list(xs)


@top_k_p.def_abstract_eval
def _top_k_aval(x: ShapedArray, *, k: int, axis: int) -> list[ShapedArray]:
    check_dtype("top_k", x, ORDERED)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(
            f"top_k of {x.str_short()} along axis {axis}: k={k} must lie between 0 and "
            f"{x.shape[axis]}{at_user_line()}"
        )
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return [ShapedArray(shape, x.dtype, x.weak_type), ShapedArray(shape, dtypes.int32)]


@partition_p.def_abstract_eval
def _partition_aval(x: ShapedArray, ranks: ShapedArray, *, axis: int) -> list[ShapedArray]:
    check_dtype("partition", x, ORDERED)
    if ranks.dtype != dtypes.int32:
        raise TypeError(f"partition takes ranks of int32, got {ranks.str_short()}{at_user_line()}")
    if not 0 <= axis < x.ndim:
        raise ValueError(
            f"partition of {x.str_short()} along axis {axis}, which does not exist{at_user_line()}"
        )
    rows = (*x.shape[:axis], *x.shape[axis + 1 :])
    if ranks.ndim != x.ndim or (*ranks.shape[:axis], *ranks.shape[axis + 1 :]) != rows:
        raise TypeError(
            f"partition of {x.str_short()} along axis {axis} takes ranks of the same rows, got "
            f"{ranks.str_short()}{at_user_line()}"
        )
    return [x, ShapedArray(x.shape, dtypes.int32)]


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """``x`` at ``indices`` along ``axis``, all other dimensions running together."""
    shape = aval_of(x).shape
    others = tuple(i for i in range(len(shape)) if i != axis)
    return gather_p.bind(
        x,
        expand_dims(indices, len(shape)),
        dimension_numbers=GatherDimensionNumbers(
            offset_dims=(),
            collapsed_slice_dims=(axis,),
            start_index_map=(axis,),
            operand_batching_dims=others,
            start_indices_batching_dims=others,
        ),
        slice_sizes=tuple(min(1, n) for n in shape),
        indices_are_sorted=False,
        unique_indices=False,
        mode=GatherScatterMode.PROMISE_IN_BOUNDS,
        fill_value=None,
    )


def _sort_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, dimension: int, **params: Any
) -> tuple[Any, Any]:
    shape = aval_of(primals[0]).shape
    positions = broadcasted_iota(dtypes.int32, shape, dimension)
    *out, order = sort_p.bind(*primals, positions, dimension=dimension, **params)
    out_tangents = [
        Zero.of(x) if type(g) is Zero else take_along(g, order, dimension)
        for x, g in zip(out, tangents, strict=True)
    ]
    return out, out_tangents


def _top_k_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, k: int, axis: int
) -> tuple[Any, Any]:
    (x,), (g,) = primals, tangents
    values, indices = top_k_p.bind(x, k=k, axis=axis)
    tangent = Zero.of(values) if type(g) is Zero else take_along(g, indices, axis)
    return [values, indices], [tangent, Zero.of(indices)]


def _partition_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, axis: int
) -> tuple[Any, Any]:
    values, indices = partition_p.bind(*primals, axis=axis)
    g = tangents[0]
    tangent = Zero.of(values) if type(g) is Zero else take_along(g, indices, axis)
    return [values, indices], [tangent, Zero.of(indices)]


jvp_rules[sort_p] = _sort_jvp
jvp_rules[partition_p] = _partition_jvp
jvp_rules[top_k_p] = _top_k_jvp


def _sort_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    dimension: int,
    **params: Any,
) -> tuple[list[Any], list[int]]:
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    out = sort_p.bind(*xs, dimension=dimension + 1, **params)
    return out, [0] * len(out)


def _top_k_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], *, k: int, axis: int
) -> tuple[list[Any], list[int | None]]:
    d = dims[0]
    out = top_k_p.bind(args[0], k=k, axis=axis + (axis >= d))
    return out, [d, d]


def _partition_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, axis: int
) -> tuple[list[Any], list[int]]:
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    return partition_p.bind(*xs, axis=axis + 1), [0, 0]


batching_rules[sort_p] = _sort_batch
batching_rules[partition_p] = _partition_batch
batching_rules[top_k_p] = _top_k_batch
