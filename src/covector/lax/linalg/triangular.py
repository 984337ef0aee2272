"""Cholesky factorisation and triangular systems."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.lax.linalg._common import matrix
from covector.lax.shape_functions import expand_dims, squeeze
from covector.primitives.linalg.common import check_matrix
from covector.primitives.linalg.triangular import cholesky_p, symmetrize, triangular_solve_p


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower triangular L with ``L Lᴴ = x``.

    Parameters
    ----------
    x : array_like
        Shape ``(..., n, n)``, Hermitian and positive definite.
    symmetrize_input : bool
        Use the Hermitian part of ``x``; otherwise its lower triangle is all that counts.

    Returns
    -------
    Array
        NaN in the lower triangle where ``x`` is not positive definite.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]])), 3)
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    x = matrix(x, "cholesky")
    check_matrix("cholesky", x.aval, square=True)
    return cholesky_p.bind(symmetrize(x) if symmetrize_input else x, upper=False)


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve ``op(a) x = b``, or ``x op(a) = b``, for a triangular ``a``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``; the other triangle is not read.
    b : array_like
        Shape ``(..., n, m)`` with ``left_side``, else ``(..., m, n)``; or a vector ``(..., n)``.
    left_side : bool
        Whether ``a`` stands on the left of ``x``.
    lower : bool
        Which triangle of ``a`` to use.
    transpose_a, conjugate_a : bool
        ``op`` transposes and/or conjugates.
    unit_diagonal : bool
        Take the diagonal of ``a`` to be ones.

    Returns
    -------
    Array
        ``x``, of the shape of ``b``; not finite where ``a`` is singular.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> lax.linalg.triangular_solve(a, np.array([2.0, 9.0]), left_side=True, lower=True)
    Array([1., 2.], dtype=float32)
    """
    a, b = matrix(a, "triangular_solve"), matrix(b, "triangular_solve")
    vector = b.ndim == a.ndim - 1
    if vector:
        b = expand_dims(b, (b.ndim if left_side else b.ndim - 1,))
    out = triangular_solve_p.bind(
        a,
        b,
        left_side=bool(left_side),
        lower=bool(lower),
        transpose_a=bool(transpose_a),
        conjugate_a=bool(conjugate_a) and a.dtype in dtypes.COMPLEX,
        unit_diagonal=bool(unit_diagonal),
    )
    return squeeze(out, (out.ndim - 1 if left_side else out.ndim - 2,)) if vector else out
