"""Reductions with known combinations and with others, cumulative operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    KNOWN,
    Arg,
    Bound,
    Combination,
    Cumulative,
    Expr,
    FromIndex,
    Lit,
    Load,
    Op,
    Pointwise,
    Reduce,
    Value,
    ivars,
)
from covector.compiler.ir.visit import Transformer
from covector.compiler.lower.lowering import Lowering, rule
from covector.control_flow.reduce import by_halves, reduce_p
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


def _places(n: int, axes: Sequence[int]) -> list[int]:
    """For each axis of an operand its index variable: the results' first, then those reduced."""
    kept = [k for k in range(n) if k not in axes]
    position = {a: k for k, a in enumerate([*kept, *axes])}
    return [position[a] for a in range(n)]


def _reduce(low: Lowering, eqn: JaxprEqn, kind: str, x: Value, axes: Any) -> Value:
    aval = eqn.outvars[0].aval
    axes = sorted(axes)
    order = _places(x.ndim, axes)
    index = [ivars(x.ndim)[p] for p in order]
    extents = [x.shape[a] for a in axes]
    if not axes:
        return low.pointwise(x.shape, aval.dtype, x.at(*index))
    return low.define(
        low.shape(aval.shape), aval.dtype, Reduce(KNOWN[kind], extents, [x.at(*index)], order)
    )


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


# --- combinations of their own -----------------------------------------------------------

# Operations that a combination may be, each written out.
_LARGEST = 2000


class _NotScalar(Exception):
    """A combination that is no expression of its operands."""


class _WrittenOut(Transformer):
    """Puts the definitions of scalars in the place of their loads."""

    def __init__(self, operands: Sequence[Value]) -> None:
        self.known: dict[Value, tuple[Expr, int]] = {
            v: (Arg(k, v.dtype), 1) for k, v in enumerate(operands)
        }
        self.size = 0

    def load(self, node: Load) -> Expr:
        v = node.value
        found = self.known.get(v)
        if found is None:
            if type(v.defn) is not Pointwise or v.shape:
                raise _NotScalar
            before = self.size
            expr = self.visit(v.defn.expr)
            found = self.known[v] = (expr, self.size - before)
        else:
            self.size += found[1]
        return found[0]

    def op(self, node: Op) -> Expr:
        self.size += 1
        if self.size > _LARGEST:
            raise _NotScalar
        out: Expr = self.inner(node)
        return out


def _start(v: Value) -> Expr:
    """Where a running result begins: a constant of the code if it is one."""
    if type(v.defn) is Pointwise and type(v.defn.expr) in (Lit, FromIndex):
        return v.defn.expr
    return v.at()


@rule(reduce_p)
def _general(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    closed, axes = eqn.params["jaxpr"], sorted(eqn.params["axes"])
    count = len(args) // 2
    xs, inits = args[:count], args[count:]
    operands = [Value((), x.dtype, Bound("carry")) for x in (*xs, *xs)]
    block = low.inner(lambda: low.closed(closed, operands))
    try:
        written = _WrittenOut(operands)
        results = [written.visit(r.at()) for r in block.results]
    except _NotScalar:
        avals = tuple([a.aval for a in eqn.invars])
        return low.closed(by_halves(closed, avals, eqn.params["axes"]), args)
    order = _places(xs[0].ndim, axes)
    exprs = [x.at(*[ivars(x.ndim)[p] for p in order]) for x in xs]
    extents = [xs[0].shape[a] for a in axes]
    kind = Combination("", [_start(v) for v in inits], results)
    specs = low.specs([v.aval for v in eqn.outvars])
    return low.append(Reduce(kind, extents, exprs, order, specs))
