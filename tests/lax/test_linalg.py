"""Factorisations: values, derivatives, batches, failures, sizes."""

import functools
import itertools
import zlib

import numpy as onp
import pytest
import scipy.linalg

import covector as cv
import covector.numpy as np
from covector import _native
from covector.backends.cpu import backend as cpu
from covector.lax import linalg

DTYPES = ("float32", "float64", "complex64", "complex128")
SHAPES = ((4, 4), (1, 1), (5, 3), (3, 5), (2, 3, 4, 4), (0, 0), (3, 0), (0, 3), (0, 4, 4), (40, 25))
SQUARE = [s for s in SHAPES if s[-1] == s[-2]]


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def sample(shape, dtype="float64", seed=0):
    rng = onp.random.default_rng(seed)
    x = rng.normal(size=shape)
    if dtype.startswith("complex"):
        x = x + 1j * rng.normal(size=shape)
    return onp.asarray(x).astype(dtype)


def adjoint(x):
    return onp.asarray(x).swapaxes(-1, -2).conj()


def hermitian(shape, dtype="float64", seed=0):
    x = sample(shape, dtype, seed)
    return x + adjoint(x)


def definite(shape, dtype="float64", seed=0):
    x = sample(shape, dtype, seed)
    return (x @ adjoint(x) + onp.eye(shape[-1])).astype(dtype)


def close(got, want, dtype):
    tol = 2e-4 if dtype in ("float32", "complex64") else 1e-11
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.shape == want.shape
    onp.testing.assert_allclose(got, want, rtol=tol, atol=tol)


def orthonormal(q, dtype):
    n = q.shape[-1]
    close(adjoint(q) @ q, onp.broadcast_to(onp.eye(n), (*q.shape[:-2], n, n)), dtype)


# --- values ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_cholesky(shape, dtype):
    a = definite(shape, dtype)
    l = onp.asarray(linalg.cholesky(a))
    assert l.dtype == dtype
    close(l @ adjoint(l), a, dtype)
    close(l, onp.tril(l), dtype)
    lower = onp.tril(a) + 7 * onp.triu(onp.ones_like(a), 1)
    close(linalg.cholesky(lower, symmetrize_input=False), l, dtype)


FLAGS = list(itertools.product((False, True), repeat=5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 4, 4), (0, 4, 4)])
def test_triangular_solve(shape, dtype):
    a = (0.4 * sample(shape, dtype) + 2 * onp.eye(shape[-1])).astype(dtype)
    for left, lower, transpose, conjugate, unit in FLAGS:
        used = onp.tril(a) if lower else onp.triu(a)
        if unit:
            used = used - used * onp.eye(shape[-1]) + onp.eye(shape[-1])
        used = used.swapaxes(-1, -2) if transpose else used
        used = used.conj() if conjugate else used
        for m in (1, 3, 0) if left == lower == transpose == unit else (3,):
            b = sample((*shape[:-2], *((shape[-1], m) if left else (m, shape[-1]))), dtype, 1)
            x = linalg.triangular_solve(
                a, b, left_side=left, lower=lower, transpose_a=transpose, conjugate_a=conjugate,
                unit_diagonal=unit,
            )  # fmt: skip
            x = onp.asarray(x)
            close(used @ x if left else x @ used, b, dtype)


