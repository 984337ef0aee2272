"""Derivatives of special functions by their parameters, of all orders, computed in double.

The sums, continued fractions and recurrences of the functions, with Taylor series in the
parameters in place of numbers (`jets`); those by the last argument shift the parameters first.

Incomplete beta function: the continued fraction DLMF 8.17.22, as R. J. Boik and J. F. Robison-Cox,
"Derivatives of the incomplete beta function", Journal of Statistical Software 3(1), 1998.
Incomplete gamma function: DLMF 8.7.1 and 8.9.2. 1F1: Kummer's series and transformation, the
expansion DLMF 13.7.1. 2F1: Gauss's series up to 0.9, the transformations of Pfaff and Euler, and
above 0.9 Taylor series of the solution of the hypergeometric equation (DLMF 15.10.1), one after the
other, each half as far from 1. E_n: the fraction DLMF 8.19.17, and the series DLMF 8.19.10, in
which what is infinite at whole n is taken together. Zeta functions: the Euler-Maclaurin formula
DLMF 25.11.28, the equation DLMF 25.4.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from covector.numerics.exponential import exp
from covector.numerics.gamma_function import called
from covector.numerics.incomplete_beta import factor as beta_factor
from covector.numerics.incomplete_beta import off_zero
from covector.numerics.incomplete_gamma import factor as gamma_factor
from covector.numerics.iteration import if_any
from covector.numerics.iteration import iterate as iterate_numbers
from covector.numerics.jets import (
    Jet,
    Orders,
    choose,
    exp_of_rest,
    gamma_of,
    iterate,
    log_gamma_rest,
    log_of,
    power_of,
    reciprocal_gamma,
    sin_pi,
    size,
    unsettled,
)
from covector.numerics.logarithm import log, log1p
from covector.numerics.num import Num, in_double, where
from covector.numerics.power import pow_
from covector.numerics.zeta import BERNOULLI, TERMS

EPS = 2.0**-54
MOST_ROUNDS = 20_000
NEAR_ONE = 0.9
Numbers = tuple[Num, ...]


def _whole(x: Num) -> Num:
    return (x <= 0.0) & x.eq(x.floor())


def _rising(x: Jet, n: int) -> Jet:
    """x (x + 1) … (x + n - 1)."""
    out = Jet.of(x.value.like(1.0), x.orders)
    for k in range(n):
        out = out * (x + float(k))
    return out


# --- the incomplete beta function ----------------------------------------------------------------


def _fraction(a: Jet, b: Jet, x: Num, going: Num) -> Jet:
    """The continued fraction after the factor x^a (1 - x)^b / (a B(a, b)), by Lentz's method."""
    total = a + b

    def off(j: Jet) -> Jet:
        return Jet(j.orders, {**j.terms, (0,) * len(j.orders): off_zero(j.value)})

    one = Jet.of(1.0 + 0.0 * x, a.orders)
    first = 1.0 / off(1.0 - total * x / (a + 1.0))

    def step(k: Num, c: Jet, d: Jet, h: Jet) -> tuple[list[Jet], Num]:
        twice = a + (k + k)
        even = (b - k) * (k * x) / ((twice - 1.0) * twice)
        d = 1.0 / off(even * d + 1.0)
        c = off(1.0 + even / c)
        h = h * (d * c)
        odd = -((a + k) * (total + k) * x / (twice * (twice + 1.0)))
        d = 1.0 / off(odd * d + 1.0)
        c = off(1.0 + odd / c)
        new = h * (d * c)
        return [c, d, new], unsettled(new - h, new, 4.0 * EPS)

    return iterate([one, first, first], going, step, MOST_ROUNDS)[2]


