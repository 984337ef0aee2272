"""The Pareto distribution (`covector.scipy.stats.pareto`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.nn import log1mexp
from covector.scipy.stats._family import Family, positive


def _support(b: Any) -> tuple[float, float]:
    return 1.0, math.inf


_family = Family(
    "pareto",
    "the Pareto distribution",
    {"b": "The exponent of the tail, positive."},
    support=_support,
    valid=positive,
    inner=lambda b: 2.0,
)


def _log_density(z: Any, b: Any) -> Any:
    return cnp.log(b) - (b + 1.0) * cnp.log(z)


def _logsf(z: Any, b: Any) -> Any:
    return -b * cnp.log(z)


def _sf(z: Any, b: Any) -> Any:
    return cnp.power(z, -b)


def _cdf(z: Any, b: Any) -> Any:
    return -cnp.expm1(_logsf(z, b))


def _logcdf(z: Any, b: Any) -> Any:
    return log1mexp(-_logsf(z, b))


def _ppf(q: Any, b: Any) -> Any:
    return cnp.exp(-cnp.log1p(-q) / b)


@_family.function(
    "pareto.logpdf(np.array([1.5, 4.0]), 2.0)", "Array([-0.5232481, -3.465736 ], dtype=float32)"
)
def logpdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale, b)


@_family.function(
    "pareto.pdf(np.array([1.5, 4.0]), 2.0)", "Array([0.59259266, 0.03125   ], dtype=float32)"
)
def pdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale, b)


@_family.function(
    "pareto.cdf(np.array([1.5, 4.0]), 2.0)", "Array([0.5555556, 0.9375   ], dtype=float32)"
)
def cdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale, b)


@_family.function(
    "pareto.sf(np.array([1.5, 4.0]), 2.0)", "Array([0.44444445, 0.0625    ], dtype=float32)"
)
def sf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale, b)


@_family.function(
    "pareto.logcdf(np.array([1.5, 4.0]), 2.0)", "Array([-0.5877867 , -0.06453852], dtype=float32)"
)
def logcdf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale, b)


@_family.function(
    "pareto.logsf(np.array([1.5, 4.0]), 2.0)", "Array([-0.8109302, -2.7725887], dtype=float32)"
)
def logsf(x: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale, b)


@_family.function(
    "pareto.ppf(np.array([0.1, 0.5]), 2.0)", "Array([1.0540925, 1.4142135], dtype=float32)"
)
def ppf(q: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_ppf, q, loc, scale, b)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
