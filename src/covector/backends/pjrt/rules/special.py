"""Elementary and special functions that StableHLO does not have: those of `covector.numerics`."""

from __future__ import annotations

import covector.primitives.gamma_functions
import covector.primitives.hypergeometric
import covector.primitives.integrals
import covector.primitives.probability  # noqa: F401 - their rows
from covector.backends.pjrt import kernels
from covector.backends.pjrt.lower import RULES
from covector.backends.pjrt.rules.elementwise import Emission, elementwise
from covector.backends.pjrt.text import Builder, Value
from covector.core.rules import ELEMENTWISE
from covector.numerics.functions import FUNCTIONS


def _written(name: str) -> Emission:
    def write(b: Builder, *xs: Value) -> Value:
        return kernels.write(b, name, *xs)

    return write


NAMES = [
    name for name in FUNCTIONS if name in ELEMENTWISE and ELEMENTWISE[name] not in RULES.keys()
]
elementwise({ELEMENTWISE[name]: _written(name) for name in NAMES})