def test_triangular_solve_of_vectors_and_of_many_right_hand_sides():
    a = sample((3, 3)) + 4 * onp.eye(3)
    b = sample((3,), seed=1)
    close(
        linalg.triangular_solve(a, b, left_side=True), onp.linalg.solve(onp.triu(a), b), "float64"
    )
    close(linalg.triangular_solve(a, b), onp.linalg.solve(onp.triu(a).T, b), "float64")
    a = sample((70, 70)) + 50 * onp.eye(70)
    b = sample((70, 300), seed=1)
    for left in (True, False):
        x = linalg.triangular_solve(a, b if left else b.T, left_side=left)
        x = onp.asarray(x)
        close(onp.triu(a) @ x if left else x @ onp.triu(a), b if left else b.T, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_lu(shape, dtype):
    a = sample(shape, dtype)
    packed, pivots, permutation = map(onp.asarray, linalg.lu(a))
    m, k = shape[-2], min(shape[-2:])
    assert packed.dtype == dtype and pivots.shape == (*shape[:-2], k)
    l = onp.tril(packed[..., :k], -1) + onp.eye(m, k)
    close(
        l @ onp.triu(packed[..., :k, :]), onp.take_along_axis(a, permutation[..., None], -2), dtype
    )
    close(linalg.lu_pivots_to_permutation(pivots, m), permutation, dtype)
    if len(shape) == 2 and k:
        want = scipy.linalg.lapack.get_lapack_funcs("getrf", (a,))(a)
        close(packed, want[0], dtype)
        assert (pivots == want[1]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(shape, dtype):
    a = sample(shape, dtype)
    for full, pivoting in itertools.product((False, True), repeat=2):
        q, r, *p = linalg.qr(a, full_matrices=full, pivoting=pivoting)
        q, r = onp.asarray(q), onp.asarray(r)
        k = shape[-2] if full else min(shape[-2:])
        assert q.shape[-1] == k and q.dtype == dtype
        orthonormal(q, dtype)
        close(r, onp.triu(r), dtype)
        assert abs(onp.imag(onp.diagonal(r, 0, -2, -1))).max(initial=0) == 0
        want = onp.take_along_axis(a, onp.asarray(p[0])[..., None, :], -1) if pivoting else a
        close(q @ r, want, dtype)
        if pivoting:
            d = abs(onp.diagonal(r, 0, -2, -1))
            assert (onp.diff(d, axis=-1) <= 1e-5).all()
    h, taus = linalg.geqrf(a)
    if shape[-2] >= shape[-1]:
        close(linalg.householder_product(h, taus), linalg.qr(a, full_matrices=False)[0], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_eigh(shape, dtype):
    a = hermitian(shape, dtype)
    v, w = map(onp.asarray, linalg.eigh(a))
    assert v.dtype == dtype and w.dtype == a.real.dtype
    close((v * w[..., None, :]) @ adjoint(v), a, dtype)
    orthonormal(v, dtype)
    close(w, onp.linalg.eigvalsh(a), dtype)
    for lower in (True, False):
        half = onp.tril(a) if lower else onp.triu(a)
        close(linalg.eigh(half, lower=lower, symmetrize_input=False)[1], w, dtype)
    if shape[-1] > 2:
        v2, w2 = linalg.eigh(a, subset_by_index=(1, 3))
        close(v2, v[..., 1:3], dtype)
        close(w2, w[..., 1:3], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape, dtype):
    a = sample(shape, dtype)
    k = min(shape[-2:])
    for full in (False, True):
        u, s, vh = map(onp.asarray, linalg.svd(a, full_matrices=full))
        assert u.shape[-1] == (shape[-2] if full else k)
        assert vh.shape[-2] == (shape[-1] if full else k)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, dtype)
        orthonormal(u, dtype)
        orthonormal(adjoint(vh), dtype)
        assert (onp.diff(s, axis=-1) <= 0).all()
        close(linalg.svd(a, full_matrices=full, compute_uv=False), s, dtype)
    if k > 2:
        u2, s2, vh2 = linalg.svd(a, full_matrices=False, subset_by_index=(1, 3))
        close(s2, s[..., 1:3], dtype)
        assert u2.shape[-1] == vh2.shape[-2] == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_eig(shape, dtype):
    a = sample(shape, dtype)
    w, l, r = map(onp.asarray, linalg.eig(a))
    close(a @ r, r * w[..., None, :], dtype)
    close(adjoint(l) @ a, w[..., :, None] * adjoint(l), dtype)
    close(onp.linalg.norm(r, axis=-2), onp.ones(w.shape), dtype)
    only = linalg.eig(a, compute_left_eigenvectors=False, compute_right_eigenvectors=False)
    close(onp.sort_complex(only[0]), onp.sort_complex(w), dtype)


# --- what cannot be factored -------------------------------------------------------------

NOT_DEFINITE = onp.diag([1.0, -1.0, 1.0])


def test_cholesky_of_what_is_not_positive_definite_is_nan():
    good = definite((3, 3))
    out = onp.asarray(linalg.cholesky(onp.stack([good, NOT_DEFINITE, onp.zeros((3, 3))])))
    close(out[0], onp.linalg.cholesky(good), "float64")
    for bad in out[1:]:
        assert onp.isnan(bad[onp.tril_indices(3)]).all()
        assert (bad[onp.triu_indices(3, 1)] == 0).all()


CALLS = {
    "cholesky": linalg.cholesky,
    "lu": lambda x: linalg.lu(x)[0],
    "qr": lambda x: linalg.qr(x),
    "qr-pivoting": lambda x: linalg.qr(x, pivoting=True)[:2],
    "geqrf": linalg.geqrf,
    "eigh": linalg.eigh,
    "svd": linalg.svd,
    "svd-values": lambda x: linalg.svd(x, compute_uv=False),
    "eig": linalg.eig,
    "svd-by-qr": lambda x: linalg.svd(x, algorithm=linalg.SvdAlgorithm.QR),
    "hessenberg": linalg.hessenberg,
    "tridiagonal": linalg.tridiagonal,
    "schur": linalg.schur,
    "qdwh": lambda x: linalg.qdwh(x)[:2],
    "ormqr": lambda x: linalg.ormqr(*linalg.geqrf(x), x),
    "triangular_sylvester": lambda x: linalg.triangular_sylvester_p.bind(
        x, x, x, adjoint_a=True, adjoint_b=False, minus=False
    ),
}


@pytest.mark.parametrize("value", [onp.nan, -onp.inf])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("name", CALLS)
def test_nan_and_infinity_give_nan_and_leave_the_rest_of_a_batch(name, dtype, value):
    a = definite((3, 5, 5), dtype)
    bad = a.copy()
    bad[1, 2, 1] = bad[1, 1, 2] = value
    with onp.errstate(all="ignore"):
        got, want = (CALLS[name](x) for x in (bad, a))
    for g, w in zip(
        *[x if isinstance(x, (tuple, list)) else [x] for x in (got, want)], strict=True
    ):
        g, w = onp.asarray(g), onp.asarray(w)
        assert (g[[0, 2]] == w[[0, 2]]).all()
        upper = name.startswith("qr") or name == "cholesky"
        part = g[1] if g.ndim < 3 or not upper else onp.where(w[1] == 0, onp.nan, g[1])
        assert onp.isnan(part).all()


def test_singular_systems():
    packed, pivots, permutation = linalg.lu(onp.zeros((3, 3)))
    assert (onp.asarray(packed) == 0).all() and (onp.asarray(permutation) == onp.arange(3)).all()
    x = linalg.triangular_solve(onp.zeros((2, 2)), onp.ones((2, 1)), left_side=True)
    assert not onp.isfinite(x).any()


ERRORS = [
    (lambda: linalg.cholesky(onp.ones((2, 3))), ValueError, "float64[2,3]"),
    (lambda: linalg.cholesky(onp.ones(3)), ValueError, "float64[3]"),
    (lambda: linalg.cholesky(onp.ones((2, 2), int)), TypeError, "astype(float)"),
    (lambda: linalg.qr(onp.ones((2, 2), bool)), TypeError, "bool[2,2]"),
    (lambda: linalg.svd(onp.ones((2, 2), "float16")), NotImplementedError, "astype('float32')"),
    (lambda: linalg.lu(np.ones((2, 2), np.bfloat16)), NotImplementedError, "bfloat16[2,2]"),
    (lambda: linalg.triangular_solve(onp.eye(3), onp.ones((2, 2))), ValueError, "dimension -1"),
    (lambda: linalg.triangular_solve(onp.eye(3), onp.ones(3, "float32")), TypeError, "float32"),
    (lambda: linalg.householder_product(onp.ones((2, 3)), onp.ones(2)), ValueError, "m >= n"),
    (lambda: linalg.lu_pivots_to_permutation(onp.zeros(3, int), 2), ValueError, "size is 2"),
    (lambda: linalg.eigh(onp.eye(3), subset_by_index=(1, 5)), ValueError, "(1, 5)"),
    (lambda: linalg.svd(onp.eye(3), algorithm="jacobi"), TypeError, "'jacobi'"),
    (
        lambda: linalg.svd(onp.eye(3), algorithm=linalg.SvdAlgorithm.JACOBI),
        NotImplementedError,
        "SvdAlgorithm.JACOBI",
    ),
    (
        lambda: linalg.eigh(onp.eye(3), implementation=linalg.EighImplementation.QDWH),
        NotImplementedError,
        "EighImplementation.QR",
    ),
    (
        lambda: linalg.eig(onp.eye(3), implementation=linalg.EigImplementation.MAGMA),
        NotImplementedError,
        "EigImplementation.LAPACK",
    ),
    (lambda: linalg.hessenberg(onp.ones((2, 3))), ValueError, "float64[2,3]"),
    (lambda: linalg.ormqr(onp.ones((3, 2)), onp.ones(2), onp.ones((2, 3))), ValueError, "3 rows"),
    (lambda: linalg.ormqr(onp.ones((3, 2)), onp.ones(3), onp.ones((3, 3))), ValueError, "taus"),
    (lambda: linalg.schur(onp.eye(2), sort_eig_vals=True), NotImplementedError, "sort_eig_vals"),
    (lambda: linalg.cholesky_update(onp.eye(2), onp.ones(3)), ValueError, "float64[3]"),
    (lambda: linalg.symmetric_product(onp.ones((3, 2)), onp.eye(2)), ValueError, "float64[2,2]"),
    (lambda: linalg.tridiagonal_solve(*onp.ones((3, 2)), onp.ones(2)), ValueError, "float64[2]"),
    (lambda: linalg.tridiagonal_solve(*onp.ones((3, 2)), onp.ones((3, 1))), ValueError, "(..., n)"),
    (lambda: linalg.qdwh(onp.ones((2, 3))), ValueError, "transpose"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_errors(i):
    call, kind, text = ERRORS[i]
    with pytest.raises(kind) as info:
        call()
    assert text in str(info.value)


# --- transformations ---------------------------------------------------------------------


def eigh_parts(x):
    v, w = linalg.eigh(x)
    scaled = v * np.sin(w)[..., None, :].astype(v.dtype)
    return w, scaled @ np.conj(np.matrix_transpose(v))


def svd_parts(x):
    u, s, vh = linalg.svd(x, full_matrices=False)
    return s, (u * np.sin(s)[..., None, :].astype(u.dtype)) @ vh


def eig_parts(x):
    """What does not depend on the lengths and phases of eigenvectors."""
    w, l, r = linalg.eig(x, enable_eigvec_derivs=True)
    scaled = r * np.sin(w)[..., None, :]
    adjoint = np.conj(np.matrix_transpose(l))
    return scaled @ np.linalg.inv(r), np.linalg.inv(adjoint) @ (np.sin(w)[..., :, None] * adjoint)


def triangular_sylvester(a, b, c, **params):
    return linalg.triangular_sylvester_p.bind(np.triu(a), np.triu(b), c, **params)


def positive_diagonal(r):
    return onp.triu(r, 1) + abs(r) * onp.eye(r.shape[-1])


def lu_parts(x):
    return linalg.lu(x)[0]


RULES: dict = {}
for n in (1, 4):
    RULES[f"eigh_tridiagonal-{n}"] = (
        lambda d, e: linalg.eigh_tridiagonal_p.bind(d, e, vectors=False), sample((n,)) + 2,
        sample((n - 1,), seed=1),
    )  # fmt: skip
    RULES[f"eigh_tridiagonal-vectors-{n}"] = (
        lambda d, e: linalg.eigh_tridiagonal_p.bind(d, e, vectors=True)[1] ** 2, sample((n,)) + 2,
        sample((n - 1,), seed=1),
    )  # fmt: skip
for dt in ("float64", "complex128"):
    for shape in ((4, 4), (1, 1), (2, 3, 3)):
        d, h, g = definite(shape, dt), hermitian(shape, dt), sample(shape, dt)
        RULES[f"cholesky-{dt}-{shape}"] = (linalg.cholesky, d)
        RULES[f"cholesky-lower-{dt}-{shape}"] = (
            lambda x: linalg.cholesky(x, symmetrize_input=False), d,
        )  # fmt: skip
        RULES[f"eigh-{dt}-{shape}"] = (eigh_parts, h)
        RULES[f"eig-{dt}-{shape}"] = (
            lambda x: np.sum(np.sin(linalg.eig(
                x, compute_left_eigenvectors=False, compute_right_eigenvectors=False
            )[0]), -1), g,
        )  # fmt: skip
    for shape in ((4, 4), (4, 3), (3, 4), (2, 3, 3)):
        g = sample(shape, dt)
        RULES[f"lu-{dt}-{shape}"] = (lu_parts, g)
        RULES[f"qr-{dt}-{shape}"] = (lambda x: linalg.qr(x, full_matrices=False), g)
        RULES[f"svd-{dt}-{shape}"] = (svd_parts, g)
        RULES[f"qr-pivoting-{dt}-{shape}"] = (
            lambda x: linalg.qr(x, full_matrices=False, pivoting=True)[:2], g,
        )  # fmt: skip
        RULES[f"svd-values-{dt}-{shape}"] = (lambda x: linalg.svd(x, compute_uv=False), g)
    for shape in ((4, 4), (1, 1), (2, 3, 3)):
        g, h = sample(shape, dt), hermitian(shape, dt)
        RULES[f"hessenberg-{dt}-{shape}"] = (linalg.hessenberg, g)
        for lower in (True, False):
            RULES[f"tridiagonal-{lower}-{dt}-{shape}"] = (
                functools.partial(linalg.tridiagonal, lower=lower), h,
            )  # fmt: skip
        RULES[f"eig-vectors-{dt}-{shape}"] = (eig_parts, g)
        RULES[f"eig-normalised-{dt}-{shape}"] = (
            lambda x: linalg.eig(x, enable_eigvec_derivs=True), g,
        )  # fmt: skip
        RULES[f"cholesky_update-{dt}-{shape}"] = (
            linalg.cholesky_update, positive_diagonal(g), sample(shape[:-1], dt, 1),
        )  # fmt: skip
        RULES[f"symmetric_product-{dt}-{shape}"] = (
            lambda a, c: linalg.symmetric_product(
                a, c, alpha=2.0, beta=3.0, symmetrize_output=True
            ), g[..., :2], h,
        )  # fmt: skip
        RULES[f"tridiagonal_solve-{dt}-{shape}"] = (
            linalg.tridiagonal_solve, *(sample(shape[:-1], dt, k) + 3 * (k == 1) for k in range(3)),
            sample(shape, dt, 3)[..., :2],
        )  # fmt: skip
    for shape in ((4, 4), (4, 3), (2, 3, 3)):
        RULES[f"qdwh-{dt}-{shape}"] = (lambda x: linalg.qdwh(x)[:2], sample(shape, dt))
    for flags in itertools.product((False, True), repeat=3):
        RULES[f"triangular_sylvester-{dt}-{flags}"] = (
            functools.partial(
                triangular_sylvester,
                **dict(zip(("adjoint_a", "adjoint_b", "minus"), flags, strict=True)),
            ),
            onp.triu(sample((3, 3), dt)) + 4 * onp.eye(3),
            onp.triu(sample((2, 2), dt, 1)), sample((3, 2), dt, 2),
        )  # fmt: skip
    h, taus = (onp.asarray(x) for x in onp.linalg.qr(sample((4, 3), dt), "raw"))
    for flags in itertools.product((False, True), repeat=2):
        RULES[f"ormqr-{dt}-{flags}"] = (
            functools.partial(
                linalg.ormqr, **dict(zip(("left", "transpose"), flags, strict=True))
            ),
            h.T, taus, sample((4, 2) if flags[0] else (2, 4), dt, 1),
        )  # fmt: skip
    RULES[f"householder_product-{dt}"] = (linalg.householder_product, h.T, taus)
    for flags in FLAGS if dt == "complex128" else FLAGS[:1]:
        names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
        RULES[f"triangular_solve-{dt}-{flags}"] = (
            functools.partial(linalg.triangular_solve, **dict(zip(names, flags, strict=True))),
            sample((3, 3), dt) + 3 * onp.eye(3),
            sample((3, 2) if flags[0] else (2, 3), dt, 1),
        )


def flat(fun):
    def wrapped(*args):
        out = fun(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return wrapped


@pytest.mark.parametrize("name", RULES)
def test_jvp_against_differences_and_vjp_against_jvp(name):
    fun, *args = RULES[name]
    fun = flat(fun)
    rng = onp.random.default_rng(zlib.crc32(name.encode()))

    def random_like(x):
        x = onp.asarray(x)
        t = rng.normal(size=x.shape)
        return (t + 1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else t).astype(x.dtype)

    ts = [random_like(a) for a in args]
    outs, out_ts = cv.jvp(fun, args, ts)
    eps = 1e-6
    up = fun(*[a + eps * t for a, t in zip(args, ts, strict=True)])
    down = fun(*[a - eps * t for a, t in zip(args, ts, strict=True)])
    for t, u, d in zip(out_ts, up, down, strict=True):
        want = (onp.asarray(u) - onp.asarray(d)) / (2 * eps)
        onp.testing.assert_allclose(onp.asarray(t), want, rtol=1e-5, atol=1e-5)
    cts = [random_like(o) for o in outs]
    back = cv.vjp(fun, *args)[1](list(map(np.asarray, cts)))
    lhs = sum(onp.sum(c * onp.asarray(t)) for c, t in zip(cts, out_ts, strict=True))
    rhs = sum(onp.sum(onp.asarray(b) * t) for b, t in zip(back, ts, strict=True))
    onp.testing.assert_allclose(onp.real(lhs), onp.real(rhs), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [n for n in RULES if "(2, 3, 3)" not in n])
def test_vmap_equals_loop_and_jit_equals_eager(name):
    fun, *args = RULES[name]
    fun = flat(fun)
    for mapped in itertools.product((False, True), repeat=len(args)):
        if not any(mapped):
            continue
        axes = [
            (i + 1) % (a.ndim + 1) if m else None
            for i, (a, m) in enumerate(zip(args, mapped, strict=True))
        ]
        batch = [
            a if k is None else onp.stack([a * (1 + 0.1 * b) for b in range(3)], k)
            for a, k in zip(args, axes, strict=True)
        ]
        outs = cv.vmap(fun, in_axes=tuple(axes))(*batch)
        for b in range(3):
            one = [x if k is None else onp.take(x, b, k) for x, k in zip(batch, axes, strict=True)]
            for got, want in zip(outs, fun(*one), strict=True):
                onp.testing.assert_allclose(onp.asarray(got)[b], onp.asarray(want), 1e-8, 1e-9)
    for got, want in zip(cv.jit(fun)(*args), fun(*args), strict=True):
        onp.testing.assert_allclose(onp.asarray(got), onp.asarray(want), 1e-11, 1e-11)


def test_second_derivatives():
    a = definite((3, 3))

    def f(x):
        v, w = linalg.eigh(x)
        return np.sum(linalg.cholesky(x)) + np.sum(np.sin(w) * v[0] ** 2)

    t = hermitian((3, 3), seed=3)
    gradient = cv.grad(f)
    want = (gradient(a + 1e-6 * t) - gradient(a - 1e-6 * t)) / 2e-6
    onp.testing.assert_allclose(cv.jvp(gradient, (a,), (t,))[1], want, rtol=1e-5, atol=1e-6)


def test_no_derivative_of_what_is_not_determined():
    for call in (linalg.qr, linalg.svd, lambda x: linalg.eig(x[:3])):
        with pytest.raises(NotImplementedError, match="derivative"):
            cv.jvp(call, (sample((4, 3)),), (sample((4, 3)),))


# --- sizes and threads -------------------------------------------------------------------


def test_a_new_size_compiles_nothing():
    calls = {
        **CALLS,
        "solve": lambda x: linalg.triangular_solve(x, x),
        "product": lambda x: linalg.householder_product(*linalg.geqrf(x)),
    }
    for call in calls.values():
        call(definite((20, 20)))
        call(definite((2, 20, 20)))
    before = cpu.statistics["compiled"] + cpu.statistics["loaded"]
    for call in calls.values():
        call(definite((37, 37)))
        call(definite((5, 33, 33)))
    assert cpu.statistics["compiled"] + cpu.statistics["loaded"] == before


@pytest.mark.parametrize("name", [n for n in CALLS if n != "svd-values"])
def test_results_do_not_depend_on_the_number_of_threads(name):
    many, one = definite((40, 20, 20), "float32"), definite((150, 150))
    threads = _native.num_threads()
    results = []
    try:
        for n in (1, 3):
            _native.set_num_threads(n)
            results.append([CALLS[name](x) for x in (many, one)])
    finally:
        _native.set_num_threads(threads)
    for a, b in zip(*(cv.tree.leaves(r) for r in results), strict=True):
        assert (onp.asarray(a) == onp.asarray(b)).all()


# --- the peer ----------------------------------------------------------------------------

PEER = {
    "cholesky": lambda la, x, s: la.cholesky(s),
    "cholesky-bad": lambda la, x, s: la.cholesky(-s),
    "triangular_solve": lambda la, x, s: la.triangular_solve(x, s, lower=True, transpose_a=True),
    "lu": lambda la, x, s: la.lu(x),
    "qr": lambda la, x, s: la.qr(x[:, :3]),
    "qr-pivoting": lambda la, x, s: la.qr(x, pivoting=True),
    "eigh": lambda la, x, s: la.eigh(s)[1],
    "svd": lambda la, x, s: la.svd(x)[1],
    "householder_product": lambda la, x, s: la.householder_product(x[:, :3], x[0, :3]),
    "hessenberg": lambda la, x, s: la.hessenberg(x),
    "tridiagonal": lambda la, x, s: la.tridiagonal(s),
    "tridiagonal-upper": lambda la, x, s: la.tridiagonal(s, lower=False),
    "schur": lambda la, x, s: la.schur(x),
    "ormqr": lambda la, x, s: la.ormqr(x[:, :3], x[0, :3], s, left=False, transpose=True),
    "svd-by-qr": lambda la, x, s: la.svd(x, algorithm=la.SvdAlgorithm.QR)[1],
    "qdwh": lambda la, x, s: la.qdwh(x)[:2],
    "tridiagonal_solve": lambda la, x, s: la.tridiagonal_solve(x[0], x[1] + 3, x[2], s),
    "eig-vectors-derivative": lambda la, x, s: abs(onp.asarray(derivative_of_eig(la, x, s))),
}


def derivative_of_eig(la, x, s):
    """The tangent of the first eigenvector, which LAPACK gives the same phase in both."""
    jvp = cv.jvp if la is linalg else __import__("jax").jvp
    return jvp(
        lambda a: la.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)[1][:, 0],
        (x,),
        (s,),
    )[1]


@pytest.mark.peer
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("name", PEER)
def test_against_jax(name, dtype):
    import jax

    x, s = sample((5, 5), dtype), definite((5, 5), dtype)
    got = PEER[name](linalg, np.asarray(x), np.asarray(s))
    want = PEER[name](jax.lax.linalg, jax.numpy.asarray(x), jax.numpy.asarray(s))
    for g, w in zip(cv.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert str(g.dtype) == str(w.dtype)
        close(g, w, dtype)
