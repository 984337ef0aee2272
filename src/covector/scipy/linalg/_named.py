"""Matrices given by their name and size: those of Hilbert, Pascal, Hadamard, Fourier, …"""

from __future__ import annotations

import math
from typing import Any

import numpy as onp

from covector import numpy as np
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.numpy._util import fused
from covector.scipy.linalg._common import choice, grid, whole_number


def _default_float() -> Any:
    return dtypes.canonicalize_dtype(dtypes.float64)


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
    n = whole_number("dft", n, 0)
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
    n = whole_number("hadamard", n, 1)
    if n & (n - 1):
        raise ValueError(f"hadamard: n must be a power of 2, got {n}{at_user_line()}")
    i, j = grid(n, n)
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
    n = whole_number("helmert", n, 1)
    i, j = grid(n, n)
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
    n = whole_number("hilbert", n, 0)
    i, j = grid(n, n)
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
    n = whole_number("invhilbert", n, 0)

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
    n = whole_number("pascal", n, 0)
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
    n = whole_number("invpascal", n, 0)
    lower = _exact(n, lambda i, j: (-1) ** (i + j) * math.comb(i, j))
    if kind == "symmetric":
        return _rounded(lower.T @ lower if n else lower)
    return _rounded(lower if kind == "lower" else lower.T)
