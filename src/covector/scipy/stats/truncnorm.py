"""The truncated normal distribution (`covector.scipy.stats.truncnorm`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.nn import log1mexp
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family


def _between(a: Any, b: Any) -> Any:
    low, high = cnp.where(cnp.isinf(a), b - 2.0, a), cnp.where(cnp.isinf(b), a + 2.0, b)
    free = cnp.isinf(a) & cnp.isinf(b)
    return cnp.where(free, 0.0, 0.5 * cnp.where(free, 0.0, low) + 0.5 * cnp.where(free, 0.0, high))


_family = Family(
    "truncnorm",
    "the truncated normal distribution",
    {
        "a": "The lower end, in units of the scale and from ``loc`` on.",
        "b": "The upper end, alike.",
    },
    support=lambda a, b: (a, b),
    valid=lambda a, b: a < b,
    inner=_between,
    closed=True,
)


def _ratio(u: Any, v: Any) -> Any:
    """Logarithm of (1 - Φ(v)) / (1 - Φ(u)), for 0 <= u <= v."""
    infinite = v == math.inf
    w = cnp.where(infinite, u, v)
    fall = -0.5 * (w - u) * (w + u) + special.log_mills(w) - special.log_mills(u)
    return cnp.where(infinite, -math.inf, fall)


def _log_mass(u: Any, v: Any) -> Any:
    """Logarithm of Φ(v) - Φ(u)."""
    flipped = u + v < 0
    low, high = cnp.where(flipped, -v, u), cnp.where(flipped, -u, v)
    tail = low > 0
    a, b = cnp.where(tail, low, 0.0), cnp.where(tail, high, 1.0)
    outer = special.log_ndtr(-a) + log1mexp(-_ratio(a, b))
    a, b = cnp.where(tail, -1.0, low), cnp.where(tail, 1.0, high)
    half = math.sqrt(0.5)
    inner = cnp.log(0.5 * (lax.erf(half * b) - lax.erf(half * a)))
    return cnp.where(tail, outer, inner)


def _flipped(z: Any, a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """The numbers or their negatives, such that the bounds lie to the right; and which."""
    flipped = a + b < 0
    turned = [cnp.where(flipped, -v, w) for v, w in ((z, z), (b, a), (a, b))]
    return (*turned, flipped)


def _in_tail(z: Any, a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """Whether all is beyond the mean, and the numbers where it is."""
    tail = a > 0
    return tail, *(cnp.where(tail, v, w) for v, w in ((z, 0.5), (a, 0.0), (b, 1.0)))


def _log_density(z: Any, a: Any, b: Any) -> Any:
    z, a, b, _ = _flipped(z, a, b)
    tail, z1, a1, b1 = _in_tail(z, a, b)
    # Great squares cancel before they are evaluated.
    outer = -0.5 * (z1 - a1) * (z1 + a1) - special.log_mills(a1) - log1mexp(-_ratio(a1, b1))
    a, b = cnp.where(tail, -1.0, a), cnp.where(tail, 1.0, b)
    inner = -0.5 * z * z - special.HALF_LOG_2PI - _log_mass(a, b)
    return cnp.where(tail, outer, inner)


def _log_parts(z: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Logarithms of the probabilities below and above ``z``."""
    z, a, b, flipped = _flipped(z, a, b)
    tail, z1, a1, b1 = _in_tail(z, a, b)
    to_z, total = _ratio(a1, z1), log1mexp(-_ratio(a1, b1))
    outer = log1mexp(-to_z) - total, to_z + log1mexp(-_ratio(z1, b1)) - total
    z, a, b = (cnp.where(tail, w, v) for v, w in ((z, 0.0), (a, -1.0), (b, 1.0)))
    total = _log_mass(a, b)
    inner = _log_mass(a, z) - total, _log_mass(z, b) - total
    low, high = (cnp.where(tail, v, w) for v, w in zip(outer, inner, strict=True))
    return cnp.where(flipped, high, low), cnp.where(flipped, low, high)


def _precise(one: Any, other: Any) -> Any:
    """The first of two logarithms, by the second where that says more."""
    near, all_ = one > -math.log(2), other == -math.inf
    by_other = log1mexp(-cnp.where(near & ~all_, other, -1.0))
    return cnp.where(near, cnp.where(all_, 0.0, by_other), one)


def _logcdf(z: Any, a: Any, b: Any) -> Any:
    low, high = _log_parts(z, a, b)
    return _precise(low, high)


def _logsf(z: Any, a: Any, b: Any) -> Any:
    low, high = _log_parts(z, a, b)
    return _precise(high, low)


def _cdf(z: Any, a: Any, b: Any) -> Any:
    return special.exp_log(_logcdf(z, a, b))


def _sf(z: Any, a: Any, b: Any) -> Any:
    return special.exp_log(_logsf(z, a, b))


@_family.function(
    "truncnorm.logpdf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([-0.74457896, -2.744579  ], dtype=float32)",
)
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale, a, b)


@_family.function(
    "truncnorm.pdf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([0.47493422, 0.06427535], dtype=float32)",
)
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale, a, b)


@_family.function(
    "truncnorm.cdf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([0.40636528, 0.97452337], dtype=float32)",
)
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale, a, b)


@_family.function(
    "truncnorm.sf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([0.5936347 , 0.02547663], dtype=float32)",
)
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale, a, b)


@_family.function(
    "truncnorm.logcdf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([-0.9005028 , -0.02580677], dtype=float32)",
)
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale, a, b)


@_family.function(
    "truncnorm.logsf(np.array([0.0, 2.0]), -1.0, 3.0)",
    "Array([-0.5214911, -3.6699939], dtype=float32)",
)
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale, a, b)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]

_export(globals(), __all__)
