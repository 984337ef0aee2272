"""The generalised normal distribution (`covector.scipy.stats.gennorm`)."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_jvp import custom_jvp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family, positive
from covector.transforms.autodiff import jvp

_family = Family(
    "gennorm",
    "the generalised normal distribution",
    {"beta": "The exponent, positive."},
    valid=positive,
)


def _power(z: Any, beta: Any) -> Any:
    zero = z == 0
    return cnp.where(zero, 0.0, cnp.power(cnp.abs(cnp.where(zero, 1.0, z)), beta))


def _log_density(z: Any, beta: Any) -> Any:
    return cnp.log(0.5 * beta) - lax.lgamma(1.0 / beta) - _power(z, beta)


def _probability(z: Any, beta: Any) -> Any:
    tail = 0.5 * lax.igammac(*cnp.broadcast_arrays(1.0 / beta, _power(z, beta)))
    return cnp.where(z < 0, tail, 1.0 - tail)


@custom_jvp
def _cdf(z: Any, beta: Any) -> Any:
    return _probability(z, beta)


@_cdf.defjvp
def _cdf_jvp(primals: Any, tangents: Any) -> Any:
    # By the density: at 0 the slope of the incomplete gamma function is infinite.
    (z, beta), (dz, dbeta) = primals, tangents
    out, moved = jvp(lambda b: _probability(z, b), (beta,), (dbeta,))
    return out, moved + dz * cnp.exp(_log_density(z, beta))


@_family.function(
    "gennorm.logpdf(np.array([0.0, 2.0]), 1.5)", "Array([-0.5908323, -3.4192593], dtype=float32)"
)
def logpdf(x: Any, beta: Any) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, 0, 1, beta)


@_family.function(
    "gennorm.pdf(np.array([0.0, 2.0]), 1.5)", "Array([0.5538661 , 0.03273667], dtype=float32)"
)
def pdf(x: Any, beta: Any) -> Any:
    """Density."""
    return _family.density(_log_density, x, 0, 1, beta)


@_family.function(
    "gennorm.cdf(np.array([0.0, 2.0]), 1.5)", "Array([0.5      , 0.9858804], dtype=float32)"
)
def cdf(x: Any, beta: Any) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, x, 0, 1, beta)


__all__ = ["cdf", "logpdf", "pdf"]

_export(globals(), __all__)
