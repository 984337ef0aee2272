"""Polynomials as vectors of coefficients, the highest power first."""

from __future__ import annotations

import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy import linalg
from covector.numpy._util import (
    array,
    broadcast_to,
    concrete,
    convert,
    fused,
    promote_dtypes,
    promote_inexact,
)
from covector.numpy.calculus import convolve
from covector.numpy.diagonals import eye
from covector.numpy.grids import vander
from covector.numpy.insertion import trim_zeros
from covector.numpy.products import outer
from covector.numpy.ufuncs import _add, _multiply


def _vector(p: Any, name: str) -> Any:
    x = array(p, name)
    if x.ndim > 1:
        raise ValueError(f"{name} takes vectors of coefficients, got {describe(x)}{at_user_line()}")
    return lax.reshape(x, (x.size,))


@fused("unroll")
def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """Value of the polynomial ``p`` at ``x``, by Horner's rule.

    Parameters
    ----------
    p : array_like
        Coefficients along the first axis, the highest power first.
    x : array_like
        Where to evaluate.
    unroll : int
        Accepted and ignored.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polyval(np.array([1, 0, 2]), np.array([0, 1, 2]))
    Array([2, 3, 6], dtype=int32)
    """
    c, v = (array(t) for t in promote_dtypes("polyval", p, x))
    shape = v.shape
    out = lax.full(shape, 0, v.dtype)
    for i in range(c.shape[0]):
        ci = lax.index_in_dim(c, i, 0, False)
        if ci.ndim:
            ci = broadcast_to(ci, lax.broadcast_shapes(ci.shape, shape))
        out = _add(_multiply(out, v), ci)
    return out


@fused()
def polyadd(a1: Any, a2: Any) -> Any:
    """Sum of two polynomials.

    Parameters
    ----------
    a1, a2 : array_like
        Vectors of coefficients.

    Returns
    -------
    Array
        A vector as long as the longer one.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polyadd(np.array([1, 2]), np.array([1, 0, 3]))
    Array([1, 1, 5], dtype=int32)
    """
    return _combined("polyadd", a1, a2, lax.add)


@fused()
def polysub(a1: Any, a2: Any) -> Any:
    """Difference of two polynomials.

    Parameters
    ----------
    a1, a2 : array_like
        Vectors of coefficients.

    Returns
    -------
    Array
        A vector as long as the longer one.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polysub(np.array([1, 2]), np.array([1, 0, 3]))
    Array([-1,  1, -1], dtype=int32)
    """
    return _combined("polysub", a1, a2, lax.sub)


def _combined(name: str, a1: Any, a2: Any, op: Any) -> Any:
    x, y = (_vector(t, name) for t in promote_dtypes(name, a1, a2))
    n = max(x.shape[0], y.shape[0])

    def grown(v: Any) -> Any:
        return lax.pad(v, v.dtype.type(0), ((n - v.shape[0], 0, 0),))

    return op(grown(x), grown(y))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """Product of two polynomials.

    Parameters
    ----------
    a1, a2 : array_like
        Vectors of coefficients.
    trim_leading_zeros : bool
        Leave leading zeros of the operands out, which is possible only outside ``jit``.

    Returns
    -------
    Array
        A vector of floats or complex numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polymul(np.array([1, 2]), np.array([1, 0, 3]))
    Array([1., 2., 3., 6.], dtype=float32)
    """
    x, y = _vector(a1, "polymul"), _vector(a2, "polymul")
    if trim_leading_zeros:
        x, y = trim_zeros(x, "f"), trim_zeros(y, "f")
    one = lax.full((1,), 0, dtypes.default_float())
    x, y = x if x.shape[0] else one, y if y.shape[0] else one
    x, y = promote_inexact("polymul", x, y)
    return convolve(x, y, "full")


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Any, Any]:
    """Quotient and remainder of two polynomials.

    Parameters
    ----------
    u, v : array_like
        Vectors of coefficients; the first of ``v`` must not be 0.
    trim_leading_zeros : bool
        Leave leading zeros of the remainder out, which is possible only outside ``jit``.

    Returns
    -------
    tuple of two Array
        Floats or complex numbers; the remainder is as long as ``u``, unless trimmed.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polydiv(np.array([1.0, 5.0, 7.0]), np.array([1.0, 2.0]))
    (Array([1., 3.], dtype=float32), Array([0., 0., 1.], dtype=float32))
    """
    x, y = (_vector(t, "polydiv") for t in promote_inexact("polydiv", u, v))
    m, n = x.shape[0] - 1, y.shape[0] - 1
    size = max(m - n + 1, 1)
    q = lax.full((size,), 0, x.dtype)
    r = x
    for k in range(m - n + 1):
        d = lax.div(r[k], y[0])
        q = q.at[k].set(d)
        r = r.at[k : k + n + 1].add(-d * y)
    if trim_leading_zeros:
        r = trim_zeros(r, "f")
    return q, r


