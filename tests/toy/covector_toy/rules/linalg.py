"""Factorisations and triangular systems: those of SciPy, matrix by matrix."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import (
    eig,
    eigh,
    eigh_tridiagonal,
    expm,
    expm_frechet,
    get_blas_funcs,
    get_lapack_funcs,
    qr,
    schur,
    solve_banded,
    svd,
)

from covector.control_flow.householder import householder_product_p, ormqr_p
from covector.control_flow.reductions import hessenberg_p, tridiagonal_p
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
    upper = eqn.params["upper"]
    out = _factors(eqn, lambda m: [np.linalg.cholesky(m, upper=upper)], a)[0]
    return np.triu(out) if upper else np.tril(out)


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
        return [v, w] if eqn.params["compute_vectors"] else [w]

    return _factors(eqn, factor, a)


@rule(svd_p)
def _svd(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    p = eqn.params

    def factor(m: Elements) -> list[Elements]:
        driver = "gesvd" if p["by_qr"] else "gesdd"
        options = {"check_finite": False, "lapack_driver": driver}
        if not p["compute_uv"]:
            return [svd(m, compute_uv=False, **options)]
        u, s, vh = svd(m, full_matrices=p["full_matrices"], **options)
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


@rule(cholesky_update_p)
def _cholesky_update(eqn: JaxprEqn, r: Elements, w: Elements) -> Elements:
    def factor(r: Elements, w: Elements) -> list[Elements]:
        r = np.triu(r)
        gram = r.conj().T @ r + np.outer(w, w.conj())
        return [np.linalg.cholesky(gram).conj().T]

    return _each(eqn, factor, [r, w], 2, 1)[0]


@rule(symmetric_product_p)
def _symmetric_product(eqn: JaxprEqn, a: Elements) -> Elements:
    return a @ a.swapaxes(-1, -2)


@rule(hessenberg_p)
def _hessenberg(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    (gehrd,) = get_lapack_funcs(("gehrd",), (a,))
    return _factors(eqn, lambda m: gehrd(m)[:2], a)


@rule(tridiagonal_p)
def _tridiagonal(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    (sytrd,) = get_lapack_funcs(("hetrd" if a.dtype.kind == "c" else "sytrd",), (a,))
    return _factors(eqn, lambda m: sytrd(m, lower=eqn.params["lower"])[:4], a)


@rule(ormqr_p)
def _ormqr(eqn: JaxprEqn, a: Elements, taus: Elements, c: Elements) -> Elements:
    complex_ = a.dtype.kind == "c"
    (ormqr,) = get_lapack_funcs(("unmqr" if complex_ else "ormqr",), (a,))
    side = "L" if eqn.params["left"] else "R"
    op = ("C" if complex_ else "T") if eqn.params["transpose"] else "N"

    def factor(a: Elements, taus: Elements, c: Elements) -> list[Elements]:
        return [ormqr(side, op, a, taus, c, max(1, 64 * max(c.shape)))[0]]

    return _each(eqn, factor, [a, taus, c], 2, 1, 2)[0]


@rule(schur_p)
def _schur(eqn: JaxprEqn, a: Elements) -> list[Elements]:
    kept = 1 + eqn.params["compute_schur_vectors"]
    return _factors(eqn, lambda m: schur(m, check_finite=False)[:kept], a)


@rule(triangular_sylvester_p)
def _triangular_sylvester(eqn: JaxprEqn, a: Elements, b: Elements, c: Elements) -> Elements:
    p = eqn.params
    (trsyl,) = get_lapack_funcs(("trsyl",), (a,))
    adjoint = "C" if a.dtype.kind == "c" else "T"

    def solve(a: Elements, b: Elements, c: Elements) -> list[Any]:
        if not all(np.isfinite(m).all() for m in (a, b, c)):
            return [np.nan]
        x, scale, _ = trsyl(
            a, b, c, trana=adjoint if p["adjoint_a"] else "N",
            tranb=adjoint if p["adjoint_b"] else "N", isgn=-1 if p["minus"] else 1,
        )  # fmt: skip
        return [x / scale]

    return _each(eqn, solve, [a, b, c], 2, 2, 2)[0]


@rule(tridiagonal_solve_p)
def _tridiagonal_solve(
    eqn: JaxprEqn, dl: Elements, d: Elements, du: Elements, b: Elements
) -> Elements:
    def solve(dl: Elements, d: Elements, du: Elements, b: Elements) -> list[Elements]:
        if len(d) == 1:
            return [b / d]
        return [solve_banded((1, 1), np.stack([np.roll(du, 1), d, np.roll(dl, -1)]), b)]

    return _each(eqn, solve, [dl, d, du, b], 1, 1, 1, 2)[0]


@rule(eigh_tridiagonal_p)
def _eigh_tridiagonal(eqn: JaxprEqn, d: Elements, e: Elements) -> list[Elements]:
    if d.shape[-1] == 1:
        return [d, np.ones((*d.shape, 1))][: len(eqn.outvars)]

    def factor(d: Elements, e: Elements) -> list[Elements]:
        return list(eigh_tridiagonal(d, e, check_finite=False))[: len(eqn.outvars)]

    return _each(eqn, factor, [d, e], 1, 1)


@rule(expm_p)
def _expm(eqn: JaxprEqn, a: Elements) -> Elements:
    return _factors(eqn, lambda m: [expm(m)], a)[0]


@rule(expm_frechet_p)
def _expm_frechet(eqn: JaxprEqn, a: Elements, e: Elements) -> Elements:
    return _each(eqn, lambda a, e: [expm_frechet(a, e, compute_expm=False)], [a, e], 2, 2)[0]
