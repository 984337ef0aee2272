"""The scaled error function, the normal distribution, Dawson's integral; computed in double.

Coefficients: Chebyshev interpolation in 40 digits, on the intervals that stand with each, as
polynomials of what is moved to [-1, 1]; what was left out is below 2^-57.
"""

from __future__ import annotations

import math

from covector.numerics.error import erf_near, erfc_scaled
from covector.numerics.exponential import exp_fraction_pair, scale
from covector.numerics.logarithm import log
from covector.numerics.num import (
    Num,
    in_double,
    minimum,
    muladd,
    poly,
    two_prod,
    unit,
    where,
)

# -ndtri(1/2 - q) / q in q^2 on [0, 0.09].
NDTRI_CENTRE = (
    2.638092834323769, 0.14672381961923803, 0.01748479505840252, 0.0025874528846428963,
    0.00042463213345650657, 7.404250220952964e-05, 1.3435015549352427e-05, 2.5073358659160137e-06,
    4.778320395067716e-07, 9.254562421624977e-08, 1.8156336241412323e-08, 3.6017267703036105e-09,
    7.204241478280716e-10, 1.428577031133013e-10, 2.8888944105440866e-11, 7.191687519908105e-12,
    1.4910055526710928e-12,
)  # fmt: skip
# -ndtri(p) / r for r = sqrt(-2 log p), in t = (r - 4) / (r + 4); r on [1.784, 38.7].
NDTRI_TAIL = (
    0.926979172581884, 0.15245986977046647, -0.1335766892836642, 0.08066998655513274,
    -0.045418678767201244, 0.0242380439366766, -0.01272635748052236, 0.0065504359611041904,
    -0.0033599775904552508, 0.0017033742476279298, -0.0008643708854850595, 0.0004343161011687455,
    -0.000219134801276554, 0.0001094054951055211, -5.507313298428061e-05, 2.7376626489702482e-05,
    -1.3703300036998731e-05, 6.654315289690483e-06, -3.5987266405467873e-06, 2.022364431144237e-06,
    -4.3194505239137877e-07, -2.575524158915585e-07, -9.766506454923552e-07,
    1.0575045334851846e-06, 9.865188304947516e-07, -9.811567239236084e-07, -1.0565254011834691e-06,
    7.585785173487943e-07, 7.471364283240712e-07, -3.8109599277040056e-07, -3.689264104892238e-07,
    1.1874474770840034e-07, 1.1042137315690961e-07, -1.707844906744748e-08,
    -1.5738232740569842e-08,
)  # fmt: skip
TAIL = (-0.38309655304268314, 0.8126463700234192)
# dawsn(x) / x in x^2 on [0, 2.25]; x dawsn(x) in x on [1.5, 5]; 2x dawsn(x) in 1/x^2 on [0, 0.04].
DAWSON_NEAR = (
    0.5014241400133203, -0.31481422752164534, 0.131142594864667, -0.04040863347418886,
    0.009838627648841376, -0.0019765135732559415, 0.0003376577196608458, -5.0151763199420845e-05,
    6.586752812624009e-06, -7.751958612158781e-07, 8.263603768235818e-08, -8.049747146971687e-09,
    7.21726962057095e-10, -5.996019168520379e-11, 4.732821357698001e-12, -3.4231365883966134e-13,
)  # fmt: skip
DAWSON_MIDDLE = (
    0.5283554723222328, -0.03804439718419517, 0.04270024101143425, -0.04539411412508998,
    0.04190985331156928, -0.025835179029803968, -0.0023603767301983805, 0.030209024113532417,
    -0.04088812650539194, 0.028549264680649507, -0.00464814713083371, -0.012679817832974104,
    0.014607585125935529, -0.00630964719974103, -0.0017558406137668321, 0.004091985586794748,
    -0.0021921417678069, -9.967030742655675e-05, 0.0008526966096071627, -0.00047656219408722213,
    -3.608366398551135e-06, 0.00014787025335946823, -7.577676181736531e-05,
    -3.6517340433700243e-06, 2.236326037308979e-05, -9.28067287336033e-06, -1.8211224429609673e-06,
    2.9781528771159234e-06, -5.422104362293915e-07, -4.4967317148194035e-07,
    1.7656795898668375e-07, 2.99128361068151e-08, -1.7625277114826717e-08,
)  # fmt: skip
DAWSON_FAR = (
    1.01031615649186, 0.010649746347064419, 0.0003524366198142889, 2.041556032729951e-05,
    1.7463311986398027e-06, 2.036565445862328e-07, 3.099021463773856e-08, 6.0046380867056205e-09,
    1.468058569802915e-09, 4.5362383893821445e-10, 1.7335732833169952e-10, 9.264151953682587e-11,
    7.841474583951571e-11, 3.7714640209832775e-11, -3.2087887283607666e-11, -4.23846221640676e-11,
    -7.43197067899083e-13, 1.2772876934406458e-11, 1.2971632914723164e-12, -1.55846734509521e-12,
)  # fmt: skip
# Terms of the asymptotic series of sqrt(pi) x erfcx(x) in 1/x^2, for x > 27 (DLMF 7.12.1).
ERFCX_FAR = (1.0, -0.5, 0.75, -1.875, 6.5625, -29.53125, 162.421875, -1055.7421875)
ROOT_HALF = math.sqrt(0.5)


