"""Reductions with a combination of their own, a jaxpr of two elements."""

from __future__ import annotations

from collections.abc import Sequence

from covector.compiler.ir.nodes import (
    Arg,
    Bound,
    Combination,
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
from covector.compiler.lower.reduce import places
from covector.control_flow.reduce import by_neighbours, reduce_p
from covector.core.jaxpr import JaxprEqn

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
        return low.closed(by_neighbours(closed, avals, eqn.params["axes"]), args)
    order = places(xs[0].ndim, axes)
    exprs = [x.at(*[ivars(x.ndim)[p] for p in order]) for x in xs]
    extents = [xs[0].shape[a] for a in axes]
    kind = Combination("", [_start(v) for v in inits], results)
    specs = low.specs([v.aval for v in eqn.outvars])
    return low.append(Reduce(kind, extents, exprs, order, specs))
