"""sin, cos, tan: reduction by multiples of pi/2, then polynomials on [-pi/4, pi/4].

Moderate arguments are reduced with pi/2 in three parts (Cody and Waite): x - k P1 is exact by
fma, the rest is kept as an unevaluated sum hi + lo. What is beyond is the backend's to reduce.
Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.numerics.num import Num, fma, muladd, native, poly, where

# (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in r^2; relative errors 2^-27.9 and 2^-32.7,
# 2^-57.8 and 2^-63.7.
SIN_F = (-0.16666653752326965, 0.008332101628184319, -0.00019506852549966425)
COS_F = (0.04166664555668831, -0.0013887297827750444, 2.443008816044312e-05)
SIN_D = (
    -0.16666666666666627, 0.008333333333321079, -0.00019841269828701157, 2.75573132963355e-06,
    -2.5050694560053416e-08, 1.5893028011093187e-10,
)  # fmt: skip
COS_D = (
    0.04166666666666658, -0.001388888888887097, 2.480158728752794e-05, -2.755731379157151e-07,
    2.0875647495601025e-09, -1.1355744681442259e-11,
)  # fmt: skip

# pi/2 in three parts.
PIO2_F = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
PIO2_D = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)


def reduce_pi2(a: Num) -> tuple[Num, Num, Num]:
    """(hi, lo, k) with a = k pi/2 + hi + lo for a >= 0; only the low two bits of k matter."""
    hi, lo, k = a.b.once("reduce_pi2", a.v, lambda: _reduced(a))
    return Num(a.b, hi), Num(a.b, lo), Num(a.b, k)


def _reduced(a: Num) -> Sequence[Any]:
    p1, p2, p3 = PIO2_D if a.double else PIO2_F
    magic = 1.5 * 2.0**52 if a.double else 1.5 * 2.0**23
    # So far k P1 is an exact multiple of the last place of P1, and r stays below one.
    limit = 2.0**28 if a.double else 2.0**14
    n = muladd(a, 0.6366197723675814, magic)
    k = n - magic
    t = fma(k, -p1, a)
    p = k * p2
    hi = t - p
    lo = ((t - hi) - p) - fma(k, p3, fma(k, p2, -p))
    return a.b.far_angles(a.v, limit, hi.v, lo.v, n.bits().v)


def _sin_rest(hi: Num, lo: Num, s: Num) -> Num:
    """sin(hi + lo) - hi."""
    return muladd(hi * s, poly(s, SIN_D if hi.double else SIN_F), lo)


def _cos_rest(s: Num, coeffs: Sequence[float]) -> Num:
    """cos r - 1, s = r^2."""
    return s * muladd(s, poly(s, coeffs), -0.5)


def _quadrant(hi: Num, lo: Num, k: Num, sign: Num) -> Num:
    """sin(k pi/2 + hi + lo), negated where ``sign`` is set."""
    s = hi * hi
    sin = hi + _sin_rest(hi, lo, s)
    cos = muladd(s * s, poly(s, COS_D if hi.double else COS_F), muladd(s, -0.5, 1.0))
    width = 64 if hi.double else 32
    odd = (k & 1).ne(0)
    flip = (k << (width - 2)) & -(1 << (width - 1))
    return where(odd, cos, sin).flip_sign(flip ^ sign)


@native
def sin(x: Num) -> Num:
    """Sine."""
    hi, lo, k = reduce_pi2(abs(x))
    return _quadrant(hi, lo, k, x.sign_bit())


@native
def cos(x: Num) -> Num:
    """Cosine."""
    hi, lo, k = reduce_pi2(abs(x))
    k = k + 1
    return _quadrant(hi, lo, k, k.like(0))


@native
def tan(x: Num) -> Num:
    """sin / cos or -cos / sin, each in two parts, so that only the quotient is rounded."""
    hi, lo, k = reduce_pi2(abs(x))
    s = hi * hi
    ds, dc = _sin_rest(hi, lo, s), _cos_rest(s, COS_D if hi.double else COS_F)
    sh, ch = hi + ds, 1.0 + dc
    sl, cl = (hi - sh) + ds, (1.0 - ch) + dc
    odd = (k & 1).ne(0)
    n, nl = where(odd, ch, sh), where(odd, cl, sl)
    d, dl = where(odd, sh, ch), where(odd, sl, cl)
    inverse = 1.0 / d
    q = n * inverse
    q = q + ((fma(-q, d, n) + nl) - q * dl) * inverse
    width = 64 if x.double else 32
    return q.flip_sign((k << (width - 1)) ^ x.sign_bit())
