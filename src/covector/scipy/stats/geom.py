"""The geometric distribution (`covector.scipy.stats.geom`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family

_family = Family(
    "geom",
    "the geometric distribution: of the trials up to the first success",
    {"p": "The probability of success."},
    support=lambda p: (1.0, math.inf),
    valid=lambda p: (p > 0) & (p <= 1),
    inner=lambda p: 1.0,
)


def _log_mass(k: Any, p: Any) -> Any:
    return special.xlog1py(k - 1.0, -p) + cnp.log(p)


@_family.function(
    "geom.logpmf(np.arange(3), 0.25)",
    "Array([      -inf, -1.3862944, -1.6739764], dtype=float32, weak_type=True)",
)
def logpmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """Logarithm of the probability."""
    return _family.log_mass(_log_mass, k, loc, p)


@_family.function(
    "geom.pmf(np.arange(3), 0.25)", "Array([0.    , 0.25  , 0.1875], dtype=float32, weak_type=True)"
)
def pmf(k: Any, p: Any, loc: Any = 0) -> Any:
    """Probability."""
    return _family.mass(_log_mass, k, loc, p)


__all__ = ["logpmf", "pmf"]

_export(globals(), __all__)
