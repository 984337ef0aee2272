"""Special functions of the distributions, in forms that keep their digits in the tails.

Arguments are floats of one dtype, single or double. A branch not taken is given an argument of
its own range, so that derivatives of every order are finite where the function is smooth.
"""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.random._tails import _mills
from covector.scipy.special import log_ndtr as log_ndtr
from covector.scipy.special import ndtr as ndtr
from covector.scipy.special import ndtri as ndtri

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
# From here on Stirling's series has all digits of double precision.
_STIRLING = 10.0
_LEVELS = 40


def exp_log(x: Any) -> Any:
    """exp(x), whose slope where x is -inf is 0, whatever that of x."""
    zero = x == -math.inf
    return cnp.where(zero, 0.0, cnp.exp(cnp.where(zero, 0.0, x)))


def xlogy(x: Any, y: Any) -> Any:
    """x log(y), and 0 where x is 0; where the logarithm is infinite, of slope 0."""
    return _x_log(cnp.log, x, y, 0.0, 1.0)


def xlog1py(x: Any, y: Any) -> Any:
    """x log(1 + y), and 0 where x is 0; where the logarithm is infinite, of slope 0."""
    return _x_log(cnp.log1p, x, y, -1.0, 0.0)


def _x_log(log: Any, x: Any, y: Any, pole: float, harmless: float) -> Any:
    infinite = (y == pole) | (y == math.inf)
    sign = cnp.where(x == 0, 0.0, cnp.sign(x) * cnp.where(y == pole, -math.inf, math.inf))
    return cnp.where(infinite, lax.stop_gradient(sign), x * log(cnp.where(infinite, harmless, y)))


def log1p_square(x: Any) -> Any:
    """log(1 + x²), also where x² overflows."""
    far = cnp.abs(x) > 1e9
    near = cnp.log1p(cnp.square(cnp.where(far, 0.0, x)))
    return cnp.where(far, 2.0 * cnp.log(cnp.abs(cnp.where(far, x, 1.0))), near)


def log_mills(x: Any) -> Any:
    """Logarithm of (1 - Φ(x)) / φ(x), for x >= 0."""
    limit = 7.0 if x.dtype == dtypes.float64 else 4.0
    far = x > limit
    near = cnp.where(far, 0.0, x)
    direct = cnp.log(lax.erfc(math.sqrt(0.5) * near)) + 0.5 * near * near
    fraction = cnp.log(_mills(cnp.where(far, x, limit)))
    return cnp.where(far, fraction, direct + (HALF_LOG_2PI - math.log(2)))


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    out = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        out = out * x + c
    return out


def stirling(x: Any) -> Any:
    """lgamma(x) less (x - 1/2) log(x) - x + log(2π)/2, for x >= 10 (DLMF 5.11.1)."""
    t = 1.0 / x
    series = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    return t * _polynomial(series, t * t)


def betaln(a: Any, b: Any) -> Any:
    """Logarithm of the beta function of positive numbers.

    Large arguments cancel in Stirling's formula before it is evaluated: A. R. DiDonato and
    A. H. Morris, "Algorithm 708", ACM Transactions on Mathematical Software 18, 1992.
    """
    s, l = cnp.where(a < b, a, b), cnp.where(a < b, b, a)
    large, both = l >= _STIRLING, s >= _STIRLING
    s0, l0 = cnp.where(large, 1.0, s), cnp.where(large, 1.0, l)
    small = lax.lgamma(s0) + (lax.lgamma(l0) - lax.lgamma(s0 + l0))
    l1 = cnp.where(large, l, _STIRLING)
    s1 = cnp.where(large & ~both, s, 1.0)
    moved = stirling(l1) - stirling(l1 + s1) + s1 - (l1 - 0.5) * cnp.log1p(s1 / l1)
    mixed = lax.lgamma(s1) + moved - s1 * cnp.log(l1 + s1)
    s2 = cnp.where(both, s, _STIRLING)
    corrections = stirling(l1) - stirling(l1 + s2) + stirling(s2)
    powers = (s2 - 0.5) * cnp.log(s2 / (s2 + l1)) - l1 * cnp.log1p(s2 / l1)
    great = HALF_LOG_2PI - 0.5 * cnp.log(l1) + corrections + powers
    return cnp.where(both, great, cnp.where(large, mixed, small))


