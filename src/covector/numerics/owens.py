"""Owen's T function, computed in double: D. B. Owen, Ann. Math. Statist. 27, 1956."""

from __future__ import annotations

import math

from covector.numerics.exponential import exp_fraction_pair, exp_normal, scale
from covector.numerics.normal import ndtr
from covector.numerics.num import Num, in_double, maximum, minimum, two_prod, where

# Gauss-Legendre quadrature on [0, 1].
NODES = (
    0.00240639000148932, 0.012635722014345251, 0.030862723998633622, 0.056792236497799485,
    0.08999900701304854, 0.12993790421072282, 0.17595317403151223, 0.22728926430558022,
    0.2831032461869774, 0.3424786601519183, 0.40444056626319186, 0.4679715535686972,
    0.5320284464313028, 0.5955594337368082, 0.6575213398480817, 0.7168967538130225,
    0.7727107356944197, 0.8240468259684878, 0.8700620957892772, 0.9100009929869515,
    0.9432077635022005, 0.9691372760013663, 0.9873642779856547, 0.9975936099985107,
)  # fmt: skip
WEIGHTS = (
    0.0061706148999936, 0.014265694314466832, 0.022138719408709904, 0.02964929245771839,
    0.03667324070554015, 0.04309508076597664, 0.04880932605205694, 0.05372213505798282,
    0.0577528340268628, 0.060835236463901696, 0.06291872817341415, 0.06396909767337608,
    0.06396909767337608, 0.06291872817341415, 0.060835236463901696, 0.0577528340268628,
    0.05372213505798282, 0.04880932605205694, 0.04309508076597664, 0.03667324070554015,
    0.02964929245771839, 0.022138719408709904, 0.014265694314466832, 0.0061706148999936,
)  # fmt: skip
# e^(-u^2 / 2) beyond does not count.
END = 8.8


def _at_most_one(h: Num, a: Num) -> Num:
    """The integral that defines it, over [0, a]."""
    h = minimum(40.0, h)
    end = where(h * a > END, END / maximum(END, h), a)
    total = 0.0 * end
    u = h * end
    factor = -0.5 * u * u
    square = end * end
    for x, w in zip(NODES, WEIGHTS, strict=True):
        total = total + w * exp_normal(factor * (x * x)) / (1.0 + square * (x * x))
    s, sl = two_prod(h, h)
    n, e, el = exp_fraction_pair(-0.5 * s, -0.5 * sl)
    return scale((e + el) * (total * end) * (0.5 / math.pi), n)


def _owens_t(h: Num, a: Num) -> Num:
    p, b = abs(h), abs(a)
    over = b > 1.0
    hb = where(p.eq(0.0), 0.0, p * b)
    first = where(over, hb, p)
    inner = _at_most_one(first, where(over, 1.0 / b, b))
    # Owen (1956): T(h, a) + T(ah, 1/a) = (Q(h) + Q(ah)) / 2 - Q(h) Q(ah).
    q, r = ndtr(-p), ndtr(-hb)
    outer = 0.5 * (q + r) - q * r - inner
    out = where(over, outer, inner)
    return where(h.isnan() | a.isnan(), math.nan, out).copysign(a)


def owens_t(h: Num, a: Num) -> Num:
    """The integral of e^(-h^2 (1 + x^2) / 2) / (2 pi (1 + x^2)) from 0 to a."""
    return in_double(_owens_t, h, a)
