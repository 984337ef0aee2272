"""The chi-squared distribution (`covector.scipy.stats.chi2`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, half_line, positive

_family = Family(
    "chi2",
    "the chi-squared distribution",
    {"df": "Degrees of freedom, positive."},
    support=half_line,
    valid=positive,
    closed=True,
    inner=lambda *shapes: 1.0,
)


def _log_density(z: Any, df: Any) -> Any:
    return special.log_gamma_density(0.5 * z, 0.5 * df) - math.log(2)


def _cdf(z: Any, df: Any) -> Any:
    return lax.igamma(*cnp.broadcast_arrays(0.5 * df, 0.5 * z))


def _sf(z: Any, df: Any) -> Any:
    return lax.igammac(*cnp.broadcast_arrays(0.5 * df, 0.5 * z))


def _logcdf(z: Any, df: Any) -> Any:
    return special.log_igamma(*cnp.broadcast_arrays(0.5 * df, 0.5 * z))


def _logsf(z: Any, df: Any) -> Any:
    return special.log_igammac(*cnp.broadcast_arrays(0.5 * df, 0.5 * z))


@_family.function(
    "chi2.logpdf(np.array([0.5, 2.0]), 3.0)", "Array([-1.5155121, -1.5723649], dtype=float32)"
)
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale, df)


@_family.function(
    "chi2.pdf(np.array([0.5, 2.0]), 3.0)", "Array([0.21969566, 0.20755374], dtype=float32)"
)
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale, df)


@_family.function(
    "chi2.cdf(np.array([0.5, 2.0]), 3.0)", "Array([0.08110859, 0.4275933 ], dtype=float32)"
)
def cdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale, df)


@_family.function(
    "chi2.sf(np.array([0.5, 2.0]), 3.0)", "Array([0.91889143, 0.5724067 ], dtype=float32)"
)
def sf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale, df)


@_family.function(
    "chi2.logcdf(np.array([0.5, 2.0]), 3.0)", "Array([-2.5119665, -0.8495828], dtype=float32)"
)
def logcdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale, df)


@_family.function(
    "chi2.logsf(np.array([0.5, 2.0]), 3.0)", "Array([-0.08458732, -0.5579055 ], dtype=float32)"
)
def logsf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale, df)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]

_export(globals(), __all__)
