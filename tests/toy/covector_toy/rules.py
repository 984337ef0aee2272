"""The rules, and the check that a program has them all."""

from __future__ import annotations

import numpy as np

from covector.core.jaxpr import Jaxpr, sub_jaxprs
from covector.core.structural import broadcast_in_dim_p, convert_element_type_p
from covector.primitives.arithmetic import add_p, mul_p
from covector_toy.interpreter import IMPOSSIBLE, RULES, rule


def check(jaxpr: Jaxpr) -> None:
    """Raise for a primitive that has no rule."""
    for eqn in jaxpr.eqns:
        if eqn.primitive not in RULES:
            why = IMPOSSIBLE.get(eqn.primitive, "it has no rule")
            raise NotImplementedError(f"the toy backend cannot run {eqn.primitive}: {why}")
        for sub in sub_jaxprs(eqn.params):
            check(sub)


rule(add_p)(lambda eqn, x, y: np.add(x, y))
rule(mul_p)(lambda eqn, x, y: np.multiply(x, y))


@rule(convert_element_type_p)
def _convert(eqn, x):
    return x.astype(eqn.params["new_dtype"])


@rule(broadcast_in_dim_p)
def _broadcast(eqn, x):
    shape, dims = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    full = [1] * len(shape)
    for size, d in zip(x.shape, dims, strict=True):
        full[d] = size
    return np.broadcast_to(x.reshape(full), shape)
