"""QR factorisation and products of Householder reflections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import def_broadcasting
from covector.core.dims import min_dim
from covector.core.errors import at_user_line
from covector.core.rules import Zero, jvp_rules
from covector.core.trace import Primitive
from covector.primitives.arithmetic import add, complex, imag, sub
from covector.primitives.linalg.common import (
    adjoint,
    check_matrix,
    is_complex,
    matmul,
    on_diagonal,
    permute_columns,
    tril,
)
from covector.primitives.linalg.triangular import triangular_solve_p
from covector.primitives.select import select
from covector.primitives.structure import full_like, slice_in_dim

qr_p = Primitive("qr", multiple_results=True)
geqrf_p = Primitive("geqrf", multiple_results=True)


@qr_p.def_abstract_eval
def _qr_aval(x: ShapedArray, *, pivoting: bool, full_matrices: bool) -> list[ShapedArray]:
    check_matrix("qr", x)
    *batch, m, n = x.shape
    k = m if full_matrices else min_dim(m, n)
    out = [ShapedArray((*batch, m, k), x.dtype), ShapedArray((*batch, k, n), x.dtype)]
    return [*out, ShapedArray((*batch, n), dtypes.int32)] if pivoting else out


def _qr_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, pivoting: bool, full_matrices: bool
) -> tuple[list[Any], list[Any]]:
    # S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with
    # application in optimum experimental design", arXiv:1001.1654, section 4: with C = dA R⁻¹ and
    # B = Qᴴ C, Ω = Qᴴ dQ is the antihermitian matrix with the lower triangle of B (and its
    # imaginary diagonal, as that of R is real), dQ = Q (Ω - B) + C, dR = (B - Ω) R.
    x, t = primals[0], tangents[0]
    *_, m, n = aval_of(x).shape
    q, r, *p = out = qr_p.bind(x, pivoting=pivoting, full_matrices=full_matrices)
    if full_matrices and m > n:
        raise NotImplementedError(
            f"the derivative of qr with full_matrices=True of {aval_of(x).str_short()}: the "
            "additional columns of q are not determined; use full_matrices=False"
            f"{at_user_line()}"
        )
    if p:
        t = permute_columns(t, p[0])
    k = min_dim(m, n)
    # The first k columns determine q.
    head, r_head = (t, r) if n == k else (slice_in_dim(v, 0, k, axis=v.ndim - 1) for v in (t, r))
    c = triangular_solve_p.bind(r_head, head, left_side=False, lower=False, transpose_a=False,
                                conjugate_a=False, unit_diagonal=False)  # fmt: skip
    b = matmul(adjoint(q), c)
    lower = tril(b, -1)
    omega = sub(lower, adjoint(lower))
    if is_complex(b):
        part = imag(b)
        zero = full_like(part, 0)
        omega = add(omega, complex(zero, select(on_diagonal(b.shape), part, zero)))
    dq = add(matmul(q, sub(omega, b)), c)
    if n == k:
        dr = matmul(sub(b, omega), r)
    else:
        dr = sub(matmul(adjoint(q), t), matmul(omega, r))
    return out, [dq, dr, *map(Zero.of, p)]


jvp_rules[qr_p] = _qr_jvp
def_broadcasting(qr_p)


# --- reflections -------------------------------------------------------------------------


@geqrf_p.def_abstract_eval
def _geqrf_aval(x: ShapedArray) -> list[ShapedArray]:
    check_matrix("geqrf", x)
    *batch, m, n = x.shape
    return [ShapedArray(x.shape, x.dtype), ShapedArray((*batch, min_dim(m, n)), x.dtype)]


def_broadcasting(geqrf_p)
