"""exp, exp2, expm1 and what is made of them: logistic, sinh, cosh, tanh.

The argument is reduced as x = k log 2 + r with |r| <= log(2)/2, k found by adding a large
constant whose low bits then hold it. log 2 is split in two; as long as k has few bits the first
product and difference are exact, so that r is known as an unevaluated sum of two floats.
Coefficients: minimax (Remez exchange in 50 digits), leading ones rounded first.
"""

from __future__ import annotations

import math

from covector.core.record import Record
from covector.numerics.num import (
    Num,
    fast_two_sum,
    fma,
    maximum,
    minimum,
    muladd,
    native,
    poly,
    where,
)


class Format(Record):
    """Constants of the exponential functions for one floating-point format."""

    mantissa: int
    magic: float  # adding it rounds to an integer
    bias: int  # twice the bias of the exponent
    ln2_hi: float
    ln2_lo: float
    high: float  # exp overflows above
    low: float  # exp is zero below
    exp: tuple[float, ...]  # (e^r - 1 - r) / r^2
    exp2: tuple[float, ...]  # (2^r - 1) / r
    tanh_one: float  # tanh is one above
    sinh: tuple[float, ...]  # (sinh(x) - x) / x^3 in x^2, on [0, 1]


F32 = Format(
    23, 12582912.0, 254, 0.693147182464599609375, -1.904654323148236017e-9, 89.0, -104.0,
    # Error 2^-26.0 relative to e^r - 1.
    (0.5, 0.16666537523269653, 0.04166639596223831, 0.008367217145860195, 0.0013946807011961937),
    # Error 2^-26.0 relative to 2^r - 1.
    (0.6931471824645996, 0.24022650718688965, 0.055503278970718384, 0.009618003852665424,
     0.0013400295283645391, 0.00015476344560738653),
    9.1,
    # Relative error 2^-31.6.
    (0.1666666716337204, 0.00833331048488617, 0.0001984289410756901, 2.7822300125990296e-06),
)  # fmt: skip
F64 = Format(
    52, 6755399441055744.0, 2046, 0.6931471805599453094, 2.319046813846299616e-17, 710.0, -746.0,
    # Error 2^-55.1 relative to e^r - 1.
    (0.5000000000000006, 0.16666666666666685, 0.04166666666657144, 0.00833333333331417,
     0.001388888893314101, 0.00019841269904073128, 2.4801503480546017e-05,
     2.7557226927772013e-06, 2.7626727528557963e-07, 2.5114823492600775e-08),
    # Error 2^-57.5 relative to 2^r - 1.
    (0.6931471805599453, 0.2402265069591015, 0.05550410866482406, 0.009618129107586328,
     0.0013333558145780025, 0.00015403530467021675, 1.5252734466798567e-05,
     1.3215430396777986e-06, 1.0177791802620971e-07, 7.0746027711656365e-09,
     4.4959711511695657e-10),
    22.0,
    # Relative error 2^-61.8.
    (0.16666666666666669, 0.008333333333332912, 0.00019841269841593402, 2.75573191067166e-06,
     2.5052131018868496e-08, 1.605665613634808e-10, 7.77674411290942e-13),
)  # fmt: skip
# The same in f32 with one more term, where e^r is wanted as a sum of two floats; error 2^-32.4.
EXP_PAIR_F = (
    0.5000000013543257, 0.16666666719322767, 0.041666464167313115, 0.008333298340603958,
    0.0013933733216281662, 0.00019899392456492918,
)  # fmt: skip
LOG2E = 1.4426950408889634


def format_of(x: Num) -> Format:
    return F64 if x.double else F32


def reduce_exp(x: Num) -> tuple[Num, Num, Num]:
    """(n, hi, lo) with x = k log 2 + hi + lo; the low bits of n hold k plus twice the bias."""
    f = format_of(x)
    n = muladd(x, LOG2E, f.magic + f.bias)
    k = n - (f.magic + f.bias)
    return n, fma(k, -f.ln2_hi, x), k * -f.ln2_lo


def scale(p: Num, n: Num) -> Num:
    """``p * 2**k`` for any k, in two exact steps and one rounding."""
    f = format_of(p)
    u = n.bits()
    half = u >> 1
    return p * (half << f.mantissa).as_float() * ((u - half) << f.mantissa).as_float()


