"""`covector.scipy.linalg` against SciPy's, its derivatives, batches, corners and errors."""

import functools
import subprocess
import sys

import numpy as onp
import pytest
import scipy.linalg as sl

import covector as cv
import covector.numpy as np
from covector.scipy import linalg
from tests.scipy.table_linalg import TABLE

CASES = [(name, k) for name, rows in TABLE.items() for k in range(len(rows))]


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def flat(x):
    return [onp.asarray(y) for y in x] if isinstance(x, (tuple, list)) else [onp.asarray(x)]


def deep(x):
    return [z for y in x for z in deep(y)] if isinstance(x, (tuple, list)) else [onp.asarray(x)]


def close(got, want, tol=1e-9):
    got, want = deep(got), deep(want)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        size = abs(w[onp.isfinite(w)]).max(initial=1.0)
        onp.testing.assert_allclose(g, w, rtol=tol, atol=tol * size)


def test_every_function_has_a_row():
    assert sorted(linalg.__all__) == sorted(TABLE)


@pytest.mark.parametrize("name,k", CASES)
def test_against_scipy(name, k):
    fun, *args = TABLE[name][k]
    with onp.errstate(all="ignore"):
        close(fun(linalg, *args), fun(sl, *args))


@pytest.mark.parametrize("name,k", [c for c in CASES if len(TABLE[c[0]][c[1]]) > 1])
def test_single_precision(name, k):
    fun, *args = TABLE[name][k]
    low = [a.astype({"f": "f4", "c": "c8"}.get(a.dtype.kind, a.dtype)) for a in args]
    for g, w in zip(deep(fun(linalg, *low)), deep(fun(linalg, *args)), strict=True):
        if name not in ("rsf2csf", "schur", "funm"):
            size = abs(w).max(initial=1.0)
            onp.testing.assert_allclose(g, w, rtol=5e-3, atol=5e-3 * size)
        if w.dtype.kind in "fc" and not {"i", "u"} & {a.dtype.kind for a in args}:
            assert g.dtype.itemsize * 2 == w.dtype.itemsize or name in ("rsf2csf", "schur")


# --- transformations ---------------------------------------------------------------------


def sample(*shape, dtype="float64", seed=0):
    rng = onp.random.default_rng((seed, *shape))
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype.startswith("c") else x).astype(dtype)


def spd(*shape, dtype="float64", seed=0):
    x = sample(*shape, dtype=dtype, seed=seed)
    return x @ x.swapaxes(-1, -2).conj() + onp.eye(shape[-1])


def moduli(w, v):
    return w, np.abs(v)


