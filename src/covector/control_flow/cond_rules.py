"""How the transformations go through `cond` and `switch`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.control_flow.common import Body, share_consts
from covector.control_flow.custom_jvp import stop_gradient
from covector.core.avals import ShapedArray, aval_of
from covector.core.dtypes import is_inexact
from covector.core.jaxpr import ClosedJaxpr, JaxprEqn, Literal, eval_jaxpr
from covector.core.levels import descends
from covector.core.references import values_of, write_back
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
from covector.core.structural import (
    bring_dim,
    broadcast_dim,
    broadcast_in_dim,
    fill_zeros,
    mapped_first,
    zeros,
)
from covector.core.trace import Primitive, Tracer, trace_to_jaxpr
from covector.primitives.compare import eq_p
from covector.primitives.select import clamp_p, select, select_n_p
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.dce_rules import pick, small_call
from covector.transforms.jaxprs import batch_jaxpr, jvp_jaxpr, transpose_jaxpr
from covector.transforms.partial_eval import (
    PartialJaxpr,
    PartialTrace,
    merge,
    partial_eval_jaxpr,
    split,
)
from covector.transforms.vmap import BatchTrace, bring, vmap_flat

cond_p = Primitive("cond", multiple_results=True)


@cond_p.def_abstract_eval
def _cond_avals(
    index: ShapedArray, *avals: ShapedArray, branches: tuple[ClosedJaxpr, ...]
) -> list[ShapedArray]:
    # A branch whose type says nothing of where a result is goes with one that does.
    columns = zip(*[b.out_avals for b in branches], strict=True)
    return [next((a for a in each if a.placed is not None), each[0]) for each in columns]


cond_p.def_effects(lambda params: frozenset().union(*(b.effects for b in params["branches"])))


Branches = tuple[ClosedJaxpr, ...]


def _step_by_step(args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    branches: Branches = params["branches"]
    taken = branches[min(max(int(args[0]), 0), len(branches) - 1)]
    return eval_jaxpr(taken.jaxpr, taken.consts, *args[1:])


stepwise_rules[cond_p] = _step_by_step


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, branches: Branches
) -> tuple[list[Any], list[Any]]:
    index, ops = primals[0], primals[1:]
    nonzero = tuple(type(t) is not Zero for t in tangents[1:])
    outs_nz = [jvp_jaxpr(b, nonzero)[1] for b in branches]
    joined = tuple(any(column) for column in zip(*outs_nz, strict=True))
    closed = tuple(jvp_jaxpr(b, nonzero, joined)[0] for b in branches)
    outs = cond_p.bind_params(
        [index, *ops, *(t for t in tangents[1:] if type(t) is not Zero)], {"branches": closed}
    )
    n = len(joined)
    return outs[:n], fill_zeros(outs[:n], joined, outs[n:])


def _batch(
    trace: BatchTrace, args: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[list[Any], list[int | None]]:
    branches: Branches = params["branches"]
    size, name = trace.axis_size, trace.axis_name
    index, ops = args[0], args[1:]
    batched = tuple(d is not None for d in dims[1:])
    moved = mapped_first(ops, dims[1:])
    if dims[0] is None:
        outs_b = [batch_jaxpr(b, size, name, batched)[1] for b in branches]
        joined = tuple(any(column) for column in zip(*outs_b, strict=True))
        closed = tuple(batch_jaxpr(b, size, name, batched, joined)[0] for b in branches)
        outs = cond_p.bind_params([index, *moved], {"branches": closed})
        return outs, [0 if b else None for b in joined]
    # Elements take different branches: all are computed, and the results selected.
    same = _same_in_all(branches, batched)
    index = bring_dim(index, size, dims[0], 0)
    index = clamp_p.bind_params((np.int32(0), index, np.int32(len(branches) - 1)), {})
    results = []
    for k, b in enumerate(branches):
        chosen = eq_p.bind(index, np.int32(k))
        args, mapped = _constant_elsewhere(chosen, b, moved, batched)
        results.append(_mapped(b, size, name, args, mapped))
    selected = [
        ops[k] if k is not None
        else select_n_p.bind_params(
            (broadcast_in_dim(index, aval_of(cases[0]).shape, (0,)), *cases), {}
        )
        for k, cases in zip(same, zip(*results, strict=True), strict=True)
    ]  # fmt: skip
    return selected, [0 if k is None else None for k in same]


@descends
def _mapped(
    branch: ClosedJaxpr, size: int, name: Any, args: Sequence[Any], mapped: Sequence[bool]
) -> list[Any]:
    """The results of all elements, each with a mapped axis 0.

    The operations go straight to the enclosing trace: a jaxpr of them first would copy those of
    branches within once for each level that they stand in.
    """
    outs, dims = vmap_flat(
        lambda *xs: eval_jaxpr(branch.jaxpr, branch.consts, *xs),
        size, args, [0 if m else None for m in mapped], name,
    )  # fmt: skip
    return [bring(x, size, name, d, 0) for x, d in zip(outs, dims, strict=True)]


def _constant_elsewhere(
    chosen: Any, branch: ClosedJaxpr, ops: Sequence[Any], batched: Sequence[bool]
) -> tuple[list[Any], tuple[bool, ...]]:
    """The operands of a branch, constants for derivatives of the elements that do not take it.

    The derivative of what is not taken may be infinite, and its product with 0 NaN.
    """
    (size,) = aval_of(chosen).shape
    used = {v for eqn in branch.jaxpr.eqns for v in eqn.invars if type(v) is not Literal}
    out, mapped = [], []
    for v, x, b in zip(branch.jaxpr.invars, ops, batched, strict=True):
        guarded = v in used and isinstance(x, Tracer) and is_inexact(aval_of(x).dtype)
        if guarded:
            x = x if b else broadcast_dim(x, size, 0)
            where = broadcast_in_dim(chosen, aval_of(x).shape, (0,))
            x = select(where, x, stop_gradient(x))
        out.append(x)
        mapped.append(b or guarded)
    return out, tuple(mapped)


def _same_in_all(branches: Branches, batched: Sequence[bool]) -> list[int | None]:
    """For each result, the unmapped operand that every branch returns as it is, if there is one."""
    found: list[set[int | None]] = [set() for _ in branches[0].out_avals]
    for b in branches:
        position: dict[Any, int] = {v: k for k, v in enumerate(b.jaxpr.invars) if not batched[k]}
        for places, v in zip(found, b.jaxpr.outvars, strict=True):
            places.add(None if type(v) is Literal else position.get(v))
    return [next(iter(places)) if len(places) == 1 else None for places in found]


# --- partial evaluation ------------------------------------------------------------------


class Slots:
    """Where each branch puts its residuals among those of all: one slot serves many branches."""

    __slots__ = ("avals", "of_branch")

    def __init__(self, per_branch: Sequence[Sequence[ShapedArray]]) -> None:
        need: dict[ShapedArray, int] = {}
        for avals in per_branch:
            for aval, count in Counter(avals).items():
                need[aval] = max(need.get(aval, 0), count)
        self.avals = tuple(a for a, count in need.items() for _ in range(count))
        self.of_branch: list[tuple[int, ...]] = []
        for avals in per_branch:
            free: dict[ShapedArray, list[int]] = {}
            for i, a in enumerate(self.avals):
                free.setdefault(a, []).append(i)
            self.of_branch.append(tuple(free[a].pop(0) for a in avals))


@cached_on_jaxpr
def _known_branch(
    branch: ClosedJaxpr, parts: PartialJaxpr, slots: tuple[int, ...], avals: tuple[ShapedArray, ...]
) -> ClosedJaxpr:
    """The known part of a branch; slots that it does not use are filled with zeros."""
    known = parts.known
    n_outs = len(known.out_avals) - parts.num_new

    def fun(*args: Any) -> list[Any]:
        outs = eval_jaxpr(known.jaxpr, known.consts, *args)
        values: list[Any] = [None] * len(avals)
        for i, x in zip(slots, outs[n_outs:], strict=True):
            values[i] = x
        return outs[:n_outs] + [
            zeros(a) if x is None else x for x, a in zip(values, avals, strict=True)
        ]

    jaxpr, consts = trace_to_jaxpr(fun, known.in_avals, branch.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


@cached_on_jaxpr
def _unknown_branch(
    branch: ClosedJaxpr,
    parts: PartialJaxpr,
    slots: tuple[int, ...],
    avals: tuple[ShapedArray, ...],
    forwarded: tuple[int, ...],
    forwarded_avals: tuple[ShapedArray, ...],
) -> ClosedJaxpr:
    """The unknown part; takes all slots, the known operands ``forwarded``, then the unknown."""
    unknown = parts.unknown
    n_res = len(parts.residuals)

    def fun(*args: Any) -> list[Any]:
        values, known = args[: len(avals)], args[len(avals) : len(avals) + len(forwarded)]
        rest = args[len(avals) + len(forwarded) :]
        new = iter(slots)
        residuals = [
            values[next(new)] if r is None else known[forwarded.index(r)] for r in parts.residuals
        ]
        return eval_jaxpr(unknown.jaxpr, unknown.consts, *residuals, *rest)

    in_avals = [*avals, *forwarded_avals, *unknown.in_avals[n_res:]]
    jaxpr, consts = trace_to_jaxpr(fun, in_avals, branch.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts)


def _partial_eval(trace: PartialTrace, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    branches: Branches = params["branches"]
    index, ops = args[0], args[1:]
    if trace.is_unknown(index):
        return trace.record(cond_p, args, params)
    unknown = tuple(trace.is_unknown(x) for x in ops)
    found = [partial_eval_jaxpr(b, unknown).unknown_out for b in branches]
    joined = tuple(any(column) for column in zip(*found, strict=True))
    parts = [partial_eval_jaxpr(b, unknown, joined) for b in branches]
    new_avals = [
        [
            v.aval.strip_weak_type()
            for v, r in zip(p.unknown.jaxpr.invars, p.residuals, strict=False)
            if r is None
        ]
        for p in parts
    ]
    slots = Slots(new_avals)
    known_ops, unknown_ops = split(unknown, ops)
    known_branches = tuple(
        _known_branch(b, p, s, slots.avals)
        for b, p, s in zip(branches, parts, slots.of_branch, strict=True)
    )
    known_outs: list[Any] = []
    values: list[Any] = []
    n = len(joined) - sum(joined)
    if n or slots.avals:
        outs = trace.evaluate(cond_p, [index, *known_ops], {"branches": known_branches})
        known_outs, values = outs[:n], outs[n:]
    unknown_outs: list[Any] = []
    if any(joined):
        forwarded = tuple(sorted({r for p in parts for r in p.residuals if r is not None}))
        forwarded_avals = tuple(aval_of(known_ops[r]) for r in forwarded)
        unknown_branches = tuple(
            _unknown_branch(b, p, s, slots.avals, forwarded, forwarded_avals)
            for b, p, s in zip(branches, parts, slots.of_branch, strict=True)
        )
        unknown_outs = trace.record(
            cond_p,
            [index, *values, *(known_ops[r] for r in forwarded), *unknown_ops],
            {"branches": unknown_branches},
        )
    return merge(joined, known_outs, unknown_outs)


def _transpose(cts: Sequence[Any], index: Any, *ops: Any, branches: Branches) -> list[Any]:
    undefined = tuple(type(x) is UndefinedPrimal for x in ops)
    nonzero = tuple(type(ct) is not Zero for ct in cts)
    parts = [transpose_jaxpr(b, undefined, nonzero, True) for b in branches]
    closed, refs, written = share_consts([Body(p.closed, p.refs, None, p.written) for p in parts])
    defined = [x for x, u in zip(ops, undefined, strict=True) if not u]
    operands = [*values_of(refs), *defined, *(ct for ct in cts if type(ct) is not Zero)]
    outs = iter(write_back(written, cond_p.bind_params([index, *operands], {"branches": closed})))
    return [None, *[next(outs) if u else None for u in undefined]]


def _dce(used: list[bool], eqn: JaxprEqn) -> JaxprEqn:
    branches = eqn.params["branches"]
    mask = tuple(used)
    inputs = tuple(map(any, zip(*(small_call(b, mask, None)[1] for b in branches), strict=True)))
    small = tuple(small_call(b, mask, inputs)[0] for b in branches)
    return eqn.replace(
        invars=[eqn.invars[0], *pick(eqn.invars[1:], inputs)],
        outvars=pick(eqn.outvars, used),
        params={"branches": small},
    )


jvp_rules[cond_p] = _jvp
higher_order_rules[cond_p] = _batch
partial_eval_rules[cond_p] = _partial_eval
transpose_rules[cond_p] = _transpose
dce_rules[cond_p] = _dce