def power_of_two(n: Num, shift: int = 0) -> Num:
    """``2**(k + shift)`` where that is normal."""
    f = format_of(n)
    return ((n.bits() + (shift - f.bias // 2)) << f.mantissa).as_float()


def exp_fraction(x: Num) -> tuple[Num, Num]:
    """(n, p) with e^x = 2^k p, for `scale` or `power_of_two`."""
    n, hi, lo = reduce_exp(x)
    r = hi + lo
    return n, 1.0 + muladd(r * r, poly(r, format_of(x).exp), r)


def exp_fraction_pair(hi: Num, lo: Num) -> tuple[Num, Num, Num]:
    """(n, p, q) with e^(hi + lo) = 2^k (p + q), for `scale`."""
    n, r, rl = reduce_exp(hi)
    rl = rl + lo
    w = r + rl
    t = muladd(w * w, poly(w, F64.exp if hi.double else EXP_PAIR_F), rl)
    p, q = fast_two_sum(hi.like(1.0), r)
    p, t = fast_two_sum(p, t)
    return n, p, q + t


@native
def exp(x: Num) -> Num:
    """e^x."""
    f = format_of(x)
    n, p = exp_fraction(maximum(f.low, minimum(f.high, x)))
    return scale(p, n)


def exp_normal(x: Num) -> Num:
    """e^x where neither it overflows nor is subnormal (x in [-87, 88], [-708, 709])."""
    if "exp" in x.b.natives:
        return exp(x)
    n, p = exp_fraction(x)
    return p * power_of_two(n)


def exp2_fraction(x: Num) -> tuple[Num, Num]:
    """(n, p) with 2^x = 2^k p."""
    f = format_of(x)
    n = x + (f.magic + f.bias)
    r = x - (n - (f.magic + f.bias))
    return n, muladd(r, poly(r, f.exp2), 1.0)


@native
def exp2(x: Num) -> Num:
    """2^x."""
    f = format_of(x)
    n, p = exp2_fraction(maximum(f.low * 1.5, minimum(f.high * 1.5, x)))
    return scale(p, n)


def _expm1_parts(x: Num, shift: int) -> tuple[Num, Num]:
    """e^x - 1 times 2^shift as a sum: 2^k hi + (2^k - 1), rounded, and the smaller rest."""
    n, hi, lo = reduce_exp(x)
    r = hi + lo
    s = power_of_two(n, shift)
    first = muladd(s, hi, s - math.ldexp(1.0, shift))
    return first, s * muladd(r * r, poly(r, format_of(x).exp), lo)


@native
def expm1(x: Num) -> Num:
    """e^x - 1."""
    f = format_of(x)
    # Below -2 mantissa bits * log 2 it is -1; half of it does not overflow before it does.
    y = maximum(-2.0 * f.mantissa, minimum(f.high, x))
    a, t = _expm1_parts(y, -1)
    return where(abs(x) < 2.0 ** (-f.mantissa - 2), x, 2.0 * (a + t))


def expm1_negative(x: Num) -> Num:
    """e^x - 1 for x <= 0 where e^x is normal; log 2 is not split, which e^x - 1 hides."""
    f = format_of(x)
    bias = f.magic + f.bias // 2
    n = muladd(x, LOG2E, bias)
    r = muladd(n - bias, -math.log(2.0), x)
    s = (n.bits() << f.mantissa).as_float()
    return muladd(s, muladd(r * r, poly(r, f.exp), r), s - 1.0)


def quotient(n: Num, d: Num, rest: Num) -> Num:
    """n / (d + rest), for ``rest`` the rounding error of d."""
    inverse = 1.0 / d
    q = n * inverse
    return muladd(fma(-q, d, n) - q * rest, inverse, q)


@native
def tanh(x: Num) -> Num:
    """q / (q + 2) with q = e^(2|x|) - 1."""
    a, t = _expm1_parts(2.0 * minimum(format_of(x).tanh_one, abs(x)), 0)
    q = a + t
    d = q + 2.0
    return quotient(q, d, q - (d - 2.0)).copysign(x)


@native
def logistic(x: Num) -> Num:
    """1 / (1 + e^-x), or e^x / (1 + e^x) for negative x."""
    f = format_of(x)
    n, p = exp_fraction(maximum(f.low, -abs(x)))
    e = scale(p, n)
    d = 1.0 + e
    return quotient(where(x < 0.0, e, 1.0), d, e - (d - 1.0))


def _half_exp(a: Num) -> Num:
    """e^a / 2 for a >= 0, infinite only where that is."""
    f = format_of(a)
    n, p = exp_fraction(minimum(f.high + 1.5, a))
    return scale(0.5 * p, n)


@native
def sinh(x: Num) -> Num:
    """An odd polynomial on [-1, 1], (e^|x| - e^-|x|) / 2 elsewhere."""
    a = abs(x)
    e = _half_exp(a)
    big = e - 0.25 / e
    s = x * x
    small = muladd(a * s, poly(s, format_of(x).sinh), a)
    return where(a < 1.0, small, big).copysign(x)


@native
def cosh(x: Num) -> Num:
    """(e^|x| + e^-|x|) / 2."""
    e = _half_exp(abs(x))
    return e + 0.25 / e
