"""Reductions to simpler forms, their reflections, and what is solved with them."""

import itertools

import numpy as onp
import pytest
import scipy.linalg

import covector as cv
import covector.numpy as np
from covector.lax import linalg
from tests.lax.test_linalg import (
    DTYPES,
    SHAPES,
    SQUARE,
    adjoint,
    close,
    definite,
    hermitian,
    orthonormal,
    sample,
)


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def reflections(a, taus):
    """The product of the reflections, as dense matrices."""
    a, taus = onp.asarray(a), onp.asarray(taus)
    m, k = a.shape
    q = onp.eye(m, dtype=a.dtype)
    for i in range(min(k, len(taus))):
        v = onp.concatenate([onp.zeros(i), [1], a[i + 1 :, i]])
        q = q @ (onp.eye(m) - taus[i] * onp.outer(v, v.conj()))
    return q


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_hessenberg(shape, dtype):
    a = sample(shape, dtype)
    n = shape[-1]
    packed, taus = map(onp.asarray, linalg.hessenberg(a))
    assert packed.shape == shape and packed.dtype == dtype == taus.dtype
    assert taus.shape == (*shape[:-2], max(0, n - 1))
    for k in onp.ndindex(*shape[:-2]):
        h = onp.triu(packed[k], -1)
        q = onp.eye(n, dtype=dtype)
        q[1:, 1:] = reflections(packed[k][1:, :-1], taus[k]) if n else q[1:, 1:]
        close(q @ h @ adjoint(q), a[k], dtype)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_tridiagonal(shape, dtype, lower):
    a = hermitian(shape, dtype)
    half = onp.tril(a) if lower else onp.triu(a)
    packed, d, e, taus = map(onp.asarray, linalg.tridiagonal(half, lower=lower))
    assert packed.dtype == dtype == taus.dtype and d.dtype == e.dtype == a.real.dtype
    close(onp.diagonal(packed, 0, -2, -1), d, dtype)
    for k in onp.ndindex(*shape[:-2]):
        t = onp.diag(d[k]) + onp.diag(e[k], 1) + onp.diag(e[k], -1) if shape[-1] else a[k]
        close(onp.linalg.eigvalsh(t), onp.linalg.eigvalsh(a[k]), dtype)
        if lower and shape[-1]:
            q = onp.eye(shape[-1], dtype=dtype)
            q[1:, 1:] = reflections(packed[k][1:, :-1], taus[k])
            close(q @ t @ adjoint(q), a[k], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (1, 1), (2, 5, 3), (0, 4, 3), (3, 0), (90, 70)])
def test_ormqr(shape, dtype):
    a, taus = linalg.geqrf(sample(shape, dtype))
    m = shape[-2]
    for left, transpose, n in itertools.product((True, False), (True, False), (2, 0)):
        c = sample((*shape[:-2], *((m, n) if left else (n, m))), dtype, 1)
        got = onp.asarray(linalg.ormqr(a, taus, c, left=left, transpose=transpose))
        assert got.shape == c.shape and got.dtype == dtype
        for k in onp.ndindex(*shape[:-2]):
            q = reflections(onp.asarray(a)[k], onp.asarray(taus)[k])
            q = adjoint(q) if transpose else q
            close(got[k], q @ c[k] if left else c[k] @ q, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SQUARE, (60, 60)])
def test_schur(shape, dtype):
    a = sample(shape, dtype)
    t, q = map(onp.asarray, linalg.schur(a))
    assert t.dtype == q.dtype == dtype
    close(q @ t @ adjoint(q), a, dtype)
    orthonormal(q, dtype)
    close(t, onp.triu(t, -1 if dtype.startswith("float") else 0), dtype)
    only = linalg.schur(a, compute_schur_vectors=False)
    assert len(only) == 1
    close(only[0], t, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (7, 4), (2, 5, 3), (0, 3, 3), (3, 0), (50, 50)])
def test_qdwh(shape, dtype):
    a = sample(shape, dtype)
    u, h, steps, converged = linalg.qdwh(a)
    u, h = onp.asarray(u), onp.asarray(h)
    assert u.dtype == h.dtype == dtype and onp.asarray(converged).shape == shape[:-2]
    assert onp.all(converged) and onp.asarray(steps).item() <= 6
    close(u @ h, a, dtype)
    orthonormal(u, dtype)
    close(h, adjoint(h), dtype)
    if h.size:
        assert onp.linalg.eigvalsh(h).min() > -1e-5
    if shape == (4, 4):
        want = scipy.linalg.polar(a)
        close(u, want[0], dtype)
        assert not onp.asarray(linalg.qdwh(a, max_iterations=1)[3])
        sym = hermitian(shape, dtype)
        u, h, *_ = map(onp.asarray, linalg.qdwh(sym, is_hermitian=True))
        close(u @ h, sym, dtype)
        close(u, adjoint(u), dtype)


def test_qdwh_of_extreme_and_singular_matrices():
    a = sample((4, 4))
    u = onp.asarray(linalg.qdwh(a)[0])
    for scale in (1e-200, 1e200):
        close(linalg.qdwh(a * scale)[0], u, "float64")
    ill = a @ onp.diag([1, 1e-4, 1e-8, 1e-12])
    u, h, *_ = map(onp.asarray, linalg.qdwh(ill))
    orthonormal(u, "float64")
    close(u @ h, ill, "float64")
    assert (onp.asarray(linalg.qdwh(onp.zeros((3, 3)))[0]) == 0).all()


