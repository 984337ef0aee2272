"""Dead code: the part of a jaxpr that its results need."""

from __future__ import annotations

from collections.abc import Sequence

from covector.core.jaxpr import Atom, DropVar, Jaxpr, JaxprEqn, Var
from covector.core.rules import dce_rules


def dce(jaxpr: Jaxpr, used: Sequence[bool] | None = None) -> Jaxpr:
    """``jaxpr`` without the results that are not ``used`` and the equations only they need."""
    outvars = [
        v for v, u in zip(jaxpr.outvars, used or [True] * len(jaxpr.outvars), strict=True) if u
    ]
    live: set[Atom] = {v for v in outvars if type(v) is Var}
    eqns: list[JaxprEqn] = []
    for eqn in reversed(jaxpr.eqns):
        wanted = sum([v in live for v in eqn.outvars])
        if not wanted and not eqn.effects:
            continue
        if wanted < len(eqn.outvars):
            rule = dce_rules.get(eqn.primitive)
            if rule is not None:
                less = rule([v in live for v in eqn.outvars], eqn)
                if less is None:
                    continue
                eqn = less
            outs = [v if v in live else DropVar(v.aval) for v in eqn.outvars]
            eqn = eqn.replace(outvars=outs)
        eqns.append(eqn)
        live.update([a for a in eqn.invars if type(a) is Var])
    eqns.reverse()
    return jaxpr.replace(outvars=outvars, eqns=eqns)
