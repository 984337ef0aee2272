"""How the transformations go through `while_loop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from covector.control_flow.common import with_unused_args
from covector.core.avals import ShapedArray
from covector.core.dce import dce
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, eval_jaxpr
from covector.core.rules import (
    Zero,
    dce_rules,
    higher_order_rules,
    jvp_rules,
    partial_eval_rules,
    stepwise_rules,
    transpose_rules,
)
from covector.core.structural import broadcast_in_dim, fill_zeros, instantiate
from covector.core.trace import Primitive, trace_to_jaxpr
from covector.primitives.reductions import reduce_or_p
from covector.primitives.select import select_n_p
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.dce_rules import either, pick, what_is_read, with_inputs
from covector.transforms.jaxprs import batch_jaxpr, jvp_jaxpr, permute
from covector.transforms.partial_eval import (
    PartialTrace,
    dce_closed,
    merge,
    partial_eval_jaxpr,
    split,
)
from covector.transforms.vmap import BatchTrace, bring

while_p = Primitive("while", multiple_results=True)


@while_p.def_abstract_eval
def _while_avals(
    *avals: ShapedArray,
    cond_jaxpr: ClosedJaxpr,
    cond_nconsts: int,
    body_jaxpr: ClosedJaxpr,
    body_nconsts: int,
) -> list[ShapedArray]:
    return body_jaxpr.out_avals


while_p.def_effects(lambda params: params["cond_jaxpr"].effects | params["body_jaxpr"].effects)


def _parts(xs: Sequence[Any], params: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    return list(xs[:nc]), list(xs[nc : nc + nb]), list(xs[nc + nb :])


def _step_by_step(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    cond_consts, body_consts, carry = _parts(args, params)
    while bool(eval_jaxpr(cond.jaxpr, cond.consts, *cond_consts, *carry)[0]):
        carry = eval_jaxpr(body.jaxpr, body.consts, *body_consts, *carry)
    return carry


stepwise_rules[while_p] = _step_by_step


@cached_on_jaxpr
def _permuted(closed: ClosedJaxpr, inputs: tuple[int, ...]) -> ClosedJaxpr:
    return permute(closed, inputs)


@cached_on_jaxpr
def _padded_cond(cond: ClosedJaxpr, avals: tuple[Any, ...]) -> ClosedJaxpr:
    return with_unused_args(cond, len(cond.jaxpr.invars), avals)


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    body, nb = params["body_jaxpr"], params["body_nconsts"]
    cond_consts, body_consts, carry = _parts(primals, params)
    _, t_consts, t_carry = _parts(tangents, params)
    nz_consts = [type(t) is not Zero for t in t_consts]
    nz_carry = [type(t) is not Zero for t in t_carry]
    while True:
        closed, nz_out = jvp_jaxpr(body, (*nz_consts, *nz_carry), tuple(nz_carry))
        if nz_out == nz_carry:
            break
        nz_carry = [a or b for a, b in zip(nz_carry, nz_out, strict=True)]
    t_consts = [t for t, z in zip(t_consts, nz_consts, strict=True) if z]
    t_carry = [instantiate(t) for t, z in zip(t_carry, nz_carry, strict=True) if z]
    n, nt = nb + len(carry), len(t_consts)
    order = (*range(nb), *range(n, n + nt), *range(nb, n), *range(n + nt, n + nt + len(t_carry)))
    tangent_avals = tuple(
        a.to_tangent_aval() for a, z in zip(body.out_avals, nz_carry, strict=True) if z
    )
    outs = while_p.bind_params(
        [*cond_consts, *body_consts, *t_consts, *carry, *t_carry],
        {
            "cond_jaxpr": _padded_cond(params["cond_jaxpr"], tangent_avals),
            "cond_nconsts": params["cond_nconsts"],
            "body_jaxpr": _permuted(closed, order),
            "body_nconsts": nb + nt,
        },
    )
    out = outs[: len(carry)]
    return out, fill_zeros(out, nz_carry, outs[len(carry) :])


# --- batching ----------------------------------------------------------------------------


def _read_only(body: ClosedJaxpr, nconsts: int) -> list[bool]:
    """Which parts of the carry the body hands on as they are."""
    jaxpr = body.jaxpr
    return [v is w for v, w in zip(jaxpr.invars[nconsts:], jaxpr.outvars, strict=True)]


@cached_on_jaxpr
def _masked_body(
    body: ClosedJaxpr, cond: ClosedJaxpr, cond_nconsts: int, body_nconsts: int
) -> ClosedJaxpr:
    """The body that leaves elements alone whose condition is false.

    It takes the constants of the condition, then its own, then the carry, all of it mapped but for
    what is only read.
    """
    read_only = _read_only(body, body_nconsts)

    def fun(*args: Any) -> list[Any]:
        cond_consts = args[:cond_nconsts]
        body_consts = args[cond_nconsts : cond_nconsts + body_nconsts]
        carry = args[cond_nconsts + body_nconsts :]
        (pred,) = eval_jaxpr(cond.jaxpr, cond.consts, *cond_consts, *carry)
        new = eval_jaxpr(body.jaxpr, body.consts, *body_consts, *carry)
        return [
            old if same
            else select_n_p.bind_params((broadcast_in_dim(pred, v.aval.shape, (0,)), old, x), {})
            for old, x, v, same in zip(carry, new, body.jaxpr.outvars, read_only, strict=True)
        ]  # fmt: skip

    avals = [*cond.in_avals[:cond_nconsts], *body.in_avals]
    jaxpr, consts = trace_to_jaxpr(fun, avals, body.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


@cached_on_jaxpr
def _any(cond: ClosedJaxpr) -> ClosedJaxpr:
    """The condition that holds if the mapped condition holds for some element."""

    def fun(*args: Any) -> list[Any]:
        (pred,) = eval_jaxpr(cond.jaxpr, cond.consts, *args)
        return [reduce_or_p.bind_params((pred,), {"axes": (0,)})]

    jaxpr, consts = trace_to_jaxpr(fun, cond.in_avals, cond.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


def _mapped(
    trace: BatchTrace, dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[bool], list[bool], ClosedJaxpr, ClosedJaxpr, bool]:
    """What of the loop is mapped: the constants of the body, the carry; the jaxprs of the body and
    the condition for all elements, and whether the condition is."""
    size, name = trace.axis_size, trace.axis_name
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    b_cond, b_body, b_carry = _parts([d is not None for d in dims], params)
    while True:
        closed, b_out = batch_jaxpr(body, size, name, (*b_body, *b_carry), tuple(b_carry))
        joined = [a or b for a, b in zip(b_carry, b_out, strict=True)]
        if joined == b_carry:
            break
        b_carry = joined
    closed_cond, (b_pred,) = batch_jaxpr(cond, size, name, (*b_cond, *b_carry))
    return b_body, b_carry, closed, closed_cond, b_pred


def mapped_condition(trace: BatchTrace, dims: Sequence[int | None], params: dict[str, Any]) -> bool:
    """Whether elements may leave the loop after different numbers of turns."""
    return _mapped(trace, dims, params)[-1]


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    size, name = trace.axis_size, trace.axis_name
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    nc, nb = params["cond_nconsts"], params["body_nconsts"]
    b_cond = [d is not None for d in dims[:nc]]
    b_body, b_carry, closed, closed_cond, b_pred = _mapped(trace, dims, params)
    if b_pred:
        read_only = _read_only(body, nb)
        b_carry = [b or not same for b, same in zip(b_carry, read_only, strict=True)]
        closed, _ = batch_jaxpr(body, size, name, (*b_body, *b_carry), tuple(b_carry))
        closed_cond, _ = batch_jaxpr(cond, size, name, (*b_cond, *b_carry), (True,))
    operands = [
        bring(x, size, name, d, 0)
        if d is not None or (i >= nc + nb and b_carry[i - nc - nb])
        else x
        for i, (x, d) in enumerate(zip(args, dims, strict=True))
    ]
    if b_pred:
        cond_consts = operands[:nc]
        outs = while_p.bind_params(
            [*cond_consts, *operands],
            {
                "cond_jaxpr": _any(closed_cond),
                "cond_nconsts": nc,
                "body_jaxpr": _masked_body(closed, closed_cond, nc, nb),
                "body_nconsts": nc + nb,
            },
        )
    else:
        outs = while_p.bind_params(
            operands, {**params, "cond_jaxpr": closed_cond, "body_jaxpr": closed}
        )
    return outs, [0 if b else None for b in b_carry]


# --- partial evaluation and transposition ------------------------------------------------


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Run the known part of the state on its own; the recorded loop computes it again."""
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    unknown = [trace.is_unknown(x) for x in args]
    u_cond, u_body, u_carry = _parts(unknown, params)
    while True:
        parts = partial_eval_jaxpr(body, (*u_body, *u_carry), tuple(u_carry))
        if parts.unknown_out == u_carry:
            break
        u_carry = [a or b for a, b in zip(u_carry, parts.unknown_out, strict=True)]
    cond_parts = partial_eval_jaxpr(cond, (*u_cond, *u_carry))
    outs = trace.record(while_p, args, params)
    if cond_parts.unknown_out[0] or all(u_carry):
        return outs
    cond_consts, body_consts, carry = _parts(args, params)
    k_body, _ = split(u_body, body_consts)
    k_cond, _ = split(u_cond, cond_consts)
    k_carry, _ = split(u_carry, carry)
    known = trace.evaluate(
        while_p,
        [*k_cond, *k_body, *k_carry],
        {
            "cond_jaxpr": cond_parts.known,
            "cond_nconsts": len(k_cond),
            "body_jaxpr": _without_residuals(parts.known, len(k_carry)),
            "body_nconsts": len(k_body),
        },
    )
    _, unknown_outs = split(u_carry, outs)
    return merge(u_carry, known, unknown_outs)


