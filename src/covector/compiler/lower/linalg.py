"""Factorisations and triangular systems: calls of the runtime library (native/cpu/lapack.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import LibraryCall, Op, Value, ivars
from covector.compiler.lower.lowering import Lowering, rule
from covector.control_flow.householder import householder_product_p
from covector.core.jaxpr import JaxprEqn
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p


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
    return _call(low, eqn, "cholesky", [a], [a.shape[-1], a.shape[:-2]])


# Bits of the flags of triangular_solve.
_RIGHT, _LOWER, _TRANSPOSE, _CONJUGATE, _UNIT = (1 << k for k in range(5))


@rule(triangular_solve_p)
def _triangular_solve(low: Lowering, eqn: JaxprEqn, a: Value, b: Value) -> list[Value]:
    p = eqn.params
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
    return _call(low, eqn, "eigh", [a], [a.shape[-1], a.shape[:-2]], [int(eqn.params["lower"])])


@rule(svd_p)
def _svd(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    absent = () if eqn.params["compute_uv"] else (2, 3)
    flags = [int(eqn.params["full_matrices"])]
    return _call(low, eqn, "svd", [a], [*a.shape[-2:], a.shape[:-2]], flags, absent)


@rule(eig_p)
def _eig(low: Lowering, eqn: JaxprEqn, a: Value) -> list[Value]:
    p = eqn.params
    wanted = (p["compute_left_eigenvectors"], p["compute_right_eigenvectors"])
    absent = [2 + k for k, w in enumerate(wanted) if not w]
    return _call(low, eqn, "eig", [a], [a.shape[-1], a.shape[:-2]], absent=absent)
