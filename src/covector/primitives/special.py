"""Special functions: error functions, gamma functions and their relatives, Bessel functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import inf, nan, pi
from typing import Any

from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.trace import Bind
from covector.primitives.arithmetic import abs, add, div, mul, neg, sign, square, sub
from covector.primitives.common import FLOAT
from covector.primitives.compare import gt, lt
from covector.primitives.elementwise import (
    binary,
    doc,
    slopes,
    slopes_of_result,
    unary,
)
from covector.primitives.exponential import exp
from covector.primitives.select import select

_SLOPE = 2.0 / math.sqrt(math.pi)


def _gauss(x: Any) -> Any:
    # Beyond 30 it is 0 in every dtype, and squares may overflow. Selected: NaN comes through.
    near = select(gt(abs(x), like(30.0, x)), like(30.0, x), x)
    return mul(like(_SLOPE, x), exp(neg(square(near))))


erf_p = unary(
    "erf",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, _gauss(x))),
    cost=24,
    values=[((0.0,), 0.0), ((inf,), 1.0)],
    doc=doc(
        r"Elementwise error function :math:`\frac{2}{\sqrt\pi}\int_0^x e^{-t^2} dt`.",
        """
        >>> lax.erf(0.5)
        Array(0.5204999, dtype=float32, weak_type=True)
        """,
    ),
)

erfc_p = unary(
    "erfc",
    FLOAT,
    derivative=slopes(lambda g, x: neg(mul(g, _gauss(x)))),
    cost=30,
    values=[((0.0,), 1.0), ((-inf,), 2.0)],
    doc=doc(
        r"""
        Elementwise complementary error function :math:`1 - \mathrm{erf}(x)`, exact for great
        ``x``.
        """,
        """
        >>> lax.erfc(4.0)
        Array(1.5417259e-08, dtype=float32, weak_type=True)
        """,
    ),
)

erf_inv_p = unary(
    "erf_inv",
    FLOAT,
    derivative=slopes_of_result(
        lambda g, out, x: mul(like(1.0 / _SLOPE, x), mul(g, exp(square(out))))
    ),
    cost=40,
    values=[((0.0,), 0.0), ((1.0,), inf), ((2.0,), nan)],
    doc=doc(
        "Elementwise inverse of the error function.",
        """
        >>> lax.erf_inv(0.5204999)
        Array(0.5, dtype=float32, weak_type=True)
        """,
        returns="Of the shape and dtype of ``x``; infinite at -1 and 1, NaN beyond.",
        references="""
        M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2011.
        """,
    ),
)

lgamma_p = unary(
    "lgamma",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, digamma(x))),
    cost=120,
    values=[((1.0,), 0.0), ((0.0,), inf), ((-1.0,), inf)],
    doc=doc(
        "Elementwise logarithm of the absolute value of the gamma function.",
        """
        >>> lax.lgamma(5.0)
        Array(3.1780539, dtype=float32, weak_type=True)
        """,
        returns="Of the shape and dtype of ``x``; infinite at 0 and at negative integers.",
    ),
)

digamma_p = unary(
    "digamma",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, polygamma(like(1, x), x))),
    cost=100,
    values=[((-1.0,), nan)],
    doc=doc(
        "Elementwise logarithmic derivative of the gamma function.",
        """
        >>> lax.digamma(1.0)
        Array(-0.5772157, dtype=float32, weak_type=True)
        """,
        returns="Of the shape and dtype of ``x``; NaN at negative integers.",
    ),
)

bessel_i0e_p = unary(
    "bessel_i0e",
    FLOAT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, sub(bessel_i1e(x), mul(sign(x), out)))),
    cost=100,
    values=[((0.0,), 1.0)],
    doc=doc(
        """
        Elementwise :math:`e^{-|x|} I_0(x)`, with the modified Bessel function of order 0.
        """,
        """
        >>> lax.bessel_i0e(2.0)
        Array(0.3085083, dtype=float32, weak_type=True)
        """,
    ),
)


def i1e_over_x(out: Any, x: Any) -> Any:
    """``bessel_i1e(x) / x``, near 0 by its power series: quotients of small numbers cancel."""
    near = lt(abs(x), like(2.0, x))
    small = select(near, x, like(0.0, x))
    t = mul(square(small), like(0.25, x))
    series = like(0.0, x)
    for k in reversed(range(14)):
        # I1(x) / x is the sum of (x²/4)**k / (2 k! (k + 1)!).
        c = 0.5 / (math.factorial(k) * math.factorial(k + 1))
        series = add(mul(t, series), like(c, x))
    quotient = div(out, select(near, like(1.0, x), x))
    return select(near, mul(exp(neg(mul(small, sign(small)))), series), quotient)


def _bessel_i1e_slope(g: Any, out: Any, x: Any) -> Any:
    return mul(g, sub(bessel_i0e(x), add(mul(out, sign(x)), i1e_over_x(out, x))))


bessel_i1e_p = unary(
    "bessel_i1e",
    FLOAT,
    derivative=slopes_of_result(_bessel_i1e_slope),
    cost=100,
    values=[((0.0,), 0.0)],
    doc=doc(
        """
        Elementwise :math:`e^{-|x|} I_1(x)`, with the modified Bessel function of order 1.
        """,
        """
        >>> lax.bessel_i1e(2.0)
        Array(0.2152693, dtype=float32, weak_type=True)
        """,
    ),
)


def no_derivative(function: str, arguments: str) -> Callable[..., Any]:
    """A derivative rule that refuses."""

    def rule(g: Any, *args: Any) -> Any:
        raise ValueError(
            f"lax.{function} has no derivative with respect to {arguments}; pass stop_gradient of "
            f"what is not to be differentiated{at_user_line()}"
        )

    return rule


def by_parameters(function: str, *orders: int) -> Callable[..., Any]:
    """The derivative rule of an operand, of which ``orders`` has a 1 in its place."""

    def rule(g: Any, *xs: Any) -> Any:
        # Few programs have such derivatives.
        from covector.primitives.parameters import PRIMITIVES

        return mul(g, PRIMITIVES[function].bind(*xs, orders=orders))

    return rule


zeta_p = binary(
    "zeta",
    FLOAT,
    ("x", "q"),
    derivative=slopes(
        by_parameters("zeta", 1, 0),
        lambda g, x, q: mul(g, mul(neg(x), zeta(add(x, like(1, x)), q))),
    ),
    cost=1000,
    domain=((2.5, 4.0), (0.2, 0.8)),
    values=[((2.0, 1.0), pi**2 / 6), ((1.0, 2.0), inf)],
    doc=doc(
        r"Elementwise Hurwitz zeta function :math:`\sum_{k \ge 0} (q + k)^{-x}`.",
        """
        >>> lax.zeta(2.0, 1.0)
        Array(1.644934, dtype=float32, weak_type=True)
        """,
        parameters="""
        x : array_like
            Exponents above 1, real floats.
        q : array_like
            Real floats of the same dtype and shape (or either of rank 0). Where negative, ``x``
            must be an integer for the sum to be real.
        """,
        returns="Infinite for ``x = 1``, NaN where there is no real sum.",
        references="DLMF, sections 25.11(iii) and 25.11.28 (Euler-Maclaurin).",
    ),
)

polygamma_p = binary(
    "polygamma",
    FLOAT,
    ("m", "x"),
    derivative=slopes(
        no_derivative("polygamma", "m"), lambda g, m, x: mul(g, polygamma(add(m, like(1, m)), x))
    ),
    cost=1000,
    domain=((2.0, 2.0), (0.2, 0.8)),
    values=[((1.0, 1.0), pi**2 / 6), ((0.5, 1.0), nan)],
    doc=doc(
        "Elementwise ``m``-th derivative of `digamma`.",
        """
        >>> lax.polygamma(1.0, 1.0)
        Array(1.644934, dtype=float32, weak_type=True)
        """,
        parameters="""
        m : array_like
            Orders: whole numbers from 0 on, held as floats.
        x : array_like
            Real floats of the same dtype and shape (or either of rank 0).
        """,
        returns="NaN where ``m`` is not a whole number.",
    ),
)


# --- constructors: what rules bind ---------------------------------------------------------

erf: Bind = erf_p.bind
lgamma: Bind = lgamma_p.bind
digamma: Bind = digamma_p.bind
polygamma: Bind = polygamma_p.bind
zeta: Bind = zeta_p.bind
bessel_i0e: Bind = bessel_i0e_p.bind
bessel_i1e: Bind = bessel_i1e_p.bind
