"""Orthogonal decompositions, singular values, polar and Schur form."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as np
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.lax import linalg
from covector.numpy._util import fused
from covector.numpy.linalg._factorizations import matrices
from covector.primitives.linalg.common import adjoint, is_complex, rows, triu
from covector.primitives.linalg.qr import geqrf_p
from covector.primitives.linalg.triangular import symmetrize
from covector.scipy.linalg._common import choice, matrices_together

_FLAGS = ("overwrite_a", "check_finite")


@fused("full_matrices", "compute_uv", "lapack_driver", *_FLAGS)
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Singular value decomposition, ``a = U diag(s) Vh``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    full_matrices : bool
        Whether ``U`` and ``Vh`` are square, or have ``min(m, n)`` columns and rows.
    compute_uv : bool
        Whether to return them.
    overwrite_a, check_finite : bool
        Have no effect.
    lapack_driver : {"gesdd", "gesvd"}
        Divide and conquer, or QR iterations.

    Returns
    -------
    U, s, Vh : Array
        Only ``s``, in descending order, without ``compute_uv``.

    Raises
    ------
    ValueError
        For another driver.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> np.round(linalg.svd(np.array([[0, 2], [3, 0]]), compute_uv=False), 3)
    Array([3., 2.], dtype=float32)
    """
    choice("svd", "lapack_driver", lapack_driver, ("gesdd", "gesvd"))
    kinds = linalg.SvdAlgorithm
    return linalg.svd(
        matrices(a, "svd"), full_matrices=full_matrices, compute_uv=compute_uv,
        algorithm=kinds.QR if lapack_driver == "gesvd" else kinds.DIVIDE_AND_CONQUER,
    )  # fmt: skip


@fused("lwork", "mode", "pivoting", *_FLAGS)
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple[Any, ...]:
    """QR factorisation, ``a = Q R``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    overwrite_a, lwork, check_finite
        Have no effect.
    mode : {"full", "r", "economic", "raw"}
        Whether ``Q`` is square, is left out, or has ``min(m, n)`` columns; or a pair of LAPACK's
        Householder vectors and their factors in place of ``Q``.
    pivoting : bool
        Exchange columns so that the diagonal of ``R`` does not increase: ``a[:, P] = Q R``.

    Returns
    -------
    Q : Array
        Not with mode "r".
    R : Array
    P : Array of int32
        Only with ``pivoting``.

    Raises
    ------
    ValueError
        For another mode, and for "raw" with pivoting.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> q, r = linalg.qr(np.array([[3, 0], [4, 5]]))
    >>> np.round(r, 3)
    Array([[-5., -4.],
           [ 0.,  3.]], dtype=float32)
    """
    choice("qr", "mode", mode, ("full", "r", "economic", "raw"))
    x = matrices(a, "qr")
    if mode == "raw":
        if pivoting:
            raise ValueError(f"qr: mode 'raw' is not supported with pivoting{at_user_line()}")
        packed, taus = geqrf_p.bind(x)
        return (packed, taus), triu(packed)[..., : min(x.shape[-2:]), :]
    q, r, *p = linalg.qr(x, pivoting=pivoting, full_matrices=mode == "full")
    if mode != "r":
        return q, r, *p
    missing = x.shape[-2] - r.shape[-2]
    zeros = np.zeros((*r.shape[:-2], missing, r.shape[-1]), r.dtype)
    return np.concatenate([r, zeros], -2), *p