def _betainc(orders: Orders, a: Num, b: Num, x: Num) -> Num:
    by_a, by_b, by_x = orders
    inside = (x > 0.0) & (x < 1.0) & (a > 0.0) & (b > 0.0) & (a < math.inf) & (b < math.inf)
    p, q, t = where(inside, a, 1.0), where(inside, b, 1.0), where(inside, x, 0.5)
    end = x.eq(0.0) | x.eq(1.0)
    valid = (x >= 0.0) & (x <= 1.0) & (a > 0.0) & (b > 0.0)
    if by_x:
        # Of the density, x^(a - 1) (1 - x)^(b - 1) / B(a, b).
        left = (by_a, by_b, by_x - 1)
        pa, qb, tx = (Jet.of(v, left, k) for k, v in enumerate((p, q, t)))
        logs = (pa - 1.0) * log_of(tx, log(t)) + (qb - 1.0) * log_of(1.0 - tx, log1p(-t))
        rest = logs + log_gamma_rest(pa + qb) - log_gamma_rest(pa) - log_gamma_rest(qb)
        density = beta_factor(p, q, t, 1.0 - t) / (t * (1.0 - t))
        out = exp_of_rest(rest).derivative(left) * density
        # At an end it vanishes with a power there.
        zero = where(x.eq(0.0), a, b) > float(by_x)
        return where(inside, out, where(valid & end & zero, 0.0, a.like(math.nan)))
    jets = (by_a, by_b)
    pa, qb = Jet.of(p, jets, 0), Jet.of(q, jets, 1)
    swap = t > (p + 1.0) / (p + q + 2.0)
    logs = pa * log(t) + qb * log1p(-t)
    first, second = choose(swap, qb, pa), choose(swap, pa, qb)
    u, v = where(swap, 1.0 - t, t), where(swap, t, 1.0 - t)
    rest = logs + log_gamma_rest(pa + qb) - log_gamma_rest(pa) - log_gamma_rest(qb)
    part = exp_of_rest(rest) * beta_factor(first.value, second.value, u, v) / first
    out = (part * _fraction(first, second, u, inside)).derivative(jets)
    out = where(inside, where(swap, -out, out), math.nan)
    return where(valid & (end | a.eq(math.inf) | b.eq(math.inf)), 0.0, out)


# --- the incomplete gamma function ---------------------------------------------------------------


def _gamma_series(a: Jet, x: Num, going: Num) -> Jet:
    """The sum of x^k / ((a + 1) … (a + k))."""
    one = Jet.of(1.0 + 0.0 * x, a.orders)

    def step(k: Num, term: Jet, total: Jet) -> tuple[list[Jet], Num]:
        new = term * x / (a + k)
        return [new, total + new], unsettled(new, total, EPS)

    return iterate([one, one], going, step, MOST_ROUNDS)[1]


def _gamma_fraction(a: Jet, x: Num, going: Num) -> Jet:
    """The continued fraction DLMF 8.9.2 after the factor x^a e^-x / Gamma(a), by Lentz's method."""
    first = 1.0 / (-a + (x + 1.0))
    infinite = Jet.of(1e300 + 0.0 * x, a.orders)

    def step(k: Num, c: Jet, d: Jet, h: Jet) -> tuple[list[Jet], Num]:
        part = (a - k) * k
        b = -a + (x + 1.0 + (k + k))
        d = 1.0 / (part * d + b)
        c = part / c + b
        new = h * (c * d)
        return [c, d, new], unsettled(new - h, new, 4.0 * EPS)

    return iterate([infinite, first, first], going, step, MOST_ROUNDS)[2]


def _igamma(orders: Orders, a: Num, x: Num) -> Num:
    left, by_x = orders[:1], orders[1]
    inside = (x > 0.0) & (x < math.inf) & (a > 0.0) & (a < math.inf)
    p, t = where(inside, a, 1.0), where(inside, x, 1.0)
    ja = Jet.of(p, left, 0)
    # x^a e^-x / Gamma(a + 1): next to a = 0 the derivatives of log Gamma(a) would cancel.
    factor = exp_of_rest(ja * log(t) - log_gamma_rest(ja + 1.0)) * (gamma_factor(p, t) / p)
    if by_x:
        # Of the density, x^(a - 1) e^-x / Gamma(a).
        total, falling = Jet.of(t.like((-1.0) ** (by_x - 1)), left), Jet.of(t.like(1.0), left)
        for k in range(1, by_x):
            falling = falling * (ja - float(k)) / t
            total = total + falling * (math.comb(by_x - 1, k) * (-1.0) ** (by_x - 1 - k))
        zero = x.eq(math.inf) | (a > float(by_x))
        out = (factor * ja * total).derivative(left) / t
        return where(inside, out, where((x >= 0.0) & (a > 0.0) & zero, 0.0, a.like(math.nan)))
    rising = (t <= p) | (t <= 1.0)
    below = factor * _gamma_series(ja, t, inside & rising)
    far = where(rising, p + 1.0, t)
    above = factor * ja * _gamma_fraction(ja, far, inside & ~rising)
    out = choose(rising, below, -above).derivative(left)
    end = (x.eq(0.0) | x.eq(math.inf) | a.eq(math.inf)) & (x >= 0.0) & (a > 0.0)
    return where(inside, out, where(end, 0.0, a.like(math.nan)))


