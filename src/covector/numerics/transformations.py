"""Transformations of random variables: logit, boxcox, boxcox1p.

Coefficients: Chebyshev interpolation in 40 digits.
"""

from __future__ import annotations

from covector.numerics.exponential import expm1, format_of, power_of_two, reduce_exp
from covector.numerics.logarithm import (
    INF,
    NAN,
    exponent,
    ln2,
    log,
    log1p,
    mantissa_exponent,
    normalise,
    special,
)
from covector.numerics.num import (
    Num,
    fast_two_sum,
    fma,
    maximum,
    minimum,
    muladd,
    poly,
    two_prod,
    two_sum,
    where,
)

# (2 atanh s - 2s) / s^3 in s^2 for |s| < 0.2004; errors 2^-30.9 and 2^-60.3 relative to 2s.
ATANH_F = (0.6666666865348816, 0.4000031650066376, 0.28532424569129944, 0.2375374734401703)
ATANH_D = (
    0.6666666666666666, 0.4000000000000803, 0.28571428567237483, 0.2222222305474816,
    0.18181737124755143, 0.1538888782211309, 0.13209314929104482, 0.13612048090203863,
)  # fmt: skip
# Powers are computed in units of 2^90, so that those fit whose quotient does.
UNIT = -90


def _atanh_rest(s: Num) -> Num:
    """2 atanh(s) - 2s."""
    z = s * s
    return s * z * poly(z, ATANH_D if s.double else ATANH_F)


def logit(p: Num) -> Num:
    """log(p / (1 - p)): e log 2 + 2 atanh((m - w) / (m + w)) for w = 1 - p and m = 2^-e p.

    e is that of the quotient to a tenth, from the bits of both. Where it is 0, m - w is exact.
    """
    width, up = (52, 54) if p.double else (23, 24)
    w = 1.0 - p
    rest = (1.0 - w) - p
    bits = (p * 2.0**up).bits()  # of a normal number
    i = bits - w.bits() + (1 << (width - 1))
    m = (bits - (i & -(1 << width))).as_float()
    e = exponent(i) - float(up)
    s = ((m - w) - rest) / (m + w)
    hi, lo = ln2(p)
    y = muladd(e, hi, (s + s) + muladd(e, lo, _atanh_rest(s)))
    inside = p * w
    y = where(inside.eq(0.0), (p - 0.5) * INF, y)
    return where(inside >= 0.0, y, NAN)


def _log_pair(f: Num, e: Num, c: float | Num = 0.0) -> tuple[Num, Num]:
    """e log 2 + log(1 + f + c) in two parts, for c beside the last place of f."""
    d = f + 2.0
    inverse = 1.0 / d
    s = f * inverse
    rest = fma(-s, d, f) - s * ((f - (d - 2.0)) + c) + c
    hi, lo = ln2(f)
    h, small = fast_two_sum(e * hi, s + s)
    return fast_two_sum(h, small + (_atanh_rest(s) + muladd(rest * inverse, 2.0, e * lo)))


def _power_of_log(h: Num, l: Num, power: Num) -> Num:
    """(e^u - 1) / power for u = power (h + l), and h + l at 0; h may be infinite."""
    u, ul = two_prod(h, power)
    ul = where(abs(u) < 150.0, muladd(l, power, ul), 0.0)
    n, r, rl = reduce_exp(maximum(-18.0, minimum(150.0, u)))
    w = r + (rl + ul)
    s = power_of_two(n, UNIT)
    y = muladd(s, w, s - 2.0**UNIT) + s * (w * w * poly(w, format_of(u).exp))
    y = where(u > 150.0, INF, y) / (power * 2.0**UNIT)
    return where((abs(u) < 2.0**-25) | power.eq(0.0), h + l, y)


def _power_of_log_d(log: Num, power: Num) -> Num:
    u = power * log
    return where((abs(u) < 2.0**-54) | power.eq(0.0), log, expm1(u) / power)


def boxcox(x: Num, power: Num) -> Num:
    """(x^power - 1) / power, log(x) at 0; in f32 of the logarithm in two parts."""
    if x.double:
        return _power_of_log_d(log(x), power)
    m, e = normalise(x)
    h, l = _log_pair(m - 1.0, e)
    return _power_of_log(special(x, h), l, power)


def boxcox1p(x: Num, power: Num) -> Num:
    """The same of 1 + x."""
    if x.double:
        return _power_of_log_d(log1p(x), power)
    u, c = two_sum(x.like(1.0), x)
    m, e = mantissa_exponent(u)
    near = e.eq(0.0)
    down = (m.bits() - u.bits() + 0x3F800000).as_float()
    c = where(near | (u > 2.0**100), 0.0, c * down)
    h, l = _log_pair(where(near, x, m - 1.0), e, c)
    return _power_of_log(special(u, h), l, power)
