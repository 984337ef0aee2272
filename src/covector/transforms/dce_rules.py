"""Calls without the results that nothing uses, and what only those need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.dce import dce
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn
from covector.core.rules import dce_rules
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.jit import jit_p


def pick(xs: Sequence[Any], used: Sequence[bool]) -> list[Any]:
    """Those of ``xs`` that are used."""
    return [x for x, u in zip(xs, used, strict=True) if u]


def what_is_read(jaxpr: Jaxpr) -> list[bool]:
    """Which arguments ``jaxpr`` reads."""
    seen: set[Any] = {a for eqn in jaxpr.eqns for a in eqn.invars}
    seen.update(jaxpr.outvars)
    return [v in seen for v in jaxpr.invars]


def either(a: Sequence[bool], b: Sequence[bool]) -> tuple[bool, ...]:
    """What is used by one or the other."""
    return tuple(x or y for x, y in zip(a, b, strict=True))


def with_inputs(closed: ClosedJaxpr, jaxpr: Jaxpr, used: Sequence[bool]) -> ClosedJaxpr:
    """``jaxpr``, a part of ``closed``, with those arguments of it that are used."""
    return ClosedJaxpr(jaxpr.replace(invars=pick(closed.jaxpr.invars, used)), closed.consts)


@cached_on_jaxpr
def small_call(
    closed: ClosedJaxpr, used: tuple[bool, ...], inputs: tuple[bool, ...] | None
) -> tuple[ClosedJaxpr, tuple[bool, ...]]:
    """``closed`` with the results that are used, and the arguments that it keeps: ``inputs`` or
    those that are read."""
    jaxpr = dce(closed.jaxpr, used)
    reads = tuple(what_is_read(jaxpr)) if inputs is None else inputs
    return with_inputs(closed, jaxpr, reads), reads


def _jit(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    closed, inputs = small_call(eqn.params["jaxpr"], tuple(used), None)
    return eqn.replace(
        invars=pick(eqn.invars, inputs),
        outvars=pick(eqn.outvars, used),
        params={**eqn.params, "jaxpr": closed},
    )


dce_rules[jit_p] = _jit
