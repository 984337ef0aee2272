"""Collectives that go on while the program computes what does not depend on them.

A collective that sends messages becomes two operations: its start, as soon as what it sends is
known, and its end, where its result is first used; if there is enough to compute between. Programs
of all processes have the same equations, of which those of a collective's processes are treated
alike, so the order of starts is the same for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from covector.core.avals import ShapedArray
from covector.core.jaxpr import DropVar, Jaxpr, JaxprEqn, Var, map_inner, sub_jaxprs
from covector.sharding.cost_rules import flops
from covector.sharding.partition.collective import (
    Underway,
    collective_end_p,
    collective_p,
    collective_start_p,
)

# Operations that take as long as it takes to hand a collective to another thread.
_WORTH = 1e6

# Whether processes send each other messages, by their numbers.
Sends = Callable[[tuple[int, ...]], bool]


def overlapped(jaxpr: Jaxpr, sends: Sends) -> Jaxpr:
    """The program of one process, its collectives and those inside it overlapped.

    Parameters
    ----------
    jaxpr : Jaxpr
    sends : callable
        ``sends(ranks)``: whether those processes send messages. What goes through memory that they
        share is done by the processors that compute, and stays as it is.

    Returns
    -------
    Jaxpr
    """
    eqns = [map_inner(eqn, lambda inner: overlapped(inner, sends)) for eqn in jaxpr.eqns]
    starts, ends = defaultdict(list), defaultdict(list)
    halved = set()
    for k, (first, last) in _spans(jaxpr, eqns, sends).items():
        start, end = _halves(eqns[k])
        starts[first].append(start)
        ends[last].append(end)
        halved.add(k)
    if not halved and all(a is b for a, b in zip(eqns, jaxpr.eqns, strict=True)):
        return jaxpr
    found = []
    for k in range(len(eqns) + 1):
        found += ends[k] + starts[k]
        if k < len(eqns) and k not in halved:
            found.append(eqns[k])
    return jaxpr.replace(eqns=found)


def _spans(jaxpr: Jaxpr, eqns: list[JaxprEqn], sends: Sends) -> dict[int, tuple[int, int]]:
    """Before which equations the collectives that are worth it start and end."""
    work = [_work(eqn) for eqn in eqns]
    # Where a value is known, and where it is first used.
    known: dict[Any, int] = {}
    used: dict[Any, int] = {}
    for k, eqn in enumerate(eqns):
        known.update({v: k + 1 for v in eqn.outvars})
        for a in eqn.invars:
            if isinstance(a, Var):
                used.setdefault(a, k)
    found: dict[int, tuple[int, int]] = {}
    results = set()
    for k, eqn in enumerate(eqns):
        if eqn.primitive is not collective_p or not sends(eqn.params["ranks"]):
            continue
        (operand,), (result,) = eqn.invars, eqn.outvars
        if isinstance(result, DropVar):
            continue
        # What another collective results in is known at its end, which comes as late as it can.
        first = k if operand in results else known.get(operand, 0)
        last = used.get(result, len(eqns))
        if sum(work[first:last]) >= _WORTH:
            found[k] = first, last
            results.add(result)
    return found


def _work(eqn: JaxprEqn) -> float:
    inner = sum(_work(e) for jaxpr in sub_jaxprs(eqn.params) for e in jaxpr.eqns)
    # How often a loop goes round is not known of all of them.
    return flops(eqn) + inner * eqn.params.get("length", 1)


def _halves(eqn: JaxprEqn) -> tuple[JaxprEqn, JaxprEqn]:
    underway = Underway()
    started = Var(ShapedArray((), np.dtype(np.int32)))
    return (
        eqn.replace(
            primitive=collective_start_p, outvars=[started],
            params={**eqn.params, "underway": underway},
        ),
        eqn.replace(
            primitive=collective_end_p, invars=[started],
            params={"underway": underway, "aval": eqn.outvars[0].aval},
        ),
    )  # fmt: skip
