"""Student's distribution (`covector.scipy.stats.t`)."""

from __future__ import annotations

import math
from typing import Any

from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import Family, positive

_family = Family(
    "t",
    "Student's distribution",
    {"df": "Degrees of freedom, positive; infinite for the normal distribution."},
    valid=positive,
)


def _log_density(z: Any, df: Any) -> Any:
    infinite = df == math.inf
    n = cnp.where(infinite, 1.0, df)
    scale = -special.betaln(0.5, 0.5 * n) - 0.5 * cnp.log(n)
    out = scale - 0.5 * (n + 1.0) * special.log1p_square(z / cnp.sqrt(n))
    normal = -0.5 * cnp.square(cnp.where(infinite, z, 0.0)) - special.HALF_LOG_2PI
    return cnp.where(infinite, normal, out)


@_family.function(
    "t.logpdf(np.array([0.0, 2.0]), 3.0)", "Array([-1.0008888, -2.6954846], dtype=float32)"
)
def logpdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Logarithm of the density."""
    return _family.log_density(_log_density, x, loc, scale, df)


@_family.function(
    "t.pdf(np.array([0.0, 2.0]), 3.0)", "Array([0.3675526 , 0.06750966], dtype=float32)"
)
def pdf(x: Any, df: Any, loc: Any = 0, scale: Any = 1) -> Any:
    """Density."""
    return _family.density(_log_density, x, loc, scale, df)


__all__ = ["logpdf", "pdf"]

_export(globals(), __all__)
