"""The gamma function, the beta function and its logarithm, the Pochhammer symbol; in double.

Coefficients: Chebyshev interpolation in 40 digits; what was left out is below 2^-57.
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp
from covector.numerics.gamma import (
    START,
    STIRLING,
    sin_cos_pi,
)
from covector.numerics.iteration import if_any
from covector.numerics.logarithm import log, log1p
from covector.numerics.num import (
    Num,
    in_double,
    maximum,
    minimum,
    muladd,
    poly,
    two_sum,
    unit,
    where,
)
from covector.numerics.power import pow_

# 1 / Gamma(2 + t) on [-0.5, 0.5].
RECIPROCAL = (
    1.0, -0.21139216754923357, -0.05827343410544676, 0.02388638767346145, -0.0015345306253359227,
    -0.0005514138921921268, 0.0001253636409602967, -6.283826371173304e-06, -1.4095226701055228e-06,
    2.843674626623961e-07, -1.7134734624821793e-08, -1.2641530737020152e-09, 3.269079537538267e-10,
    -2.5087352416802466e-11, -8.702528660199734e-14, 1.9442471760839212e-13,
)  # fmt: skip
# Gamma is infinite in double beyond this.
LARGEST = 171.7
HALF_LOG_2PI = 0.9189385332046728


def _stirling(z: Num) -> Num:
    inverse = 1.0 / z
    return inverse * poly(inverse * inverse, STIRLING)


def _gamma(x: Num) -> Num:
    a = abs(x)
    small, below = a < 0.5, a < 1.5
    # Move to [1.5, 2.5]: up by two steps (from x itself) or one, or down by at most four.
    y = where(below, 2.0, minimum(START, a))
    t = where(small, x, where(below, a - 1.0, y - 2.0))
    product = x.like(1.0)
    for _ in range(4):
        down = y >= 2.5
        y = where(down, y - 1.0, y)
        t = where(down, t - 1.0, t)
        product = product * where(down, y, 1.0)
    steps = where(small, x * (x + 1.0), where(below, a, 1.0))
    reciprocal = poly(unit(t, -0.5, 0.5), RECIPROCAL) * steps
    big, negative = a >= START, (x < 0.0) & ~small
    one = 1.0 + 0.0 * t

    def stirling(a: Num) -> list[Num]:
        # The power in two factors that do not overflow.
        z = maximum(START, minimum(200.0, a))
        w = pow_(z, muladd(z, 0.5, -0.25))
        return [w, exp(-z), exp(_stirling(z)) * math.sqrt(2.0 * math.pi)]

    w, e, s = if_any(big, stirling, [a], [one, one, one])
    out = where(big, w * e * w * s, product / reciprocal)

    def reflected(x: Num, w: Num, e: Num, s: Num, product: Num, reciprocal: Num) -> list[Num]:
        # pi / (|x| |sin(pi x)| Gamma(|x|)).
        a = abs(x)
        sin, _ = sin_cos_pi(a)
        top = math.pi * _sign(x) / (a * sin)
        mirror = where(a >= START, top / (w * e) / w / s, top / product * reciprocal)
        return [where(sin.eq(0.0) | (a >= 2.0**52), math.nan, mirror)]

    out = where(
        negative, if_any(negative, reflected, [x, w, e, s, product, reciprocal], [out])[0], out
    )
    # Near 0 the quotient overflows by itself, with the sign of x.
    return where(x.eq(0.0), 1.0 / x, where(x.eq(math.inf), math.inf, out))


def called(name: str, x: Num) -> Num:
    """A function of doubles as a call: several uses in place would take long to compile."""
    return Num(x.b, x.b.call(name, x.v))


def _log_ratio(h: Num, low: Num) -> Num:
    """log of Gamma(h + low) / Gamma(h) for h and h + low from START on."""
    rest = _stirling(h + low) - _stirling(h)
    return muladd(h + low - 0.5, log1p(low / h), low * (log(h) - 1.0)) + rest


def _quotient(h: Num, low: Num) -> Num:
    """Gamma(h) / Gamma(h + low) where neither overflows."""
    total, rest = two_sum(h, low)
    slope = muladd(-rest, called("digamma", total), 1.0)
    return called("gamma", h) / called("gamma", total) * slope


def _log_beta_great(h: Num, low: Num) -> Num:
    """log B(h, low), for arguments from START on."""
    rest = _stirling(h) + _stirling(low) - _stirling(h + low)
    logs = log1p(low / h)
    scale = muladd(0.5, logs - log(low), HALF_LOG_2PI)
    return (scale + rest) - muladd(h, logs, low * log1p(h / low))


def _ordered(a: Num, b: Num) -> tuple[Num, Num, Num]:
    """The larger and the smaller one as far as they are positive, and whether both are."""
    inside = (a > 0.0) & (b > 0.0) & (a < math.inf) & (b < math.inf)
    p, q = where(inside, a, 1.0), where(inside, b, 1.0)
    return where(p < q, q, p), where(p < q, p, q), inside


def _log_of_beta(a: Num, b: Num) -> Num:
    """log |B(a, b)| without any care."""
    return called("lgamma", a) + called("lgamma", b) - called("lgamma", a + b)


def _betaln_near(h: Num, low: Num, small: Num) -> list[Num]:
    return [called("lgamma", h) + small - called("lgamma", h + low)]


def _betaln_between(h: Num, low: Num, small: Num) -> list[Num]:
    return [small - _log_ratio(maximum(START, h), low)]


def _betaln_far(h: Num, low: Num) -> list[Num]:
    return [_log_beta_great(maximum(START, h), maximum(START, low))]


def _betaln_outside(a: Num, b: Num) -> list[Num]:
    # At infinity the beta function vanishes like a power.
    at_infinity = (a.eq(math.inf) & (b > 0.0)) | (b.eq(math.inf) & (a > 0.0))
    return [where(at_infinity, -math.inf, _log_of_beta(a, b))]


def _betaln(a: Num, b: Num) -> Num:
    h, low, inside = _ordered(a, b)
    near, great, mixed = h < START, low >= START, (h >= START) & (low < START)
    nan = [math.nan + 0.0 * h]
    (small,) = if_any(~great, lambda low: [called("lgamma", low)], [low], nan)
    out = if_any(near, _betaln_near, [h, low, small], nan)[0]
    out = where(mixed, if_any(mixed, _betaln_between, [h, low, small], nan)[0], out)
    out = where(great, if_any(great, _betaln_far, [h, low], nan)[0], out)
    return where(inside, out, if_any(~inside, _betaln_outside, [a, b], nan)[0])


def _beta_near(h: Num, low: Num) -> list[Num]:
    few = h + low < LARGEST - 1.0
    return [_quotient(where(few, h, 1.0), where(few, low, 1.0)) * called("gamma", low)]


def _beta_between(h: Num, low: Num) -> list[Num]:
    factor = exp(-_log_ratio(maximum(START, h), low))
    return [factor * called("gamma", minimum(START, low))]


def _beta_far(h: Num, low: Num) -> list[Num]:
    return [exp(_log_beta_great(maximum(START, h), maximum(START, low)))]


def _beta(a: Num, b: Num) -> Num:
    h, low, inside = _ordered(a, b)
    few = h + low < LARGEST - 1.0
    great, mixed = ~few & (low >= START), ~few & (low < START)
    nan = [math.nan + 0.0 * h]
    out = if_any(few, _beta_near, [h, low], nan)[0]
    out = where(mixed, if_any(mixed, _beta_between, [h, low], nan)[0], out)
    out = where(great, if_any(great, _beta_far, [h, low], nan)[0], out)
    return where(inside, out, if_any(~inside, _beta_outside, [a, b], nan)[0])


def _beta_outside(a: Num, b: Num) -> list[Num]:
    """The beta function where an argument is not positive, or infinite."""
    other = called("gamma", a) / called("gamma", a + b) * called("gamma", b)
    # A pole of the denominator alone makes it 0.
    total = a + b
    vanishes = (total <= 0.0) & total.eq(total.floor())
    pole = ((a <= 0.0) & a.eq(a.floor())) | ((b <= 0.0) & b.eq(b.floor()))
    other = where(vanishes & ~pole, 0.0, where(pole, math.inf, other))
    other = where((a.eq(math.inf) & (b > 0.0)) | (b.eq(math.inf) & (a > 0.0)), 0.0, other)
    return [where(a.isnan() | b.isnan(), math.nan, other)]


def _poch_near(z: Num, m: Num) -> list[Num]:
    return [1.0 / _quotient(z, m)]


def _poch_far(z: Num, m: Num) -> list[Num]:
    total = z + m
    plain = (z >= START) & (total >= START)
    great = exp(_log_ratio(where(plain, z, START), where(plain, m, 0.0)))
    # One of them is small: logarithms of both.
    return [where(plain, great, exp(called("lgamma", total) - called("lgamma", z)))]


def _poch(z: Num, m: Num) -> Num:
    total = z + m
    inside = (z > 0.0) & (total > 0.0)
    few = inside & (z < LARGEST - 1.0) & (total < LARGEST - 1.0)
    nan = [math.nan + 0.0 * total]
    out = where(
        few,
        if_any(few, _poch_near, [z, m], nan)[0],
        if_any(inside & ~few, _poch_far, [z, m], nan)[0],
    )
    out = where(inside, out, if_any(~inside, _poch_outside, [z, m], nan)[0])
    return where(m.eq(0.0) & (abs(z) < math.inf), 1.0, where(m.isnan() | z.isnan(), math.nan, out))


def _poch_outside(z: Num, m: Num) -> list[Num]:
    """Where z or z + m is not positive."""
    total = z + m
    # Signs and poles of the others. Of two poles the limit along whole m: DLMF 5.2.6.
    pole = (z <= 0.0) & z.eq(z.floor())
    other_pole = (total <= 0.0) & total.eq(total.floor())
    up, down = 1.0 - total, 1.0 - z
    mirrored = exp(called("lgamma", down) - called("lgamma", up))
    near = (down < LARGEST) & (up < LARGEST) & (up > 0.0)
    mirrored = where(near, called("gamma", down) / called("gamma", where(near, up, 1.0)), mirrored)
    odd = (0.5 * m).floor().ne(0.5 * m)
    both = where(odd, -mirrored, mirrored)
    size = (abs(z) < LARGEST - 1.0) & (abs(total) < LARGEST - 1.0)
    general = where(size, 1.0 / _quotient(z, m), exp(called("lgamma", total) - called("lgamma", z)))
    negative = _sign(total) * _sign(z)
    general = where(size, general, negative * general)
    return [where(pole, where(other_pole, both, 0.0), where(other_pole, math.inf, general))]


def _sign(x: Num) -> Num:
    """The sign of Gamma."""
    whole = x.floor()
    odd = (0.5 * whole).floor().ne(0.5 * whole)
    return where((x < 0.0) & odd, -1.0, x.like(1.0))


def gamma(x: Num) -> Num:
    """The gamma function."""
    return in_double(_gamma, x)


def beta(a: Num, b: Num) -> Num:
    """Gamma(a) Gamma(b) / Gamma(a + b)."""
    return in_double(_beta, a, b)


def betaln(a: Num, b: Num) -> Num:
    """The logarithm of the size of the beta function."""
    return in_double(_betaln, a, b)


def poch(z: Num, m: Num) -> Num:
    """Gamma(z + m) / Gamma(z)."""
    return in_double(_poch, z, m)
