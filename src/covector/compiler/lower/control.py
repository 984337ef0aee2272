"""Branches and loops of jaxprs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from covector.compiler.ir.nodes import (
    Bound,
    Branch,
    IDyn,
    Loop,
    Part,
    Update,
    Value,
    iop,
    ivars,
)
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.lower.strips import might_be_strips, strips
from covector.control_flow.cond import cond_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.while_loop import while_p
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn


@rule(cond_p)
def _cond(low: Lowering, eqn: JaxprEqn, index: Value, *args: Value) -> list[Value]:
    blocks = [low.inner(partial(low.closed, b, args)) for b in eqn.params["branches"]]
    return low.append(Branch(index, blocks, low.specs([v.aval for v in eqn.outvars])))


def _loop(low: Lowering, carries: list[Value], inits: Any, make: Callable[[], Loop]) -> list[Value]:
    """The results of a loop, which is made of the carries once, or once more."""
    if low.in_strips or not might_be_strips(inits, carries):
        return low.append(make())
    # Loops inside stay loops, at first.
    low.in_strips = True
    d = make()
    low.in_strips = False
    found = strips(low, d)
    if found is not None:
        return found
    inside = any(type(v.defn) is Loop for v in d.body.values)
    return low.append(make() if inside else d)


@rule(while_p)
def _while(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    cc, bc, init = args[:nc], args[nc : nc + nb], args[nc + nb :]
    carries = [Value(v.shape, v.dtype, Bound("carry")) for v in init]

    def make() -> Loop:
        cond = low.inner(lambda: low.closed(p["cond_jaxpr"], [*cc, *carries]))
        body = low.inner(lambda: low.closed(p["body_jaxpr"], [*bc, *carries]))
        return Loop(init, carries, body, cond)

    return _loop(low, carries, init, make)


@rule(scan_p)
def _scan(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p = eqn.params
    nc, nk, reverse = p["num_consts"], p["num_carry"], p["reverse"]
    consts, init, xs = args[:nc], args[nc : nc + nk], args[nc + nk :]
    closed = p["jaxpr"]
    trips = low.dim(p["length"])
    stacked = [v.aval for v in eqn.outvars[nk:]]
    empty = [low.define(low.shape(a.shape), a.dtype, Update(None, [])) for a in stacked]
    inits = [*init, *empty]
    carries = [
        Value(v.shape, v.dtype, Bound("carry" if k < nk else "stacked"))
        for k, v in enumerate(inits)
    ]
    counter = Value((), dtypes.int64, Bound("counter"))
    t: Any = IDyn(counter.at())
    if reverse:
        t = iop("-", iop("-", trips, 1), t)

    def body() -> list[Value]:
        rows = [low.pointwise(x.shape[1:], x.dtype, x.at(t, *ivars(x.ndim - 1))) for x in xs]
        out = low.closed(closed, [*consts, *carries[:nk], *rows])
        new = list(out[:nk])
        for y, whole in zip(out[nk:], carries[nk:], strict=True):
            part = Part(y.shape, (t, *ivars(y.ndim)), y.at(*ivars(y.ndim)))
            new.append(low.define(whole.shape, whole.dtype, Update(whole, [part])))
        return new

    def make() -> Loop:
        return Loop(inits, carries, low.inner(body), trips=trips, counter=counter)

    return _loop(low, carries, inits, make)
