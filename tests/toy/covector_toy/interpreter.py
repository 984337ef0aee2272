"""The interpreter: one NumPy function a primitive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.backend import LoweringRules
from covector.core.jaxpr import Jaxpr, JaxprEqn, Literal
from covector.core.trace import Primitive

# rule(eqn, *values) -> a value, or a list of them for a primitive of several results.
RULES = LoweringRules()
rule = RULES.rule
# Primitives that cannot be interpreted, with the reason.
IMPOSSIBLE: dict[Primitive, str] = {}


def literal(a: Literal) -> np.ndarray:
    return np.asarray(a.val).astype(a.aval.dtype)


def run(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The results of a jaxpr on NumPy arrays."""
    env: dict[Any, Any] = {}
    env.update(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(a: Any) -> Any:
        return literal(a) if isinstance(a, Literal) else env[a]

    with np.errstate(all="ignore"):
        for eqn in jaxpr.eqns:
            out = RULES[eqn.primitive](eqn, *[read(a) for a in eqn.invars])
            outs = out if eqn.primitive.multiple_results else [out]
            for v, x in zip(eqn.outvars, outs, strict=True):
                env[v] = typed(x, eqn, v.aval)
    return [read(a) for a in jaxpr.outvars]


def typed(x: Any, eqn: JaxprEqn, aval: Any) -> np.ndarray:
    """``x`` in the type of the result; its shape must be right."""
    x = np.asarray(x)
    assert x.shape == aval.shape, (eqn, x.shape, aval)
    if dtypes.is_extended(aval.dtype):
        return x
    return x if x.dtype == aval.dtype else x.astype(aval.dtype)
