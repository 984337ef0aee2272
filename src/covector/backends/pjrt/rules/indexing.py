"""Parts of arrays at computed positions: dynamic slices, gather, scatter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.backends.pjrt.lower import out_type, rule
from covector.backends.pjrt.rules.elementwise import computed_in
from covector.backends.pjrt.rules.expansions import expand
from covector.backends.pjrt.text import Builder, Value, ints, listed
from covector.core.jaxpr import JaxprEqn
from covector.core.trace import Primitive
from covector.primitives.groups import group_sums_p, sums_by_scatter
from covector.primitives.indexing import (
    GatherScatterMode,
    default_fill,
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
    window_sizes,
)
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p

_BOOL = np.dtype(np.bool_)
_I32, _I64 = np.dtype(np.int32), np.dtype(np.int64)


def _signed(b: Builder, x: Value) -> Value:
    """Indices as signed integers of 32 or 64 bits; those beyond stay far out of bounds."""
    if x.dtype == np.uint64:
        top = b.like(x, np.iinfo(np.int64).max)
        return b.convert(b.same("minimum", x, top), _I64)
    wide = _I64 if x.dtype in (np.uint32, np.int64) else _I32
    return b.convert(x, wide)


def _starts(b: Builder, starts: Sequence[Value]) -> list[Value]:
    """Indices of one type, as dynamic slices take them."""
    known = [_signed(b, s) for s in starts]
    wide = _I64 if any(s.dtype == _I64 for s in known) else _I32
    return [b.convert(s, wide) for s in known]


@rule(dynamic_slice_p)
def _dynamic_slice(b: Builder, eqn: JaxprEqn, x: Value, *starts: Value) -> Value:
    return b.dynamic_slice(x, _starts(b, starts), eqn.params["slice_sizes"])


@rule(dynamic_update_slice_p)
def _dynamic_update_slice(
    b: Builder, eqn: JaxprEqn, x: Value, update: Value, *starts: Value
) -> Value:
    return b.dynamic_update_slice(x, update, _starts(b, starts))


def _limits(
    b: Builder, x: Value, like: Value, dims: Sequence[int], windows: Sequence[int]
) -> Value:
    """The last place of a window along each indexed dimension, beside the vectors ``like``."""
    most = np.iinfo(like.dtype).max
    last = np.asarray([min(x.shape[d] - windows[d], most) for d in dims], like.dtype)
    return b.broadcast(b.array(last, like.dtype), like.shape, [len(like.shape) - 1])


def _inside(b: Builder, indices: Value, last: Value) -> Value:
    """Whether the window of each index vector lies within, along all its dimensions."""
    ok = b.both(b.compare("GE", indices, b.like(indices, 0)), b.compare("LE", indices, last))
    return b.fold("and", ok, True, [len(indices.shape) - 1])


@rule(gather_p)
def _gather(b: Builder, eqn: JaxprEqn, x: Value, indices: Value) -> Value:
    p, aval = eqn.params, out_type(eqn)
    d, windows = p["dimension_numbers"], p["slice_sizes"]
    indices = _signed(b, indices)
    fill = p["fill_value"]
    if fill is None:
        fill = default_fill(aval.dtype)
    if 0 in x.shape and 0 not in aval.shape:
        return b.constant(fill, aval.dtype, aval.shape)
    attrs = (
        f"dimension_numbers = #stablehlo.gather<offset_dims = {listed(d.offset_dims)}, "
        f"collapsed_slice_dims = {listed(d.collapsed_slice_dims)}, "
        f"operand_batching_dims = {listed(d.operand_batching_dims)}, "
        f"start_indices_batching_dims = {listed(d.start_indices_batching_dims)}, "
        f"start_index_map = {listed(d.start_index_map)}, "
        f"index_vector_dim = {len(indices.shape) - 1}>, slice_sizes = {ints(windows)}, "
        f"indices_are_sorted = {'true' if p['indices_are_sorted'] else 'false'}"
    )
    out = b.op("stablehlo.gather", (x, indices), aval.dtype, aval.shape, attrs)
    drops = p["mode"] in (GatherScatterMode.FILL_OR_DROP, GatherScatterMode.ONE_HOT)
    if not drops or not d.start_index_map:
        return out
    inside = _inside(b, indices, _limits(b, x, indices, d.start_index_map, windows))
    outer = [k for k in range(len(aval.shape)) if k not in d.offset_dims]
    mask = b.broadcast(inside, aval.shape, outer) if outer else inside
    return b.select(mask, out, b.like(out, fill))


def _scatter(prim: Primitive, name: str | None) -> None:
    @rule(prim)
    def write(b: Builder, eqn: JaxprEqn, x: Value, indices: Value, updates: Value) -> Value:
        p = eqn.params
        if 0 in x.shape or 0 in updates.shape:
            return x
        d, dtype = p["dimension_numbers"], x.dtype
        windows = window_sizes(len(x.shape), updates.shape, d)
        indices = _placed(b, x, _signed(b, indices), d.scatter_dims_to_operand_dims, windows, p)
        attrs = (
            "scatter_dimension_numbers = #stablehlo.scatter<"
            f"update_window_dims = {listed(d.update_window_dims)}, "
            f"inserted_window_dims = {listed(d.inserted_window_dims)}, "
            f"input_batching_dims = {listed(d.operand_batching_dims)}, "
            f"scatter_indices_batching_dims = {listed(d.scatter_indices_batching_dims)}, "
            f"scatter_dims_to_operand_dims = {listed(d.scatter_dims_to_operand_dims)}, "
            f"index_vector_dim = {len(indices.shape) - 1}>, "
            f"indices_are_sorted = {'true' if p['indices_are_sorted'] else 'false'}, "
            f"unique_indices = {'true' if p['unique_indices'] else 'false'}"
        )
        made = computed_in(dtype)
        x, updates = b.convert(x, made), b.convert(updates, made)
        scalar = (made, ())
        region = b.block([scalar, scalar], lambda u, v: [_combined(b, name, u, v)])
        (out,) = b.ops(
            "stablehlo.scatter", [x, indices, updates], [(made, x.shape)], attrs, [region]
        )
        return b.convert(out, dtype)


def _placed(
    b: Builder, x: Value, indices: Value, dims: Sequence[int], windows: Sequence[int],
    params: dict[str, Any],
) -> Value:  # fmt: skip
    """Indices such that a window is written as a whole, or lies outside as a whole."""
    mode = params["mode"]
    if mode is GatherScatterMode.PROMISE_IN_BOUNDS or not dims:
        return indices
    last = _limits(b, x, indices, dims, windows)
    if mode is GatherScatterMode.CLIP:
        return b.same("minimum", b.same("maximum", indices, b.like(indices, 0)), last)
    inside = _inside(b, indices, last)
    mask = b.broadcast(inside, indices.shape, range(len(indices.shape) - 1))
    return b.select(mask, indices, b.like(indices, np.iinfo(indices.dtype).max))


def _combined(b: Builder, name: str | None, old: Value, new: Value) -> Value:
    if name is None:
        return new
    if old.dtype == _BOOL:
        name = {"add": "xor", "multiply": "and", "maximum": "or", "minimum": "and"}[name]
    return b.same(name, old, new)


@rule(group_sums_p)
def _group_sums(b: Builder, eqn: JaxprEqn, x: Value, offsets: Value) -> Value:
    (out,) = expand(b, group_sums_p, sums_by_scatter, x, offsets)
    return out


_scatter(scatter_p, None)
_scatter(scatter_add_p, "add")
_scatter(scatter_mul_p, "multiply")
_scatter(scatter_max_p, "maximum")
_scatter(scatter_min_p, "minimum")