# --- hypergeometric functions --------------------------------------------------------------------


def _series(a: Jet, b: Jet | None, c: Jet, x: Num, going: Num) -> Jet:
    """The sum of (a)_k (b)_k / (c)_k x^k / k!, with (b)_k left out if ``b`` is None."""
    one = Jet.of(1.0 + 0.0 * x, a.orders)

    def step(k: Num, term: Jet, total: Jet, lost: Jet) -> tuple[list[Jet], Num]:
        j = k - 1.0
        factor = (a + j) / (c + j)
        if b is not None:
            factor = factor * (b + j)
        term = term * factor * (x / k)
        y = term + lost
        new = total + y
        growing = abs(a.value) + abs(c.value) > 2.0 * k
        more = unsettled(term, new, EPS) | (growing & (size(term) > 0.0))
        return [term, new, y - (new - total)], more

    zero = one.map(lambda t: 0.0 * t)
    return iterate([one, one, zero], going, step, MOST_ROUNDS)[1]


def _asymptotic(a: Jet, b: Jet, x: Num, going: Num) -> Jet:
    """The sum of (b - a)_k (1 - a)_k / (k! x^k), as long as its terms fall."""
    one = Jet.of(1.0 + 0.0 * x, a.orders)

    def step(k: Num, term: Jet, total: Jet) -> tuple[list[Jet], Num]:
        j = k - 1.0
        new = term * ((b - a + j) * (1.0 - a + j)) / (k * x)
        falling = (k < 3.0) | (size(new) < size(term))
        return [new, total + new], unsettled(new, total, EPS) & falling

    return iterate([one, one], going, step, 200)[1]


def _hyp1f1(orders: Orders, a: Num, b: Num, x: Num) -> Num:
    *jets, by_x = orders
    left = tuple(jets)
    ja, jb = Jet.of(a, left, 0), Jet.of(b, left, 1)
    # DLMF 13.3.16.
    scale = _rising(ja, by_x) / _rising(jb, by_x)
    ja, jb = ja + float(by_x), jb + float(by_x)
    turn = x < 0.0
    jp = choose(turn, jb - ja, ja)
    p, z = jp.value, abs(x)
    bad = _whole(b)
    great = (z > 40.0 + 4.0 * (abs(jb.value - p) + abs(1.0 - p))) & ~bad
    if not left[0]:
        # Polynomials stay what they are when ``b`` alone varies.
        great = great & ~(_whole(p) & ~turn)
    inside = (z < math.inf) & ~bad & ~(a.isnan() | b.isnan())
    going = inside & ~great
    near = _series(jp, None, jb, where(going, z, 0.5), going)
    near = near * where(turn, exp(-z), 1.0)

    def expansion(a: Num, b: Num, x: Num, great: Num) -> list[Num]:
        # In the branch everything is made of its own inputs.
        ja, jb = Jet.of(a, left, 0) + float(by_x), Jet.of(b, left, 1) + float(by_x)
        turn = x < 0.0
        jp = choose(turn, jb - ja, ja)
        p, w = jp.value, where(great, abs(x), 100.0)
        small = (abs(jb.value) < 170.0) & (abs(p) < 170.0)
        up, down = choose(small, jb, jb + (where(small, p.like(0.0), 1.0) - jb.value)), p
        direct = gamma_of(up) * reciprocal_gamma(jp + where(small, 0.0, 1.0 - down))
        logs = exp_of_rest(log_gamma_rest(jb) - log_gamma_rest(jp)) * _sized(jb.value, p)
        ratio = choose(small, direct, logs)
        root = exp(0.5 * where(turn, 0.0, w))
        powers = power_of(w, log(w), jp - jb)
        out = ratio * root * (powers * root) * _asymptotic(jp, jb, w, great)
        return out.dense()

    active = great & inside
    far = if_any(active, expansion, [a, b, x, active], near.dense())
    out = choose(active, Jet(left, dict(zip(near.powers(), far, strict=True))), near)
    return where(inside, (scale * out).derivative(left), math.nan)


def _sized(b: Num, a: Num) -> Num:
    """Gamma(b) / Gamma(a) by logarithms."""
    size = exp(called("lgamma", b) - called("lgamma", a))
    return where(_odd(a) ^ _odd(b), -size, size)


def _odd(x: Num) -> Num:
    """Whether Gamma is negative there."""
    whole = x.floor()
    return (x < 0.0) & (0.5 * whole).floor().ne(0.5 * whole)


