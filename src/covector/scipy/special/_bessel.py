"""Bessel functions."""

from __future__ import annotations

import math
import operator
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_jvp import custom_jvp
from covector.core.errors import at_user_line, describe
from covector.numpy._util import fused
from covector.numpy.calculus import bessel_i1
from covector.primitives.gamma_functions import gamma
from covector.scipy.special._common import elementwise, filled, horner, orders

# How far Hankel's expansion is used, and its terms (DLMF 10.17.3).
_HANKEL_FROM = 25.0
_HANKEL_TERMS = 24
# Below, the power series; the recurrence divides by the argument.
_SERIES_TO = 1.0
_SERIES_TERMS = 12
# When the recurrence is scaled down.
_LARGE = 1e100


@fused()
def i0(x: Any) -> Any:
    """Modified Bessel function of the first kind and order 0.

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
    >>> np.round(special.i0(np.array([0.0, 1.0, -2.0])), 3)
    Array([1.   , 1.266, 2.28 ], dtype=float32)
    """
    return elementwise("i0", cnp.i0, x)


@fused()
def i0e(x: Any) -> Any:
    """Modified Bessel function of order 0, scaled by exp(-|x|).

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
    >>> np.round(special.i0e(np.array([0.0, 1.0, -2.0])), 3)
    Array([1.   , 0.466, 0.309], dtype=float32)
    """
    return elementwise("i0e", lax.bessel_i0e, x)


@fused()
def i1(x: Any) -> Any:
    """Modified Bessel function of the first kind and order 1.

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
    >>> np.round(special.i1(np.array([0.0, 1.0, -2.0])), 3)
    Array([ 0.   ,  0.565, -1.591], dtype=float32)
    """
    return elementwise("i1", bessel_i1, x)


@fused()
def i1e(x: Any) -> Any:
    """Modified Bessel function of order 1, scaled by exp(-|x|).

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
    >>> np.round(special.i1e(np.array([0.0, 1.0, -2.0])), 3)
    Array([ 0.   ,  0.208, -0.215], dtype=float32)
    """
    return elementwise("i1e", lax.bessel_i1e, x)


def _hankel(order: int, z: Any) -> tuple[Any, Any]:
    """The even and the odd terms of the expansion, in 1 / z."""
    terms = [1.0]
    for k in range(1, 2 * _HANKEL_TERMS):
        terms.append(terms[-1] * (4 * order * order - (2 * k - 1) ** 2) / (8.0 * k))
    inverse = lax.div(1.0, z)
    s = lax.neg(lax.mul(inverse, inverse))
    return horner(s, terms[::2]), lax.mul(inverse, horner(s, terms[1::2]))


def _upward(z: Any, v: int) -> Any:
    """J_0, …, J_v for z from 25 and from v on: Hankel's expansion, and the recurrence."""
    sine, cosine = lax.sin(z), lax.cos(z)
    scale = lax.rsqrt(lax.mul(z, math.pi))
    (p, q), (r, s) = _hankel(0, z), _hankel(1, z)
    up, down = lax.add(cosine, sine), lax.sub(sine, cosine)
    out = [
        lax.mul(scale, lax.sub(lax.mul(p, up), lax.mul(q, down))),
        lax.mul(scale, lax.add(lax.mul(r, down), lax.mul(s, up))),
    ]
    rest = lax.stack(out[: v + 1])
    if v < 2:
        return rest

    def step(pair: tuple[Any, Any], k: Any) -> tuple[tuple[Any, Any], Any]:
        before, last = pair
        new = lax.sub(lax.mul(lax.div(lax.mul(k, 2.0), z), last), before)
        return (last, new), new

    degrees = lax.add(orders(z.dtype, (v - 1,)), 1.0)
    _, more = lax.scan(step, (out[0], out[1]), degrees)
    return lax.concatenate([rest, more], 0)


def _downward(z: Any, v: int) -> Any:
    """For z from 1 on and not beyond both 25 and v: Miller's algorithm (DLMF 3.6(ii))."""
    size = max(_HANKEL_FROM, v)
    start = int(size + 15 * size ** (1 / 3) + 20)
    zero = filled(z, 0)
    kept = lax.broadcast(zero, (v + 1,))
    start += start % 2
    first = lax.mul(lax.add(zero, 1.0), 1e-30)

    def step(state: Any, k: Any) -> tuple[Any, None]:
        above, here, total, kept = state
        # ``here`` is of order k; of the sum J_0 + 2 J_2 + 2 J_4 + … = 1.
        whole = lax.eq(lax.mul(lax.floor(lax.mul(k, 0.5)), 2.0), k)
        share = lax.mul(here, lax.select(whole, filled(k, 2), filled(k, 0)))
        total = lax.add(total, share)
        order = orders(z.dtype, kept.shape)
        kept = lax.select(lax.eq(order, k), lax.broadcast(here, (v + 1,)), kept)
        below = lax.sub(lax.mul(lax.div(lax.mul(k, 2.0), z), here), above)
        shrink = lax.select(
            lax.gt(lax.abs(below), _LARGE),
            filled(below, 1 / _LARGE),
            filled(below, 1),
        )
        kept = lax.mul(kept, lax.broadcast(shrink, (v + 1,)))
        return (lax.mul(here, shrink), lax.mul(below, shrink), lax.mul(total, shrink), kept), None

    degrees = lax.sub(float(start), orders(z.dtype, (start,)))
    (_, here, total, kept), _ = lax.scan(step, (zero, first, zero, kept), degrees)
    kept = lax.concatenate([lax.broadcast(here, (1,)), kept[1:]], 0)
    return lax.div(kept, lax.broadcast(lax.add(total, here), (v + 1,)))


