"""Forward-mode differentiation: the trace that applies the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray, aval_of, to_array
from covector.core.config import config
from covector.core.operands import PY_SCALARS
from covector.core.rules import Zero, jvp_rules, missing_rule
from covector.core.trace import (
    Primitive,
    Trace,
    Tracer,
    check_leaks,
    current_trace,
    eval_trace,
    set_current_trace,
)

# --- the trace ---------------------------------------------------------------------------


class JVPTracer(Tracer):
    """A primal value and its tangent."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: JVPTrace, primal: Any, tangent: Any) -> None:
        self._trace = trace
        self.primal = primal
        self.tangent = tangent

    @property
    def aval(self) -> ShapedArray:
        return aval_of(self.primal)

    def concrete(self) -> Any:
        p = self.primal
        return p.concrete() if isinstance(p, Tracer) else to_array(p)


class JVPTrace(Trace):
    """Computes primals and tangents side by side under the parent trace."""

    __slots__ = ()
    parent: Trace

    def describe(self) -> str:
        return "differentiation (jvp)"

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        if not any(type(x) is JVPTracer and x._trace is self for x in args):
            with set_current_trace(self.parent):
                return prim.bind_with_trace(self.parent, args, params)
        primals, tangents = self.unpack(args)
        rule = jvp_rules.get(prim)
        if rule is None:
            raise missing_rule(prim, "derivative")
        with set_current_trace(self.parent):
            out, tangent = rule(primals, tangents, **params)
        if prim.multiple_results:
            return [self.pack(p, t) for p, t in zip(out, tangent, strict=True)]
        return [out if type(tangent) is Zero else JVPTracer(self, out, tangent)]

    def unpack(self, args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Primals and tangents of operands, which may be constants to this trace."""
        primals, tangents = [], []
        for x in args:
            if type(x) is JVPTracer and x._trace is self:
                primals.append(x.primal)
                tangents.append(x.tangent)
            else:
                primals.append(x)
                tangents.append(Zero(aval_of(x).to_tangent_aval()))
        return primals, tangents

    def primal_of(self, x: Any) -> Any:
        return x.primal if type(x) is JVPTracer and x._trace is self else x

    def pack(self, primal: Any, tangent: Any) -> Any:
        return primal if type(tangent) is Zero else JVPTracer(self, primal, tangent)


def typed(x: Any) -> Any:
    """A Python number as an array of the dtype that it has now, where it is not recorded.

    Its tangent has that dtype too, and the function may change the option ``enable_x64``.
    """
    return to_array(x) if type(x) in PY_SCALARS and current_trace() is eval_trace else x


def jvp_flat(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    aux: list[Any] | None = None,
) -> tuple[list[Any], list[Any]]:
    """Primal and tangent results of ``fun``, from flat arrays to a flat sequence.

    Tangents may be `Zero`, among the arguments and in the result. ``fun`` may put values into
    the list ``aux``; they are replaced by their primals.
    """
    trace = JVPTrace(current_trace())
    args = [trace.pack(typed(p), t) for p, t in zip(primals, tangents, strict=True)]
    try:
        with set_current_trace(trace):
            outs = fun(*args)
        if aux is not None:
            aux[:] = [trace.primal_of(x) for x in aux]
        unpacked = trace.unpack(outs)
    finally:
        trace.alive = False
    if config.check_tracer_leaks:
        del args, outs
        check_leaks(trace)
    return unpacked