def _erfcx(x: Num) -> Num:
    a = abs(x)
    q, ql = erfc_scaled(minimum(27.5, a))
    inverse = 1.0 / a
    far = inverse * poly(inverse * inverse, ERFCX_FAR) * (1.0 / math.sqrt(math.pi))
    up = where(a > 27.0, far, q + ql)
    b = minimum(27.5, a)
    s, sl = two_prod(b, b)
    n, e, el = exp_fraction_pair(s, sl)
    down = where(x < -26.7, math.inf, 2.0 * scale(e + el, n) - up)
    near = scale(muladd(erf_near(x), -e, e), n)
    return where(a < 0.5, near, where(x < 0.0, down, up))


def _ndtr(x: Num) -> Num:
    # The exponent is that of x itself, not of the rounded x / sqrt(2).
    a = minimum(38.9, abs(x))
    z = a * ROOT_HALF
    q, ql = erfc_scaled(z)
    s, sl = two_prod(a, a)
    n, e, el = exp_fraction_pair(-0.5 * s, -0.5 * sl)
    tail = scale(0.5 * muladd(q, e, muladd(q, el, ql * e)), n)
    near = muladd(erf_near(x * ROOT_HALF), 0.5, 0.5)
    return where(z < 0.5, near, where(x < 0.0, tail, 1.0 - tail))


def _ndtri(p: Num) -> Num:
    q = p - 0.5
    s = q * q
    centre = q * poly(unit(s, 0.0, 0.09), NDTRI_CENTRE)
    low = p < 0.5
    # 1 - p is exact where it counts, from 1/2 on.
    r = (-2.0 * log(where(low, p, 1.0 - p))).sqrt()
    t = (r - 4.0) / (r + 4.0)
    tail = r * poly(unit(t, *TAIL), NDTRI_TAIL)
    tail = where(r.eq(math.inf), math.inf, tail)
    tail = where(low, -tail, tail)
    return where(abs(q) < 0.3, centre, tail)


def _dawsn(x: Num) -> Num:
    a = abs(x)
    s = x * x
    near = x * poly(unit(s, 0.0, 2.25), DAWSON_NEAR)
    inverse = 1.0 / x
    middle = inverse * poly(unit(a, 1.5, 5.0), DAWSON_MIDDLE)
    far = 0.5 * inverse * poly(unit(inverse * inverse, 0.0, 0.04), DAWSON_FAR)
    return where(a < 1.5, near, where(a < 5.0, middle, far))


def erfcx(x: Num) -> Num:
    """e^(x^2) erfc(x)."""
    return in_double(_erfcx, x)


def ndtr(x: Num) -> Num:
    """The distribution function of the normal distribution."""
    return in_double(_ndtr, x)


def ndtri(p: Num) -> Num:
    """Its inverse."""
    return in_double(_ndtri, p)


def dawsn(x: Num) -> Num:
    """e^(-x^2) times the integral of e^(t^2) from 0 to x."""
    return in_double(_dawsn, x)
