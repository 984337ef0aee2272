"""The Laplace distribution (`covector.scipy.stats.laplace`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family

_family = Family(
    "laplace",
    "the Laplace distribution",
    {},
)


def _log_density(z: Any) -> Any:
    return -cnp.abs(z) - math.log(2)


def _cdf(z: Any) -> Any:
    tail = 0.5 * cnp.exp(-cnp.abs(z))
    return cnp.where(z < 0, tail, 1.0 - tail)


@_family.function(
    "laplace.logpdf(np.array([0.0, 2.0]))", "Array([-0.6931472, -2.6931472], dtype=float32)"
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "laplace.pdf(np.array([0.0, 2.0]))", "Array([0.5       , 0.06766764], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "laplace.cdf(np.array([0.0, 2.0]))", "Array([0.5       , 0.93233234], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, loc, scale)


__all__ = ["cdf", "logpdf", "pdf"]

_export(globals(), __all__)
