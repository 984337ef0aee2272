"""Elementary and special functions that StableHLO does not have: those of `covector.numerics`."""

from __future__ import annotations

import covector.primitives.gamma_functions
import covector.primitives.hypergeometric
import covector.primitives.integrals
import covector.primitives.probability  # noqa: F401 - their rows
from covector.backends.pjrt import kernels
from covector.backends.pjrt.lower import RULES, rule
from covector.backends.pjrt.rules.elementwise import Emission, applied, elementwise
from covector.backends.pjrt.text import Builder, Value
from covector.core.jaxpr import JaxprEqn
from covector.core.rules import ELEMENTWISE
from covector.core.trace import Primitive
from covector.numerics.functions import FUNCTIONS
from covector.primitives.parameters import PRIMITIVES


def _written(name: str) -> Emission:
    def write(b: Builder, *xs: Value) -> Value:
        return kernels.write(b, name, *xs)

    return write


NAMES = [
    name for name in FUNCTIONS if name in ELEMENTWISE and ELEMENTWISE[name] not in RULES.keys()
]
elementwise({ELEMENTWISE[name]: _written(name) for name in NAMES})


def _partial(prim: Primitive) -> None:
    def write(b: Builder, eqn: JaxprEqn, *xs: Value) -> Value:
        orders = eqn.params["orders"]
        fn = applied(lambda b, *xs: kernels.write(b, prim.name, *xs, orders=orders))
        return fn(b, eqn, *xs)

    rule(prim)(write)


for _p in PRIMITIVES.values():
    _partial(_p)
