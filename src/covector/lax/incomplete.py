"""Incomplete gamma and beta functions, and how gamma variates move with their shape."""

from __future__ import annotations

from typing import Any

from covector.core.operands import match
from covector.primitives.incomplete import (
    igamma_grad_a_p,
    igamma_p,
    igammac_p,
    random_gamma_grad_p,
    regularized_incomplete_beta_p,
)


def igamma(a: Any, x: Any) -> Any:
    """Elementwise regularised lower incomplete gamma function :math:`P(a, x)`.

    Parameters
    ----------
    a : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats that are not negative, of the same dtype and shape (or either of rank 0).

    Returns
    -------
    Array
        NaN where an argument is out of range.

    References
    ----------
    DLMF, sections 8.7, 8.9 and 8.12.

    Examples
    --------
    >>> from covector import lax
    >>> lax.igamma(2.0, 3.0)
    Array(0.8008517, dtype=float32, weak_type=True)
    """
    return igamma_p.bind(*match("igamma", a, x))


def igammac(a: Any, x: Any) -> Any:
    """Elementwise regularised upper incomplete gamma function :math:`Q(a, x) = 1 - P(a, x)`.

    Parameters
    ----------
    a : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats that are not negative, of the same dtype and shape (or either of rank 0).

    Returns
    -------
    Array
        NaN where an argument is out of range.

    References
    ----------
    DLMF, sections 8.7, 8.9 and 8.12.

    Examples
    --------
    >>> from covector import lax
    >>> lax.igammac(2.0, 3.0)
    Array(0.19914827, dtype=float32, weak_type=True)
    """
    return igammac_p.bind(*match("igammac", a, x))


def igamma_grad_a(a: Any, x: Any) -> Any:
    """Elementwise derivative of `igamma` with respect to ``a``.

    Parameters
    ----------
    a : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats that are not negative, of the same dtype and shape (or either of rank 0).

    Returns
    -------
    Array
        NaN where an argument is out of range.

    References
    ----------
    DLMF, sections 8.7, 8.9 and 8.12, differentiated term by term.

    Examples
    --------
    >>> from covector import lax
    >>> lax.igamma_grad_a(2.0, 3.0)
    Array(-0.19742543, dtype=float32, weak_type=True)
    """
    return igamma_grad_a_p.bind(*match("igamma_grad_a", a, x))


def random_gamma_grad(a: Any, sample: Any) -> Any:
    """Elementwise derivative of a gamma variate with respect to its shape ``a``.

    The variate moves so that its distribution function keeps its value.

    Parameters
    ----------
    a : array_like
        Shapes, positive real floats.
    sample : array_like
        Variates, of the same dtype and shape (or either of rank 0).

    Returns
    -------
    Array
        How fast each variate grows with ``a``.

    References
    ----------
    M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS 2018.

    Examples
    --------
    >>> from covector import lax
    >>> lax.random_gamma_grad(2.0, 3.0)
    Array(1.3217986, dtype=float32, weak_type=True)
    """
    return random_gamma_grad_p.bind(*match("random_gamma_grad", a, sample))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """Elementwise regularised incomplete beta function :math:`I_x(a, b)`.

    Parameters
    ----------
    a, b : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats in [0, 1], of the same dtype and shape (or any of rank 0).

    Returns
    -------
    Array
        NaN where an argument is out of range.

    References
    ----------
    DLMF 8.17.22.

    Examples
    --------
    >>> from covector import lax
    >>> lax.betainc(2.0, 3.0, 0.5)
    Array(0.6875, dtype=float32, weak_type=True)
    """
    a, b = match("betainc", a, b)
    a, x = match("betainc", a, x)
    b, x = match("betainc", b, x)
    return regularized_incomplete_beta_p.bind(a, b, x)
