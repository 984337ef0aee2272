"""lgamma and digamma, computed in double for both formats.

Negative arguments are reflected. lgamma is a polynomial times (y - 1)(y - 2) on [1.5, 2.5], to
which arguments below 6 are moved with Gamma(x + 1) = x Gamma(x), and Stirling's series from 6 on.
Coefficients: minimax (Remez exchange in 50 digits).
"""

from __future__ import annotations

import math

from covector.numerics.iteration import if_any
from covector.numerics.logarithm import log
from covector.numerics.num import Num, in_double, maximum, minimum, muladd, poly, unit, where
from covector.numerics.trigonometric import COS_D, SIN_D

# lgamma(y) / ((y - 1)(y - 2)) in y - 2 on [1.5, 2.5], relative error 2^-54.7.
CENTRE = (
    0.42278433509846713, -0.10031730167435393, 0.03296500062115356, -0.012384192193367406,
    0.004998641164937714, -0.0021081308342266237, 0.0009153769124335851, -0.0004057073888994092,
    0.00018255283957585415, -8.309527430071128e-05, 3.81665957842735e-05, -1.7660186093193834e-05,
    8.237524837449479e-06, -3.8563479505685915e-06, 1.7489350284537334e-06, -8.208196250179138e-07,
    5.237762694360576e-07, -2.5262365525836556e-07,
)  # fmt: skip
# z (lgamma(z) - (z - 1/2) log z + z - log(2 pi)/2) in 1/z^2 for z >= 6, error 2^-60.9 of lgamma.
STIRLING = (
    0.08333333333333333, -0.002777777777765253, 0.000793650787195751, -0.0005952365951159974,
    0.0008415644532542715, -0.001904184505426691, 0.005848427471177394, -0.015941633945372277,
)  # fmt: skip
# z^2 (log z - 1/(2z) - digamma(z)) in 1/z^2 for z >= 6, error 2^-62.1 of digamma.
ASYMPTOTIC = (
    0.08333333333333298, -0.008333333332919076, 0.003968253798981301, -0.0041666330353019145,
    0.007572024852604855, -0.02084694324280784, 0.07357922613950267, -0.21479080857604804,
)  # fmt: skip
# The positive zero of digamma in two parts, and digamma(x) / (x - zero) in x on [1, 2], moved to
# [-1, 1]: Chebyshev interpolation in 40 digits, error 2^-58.
ZERO = (1.4616321449683622, 9.549995429965697e-17)
ABOUT_ZERO = (
    0.9510558760318328, -0.2118137106407303, 0.060135621060196744, -0.018550615381735115,
    0.005936795278305649, -0.0019350666648590097, 0.0006368880303257201,
    -0.00021074841140458636, 6.995018873950506e-05, -2.325824239445257e-05,
    7.741232223504057e-06, -2.57809436305308e-06, 8.589127353033379e-07, -2.86315275846934e-07,
    9.542050972688906e-08, -3.163020268955334e-08, 1.0542687624027994e-08,
    -3.7075072647122386e-09, 1.2358072433984831e-09, -2.7619635330317715e-10,
    9.206434499177992e-11, -8.498137230186096e-11, 2.832706668021759e-11,
)  # fmt: skip
START = 6.0
HALF_LOG_2PI = 0.9189385332046728


def sin_cos_pi(w: Num) -> tuple[Num, Num]:
    """|sin(pi w)| and |cos(pi w)| with the sign of their product, for any w."""
    f = w - w.floor()
    f = where(f > 0.5, f - 1.0, f)
    a = abs(f)
    swap = a > 0.25
    r = math.pi * where(swap, 0.5 - a, a)
    s = r * r
    sin = muladd(r * s, poly(s, SIN_D), r)
    cos = muladd(s * s, poly(s, COS_D), muladd(s, -0.5, 1.0))
    return where(swap, cos, sin), where(swap, sin, cos).copysign(f)


def _stirling(a: Num) -> list[Num]:
    """log Gamma(a) for a from START on."""
    z = maximum(START, a)
    inverse = 1.0 / z
    far = muladd(z - 0.5, log(z) - 1.0, HALF_LOG_2PI - 0.5)
    return [far + inverse * poly(inverse * inverse, STIRLING)]


def _mirror(a: Num, ratio: Num, product: Num) -> list[Num]:
    """sin(pi a), and pi / (a sin(pi a)) times ratio / product."""
    sin, _ = sin_cos_pi(a)
    return [sin, math.pi * ratio / (a * sin * product)]


def _lgamma(x: Num) -> Num:
    a = abs(x)
    # Move to [1.5, 2.5]: up by two or one step, or down by at most four.
    ratio = where(a < 0.5, a * (a + 1.0), where(a < 1.5, a, 1.0))
    # Upwards t is taken from a itself: what is added to it may round up to 2.5.
    low = a < 1.5
    y = where(low, 2.0, minimum(START, a))
    t = where(a < 0.5, a, where(a < 1.5, a - 1.0, y - 2.0))
    product = x.like(1.0)
    for _ in range(4):
        down = y >= 2.5
        y = where(down, y - 1.0, y)
        t = where(down, t - 1.0, t)
        product = product * where(down, y, 1.0)
    near = t * (t + 1.0) * poly(t, CENTRE)
    big, negative = a >= START, x < 0.0
    (far,) = if_any(big, _stirling, [a], [near])
    body = where(big, far, near)
    # log of what is left: -ratio or product, or pi / (a sin(pi a)) times ratio / product.
    reflect = negative & (a >= 2.0**-60)
    product = where(big, 1.0, product)
    one = x.like(1.0)
    sin, mirror = if_any(negative, _mirror, [a, ratio, product], [one, one])
    rest = log(where(reflect, mirror, where(low, ratio, product)))
    out = where(reflect, rest - body, body + where(low, -rest, rest))
    out = where(a.eq(math.inf) | (negative & sin.eq(0.0)), math.inf, out)
    return where(big & (x > 0.0) & (a < math.inf), far, out)


def _about_zero(x: Num) -> list[Num]:
    return [((x - ZERO[0]) - ZERO[1]) * poly(unit(x, 1.0, 2.0), ABOUT_ZERO)]


def _digamma(x: Num) -> Num:
    a = abs(x)
    small = a < START
    # sum 1/(a + i) as one quotient.
    num, den = x.like(1.0), a
    for i in range(1, int(START)):
        term = a + float(i)
        num = muladd(num, term, den)
        den = den * term
    z = where(small, a + START, a)
    inverse = 1.0 / z
    s = inverse * inverse
    y = log(z) - muladd(s, poly(s, ASYMPTOTIC), 0.5 * inverse)
    y = y - where(small, num / den, 0.0)
    sin, cos = sin_cos_pi(a)
    reflected = y + 1.0 / a + math.pi * cos / sin
    y = where(x < 0.0, where(sin.eq(0.0) | (a >= 2.0**52), math.nan, reflected), y)
    about = (x > 1.0) & (x < 2.0)
    y = where(about, if_any(about, _about_zero, [x], [y])[0], y)
    return where(a < 2.0**-60, -1.0 / x, y)


def lgamma(x: Num) -> Num:
    """log |Gamma(x)|."""
    return in_double(_lgamma, x)


def digamma(x: Num) -> Num:
    """Derivative of log Gamma; NaN at negative integers, -+inf at +-0."""
    return in_double(_digamma, x)
