"""Linear functions with a transpose of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.control_flow.common import (
    batch_jaxprs,
    check_carry,
    cotangents_of_vectors,
    evaluate_jaxpr,
    share_consts,
    trace_body,
)
from covector.core import tree
from covector.core.avals import ShapedArray, aval_of
from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.rules import Zero, higher_order_rules, jvp_rules, transpose_rules
from covector.core.structural import add_tangents, instantiate
from covector.core.trace import Primitive
from covector.transforms.arguments import api_boundary, check_callable
from covector.transforms.jvp import jvp_flat
from covector.transforms.vmap import BatchTrace

# linear_call(*residuals, *linear; …): both jaxprs take the same residuals, the constants that the
# functions close over among them.
linear_call_p = Primitive("linear_call", multiple_results=True, call_param="jaxpr")


@linear_call_p.def_abstract_eval
def _avals(
    *avals: ShapedArray, jaxpr: ClosedJaxpr, transpose: ClosedJaxpr, num_residuals: int
) -> list[ShapedArray]:
    return jaxpr.out_avals


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    n, closed = params["num_residuals"], params["jaxpr"]
    outs = linear_call_p.bind_params(primals, params)
    found: list[Any] = [Zero.of(x) for x in outs]
    if any(type(t) is not Zero for t in tangents[n:]):
        moved = [*primals[:n], *map(instantiate, tangents[n:])]
        found = linear_call_p.bind_params(moved, params)
    if any(type(t) is not Zero for t in tangents[:n]):
        # By the residuals it is a function like others.
        def at(*residuals: Any) -> list[Any]:
            return eval_jaxpr(closed.jaxpr, closed.consts, *residuals, *primals[n:])

        _, along = jvp_flat(at, primals[:n], tangents[:n])
        found = [add_tangents(a, b) for a, b in zip(found, along, strict=True)]
    return outs, found


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    n = params["num_residuals"]
    swapped = {
        "jaxpr": params["transpose"], "transpose": params["jaxpr"], "num_residuals": n
    }  # fmt: skip
    out = linear_call_p.bind_params([*args[:n], *map(instantiate, cts)], swapped)
    return cotangents_of_vectors(out, args, n)


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    n = params["num_residuals"]
    return batch_jaxprs(linear_call_p, ("jaxpr", "transpose"), n, trace, args, dims, params)


linear_call_p.impl = evaluate_jaxpr(linear_call_p)
jvp_rules[linear_call_p] = _jvp
transpose_rules[linear_call_p] = _transpose
higher_order_rules[linear_call_p] = _batch


@api_boundary
def linear_call(
    fun: Callable[..., Any],
    fun_transpose: Callable[..., Any],
    residual_args: Any,
    linear_args: Any,
) -> Any:
    """Call ``fun(residual_args, linear_args)``, linear in the latter, with a given transpose.

    Parameters
    ----------
    fun : callable
    fun_transpose : callable
        ``fun_transpose(residual_args, ct)``, with the cotangent of the result of ``fun``, gives
        that of ``linear_args``. It is not checked to be the transpose.
    residual_args, linear_args : pytrees
        With respect to residuals the derivative is that of ``fun``.

    Returns
    -------
    pytree
        What ``fun`` returns.

    Raises
    ------
    TypeError
        If ``fun_transpose`` does not return arrays of the types of ``linear_args``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.custom_derivatives import linear_call
    >>> scale = lambda r, x: r * x
    >>> cv.grad(lambda x: linear_call(scale, scale, 3.0, x))(2.0)
    Array(3., dtype=float32, weak_type=True)
    """
    for f in (fun, fun_transpose):
        check_callable(f, "linear_call")
    flat, in_tree = tree.flatten((residual_args, linear_args))
    avals = [aval_of(x) for x in flat]
    forward = trace_body(fun, in_tree, avals, "linear_call")
    linear, linear_tree = tree.flatten(linear_args)
    n = len(flat) - len(linear)
    cts = [a.to_cotangent_aval() for a in forward.out_avals]
    ct_tree = tree.structure((residual_args, tree.unflatten(forward.out_tree, cts)))
    backward = trace_body(fun_transpose, ct_tree, [*avals[:n], *cts], "linear_call")
    check_carry(
        "linear_call", fun_transpose, linear_tree, avals[n:], backward.out_tree, backward.out_avals
    )
    (jaxpr, transpose), consts, _ = share_consts([forward, backward])
    params = {"jaxpr": jaxpr, "transpose": transpose, "num_residuals": len(consts) + n}
    outs = linear_call_p.bind_params([*consts, *flat], params)
    return tree.unflatten(forward.out_tree, outs)
