"""The von Mises distribution (`covector.scipy.stats.vonmises`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats._family import Family

_family = Family(
    "vonmises",
    "the von Mises distribution of angles",
    {"kappa": "The concentration, not negative."},
    valid=lambda kappa: kappa >= 0,
)


def _log_density(z: Any, kappa: Any) -> Any:
    # κ (cos(z) - 1), without cancellation near 0.
    fall = -2.0 * kappa * cnp.square(cnp.sin(0.5 * z))
    return fall - math.log(2 * math.pi) - cnp.log(lax.bessel_i0e(kappa))


@_family.function(
    "vonmises.logpdf(np.array([0.0, 2.0]), 1.5)", "Array([-0.83666444, -2.960885  ], dtype=float32)"
)
def logpdf(x: Any, kappa: Any) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, 0, 1, kappa)


@_family.function(
    "vonmises.pdf(np.array([0.0, 2.0]), 1.5)", "Array([0.4331529 , 0.05177308], dtype=float32)"
)
def pdf(x: Any, kappa: Any) -> Any:
    """Density."""
    return _family.density(_log_density, x, 0, 1, kappa)


__all__ = ["logpdf", "pdf"]

_export(globals(), __all__)
