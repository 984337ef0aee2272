"""Transposition of linear programs: the backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from covector.core.avals import aval_of
from covector.core.jaxpr import Jaxpr, JaxprEqn, Literal, Var, bind_again
from covector.core.places import at_equations
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    missing_rule,
    transpose_only,
    transpose_rules,
)
from covector.core.structural import add_tangents, convert_element_type

# ``transposed(rule, ct, vals, eqn)`` calls the rule where types say how arrays are split over
# devices; set once there are such types.
transposed: Callable[..., Sequence[Any]] | None = None
# ``laid(x, sharding, beside)`` lays ``x`` out so, on the devices of what is ``beside`` it.
laid: Callable[..., Any]


def backward_pass(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    args: Sequence[Any],
    cts_out: Sequence[Any],
    as_given: bool = False,
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
    as_given : bool
        Leave a cotangent of an argument in the dtype that a backward rule of the user gave it.

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
    once: Collection[Any] | None = None
    with at_equations("transpose") as at:
        for eqn in reversed(linear_eqns):
            ct_out = _taken(cts, eqn)
            if ct_out is None:
                continue
            at(eqn.source_info)
            rule = transpose_rules.get(eqn.primitive)
            if rule is None:
                raise missing_rule(eqn.primitive, "transpose", eqn)
            vals = [
                a.val if type(a) is Literal else known[a] if a in known else UndefinedPrimal(a.aval)
                for a in eqn.invars
            ]
            if transposed is None:
                found = rule(ct_out, *vals, **eqn.params)
            else:
                found = transposed(rule, ct_out, vals, eqn)
            if eqn.primitive in transpose_only:
                if once is None:
                    once = _read_once(jaxpr) if as_given else ()
                found = [_typed(a, ct, once) for a, ct in zip(eqn.invars, found, strict=True)]
            for a, ct in zip(eqn.invars, found, strict=True):
                add(a, ct)
    return [
        cts.get(v, Zero(v.aval.as_cotangent())) if type(x) is UndefinedPrimal else None
        for v, x in zip(jaxpr.invars, args, strict=True)
    ]


def _read_once(jaxpr: Jaxpr) -> set[Any]:
    """Arguments that have one cotangent, whose dtype may be any."""
    reads = Counter(a for eqn in jaxpr.eqns for a in eqn.invars if type(a) is Var)
    reads.update(a for a in jaxpr.outvars if type(a) is Var)
    return {v for v in jaxpr.invars if reads[v] == 1}


def _typed(a: Any, ct: Any, kept: Collection[Any]) -> Any:
    """The cotangent of an operand in its dtype: users' rules may return another float."""
    if ct is None or type(ct) is Zero or a in kept or aval_of(ct).dtype == a.aval.dtype:
        return ct
    return convert_element_type(ct, a.aval.dtype)


def _evaluate_known(jaxpr: Jaxpr, known: dict[Any, Any]) -> list[JaxprEqn]:
    """Evaluate the equations whose operands are ``known``, into it; returns the others."""
    others = []
    with at_equations() as at:
        for eqn in jaxpr.eqns:
            if all(type(a) is Literal or a in known for a in eqn.invars):
                at(eqn.source_info)
                vals = [a.val if type(a) is Literal else known[a] for a in eqn.invars]
                out = bind_again(eqn, vals)
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
    return [
        Zero(v.aval.as_cotangent()) if ct is None else ct
        for v, ct in zip(eqn.outvars, found, strict=True)
    ]