def polyder(p: Any, m: int = 1) -> Any:
    """``m``-th derivative of a polynomial.

    Parameters
    ----------
    p : array_like
        A vector of coefficients.
    m : int

    Returns
    -------
    Array
        A vector of floats or complex numbers, shorter by ``m``.

    Raises
    ------
    ValueError
        If ``m`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polyder(np.array([1, 2, 3]))
    Array([2., 2.], dtype=float32)
    """
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"polyder: the order must not be negative, got {m}{at_user_line()}")
    x = _vector(promote_inexact("polyder", p)[0], "polyder")
    for _ in range(m):
        n = x.shape[0]
        powers = convert(lax.rev(lax.iota(dtypes.int32, n), (0,)), x.dtype)
        x = lax.slice_in_dim(lax.mul(x, powers), 0, max(n - 1, 0))
    return x


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """``m``-th integral of a polynomial, with constants ``k`` of integration.

    Parameters
    ----------
    p : array_like
        A vector of coefficients.
    m : int
    k : array_like, optional
        Of each integration, the first one's first, or one for all; 0 by default.

    Returns
    -------
    Array
        A vector of floats or complex numbers, longer by ``m``.

    Raises
    ------
    ValueError
        If ``m`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.polyint(np.array([3, 2]), k=5)
    Array([1.5, 2. , 5. ], dtype=float32)
    """
    m = operator.index(m)
    if m < 0:
        raise ValueError(f"polyint: the order must not be negative, got {m}{at_user_line()}")
    x = _vector(promote_inexact("polyint", p)[0], "polyint")
    constants = lax.full((m,), 0, x.dtype)
    if k is not None:
        given = convert(array(k, "polyint"), x.dtype)
        constants = broadcast_to(given if given.size > 1 else lax.reshape(given, ()), (m,))
    for i in range(m):
        n = x.shape[0]
        powers = convert(lax.rev(lax.iota(dtypes.int32, n), (0,)), x.dtype)
        x = lax.div(x, lax.add(powers, x.dtype.type(1)))
        x = lax.concatenate([x, constants[i : i + 1]], 0)
    return x


