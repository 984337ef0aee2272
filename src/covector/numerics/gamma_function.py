"""The gamma function, the beta function and its logarithm, the Pochhammer symbol; in double.

Coefficients: Chebyshev interpolation in 40 digits; what was left out is below 2^-57.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    fma,
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


def _power_of_quotient(a: Num, b: Num, n: Num) -> tuple[Num, Num]:
    """(a / b)^n for positive numbers, and the logarithm of what the rounded quotient loses."""
    q = a / b
    return pow_(q, n), n * (fma(-q, b, a) / a)


def _ratio_great(h: Num, low: Num, factor: Num) -> Num:
    """Gamma(h + low) / Gamma(h) times ``factor``, for h and h + low from START on.

    By powers: the logarithm of a great number has few digits of it.
    """
    total, lost = two_sum(h, low)
    power, rest = _power_of_quotient(total, h, h - 0.5)
    rest = exp(_stirling(total) - _stirling(h) + rest + (h + low - 0.5) * (lost / total))
    # Each of the halves is within range if their product is.
    half = pow_(total, 0.5 * low)
    half = where(half.eq(0.0) | half.eq(math.inf), half, half * exp(-0.5 * low))
    return power * half * factor * rest * half


def _ratio_near(h: Num, low: Num) -> Num:
    """Gamma(h + low) / Gamma(h) where neither overflows."""
    total, rest = two_sum(h, low)
    slope = muladd(rest, called("digamma", total), 1.0)
    return called("gamma", total) / called("gamma", h) * slope


def _six(x: Num) -> Num:
    """x (x + 1) … (x + 5)."""
    out = x
    for k in range(1, int(START)):
        out = out * (x + float(k))
    return out


def _ratio_mixed(h: Num, low: Num) -> Num:
    """Gamma(h + low) / Gamma(h) where one of the two is below START, and the other great."""
    total = h + low
    up, down = h < START, total < START
    one = h.like(1.0)
    factor = where(up, _six(where(up, h, one)), 1.0 / _six(where(down, total, one)))
    h, low = where(up, h + START, h), where(up, low - START, where(down, low + START, low))
    plain = up | down
    return _ratio_great(where(plain, h, START), where(plain, low, 0.0), factor)


def _ratio(h: Num, low: Num, active: Num) -> Num:
    """Gamma(h + low) / Gamma(h) for positive h and h + low where ``active``."""
    total = h + low
    few = (h < LARGEST - 1.0) & (total < LARGEST - 1.0)
    great = ~few & (h >= START) & (total >= START)
    near, far, mixed = active & few, active & great, active & ~few & ~great
    nan = [math.nan + 0.0 * total]

    def guarded(wanted: Num, compute: Callable[[Num, Num], Num]) -> Num:
        # Elsewhere numbers that all are in range for.
        given = [where(wanted, h, 8.0), where(wanted, low, 1.0)]
        return if_any(wanted, lambda h, low: [compute(h, low)], given, nan)[0]

    out = guarded(near, _ratio_near)
    out = where(far, guarded(far, lambda h, low: _ratio_great(h, low, h.like(1.0))), out)
    return where(mixed, guarded(mixed, _ratio_mixed), out)


def _log_beta_great(h: Num, low: Num) -> Num:
    """log B(h, low), for arguments from START on."""
    rest = _stirling(h) + _stirling(low) - _stirling(h + low)
    logs = log1p(low / h)
    scale = muladd(0.5, logs - log(low), HALF_LOG_2PI)
    return (scale + rest) - muladd(h, logs, low * log1p(h / low))


def _beta_great(h: Num, low: Num) -> Num:
    """B(h, low) for arguments from START on, by powers."""
    total, lost = two_sum(h, low)
    first, lost_h = _power_of_quotient(h, total, h)
    second, lost_low = _power_of_quotient(low, total, low)
    rest = _stirling(h) + _stirling(low) - _stirling(total) + (lost_h + lost_low - lost)
    return first * ((2.0 * math.pi / low * (total / h)).sqrt() * exp(rest)) * second


def _pole(x: Num) -> Num:
    """Whether Gamma is infinite there."""
    return (x <= 0.0) & x.eq(x.floor())


def _sine(x: Num, lost: Num) -> Num:
    """sin(pi (x + lost)) with its sign, for a small rest."""
    a = abs(x)
    sin, cos = sin_cos_pi(a)
    whole = a.floor()
    odd = (0.5 * whole).floor().ne(0.5 * whole)
    cos = where(a - whole > 0.5, -abs(cos), abs(cos))
    out = muladd(math.pi * where(x < 0.0, -lost, lost), cos, sin)
    return where(odd ^ (x < 0.0), -out, out)


def _as_it_is(h: Num, low: Num) -> Num:
    """Whether B(h, low) for low < 0 is Gamma(low) times a quotient of gamma functions."""
    return (low < 0.0) & (low > -12.0) & (h + low >= START)


def _positive_pair(a: Num, b: Num) -> list[Num]:
    """p, q, factor and sign with B(a, b) = factor B(p, q)^sign, where a or b is not positive.

    By the reflection of each gamma function; of two poles the limit along a whole one. Where p and
    p + q are great, q may be negative.
    """
    h, low = where(a < b, b, a), where(a < b, a, b)
    total, lost = two_sum(h, low)
    sine, of_low, of_h = _sine(total, lost), _sine(low, 0.0 * low), _sine(h, 0.0 * h)
    both = h <= 0.0
    left = total <= 0.0
    w = 1.0 - total
    # h > 0 >= total: Gamma(low) / Gamma(total) is one of positive arguments, mirrored.
    whole_h = h.eq(h.floor())
    odd = (0.5 * h).floor().ne(0.5 * h)
    turned = where(whole_h, where(odd, -1.0, h.like(1.0)), sine / of_low)
    p = where(both, 1.0 - h, where(left, h, 1.0 - low))
    q = where(both, 1.0 - low, where(left, w, total))
    factor = where(
        both, math.pi * sine / (of_low * of_h * w), where(left, turned, math.pi / (of_low * h))
    )
    sign = where(left & ~both, h.like(1.0), -1.0)
    zero = left & sine.eq(0.0) & ~_pole(low) & ~_pole(h)
    limit = _pole(low) & (h > 0.0) & whole_h & left
    infinite = (_pole(low) | _pole(h)) & ~limit
    direct = _as_it_is(h, low)
    p, q = where(direct, h, p), where(direct, low, q)
    factor, sign = where(direct, 1.0, factor), where(direct, 1.0, sign)
    return [p, q, where(zero, 0.0, where(infinite, math.inf, factor)), sign]


def _reduced(a: Num, b: Num) -> tuple[Num, Num, Num, Num, Num]:
    """The greater and the smaller argument of a beta function of positive ones, the factor and the
    power that make it that of a and b, and where it is that at all."""
    inside = (a > 0.0) & (b > 0.0)
    one = 1.0 + 0.0 * (a + b)
    given = [where(inside, -0.5, a), where(inside, 0.75, b)]
    p, q, factor, sign = if_any(~inside, _positive_pair, given, [one] * 4)
    p, q = where(inside, a, p), where(inside, b, q)
    factor, sign = where(inside, 1.0, factor), where(inside, 1.0, sign)
    valid = (p > 0.0) & (p < math.inf) & (q < math.inf) & ((q > 0.0) | _as_it_is(p, q))
    p, q = where(valid, p, 1.0), where(valid, q, 1.0)
    return where(p < q, q, p), where(p < q, p, q), factor, sign, valid


def _at_infinity(a: Num, b: Num) -> tuple[Num, Num]:
    """Where an argument is infinite, and the limit of the beta function: a power, or none."""
    other = where(a.eq(math.inf), b, a)
    up = a.eq(math.inf) | b.eq(math.inf)
    limit = where(other > 0.0, 0.0, where(_pole(other), math.inf, math.inf * _sign(other)))
    limit = where(up & (other > -math.inf), limit, math.inf)
    return up | a.eq(-math.inf) | b.eq(-math.inf), limit


def _betaln_near(h: Num, low: Num, small: Num) -> list[Num]:
    return [called("lgamma", h) + small - called("lgamma", h + low)]


def _betaln_between(h: Num, low: Num, small: Num) -> list[Num]:
    return [small - _log_ratio(maximum(START, h), low)]


def _betaln_far(h: Num, low: Num) -> list[Num]:
    return [_log_beta_great(maximum(START, h), maximum(START, low))]


def _betaln(a: Num, b: Num) -> Num:
    h, low, factor, sign, _ = _reduced(a, b)
    near, great, mixed = h < START, low >= START, (h >= START) & (low < START)
    nan = [math.nan + 0.0 * h]
    (small,) = if_any(~great, lambda low: [called("lgamma", low)], [low], nan)
    out = if_any(near, _betaln_near, [h, low, small], nan)[0]
    out = where(mixed, if_any(mixed, _betaln_between, [h, low, small], nan)[0], out)
    out = where(great, if_any(great, _betaln_far, [h, low], nan)[0], out)
    moved = factor.ne(1.0)
    logs = if_any(moved, lambda f: [log(abs(f))], [factor], [0.0 * h])[0]
    out = where(moved, logs + sign * out, out)
    infinite, limit = _at_infinity(a, b)
    out = where(infinite, where(limit.eq(0.0), -math.inf, h.like(math.inf)), out)
    return where(a.isnan() | b.isnan(), math.nan, out)


def _beta(a: Num, b: Num) -> Num:
    h, low, factor, sign, valid = _reduced(a, b)
    few = h + low < LARGEST - 1.0
    great = ~few & (low >= START)
    nan = [math.nan + 0.0 * h]
    other = valid & ~great
    h1, low1 = where(other, h, 1.0), where(other, low, 1.0)
    (small,) = if_any(other, lambda low: [called("gamma", low)], [low1], nan)
    out = small / _ratio(h1, low1, other)
    given = [maximum(START, where(great, h, START)), maximum(START, where(great, low, START))]
    out = where(great, if_any(great, lambda h, low: [_beta_great(h, low)], given, nan)[0], out)
    out = where(sign < 0.0, factor / out, factor * out)
    out = where(factor.eq(0.0), 0.0, where(factor.eq(math.inf), math.inf, out))
    infinite, limit = _at_infinity(a, b)
    out = where(infinite, limit, out)
    return where(a.isnan() | b.isnan(), math.nan, out)


def _poch(z: Num, m: Num) -> Num:
    total, lost = two_sum(z, m)
    inside = (z > 0.0) & (total > 0.0)
    # Both negative: 1 - total and 1 - z are positive, and mirrored.
    both = (z <= 0.0) & (total <= 0.0)
    finite = (abs(z) < math.inf) & (abs(total) < math.inf)
    h, low = where(both, 1.0 - z, z), where(both, -m, m)
    active = (inside | both) & finite
    ratio = _ratio(where(active, h, 8.0), where(active, low, 1.0), active)
    outside = ~inside
    given = [where(outside & finite, x, o) for x, o in ((z, -0.5), (m, 0.25), (ratio, 1.0))]
    turned = if_any(outside, _poch_outside, given, [ratio])[0]
    out = where(inside, ratio, turned)
    out = where(inside & total.eq(math.inf), where(m > 0.0, m.like(math.inf), 0.0), out)
    out = where(~finite & ~inside, if_any(~finite, _poch_infinite, [z, m], [out])[0], out)
    out = where(m.eq(0.0), 1.0, out)
    return where(m.isnan() | z.isnan(), math.nan, out)


def _poch_infinite(z: Num, m: Num) -> list[Num]:
    """Along an infinite argument, as far as there is a limit."""
    whole = m.eq(m.floor()) & (abs(m) < math.inf)
    odd = (0.5 * m).floor().ne(0.5 * m)
    size = where(m > 0.0, m.like(math.inf), 0.0)
    out = where(z.eq(-math.inf) & whole, where(odd, -size, size), math.nan)
    out = where(m.eq(math.inf) & (z > -math.inf), math.inf * _sign(z), out)
    return [where(_pole(z) & (z > -math.inf), 0.0, out)]


def _poch_outside(z: Num, m: Num, ratio: Num) -> list[Num]:
    """Where z or z + m is not positive; ``ratio`` is Gamma(1 - total) / Gamma(1 - z)."""
    total, lost = two_sum(z, m)
    pole = _pole(z)
    other_pole = (total <= 0.0) & total.eq(total.floor()) & lost.eq(lost.floor())
    of_z, of_total = _sine(z, 0.0 * z), _sine(total, lost)
    odd = (0.5 * m).floor().ne(0.5 * m)
    turn = where(m.eq(m.floor()), where(odd, -1.0, m.like(1.0)), of_z / of_total)
    both = turn / ratio
    # One negative, of which the gamma function is mirrored: with twice its argument halved, as it
    # may be out of range before the product is.
    left = total > 0.0
    below = where(left, z, total)
    u, rest = two_sum(1.0 - 0.0 * z, -below)
    rest = where(left, rest, rest - lost)
    far = u > LARGEST - 1.0
    v = where(far, 0.5 * u, u)
    first = called("gamma", v) * muladd(rest, called("digamma", u), 1.0)
    power = pow_(u.like(2.0) + 0.0 * u, where(far, 0.5 * (u - 1.0), 0.0))
    more = where(far, called("gamma", v + 0.5) * power * (1.0 / math.sqrt(math.pi)), 1.0)
    first = first * power
    end = where(left, total, 1.0)
    up = muladd(lost, called("digamma", end), 1.0) * of_z * (1.0 / math.pi)
    up = up * called("gamma", end) * first * more
    down = math.pi / (of_total * called("gamma", where(left, 1.0, z)) * first) / more
    out = where((z <= 0.0) & (total <= 0.0), both, where(left, up, down))
    return [where(pole & other_pole, both, where(pole, 0.0, where(other_pole, math.inf, out)))]


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
