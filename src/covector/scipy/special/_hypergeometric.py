"""Hypergeometric functions."""

from __future__ import annotations

from typing import Any

from covector.numpy._util import fused
from covector.primitives import hypergeometric as primitives
from covector.scipy.special._common import elementwise


@fused()
def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Confluent hypergeometric function 1F1(a; b; x).

    Parameters
    ----------
    a, b, x : array_like
        Real numbers that broadcast together.

    Returns
    -------
    Array
        Infinite where ``b`` is 0 or a negative integer and the series does not end before.

    Notes
    -----
    Kummer's series, after his transformation for negative ``x``, and the asymptotic expansion
    DLMF 13.7.1 for great ``x``. Derivatives with respect to ``a`` and ``b`` are those of the same
    sums, term by term.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.hyp1f1(1.0, 2.0, np.array([-1.0, 0.0, 1.0])), 3)
    Array([0.632, 1.   , 1.718], dtype=float32)
    """
    return elementwise("hyp1f1", primitives.hyp1f1, a, b, x)


@fused()
def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss's hypergeometric function 2F1(a, b; c; x).

    Parameters
    ----------
    a, b, c : array_like
        Real numbers that broadcast together.
    x : array_like
        Real numbers up to 1, and greater ones where the series ends.

    Returns
    -------
    Array
        Infinite for ``x`` above 1, and where ``c`` is 0 or a negative integer, unless the series
        ends before.

    Notes
    -----
    Gauss's series on [0, 0.9], the transformations of Pfaff and Euler (DLMF 15.8.1) for negative
    ``x``, and those to 1 - x above (DLMF 15.8.4 and 15.8.10). Derivatives with respect to ``a``,
    ``b`` and ``c`` are those of the series and of solutions of the hypergeometric equation.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.hyp2f1(1.0, 1.0, 2.0, np.array([-1.0, 0.0, 0.5])), 3)
    Array([0.693, 1.   , 1.386], dtype=float32)
    """
    return elementwise("hyp2f1", primitives.hyp2f1, a, b, c, x)
