"""Reductions with known combinations and with others, cumulative operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    KNOWN,
    Cumulative,
    Reduce,
    Value,
    ivars,
)
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.turned import turned
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import reduce_sum_p
from covector.primitives.cumulative import cumlogsumexp_p, cummax_p, cummin_p, cumprod_p, cumsum_p
from covector.primitives.reductions import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)


def places(n: int, axes: Sequence[int]) -> list[int]:
    """For each axis of an operand its index variable: the results' first, then those reduced."""
    kept = [k for k in range(n) if k not in axes]
    position = {a: k for k, a in enumerate([*kept, *axes])}
    return [position[a] for a in range(n)]


def _reduce(low: Lowering, eqn: JaxprEqn, kind: str, x: Value, axes: Any) -> Value:
    aval = eqn.outvars[0].aval
    axes = sorted(axes)
    order = places(x.ndim, axes)
    extents = [x.shape[a] for a in axes]
    found = turned(low, x, axes)
    if found is not None:
        x, perm = found
        order = [order[a] for a in perm]
    index = [ivars(x.ndim)[p] for p in order]
    if not axes:
        return low.pointwise(x.shape, aval.dtype, x.at(*index))
    key = (kind, aval.dtype, x, len(extents), *order)
    known = low.reduced.get(key)
    if known is None:
        known = low.reduced[key] = low.define(
            low.shape(aval.shape), aval.dtype, Reduce(KNOWN[kind], extents, [x.at(*index)], order)
        )
    return known


_REDUCTIONS = {
    reduce_sum_p: "sum",
    reduce_prod_p: "prod",
    reduce_max_p: "max",
    reduce_min_p: "min",
    reduce_and_p: "and",
    reduce_or_p: "or",
    reduce_xor_p: "xor",
    argmax_p: "argmax",
    argmin_p: "argmin",
}
for _p, _kind in _REDUCTIONS.items():
    rule(_p)(lambda low, eqn, x, _kind=_kind: _reduce(low, eqn, _kind, x, eqn.params["axes"]))


_CUMULATIVE = {
    cumsum_p: "sum",
    cumprod_p: "prod",
    cummax_p: "max",
    cummin_p: "min",
    cumlogsumexp_p: "logaddexp",
}


def _cumulative(low: Lowering, eqn: JaxprEqn, kind: str, x: Value) -> Value:
    p = eqn.params
    defn = Cumulative(KNOWN[kind], p["axis"], p["reverse"], x.at(*ivars(x.ndim)))
    return low.define(x.shape, x.dtype, defn)


for _p, _kind in _CUMULATIVE.items():
    rule(_p)(lambda low, eqn, x, _kind=_kind: _cumulative(low, eqn, _kind, x))
