"""The binomial distribution (`covector.scipy.stats.binom`)."""

from __future__ import annotations

from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family


def _valid(n: Any, p: Any) -> Any:
    return (n >= 0) & (cnp.floor(n) == n) & (p >= 0) & (p <= 1)


_family = Family(
    "binom",
    "the binomial distribution",
    {"n": "The number of trials, a whole number.", "p": "The probability of success."},
    support=lambda n, p: (0.0, n),
    valid=_valid,
    inner=lambda n, p: 0.0,
)


def _log_mass(k: Any, n: Any, p: Any) -> Any:
    return special.log_binomial(k, n - k, p, 1.0 - p)


@_family.function(
    "binom.logpmf(np.arange(3), 2, 0.25)",
    "Array([-0.57536423, -0.9808293 , -2.7725887 ],\n      dtype=float32, weak_type=True)",
)
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(_log_mass, k, loc, n, p)


@_family.function(
    "binom.pmf(np.arange(3), 2, 0.25)",
    "Array([0.56249994, 0.375     , 0.0625    ], dtype=float32, weak_type=True)",
)
def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(_log_mass, k, loc, n, p)


__all__ = ["logpmf", "pmf"]

_export(globals(), __all__)
