"""How the transformations go through `scan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from covector.control_flow.common import carrying
from covector.core.avals import ShapedArray
from covector.core.dce import dce
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, eval_jaxpr
from covector.core.references import Reference, values_of, write_back
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    dce_rules,
    higher_order_rules,
    jvp_rules,
    partial_eval_rules,
    stepwise_rules,
    transpose_rules,
)
from covector.core.structural import add_any, bring_dim, fill_zeros, instantiate, zeros
from covector.core.trace import Primitive, trace_to_jaxpr
from covector.primitives.structure import index_in_dim, stack
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.dce_rules import either, pick, what_is_read, with_inputs
from covector.transforms.jaxprs import batch_jaxpr, jvp_jaxpr, permute, transpose_jaxpr
from covector.transforms.jit import jit_p
from covector.transforms.partial_eval import (
    PartialJaxpr,
    PartialTrace,
    merge,
    partial_eval_jaxpr,
    pick_residuals,
    split,
)
from covector.transforms.vmap import BatchTrace, bring

scan_p = Primitive("scan", multiple_results=True)


@scan_p.def_abstract_eval
def _scan_avals(
    *avals: ShapedArray,
    jaxpr: ClosedJaxpr,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    unroll: int,
) -> list[ShapedArray]:
    outs = jaxpr.out_avals
    return outs[:num_carry] + [a.stacked(length) for a in outs[num_carry:]]


scan_p.def_effects(lambda params: params["jaxpr"].effects)


def _parts(xs: Sequence[Any], num_consts: int, num_carry: int) -> tuple[list[Any], ...]:
    end = num_consts + num_carry
    return list(xs[:num_consts]), list(xs[num_consts:end]), list(xs[end:])


def _step_by_step(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    consts, carry, xs = _parts(args, params["num_consts"], params["num_carry"])
    closed, k, n = params["jaxpr"], params["num_carry"], params["length"]
    rows: list[list[Any]] = []
    for i in reversed(range(n)) if params["reverse"] else range(n):
        at = [index_in_dim(x, i) for x in xs]
        outs = eval_jaxpr(closed.jaxpr, closed.consts, *consts, *carry, *at)
        carry = outs[:k]
        rows.append(outs[k:])
    if not rows:
        return carry + [zeros(a.stacked(0)) for a in closed.out_avals[k:]]
    if params["reverse"]:
        rows.reverse()
    return carry + [stack(column) for column in zip(*rows, strict=True)]


stepwise_rules[scan_p] = _step_by_step


def _join(old: Sequence[bool], new: Sequence[bool]) -> list[bool]:
    return [a or b for a, b in zip(old, new, strict=True)]


def bind_scan(
    jaxpr: ClosedJaxpr, consts: Sequence[Any], carried: Sequence[Reference],
    operands: Sequence[Any], params: dict[str, Any],
) -> list[Any]:  # fmt: skip
    """Results of a loop whose body carries the values of references before its other carries."""
    params = {
        **params,
        "jaxpr": jaxpr,
        "num_consts": len(consts),
        "num_carry": params["num_carry"] + len(carried),
    }
    outs = scan_p.bind_params([*values_of(consts), *values_of(carried), *operands], params)
    k = len(carried)
    return write_back(carried, outs[k:] + outs[:k]) if k else outs


# --- jvp ---------------------------------------------------------------------------------


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    jaxpr, nc, ncarry = params["jaxpr"], params["num_consts"], params["num_carry"]
    num_ys = len(jaxpr.out_avals) - ncarry
    nz = [type(t) is not Zero for t in tangents]
    nz_consts, nz_carry, nz_xs = _parts(nz, nc, ncarry)
    while True:
        closed, nz_out = jvp_jaxpr(
            jaxpr, (*nz_consts, *nz_carry, *nz_xs), (*nz_carry, *[False] * num_ys)
        )
        joined = _join(nz_carry, nz_out[:ncarry])
        if joined == nz_carry:
            break
        nz_carry = joined
    consts, carry, xs = _parts(primals, nc, ncarry)
    t_consts, t_carry, t_xs = _parts(tangents, nc, ncarry)
    t_consts = [t for t, z in zip(t_consts, nz_consts, strict=True) if z]
    t_carry = [instantiate(t) for t, z in zip(t_carry, nz_carry, strict=True) if z]
    t_xs = [t for t, z in zip(t_xs, nz_xs, strict=True) if z]
    # From (primals, tangents) to (consts, carry, xs), each with its tangents behind it.
    n, na, nb = len(primals), len(t_consts), len(t_carry)
    order_in = [
        *range(nc), *range(n, n + na),
        *range(nc, nc + ncarry), *range(n + na, n + na + nb),
        *range(nc + ncarry, n), *range(n + na + nb, n + na + nb + len(t_xs)),
    ]  # fmt: skip
    n_out, nt_carry = ncarry + num_ys, sum(nz_carry)
    nt_ys = sum(nz_out[ncarry:])
    order_out = [
        *range(ncarry), *range(n_out, n_out + nt_carry),
        *range(ncarry, n_out), *range(n_out + nt_carry, n_out + nt_carry + nt_ys),
    ]  # fmt: skip
    outs = scan_p.bind_params(
        [*consts, *t_consts, *carry, *t_carry, *xs, *t_xs],
        {
            **params,
            "jaxpr": _permuted(closed, tuple(order_in), tuple(order_out)),
            "num_consts": nc + na,
            "num_carry": ncarry + nb,
        },
    )
    # From (carry, ys), each with its tangents behind it, to (results, tangents).
    n_ys = ncarry + nb
    out = [*outs[:ncarry], *outs[n_ys : n_ys + num_ys]]
    nonzero = (*nz_carry, *nz_out[ncarry:])
    return out, fill_zeros(out, nonzero, [*outs[ncarry:n_ys], *outs[n_ys + num_ys :]])


@cached_on_jaxpr
def _permuted(
    closed: ClosedJaxpr, inputs: tuple[int, ...], outputs: tuple[int, ...] | None
) -> ClosedJaxpr:
    # Cached, so that one loop always has one body and is compiled once.
    return permute(closed, inputs, outputs)


# --- batching ----------------------------------------------------------------------------


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    jaxpr, nc, ncarry = params["jaxpr"], params["num_consts"], params["num_carry"]
    size = trace.axis_size
    num_ys = len(jaxpr.out_avals) - ncarry
    b_consts, b_carry, b_xs = _parts([d is not None for d in dims], nc, ncarry)
    while True:
        closed, b_out = batch_jaxpr(
            jaxpr, size, trace.axis_name, (*b_consts, *b_carry, *b_xs),
            (*b_carry, *[False] * num_ys),
        )  # fmt: skip
        joined = _join(b_carry, b_out[:ncarry])
        if joined == b_carry:
            break
        b_carry = joined
    operands = []
    for i, (x, d) in enumerate(zip(args, dims, strict=True)):
        if i < nc + ncarry:
            wanted = d is not None or (i >= nc and b_carry[i - nc])
            operands.append(bring(x, size, trace.axis_name, d, 0) if wanted else x)
        else:
            operands.append(x if d is None else bring_dim(x, size, d, 1))
    outs = scan_p.bind_params(operands, {**params, "jaxpr": closed})
    out_dims = [0 if b else None for b in b_carry] + [1 if b else None for b in b_out[ncarry:]]
    return outs, out_dims


# --- partial evaluation ------------------------------------------------------------------


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    jaxpr, ncarry = params["jaxpr"], params["num_carry"]
    num_ys = len(jaxpr.out_avals) - ncarry
    consts, carry, xs = _parts(args, params["num_consts"], ncarry)
    u_consts = [trace.is_unknown(x) for x in consts]
    u_xs = [trace.is_unknown(x) for x in xs]
    if not all(u_consts):
        jaxpr, consts, u_consts = _hoist(trace, jaxpr, consts, u_consts)
    parts, u_carry = _split_body(jaxpr, u_consts, [trace.is_unknown(x) for x in carry], u_xs)

    k_consts, l_consts = split(u_consts, consts)
    k_carry, l_carry = split(u_carry, carry)
    k_xs, l_xs = split(u_xs, xs)
    first_carry, first_xs = len(k_consts), len(k_consts) + len(k_carry)
    # A residual is a known constant, a known element of xs, or stacked by the known loop.
    carried = tuple(r for r in parts.residuals if r is not None and first_carry <= r < first_xs)
    known_outs: list[Any] = []
    stacked: list[Any] = []
    num_known_ys = num_ys - sum(parts.unknown_out[ncarry:])
    if k_carry or num_known_ys or parts.num_new or carried:
        outs = trace.evaluate(
            scan_p,
            [*k_consts, *k_carry, *k_xs],
            {
                **params,
                "jaxpr": _returning_args(parts.known, carried),
                "num_consts": len(k_consts),
                "num_carry": len(k_carry),
            },
        )
        n = len(k_carry) + num_known_ys
        known_outs, stacked = outs[:n], outs[n:]
    unknown_outs: list[Any] = []
    if any(parts.unknown_out):
        residuals = _residuals(parts, k_consts, k_xs, stacked, first_xs)
        unknown_outs = _record(trace, parts, residuals, (l_consts, l_carry, l_xs), params)
    return merge(parts.unknown_out, known_outs, unknown_outs)


def _hoist(
    trace: PartialTrace, jaxpr: ClosedJaxpr, consts: list[Any], unknown: list[bool]
) -> tuple[ClosedJaxpr, list[Any], list[bool]]:
    """Compute once, outside of the loop, what depends on known constants alone.

    Returns the rest of the body, its constants, and which of them are unknown.
    """
    rest = len(jaxpr.in_avals) - len(consts)
    invariant = partial_eval_jaxpr(
        jaxpr, (*unknown, *[True] * rest), (True,) * len(jaxpr.out_avals), True
    )
    if not invariant.num_new:
        return jaxpr, consts, unknown
    known_consts, unknown_consts = split(unknown, consts)
    params = {"jaxpr": invariant.known, "name": "loop_invariant", "inline": False}
    new = trace.evaluate(jit_p, known_consts, params)
    known_consts = pick_residuals(invariant.residuals, known_consts, new)
    unknown = [False] * len(known_consts) + [True] * len(unknown_consts)
    return invariant.unknown, [*known_consts, *unknown_consts], unknown


def _split_body(
    jaxpr: ClosedJaxpr, u_consts: list[bool], u_carry: list[bool], u_xs: list[bool]
) -> tuple[PartialJaxpr, list[bool]]:
    """The body split in two, and which carries are unknown after any number of rounds."""
    ncarry = len(u_carry)
    num_ys = len(jaxpr.out_avals) - ncarry
    while True:
        parts = partial_eval_jaxpr(
            jaxpr, (*u_consts, *u_carry, *u_xs), (*u_carry, *[False] * num_ys)
        )
        joined = _join(u_carry, parts.unknown_out[:ncarry])
        if joined == u_carry:
            return parts, u_carry
        u_carry = joined


class _Residuals(NamedTuple):
    """What the unknown loop takes from the known one: constants, and elements of each round."""

    consts: list[Any]
    xs: list[Any]
    const_positions: list[int]
    xs_positions: list[int]


def _residuals(
    parts: PartialJaxpr, k_consts: list[Any], k_xs: list[Any], stacked: list[Any], first_xs: int
) -> _Residuals:
    new_stacked, carry_stacked = iter(stacked[: parts.num_new]), iter(stacked[parts.num_new :])
    out = _Residuals([], [], [], [])
    for i, r in enumerate(parts.residuals):
        if r is not None and r < len(k_consts):
            out.consts.append(k_consts[r])
            out.const_positions.append(i)
            continue
        out.xs_positions.append(i)
        if r is None:
            out.xs.append(next(new_stacked))
        elif r < first_xs:
            out.xs.append(next(carry_stacked))
        else:
            out.xs.append(k_xs[r - first_xs])
    return out


def _record(
    trace: PartialTrace,
    parts: PartialJaxpr,
    residuals: _Residuals,
    unknown: tuple[list[Any], list[Any], list[Any]],
    params: dict[str, Any],
) -> list[Any]:
    """The loop over what is unknown, as an operation of the linear program."""
    consts, carry, xs = unknown
    n, n_consts, n_carry = len(parts.residuals), len(consts), len(carry)
    order = (
        *residuals.const_positions,
        *range(n, n + n_consts + n_carry),
        *residuals.xs_positions,
        *range(n + n_consts + n_carry, n + n_consts + n_carry + len(xs)),
    )
    return trace.record(
        scan_p,
        [*residuals.consts, *consts, *carry, *residuals.xs, *xs],
        {
            **params,
            "jaxpr": _permuted(parts.unknown, order, None),
            "num_consts": len(residuals.consts) + n_consts,
            "num_carry": n_carry,
        },
    )


@cached_on_jaxpr
def _returning_args(closed: ClosedJaxpr, which: tuple[int, ...]) -> ClosedJaxpr:
    """``closed`` that returns some of its arguments too."""
    jaxpr: Jaxpr = closed.jaxpr
    return ClosedJaxpr(
        jaxpr.replace(outvars=[*jaxpr.outvars, *[jaxpr.invars[i] for i in which]]), closed.consts
    )


# --- transposition -----------------------------------------------------------------------


@cached_on_jaxpr
def _transposed_body(
    jaxpr: ClosedJaxpr,
    linear_consts: tuple[bool, ...],
    num_carry: int,
    linear_xs: tuple[bool, ...],
    nonzero_ys: tuple[bool, ...],
) -> tuple[ClosedJaxpr, list[Reference], list[Reference]]:
    """The body of the loop that runs backwards, and the references that it reads and writes.

    It takes the values of references and the known constants; carries the cotangents of the linear
    constants (sums) and of the carry; and takes known elements of xs and cotangents of ys. Last
    values of references follow its results.
    """
    undefined = (*linear_consts, *[True] * num_carry, *linear_xs)
    transposed = transpose_jaxpr(jaxpr, undefined, (*[True] * num_carry, *nonzero_ys), True)
    closed, _, refs, written = transposed
    n_lin = sum(linear_consts)
    n_known = len(linear_consts) - n_lin
    n_known_xs = len(linear_xs) - sum(linear_xs)
    in_avals = jaxpr.in_avals
    const_avals, carry_avals, xs_avals = _parts(in_avals, len(linear_consts), num_carry)
    k_avals, l_avals = split(linear_consts, const_avals)
    kx_avals, _ = split(linear_xs, xs_avals)
    out_avals = jaxpr.out_avals
    y_avals = [a for a, nz in zip(out_avals[num_carry:], nonzero_ys, strict=True) if nz]

    def body(*args: Any) -> list[Any]:
        values, args = args[: len(refs)], args[len(refs) :]
        known, rest = args[:n_known], args[n_known:]
        sums, rest = rest[:n_lin], rest[n_lin:]
        ct_carry, rest = rest[:num_carry], rest[num_carry:]
        known_xs, ct_ys = rest[:n_known_xs], rest[n_known_xs:]
        outs = eval_jaxpr(
            closed.jaxpr, closed.consts, *values, *known, *known_xs, *ct_carry, *ct_ys
        )
        added = [add_any(s, ct) for s, ct in zip(sums, outs[:n_lin], strict=True)]
        return [*added, *outs[n_lin:]]

    out, consts = trace_to_jaxpr(
        body,
        [
            *[ref.aval.inner_aval for ref in refs],
            *k_avals,
            *[a.as_cotangent() for a in l_avals],
            *[a.as_cotangent() for a in out_avals[:num_carry]],
            *kx_avals,
            *[a.as_cotangent() for a in y_avals],
        ],  # fmt: skip
        jaxpr.jaxpr.debug_info,
    )
    return ClosedJaxpr(out, consts), refs, written


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    jaxpr, nc, ncarry = params["jaxpr"], params["num_consts"], params["num_carry"]
    consts, carry, xs = _parts(args, nc, ncarry)
    lin_consts = tuple(type(x) is UndefinedPrimal for x in consts)
    lin_xs = tuple(type(x) is UndefinedPrimal for x in xs)
    ct_carry = [instantiate(ct) for ct in cts[:ncarry]]
    nonzero_ys = tuple(type(ct) is not Zero for ct in cts[ncarry:])
    ct_ys = [ct for ct in cts[ncarry:] if type(ct) is not Zero]
    k_consts, l_consts = split(lin_consts, consts)
    k_xs, _ = split(lin_xs, xs)
    body, refs, written = _transposed_body(jaxpr, lin_consts, ncarry, lin_xs, nonzero_ys)
    k_consts = [*refs, *k_consts]
    if written:
        body, k_consts = carrying(body, k_consts, written)
    outs = bind_scan(
        body,
        k_consts,
        written,
        [*[zeros(x.aval.as_cotangent()) for x in l_consts], *ct_carry, *k_xs, *ct_ys],
        {**params, "reverse": not params["reverse"], "num_carry": len(l_consts) + ncarry},
    )
    n = len(l_consts)
    ct_consts, ct_init, ct_xs = iter(outs[:n]), outs[n : n + ncarry], iter(outs[n + ncarry :])
    return [
        *[next(ct_consts) if lin else None for lin in lin_consts],
        *[ct if type(x) is UndefinedPrimal else None for x, ct in zip(carry, ct_init, strict=True)],
        *[next(ct_xs) if lin else None for lin in lin_xs],
    ]


@cached_on_jaxpr
def _small_scan(
    closed: ClosedJaxpr, num_consts: int, num_carry: int, used: tuple[bool, ...]
) -> tuple[ClosedJaxpr, tuple[bool, ...], tuple[bool, ...]]:
    """The body, the operands it keeps, and the results it keeps."""
    end = num_consts + num_carry
    carry, ys = used[:num_carry], used[num_carry:]
    while True:
        jaxpr = dce(closed.jaxpr, [*carry, *ys])
        reads = what_is_read(jaxpr)
        joined = either(carry, reads[num_consts:end])
        if joined == carry:
            break
        carry = joined
    inputs = (*reads[:num_consts], *carry, *reads[end:])
    return with_inputs(closed, jaxpr, inputs), inputs, (*carry, *ys)


def _dce(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
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
        invars=pick(eqn.invars, inputs), outvars=pick(eqn.outvars, outputs), params=params
    )


jvp_rules[scan_p] = _jvp
higher_order_rules[scan_p] = _batch
partial_eval_rules[scan_p] = _partial_eval
transpose_rules[scan_p] = _transpose
dce_rules[scan_p] = _dce
