"""Reductions, arg-reductions, cumulative operations and matrix products of small arrays."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import Cumulative, Reduce, Value, ivars
from covector.compiler.lower.lowering import Lowering, rule
from covector.core.jaxpr import JaxprEqn


def _reduce(low: Lowering, eqn: JaxprEqn, kind: str, x: Value, axes: Any) -> Value:
    aval = eqn.outvars[0].aval
    axes = sorted(axes)
    n = x.ndim
    kept = [k for k in range(n) if k not in axes]
    out_vars = ivars(n)
    position = {a: k for k, a in enumerate(kept)}
    position.update({a: len(kept) + k for k, a in enumerate(axes)})
    index = [out_vars[position[a]] for a in range(n)]
    order = [position[a] for a in range(n)]
    extents = [x.shape[a] for a in axes]
    if not axes:
        return low.pointwise(x.shape, aval.dtype, x.at(*index))
    return low.define(low.shape(aval.shape), aval.dtype, Reduce(kind, extents, x.at(*index), order))


for _kind in ("sum", "prod", "max", "min", "and", "or", "xor"):
    rule(f"reduce_{_kind}")(
        lambda low, eqn, x, _kind=_kind: _reduce(low, eqn, _kind, x, eqn.params["axes"])
    )
for _kind in ("argmax", "argmin"):
    rule(_kind)(lambda low, eqn, x, _kind=_kind: _reduce(low, eqn, _kind, x, eqn.params["axes"]))


_CUMULATIVE = {"cumsum": "sum", "cumprod": "prod", "cummax": "max", "cummin": "min",
               "cumlogsumexp": "logaddexp"}  # fmt: skip


def _cumulative(low: Lowering, eqn: JaxprEqn, kind: str, x: Value) -> Value:
    p = eqn.params
    defn = Cumulative(kind, p["axis"], p["reverse"], x.at(*ivars(x.ndim)))
    return low.define(x.shape, x.dtype, defn)


for _name, _kind in _CUMULATIVE.items():
    rule(_name)(lambda low, eqn, x, _kind=_kind: _cumulative(low, eqn, _kind, x))
