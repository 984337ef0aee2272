"""Sums of groups of neighbours, whose limits are given: `group_sums`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_jvp
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.operands import scalar
from covector.core.rules import batching_rules, transpose_rules
from covector.core.structural import bring_dim, convert_element_type, moveaxis, reshape
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, max, min, mul, sub
from covector.primitives.common import NUMERIC, check_dtype, dtype_set
from covector.primitives.cumulative import cumsum_p
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather_p,
    scatter_add_p,
)
from covector.primitives.structure import broadcasted_iota, concatenate, slice_in_dim

# group_sums(x[n,...], offsets[m+1]) -> [m,...]: x[offsets[i] : offsets[i + 1]].sum(0) for each i.
# Offsets do not decrease; those outside of x are moved to its ends.
group_sums_p = Primitive("group_sums")
_accepted = dtype_set(NUMERIC)
_DROP: dict[str, Any] = {"mode": GatherScatterMode.FILL_OR_DROP, "unique_indices": False}


@group_sums_p.def_abstract_eval
def _aval(x: ShapedArray, offsets: ShapedArray) -> ShapedArray:
    if x.dtype not in _accepted:
        check_dtype("group_sums", x, NUMERIC)
    if not x.shape or len(offsets.shape) != 1 or not offsets.shape[0]:
        raise ShapeMismatchError(
            "group_sums takes an array of at least one axis and a vector of at least one offset, "
            f"got {x.str_short()} and {offsets.str_short()}{at_user_line()}"
        )
    if offsets.dtype not in (dtypes.int32, dtypes.int64):
        raise TypeError(
            f"group_sums: offsets must be int32 or int64, got {offsets.str_short()}{at_user_line()}"
        )
    return ShapedArray((offsets.shape[0] - 1, *x.shape[1:]), x.dtype)


def _inside(offsets: Any, n: int) -> Any:
    """Offsets as positions among ``n`` elements."""
    dtype = aval_of(offsets).dtype
    most: int = dtypes.LIMITS[dtype][1]
    bound = n if n < most else most
    return max(min(offsets, scalar(bound, dtype)), scalar(0, dtype))


def groups_of(offsets: Any, n: int) -> Any:
    """The group of each of ``n`` elements, those before the first one in group -1."""
    offsets = _inside(offsets, n)
    (m,), dtype = aval_of(offsets).shape, aval_of(offsets).dtype
    # A one where each group begins, and running sums of them.
    begins = scatter_add_p.bind(
        structural.full((n,), 0, dtype), reshape(offsets, (m, 1)), structural.full((m,), 1, dtype),
        dimension_numbers=ScatterDimensionNumbers((), (0,), (0,)),
        indices_are_sorted=True, **_DROP,
    )  # fmt: skip
    return sub(cumsum_p.bind(begins, axis=0, reverse=False), scalar(1, dtype))


def sums_by_scatter(x: Any, offsets: Any) -> Any:
    """What the primitive computes, of other primitives."""
    shape = aval_of(x).shape
    n, rest, m = shape[0], shape[1:], aval_of(offsets).shape[0] - 1
    zeros = structural.full((m, *rest), 0, aval_of(x).dtype)
    if 0 in shape or m == 0:
        return zeros
    windows = tuple(range(1, 1 + len(rest)))
    return scatter_add_p.bind(
        zeros, reshape(groups_of(offsets, n), (n, 1)), x,
        dimension_numbers=ScatterDimensionNumbers(windows, (0,), (0,)),
        indices_are_sorted=True, **_DROP,
    )  # fmt: skip


def_jvp(group_sums_p, lambda g, x, offsets: group_sums_p.bind(g, offsets), None)


def _transpose(ct: Any, x: Any, offsets: Any) -> list[Any]:
    n, rest = x.aval.shape[0], x.aval.shape[1:]
    if 0 in x.aval.shape or 0 in aval_of(ct).shape:
        return [structural.zeros(x.aval), None]
    windows = tuple(range(1, 1 + len(rest)))
    out = gather_p.bind(
        ct, reshape(groups_of(offsets, n), (n, 1)),
        dimension_numbers=GatherDimensionNumbers(windows, (0,), (0,)),
        slice_sizes=(1, *rest), fill_value=0, indices_are_sorted=True, **_DROP,
    )  # fmt: skip
    return [out, None]


transpose_rules[group_sums_p] = _transpose


def _batch(axis_size: int, args: Sequence[Any], dims: Sequence[int | None]) -> tuple[Any, int]:
    (x, offsets), (d, e) = args, dims
    if e is None:
        assert d is not None
        if d == 0:
            d, x = 1, moveaxis(x, 0, 1)
        return group_sums_p.bind(x, offsets), d
    # One row of groups after the other: what lies between two of them is a group of no one's.
    x = bring_dim(x, axis_size, d, 0)
    n, rest = aval_of(x).shape[1], aval_of(x).shape[2:]
    offsets = _inside(moveaxis(offsets, e, 0), n)
    count = aval_of(offsets).shape[1]
    end = axis_size * n
    if end > dtypes.LIMITS[dtypes.int32][1]:
        offsets = convert_element_type(offsets, dtypes.int64)
    dtype = aval_of(offsets).dtype
    rows = broadcasted_iota(dtype, (axis_size, count), 0)
    offsets = reshape(add(offsets, mul(rows, scalar(n, dtype))), (axis_size * count,))
    offsets = concatenate([offsets, structural.full((1,), end, dtype)], 0)
    out = group_sums_p.bind(reshape(x, (end, *rest)), offsets)
    out = reshape(out, (axis_size, count, *rest))
    return slice_in_dim(out, 0, count - 1, axis=1), 0


batching_rules[group_sums_p] = _batch