def test_qdwh_of_a_part():
    a = sample((5, 4))
    u, h, *_ = cv.jit(lambda a, m, n: linalg.qdwh(a, dynamic_shape=(m, n)))(a, 4, 3)
    want = onp.zeros((5, 4))
    want[:4, :3] = scipy.linalg.polar(a[:4, :3])[0]
    close(u, want, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd_by_qr(shape, dtype):
    a = sample(shape, dtype)
    k = min(shape[-2:])
    for full in (False, True):
        u, s, vh = map(
            onp.asarray, linalg.svd(a, full_matrices=full, algorithm=linalg.SvdAlgorithm.QR)
        )
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, dtype)
        orthonormal(u, dtype)
        orthonormal(adjoint(vh), dtype)
    only = linalg.svd(a, compute_uv=False, algorithm=linalg.SvdAlgorithm.QR)
    close(only, linalg.svd(a, compute_uv=False), dtype)


def test_algorithms_that_there_are():
    a = definite((3, 3))
    close(linalg.eigh(a, implementation=linalg.EighImplementation.QR)[1],
          onp.linalg.eigvalsh(a), "float64")  # fmt: skip
    for name in ("DEFAULT", "DIVIDE_AND_CONQUER", "QR"):
        close(linalg.svd(a, algorithm=linalg.SvdAlgorithm[name])[1],
              onp.linalg.svd(a)[1], "float64")  # fmt: skip
    assert len(linalg.eig(a, implementation=linalg.EigImplementation.LAPACK)) == 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_cholesky_update(shape, dtype):
    r, w = onp.triu(sample(shape, dtype)), sample(shape[:-1], dtype, 1)
    got = onp.asarray(linalg.cholesky_update(r + onp.tril(sample(shape, dtype), -1), w))
    assert got.dtype == dtype
    close(got, onp.triu(got), dtype)
    change = w[..., :, None] * w[..., None, :].conj()
    close(adjoint(got) @ got, adjoint(r) @ r + change, dtype)
    assert (onp.diagonal(got, 0, -2, -1).real >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (300, 20)])
def test_symmetric_product(shape, dtype):
    a = sample(shape, dtype)
    n = shape[-2]
    c = sample((*shape[:-1], n), dtype, 1)
    want = a @ a.swapaxes(-1, -2)
    close(linalg.symmetric_product(a, c), want, dtype)
    close(linalg.symmetric_product(a, c, alpha=2.0, beta=-3.0), 2 * want - 3 * c, dtype)
    got = linalg.symmetric_product(a, c, alpha=0.5, beta=1.0, symmetrize_output=True)
    lower = onp.tril(c) + onp.tril(c, -1).swapaxes(-1, -2)
    close(got, 0.5 * want + lower, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (2, 3), (0,)])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 40])
def test_tridiagonal_solve(n, batch, dtype):
    dl, d, du = (sample((*batch, n), dtype, k) for k in range(3))
    d = d * (onp.arange(n) % 3 != 0)  # pivots that are zero
    if n in (1, 3):
        d = d + 2
    for m in (3, 0):
        b = sample((*batch, n, m), dtype, 4)
        x = onp.asarray(linalg.tridiagonal_solve(dl, d, du, b))
        assert x.shape == b.shape and x.dtype == dtype
        for k in onp.ndindex(*batch):
            t = onp.diag(d[k])
            if n > 1:
                t = t + onp.diag(du[k][:-1], 1) + onp.diag(dl[k][1:], -1)
            tol = 1 if dtype in ("float64", "complex128") else 50
            assert abs(t @ x[k] - b[k]).max(initial=0) <= tol * 1e-4


def test_singular_tridiagonal_systems():
    zero, one = onp.zeros(3), onp.ones((3, 1))
    assert onp.isnan(linalg.tridiagonal_solve(zero, zero, zero, one)).all()
    x = onp.asarray(linalg.tridiagonal_solve(zero, zero, zero, one, perturb_singular=True))
    assert (x > 1e300).all()
    d = onp.stack([onp.ones(3), zero])
    z = onp.zeros((2, 3))
    x = onp.asarray(linalg.tridiagonal_solve(z, d, z, onp.ones((2, 3, 1))))
    assert (x[0] == 1).all() and onp.isnan(x[1]).all()


@pytest.mark.parametrize("flags", list(itertools.product((False, True), repeat=3)))
@pytest.mark.parametrize("dtype", DTYPES)
def test_triangular_sylvester(dtype, flags):
    for batch, m, n in (((), 4, 3), ((2,), 1, 5), ((), 0, 2), ((3,), 2, 0)):
        a = sample((*batch, m, m), dtype)
        b = sample((*batch, n, n), dtype, 1) + 9 * onp.eye(n).astype(dtype)
        with cv.default_device(cv.devices("cpu")[0]):
            a, b = (onp.asarray(linalg.schur(x)[0]) for x in (a, b))
        c = sample((*batch, m, n), dtype, 2)
        x = onp.asarray(linalg.triangular_sylvester_p.bind(
            np.asarray(a), np.asarray(b), np.asarray(c), adjoint_a=flags[0], adjoint_b=flags[1],
            minus=flags[2],
        ))  # fmt: skip
        a, b = adjoint(a) if flags[0] else a, adjoint(b) if flags[1] else b
        close(a @ x - x @ b if flags[2] else a @ x + x @ b, c, dtype)
