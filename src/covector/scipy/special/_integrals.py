"""Exponential, sine, cosine and Fresnel integrals, and the dilogarithm."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.numpy._util import fused
from covector.primitives import integrals as primitives
from covector.scipy.special._common import elementwise, filled


@fused()
def expi(x: Any) -> Any:
    """Exponential integral Ei, the principal value of that of exp(t) / t from -inf to ``x``.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.expi(np.array([-1.0, 0.0, 1.0])), 3)
    Array([-0.219,   -inf,  1.895], dtype=float32)
    """
    return elementwise("expi", primitives.expi, x)


@fused()
def exp1(x: Any) -> Any:
    """Exponential integral E1, that of exp(-t) / t from ``x`` to infinity.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; NaN for negative numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.exp1(np.array([0.0, 1.0, 2.0])), 3)
    Array([  inf, 0.219, 0.049], dtype=float32)
    """
    return elementwise("exp1", primitives.exp1, x)


def _expn(n: Any, x: Any) -> Any:
    out = primitives.expn(n, x)
    # Derivatives have negative orders; the function for people has none.
    return lax.select(lax.ge(n, 0.0), out, filled(out, math.nan))


@fused()
def expn(n: Any, x: Any) -> Any:
    """Exponential integral, that of exp(-x t) / t**n from 1 to infinity.

    Parameters
    ----------
    n : array_like
        Orders, whole numbers from 0 on.
    x : array_like
        Real numbers that are not negative.

    Returns
    -------
    Array
        NaN where an operand is out of range.

    Notes
    -----
    By power series (DLMF 8.19.8) up to ``x = 1`` and a continued fraction (DLMF 8.19.17). The
    derivative with respect to ``n`` is that of the integral, which has values between whole ``n``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.expn(np.array([0, 1, 2]), 1.0), 3)
    Array([0.368, 0.219, 0.148], dtype=float32)
    """
    return elementwise("expn", _expn, n, x, full=True)


def _sici(x: Any) -> tuple[Any, Any]:
    ci = primitives.cos_integral(lax.abs(x))
    # The real part for negative numbers; at minus infinity there is no limit.
    ci = lax.select(lax.eq(x, -math.inf), filled(ci, math.nan), ci)
    return primitives.sin_integral(x), ci


@fused()
def sici(x: Any) -> tuple[Any, Any]:
    """Sine and cosine integrals.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    si : Array
        The integral of sin(t) / t from 0 to ``x``.
    ci : Array
        Minus the integral of cos(t) / t from ``|x|`` to infinity: the real part for negative
        numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> si, ci = special.sici(np.array([0.0, 1.0, np.inf]))
    >>> np.round(si, 3), np.round(ci, 3)
    (Array([0.   , 0.946, 1.571], dtype=float32), Array([ -inf, 0.337, 0.   ], dtype=float32))
    """
    both: tuple[Any, Any] = elementwise("sici", _sici, x)
    return both


@fused()
def fresnel(x: Any) -> tuple[Any, Any]:
    """Fresnel integrals.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    s : Array
        The integral of sin(pi t**2 / 2) from 0 to ``x``.
    c : Array
        That of cos(pi t**2 / 2).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> s, c = special.fresnel(np.array([0.0, 1.0, np.inf]))
    >>> np.round(s, 3), np.round(c, 3)
    (Array([0.   , 0.438, 0.5  ], dtype=float32), Array([0.  , 0.78, 0.5 ], dtype=float32))
    """

    def fun(x: Any) -> tuple[Any, Any]:
        return primitives.fresnel_sin(x), primitives.fresnel_cos(x)

    both: tuple[Any, Any] = elementwise("fresnel", fun, x)
    return both


@fused()
def spence(x: Any) -> Any:
    """Spence's function: the dilogarithm of 1 - ``x``.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; NaN for negative numbers.

    Notes
    -----
    Reduced to [1/2, 2] by DLMF 25.12.4 and 25.12.6.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.spence(np.array([0.0, 0.5, 1.0, 2.0])), 3)
    Array([ 1.645,  0.582,  0.   , -0.822], dtype=float32)
    """
    return elementwise("spence", primitives.spence, x)
