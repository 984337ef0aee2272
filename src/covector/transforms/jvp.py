"""Forward-mode differentiation: the table of rules and the trace that applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of, to_array
from covector.core.rules import missing_rule
from covector.core.structural import add_any, broadcast_in_dim, zeros
from covector.core.trace import Primitive, Trace, Tracer, current_trace, set_current_trace

# rule(primals, tangents, **params) -> (out, out_tangent), lists if the primitive has several
# results. Tangents may be `Zero`.
jvp_rules: dict[Primitive, Callable[..., tuple[Any, Any]]] = {}


class Zero:
    """A tangent or cotangent known to be zero.

    Attributes
    ----------
    aval : ShapedArray
        The type of the tangent (``float0`` where the primal is not inexact).
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    @staticmethod
    def of(primal: Any) -> Zero:
        """The zero tangent of a value."""
        return Zero(aval_of(primal).to_tangent_aval())

    def __repr__(self) -> str:
        return f"Zero({self.aval.str_short()})"


def instantiate(t: Any) -> Any:
    """An array for ``t``: zeros if it is a `Zero`."""
    return zeros(t.aval) if type(t) is Zero else t


def fill_zeros(
    primals: Sequence[Any], nonzero: Sequence[bool], tangents: Iterable[Any]
) -> list[Any]:
    """A tangent for each of ``primals``: the next of ``tangents`` where it is not zero."""
    rest = iter(tangents)
    return [next(rest) if nz else Zero.of(x) for x, nz in zip(primals, nonzero, strict=True)]


def add_tangents(x: Any, y: Any) -> Any:
    """Sum of two tangents or cotangents, either of which may be `Zero`."""
    if type(x) is Zero:
        return y
    if type(y) is Zero:
        return x
    return add_any(x, y)


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
    args = [trace.pack(p, t) for p, t in zip(primals, tangents, strict=True)]
    try:
        with set_current_trace(trace):
            outs = fun(*args)
        if aux is not None:
            aux[:] = [trace.primal_of(x) for x in aux]
        return trace.unpack(outs)
    finally:
        trace.alive = False
