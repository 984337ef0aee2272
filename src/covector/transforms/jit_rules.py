"""How the other transformations go through a compiled call (`jit_p`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.jaxpr import ClosedJaxpr
from covector.core.references import values_of, write_back
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    higher_order_rules,
    jvp_rules,
    transpose_rules,
)
from covector.core.structural import fill_zeros, mapped_first
from covector.core.trace import Primitive
from covector.transforms.jaxprs import batch_jaxpr, jvp_jaxpr, transpose_jaxpr
from covector.transforms.jit import jit_p
from covector.transforms.partial_eval import (
    PartialTrace,
    def_partial_eval_call,
    merge,
    partial_eval_jaxpr,
    pick_residuals,
    split,
)
from covector.transforms.vmap import BatchTrace


def def_jaxpr_call(prim: Primitive) -> None:
    """Forward derivatives and batching of an operation that runs its parameter ``jaxpr``."""

    def jvp(
        primals: Sequence[Any], tangents: Sequence[Any], **params: Any
    ) -> tuple[list[Any], list[Any]]:
        nonzero = tuple(type(t) is not Zero for t in tangents)
        closed, nonzero_out = jvp_jaxpr(params["jaxpr"], nonzero)
        args = [*primals, *(t for t in tangents if type(t) is not Zero)]
        outs = prim.bind_params(args, {**params, "jaxpr": closed})
        n = len(nonzero_out)
        return outs[:n], fill_zeros(outs[:n], nonzero_out, outs[n:])

    def batch(
        trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
    ) -> tuple[list[Any], list[int | None]]:
        batched = tuple(d is not None for d in dims)
        closed, out_batched = batch_jaxpr(
            params["jaxpr"], trace.axis_size, trace.axis_name, batched
        )
        outs = prim.bind_params(mapped_first(args, dims), {**params, "jaxpr": closed})
        return outs, [0 if b else None for b in out_batched]

    jvp_rules[prim] = jvp
    higher_order_rules[prim] = batch


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    unknown = tuple(trace.is_unknown(x) for x in args)
    parts = partial_eval_jaxpr(params["jaxpr"], unknown)
    known_args, unknown_args = split(unknown, args)
    known_outs: list[Any] = []
    new: list[Any] = []
    if parts.known.jaxpr.outvars:
        outs = trace.evaluate(jit_p, known_args, {**params, "jaxpr": parts.known})
        n = len(outs) - parts.num_new
        known_outs, new = outs[:n], outs[n:]
    unknown_outs: list[Any] = []
    if parts.unknown.jaxpr.outvars:
        residuals = pick_residuals(parts.residuals, known_args, new)
        unknown_outs = trace.record(
            jit_p, [*residuals, *unknown_args], {**params, "jaxpr": parts.unknown}
        )
    return merge(parts.unknown_out, known_outs, unknown_outs)


def _transpose(
    cts: Sequence[Any], *args: Any, jaxpr: ClosedJaxpr, name: str, inline: bool
) -> list[Any]:
    undefined = tuple(type(x) is UndefinedPrimal for x in args)
    nonzero = tuple(type(ct) is not Zero for ct in cts)
    closed, nonzero_out, refs, written = transpose_jaxpr(jaxpr, undefined, nonzero)
    operands = values_of(refs)
    operands += [x for x, u in zip(args, undefined, strict=True) if not u]
    operands += [ct for ct in cts if type(ct) is not Zero]
    results = jit_p.bind_params(operands, {"jaxpr": closed, "name": name, "inline": inline})
    outs = iter(write_back(written, results))
    found = iter([next(outs) if nz else None for nz in nonzero_out])
    return [next(found) if u else None for u in undefined]


def_jaxpr_call(jit_p)
def_partial_eval_call(jit_p, _partial_eval)
transpose_rules[jit_p] = _transpose
