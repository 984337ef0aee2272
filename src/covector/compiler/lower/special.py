"""Elementwise primitives that few programs have: their rows are not loaded before."""

from __future__ import annotations

from covector.compiler.lower.elementwise import partial, plain
from covector.compiler.lower.lowering import rule
from covector.core.trace import Primitive
from covector.primitives import gamma_functions, hypergeometric, integrals, parameters, probability

for _module in (gamma_functions, hypergeometric, integrals, probability):
    for _p in vars(_module).values():
        if isinstance(_p, Primitive):
            rule(_p)(plain(_p.name))

for _p in parameters.PRIMITIVES.values():
    rule(_p)(partial(_p.name))
