"""QR factorisation, and products of Householder reflections."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    constant,
    dot,
    finite,
    nan_unless,
    picked,
    positions,
    restored,
    scaled,
    squares,
    where,
    zeros,
)
from covector.control_flow.householder import householder_product_p
from covector.control_flow.reductions import reflection
from covector.core import dtypes
from covector.core.structural import full
from covector.primitives.linalg.common import conjugate, eye_like, on_diagonal, triu
from covector.primitives.linalg.qr import geqrf_p


def _reflect_columns(a: Any, taus: Any, step: Any) -> tuple[Any, Any]:
    """One step of the factorisation: column ``step`` becomes one of R, the later ones follow."""
    m, n = a.shape
    i, j = positions((m,)), positions((n,))
    column = lax.dynamic_index_in_dim(a, step, 1, keepdims=False)
    v, tau, beta = reflection(column, step)
    row = conjugate(tau) * dot(conjugate(v), where(j > step, a, 0.0))
    a = a - v[:, None] * row[None, :]
    packed = where(i > step, v, where(i == step, beta, column))
    a = lax.dynamic_update_index_in_dim(a, packed, step, 1)
    return a, lax.dynamic_update_index_in_dim(taus, tau, step, 0)


def _counted(steps: int, body: Any, state: Any) -> Any:
    zero, end = (full((), k, dtypes.int32) for k in (0, steps))
    return lax.fori_loop(zero, end, body, state)


def geqrf(a: Any) -> list[Any]:
    """The factors as LAPACK packs them, by Householder reflections.

    G. Golub, C. Van Loan, "Matrix Computations", 4th ed., 5.2.2.
    """
    k = min(a.shape)
    if k == 0:
        return [a, zeros((k,), a.dtype)]
    small, power = scaled(a)

    def body(step: Any, state: Any) -> Any:
        out, taus = state
        return _reflect_columns(out, taus, step)

    out, taus = _counted(k, body, (small, zeros((k,), a.dtype)))
    i, j = positions(a.shape), positions(a.shape, 1)
    return [where(i <= j, restored(out, power), out), taus]


def _pivoted(a: Any) -> tuple[Any, Any, Any]:
    """The same with the column of the largest rest brought forward in each step.

    P. Businger, G. Golub, "Linear least squares solutions by Householder transformations", Numer.
    Math. 7 (1965); the norms of the rests are computed anew each time.
    """
    m, n = a.shape
    k = min(m, n)
    i, j = positions(a.shape), positions((n,))

    def body(step: Any, state: Any) -> Any:
        a, taus, order = state
        rest = lax.reduce_sum(where(i >= step, squares(a), 0.0), (0,))
        best = lax.argmax(where(j >= step, rest, -1.0), 0, dtypes.int32)
        order_at = where(j == step, best, where(j == best, step, j))
        a, order = picked(a, order_at, 1), picked(order, order_at, 0)
        return (*_reflect_columns(a, taus, step), order)

    return _counted(k, body, (a, zeros((k,), a.dtype), j))


def qr(a: Any, *, pivoting: bool, full_matrices: bool) -> list[Any]:
    """Q and R of one matrix (and the order of its columns), from the packed factors."""
    m, n = a.shape
    k = min(m, n)
    if k == 0:
        q = eye_like(a, (m, m if full_matrices else 0))
        out = [q, zeros((q.shape[1], n), a.dtype)]
        return [*out, positions((n,))] if pivoting else out
    ok = finite(a)
    safe = where(ok, a, 0.0)
    order = []
    if pivoting:
        small, power = scaled(safe)
        packed, taus, found = _pivoted(small)
        order = [found]
    else:
        packed, taus = geqrf_p.bind(safe)
        power = None
    columns = m if full_matrices else k
    vectors = packed[:, :k]
    if columns > k:
        vectors = lax.pad(vectors, constant(0, a), [(0, 0, 0), (0, columns - k, 0)])
    q = householder_product_p.bind(vectors, taus)
    r = triu(packed[:k])
    if power is not None:
        r = restored(r, power)
    if a.dtype in dtypes.COMPLEX:
        r = where(on_diagonal(r.shape), as_type(lax.real(r), r), r)
    r = triu(nan_unless(ok, r))
    if columns > k:
        r = lax.pad(r, constant(0, a), [(0, columns - k, 0), (0, 0, 0)])
    return [nan_unless(ok, q), r, *order]
