"""Cholesky factorisation by blocks, what fails, and updates of factors."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.backends.pjrt.portable.common import (
    as_type,
    constant,
    finite,
    magnitude,
    nan_unless,
    positions,
    real,
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
    diagonal,
    is_complex,
    matmul,
    on_diagonal,
    tril,
    triu,
)
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p

_BLOCK = 32


def real_diagonal(a: Any) -> Any:
    """``a`` without the imaginary part of its diagonal, which does not count."""
    if not is_complex(a):
        return a
    return where(on_diagonal(a.shape), as_type(lax.real(a), a), a)


def checked(factor: Any, *, upper: bool) -> Any:
    """A factor, whose triangle is NaN if it is none."""
    kept = triu if upper else tril
    factor = kept(factor)
    ok = lax.bitwise_and(finite(factor), lax.reduce_and(real(diagonal(factor)) > 0, (0,)))
    return kept(nan_unless(ok, factor))


def by_blocks(a: Any, *, upper: bool) -> Any:
    """The factor of one matrix, by blocks of columns, each of which is taken from the rest.

    G. Golub, C. Van Loan, "Matrix Computations", 4th ed., 4.2.9.
    """
    n = a.shape[0]
    blocks = -(-n // _BLOCK)
    size = blocks * _BLOCK
    a = adjoint(triu(a)) if upper else tril(a)
    a = lax.pad(a, constant(0, a), [(0, size - n, 0), (0, size - n, 0)])
    index = positions((size,))
    a = where(on_diagonal(a.shape) & (index >= n)[None, :], 1.0, a)
    zero = full((), 0, dtypes.int32)

    def body(block: Any, state: Any) -> Any:
        rest, factor = state
        at = block * _BLOCK
        head = cholesky_p.bind(lax.dynamic_slice(rest, (at, at), (_BLOCK, _BLOCK)), upper=False)
        columns = lax.dynamic_slice(rest, (zero, at), (size, _BLOCK))
        below = where((index >= at + _BLOCK)[:, None], columns, 0.0)
        below = triangular_solve_p.bind(
            head, below, left_side=False, lower=True, transpose_a=True,
            conjugate_a=is_complex(a), unit_diagonal=False,
        )  # fmt: skip
        rest = rest - matmul(below, adjoint(below))
        factor = lax.dynamic_update_slice(factor, below, (zero, at))
        return rest, lax.dynamic_update_slice(factor, head, (at, at))

    start = (a, zeros(a.shape, a.dtype))
    _, factor = lax.fori_loop(zero, full((), blocks, dtypes.int32), body, start)
    factor = factor[:n, :n]
    return adjoint(factor) if upper else factor


# --- updates ----------------------------------------------------------------------------------


def cholesky_update(r: Any, w: Any) -> Any:
    """The upper factor of ``rᴴ r + w wᴴ``, by a rotation for each row.

    P. Gill, G. Golub, W. Murray, M. Saunders, "Methods for modifying matrix factorizations", Math.
    Comp. 28 (1974).
    """
    n = r.shape[0]
    r, w = triu(r), conjugate(w)

    def body(k: Any, state: Any) -> Any:
        r, w = state
        row = lax.dynamic_index_in_dim(r, k, 0, keepdims=False)
        x, y = (lax.dynamic_index_in_dim(v, k, 0, keepdims=False) for v in (row, w))
        size = lax.max(magnitude(x), magnitude(y))
        unit = where(size == 0, 1.0, size)
        x, y = (times(v, 1 / unit) for v in (x, y))
        length = lax.sqrt(squares(x) + squares(y))
        safe = where(size == 0, 1.0, length)
        c, s = (times(v, 1 / safe) for v in (x, y))
        turned = conjugate(c) * row + conjugate(s) * w
        at = positions((n,)) == k
        turned = where(at, as_type(length * size, turned), where(positions((n,)) < k, 0.0, turned))
        w = where(size == 0, w, c * w - s * row)
        return lax.dynamic_update_index_in_dim(r, where(size == 0, row, turned), k, 0), w

    zero, end = (full((), k, dtypes.int32) for k in (0, n))
    return lax.fori_loop(zero, end, body, (r, w))[0] if n else r
