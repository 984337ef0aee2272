"""Symmetric products, updates of Cholesky factors, and tridiagonal systems."""

from __future__ import annotations

from typing import Any

from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.lax.linalg._common import matrix
from covector.primitives.arithmetic import add, mul
from covector.primitives.linalg.common import matrix_transpose, tril
from covector.primitives.linalg.symmetric import symmetric_product_p
from covector.primitives.linalg.triangular import cholesky_update_p
from covector.primitives.linalg.tridiagonal import tridiagonal_solve_p


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """Cholesky factor after a change of rank one.

    Parameters
    ----------
    r_matrix : array_like
        Shape ``(..., n, n)``, upper triangular; the other triangle is not read.
    w_vector : array_like
        Shape ``(..., n)``.

    Returns
    -------
    Array
        The upper triangular ``R`` with ``Rᴴ R = r_matrixᴴ r_matrix + w wᴴ``. It takes O(n²)
        operations: a rotation for each row.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    References
    ----------
    P. Gill, G. Golub, W. Murray, M. Saunders, "Methods for modifying matrix factorizations",
    Math. Comp. 28 (1974).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> r = lax.linalg.cholesky_update(3.0 * np.eye(2), np.array([4.0, 0.0]))
    >>> np.round(r, 3)
    Array([[5., 0.],
           [0., 3.]], dtype=float32)
    """
    r, w = matrix(r_matrix, "cholesky_update"), matrix(w_vector, "cholesky_update")
    return cholesky_update_p.bind(r, w)


def symmetric_product(
    a_matrix: Any,
    c_matrix: Any,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    symmetrize_output: bool = False,
) -> Any:
    """``alpha a aᵀ + beta c``, of which ``a aᵀ`` takes half the work of another product.

    Parameters
    ----------
    a_matrix : array_like
        Shape ``(..., n, k)``.
    c_matrix : array_like
        Shape ``(..., n, n)``, symmetric.
    alpha, beta : float
    symmetrize_output : bool
        Take the upper triangle of ``c`` from its lower one, so that the result is symmetric.

    Returns
    -------
    Array
        Shape ``(..., n, n)``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.linalg.symmetric_product(np.array([[1.0], [2.0]]), np.eye(2), beta=10.0)
    Array([[11.,  2.],
           [ 2., 14.]], dtype=float32)
    """
    a, c = matrix(a_matrix, "symmetric_product"), matrix(c_matrix, "symmetric_product")
    if a.ndim < 2 or a.dtype != c.dtype or c.shape != (*a.shape[:-1], a.shape[-2]):
        raise ValueError(
            f"symmetric_product takes a of shape (..., n, k) and c of shape (..., n, n) of one "
            f"dtype, got {a.aval.str_short()} and {c.aval.str_short()}{at_user_line()}"
        )
    out = symmetric_product_p.bind(a)
    if alpha != 1:
        out = mul(out, like(alpha, out))
    if beta == 0:
        return out
    if symmetrize_output:
        c = add(tril(c), matrix_transpose(tril(c, -1)))
    return add(out, mul(c, like(beta, c)))


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """Solve tridiagonal systems of equations.

    Parameters
    ----------
    dl : array_like
        Shape ``(..., n)``: the elements left of the diagonal; the first is not used.
    d : array_like
        Shape ``(..., n)``: the diagonal.
    du : array_like
        Shape ``(..., n)``: the elements right of the diagonal; the last is not used.
    b : array_like
        Shape ``(..., n, m)``: right-hand sides.
    perturb_singular : bool
        Replace a pivot of zero by the smallest normal number, so that a singular system has an
        (enormous) solution; otherwise it is NaN.

    Returns
    -------
    Array
        Shape ``(..., n, m)``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Gaussian elimination with partial pivoting: O(n m) operations.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> side, d = np.array([1.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.0])
    >>> b = np.array([[4.0], [8.0], [8.0]])
    >>> np.round(lax.linalg.tridiagonal_solve(side, d, side, b), 3)
    Array([[1.],
           [2.],
           [3.]], dtype=float32)
    """
    operands = (matrix(x, "tridiagonal_solve") for x in (dl, d, du, b))
    return tridiagonal_solve_p.bind(*operands, perturb_singular=bool(perturb_singular))
