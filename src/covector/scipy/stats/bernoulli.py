"""The Bernoulli distribution (`covector.scipy.stats.bernoulli`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.numpy._util import convert
from covector.scipy.stats._family import Family, real

_family = Family(
    "bernoulli",
    "the Bernoulli distribution",
    {"p": "The probability of 1."},
    support=lambda p: (0.0, 1.0),
    valid=lambda p: (p >= 0) & (p <= 1),
    inner=lambda p: 0.0,
)


def _log_mass(k: Any, p: Any) -> Any:
    one = k == 1
    return cnp.where(one, cnp.log(cnp.where(one, p, 0.5)), cnp.log1p(-cnp.where(one, 0.5, p)))


def _mass(k: Any, p: Any) -> Any:
    return cnp.where(k == 1, p, 1.0 - p)


def _cdf(k: Any, p: Any) -> Any:
    return cnp.where(k < 1, 1.0 - p, 1.0)


@_family.function(
    "bernoulli.logpmf(np.arange(2), 0.25)",
    "Array([-0.28768206, -1.3862944 ], dtype=float32, weak_type=True)",
)
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(_log_mass, k, loc, p)


@_family.function(
    "bernoulli.pmf(np.arange(2), 0.25)", "Array([0.75, 0.25], dtype=float32, weak_type=True)"
)
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(_mass, k, loc, p, log=False)


@_family.function(
    "bernoulli.cdf(np.arange(2), 0.25)", "Array([0.75, 1.  ], dtype=float32, weak_type=True)"
)
def cdf(k: Any, p: Any) -> Any:
    """Distribution function."""
    return _family.distribution(_cdf, 0.0, 1.0, k, 0, 1, p)


@_family.function(
    "bernoulli.ppf(np.array([0.5, 0.9]), 0.25)", "Array([0., 1.], dtype=float32, weak_type=True)"
)
def ppf(q: Any, p: Any) -> Any:
    """Quantile function (the inverse of cdf)."""
    dt, (q, p) = real("bernoulli", q, p)
    out = cnp.where(q <= 1.0 - p, 0.0, 1.0)
    valid = (q >= 0) & (q <= 1) & _family.valid(p)
    out = cnp.where(valid, out, math.nan)
    return convert(out, dt, out.aval.weak_type)


__all__ = ["cdf", "logpmf", "pmf", "ppf"]

_export(globals(), __all__)
