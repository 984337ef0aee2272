"""Linearization (jvp and partial evaluation together) and pullbacks by transposition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import aval_of
from covector.core.config import config
from covector.core.dce import dce
from covector.core.dtypes import float0
from covector.core.jaxpr import Jaxpr, eval_jaxpr
from covector.core.rules import UndefinedPrimal, Zero
from covector.core.structural import zeros
from covector.core.trace import check_leaks, current_trace, set_current_trace
from covector.transforms.jvp import JVPTrace, typed
from covector.transforms.partial_eval import PartialTrace
from covector.transforms.transpose import backward_pass


class Linearized:
    """A function's results at a point, and its derivative there as a linear jaxpr.

    Attributes
    ----------
    outs : list
        Results of the function.
    jaxpr : Jaxpr
        From the tangents of the inexact arguments to the non-zero tangents of the results.
    residuals : list
        Values of its constant variables.
    active : list of bool
        Which arguments have tangents.
    nonzero : list of bool
        Which results have a tangent that is not always zero.
    """

    __slots__ = ("outs", "jaxpr", "residuals", "active", "nonzero")

    def __init__(
        self,
        outs: list[Any],
        jaxpr: Jaxpr,
        residuals: list[Any],
        active: list[bool],
        nonzero: list[bool],
    ) -> None:
        self.outs = outs
        self.jaxpr = jaxpr
        self.residuals = residuals
        self.active = active
        self.nonzero = nonzero

    def static(self) -> LinearProgram:
        return LinearProgram(
            self.jaxpr, tuple(self.active), tuple(self.nonzero), [aval_of(x) for x in self.outs]
        )


class LinearProgram:
    """What of a `Linearized` does not depend on values; pushes tangents, pulls cotangents."""

    __slots__ = ("jaxpr", "active", "nonzero", "out_avals")

    def __init__(
        self, jaxpr: Jaxpr, active: tuple[bool, ...], nonzero: tuple[bool, ...], out_avals: Any
    ) -> None:
        self.jaxpr = jaxpr
        self.active = active
        self.nonzero = nonzero
        self.out_avals = out_avals

    def push(self, residuals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """Tangents of the results from those of all arguments."""
        used = [t for t, a in zip(tangents, self.active, strict=True) if a]
        outs = iter(eval_jaxpr(self.jaxpr, residuals, *used))
        return [
            next(outs) if nz else zeros(a.to_tangent_aval())
            for nz, a in zip(self.nonzero, self.out_avals, strict=True)
        ]

    def pull(self, residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        """Cotangents of all arguments (`Zero` where there is none) from those of the results."""
        args = [UndefinedPrimal(v.aval) for v in self.jaxpr.invars]
        used = [ct for ct, nz in zip(cts, self.nonzero, strict=True) if nz]
        found = iter(backward_pass(self.jaxpr, residuals, args, used, as_given=True))
        return [next(found) if a else None for a in self.active]


def linearize_flat(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], aux: list[Any] | None = None
) -> Linearized:
    """Evaluate ``fun``, from flat arrays to a flat sequence, and record its derivative.

    ``fun`` may put values into the list ``aux``; they are replaced by their primals.
    """
    partial_trace = PartialTrace(current_trace())
    jvp_trace = JVPTrace(partial_trace)
    args, active = [], []
    for x in primals:
        tangent_aval = aval_of(x).to_tangent_aval()
        inexact = tangent_aval.dtype != float0
        active.append(inexact)
        args.append(jvp_trace.pack(typed(x), partial_trace.new_arg(tangent_aval)) if inexact else x)
    try:
        with set_current_trace(jvp_trace):
            outs = fun(*args)
        primals_out, tangents_out = jvp_trace.unpack(outs)
        if aux is not None:
            aux[:] = [jvp_trace.primal_of(x) for x in aux]
        nonzero = [type(t) is not Zero for t in tangents_out]
        with set_current_trace(partial_trace):
            jaxpr, residuals = partial_trace.finish(
                [t for t, nz in zip(tangents_out, nonzero, strict=True) if nz]
            )
    finally:
        jvp_trace.alive = partial_trace.alive = False
    if config.check_tracer_leaks:
        del args, outs, tangents_out
        check_leaks(jvp_trace)
    return Linearized(primals_out, dce(jaxpr), residuals, active, nonzero)
