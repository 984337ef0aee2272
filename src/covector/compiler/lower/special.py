"""Elementwise primitives that few programs have: their rows are not loaded before."""

from __future__ import annotations

from covector.compiler.lower.elementwise import plain
from covector.compiler.lower.lowering import rule
from covector.core.trace import Primitive
from covector.primitives import gamma_functions, hypergeometric, integrals, probability

for _module in (gamma_functions, hypergeometric, integrals, probability):
    for _p in vars(_module).values():
        if isinstance(_p, Primitive):
            rule(_p)(plain(_p.name))
