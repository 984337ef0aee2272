"""Tridiagonal systems, and Sylvester equations of Schur forms."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    constant,
    eps_of,
    guarded,
    magnitude,
    picked,
    positions,
    squares,
    times,
    tiny_of,
    where,
)
from covector.core import dtypes
from covector.core.structural import full
from covector.primitives.linalg.common import (
    adjoint,
    diagonal,
    matmul,
    matrix_transpose,
    tril,
    triu,
)


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool) -> Any:
    """One system, by Gaussian elimination with partial pivoting.

    G. Golub, C. Van Loan, "Matrix Computations", 4th ed., 4.3.5. Where a pivot is zero the result
    is NaN, or the smallest number is taken for it.
    """
    n, m = b.shape
    if n == 0 or m == 0:
        return b
    i = positions((n,))
    # The last row has no element on the right, the first none on the left.
    du = where(i == n - 1, 0.0, du)
    below = lax.pad(dl[1:], constant(0, d), [(0, 1, 0)])

    def usable(pivot: Any) -> Any:
        return where(pivot == 0, tiny_of(d), pivot) if perturb_singular else pivot

    def forward(row: Any, following: Any) -> Any:
        # What is left of the row: on the diagonal, right of it, and the right-hand sides.
        p, u, x = row
        l, next_p, next_u, next_x = following
        swap = magnitude(l) > magnitude(p)
        head = usable(where(swap, l, p))
        factor = where(swap, p, l) / where(head == 0, 1.0, head)
        kept = (head, where(swap, next_p, u), where(swap, next_u, 0.0), where(swap, next_x, x))
        rest = (
            where(swap, u - factor * next_p, next_p - factor * u),
            where(swap, -factor * next_u, next_u),
            where(swap, x - factor * next_x, next_x - factor * x),
        )
        return rest, kept

    (p, u, x), kept = lax.scan(forward, (d[0], du[0], b[0]), (below[:-1], d[1:], du[1:], b[1:]))
    p = usable(p)
    last = (p, u, 0 * u, x)
    rows = [lax.concatenate([k, y[None]], 0) for k, y in zip(kept, last, strict=True)]
    zero_pivot = lax.reduce_or(rows[0] == 0, (0,))

    def back(later: Any, row: Any) -> Any:
        y, z = later
        p, u, v, x = row
        x = (x - u * y - v * z) / p
        return (x, y), x

    none = 0 * x
    _, out = lax.scan(back, (none, none), tuple(rows), reverse=True)
    nan = complex(float("nan"), float("nan")) if d.dtype in dtypes.COMPLEX else float("nan")
    return where(zero_pivot, nan, out)


# --- Sylvester equations ----------------------------------------------------------------------


def _triangular(t: Any) -> tuple[Any, Any]:
    """A complex upper triangle ``uᴴ t u`` and the unitary ``u``, for a real Schur form ``t``."""
    n = t.shape[0]
    dtype = dtypes.complex_dtype(t.dtype)
    t = triu(t, -1)
    i, j = positions((n, n)), positions((n, n), 1)

    def beside(x: Any, by: int) -> Any:
        """The elements of ``x``, moved along the diagonal by one place, as a vector."""
        low, high = (by, -by)
        return lax.pad(x, constant(0, x), [(low, high, 0)])

    on = diagonal(t)
    sub = lax.reduce_sum(where(i == j + 1, t, 0.0), (0,))  # at the first row of a block
    sup = lax.reduce_sum(where(j == i + 1, t, 0.0), (1,))
    following = beside(on, -1)
    half = 0.5 * (on - following)
    disc = half * half + sub * sup
    root = lax.sqrt(lax.convert_element_type(disc, dtype))
    # The eigenvector (λ - t22, t21) of the block.
    first, second = half + root, lax.convert_element_type(sub, dtype)
    length = lax.sqrt(squares(first) + squares(second))
    leads = sub != 0
    safe = where(leads, length, 1.0)
    first = where(leads, times(first, 1 / safe), 1.0)
    second = where(leads, times(second, 1 / safe), 0.0)
    follows = beside(as_type(leads, i), 1) != 0
    on_u = where(follows, lax.conj(beside(first, 1)), first)
    u = where(i == j, on_u[:, None], 0.0)
    u = where(i == j + 1, second[None, :], u)
    u = where(j == i + 1, -lax.conj(second)[:, None], u)
    t = lax.convert_element_type(t, dtype)
    return triu(matmul(matmul(adjoint(u), t), u)), u


def _in_waves(a: Any, b: Any, c: Any, adjoint_a: bool, adjoint_b: bool, minus: bool) -> Any:
    """The solution for complex triangles: R. Bartels, G. Stewart, "Solution of the matrix equation
    AX + XB = C", Comm. ACM 15 (1972). An element depends on those before it in its row and its
    column, so that all of an antidiagonal are found at once."""
    m, n = c.shape
    # a x + x b = c with rows and columns reversed where it takes that to begin at the first ones.
    a = adjoint(a) if adjoint_a else lax.rev(a, (0, 1))
    b = lax.rev(adjoint(b), (0, 1)) if adjoint_b else b
    b = -b if minus else b
    turned = ((0,) if not adjoint_a else ()) + ((1,) if adjoint_b else ())
    a, b, c = tril(a), triu(b), lax.rev(c, turned)
    largest = lax.max(lax.reduce_max(magnitude(a), (0, 1)), lax.reduce_max(magnitude(b), (0, 1)))
    least = lax.max(largest * eps_of(a), constant(tiny_of(a) / eps_of(a), largest))
    sums = diagonal(a)[:, None] + diagonal(b)[None, :]
    # Sums of eigenvalues that vanish are replaced by the rounding unit.
    sums = where(magnitude(sums) < least, as_type(least, a), sums)
    columns_of_a, i, j = matrix_transpose(a), positions((m,)), positions((n,))
    row, column = positions((m, n)), positions((m, n), 1)

    def body(wave: Any, state: Any) -> Any:
        x, rest = state
        found = where(row + column == wave, rest / sums, 0.0)
        by_column = lax.reduce_sum(found, (0,))
        by_row = lax.reduce_sum(found, (1,))
        below = picked(columns_of_a, lax.clamp(0, wave - j, m - 1), 0) * by_column[:, None]
        right = picked(b, lax.clamp(0, wave - i, n - 1), 0) * by_row[:, None]
        return x + found, rest - matrix_transpose(below) - right

    zero, end = (full((), k, dtypes.int32) for k in (0, m + n - 1))
    x, _ = lax.fori_loop(zero, end, body, (0 * c, c))
    return lax.rev(x, turned)


@guarded
def triangular_sylvester(
    a: Any, b: Any, c: Any, *, adjoint_a: bool, adjoint_b: bool, minus: bool
) -> list[Any]:
    """``op(a) x ± x op(b) = c`` for one pair of Schur forms."""
    if c.size == 0:
        return [c]
    flags = (adjoint_a, adjoint_b, minus)
    if a.dtype in dtypes.COMPLEX:
        return [_in_waves(a, triu(b), c, *flags)]
    (ta, u), (tb, v) = _triangular(a), _triangular(b)
    right = matmul(matmul(adjoint(u), as_type(c, u)), v)
    return [lax.real(matmul(matmul(u, _in_waves(ta, tb, right, *flags)), adjoint(v)))]
