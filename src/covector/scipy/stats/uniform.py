"""The uniform distribution (`covector.scipy.stats.uniform`)."""

from __future__ import annotations

from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family

_family = Family(
    "uniform",
    "the uniform distribution",
    {"loc": "The lower end.", "scale": "The width, positive."},
    support=lambda: (0.0, 1.0),
)


def _log_density(z: Any) -> Any:
    return cnp.zeros_like(z)


def _identity(z: Any) -> Any:
    return z


@_family.function(
    "uniform.logpdf(np.array([1.5, 5.0]), 1.0, 2.0)",
    "Array([-0.6931472,       -inf], dtype=float32)",
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function("uniform.pdf(np.array([1.5, 5.0]), 1.0, 2.0)", "Array([0.5, 0. ], dtype=float32)")
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "uniform.cdf(np.array([1.5, 5.0]), 1.0, 2.0)", "Array([0.25, 1.  ], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(_identity, 0.0, 1.0, x, loc, scale)


@_family.function("uniform.ppf(np.array([0.1, 0.5]), 1.0, 2.0)", "Array([1.2, 2. ], dtype=float32)")
def ppf(q: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_identity, q, loc, scale)


__all__ = ["cdf", "logpdf", "pdf", "ppf"]

_export(globals(), __all__)
