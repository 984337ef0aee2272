"""Special functions: error functions, gamma functions and their relatives, Bessel functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from covector.core.definers import def_jvp, def_jvp_out
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.primitives.arithmetic import add, div, mul, neg, sign, square, sub
from covector.primitives.common import FLOAT, binary, unary
from covector.primitives.compare import eq
from covector.primitives.exponential import exp
from covector.primitives.select import select

erf_p = unary("erf", FLOAT)


erfc_p = unary("erfc", FLOAT)


erf_inv_p = unary("erf_inv", FLOAT)


lgamma_p = unary("lgamma", FLOAT)


digamma_p = unary("digamma", FLOAT)


bessel_i0e_p = unary("bessel_i0e", FLOAT)


bessel_i1e_p = unary("bessel_i1e", FLOAT)


zeta_p = binary("zeta", FLOAT)


polygamma_p = binary("polygamma", FLOAT)


# --- constructors: what rules bind ---------------------------------------------------------

lgamma, digamma = lgamma_p.bind, digamma_p.bind
polygamma, zeta = polygamma_p.bind, zeta_p.bind
bessel_i0e, bessel_i1e = bessel_i0e_p.bind, bessel_i1e_p.bind


def no_derivative(function: str, arguments: str) -> Callable[..., Any]:
    """A derivative rule that refuses."""

    def rule(g: Any, *args: Any) -> Any:
        raise ValueError(
            f"lax.{function} has no derivative with respect to {arguments}; pass stop_gradient of "
            f"what is not to be differentiated{at_user_line()}"
        )

    return rule


_SLOPE = 2.0 / math.sqrt(math.pi)


def_jvp(erf_p, lambda g, x: mul(like(_SLOPE, x), mul(g, exp(neg(square(x))))))


def_jvp(erfc_p, lambda g, x: mul(like(-_SLOPE, x), mul(g, exp(neg(square(x))))))


def_jvp_out(erf_inv_p, lambda g, out, x: mul(like(1.0 / _SLOPE, x), mul(g, exp(square(out)))))


def_jvp(lgamma_p, lambda g, x: mul(g, digamma(x)))


def_jvp(digamma_p, lambda g, x: mul(g, polygamma(like(1, x), x)))


def_jvp(
    polygamma_p,
    no_derivative("polygamma", "m"),
    lambda g, m, x: mul(g, polygamma(add(m, like(1, m)), x)),
)


def_jvp(
    zeta_p,
    no_derivative("zeta", "x"),
    lambda g, x, q: mul(g, mul(neg(x), zeta(add(x, like(1, x)), q))),
)


def_jvp_out(bessel_i0e_p, lambda g, out, x: mul(g, sub(bessel_i1e(x), mul(sign(x), out))))


def _bessel_i1e_slope(g: Any, out: Any, x: Any) -> Any:
    at_zero = eq(x, like(0, x))
    safe = select(at_zero, like(1, x), x)
    slope = sub(bessel_i0e(x), mul(out, add(sign(x), div(like(1, x), safe))))
    return mul(g, select(at_zero, like(0.5, x), slope))


def_jvp_out(bessel_i1e_p, _bessel_i1e_slope)
