"""Selections: one between an updated array and the array itself is an update."""

from __future__ import annotations

from typing import Any

from covector.compiler.access import Moved
from covector.compiler.ir.nodes import IDyn, Load, Op, Part, Test, Update, Value, ivars
from covector.compiler.ir.visit import Transformer
from covector.compiler.lower.elementwise import plain
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.reads import source
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.primitives.select import select_n_p

_pointwise = plain("select_n")


@rule(select_n_p)
def _select_n(low: Lowering, eqn: JaxprEqn, which: Value, *cases: Value) -> Any:
    if len(cases) == 2 and which.dtype == dtypes.bool_ and cases[0].ndim:
        for new, old, wanted in ((cases[1], cases[0], 1), (cases[0], cases[1], 0)):
            chain = _updates(new, old)
            if chain:
                return _guarded(low, chain, old, which, wanted)
    return _pointwise(low, eqn, which, *cases)


def _updates(new: Value, old: Value) -> list[Value]:
    """The updates, in order, that make ``new`` of ``old``; empty if it is not made so."""
    chain: list[Value] = []
    v = new
    while v is not old:
        d = v.defn
        if type(d) is not Update or d.base is None or any([p.limits for p in d.parts]):
            return []
        chain.append(v)
        v = d.base
    return chain[::-1]


def _guarded(low: Lowering, chain: list[Value], old: Value, which: Value, wanted: int) -> Value:
    """The same updates, each element only where ``which`` is ``wanted``.

    Copies of the array would cost a loop with such a selection quadratic time.
    """
    holds = source(which, *ivars(which.ndim))
    renamed = _Renamed()
    for u in chain:
        d: Update = u.defn
        parts = []
        for p in d.parts:
            there = Op("convert_element_type", [Moved(p.dest).visit(holds)], dtypes.int32)
            test: Test = (IDyn(there), wanted, wanted + 1)
            tests = [*map(renamed.test, p.tests), test]
            dest = list(map(renamed.visit, p.dest))
            expr = renamed.visit(p.expr)
            parts.append(Part(p.extents, dest, expr, p.combine, tests, p.serial))
        pointwise = None
        if d.pointwise is not None:
            same = ivars(u.ndim)
            cases = [old.at(*same), renamed.visit(d.pointwise)]
            cases = cases if wanted else cases[::-1]
            pointwise = Op("select_n", [holds, *cases], u.dtype)
        assert d.base is not None
        base = renamed.known.get(d.base, d.base)
        renamed.known[u] = low.define(u.shape, u.dtype, Update(base, parts, pointwise))
    return renamed.known[chain[-1]]


class _Renamed(Transformer):
    """Has elements of some values read from others of the same shape."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[Value, Value] = {}

    def load(self, node: Load) -> Load:
        moved: Load = self.inner(node)
        other = self.known.get(moved.value)
        return moved if other is None else other.at(*moved.index)

    def test(self, test: Test) -> Test:
        i, low, high = map(self.visit, test)
        return (i, low, high)
