"""Systems of equations, the factorisations that solve them, inverses, determinants."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as np
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.lax import linalg
from covector.numpy import linalg as la
from covector.numpy._util import array, broadcast_shapes, fused
from covector.numpy.linalg._factorizations import matrices
from covector.primitives.linalg.common import (
    adjoint,
    columns,
    diagonal,
    matrix_transpose,
    tril,
    triu,
)
from covector.primitives.linalg.lu import lu_solve as solve_factored
from covector.primitives.linalg.triangular import broadcast_batch, from_lower
from covector.scipy.linalg._common import choice, matrices_together

_FLAGS = ("overwrite_a", "check_finite")
_TRANSPOSED = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def _right_side(name: str, n: int, a: Any, b: Any) -> tuple[Any, bool]:
    """``b`` as matrices of ``n`` rows, and whether it was a vector."""
    is_vector = b.ndim == 1
    if not b.ndim or b.shape[0 if is_vector else -2] != n:
        raise ValueError(
            f"{name} of a = {describe(a)} and b = {describe(b)}: b must have shape ({n},) or "
            f"(..., {n}, m){at_user_line()}"
        )
    return (b[:, None] if is_vector else b), is_vector


def _together(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Both with the batch dimensions of both."""
    batch = broadcast_shapes(name, a.shape[:-2], b.shape[:-2])
    return broadcast_batch(a, batch), broadcast_batch(b, batch)