@fused("mode", "pivoting", "conjugate", "overwrite_a", "overwrite_c")
def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple[Any, ...]:
    """QR factorisation of ``a``, and the product of ``Q`` with a matrix.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    c : array_like
        With mode "left", shape ``(..., k, p)`` or ``(k,)`` where ``k = min(m, n)``; with "right",
        ``(..., p, m)`` or ``(m,)``.
    mode : {"left", "right"}
        Whether to compute ``Q c`` or ``c Q``.
    pivoting : bool
        As that of `qr`.
    conjugate : bool
        Use the conjugate of ``Q``.
    overwrite_a, overwrite_c : bool
        Have no effect.

    Returns
    -------
    CQ : Array
        The product, ``(..., m, p)`` or ``(..., p, k)``.
    R : Array
        Shape ``(..., k, n)``.
    P : Array of int32
        Only with ``pivoting``.

    Raises
    ------
    ValueError
        For another mode, or if the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> product, r = linalg.qr_multiply(np.array([[3.0], [4.0]]), np.array([5.0]), mode="left")
    >>> np.round(product, 3)
    Array([-3., -4.], dtype=float32)
    """
    choice("qr_multiply", "mode", mode, ("left", "right"))
    a, c = matrices_together("qr_multiply", a, c)
    a = matrices(a, "qr_multiply")
    q, *rest = linalg.qr(a, pivoting=pivoting, full_matrices=False)
    q = np.conj(q) if conjugate and is_complex(q) else q
    is_vector = c.ndim == 1
    left = mode == "left"
    size = q.shape[-1] if left else q.shape[-2]
    if not c.ndim or c.shape[-2 if left and not is_vector else -1] != size:
        raise ValueError(
            f"qr_multiply of a = {describe(a)} and c = {describe(c)}: with mode {mode!r}, c must "
            f"have {size} {'rows' if left else 'columns'}{at_user_line()}"
        )
    if is_vector:
        c = c[:, None] if left else c[None, :]
    out = q @ c if left else c @ q
    if is_vector:
        out = out[..., 0] if left else out[..., 0, :]
    return (out, *rest)


# --- other forms -------------------------------------------------------------------------


@fused("calc_q", *_FLAGS)
def hessenberg(
    a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """Upper Hessenberg form, ``a = Q H Qᴴ``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    calc_q : bool
        Whether to return ``Q``.
    overwrite_a, check_finite : bool
        Have no effect.

    Returns
    -------
    H : Array
        Zero below the first diagonal under the main one.
    Q : Array
        Unitary; only with ``calc_q``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> h, q = linalg.hessenberg(np.array([[1, 2, 3], [3, 4, 5], [4, 5, 6]]), calc_q=True)
    >>> np.round(q @ h @ q.T, 3)
    Array([[1., 2., 3.],
           [3., 4., 5.],
           [4., 5., 6.]], dtype=float32)
    """
    packed, taus = linalg.hessenberg(matrices(a, "hessenberg", square=True))
    h = triu(packed, -1)
    if not calc_q:
        return h
    n = packed.shape[-1]
    if n < 2:
        return h, np.broadcast_to(np.eye(n, dtype=h.dtype), h.shape)
    inner = linalg.householder_product(packed[..., 1:, :-1], taus)
    pads = [(0, 0)] * (h.ndim - 2)
    first = (np.arange(n) == 0).astype(h.dtype)
    return h, np.pad(inner, [*pads, (1, 0), (1, 0)]) + first[:, None] * first


@fused("output")
def schur(a: Any, output: str = "real") -> tuple[Any, Any]:
    """Schur form, ``a = Z T Zᴴ``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    output : {"real", "complex"}
        Whether the form of a real matrix is real, with blocks of two rows for pairs of complex
        eigenvalues, or complex and triangular.

    Returns
    -------
    T : Array
        (Block) upper triangular.
    Z : Array
        Unitary.

    Raises
    ------
    ValueError
        For another ``output``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> t, z = linalg.schur(np.array([[0.0, 1.0], [-1.0, 0.0]]), output="complex")
    >>> np.round(np.diagonal(t), 3) + 0.0
    Array([0.+1.j, 0.-1.j], dtype=complex64)
    """
    choice("schur", "output", output, ("real", "complex", "r", "c"))
    x = matrices(a, "schur", square=True)
    if output in ("complex", "c"):
        x = x.astype(dtypes.complex_dtype(x.dtype))
    t, z = linalg.schur(x)
    return t, z


@fused("check_finite")
def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Any, Any]:  # noqa: N803
    """A complex Schur form from a real one.

    Parameters
    ----------
    T, Z : array_like
        Shape ``(..., n, n)``: a real Schur form and its vectors, as `schur` gives them.
    check_finite : bool
        Has no effect.

    Returns
    -------
    T, Z : Array
        Complex: an upper triangular form of the same matrix, and its vectors.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    G. Golub, C. Van Loan, "Matrix Computations", 4th ed., section 7.4: a rotation for each block
    of two rows makes it triangular.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> t, z = linalg.rsf2csf(*linalg.schur(np.array([[0.0, 2.0], [-2.0, 0.0]])))
    >>> np.round(np.abs(np.diagonal(t)), 3), np.round(t[1, 0], 3) + 0.0
    (Array([2., 2.], dtype=float32), Array(0.+0.j, dtype=complex64))
    """
    t, z = (matrices(x, "rsf2csf", square=True) for x in matrices_together("rsf2csf", T, Z))
    if t.shape != z.shape:
        raise ValueError(
            f"rsf2csf: T and Z must have the same shape, got {describe(t)} and {describe(z)}"
            f"{at_user_line()}"
        )
    wide = dtypes.complex_dtype(t.dtype)
    t, z = t.astype(wide), z.astype(wide)
    n = t.shape[-1]
    if n < 2:
        return t, z
    eps = float(dtypes.finfo(t.dtype).eps)
    t, z = lax.fori_loop(0, n - 1, lambda k, c: _made_triangular(n - 1 - k, eps, *c), (t, z))
    return t, z


