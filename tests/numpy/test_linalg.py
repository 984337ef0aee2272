"""Functions of `covector.numpy.linalg` against NumPy's, and their derivatives."""

import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.backends.cpu import backend as cpu

la = np.linalg
DTYPES = ("int32", "float32", "float64", "complex64", "complex128")


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def sample(*shape, dtype="float64", seed=0):
    rng = onp.random.default_rng((seed, *shape))
    if dtype == "int32":
        return rng.integers(-5, 6, shape).astype(dtype)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype.startswith("c") else x).astype(dtype)


def definite(n, dtype="float64", batch=()):
    x = sample(*batch, n, n, dtype=dtype)
    return x @ x.swapaxes(-1, -2).conj() + onp.eye(n).astype(dtype)


def check(got, want, tol=1e-10):
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            check(g, w, tol)
        return
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.shape == want.shape and got.dtype.kind == want.dtype.kind
    onp.testing.assert_allclose(got, want, rtol=tol, atol=tol)


# f(linalg, matrices of n×n, of m×n with m > n, of a batch of n×n, positive definite)
CALLS = {
    "cholesky": lambda la, a, t, s, p: la.cholesky(p),
    "cholesky-upper": lambda la, a, t, s, p: la.cholesky(p, upper=True),
    "eigvalsh": lambda la, a, t, s, p: la.eigvalsh(p),
    "eigvalsh-upper": lambda la, a, t, s, p: la.eigvalsh(
        a, UPLO="U", **({} if la is onp.linalg else {"symmetrize_input": False})
    ),
    "eigh": lambda la, a, t, s, p: la.eigh(p).eigenvalues,
    "svdvals": lambda la, a, t, s, p: la.svdvals(t),
    "svd": lambda la, a, t, s, p: la.svd(t).S,
    "svd-hermitian": lambda la, a, t, s, p: la.svd(p - 3 * onp.eye(4), hermitian=True).S,
    "qr": lambda la, a, t, s, p: la.qr(t),
    "qr-complete": lambda la, a, t, s, p: la.qr(t, mode="complete"),
    "qr-r": lambda la, a, t, s, p: la.qr(t, mode="r"),
    "qr-raw": lambda la, a, t, s, p: la.qr(t, mode="raw"),
    "qr-wide": lambda la, a, t, s, p: la.qr(t.T),
    "solve": lambda la, a, t, s, p: la.solve(a, t.T[0, :4]),
    "solve-matrix": lambda la, a, t, s, p: la.solve(a, t[:4]),
    "solve-batch": lambda la, a, t, s, p: la.solve(s, a),
    "solve-batch-vector": lambda la, a, t, s, p: la.solve(s, a[0]),
    "solve-one-for-all": lambda la, a, t, s, p: la.solve(a, s),
    "inv": lambda la, a, t, s, p: la.inv(a),
    "inv-batch": lambda la, a, t, s, p: la.inv(s),
    **{f"det{n}": lambda la, a, t, s, p, n=n: la.det(s[..., :n, :n]) for n in range(5)},
    **{f"slogdet{n}": lambda la, a, t, s, p, n=n: la.slogdet(s[..., :n, :n]) for n in (0, 1, 4)},
    "pinv": lambda la, a, t, s, p: la.pinv(t),
    "pinv-wide": lambda la, a, t, s, p: la.pinv(t.T),
    "pinv-hermitian": lambda la, a, t, s, p: la.pinv(p, hermitian=True),
    "pinv-deficient": lambda la, a, t, s, p: la.pinv(t[:, :1] @ t[:, :1].T, rcond=1e-5),
    "pinv-batch": lambda la, a, t, s, p: la.pinv(s),
    "matrix_rank": lambda la, a, t, s, p: la.matrix_rank(t),
    "matrix_rank-one": lambda la, a, t, s, p: la.matrix_rank(t[:, :1] @ t[:, :1].T),
    "matrix_rank-tol": lambda la, a, t, s, p: la.matrix_rank(s, tol=1.0),
    "matrix_rank-hermitian": lambda la, a, t, s, p: la.matrix_rank(p, hermitian=True),
    "matrix_rank-vector": lambda la, a, t, s, p: la.matrix_rank(a[0]),
    **{f"power{n}": lambda la, a, t, s, p, n=n: la.matrix_power(a, n) for n in (0, 1, 2, 3, 7, -2)},
    **{f"cond-{o}": lambda la, a, t, s, p, o=o: la.cond(a, o)
       for o in (None, 1, -1, 2, -2, "fro", onp.inf, -onp.inf)},
    **{f"norm-{o}": lambda la, a, t, s, p, o=o: la.norm(t, o)
       for o in (None, "fro", "nuc", 1, -1, 2, -2, onp.inf, -onp.inf)},
    **{f"norm-vector-{o}": lambda la, a, t, s, p, o=o: la.norm(t, o, axis=1, keepdims=True)
       for o in (None, 0, 1, 2, 3, 0.5, onp.inf, -onp.inf)},
    "norm-all": lambda la, a, t, s, p: la.norm(s),
    "norm-axes": lambda la, a, t, s, p: la.norm(s, 1, axis=(0, 2), keepdims=True),
    "norm-axes-2": lambda la, a, t, s, p: la.norm(s, 2, axis=(2, 0)),
    "vector_norm": lambda la, a, t, s, p: la.vector_norm(s, axis=(0, 1), ord=3),
    "vector_norm-all": lambda la, a, t, s, p: la.vector_norm(s, keepdims=True),
    "matrix_norm": lambda la, a, t, s, p: la.matrix_norm(s, ord=1, keepdims=True),
    "matrix_transpose": lambda la, a, t, s, p: la.matrix_transpose(s),
    "trace": lambda la, a, t, s, p: la.trace(s, offset=1),
    "diagonal": lambda la, a, t, s, p: la.diagonal(s, offset=-1),
    "outer": lambda la, a, t, s, p: la.outer(a[0], t[0]),
    "cross": lambda la, a, t, s, p: la.cross(a[:, :3], a[:, 1:]),
    "matmul": lambda la, a, t, s, p: la.matmul(t, s),
    "vecdot": lambda la, a, t, s, p: la.vecdot(s, a),
    "tensordot": lambda la, a, t, s, p: la.tensordot(s, a, axes=1),
    "multi_dot": lambda la, a, t, s, p: la.multi_dot([t, a, t.T, t, a[0]]),
    "multi_dot-vectors": lambda la, a, t, s, p: la.multi_dot([a[0], a, a[1]]),
    "tensorinv": lambda la, a, t, s, p: la.tensorinv(a.reshape(2, 2, 4), ind=2),
    "tensorsolve": lambda la, a, t, s, p: la.tensorsolve(a.reshape(2, 2, 4), a[:2, :2]),
    "tensorsolve-axes": lambda la, a, t, s, p: la.tensorsolve(
        a.reshape(2, 4, 2), a[:2, :2], axes=(1,)
    ),
    "lstsq": lambda la, a, t, s, p: la.lstsq(t, t[:, :2] ** 2)[0],
    "lstsq-vector": lambda la, a, t, s, p: la.lstsq(t, t[:, 0] ** 2)[0],
    "lstsq-wide": lambda la, a, t, s, p: la.lstsq(t.T, a)[0],
    "lstsq-deficient": lambda la, a, t, s, p: la.lstsq(t[:, :1] @ t[:, :1].T, t, 1e-4)[::2],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_against_numpy(name):
    for dtype in DTYPES if name in ("solve", "inv", "det4", "norm-2", "svd") else DTYPES[2:5:2]:
        a, t, s = (sample(*x, dtype=dtype) for x in ((4, 4), (5, 4), (3, 4, 4)))
        args = a, t, s, definite(4, dtype)
        wide = [x.astype("float64") if dtype == "int32" else x for x in args]
        got, want = CALLS[name](la, *args), CALLS[name](onp.linalg, *wide)
        check(got, want, 1e-8 if dtype in ("float64", "complex128") else 1e-3)


def test_types_of_results():
    a = onp.eye(2, dtype=onp.float32)
    assert type(la.qr(a)).__name__ == "QRResult" and la.qr(a).Q.shape == (2, 2)
    assert la.eigh(a)._fields == ("eigenvalues", "eigenvectors")
    assert la.svd(a)._fields == ("U", "S", "Vh")
    assert la.slogdet(a)._fields == ("sign", "logabsdet")
    assert la.eig(a)._fields == ("eigenvalues", "eigenvectors")
    assert la.inv(a).dtype == np.float32 and la.eigvals(a).dtype == np.complex64
    assert la.inv(a.astype(int)).dtype == np.float64
    assert la.matrix_power(a.astype("int32"), 3).dtype == np.int32


def test_eig():
    for dtype in ("float64", "complex128"):
        a = sample(2, 5, 5, dtype=dtype)
        w, v = la.eig(a)
        check(a @ onp.asarray(v), v * w[..., None, :], 1e-9)
        check(onp.sort_complex(la.eigvals(a)), onp.sort_complex(onp.linalg.eigvals(a)), 1e-9)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("power", [-0.9, -0.5, 0.5, 0.9])
def test_eig_of_any_scale(dtype, power):
    """Some LAPACKs give eigenvalues of matrices that they have scaled."""
    scale = 2.0 ** int(power * onp.finfo(dtype).maxexp)
    a = sample(4, 4, dtype=dtype)
    w, v = la.eig(a * a.dtype.type(scale))
    plain, vectors = la.eig(a)
    tolerance = 1e-4 if dtype in ("float32", "complex64") else 1e-12
    check(onp.asarray(w) / scale, plain, tolerance)
    check(v, vectors, tolerance)
    check(onp.asarray(la.eigvals(a * a.dtype.type(scale))) / scale, la.eigvals(a), tolerance)


def test_lstsq():
    a, b = sample(6, 3), sample(6, 2, seed=1)
    x, resid, rank, s = la.lstsq(a, b)
    check([x, resid, s], [onp.linalg.lstsq(a, b)[k] for k in (0, 1, 3)])
    assert rank == 3
    assert la.lstsq(a.T, b[:3], numpy_resid=True)[1].shape == (0,)
    assert la.lstsq(a, b, numpy_resid=True)[1].shape == (2,)


@pytest.mark.parametrize(
    "name", ["inv", "det", "slogdet", "pinv", "svdvals", "eigvalsh", "cholesky"]
)
def test_empty_batches_and_matrices(name):
    for shape in ((0, 3, 3), (0, 4, 4), (2, 0, 0), (0, 0)):
        if name == "cholesky" and shape[-1] == 0 and len(shape) == 2:
            continue
        x = onp.zeros(shape)
        got, want = getattr(la, name)(x), getattr(onp.linalg, name)(x)
        check(got, want)
    assert la.solve(onp.zeros((2, 0, 0)), onp.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert la.solve(onp.eye(3), onp.zeros((3, 0))).shape == (3, 0)


def test_singular_matrices_and_nan():
    zero, nan = onp.zeros((4, 4)), onp.full((4, 4), onp.nan)
    assert not onp.isfinite(la.inv(zero)).any() and not onp.isfinite(la.solve(zero, zero[0])).any()
    assert la.det(zero) == 0 and la.slogdet(zero).logabsdet == -onp.inf
    assert la.slogdet(zero).sign == 0
    for name in "inv det pinv svdvals eigvalsh eigvals norm cond".split():
        assert onp.isnan(getattr(la, name)(nan)).all(), name
    assert onp.isnan(la.cholesky(-onp.eye(2))).any()


ERRORS = [
    (lambda: la.inv(onp.ones((2, 3))), "inv", "float64[2,3]"),
    (lambda: la.det(onp.ones(3)), "det", "float64[3]"),
    (lambda: la.solve(onp.eye(3), onp.ones(2)), "solve", "float64[2]"),
    (lambda: la.solve(onp.ones((4, 3, 3)), onp.ones((4, 3))), "solve", "b[..., None]"),
    (lambda: la.qr(onp.eye(2), mode="x"), "qr", "'x'"),
    (lambda: la.eigh(onp.eye(2), UPLO="x"), "eigh", "'x'"),
    (lambda: la.norm(onp.ones((2, 2)), 3), "norm", "3"),
    (lambda: la.norm(onp.ones((2, 2, 2)), 2), "norm", "float64[2,2,2]"),
    (lambda: la.norm(onp.ones(2), "fro"), "norm", "'fro'"),
    (lambda: la.multi_dot([onp.eye(2)]), "multi_dot", "1"),
    (lambda: la.multi_dot([onp.eye(2), onp.eye(3)]), "multi_dot", "float64[3,3]"),
    (lambda: la.cross(onp.ones(2), onp.ones(2)), "cross", "float64[2]"),
    (lambda: la.outer(onp.eye(2), onp.ones(2)), "outer", "float64[2,2]"),
    (lambda: la.matrix_power(onp.ones((2, 3)), 2), "matrix_power", "float64[2,3]"),
    (lambda: la.cond(onp.ones((2, 3)), 1), "cond", "float64[2,3]"),
    (lambda: la.cond(onp.ones((0, 2))), "cond", "empty"),
    (lambda: la.lstsq(onp.ones((3, 2)), onp.ones(2)), "lstsq", "float64[2]"),
    (lambda: la.tensorinv(onp.ones((2, 3)), 1), "tensorinv", "(2,)"),
    (lambda: la.tensorsolve(onp.ones((2, 3)), onp.ones(2)), "tensorsolve", "float64[2,3]"),
    (lambda: la.slogdet(onp.eye(2), method="x"), "slogdet", "'x'"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    call, *texts = ERRORS[i]
    with pytest.raises(ValueError) as info:
        call()
    for text in texts:
        assert text in str(info.value)
    with pytest.raises(TypeError, match="integer"):
        la.matrix_power(onp.eye(2), 1.5)


# --- transformations ---------------------------------------------------------------------

DERIVED = {
    "cholesky-upper": lambda a: la.cholesky(a @ np.conj(a.T) + np.eye(4), upper=True),
    "solve": lambda a: la.solve(a, np.sin(a[:, :2])),
    "solve-one-for-all": lambda a: la.solve(a, np.stack([a, a * a])),
    "inv": la.inv,
    **{f"det{n}": lambda a, n=n: la.det(a[:n, :n]) for n in (1, 2, 3, 4)},
    "slogdet": lambda a: la.slogdet(a),
    "slogdet-batch": lambda a: la.slogdet(np.stack([a, a.T * 2]))[1],
    "pinv": lambda a: la.pinv(a[:, :3]),
    "pinv-wide": lambda a: la.pinv(a[:2]),
    "eigvalsh": lambda a: la.eigvalsh(a),
    "svdvals": la.svdvals,
    "qr": lambda a: la.qr(a[:3]),
    "norm-2": lambda a: la.norm(a, 2),
    "norm-nuc": lambda a: la.norm(a, "nuc"),
    "norm": la.norm,
    "norm-1": lambda a: la.norm(a, 1),
    "vector_norm-3": lambda a: la.vector_norm(a, ord=3, axis=0),
    "cond-fro": lambda a: la.cond(a, "fro"),
    "matrix_power": lambda a: la.matrix_power(a, -3),
    "multi_dot": lambda a: la.multi_dot([a, a[:, :2], a[:2]]),
    "tensorsolve": lambda a: la.tensorsolve(a.reshape(2, 2, 4), a[:2, :2]),
    "lstsq": lambda a: la.lstsq(a[:, :2], a[:, 2:])[0],
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", DERIVED)
def test_derivatives(name, dtype):
    fun = DERIVED[name]
    a, t = sample(4, 4, dtype=dtype), sample(4, 4, dtype=dtype, seed=1)
    flat = cv.jit(lambda x: cv.tree.leaves(fun(x)))
    outs, tangents = cv.jvp(flat, (a,), (t,))
    up, down = flat(a + 1e-6 * t), flat(a - 1e-6 * t)
    cts = []
    for k, (o, g, u, d) in enumerate(zip(outs, tangents, up, down, strict=True)):
        want = (onp.asarray(u) - onp.asarray(d)) / 2e-6
        onp.testing.assert_allclose(onp.asarray(g), want, rtol=1e-5, atol=1e-6)
        cts.append(np.asarray(sample(*o.shape, dtype=str(o.dtype), seed=k + 2)))
    (back,) = cv.vjp(flat, a)[1](cts)
    lhs = sum(onp.sum(onp.asarray(c) * onp.asarray(g)) for c, g in zip(cts, tangents, strict=True))
    onp.testing.assert_allclose(
        onp.real(lhs), onp.real(onp.sum(onp.asarray(back) * t)), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("name", DERIVED)
def test_vmap_equals_loop_and_jit_equals_eager(name):
    fun = DERIVED[name]
    batch = onp.stack([sample(4, 4, seed=k) for k in range(3)], 2)
    got = cv.tree.leaves(cv.vmap(fun, in_axes=2)(batch))
    for k in range(3):
        one = onp.ascontiguousarray(batch[:, :, k])
        want = cv.tree.leaves(fun(one))
        check([onp.asarray(g)[k] for g in got], want, 1e-8)
        if k == 0:
            check(cv.tree.leaves(cv.jit(fun)(one)), want)


@pytest.mark.parametrize("rank", [4, 3, 2])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_derivative_of_the_determinant_of_singular_matrices(rank, dtype):
    a = sample(4, rank, dtype=dtype) @ sample(rank, 4, dtype=dtype, seed=1)
    for x in (a, onp.diag([0.0, 2, 3, 4]), onp.diag([2.0, 3, 4, 0])):
        x = x.astype(dtype)
        minors = [[onp.linalg.det(onp.delete(onp.delete(x, i, 0), j, 1)) * (-1) ** (i + j)
                   for j in range(4)] for i in range(4)]  # fmt: skip
        gradient = cv.vjp(la.det, x)[1](np.ones((), dtype))[0]
        onp.testing.assert_allclose(gradient, minors, atol=1e-8 * abs(x).max() ** 3)


def test_second_derivatives():
    a, t = sample(4, 4), sample(4, 4, seed=1)
    for f in (la.det, lambda x: la.slogdet(x)[1], lambda x: np.sum(np.sin(la.inv(x)))):
        gradient = cv.jit(cv.grad(f))
        want = (gradient(a + 1e-6 * t) - gradient(a - 1e-6 * t)) / 2e-6
        onp.testing.assert_allclose(cv.jvp(gradient, (a,), (t,))[1], want, rtol=1e-5, atol=1e-5)


def test_a_new_size_compiles_nothing():
    names = "cholesky inv slogdet det pinv qr eigh svd matrix_rank"
    calls = [getattr(la, name) for name in names.split()]
    calls += [lambda x: la.solve(x, x[0]), lambda x: la.lstsq(x, x[0])]
    for call in calls:
        call(definite(20))
    before = cpu.statistics["compiled"] + cpu.statistics["loaded"]
    for call in calls:
        call(definite(33))
    assert cpu.statistics["compiled"] + cpu.statistics["loaded"] == before


def test_imported_on_first_use():
    code = (
        "import sys, covector as cv\n"
        "names = ('covector.numpy.linalg', 'covector.lax.linalg', 'scipy')\n"
        "assert not [n for n in names if n in sys.modules]\n"
        "cv.numpy.linalg.inv(cv.numpy.eye(3)); cv.lax.linalg.cholesky\n"
        "assert 'scipy.linalg' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


PEER = ["inv", "det4", "slogdet4", "pinv", "qr-raw", "solve-batch", "norm-nuc", "cond-1",
        "matrix_rank", "cholesky-upper", "lstsq", "vecdot", "cross"]  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize("name", PEER)
def test_against_jax(name):
    import jax

    args = (sample(4, 4), sample(5, 4), sample(3, 4, 4), definite(4))
    with cv.enable_x64(False):
        args = [x.astype("float32") for x in args]
        got = CALLS[name](la, *map(np.asarray, args))
        want = CALLS[name](jax.numpy.linalg, *map(jax.numpy.asarray, args))
        for g, w in zip(cv.tree.leaves(got), jax.tree.leaves(want), strict=True):
            assert str(g.dtype) == str(w.dtype)
            check(g, w, 1e-3)


def test_inside_loops_and_branches():
    a = definite(5)

    @cv.jit
    def power_and_root(x):
        def body(carry, k):
            carry = cv.lax.cond(
                k % 2 == 0, lambda c: la.cholesky(c @ c.T + np.eye(5)), lambda c: la.inv(c), carry
            )
            return carry, (k + 1) * la.slogdet(carry)[1]

        return cv.lax.scan(body, x, np.arange(4))

    carry, logs = power_and_root(a)
    x, want = a, []
    for k in range(4):
        x = onp.linalg.cholesky(x @ x.T + onp.eye(5)) if k % 2 == 0 else onp.linalg.inv(x)
        want.append((k + 1) * onp.linalg.slogdet(x)[1])
    check([carry, logs], [x, onp.array(want)])
    gradient = cv.grad(lambda x: np.sum(power_and_root(x)[1]))(a)
    t = sample(5, 5, seed=1)
    f = lambda x: onp.sum(onp.asarray(power_and_root(x)[1]))  # noqa: E731
    slope = (f(a + 1e-6 * t) - f(a - 1e-6 * t)) / 2e-6
    onp.testing.assert_allclose(onp.sum(onp.asarray(gradient) * t), slope, rtol=1e-5)


@pytest.mark.parametrize("p", [None, 1, "fro"])
def test_singular_matrices_have_an_infinite_condition_number(p):
    x = np.array([onp.eye(2), onp.zeros((2, 2)), onp.full((2, 2), onp.nan)])
    got = onp.asarray(la.cond(x, p))
    assert got[0] > 0 and got[1] == onp.inf and onp.isnan(got[2])


def test_pinv_of_the_hermitian_part():
    """`hermitian=True` reads the Hermitian part alone; so do the derivatives."""
    a, t = definite(3, "complex128"), sample(3, 3, dtype="complex128", seed=1)

    def f(a):
        return la.pinv(a, hermitian=True)

    def part(a):
        return (a + a.conj().T) / 2

    got = cv.jvp(f, (a,), (t,))[1]
    onp.testing.assert_allclose(got, onp.asarray(got).conj().T, atol=1e-14)
    onp.testing.assert_allclose(got, cv.jvp(la.inv, (part(a),), (part(t),))[1], rtol=1e-10)
