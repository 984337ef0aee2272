"""Sorting, selection and search: `sort`, `top_k`, `partition`, `search`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp_zero
from covector.core.dims import is_at_least
from covector.core.errors import at_user_line
from covector.core.operands import like, scalar
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import bring_dim, moveaxis
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, sub
from covector.primitives.common import ORDERED, check_dtype
from covector.primitives.compare import bitwise_and, bitwise_or, eq, le, lt, ne
from covector.primitives.indexing import GatherDimensionNumbers, GatherScatterMode, gather_p
from covector.primitives.select import clamp, select
from covector.primitives.structure import broadcasted_iota, expand_dims

sort_p = Primitive("sort", multiple_results=True)
top_k_p = Primitive("top_k", multiple_results=True)
# Operands x and ranks, of any number along the axis; results x, parted there, the indices in x of
# its elements, of which those between two ranks, and equal ones, keep their order, and the elements
# of the ranks.
partition_p = Primitive("partition", multiple_results=True)
# search(x[rows..., n], v[rows..., m...]) -> [rows..., m...] of int32: how many elements of the row
# of x, which is in order, are less than each of v (side 'left'), or not greater ('right'). NaN is
# the greatest.
search_p = Primitive("search")


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
def _partition_aval(
    x: ShapedArray, ranks: ShapedArray, *, axis: int, nans_last: bool
) -> list[ShapedArray]:
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
    return [x, ShapedArray(x.shape, dtypes.int32), ShapedArray(ranks.shape, x.dtype, x.weak_type)]


@search_p.def_abstract_eval
def _search_aval(x: ShapedArray, v: ShapedArray, *, side: str) -> ShapedArray:
    check_dtype("search", x, ORDERED)
    rank = x.ndim - 1
    if rank < 0 or x.dtype != v.dtype or v.shape[:rank] != x.shape[:rank]:
        raise TypeError(
            "search takes arrays of one dtype, the second of the same rows as the first, got "
            f"{x.str_short()} and {v.str_short()}{at_user_line()}"
        )
    if side not in ("left", "right"):
        raise ValueError(f"search: side must be 'left' or 'right', got {side!r}{at_user_line()}")
    if not is_at_least(int(dtypes.LIMITS[dtypes.int32][1]), x.shape[-1], True):
        raise ValueError(f"search in rows of {x.str_short()}, too many for int32{at_user_line()}")
    return ShapedArray(v.shape, dtypes.int32)


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


def search_by_bisection(x: Any, v: Any, side: str) -> Any:
    """What `search` computes, of other primitives; of int64 where positions need it."""
    shape, rank = aval_of(v).shape, aval_of(x).ndim - 1
    n, inexact = aval_of(x).shape[-1], aval_of(x).dtype in dtypes.INEXACT
    dt = dtypes.int32 if n < 2**31 - 1 else dtypes.int64
    found = structural.full(shape, 0, dt)
    if n == 0:
        return found
    rows = tuple(range(rank))
    numbers = GatherDimensionNumbers((), (rank,), (rank,), rows, rows)

    def comes_before(probe: Any) -> Any:
        nan = ne(v, v)
        if side == "right":
            return bitwise_or(le(probe, v), nan) if inexact else le(probe, v)
        if not inexact:
            return lt(probe, v)
        return bitwise_or(lt(probe, v), bitwise_and(nan, eq(probe, probe)))

    # So many are known to come before. A step is taken if the last element of it does, too.
    step = 1 << n.bit_length() - 1
    while step:
        end = add(found, like(step, found))
        at = clamp(like(0, end), sub(end, like(1, end)), like(n - 1, end))
        probe = gather_p.bind(
            x,
            expand_dims(at, len(shape)),
            dimension_numbers=numbers,
            slice_sizes=(1,) * (rank + 1),
            indices_are_sorted=False,
            unique_indices=False,
            mode=GatherScatterMode.PROMISE_IN_BOUNDS,
            fill_value=None,
        )
        inside = bitwise_and(le(end, like(n, end)), comes_before(probe))
        found = select(inside, end, found)
        step >>= 1
    return found


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
    primals: Sequence[Any], tangents: Sequence[Any], *, axis: int, nans_last: bool
) -> tuple[Any, Any]:
    out = values, indices, found = partition_p.bind(*primals, axis=axis, nans_last=nans_last)
    g, ranks = tangents[0], primals[1]
    if type(g) is Zero or 0 in aval_of(values).shape:
        return out, [Zero.of(v) for v in out]
    n = aval_of(values).shape[axis]
    at = clamp(scalar(0, dtypes.int32), ranks, scalar(n - 1, dtypes.int32))
    origins = take_along(indices, at, axis)
    tangents = [take_along(g, indices, axis), Zero.of(indices), take_along(g, origins, axis)]
    return out, tangents


jvp_rules[sort_p] = _sort_jvp
jvp_rules[partition_p] = _partition_jvp
jvp_rules[top_k_p] = _top_k_jvp
def_jvp_zero(search_p)


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
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, axis: int, nans_last: bool
) -> tuple[list[Any], list[int]]:
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    return partition_p.bind(*xs, axis=axis + 1, nans_last=nans_last), [0, 0, 0]


def _search_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, side: str
) -> tuple[Any, int]:
    (x, v), (d, e) = args, dims
    if d is None and e is not None:  # The queries are more.
        last = aval_of(v).ndim - 1
        at = e if aval_of(x).ndim == 1 else last
        return search_p.bind(x, moveaxis(v, e, at), side=side), at
    xs = [bring_dim(u, axis_size, k, 0) for u, k in zip(args, dims, strict=True)]
    return search_p.bind(*xs, side=side), 0


batching_rules[sort_p] = _sort_batch
batching_rules[partition_p] = _partition_batch
batching_rules[top_k_p] = _top_k_batch
batching_rules[search_p] = _search_batch