@cached_on_jaxpr
def _without_residuals(closed: ClosedJaxpr, n: int) -> ClosedJaxpr:
    used = [i < n for i in range(len(closed.jaxpr.outvars))]
    small, _ = dce_closed(closed, used)
    # All arguments stay: they are the carry.
    return ClosedJaxpr(small.jaxpr.replace(invars=closed.jaxpr.invars), small.consts)


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> NoReturn:
    info = params["body_jaxpr"].jaxpr.debug_info
    where = f" (its body is {info.func_name}, {info.source})" if info and info.source else ""
    raise ValueError(
        "Reverse-mode differentiation does not work for lax.while_loop, or for lax.fori_loop with "
        f"bounds that are not constants{where}: the number of steps, and with it the memory for "
        "intermediate states, is not known beforehand. Use lax.scan, or lax.fori_loop with "
        "bounds that are Python integers, or forward-mode differentiation (jvp, jacfwd)"
        f"{at_user_line()}"
    )


@cached_on_jaxpr
def _small_while(
    body: ClosedJaxpr, cond: ClosedJaxpr, body_nconsts: int, cond_nconsts: int,
    used: tuple[bool, ...],
) -> tuple[ClosedJaxpr, ClosedJaxpr, tuple[bool, ...], tuple[bool, ...]]:  # fmt: skip
    """Body and condition, the constants of the body and the carry that they keep."""
    cond_reads = what_is_read(cond.jaxpr)
    carry = either(used, cond_reads[cond_nconsts:])
    while True:
        jaxpr = dce(body.jaxpr, carry)
        reads = what_is_read(jaxpr)
        joined = either(carry, reads[body_nconsts:])
        if joined == carry:
            break
        carry = joined
    consts = tuple(reads[:body_nconsts])
    return (
        with_inputs(body, jaxpr, (*consts, *carry)),
        with_inputs(cond, cond.jaxpr, (*[True] * cond_nconsts, *carry)),
        consts,
        carry,
    )


def _dce(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    p = eqn.params
    nc, nb = p["cond_nconsts"], p["body_nconsts"]
    body, cond, consts, carry = _small_while(p["body_jaxpr"], p["cond_jaxpr"], nb, nc, tuple(used))
    params = {**p, "body_jaxpr": body, "cond_jaxpr": cond, "body_nconsts": sum(consts)}
    return eqn.replace(
        invars=pick(eqn.invars, (*[True] * nc, *consts, *carry)),
        outvars=pick(eqn.outvars, carry),
        params=params,
    )


jvp_rules[while_p] = _jvp
higher_order_rules[while_p] = _batch
partial_eval_rules[while_p] = _partial_eval
transpose_rules[while_p] = _transpose
dce_rules[while_p] = _dce
