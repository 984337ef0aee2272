"""log, log1p and the inverse hyperbolic functions, which are logarithms of sums.

x = 2^e m with m in [sqrt(1/2), sqrt(2)), f = m - 1. In f32 log(1 + f) is a polynomial in f; in
f64 it is f - (f^2/2 - s (f^2/2 + R(s^2))) with s = f / (2 + f), as in Sun's fdlibm. log 2 is split
in two. Arguments known better than one float carry their rest to the end, as a correction c / m.
Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

import math
from typing import Any

from covector.numerics.num import Num, fast_two_sum, fma, muladd, native, poly, two_sum, where

# (log(1+f) - f + f^2/2) / f^3, error 2^-27.3 relative to log(1+f).
LOG_F = (
    0.3333333134651184, -0.250008225440979, 0.20001262426376343, -0.16623319685459137,
    0.14200839400291443, -0.1315963864326477, 0.12768428027629852, -0.07645010948181152,
)  # fmt: skip
# (log((1+s)/(1-s)) - 2s) / s^3 in s^2, error 2^-58.5 relative to 2s.
LOG_D = (
    0.6666666666666734, 0.3999999999941646, 0.28571428742099614, 0.22222198595001627,
    0.1818356349852676, 0.1531406543716458, 0.1479585315478735,
)  # fmt: skip
INF = math.inf
NAN = math.nan


def ln2(x: Num) -> tuple[float, float]:
    """log 2 in two parts; a product of the first and an exponent is exact."""
    if x.double:
        return 0.693147180369123816490, 1.90821492927058770002e-10
    return 0.693145751953125, 1.42860677e-06


def mantissa_exponent(x: Num) -> tuple[Num, Num]:
    """(m, e) with x = 2^e m and m in [sqrt(1/2), sqrt(2)), for normal x; e as a float."""
    width, start = (52, 0x3FE6A09E667F3BCD) if x.double else (23, 0x3F3504F3)
    i = x.bits() - start
    return ((i & ((1 << width) - 1)) + start).as_float(), exponent(i)


def exponent(i: Num) -> Num:
    """What the bits of a float hold beside its mantissa, as a float."""
    if i.v.ty == "i64":
        # The exponent plus an offset as the low bits of a float: no 64-bit conversion on AVX2.
        u = (i + (1 << 62)) >> 52
        return (u | 0x4330000000000000).as_float() - (2.0**52 + 1024.0)
    return Num(i.b, i.b.bin("ashr", i.v, i.val(23))).cast("sitofp", "float")


def normalise(x: Num) -> tuple[Num, Num]:
    """`mantissa_exponent` of any positive x."""
    tiny, up = (2.0**-1022, 54.0) if x.double else (2.0**-126, 24.0)
    small = x < tiny
    m, e = mantissa_exponent(where(small, x * 2.0**up, x))
    return m, e - where(small, x.like(up), 0.0)


def log_parts(f: Num, e: Num, c: Any = 0.0) -> tuple[float, Num]:
    """(h, y) with e log 2 + log(1 + f) + c = e h + f + y, where e h is exact and y the least."""
    hi, lo = ln2(f)
    rest = muladd(e, lo, c)
    if f.double:
        s = f / (f + 2.0)
        z = s * s
        half = 0.5 * f * f
        return hi, muladd(s, muladd(z, poly(z, LOG_D), half), rest) - half
    return hi, muladd(f * f, muladd(f, poly(f, LOG_F), -0.5), rest)


def log_sum(f: Num, e: Num, c: Any = 0.0) -> Num:
    """e log 2 + log(1 + f) + c."""
    hi, y = log_parts(f, e, c)
    return muladd(e, hi, f + y)


def special(x: Num, y: Num) -> Num:
    """``y``, but the logarithm of x where x is zero, negative, infinite or NaN."""
    y = where(x.eq(INF), x, where(x.eq(0.0), -INF, y))
    return where(x >= 0.0, y, NAN)


@native
def log(x: Num) -> Num:
    """Natural logarithm."""
    m, e = normalise(x)
    return special(x, log_sum(m - 1.0, e))


def small_quotient(c: Num, u: Num, m: Num) -> Num:
    """c / u, crudely, where m is the mantissa of u: the line is within 3 % of 1/m."""
    one = 0x3FF0000000000000 if u.double else 0x3F800000
    return c * (m.bits() - u.bits() + one).as_float() * muladd(m, -0.7071, 1.6820)


def log1p_sum(x: Num, lo: Any = 0.0, more: Any = 0.0) -> Num:
    """log(1 + x + lo) + more log 2, for ``lo`` a rounding error of x."""
    u, c = two_sum(x.like(1.0), x)
    m, e = mantissa_exponent(u)
    near = e.eq(0.0)
    # lo is added as lo / (1 + x). Where u is so large that the power of two for it is not normal,
    # the correction does not matter.
    c = where(near, lo, c + lo)
    c = where(u < 2.0**100, small_quotient(c, u, m), 0.0)
    return special(u, log_sum(where(near, x, m - 1.0), e + more, c))


def _tiny(x: Num) -> Num:
    """Where a function x + O(x^2) is x itself, with its sign of zero."""
    return abs(x) < (2.0**-55 if x.double else 2.0**-26)


def _huge(x: Num) -> Num:
    """Where one plus x is x, and the square still far from overflow."""
    return x > (2.0**60 if x.double else 2.0**30)


@native
def log1p(x: Num) -> Num:
    """log(1 + x)."""
    return where(_tiny(x), x, log1p_sum(x))


@native
def asinh(x: Num) -> Num:
    """log1p(a + a^2 / (1 + sqrt(1 + a^2))) for a = |x|, with the sign of x."""
    a = abs(x)
    huge = _huge(a)
    s = a * a
    w, lo = fast_two_sum(a, s / (1.0 + (1.0 + s).sqrt()))
    more = where(huge, x.like(1.0), 0.0)
    y = log1p_sum(where(huge, a, w), where(huge, x.like(0.0), lo), more)
    return where(_tiny(x), x, y.copysign(x))


@native
def acosh(x: Num) -> Num:
    """log1p(t + sqrt(t^2 + 2t)) with t = x - 1."""
    t = x - 1.0
    huge = _huge(x)
    w, lo = fast_two_sum(muladd(t, t, t + t).sqrt(), t)
    more = where(huge, x.like(1.0), 0.0)
    y = log1p_sum(where(huge, x, w), where(huge, x.like(0.0), lo), more)
    return where(x >= 1.0, y, NAN)


@native
def atanh(x: Num) -> Num:
    """log1p(2a / (1 - a)) / 2 for a = |x|, with the sign of x; the quotient in two parts."""
    a = abs(x)
    d = 1.0 - a
    inverse = 1.0 / d
    w = 2.0 * a * inverse
    rest = fma(-w, d, a + a) - w * ((1.0 - d) - a)
    y = 0.5 * log1p_sum(w, rest * inverse)
    return where(_tiny(x), x, y.copysign(x))
