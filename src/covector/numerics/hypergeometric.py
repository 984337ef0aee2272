"""Confluent and Gauss's hypergeometric functions of real arguments, computed in double.

1F1: Kummer's series, after his transformation for x < 0; the expansion DLMF 13.7.1 for great x.
2F1: Gauss's series on [0, 0.9], Pfaff's transformation (DLMF 15.8.1) for x < 0, and above 0.9 the
transformations to 1 - x (DLMF 15.8.4, and 15.8.10 where c - a - b is whole).
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp
from covector.numerics.gamma_function import called
from covector.numerics.iteration import if_any, iterate
from covector.numerics.logarithm import log
from covector.numerics.num import Num, in_double, where
from covector.numerics.power import pow_

EPS = 2.0**-53
MOST_ROUNDS = 5000
EULER = 0.5772156649015329
# From where on x - 1 is the better variable.
NEAR_ONE = 0.9


def _whole(x: Num) -> Num:
    return (x <= 0.0) & x.eq(x.floor())


def _series(a: Num, b: Num | None, c: Num, x: Num, going: Num) -> Num:
    """The sum of (a)_k (b)_k / (c)_k x^k / k!, with (b)_k left out if ``b`` is None."""
    one = x.like(1.0) + 0.0 * x

    def step(k: Num, term: Num, total: Num, rest: Num) -> tuple[list[Num], Num]:
        j = k - 1.0
        factor = (a + j) / (c + j)
        if b is not None:
            factor = factor * (b + j)
        term = where((a + j).eq(0.0), 0.0, term * factor * (x / k))
        y = term + rest
        new = total + y
        # Terms may grow before they fall, and be 0 for one whole number a or b.
        growing = abs(a) + abs(c) > 2.0 * k
        return [term, new, y - (new - total)], (abs(term) > EPS * abs(new)) | (
            growing & term.ne(0.0)
        )

    return iterate([one, one, 0.0 * one], going, step, MOST_ROUNDS)[1]


def _asymptotic(a: Num, b: Num, x: Num, going: Num) -> Num:
    """The sum of (b - a)_k (1 - a)_k / (k! x^k), as long as its terms fall."""
    one = x.like(1.0) + 0.0 * x

    def step(k: Num, term: Num, total: Num) -> tuple[list[Num], Num]:
        j = k - 1.0
        new = term * ((b - a + j) * (1.0 - a + j)) / (k * x)
        return [new, total + new], (abs(new) > EPS * abs(total)) & (abs(new) < abs(term))

    return iterate([one, one], going, step, 200)[1]


def _hyp1f1(a: Num, b: Num, x: Num) -> Num:
    negative = x < 0.0
    # Polynomials are left as they are.
    turn = negative & ~_whole(a)
    p, z = where(turn, b - a, a), where(turn, -x, x)
    finite = abs(z) < math.inf
    bad = _whole(b) & ~(_whole(a) & (a >= b))
    great = (z > 40.0 + 4.0 * (abs(b - p) + abs(1.0 - p))) & ~_whole(p) & ~bad
    inside = finite & ~bad
    near = _series(p, None, b, where(inside & ~great, z, 0.5), inside & ~great)
    w = where(great & finite, z, 100.0)
    sign = where(_odd(b), -1.0, x.like(1.0)) * where(_odd(p), -1.0, x.like(1.0))

    def expansion(b: Num, p: Num, w: Num, sign: Num, turn: Num, going: Num) -> list[Num]:
        # With the powers in logarithms, where they overflow before their product does.
        small = (abs(b) < 170.0) & (abs(p) < 170.0)
        ratio = called("gamma", where(small, b, 1.0)) / called("gamma", where(small, p, 1.0))
        root = exp(0.5 * where(turn, 0.0, w))
        direct = ratio * root * (pow_(w, p - b) * root)
        logs = (
            sign
            * exp(called("lgamma", b) - called("lgamma", p) + where(turn, 0.0, w))
            * pow_(w, p - b)
        )
        return [where(small, direct, logs) * _asymptotic(p, b, w, going)]

    far = if_any(great, expansion, [b, p, w, sign, turn, great & finite], [near])[0]
    # The factor e^x of the transformation meets that of the expansion.
    out = where(great, far, where(turn, if_any(turn, lambda x: [exp(x)], [x], [x])[0] * near, near))
    end = where(turn, where(a > 0.0, 0.0, math.inf * sign), math.inf * sign)
    out = where(finite, out, where(_whole(a), where(_odd(-a) & negative, -end, end), end))
    out = where(x.eq(0.0) | a.eq(0.0), 1.0, where(bad, math.inf, out))
    return where(a.isnan() | b.isnan() | x.isnan(), math.nan, out)


def _odd(x: Num) -> Num:
    """Whether Gamma is negative there."""
    whole = x.floor()
    return (x < 0.0) & (0.5 * whole).floor().ne(0.5 * whole)


def _reciprocal(x: Num) -> Num:
    return where(_whole(x), 0.0, 1.0 / called("gamma", where(_whole(x), 1.0, x)))


def _near_one(a: Num, b: Num, c: Num, y: Num, going: Num) -> Num:
    """F at 1 - y by DLMF 15.8.4, for c - a - b > 0 that is no whole number."""
    d = c - a - b
    first = _series(a, b, 1.0 - d, y, going) * (
        called("gamma", d) * _reciprocal(c - a) * _reciprocal(c - b)
    )
    second = _series(c - a, c - b, 1.0 + d, y, going)
    second = second * (called("gamma", -d) * _reciprocal(a) * _reciprocal(b)) * pow_(y, d)
    return called("gamma", c) * (first + second)


def _with_logarithm(a: Num, b: Num, m: Num, y: Num, going: Num) -> Num:
    """F(a, b; a + b + m; 1 - y) for whole m >= 0 (DLMF 15.8.10)."""
    one = y.like(1.0) + 0.0 * y

    def finite(k: Num, term: Num, total: Num) -> tuple[list[Num], Num]:
        j = k - 1.0
        term = term * ((a + j) * (b + j) / ((m - k) * k) * -y)
        return [term, total + term], k + 1.0 < m

    start = where(m > 0.0, one, 0.0)
    first = iterate([start, start], going & (m > 1.0), finite, 200)[1]
    first = (
        first * called("gamma", where(m > 0.0, m, 1.0)) * _reciprocal(a + m) * _reciprocal(b + m)
    )
    # The bracket goes on by the recurrence of the digamma function.
    logs = (
        log(y)
        + EULER
        - called("digamma", m + 1.0)
        + called("digamma", a + m)
        + called("digamma", b + m)
    )

    def infinite(k: Num, term: Num, logs: Num, total: Num) -> tuple[list[Num], Num]:
        j = k - 1.0
        p, q, r = a + m + j, b + m + j, m + k
        term = term * (p * q / (k * r) * y)
        logs = logs + (1.0 / p + 1.0 / q - 1.0 / k - 1.0 / r)
        change = term * logs
        return [term, logs, total + change], abs(change) > EPS * abs(total)

    scale = 1.0 / called("gamma", m + 1.0)
    second = iterate([scale, logs, scale * logs], going, infinite, 500)[2]
    odd = (m * 0.5).floor().ne(m * 0.5)
    sign = where(odd, -1.0, one)
    second = second * sign * pow_(y, m) * _reciprocal(a) * _reciprocal(b)
    return called("gamma", a + b + m) * (first - second)


def _reduced(a: Num, b: Num, c: Num, z: Num, y: Num) -> Num:
    """F(a, b; c; z) for 0 <= z < 1 with y = 1 - z, where a and b are no whole numbers <= 0."""
    d = c - a - b
    # Euler's transformation (DLMF 15.8.1): from here on the power that is infinite at 1 is gone.
    turn = (d < 0.0) | _whole(c - a) | _whole(c - b)
    powers = if_any(turn, lambda y, d, turn: [pow_(y, where(turn, d, 0.0))], [y, d, turn], [y])[0]
    factor = where(turn, powers, 1.0)
    a, b = where(turn, c - a, a), where(turn, c - b, b)
    d = abs(where(turn & (d > 0.0), 0.25, d))
    nearest = (d + 0.5).floor()
    ends = _whole(a) | _whole(b)
    close = (z > NEAR_ONE) & ~ends
    whole = close & (abs(d - nearest) < 1e-8)
    split = close & ~whole
    first, other = where(_whole(b), b, a), where(_whole(b), a, b)
    out = _series(first, other, c, where(close, 0.5, z), ~close)

    # Elsewhere parameters with which nothing happens.
    apart = [where(split, x, o) for x, o in ((a, 0.3), (b, 0.4), (c, 1.0), (y, 0.05))]
    near = if_any(split, lambda *xs: [_near_one(*xs)], [*apart, split], [out])[0]
    equal = [where(whole, x, o) for x, o in ((a, 0.3), (b, 0.4), (nearest, 1.0), (y, 0.05))]
    logs = if_any(whole, lambda *xs: [_with_logarithm(*xs)], [*equal, whole], [out])[0]
    return factor * where(split, near, where(whole, logs, out))


def _at_one(a: Num, b: Num, c: Num) -> list[Num]:
    """Gauss's sum (DLMF 15.4.20)."""
    d = c - a - b
    out = called("gamma", c) * called("gamma", d) * _reciprocal(c - a) * _reciprocal(c - b)
    return [where(d > 0.0, out, math.inf)]


