"""The regularised incomplete beta function, computed in double.

The continued fraction DLMF 8.17.22 by Lentz's method, for x below (a + 1) / (a + b + 2); above it
I_x(a, b) = 1 - I_1-x(b, a).
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp
from covector.numerics.gamma import START, lgamma
from covector.numerics.incomplete_gamma import EPS, log1p_minus, stirling
from covector.numerics.iteration import iterate
from covector.numerics.logarithm import log, log1p
from covector.numerics.num import Num, fma, in_double, maximum, muladd, where

# The fraction takes about the square root of max(a, b) rounds.
MOST_ROUNDS = 20_000
TINY = 1e-300


def off_zero(x: Num) -> Num:
    """``x``, or next to zero what may be divided by."""
    return where(abs(x) < TINY, TINY, x)


def factor(a: Num, b: Num, x: Num, y: Num) -> Num:
    """x^a y^b / B(a, b), for y = 1 - x."""
    swap = a < b
    high, low = where(swap, b, a), where(swap, a, b)
    # log Gamma(high + low) / Gamma(high), by Stirling's formula without the parts that cancel.
    h = maximum(START, high)
    ratio = muladd(h + low - 0.5, log1p(low / h), low * (log(h) - 1.0)) + stirling(h + low)
    ratio = where(high >= START, ratio - stirling(h), lgamma(a + b) - lgamma(high))
    small = exp(a * log(x) + b * log(y) + (ratio - lgamma(low)))
    # Both great: around the maximum at x = a / (a + b), with nothing that cancels.
    p, q = maximum(START, a), maximum(START, b)
    t = fma(x, q, -(y * p))
    u, v = t / p, -t / q
    (up, near_p), (vp, near_q) = log1p_minus(u), log1p_minus(v)
    up = where(near_p, up, log(x * (p + q) / p) - u)
    vp = where(near_q, vp, log(y * (p + q) / q) - v)
    rest = stirling(p + q) - stirling(p) - stirling(q)
    great = (p / (2.0 * math.pi) * (q / (p + q))).sqrt() * exp(p * up + q * vp + rest)
    return where((a >= START) & (b >= START), great, small)


def _fraction(a: Num, b: Num, x: Num) -> Num:
    """The continued fraction after the factor x^a (1 - x)^b / (a B(a, b))."""
    total = a + b
    one = x.like(1.0) + 0.0 * x
    first = 1.0 / off_zero(1.0 - total * x / (a + 1.0))

    def step(k: Num, c: Num, d: Num, h: Num) -> tuple[list[Num], Num]:
        twice = a + (k + k)
        even = k * (b - k) * x / ((twice - 1.0) * twice)
        d = 1.0 / off_zero(muladd(even, d, 1.0))
        c = off_zero(1.0 + even / c)
        h = h * d * c
        odd = -(a + k) * (total + k) * x / (twice * (twice + 1.0))
        d = 1.0 / off_zero(muladd(odd, d, 1.0))
        c = off_zero(1.0 + odd / c)
        ratio = d * c
        return [c, d, h * ratio], abs(ratio - 1.0) > 2.0 * EPS

    return iterate([one, first, first], one.eq(1.0), step, MOST_ROUNDS)[2]


def _betainc(a: Num, b: Num, x: Num) -> Num:
    within = (x > 0.0) & (x < 1.0)
    inside = within & (a > 0.0) & (b > 0.0) & (a < math.inf) & (b < math.inf)
    p, q, t = where(inside, a, 1.0), where(inside, b, 1.0), where(inside, x, 0.5)
    swap = t > (p + 1.0) / (p + q + 2.0)
    p, q = where(swap, q, p), where(swap, p, q)
    u, v = where(swap, 1.0 - t, t), where(swap, t, 1.0 - t)
    part = factor(p, q, u, v) / p * _fraction(p, q, u)
    out = where(swap, 1.0 - part, part)
    # All of the mass is at 0 if a = 0 or b is infinite, at 1 if b = 0 or a is infinite.
    low, high = a.eq(0.0) | b.eq(math.inf), b.eq(0.0) | a.eq(math.inf)
    out = where(low, 1.0, where(high, 0.0, where(inside, out, math.nan)))
    out = where(x.eq(0.0), 0.0, where(x.eq(1.0), 1.0, out))
    valid = (a >= 0.0) & (b >= 0.0) & (x >= 0.0) & (x <= 1.0) & ~(low & high)
    return where(valid, out, math.nan)


def betainc(a: Num, b: Num, x: Num) -> Num:
    """I_x(a, b)."""
    return in_double(_betainc, a, b, x)
