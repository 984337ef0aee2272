"""The beta distribution (`covector.scipy.stats.beta`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, positive


def _support(a: Any, b: Any) -> tuple[float, float]:
    return 0.0, 1.0


_family = Family(
    "beta",
    "the beta distribution",
    {"a": "First shape, positive.", "b": "Second shape, positive."},
    support=_support,
    valid=positive,
    closed=True,
)


def _cdf(z: Any, a: Any, b: Any) -> Any:
    return lax.betainc(*cnp.broadcast_arrays(a, b, z))


def _sf(z: Any, a: Any, b: Any) -> Any:
    # Left of the mean by the distribution function: 1 - z may lose the digits of z.
    left = z * (a + b) < a
    first, second = cnp.where(left, a, b), cnp.where(left, b, a)
    part = lax.betainc(*cnp.broadcast_arrays(first, second, cnp.where(left, z, 1.0 - z)))
    return cnp.where(left, 1.0 - part, part)


def _logcdf(z: Any, a: Any, b: Any) -> Any:
    return special.log_betainc(*cnp.broadcast_arrays(a, b, z, 1.0 - z))


def _logsf(z: Any, a: Any, b: Any) -> Any:
    return special.log_betainc(*cnp.broadcast_arrays(b, a, 1.0 - z, z))


@_family.function(
    "beta.logpdf(np.array([0.2, 0.5]), 2.0, 3.0)", "Array([0.42918158, 0.40546513], dtype=float32)"
)
def logpdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(special.log_beta_density, x, loc, scale, a, b)


@_family.function(
    "beta.pdf(np.array([0.2, 0.5]), 2.0, 3.0)", "Array([1.5359999, 1.5      ], dtype=float32)"
)
def pdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(special.log_beta_density, x, loc, scale, a, b)


@_family.function(
    "beta.cdf(np.array([0.2, 0.5]), 2.0, 3.0)", "Array([0.1808, 0.6875], dtype=float32)"
)
def cdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale, a, b)


@_family.function(
    "beta.sf(np.array([0.2, 0.5]), 2.0, 3.0)", "Array([0.8192, 0.3125], dtype=float32)"
)
def sf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale, a, b)


@_family.function(
    "beta.logcdf(np.array([0.2, 0.5]), 2.0, 3.0)",
    "Array([-1.7103639 , -0.37469345], dtype=float32)",
)
def logcdf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale, a, b)


@_family.function(
    "beta.logsf(np.array([0.2, 0.5]), 2.0, 3.0)", "Array([-0.19942704, -1.1631508 ], dtype=float32)"
)
def logsf(x: Any, a: Any, b: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale, a, b)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]

_export(globals(), __all__)
