"""The regularised incomplete gamma functions and their slopes in a, computed in double.

With F = x^a e^-x / Gamma(a): P = F/a sum x^k / ((a+1)...(a+k)) (DLMF 8.7.1) for x <= a or x <= 1,
Q = F times the continued fraction DLMF 8.9.2, by Steed's sum, for greater x; Q by DLMF 8.7.3
where a and x are small and Q = 1 - P would cancel; and for great a with x near it Temme's uniform
expansion (DLMF 8.12). Slopes come from the same recurrences, differentiated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from covector.numerics.error import erfc
from covector.numerics.exponential import exp, expm1
from covector.numerics.gamma import CENTRE, START, STIRLING, digamma, lgamma
from covector.numerics.gamma_function import called
from covector.numerics.iteration import if_any, iterate
from covector.numerics.logarithm import LOG_D, log, log1p
from covector.numerics.num import (
    Num,
    fma,
    in_double,
    maximum,
    minimum,
    muladd,
    poly,
    two_prod,
    two_sum,
    where,
)
from covector.numerics.power import exp_of_sum, log_pair

# C_k(eta) of Temme's expansion in powers of eta, from the recurrence DLMF 8.12.10 in 60 digits.
TEMME = (
    (-0.3333333333333333, 0.08333333333333333, -0.014814814814814815, 0.0011574074074074073,
     0.0003527336860670194, -0.0001787551440329218, 3.919263178522438e-05,
     -2.185448510679992e-06, -1.85406221071516e-06, 8.296711340953087e-07,
     -1.7665952736826078e-07, 6.707853543401498e-09, 1.0261809784240309e-08,
     -4.382036018453353e-09, 9.14769958223679e-10, -2.5514193994946248e-11,
     -5.830772132550426e-11, 2.4361948020667415e-11),
    (-0.001851851851851852, -0.003472222222222222, 0.0026455026455026454, -0.0009902263374485596,
     0.00020576131687242798, -4.018775720164609e-07, -1.8098550334489977e-05,
     7.64916091608111e-06, -1.6120900894563446e-06, 4.647127802807434e-09, 1.378633446915721e-07,
     -5.752545603517705e-08, 1.1951628599778148e-08, -1.7543241719747647e-11,
     -1.0091543710600413e-09, 4.162792991842583e-10),
    (0.004133597883597883, -0.0026813271604938273, 0.0007716049382716049, 2.0093878600823047e-06,
     -0.0001073665322636516, 5.2923448829120125e-05, -1.2760635188618728e-05,
     3.423578734096138e-08, 1.3721957309062934e-06, -6.298992138380055e-07,
     1.4280614206064242e-07, -2.0477098421990866e-10, -1.409252991086752e-08,
     6.228974084922022e-09),
    (0.0006494341563786008, 0.00022947209362139917, -0.0004691894943952557,
     0.00026772063206283885, -7.561801671883977e-05, -2.396505113867297e-07,
     1.1082654115347302e-05, -5.6749528269915965e-06, 1.4230900732435883e-06,
     -2.7861080291528143e-11, -1.6958404091930278e-07, 8.099464905388083e-08),
    (-0.0008618882909167117, 0.0007840392217200666, -0.0002990724803031902,
     -1.4638452578843418e-06, 6.641498215465122e-05, -3.968365047179435e-05,
     1.1375726970678419e-05, 2.507497226237533e-10, -1.6954149536558305e-06,
     8.907507532205309e-07),
)  # fmt: skip
TEMME_FROM = 200.0
# What a round must add for another one to follow, and the same where float32 is wanted.
EPS, SHORT_EPS = 2.0**-52, 2.0**-30
# Below TEMME_FROM, or further than a third from the middle, this many rounds suffice.
MOST_ROUNDS = 1000


def log1p_minus(d: Num) -> tuple[Num, Num]:
    """log(1 + d) - d without cancellation, and whether d is where the series is meant for."""
    near = (d >= -0.29) & (d <= 0.41)
    r = d / (d + 2.0)
    return r * muladd(r * r, poly(r * r, LOG_D), -d), near


def stirling(a: Num) -> Num:
    """log Gamma(a) - ((a - 1/2) log a - a + log(2 pi)/2), for a >= 6."""
    inverse = 1.0 / a
    return inverse * poly(inverse * inverse, STIRLING)


def _small_factor(a: Num, x: Num) -> list[Num]:
    """x^a e^-x / Gamma(a)."""
    return [exp(a * log(x) - x - lgamma(a))]


def _great_factor(a: Num, phi: Num) -> list[Num]:
    """The same for a from START on, by Stirling's formula."""
    big = maximum(START, a)
    return [(big / (2.0 * math.pi)).sqrt() * exp(muladd(big, phi, -stirling(big)))]


