"""Eigenvalues of Hermitian matrices and singular values, by Jacobi's rotations of one side."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    constant,
    eps_of,
    finite,
    guarded,
    nan_unless,
    picked,
    positions,
    real,
    restored,
    scaled,
    squares,
    times,
    where,
    zeros,
)
from covector.core import dtypes
from covector.core.structural import full
from covector.primitives.linalg.common import (
    adjoint,
    conjugate,
    eye_like,
    is_complex,
    matmul,
    on_diagonal,
    rows,
    triu,
)
from covector.primitives.linalg.qr import qr_p
from covector.primitives.linalg.triangular import from_lower

# Sweeps after which what is not orthogonal stays so; ten are enough in practice.
_SWEEPS = 40


def _norms(x: Any, length: int) -> Any:
    """The squared lengths of the first elements of columns."""
    return lax.reduce_sum(squares(x[:length]), (0,))


def _rotated(
    p: Any, q: Any, alpha: Any, beta: Any, length: int, tolerance: float
) -> tuple[list[Any], list[Any], Any]:
    """Columns of ``p`` and ``q`` rotated so that their first ``length`` elements are orthogonal,
    each with its squared norm, which is ``alpha`` and ``beta`` before; and whether any were not."""
    gamma = lax.reduce_sum(conjugate(p[:length]) * q[:length], (0,))
    size = lax.abs(gamma)
    turn = size > tolerance * lax.sqrt(alpha) * lax.sqrt(beta)
    safe = where(turn, size, 1.0)
    zeta = (beta - alpha) / (2 * safe)
    t = where(zeta < 0, -1.0, 1.0) / (lax.abs(zeta) + lax.sqrt(1 + zeta * zeta))
    t = where(turn, t, 0.0)
    c = lax.rsqrt(1 + t * t)
    s = t * c
    if is_complex(p):
        phase = times(gamma, 1 / safe)
        forward, back = times(phase, s), times(conjugate(phase), s)
    else:
        forward = back = where(gamma < 0, -s, s)
    first = [times(p, c) - back * q, lax.max(alpha - t * size, 0 * alpha)]
    second = [forward * p + times(q, c), lax.max(beta + t * size, 0 * beta)]
    return first, second, lax.reduce_or(turn, (0,))


def _next_round(p: Any, q: Any) -> tuple[Any, Any]:
    """All but the first of the partners (the last axis) move on by one place, around both rows."""
    axis = p.ndim - 1
    if p.shape[axis] == 1:
        return p, q
    return (
        lax.concatenate([p[..., :1], q[..., :1], p[..., 1:-1]], axis),
        lax.concatenate([q[..., 1:], p[..., -1:]], axis),
    )


def orthogonalised(x: Any, length: int) -> Any:
    """The columns of ``x``, rotated in pairs until their first ``length`` elements are orthogonal.

    M. Hestenes, "Inversion of matrices by biorthogonalization and related results", J. SIAM 6
    (1958); disjoint pairs are rotated at once, in the order of R. Brent, F. Luk, "The solution of
    singular-value and symmetric eigenvalue problems on multiprocessor arrays", SIAM J. Sci. Stat.
    Comput. 6 (1985). Norms are computed once a sweep, and follow the rotations in it.
    """
    n = x.shape[1]
    if n < 2:
        return x
    half = -(-n // 2)
    if n % 2:
        x = lax.pad(x, constant(0, x), [(0, 0, 0), (0, 1, 0)])
    tolerance = eps_of(x) * max(1, length) ** 0.5
    zero, rounds = (full((), k, dtypes.int32) for k in (0, 2 * half - 1))

    def meet(_: Any, state: Any) -> Any:
        p, q, alpha, beta, turned = state
        first, second, any_turned = _rotated(p, q, alpha, beta, length, tolerance)
        p, q = _next_round(first[0], second[0])
        alpha, beta = _next_round(first[1], second[1])
        return p, q, alpha, beta, lax.bitwise_or(turned, any_turned)

    def sweep(state: Any) -> Any:
        count, p, q, _ = state
        none = full((), False, dtypes.bool_)
        start = (p, q, _norms(p, length), _norms(q, length), none)
        p, q, _, _, turned = lax.fori_loop(zero, rounds, meet, start)
        return count + 1, p, q, turned

    def more(state: Any) -> Any:
        return lax.bitwise_and(state[0] < _SWEEPS, state[3])

    start = (zero, x[:, :half], x[:, half:], full((), True, dtypes.bool_))
    _, p, q, _ = lax.while_loop(more, sweep, start)
    return lax.concatenate([p, q], 1)[:, :n]


def _order(values: Any, falling: bool = False) -> Any:
    """The permutation that sorts."""
    keys = -values if falling else values
    return lax.sort((keys, positions(values.shape)), num_keys=1)[1]


# --- Hermitian matrices -----------------------------------------------------------------------


def _bound(h: Any) -> Any:
    """A number not far above the largest magnitude of an eigenvalue: a norm of ``h`` to the power
    of four."""
    fourth = matmul(matmul(h, h), matmul(h, h))
    return lax.sqrt(lax.sqrt(lax.sqrt(lax.reduce_sum(squares(fourth), (0, 1)))))


@guarded
def _hermitian(h: Any) -> list[Any]:
    n = h.shape[0]
    h, power = scaled(h)
    shift = 1.5 * _bound(h)
    shift = where(shift == 0, 1.0, shift)
    definite = h + where(on_diagonal(h.shape), as_type(shift, h), 0.0)
    # h v = λ v: orthogonal columns of definite · v are multiples of eigenvectors, as λ are not
    # negative.
    w = orthogonalised(definite, n)
    v = times(w, lax.rsqrt(lax.reduce_sum(squares(w), (0,)))[None, :])
    values = real(lax.reduce_sum(conjugate(v) * matmul(h, v), (0,)))
    order = _order(values)
    return [picked(v, order, 1), restored(picked(values, order, 0), power)]


def eigh(a: Any, *, lower: bool, compute_vectors: bool) -> list[Any]:
    """Eigenvectors and ascending eigenvalues of one Hermitian matrix, of which a triangle is read.

    Rotations of one side, applied to the matrix made definite by a multiple of the identity: J.
    Demmel, K. Veselić, "Jacobi's method is more accurate than QR", SIAM J. Matrix Anal. Appl. 13
    (1992), 5. The values are Rayleigh quotients.
    """
    if a.shape[0] == 0:
        out = [a, zeros((0,), dtypes.real_dtype(a.dtype))]
    else:
        out = _hermitian(from_lower(a if lower else adjoint(triu(a))))
    return out if compute_vectors else out[1:]


def eigh_tridiagonal(d: Any, e: Any, *, vectors: bool) -> list[Any]:
    """Those of a real symmetric tridiagonal matrix."""
    n = d.shape[0]
    if n < 2:
        return [d, eye_like(d, (n, n))][: 1 + vectors]
    i, j = positions((n, n)), positions((n, n), 1)
    below = lax.pad(e, constant(0, e), [(0, 1, 0)])
    a = where(i == j, rows(d, i), where(i == j + 1, rows(below, i), 0.0))
    v, w = eigh(a, lower=True, compute_vectors=True)
    return [w, v][: 1 + vectors]


# --- singular values --------------------------------------------------------------------------


def _tall(a: Any, full_matrices: bool, compute_uv: bool) -> list[Any]:
    """Of a matrix with no more columns than rows: s, u, v."""
    m, n = a.shape
    q, r = qr_p.bind(a, pivoting=False, full_matrices=full_matrices and m > n)
    left = adjoint(r[:n])
    if not compute_uv:
        w = orthogonalised(left, n)
        s = lax.sqrt(lax.reduce_sum(squares(w), (0,)))
        return [picked(s, _order(s, True), 0)]
    both = orthogonalised(lax.concatenate([left, eye_like(left)], 0), n)
    s = lax.sqrt(lax.reduce_sum(squares(both[:n]), (0,)))
    order = _order(s, True)
    both, s = picked(both, order, 1), picked(s, order, 0)
    # Rᴴ J = V S: Q R of the right side gives V, which is orthonormal also where S is zero.
    v, scale = qr_p.bind(both[:n], pivoting=False, full_matrices=False)
    diagonal = lax.reduce_sum(where(on_diagonal(scale.shape), real(scale), 0.0), (0,))
    v = times(v, where(diagonal < 0, -1.0, 1.0)[None, :])
    u = matmul(q[:, :n], both[n:])
    if q.shape[1] > n:
        u = lax.concatenate([u, q[:, n:]], 1)
    return [s, u, v]


def svd(a: Any, *, full_matrices: bool, compute_uv: bool, by_qr: bool) -> list[Any]:
    """Singular values of one matrix in descending order, and its singular vectors.

    Rotations of the rows of the factor R: Z. Drmač, K. Veselić, "New fast and accurate Jacobi SVD
    algorithm I", SIAM J. Matrix Anal. Appl. 29 (2008), without the pivoting.
    """
    m, n = a.shape
    if min(m, n) == 0:
        s = zeros((0,), dtypes.real_dtype(a.dtype))
        k = (m, n) if full_matrices else (0, 0)
        return [s, eye_like(a, (m, k[0])), eye_like(a, (k[1], n))][: 3 if compute_uv else 1]
    ok = finite(a)
    small, power = scaled(where(ok, a, 0.0))
    s, *uv = _tall(small if m >= n else adjoint(small), full_matrices, compute_uv)
    if uv:
        u, v = uv if m >= n else reversed(uv)
        uv = [u, adjoint(v)]
    return [nan_unless(ok, x) for x in (restored(s, power), *uv)]
