"""Calls, branches and loops: programs within programs."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from covector.backends.pjrt.lower import IMPOSSIBLE, consts_of, emit, rule, run, spread
from covector.backends.pjrt.text import Builder, Value
from covector.control_flow.checkpoint import checkpoint_p
from covector.control_flow.composite import composite_p
from covector.control_flow.cond import cond_p
from covector.control_flow.custom_jvp import custom_jvp_call_p
from covector.control_flow.custom_vjp import custom_lin_p, custom_vjp_call_p
from covector.control_flow.forward_pass import forward_pass_p
from covector.control_flow.linear_call import linear_call_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.solves import linear_solve_p
from covector.control_flow.vmap_rules import custom_vmap_call_p
from covector.control_flow.while_loop import while_p
from covector.core.jaxpr import JaxprEqn
from covector.lax.ragged import ragged_matrices_p, ragged_rows_p
from covector.primitives import parallel as pa
from covector.transforms.callbacks import OrderedDebugEffect
from covector.transforms.io_callback import OrderedIOEffect
from covector.transforms.jit import jit_p

_I32 = np.dtype(np.int32)
_BOOL = np.dtype(np.bool_)
ORDERED_EFFECTS = (OrderedDebugEffect, OrderedIOEffect)

IMPOSSIBLE[custom_lin_p] = "of such a tangent only the transpose is known"
for _p in (
    pa.psum_p, pa.pmax_p, pa.pmin_p, pa.ppermute_p, pa.all_gather_p, pa.all_to_all_p,
    pa.axis_index_p, pa.pcast_p,
):  # fmt: skip
    IMPOSSIBLE[_p] = "one device has no named axes; vmap resolves those that it maps"


@rule(
    jit_p, checkpoint_p, custom_jvp_call_p, custom_vjp_call_p, custom_vmap_call_p, forward_pass_p,
    linear_call_p, linear_solve_p, composite_p, ragged_rows_p, ragged_matrices_p,
)  # fmt: skip
def _call(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    return run(b, eqn.params[eqn.primitive.call_param], args)


@rule(cond_p)
def _cond(b: Builder, eqn: JaxprEqn, index: Value, *args: Value) -> list[Value]:
    branches = eqn.params["branches"]
    consts = [consts_of(b, branch) for branch in branches]
    if len(branches) == 1:
        return emit(b, branches[0].jaxpr, consts[0], args)
    which = b.convert(index, _I32)
    which = b.same("maximum", which, b.constant(0, _I32))
    outs = [(v.aval.dtype, v.aval.shape) for v in eqn.outvars]

    def write(k: int) -> list[Value]:
        return emit(b, branches[k].jaxpr, consts[k], args)

    cases = [functools.partial(write, k) for k in range(len(branches))]
    return b.case(which, cases, outs, ordered(eqn))


def ordered(eqn: JaxprEqn) -> bool:
    """Whether it has callbacks that keep their places."""
    return any([isinstance(e, ORDERED_EFFECTS) for e in eqn.effects])


@rule(while_p)
def _while(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    p = eqn.params
    of_cond, of_body = p["cond_nconsts"], p["body_nconsts"]
    cond_consts, rest = args[:of_cond], args[of_cond:]
    body_consts, state = rest[:of_body], rest[of_body:]
    test, body = p["cond_jaxpr"], p["body_jaxpr"]
    of_test, of_step = consts_of(b, test), consts_of(b, body)
    return b.loop(
        state,
        lambda *s: emit(b, test.jaxpr, of_test, [*cond_consts, *s])[0],
        lambda *s: emit(b, body.jaxpr, of_step, [*body_consts, *s]),
        ordered(eqn),
    )


def row_of(b: Builder, x: Value, t: Value) -> Value:
    """Row ``t`` of a tensor."""
    zeros = [b.constant(0, _I32)] * (len(x.shape) - 1)
    row = b.dynamic_slice(x, [t, *zeros], (1, *x.shape[1:]))
    return b.reshape(row, x.shape[1:])


def with_row(b: Builder, x: Value, row: Value, t: Value) -> Value:
    zeros = [b.constant(0, _I32)] * (len(x.shape) - 1)
    row = b.reshape(spread(b, row, x.shape[1:]), (1, *x.shape[1:]))
    return b.dynamic_update_slice(x, row, [t, *zeros])


@rule(scan_p)
def _scan(b: Builder, eqn: JaxprEqn, *args: Value) -> list[Value]:
    """A loop over the rows; as many of them at a time as ``unroll`` says."""
    p = eqn.params
    of_consts, of_carry, length = p["num_consts"], p["num_carry"], p["length"]
    consts, rest = args[:of_consts], args[of_consts:]
    carry, xs = list(rest[:of_carry]), rest[of_carry:]
    closed, reverse = p["jaxpr"], p["reverse"]
    inner = consts_of(b, closed)
    of_rows = [(v.aval.dtype, v.aval.shape) for v in eqn.outvars[of_carry:]]
    at_once = max(1, min(int(p["unroll"]), length)) if length else 1

    def step(t: Value, state: Sequence[Value]) -> list[Value]:
        if reverse:
            t = b.sub(b.constant(length - 1, _I32), t)
        outs = emit(
            b, closed.jaxpr, inner, [*consts, *state[:of_carry], *[row_of(b, x, t) for x in xs]]
        )
        made = zip(state[of_carry:], outs[of_carry:], strict=True)
        return [*outs[:of_carry], *[with_row(b, rows, y, t) for rows, y in made]]

    def body(t: Value, *state: Value) -> list[Value]:
        for k in range(at_once):
            at = b.add(t, b.constant(k, _I32)) if k else t
            state = tuple(step(at, state))
        return [b.add(t, b.constant(at_once, _I32)), *state]

    state: list[Value] = [*carry, *[b.constant(0, d, s) for d, s in of_rows]]
    whole = length - length % at_once
    if whole:
        end = b.constant(whole, _I32)
        _, *state = b.loop(
            [b.constant(0, _I32), *state], lambda t, *s: b.compare("LT", t, end), body,
            ordered(eqn),
        )  # fmt: skip
    for k in range(whole, length):
        state = step(b.constant(k, _I32), state)
    return state