def _scaled_factorial(x: Any) -> Any:
    """lgamma(x + 1) - x log(x) + x for x >= 0: what is left of Stirling's formula."""
    large = x >= _STIRLING
    x0, x1 = cnp.where(large, 1.0, x), cnp.where(large, x, _STIRLING)
    small = lax.lgamma(x0 + 1.0) - xlogy(x0, x0) + x0
    return cnp.where(large, HALF_LOG_2PI + 0.5 * cnp.log(x1) + stirling(x1), small)


@custom_jvp
def _log_quotient(x: Any, y: Any) -> Any:
    return cnp.log(x / y)


@_log_quotient.defjvp
def _log_quotient_jvp(primals: Any, tangents: Any) -> Any:
    # The quotient's own slope might overflow.
    (x, y), (dx, dy) = primals, tangents
    return _log_quotient(x, y), dx / x - dy / y


def _deviance(x: Any, mean: Any) -> Any:
    """x log(x / mean) + mean - x, without cancellation where x is near to the mean."""
    total = x + mean
    v = (x - mean) / cnp.where(total == 0, 1.0, total)
    near = cnp.abs(v) < 0.1
    w = cnp.where(near, v, 0.0)
    # log(x / mean) = 2 artanh(v)
    odd = w * w * w * _polynomial(tuple(1 / k for k in range(3, 19, 2)), w * w)
    m0, x0 = cnp.where(near, mean, 1.0), cnp.where(near, 1.0, x)
    close = m0 * 2.0 * (w * w + (1.0 + w) * odd) / (1.0 - w)
    m1 = cnp.where(near, 1.0, mean)
    empty = x0 == 0
    ratio = _log_quotient(cnp.where(empty, 1.0, x0), cnp.where(empty, 1.0, m1))
    return cnp.where(near, close, x0 * ratio + (m1 - x0))


def log_poisson(k: Any, mean: Any) -> Any:
    """Logarithm of mean^k exp(-mean) / k!, for real k >= 0 and a positive mean.

    C. Loader, "Fast and accurate computation of binomial probabilities", 2000.
    """
    return -_scaled_factorial(k) - _deviance(k, mean)


def log_binomial(k: Any, m: Any, p: Any, q: Any) -> Any:
    """Logarithm of (k + m)! / (k! m!) p^k q^m, for real k and m >= 0 and q = 1 - p (Loader)."""
    n = k + m
    combined = _scaled_factorial(n) - _scaled_factorial(k) - _scaled_factorial(m)
    return combined - _deviance(k, n * p) - _deviance(m, n * q)


def log_gamma_density(x: Any, a: Any) -> Any:
    """Logarithm of x^(a - 1) exp(-x) / Γ(a)."""
    large = a >= _STIRLING
    a0, a1 = cnp.where(large, 1.0, a), cnp.where(large, a, _STIRLING)
    x1 = cnp.where(large & (x > 0), x, 1.0)
    direct = xlogy(a0 - 1.0, x) - x - lax.lgamma(a0)
    great = cnp.where(x > 0, log_poisson(a1 - 1.0, x1), -math.inf)
    return cnp.where(large, great, direct)


def log_beta_density(x: Any, a: Any, b: Any) -> Any:
    """Logarithm of x^(a - 1) (1 - x)^(b - 1) / B(a, b)."""
    inside = (x > 0) & (x < 1)
    large = (a >= _STIRLING) & (b >= _STIRLING) & inside
    a0, b0 = cnp.where(large, 1.0, a), cnp.where(large, 1.0, b)
    direct = xlogy(a0 - 1.0, x) + xlog1py(b0 - 1.0, -x) - betaln(a0, b0)
    a1, b1 = cnp.where(large, a, _STIRLING) - 1.0, cnp.where(large, b, _STIRLING) - 1.0
    x1 = cnp.where(large, x, 0.5)
    great = log_binomial(a1, b1, x1, 1.0 - x1) + cnp.log(a1 + b1 + 1.0)
    return cnp.where(large, great, direct)


