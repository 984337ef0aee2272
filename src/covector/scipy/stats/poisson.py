"""The Poisson distribution (`covector.scipy.stats.poisson`)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.numpy._util import convert
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, half_line, real

_family = Family(
    "poisson",
    "the Poisson distribution",
    {"mu": "The mean, not negative."},
    support=half_line,
    valid=lambda mu: mu >= 0,
    inner=lambda mu: 0.0,
)


def _cdf(k: Any, mu: Any) -> Any:
    return lax.igammac(*cnp.broadcast_arrays(cnp.floor(k) + 1.0, mu))


@_family.function(
    "poisson.logpmf(np.arange(3), 1.5)",
    "Array([-1.5      , -1.0945349, -1.382217 ], dtype=float32, weak_type=True)",
)
def logpmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(special.log_poisson, k, loc, mu)


@_family.function(
    "poisson.pmf(np.arange(3), 1.5)",
    "Array([0.22313017, 0.33469525, 0.25102141], dtype=float32, weak_type=True)",
)
def pmf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(special.log_poisson, k, loc, mu)


@_family.function(
    "poisson.cdf(np.arange(3), 1.5)",
    "Array([0.22313017, 0.5578254 , 0.80884683], dtype=float32, weak_type=True)",
)
def cdf(k: Any, mu: Any, loc: Any = 0) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, k, loc, 1, mu)


# Means up to here are summed; beyond, an asymptotic series has all digits.
_SUMMED = 60.0
_TERMS = 180


def _gregory(n: int) -> list[float]:
    """The absolute values of Gregory's coefficients, from the first on."""
    out: list[Fraction] = []
    for k in range(1, n + 1):
        rest = sum((g / (k + 1 - j) for j, g in enumerate(out, 1)), Fraction(0))
        out.append(Fraction(1, k + 1) - rest)
    return [float(g) for g in out]


def _entropy(mu: Any) -> Any:
    large = mu > _SUMMED
    small = cnp.where(large, 1.0, mu)[..., None]
    k = cnp.arange(_TERMS, dtype=mu.dtype)
    log_mass = special.log_poisson(k, small)
    terms = cnp.where(cnp.isneginf(log_mass), 0.0, log_mass) * cnp.exp(log_mass)
    summed = -cnp.sum(terms, -1)
    great = cnp.where(large, mu, _SUMMED)
    series: Any = 0.0
    for n, g in reversed(list(enumerate(_gregory(13), 1))[1:]):
        series = (series + g * math.factorial(n - 2)) / great
    return cnp.where(large, 0.5 * (cnp.log(great) + 1.0) + special.HALF_LOG_2PI - series, summed)


@_family.function(
    "poisson.entropy(np.array([1.0, 100.0]))", "Array([1.3048422, 3.7206862], dtype=float32)"
)
def entropy(mu: Any, loc: Any = 0) -> Any:
    """Entropy."""
    dt, (mu, loc) = real("poisson", mu, loc)
    infinite = mu == math.inf
    valid = (mu >= 0) & ~infinite
    out = _entropy(cnp.where(valid, mu, 1.0))
    out = cnp.where(valid, out, cnp.where(infinite, math.inf, math.nan)) + 0.0 * loc
    return convert(out, dt, out.aval.weak_type)


__all__ = ["cdf", "entropy", "logpmf", "pmf"]

_export(globals(), __all__)
