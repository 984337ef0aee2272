"""Iterative solvers: solutions, derivatives, trees, complex numbers, bad input."""

import functools

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector.experimental import sparse
from covector.scipy.sparse import linalg

R = np.random.RandomState(0)
N = 24
ROOT = R.randn(N, N)
DEFINITE = ROOT @ ROOT.T + N * np.eye(N)
GENERAL = ROOT + 8 * np.eye(N)
B = R.randn(N)
SOLVERS = {
    "cg": (linalg.cg, DEFINITE),
    "bicgstab": (linalg.bicgstab, GENERAL),
    "gmres": (linalg.gmres, GENERAL),
    "gmres incremental": (functools.partial(linalg.gmres, solve_method="incremental"), GENERAL),
    "gmres restarted": (functools.partial(linalg.gmres, restart=6), GENERAL),
    "gmres restarted incremental": (
        functools.partial(linalg.gmres, restart=6, solve_method="incremental"),
        GENERAL,
    ),
}


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("kind", [sparse.BCOO, sparse.BCSR])
def test_sparse_matrices(name, kind):
    solver, A = SOLVERS[name]
    A = np.where(np.abs(A) > 4, A, 0)
    A = (A + A.T) / 2 + 20 * np.eye(N)
    stored = kind.fromdense(A)
    x, _ = cv.jit(lambda A, b: solver(A, b, tol=1e-11))(stored, B)
    np.testing.assert_allclose(x, np.linalg.solve(A, B), 1e-8, 1e-8)
    assert solver(kind.fromdense(A.astype("float32")), B.astype("float32"))[0].dtype == "float32"
    if kind is sparse.BCOO:
        slopes = cv.grad(lambda d: solver(sparse.BCOO((d, stored.indices), shape=A.shape), B,
                                          tol=1e-11)[0].sum())(stored.data)  # fmt: skip
        dense = cv.grad(lambda A: cnp.linalg.solve(A, B).sum())(A)
        np.testing.assert_allclose(slopes, dense[tuple(stored.indices.T)], 1e-6, 1e-9)
    with pytest.raises(ValueError, match=rf"square matrix, got {kind.__name__} float64\[2,3\]"):
        solver(kind.fromdense(np.ones((2, 3))), np.ones(2))


def test_every_solver_is_here():
    names = {getattr(f, "func", f).__name__ for f, _ in SOLVERS.values()}
    assert names == set(linalg.__all__)


@pytest.mark.parametrize("name", SOLVERS)
def test_solutions(name):
    solver, A = SOLVERS[name]
    want = np.linalg.solve(A, B)
    M = np.diag(1 / np.diag(A))
    for options in ({}, {"M": M}, {"M": lambda v: M @ v}, {"x0": want + 0.1}, {"x0": want}):
        x, info = solver(A, B, tol=1e-11, **options)
        assert info is None
        np.testing.assert_allclose(x, want, 1e-8, 1e-8)
    x, _ = cv.jit(lambda A, b: solver(A, b, tol=1e-11))(A, B)
    np.testing.assert_allclose(x, want, 1e-8, 1e-8)
    batch = np.stack([B, 2 * B, 0 * B])
    x = cv.vmap(lambda b: solver(A, b, tol=1e-11)[0])(batch)
    np.testing.assert_allclose(x, np.linalg.solve(A, batch.T).T, 1e-8, 1e-8)
    # It ends where it is told to.
    x, _ = solver(A, B, tol=1e-2)
    assert 1e-9 < np.linalg.norm(A @ np.asarray(x) - B) <= 1e-2 * np.linalg.norm(B)
    x, _ = solver(A, B, tol=0.0, atol=1e-2)
    assert 1e-9 < np.linalg.norm(A @ np.asarray(x) - B) <= 1e-2
    np.testing.assert_array_equal(solver(A, B, maxiter=0)[0], np.zeros(N))


@pytest.mark.parametrize("name", SOLVERS)
def test_derivatives(name):
    solver, A = SOLVERS[name]

    def loss(A, b, solve):
        return cnp.sum(cnp.sin(solve(A, b)))

    def iterated(A, b):
        return solver(A, b, tol=1e-13)[0]

    got = cv.grad(loss, (0, 1))(A, B, iterated)
    want = cv.grad(loss, (0, 1))(A, B, cnp.linalg.solve)
    for g, w in zip(got, want, strict=True):
        # Of cg's matrix only the symmetric part is determined.
        g, w = (np.asarray(v) + np.asarray(v).T if name == "cg" else v for v in (g, w))
        np.testing.assert_allclose(g, w, 1e-7, 1e-9)
    tangents = R.randn(N)
    _, got = cv.jvp(lambda b: iterated(A, b), (B,), (tangents,))
    np.testing.assert_allclose(got, np.linalg.solve(A, tangents), 1e-7, 1e-8)


@pytest.mark.parametrize("name", SOLVERS)
def test_trees_and_complex_numbers(name):
    solver, A = SOLVERS[name]
    cut = 7

    def apply(t):
        v = A @ cnp.concatenate([t["a"], t["b"].ravel()])
        return {"a": v[:cut], "b": v[cut:].reshape(t["b"].shape)}

    tree = {"a": B[:cut], "b": B[cut:].reshape(17, 1)}
    x, _ = solver(apply, tree, tol=1e-11)
    assert x["b"].shape == (17, 1)
    want = np.linalg.solve(A, B)
    np.testing.assert_allclose(np.concatenate([x["a"], x["b"].ravel()]), want, 1e-8, 1e-8)
    skew = np.triu(R.randn(N, N), 1)
    C, b = A + 0.1j * (skew - skew.T), B + 1j * B[::-1]
    np.testing.assert_allclose(solver(C, b, tol=1e-11)[0], np.linalg.solve(C, b), 1e-8, 1e-8)


@pytest.mark.parametrize("name", SOLVERS)
def test_corners(name):
    solver, _ = SOLVERS[name]
    np.testing.assert_allclose(solver(np.array([[4.0]]), np.array([2.0]))[0], [0.5])
    assert solver(np.zeros((0, 0)), np.zeros(0))[0].shape == (0,)
    x, _ = solver(2 * np.eye(3, dtype=int), np.array([2, 4, 6]))
    np.testing.assert_allclose(x, [1, 2, 3])
    x, _ = solver(np.eye(3, dtype=np.float32), np.ones(3, np.float32))
    assert x.dtype == np.float32
    for call, error, text in (
        (lambda: solver(np.ones((2, 3)), np.ones(2)), ValueError, "square"),
        (lambda: solver("A", np.ones(2)), TypeError, "a matrix or a function"),
        (lambda: solver(np.eye(2), np.ones(2), x0=np.ones(3)), ValueError, "x0 must be like b"),
        (lambda: solver(lambda v: v[:1], np.ones(2)), ValueError, "like b"),
        (lambda: solver(np.eye(2), np.ones(2), M=np.ones(2)), ValueError, "M must be a square"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_unknown_method():
    with pytest.raises(ValueError, match="solve_method"):
        linalg.gmres(np.eye(2), np.ones(2), solve_method="x")
