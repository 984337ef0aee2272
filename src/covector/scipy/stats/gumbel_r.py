"""The Gumbel distribution of maxima (`covector.scipy.stats.gumbel_r`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.nn import log1mexp
from covector.scipy.stats._family import Family

_family = Family(
    "gumbel_r",
    "the Gumbel distribution of maxima",
    {},
)


def _log_density(z: Any) -> Any:
    return -z - cnp.exp(-z)


def _log_small(z: Any) -> Any:
    return -cnp.exp(-z)


def _small(z: Any) -> Any:
    return cnp.exp(_log_small(z))


def _large(z: Any) -> Any:
    return -cnp.expm1(_log_small(z))


def _log_large(z: Any) -> Any:
    # Far out 1 - exp(-u) is u.
    far = z > 40.0
    return cnp.where(far, -z, log1mexp(cnp.exp(-cnp.where(far, 1.0, z))))


def _ppf(p: Any) -> Any:
    return -cnp.log(-cnp.log(p))


@_family.function(
    "gumbel_r.logpdf(np.array([0.0, 2.0]))", "Array([-1.       , -2.1353352], dtype=float32)"
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "gumbel_r.pdf(np.array([0.0, 2.0]))", "Array([0.36787945, 0.11820496], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "gumbel_r.cdf(np.array([0.0, 2.0]))", "Array([0.36787945, 0.87342304], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_small, 0.0, 1.0, x, loc, scale)


@_family.function(
    "gumbel_r.sf(np.array([0.0, 2.0]))", "Array([0.63212055, 0.12657697], dtype=float32)"
)
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_large, 1.0, 0.0, x, loc, scale)


@_family.function(
    "gumbel_r.logcdf(np.array([0.0, 2.0]))", "Array([-1.        , -0.13533528], dtype=float32)"
)
def logcdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_log_small, -math.inf, 0.0, x, loc, scale)


@_family.function(
    "gumbel_r.logsf(np.array([0.0, 2.0]))", "Array([-0.45867515, -2.0669045 ], dtype=float32)"
)
def logsf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_log_large, 0.0, -math.inf, x, loc, scale)


@_family.function(
    "gumbel_r.ppf(np.array([0.1, 0.5]))", "Array([-0.8340325 ,  0.36651292], dtype=float32)"
)
def ppf(p: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_ppf, p, loc, scale)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
