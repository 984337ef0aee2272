"""asin, acos, atan, atan2.

Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

import math

from covector.numerics.num import Num, fast_two_sum, fma, muladd, native, poly, where

# (asin x - x) / x^3 in x^2 on [0, 1/2]; relative errors of asin 2^-27.6 and 2^-55.9.
ASIN_F = (
    0.16666752099990845, 0.07495306432247162, 0.04546976834535599, 0.024180812761187553,
    0.0421663373708725,
)  # fmt: skip
ASIN_D = (
    0.16666666666665403, 0.07500000000338586, 0.04464285682694227, 0.0303819591972303,
    0.022371756540726113, 0.017359728394716577, 0.013884994388350542, 0.012170840045610332,
    0.0065207528622099765, 0.019548481838385284, -0.016256630202044306, 0.03193487784424731,
)  # fmt: skip
# (atan x - x) / x^3 in x^2 up to tan(pi/8); relative errors of atan 2^-30.4 and 2^-59.3.
ATAN_F = (
    -0.33333316445350647, 0.19998525083065033, -0.1424429714679718, 0.10598266124725342,
    -0.06087339669466019,
)  # fmt: skip
ATAN_D = (
    -0.3333333333333319, 0.19999999999952184, -0.1428571428005415, 0.11111110776305223,
    -0.09090897551702103, 0.07692056558056375, -0.06663062661118965, 0.058475895921494284,
    -0.05037959535815138, 0.038030460087292335, -0.01786986836353019,
)  # fmt: skip
# pi/4 in two parts.
PI_4_F = (0.7853981852531433, -2.1855694143368964e-08)
PI_4_D = (0.7853981633974483, 3.061616997868383e-17)
INF = math.inf


def _half_pi(x: Num) -> tuple[float, float]:
    hi, lo = PI_4_D if x.double else PI_4_F
    return 2.0 * hi, 2.0 * lo


def _asin_parts(a: Num) -> tuple[Num, Num, Num]:
    """(big, s, r) with asin a = s + r, or pi/2 - 2 (s + r) where big (a > 1/2)."""
    big = a > 0.5
    z = where(big, muladd(a, -0.5, 0.5), a * a)
    root = z.sqrt()
    s = where(big, root, a)
    # The rounding error of the root; the line is close to 1/(2s) where it matters, s near 1/2.
    rest = where(big, fma(-s, s, z) * muladd(z, -3.3, 1.82), 0.0)
    return big, s, muladd(s * z, poly(z, ASIN_D if a.double else ASIN_F), rest)


@native
def asin(x: Num) -> Num:
    """s + s^3 P(s^2) with s = |x|, or pi/2 - 2 asin(sqrt((1 - |x|)/2)) above 1/2."""
    big, s, r = _asin_parts(abs(x))
    hi, lo = _half_pi(x)
    top = muladd(s, -2.0, hi) + muladd(r, -2.0, lo)
    return where(big, top, s + r).copysign(x)


@native
def acos(x: Num) -> Num:
    """pi/2 - asin x, from the same parts."""
    big, s, r = _asin_parts(abs(x))
    hi, lo = _half_pi(x)
    flip = where(big, x.like(0.0).bits(), x.sign_bit())
    left = hi - (s.flip_sign(flip) + (r.flip_sign(flip) - lo))
    return where(big, 2.0 * where(x > 0.0, s + r, left), left)


def _angle(low: Num, high: Num, offset: Num, sign: Num) -> Num:
    """offset pi/4 +- atan(low / high) for 0 <= low <= high; ``sign`` is a sign bit.

    Above tan(pi/8) it is pi/4 - atan((high - low) / (high + low)). The quotient is known in two
    parts.
    """
    steep = low > high * 0.41421356237309503
    d, dl = fast_two_sum(high, low)
    n, nl = fast_two_sum(-high, low)
    d, dl = where(steep, d, high), where(steep, dl, 0.0)
    n, nl = where(steep, n, low), where(steep, nl, 0.0)
    t = n / d
    tl = ((fma(-t, d, n) + nl) - t * dl) / d
    s = t * t
    r = muladd(t * s, poly(s, ATAN_D if t.double else ATAN_F), tl).flip_sign(sign)
    t = t.flip_sign(sign)
    one = where(steep, t.like(1.0), 0.0).flip_sign(sign)
    hi, lo = PI_4_D if t.double else PI_4_F
    k = offset + one
    base = k * hi
    base_lo = muladd(k, lo, fma(k, hi, -base))
    y, yl = fast_two_sum(base, t)
    return y + (yl + (base_lo + r))


@native
def atan(x: Num) -> Num:
    """atan(|x|), or pi/2 - atan(1/|x|) above 1, with the sign of x."""
    a = abs(x)
    above = a > 1.0
    one = x.like(1.0)
    high = where(above, a, one)
    # 1/inf: the quotient's rest would be NaN.
    low = where(above, where(a.eq(INF), 0.0, one), a)
    high = where(a.eq(INF), 1.0, high)
    sign = where(above, x.like(-0.0).bits(), x.like(0.0).bits())
    y = _angle(low, high, where(above, x.like(2.0), 0.0), sign)
    return where(a.isnan(), x, y.copysign(x))


@native
def atan2(y: Num, x: Num) -> Num:
    """Angle of the point (x, y), with C's conventions for zeros and infinities."""
    ax, ay = abs(x), abs(y)
    swap = ay > ax
    high, low = where(swap, ay, ax), where(swap, ax, ay)
    # Only the quotient matters: keep sums and rests away from overflow and underflow.
    wide, down, tiny, up = (
        (2.0**1000, 2.0**-100, 2.0**-800, 2.0**200)
        if x.double
        else (2.0**120, 2.0**-20, 2.0**-90, 2.0**50)
    )
    factor = where(high > wide, x.like(down), where(high < tiny, x.like(up), 1.0))
    infinite = high.eq(INF)
    low = where(infinite, where(low.eq(INF), x.like(1.0), 0.0), low * factor)
    high = where(infinite | high.eq(0.0), 1.0, high * factor)
    zero, minus = x.like(0.0).bits(), x.like(-0.0).bits()
    left = x.sign_bit()
    # pi/2 - angle where swapped, then pi - that where x is negative.
    sign = where(swap, minus, zero) ^ left
    turn = where(swap, x.like(2.0), 0.0)
    offset = where(left.ne(0), 4.0 - turn, turn)
    out = _angle(low, high, offset, sign)
    return where(Num(x.b, x.b.cmp("fcmp uno", x.v, y.v)), x + y, abs(out).copysign(y))
