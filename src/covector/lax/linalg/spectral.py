"""Eigenvalues and singular values."""

from __future__ import annotations

import enum
from typing import Any

from covector.core.dims import min_dim
from covector.core.errors import at_user_line
from covector.lax.linalg._common import matrix
from covector.lax.linalg.implementations import (
    EighImplementation,
    EigImplementation,
    SvdAlgorithm,
)
from covector.lax.slicing import slice_in_dim
from covector.primitives.linalg.common import check_matrix
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import symmetrize

_SVD_ALGORITHMS = (SvdAlgorithm.DEFAULT, SvdAlgorithm.DIVIDE_AND_CONQUER, SvdAlgorithm.QR)


def _check_algorithm(name: str, kind: type[enum.Enum], value: Any, offered: Any) -> None:
    """Raise an error unless ``value`` is None or one of the ``offered`` members of ``kind``."""
    if value is None or value in offered:
        return
    known = ", ".join(f"{kind.__name__}.{v.name}" for v in offered)
    if isinstance(value, kind):
        raise NotImplementedError(
            f"{name}: this device has no {value}; it has {known}{at_user_line()}"
        )
    raise TypeError(
        f"{name} takes a member of {kind.__name__} ({known}), got {value!r}{at_user_line()}"
    )


def _subset(name: str, subset: Any, size: int) -> tuple[int, int] | None:
    if subset is None:
        return None
    start, end = map(int, subset)
    if not 0 <= start <= end <= size:
        raise ValueError(
            f"{name}: subset_by_index {(start, end)} must be a range within the {size} values"
            f"{at_user_line()}"
        )
    return start, end


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: EighImplementation | None = None,
) -> tuple[Any, Any]:
    """Eigenvectors and eigenvalues of a Hermitian matrix.

    Parameters
    ----------
    x : array_like
        Shape ``(..., n, n)``.
    lower : bool
        Which triangle to use.
    symmetrize_input : bool
        Use the Hermitian part of ``x`` instead.
    sort_eigenvalues : bool
        They are in ascending order in any case.
    subset_by_index : (int, int), optional
        Range of eigenvalues to return: from the first up to, not including, the second.
    implementation : EighImplementation, optional
        ``QR`` (LAPACK's divide and conquer on the tridiagonal form) is the one there is.

    Returns
    -------
    vectors : Array
        Shape ``(..., n, n)``, in columns.
    values : Array
        Shape ``(..., n)``, real.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> vectors, values = lax.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> np.round(values, 3)
    Array([1., 3.], dtype=float32)
    >>> np.round(np.abs(vectors), 3)
    Array([[0.707, 0.707],
           [0.707, 0.707]], dtype=float32)
    """
    _check_algorithm("eigh", EighImplementation, implementation, [EighImplementation.QR])
    x = matrix(x, "eigh")
    check_matrix("eigh", x.aval, square=True)
    subset = _subset("eigh", subset_by_index, x.shape[-1])
    vectors, values = eigh_p.bind(
        symmetrize(x) if symmetrize_input else x, lower=bool(lower), compute_vectors=True
    )
    if subset is not None:
        vectors = slice_in_dim(vectors, *subset, axis=vectors.ndim - 1)
        values = slice_in_dim(values, *subset, axis=values.ndim - 1)
    return vectors, values


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: SvdAlgorithm | None = None,
) -> Any:
    """Singular value decomposition, ``x = u diag(s) vh``.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``.
    full_matrices : bool
        Whether ``u`` and ``vh`` are square, or have ``min(m, n)`` columns and rows.
    compute_uv : bool
        Whether to return ``u`` and ``vh``.
    subset_by_index : (int, int), optional
        Range of singular values to return; needs ``full_matrices=False``.
    algorithm : SvdAlgorithm, optional
        ``DIVIDE_AND_CONQUER``, the default, or ``QR`` iterations, which are slower and, for small
        singular values of badly scaled matrices, may be more precise.

    Returns
    -------
    u, s, vh : Array
        Only ``s``, in descending order, without ``compute_uv``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> u, s, vh = lax.linalg.svd(np.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> np.round(s, 3)
    Array([3., 2.], dtype=float32)
    >>> np.round(np.abs(u), 3)
    Array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    _check_algorithm("svd", SvdAlgorithm, algorithm, _SVD_ALGORITHMS)
    x = matrix(x, "svd")
    check_matrix("svd", x.aval)
    rank = min_dim(*x.shape[-2:])
    subset = _subset("svd", subset_by_index, rank)
    if subset is not None and compute_uv and full_matrices and subset != (0, rank):
        raise ValueError(f"svd: subset_by_index needs full_matrices=False{at_user_line()}")
    full = bool(full_matrices) and x.shape[-1] != x.shape[-2]
    s, *uv = svd_p.bind(
        x, full_matrices=full, compute_uv=bool(compute_uv), by_qr=algorithm is SvdAlgorithm.QR
    )
    if subset is not None:
        s = slice_in_dim(s, *subset, axis=s.ndim - 1)
        if uv and not full:
            uv = [slice_in_dim(v, *subset, axis=x.ndim - 1 - k) for k, v in enumerate(uv)]
    return (uv[0], s, uv[1]) if uv else s


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: EigImplementation | None = None,
    use_magma: bool | None = None,
) -> list[Any]:
    """Eigenvalues and eigenvectors of a general square matrix.

    Parameters
    ----------
    x : array_like
        Shape ``(..., n, n)``.
    compute_left_eigenvectors, compute_right_eigenvectors : bool
        What to return besides the eigenvalues.
    enable_eigvec_derivs : bool
        Whether eigenvectors have derivatives: those of the vectors that are returned, of length 1
        and with a real largest component, where eigenvalues are distinct. The eigenvalues have
        theirs in any case.
    implementation : EigImplementation, optional
        ``LAPACK`` is the one there is.
    use_magma : bool, optional
        Has no effect on this device.

    Returns
    -------
    list of Array
        The eigenvalues, then the left and the right eigenvectors (columns of length 1) as far as
        asked for; all complex.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> values, left, right = lax.linalg.eig(np.array([[2.0, 0.0], [0.0, 3.0]]))
    >>> np.round(values, 3)
    Array([2.+0.j, 3.+0.j], dtype=complex64)
    >>> np.round(np.abs(right), 3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    _check_algorithm("eig", EigImplementation, implementation, [EigImplementation.LAPACK])
    return list(
        eig_p.bind(
            matrix(x, "eig"),
            compute_left_eigenvectors=bool(compute_left_eigenvectors),
            compute_right_eigenvectors=bool(compute_right_eigenvectors),
            enable_eigvec_derivs=bool(enable_eigvec_derivs),
        )
    )
