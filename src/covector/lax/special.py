"""Special functions of one operand: error functions, gamma functions."""

from __future__ import annotations

import math
from typing import Any

from covector.core.avals import aval_of
from covector.lax._common import FLOAT, as_operand, scalar
from covector.lax._elementwise import unary
from covector.lax.arithmetic import mul
from covector.lax.unary import exp, neg, square
from covector.transforms.jvp import def_jvp, def_jvp_out

erf_p = unary("erf", FLOAT)
erfc_p = unary("erfc", FLOAT)
erf_inv_p = unary("erf_inv", FLOAT)
lgamma_p = unary("lgamma", FLOAT)
digamma_p = unary("digamma", FLOAT)


def erf(x: Any) -> Any:
    """Elementwise error function :math:`\\frac{2}{\\sqrt\\pi}\\int_0^x e^{-t^2} dt`."""
    return erf_p.bind(as_operand(x, "erf"))


def erfc(x: Any) -> Any:
    """Elementwise complementary error function :math:`1 - \\mathrm{erf}(x)`."""
    return erfc_p.bind(as_operand(x, "erfc"))


def erf_inv(x: Any) -> Any:
    """Elementwise inverse of the error function."""
    return erf_inv_p.bind(as_operand(x, "erf_inv"))


def lgamma(x: Any) -> Any:
    """Elementwise logarithm of the absolute value of the gamma function."""
    return lgamma_p.bind(as_operand(x, "lgamma"))


def digamma(x: Any) -> Any:
    """Elementwise logarithmic derivative of the gamma function."""
    return digamma_p.bind(as_operand(x, "digamma"))


def _c(value: float, x: Any) -> Any:
    return scalar(value, aval_of(x).dtype)


_SLOPE = 2.0 / math.sqrt(math.pi)

def_jvp(erf_p, lambda g, x: mul(_c(_SLOPE, x), mul(g, exp(neg(square(x))))))
def_jvp(erfc_p, lambda g, x: mul(_c(-_SLOPE, x), mul(g, exp(neg(square(x))))))
def_jvp_out(erf_inv_p, lambda g, out, x: mul(_c(1.0 / _SLOPE, x), mul(g, exp(square(out)))))
def_jvp(lgamma_p, lambda g, x: mul(g, digamma(x)))
