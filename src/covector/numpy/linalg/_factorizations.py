"""Factorisations under NumPy's names, with named results."""

from __future__ import annotations

from typing import Any, NamedTuple

from covector import lax
from covector.core.errors import at_user_line
from covector.lax import linalg
from covector.numpy._util import array, fused, inexact
from covector.primitives.linalg.common import adjoint, columns, matrix_transpose, rows
from covector.primitives.linalg.triangular import symmetrize
from covector.primitives.sorting import take_along


class QRResult(NamedTuple):
    """Result of `qr`."""

    Q: Any
    R: Any


class EighResult(NamedTuple):
    """Result of `eigh`."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Result of `eig`."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """Result of `svd`."""

    U: Any
    S: Any
    Vh: Any


def matrices(a: Any, name: str, square: bool = False) -> Any:
    """``a`` as a stack of matrices of floats or complex numbers."""
    x = array(inexact(a, name), name)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        kind = "square matrices, shape (..., n, n)" if square else "matrices, shape (..., m, n)"
        raise ValueError(f"{name} takes {kind}, got {x.aval.str_short()}{at_user_line()}")
    return x


@fused("upper", "symmetrize_input")
def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Any:
    """Lower triangular L with ``L Lᴴ = a``, or ``upper`` triangular U with ``Uᴴ U = a``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``, Hermitian and positive definite; otherwise the result is NaN.
    upper : bool
        Which of the two factors to return.
    symmetrize_input : bool
        Use the Hermitian part of ``a``; otherwise one of its triangles is all that counts.

    Returns
    -------
    Array
        Shape ``(..., n, n)``, zero in the other triangle.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.cholesky(np.array([[4, 2], [2, 5]])), 3)
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    >>> np.linalg.cholesky(np.array([[1, 2], [2, 1]]))  # not positive definite
    Array([[nan,  0.],
           [nan, nan]], dtype=float32)
    """
    x = matrices(a, "cholesky", square=True)
    return linalg.cholesky_p.bind(symmetrize(x) if symmetrize_input else x, upper=upper)


@fused("mode")
def qr(a: Any, mode: str = "reduced") -> Any:
    """QR factorisation.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    mode : {"reduced", "complete", "r", "raw"}
        ``Q`` has ``min(m, n)`` columns or (``complete``) ``m``; ``r`` gives ``R`` alone; ``raw``
        LAPACK's Householder vectors, transposed, and their factors.

    Returns
    -------
    QRResult, or the array ``R``
        ``Q`` has orthonormal columns and ``R`` is upper triangular: ``a = Q R``.

    Raises
    ------
    ValueError
        For another mode.

    Examples
    --------
    >>> import covector.numpy as np
    >>> q, r = np.linalg.qr(np.array([[3, 0], [4, 5]]))
    >>> np.round(q, 3)
    Array([[-0.6, -0.8],
           [-0.8,  0.6]], dtype=float32)
    >>> np.round(q @ r, 3)
    Array([[3., 0.],
           [4., 5.]], dtype=float32)
    """
    x = matrices(a, "qr")
    if mode == "raw":
        h, taus = linalg.geqrf(x)
        return QRResult(matrix_transpose(h), taus)
    if mode not in ("reduced", "complete", "full", "r"):
        raise ValueError(
            f"qr: mode must be 'reduced', 'complete', 'r' or 'raw', got {mode!r}{at_user_line()}"
        )
    q, r = linalg.qr(x, full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def _lower(uplo: str | None, name: str) -> bool:
    if uplo not in (None, "L", "U"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {uplo!r}{at_user_line()}")
    return uplo != "U"


@fused("UPLO", "symmetrize_input")
def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> Any:  # noqa: N803
    """Eigenvalues, ascending, and eigenvectors of a Hermitian matrix.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    UPLO : {"L", "U"}, optional
        Which triangle to use, without ``symmetrize_input``.
    symmetrize_input : bool
        Use the Hermitian part of ``a``.

    Returns
    -------
    EighResult
        ``eigenvalues`` of shape ``(..., n)``, and ``eigenvectors`` in columns.

    Examples
    --------
    >>> import covector.numpy as np
    >>> values, vectors = np.linalg.eigh(np.array([[2, 1], [1, 2]]))
    >>> np.round(values, 3)
    Array([1., 3.], dtype=float32)
    >>> np.round(np.abs(vectors), 3)
    Array([[0.707, 0.707],
           [0.707, 0.707]], dtype=float32)
    """
    lower = _lower(UPLO, "eigh")
    x = matrices(a, "eigh", square=True)
    v, w = linalg.eigh(x, lower=lower, symmetrize_input=symmetrize_input)
    return EighResult(w, v)


@fused("UPLO", "symmetrize_input")
def eigvalsh(
    a: Any,
    UPLO: str | None = "L",  # noqa: N803
    *,
    symmetrize_input: bool = True,
) -> Any:
    """Eigenvalues of a Hermitian matrix, ascending; see `eigh`.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    UPLO : {"L", "U"}, optional
        Which triangle to use, without ``symmetrize_input``.
    symmetrize_input : bool
        Use the Hermitian part of ``a``.

    Returns
    -------
    Array
        Shape ``(..., n)``, real.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.eigvalsh(np.array([[2, 1], [1, 2]])), 3)
    Array([1., 3.], dtype=float32)
    """
    lower = _lower(UPLO, "eigvalsh")
    x = matrices(a, "eigvalsh", square=True)
    x = symmetrize(x) if symmetrize_input else x
    return linalg.eigh_p.bind(x, lower=lower, compute_vectors=False)[0]


@fused()
def eig(a: Any) -> Any:
    """Eigenvalues and right eigenvectors (in columns) of a square matrix, all complex.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.

    Returns
    -------
    EigResult
        ``eigenvalues`` of shape ``(..., n)``, in no particular order, and ``eigenvectors`` of
        length 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> values, vectors = np.linalg.eig(np.array([[2, 0], [0, 3]]))
    >>> np.round(values, 3)
    Array([2.+0.j, 3.+0.j], dtype=complex64)
    >>> np.round(np.abs(vectors), 3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    w, v = linalg.eig(matrices(a, "eig", square=True), compute_left_eigenvectors=False)
    return EigResult(w, v)


@fused()
def eigvals(a: Any) -> Any:
    """Eigenvalues of a square matrix, as complex numbers in no particular order.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.

    Returns
    -------
    Array
        Shape ``(..., n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> values = np.linalg.eigvals(np.array([[0, 1], [-1, 0]]))
    >>> np.round(np.sort(values), 3)
    Array([0.-1.j, 0.+1.j], dtype=complex64)
    """
    x = matrices(a, "eigvals", square=True)
    return linalg.eig(x, compute_left_eigenvectors=False, compute_right_eigenvectors=False)[0]


@fused("full_matrices", "compute_uv", "hermitian", "subset_by_index")
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """Singular value decomposition, ``a = U diag(S) Vh``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    full_matrices : bool
        Whether ``U`` and ``Vh`` are square, or have ``min(m, n)`` columns and rows.
    compute_uv : bool
        Whether to return ``U`` and ``Vh``.
    hermitian : bool
        ``a`` is Hermitian: use `eigh`.
    subset_by_index : (int, int), optional
        Range of singular values to return; needs ``full_matrices=False``. Not supported with
        ``hermitian``.

    Returns
    -------
    SVDResult, or the array ``S``
        ``S`` is in descending order.

    Examples
    --------
    >>> import covector.numpy as np
    >>> u, s, vh = np.linalg.svd(np.array([[1, 0], [0, 2], [0, 0]]), full_matrices=False)
    >>> np.round(s, 3)
    Array([2., 1.], dtype=float32)
    >>> np.round(u * s @ vh, 3)
    Array([[1., 0.],
           [0., 2.],
           [0., 0.]], dtype=float32)
    """
    x = matrices(a, "svd", square=hermitian)
    if hermitian:
        return _hermitian_svd(x, compute_uv, subset_by_index)
    out = linalg.svd(
        x,
        full_matrices=full_matrices,
        compute_uv=compute_uv,
        subset_by_index=subset_by_index,
    )
    return SVDResult(*out) if compute_uv else out


def _hermitian_svd(x: Any, compute_uv: bool, subset: tuple[int, int] | None) -> Any:
    if subset is not None:
        raise NotImplementedError(
            f"svd: subset_by_index with hermitian=True; slice the result{at_user_line()}"
        )
    v, w = linalg.eigh(x)
    s = lax.abs(w)
    axis = s.ndim - 1
    index = lax.broadcasted_iota("int32", s.shape, axis)
    negated, order = lax.sort((lax.neg(s), index), axis, num_keys=1)
    s = lax.neg(negated)
    if not compute_uv:
        return s
    u = take_along(v, rows(order, v), v.ndim - 1)
    signs = lax.select(
        lax.lt(take_along(w, order, axis), 0.0), lax.full_like(s, -1), lax.full_like(s, 1)
    )
    return SVDResult(
        u, s, lax.mul(columns(lax.convert_element_type(signs, u.dtype), u), adjoint(u))
    )


@fused()
def svdvals(x: Any, /) -> Any:
    """Singular values of a matrix, in descending order.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``.

    Returns
    -------
    Array
        Shape ``(..., min(m, n))``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.svdvals(np.array([[0, 2], [3, 0]])), 3)
    Array([3., 2.], dtype=float32)
    """
    return svd(x, compute_uv=False)
