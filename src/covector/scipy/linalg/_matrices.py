"""Matrices of a known form: Toeplitz and its kin, companions, those of Hilbert, Pascal, …"""

from __future__ import annotations

import math
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as np
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.numpy._util import array, fused, promote_dtypes
from covector.scipy.linalg._common import choice, vector


def _size(name: str, n: Any, smallest: int) -> int:
    try:
        size = int(n)
    except TypeError:
        size = -1
    if size != n or size < smallest:
        raise ValueError(
            f"{name}: n must be an integer of at least {smallest}, got {n!r}{at_user_line()}"
        )
    return size


def _grid(m: int, n: int) -> tuple[Any, Any]:
    """Row and column of every place of a matrix."""
    i, j = (lax.broadcasted_iota(dtypes.int32, (m, n), k) for k in (0, 1))
    return i, j


def _sequence(x: Any, name: str) -> Any:
    return np.atleast_1d(array(x, name))


def _default_float() -> Any:
    return dtypes.canonicalize_dtype(dtypes.float64)


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
    i, j = _grid(m, n)
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
    i, j = _grid(m, n)
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
    i, j = _grid(n, n)
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
    i, j = _grid(n, n)
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
    i, j = _grid(n, n)
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
    n = _size("convolution_matrix", n, 1)
    a = _sequence(a, "convolution_matrix")
    m = a.shape[-1]
    if m == 0:
        raise ValueError(f"convolution_matrix of an empty vector{at_user_line()}")
    small, large = min(m, n), max(m, n)
    first, k = {
        "full": (0, m + n - 1), "valid": (small - 1, large - small + 1),
        "same": ((small - 1) // 2, large),
    }[mode]  # fmt: skip
    i, j = _grid(k, n)
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
    i, j = _grid(n, n)
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


# --- by name and size --------------------------------------------------------------------


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Any:
    """The matrix of the discrete Fourier transform.

    Parameters
    ----------
    n : int
    scale : {None, "sqrtn", "n"}
        Divide by the square root of ``n``, or by ``n``.
    dtype : dtype, optional
        Complex; by default the widest that is enabled.

    Returns
    -------
    Array
        Shape ``(n, n)``: element ``(j, k)`` is ``exp(-2πi j k / n)``, scaled.

    Raises
    ------
    ValueError
        For another scale.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.dft(2), 3) + 0.0
    Array([[ 1.+0.j,  1.+0.j],
           [ 1.+0.j, -1.+0.j]], dtype=complex64)
    """
    choice("dft", "scale", scale, (None, "sqrtn", "n"))
    n = _size("dft", n, 0)
    # Of angles reduced exactly: j k mod n.
    j = onp.arange(n, dtype=onp.int64)
    turns = onp.outer(j, j) % max(n, 1)
    table = onp.exp(-2j * onp.pi * j / max(n, 1))
    for quarter, value in ((0, 1), (1, -1j), (2, -1), (3, 1j)):
        if n and quarter * n % 4 == 0:
            table[quarter * n // 4] = value
    factor = {None: 1.0, "sqrtn": math.sqrt(max(n, 1)), "n": max(n, 1)}[scale]
    wanted = dtypes.canonicalize_dtype(dtypes.complex128 if dtype is None else dtype)
    return np.asarray((table / factor)[turns], wanted)


@fused("n", "dtype")
def hadamard(n: int, dtype: Any = int) -> Any:
    """Hadamard matrix of order ``n``: of ones and minus ones, with orthogonal rows.

    Parameters
    ----------
    n : int
        A power of 2.
    dtype : dtype

    Returns
    -------
    Array
        Shape ``(n, n)``; Sylvester's construction.

    Raises
    ------
    ValueError
        If ``n`` is no power of 2.

    Examples
    --------
    >>> from covector.scipy import linalg
    >>> linalg.hadamard(4)
    Array([[ 1,  1,  1,  1],
           [ 1, -1,  1, -1],
           [ 1,  1, -1, -1],
           [ 1, -1, -1,  1]], dtype=int32)
    """
    n = _size("hadamard", n, 1)
    if n & (n - 1):
        raise ValueError(f"hadamard: n must be a power of 2, got {n}{at_user_line()}")
    i, j = _grid(n, n)
    odd = np.bitwise_count(i & j).astype("int32") & 1
    return (1 - 2 * odd).astype(dtypes.canonicalize_dtype(dtype))


@fused("n", "full")
def helmert(n: int, full: bool = False) -> Any:
    """Helmert matrix of order ``n``.

    Parameters
    ----------
    n : int
        At least 1.
    full : bool
        Whether to keep the first row, of equal elements; the matrix is then orthogonal.

    Returns
    -------
    Array
        Shape ``(n, n)`` or ``(n - 1, n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.helmert(3), 3)
    Array([[ 0.707, -0.707,  0.   ],
           [ 0.408,  0.408, -0.816]], dtype=float32)
    """
    n = _size("helmert", n, 1)
    i, j = _grid(n, n)
    k = i.astype(_default_float())
    scale = np.sqrt(np.where(i == 0, float(n), k * (k + 1.0)))
    kept = np.where((j < i) | (i == 0), 1.0, np.where(i == j, -k, 0.0))
    out = kept / scale
    return out if full else out[1:]


@fused("n")
def hilbert(n: int) -> Any:
    """Hilbert matrix of order ``n``: element ``(i, j)`` is ``1 / (i + j + 1)``.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array
        Shape ``(n, n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.hilbert(2), 3)
    Array([[1.   , 0.5  ],
           [0.5  , 0.333]], dtype=float32)
    """
    n = _size("hilbert", n, 0)
    i, j = _grid(n, n)
    return 1.0 / (i + j + 1).astype(_default_float())


def _exact(n: int, element: Any) -> Any:
    """A matrix of integers of any size, rounded once."""
    out = onp.empty((n, n), object)
    for i in range(n):
        for j in range(n):
            out[i, j] = element(i, j)
    return out


def _rounded(exact: Any) -> Any:
    if exact.size and max(abs(x) for x in exact.flat) > float(onp.finfo(_default_float()).max):
        limit = onp.finfo(_default_float()).max
        exact = onp.vectorize(
            lambda x: x if abs(x) <= limit else math.copysign(math.inf, x), otypes=[object]
        )(exact)
    return np.asarray(exact.astype(_default_float()))


def invhilbert(n: int) -> Any:
    """Inverse of the Hilbert matrix of order ``n``, whose elements are integers.

    Parameters
    ----------
    n : int

    Returns
    -------
    Array
        Shape ``(n, n)``: the integers, correctly rounded.

    Examples
    --------
    >>> from covector.scipy import linalg
    >>> linalg.invhilbert(2)
    Array([[ 4., -6.],
           [-6., 12.]], dtype=float32)
    """
    n = _size("invhilbert", n, 0)

    def element(i: int, j: int) -> int:
        size = (
            (i + j + 1) * math.comb(n + i, n - j - 1) * math.comb(n + j, n - i - 1)
            * math.comb(i + j, i) ** 2
        )  # fmt: skip
        return -size if (i + j) % 2 else size

    return _rounded(_exact(n, element))


_KINDS = ("symmetric", "lower", "upper")


def pascal(n: int, kind: str | None = None) -> Any:
    """Pascal matrix of order ``n``, of binomial coefficients.

    Parameters
    ----------
    n : int
    kind : {"symmetric", "lower", "upper"}, optional
        Symmetric by default, with ``(i + j)! / i! j!`` at ``(i, j)``; or one of its triangular
        factors.

    Returns
    -------
    Array
        Shape ``(n, n)``: the integers, correctly rounded.

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> from covector.scipy import linalg
    >>> linalg.pascal(3)
    Array([[1., 1., 1.],
           [1., 2., 3.],
           [1., 3., 6.]], dtype=float32)
    """
    kind = "symmetric" if kind is None else kind
    choice("pascal", "kind", kind, _KINDS)
    n = _size("pascal", n, 0)
    if kind == "symmetric":
        return _rounded(_exact(n, lambda i, j: math.comb(i + j, i)))
    exact = _exact(n, math.comb)
    return _rounded(exact if kind == "lower" else exact.T)


def invpascal(n: int, kind: str | None = None) -> Any:
    """Inverse of the Pascal matrix of order ``n``, whose elements are integers.

    Parameters
    ----------
    n : int
    kind : {"symmetric", "lower", "upper"}, optional
        As that of `pascal`.

    Returns
    -------
    Array
        Shape ``(n, n)``: the integers, correctly rounded.

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> from covector.scipy import linalg
    >>> linalg.invpascal(3)
    Array([[ 3., -3.,  1.],
           [-3.,  5., -2.],
           [ 1., -2.,  1.]], dtype=float32)
    """
    kind = "symmetric" if kind is None else kind
    choice("invpascal", "kind", kind, _KINDS)
    n = _size("invpascal", n, 0)
    lower = _exact(n, lambda i, j: (-1) ** (i + j) * math.comb(i, j))
    if kind == "symmetric":
        return _rounded(lower.T @ lower if n else lower)
    return _rounded(lower if kind == "lower" else lower.T)
