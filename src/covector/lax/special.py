"""Special functions."""

from __future__ import annotations

from typing import Any

from covector.core.operands import as_operand, match
from covector.primitives.special import (
    bessel_i0e_p,
    bessel_i1e_p,
    digamma_p,
    erf_inv_p,
    erf_p,
    erfc_p,
    lgamma_p,
    polygamma_p,
    zeta_p,
)


def erf(x: Any) -> Any:
    r"""Elementwise error function :math:`\frac{2}{\sqrt\pi}\int_0^x e^{-t^2} dt`.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.erf(0.5)
    Array(0.5204999, dtype=float32, weak_type=True)
    """
    return erf_p.bind(as_operand(x, "erf"))


def erfc(x: Any) -> Any:
    r"""Elementwise complementary error function :math:`1 - \mathrm{erf}(x)`, exact for great ``x``.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.erfc(4.0)
    Array(1.5417259e-08, dtype=float32, weak_type=True)
    """
    return erfc_p.bind(as_operand(x, "erfc"))


def erf_inv(x: Any) -> Any:
    """Elementwise inverse of the error function.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at -1 and 1, NaN beyond.

    References
    ----------
    M. Giles, "Approximating the erfinv function", GPU Computing Gems, 2011.

    Examples
    --------
    >>> from covector import lax
    >>> lax.erf_inv(0.5204999)
    Array(0.5, dtype=float32, weak_type=True)
    """
    return erf_inv_p.bind(as_operand(x, "erf_inv"))


def lgamma(x: Any) -> Any:
    """Elementwise logarithm of the absolute value of the gamma function.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at 0 and at negative integers.

    Examples
    --------
    >>> from covector import lax
    >>> lax.lgamma(5.0)
    Array(3.1780539, dtype=float32, weak_type=True)
    """
    return lgamma_p.bind(as_operand(x, "lgamma"))


def digamma(x: Any) -> Any:
    """Elementwise logarithmic derivative of the gamma function.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; NaN at negative integers.

    Examples
    --------
    >>> from covector import lax
    >>> lax.digamma(1.0)
    Array(-0.5772157, dtype=float32, weak_type=True)
    """
    return digamma_p.bind(as_operand(x, "digamma"))


def bessel_i0e(x: Any) -> Any:
    """Elementwise :math:`e^{-|x|} I_0(x)`, with the modified Bessel function of order 0.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.bessel_i0e(2.0)
    Array(0.30850834, dtype=float32, weak_type=True)
    """
    return bessel_i0e_p.bind(as_operand(x, "bessel_i0e"))


def bessel_i1e(x: Any) -> Any:
    """Elementwise :math:`e^{-|x|} I_1(x)`, with the modified Bessel function of order 1.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> from covector import lax
    >>> lax.bessel_i1e(2.0)
    Array(0.21526928, dtype=float32, weak_type=True)
    """
    return bessel_i1e_p.bind(as_operand(x, "bessel_i1e"))


def zeta(x: Any, q: Any) -> Any:
    r"""Elementwise Hurwitz zeta function :math:`\sum_{k \ge 0} (q + k)^{-x}`.

    Parameters
    ----------
    x : array_like
        Exponents above 1, real floats.
    q : array_like
        Real floats of the same dtype and shape (or either of rank 0). Where negative, ``x`` must be
        an integer for the sum to be real.

    Returns
    -------
    Array
        Infinite for ``x = 1``, NaN where there is no real sum.

    References
    ----------
    DLMF, sections 25.11(iii) and 25.11.28 (Euler-Maclaurin).

    Examples
    --------
    >>> from covector import lax
    >>> lax.zeta(2.0, 1.0)
    Array(1.644934, dtype=float32, weak_type=True)
    """
    return zeta_p.bind(*match("zeta", x, q))


def polygamma(m: Any, x: Any) -> Any:
    """Elementwise ``m``-th derivative of `digamma`.

    Parameters
    ----------
    m : array_like
        Orders: whole numbers from 0 on, held as floats.
    x : array_like
        Real floats of the same dtype and shape (or either of rank 0).

    Returns
    -------
    Array
        NaN where ``m`` is not a whole number.

    Examples
    --------
    >>> from covector import lax
    >>> lax.polygamma(1.0, 1.0)
    Array(1.644934, dtype=float32, weak_type=True)
    """
    return polygamma_p.bind(*match("polygamma", m, x))
