"""Transposition of linear programs: the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.jaxpr import Jaxpr, JaxprEqn, Literal, Var
from covector.core.rules import UndefinedPrimal, Zero, missing_rule, transpose_rules
from covector.core.structural import add_tangents


def backward_pass(
    jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], cts_out: Sequence[Any]
) -> list[Any]:
    """Cotangents of the arguments of a linear jaxpr.

    Parameters
    ----------
    jaxpr : Jaxpr
        Its equations are linear in what depends on the undefined arguments; equations that
        do not depend on those are evaluated.
    consts, args : sequences
        Values; `UndefinedPrimal` for the arguments to differentiate by.
    cts_out : sequence
        A cotangent, or `Zero`, per result.

    Returns
    -------
    list
        A cotangent or `Zero` for each undefined argument, None for the others.
    """
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    for v, x in zip(jaxpr.invars, args, strict=True):
        if type(x) is not UndefinedPrimal:
            known[v] = x
    linear_eqns = _evaluate_known(jaxpr, known)
    cts: dict[Var, Any] = {}

    def add(v: Any, ct: Any) -> None:
        if ct is None or type(ct) is Zero or type(v) is Literal or v in known:
            return
        old = cts.get(v)
        cts[v] = ct if old is None else add_tangents(old, ct)

    for out, ct in zip(jaxpr.outvars, cts_out, strict=True):
        add(out, ct)
    for eqn in reversed(linear_eqns):
        ct_out = _taken(cts, eqn)
        if ct_out is None:
            continue
        rule = transpose_rules.get(eqn.primitive)
        if rule is None:
            raise missing_rule(eqn.primitive, "transpose", eqn)
        vals = [
            a.val if type(a) is Literal else known[a] if a in known else UndefinedPrimal(a.aval)
            for a in eqn.invars
        ]
        for a, ct in zip(eqn.invars, rule(ct_out, *vals, **eqn.params), strict=True):
            add(a, ct)
    return [
        cts.get(v, Zero(v.aval)) if type(x) is UndefinedPrimal else None
        for v, x in zip(jaxpr.invars, args, strict=True)
    ]


def _evaluate_known(jaxpr: Jaxpr, known: dict[Any, Any]) -> list[JaxprEqn]:
    """Evaluate the equations whose operands are ``known``, into it; returns the others."""
    others = []
    for eqn in jaxpr.eqns:
        if all(type(a) is Literal or a in known for a in eqn.invars):
            vals = [a.val if type(a) is Literal else known[a] for a in eqn.invars]
            out = eqn.primitive.bind_params(vals, eqn.params)
            known.update(
                zip(eqn.outvars, out if eqn.primitive.multiple_results else [out], strict=True)
            )
        else:
            others.append(eqn)
    return others


def _taken(cts: dict[Var, Any], eqn: JaxprEqn) -> Any:
    """The cotangents of an equation's results as its rule takes them, None if all are zero."""
    if not eqn.primitive.multiple_results:
        return cts.pop(eqn.outvars[0], None)
    found = [cts.pop(v, None) for v in eqn.outvars]
    if all(ct is None for ct in found):
        return None
    return [Zero(v.aval) if ct is None else ct for v, ct in zip(eqn.outvars, found, strict=True)]
