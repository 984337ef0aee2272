"""Factorisations and triangular systems: calls of the runtime library (native/cpu/lapack.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import LibraryCall, Op, Value, ivars
from covector.compiler.lower import small
from covector.compiler.lower.lowering import Lowering, rule
from covector.control_flow.householder import householder_product_p, ormqr_p
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.primitives.linalg.exponential import expm_frechet_p, expm_p
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.schur import schur_p, triangular_sylvester_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.symmetric import symmetric_product_p
from covector.primitives.linalg.triangular import (
    cholesky_p,
    cholesky_update_p,
    triangular_solve_p,
)
from covector.primitives.linalg.tridiagonal import eigh_tridiagonal_p, tridiagonal_solve_p


def _call(
    low: Lowering,
    eqn: JaxprEqn,
    kind: str,
    operands: Sequence[Value],
    sizes: Sequence[Any],
    flags: Sequence[int] = (),
    absent: Sequence[int] = (),
    typed: bool = True,
) -> list[Value]:
    """Sizes are dimensions, or tuples of them for their product."""
    dims = tuple(d if type(d) is tuple else (d,) for d in sizes)
    attrs = {"flags": tuple(flags), "sizes": dims, "absent": tuple(absent), "typed": typed}
    specs = low.specs([v.aval for v in eqn.outvars])
    return low.append(LibraryCall(kind, operands, attrs, specs))


@rule(cholesky_p)
def _cholesky(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    n = a.shape[-1]
    if small.write_out(low, n, n, n):
        return [small.cholesky(low, a, eqn.params["upper"])]
    flags = [int(eqn.params["upper"])]
    return _call(low, eqn, "cholesky", [a], [a.shape[-1], a.shape[:-2]], flags)


# Bits of the flags of triangular_solve.
_RIGHT, _LOWER, _TRANSPOSE, _CONJUGATE, _UNIT = (1 << k for k in range(5))


@rule(triangular_solve_p)
def _triangular_solve(low: Lowering, eqn: JaxprEqn, a: Value, b: Value) -> list[Value]:
    p = eqn.params
    if small.write_out(low, a.shape[-1], *b.shape[-2:]):
        solved = small.triangular_solve(
            low, a, b, right=not p["left_side"], lower=p["lower"], transpose=p["transpose_a"],
            conjugate=p["conjugate_a"] and a.dtype in dtypes.COMPLEX, unit=p["unit_diagonal"],
        )  # fmt: skip
        return [solved]
    if p["conjugate_a"] and not p["transpose_a"]:  # which BLAS has not
        conjugated = Op("conj", [a.at(*ivars(a.ndim))], a.dtype)
        a = low.pointwise(a.shape, a.dtype, conjugated)
    flags = (
        _RIGHT * (not p["left_side"])
        + _LOWER * p["lower"]
        + _TRANSPOSE * p["transpose_a"]
        + _CONJUGATE * p["conjugate_a"]
        + _UNIT * p["unit_diagonal"]
    )
    m = b.shape[-1] if p["left_side"] else b.shape[-2]
    return _call(low, eqn, "triangular_solve", [a, b], [a.shape[-1], m, a.shape[:-2]], [int(flags)])


@rule(lu_p)
def _lu(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    m, n = a.shape[-2:]
    if small.write_out(low, m, n, n):
        return small.lu(low, a)
    return _call(low, eqn, "lu", [a], [*a.shape[-2:], a.shape[:-2]])


@rule(lu_pivots_to_permutation_p)
def _permutation(low: Lowering, eqn: JaxprEqn, pivots: Value) -> list[Value]:
    n = low.dim(eqn.params["permutation_size"])
    sizes = [pivots.shape[-1], n, pivots.shape[:-1]]
    return _call(low, eqn, "pivots_to_permutation", [pivots], sizes, typed=False)


@rule(qr_p)
def _qr(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    k = low.dim(eqn.outvars[0].aval.shape[-1])
    absent = () if eqn.params["pivoting"] else (3,)
    return _call(low, eqn, "qr", [a], [*a.shape[-2:], k, a.shape[:-2]], absent=absent)


@rule(geqrf_p)
def _geqrf(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    return _call(low, eqn, "geqrf", [a], [*a.shape[-2:], a.shape[:-2]])


@rule(householder_product_p)
def _householder_product(low: Lowering, eqn: JaxprEqn, a: Value, taus: Value) -> list[Value]:
    sizes = [*a.shape[-2:], taus.shape[-1], a.shape[:-2]]
    return _call(low, eqn, "householder_product", [a, taus], sizes)


@rule(eigh_p)
def _eigh(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    absent = () if eqn.params["compute_vectors"] else (1,)
    flags = [int(eqn.params["lower"])]
    return _call(low, eqn, "eigh", [a], [a.shape[-1], a.shape[:-2]], flags, absent)


@rule(svd_p)
def _svd(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    absent = () if eqn.params["compute_uv"] else (2, 3)
    flags = [eqn.params["full_matrices"] + 2 * eqn.params["by_qr"]]
    return _call(low, eqn, "svd", [a], [*a.shape[-2:], a.shape[:-2]], flags, absent)


@rule(eig_p)
def _eig(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    p = eqn.params
    wanted = (p["compute_left_eigenvectors"], p["compute_right_eigenvectors"])
    absent = [2 + k for k, w in enumerate(wanted) if not w]
    return _call(low, eqn, "eig", [a], [a.shape[-1], a.shape[:-2]], absent=absent)


@rule(cholesky_update_p)
def _cholesky_update(low: Lowering, eqn: JaxprEqn, r: Value, w: Value) -> list[Value]:
    return _call(low, eqn, "cholesky_update", [r, w], [r.shape[-1], r.shape[:-2]])


@rule(symmetric_product_p)
def _symmetric_product(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    return _call(low, eqn, "symmetric_product", [a], [*a.shape[-2:], a.shape[:-2]])


@rule(hessenberg_p)
def _hessenberg(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    return _call(low, eqn, "hessenberg", [a], [a.shape[-1], a.shape[:-2]])


@rule(tridiagonal_p)
def _tridiagonal(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    flags = [int(eqn.params["lower"])]
    return _call(low, eqn, "tridiagonal", [a], [a.shape[-1], a.shape[:-2]], flags)


@rule(ormqr_p)
def _ormqr(low: Lowering, eqn: JaxprEqn, a: Value, taus: Value, c: Value) -> list[Value]:
    flags = [(not eqn.params["left"]) + 2 * eqn.params["transpose"]]
    sizes = [*c.shape[-2:], taus.shape[-1], c.shape[:-2]]
    return _call(low, eqn, "ormqr", [a, taus, c], sizes, flags)


@rule(schur_p)
def _schur(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    absent = () if eqn.params["compute_schur_vectors"] else (2,)
    return _call(low, eqn, "schur", [a], [a.shape[-1], a.shape[:-2]], absent=absent)


@rule(triangular_sylvester_p)
def _triangular_sylvester(
    low: Lowering, eqn: JaxprEqn, a: Value, b: Value, c: Value
) -> list[Value]:
    p = eqn.params
    flags = [p["adjoint_a"] + 2 * p["adjoint_b"] + 4 * p["minus"]]
    sizes = [*c.shape[-2:], c.shape[:-2]]
    return _call(low, eqn, "triangular_sylvester", [a, b, c], sizes, flags)


@rule(tridiagonal_solve_p)
def _tridiagonal_solve(
    low: Lowering, eqn: JaxprEqn, dl: Value, d: Value, du: Value, b: Value
) -> list[Value]:
    flags = [int(eqn.params["perturb_singular"])]
    sizes = [*b.shape[-2:], b.shape[:-2]]
    return _call(low, eqn, "tridiagonal_solve", [dl, d, du, b], sizes, flags)


@rule(eigh_tridiagonal_p)
def _eigh_tridiagonal(low: Lowering, eqn: JaxprEqn, d: Value, e: Value) -> list[Value]:
    absent = () if eqn.params["vectors"] else (3,)
    return _call(low, eqn, "eigh_tridiagonal", [d, e], [d.shape[-1], d.shape[:-1]], absent=absent)


@rule(expm_p)
def _expm(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    flags = [eqn.params["max_squarings"]]
    return _call(low, eqn, "exponential", [a], [a.shape[-1], a.shape[:-2]], flags, absent=(1, 3))


@rule(expm_frechet_p)
def _expm_frechet(low: Lowering, eqn: JaxprEqn, a: Value, e: Value) -> list[Value]:
    flags = [eqn.params["max_squarings"]]
    return _call(low, eqn, "exponential", [a, e], [a.shape[-1], a.shape[:-2]], flags, absent=(2,))