def _made_triangular(m: Any, eps: float, t: Any, z: Any) -> tuple[Any, Any]:
    """The block of rows ``m - 1`` and ``m`` made triangular by a rotation, if it is one."""
    axis = t.ndim - 2

    def pair(x: Any, axis: int) -> Any:
        return lax.dynamic_slice_in_dim(x, m - 1, 2, axis)

    block = pair(pair(t, axis), axis + 1)
    a, b, c, d = (block[..., i, j] for i in (0, 1) for j in (0, 1))
    present = np.abs(c) > eps * (np.abs(a) + np.abs(d))
    half = (a - d) / 2
    # An eigenvalue less d: for a block of LAPACK's, where a = d, without cancellation.
    shift = half + np.sqrt(half * half + b * c)
    length = np.sqrt(np.abs(shift) ** 2 + np.abs(c) ** 2)
    length = np.where(present, length, 1.0).astype(t.dtype)
    cos = np.where(present, shift / length, 1.0)
    sin = np.where(present, c / length, 0.0)
    g = np.stack([np.stack([np.conj(cos), sin], -1), np.stack([-sin, cos], -1)], -2)
    i = lax.broadcasted_iota(dtypes.int32, (t.shape[-1],), 0)
    top = pair(t, axis)
    top = np.where(i >= m - 1, g @ top, top)
    t = lax.dynamic_update_slice_in_dim(t, top, m - 1, axis)
    t = lax.dynamic_update_slice_in_dim(t, pair(t, axis + 1) @ adjoint(g), m - 1, axis + 1)
    z = lax.dynamic_update_slice_in_dim(z, pair(z, axis + 1) @ adjoint(g), m - 1, axis + 1)
    below = (i[:, None] == m) & (i == m - 1)
    return np.where(below, np.zeros((), t.dtype), t), z


@fused("side", "method", "eps", "max_iterations")
def polar(
    a: Any,
    side: str = "right",
    *,
    method: str = "qdwh",
    eps: float | None = None,
    max_iterations: int | None = None,
) -> tuple[Any, Any]:
    """Polar decomposition: ``a = u p``, or ``a = p u``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    side : {"right", "left"}
        On which side of ``u`` the factor ``p`` stands.
    method : {"qdwh", "svd"}
        Iterations (see `covector.lax.linalg.qdwh`), or the singular value decomposition.
    eps, max_iterations : optional
        As those of `covector.lax.linalg.qdwh`.

    Returns
    -------
    u : Array
        Shape ``(..., m, n)``, with orthonormal columns, or rows if there are less of them.
    p : Array
        Hermitian and positive semidefinite, ``(..., n, n)`` or (left) ``(..., m, m)``.

    Raises
    ------
    ValueError
        For another side or method.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> u, p = linalg.polar(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> np.round(u, 3) + 0.0
    Array([[ 0., -1.],
           [ 1.,  0.]], dtype=float32)
    >>> np.round(p, 3) + 0.0
    Array([[3., 0.],
           [0., 2.]], dtype=float32)
    """
    choice("polar", "side", side, ("right", "left"))
    choice("polar", "method", method, ("qdwh", "svd"))
    x = matrices(a, "polar")
    right = side == "right"
    if method == "svd":
        u, s, vh = linalg.svd(x, full_matrices=False)
        basis = adjoint(vh) if right else u
        wide = s.astype(basis.dtype)
        return u @ vh, (basis * rows(wide, basis)) @ adjoint(basis)
    tall = x.shape[-2] >= x.shape[-1]
    u, h, *_ = linalg.qdwh(x if tall else adjoint(x), eps=eps, max_iterations=max_iterations)
    u = u if tall else adjoint(u)
    if tall == right:
        return u, h
    return u, symmetrize(adjoint(u) @ x if right else x @ adjoint(u))
