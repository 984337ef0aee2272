"""Hessenberg, tridiagonal and Schur form, and products with the reflections that lead there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.control_flow.householder import ormqr_p
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
from covector.core.errors import at_user_line
from covector.lax.linalg._common import matrix
from covector.primitives.linalg.schur import schur_p


def hessenberg(a: Any) -> tuple[Any, Any]:
    """Reduce square matrices to upper Hessenberg form, ``a = Q H Qᴴ``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``, of floats or complex numbers.

    Returns
    -------
    a : Array
        Shape ``(..., n, n)``: H on and above the first diagonal below the main one; below it, the
        vectors of the reflections whose product is Q (see `householder_product`).
    taus : Array
        Shape ``(..., n - 1)``, the reflections' factors.

    See Also
    --------
    covector.scipy.linalg.hessenberg : H and Q themselves.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> packed, taus = lax.linalg.hessenberg(np.array([[1.0, 2, 3], [3, 4, 5], [4, 5, 6]]))
    >>> np.round(np.triu(packed, -1), 3)
    Array([[ 1.  , -3.6 ,  0.2 ],
           [-5.  , 10.08,  0.44],
           [ 0.  ,  0.44, -0.08]], dtype=float32)
    """
    packed, taus = hessenberg_p.bind(matrix(a, "hessenberg"))
    return packed, taus


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """Reduce Hermitian matrices to real symmetric tridiagonal form, ``a = Q T Qᴴ``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    lower : bool
        Which triangle to use.

    Returns
    -------
    a : Array
        Shape ``(..., n, n)``: T and the vectors of the reflections in that triangle.
    d : Array
        Shape ``(..., n)``, real: the diagonal of T.
    e : Array
        Shape ``(..., n - 1)``, real: the elements beside it.
    taus : Array
        Shape ``(..., n - 1)``: the reflections' factors.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> a = np.array([[1.0, 3.0, 4.0], [3.0, 2.0, 0.0], [4.0, 0.0, 5.0]])
    >>> _, d, e, _ = lax.linalg.tridiagonal(a)
    >>> np.round(d, 2), np.round(e, 2)
    (Array([1.  , 3.92, 3.08], dtype=float32), Array([-5.  , -1.44], dtype=float32))
    """
    packed, d, e, taus = tridiagonal_p.bind(matrix(a, "tridiagonal"), lower=bool(lower))
    return packed, d, e, taus


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """Multiply a matrix by a product Q of Householder reflections, which is not formed.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, k)``: the vectors of the reflections, as `geqrf` gives them.
    taus : array_like
        Shape ``(..., k)``: their factors.
    c : array_like
        Shape ``(..., m, n)``, or ``(..., n, m)`` if not ``left``.
    left : bool
        Whether Q stands on the left of ``c``.
    transpose : bool
        Use the conjugate transpose of Q.

    Returns
    -------
    Array
        ``Q c``, or ``c Q``, of the shape of ``c``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[3.0, 0.0], [4.0, 5.0]])
    >>> a, taus = lax.linalg.geqrf(x)
    >>> np.round(lax.linalg.ormqr(a, taus, x, transpose=True), 3)  # R
    Array([[-5., -4.],
           [ 0.,  3.]], dtype=float32)
    """
    a, taus, c = (matrix(x, "ormqr") for x in (a, taus, c))
    return ormqr_p.bind(a, taus, c, left=bool(left), transpose=bool(transpose))


def schur(
    x: Any,
    *,
    compute_schur_vectors: bool = True,
    sort_eig_vals: bool = False,
    select_callable: Callable[..., Any] | None = None,
) -> tuple[Any, ...]:
    """Schur form of square matrices, ``x = Q T Qᴴ`` with unitary Q.

    Parameters
    ----------
    x : array_like
        Shape ``(..., n, n)``.
    compute_schur_vectors : bool
        Whether to return Q.
    sort_eig_vals : bool
        Must be False: eigenvalues are in the order in which LAPACK finds them.
    select_callable : None
        Not supported, like ``sort_eig_vals``.

    Returns
    -------
    T : Array
        Upper triangular for complex ``x``. For real ``x`` it is real, and a pair of complex
        eigenvalues is a block of two rows on its diagonal.
    Q : Array
        Only with ``compute_schur_vectors``.

    Raises
    ------
    NotImplementedError
        For sorted eigenvalues.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> t, q = lax.linalg.schur(x)
    >>> np.round(q @ t @ q.T, 3)
    Array([[1., 2.],
           [0., 3.]], dtype=float32)
    """
    if sort_eig_vals or select_callable is not None:
        raise NotImplementedError(
            "schur: sorting eigenvalues (sort_eig_vals, select_callable) is not supported"
            f"{at_user_line()}"
        )
    return tuple(
        schur_p.bind(matrix(x, "schur"), compute_schur_vectors=bool(compute_schur_vectors))
    )
