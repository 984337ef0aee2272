"""Incomplete gamma and beta functions, and how gamma variates move with their shape."""

from __future__ import annotations

from typing import Any

from covector.core.avals import ShapedArray, aval_of
from covector.core.trace import Primitive
from covector.lax._common import FLOAT, check_dtype, elementwise_aval, match, scalar
from covector.lax._elementwise import binary
from covector.lax.arithmetic import add, mul, sub
from covector.lax.special import lgamma, no_derivative
from covector.lax.unary import exp, log, log1p, neg
from covector.transforms.jvp import def_jvp
from covector.transforms.vmap import def_vectorized

igamma_p = binary("igamma", FLOAT)
igammac_p = binary("igammac", FLOAT)
igamma_grad_a_p = binary("igamma_grad_a", FLOAT)
random_gamma_grad_p = binary("random_gamma_grad", FLOAT)
regularized_incomplete_beta_p = Primitive("regularized_incomplete_beta")


@regularized_incomplete_beta_p.def_abstract_eval
def _betainc_aval(a: ShapedArray, b: ShapedArray, x: ShapedArray) -> ShapedArray:
    check_dtype("betainc", a, FLOAT)
    return elementwise_aval("betainc", (a, b, x))


def_vectorized(regularized_incomplete_beta_p)


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


# --- derivatives -------------------------------------------------------------------------


def _one(x: Any) -> Any:
    return scalar(1, aval_of(x).dtype)


def _gamma_density(a: Any, x: Any) -> Any:
    return exp(sub(sub(mul(sub(a, _one(a)), log(x)), x), lgamma(a)))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    powers = add(mul(sub(a, _one(a)), log(x)), mul(sub(b, _one(b)), log1p(neg(x))))
    return exp(add(powers, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))


def_jvp(
    igamma_p,
    lambda g, a, x: mul(g, igamma_grad_a(a, x)),
    lambda g, a, x: mul(g, _gamma_density(a, x)),
)
def_jvp(
    igammac_p,
    lambda g, a, x: neg(mul(g, igamma_grad_a(a, x))),
    lambda g, a, x: neg(mul(g, _gamma_density(a, x))),
)
for _prim in (igamma_grad_a_p, random_gamma_grad_p):
    _rule = no_derivative(_prim.name, "its arguments: it is a derivative itself")
    def_jvp(_prim, _rule, _rule)
_rule = no_derivative("betainc", "a and b")
def_jvp(
    regularized_incomplete_beta_p,
    _rule,
    _rule,
    lambda g, a, b, x: mul(g, _beta_density(a, b, x)),
)
