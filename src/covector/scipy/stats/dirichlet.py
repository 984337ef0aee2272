"""The Dirichlet distribution (`covector.scipy.stats.dirichlet`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.numpy._util import convert, fused
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import real

# How far the sum of the components may be from 1.
_TOLERANCE = 1e-6


def _complete(x: Any, alpha: Any) -> tuple[Any, Any]:
    """All components, and the parameters alongside."""
    if alpha.ndim != 1 or x.ndim < 1 or x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
        raise ValueError(
            "dirichlet: alpha must be a vector, and the first axis of x as long, or one shorter; "
            f"got x {aval_of(x).str_short()} and alpha {aval_of(alpha).str_short()}"
            f"{at_user_line()}"
        )
    if x.shape[0] != alpha.shape[0]:
        x = cnp.concatenate([x, 1.0 - cnp.sum(x, 0, keepdims=True)])
    return x, cnp.reshape(alpha, (-1,) + (1,) * (x.ndim - 1))


def _log_density(x: Any, alpha: Any) -> tuple[Any, Any]:
    dt, (x, alpha) = real("dirichlet", x, alpha)
    x, alpha = _complete(x, alpha)
    inside = cnp.all(x >= 0, 0) & (cnp.abs(cnp.sum(x, 0) - 1.0) < _TOLERANCE)
    valid = cnp.all(alpha > 0) & ~cnp.any(cnp.isnan(x), 0)
    points = cnp.where(inside, x, 1.0)
    scale = lax.lgamma(cnp.sum(alpha, 0)) - cnp.sum(lax.lgamma(alpha), 0)
    out = cnp.sum(special.xlogy(alpha - 1.0, points), 0) + scale
    out = cnp.where(inside, out, -math.inf)
    return dt, cnp.where(valid, out, math.nan)


@fused()
def logpdf(x: Any, alpha: Any) -> Any:
    """Logarithm of the density of the Dirichlet distribution.

    Parameters
    ----------
    x : array_like
        Points of the simplex: components along the first axis, which sum to 1 (within 1e-6). The
        last component may be left out.
    alpha : array_like
        The concentrations, a vector of positive numbers.

    Returns
    -------
    Array
        Of the shape of ``x`` without its first axis; -inf outside of the simplex, NaN where a
        concentration is not positive.

    Raises
    ------
    ValueError
        If ``alpha`` is not a vector, or has not as many elements as ``x`` components.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import dirichlet
    >>> dirichlet.logpdf(np.array([0.2, 0.8]), np.array([1.0, 2.0]))
    Array(0.47000366, dtype=float32)
    """
    dt, out = _log_density(x, alpha)
    return convert(out, dt, out.aval.weak_type)


@fused()
def pdf(x: Any, alpha: Any) -> Any:
    """Density of the Dirichlet distribution.

    Parameters
    ----------
    x : array_like
        Points of the simplex: components along the first axis, which sum to 1 (within 1e-6). The
        last component may be left out.
    alpha : array_like
        The concentrations, a vector of positive numbers.

    Returns
    -------
    Array
        Of the shape of ``x`` without its first axis; 0 outside of the simplex, NaN where a
        concentration is not positive.

    Raises
    ------
    ValueError
        If ``alpha`` is not a vector, or has not as many elements as ``x`` components.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import dirichlet
    >>> dirichlet.pdf(np.array([0.2, 0.8]), np.array([1.0, 2.0]))
    Array(1.6, dtype=float32)
    """
    dt, out = _log_density(x, alpha)
    return convert(cnp.exp(out), dt, out.aval.weak_type)


__all__ = ["logpdf", "pdf"]

_export(globals(), __all__)
