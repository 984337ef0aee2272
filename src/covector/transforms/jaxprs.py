"""Transformations of closed jaxprs, for operations that carry them (jit, cond, scan, while)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from covector.core.jaxpr import ClosedJaxpr, eval_jaxpr
from covector.core.references import Reference
from covector.core.rules import UndefinedPrimal, Zero
from covector.core.structural import instantiate
from covector.core.trace import close_over, trace_to_jaxpr
from covector.transforms.cache import cached_on_jaxpr
from covector.transforms.jvp import jvp_flat
from covector.transforms.transpose import backward_pass
from covector.transforms.vmap import bring, placed_along, vmap_flat


@cached_on_jaxpr
def jvp_jaxpr(
    closed: ClosedJaxpr, nonzero: tuple[bool, ...], force: tuple[bool, ...] = ()
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr of primals and tangents.

    Parameters
    ----------
    closed : ClosedJaxpr
    nonzero : tuple of bool
        Which arguments have a tangent that is not a symbolic zero.
    force : tuple of bool
        Results whose tangents are returned even if they are zero.

    Returns
    -------
    jaxpr : ClosedJaxpr
        Takes the primals and then the non-zero tangents; returns results likewise.
    nonzero_out : list of bool
    """
    avals = closed.in_avals
    tangent_avals = [a.to_tangent_aval() for a in avals]
    nonzero_out: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        primals = args[: len(avals)]
        rest = iter(args[len(avals) :])
        tangents = [
            next(rest) if nz else Zero(t) for nz, t in zip(nonzero, tangent_avals, strict=True)
        ]
        outs, out_tangents = jvp_flat(
            lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs), primals, tangents
        )
        forced = force or (False,) * len(outs)
        nonzero_out[:] = [
            type(t) is not Zero or f for t, f in zip(out_tangents, forced, strict=True)
        ]
        kept = [instantiate(t) for t, nz in zip(out_tangents, nonzero_out, strict=True) if nz]
        return [*outs, *kept]

    in_avals = [*avals, *(t for t, nz in zip(tangent_avals, nonzero, strict=True) if nz)]
    jaxpr, consts = trace_to_jaxpr(fun, in_avals, closed.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts), nonzero_out


@cached_on_jaxpr
def batch_jaxpr(
    closed: ClosedJaxpr,
    axis_size: int,
    axis_name: Hashable,
    in_batched: tuple[bool, ...],
    force: tuple[bool, ...] = (),
) -> tuple[ClosedJaxpr, list[bool]]:
    """The jaxpr that maps ``closed`` over axis 0 of its batched arguments.

    Results come with their mapped axis at 0 too; the second item says which have one.
    Results marked in ``force`` get one in any case.
    """
    out_batched: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        outs, dims = vmap_flat(
            lambda *xs: eval_jaxpr(closed.jaxpr, closed.consts, *xs),
            axis_size,
            args,
            [0 if b else None for b in in_batched],
            axis_name,
        )
        forced = force or (False,) * len(outs)
        out_batched[:] = [d is not None or f for d, f in zip(dims, forced, strict=True)]
        return [
            bring(x, axis_size, axis_name, d, 0) if b else x
            for x, d, b in zip(outs, dims, out_batched, strict=True)
        ]

    avals = [
        a.stacked(axis_size, placed_along(axis_name)) if b else a
        for a, b in zip(closed.in_avals, in_batched, strict=True)
    ]
    jaxpr, consts = trace_to_jaxpr(fun, avals, closed.jaxpr.debug_info)
    return ClosedJaxpr(jaxpr, consts), out_batched


class Transposed(NamedTuple):
    """The transpose of a jaxpr that is linear in its undefined arguments.

    Attributes
    ----------
    closed : ClosedJaxpr
        Takes the values of ``refs``, the defined arguments and the non-zero cotangents of the
        results; returns cotangents of undefined arguments, and the last values of ``written``.
    nonzero_out : list of bool
        For each undefined argument, whether its cotangent is returned.
    refs, written : list of Reference
        Those which backward passes of the user's use, and write.
    """

    closed: ClosedJaxpr
    nonzero_out: list[bool]
    refs: list[Reference]
    written: list[Reference]


@cached_on_jaxpr
def transpose_jaxpr(
    closed: ClosedJaxpr,
    undefined: tuple[bool, ...],
    nonzero_cts: tuple[bool, ...],
    force: bool = False,
) -> Transposed:
    """The transpose of ``closed``: of its cotangents the non-zero ones, or all if ``force``."""
    in_avals = closed.in_avals
    out_avals = [a.to_cotangent_aval() for a in closed.out_avals]
    num_defined = len(undefined) - sum(undefined)
    nonzero_out: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        defined, cts = iter(args[:num_defined]), iter(args[num_defined:])
        full = [
            UndefinedPrimal(a) if u else next(defined)
            for a, u in zip(in_avals, undefined, strict=True)
        ]
        cts_out = [
            next(cts) if nz else Zero(a) for a, nz in zip(out_avals, nonzero_cts, strict=True)
        ]
        cts_in = backward_pass(closed.jaxpr, closed.consts, full, cts_out)
        found = [ct for ct, u in zip(cts_in, undefined, strict=True) if u]
        nonzero_out[:] = [force or type(ct) is not Zero for ct in found]
        return [instantiate(ct) for ct, nz in zip(found, nonzero_out, strict=True) if nz]

    avals = [a for a, u in zip(in_avals, undefined, strict=True) if not u]
    avals += [a for a, nz in zip(out_avals, nonzero_cts, strict=True) if nz]
    written: list[Reference] = []
    jaxpr, consts = trace_to_jaxpr(fun, avals, closed.jaxpr.debug_info, written)
    transposed, refs = close_over(jaxpr, consts)
    return Transposed(transposed, nonzero_out, refs, written)


def permute(
    closed: ClosedJaxpr, inputs: Sequence[int] | None, outputs: Sequence[int] | None = None
) -> ClosedJaxpr:
    """``closed`` with arguments and results in another order (position of the old ones)."""
    jaxpr = closed.jaxpr
    return ClosedJaxpr(
        jaxpr.replace(
            invars=jaxpr.invars if inputs is None else [jaxpr.invars[i] for i in inputs],
            outvars=jaxpr.outvars if outputs is None else [jaxpr.outvars[i] for i in outputs],
        ),
        closed.consts,
    )
