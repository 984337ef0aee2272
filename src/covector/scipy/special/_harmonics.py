"""Spherical harmonics."""

from __future__ import annotations

import math
import operator
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.structural import convert_element_type
from covector.numpy._util import array, broadcast_all, concrete, fused, operand
from covector.primitives.gamma_functions import poch
from covector.scipy.special._common import elementwise, filled, orders


def _sectoral(m: Any, sine: Any) -> Any:
    """The normalised Legendre function of degree and order m >= 0."""
    # (2m + 1)!! / (2m)!! = 2 Gamma(m + 3/2) / (sqrt(pi) Gamma(m + 1)).
    ratio = poch(lax.add(m, 1.0), filled(m, 0.5))
    scale = lax.sqrt(lax.mul(ratio, 0.5 / math.pi**1.5))
    odd = lax.ne(lax.mul(lax.floor(lax.mul(m, 0.5)), 2.0), m)
    out = lax.mul(scale, lax.pow(sine, m))
    return lax.select(odd, lax.neg(out), out)


def _legendre(n: Any, m: Any, theta: Any, n_max: int) -> Any:
    """By the recurrence in the degree, from the order on (DLMF 14.10.3, normalised)."""
    cosine = lax.cos(theta)
    first = _sectoral(m, lax.sin(theta))
    zero = filled(first, 0)

    def step(state: Any, degree: Any) -> tuple[Any, None]:
        before, last, out = state
        k = lax.broadcast(degree, m.shape)
        above = lax.gt(k, m)
        # Where the recurrence has not begun, numbers that do no harm.
        k2, m2 = lax.mul(k, k), lax.mul(m, m)
        j2 = lax.square(lax.sub(k, 1.0))
        one = filled(k, 1)

        def root(up: Any, down: Any) -> Any:
            return lax.sqrt(lax.div(lax.select(above, up, one), lax.select(above, down, one)))

        a = root(lax.sub(lax.mul(k2, 4.0), 1.0), lax.sub(k2, m2))
        b = root(lax.sub(j2, m2), lax.max(lax.sub(lax.mul(j2, 4.0), 1.0), one))
        new = lax.mul(a, lax.sub(lax.mul(cosine, last), lax.mul(b, before)))
        new = lax.select(above, new, lax.select(lax.eq(k, m), first, zero))
        return (last, new, lax.select(lax.eq(k, n), new, out)), None

    degrees = orders(theta.dtype, (n_max + 1,))
    return lax.scan(step, (zero, zero, zero), degrees)[0][2]


def _degree(n: Any, n_max: Any) -> int:
    if n_max is None:
        values = concrete(n, "the degree n of sph_harm_y (or n_max)")
        return max(int(values.max(initial=0)), 0)
    try:
        return operator.index(n_max)
    except TypeError:
        raise TypeError(
            f"sph_harm_y: n_max must be an integer, got {describe(n_max)}{at_user_line()}"
        ) from None


@fused("n_max")
def _sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, n_max: int) -> Any:
    def fun(theta: Any, phi: Any) -> Any:
        degree, order = (convert_element_type(x, theta.dtype) for x in (n, m))
        shape = degree.shape
        theta, phi = (x if x.shape == shape else lax.broadcast(x, shape) for x in (theta, phi))
        size = lax.abs(order)
        legendre = _legendre(degree, size, theta, n_max)
        # Of a negative order the complex conjugate, with the sign (-1)^m.
        odd = lax.ne(lax.mul(lax.floor(lax.mul(size, 0.5)), 2.0), size)
        flip = lax.bitwise_and(odd, lax.lt(order, 0.0))
        legendre = lax.select(flip, lax.neg(legendre), legendre)
        angle = lax.mul(order, phi)
        return lax.complex(lax.mul(legendre, lax.cos(angle)), lax.mul(legendre, lax.sin(angle)))

    return elementwise("sph_harm_y", fun, theta, phi, double=True)


def sph_harm_y(
    n: Any,
    m: Any,
    theta: Any,
    phi: Any,
    diff_n: int | None = None,
    n_max: int | None = None,
) -> Any:
    """Spherical harmonics, with the Condon-Shortley phase.

    Parameters
    ----------
    n : array_like
        Degrees, integers from 0 on.
    m : array_like
        Orders, integers. Where one is greater than the degree, the result is 0.
    theta, phi : array_like
        Polar and azimuthal angles. All operands broadcast together.
    diff_n : None
        Not supported: differentiate with `covector.grad` or `covector.jvp`.
    n_max : int, optional
        The greatest degree, where ``n`` is traced; by default that of ``n``.

    Returns
    -------
    Array
        Complex numbers.

    Raises
    ------
    TypeError
        If degrees or orders are no integers.
    NotImplementedError
        If ``diff_n`` is given.

    Notes
    -----
    By the recurrence of normalised Legendre functions in the degree (DLMF 14.10.3).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.sph_harm_y(np.array([0, 1]), np.array([0, 1]), 0.5, 0.0), 3)
    Array([ 0.282+0.j, -0.166-0.j], dtype=complex64)
    """
    if diff_n is not None:
        raise NotImplementedError(
            "sph_harm_y: diff_n is not supported; differentiate the function with covector.grad or "
            f"covector.jvp{at_user_line()}"
        )
    for what, x in (("n", n), ("m", m)):
        dtype = array(operand(x, "sph_harm_y"), "sph_harm_y").dtype
        if dtype not in dtypes.INTEGERS:
            raise TypeError(
                f"sph_harm_y: {what} must be of integers, got {describe(x)}{at_user_line()}"
            )
    degree = _degree(n, n_max)
    operands = [array(operand(x, "sph_harm_y"), "sph_harm_y") for x in (n, m, theta, phi)]
    n, m, theta, phi = broadcast_all("sph_harm_y", *operands)
    return _sph_harm_y(n, m, theta, phi, degree)