def _distance(a: Num, x: Num) -> tuple[Num, Num, Num]:
    """d = x/a - 1, phi = log(1 + d) - d, and whether x is near a."""
    d = (x - a) / a
    phi, near = log1p_minus(d)
    return d, where(near, phi, log(x / a) - d), near


def _exponent(a: Num, x: Num, phi: Num) -> list[Num]:
    """a log x - x as the sum of two numbers; from START on, (a log x - x) - (a log a - a)."""
    great = a >= START
    base = where(great, a, 1.0)
    q = x / base
    hi, lo = log_pair(q)
    p, rest = two_prod(hi, a)
    rest = rest + a * (lo + fma(-q, base, x) / x)
    d, lost = two_sum(where(great, a, 0.0), -x)
    total, error = two_sum(p, d)
    rest = rest + (error + lost)
    # Next to x = a the two cancel, so that phi has more digits.
    close = great & (abs(p) > 8192.0 * abs(a * phi))
    high, low = two_prod(a, where(close, phi, 1.0))
    return [where(close, high, total), where(close, low, rest)]


def _exact_factor(a: Num, high: Num, low: Num) -> list[Num]:
    """x^a e^-x / Gamma(a) by the exponent."""
    great, small = a >= START, a < 1.0
    big = maximum(START, a)
    stretch = (big / (2.0 * math.pi)).sqrt() * exp(-stirling(big))
    gamma = called("gamma", where(great, 1.0, where(small, a + 1.0, a)))
    return [exp_of_sum(high, low) * where(great, stretch, where(small, a, 1.0) / gamma)]


def _expansion(a: Num, d: Num, phi: Num) -> list[Num]:
    """Temme's eta, the sum T and its slopes in a, at fixed x, where he is wanted."""
    a = maximum(TEMME_FROM, a)
    eta = (maximum(0.0, -2.0 * phi)).sqrt().copysign(d)
    inverse = 1.0 / a
    turn = where(abs(d) < 1e-8, 1.0, d / eta)
    total = in_eta = in_a = x0 = 0.0 * eta
    power = x0 + 1.0
    for k, row in enumerate(TEMME):
        value = poly(eta, row)
        total = muladd(value, power, total)
        in_eta = muladd(poly(eta, [n * c for n, c in enumerate(row)][1:]), power, in_eta)
        in_a = muladd(value, -float(k) * power * inverse, in_a)
        power = power * inverse
    return [eta, total, in_a - in_eta * turn * inverse]


def _middle(upper: bool, a: Num, d: Num, phi: Num, high: Num, low: Num) -> list[Num]:
    """P, or Q, by it; ``high + low`` is a phi."""
    _, total, _ = _expansion(a, d, phi)
    big = maximum(TEMME_FROM, a)
    z = maximum(0.0, -high).sqrt()
    power = exp_of_sum(high, low)
    # What the root loses, by the slope of erfc.
    lost = where(z > 0.0, (fma(-z, z, -high) - low) / z, 0.0)
    z, lost = z.copysign(d), where(d < 0.0, -lost, lost)
    edge = power / (2.0 * math.pi * big).sqrt() * total
    moved = power * lost * (0.5 / math.sqrt(math.pi))
    tail = muladd(0.5, erfc(z if upper else -z), -moved if upper else moved)
    return [tail + edge if upper else tail - edge]


