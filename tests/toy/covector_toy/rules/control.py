"""Calls, branches, loops and callbacks: programs within programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.control_flow.checkpoint import checkpoint_p
from covector.control_flow.composite import composite_p
from covector.control_flow.cond import cond_p
from covector.control_flow.custom_jvp import custom_jvp_call_p
from covector.control_flow.custom_vjp import custom_lin_p, custom_vjp_call_p
from covector.control_flow.forward_pass import forward_pass_p
from covector.control_flow.linear_call import linear_call_p
from covector.control_flow.reduce import by_neighbours, reduce_p
from covector.control_flow.scan_rules import scan_p
from covector.control_flow.solves import linear_solve_p
from covector.control_flow.vmap_rules import custom_vmap_call_p
from covector.control_flow.while_loop import while_p
from covector.core.jaxpr import JaxprEqn
from covector.lax.ragged import ragged_matrices_p, ragged_rows_p
from covector.runtime.callbacks import host_array
from covector.transforms.callbacks import call_checked, debug_callback_p, pure_callback_p
from covector.transforms.checks import check_p
from covector.transforms.io_callback import io_callback_p
from covector.transforms.jit import jit_p
from covector_toy.interpreter import IMPOSSIBLE, rule, run_closed, value_type
from covector_toy.rules.elementwise import Elements

IMPOSSIBLE[custom_lin_p] = "of such a tangent only the transpose is known"


@rule(
    jit_p, checkpoint_p, custom_jvp_call_p, custom_vjp_call_p, custom_vmap_call_p, forward_pass_p,
    linear_call_p, linear_solve_p, composite_p, ragged_rows_p, ragged_matrices_p,
)  # fmt: skip
def _call(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    return run_closed(eqn.params[eqn.primitive.call_param], args)


@rule(cond_p)
def _cond(eqn: JaxprEqn, index: Elements, *args: Elements) -> list[Elements]:
    branches = eqn.params["branches"]
    return run_closed(branches[min(max(int(index), 0), len(branches) - 1)], args)


@rule(while_p)
def _while(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    p = eqn.params
    of_cond, of_body = p["cond_nconsts"], p["body_nconsts"]
    cond_consts, rest = args[:of_cond], args[of_cond:]
    body_consts, state = rest[:of_body], list(rest[of_body:])
    while run_closed(p["cond_jaxpr"], [*cond_consts, *state])[0]:
        state = run_closed(p["body_jaxpr"], [*body_consts, *state])
    return state


@rule(scan_p)
def _scan(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    p = eqn.params
    of_consts, of_carry, length = p["num_consts"], p["num_carry"], p["length"]
    consts, rest = args[:of_consts], args[of_consts:]
    carry, xs = list(rest[:of_carry]), rest[of_carry:]
    rows: list[list[Elements]] = []
    for t in range(length)[:: -1 if p["reverse"] else 1]:
        outs = run_closed(p["jaxpr"], [*consts, *carry, *[x[t] for x in xs]])
        carry = outs[:of_carry]
        rows.append(outs[of_carry:])
    if p["reverse"]:
        rows.reverse()
    if not rows:
        return [
            *carry,
            *[np.empty(v.aval.shape, value_type(v.aval)) for v in eqn.outvars[of_carry:]],
        ]
    return [*carry, *map(np.stack, zip(*rows, strict=True))]


def _given(eqn: JaxprEqn, args: Sequence[Elements]) -> list[Any]:
    return [host_array(x, a.aval) for x, a in zip(args, eqn.invars, strict=True)]


@rule(reduce_p)
def _reduce(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    p = eqn.params
    return run_closed(by_neighbours(p["jaxpr"], tuple(v.aval for v in eqn.invars), p["axes"]), args)


@rule(pure_callback_p, io_callback_p)
def _pure_callback(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    return call_checked(eqn.params["callback"], _given(eqn, args), eqn.params["result_avals"])


@rule(check_p)
def _check(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    assert eqn.params["debug"]
    return []


@rule(debug_callback_p)
def _debug_callback(eqn: JaxprEqn, *args: Elements) -> list[Elements]:
    eqn.params["callback"](*_given(eqn, args))
    return []
