"""The common forms of rules: one call gives a primitive its derivative or its batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.rules import Zero, batching_rules, jvp_rules
from covector.core.structural import (
    add_any,
    bring_dim,
    broadcast_dim,
    broadcast_in_dim,
    moveaxis,
    zeros,
)
from covector.core.trace import Primitive


def def_jvp(prim: Primitive, *rules: Callable[..., Any] | None) -> None:
    """Derivative of a single-result primitive, one rule per argument.

    ``rule(g, *primals, **params)`` gives the tangent of the result that the tangent ``g`` of
    its argument contributes; it is called for non-zero tangents only and the contributions
    are summed. ``None`` where there is no derivative. A contribution of rank 0 to a result
    of higher rank (from a rank-0 operand) is broadcast.
    """

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        return out, _sum_contributions(
            out,
            [
                rule(g, *primals, **params)
                for rule, g in zip(rules, tangents, strict=True)
                if rule is not None and type(g) is not Zero
            ],
        )

    jvp_rules[prim] = jvp


def def_jvp_out(prim: Primitive, *rules: Callable[..., Any] | None) -> None:
    """Like `def_jvp` for rules that use the result too: ``rule(g, out, *primals, **params)``."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        return out, _sum_contributions(
            out,
            [
                rule(g, out, *primals, **params)
                for rule, g in zip(rules, tangents, strict=True)
                if rule is not None and type(g) is not Zero
            ],
        )

    jvp_rules[prim] = jvp


def _sum_contributions(out: Any, terms: Sequence[Any]) -> Any:
    terms = [t for t in terms if type(t) is not Zero]
    if not terms:
        return Zero.of(out)
    shape = aval_of(out).shape
    total = None
    for t in terms:
        if shape and not aval_of(t).shape:
            t = broadcast_in_dim(t, shape, ())
        total = t if total is None else add_any(total, t)
    return total


def def_jvp_linear(prim: Primitive) -> None:
    """Derivative of a primitive that is linear in all its inexact operands together.

    The same operation is applied to the tangents; operands of other dtypes (indices,
    predicates) are passed as they are.
    """

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        args = []
        for x, t in zip(primals, tangents, strict=True):
            if type(t) is Zero:
                t = x if t.aval.dtype == dtypes.float0 else zeros(t.aval)
            args.append(t)
        return out, prim.bind_params(args, params)

    jvp_rules[prim] = jvp


def def_jvp_zero(prim: Primitive) -> None:
    """The derivative of ``prim`` is zero, or its results are not inexact."""

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        out = prim.bind_params(primals, params)
        if prim.multiple_results:
            return out, [Zero.of(x) for x in out]
        return out, Zero.of(out)

    jvp_rules[prim] = jvp


def def_vectorized(prim: Primitive, scalars_broadcast: bool = True) -> None:
    """Batching of an elementwise primitive, whose operands have equal shapes or rank 0.

    If ``scalars_broadcast`` is False, the primitive takes operands of equal shapes only.
    """

    def batch(
        axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        if len(args) == 1:
            out_dim = dims[0]
        else:
            args, out_dim = _align(axis_size, args, dims, scalars_broadcast)
        out = prim.bind_params(args, params)
        return (out, [out_dim] * len(out)) if prim.multiple_results else (out, out_dim)

    batching_rules[prim] = batch


def _align(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], scalars_broadcast: bool
) -> tuple[list[Any], int]:
    shapes = [aval_of(x).shape for x in args]
    ranks = [len(s) - (d is not None) for s, d in zip(shapes, dims, strict=True)]
    rank = max(ranks)
    out_dim = next((d for d, r in zip(dims, ranks, strict=True) if d is not None and r == rank), 0)
    full: tuple[int, ...] | None = None
    out = []
    for x, d, r in zip(args, dims, ranks, strict=True):
        if d is None:
            # An unmapped scalar goes on broadcasting.
            out.append(x if r == 0 and scalars_broadcast else broadcast_dim(x, axis_size, out_dim))
        elif r == rank:
            out.append(moveaxis(x, d, out_dim))
        else:
            if full is None:
                i = ranks.index(rank)
                per_example = list(shapes[i])
                if dims[i] is not None:
                    per_example.pop(dims[i])  # type: ignore[arg-type]
                per_example.insert(out_dim, axis_size)
                full = tuple(per_example)
            out.append(broadcast_in_dim(x, full, (out_dim,)))
    return out, out_dim


def def_broadcasting(prim: Primitive) -> None:
    """Batching of a primitive that treats leading dimensions of all operands as batches.

    Every operand gets the mapped axis in front, repeated along it where it is not mapped.
    """

    def batch(
        axis_size: int, args: Sequence[Any], dims: Sequence[int | None], **params: Any
    ) -> tuple[Any, Any]:
        out = prim.bind_params(
            [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)], params
        )
        return (out, [0] * len(out)) if prim.multiple_results else (out, 0)

    batching_rules[prim] = batch