def _small_upper(a: Num, x: Num) -> list[Num]:
    """Q for a < 1/2 and x <= 1."""
    a, x = minimum(0.5, a), minimum(1.0, x)
    # x^a / Gamma(1 + a) = e^t
    t = a * log(x) - (a * (a + 1.0) * poly(a, CENTRE) - log1p(a))
    total, power = 0.0 * x, 0.0 * x + 1.0
    for n in range(1, 20):
        power = power * x * (-1.0 / n)
        total = total + power / (a + float(n))
    return [-expm1(t) - exp(t) * a * total]


def factor(a: Num, x: Num) -> Num:
    """x^a e^-x / Gamma(a), for positive numbers."""
    _, phi, _ = _distance(a, x)
    return _exact_factor(a, *_exponent(a, x, phi))[0]


class _Gamma:
    """What the functions of a > 0 and x >= 0 share."""

    def __init__(self, eps: float, a: Num, x: Num) -> None:
        self.eps, self.a, self.x = eps, a, x
        self.d, self.phi, self.near = _distance(a, x)
        self.temme = self.near & (a >= TEMME_FROM)
        self.rising = (x <= a) | (x <= 1.0)
        self.rest = stirling(maximum(START, a))
        if eps == EPS:
            self.exponent = _exponent(a, x, self.phi)
            (self.factor,) = _exact_factor(a, *self.exponent)
            return
        self.exponent = [a * self.phi, 0.0 * x]
        great = a >= START
        (near,) = if_any(~great, _small_factor, [a, x], [x])
        (far,) = if_any(great, _great_factor, [a, self.phi], [x])
        self.factor = where(great, far, near)

    def series(self, slope: bool) -> list[Num]:
        """The sum, and with ``slope`` its derivative."""
        a, x = self.a, self.x
        one, zero = x.like(1.0) + 0.0 * x, 0.0 * x

        def step(k: Num, c: Num, total: Num, *slopes: Num) -> tuple[list[Num], Num]:
            r = a + k
            new = c * x / r
            out = [new, total + new]
            going = new > self.eps * total
            if slope:
                change = (slopes[0] - c / r) * x / r
                out += [change, slopes[1] + change]
                going = going | (abs(change) > self.eps * abs(out[-1]))
            return out, going

        start = [one, one] + ([zero, zero] if slope else [])
        return iterate(start, self.rising & ~self.temme, step, MOST_ROUNDS)[1::2]

    def fraction(self, slope: bool) -> list[Num]:
        """Q / factor, and with ``slope`` its derivative."""
        a, x = self.a, self.x
        b0 = maximum(1.0, x + 1.0 - a)

        # By Steed's sum: one division a round.
        def step(k: Num, b: Num, d: Num, t: Num, h: Num, *slopes: Num) -> tuple[list[Num], Num]:
            an = k * (a - k)
            b = b + 2.0
            new = 1.0 / muladd(an, d, b)
            ratio = -an * d * new
            change = ratio * t
            out = [b, new, change, h + change]
            going = abs(change) > self.eps * abs(h)
            if slope:
                dd, dt, dh = slopes
                new_d = (1.0 - muladd(k, d, an * dd)) * new * new
                moved = -(k * d * new + an * (dd * new + d * new_d))
                along = muladd(moved, t, ratio * dt)
                out += [new_d, along, dh + along]
                going = going | (abs(along) > self.eps * abs(dh))
            return out, going

        first = 1.0 / b0
        start = [b0, first, first, first]
        if slope:
            start += [first * first] * 3
        out = iterate(start, ~self.rising & ~self.temme, step, MOST_ROUNDS)
        return [out[3], out[6]] if slope else [out[3]]

    def p_and_q(self, upper: bool) -> Num:
        """P, or Q."""
        a, x = self.a, self.x
        rising = self.factor / a * self.series(False)[0]
        falling = self.factor * self.fraction(False)[0]
        if upper:
            small = (a < 0.5) & (x <= 1.0)
            rising = where(small, if_any(small, _small_upper, [a, x], [x])[0], 1.0 - rising)
            out = where(self.rising, rising, falling)
        else:
            out = where(self.rising, rising, 1.0 - falling)
        write = functools.partial(_middle, upper)
        given = [where(self.temme, v, 0.0) for v in (self.phi, *self.exponent)]
        (middle,) = if_any(self.temme, write, [a, self.d, *given], [out])
        return where(self.temme, middle, out)

    def slope(self) -> Num:
        """dP/da / factor."""
        a, d = self.a, self.d
        big = maximum(TEMME_FROM, a)
        eta, total, moved = _expansion(a, d, where(self.near, self.phi, 0.0))
        turn = where(abs(d) < 1e-8, 1.0, d / eta)
        along = (moved - total * (0.5 / big + 0.5 * eta * eta - d)) / (2.0 * math.pi * big).sqrt()
        across = (0.5 * eta - turn) / (2.0 * math.pi * big).sqrt()
        middle = (across - along) * exp(self.rest) * (2.0 * math.pi / big).sqrt()
        # Next to a = 0 digamma(a) + 1/a would cancel.
        logx, psi = log(self.x), digamma(a + 1.0)
        s, ds = self.series(True)
        h, dh = self.fraction(True)
        rising = (s * (logx - psi) + ds) / a
        falling = -(h * (logx - psi + 1.0 / a) + dh)
        return where(self.temme, middle, where(self.rising, rising, falling))


