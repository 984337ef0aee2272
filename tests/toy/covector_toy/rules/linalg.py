"""Factorisations and triangular systems: those of SciPy, matrix by matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import eig, eigh, get_blas_funcs, get_lapack_funcs, qr, svd

from covector.control_flow.householder import householder_product_p
from covector.core.jaxpr import JaxprEqn
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p
from covector.primitives.linalg.qr import geqrf_p, qr_p
from covector.primitives.linalg.spectral import eig_p, eigh_p, svd_p
from covector.primitives.linalg.triangular import cholesky_p, triangular_solve_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements


def _each(
    eqn: JaxprEqn, factor: Callable[..., Sequence[Any]], xs: Sequence[Elements], *ranks: int
) -> list[Elements]:
    """The results of ``factor`` for each of the matrices in stacks.

    ``ranks`` are those of its operands. It is not called where these have no elements.
    """
    outs = [np.zeros(v.aval.shape, v.aval.dtype) for v in eqn.outvars]
    if any(x.size == 0 for x in xs):
        for out in outs:
            out[...] = np.eye(*out.shape[-2:]) if out.ndim > 1 else 0
        return outs
    for k in np.ndindex(*xs[0].shape[: xs[0].ndim - ranks[0]]):
        for out, value in zip(outs, factor(*[x[k] for x in xs]), strict=True):
            out[k] = value
    return outs


def _factors(
    eqn: JaxprEqn, factor: Callable[[Elements], Sequence[Any]], a: Elements
) -> list[Elements]:
    """`_each` of matrices that are finite; those of others, or of failures, are NaN."""

    def checked(m: Elements) -> Sequence[Any]:
        if np.isfinite(m).all():
            with contextlib.suppress(np.linalg.LinAlgError):
                return factor(m)
        return [np.nan if v.aval.dtype.kind in "fc" else 0 for v in eqn.outvars]

    return _each(eqn, checked, [a], 2)


@rule(cholesky_p)
def _cholesky(eqn: JaxprEqn, a: Elements) -> Elements:
    return np.tril(_factors(eqn, lambda m: [np.linalg.cholesky(m)], a)[0])


@rule(triangular_solve_p)
def _triangular_solve(eqn: JaxprEqn, a: Elements, b: Elements) -> Elements:
    p = eqn.params
    if p["conjugate_a"] and not p["transpose_a"]:
        a = np.conj(a)
    transposed = (2 if p["conjugate_a"] else 1) if p["transpose_a"] else 0
    (trsm,) = get_blas_funcs(("trsm",), (a,))

    def solve(m: Elements, rhs: Elements) -> list[Elements]:
        return [trsm(1, m, rhs, side=not p["left_side"], lower=p["lower"], trans_a=transposed,
                     diag=p["unit_diagonal"])]  # fmt: skip

    return _each(eqn, solve, [a, b], 2, 2)[0]


def _permuted(pivots: Elements, size: int) -> Elements:
    """The permutation that row exchanges, one after the other, amount to."""
    out = np.arange(size)
    for i, j in enumerate(pivots):
        out[[i, j]] = out[[j, i]]
    return out


@rule(lu_p)
def _lu(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    (getrf,) = get_lapack_funcs(("getrf",), (a,))

    def factor(m: Elements) -> list[Elements]:
        packed, pivots, _ = getrf(m)
        return [packed, pivots, _permuted(pivots, len(m))]

    packed, pivots, permutation = _factors(eqn, factor, a)
    if a.size == 0:
        permutation[...] = np.arange(a.shape[-2])
    return [packed, pivots, permutation]


@rule(lu_pivots_to_permutation_p)
def _permutation(eqn: JaxprEqn, pivots: Elements) -> Elements:
    out = np.zeros(eqn.outvars[0].aval.shape, np.int32)
    for k in np.ndindex(*pivots.shape[:-1]):
        out[k] = _permuted(pivots[k], eqn.params["permutation_size"])
    return out


@rule(qr_p)
def _qr(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    p = eqn.params
    mode = "full" if p["full_matrices"] else "economic"
    outs = _factors(eqn, lambda m: qr(m, mode=mode, pivoting=p["pivoting"], check_finite=False), a)
    outs[1] = np.triu(outs[1])
    if a.size == 0 and p["pivoting"]:
        outs[2][...] = np.arange(a.shape[-1])
    return outs


@rule(geqrf_p)
def _geqrf(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    (geqrf,) = get_lapack_funcs(("geqrf",), (a,))
    return _factors(eqn, lambda m: geqrf(m)[:2], a)


@rule(householder_product_p)
def _householder_product(eqn: JaxprEqn, a: Elements, taus: Elements) -> Elements:
    (orgqr,) = get_lapack_funcs(("ungqr" if a.dtype.kind == "c" else "orgqr",), (a,))
    return _each(eqn, lambda m, t: orgqr(m, t)[:1], [a, taus], 2, 1)[0]


@rule(eigh_p)
def _eigh(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    def factor(m: Elements) -> list[Elements]:
        w, v = eigh(m, lower=eqn.params["lower"], driver="evd", check_finite=False)
        return [v, w]

    return _factors(eqn, factor, a)


@rule(svd_p)
def _svd(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    p = eqn.params

    def factor(m: Elements) -> list[Elements]:
        if not p["compute_uv"]:
            return [svd(m, compute_uv=False, check_finite=False)]
        u, s, vh = svd(m, full_matrices=p["full_matrices"], check_finite=False)
        return [s, u, vh]

    return _factors(eqn, factor, a)


@rule(eig_p)
def _eig(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    p = eqn.params
    left, right = p["compute_left_eigenvectors"], p["compute_right_eigenvectors"]

    def factor(m: Elements) -> Sequence[Elements]:
        found = eig(m, left=left, right=right, check_finite=False)
        return found if left or right else [found]

    return _factors(eqn, factor, a)
