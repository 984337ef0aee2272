"""Polar decomposition by Halley iterations that are weighted dynamically (QDWH)."""

from __future__ import annotations

import functools
from typing import Any

from covector.control_flow.custom_jvp import custom_jvp, stop_gradient
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.structural import broadcast_in_dim, convert_element_type, full, reduce_sum
from covector.lax.linalg._common import matrix
from covector.primitives.arithmetic import abs, add, div, mul, sub
from covector.primitives.compare import bitwise_and, eq, le, lt
from covector.primitives.exponential import sqrt_p
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    columns,
    eye_like,
    is_complex,
    matmul,
    rows,
)
from covector.primitives.linalg.qr import qr_p
from covector.primitives.linalg.spectral import eigh_p
from covector.primitives.linalg.triangular import cholesky_p, symmetrize, triangular_solve_p
from covector.primitives.reductions import reduce_max_p
from covector.primitives.select import select
from covector.primitives.structure import (
    broadcasted_iota,
    concatenate,
    full_like,
    slice_in_dim,
)

# Where the condition of I + c xᴴx is at most this, its Cholesky factor does for the factor R of QR.
_WELL_CONDITIONED = 100.0


@functools.cache
def _weights(smallest: float, limit: int) -> tuple[tuple[float, float, float], ...]:
    """Weights of the iterations that bring singular values in [smallest, 1] to 1."""
    out: list[tuple[float, float, float]] = []
    l = smallest
    while len(out) < limit and (1 - l > 10 * smallest or not out):
        s = l * l
        d = (4 * (1 - s) / (s * s)) ** (1 / 3)
        root = (1 + d) ** 0.5
        a = root + (8 - 4 * d + 8 * (2 - s) / (s * root)) ** 0.5 / 2
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        out.append((a, b, c))
        l = min(1.0, l * (a + b * s) / (1 + c * s))
    return tuple(out)


def _step(x: Any, weights: tuple[float, float, float]) -> Any:
    """``x (a + b xᴴx) (I + c xᴴx)⁻¹``, by a QR factorisation or, where that is safe, Cholesky's."""
    a, b, c = weights
    n = x.shape[-1]
    if c > _WELL_CONDITIONED:
        stacked = concatenate([mul(x, like(c**0.5, x)), eye_like(x, (*x.shape[:-2], n, n))],
                              x.ndim - 2)  # fmt: skip
        q = qr_p.bind(stacked, pivoting=False, full_matrices=False)[0]
        m = x.shape[-2]
        top = slice_in_dim(q, 0, m, axis=q.ndim - 2)
        product = matmul(top, adjoint(slice_in_dim(q, m, m + n, axis=q.ndim - 2)))
        factor = (a - b / c) / c**0.5
    else:
        gram = matmul(adjoint(x), x)
        l = cholesky_p.bind(add(mul(gram, like(c, gram)), eye_like(gram)), upper=False)
        solve = functools.partial(
            triangular_solve_p.bind, l, left_side=False, lower=True, unit_diagonal=False
        )
        product = solve(x, transpose_a=True, conjugate_a=is_complex(x))
        product = solve(product, transpose_a=False, conjugate_a=False)
        factor = a - b / c
    return add(mul(x, like(b / c, x)), mul(product, like(factor, x)))


def _spread(v: Any, x: Any) -> Any:
    """A number for each matrix as an array of the shape of ``x``."""
    return broadcast_in_dim(convert_element_type(v, x.dtype), x.shape, tuple(range(v.ndim)))


def _iterate(limit: int, x: Any) -> tuple[Any, Any, Any]:
    """The unitary factor, the Hermitian one, and how far the former is from a partial isometry."""
    size = abs(x)
    norm_1 = reduce_max_p.bind(reduce_sum(size, (x.ndim - 2,)), axes=(x.ndim - 2,))
    norm_inf = reduce_max_p.bind(reduce_sum(size, (x.ndim - 1,)), axes=(x.ndim - 2,))
    # Of the roots, as the product of the norms may overflow.
    bound = mul(sqrt_p.bind(norm_1), sqrt_p.bind(norm_inf))
    bound = select(eq(bound, full_like(bound, 0)), full_like(bound, 1), bound)
    u = div(x, _spread(bound, x))
    for weights in _weights(float(dtypes.finfo(x.dtype).eps), limit):
        u = _step(u, weights)
    off = abs(sub(u, matmul(u, matmul(adjoint(u), u))))
    off = sqrt_p.bind(reduce_sum(mul(off, off), (x.ndim - 2, x.ndim - 1)))
    return u, symmetrize(matmul(adjoint(u), x)), off


_polar = custom_jvp(_iterate, nondiff_argnums=(0,))


