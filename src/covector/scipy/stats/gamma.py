"""The gamma distribution (`covector.scipy.stats.gamma`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, half_line, positive

_family = Family(
    "gamma",
    "the gamma distribution",
    {"a": "The shape, positive."},
    support=half_line,
    valid=positive,
    closed=True,
    inner=lambda *shapes: 1.0,
)


def _cdf(z: Any, a: Any) -> Any:
    return lax.igamma(*cnp.broadcast_arrays(a, z))


def _sf(z: Any, a: Any) -> Any:
    return lax.igammac(*cnp.broadcast_arrays(a, z))


def _logcdf(z: Any, a: Any) -> Any:
    return special.log_igamma(*cnp.broadcast_arrays(a, z))


def _logsf(z: Any, a: Any) -> Any:
    return special.log_igammac(*cnp.broadcast_arrays(a, z))


@_family.function(
    "gamma.logpdf(np.array([0.5, 2.0]), 2.0)", "Array([-1.1931472, -1.3068528], dtype=float32)"
)
def logpdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(special.log_gamma_density, x, loc, scale, a)


@_family.function(
    "gamma.pdf(np.array([0.5, 2.0]), 2.0)", "Array([0.30326533, 0.27067056], dtype=float32)"
)
def pdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(special.log_gamma_density, x, loc, scale, a)


@_family.function(
    "gamma.cdf(np.array([0.5, 2.0]), 2.0)", "Array([0.09020401, 0.59399414], dtype=float32)"
)
def cdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale, a)


@_family.function(
    "gamma.sf(np.array([0.5, 2.0]), 2.0)", "Array([0.909796  , 0.40600586], dtype=float32)"
)
def sf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale, a)


@_family.function(
    "gamma.logcdf(np.array([0.5, 2.0]), 2.0)", "Array([-2.4056814, -0.5208858], dtype=float32)"
)
def logcdf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the distribution function."""
    return _family.distribution(_logcdf, -math.inf, 0.0, x, loc, scale, a)


@_family.function(
    "gamma.logsf(np.array([0.5, 2.0]), 2.0)", "Array([-0.09453489, -0.9013877 ], dtype=float32)"
)
def logsf(x: Any, a: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the survival function."""
    return _family.distribution(_logsf, 0.0, -math.inf, x, loc, scale, a)


__all__ = ["cdf", "logcdf", "logpdf", "logsf", "pdf", "sf"]

_export(globals(), __all__)
