"""Sums and extrema over windows that move over an array: `reduce_window_sum` and its like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.definers import def_jvp_linear, def_jvp_zero
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.rules import Zero, batching_rules, jvp_rules, transpose_rules
from covector.core.structural import bring_dim, broadcast_in_dim
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, div, mul, rem, sub
from covector.primitives.common import (
    NUMERIC,
    ORDERED,
    check_dtype,
    spanned,
    transposed_pads,
    window_places,
)
from covector.primitives.compare import bitwise_and, eq, ge, lt
from covector.primitives.select import select
from covector.primitives.sorting import take_along
from covector.primitives.structure import broadcasted_iota, full_like

PARAMETERS = (
    "window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation"
)  # fmt: skip


def window_shape(name: str, x: ShapedArray, params: dict[str, Any]) -> Shape:
    """The number of places of a window, in each dimension."""
    for p in PARAMETERS:
        given = params[p]
        if len(given) != len(x.shape):
            raise ValueError(
                f"{name} of {x.str_short()}: {p} needs an entry for each of {len(x.shape)} "
                f"dimensions, got {given}{at_user_line()}"
            )
        if p != "padding" and any(n < 1 for n in given):
            raise ValueError(
                f"{name} of {x.str_short()}: {p} must be positive, got {given}{at_user_line()}"
            )
    each = zip(x.shape, *[params[p] for p in PARAMETERS], strict=True)
    return tuple([window_places(*sizes) for sizes in each])


def _params_with(params: dict[str, Any], d: int) -> dict[str, Any]:
    """Those of a window that does not reach along a new dimension ``d``."""
    return {
        p: (*params[p][:d], (0, 0) if p == "padding" else 1, *params[p][d:]) for p in PARAMETERS
    }


def _window_reduction(name: str, kind: str) -> Primitive:
    prim = Primitive(name)

    def rule(x: ShapedArray, **params: Any) -> ShapedArray:
        check_dtype(name, x, kind)
        return ShapedArray(window_shape(name, x, params), x.dtype, x.weak_type)

    def batch(
        axis_size: int, args: Sequence[Any], dims: Sequence[int], **params: Any
    ) -> tuple[Any, int]:
        (d,) = dims
        return prim.bind(args[0], **_params_with(params, d)), d

    prim.def_abstract_eval(rule)
    batching_rules[prim] = batch
    return prim


reduce_window_sum_p = _window_reduction("reduce_window_sum", NUMERIC)
reduce_window_max_p = _window_reduction("reduce_window_max", ORDERED)
reduce_window_min_p = _window_reduction("reduce_window_min", ORDERED)

# The place in the window, counted row by row, of the first element that equals a value.
window_position_p = Primitive("window_position")


@window_position_p.def_abstract_eval
def _position_aval(x: ShapedArray, value: ShapedArray, **params: Any) -> ShapedArray:
    shape = window_shape("window_position", x, params)
    if value.shape != shape or value.dtype != x.dtype:
        raise TypeError(f"window_position of {x.str_short()} and {value.str_short()}")
    return ShapedArray(shape, dtypes.int32)


def_jvp_zero(window_position_p)


def _position_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
) -> tuple[Any, int]:
    x, value = (bring_dim(a, axis_size, d, 0) for a, d in zip(args, dims, strict=True))
    return window_position_p.bind(x, value, **_params_with(params, 0)), 0


batching_rules[window_position_p] = _position_batch


# --- derivatives ---------------------------------------------------------------------------

def_jvp_linear(reduce_window_sum_p)


def _sum_transpose(ct: Any, x: Any, **params: Any) -> list[Any]:
    """A window of ones over the cotangents, which lie as far apart as it moved."""
    dims, strides, padding, bd, wd = (params[p] for p in PARAMETERS)
    places = aval_of(ct).shape
    if 0 in places:
        return [structural.zeros(x.aval)]
    pads = []
    for n, w, p, s, (low, _), b, d in zip(
        x.aval.shape, dims, places, strides, padding, bd, wd, strict=True
    ):
        pads.append(transposed_pads(n, w, p, s, low, b, d))
    return [
        reduce_window_sum_p.bind(
            ct,
            window_dimensions=dims,
            window_strides=bd,
            padding=tuple(pads),
            base_dilation=strides,
            window_dilation=wd,
        )
    ]


transpose_rules[reduce_window_sum_p] = _sum_transpose


def _source(position: Any, shape: Shape, params: dict[str, Any]) -> tuple[Any, Any]:
    """Where in an array of ``shape``, row by row, a place in each window lies; whether inside."""
    out = aval_of(position).shape
    int_ = dtypes.int32 if math.prod(shape) < 2**31 else dtypes.int64

    def number(n: int) -> Any:
        return broadcast_in_dim(scalar(n, int_), out, ())

    flat, inside = number(0), full_like(position, True, dtypes.bool_)
    rest = structural.convert_element_type(position, int_)
    dims, strides, padding, bd, wd = (params[p] for p in PARAMETERS)
    after = [math.prod(dims[d + 1 :]) for d in range(len(dims))]
    for d, n in enumerate(shape):
        k = rem(div(rest, number(after[d])), number(dims[d]))
        q = add(mul(broadcasted_iota(int_, out, d), number(strides[d])), mul(k, number(wd[d])))
        q = sub(q, number(padding[d][0]))
        whole = eq(rem(q, number(bd[d])), number(0))
        within = bitwise_and(ge(q, number(0)), lt(q, number(spanned(n, bd[d]))))
        inside = bitwise_and(inside, bitwise_and(whole, within))
        flat = add(mul(flat, number(n)), div(q, number(bd[d])))
    return select(inside, flat, number(0)), inside


def _extremum_jvp(prim: Primitive) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        """The tangent of the first of the elements that attain the extremum."""
        (x,), (g,) = primals, tangents
        out = prim.bind(x, **params)
        aval = aval_of(x)
        if type(g) is Zero or 0 in (*aval.shape, *aval_of(out).shape):
            return out, Zero.of(out)
        position = window_position_p.bind(x, out, **params)
        flat, inside = _source(position, aval.shape, params)
        row = structural.reshape(g, (math.prod(aval.shape),))
        shape = aval_of(out).shape
        picked = take_along(row, structural.reshape(flat, (math.prod(shape),)), 0)
        picked = structural.reshape(picked, shape)
        return out, select(inside, picked, full_like(out, 0))

    return jvp


for _p in (reduce_window_max_p, reduce_window_min_p):
    jvp_rules[_p] = _extremum_jvp(_p)
