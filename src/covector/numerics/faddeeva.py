"""The Faddeeva function w(x + iy) = e^(-z^2) erfc(-iz), computed in double.

Midpoint and trapezoidal rules for its integral, with the residues of the poles beside the real
line: M. Al Azah and S. N. Chandler-Wilde, "Computation of the complex error function using
modified trapezoidal rules", SIAM J. Numer. Anal. 59 (2021). Each part is a sum of terms of one
sign, as far as there are such.
"""

from __future__ import annotations

import math

from covector.numerics.exponential import exp, exp_fraction_pair, scale
from covector.numerics.num import (
    Num,
    in_double,
    maximum,
    minimum,
    muladd,
    two_prod,
    two_sum,
    where,
)
from covector.numerics.trigonometric import cos, sin

TERMS = 11
STEP = math.sqrt(math.pi / (TERMS + 1))
# From here on w(z) is i / (sqrt(pi) z).
FAR = 2.0**27


def _power(x: Num, y: Num) -> tuple[Num, Num]:
    """Real part of e^(-z^2), and minus its imaginary part, for x, y >= 0."""
    (s, sl), (t, tl) = two_prod(x, x), two_prod(y, y)
    d, dl = two_sum(t, -s)
    inside = abs(d) < 800.0
    n, e, el = exp_fraction_pair(where(inside, d, 0.0), where(inside, dl + (tl - sl), 0.0))
    size = where(inside, scale(e + el, n), where(d > 0.0, math.inf, 0.0 * d))
    p, pl = two_prod(x + x, y)
    c, k = cos(p), sin(p)
    # A phase of 0 leaves nothing of an infinite size.
    real, imag = muladd(-pl, k, c), muladd(pl, c, k)
    return size * real, where(imag.eq(0.0), imag, size * imag)


def _sum(x: Num, y: Num, shifted: Num) -> tuple[Num, Num]:
    """The sum over nodes (k + 1/2) h, or k h where not ``shifted``."""
    square = x * x + y * y
    # The trapezoidal rule has half a node at 0; 1 / z is (x - iy) / |z|^2.
    first = 0.5 / square
    real, imag = where(shifted, 0.0, y * first), where(shifted, 0.0, x * first)
    y2 = y * y
    for k in range(TERMS + 1):
        mid, trap = (k + 0.5) * STEP, (k or 1) * STEP
        node = where(shifted, x.like(mid), trap)
        weight = where(shifted, x.like(math.exp(-mid * mid)), math.exp(-trap * trap) if k else 0.0)
        t2 = node * node
        low, high = x - node, x + node
        ratio = weight / (muladd(low, low, y2) * muladd(high, high, y2))
        real = muladd(y * (square + t2), ratio, real)
        imag = muladd(x * (low * high + y2), ratio, imag)
    factor = 2.0 * STEP / math.pi
    return factor * real, factor * imag


def _residue(x: Num, y: Num, shifted: Num) -> tuple[Num, Num]:
    """2 / (1 + e^(-2 pi i z / h)), or with a minus where not ``shifted``."""
    turns = x / STEP
    angle = (2.0 * math.pi) * (turns - turns.floor())
    c, s = cos(angle), sin(angle)
    sign = where(shifted, x.like(1.0), -1.0)
    e = sign * exp((2.0 * math.pi / STEP) * minimum(50.0, y))
    scale = 2.0 / muladd(e, e, muladd(2.0 * e, c, 1.0))
    return scale * muladd(e, c, 1.0), scale * (e * s)


def _quadrant(x: Num, y: Num, power: tuple[Num, Num]) -> tuple[Num, Num]:
    """w for x, y >= 0."""
    far = maximum(x, y) > FAR
    u, v = where(far, 1.0, x), where(far, 1.0, y)
    turns = u / STEP
    phase = turns - turns.floor()
    shifted = ~((v < u) & (phase >= 0.25) & (phase <= 0.75))
    real, imag = _sum(u, v, shifted)
    a, b = _residue(u, v, shifted)
    poles = ~((v >= math.pi / STEP) & (v >= u)) & (power[0].eq(power[0])) & ~far
    p, q = where(poles, power[0], 0.0), where(poles, power[1], 0.0)
    real = real + (p * a + q * b)
    imag = imag + (p * b - q * a)
    top = maximum(x, y)
    xs, ys = x / top, y / top
    d = 1.0 / (math.sqrt(math.pi) * muladd(xs, xs, ys * ys))
    return where(far, ys * d / top, real), where(far, xs * d / top, imag)


def _wofz(x: Num, y: Num) -> tuple[Num, Num]:
    # Infinities are numbers beyond every other.
    a, b = minimum(1e300, abs(x)), minimum(1e300, abs(y))
    power = _power(minimum(1e100, a), minimum(1e100, b))
    real, imag = _quadrant(a, b, power)
    below = y < 0.0
    real = where(below, 2.0 * power[0] - real, real)
    # Below the real line the phase 2xy has changed its sign.
    imag = where(below, 2.0 * power[1] + imag, imag)
    return real, where(x < 0.0, -imag, imag)


def wofz_re(x: Num, y: Num) -> Num:
    """The real part."""
    return in_double(lambda x, y: _wofz(x, y)[0], x, y)


def wofz_im(x: Num, y: Num) -> Num:
    """The imaginary part."""
    return in_double(lambda x, y: _wofz(x, y)[1], x, y)
