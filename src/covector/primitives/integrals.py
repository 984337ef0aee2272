"""Exponential, sine, cosine and Fresnel integrals, and the dilogarithm."""

from __future__ import annotations

import math
from math import inf, nan, pi
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.operands import like
from covector.core.trace import Bind
from covector.primitives.arithmetic import abs as abs_
from covector.primitives.arithmetic import add, div, floor, min, mul, neg, rem_p, square, sub
from covector.primitives.common import FLOAT
from covector.primitives.compare import lt
from covector.primitives.elementwise import binary, slopes, unary
from covector.primitives.exponential import cos, exp, log, sin
from covector.primitives.select import select
from covector.primitives.special import by_parameters


def _expi_slope(g: Any, x: Any) -> Any:
    # In two factors, as the power overflows before the quotient; infinity is not divided by itself.
    root = exp(mul(like(0.5, x), x))
    finite = min(x, like(float(dtypes.finfo(aval_of(x).dtype).max), x))
    return mul(g, mul(root, div(root, finite)))


expi_p = unary(
    "expi",
    FLOAT,
    derivative=slopes(_expi_slope),
    cost=200,
    values=[((0.0,), -inf), ((inf,), inf), ((-inf,), -0.0)],
)

exp1_p = unary(
    "exp1",
    FLOAT,
    derivative=slopes(lambda g, x: neg(mul(g, div(exp(neg(x)), x)))),
    cost=100,
    values=[((0.0,), inf), ((inf,), 0.0), ((-1.0,), nan)],
)

expn_p = binary(
    "expn",
    FLOAT,
    ("n", "x"),
    derivative=slopes(
        by_parameters("expn", 1, 0), lambda g, n, x: neg(mul(g, expn(sub(n, like(1, n)), x)))
    ),
    cost=1000,
    domain=((2.0, 2.0), (0.2, 0.8)),
    values=[((2.0, 0.0), 1.0), ((1.0, 0.0), inf), ((3.0, inf), 0.0), ((1.5, 1.0), nan)],
)


def sin_over(x: Any) -> Any:
    """sin(x) / x, near 0 by its power series."""
    near = lt(abs_(x), like(2.0, x))
    s = square(select(near, x, like(0.0, x)))
    series = like(0.0, x)
    for k in reversed(range(16)):
        series = add(mul(s, series), like((-1.0) ** k / math.factorial(2 * k + 1), x))
    far = select(near, like(2.0, x), x)
    return select(near, series, div(sin(far), far))


sin_integral_p = unary(
    "sin_integral",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, sin_over(x))),
    cost=200,
    values=[((0.0,), 0.0), ((inf,), pi / 2)],
)

cos_integral_p = unary(
    "cos_integral",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, div(cos(x), x))),
    cost=200,
    values=[((0.0,), -inf), ((inf,), 0.0), ((-1.0,), nan)],
)


def _quarter_turns(x: Any) -> Any:
    """pi x^2 / 2 without whole turns, for which x^2 itself has too few digits."""
    n = mul(like(2.0, x), floor(add(mul(like(0.5, x), x), like(0.5, x))))
    f = sub(x, n)
    # The square of n is a multiple of 4.
    mixed = rem_p.bind(mul(n, mul(like(2.0, x), f)), like(4.0, x))
    return mul(like(0.5 * pi, x), add(mixed, square(f)))


fresnel_sin_p = unary(
    "fresnel_sin",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, sin(_quarter_turns(x)))),
    cost=200,
    values=[((0.0,), 0.0), ((inf,), 0.5)],
)

fresnel_cos_p = unary(
    "fresnel_cos",
    FLOAT,
    derivative=slopes(lambda g, x: mul(g, cos(_quarter_turns(x)))),
    cost=200,
    values=[((0.0,), 0.0), ((inf,), 0.5)],
)


def _log_over(x: Any) -> Any:
    """log(x) / (x - 1), near 1 by the series of atanh((x - 1) / (x + 1))."""
    one = like(1.0, x)
    d, up = sub(x, one), add(x, one)
    near = lt(abs_(d), like(0.4, x))
    s = square(div(select(near, d, like(0.0, x)), up))
    series = like(0.0, x)
    for k in reversed(range(22)):
        series = add(mul(s, series), like(2.0 / (2 * k + 1), x))
    # Infinity is not divided by itself.
    far = min(select(near, like(2.0, x), x), like(float(dtypes.finfo(aval_of(x).dtype).max), x))
    quotient = div(log(far), select(near, one, d))
    return select(near, div(series, up), quotient)


spence_p = unary(
    "spence",
    FLOAT,
    derivative=slopes(lambda g, x: neg(mul(g, _log_over(x)))),
    cost=100,
    values=[((1.0,), 0.0), ((0.0,), pi**2 / 6), ((-1.0,), nan)],
)


# --- constructors: what rules and functions bind ---------------------------------------------

expi: Bind = expi_p.bind
exp1: Bind = exp1_p.bind
expn: Bind = expn_p.bind
sin_integral: Bind = sin_integral_p.bind
cos_integral: Bind = cos_integral_p.bind
fresnel_sin: Bind = fresnel_sin_p.bind
fresnel_cos: Bind = fresnel_cos_p.bind
spence: Bind = spence_p.bind
