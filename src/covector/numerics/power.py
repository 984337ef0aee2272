"""pow, cbrt, hypot."""

from __future__ import annotations

import math

from covector.numerics.exponential import (
    F64,
    LOG2E,
    exp_fraction_pair,
    power_of_two,
    scale,
)
from covector.numerics.iteration import if_any
from covector.numerics.logarithm import ln2, mantissa_exponent, normalise
from covector.numerics.num import (
    Num,
    by_size,
    fast_two_sum,
    fma,
    in_double,
    maximum,
    minimum,
    muladd,
    native,
    poly,
    two_prod,
    where,
)

INF = math.inf
NAN = math.nan

# (2 atanh s - 2s - 2/3 s^3) / s^5 in s^2, error 2^-66 relative to 2s: for pow in f64.
LOG5 = (
    0.40000000000002256, 0.28571428570099383, 0.22222222519984533, 0.18181784359935332,
    0.1538675772766493, 0.13256807256071823, 0.1319643610778801,
)  # fmt: skip
# (2 atanh s - 2s) / s^3 in s^2 and (e^r - 1 - r) / r^2, for pow of f32 in f64.
LOG_SHORT = (
    0.6666666564482128, 0.4000033535119156, 0.28537297376208126, 0.23582381017756301,
)  # fmt: skip
EXP_SHORT = (
    0.5000000079267295, 0.16666666864304602, 0.041666265324589814, 0.008333263495003762,
    0.0013946405339855098, 0.00019918866026377396,
)  # fmt: skip
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)


def log_pair(a: Num) -> tuple[Num, Num]:
    """log a for a > 0 as a sum of two doubles, relative error 2^-65."""
    m, e = normalise(a)
    f = m - 1.0
    d = m + 1.0
    inverse = 1.0 / d
    s = f * inverse
    sl = (fma(-s, d, f) - s * (f - (d - 2.0))) * inverse
    z, zl = two_prod(s, s)
    zl = muladd(s + s, sl, zl)
    c, cl = two_prod(s, z)
    cl = muladd(sl, z, muladd(s, zl, cl))
    t, tl = two_prod(c, TWO_THIRDS[0])
    tl = muladd(cl, TWO_THIRDS[0], muladd(c, TWO_THIRDS[1], tl))
    hi, lo = ln2(a)
    h1, l1 = fast_two_sum(e * hi, s + s)
    h2, l2 = fast_two_sum(h1, t)
    rest = muladd(e, lo, muladd(c * z, poly(z, LOG5), muladd(sl, 2.0, tl))) + (l1 + l2)
    return fast_two_sum(h2, rest)


def pow_of_positive(a: Num, y: Num) -> Num:
    """a^y for 0 < a < inf."""
    hi, lo = log_pair(a)
    p, pl = two_prod(hi, y)
    return exp_of_sum(p, muladd(lo, y, pl))


def exp_of_sum(p: Num, pl: Num) -> Num:
    """e^(p + pl) where pl is small."""
    inside = abs(p) < 800.0
    n, u, v = exp_fraction_pair(maximum(F64.low, minimum(F64.high, p)), where(inside, pl, 0.0))
    return scale(u + v, n)


def short_pow_of_positive(a: Num, y: Num) -> Num:
    """a^y for doubles 0 < a < inf, with the digits of float32; between e^-700 and e^700."""
    m, e = mantissa_exponent(a)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    p = y * muladd(e, 0.6931471805599453, muladd(s * z, poly(z, LOG_SHORT), s + s))
    p = maximum(-700.0, minimum(700.0, p))
    n = muladd(p, LOG2E, F64.magic + F64.bias)
    k = n - (F64.magic + F64.bias)
    r = muladd(k, -F64.ln2_hi, p)
    q = 1.0 + muladd(r * r, poly(r, EXP_SHORT), r)
    return q * power_of_two(n)


@native
def pow_(x: Num, y: Num) -> Num:
    """x^y with the special values of C (Annex F)."""
    a = abs(x)
    out = pow_of_positive(a, y) if x.double else in_double(short_pow_of_positive, a, y)
    extreme = a.eq(0.0) | a.eq(INF)
    grows = (y < 0.0) ^ a.eq(INF)
    out = where(extreme, where(grows, x.like(INF), 0.0), out)
    floor = Num(x.b, x.b.intrinsic("floor", y.v))
    half = y * 0.5
    half_floor = Num(x.b, x.b.intrinsic("floor", half.v))
    whole = floor.eq(y)
    odd = whole & half_floor.ne(half)
    zero = x.like(0.0).bits()
    out = out.flip_sign(where(odd, x.sign_bit(), zero))
    # A negative finite number to a power that is not whole; NaN operands.
    wrong = (x < 0.0) & (a < INF) & floor.ne(y)
    unordered = Num(x.b, x.b.cmp("fcmp uno", x.v, y.v))
    out = where(wrong | unordered, NAN, out)
    one = x.eq(1.0) | y.eq(0.0) | (a.eq(1.0) & abs(y).eq(INF))
    return where(one, 1.0, out)


@native
def cbrt(x: Num) -> Num:
    """Cube root: z = a^(-1/3) by steps on a guess from the exponent, then a z^2 corrected once."""
    a = abs(x)
    tiny, up, down = (2.0**-1022, 2.0**54, 2.0**-18) if x.double else (2.0**-126, 2.0**24, 2.0**-8)
    small = a < tiny
    v = where(small, a * up, a)
    if x.double:
        third = ((v.bits() >> 32) * 0x55555556) >> 32
        z = ((0x553EF0FF - third) << 32).as_float()
    else:
        i = v.bits()
        third = Num(i.b, i.b.bin("udiv", i.v, i.val(3)))
        z = (0x54A21D2A - third).as_float()
    h = muladd(-(v * z), z * z, 1.0)
    z = muladd(z * h, muladd(h, muladd(h, 14.0 / 81.0, 2.0 / 9.0), 1.0 / 3.0), z)
    if x.double:
        h = muladd(-(v * z), z * z, 1.0)
        z = muladd(z * h, 1.0 / 3.0, z)
    w = z * z
    y = v * w
    s, sl = two_prod(y, y)
    excess = fma(s, y, -v) + sl * y
    y = muladd(excess * w, -1.0 / 3.0, y)
    y = where(small, y * down, y)
    return where((a > 0.0) & (a < INF), y.copysign(x), x)


def hypot(x: Num, y: Num) -> Num:
    """sqrt(x^2 + y^2) without spurious overflow; infinite if either is."""
    high, low = by_size(x, y)
    wide, down, tiny, up = (
        (2.0**500, 2.0**-600, 2.0**-450, 2.0**600)
        if x.double
        else (2.0**60, 2.0**-70, 2.0**-50, 2.0**110)
    )

    def scaled(high: Num, low: Num) -> list[Num]:
        big, small = high > wide, high < tiny
        factor = where(big, high.like(down), where(small, high.like(up), 1.0))
        back = where(big, high.like(1.0 / down), where(small, high.like(1.0 / up), 1.0))
        h, l = high * factor, low * factor
        out = muladd(h, h, l * l).sqrt() * back
        return [where(high.eq(INF) | low.eq(INF), INF, out)]

    if not x.b.branches(x.v):
        return scaled(high, low)[0]
    # Others neither overflow nor lose digits that count; a factor of one changes none of them. What
    # is no number stands for the larger part, whatever the smaller is.
    rare = (high > wide) | (low > wide) | ((high < tiny) & high.ne(0.0))
    return if_any(rare, scaled, [high, low], [muladd(high, high, low * low).sqrt()])[0]