@fused("lower", *_FLAGS)
def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Cholesky factor of a Hermitian positive definite matrix.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``, of which one triangle is read.
    lower : bool
        The lower triangular ``L`` with ``a = L Lᴴ``; otherwise the upper one with ``a = Uᴴ U``.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    Array
        NaN in its triangle where ``a`` is not positive definite or not finite.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.cholesky(np.array([[4, 2], [2, 5]])), 3)
    Array([[2., 1.],
           [0., 2.]], dtype=float32)
    """
    x = matrices(a, "cholesky", square=True)
    return linalg.cholesky_p.bind(x, upper=not lower)


def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """Cholesky factor for `cho_solve`.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``, Hermitian and positive definite.
    lower : bool
        Which triangle to read and to compute.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    c : Array
        The factor; the other triangle is zero.
    lower : bool

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> c, lower = linalg.cho_factor(np.array([[4.0, 0.0], [0.0, 9.0]]))
    >>> linalg.cho_solve((c, lower), np.array([4.0, 18.0]))
    Array([1., 2.], dtype=float32)
    """
    return cholesky(a, lower=lower), bool(lower)


def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """Solve ``a x = b`` given the Cholesky factor of ``a``.

    Parameters
    ----------
    c_and_lower : (array_like, bool)
        What `cho_factor` returns.
    b : array_like
        Shape ``(n,)`` or ``(..., n, m)``.
    overwrite_b, check_finite : bool
        Have no effect.

    Returns
    -------
    Array
        ``x``, of the shape of ``b``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> factor = linalg.cho_factor(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> np.round(linalg.cho_solve(factor, np.array([3.0, 3.0])), 3)
    Array([1., 1.], dtype=float32)
    """
    c, lower = c_and_lower
    return _cho_solve(c, b, bool(lower))


@fused("lower")
def _cho_solve(c: Any, b: Any, lower: bool) -> Any:
    c, b = matrices_together("cho_solve", c, b)
    c = matrices(c, "cho_solve", square=True)
    b, is_vector = _right_side("cho_solve", c.shape[-1], c, b)
    c, b = _together("cho_solve", c, b)
    for transpose in (not lower, lower):
        b = linalg.triangular_solve(
            c, b, left_side=True, lower=lower, transpose_a=transpose, conjugate_a=transpose
        )
    return b[..., 0] if is_vector else b


@fused("overwrite_a", "check_finite")
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """LU factorisation with partial pivoting, for `lu_solve`.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    lu : Array
        U on and above the diagonal, L (with a diagonal of ones) below.
    piv : Array of int32
        Row ``i`` was exchanged with row ``piv[i]``, in order.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.lu_factor(np.array([[1.0, 2.0], [4.0, 6.0]]))[1]
    Array([1, 1], dtype=int32)
    """
    packed, pivots, _ = linalg.lu(matrices(a, "lu_factor"))
    return packed, pivots


def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solve ``op(a) x = b`` given the LU factorisation of ``a``.

    Parameters
    ----------
    lu_and_piv : (array_like, array_like)
        What `lu_factor` returns.
    b : array_like
        Shape ``(n,)`` or ``(..., n, m)``.
    trans : {0, 1, 2}
        Whether ``op`` does nothing, transposes, or takes the conjugate transpose.
    overwrite_b, check_finite : bool
        Have no effect.

    Returns
    -------
    Array
        ``x``, of the shape of ``b``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or for another ``trans``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> factors = linalg.lu_factor(np.array([[0.0, 2.0], [4.0, 0.0]]))
    >>> linalg.lu_solve(factors, np.array([2.0, 8.0]))
    Array([2., 1.], dtype=float32)
    """
    choice("lu_solve", "trans", trans, (0, 1, 2))
    packed, pivots = lu_and_piv
    return _lu_solve(packed, pivots, b, int(trans))


@fused("trans")
def _lu_solve(packed: Any, pivots: Any, b: Any, trans: int) -> Any:
    packed, b = matrices_together("lu_solve", packed, b)
    packed = matrices(packed, "lu_solve", square=True)
    n = packed.shape[-1]
    b, is_vector = _right_side("lu_solve", n, packed, b)
    permutation = linalg.lu_pivots_to_permutation(array(pivots), n)
    batch = broadcast_shapes("lu_solve", packed.shape[:-2], b.shape[:-2])
    permutation = broadcast_batch(permutation, batch, tail=1)
    packed, b = broadcast_batch(packed, batch), broadcast_batch(b, batch)
    if trans == 2:
        b = np.conj(b)
    x = solve_factored(packed, permutation, b, transposed=trans > 0)
    x = np.conj(x) if trans == 2 else x
    return x[..., 0] if is_vector else x


@fused("permute_l", "overwrite_a", "check_finite")
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, ...]:
    """LU factorisation with partial pivoting, ``a = P L U``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    permute_l : bool
        Return ``P L`` in place of both.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    p : Array
        Permutation matrix, real, shape ``(..., m, m)``; not with ``permute_l``.
    l : Array
        Lower triangular with a diagonal of ones, shape ``(..., m, k)`` with ``k = min(m, n)``.
    u : Array
        Upper triangular, shape ``(..., k, n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> p, l, u = linalg.lu(np.array([[1.0, 2.0], [4.0, 6.0]]))
    >>> l
    Array([[1.  , 0.  ],
           [0.25, 1.  ]], dtype=float32)
    >>> p @ l @ u
    Array([[1., 2.],
           [4., 6.]], dtype=float32)
    """
    packed, _, permutation = linalg.lu(matrices(a, "lu"))
    *_, m, n = packed.shape
    k = min(m, n)
    l = tril(packed[..., :k], -1)
    l = l + np.eye(m, k, dtype=l.dtype)
    u = triu(packed[..., :k, :])
    # Column i of P has its one in row permutation[i].
    i = lax.broadcasted_iota(dtypes.int32, (*packed.shape[:-2], m, m), packed.ndim - 2)
    p = (i == permutation[..., None, :]).astype(dtypes.real_dtype(packed.dtype))
    return (p.astype(l.dtype) @ l, u) if permute_l else (p, l, u)


@fused(*_FLAGS)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Determinant of square matrices.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    Array
        Shape ``(...)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.det(np.array([[1, 2], [3, 4]])), 3)
    Array(-2., dtype=float32)
    """
    return la.det(a)


@fused(*_FLAGS)
def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Inverse of square matrices; not finite where they are singular.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    Array
        Shape ``(..., n, n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.inv(np.array([[0, 2], [4, 0]]))
    Array([[0.  , 0.25],
           [0.5 , 0.  ]], dtype=float32)
    """
    return la.inv(a)


