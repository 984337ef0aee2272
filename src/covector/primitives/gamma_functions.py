"""The gamma and beta functions themselves, Pochhammer's symbol, Riemann's zeta function."""

from __future__ import annotations

from math import inf, nan, pi
from typing import Any

from covector.core.trace import Bind
from covector.primitives.arithmetic import add, mul, sub
from covector.primitives.common import FLOAT
from covector.primitives.elementwise import binary, slopes, slopes_of_result, unary
from covector.primitives.special import by_parameters, digamma

gamma_p = unary(
    "gamma",
    FLOAT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, mul(out, digamma(x)))),
    cost=120,
    values=[((1.0,), 1.0), ((5.0,), 24.0), ((0.0,), inf), ((-1.0,), nan), ((-inf,), nan)],
)


def _log_slope(a: Any, b: Any) -> Any:
    """The derivative of log B(a, b) with respect to ``a``."""
    return sub(digamma(a), digamma(add(a, b)))


betaln_p = binary(
    "betaln",
    FLOAT,
    ("a", "b"),
    derivative=slopes(
        lambda g, a, b: mul(g, _log_slope(a, b)), lambda g, a, b: mul(g, _log_slope(b, a))
    ),
    cost=500,
    values=[((1.0, 1.0), 0.0), ((0.0, 1.0), inf), ((inf, 1.0), -inf)],
)

beta_p = binary(
    "beta",
    FLOAT,
    ("a", "b"),
    derivative=slopes_of_result(
        lambda g, out, a, b: mul(g, mul(out, _log_slope(a, b))),
        lambda g, out, a, b: mul(g, mul(out, _log_slope(b, a))),
    ),
    cost=700,
    values=[((1.0, 1.0), 1.0), ((2.0, 3.0), 1 / 12), ((0.0, 1.0), inf), ((inf, 1.0), 0.0)],
)

poch_p = binary(
    "poch",
    FLOAT,
    ("z", "m"),
    derivative=slopes_of_result(
        lambda g, out, z, m: mul(g, mul(out, sub(digamma(add(z, m)), digamma(z)))),
        lambda g, out, z, m: mul(g, mul(out, digamma(add(z, m)))),
    ),
    cost=700,
    values=[((1.0, 3.0), 6.0), ((3.0, 0.0), 1.0), ((-3.0, 2.0), 6.0), ((2.0, -2.0), inf)],
)

riemann_zeta_p = unary(
    "riemann_zeta",
    FLOAT,
    derivative=slopes(by_parameters("riemann_zeta", 1)),
    cost=1500,
    values=[((2.0,), pi**2 / 6), ((0.0,), -0.5), ((1.0,), inf), ((inf,), 1.0), ((-2.0,), 0.0)],
)


# --- constructors: what rules and functions bind ---------------------------------------------

gamma: Bind = gamma_p.bind
beta: Bind = beta_p.bind
betaln: Bind = betaln_p.bind
poch: Bind = poch_p.bind
riemann_zeta: Bind = riemann_zeta_p.bind