def _hyp2f1(a: Num, b: Num, c: Num, x: Num) -> Num:
    finished = _whole(a) | _whole(b)
    negative = (x < 0.0) & ~finished
    bad = _whole(c) & ~((_whole(a) & (a >= c)) | (_whole(b) & (b >= c)))
    # Pfaff: the series of one sign, where there is such.
    second = where(negative, c - b, b)
    z = where(negative, x / (x - 1.0), x)
    y = where(negative, 1.0 / (1.0 - x), 1.0 - x)
    inside = (z < 1.0) & ~finished & ~bad & (x > -math.inf)
    p, q, r = where(inside, a, 0.3), where(inside, second, 0.4), where(inside, c, 1.5)
    out = _reduced(p, q, r, where(inside, z, 0.5), where(inside, y, 0.5))
    first, other = where(_whole(b), b, a), where(_whole(b), a, b)
    polynomial = finished & ~bad
    one = z.eq(1.0) | x.eq(-math.inf)
    sums = _series(first, other, c, where(polynomial, x, 0.5), polynomial)
    out = where(one, if_any(one, _at_one, [a, second, c], [out])[0], out)
    powers = if_any(negative, lambda x, a: [pow_(1.0 - x, -a)], [x, a], [out])[0]
    out = where(negative, out * powers, out)
    out = where(finished, sums, where((x > 1.0) | bad, math.inf, out))
    out = where(bad, math.inf, out)
    out = where(x.eq(0.0) | a.eq(0.0) | b.eq(0.0), 1.0, out)
    return where(a.isnan() | b.isnan() | c.isnan() | x.isnan(), math.nan, out)


def hyp1f1(a: Num, b: Num, x: Num) -> Num:
    """Kummer's M(a, b, x)."""
    return in_double(_hyp1f1, a, b, x)


def hyp2f1(a: Num, b: Num, c: Num, x: Num) -> Num:
    """Gauss's F(a, b; c; x)."""
    return in_double(_hyp2f1, a, b, c, x)
