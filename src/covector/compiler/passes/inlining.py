"""Calls are replaced by what they call."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from covector.core.jaxpr import Atom, ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var


def inline(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same program without calls (`Primitive.call_param`), those in calls included."""
    jaxpr = closed.jaxpr
    if all(e.primitive.call_param is None for e in jaxpr.eqns):
        return closed
    inliner = _Inliner()
    env: dict[Any, Atom] = {}
    for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
        env[v] = inliner.const(v, c)
    outs = inliner.run(jaxpr, env, fresh=False)
    pairs = list(inliner.consts.values())
    out = Jaxpr(
        [v for v, _ in pairs], jaxpr.invars, outs, inliner.eqns, jaxpr.effects, jaxpr.debug_info
    )
    return ClosedJaxpr(out, [c for _, c in pairs])


class _Inliner:
    def __init__(self) -> None:
        self.eqns: list[JaxprEqn] = []
        self.consts: dict[int, tuple[Var, Any]] = {}

    def const(self, v: Var, c: Any) -> Var:
        """The variable of a constant; one that two programs share is one."""
        return self.consts.setdefault(id(c), (v, c))[0]

    def run(self, jaxpr: Jaxpr, env: dict[Any, Atom], fresh: bool) -> list[Atom]:
        """Write the equations; ``fresh`` gives their results new variables."""
        for eqn in jaxpr.eqns:
            ins = [env.get(a, a) for a in eqn.invars]
            param = eqn.primitive.call_param
            if param is not None:
                outs = self.call(eqn.params[param], ins)
                env.update(zip(eqn.outvars, outs, strict=True))
                continue
            outvars: Sequence[Var] = eqn.outvars
            if fresh:
                outvars = [Var(v.aval) for v in eqn.outvars]
                env.update(zip(eqn.outvars, outvars, strict=True))
            elif not any(map(operator.is_not, ins, eqn.invars)):
                self.eqns.append(eqn)
                continue
            self.eqns.append(
                JaxprEqn(ins, outvars, eqn.primitive, eqn.params, eqn.effects, eqn.source_info)
            )
        return [a if isinstance(a, Literal) else env.get(a, a) for a in jaxpr.outvars]

    def call(self, inner: ClosedJaxpr, args: Sequence[Atom]) -> list[Atom]:
        env: dict[Any, Atom] = dict(zip(inner.jaxpr.invars, args, strict=True))
        for v, c in zip(inner.jaxpr.constvars, inner.consts, strict=True):
            env[v] = self.const(v, c)
        return self.run(inner.jaxpr, env, fresh=True)