def _stepped(a: Jet, b: Jet, c: Jet, y: Num, going: Num) -> Jet:
    """F(a, b; c; 1 - y) for small y, by Taylor series from point to point."""
    orders = a.orders
    n = len(a.powers())
    start = Jet.of(1.0 - NEAR_ONE + 0.0 * y, orders)
    z0 = NEAR_ONE + 0.0 * y
    value = _series(a, b, c, z0, going)
    slope = _series(a + 1.0, b + 1.0, c + 1.0, z0, going) * (a * b / c)
    trace = a + b + 1.0

    def move(k: Num, *flat: Num) -> tuple[list[Num], Num]:
        now = flat[0]
        f, g = (
            Jet(orders, dict(zip(a.powers(), flat[k : k + n], strict=True))) for k in (1, n + 1)
        )
        next_ = where(0.5 * now > y, 0.5 * now, y)
        h = where(now > y, now - next_, 0.25 * now)
        z = 1.0 - now
        ratio, square = h / (z * now), h * h / (z * now)
        fall = c - trace * z

        def term(k: Num, v: Jet, w: Jet, total: Jet, along: Jet) -> tuple[list[Jet], Num]:
            # v and w are terms k - 1 and k.
            i = k - 1.0
            new = v * ((a + i) * (b + i)) * (square / (k * (k + 1.0)))
            new = new - w * (fall + (1.0 - 2.0 * z) * i) * (ratio / (k + 1.0))
            rise = new * (k + 1.0)
            total, more = total + new, unsettled(new, total + new, EPS)
            along = along + rise
            return [w, new, total, along], more | unsettled(rise, along, EPS) | (k < 3.0)

        first = g * h
        _, _, value, slope = iterate([f, first, f + first, first], now > y, term, 400)
        return [next_, *value.dense(), *(slope / h).dense()], next_ > y

    out = iterate_numbers(
        [start.value, *value.dense(), *slope.dense()], going & (start.value > y), move, 1100
    )
    return Jet(orders, dict(zip(a.powers(), out[1 : n + 1], strict=True)))


def _hyp2f1(orders: Orders, a: Num, b: Num, c: Num, x: Num) -> Num:
    *jets, by_x = orders
    left = tuple(jets)
    ja, jb, jc = (Jet.of(v, left, k) for k, v in enumerate((a, b, c)))
    # DLMF 15.5.2.
    scale = _rising(ja, by_x) * _rising(jb, by_x) / _rising(jc, by_x)
    ja, jb, jc = ja + float(by_x), jb + float(by_x), jc + float(by_x)
    bad = _whole(jc.value) | a.isnan() | b.isnan() | c.isnan() | x.isnan()
    # Polynomials, whose degree does not vary, stay what they are, beyond 1 too.
    never = x.ne(x) & x.eq(x)
    by_b = never if left[1] else _whole(jb.value)
    ja, jb = choose(by_b, jb, ja), choose(by_b, ja, jb)
    ends = ((by_b if left[0] else by_b | _whole(ja.value)) & (abs(x) < math.inf)) & ~bad
    negative = (x < 0.0) & ~ends
    inside = (x < 1.0) & (x > -math.inf) & ~bad & ~ends
    t = where(inside, x, 0.5)
    # Pfaff (DLMF 15.8.1).
    second = choose(negative, jc - jb, jb)
    z, y = where(negative, t / (t - 1.0), t), where(negative, 1.0 / (1.0 - t), 1.0 - t)
    power = power_of(1.0 - where(negative, t, 0.0), log1p(-where(negative, t, 0.0)), -ja)
    d = jc - ja - second
    # Euler: the power that is infinite at 1 is gone.
    turn = (d.value < 0.0) & (z > 0.5) & ~ends
    again = power_of(y, where(negative, -log1p(-t), log1p(-t)), d)
    power = choose(turn, power * again, power)
    p, q = choose(turn, jc - ja, ja), choose(turn, jc - second, second)
    close = (z > NEAR_ONE) & ~ends
    near = (inside & ~close) | ends
    out = _series(p, q, jc, where(ends, x, where(near, z, 0.5)), near)
    n = len(p.powers())

    def steps(*flat: Num) -> list[Num]:
        p, q, r = (
            Jet(left, dict(zip(out.powers(), flat[k : k + n], strict=True))) for k in (0, n, 2 * n)
        )
        y, going = flat[-2:]
        return _stepped(p, q, r, y, going).dense()

    going = inside & close
    given = [*p.dense(), *q.dense(), *jc.dense(), where(going, y, 0.05), going]
    stepped = if_any(going, steps, given, out.dense())
    out = choose(close, Jet(left, dict(zip(out.powers(), stepped, strict=True))), out)
    result = (scale * power * out).derivative(left)
    at_one = x.eq(1.0) & ~bad & ~ends

    def sums(a: Num, b: Num, c: Num) -> list[Num]:
        # Gauss's sum (DLMF 15.4.20).
        ja, jb, jc = (Jet.of(v, left, k) for k, v in enumerate((a, b, c)))
        scale = _rising(ja, by_x) * _rising(jb, by_x) / _rising(jc, by_x)
        ja, jb, jc = ja + float(by_x), jb + float(by_x), jc + float(by_x)
        d = jc - ja - jb
        down = reciprocal_gamma(jc - ja) * reciprocal_gamma(jc - jb)
        out = (scale * gamma_of(jc) * gamma_of(d) * down).derivative(left)
        return [where(d.value > 0.0, out, math.nan)]

    result = where(at_one, if_any(at_one, sums, [a, b, c], [result])[0], result)
    return where(inside | at_one | ends, result, math.nan)


