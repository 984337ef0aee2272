"""Matrices made of vectors: Toeplitz and its kin, companions, blocks."""

from __future__ import annotations

from typing import Any

from covector import numpy as np
from covector.core.errors import at_user_line, describe
from covector.numpy._util import array, fused, promote_dtypes
from covector.scipy.linalg._common import choice, grid, vector, whole_number


def _sequence(x: Any, name: str) -> Any:
    return np.atleast_1d(array(x, name))


@fused()
def toeplitz(c: Any, r: Any = None) -> Any:
    """Toeplitz matrices: constant along each diagonal.

    Parameters
    ----------
    c : array_like
        First column, shape ``(..., m)``.
    r : array_like, optional
        First row, shape ``(..., n)``, whose first element is not used; by default the conjugate of
        ``c``.

    Returns
    -------
    Array
        Shape ``(..., m, n)``: element ``(i, j)`` is ``c[i - j]``, or ``r[j - i]`` above the
        diagonal.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.toeplitz(np.array([1, 2, 3]), np.array([1, 4, 5, 6]))
    Array([[1, 4, 5, 6],
           [2, 1, 4, 5],
           [3, 2, 1, 4]], dtype=int32)
    """
    c = _sequence(c, "toeplitz")
    r = np.conj(c) if r is None else _sequence(r, "toeplitz")
    m, n = c.shape[-1], r.shape[-1]
    batch = np.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    c, r = np.broadcast_to(c, (*batch, m)), np.broadcast_to(r, (*batch, n))
    values = np.concatenate([np.flip(r[..., 1:], -1), c], -1)
    i, j = grid(m, n)
    return np.take(values, i - j + max(n - 1, 0), axis=-1)


@fused()
def hankel(c: Any, r: Any = None) -> Any:
    """Hankel matrices: constant along each antidiagonal.

    Parameters
    ----------
    c : array_like
        First column, shape ``(..., m)``.
    r : array_like, optional
        Last row, shape ``(..., n)``, whose first element is not used; by default zeros.

    Returns
    -------
    Array
        Shape ``(..., m, n)``: element ``(i, j)`` is element ``i + j`` of ``c`` and ``r[1:]``
        joined.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.hankel(np.array([1, 2, 3]), np.array([3, 4, 5]))
    Array([[1, 2, 3],
           [2, 3, 4],
           [3, 4, 5]], dtype=int32)
    """
    c = _sequence(c, "hankel")
    r = np.zeros_like(c) if r is None else _sequence(r, "hankel")
    m, n = c.shape[-1], r.shape[-1]
    batch = np.broadcast_shapes(c.shape[:-1], r.shape[:-1])
    c, r = np.broadcast_to(c, (*batch, m)), np.broadcast_to(r, (*batch, n))
    i, j = grid(m, n)
    return np.take(np.concatenate([c, r[..., 1:]], -1), i + j, axis=-1)


@fused()
def circulant(c: Any) -> Any:
    """Circulant matrices, whose columns are rotations of one vector.

    Parameters
    ----------
    c : array_like
        First column, shape ``(..., n)``.

    Returns
    -------
    Array
        Shape ``(..., n, n)``: element ``(i, j)`` is ``c[(i - j) % n]``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.circulant(np.array([1, 2, 3]))
    Array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]], dtype=int32)
    """
    c = _sequence(c, "circulant")
    n = c.shape[-1]
    i, j = grid(n, n)
    return np.take(c, np.where(i < j, i - j + n, i - j), axis=-1)


def _polynomial(a: Any, name: str) -> Any:
    """Coefficients as floats, divided by the leading one, without it, and negated."""
    a = vector(a, name)
    if a.shape[-1] < 2:
        raise ValueError(
            f"{name} takes at least two coefficients along the last axis, got {describe(a)}"
            f"{at_user_line()}"
        )
    return -a[..., 1:] / a[..., :1]


@fused()
def companion(a: Any) -> Any:
    """Companion matrices, whose eigenvalues are the roots of a polynomial.

    Parameters
    ----------
    a : array_like
        Coefficients from the highest power down, shape ``(..., n + 1)`` with ``n >= 1``.

    Returns
    -------
    Array
        Shape ``(..., n, n)``.

    Raises
    ------
    ValueError
        For fewer than two coefficients.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.companion(np.array([1, -10, 31, -30]))
    Array([[ 10., -31.,  30.],
           [  1.,   0.,   0.],
           [  0.,   1.,   0.]], dtype=float32)
    """
    row = _polynomial(a, "companion")
    n = row.shape[-1]
    i, j = grid(n, n)
    below = (i == j + 1).astype(row.dtype)
    return np.where(i == 0, row[..., None, :], below)


