"""The interpreter: one NumPy function a primitive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import Array, ShapedArray
from covector.core.backend import LoweringRules
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, sub_jaxprs
from covector.core.trace import Primitive

# rule(eqn, *values) -> a value, or a list of them for a primitive of several results.
RULES = LoweringRules()
rule = RULES.rule
# Primitives that cannot be interpreted, with the reason.
IMPOSSIBLE: dict[Primitive, str] = {}


def check(jaxpr: Jaxpr) -> None:
    """Raise for a primitive that has no rule."""
    for eqn in jaxpr.eqns:
        if eqn.primitive not in RULES:
            why = IMPOSSIBLE.get(eqn.primitive, "it has no rule")
            raise NotImplementedError(f"the toy backend cannot run {eqn.primitive}: {why}")
        for sub in sub_jaxprs(eqn.params):
            check(sub)


def value_type(aval: ShapedArray) -> np.dtype:
    """How the toy holds elements: PRNG keys as 64-bit words."""
    return np.dtype(np.uint64) if dtypes.is_extended(aval.dtype) else aval.dtype


def to_value(x: Any) -> np.ndarray:
    """A NumPy array of the elements of an array, or of a NumPy value."""
    if not isinstance(x, Array):
        return np.asarray(x)
    host = x._to_host()
    if dtypes.is_extended(x.dtype):
        host = host._bitcast(dtypes.code_of[np.dtype(np.uint64)], x.shape)
    return np.asarray(host)


def run_closed(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """The results of a program within another, which holds its constants."""
    return run(closed.jaxpr, [to_value(c) for c in closed.consts], args)


def run(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The results of a jaxpr on NumPy arrays."""
    env: dict[Any, Any] = {}
    env.update(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(a: Any) -> Any:
        return np.asarray(a.val).astype(a.aval.dtype) if isinstance(a, Literal) else env[a]

    with np.errstate(all="ignore"):
        for eqn in jaxpr.eqns:
            out = RULES[eqn.primitive](eqn, *[read(a) for a in eqn.invars])
            outs = out if eqn.primitive.multiple_results else [out]
            for v, x in zip(eqn.outvars, outs, strict=True):
                env[v] = typed(x, eqn, v.aval)
    return [read(a) for a in jaxpr.outvars]


def typed(x: Any, eqn: JaxprEqn, aval: ShapedArray) -> np.ndarray:
    """``x`` in the type of the result; its shape must be right."""
    x = np.asarray(x)
    assert x.shape == aval.shape, (eqn, x.shape, aval)
    dtype = value_type(aval)
    return x if x.dtype == dtype else x.astype(dtype)
