"""Primitives that are made of others, under the names and parameters that they have elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.custom_jvp import stop_gradient
from covector.control_flow.while_loop import fori_loop
from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, eval_jaxpr
from covector.core.rules import jvp_rules
from covector.core.structural import broadcast_in_dim, reshape
from covector.core.trace import Composed, Primitive
from covector.lax.convert import bitcast_convert_type
from covector.lax.select import select
from covector.lax.shape_functions import full_like, iota, split, stack, tile, unstack
from covector.lax.slicing import dynamic_index_in_dim, dynamic_update_index_in_dim
from covector.lax.windows import reduce_window
from covector.primitives.arithmetic import neg_p
from covector.primitives.compare import eq_p, ge_p, le_p, lt_p
from covector.primitives.indexing import scatter_add_p
from covector.primitives.windows import reduce_window_max_p, reduce_window_min_p
from covector.transforms.autodiff import vjp

split_p = Composed("split", lambda x, *, sizes, axis: split(x, sizes, axis), True)
stack_p = Composed("stack", lambda *xs, axis: stack(xs, axis))
unstack_p = Composed("unstack", lambda x, *, axis: list(unstack(x, axis)), True)
tile_p = Composed("tile", lambda x, *, reps: tile(x, reps))
stop_gradient_p = Composed("stop_gradient", stop_gradient)
scatter_sub_p = Composed(
    "scatter-sub",
    lambda x, indices, updates, **params: scatter_add_p.bind(
        x, indices, neg_p.bind(updates), **params
    ),
)


# --- comparisons in the total order: -NaN < -inf < ... < -0 < 0 < ... < inf < NaN ------------


def _in_order(x: Any) -> Any:
    """Integers, or booleans, that are in the order of ``x``."""
    dtype = aval_of(x).dtype
    if not dtypes.is_float(dtype):
        return x
    bits = bitcast_convert_type(x, f"int{8 * dtype.itemsize}")
    limit = full_like(bits, 2 ** (8 * dtype.itemsize - 1) - 1)
    zero = full_like(bits, 0)
    return select(lt_p.bind(bits, zero), limit ^ bits, bits)


def _total(name: str, prim: Primitive) -> Composed:
    return Composed(name, lambda x, y: prim.bind(_in_order(x), _in_order(y)))


eq_to_p = _total("eq_to", eq_p)
lt_to_p = _total("lt_to", lt_p)
le_to_p = _total("le_to", le_p)


# --- windows ---------------------------------------------------------------------------------


def _combination(jaxpr: Jaxpr | ClosedJaxpr, consts: Sequence[Any]) -> Callable[..., Any]:
    """A function of two tuples (or single values) that a jaxpr computes."""
    closed = jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, list(consts))

    def combine(x: Any, y: Any) -> Any:
        several = isinstance(x, tuple)
        args = (*x, *y) if several else (x, y)
        out = eval_jaxpr(closed.jaxpr, closed.consts, *args)
        return tuple(out) if several else out[0]

    return combine


def _reduce_window(*args: Any, jaxpr: Any, consts: Sequence[Any] = (), **window: Any) -> list[Any]:
    n = len(args) // 2
    return list(
        reduce_window(tuple(args[:n]), tuple(args[n:]), _combination(jaxpr, consts), **window)
    )


def _gather_selected(tangents: Any, operand: Any, *, select_prim: Primitive, **window: Any) -> Any:
    """The element of ``tangents`` where ``operand`` has the extremum of each window."""
    prim = reduce_window_max_p if select_prim is ge_p else reduce_window_min_p
    return jvp_rules[prim]((operand,), (tangents,), **window)[1]


def _scatter_selected(
    source: Any,
    operand: Any,
    *,
    select_prim: Primitive,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> Any:
    """The sums, where ``operand`` has the extremum of windows, of their elements of ``source``."""
    prim = reduce_window_max_p if select_prim is ge_p else reduce_window_min_p
    ones = (1,) * len(window_dimensions)
    _, pull = vjp(
        lambda x: prim.bind(
            x, window_dimensions=tuple(window_dimensions), window_strides=tuple(window_strides),
            padding=tuple(padding), base_dilation=ones, window_dilation=ones,
        ),
        operand,
    )  # fmt: skip
    return pull(source)[0]


def _select_and_scatter(
    operand: Any,
    source: Any,
    init_value: Any,
    *,
    select_jaxpr: Any,
    scatter_jaxpr: Any,
    select_consts: Sequence[Any] = (),
    scatter_consts: Sequence[Any] = (),
    **window: Any,
) -> Any:
    """Combine each element of ``source`` with the place that ``select_jaxpr`` chose for it.

    As the combination may be any, elements are taken one after the other.
    """
    shape: Shape = aval_of(operand).shape
    chosen = _combination(select_jaxpr, select_consts)
    combine = _combination(scatter_jaxpr, scatter_consts)
    size = math.prod(shape)
    places = reshape(iota(dtypes.int32, size), shape)
    outside = full_like(places, -1, shape=())

    def better(x: tuple[Any, Any], y: tuple[Any, Any]) -> tuple[Any, Any]:
        (v, i), (w, j) = x, y
        negative = full_like(i, 0)
        first = (chosen(v, w) | lt_p.bind(j, negative)) & ge_p.bind(i, negative)
        return select(first, v, w), select(first, i, j)

    zero = full_like(operand, 0, shape=())
    _, where = reduce_window((operand, places), (zero, outside), better, **window)
    flat = reshape(where, (math.prod(aval_of(where).shape),))
    values = reshape(source, aval_of(flat).shape)

    def step(k: Any, out: Any) -> Any:
        place = dynamic_index_in_dim(flat, k, keepdims=False)
        old = dynamic_index_in_dim(out, place, keepdims=False)
        new = combine(dynamic_index_in_dim(values, k, keepdims=False), old)
        inside = ge_p.bind(place, full_like(place, 0))
        return dynamic_update_index_in_dim(out, select(inside, new, old), place, 0)

    out = fori_loop(0, aval_of(flat).shape[0], step, broadcast_in_dim(init_value, (size,), ()))
    return reshape(out, shape)


reduce_window_p = Composed("reduce_window", _reduce_window, True)
select_and_gather_add_p = Composed("select_and_gather_add", _gather_selected)
select_and_scatter_add_p = Composed("select_and_scatter_add", _scatter_selected)
select_and_scatter_p = Composed("select_and_scatter", _select_and_scatter)
