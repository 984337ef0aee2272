"""The zeta functions of Hurwitz and Riemann, and polygamma, computed in double.

For q > 0 ten terms of the sum and the Euler-Maclaurin formula (DLMF 25.11.28) for the others. For
q < 0 the terms of positive and of negative base are two such sums, and what is missing of the
second a third.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from covector.numerics.exponential import exp
from covector.numerics.gamma import digamma, lgamma, sin_cos_pi
from covector.numerics.gamma_function import called
from covector.numerics.iteration import if_any, iterate
from covector.numerics.num import Num, in_double, maximum, muladd, two_sum, where
from covector.numerics.power import pow_of_positive, short_pow_of_positive

Power = Callable[[Num, Num], Num]
TERMS = 10
# What pi has beyond its double, in relation to it.
PI_REST = 3.8981718325193755e-17
# B_2j / (2j)!
BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip


def _positive(power_of: Power, s: Num, q: Num) -> Num:
    """zeta(s, q) for s > 1 and q > 0."""
    zero = 0.0 * (s + q)

    def step(k: Num, total: Num) -> tuple[list[Num], Num]:
        return [total + power_of(q + (k - 1.0), -s)], total >= 0.0

    (total,) = iterate([zero], zero.eq(0.0), step, TERMS)
    a = q + float(TERMS)
    power = power_of(a, -s)
    total = total + power * (a / (s - 1.0) + 0.5)
    inverse = 1.0 / a
    term = power * s * inverse
    for j, c in enumerate(BERNOULLI):
        total = muladd(term, c, total)
        factor = (s + float(2 * j + 1)) * (s + float(2 * j + 2))
        term = term * factor * inverse * inverse
    return total


def _zeta(power_of: Power, s: Num, q: Num) -> Num:
    whole = q.floor()
    below = q <= 0.0
    f = q - whole
    up = _positive(power_of, s, where(below, f, q))
    odd = (s * 0.5).floor().ne(s * 0.5)

    def mirrored(s: Num, q: Num) -> list[Num]:
        # The distance to the next integer is exact, where 1 - f need not be.
        near = _positive(power_of, s, (q.floor() + 1.0) - q)
        return [near - _positive(power_of, s, where(q <= 0.0, 1.0 - q, 1.0))]

    (missing,) = if_any(below, mirrored, [s, q], [0.0 * up])
    down = up + where(odd, -missing, missing)
    # Powers of negative bases are real for integer exponents only. A base of zero is a pole, with
    # two signs on its sides if the exponent is odd.
    infinite = s.like(math.inf)
    pole = where(odd & (q < 0.0), math.nan, infinite)
    down = where(f.eq(0.0), pole, where(s.eq(s.floor()), down, math.nan))
    out = where(below, down, up)
    out = where(s.eq(math.inf), where(q > 1.0, 0.0, where(q.eq(1.0), 1.0, infinite)), out)
    out = where(s.eq(1.0), math.inf, where(s > 1.0, out, math.nan))
    return where(q.eq(math.inf) & (s > 1.0), 0.0, where(q.isnan(), math.nan, out))


def _polygamma(power_of: Power, m: Num, x: Num) -> Num:
    n = m + 1.0
    odd = (m * 0.5).floor().ne(m * 0.5)
    size = exp(lgamma(n)) * _zeta(power_of, n, x)
    (first,) = if_any(m.eq(0.0), lambda x: [digamma(x)], [x], [0.0 * x])
    out = where(m.eq(0.0), first, where(odd, size, -size))
    return where((m >= 0.0) & m.eq(m.floor()), out, math.nan)


def _riemann(power_of: Power, s: Num) -> Num:
    """The Euler-Maclaurin formula for s > -0.1, else the functional equation DLMF 25.4.2."""
    # Next to 0 the equation has a pole.
    left = s < -0.1
    t = where(left, 1.0 - s, s)
    right = _positive(power_of, where(t.eq(1.0) | ~(t < math.inf), 2.0, t), t.like(1.0))
    right = where(t.eq(1.0) | t.isnan(), math.inf + 0.0 * t, where(t > 60.0, 1.0, right))
    write = functools.partial(_mirrored, power_of)
    return where(left, if_any(left, write, [s, right], [right])[0], right)


def _mirrored(power_of: Power, s: Num, right: Num) -> list[Num]:
    """zeta(s) for s < -0.1 from that of 1 - s.

    With Gamma(1 - s) as a product of two (DLMF 5.5.5), that are within range with half of the
    power each.
    """
    whole = (0.5 * s).floor()
    sine, _ = sin_cos_pi(0.5 * s)
    sine = where((0.5 * whole).floor().ne(0.5 * whole), -sine, sine)
    t, lost = two_sum(1.0 - 0.0 * s, -s)
    first = 0.5 * t
    second, rest = two_sum(first, 0.5 + 0.0 * s)
    power = power_of(s.like(math.pi), maximum(-600.0, 0.5 * s))
    # What the arguments and pi have lost by rounding.
    slopes = 0.5 * lost * called("digamma", first), (0.5 * lost + rest) * called("digamma", second)
    moved = muladd(s, PI_REST, 1.0 + (slopes[0] + slopes[1]))
    product = (power * called("gamma", first)) * (power * called("gamma", second))
    out = sine * (math.pi**-1.5) * right * moved * product
    return [where(s.eq(-math.inf), math.nan, where(sine.eq(0.0), 0.0, out))]


def _with_power(fn: Callable[..., Num], x: Num) -> Callable[..., Num]:
    """``fn`` with powers of as many digits as the format of ``x`` has."""
    return functools.partial(fn, pow_of_positive if x.double else short_pow_of_positive)


def riemann_zeta(s: Num) -> Num:
    """sum over k >= 1 of k^-s, continued to all real s."""
    return in_double(_with_power(_riemann, s), s)


def zeta(s: Num, q: Num) -> Num:
    """sum over k >= 0 of (q + k)^-s."""
    return in_double(_with_power(_zeta, s), s, q)


def polygamma(m: Num, x: Num) -> Num:
    """The m-th derivative of digamma."""
    return in_double(_with_power(_polygamma, m), m, x)