def _small(z: Any, v: int) -> Any:
    """The power series (DLMF 10.2.2), for z up to 1."""
    shape = (v + 1, *z.shape)
    order = orders(z.dtype, shape)
    half = lax.broadcast(lax.mul(z, 0.5), (v + 1,))
    s = lax.neg(lax.mul(half, half))
    total = filled(half, 1)
    for k in range(_SERIES_TERMS, 0, -1):
        ratio = lax.div(s, lax.mul(lax.add(order, float(k)), float(k)))
        total = lax.add(lax.mul(ratio, total), 1.0)
    scale = lax.div(1.0, gamma(lax.add(order, 1.0)))
    return lax.mul(lax.mul(lax.pow(half, order), scale), total)


def _bessel_jn(v: int, z: Any) -> Any:
    a = lax.abs(z)
    far = lax.ge(a, max(_HANKEL_FROM, float(v)))
    near = lax.lt(a, _SERIES_TO)
    one, finite = filled(a, 2), lax.lt(a, math.inf)
    up = _upward(lax.select(lax.bitwise_and(far, finite), a, filled(a, 100 + v)), v)
    middle = lax.bitwise_or(lax.bitwise_or(far, near), lax.ne(a, a))
    down = _downward(lax.select(middle, one, a), v)
    small = _small(lax.select(near, a, filled(a, 0.5)), v)
    of = [lax.broadcast(c, (v + 1,)) for c in (far, near, finite, lax.ne(a, a), lax.lt(z, 0.0))]
    out = lax.select(of[0], up, lax.select(of[1], small, down))
    out = lax.select(of[2], out, filled(out, 0))
    out = lax.select(of[3], filled(out, math.nan), out)
    order = orders(z.dtype, out.shape)
    odd = lax.ne(lax.mul(lax.floor(lax.mul(order, 0.5)), 2.0), order)
    return lax.select(lax.bitwise_and(of[4], odd), lax.neg(out), out)


_orders = custom_jvp(_bessel_jn, nondiff_argnums=(0,))


@_orders.defjvp
def _bessel_jn_jvp(v: int, primals: Any, tangents: Any) -> Any:
    # DLMF 10.6.1.
    (z,), (g,) = primals, tangents
    more = _orders(v + 1, z)
    before = lax.concatenate([lax.neg(more[1:2]), more[:v]], 0)
    slope = lax.mul(lax.sub(before, more[1:]), 0.5)
    return more[: v + 1], lax.mul(lax.broadcast(g, (v + 1,)), slope)


@fused("v", "n_iter")
def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """Bessel functions of the first kind J_0(z), …, J_v(z).

    Parameters
    ----------
    z : array_like
        Real numbers; integers are converted to floats.
    v : int
        The last order, from 0 on.
    n_iter : int
        At least 1. It changes nothing: as many steps are taken as the orders need.

    Returns
    -------
    Array
        Of shape ``(v + 1, *z.shape)``.

    Raises
    ------
    TypeError, ValueError
        If ``v`` or ``n_iter`` is not a concrete integer, or out of range.

    Notes
    -----
    Hankel's expansion (DLMF 10.17.3) and the upward recurrence for great ``z``, Miller's
    algorithm (DLMF 3.6(ii)) in between, the power series (DLMF 10.2.2) up to 1. Errors are
    relative to the largest of the functions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.bessel_jn(np.array([0.0, 1.0, 30.0]), v=1), 3)
    Array([[ 1.   ,  0.765, -0.086],
           [ 0.   ,  0.44 , -0.119]], dtype=float32)
    """
    for what, value, least in (("v", v, 0), ("n_iter", n_iter, 1)):
        try:
            number = operator.index(value)
        except TypeError:
            raise TypeError(
                f"bessel_jn: {what} must be an integer, got {describe(value)}{at_user_line()}"
            ) from None
        if number < least:
            raise ValueError(
                f"bessel_jn: {what} must be at least {least}, got {number}{at_user_line()}"
            )

    return elementwise("bessel_jn", lambda z: _orders(operator.index(v), z), z, double=True)
