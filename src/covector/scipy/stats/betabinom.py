"""The beta-binomial distribution (`covector.scipy.stats.betabinom`)."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family


def _valid(n: Any, a: Any, b: Any) -> Any:
    return (n >= 0) & (cnp.floor(n) == n) & (a > 0) & (b > 0)


_family = Family(
    "betabinom",
    "the beta-binomial distribution",
    {
        "n": "The number of trials, a whole number.",
        "a": "First shape of the beta distribution, positive.",
        "b": "Second shape of the beta distribution, positive.",
    },
    support=lambda n, a, b: (0.0, n),
    valid=_valid,
    inner=lambda n, a, b: 0.0,
)


def _log_mass(k: Any, n: Any, a: Any, b: Any) -> Any:
    # C(n, k) B(k + a, m + b) / B(a, b) as three binomial probabilities, of any one p, so that
    # great logarithms cancel before they are evaluated.
    m = n - k
    p = lax.stop_gradient((k + a) / (n + a + b))
    q = lax.stop_gradient((m + b) / (n + a + b))
    log = special.log_binomial
    chances = log(k, m, p, q) - log(k + a, m + b, p, q) + log(a, b, p, q)
    return chances + cnp.log(a / (k + a) * (b / (m + b)) * ((n + a + b) / (a + b)))


@_family.function(
    "betabinom.logpmf(np.arange(3), 2, 1.0, 2.0)",
    "Array([-0.6931472, -1.0986122, -1.7917595], dtype=float32, weak_type=True)",
)
def logpmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(_log_mass, k, loc, n, a, b)


@_family.function(
    "betabinom.pmf(np.arange(3), 2, 1.0, 2.0)",
    "Array([0.5       , 0.33333337, 0.16666666], dtype=float32, weak_type=True)",
)
def pmf(k: Any, n: Any, a: Any, b: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(_log_mass, k, loc, n, a, b)


__all__ = ["logpmf", "pmf"]

_export(globals(), __all__)