# --- exponential integrals -----------------------------------------------------------------------


def _even_zeta(k: int) -> float:
    """zeta(2 k): DLMF 25.6.2, and its sum."""
    if k <= len(BERNOULLI):
        return abs(BERNOULLI[k - 1]) * (2.0 * math.pi) ** (2 * k) / 2.0
    return math.fsum(j ** (-2.0 * k) for j in range(1, 20))


def _expn_near(n: Num, x: Num, orders: Orders, going: Num) -> Jet:
    """The series DLMF 8.19.10 for whole n > 0 and x <= 1."""
    (order,) = orders
    top = n - 1.0
    # One order more, for a quotient by the distance from n.
    more = (order + 1,)
    e = Jet.of(0.0 * x, more, 0)
    logs = e * log(x) - log_gamma_rest(e + n)
    square = e * e
    power = square
    for k in range(1, order // 2 + 2):
        # Of pi e / sin(pi e).
        logs, power = logs + power * (_even_zeta(k) / k), power * square
    g = exp_of_rest(logs)
    factor = exp(top * log(x) - called("lgamma", n))
    factor = where((0.5 * top).floor().ne(0.5 * top), factor, -factor)
    pole = Jet(orders, {(k,): g.terms[(k + 1,)] * factor for k in range(order + 1)})
    d = Jet.of(0.0 * x, orders, 0)

    def step(k: Num, power: Jet, total: Jet) -> tuple[list[Jet], Num]:
        power = power * (-x / k)
        here = top.eq(k)
        term = power / (d + where(here, 1.0, top - k))
        term = term.map(lambda t: where(here, 0.0, t))
        return [power, total + term], unsettled(term, total, EPS) | here

    one = Jet.of(1.0 + 0.0 * x, orders)
    first = (one / (d + where(top.eq(0.0), 1.0, top))).map(lambda t: where(top.eq(0.0), 0.0, t))
    return iterate([one, first], going, step, 60)[1] + pole


def _expn_far(n: Num, x: Num, orders: Orders, going: Num) -> Jet:
    """The continued fraction DLMF 8.19.17 by Steed's sum."""
    m = Jet.of(n, orders, 0)
    start = m + x
    first = 1.0 / start

    def step(k: Num, d: Jet, term: Jet, total: Jet) -> tuple[list[Jet], Num]:
        a = (m + (k - 1.0)) * k
        new = 1.0 / (start + (k + k) - a * d)
        term = a * d * new * term
        return [new, term, total + term], unsettled(term, total, EPS)

    return iterate([first, first, first], going, step, MOST_ROUNDS)[2] * exp(-x)


def _expn(orders: Orders, n: Num, x: Num) -> Num:
    left, by_x = orders[:1], orders[1]
    # DLMF 8.19.13.
    m = n - float(by_x)
    valid = n.eq(n.floor()) & (x >= 0.0)
    inside = valid & (x > 0.0) & (x < math.inf) & (abs(m) < math.inf)
    z = where(inside, x, 2.0)
    base = where(inside & (m > 1.0), m, 1.0)
    high = z > 1.0
    far = _expn_far(base, where(high, z, 2.0), left, high & inside)
    near = _expn_near(base, where(high, 0.5, z), left, ~high & inside)
    out = choose(high, far, near)
    e = exp(-z)

    def down(k: Num, total: Jet) -> tuple[list[Jet], Num]:
        # From E_(2 - k) to E_(1 - k): DLMF 8.19.12.
        order = Jet.of(k - 1.0, left)
        variable = Jet.of(0.0 * z, left, 0)
        return [((order - variable) * total + e) / z], m < 1.0 - k

    out = iterate([out], inside & (m < 1.0), down, MOST_ROUNDS)[0]
    sign = -1.0 if by_x % 2 else 1.0
    result = out.derivative(left) * sign
    # At 0 the power 1 / (n - 1).
    (order,) = left
    at_zero = (-1.0) ** order * math.factorial(order) / _powers(m - 1.0, order + 1)
    at_zero = where(m > 1.0, at_zero, math.inf * (-1.0) ** order) * sign
    result = where(x.eq(0.0), at_zero, result)
    result = where(x.eq(math.inf) | n.eq(math.inf), 0.0, result)
    return where(valid, result, math.nan)


def _powers(x: Num, n: int) -> Num:
    out = x
    for _ in range(n - 1):
        out = out * x
    return out


# --- zeta functions ------------------------------------------------------------------------------


def _euler_maclaurin(s: Jet, q: Num, going: Num) -> Jet:
    """zeta(s, q) for q > 0, s > -1 and not 1."""
    zero = Jet.of(0.0 * q, s.orders)

    def step(k: Num, total: Jet) -> tuple[list[Jet], Num]:
        base = q + (k - 1.0)
        return [total + power_of(base, log(base), -s)], k < float(TERMS)

    (total,) = iterate([zero], going, step, TERMS)
    a = q + float(TERMS)
    power = power_of(a, log(a), -s)
    total = total + power * (1.0 / (s - 1.0) * a + 0.5)
    inverse = 1.0 / a
    term = power * s * inverse
    for j, c in enumerate(BERNOULLI):
        total = total + term * c
        factor = (s + float(2 * j + 1)) * (s + float(2 * j + 2))
        term = term * factor * (inverse * inverse)
    return total


def _zeta(orders: Orders, s: Num, q: Num) -> Num:
    left, by_q = orders[:1], orders[1]
    inside = (s > 1.0) & (q > 0.0) & (s < math.inf) & (q < math.inf)
    js = Jet.of(where(inside, s, 2.0), left, 0)
    scale = _rising(js, by_q) * (-1.0) ** by_q
    out = scale * _euler_maclaurin(js + float(by_q), where(inside, q, 1.0), inside)
    vanishes = ((s > 1.0) & q.eq(math.inf)) | (s.eq(math.inf) & (q >= 1.0))
    return where(inside, out.derivative(left), where(vanishes, 0.0, s.like(math.nan)))


def _riemann(orders: Orders, s: Num) -> Num:
    inside = (abs(s) < math.inf) & s.ne(1.0)
    js = Jet.of(where(inside, s, 2.0), orders, 0)
    left = js.value < -0.5
    t = choose(left, 1.0 - js, js)
    one = 1.0 + 0.0 * s
    right = _euler_maclaurin(t, one, inside)
    # 2 (2 pi)^(s - 1) sin(pi s / 2) Gamma(1 - s) zeta(1 - s), of which the power and the gamma
    # function may be out of range before their product is.
    far = where(left, t.value, 1.0)
    half = pow_(one * (2.0 * math.pi), 0.5 * (js.value - 1.0))
    few = far < 170.0
    sized = half * called("gamma", where(few, far, 1.0)) * half
    logs = exp(called("lgamma", far) + (js.value - 1.0) * math.log(2.0 * math.pi))
    moved = exp_of_rest(js * math.log(2.0 * math.pi) + log_gamma_rest(t))
    mirror = moved * (where(few, sized, logs) * 2.0) * right * sin_pi(0.5 * js)
    out = choose(left, mirror, right).derivative(orders)
    return where(inside, out, where(s.eq(math.inf), 0.0, s.like(math.nan)))


def _written(fn: Callable[..., Num]) -> Callable[..., Num]:
    def partial(*args: Num, orders: Orders) -> Num:
        return in_double(lambda *xs: fn(orders, *xs), *args)

    return partial


betainc = _written(_betainc)
igamma = _written(_igamma)
hyp1f1 = _written(_hyp1f1)
hyp2f1 = _written(_hyp2f1)
expn = _written(_expn)
zeta = _written(_zeta)
riemann_zeta = _written(_riemann)