@fused("trans", "lower", "unit_diagonal", "overwrite_b", "debug", "check_finite")
def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Any:
    """Solve ``op(a) x = b`` for a triangular ``a``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``; the other triangle is not read.
    b : array_like
        Shape ``(n,)`` or ``(..., n, m)``.
    trans : {0, 1, 2, "N", "T", "C"}
        Whether ``op`` does nothing, transposes, or takes the conjugate transpose.
    lower : bool
        Which triangle of ``a`` to use.
    unit_diagonal : bool
        Take the diagonal of ``a`` to be ones.
    overwrite_b, debug, check_finite
        Have no effect.

    Returns
    -------
    Array
        ``x``, of the shape of ``b``; not finite where ``a`` is singular.

    Raises
    ------
    ValueError
        If the shapes do not fit, or for another ``trans``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> linalg.solve_triangular(np.array([[2, 0], [1, 4]]), np.array([2, 9]), lower=True)
    Array([1., 2.], dtype=float32)
    """
    choice("solve_triangular", "trans", trans, tuple(_TRANSPOSED))
    a, b = matrices_together("solve_triangular", a, b)
    a = matrices(a, "solve_triangular", square=True)
    b, is_vector = _right_side("solve_triangular", a.shape[-1], a, b)
    a, b = _together("solve_triangular", a, b)
    op = _TRANSPOSED[trans]
    x = linalg.triangular_solve(
        a, b, left_side=True, lower=lower, transpose_a=op > 0, conjugate_a=op == 2,
        unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return x[..., 0] if is_vector else x


_STRUCTURES = {
    **dict.fromkeys(("gen", "general", "banded"), "general"),
    **dict.fromkeys(("sym", "symmetric"), "symmetric"),
    **dict.fromkeys(("her", "hermitian"), "hermitian"),
    **dict.fromkeys(("pos", "positive definite"), "positive definite"),
    **{name: name for name in ("diagonal", "tridiagonal", "upper triangular", "lower triangular")},
}


@fused("lower", "overwrite_a", "overwrite_b", "debug", "check_finite", "assume_a")
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Any:
    """Solution of ``a x = b``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``. Where it is singular, the result is not finite.
    b : array_like
        A vector ``(n,)``, or matrices ``(..., n, m)``.
    lower : bool
        Which triangle to read where ``assume_a`` says that it determines the other.
    overwrite_a, overwrite_b, debug, check_finite : bool
        Have no effect.
    assume_a : str
        What is known about ``a``: "gen" (or "general", "banded"), "sym" ("symmetric"), "her"
        ("hermitian"), "pos" ("positive definite"), "diagonal", "tridiagonal",
        "upper triangular", "lower triangular".

    Returns
    -------
    Array
        Shape ``(..., n)`` for a vector ``b``, else ``(..., n, m)``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or for another ``assume_a``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a, b = np.array([[2, 1], [1, 3]]), np.array([5, 10])
    >>> np.round(linalg.solve(a, b, assume_a="pos"), 3)
    Array([1., 3.], dtype=float32)
    """
    choice("solve", "assume_a", assume_a, tuple(_STRUCTURES))
    structure = _STRUCTURES[assume_a]
    a, b = matrices_together("solve", a, b)
    a = matrices(a, "solve", square=True)
    b, is_vector = _right_side("solve", a.shape[-1], a, b)
    x = _solve_with(structure, a, b, lower)
    return x[..., 0] if is_vector else x


def _solve_with(structure: str, a: Any, b: Any, lower: bool) -> Any:
    if structure == "general":
        return la.solve(a, b)
    if structure == "hermitian":
        return la.solve(from_lower(a if lower else adjoint(triu(a))), b)
    if structure == "symmetric":
        half = tril(a) if lower else triu(a)
        return la.solve(half + matrix_transpose(tril(a, -1) if lower else triu(a, 1)), b)
    if structure == "positive definite":
        return _cho_solve(cholesky(a, lower=lower), b, lower)
    a, b = _together("solve", a, b)
    if structure == "diagonal":
        return b / columns(diagonal(a), b)
    if structure == "tridiagonal":
        return linalg.tridiagonal_solve(*_bands(a), b)
    return linalg.triangular_solve(a, b, left_side=True, lower=structure == "lower triangular")


def _bands(a: Any) -> tuple[Any, Any, Any]:
    """The three diagonals as `tridiagonal_solve` takes them."""
    d = diagonal(a)
    zero = np.zeros_like(d[..., :1])
    if a.shape[-1] < 2:
        return np.zeros_like(d), d, np.zeros_like(d)
    below, above = diagonal(a[..., 1:, :-1]), diagonal(a[..., :-1, 1:])
    return np.concatenate([zero, below], -1), d, np.concatenate([above, zero], -1)