def poly(seq_of_zeros: Any) -> Any:
    """Polynomial with the given zeros, a vector; of a square matrix, its characteristic one.

    Parameters
    ----------
    seq_of_zeros : array_like
        A vector, or a square matrix.

    Returns
    -------
    Array
        A vector of floats or complex numbers, longer by one, that begins with 1.

    Raises
    ------
    ValueError
        If it is neither a vector nor a square matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.poly(np.array([2.0, -3.0]))
    Array([ 1.,  1., -6.], dtype=float32)
    """
    x = array(promote_inexact("poly", seq_of_zeros)[0])
    if x.ndim == 2 and x.shape[0] == x.shape[1]:
        x = linalg.eigvals(x)
    if x.ndim != 1:
        raise ValueError(f"poly takes a vector or square matrix, got {describe(x)}{at_user_line()}")
    out = lax.full((1,), 1, x.dtype)
    for i in range(x.shape[0]):
        factor = lax.concatenate([lax.full((1,), 1, x.dtype), lax.neg(x[i : i + 1])], 0)
        out = convolve(out, factor, "full")
    return out


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None,
    cov: bool | str = False,
) -> Any:  # fmt: skip
    """The polynomial of degree ``deg`` with the least squared distance from points.

    Parameters
    ----------
    x : array_like
        Shape ``(m,)``.
    y : array_like
        Shape ``(m,)``, or ``(m, k)`` for ``k`` polynomials at once.
    deg : int
    rcond : float, optional
        Singular values below ``rcond`` times the largest one count as zero; by default ``m``
        times the precision of the dtype.
    full : bool
        Return residuals, rank, singular values and ``rcond`` too.
    w : array_like, optional
        Shape ``(m,)``: a factor for the distance of each point.
    cov : bool or "unscaled"
        Return the covariance matrix of the coefficients too, unless ``full``.

    Returns
    -------
    p : Array
        Coefficients, the highest power first, shape ``(deg + 1,)`` or ``(deg + 1, k)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.arange(5.0)
    >>> np.polyfit(x, 3 * x + 1, 1).round(3)
    Array([3., 1.], dtype=float32)
    """
    order = operator.index(deg) + 1
    x, y = (array(v) for v in promote_inexact("polyfit", x, y))
    if order < 1:
        raise ValueError(f"polyfit: deg must not be negative, got {deg}{at_user_line()}")
    if x.ndim != 1 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0] or not x.shape[0]:
        raise TypeError(
            "polyfit takes x of shape (m,) and y of shape (m,) or (m, k), m > 0, got "
            f"{describe(x)} and {describe(y)}{at_user_line()}"
        )
    rcond = x.shape[0] * float(dtypes.finfo(x.dtype).eps) if rcond is None else rcond
    powers = vander(x, order)
    if w is not None:
        w = convert(array(w, "polyfit"), x.dtype)
        if w.shape != x.shape:
            raise TypeError(
                f"polyfit takes w of the shape of x, {x.shape}, got {describe(w)}{at_user_line()}"
            )
        powers = powers * w[:, None]
        y = y * (w if y.ndim == 1 else w[:, None])
    scale = (powers * powers).sum(0) ** 0.5
    powers = powers / scale
    p, residuals, rank, singular = linalg.lstsq(powers, y, rcond)
    p = p / (scale if y.ndim == 1 else scale[:, None])
    if full:
        return p, residuals, rank, singular, array(rcond)
    if not cov:
        return p
    base = linalg.inv(powers.T @ powers) / outer(scale, scale)
    if cov != "unscaled":
        if x.shape[0] <= order:
            raise ValueError(
                f"polyfit: {x.shape[0]} points do not determine the covariance of {order} "
                f"coefficients; give more, or cov='unscaled'{at_user_line()}"
            )
        factor = residuals / (x.shape[0] - order)
        base = base * factor if y.ndim == 1 else base[:, :, None] * factor
    return p, base


def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """Roots of a polynomial: the eigenvalues of its companion matrix.

    Parameters
    ----------
    p : array_like
        Shape ``(n + 1,)``.
    strip_zeros : bool
        Leave zeros at both ends of ``p`` out, which is possible only outside ``jit``. Without,
        the leading coefficient must not be zero, else the roots are NaN.

    Returns
    -------
    Array
        Shape ``(n,)`` (fewer where leading zeros were left out), complex.

    References
    ----------
    R. A. Horn and C. R. Johnson, Matrix Analysis, Cambridge University Press, 1999, pp. 146-7.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.sort(np.roots(np.array([1.0, 0.0, -4.0])).real).round(3)
    Array([-2.,  2.], dtype=float32)
    """
    x = _vector(promote_inexact("roots", p)[0], "roots")
    zeros = 0
    if strip_zeros:
        values = concrete(x, "p of roots, unless strip_zeros=False is given,")
        places = onp.nonzero(values)[0]
        first, last = (places[0], places[-1]) if places.size else (0, -1)
        zeros = 0 if not places.size else x.shape[0] - 1 - int(last)
        x = x[int(first) : int(last) + 1]
    n = max(x.shape[0] - 1, 0)
    companion = eye(n, k=-1, dtype=x.dtype)
    if n:
        companion = companion.at[0].set(-x[1:] / x[0])
    found = linalg.eigvals(companion)
    return lax.concatenate([found, lax.full((zeros,), 0, found.dtype)], 0)