def _ends(a: Num, x: Num, out: Num, low: float, high: float, at_a_zero: float) -> Num:
    """``out``, or its limit for x -> 0 or a -> inf, for x -> inf, for a -> 0; NaN outside."""
    inf = math.inf
    out = where(x.eq(0.0) | (a.eq(inf) & (x < inf)), low, out)
    out = where(x.eq(inf) & (a < inf), high, out)
    out = where(a.eq(0.0), at_a_zero, out)
    valid = (a >= 0.0) & (x >= 0.0) & ~(a.eq(0.0) & x.eq(0.0)) & ~(a.eq(inf) & x.eq(inf))
    return where(valid, out, math.nan)


def _igamma(eps: float, a: Num, x: Num) -> Num:
    return _ends(a, x, _Gamma(eps, a, x).p_and_q(False), 0.0, 1.0, 1.0)


def _igammac(eps: float, a: Num, x: Num) -> Num:
    return _ends(a, x, _Gamma(eps, a, x).p_and_q(True), 1.0, 0.0, 0.0)


def _igamma_grad_a(eps: float, a: Num, x: Num) -> Num:
    g = _Gamma(eps, a, x)
    return _ends(a, x, g.factor * g.slope(), 0.0, 0.0, math.nan)


def _random_gamma_grad(eps: float, a: Num, x: Num) -> Num:
    return _ends(a, x, -x * _Gamma(eps, a, x).slope(), 0.0, math.inf, math.nan)


def _in_double(fn: Callable[..., Num], a: Num, x: Num) -> Num:
    """``fn`` with as many rounds as the format of the arguments needs."""
    return in_double(functools.partial(fn, EPS if a.double else SHORT_EPS), a, x)


def igamma(a: Num, x: Num) -> Num:
    """P(a, x)."""
    return _in_double(_igamma, a, x)


def igammac(a: Num, x: Num) -> Num:
    """Q(a, x) = 1 - P(a, x)."""
    return _in_double(_igammac, a, x)


def igamma_grad_a(a: Num, x: Num) -> Num:
    """The derivative of P in a."""
    return _in_double(_igamma_grad_a, a, x)


def random_gamma_grad(a: Num, x: Num) -> Num:
    """The derivative in a of a gamma variate x, at a fixed value of P."""
    return _in_double(_random_gamma_grad, a, x)
