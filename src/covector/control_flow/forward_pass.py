"""Forward passes of `custom_vjp` that give way to the function where no residual is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import share_consts, trace_body
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.rules import (
    Zero,
    dce_rules,
    higher_order_rules,
    jvp_rules,
    partial_eval_rules,
)
from covector.core.structural import fill_zeros, mapped_first
from covector.core.trace import Primitive
from covector.transforms.dce_rules import pick, small_call
from covector.transforms.jaxprs import batch_jaxpr, jvp_jaxpr
from covector.transforms.jit import jit_p
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.vmap import BatchTrace

# forward_pass(*consts, *args; jaxpr, fun, name): `jaxpr` returns the results and the residuals,
# `fun` the results alone.
forward_pass_p = Primitive("custom_vjp_fwd", multiple_results=True, call_param="jaxpr")


@forward_pass_p.def_abstract_eval
def _avals(
    *avals: ShapedArray, jaxpr: ClosedJaxpr, fun: ClosedJaxpr, name: str
) -> list[ShapedArray]:
    return jaxpr.out_avals


forward_pass_p.def_effects(lambda params: params["jaxpr"].effects)


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return eval_jaxpr(params["jaxpr"].jaxpr, params["jaxpr"].consts, *args)


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    nonzero = tuple(type(t) is not Zero for t in tangents)
    closed, nonzero_out = jvp_jaxpr(params["jaxpr"], nonzero)
    args = [*primals, *(t for t in tangents if type(t) is not Zero)]
    outs = jit_p.bind_params(args, {"jaxpr": closed, "name": params["name"], "inline": False})
    n = len(nonzero_out)
    return outs[:n], fill_zeros(outs[:n], nonzero_out, outs[n:])


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    batched = tuple(d is not None for d in dims)

    def mapped(closed: ClosedJaxpr) -> ClosedJaxpr:
        force = (True,) * len(closed.out_avals)
        return batch_jaxpr(closed, trace.axis_size, trace.axis_name, batched, force)[0]

    both = {name: mapped(params[name]) for name in ("jaxpr", "fun")}
    outs = forward_pass_p.bind_params(mapped_first(args, dims), {**params, **both})
    return outs, [0] * len(outs)


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    return _evaluate(args, params)


def _dce(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    fun, name = eqn.params["fun"], eqn.params["name"]
    n = len(fun.out_avals)
    if any(used[n:]):
        return eqn
    closed, inputs = small_call(fun, tuple(used[:n]), None)
    return eqn.replace(
        primitive=jit_p,
        invars=pick(eqn.invars, inputs),
        outvars=pick(eqn.outvars, used),
        params={"jaxpr": closed, "name": name, "inline": False},
    )


forward_pass_p.impl = _evaluate
jvp_rules[forward_pass_p] = _jvp
higher_order_rules[forward_pass_p] = _batch
partial_eval_rules[forward_pass_p] = _partial_eval
dce_rules[forward_pass_p] = _dce


def run_forward_pass(
    fun: Callable[..., list[Any]], fwd: Callable[..., list[Any]], args: Sequence[Any], name: str
) -> list[Any]:
    """Flat results and residuals of ``fwd``, whose results are those of ``fun``, as one operation.

    Residuals that are arguments are taken as they are: they need no forward pass.
    """
    avals = [aval_of(x) for x in args]
    in_tree = tree.structure(tuple(args))
    forward = trace_body(fwd, in_tree, avals, "custom_vjp")
    primal = trace_body(fun, in_tree, avals, "custom_vjp")
    (jaxpr, alone), consts, _ = share_consts([forward, primal])
    operands = [*consts, *args]
    outs = forward_pass_p.bind_params(operands, {"jaxpr": jaxpr, "fun": alone, "name": name})
    given: dict[Any, Any] = dict(zip(jaxpr.jaxpr.invars, operands, strict=True))
    n = len(primal.out_avals)
    residuals = zip(jaxpr.jaxpr.outvars[n:], outs[n:], strict=True)
    return [*outs[:n], *(given.get(v, x) for v, x in residuals)]
