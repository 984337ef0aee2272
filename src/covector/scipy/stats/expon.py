"""The exponential distribution (`covector.scipy.stats.expon`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.nn import log1mexp
from covector.scipy.stats._family import Family, half_line

_family = Family("expon", "the exponential distribution", {}, support=half_line, inner=lambda: 1.0)


def _log_density(z: Any) -> Any:
    return -z


def _cdf(z: Any) -> Any:
    return -cnp.expm1(-z)


def _sf(z: Any) -> Any:
    return cnp.exp(-z)


def _ppf(q: Any) -> Any:
    return -cnp.log1p(-q)


@_family.function("expon.logpdf(np.array([0.5, 2.0]))", "Array([-0.5, -2. ], dtype=float32)")
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "expon.pdf(np.array([0.5, 2.0]))", "Array([0.60653067, 0.13533528], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "expon.cdf(np.array([0.5, 2.0]))", "Array([0.39346933, 0.86466473], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale)


@_family.function(
    "expon.sf(np.array([0.5, 2.0]))", "Array([0.60653067, 0.13533528], dtype=float32)"
)
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale)


@_family.function(
    "expon.logcdf(np.array([0.5, 2.0]))", "Array([-0.93275213, -0.14541346], dtype=float32)"
)
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(log1mexp, -math.inf, 0.0, x, loc, scale)


@_family.function("expon.logsf(np.array([0.5, 2.0]))", "Array([-0.5, -2. ], dtype=float32)")
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_log_density, 0.0, -math.inf, x, loc, scale)


@_family.function(
    "expon.ppf(np.array([0.1, 0.5]))", "Array([0.10536052, 0.6931472 ], dtype=float32)"
)
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_ppf, q, loc, scale)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
