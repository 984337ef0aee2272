"""The Cauchy distribution (`covector.scipy.stats.cauchy`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family

_family = Family(
    "cauchy",
    "the Cauchy distribution",
    {},
)


def _log_density(z: Any) -> Any:
    return -math.log(math.pi) - special.log1p_square(z)


def _cdf(z: Any) -> Any:
    # An angle between 0 and π that keeps its digits at both ends.
    return cnp.arctan2(1.0, -z) / math.pi


def _sf(z: Any) -> Any:
    return _cdf(-z)


def _logcdf(z: Any) -> Any:
    left = z < 0
    small = _cdf(cnp.where(left, z, -z))
    return cnp.where(left, cnp.log(small), cnp.log1p(-small))


def _logsf(z: Any) -> Any:
    return _logcdf(-z)


def _ppf(q: Any) -> Any:
    low, high = q < 0.25, q > 0.75
    centre = cnp.tan(math.pi * (cnp.where(low | high, 0.5, q) - 0.5))
    tail = 1.0 / cnp.tan(math.pi * cnp.where(low, q, cnp.where(high, 1.0 - q, 0.25)))
    return cnp.where(low, -tail, cnp.where(high, tail, centre))


def _isf(q: Any) -> Any:
    return -_ppf(q)


@_family.function(
    "cauchy.logpdf(np.array([0.0, 2.0]))", "Array([-1.1447299, -2.7541678], dtype=float32)"
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "cauchy.pdf(np.array([0.0, 2.0]))", "Array([0.3183099 , 0.06366198], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "cauchy.cdf(np.array([0.0, 2.0]))", "Array([0.5      , 0.8524164], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale)


@_family.function(
    "cauchy.sf(np.array([0.0, 2.0]))", "Array([0.5       , 0.14758362], dtype=float32)"
)
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale)


@_family.function(
    "cauchy.logcdf(np.array([0.0, 2.0]))", "Array([-0.6931472 , -0.15968016], dtype=float32)"
)
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale)


@_family.function(
    "cauchy.logsf(np.array([0.0, 2.0]))", "Array([-0.6931472, -1.9133604], dtype=float32)"
)
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale)


@_family.function(
    "cauchy.ppf(np.array([0.1, 0.5]))", "Array([-3.0776834,  0.       ], dtype=float32)"
)
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_ppf, q, loc, scale)


@_family.function(
    "cauchy.isf(np.array([0.1, 0.5]))", "Array([3.0776834, 0.       ], dtype=float32)"
)
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Upper quantile function (the inverse of sf)."""
    return _family.quantile(_isf, q, loc, scale, upper=True)


__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
