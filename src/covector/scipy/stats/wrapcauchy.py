"""The wrapped Cauchy distribution (`covector.scipy.stats.wrapcauchy`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family

_family = Family(
    "wrapcauchy",
    "the wrapped Cauchy distribution of angles from 0 to 2π",
    {"c": "The concentration, between 0 and 1."},
    support=lambda c: (0.0, 2 * math.pi),
    valid=lambda c: (c > 0) & (c < 1),
)


def _log_density(z: Any, c: Any) -> Any:
    distance = cnp.square(1.0 - c) + 4.0 * c * cnp.square(cnp.sin(0.5 * z))
    return cnp.log1p(-c) + cnp.log1p(c) - math.log(2 * math.pi) - cnp.log(distance)


@_family.function(
    "wrapcauchy.logpdf(np.array([0.0, 2.0]), 0.5)", "Array([-0.7392647, -2.6360729], dtype=float32)"
)
def logpdf(x: Any, c: Any) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, 0, 1, c)


@_family.function(
    "wrapcauchy.pdf(np.array([0.0, 2.0]), 0.5)", "Array([0.47746485, 0.07164206], dtype=float32)"
)
def pdf(x: Any, c: Any) -> Any:
    """Density."""
    return _family.density(_log_density, x, 0, 1, c)


__all__ = ["logpdf", "pdf"]

_export(globals(), __all__)
