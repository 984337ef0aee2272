"""The normal distribution (`covector.scipy.stats.norm`)."""

from __future__ import annotations

import math
from typing import Any

from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family

_family = Family(
    "norm",
    "the normal distribution",
    {},
)


def _log_density(z: Any) -> Any:
    return -0.5 * z * z - special.HALF_LOG_2PI


def _sf(z: Any) -> Any:
    return special.ndtr(-z)


def _logsf(z: Any) -> Any:
    return special.log_ndtr(-z)


def _isf(q: Any) -> Any:
    return -special.ndtri(q)


@_family.function(
    "norm.logpdf(np.array([0.0, 2.0]))", "Array([-0.9189385, -2.9189386], dtype=float32)"
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "norm.pdf(np.array([0.0, 2.0]))", "Array([0.3989423 , 0.05399096], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "norm.cdf(np.array([0.0, 2.0]))", "Array([0.5       , 0.97724986], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(special.ndtr, 0.0, 1.0, x, loc, scale)


@_family.function("norm.sf(np.array([0.0, 2.0]))", "Array([0.5       , 0.02275013], dtype=float32)")
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale)


@_family.function(
    "norm.logcdf(np.array([0.0, 2.0]))", "Array([-0.6931472 , -0.02301291], dtype=float32)"
)
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(special.log_ndtr, -math.inf, 0.0, x, loc, scale)


@_family.function(
    "norm.logsf(np.array([0.0, 2.0]))", "Array([-0.6931472, -3.7831843], dtype=float32)"
)
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale)


@_family.function(
    "norm.ppf(np.array([0.1, 0.5]))", "Array([-1.2815516,  0.       ], dtype=float32)"
)
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(special.ndtri, q, loc, scale)


@_family.function("norm.isf(np.array([0.1, 0.5]))", "Array([1.2815516, 0.       ], dtype=float32)")
def isf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Upper quantile function (the inverse of sf)."""
    return _family.quantile(_isf, q, loc, scale, upper=True)


__all__ = ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
