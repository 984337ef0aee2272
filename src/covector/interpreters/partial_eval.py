"""Tracing to programs, parts of programs, and programs without what nothing uses
(`covector.interpreters.partial_eval`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core import rules
from covector.core.avals import ShapedArray, aval_of
from covector.core.dce import dce
from covector.core.errors import export as _export
from covector.core.errors import meaningless
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn
from covector.core.trace import JaxprTracer as DynamicJaxprTracer
from covector.core.trace import (
    Primitive,
    Tracer,
    current_trace,
    set_current_trace,
    trace_to_jaxpr,
)
from covector.interpreters._views import RuleView
from covector.transforms.dce_rules import pick, what_is_read
from covector.transforms.partial_eval import PartialTrace

# --- the tables --------------------------------------------------------------------------


def _store_partial(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def stored(trace: Any, args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
        out = rule(trace, *args, **params)
        return list(out) if prim.multiple_results else [out]

    return stored


def _read_partial(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def read(trace: Any, *args: Any, **params: Any) -> Any:
        outs = rule(trace, args, params)
        return outs if prim.multiple_results else outs[0]

    return read


def _store_dce(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda used, eqn: rule(used, eqn)[1]


def _used_inputs(eqn: JaxprEqn, less: JaxprEqn | None) -> list[bool]:
    kept = {id(a) for a in less.invars} if less is not None else set()
    return [id(a) in kept for a in eqn.invars]


def _read_dce(prim: Primitive, rule: Callable[..., Any]) -> Callable[..., Any]:
    def read(used: Sequence[bool], eqn: JaxprEqn) -> tuple[list[bool], JaxprEqn | None]:
        less = rule(list(used), eqn)
        return _used_inputs(eqn, less), less

    return read


# rule(trace, *args, **params) -> results; rule(used_outputs, eqn) -> (used_inputs, eqn or None).
custom_partial_eval_rules = RuleView(rules.partial_eval_rules, _store_partial, _read_partial)
dce_rules = RuleView(rules.dce_rules, _store_dce, _read_dce)  # type: ignore[arg-type]

_NO_CUSTOM = (
    "checkpoint splits programs by the rules of custom_partial_eval_rules: store the rule there"
)


class _NoRules(dict[Primitive, Any]):
    """A table that takes no rules."""

    def __setitem__(self, prim: Primitive, rule: Any) -> None:
        raise meaningless("partial_eval_jaxpr_custom_rules", _NO_CUSTOM)


partial_eval_jaxpr_custom_rules = _NoRules()


class JaxprTracer(Tracer):
    """Not to be had: values that are not known are `DynamicJaxprTracer`.

    Parameters
    ----------
    trace, pval, recipe

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> cv.eval_shape(lambda x: print(isinstance(x, pe.JaxprTracer)), 1.0)
    False
    """

    __slots__ = ()

    def __init__(self, trace: Any, pval: Any, recipe: Any) -> None:
        raise meaningless("JaxprTracer", "values that are not known are DynamicJaxprTracer")


# --- values that are known or not --------------------------------------------------------


class PartialVal(tuple[Any, Any]):
    """A value that is known, ``(None, value)``, or of which the type is, ``(aval, None)``.

    Parameters
    ----------
    xs : tuple of two

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> pe.PartialVal.unknown(cv.typeof(1.0)).is_known(), pe.PartialVal.known(1.0).is_known()
    (False, True)
    """

    __slots__ = ()

    def __new__(cls, xs: tuple[Any, Any]) -> PartialVal:
        aval, value = xs
        if (aval is None) == (value is None):
            raise TypeError(f"PartialVal takes (aval, None) or (None, value), got {xs!r}")
        return tuple.__new__(cls, xs)

    @classmethod
    def known(cls, const: Any) -> PartialVal:
        return cls((None, const))

    @classmethod
    def unknown(cls, aval: ShapedArray) -> PartialVal:
        return cls((aval, None))

    def is_known(self) -> bool:
        return self[0] is None

    def get_known(self) -> Any:
        return self[1]

    def get_aval(self) -> ShapedArray:
        return aval_of(self[1]) if self[0] is None else self[0]


def trace_to_jaxpr_nounits(
    fun: Any, pvals: Sequence[PartialVal], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[PartialVal], list[Any]]:
    """Compute what of a function is known, and trace the rest to a program.

    Parameters
    ----------
    fun : linear_util.WrappedFun or callable
        From flat arguments to a flat sequence.
    pvals : sequence of PartialVal
        Its arguments.
    instantiate : bool or sequence of bool
        Results that are to be of the program even if they are known.

    Returns
    -------
    jaxpr : Jaxpr
        From the unknown arguments to the unknown results.
    out_pvals : list of PartialVal
    consts : list
        Values of ``jaxpr.constvars``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> x = pe.PartialVal.unknown(cv.typeof(1.0))
    >>> jaxpr, outs, consts = pe.trace_to_jaxpr_nounits(lambda x, y: [x * y, -y],
    ...                                                 [x, pe.PartialVal.known(2.0)])
    >>> outs[1].get_known(), cv.core.eval_jaxpr(jaxpr, consts, 3.0)
    (-2.0, [Array(6., dtype=float32, weak_type=True)])
    """
    trace = PartialTrace(current_trace())
    args = [p.get_known() if p.is_known() else trace.new_arg(p.get_aval()) for p in pvals]
    try:
        with set_current_trace(trace):
            outs = list(getattr(fun, "call_wrapped", fun)(*args))
            forced = [instantiate] * len(outs) if isinstance(instantiate, bool) else instantiate
            unknown = [trace.is_unknown(x) or f for x, f in zip(outs, forced, strict=True)]
            jaxpr, consts = trace.finish([x for x, u in zip(outs, unknown, strict=True) if u])
    finally:
        trace.alive = False
    found = [
        PartialVal.unknown(aval_of(x)) if u else PartialVal.known(x)
        for x, u in zip(outs, unknown, strict=True)
    ]
    return jaxpr, found, consts


def trace_to_jaxpr_dynamic(
    fun: Any,
    in_avals: Sequence[ShapedArray],
    *,
    keep_inputs: list[bool] | None = None,
    lower: bool = False,
    auto_dce: bool = False,
) -> tuple[Jaxpr, list[ShapedArray], list[Any]]:
    """Trace a function to a program.

    Parameters
    ----------
    fun : linear_util.WrappedFun or callable
        From flat arguments to a flat sequence.
    in_avals : sequence of ShapedArray
        Types of its arguments.
    keep_inputs : list of bool, optional
        Which arguments the program keeps; it must not read the others.
    lower : bool
        Has no effect.
    auto_dce : bool
        Leave out what no result needs.

    Returns
    -------
    jaxpr : Jaxpr
    out_avals : list of ShapedArray
    consts : list
        Values of ``jaxpr.constvars``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> jaxpr, avals, consts = pe.trace_to_jaxpr_dynamic(lambda x: [-x], [cv.typeof(1.0)])
    >>> print(jaxpr)
    { lambda  ; a:f32[]*. let
        b:f32[]* = neg a
      in (b,) }
    """
    call = getattr(fun, "call_wrapped", fun)
    jaxpr, consts = trace_to_jaxpr(
        lambda *args: list(call(*args)), in_avals, getattr(fun, "debug_info", None)
    )
    if auto_dce:
        jaxpr = dce(jaxpr)
    if keep_inputs is not None:
        jaxpr = jaxpr.replace(invars=pick(jaxpr.invars, keep_inputs))
    return jaxpr, jaxpr.out_avals, consts


# --- dead code ---------------------------------------------------------------------------


def _mask(mask: bool | Sequence[bool], n: int) -> list[bool]:
    return [mask] * n if isinstance(mask, bool) else list(mask)


def dce_jaxpr(
    jaxpr: Jaxpr, used_outputs: bool | Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[bool]]:
    """A program without results that are not used, and what only they need.

    Parameters
    ----------
    jaxpr : Jaxpr
    used_outputs : bool or sequence of bool
        Which results are used.
    instantiate : bool or sequence of bool
        Which arguments are to stay if they are not read.

    Returns
    -------
    jaxpr : Jaxpr
    used_inputs : list of bool
        Which arguments it has.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> closed = cv.make_jaxpr(lambda x, y: (2 * x, 3 * y))(1.0, 1.0)
    >>> jaxpr, used = pe.dce_jaxpr(closed.jaxpr, [True, False])
    >>> len(jaxpr.eqns), used
    (1, [True, False])
    """
    less = dce(jaxpr, _mask(used_outputs, len(jaxpr.outvars)))
    kept = _mask(instantiate, len(jaxpr.invars))
    used = [r or k for r, k in zip(what_is_read(less), kept, strict=True)]
    return less.replace(invars=pick(less.invars, used)), used


def dce_jaxpr_consts(
    jaxpr: Jaxpr, used_outputs: Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Jaxpr, list[bool], list[bool]]:
    """As `dce_jaxpr`, without constants that are not read.

    Parameters
    ----------
    jaxpr : Jaxpr
    used_outputs : sequence of bool
        Which results are used.
    instantiate : bool or sequence of bool
        Which arguments are to stay if they are not read.

    Returns
    -------
    jaxpr : Jaxpr
    used_consts : list of bool
        Which constants it has.
    used_inputs : list of bool
        Which arguments it has.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.interpreters import partial_eval as pe
    >>> closed = cv.make_jaxpr(lambda x: x + cv.numpy.ones(3))(1.0)
    >>> pe.dce_jaxpr_consts(closed.jaxpr, [False])[1:]
    ([], [False])
    """
    less, used = dce_jaxpr(jaxpr, used_outputs, instantiate)
    read: set[Any] = {a for eqn in less.eqns for a in eqn.invars}
    read.update(less.outvars)
    consts = [v in read for v in less.constvars]
    return less.replace(constvars=pick(less.constvars, consts)), consts, used


def _dce_call(
    used_outputs: list[bool], eqn: JaxprEqn, param: str
) -> tuple[list[bool], JaxprEqn | None]:
    if not any(used_outputs) and not eqn.effects:
        return [False] * len(eqn.invars), None
    inner = eqn.params[param]
    jaxpr = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
    less, used = dce_jaxpr(jaxpr, used_outputs)
    new = inner.replace(jaxpr=less) if isinstance(inner, ClosedJaxpr) else less
    return used, eqn.replace(
        invars=pick(eqn.invars, used),
        outvars=pick(eqn.outvars, used_outputs),
        params={**eqn.params, param: new},
    )


def dce_jaxpr_call_rule(
    used_outputs: list[bool], eqn: JaxprEqn
) -> tuple[list[bool], JaxprEqn | None]:
    """The rule, for `dce_rules`, of a call whose program is the parameter ``call_jaxpr``.

    Parameters
    ----------
    used_outputs : list of bool
        Which results are used.
    eqn : JaxprEqn

    Returns
    -------
    tuple
        Which operands are used, and the equation that computes the used results; None in its
        place if none is.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> from covector.interpreters import partial_eval as pe
    >>> inner = cv.make_jaxpr(lambda x, y: (2 * x, 3 * y))(1.0, 1.0).jaxpr
    >>> prim = core.Primitive("call_of_mine")
    >>> eqn = core.new_jaxpr_eqn(inner.invars, inner.outvars, prim, {"call_jaxpr": inner}, ())
    >>> used, less = pe.dce_jaxpr_call_rule([True, False], eqn)
    >>> used, len(less.params["call_jaxpr"].eqns)
    ([True, False], 1)
    """
    return _dce_call(used_outputs, eqn, "call_jaxpr")


def dce_jaxpr_closed_call_rule(
    used_outputs: list[bool], eqn: JaxprEqn
) -> tuple[list[bool], JaxprEqn | None]:
    """As `dce_jaxpr_call_rule`, of a call whose ``call_jaxpr`` is closed over its constants.

    Parameters
    ----------
    used_outputs : list of bool
        Which results are used.
    eqn : JaxprEqn

    Returns
    -------
    tuple
        Which operands are used, and the equation that computes the used results; None in its
        place if none is.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> from covector.interpreters import partial_eval as pe
    >>> closed = cv.make_jaxpr(lambda x, y: (2 * x, 3 * y))(1.0, 1.0)
    >>> params = {"call_jaxpr": closed}
    >>> prim = core.Primitive("closed_call_of_mine")
    >>> jaxpr = closed.jaxpr
    >>> eqn = core.new_jaxpr_eqn(jaxpr.invars, jaxpr.outvars, prim, params, ())
    >>> pe.dce_jaxpr_closed_call_rule([True, False], eqn)[0]
    [True, False]
    """
    return _dce_call(used_outputs, eqn, "call_jaxpr")


__all__ = [
    "DynamicJaxprTracer",
    "JaxprTracer",
    "PartialVal",
    "custom_partial_eval_rules",
    "dce_jaxpr",
    "dce_jaxpr_call_rule",
    "dce_jaxpr_closed_call_rule",
    "dce_jaxpr_consts",
    "dce_rules",
    "partial_eval_jaxpr_custom_rules",
    "trace_to_jaxpr_dynamic",
    "trace_to_jaxpr_nounits",
]
_export(globals(), __all__)
