"""Error functions, the normal distribution, Dawson's, Faddeeva's and Owen's functions."""

from __future__ import annotations

import operator
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy._util import fused
from covector.primitives import probability as primitives
from covector.scipy.special._common import elementwise, filled


@fused()
def erf(x: Any) -> Any:
    """Error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to ``x``.

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
    >>> np.round(special.erf(np.array([-np.inf, 0.0, 1.0])), 3)
    Array([-1.   ,  0.   ,  0.843], dtype=float32)
    """
    return elementwise("erf", lax.erf, x)


@fused()
def erfc(x: Any) -> Any:
    """Complementary error function 1 - erf(x), exact for great ``x``.

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
    >>> np.round(special.erfc(np.array([-np.inf, 0.0, 1.0])), 3)
    Array([2.   , 1.   , 0.157], dtype=float32)
    """
    return elementwise("erfc", lax.erfc, x)


@fused()
def erfcx(x: Any) -> Any:
    """Scaled complementary error function exp(x**2) erfc(x).

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
    >>> np.round(special.erfcx(np.array([0.0, 1.0, 100.0])), 4)
    Array([1.    , 0.4276, 0.0056], dtype=float32)
    """
    return elementwise("erfcx", primitives.erfcx, x)


@fused()
def erfinv(x: Any) -> Any:
    """Inverse of the error function.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; infinite at -1 and 1, NaN beyond.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.erfinv(np.array([-1.0, 0.0, 0.5, 2.0])), 3)
    Array([ -inf, 0.   , 0.477,   nan], dtype=float32)
    """
    return elementwise("erfinv", lax.erf_inv, x)


@fused()
def dawsn(x: Any) -> Any:
    """Dawson's integral, exp(-x**2) times the integral of exp(t**2) from 0 to ``x``.

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
    >>> np.round(special.dawsn(np.array([0.0, 1.0, 100.0])), 4)
    Array([0.    , 0.5381, 0.005 ], dtype=float32)
    """
    return elementwise("dawsn", primitives.dawsn, x)


@fused()
def ndtr(x: Any) -> Any:
    """Distribution function of the normal distribution.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Notes
    -----
    As precise in the left tail as elsewhere: the exponent is that of ``x`` itself.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.ndtr(np.array([-np.inf, 0.0, 1.0])), 3)
    Array([0.   , 0.5  , 0.841], dtype=float32)
    """
    return elementwise("ndtr", primitives.ndtr, x)


@fused()
def ndtri(p: Any) -> Any:
    """Inverse of `ndtr`: quantiles of the normal distribution.

    Parameters
    ----------
    p : array_like
        Probabilities.

    Returns
    -------
    Array
        Of the shape of ``p``; NaN outside [0, 1].

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.ndtri(np.array([0.0, 0.5, 0.975])), 3)
    Array([-inf, 0.  , 1.96], dtype=float32)
    """
    return elementwise("ndtri", primitives.ndtri, p)


@fused("series_order")
def log_ndtr(x: Any, series_order: int = 3) -> Any:
    """Logarithm of `ndtr`, without its underflow.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.
    series_order : int
        From 0 to 30. It changes nothing: no asymptotic series is cut off.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Raises
    ------
    TypeError, ValueError
        If ``series_order`` is not an integer, or out of range.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.log_ndtr(np.array([-100.0, 0.0, 100.0])), 3)
    Array([-5.005524e+03, -6.930000e-01, -0.000000e+00], dtype=float32)
    """
    try:
        order = operator.index(series_order)
    except TypeError:
        raise TypeError(
            f"log_ndtr: series_order must be an integer, got {describe(series_order)}"
            f"{at_user_line()}"
        ) from None
    if not 0 <= order <= 30:
        raise ValueError(
            f"log_ndtr: series_order must be from 0 to 30, got {order}{at_user_line()}"
        )
    return elementwise("log_ndtr", primitives.log_ndtr, x)


@fused()
def wofz(z: Any) -> Any:
    """Faddeeva function exp(-z**2) erfc(-iz).

    Parameters
    ----------
    z : array_like
        Complex or real numbers.

    Returns
    -------
    Array
        Complex numbers, of the shape of ``z``.

    References
    ----------
    M. Al Azah and S. N. Chandler-Wilde, "Computation of the complex error function using modified
    trapezoidal rules", SIAM J. Numer. Anal. 59, 2021.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.wofz(np.array([0.0, 1.0 + 1.0j])), 3)
    Array([1.   +0.j   , 0.305+0.208j], dtype=complex64)
    """

    def fun(z: Any) -> Any:
        pair = dtypes.is_complex(z.dtype)
        x, y = (lax.real(z), lax.imag(z)) if pair else (z, filled(z, 0))
        return lax.complex(primitives.wofz_re(x, y), primitives.wofz_im(x, y))

    return elementwise("wofz", fun, z, holomorphic=True)


@fused()
def owens_t(h: Any, a: Any) -> Any:
    """Owen's T function: the probability of X > h and 0 < Y < a X for normal X and Y.

    Parameters
    ----------
    h : array_like
        Real numbers; integers are converted to floats.
    a : array_like
        Real numbers, negative and infinite ones too.

    Returns
    -------
    Array
        Of the common shape of the operands.

    Notes
    -----
    By Gauss-Legendre quadrature of its definition for |a| <= 1, and for greater ``a`` from its
    value at (ah, 1/a): D. B. Owen, "Tables for computing bivariate normal probabilities", Ann.
    Math. Statist. 27, 1956.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.owens_t(np.array([0.0, 1.0]), 1.0)
    Array([0.125     , 0.06674188], dtype=float32)
    """
    return elementwise("owens_t", primitives.owens_t, h, a)
