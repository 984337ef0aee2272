"""Derivatives of `shard_map` as programs of one device.

The derivative of a function along devices is a function along devices, by types that say what
varies: what devices share is cast where it meets what they do not, and the transpose of the cast
sums. Where there are no rules of users, that is the derivative of the program over all devices.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from covector.core.avals import aval_of
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs, eval_jaxpr
from covector.core.rules import (
    UndefinedPrimal,
    Zero,
    jvp_rules,
    partial_eval_rules,
    transpose_rules,
)
from covector.core.structural import fill_zeros
from covector.core.trace import JaxprTrace, current_trace, set_current_trace, trace_to_jaxpr
from covector.primitives.structure import expand_dims, squeeze
from covector.sharding.constraints import recast
from covector.sharding.context import use_abstract_mesh
from covector.sharding.mapped import on_all, shard_map_p, typed, untyped, whole_program
from covector.sharding.mesh import AxisType
from covector.sharding.spec import PartitionSpec, of_cotangent, part_of
from covector.transforms.jaxprs import jvp_jaxpr, transpose_jaxpr
from covector.transforms.partial_eval import (
    PartialTrace,
    merge,
    partial_eval_jaxpr,
    pick_residuals,
    split,
)


def _has_rules_of_users(closed: ClosedJaxpr) -> bool:
    """Whether there are backward passes of users, which may hold collectives."""
    names = ("custom_vjp", "custom_lin")
    return any(
        eqn.primitive.name.startswith(names)
        for inner in all_jaxprs(closed.jaxpr)
        for eqn in inner.eqns
    )


@contextlib.contextmanager
def along_devices(params: dict[str, Any]) -> Iterator[None]:
    """Context manager: programs of one device are transformed in the block."""
    trace = JaxprTrace(current_trace())
    trace.memo = None  # it records nothing
    mesh = params["mesh"]
    trace.axes = tuple(
        [
            (n, mesh.shape[n], params["check_vma"])
            for n in mesh.axis_names
            if n in params["manual_axes"]
        ]
    )
    manual = dict.fromkeys(params["manual_axes"], AxisType.Manual)
    with use_abstract_mesh(mesh.abstract_mesh.update_axis_types(manual)), set_current_trace(trace):
        yield


def _with(params: dict[str, Any], closed: ClosedJaxpr, ins: Any, outs: Any) -> dict[str, Any]:
    return {**params, "jaxpr": closed, "in_specs": tuple(ins), "out_specs": tuple(outs)}


def _jvp_of_body(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    """The forward derivative: that of the body."""
    nonzero = tuple(type(t) is not Zero for t in tangents)
    with along_devices(params):
        closed, nonzero_out = jvp_jaxpr(params["jaxpr"], nonzero)
    ins, outs = params["in_specs"], params["out_specs"]
    of_tangents = [s for s, nz in zip(ins, nonzero, strict=True) if nz]
    of_results = [s for s, nz in zip(outs, nonzero_out, strict=True) if nz]
    found = shard_map_p.bind_params(
        [*primals, *(t for t in tangents if type(t) is not Zero)],
        _with(params, closed, [*ins, *of_tangents], [*outs, *of_results]),
    )
    n = len(nonzero_out)
    return found[:n], fill_zeros(found[:n], nonzero_out, found[n:])


def _wrapped(
    closed: ClosedJaxpr, before: Callable[[list[Any]], list[Any]],
    after: Callable[[list[Any]], list[Any]], avals: Sequence[Any],
) -> ClosedJaxpr:  # fmt: skip
    jaxpr, consts = trace_to_jaxpr(
        lambda *xs: after(eval_jaxpr(closed.jaxpr, closed.consts, *before(list(xs)))), avals
    )
    return ClosedJaxpr(jaxpr, consts)


def _spec_of_residual(aval: Any) -> PartitionSpec:
    """Residuals of devices lie along a new first dimension, over the axes over which they vary."""
    return PartitionSpec(part_of(sorted(aval.varying | aval.marks.unreduced, key=str)))


def _partial_eval_of_body(
    trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """What is known is computed on each device; what it hands on is kept there."""
    unknown = tuple(trace.is_unknown(x) for x in args)
    with along_devices(params):
        parts = partial_eval_jaxpr(params["jaxpr"], unknown)
        known, n_new = parts.known, parts.num_new
        n_known = len(known.out_avals) - n_new
        new = known.out_avals[n_known:]
        first = _wrapped(
            known, lambda xs: xs,
            lambda outs: outs[:n_known] + [expand_dims(x, 0) for x in outs[n_known:]],
            known.in_avals,
        )  # fmt: skip
        made = iter(first.out_avals[n_known:])
        taken = [next(made) if r is None else None for r in parts.residuals]
        avals = [
            a if t is None else t
            for a, t in zip(parts.unknown.in_avals, [*taken, *[None] * sum(unknown)], strict=True)
        ]
        fresh = [t is not None for t in taken]
        second = _wrapped(
            parts.unknown,
            lambda xs: [
                squeeze(x, (0,)) if k < len(fresh) and fresh[k] else x for k, x in enumerate(xs)
            ],
            lambda outs: outs, avals,
        )  # fmt: skip
    known_args, unknown_args = split(unknown, args)
    known_specs, unknown_specs = split(unknown, params["in_specs"])
    known_outs, unknown_outs = split(parts.unknown_out, params["out_specs"])
    of_new = [_spec_of_residual(a) for a in new]
    found: list[Any] = []
    if first.out_avals:
        found = trace.evaluate(
            shard_map_p, known_args, _with(params, first, known_specs, [*known_outs, *of_new])
        )
    results: list[Any] = []
    if second.out_avals:
        residuals = pick_residuals(parts.residuals, known_args, found[n_known:])
        of_residuals = pick_residuals(parts.residuals, known_specs, of_new)
        results = trace.record(
            shard_map_p, [*residuals, *unknown_args],
            _with(params, second, [*of_residuals, *unknown_specs], unknown_outs),
        )  # fmt: skip
    return merge(parts.unknown_out, found[:n_known], results)


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
    undefined = tuple(type(x) is UndefinedPrimal for x in args)
    nonzero = tuple(type(ct) is not Zero for ct in cts)
    with along_devices(params):
        closed, nonzero_out, refs, _ = transpose_jaxpr(params["jaxpr"], undefined, nonzero)
    assert not refs
    ins = [s for s, u in zip(params["in_specs"], undefined, strict=True) if not u]
    ins += [of_cotangent(s) for s, nz in zip(params["out_specs"], nonzero, strict=True) if nz]
    of_undefined = [
        of_cotangent(s) for s, u in zip(params["in_specs"], undefined, strict=True) if u
    ]
    outs = [s for s, nz in zip(of_undefined, nonzero_out, strict=True) if nz]
    operands = [x for x, u in zip(args, undefined, strict=True) if not u]
    operands += [ct for ct in cts if type(ct) is not Zero]
    results = iter(shard_map_p.bind_params(operands, _with(params, closed, ins, outs)))
    found = iter([next(results) if nz else None for nz in nonzero_out])
    return [next(found) if u else None for u in undefined]


def _by_body(params: dict[str, Any]) -> bool:
    return params["check_vma"] and _has_rules_of_users(params["jaxpr"])


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], **params: Any
) -> tuple[list[Any], list[Any]]:
    if _by_body(params):
        return _jvp_of_body(primals, tangents, **params)
    closed = whole_program(params, tuple([aval_of(x) for x in primals]))
    nonzero = tuple(type(t) is not Zero for t in tangents)
    derivative, nonzero_out = jvp_jaxpr(closed, nonzero)
    args = [*primals, *(t for t in tangents if type(t) is not Zero)]
    auto = dict.fromkeys(params["mesh"].axis_names, AxisType.Auto)
    args = [recast(x, auto) for x in args]
    with untyped(params["mesh"]):
        outs = eval_jaxpr(derivative.jaxpr, derivative.consts, *args)
    n = len(nonzero_out)
    outs = typed(outs, params, [*range(n), *(k for k, nz in enumerate(nonzero_out) if nz)])
    return outs[:n], fill_zeros(outs[:n], nonzero_out, outs[n:])


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    if _by_body(params):
        return _partial_eval_of_body(trace, args, params)
    outs = on_all(*args, **params)
    return typed(outs, params, range(len(outs)))


jvp_rules[shard_map_p] = _jvp
partial_eval_rules[shard_map_p] = _partial_eval
transpose_rules[shard_map_p] = _transpose
