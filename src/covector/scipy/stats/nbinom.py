"""The negative binomial distribution (`covector.scipy.stats.nbinom`)."""

from __future__ import annotations

from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, half_line

_family = Family(
    "nbinom",
    "the negative binomial distribution: of the failures before ``n`` successes",
    {"n": "The number of successes, positive.", "p": "The probability of success."},
    support=half_line,
    valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
    inner=lambda n, p: 0.0,
)


def _log_mass(k: Any, n: Any, p: Any) -> Any:
    return cnp.log(n / (n + k)) + special.log_binomial(n, k, p, 1.0 - p)


@_family.function(
    "nbinom.logpmf(np.arange(3), 2, 0.25)",
    "Array([-2.7725887, -2.3671238, -2.2493405], dtype=float32, weak_type=True)",
)
def logpmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(_log_mass, k, loc, n, p)


@_family.function(
    "nbinom.pmf(np.arange(3), 2, 0.25)",
    "Array([0.0625    , 0.09374998, 0.10546876], dtype=float32, weak_type=True)",
)
def pmf(k: Any, n: Any, p: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(_log_mass, k, loc, n, p)


__all__ = ["logpmf", "pmf"]

_export(globals(), __all__)
