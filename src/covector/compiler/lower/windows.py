"""Reductions over windows: loops over the places of the window."""

from __future__ import annotations

import math
from typing import Any

from covector.compiler.ir.nodes import (
    KNOWN,
    Expr,
    FromIndex,
    Index,
    Lit,
    Op,
    Reduce,
    Value,
    iop,
    ivars,
)
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.structure import padded
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.primitives.windows import (
    PARAMETERS,
    reduce_window_max_p,
    reduce_window_min_p,
    reduce_window_sum_p,
    window_position_p,
)


def _spread(low: Lowering, eqn: JaxprEqn, x: Value, fill: Expr) -> Value:
    """The operand with ``fill`` around and between its elements."""
    _, _, padding, dilation, _ = (eqn.params[p] for p in PARAMETERS)
    config = [(a, b, d - 1) for (a, b), d in zip(padding, dilation, strict=True)]
    return padded(low, x, eqn.invars[0].aval.shape, config, fill)


def _windowed(eqn: JaxprEqn, x: Value, low: Lowering) -> tuple[Expr, list[Any], list[int]]:
    """An element of a window, the extents of those dimensions it reaches along, and the order."""
    n = x.ndim
    dims, strides, _, _, wd = (eqn.params[p] for p in PARAMETERS)
    long = [d for d in range(n) if dims[d] > 1]
    v = ivars(n + len(long))
    place: list[Index] = []
    for d in range(n):
        i: Index = iop("*", v[d], low.dim(strides[d]))
        if d in long:
            i = iop("+", i, iop("*", v[n + long.index(d)], low.dim(wd[d])))
        place.append(i)
    # Rows of what is last in the result are combined at once.
    order = [*range(n - 1), *range(n, n + len(long)), n - 1]
    return x.at(*place), [low.dim(dims[d]) for d in long], order


def _limit(dtype: Any, largest: bool) -> Any:
    if dtype == dtypes.bool_:
        return largest
    if dtype in dtypes.LIMITS:
        return dtypes.LIMITS[dtype][largest]
    return math.inf if largest else -math.inf


def _reduction(low: Lowering, eqn: JaxprEqn, kind: str, fill: Any, x: Value) -> Value:
    aval = eqn.outvars[0].aval
    element, extents, order = _windowed(eqn, _spread(low, eqn, x, Lit(fill, x.dtype)), low)
    shape = low.shape(aval.shape)
    if not extents:
        return low.pointwise(shape, aval.dtype, element)
    return low.define(shape, aval.dtype, Reduce(KNOWN[kind], extents, [element], order))


@rule(reduce_window_sum_p)
def _sum(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _reduction(low, eqn, "sum", 0, x)


@rule(reduce_window_max_p)
def _max(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _reduction(low, eqn, "max", _limit(x.dtype, False), x)


@rule(reduce_window_min_p)
def _min(low: Lowering, eqn: JaxprEqn, x: Value) -> Value:
    return _reduction(low, eqn, "min", _limit(x.dtype, True), x)


@rule(window_position_p)
def _position(low: Lowering, eqn: JaxprEqn, x: Value, value: Value) -> Value:
    aval = eqn.outvars[0].aval
    shape, int_ = low.shape(aval.shape), dtypes.int32
    n = x.ndim
    # Padding equals nothing.
    nan = math.nan if dtypes.is_inexact(x.dtype) else 0
    marked = _spread(low, eqn, x, Lit(nan, x.dtype))
    element, extents, order = _windowed(eqn, marked, low)
    if not extents:
        return low.pointwise(shape, aval.dtype, Lit(0, int_))
    v = ivars(n + len(extents))
    flat: Index = v[n]
    for k in range(1, len(extents)):
        flat = iop("+", iop("*", flat, extents[k]), v[n + k])
    same = Op("eq", [element, value.at(*v[:n])], dtypes.bool_)
    last = Lit(2**31 - 1, int_)
    candidate = Op("select_n", [same, last, FromIndex(flat, int_)], int_)
    return low.define(shape, aval.dtype, Reduce(KNOWN["min"], extents, [candidate], order))
