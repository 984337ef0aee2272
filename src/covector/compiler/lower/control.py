"""Calls, branches and loops of jaxprs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    Bound,
    Branch,
    IDyn,
    LibraryCall,
    Loop,
    Part,
    Update,
    Value,
    iop,
    ivars,
)
from covector.compiler.lower.library import results
from covector.compiler.lower.lowering import Lowering, rule
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.lax.control_flow.cond import cond_p
from covector.lax.control_flow.scan import scan_p
from covector.lax.control_flow.while_loop import while_p
from covector.runtime.callbacks import register
from covector.transforms.callbacks import debug_callback_p, pure_callback_p


@rule(cond_p)
def _cond(low: Lowering, eqn: JaxprEqn, index: Value, *args: Value) -> list[Value]:
    blocks = [low.inner(lambda b=b: low.closed(b, args)) for b in eqn.params["branches"]]
    branch = Branch(index, blocks)
    out = []
    for k, v in enumerate(eqn.outvars):
        r = Value(low.shape(v.aval.shape), v.aval.dtype, branch, k)
        low.block.values.append(r)
        out.append(r)
    branch.results = out
    if not out:
        low.block.values.append(Value((), dtypes.bool_, branch, 0))
    return out


def _finish(low: Lowering, loop: Loop, shapes: Sequence[Value]) -> list[Value]:
    """Append a loop to the block and make its results."""
    out = []
    for k, c in enumerate(shapes):
        r = Value(c.shape, c.dtype, loop, k)
        low.block.values.append(r)
        out.append(r)
    loop.results = out
    if not out:
        low.block.values.append(Value((), dtypes.bool_, loop, 0))
    return out


@rule(while_p)
def _while(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    cc, bc, init = args[:nc], args[nc : nc + nb], args[nc + nb :]
    loop = Loop(init, None)
    loop.carries = [Value(v.shape, v.dtype, Bound("carry")) for v in init]
    loop.cond = low.inner(lambda: low.closed(p["cond_jaxpr"], [*cc, *loop.carries]))
    loop.body = low.inner(lambda: low.closed(p["body_jaxpr"], [*bc, *loop.carries]))
    return _finish(low, loop, loop.carries)


@rule(scan_p)
def _scan(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p = eqn.params
    nc, nk, reverse = p["num_consts"], p["num_carry"], p["reverse"]
    consts, init, xs = args[:nc], args[nc : nc + nk], args[nc + nk :]
    closed = p["jaxpr"]
    trips = low.dim(p["length"])
    stacked = [v.aval for v in eqn.outvars[nk:]]
    empty = [low.define(low.shape(a.shape), a.dtype, Update(None, [])) for a in stacked]
    loop = Loop((*init, *empty), trips)
    loop.carries = [
        Value(v.shape, v.dtype, Bound("carry" if k < nk else "stacked"))
        for k, v in enumerate(loop.inits)
    ]
    loop.counter = Value((), dtypes.int64, Bound("counter"))
    t: Any = IDyn(loop.counter.at())
    if reverse:
        t = iop("-", iop("-", trips, 1), t)

    def body() -> list[Value]:
        rows = [low.pointwise(x.shape[1:], x.dtype, x.at(t, *ivars(x.ndim - 1))) for x in xs]
        out = low.closed(closed, [*consts, *loop.carries[:nk], *rows])
        new = list(out[:nk])
        for y, whole in zip(out[nk:], loop.carries[nk:], strict=True):
            part = Part(y.shape, (t, *ivars(y.ndim)), y.at(*ivars(y.ndim)))
            new.append(low.define(whole.shape, whole.dtype, Update(whole, [part])))
        return new

    loop.body = low.inner(body)
    return _finish(low, loop, loop.carries)


def _callback(low: Lowering, eqn: JaxprEqn, effect: bool, *args: Value) -> list[Value]:
    ins = [a.aval for a in eqn.invars]
    outs = [v.aval for v in eqn.outvars]
    registration = register(eqn, ins, outs)
    low.program.keepalive.append(registration)
    # The identity of the callback is a run-time parameter: the code does not depend on it.
    sym = low.parameter(registration.ident)
    call = LibraryCall("callback", args, {"id": sym}, effect=effect)
    if outs:
        return results(low, call, outs)
    marker = Value((), None, call, 0)
    low.block.values.append(marker)
    return []


@rule(debug_callback_p)
def _debug_callback(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _callback(low, eqn, True, *args)


@rule(pure_callback_p)
def _pure_callback(low: Lowering, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return _callback(low, eqn, False, *args)
