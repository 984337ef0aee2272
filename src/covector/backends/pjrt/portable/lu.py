"""LU factorisation with partial pivoting, and the permutation that its exchanges make."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    constant,
    guarded,
    magnitude,
    picked,
    positions,
    where,
)
from covector.core import dtypes
from covector.core.structural import full
from covector.primitives.linalg.common import matmul
from covector.primitives.linalg.triangular import triangular_solve_p

# Columns that are factored before the others are updated by a product, and the size from which
# that is worth it.
_BLOCK = 32
_BLOCKED_FROM = 64


def _exchange(x: Any, i: Any, j: Any) -> Any:
    """``x`` with its elements (or rows) ``i`` and ``j`` exchanged."""
    first, second = (lax.dynamic_index_in_dim(x, k, 0) for k in (i, j))
    x = lax.dynamic_update_index_in_dim(x, second, i, 0)
    return lax.dynamic_update_index_in_dim(x, first, j, 0)


def _factor_columns(a: Any, order: Any, offset: Any, steps: int) -> tuple[Any, Any, Any]:
    """Eliminate below the diagonal in the first ``steps`` columns of ``a``, whose rows begin to
    count at ``offset``: the factors, the order of the rows, and the row that each was exchanged
    with."""
    m, n = a.shape
    i, columns = positions((m,)), positions((n,))

    def body(step: Any, state: Any) -> Any:
        a, order, pivots = state
        at = offset + step
        column = lax.dynamic_index_in_dim(a, step, 1, keepdims=False)
        size = where(i >= at, magnitude(column), -1.0)
        pivot = lax.argmax(size, 0, dtypes.int32)
        a, order = _exchange(a, at, pivot), _exchange(order, at, pivot)
        pivots = lax.dynamic_update_index_in_dim(pivots, pivot, step, 0)
        row = lax.dynamic_index_in_dim(a, at, 0, keepdims=False)
        column = lax.dynamic_index_in_dim(a, step, 1, keepdims=False)
        head = lax.dynamic_index_in_dim(row, step, 0, keepdims=False)
        below = i > at
        # A pivot of zero is the largest of a column of zeros, which stay as they are.
        factors = where(below, column / where(head == 0, 1.0, head), 0.0)
        change = where(columns > step, row, 0.0)
        a = a - factors[:, None] * change[None, :]
        a = lax.dynamic_update_index_in_dim(a, where(below, factors, column), step, 1)
        return a, order, pivots

    pivots = full((steps,), 0, dtypes.int32)
    return lax.fori_loop(full((), 0, dtypes.int32), full((), steps, dtypes.int32), body,
                         (a, order, pivots))  # fmt: skip


def _factor_blocks(a: Any, steps: int) -> tuple[Any, Any, Any]:
    """The same for all columns, block by block."""
    m, n = a.shape
    order = positions((m,))
    columns, i = positions((n,)), positions((m,))

    def body(block: Any, state: Any) -> Any:
        a, order, pivots = state
        at = block * _BLOCK
        zero = full((), 0, dtypes.int32)
        panel = lax.dynamic_slice_in_dim(a, at, _BLOCK, axis=1)
        panel, moved, found = _factor_columns(panel, i, at, _BLOCK)
        a = lax.dynamic_update_slice(picked(a, moved, 0), panel, (zero, at))
        order = picked(order, moved, 0)
        pivots = lax.dynamic_update_slice_in_dim(pivots, found, at, axis=0)
        rest = columns >= at + _BLOCK
        rows = lax.dynamic_slice_in_dim(a, at, _BLOCK, axis=0)
        upper = triangular_solve_p.bind(
            lax.dynamic_slice_in_dim(panel, at, _BLOCK, axis=0), where(rest[None, :], rows, 0.0),
            left_side=True, lower=True, transpose_a=False, conjugate_a=False, unit_diagonal=True,
        )  # fmt: skip
        a = lax.dynamic_update_slice(a, where(rest[None, :], upper, rows), (at, zero))
        left = where((i >= at + _BLOCK)[:, None], panel, 0.0)
        return a - matmul(left, upper), order, pivots

    pivots = full((steps,), 0, dtypes.int32)
    return lax.fori_loop(full((), 0, dtypes.int32), full((), steps // _BLOCK, dtypes.int32), body,
                         (a, order, pivots))  # fmt: skip


@guarded
def lu(a: Any) -> list[Any]:
    """The factors, the pivots and the permutation of one matrix.

    Gaussian elimination by columns, right-looking: G. Golub, C. Van Loan, "Matrix Computations",
    4th ed., 3.4.1; of large matrices by blocks of columns, 3.2.11. Which pivot is largest is
    measured as LAPACK does, |Re| + |Im|.
    """
    m, n = a.shape
    k = min(m, n)
    if k == 0:
        return [a, full((0,), 0, dtypes.int32), positions((m,))]
    if k < _BLOCKED_FROM:
        out, order, pivots = _factor_columns(a, positions((m,)), full((), 0, dtypes.int32), k)
        return [out, pivots, order]
    steps = -(-k // _BLOCK) * _BLOCK
    wide = lax.pad(a, constant(0, a), [(0, max(0, steps - m), 0), (0, max(0, steps - n), 0)])
    # Columns of zeros exchange nothing, so that the rows that were added stay where they are.
    out, order, pivots = _factor_blocks(wide, steps)
    return [out[:m, :n], pivots[:k], order[:m]]


def permutation(pivots: Any, *, permutation_size: int) -> Any:
    """The order of rows after exchanging row ``i`` with row ``pivots[i]``, in turn."""
    order = positions((permutation_size,))
    if not pivots.size:
        return order

    def body(i: Any, order: Any) -> Any:
        return _exchange(order, i, lax.dynamic_index_in_dim(pivots, i, 0, keepdims=False))

    count = full((), pivots.shape[0], dtypes.int32)
    return lax.fori_loop(full((), 0, dtypes.int32), count, body, order)
