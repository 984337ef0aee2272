"""Primitives of users in programs that are compiled: what they are made of takes their place."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from covector.core.errors import JAXTypeError
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, map_inner
from covector.core.trace import Primitive, Tracer, eval_trace, set_current_trace, trace_to_jaxpr
from covector.transforms.callbacks import pure_callback_p
from covector.transforms.jit import jit_p

Kept = frozenset[Primitive]
# Jaxprs expanded, by what they keep.
_expanded: dict[Kept, weakref.WeakKeyDictionary[Jaxpr, Jaxpr]] = {}


def expand(jaxpr: Jaxpr, keeps: Kept = frozenset()) -> Jaxpr:
    """``jaxpr`` without primitives of users, those inside it included.

    Each becomes a call of the program that its function does. A function which cannot be traced
    is called when the program runs. Primitives in ``keeps`` stay: in a program over several devices
    those that only say where values are.
    """
    known = _expanded.setdefault(keeps, weakref.WeakKeyDictionary())
    found = known.get(jaxpr)
    if found is None:
        eqns = [_eqn(e, keeps) for e in jaxpr.eqns]
        same = all(a is b for a, b in zip(eqns, jaxpr.eqns, strict=True))
        found = known[jaxpr] = jaxpr if same else jaxpr.replace(eqns=eqns)
    return found


def _eqn(eqn: JaxprEqn, keeps: Kept) -> JaxprEqn:
    prim = eqn.primitive
    fun = prim.expansion or prim.function
    if fun is None or prim in keeps:
        return map_inner(eqn, lambda jaxpr: expand(jaxpr, keeps))
    try:
        closed = _traced(prim, fun, eqn)
    except JAXTypeError:
        if prim.expansion is not None:
            raise
        return _called_back(prim, fun, eqn)
    closed = closed.map_jaxpr(lambda jaxpr: expand(jaxpr, keeps))
    params = {"jaxpr": closed, "name": prim.name, "inline": True}
    return eqn.replace(primitive=jit_p, params=params)


def _traced(prim: Primitive, fun: Callable[..., Any], eqn: JaxprEqn) -> ClosedJaxpr:
    """The program that the function of a primitive does for an equation."""

    def flat(*args: Any) -> list[Any]:
        return _results(prim, fun(*args, **eqn.params), len(eqn.outvars))

    with set_current_trace(eval_trace):
        jaxpr, consts = trace_to_jaxpr(flat, [a.aval for a in eqn.invars])
    closed = ClosedJaxpr(jaxpr, consts)
    if any(isinstance(c, Tracer) for c in consts):
        raise TypeError(f"the function of the primitive {prim.name} closes over a traced value")
    for got, v in zip(closed.out_avals, eqn.outvars, strict=True):
        if not got.matches(v.aval):
            raise TypeError(
                f"the function of the primitive {prim.name} computes {got.str_short()}; its "
                f"abstract evaluation says {v.aval.str_short()}"
            )
    return closed


def _results(prim: Primitive, out: Any, n: int) -> list[Any]:
    outs = list(out) if prim.multiple_results else [out]
    if len(outs) != n:
        raise TypeError(
            f"the function of the primitive {prim.name} returns {len(outs)} results; its abstract "
            f"evaluation says {n}"
        )
    return outs


def _called_back(prim: Primitive, fun: Callable[..., Any], eqn: JaxprEqn) -> JaxprEqn:
    def call(*args: Any) -> Sequence[Any]:
        return _results(prim, fun(*args, **eqn.params), len(eqn.outvars))

    call.__name__ = prim.name
    avals = tuple([v.aval for v in eqn.outvars])
    params = {"callback": call, "result_avals": avals, "vmap_method": None}
    return eqn.replace(primitive=pure_callback_p, params=params)
