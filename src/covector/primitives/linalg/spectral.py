"""Eigenvalues and singular values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_broadcasting
from covector.core.dims import min_dim
from covector.core.errors import at_user_line
from covector.core.rules import jvp_rules
from covector.core.structural import convert_element_type, reduce_sum
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, complex, div, imag, mul, real, sub
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    columns,
    conjugate,
    diagonal,
    is_complex,
    matmul,
    on_diagonal,
    rows,
    triu,
)
from covector.primitives.linalg.lu import lu_p, lu_solve
from covector.primitives.linalg.triangular import from_lower
from covector.primitives.reductions import argmax_p
from covector.primitives.select import select
from covector.primitives.sorting import take_along
from covector.primitives.structure import full_like

eigh_p = Primitive("eigh", multiple_results=True)
svd_p = Primitive("svd", multiple_results=True)
eig_p = Primitive("eig", multiple_results=True)


def differences(values: Any, like: Any) -> Any:
    """``1/(values[j] - values[i])`` off the diagonal, zero on it."""
    real_like = real(like) if is_complex(like) else like
    gaps = sub(rows(values, real_like), columns(values, real_like))
    on = on_diagonal(gaps.shape)
    one = full_like(gaps, 1)
    out = select(on, full_like(gaps, 0), div(one, select(on, one, gaps)))
    return convert_element_type(out, like.dtype)


# --- Hermitian matrices ------------------------------------------------------------------


@eigh_p.def_abstract_eval
def _eigh_aval(x: ShapedArray, *, lower: bool, compute_vectors: bool) -> list[ShapedArray]:
    check_matrix("eigh", x, square=True)
    values = ShapedArray(x.shape[:-1], dtypes.real_dtype(x.dtype))
    return [ShapedArray(x.shape, x.dtype), values] if compute_vectors else [values]


def _eigh_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, lower: bool, compute_vectors: bool
) -> tuple[list[Any], list[Any]]:
    # M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
    # algorithmic differentiation", Oxford NA-08/01, section 3.1, for Hermitian matrices.
    v, w = out = eigh_p.bind(primals[0], lower=lower, compute_vectors=True)
    t = tangents[0]
    t = from_lower(t if lower else adjoint(triu(t)))
    p = matmul(adjoint(v), matmul(t, v))
    dw = diagonal(p)
    dw = real(dw) if is_complex(dw) else dw
    if not compute_vectors:
        return [w], [dw]
    return out, [matmul(v, mul(differences(w, p), p)), dw]


jvp_rules[eigh_p] = _eigh_jvp
def_broadcasting(eigh_p)


# --- singular values ---------------------------------------------------------------------


@svd_p.def_abstract_eval
def _svd_aval(
    x: ShapedArray, *, full_matrices: bool, compute_uv: bool, by_qr: bool
) -> list[ShapedArray]:
    check_matrix("svd", x)
    *batch, m, n = x.shape
    k = min_dim(m, n)
    s = ShapedArray((*batch, k), dtypes.real_dtype(x.dtype))
    if not compute_uv:
        return [s]
    u = ShapedArray((*batch, m, m if full_matrices else k), x.dtype)
    return [s, u, ShapedArray((*batch, n if full_matrices else k, n), x.dtype)]


def _svd_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    full_matrices: bool,
    compute_uv: bool,
    by_qr: bool,
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
    s, u, vh = svd_p.bind(x, full_matrices=False, compute_uv=True, by_qr=by_qr)
    uh, v = adjoint(u), adjoint(vh)
    tv = matmul(t, v)
    p = matmul(uh, tv)
    ds = diagonal(p)
    ds = real(ds) if is_complex(ds) else ds
    if not compute_uv:
        return [s], [ds]
    squares = differences(mul(s, s), p)
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
    x: ShapedArray,
    *,
    compute_left_eigenvectors: bool,
    compute_right_eigenvectors: bool,
    enable_eigvec_derivs: bool,
) -> list[ShapedArray]:
    check_matrix("eig", x, square=True)
    dt = dtypes.complex_dtype(x.dtype)
    vectors = ShapedArray(x.shape, dt)
    wanted = compute_left_eigenvectors + compute_right_eigenvectors
    return [ShapedArray(x.shape[:-1], dt), *[vectors] * wanted]


def _vectors_tangent(w: Any, v: Any, p: Any) -> Any:
    """That of eigenvectors as LAPACK gives them, for ``p = v⁻¹ da v``.

    Their length is 1, and the largest of the components of a complex one is real.
    """
    axis = v.ndim - 2
    dv = matmul(v, mul(differences(w, p), p))
    along = reduce_sum(mul(conjugate(v), dv), (axis,))
    dv = sub(dv, mul(v, rows(along, v)))
    if v.shape[axis] == 0:
        return dv
    largest = argmax_p.bind(_magnitude(v), axes=(axis,), index_dtype=dtypes.int32)
    at = rows(largest, v)
    turn = imag(div(take_along(dv, at, axis), take_along(v, at, axis)))
    return sub(dv, mul(v, complex(full_like(turn, 0), turn)))


def _magnitude(v: Any) -> Any:
    return add(mul(real(v), real(v)), mul(imag(v), imag(v)))


def _eig_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    compute_left_eigenvectors: bool,
    compute_right_eigenvectors: bool,
    enable_eigvec_derivs: bool,
) -> tuple[list[Any], list[Any]]:
    # Giles 2008, section 3.1: dw = diag(V⁻¹ dA V).
    wants = (compute_left_eigenvectors, compute_right_eigenvectors)
    if any(wants) and not enable_eigvec_derivs:
        raise NotImplementedError(
            "the derivative of eig with eigenvectors, which are determined up to their lengths "
            "and phases only: differentiate the eigenvalues alone, as eigvals or "
            "eig(compute_left_eigenvectors=False, compute_right_eigenvectors=False) give them, or "
            f"give eig enable_eigvec_derivs=True where eigenvalues are distinct{at_user_line()}"
        )
    out = eig_p.bind(
        primals[0], compute_left_eigenvectors=wants[0], compute_right_eigenvectors=True,
        enable_eigvec_derivs=enable_eigvec_derivs,
    )  # fmt: skip
    w, v = out[0], out[-1]
    t = convert_element_type(tangents[0], aval_of(v).dtype)

    def turned(v: Any, t: Any) -> Any:
        packed, _, permutation = lu_p.bind(v)
        return lu_solve(packed, permutation, matmul(t, v))

    p = turned(v, t)
    tangents_out = [diagonal(p)]
    if wants[0]:  # the right ones of the adjoint
        left = out[1]
        tangents_out.append(_vectors_tangent(conjugate(w), left, turned(left, adjoint(t))))
    if wants[1]:
        return out, [*tangents_out, _vectors_tangent(w, v, p)]
    return out[:-1], tangents_out


jvp_rules[eig_p] = _eig_jvp
def_broadcasting(eig_p)
