"""Eigenvalues and singular values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.trace import Primitive
from covector.lax.arithmetic import add, complex, div, mul, sub
from covector.lax.convert import convert_element_type
from covector.lax.linalg._common import (
    adjoint,
    check_matrix,
    columns,
    diagonal,
    is_complex,
    matmul,
    matrix,
    on_diagonal,
    rows,
    triu,
)
from covector.lax.linalg.lu import lu_p, lu_solve
from covector.lax.linalg.triangular import from_lower, symmetrize
from covector.lax.select import select
from covector.lax.shape_functions import full_like
from covector.lax.slicing import slice_in_dim
from covector.lax.unary import imag, real
from covector.transforms.jvp import jvp_rules
from covector.transforms.vmap import def_broadcasting

eigh_p = Primitive("eigh", multiple_results=True)
svd_p = Primitive("svd", multiple_results=True)
eig_p = Primitive("eig", multiple_results=True)


def _only_lapack(name: str, argument: str, value: Any) -> None:
    if value is not None:
        raise NotImplementedError(
            f"{name}: {argument}={value!r}; on this device LAPACK's routine is the only one, "
            f"leave the argument out{at_user_line()}"
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


def _differences(values: Any, like: Any) -> Any:
    """``1/(values[j] - values[i])`` off the diagonal, zero on it."""
    real_like = real(like) if is_complex(like) else like
    gaps = sub(rows(values, real_like), columns(values, real_like))
    on = on_diagonal(gaps.shape)
    one = full_like(gaps, 1)
    out = select(on, full_like(gaps, 0), div(one, select(on, one, gaps)))
    return convert_element_type(out, like.dtype)


# --- Hermitian matrices ------------------------------------------------------------------


@eigh_p.def_abstract_eval
def _eigh_aval(x: ShapedArray, *, lower: bool) -> list[ShapedArray]:
    check_matrix("eigh", x, square=True)
    return [
        ShapedArray(x.shape, x.dtype),
        ShapedArray(x.shape[:-1], dtypes.real_dtype(x.dtype)),
    ]


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: Any = None,
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
    implementation : None
        Not supported: there is one.

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
    _only_lapack("eigh", "implementation", implementation)
    x = matrix(x, "eigh")
    check_matrix("eigh", x.aval, square=True)
    subset = _subset("eigh", subset_by_index, x.shape[-1])
    vectors, values = eigh_p.bind(symmetrize(x) if symmetrize_input else x, lower=bool(lower))
    if subset is not None:
        vectors = slice_in_dim(vectors, *subset, axis=vectors.ndim - 1)
        values = slice_in_dim(values, *subset, axis=values.ndim - 1)
    return vectors, values


def _eigh_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, lower: bool
) -> tuple[list[Any], list[Any]]:
    # M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
    # algorithmic differentiation", Oxford NA-08/01, section 3.1, for Hermitian matrices.
    v, w = out = eigh_p.bind(primals[0], lower=lower)
    t = tangents[0]
    t = from_lower(t if lower else adjoint(triu(t)))
    p = matmul(adjoint(v), matmul(t, v))
    dw = diagonal(p)
    dv = matmul(v, mul(_differences(w, p), p))
    return out, [dv, real(dw) if is_complex(dw) else dw]


jvp_rules[eigh_p] = _eigh_jvp
def_broadcasting(eigh_p)


# --- singular values ---------------------------------------------------------------------


@svd_p.def_abstract_eval
def _svd_aval(x: ShapedArray, *, full_matrices: bool, compute_uv: bool) -> list[ShapedArray]:
    check_matrix("svd", x)
    *batch, m, n = x.shape
    k = min(m, n)
    s = ShapedArray((*batch, k), dtypes.real_dtype(x.dtype))
    if not compute_uv:
        return [s]
    u = ShapedArray((*batch, m, m if full_matrices else k), x.dtype)
    return [s, u, ShapedArray((*batch, n if full_matrices else k, n), x.dtype)]


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
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
    algorithm : None
        Not supported: there is one.

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
    _only_lapack("svd", "algorithm", algorithm)
    x = matrix(x, "svd")
    check_matrix("svd", x.aval)
    subset = _subset("svd", subset_by_index, min(x.shape[-2:]))
    if subset is not None and compute_uv and full_matrices and subset != (0, min(x.shape[-2:])):
        raise ValueError(f"svd: subset_by_index needs full_matrices=False{at_user_line()}")
    full = bool(full_matrices) and x.shape[-1] != x.shape[-2]
    s, *uv = svd_p.bind(x, full_matrices=full, compute_uv=bool(compute_uv))
    if subset is not None:
        s = slice_in_dim(s, *subset, axis=s.ndim - 1)
        if uv and not full:
            uv = [slice_in_dim(v, *subset, axis=x.ndim - 1 - k) for k, v in enumerate(uv)]
    return (uv[0], s, uv[1]) if uv else s


def _svd_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, full_matrices: bool, compute_uv: bool
) -> tuple[list[Any], list[Any]]:
    # Giles 2008, section 3.2; the rest of rectangular matrices and the phase of complex ones:
    # Z. Wan, S. Zhang, "Automatic differentiation for complex valued SVD", arXiv:1909.02659.
    x, t = primals[0], tangents[0]
    *_, m, n = aval_of(x).shape
    if full_matrices and compute_uv and m != n:
        raise NotImplementedError(
            f"the derivative of svd with full_matrices=True of {aval_of(x).str_short()}: the "
            "additional singular vectors are not determined; use full_matrices=False"
            f"{at_user_line()}"
        )
    s, u, vh = svd_p.bind(x, full_matrices=False, compute_uv=True)
    uh, v = adjoint(u), adjoint(vh)
    tv = matmul(t, v)
    p = matmul(uh, tv)
    ds = diagonal(p)
    ds = real(ds) if is_complex(ds) else ds
    if not compute_uv:
        return [s], [ds]
    squares = _differences(mul(s, s), p)
    left, right = columns(_as(s, p), p), rows(_as(s, p), p)
    ph = adjoint(p)
    wu = mul(squares, add(mul(p, right), mul(left, ph)))
    wv = mul(squares, add(mul(left, p), mul(ph, right)))
    if is_complex(p):
        # The phases of u and v are free but for their difference, which is given to u.
        part = imag(p)
        zero = full_like(part, 0)
        turn = div(select(on_diagonal(p.shape), part, zero), columns(s, part))
        wu = add(wu, complex(zero, turn))
    du, dv = matmul(u, wu), matmul(v, wv)
    if m > n:
        outside = sub(tv, matmul(u, p))
        du = add(du, div(outside, rows(_as(s, outside), outside)))
    if n > m:
        tu = matmul(adjoint(t), u)
        outside = sub(tu, matmul(v, ph))
        dv = add(dv, div(outside, rows(_as(s, outside), outside)))
    return [s, u, vh], [ds, du, adjoint(dv)]


def _as(s: Any, like: Any) -> Any:
    return convert_element_type(s, like.dtype)


jvp_rules[svd_p] = _svd_jvp
def_broadcasting(svd_p)


# --- general matrices --------------------------------------------------------------------


@eig_p.def_abstract_eval
def _eig_aval(
    x: ShapedArray, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool
) -> list[ShapedArray]:
    check_matrix("eig", x, square=True)
    dt = dtypes.complex_dtype(x.dtype)
    vectors = ShapedArray(x.shape, dt)
    wanted = compute_left_eigenvectors + compute_right_eigenvectors
    return [ShapedArray(x.shape[:-1], dt), *[vectors] * wanted]


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = False,
    implementation: Any = None,
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
        Must be False: only the eigenvalues have derivatives.
    implementation : None
        Not supported: there is one.
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
    _only_lapack("eig", "implementation", implementation)
    if enable_eigvec_derivs:
        raise NotImplementedError(
            f"eig: derivatives of eigenvectors (enable_eigvec_derivs) are not there{at_user_line()}"
        )
    return list(
        eig_p.bind(
            matrix(x, "eig"),
            compute_left_eigenvectors=bool(compute_left_eigenvectors),
            compute_right_eigenvectors=bool(compute_right_eigenvectors),
        )
    )


def _eig_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    compute_left_eigenvectors: bool,
    compute_right_eigenvectors: bool,
) -> tuple[list[Any], list[Any]]:
    # Giles 2008, section 3.1: dw = diag(V⁻¹ dA V).
    if compute_left_eigenvectors or compute_right_eigenvectors:
        raise NotImplementedError(
            "the derivative of eig with eigenvectors, which are determined up to their lengths "
            "and phases only: differentiate the eigenvalues alone, as eigvals or "
            "eig(compute_left_eigenvectors=False, compute_right_eigenvectors=False) give them"
            f"{at_user_line()}"
        )
    w, v = eig_p.bind(primals[0], compute_left_eigenvectors=False, compute_right_eigenvectors=True)
    t = convert_element_type(tangents[0], aval_of(v).dtype)
    packed, _, permutation = lu_p.bind(v)
    return [w], [diagonal(lu_solve(packed, permutation, matmul(t, v)))]


jvp_rules[eig_p] = _eig_jvp
def_broadcasting(eig_p)
