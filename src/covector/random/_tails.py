"""The tail of the normal distribution: quantiles where the error function has saturated."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core.avals import aval_of
from covector.core.operands import scalar

# Levels of the continued fraction, and Newton steps: enough for double beyond 7 standard
# deviations, and for single beyond 4.
_LEVELS = 24
_STEPS = 3


def _mills(x: Any) -> Any:
    """(1 - Phi(x)) / phi(x), for x above 2, by Laplace's continued fraction (DLMF 7.9.3)."""
    dt = aval_of(x).dtype
    below = x
    for k in range(_LEVELS, 0, -1):
        below = lax.add(x, lax.div(scalar(float(k), dt), below))
    return lax.div(scalar(1.0, dt), below)


def _log_ratio(a: Any, x: Any, mills_a: Any, mills_x: Any) -> Any:
    """log of (1 - Phi(x)) / (1 - Phi(a)), for x >= a."""
    dt = aval_of(x).dtype
    half = scalar(0.5, dt)
    area = lax.mul(lax.sub(x, a), lax.add(lax.mul(x, half), lax.mul(a, half)))
    return lax.sub(lax.log(lax.div(mills_x, mills_a)), area)


def tail_quantile(u: Any, a: Any, b: Any) -> Any:
    """The normal number of rank ``u``, in [0, 1), of those between ``a`` and ``b``, 2 < a <= b.

    Newton's iteration for the logarithm of the upper tail; at the start the tail is taken for that
    of Rayleigh's distribution.
    """
    dt = aval_of(u).dtype
    one, two = scalar(1.0, dt), scalar(2.0, dt)
    infinite = lax.eq(b, scalar(float("inf"), dt))
    end = lax.select(infinite, a, b)
    mills_a = _mills(a)
    beyond = lax.exp(_log_ratio(a, end, mills_a, _mills(end)))
    beyond = lax.select(infinite, lax.full_like(beyond, 0), beyond)
    rank = lax.log1p(lax.neg(lax.mul(u, lax.sub(one, beyond))))
    root = lax.sqrt(lax.sub(lax.square(a), lax.mul(two, rank)))
    x = lax.add(a, lax.div(lax.mul(lax.neg(two), rank), lax.add(a, root)))
    for _ in range(_STEPS):
        mills = _mills(x)
        excess = lax.sub(_log_ratio(a, x, mills_a, mills), rank)
        x = lax.max(a, lax.add(x, lax.mul(excess, mills)))
    return lax.min(x, b)