SMOOTH = {
    "toeplitz": (linalg.toeplitz, sample(3), sample(4)),
    "hankel": (linalg.hankel, sample(3), sample(4)),
    "circulant": (linalg.circulant, sample(4)),
    "companion": (linalg.companion, sample(4)),
    "fiedler_companion": (linalg.fiedler_companion, sample(5)),
    "convolution_matrix": (lambda a: linalg.convolution_matrix(a, 3, mode="same"), sample(4)),
    "fiedler": (linalg.fiedler, sample(4)),
    "leslie": (linalg.leslie, sample(4), sample(3)),
    "block_diag": (linalg.block_diag, sample(2, 3), sample(2, 2)),
    "lu-permuted": (lambda a: linalg.lu(a, permute_l=True), sample(4, 4)),
    "svd": (lambda a: linalg.svd(a, compute_uv=False), sample(4, 3)),
    "qr": (lambda a: linalg.qr(a, mode="economic"), sample(4, 3)),
    "qr-r": (lambda a: linalg.qr(a, mode="r"), sample(4, 3)),
    "qr_multiply": (linalg.qr_multiply, sample(4, 3), sample(2, 4)),
    "eigh": (lambda a: linalg.eigh(a + np.conj(a.T), eigvals_only=True), sample(4, 4)),
    "eigh-generalised": (
        lambda a, b: moduli(*linalg.eigh(a + a.T, b @ b.T)), sample(4, 4), sample(4, 4, seed=1),
    ),
    "eigh_tridiagonal": (
        lambda d, e: moduli(*linalg.eigh_tridiagonal(d, e)), sample(4), sample(3),
    ),
    "hessenberg": (lambda a: linalg.hessenberg(a, calc_q=True), sample(4, 4)),
    "solve-sym": (lambda a, b: linalg.solve(a, b, assume_a="sym"), sample(4, 4), sample(4)),
    "solve-tridiagonal": (
        lambda a, b: linalg.solve(a, b, assume_a="tridiagonal"), spd(4, 4), sample(4, 2),
    ),
    **{
        f"{name}-{dt}": (fun, *args)
        for dt in ("float64", "complex128")
        for name, fun, *args in (
            ("cholesky", lambda a: linalg.cholesky(a @ np.conj(a.T)), sample(3, 3, dtype=dt)),
            ("cho_solve", lambda a, b: linalg.cho_solve(
                linalg.cho_factor(a @ np.conj(a.T)), b), sample(3, 3, dtype=dt),
                sample(3, dtype=dt)),
            ("lu_solve", lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b, trans=2),
                sample(3, 3, dtype=dt), sample(3, 2, dtype=dt)),
            ("solve", linalg.solve, sample(3, 3, dtype=dt), sample(3, dtype=dt)),
            ("solve_triangular", functools.partial(linalg.solve_triangular, trans="C"),
                sample(3, 3, dtype=dt) + 2 * onp.eye(3), sample(3, dtype=dt)),
            ("det", linalg.det, sample(4, 4, dtype=dt)),
            ("inv", linalg.inv, sample(3, 3, dtype=dt)),
            ("polar", linalg.polar, sample(4, 3, dtype=dt)),
            ("polar-left", functools.partial(linalg.polar, side="left"), sample(3, 4, dtype=dt)),
            ("polar-svd", functools.partial(linalg.polar, method="svd"), sample(3, 3, dtype=dt)),
            ("expm", linalg.expm, sample(3, 3, dtype=dt)),
            ("expm-large", linalg.expm, 4 * sample(3, 3, dtype=dt)),
            ("expm-upper", functools.partial(linalg.expm, upper_triangular=True),
                sample(3, 3, dtype=dt)),
            ("expm_frechet", linalg.expm_frechet, sample(3, 3, dtype=dt),
                sample(3, 3, dtype=dt, seed=1)),
            ("sqrtm", linalg.sqrtm, spd(3, 3, dtype=dt) + 0.3 * sample(3, 3, dtype=dt)),
            ("funm", lambda a: linalg.funm(a, np.sin), sample(3, 3, dtype=dt)),
            ("solve_sylvester", linalg.solve_sylvester, sample(3, 3, dtype=dt),
                sample(2, 2, dtype=dt) + 4 * onp.eye(2), sample(3, 2, dtype=dt)),
            ("solve_sylvester-eigen", functools.partial(linalg.solve_sylvester, method="eigen"),
                spd(3, 3), spd(2, 2), sample(3, 2)),
        )
    },
}  # fmt: skip


