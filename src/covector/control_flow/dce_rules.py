"""Loops, branches and calls without the results that nothing uses, and what only those need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.control_flow.cond import cond_p
from covector.control_flow.scan import scan_p
from covector.control_flow.while_loop import while_p
from covector.core.dce import dce
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn
from covector.core.rules import dce_rules
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.jit import jit_p


def _pick(xs: Sequence[Any], used: Sequence[bool]) -> list[Any]:
    return [x for x, u in zip(xs, used, strict=True) if u]


def _reads(jaxpr: Jaxpr) -> list[bool]:
    """Which arguments ``jaxpr`` reads."""
    seen: set[Any] = {a for eqn in jaxpr.eqns for a in eqn.invars}
    seen.update(jaxpr.outvars)
    return [v in seen for v in jaxpr.invars]


def _join(a: Sequence[bool], b: Sequence[bool]) -> tuple[bool, ...]:
    return tuple(x or y for x, y in zip(a, b, strict=True))


def _with_inputs(closed: ClosedJaxpr, jaxpr: Jaxpr, used: Sequence[bool]) -> ClosedJaxpr:
    return ClosedJaxpr(jaxpr.replace(invars=_pick(closed.jaxpr.invars, used)), closed.consts)


@cached_on_jaxpr
def _small_scan(
    closed: ClosedJaxpr, num_consts: int, num_carry: int, used: tuple[bool, ...]
) -> tuple[ClosedJaxpr, tuple[bool, ...], tuple[bool, ...]]:
    """The body, the operands it keeps, and the results it keeps."""
    end = num_consts + num_carry
    carry, ys = used[:num_carry], used[num_carry:]
    while True:
        jaxpr = dce(closed.jaxpr, [*carry, *ys])
        reads = _reads(jaxpr)
        joined = _join(carry, reads[num_consts:end])
        if joined == carry:
            break
        carry = joined
    inputs = (*reads[:num_consts], *carry, *reads[end:])
    return _with_inputs(closed, jaxpr, inputs), inputs, (*carry, *ys)


def _scan(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    p = eqn.params
    nc, ncarry = p["num_consts"], p["num_carry"]
    closed, inputs, outputs = _small_scan(p["jaxpr"], nc, ncarry, tuple(used))
    params = {
        **p,
        "jaxpr": closed,
        "num_consts": sum(inputs[:nc]),
        "num_carry": sum(outputs[:ncarry]),
    }
    return eqn.replace(
        invars=_pick(eqn.invars, inputs), outvars=_pick(eqn.outvars, outputs), params=params
    )


@cached_on_jaxpr
def _small_while(
    body: ClosedJaxpr, cond: ClosedJaxpr, body_nconsts: int, cond_nconsts: int,
    used: tuple[bool, ...],
) -> tuple[ClosedJaxpr, ClosedJaxpr, tuple[bool, ...], tuple[bool, ...]]:  # fmt: skip
    """Body and condition, the constants of the body and the carry that they keep."""
    cond_reads = _reads(cond.jaxpr)
    carry = _join(used, cond_reads[cond_nconsts:])
    while True:
        jaxpr = dce(body.jaxpr, carry)
        reads = _reads(jaxpr)
        joined = _join(carry, reads[body_nconsts:])
        if joined == carry:
            break
        carry = joined
    consts = tuple(reads[:body_nconsts])
    return (
        _with_inputs(body, jaxpr, (*consts, *carry)),
        _with_inputs(cond, cond.jaxpr, (*[True] * cond_nconsts, *carry)),
        consts,
        carry,
    )


def _while(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    body, cond, consts, carry = _small_while(p["body_jaxpr"], p["cond_jaxpr"], nb, nc, tuple(used))
    params = {**p, "body_jaxpr": body, "cond_jaxpr": cond, "body_nconsts": sum(consts)}
    return eqn.replace(
        invars=_pick(eqn.invars, (*[True] * nc, *consts, *carry)),
        outvars=_pick(eqn.outvars, carry),
        params=params,
    )


@cached_on_jaxpr
def _small_call(
    closed: ClosedJaxpr, used: tuple[bool, ...], inputs: tuple[bool, ...] | None
) -> tuple[ClosedJaxpr, tuple[bool, ...]]:
    jaxpr = dce(closed.jaxpr, used)
    reads = tuple(_reads(jaxpr)) if inputs is None else inputs
    return _with_inputs(closed, jaxpr, reads), reads


def _cond(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    branches = eqn.params["branches"]
    mask = tuple(used)
    inputs = tuple(map(any, zip(*(_small_call(b, mask, None)[1] for b in branches), strict=True)))
    small = tuple(_small_call(b, mask, inputs)[0] for b in branches)
    return eqn.replace(
        invars=[eqn.invars[0], *_pick(eqn.invars[1:], inputs)],
        outvars=_pick(eqn.outvars, used),
        params={"branches": small},
    )


def _jit(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    closed, inputs = _small_call(eqn.params["jaxpr"], tuple(used), None)
    return eqn.replace(
        invars=_pick(eqn.invars, inputs),
        outvars=_pick(eqn.outvars, used),
        params={**eqn.params, "jaxpr": closed},
    )


dce_rules[scan_p] = _scan
dce_rules[while_p] = _while
dce_rules[cond_p] = _cond
dce_rules[jit_p] = _jit
