"""Special functions: error functions, gamma functions and their relatives, Bessel functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.lax._common import FLOAT, as_operand, match, scalar
from covector.lax._elementwise import binary, unary
from covector.lax.arithmetic import add, div, mul, sub
from covector.lax.compare import eq
from covector.lax.select import select
from covector.lax.unary import exp, neg, sign, square
from covector.transforms.jvp import def_jvp, def_jvp_out

erf_p = unary("erf", FLOAT)
erfc_p = unary("erfc", FLOAT)
erf_inv_p = unary("erf_inv", FLOAT)
lgamma_p = unary("lgamma", FLOAT)
digamma_p = unary("digamma", FLOAT)
bessel_i0e_p = unary("bessel_i0e", FLOAT)
bessel_i1e_p = unary("bessel_i1e", FLOAT)
zeta_p = binary("zeta", FLOAT)
polygamma_p = binary("polygamma", FLOAT)


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


def _c(value: float, x: Any) -> Any:
    return scalar(value, aval_of(x).dtype)


def no_derivative(function: str, arguments: str) -> Callable[..., Any]:
    """A derivative rule that refuses."""

    def rule(g: Any, *args: Any) -> Any:
        raise ValueError(
            f"lax.{function} has no derivative with respect to {arguments}; pass stop_gradient of "
            f"what is not to be differentiated{at_user_line()}"
        )

    return rule


_SLOPE = 2.0 / math.sqrt(math.pi)

def_jvp(erf_p, lambda g, x: mul(_c(_SLOPE, x), mul(g, exp(neg(square(x))))))
def_jvp(erfc_p, lambda g, x: mul(_c(-_SLOPE, x), mul(g, exp(neg(square(x))))))
def_jvp_out(erf_inv_p, lambda g, out, x: mul(_c(1.0 / _SLOPE, x), mul(g, exp(square(out)))))
def_jvp(lgamma_p, lambda g, x: mul(g, digamma(x)))
def_jvp(digamma_p, lambda g, x: mul(g, polygamma(_c(1, x), x)))
def_jvp(
    polygamma_p,
    no_derivative("polygamma", "m"),
    lambda g, m, x: mul(g, polygamma(add(m, _c(1, m)), x)),
)
def_jvp(
    zeta_p,
    no_derivative("zeta", "x"),
    lambda g, x, q: mul(g, mul(neg(x), zeta(add(x, _c(1, x)), q))),
)
def_jvp_out(bessel_i0e_p, lambda g, out, x: mul(g, sub(bessel_i1e(x), mul(sign(x), out))))


def _bessel_i1e_slope(g: Any, out: Any, x: Any) -> Any:
    at_zero = eq(x, _c(0, x))
    safe = select(at_zero, _c(1, x), x)
    slope = sub(bessel_i0e(x), mul(out, add(sign(x), div(_c(1, x), safe))))
    return mul(g, select(at_zero, _c(0.5, x), slope))


def_jvp_out(bessel_i1e_p, _bessel_i1e_slope)