@fused()
def fiedler_companion(a: Any) -> Any:
    """Companion matrices with five diagonals.

    Parameters
    ----------
    a : array_like
        Coefficients from the highest power down, shape ``(..., n + 1)``.

    Returns
    -------
    Array
        Shape ``(..., n, n)``; empty for one coefficient.

    References
    ----------
    M. Fiedler, "A note on companion matrices", Linear Algebra Appl. 372 (2003).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.fiedler_companion(np.array([1.0, -16, 86, -176, 105]))
    Array([[  16.,  -86.,    1.,    0.],
           [   1.,    0.,    0.,    0.],
           [   0.,  176.,    0., -105.],
           [   0.,    1.,    0.,    0.]], dtype=float32)
    """
    a = vector(a, "fiedler_companion")
    if a.shape[-1] < 2:
        return np.zeros((*a.shape[:-1], 0, 0), a.dtype)
    coefficients = _polynomial(a, "fiedler_companion")
    n = coefficients.shape[-1]
    i, j = grid(n, n)
    even = i % 2 == 0
    given = even & ((i == j - 1) | (i == j + 1)) | (i + j == 0)
    one = even & (i == j - 2) | ~even & (i == j + 2) | (i == 1) & (j == 0)
    values = np.take(coefficients, np.maximum(i, j), axis=-1)
    return np.where(given, values, one.astype(values.dtype))


@fused("n", "mode")
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix whose product with a vector is its convolution with another.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m)``.
    n : int
        Length of the vectors to multiply, the number of columns.
    mode : {"full", "valid", "same"}
        As that of `covector.numpy.convolve`.

    Returns
    -------
    Array
        Shape ``(..., k, n)`` with ``k`` of ``m + n - 1``, ``max(m, n) - min(m, n) + 1`` or
        ``max(m, n)``.

    Raises
    ------
    ValueError
        For an empty ``a``, another mode, or ``n < 1``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.convolution_matrix(np.array([-1, 4, -2]), 3, mode="same")
    Array([[ 4, -1,  0],
           [-2,  4, -1],
           [ 0, -2,  4]], dtype=int32)
    """
    choice("convolution_matrix", "mode", mode, ("full", "valid", "same"))
    n = whole_number("convolution_matrix", n, 1)
    a = _sequence(a, "convolution_matrix")
    m = a.shape[-1]
    if m == 0:
        raise ValueError(f"convolution_matrix of an empty vector{at_user_line()}")
    small, large = min(m, n), max(m, n)
    first, k = {
        "full": (0, m + n - 1), "valid": (small - 1, large - small + 1),
        "same": ((small - 1) // 2, large),
    }[mode]  # fmt: skip
    i, j = grid(k, n)
    at = i - j + first
    inside = (at >= 0) & (at < m)
    return np.where(inside, np.take(a, np.where(inside, at, 0), axis=-1), np.zeros((), a.dtype))


@fused()
def fiedler(a: Any) -> Any:
    """Fiedler matrices, the distances between all pairs of numbers.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n)``.

    Returns
    -------
    Array
        Shape ``(..., n, n)``: element ``(i, j)`` is ``abs(a[i] - a[j])``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.fiedler(np.array([1, 4, 12]))
    Array([[ 0,  3, 11],
           [ 3,  0,  8],
           [11,  8,  0]], dtype=int32)
    """
    a = _sequence(a, "fiedler")
    return np.abs(a[..., :, None] - a[..., None, :])


@fused()
def leslie(f: Any, s: Any) -> Any:
    """Leslie matrices of the growth of a population.

    Parameters
    ----------
    f : array_like
        Fecundities, shape ``(..., n)``: the first row.
    s : array_like
        Survival rates, shape ``(..., n - 1)``: below the diagonal.

    Returns
    -------
    Array
        Shape ``(..., n, n)``.

    Raises
    ------
    ValueError
        If the lengths do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.leslie(np.array([0, 2, 1]), np.array([3, 4]))
    Array([[0, 2, 1],
           [3, 0, 0],
           [0, 4, 0]], dtype=int32)
    """
    f, s = _sequence(f, "leslie"), _sequence(s, "leslie")
    n = f.shape[-1]
    if s.shape[-1] != n - 1:
        raise ValueError(
            f"leslie: s must have one element less than f along the last axis, got f = "
            f"{describe(f)} and s = {describe(s)}{at_user_line()}"
        )
    i, j = grid(n, n)
    if n == 1:
        return f[..., None, :]
    below = np.where(i == j + 1, np.take(s, np.minimum(j, n - 2), axis=-1), np.zeros((), s.dtype))
    return np.where(i == 0, f[..., None, :], below)


@fused()
def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal of one matrix, zeros elsewhere.

    Parameters
    ----------
    *arrs : array_like
        Of at most two dimensions; vectors are rows.

    Returns
    -------
    Array
        Its shape is the sum of theirs; ``(1, 0)`` for no operands.

    Raises
    ------
    ValueError
        For an operand of more dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.block_diag(np.array([[1, 2]]), np.array([[3], [4]]))
    Array([[1, 2, 0],
           [0, 0, 3],
           [0, 0, 4]], dtype=int32)
    """
    if not arrs:
        return np.zeros((1, 0))
    blocks = [np.atleast_2d(array(x)) for x in promote_dtypes("block_diag", *arrs)]
    for k, x in enumerate(blocks):
        if x.ndim > 2:
            raise ValueError(
                f"block_diag takes matrices, got {describe(x)} at position {k}{at_user_line()}"
            )
    n = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        rows.append(np.pad(x, ((0, 0), (before, n - before - x.shape[1]))))
        before += x.shape[1]
    return np.concatenate(rows, 0)
