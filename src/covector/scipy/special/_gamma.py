"""The gamma function and its relatives: factorials, beta functions, zeta functions."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy._util import array, fused
from covector.primitives import gamma_functions as primitives
from covector.scipy.special._common import elementwise, filled, orders


@fused()
def gamma(x: Any) -> Any:
    """Gamma function.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; infinite at 0, NaN at negative integers.

    Notes
    -----
    Stirling's formula from 6 on, below a polynomial and the recurrence, reflected for negative
    numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.gamma(np.array([1.0, 5.0, -0.5]))
    Array([ 1.       , 24.       , -3.5449078], dtype=float32)
    """
    return elementwise("gamma", primitives.gamma, x)


@fused()
def gammaln(x: Any) -> Any:
    """Logarithm of the absolute value of the gamma function.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; infinite at 0 and at negative integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.gammaln(np.array([1.0, 5.0, -0.5])), 3)
    Array([0.   , 3.178, 1.266], dtype=float32)
    """
    return elementwise("gammaln", lax.lgamma, x)


def _gammasgn(x: Any) -> Any:
    whole = lax.floor(x)
    one = filled(x, 1)
    odd = lax.ne(lax.mul(lax.floor(lax.mul(whole, 0.5)), 2.0), whole)
    pole = lax.bitwise_or(lax.eq(whole, x), lax.ne(x, x))
    below = lax.select(odd, lax.neg(one), one)
    below = lax.select(pole, filled(x, math.nan), below)
    at_zero = cnp.copysign(one, x)
    return lax.select(lax.gt(x, 0.0), one, lax.select(lax.eq(x, 0.0), at_zero, below))


@fused()
def gammasgn(x: Any) -> Any:
    """Sign of the gamma function.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        1 or -1; at 0 by its sign, NaN at negative integers, where there is none.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.gammasgn(np.array([2.0, -0.5, -1.5, -0.0, -1.0]))
    Array([ 1., -1.,  1., -1., nan], dtype=float32)
    """
    return elementwise("gammasgn", _gammasgn, x)


@fused()
def digamma(x: Any) -> Any:
    """Logarithmic derivative of the gamma function.

    Parameters
    ----------
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the shape of ``x``; NaN at negative integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.digamma(np.array([1.0, 4.0])), 3)
    Array([-0.577,  1.256], dtype=float32)
    """
    return elementwise("digamma", lax.digamma, x)


@fused()
def polygamma(n: Any, x: Any) -> Any:
    """``n``-th derivative of `digamma`.

    Parameters
    ----------
    n : array_like
        Orders, whole numbers from 0 on.
    x : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the common shape of the operands; NaN for orders that are no whole numbers.

    Notes
    -----
    There is no derivative with respect to ``n``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.polygamma(np.array([0, 1, 2]), 1.0), 3)
    Array([-0.577,  1.645, -2.404], dtype=float32)
    """
    return elementwise("polygamma", lax.polygamma, n, x)


@fused()
def zeta(x: Any, q: Any = None) -> Any:
    """Hurwitz zeta function, the sum of (q + k)**-x over k >= 0; without ``q``, Riemann's.

    Parameters
    ----------
    x : array_like
        Exponents. The sum is infinite at 1; below, Riemann's function is continued, and
        Hurwitz's is NaN.
    q : array_like, optional
        Real numbers. Where negative, ``x`` must be an integer for the sum to be real.

    Returns
    -------
    Array
        Of the common shape of the operands.

    Notes
    -----
    By the Euler-Maclaurin formula (DLMF 25.11.28), and the functional equation (DLMF 25.4.2) for
    negative ``x``; derivatives with respect to ``x`` are those of the formulae.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.zeta(np.array([2.0, 3.0]), 1.0), 3)
    Array([1.645, 1.202], dtype=float32)
    >>> special.zeta(-1.0)
    Array(-0.08333334, dtype=float32, weak_type=True)
    """
    if q is None:
        return elementwise("zeta", primitives.riemann_zeta, x)
    return elementwise("zeta", lax.zeta, x, q)


@fused()
def gammainc(a: Any, x: Any) -> Any:
    """Regularised lower incomplete gamma function P(a, x).

    Parameters
    ----------
    a : array_like
        Real numbers that are not negative.
    x : array_like
        Real numbers that are not negative.

    Returns
    -------
    Array
        NaN where an operand is out of range.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.gammainc(2.0, np.array([0.0, 1.0, 3.0])), 3)
    Array([0.   , 0.264, 0.801], dtype=float32)
    """
    return elementwise("gammainc", lax.igamma, a, x)


@fused()
def gammaincc(a: Any, x: Any) -> Any:
    """Regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x).

    Parameters
    ----------
    a : array_like
        Real numbers that are not negative.
    x : array_like
        Real numbers that are not negative.

    Returns
    -------
    Array
        NaN where an operand is out of range.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.gammaincc(2.0, np.array([0.0, 1.0, 3.0])), 3)
    Array([1.   , 0.736, 0.199], dtype=float32)
    """
    return elementwise("gammaincc", lax.igammac, a, x)


@fused()
def beta(a: Any, b: Any) -> Any:
    """Beta function, Gamma(a) Gamma(b) / Gamma(a + b).

    Parameters
    ----------
    a : array_like
        Real numbers; integers are converted to floats.
    b : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the common shape of the operands.

    Notes
    -----
    A quotient of gamma functions as long as these are finite, else by Stirling's formula
    without the terms that cancel.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.beta(2.0, np.array([3.0, 0.5]))
    Array([0.08333334, 1.3333334 ], dtype=float32)
    """
    return elementwise("beta", primitives.beta, a, b)


@fused()
def betaln(a: Any, b: Any) -> Any:
    """Logarithm of the absolute value of the beta function.

    Parameters
    ----------
    a : array_like
        Real numbers; integers are converted to floats.
    b : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the common shape of the operands.

    Notes
    -----
    By Stirling's formula without the terms that cancel, where an operand is great.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.betaln(2.0, np.array([3.0, 1e6])), 3)
    Array([ -2.485, -27.631], dtype=float32)
    """
    return elementwise("betaln", primitives.betaln, a, b)


@fused()
def betainc(a: Any, b: Any, x: Any) -> Any:
    """Regularised incomplete beta function.

    Parameters
    ----------
    a, b : array_like
        Real numbers that are not negative.
    x : array_like
        Upper limits in [0, 1].

    Returns
    -------
    Array
        Of the common shape of the operands; NaN where one is out of range.

    Notes
    -----
    A continued fraction (DLMF 8.17.22). Derivatives with respect to ``a`` and ``b`` are those of
    the fraction [1]_.

    References
    ----------
    .. [1] R. J. Boik, J. F. Robison-Cox, "Derivatives of the incomplete beta function", Journal of
       Statistical Software 3(1), 1998.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.betainc(1.0, 2.0, np.array([0.0, 0.5, 1.0]))
    Array([0.  , 0.75, 1.  ], dtype=float32)
    """
    return elementwise("betainc", lax.regularized_incomplete_beta_p.bind, a, b, x)


@fused()
def poch(z: Any, m: Any) -> Any:
    """Pochhammer's symbol, Gamma(z + m) / Gamma(z).

    Parameters
    ----------
    z : array_like
        Real numbers; integers are converted to floats.
    m : array_like
        Real numbers; integers are converted to floats.

    Returns
    -------
    Array
        Of the common shape of the operands. Of two poles the limit along whole ``m`` (DLMF 5.2.6).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.poch(np.array([1.0, 0.5, -3.0]), 2.0)
    Array([2.  , 0.75, 6.  ], dtype=float32)
    """
    return elementwise("poch", primitives.poch, z, m)


@custom_jvp
def _factorial(n: Any) -> Any:
    # Of great numbers the sum would be rounded.
    great = lax.ge(n, 2.0)
    out = primitives.gamma(lax.select(great, n, lax.add(n, 1.0)))
    out = lax.select(great, lax.mul(n, out), out)
    # Of a whole number it is one; rounding is exact where it can be told from its neighbours.
    out = lax.select(lax.eq(lax.floor(n), n), lax.round(out), out)
    return lax.select(lax.lt(n, 0.0), filled(out, 0), out)


@_factorial.defjvp
def _factorial_jvp(primals: Any, tangents: Any) -> Any:
    (n,), (g,) = primals, tangents
    out = _factorial(n)
    safe = lax.select(lax.lt(n, 0.0), filled(n, 0), n)
    return out, lax.mul(g, lax.mul(out, lax.digamma(lax.add(safe, 1.0))))


def factorial(n: Any, exact: bool = False) -> Any:
    """Factorial, Gamma(n + 1), and 0 for negative numbers.

    Parameters
    ----------
    n : array_like
        Real numbers; integers are converted to floats.
    exact : bool
        Only False: arrays have no integers of any length.

    Returns
    -------
    Array
        Of the shape of ``n``.

    Raises
    ------
    NotImplementedError
        If ``exact`` is True.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.factorial(np.array([0, 3, 10, -1]))
    Array([1.0000e+00, 6.0000e+00, 3.6288e+06, 0.0000e+00], dtype=float32)
    """
    if exact:
        raise NotImplementedError(
            "factorial with exact=True is not supported: arrays have no integers of any length; "
            f"use math.factorial{at_user_line()}"
        )
    return _factorial_of(n)


@fused()
def _factorial_of(n: Any) -> Any:
    return elementwise("factorial", _factorial, n, double=True)


@custom_jvp
def _comb(n: Any, k: Any) -> Any:
    one, zero = filled(n, 1), filled(n, 0)
    inside = lax.bitwise_and(lax.ge(k, 0.0), lax.ge(n, k))
    n, k = lax.select(inside, n, one), lax.select(inside, k, zero)
    rest = lax.add(lax.sub(n, k), 1.0)
    out = lax.div(1.0, lax.mul(lax.add(n, 1.0), primitives.beta(rest, lax.add(k, 1.0))))
    whole = lax.bitwise_and(lax.eq(lax.floor(n), n), lax.eq(lax.floor(k), k))
    return lax.select(inside, lax.select(whole, lax.round(out), out), zero)


@_comb.defjvp
def _comb_jvp(primals: Any, tangents: Any) -> Any:
    (n, k), (g, h) = primals, tangents
    out, zero = _comb(n, k), filled(n, 0)
    inside = lax.bitwise_and(lax.ge(k, 0.0), lax.ge(n, k))
    n, k = lax.select(inside, n, zero), lax.select(inside, k, zero)
    up, down, rest = (lax.digamma(lax.add(x, 1.0)) for x in (n, k, lax.sub(n, k)))
    slope = lax.add(lax.mul(g, lax.sub(up, rest)), lax.mul(h, lax.sub(rest, down)))
    return out, lax.mul(out, slope)


@fused("repetition")
def comb(N: Any, k: Any, *, repetition: bool = False) -> Any:
    """Number of ways to choose ``k`` of ``N`` things.

    Parameters
    ----------
    N, k : array_like
        Real numbers that broadcast together; others than whole ones by the beta function.
    repetition : bool
        Whether a thing can be chosen more than once.

    Returns
    -------
    Array
        Floats; 0 where ``k`` is negative or greater than ``N``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.comb(5, np.array([0, 2, 6]))
    Array([ 1., 10.,  0.], dtype=float32)
    >>> special.comb(5, 2, repetition=True)
    Array(15., dtype=float32, weak_type=True)
    """

    def fun(n: Any, k: Any) -> Any:
        if not repetition:
            return _comb(n, k)
        many = _comb(lax.sub(lax.add(n, k), 1.0), k)
        return lax.select(lax.eq(k, 0.0), filled(many, 1), many)

    return elementwise("comb", fun, N, k, double=True, full=True)


@fused("d")
def multigammaln(a: Any, d: Any) -> Any:
    """Logarithm of the multivariate gamma function.

    Parameters
    ----------
    a : array_like
        Real numbers above (d - 1) / 2.
    d : int
        The dimension, from 1 on.

    Returns
    -------
    Array
        Of the shape of ``a``.

    Raises
    ------
    TypeError, ValueError
        If ``d`` is not a concrete integer, or less than 1.

    References
    ----------
    DLMF, section 35.3.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.multigammaln(np.array([2.0, 3.0]), 2), 3)
    Array([0.452, 1.55 ], dtype=float32)
    """
    try:
        size = operator.index(d)
    except TypeError:
        raise TypeError(
            f"multigammaln: the dimension d must be an integer, got {describe(d)}{at_user_line()}"
        ) from None
    if size < 1:
        raise ValueError(
            f"multigammaln: the dimension d must be at least 1, got {size}{at_user_line()}"
        )

    def fun(a: Any) -> Any:
        shape = (*a.shape, size)
        each = lax.mul(orders(a.dtype, shape, a.ndim), 0.5)
        spread = lax.broadcast_in_dim(a, shape, tuple(range(a.ndim)))
        total = lax.reduce_sum(lax.lgamma(lax.sub(spread, each)), (a.ndim,))
        return lax.add(total, 0.25 * size * (size - 1) * math.log(math.pi))

    return elementwise("multigammaln", fun, a)


def _bernoulli(n: int) -> list[float]:
    """B_0, …, B_n from the tangent numbers: R. P. Brent and D. Harvey, "Fast computation of
    Bernoulli, tangent and secant numbers", 2013, algorithm 1."""
    half = n // 2
    tangent = [0, 1, *[0] * half]
    for k in range(2, half + 1):
        tangent[k] = (k - 1) * tangent[k - 1]
    for k in range(2, half + 1):
        for j in range(k, half + 1):
            tangent[j] = (j - k) * tangent[j - 1] + (j - k + 2) * tangent[j]
    out = [1.0, -0.5, *[0.0] * (n - 1)]
    for k in range(1, half + 1):
        power = 4**k
        try:
            size = 2 * k * tangent[k] / (power * (power - 1))
        except OverflowError:
            size = math.inf
        out[2 * k] = size if k % 2 else -size
    return out[: n + 1]


def bernoulli(n: int) -> Any:
    """Bernoulli numbers B_0, …, B_n, with B_1 = -1/2.

    Parameters
    ----------
    n : int
        The last index, from 0 on.

    Returns
    -------
    Array
        Floats of shape ``(n + 1,)``, each rounded once.

    Raises
    ------
    TypeError, ValueError
        If ``n`` is not a concrete integer, or negative.

    References
    ----------
    R. P. Brent and D. Harvey, "Fast computation of Bernoulli, tangent and secant numbers", 2013.

    Examples
    --------
    >>> from covector.scipy import special
    >>> special.bernoulli(4)
    Array([ 1.        , -0.5       ,  0.16666667,  0.        , -0.03333334],
          dtype=float32)
    """
    try:
        last = operator.index(n)
    except TypeError:
        raise TypeError(
            f"bernoulli: the last index n must be an integer, got {describe(n)}{at_user_line()}"
        ) from None
    if last < 0:
        raise ValueError(f"bernoulli: n must not be negative, got {last}{at_user_line()}")
    with onp.errstate(over="ignore"):
        return array(onp.asarray(_bernoulli(last)).astype(dtypes.default_float()))
