"""Counters of loops: what they index is taken element by element, and they are not negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.compiler.passes.inlining import inline
from covector.control_flow.scan_rules import scan_p
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.jaxpr import Atom, ClosedJaxpr, JaxprEqn, Literal, Var
from covector.core.structural import broadcast_in_dim_p
from covector.primitives.arithmetic import add_p
from covector.primitives.compare import lt_p
from covector.primitives.select import select_n_p
from covector.primitives.slicing import dynamic_slice_p

_FALSE = Literal(np.bool_(False), ShapedArray((), dtypes.bool_))


def count(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same program; loops with a counter use what is known of it."""
    jaxpr = closed.jaxpr
    if all(e.primitive is not scan_p for e in jaxpr.eqns):
        return closed
    eqns = [_Counted(e).rewritten() if e.primitive is scan_p else e for e in jaxpr.eqns]
    return ClosedJaxpr(jaxpr.replace(eqns=eqns), closed.consts)


class _Counted:
    """A loop some of whose carries go up by 1 in each round from a number known here.

    Attributes
    ----------
    counters : dict of Var to int
        These carries in the body, and where they start.
    rows : dict of Var to Var
        Elements of the constants that a counter runs through, by the constants.
    """

    def __init__(self, eqn: JaxprEqn) -> None:
        self.eqn = eqn
        p = eqn.params
        self.body = inline(p["jaxpr"])
        self.length = p["length"]
        self.num_consts = p["num_consts"]
        self.counters = self._find(p["num_carry"])
        self.rows: dict[Var, Var] = {}

    def _find(self, num_carry: int) -> dict[Atom, int]:
        jaxpr, first = self.body.jaxpr, self.num_consts
        made: dict[Atom, JaxprEqn] = {v: e for e in jaxpr.eqns for v in e.outvars}
        found: dict[Atom, int] = {}
        for k in range(num_carry):
            start, c = self.eqn.invars[first + k], jaxpr.invars[first + k]
            step = made.get(jaxpr.outvars[k])
            if not isinstance(start, Literal) or step is None or step.primitive is not add_p:
                continue
            dtype = c.aval.dtype
            if not dtypes.is_integer(dtype) or step.invars[0] is not c:
                continue
            by, at = step.invars[1], int(start.val)
            if isinstance(by, Literal) and by.val == 1 and at >= 0:
                if at + self.length <= int(np.iinfo(dtype).max):
                    found[c] = at
        return found

    def rewritten(self) -> JaxprEqn:
        """The loop, its body rewritten, with the rows behind the other elements."""
        if not self.counters:
            return self.eqn
        jaxpr = self.body.jaxpr
        env: dict[Any, Atom] = {}
        eqns: list[JaxprEqn] = []
        for e in jaxpr.eqns:
            ins = [env.get(a, a) for a in e.invars]
            known = self._known(e, ins)
            if known is not None:
                env[e.outvars[0]] = known
            elif self._runs_through(e, ins):
                eqns.append(self._row(e, ins))
            else:
                eqns.append(e.replace(invars=ins))
        outvars = [a if isinstance(a, Literal) else env.get(a, a) for a in jaxpr.outvars]
        body = jaxpr.replace(
            invars=[*jaxpr.invars, *self.rows.values()], eqns=eqns, outvars=outvars
        )
        position = {v: i for i, v in enumerate(jaxpr.invars)}
        return self.eqn.replace(
            invars=[*self.eqn.invars, *[self.eqn.invars[position[v]] for v in self.rows]],
            params={**self.eqn.params, "jaxpr": ClosedJaxpr(body, self.body.consts)},
        )

    def _known(self, e: JaxprEqn, ins: Sequence[Atom]) -> Atom | None:
        """An operand in place of the result: a counter is not negative."""
        if e.primitive is lt_p and ins[0] in self.counters:
            limit = ins[1]
            return _FALSE if isinstance(limit, Literal) and limit.val == 0 else None
        if e.primitive is select_n_p and ins[0] is _FALSE:
            return ins[1]
        return None

    def _runs_through(self, e: JaxprEqn, ins: Sequence[Atom]) -> bool:
        """Whether ``e`` takes from a constant the element of the round."""
        if e.primitive is not dynamic_slice_p or self.eqn.params["reverse"]:
            return False
        x, at = ins[0], ins[1]
        shape = x.aval.shape
        return (
            x in self.body.jaxpr.invars[: self.num_consts]
            and self.counters.get(at) == 0
            and shape[0] == self.length
            and tuple(e.params["slice_sizes"]) == (1, *shape[1:])
        )

    def _row(self, e: JaxprEqn, ins: Sequence[Atom]) -> JaxprEqn:
        x = ins[0]
        assert isinstance(x, Var)
        rest = x.aval.shape[1:]
        row = self.rows.setdefault(x, Var(x.aval.update(shape=rest)))
        dims = tuple(range(1, len(rest) + 1))
        params = {"shape": (1, *rest), "broadcast_dimensions": dims}
        return JaxprEqn([row], e.outvars, broadcast_in_dim_p, params, e.effects, e.source_info)
