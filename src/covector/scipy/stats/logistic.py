"""The logistic distribution (`covector.scipy.stats.logistic`)."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family

_family = Family(
    "logistic",
    "the logistic distribution",
    {},
)


def _log_density(z: Any) -> Any:
    distance = cnp.abs(z)
    return -distance - 2.0 * cnp.log1p(cnp.exp(-distance))


def _sf(z: Any) -> Any:
    return lax.logistic(-z)


def _ppf(q: Any) -> Any:
    # Near 1/2 the difference of the logarithms cancels.
    near = (q > 0.25) & (q < 0.75)
    inner, outer = cnp.where(near, q, 0.5), cnp.where(near, 0.5, q)
    centre = cnp.log1p((2.0 * inner - 1.0) / (1.0 - inner))
    return cnp.where(near, centre, cnp.log(outer) - cnp.log1p(-outer))


def _isf(q: Any) -> Any:
    return -_ppf(q)


@_family.function(
    "logistic.logpdf(np.array([0.0, 2.0]))", "Array([-1.3862944, -2.253856 ], dtype=float32)"
)
def logpdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale)


@_family.function(
    "logistic.pdf(np.array([0.0, 2.0]))", "Array([0.25     , 0.1049936], dtype=float32)"
)
def pdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale)


@_family.function(
    "logistic.cdf(np.array([0.0, 2.0]))", "Array([0.5      , 0.8807971], dtype=float32)"
)
def cdf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Distribution function."""
    return _family.distribution(lax.logistic, 0.0, 1.0, x, loc, scale)


@_family.function(
    "logistic.sf(np.array([0.0, 2.0]))", "Array([0.5       , 0.11920292], dtype=float32)"
)
def sf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Survival function (1 - cdf)."""
    return _family.distribution(_sf, 1.0, 0.0, x, loc, scale)


@_family.function(
    "logistic.ppf(np.array([0.1, 0.5]))",
    "Array([-2.1972246,  0.       ], dtype=float32)",
    x="Probabilities.",
)
def ppf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Quantile function (the inverse of cdf)."""
    return _family.quantile(_ppf, x, loc, scale)


@_family.function(
    "logistic.isf(np.array([0.1, 0.5]))",
    "Array([2.1972246, 0.       ], dtype=float32)",
    x="Probabilities.",
)
def isf(x: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Upper quantile function (the inverse of sf)."""
    return _family.quantile(_isf, x, loc, scale, upper=True)


__all__ = ["cdf", "isf", "logpdf", "pdf", "ppf", "sf"]

_export(globals(), __all__)