def _by_parts(p: Any, q: Any, far: Any) -> Any:
    """log(p) from p and q = 1 - p, each precise where it is small; ``far`` where p underflows."""
    tiny = dtypes.finfo(p.dtype).tiny * 1e3
    small = p < 0.5
    direct = cnp.log(cnp.where(p > tiny, p, 0.5))
    left = cnp.where(p > tiny, direct, far)
    return cnp.where(small, left, cnp.log1p(-cnp.where(small, 0.0, q)))


def log_igamma(a: Any, x: Any) -> Any:
    """Logarithm of the lower incomplete gamma function P(a, x)."""
    nothing = x == 0
    x = cnp.where(nothing, 1.0, x)
    out = _by_parts(lax.igamma(a, x), lax.igammac(a, x), _log_lower(a, x))
    return cnp.where(nothing, -math.inf, out)


def log_igammac(a: Any, x: Any) -> Any:
    """Logarithm of the upper incomplete gamma function Q(a, x)."""
    return _by_parts(lax.igammac(a, x), lax.igamma(a, x), _log_upper(a, x))


def _log_lower(a: Any, x: Any) -> Any:
    """log P(a, x) far below the mean, by the continued fraction of DLMF 8.9.1's kind."""
    z = cnp.where(x < a, x, 0.5 * a)
    below = a + (2.0 * _LEVELS + 1.0)
    for k in range(_LEVELS, 0, -1):
        below = (a + (2.0 * k - 1.0)) + k * z / (a + 2.0 * k - (a + k) * z / below)
    # P = x^a exp(-x) / Γ(a + 1) / (1 - z / below)
    return log_gamma_density(z, a + 1.0) - cnp.log1p(-z / below)


def _log_upper(a: Any, x: Any) -> Any:
    """log Q(a, x) far above the mean, by the continued fraction of DLMF 8.9.2."""
    z = cnp.where(x > a, x, a + 1.0)
    below = z + (2.0 * _LEVELS + 1.0) - a
    for k in range(_LEVELS, 0, -1):
        below = z + (2.0 * k - 1.0) - a - k * (k - a) / below
    return log_gamma_density(z, a) + cnp.log(z / below)


def log_betainc(a: Any, b: Any, x: Any, y: Any) -> Any:
    """Logarithm of the incomplete beta function I_x(a, b), with y = 1 - x."""
    nothing, all_ = x == 0, y == 0
    x, y = (cnp.where(nothing | all_, 0.5, v) for v in (x, y))
    out = _by_parts(lax.betainc(a, b, x), lax.betainc(b, a, y), _log_beta_tail(a, b, x, y))
    return cnp.where(nothing, -math.inf, cnp.where(all_, 0.0, out))


def _log_beta_tail(a: Any, b: Any, x: Any, y: Any) -> Any:
    """log I_x(a, b) far below the mean, by the continued fraction of DLMF 8.17.22."""
    below_mean = x * (a + b) < a
    x = cnp.where(below_mean, x, 0.5 * a / (a + b))
    y = cnp.where(below_mean, y, 1.0 - x)
    value = cnp.ones_like(x)
    for m in range(_LEVELS, 0, -1):
        even = m * (b - m) * x / ((a + (2.0 * m - 1.0)) * (a + 2.0 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + (2.0 * m + 1.0)))
        value = 1.0 + even / (1.0 + odd / value)
    first = -(a + b) * x / (a + 1.0)
    total = 1.0 + first / value
    return log_beta_density(x, a, b) + cnp.log(x * y / (a * total))
