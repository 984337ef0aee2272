"""Polynomials as vectors of coefficients, the highest power first."""

from __future__ import annotations

import operator
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy._util import (
    array,
    broadcast_to,
    convert,
    fused,
    promote_dtypes,
    promote_inexact,
)
from covector.numpy.calculus import convolve


def _vector(p: Any, name: str) -> Any:
    x = array(p, name)
    if x.ndim > 1:
        raise ValueError(f"{name} takes vectors of coefficients, got {describe(x)}{at_user_line()}")
    return lax.reshape(x, (x.size,))


@fused("unroll")
def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """Value of the polynomial ``p`` at ``x``, by Horner's rule."""
    from covector.numpy.ufuncs import _add, _multiply

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
    """Sum of two polynomials."""
    return _combined("polyadd", a1, a2, lax.add)


@fused()
def polysub(a1: Any, a2: Any) -> Any:
    """Difference of two polynomials."""
    return _combined("polysub", a1, a2, lax.sub)


def _combined(name: str, a1: Any, a2: Any, op: Any) -> Any:
    x, y = (_vector(t, name) for t in promote_dtypes(name, a1, a2))
    n = max(x.shape[0], y.shape[0])

    def grown(v: Any) -> Any:
        return lax.pad(v, v.dtype.type(0), ((n - v.shape[0], 0, 0),))

    return op(grown(x), grown(y))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """Product of two polynomials."""
    from covector.numpy.insertion import trim_zeros

    x, y = _vector(a1, "polymul"), _vector(a2, "polymul")
    if trim_leading_zeros:
        x, y = trim_zeros(x, "f"), trim_zeros(y, "f")
    one = lax.full((1,), 0, dtypes.default_float())
    x, y = x if x.shape[0] else one, y if y.shape[0] else one
    x, y = promote_inexact("polymul", x, y)
    return convolve(x, y, "full")


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Any, Any]:
    """Quotient and remainder of two polynomials."""
    from covector.numpy.insertion import trim_zeros

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
    """``m``-th derivative of a polynomial."""
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
    """``m``-th integral of a polynomial, with constants ``k`` of integration."""
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
    """Polynomial with the given zeros, a vector."""
    x = array(promote_inexact("poly", seq_of_zeros)[0])
    if x.ndim != 1:
        raise ValueError(f"poly takes a vector, got {describe(x)}{at_user_line()}")
    out = lax.full((1,), 1, x.dtype)
    for i in range(x.shape[0]):
        factor = lax.concatenate([lax.full((1,), 1, x.dtype), lax.neg(x[i : i + 1])], 0)
        out = convolve(out, factor, "full")
    return out
