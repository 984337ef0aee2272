"""Exponentials of matrices, by Padé approximation with scaling and squaring."""

from __future__ import annotations

import functools
import math
from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    eps_of,
    finite,
    nan_unless,
    where,
)
from covector.control_flow.custom_jvp import stop_gradient
from covector.core import dtypes
from covector.core.structural import full
from covector.numpy import log2
from covector.primitives.linalg.common import matmul, on_diagonal
from covector.primitives.linalg.lu import lu_p, lu_solve
from covector.transforms.autodiff import jvp

# The degree, and the norm up to which that approximant is exact to the working precision.
_DEGREES = {8: (13, 4.25), 4: (7, 3.925724846433284)}


@functools.cache
def _coefficients(m: int) -> list[float]:
    """Those of the numerator of the diagonal Padé approximant, the last one being 1."""
    f = math.factorial
    return [f(2 * m - k) // (f(m - k) * f(k)) * 1.0 for k in range(m + 1)]


def _norm(a: Any) -> Any:
    """The largest sum of magnitudes in a row."""
    return lax.reduce_max(lax.reduce_sum(lax.abs(a), (1,)), (0,))


def _more_squarings(a: Any, m: int, squarings: Any, norm: Any) -> Any:
    """Squarings that rounding errors ask for beyond those for the norms of powers: the paper's ℓ.

    The norm of the (2m+1)-th power of |a| is found by products with a vector.
    """
    size = lax.abs(a)

    def body(_: Any, state: Any) -> Any:
        v, log = state
        v = lax.reduce_sum(size * v[None, :], (1,))
        largest = lax.reduce_max(v, (0,))
        safe = where(largest == 0, 1.0, largest)
        return v / safe, log + where(largest == 0, -1e30, log2(safe))

    steps = 2 * m + 1
    zero, end = (full((), k, dtypes.int32) for k in (0, steps))
    ones = full((a.shape[0],), 1, size.dtype)
    _, log_power = lax.fori_loop(zero, end, body, (ones, full((), 0, size.dtype)))
    log_c = (2 * math.lgamma(m + 1) - math.lgamma(2 * m + 1) - math.lgamma(2 * m + 2)) / math.log(2)
    safe = where(norm == 0, 1.0, norm)
    # Of a / 2^s to that power, divided by the norm of a / 2^s.
    log_alpha = log_c + log_power - log2(safe) - 2 * m * squarings - math.log2(eps_of(size) / 2)
    return lax.max(lax.ceil(log_alpha / (2 * m)), 0 * norm)


def _squarings(a: Any, a2: Any, a4: Any, a6: Any, m: int, limit: float) -> Any:
    """How often to halve ``a``, as a number; of powers that are not formed there are bounds."""
    norm = _norm(a)
    d4, d6 = _norm(a4) ** (1 / 4), _norm(a6) ** (1 / 6)
    eta = lax.max(d4, d6)  # ‖a⁸‖ is at most ‖a⁴‖²
    if m == 13:
        eta = lax.min(eta, lax.max(d4, d4**0.4 * d6**0.6))
    ratio = eta / limit
    more = lax.ceil(log2(where(ratio > 1, ratio, 1.0)))
    return more + _more_squarings(a, m, more, norm)


def _fraction(a: Any, a2: Any, a4: Any, a6: Any, m: int) -> Any:
    """The approximant."""
    c = _coefficients(m)
    one = as_type(on_diagonal(a.shape), a)
    odd = c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * one
    even = c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * one
    if m == 13:
        odd = odd + matmul(a6, c[13] * a6 + c[11] * a4 + c[9] * a2)
        even = even + matmul(a6, c[12] * a6 + c[10] * a4 + c[8] * a2)
    odd = matmul(a, odd)
    packed, _, order = lu_p.bind(even - odd)
    return lu_solve(packed, order, even + odd)


def _exponential(a: Any, max_squarings: int) -> Any:
    m, limit = _DEGREES[dtypes.real_dtype(a.dtype).itemsize]
    a2 = matmul(a, a)
    a4 = matmul(a2, a2)
    a6 = matmul(a4, a2)
    count = stop_gradient(_squarings(a, a2, a4, a6, m, limit))
    ok = lax.bitwise_and(lax.is_finite(count), count <= max_squarings)
    count = where(ok, count, 0.0)
    half = as_type(lax.exp2(-count), a)
    square = half * half
    powers = (half * a, square * a2, square * square * a4, square * square * square * a6)
    x = _fraction(*powers, m)

    def body(_: Any, x: Any) -> Any:
        return matmul(x, x)

    steps = lax.convert_element_type(count, dtypes.int32)
    x = lax.fori_loop(full((), 0, dtypes.int32), steps, body, x)
    return nan_unless(ok, x)


def expm(a: Any, *, max_squarings: int) -> Any:
    """The exponential of one matrix; NaN if it takes more squarings.

    A. Al-Mohy, N. Higham, "A new scaling and squaring algorithm for the matrix exponential", SIAM
    J. Matrix Anal. Appl. 31 (2009), 970-989, always with the approximant of the highest degree, and
    bounds in place of the norms of powers that are not formed.
    """
    ok = finite(a)
    return nan_unless(ok, _exponential(where(ok, a, 0.0), max_squarings)) if a.size else a


def expm_frechet(a: Any, e: Any, *, max_squarings: int) -> Any:
    """Its derivative in a direction, computed beside every step: the same authors, "Computing the
    Fréchet derivative of the matrix exponential", same volume, 1639-1657."""
    if not a.size:
        return a
    ok = finite(a, e)
    a, e = (where(ok, x, 0.0) for x in (a, e))
    _, tangent = jvp(lambda x: _exponential(x, max_squarings), (a,), (e,))
    return nan_unless(ok, tangent)