@_polar.defjvp
def _polar_jvp(limit: int, primals: Any, tangents: Any) -> Any:
    # From dx = du h + u dh, with the antihermitian w = uᴴ du and s = uᴴ dx: w h + h w = s - sᴴ,
    # which is solved in the basis of eigenvectors of h.
    (x,), (t,) = primals, tangents
    u, h, off = _polar(limit, x)
    v, values = eigh_p.bind(h, lower=True, compute_vectors=True)
    s = matmul(adjoint(u), t)
    turned = matmul(matmul(adjoint(v), sub(s, adjoint(s))), v)
    wide = convert_element_type(values, x.dtype)
    sums = add(rows(wide, turned), columns(wide, turned))
    zero = eq(sums, full_like(sums, 0))
    turned = select(zero, full_like(sums, 0), div(turned, select(zero, full_like(sums, 1), sums)))
    w = matmul(matmul(v, turned), adjoint(v))
    du = matmul(u, w)
    if x.shape[-2] > x.shape[-1]:
        outside = matmul(sub(t, matmul(u, s)), v)
        du = add(du, matmul(div(outside, rows(wide, outside)), adjoint(v)))
    return (u, h, off), (du, symmetrize(sub(s, matmul(w, h))), full_like(off, 0))


def _shortened(x: Any, shape: Any) -> Any:
    """``x`` with zeros outside of its first rows and columns."""
    m, n = shape
    i, j = (broadcasted_iota(dtypes.int32, x.shape, x.ndim - k) for k in (2, 1))
    rows_kept, columns_kept = (
        lt(at, convert_element_type(matrix(size, "qdwh"), at.dtype))
        for at, size in ((i, m), (j, n))
    )
    kept = bitwise_and(rows_kept, columns_kept)
    return select(kept, x, full_like(x, 0))


def qdwh(
    x: Any,
    *,
    is_hermitian: bool = False,
    max_iterations: int | None = None,
    eps: float | None = None,
    dynamic_shape: tuple[int, int] | None = None,
) -> tuple[Any, Any, Any, Any]:
    """Polar decomposition ``x = u h`` of a matrix by dynamically weighted Halley iterations.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)`` with ``m >= n``.
    is_hermitian : bool
        Whether ``x`` is Hermitian; ``u`` then is too.
    max_iterations : int, optional
        At most this many; without a limit, as many as the precision of ``x`` needs (six for
        float64).
    eps : float, optional
        The precision at which the iteration counts as converged, by default the rounding unit.
    dynamic_shape : (int, int), optional
        The numbers of rows and columns of ``x`` that count; they may be traced. The others count
        as zero.

    Returns
    -------
    u : Array
        Shape ``(..., m, n)``, with orthonormal columns.
    h : Array
        Shape ``(..., n, n)``, Hermitian and positive semidefinite.
    num_iters : Array
        The number of iterations.
    is_converged : Array of bool
        Shape ``(...)``: whether ``u = u uᴴ u`` within ``10 n eps``.

    Raises
    ------
    ValueError
        If ``m < n``.

    References
    ----------
    Y. Nakatsukasa, Z. Bai, F. Gygi, "Optimizing Halley's iteration for computing the matrix polar
    decomposition", SIAM J. Matrix Anal. Appl. 31 (2010). The bound of the smallest singular value
    from which the weights follow is the rounding unit, so that they are known beforehand.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> u, h, steps, converged = lax.linalg.qdwh(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> np.round(u, 3) + 0.0
    Array([[ 0., -1.],
           [ 1.,  0.]], dtype=float32)
    >>> np.round(h, 3) + 0.0
    Array([[3., 0.],
           [0., 2.]], dtype=float32)
    """
    x = matrix(x, "qdwh")
    check_matrix("qdwh", x.aval, square=bool(is_hermitian))
    *batch, m, n = x.shape
    if m < n:
        raise ValueError(
            f"qdwh takes matrices with at least as many rows as columns, got "
            f"{x.aval.str_short()}; use the conjugate transpose{at_user_line()}"
        )
    if dynamic_shape is not None:
        x = _shortened(x, dynamic_shape)
    unit = float(dtypes.finfo(x.dtype).eps)
    limit = 50 if max_iterations is None else int(max_iterations)
    steps = full((), len(_weights(unit, limit)), dtypes.canonicalize_dtype(dtypes.int64))
    if n == 0:
        return x, full((*batch, 0, 0), 0, x.dtype), steps, full(tuple(batch), True, dtypes.bool_)
    u, h, off = _polar(limit, x)
    if is_hermitian:
        u = symmetrize(u)
    off = stop_gradient(off)
    enough = mul(like(float(n), off), like(10 * (unit if eps is None else float(eps)), off))
    return u, h, steps, le(off, enough)