def listed(fun):
    def wrapped(*args):
        out = fun(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return wrapped


def random_like(x, rng):
    t = rng.normal(size=x.shape)
    return t + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else t


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    if name == "solve_sylvester-eigen-complex128":
        return
    fun, *args = SMOOTH[name]
    fun = listed(fun)
    rng = onp.random.default_rng(len(name))
    ts = [random_like(a, rng) for a in args]
    outs, out_ts = cv.jvp(fun, args, ts)
    eps = 1e-6
    up = fun(*[a + eps * t for a, t in zip(args, ts, strict=True)])
    down = fun(*[a - eps * t for a, t in zip(args, ts, strict=True)])
    for t, u, d in zip(out_ts, up, down, strict=True):
        want = (onp.asarray(u) - onp.asarray(d)) / (2 * eps)
        onp.testing.assert_allclose(t, want, rtol=1e-5, atol=1e-5 * max(1, abs(want).max()))
    cts = [random_like(onp.asarray(o), rng).astype(o.dtype) for o in outs]
    back = cv.vjp(fun, *args)[1](list(map(np.asarray, cts)))
    lhs = sum(onp.sum(c * onp.asarray(t)) for c, t in zip(cts, out_ts, strict=True))
    rhs = sum(onp.sum(onp.asarray(b) * t) for b, t in zip(back, ts, strict=True))
    onp.testing.assert_allclose(onp.real(lhs), onp.real(rhs), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["expm", "expm_frechet", "sqrtm", "solve_sylvester", "polar"])
def test_second_derivatives(name):
    fun, *args = SMOOTH[f"{name}-float64"]

    def total(*args):
        out = fun(*args)
        out = out if isinstance(out, (tuple, list)) else [out]
        return sum(np.sum(np.sin(np.real(x)) + np.imag(x + 0j) ** 2) for x in out)

    gradient = cv.grad(total, tuple(range(len(args))))
    ts = [sample(*a.shape, seed=9) for a in args]
    got = cv.jvp(gradient, args, ts)[1]
    up = gradient(*[a + 1e-5 * t for a, t in zip(args, ts, strict=True)])
    down = gradient(*[a - 1e-5 * t for a, t in zip(args, ts, strict=True)])
    for g, u, d in zip(got, up, down, strict=True):
        want = (onp.asarray(u) - onp.asarray(d)) / 2e-5
        onp.testing.assert_allclose(g, want, rtol=1e-5, atol=1e-5 * max(1, abs(want).max()))


@pytest.mark.parametrize("name", SMOOTH)
def test_vmap_equals_loop_and_jit_equals_eager(name):
    fun, *args = SMOOTH[name]
    fun = listed(fun)
    stacks = [onp.stack([a * (1 + 0.1 * k) for k in range(3)], -1) for a in args]
    outs = cv.vmap(fun, in_axes=-1)(*stacks)
    for k in range(3):
        for got, want in zip(outs, fun(*[x[..., k] for x in stacks]), strict=True):
            onp.testing.assert_allclose(onp.asarray(got)[k], want, 1e-8, 1e-9)
    for got, want in zip(cv.jit(fun)(*args), fun(*args), strict=True):
        onp.testing.assert_allclose(got, want, 1e-11, 1e-11)


# --- batches -----------------------------------------------------------------------------

BATCHED = {
    "toeplitz": (linalg.toeplitz, sample(2, 3), sample(2, 4)),
    "hankel": (linalg.hankel, sample(2, 3), sample(2, 4)),
    "leslie": (linalg.leslie, sample(2, 4), sample(2, 3)),
    "convolution_matrix": (lambda a: linalg.convolution_matrix(a, 3), sample(2, 4)),
    "fiedler_companion": (linalg.fiedler_companion, sample(2, 5)),
    "eigh-generalised": (lambda a, b: linalg.eigh(a, b, eigvals_only=True), spd(2, 3, 3),
                         spd(2, 3, 3, seed=1)),
    "eigh_tridiagonal": (lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True),
                         sample(2, 4), sample(2, 3)),
    "hessenberg": (lambda a: linalg.hessenberg(a, calc_q=True), sample(2, 4, 4)),
    "schur": (linalg.schur, sample(2, 4, 4)),
    "rsf2csf": (lambda a: linalg.rsf2csf(*linalg.schur(a)), sample(2, 5, 5)),
    "polar": (linalg.polar, sample(2, 4, 3)),
    "lu": (linalg.lu, sample(2, 4, 3)),
    "lu_solve": (lambda a, b: linalg.lu_solve(linalg.lu_factor(a), b), sample(2, 3, 3),
                 sample(2, 3, 2)),
    "cho_solve": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b), spd(2, 3, 3),
                  sample(2, 3, 2)),
    "solve_triangular": (linalg.solve_triangular, spd(2, 3, 3), sample(2, 3, 2)),
    "solve_sylvester": (linalg.solve_sylvester, sample(2, 3, 3), sample(2, 2, 2) + 4 * onp.eye(2),
                        sample(2, 3, 2)),
    "sqrtm": (linalg.sqrtm, sample(2, 5, 5)),
    "funm": (lambda a: linalg.funm(a, np.exp), sample(2, 5, 5)),
    "expm_frechet": (linalg.expm_frechet, sample(2, 4, 4), sample(2, 4, 4, seed=1)),
    "qr": (lambda a: linalg.qr(a, pivoting=True), sample(2, 4, 3)),
    "qr_multiply": (linalg.qr_multiply, sample(2, 4, 3), sample(2, 2, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHED)
def test_batches(name):
    fun, *args = BATCHED[name]
    for k in range(2):
        got = [x[k] for x in deep(fun(*args))]
        close(got, deep(fun(*[a[k] for a in args])), 1e-10)


# --- corners -----------------------------------------------------------------------------


def test_empty_matrices():
    e = onp.zeros((0, 0))
    for fun in (linalg.expm, linalg.sqrtm, linalg.inv, linalg.cholesky, linalg.hessenberg):
        assert fun(e).shape == (0, 0)
    for fun in (linalg.schur, linalg.polar, linalg.qr):
        assert [x.shape for x in fun(e)] == [(0, 0)] * 2
    assert linalg.funm(e, np.exp, disp=False)[0].shape == (0, 0)
    assert linalg.expm_frechet(e, e)[1].shape == (0, 0)
    assert linalg.expm(onp.zeros((0, 3, 3))).shape == (0, 3, 3)
    assert linalg.solve_sylvester(e, onp.eye(2), onp.zeros((0, 2))).shape == (0, 2)
    assert linalg.det(e) == 1.0
    assert linalg.toeplitz(onp.zeros(0)).shape == linalg.hankel(onp.zeros(0)).shape == (0, 0)
    assert linalg.hilbert(0).shape == linalg.pascal(0).shape == linalg.dft(0).shape == (0, 0)
    assert linalg.invpascal(0).shape == linalg.invhilbert(0).shape == (0, 0)
    assert linalg.fiedler_companion(onp.ones(1)).shape == (0, 0)


def test_what_is_not_finite_gives_nan():
    bad = onp.stack([onp.eye(3), onp.full((3, 3), onp.nan)])
    for fun in (linalg.expm, linalg.sqrtm, linalg.schur, linalg.hessenberg, linalg.polar,
                lambda a: linalg.funm(a, np.exp), lambda a: linalg.expm_frechet(a, a)):  # fmt: skip
        for x in flat(fun(bad)):
            assert onp.isfinite(x[0]).all() and onp.isnan(onp.diagonal(x[1])).all()


def test_singular_and_degenerate():
    close(linalg.sqrtm(onp.zeros((3, 3))), onp.zeros((3, 3)))
    close(linalg.sqrtm(-onp.eye(2)), 1j * onp.eye(2))
    close(linalg.funm(onp.eye(3), np.exp), onp.e * onp.eye(3))
    assert onp.isnan(linalg.solve_sylvester(onp.eye(2), -onp.eye(2), onp.ones((2, 2)))).all()
    assert onp.isnan(linalg.expm(1e9 * onp.eye(2) + 1)).all()
    error = linalg.funm(sample(4, 4), np.exp, disp=False)[1]
    assert error.shape == () and 0 < error < 1e-10
    assert onp.isnan(linalg.eigh(onp.eye(2), -onp.eye(2), eigvals_only=True)).all()


def test_exponentials_are_as_precise_as_their_condition():
    # A nilpotent matrix and one of large norm whose powers are small.
    a = onp.array([[0.0, 1e6], [0.0, 0.0]])
    close(linalg.expm(a), onp.array([[1, 1e6], [0, 1]]), 1e-15)
    a = onp.array([[1.0, 1e6], [0.0, -1.0]])
    close(linalg.expm(a), onp.array([[onp.e, 1e6 * onp.sinh(1)], [0, 1 / onp.e]]), 1e-13)
    for scale in (0.01, 0.2, 0.9, 2.0, 5.0):
        x = scale * sample(6, 6) / 6
        close(linalg.expm(x) @ linalg.expm(-x), onp.eye(6), 1e-11)


def test_integers_and_promotion():
    for fun in (linalg.expm, linalg.sqrtm, linalg.inv, linalg.cholesky):
        assert fun(onp.eye(2, dtype=int)).dtype.kind in "fc"
    assert linalg.toeplitz(onp.arange(3), onp.arange(2.0)).dtype == "float64"
    assert linalg.hadamard(2, "float32").dtype == "float32"
    assert linalg.dft(3, dtype="complex64").dtype == "complex64"


def test_quarter_turns_of_dft_are_exact():
    assert (onp.asarray(linalg.dft(8))[1, [0, 2, 4, 6]] == [1, -1j, -1, 1j]).all()


ERRORS = [
    (lambda: linalg.expm(onp.ones((2, 3))), ValueError, "float64[2,3]"),
    (lambda: linalg.expm(onp.ones((2, 2), "float16")), NotImplementedError, "float32"),
    (lambda: linalg.expm_frechet(onp.eye(2), onp.eye(3)), ValueError, "float64[3,3]"),
    (lambda: linalg.eigh(onp.eye(2), onp.eye(3)), ValueError, "same shape"),
    (lambda: linalg.eigh(onp.eye(2), type=4), ValueError, "type"),
    (lambda: linalg.eigh(onp.eye(2), eigvals=(0, 1)), NotImplementedError, "slice"),
    (lambda: linalg.eigh_tridiagonal(onp.ones(3), onp.ones(3)), ValueError, "n - 1"),
    (lambda: linalg.eigh_tridiagonal(onp.ones(3), 1j * onp.ones(2)), TypeError, "real"),
    (lambda: linalg.eigh_tridiagonal(onp.ones(3), onp.ones(2), select="x"), ValueError, "'x'"),
    (lambda: linalg.eigh_tridiagonal(onp.ones(3), onp.ones(2), select="i"), ValueError, "None"),
    (lambda: linalg.eigh_tridiagonal(onp.ones(3), onp.ones(2), select="i", select_range=(1, 3)),
     ValueError, "(1, 3)"),
    (lambda: cv.jit(lambda d, e: linalg.eigh_tridiagonal(
        d, e, select="v", select_range=(0, 1)))(onp.ones(3), onp.ones(2)), TypeError, "select='v'"),
    (lambda: linalg.schur(onp.eye(2), output="x"), ValueError, "'x'"),
    (lambda: linalg.polar(onp.eye(2), side="x"), ValueError, "'x'"),
    (lambda: linalg.polar(onp.eye(2), method="x"), ValueError, "'x'"),
    (lambda: linalg.qr(onp.eye(2), mode="x"), ValueError, "'x'"),
    (lambda: linalg.qr(onp.eye(2), mode="raw", pivoting=True), ValueError, "pivoting"),
    (lambda: linalg.qr_multiply(onp.ones((4, 2)), onp.ones((4, 4)), mode="left"), ValueError, "2 "),
    (lambda: linalg.rsf2csf(onp.eye(2), onp.eye(3)), ValueError, "same shape"),
    (lambda: linalg.solve(onp.eye(2), onp.ones(3)), ValueError, "(2,)"),
    (lambda: linalg.solve(onp.eye(2), onp.ones(2), assume_a="x"), ValueError, "'x'"),
    (lambda: linalg.solve_triangular(onp.eye(2), onp.ones(2), trans=5), ValueError, "5"),
    (lambda: linalg.lu_solve(linalg.lu_factor(onp.eye(2)), onp.ones(2), trans=3), ValueError, "3"),
    (lambda: linalg.cho_solve((onp.eye(2), True), onp.ones(3)), ValueError, "(2,)"),
    (lambda: linalg.solve_sylvester(onp.eye(2), onp.eye(3), onp.eye(3)), ValueError, "(..., m, n)"),
    (lambda: linalg.solve_sylvester(onp.eye(2), onp.eye(2), onp.eye(2), method="x"), ValueError,
     "'x'"),
    (lambda: linalg.svd(onp.eye(2), lapack_driver="x"), ValueError, "'x'"),
    (lambda: linalg.companion(onp.ones(1)), ValueError, "two coefficients"),
    (lambda: linalg.leslie(onp.ones(3), onp.ones(3)), ValueError, "one element less"),
    (lambda: linalg.block_diag(onp.ones((2, 2, 2))), ValueError, "position 0"),
    (lambda: linalg.hadamard(3), ValueError, "power of 2"),
    (lambda: linalg.helmert(0), ValueError, "at least 1"),
    (lambda: linalg.hilbert(-1), ValueError, "-1"),
    (lambda: linalg.hilbert(1.5), ValueError, "1.5"),
    (lambda: linalg.pascal(2, "x"), ValueError, "'x'"),
    (lambda: linalg.invpascal(2, "x"), ValueError, "'x'"),
    (lambda: linalg.dft(2, "x"), ValueError, "'x'"),
    (lambda: linalg.convolution_matrix(onp.ones(2), 2, mode="x"), ValueError, "'x'"),
    (lambda: linalg.convolution_matrix(onp.ones(2), 0), ValueError, "0"),
    (lambda: linalg.convolution_matrix(onp.ones(0), 2), ValueError, "empty"),
    (lambda: linalg.toeplitz("x"), TypeError, "'x'"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    call, kind, text = ERRORS[i]
    with pytest.raises(kind) as info:
        call()
    assert text in str(info.value)


def test_it_comes_when_it_is_used():
    code = (
        "import sys, covector, covector.numpy, covector.scipy\n"
        "assert not [m for m in sys.modules if m.startswith('covector.scipy.')]\n"
        "covector.scipy.linalg.expm(covector.numpy.eye(2))\n"
        "assert 'scipy.linalg' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
