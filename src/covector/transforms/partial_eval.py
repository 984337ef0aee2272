"""Partial evaluation: what is known is computed at once, the rest becomes a jaxpr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import Array
from covector.core.dce import dce
from covector.core.jaxpr import Atom, ClosedJaxpr, Jaxpr, Var, eval_jaxpr
from covector.core.rules import partial_eval_rules
from covector.core.trace import (
    JaxprTrace,
    JaxprTracer,
    Primitive,
    Trace,
    Tracer,
    current_trace,
    set_current_trace,
)
from covector.transforms.cache import cached_on_jaxpr

# The rules of calls, as opposed to loops and branches.
_SPLIT_CALLS: dict[Primitive, Callable[..., list[Any]]] = {}


def def_partial_eval_call(prim: Primitive, rule: Callable[..., list[Any]]) -> None:
    """Register the rule of an operation that is but a call of its jaxpr."""
    partial_eval_rules[prim] = rule
    _SPLIT_CALLS[prim] = rule


class PartialTrace(JaxprTrace):
    """Evaluates operations on known values under the parent and records the others.

    Known values that recorded operations use become constants of the jaxpr: the residuals.
    """

    __slots__ = ("rules",)
    captures = False
    parent: Trace

    def __init__(self, parent: Trace) -> None:
        super().__init__(parent)
        self.rules = partial_eval_rules

    def describe(self) -> str:
        return "linearization"

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        for x in args:
            if type(x) is JaxprTracer and x._trace is self:
                break
        else:
            with set_current_trace(self.parent):
                return prim.bind_with_trace(self.parent, args, params)
        rule = self.rules.get(prim)
        if rule is not None:
            return rule(self, args, params)
        return super().process(prim, args, params)

    def is_unknown(self, x: Any) -> bool:
        return type(x) is JaxprTracer and x._trace is self

    def atom(self, x: Any) -> Atom:
        # Scalars computed by the program stay residuals, so that the jaxpr does not depend on
        # their values.
        if type(x) is Array and self.parent is not None:
            return self.const(x, x.aval)
        return super().atom(x)

    def record(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Append the operation to the jaxpr whatever its operands are."""
        return super().process(prim, args, params)

    def evaluate(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        """Apply the operation to known values."""
        with set_current_trace(self.parent):
            return prim.bind_with_trace(self.parent, args, params)


class PartialJaxpr:
    """A jaxpr split in two.

    Attributes
    ----------
    known : ClosedJaxpr
        From the known arguments to the known results followed by the new residuals.
    unknown : ClosedJaxpr
        From the residuals followed by the unknown arguments to the unknown results.
    unknown_out : list of bool
        Which results of the whole are unknown.
    residuals : list of int or None
        For each residual the position, among the *known* arguments, of the one it is; None
        for the new ones, which the known part returns in this order.
    """

    __slots__ = ("known", "unknown", "unknown_out", "residuals")

    def __init__(
        self,
        known: ClosedJaxpr,
        unknown: ClosedJaxpr,
        unknown_out: list[bool],
        residuals: list[int | None],
    ) -> None:
        self.known = known
        self.unknown = unknown
        self.unknown_out = unknown_out
        self.residuals = residuals

    @property
    def num_new(self) -> int:
        """Number of residuals that the known part returns."""
        return sum(r is None for r in self.residuals)


@cached_on_jaxpr
def partial_eval_jaxpr(
    closed: ClosedJaxpr,
    unknown_in: tuple[bool, ...],
    instantiate: tuple[bool, ...] = (),
    whole: bool = False,
) -> PartialJaxpr:
    """Split ``closed`` into what can be computed from the known arguments, and the rest.

    Parameters
    ----------
    closed : ClosedJaxpr
    unknown_in : tuple of bool
        Which arguments are unknown.
    instantiate : tuple of bool
        Results to count as unknown even if they are known.
    whole : bool
        Leave loops and branches of which anything is unknown in one piece.
    """
    known_trace = JaxprTrace(current_trace())
    unknown_trace = PartialTrace(known_trace)
    if whole:
        unknown_trace.rules = _SPLIT_CALLS
    args = [
        (unknown_trace if unknown else known_trace).new_arg(v.aval)
        for v, unknown in zip(closed.jaxpr.invars, unknown_in, strict=True)
    ]
    known_args = {id(x._var): i for i, x in enumerate(
        [x for x, u in zip(args, unknown_in, strict=True) if not u]
    )}  # fmt: skip
    try:
        with set_current_trace(unknown_trace):
            outs = eval_jaxpr(closed.jaxpr, closed.consts, *args)
            force = instantiate or (False,) * len(outs)
            unknown_out = [
                unknown_trace.is_unknown(x) or f for x, f in zip(outs, force, strict=True)
            ]
            jaxpr, consts = unknown_trace.finish(
                [x for x, u in zip(outs, unknown_out, strict=True) if u]
            )
        jaxpr = dce(jaxpr)
        captured = _used_consts(jaxpr, consts)
        traced = [(v, c) for v, c in captured if isinstance(c, Tracer)]
        arrays = [(v, c) for v, c in captured if not isinstance(c, Tracer)]
        residuals = [
            known_args.get(id(c._var)) if isinstance(c, JaxprTracer) else None for _, c in traced
        ]
        known_outs = [x for x, u in zip(outs, unknown_out, strict=True) if not u]
        new = [c for (_, c), r in zip(traced, residuals, strict=True) if r is None]
        with set_current_trace(known_trace):
            known_jaxpr, known_consts = known_trace.finish([*known_outs, *new])
    finally:
        known_trace.alive = unknown_trace.alive = False
    unknown = jaxpr.replace(
        constvars=[v for v, _ in arrays], invars=[*(v for v, _ in traced), *jaxpr.invars]
    )
    return PartialJaxpr(
        ClosedJaxpr(dce(known_jaxpr), known_consts),
        ClosedJaxpr(unknown, [c for _, c in arrays]),
        unknown_out,
        residuals,
    )


def _used_consts(jaxpr: Jaxpr, consts: Sequence[Any]) -> list[tuple[Var, Any]]:
    """The constant variables that are read, with their values."""
    used: set[Any] = {a for eqn in jaxpr.eqns for a in eqn.invars}
    used.update(jaxpr.outvars)
    return [(v, c) for v, c in zip(jaxpr.constvars, consts, strict=True) if v in used]


def pick_residuals(
    residuals: Sequence[int | None], known_args: Sequence[Any], new: Sequence[Any]
) -> list[Any]:
    """Values of the residuals of a `PartialJaxpr`."""
    it = iter(new)
    return [next(it) if r is None else known_args[r] for r in residuals]


def merge(mask: Sequence[bool], if_false: Sequence[Any], if_true: Sequence[Any]) -> list[Any]:
    """Items of two lists in the order that ``mask`` says."""
    f, t = iter(if_false), iter(if_true)
    return [next(t) if m else next(f) for m in mask]


def split(mask: Sequence[bool], xs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Items where ``mask`` is False, and where it is True."""
    return (
        [x for x, m in zip(xs, mask, strict=True) if not m],
        [x for x, m in zip(xs, mask, strict=True) if m],
    )


def dce_closed(closed: ClosedJaxpr, used_outputs: Sequence[bool]) -> tuple[ClosedJaxpr, list[bool]]:
    """``closed`` without unused results; also which of its arguments it still reads."""
    jaxpr = dce(closed.jaxpr, used_outputs)
    used: set[Any] = {a for eqn in jaxpr.eqns for a in eqn.invars}
    used.update(jaxpr.outvars)
    used_in = [v in used for v in jaxpr.invars]
    return (
        ClosedJaxpr(
            jaxpr.replace(invars=[v for v, u in zip(jaxpr.invars, used_in, strict=True) if u]),
            closed.consts,
        ),
        used_in,
    )
