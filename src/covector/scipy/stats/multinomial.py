"""The multinomial distribution (`covector.scipy.stats.multinomial`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import export as _export
from covector.numpy._util import convert, fused
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import real


def _log_mass(x: Any, n: Any, p: Any) -> tuple[Any, Any]:
    dt, (x, n, p) = real("multinomial", x, n, p)
    whole = cnp.all((x >= 0) & (cnp.floor(x) == x), -1)
    inside = whole & (cnp.sum(x, -1) == n)
    valid = (n >= 0) & cnp.all((p >= 0) & (p <= 1), -1) & ~cnp.any(cnp.isnan(x), -1)
    counts = cnp.where(inside[..., None], x, 0.0)
    terms = cnp.sum(special.xlogy(counts, p) - lax.lgamma(counts + 1.0), -1)
    out = cnp.where(inside, lax.lgamma(cnp.where(n >= 0, n, 0.0) + 1.0) + terms, -math.inf)
    return dt, cnp.where(valid, out, math.nan)


@fused()
def logpmf(x: Any, n: Any, p: Any) -> Any:
    """Logarithm of the probability of the multinomial distribution.

    Parameters
    ----------
    x : array_like
        Counts of the categories, along the last axis.
    n : array_like
        The number of trials: the sum of the counts.
    p : array_like
        Probabilities of the categories, along the last axis; they sum to 1.

    Returns
    -------
    Array
        Of the common shape of the arguments, without the last axis; -inf where the counts are not
        whole numbers that sum to ``n``, NaN where a parameter is out of its range.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import multinomial
    >>> multinomial.logpmf(np.array([1, 2]), 3, np.array([0.25, 0.75]))
    Array(-0.86304617, dtype=float32)
    """
    dt, out = _log_mass(x, n, p)
    return convert(out, dt, out.aval.weak_type)


@fused()
def pmf(x: Any, n: Any, p: Any) -> Any:
    """Probability of the multinomial distribution.

    Parameters
    ----------
    x : array_like
        Counts of the categories, along the last axis.
    n : array_like
        The number of trials: the sum of the counts.
    p : array_like
        Probabilities of the categories, along the last axis; they sum to 1.

    Returns
    -------
    Array
        Of the common shape of the arguments, without the last axis; 0 where the counts are not
        whole numbers that sum to ``n``, NaN where a parameter is out of its range.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import multinomial
    >>> multinomial.pmf(np.array([1, 2]), 3, np.array([0.25, 0.75]))
    Array(0.42187503, dtype=float32)
    """
    dt, out = _log_mass(x, n, p)
    return convert(cnp.exp(out), dt, out.aval.weak_type)


__all__ = ["logpmf", "pmf"]

_export(globals(), __all__)
