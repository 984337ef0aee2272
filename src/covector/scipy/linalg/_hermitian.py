"""Eigenvalues of Hermitian and of symmetric tridiagonal matrices."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.lax import linalg
from covector.numpy._util import concrete, fused
from covector.numpy.linalg._factorizations import matrices
from covector.primitives.linalg.common import adjoint, triu
from covector.primitives.linalg.triangular import from_lower
from covector.scipy.linalg._common import choice, matrices_together


@fused(
    "lower", "eigvals_only", "overwrite_a", "overwrite_b", "turbo", "eigvals", "type",
    "check_finite",
)  # fmt: skip
def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: None = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues and eigenvectors of a Hermitian matrix, also generalised.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``, of which one triangle is read.
    b : array_like, optional
        Hermitian and positive definite, of the same shape.
    lower : bool
        Which triangles to read.
    eigvals_only : bool
        Whether to return the eigenvalues alone.
    overwrite_a, overwrite_b, turbo, check_finite : bool
        Have no effect.
    eigvals : None
        Must be None: slice the results.
    type : {1, 2, 3}
        The problem with ``b``: ``a v = w b v``, ``a b v = w v``, or ``b a v = w v``.

    Returns
    -------
    w : Array
        Shape ``(..., n)``, real and ascending; NaN where ``b`` is not positive definite.
    v : Array
        Shape ``(..., n, n)``, in columns: orthonormal, with ``b`` such that ``vᴴ b v`` (for type
        3 ``vᴴ b⁻¹ v``) is the identity.

    Raises
    ------
    ValueError
        For another type, or if the shapes do not fit.
    NotImplementedError
        For ``eigvals``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> np.round(linalg.eigh(a, eigvals_only=True), 3)
    Array([1., 3.], dtype=float32)
    >>> w, v = linalg.eigh(a, b)
    >>> np.round(np.abs(a @ v - b @ v * w), 3)
    Array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    choice("eigh", "type", type, (1, 2, 3))
    if eigvals is not None:
        raise NotImplementedError(f"eigh: eigvals; slice the results{at_user_line()}")
    if b is None:
        x = matrices(a, "eigh", square=True)
        *v, w = linalg.eigh_p.bind(x, lower=lower, compute_vectors=not eigvals_only)
        return w if eigvals_only else (w, *v)
    a, b = (matrices(x, "eigh", square=True) for x in matrices_together("eigh", a, b))
    if a.shape != b.shape:
        raise ValueError(
            f"eigh: a and b must have the same shape, got {describe(a)} and {describe(b)}"
            f"{at_user_line()}"
        )
    a, b = (from_lower(x if lower else adjoint(triu(x))) for x in (a, b))
    w, v = _generalized(a, b, type)
    return w if eigvals_only else (w, v)


def _generalized(a: Any, b: Any, kind: int) -> tuple[Any, Any]:
    # G. Golub, C. Van Loan, "Matrix Computations", 4th ed., section 8.7, with b = l lᴴ: for type 1
    # of l⁻¹ a l⁻ᴴ, for the others of lᴴ a l.
    l = linalg.cholesky(b, symmetrize_input=False)
    options = {"lower": True, "conjugate_a": True}
    if kind == 1:
        c = linalg.triangular_solve(l, a, left_side=True, lower=True)
        c = linalg.triangular_solve(l, c, transpose_a=True, **options)
    else:
        c = adjoint(l) @ a @ l
    y, w = linalg.eigh(c)
    if kind == 3:
        return w, l @ y
    return w, linalg.triangular_solve(l, y, left_side=True, transpose_a=True, **options)


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[float, float] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Eigenvalues and eigenvectors of a real symmetric tridiagonal matrix.

    Parameters
    ----------
    d : array_like
        The diagonal, shape ``(..., n)``.
    e : array_like
        The elements beside it, shape ``(..., n - 1)``.
    eigvals_only : bool
        Whether to return the eigenvalues alone.
    select : {"a", "i", "v"}
        All of them; those of the indices from ``select_range[0]`` to, including,
        ``select_range[1]``; or those in the interval ``select_range``, without its lower end. The
        last is not possible in traced code, as the values decide a size.
    select_range : (number, number), optional
    tol, key : optional
        Have no effect.

    Returns
    -------
    w : Array
        Ascending.
    v : Array
        In columns.

    Raises
    ------
    ValueError
        For another ``select``, or a range that is missing, reversed, or outside of the matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> d, e = np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0])
    >>> np.round(linalg.eigh_tridiagonal(d, e, eigvals_only=True), 3)
    Array([0.586, 2.   , 3.414], dtype=float32)
    >>> w, v = linalg.eigh_tridiagonal(d, e, select="i", select_range=(1, 1))
    >>> np.round(w, 3)
    Array([2.], dtype=float32)
    """
    choice("eigh_tridiagonal", "select", select, ("a", "i", "v"))
    out = _eigh_tridiagonal(d, e, bool(eigvals_only))
    if select == "a":
        return out[0] if eigvals_only else tuple(out)
    if select_range is None or len(select_range) != 2 or select_range[0] > select_range[1]:
        raise ValueError(
            f"eigh_tridiagonal: with select={select!r}, select_range must be two ascending "
            f"numbers, got {select_range!r}{at_user_line()}"
        )
    first, last = _chosen(out[0], select, select_range)
    parts = [x[..., first:last] for x in out]
    return parts[0] if eigvals_only else tuple(parts)


def _chosen(w: Any, select: str, limits: tuple[float, float]) -> tuple[int, int]:
    """The range of indices that is asked for."""
    n = w.shape[-1]
    if select == "i":
        first, last = map(int, limits)
        if not 0 <= first <= last < n:
            raise ValueError(
                f"eigh_tridiagonal: select_range {(first, last)} must be indices of the {n} "
                f"eigenvalues{at_user_line()}"
            )
        return first, last + 1
    if w.ndim > 1:
        raise ValueError(
            f"eigh_tridiagonal: select='v' takes a single matrix, as each of a batch has another "
            f"number of eigenvalues in the interval; got {describe(w)}{at_user_line()}"
        )
    values = concrete(w, "the eigenvalues, with select='v',")
    return int((values <= limits[0]).sum()), int((values <= limits[1]).sum())


@fused("eigvals_only")
def _eigh_tridiagonal(d: Any, e: Any, eigvals_only: bool) -> Any:
    d, e = matrices_together("eigh_tridiagonal", d, e)
    if d.dtype in dtypes.COMPLEX:
        raise TypeError(
            f"eigh_tridiagonal takes real numbers, got {describe(d)} and {describe(e)}"
            f"{at_user_line()}"
        )
    return tuple(linalg.eigh_tridiagonal_p.bind(d, e, vectors=not eigvals_only))
