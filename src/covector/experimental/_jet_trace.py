"""The trace that carries Taylor series, and the series of results by their derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector import numpy as cnp
from covector.control_flow.checkpoint import checkpoint_p
from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.jaxpr import eval_jaxpr
from covector.core.rules import Zero, jvp_rules, missing_rule
from covector.core.trace import Primitive, Trace, Tracer, current_trace, set_current_trace
from covector.experimental.ode import safe_zip
from covector.transforms.jit import jit_p
from covector.tree_util import (
    register_pytree_node,
)


class ZeroTerm:
    """A coefficient known to be 0."""


class ZeroSeries:
    """Coefficients all known to be 0."""


zero_term, zero_series = ZeroTerm(), ZeroSeries()
for _cls, _value in ((ZeroTerm, zero_term), (ZeroSeries, zero_series)):
    register_pytree_node(_cls, lambda z: ((), None), lambda _, __, value=_value: value)

# rule(primals_in, series_in, **params) -> (primal_out, series_out), lists of both if the primitive
# has several results. A series is a list of the coefficients of t, t**2, …, in full.
jet_rules: dict[Primitive, Callable[..., tuple[Any, Any]]] = {}
# Calls are followed into their jaxprs, so that no parameter of theirs changes.
call_param_updaters: dict[Primitive, Callable[..., Any]] = {}
# rule(order, primals, series, params) -> pairs of a result and its series: operations with jaxprs.
control_rules: dict[Primitive, Callable[..., list[Any]]] = {}


class JetTracer(Tracer):
    """A value and the coefficients of its series.

    Parameters
    ----------
    trace : JetTrace
    primal : Array
    terms : list of Array
    """

    __slots__ = ("primal", "terms")

    def __init__(self, trace: JetTrace, primal: Any, terms: Sequence[Any]) -> None:
        self._trace = trace
        self.primal = primal
        self.terms = terms

    @property
    def aval(self) -> ShapedArray:
        return aval_of(self.primal)

    def concrete(self) -> Any:
        return self.primal.concrete() if isinstance(self.primal, Tracer) else self.primal


class JetTrace(Trace):
    """Applies to each operation the rule for series, under the parent trace.

    Parameters
    ----------
    tag : object
        Has no effect.
    parent_trace : Trace
    order : int
        The number of coefficients.
    """

    __slots__ = ("order",)
    parent: Trace

    def __init__(self, tag: Any, parent_trace: Trace, order: int) -> None:
        super().__init__(parent_trace)
        self.order = order

    def describe(self) -> str:
        return "Taylor series (jet)"

    def unpack(self, x: Any) -> tuple[Any, Any]:
        """The value and the series of an operand."""
        own = type(x) is JetTracer and x._trace is self
        return (x.primal, x.terms) if own else (x, zero_series)

    def pack(self, primal: Any, terms: Any) -> Any:
        return primal if terms is zero_series else JetTracer(self, primal, terms)

    def process(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        primals, series = unzip2([self.unpack(x) for x in args])
        if all(s is zero_series for s in series):
            with set_current_trace(self.parent):
                return prim.bind_with_trace(self.parent, primals, params)
        if prim in (jit_p, checkpoint_p):
            closed = params[prim.call_param]  # type: ignore[index]
            return eval_jaxpr(closed.jaxpr, closed.consts, *args)
        rule = jet_rules.get(prim)
        with set_current_trace(self.parent):
            if prim in control_rules:
                pairs = control_rules[prim](self.order, primals, series, params)
            elif rule is None:
                pairs = _by_derivative(prim, self.order, primals, series, params)
            else:
                full = [full_series(p, s, self.order) for p, s in safe_zip(primals, series)]
                out = rule(primals, full, **params)
                pairs = safe_zip(*out) if prim.multiple_results else [out]
        return [self.pack(p, s) for p, s in pairs]


def full_series(primal: Any, series: Any, order: int) -> Any:
    """A series with all of its coefficients; of integers there are none."""
    if series is not zero_series or aval_of(primal).dtype not in dtypes.INEXACT:
        return series
    return [cnp.zeros_like(primal)] * order


def run_series(fun: Callable[..., Any], order: int, primals: Any, series: Any) -> list[Any]:
    """Values and series of the flat results of ``fun``."""
    trace = JetTrace(None, current_trace(), order)
    try:
        with set_current_trace(trace):
            outs = fun(*[trace.pack(p, s) for p, s in safe_zip(primals, series)])
        return [trace.unpack(x) for x in outs]
    finally:
        trace.alive = False


def _by_derivative(
    prim: Primitive, order: int, primals: Sequence[Any], series: Sequence[Any], params: Any
) -> list[Any]:
    """The series of results whose forward derivative is known."""
    rule = jvp_rules.get(prim)
    if rule is None:
        raise missing_rule(prim, "derivative")
    moving = [k for k, s in enumerate(series) if s is not zero_series]
    zeros = [Zero.of(p) for p in primals]
    known: list[Any] = []
    marks: list[Any] = []

    def slope(*args: Any) -> list[Any]:
        xs, dxs = list(primals), list(zeros)
        for k, x, dx in zip(moving, args[: len(moving)], args[len(moving) :], strict=True):
            xs[k], dxs[k] = x, dx
        outs, tangents = rule(xs, dxs, **params)
        if not prim.multiple_results:
            outs, tangents = [outs], [tangents]
        marks[:] = [type(t) is Zero or aval_of(t).dtype == dtypes.float0 for t in tangents]
        known[:] = outs
        return [*outs, *[t for t, zero in zip(tangents, marks, strict=True) if not zero]]

    xs = [primals[k] for k in moving]
    firsts = [series[k][0] for k in moving]
    inner = [series[k][:-1] or zero_series for k in moving]
    slopes = [[(j + 2) * c for j, c in enumerate(series[k][1:])] or zero_series for k in moving]
    found = run_series(slope, order - 1, [*xs, *firsts], [*inner, *slopes])
    n = len(known)
    derivatives = iter(found[n:])
    pairs = []
    for (value, _), zero in zip(found[:n], marks, strict=True):
        if zero:
            pairs.append((value, zero_series))
            continue
        d0, rest = next(derivatives)
        full = [d0, *([cnp.zeros_like(d0)] * (order - 1) if rest is zero_series else rest)]
        pairs.append((value, [c / (j + 1) for j, c in enumerate(full)]))
    return pairs


def unzip2(xys: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first and the second items of pairs.

    Parameters
    ----------
    xys : iterable of pairs

    Returns
    -------
    tuple of two tuples

    Examples
    --------
    >>> from covector.experimental.jet import unzip2
    >>> unzip2([(1, "a"), (2, "b")])
    ((1, 2), ('a', 'b'))
    """
    pairs = list(xys)
    return tuple([x for x, _ in pairs]), tuple([y for _, y in pairs])
