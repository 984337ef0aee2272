"""Linear algebra on XLA's plugin for CPUs: shapes, dtypes, and matrices that are hard."""

import numpy as onp
import pytest
import scipy.linalg

import covector as cv
import covector.numpy
from covector import lax
from covector.backends.pjrt.portable import common
from covector.backends.pjrt.rules import linalg as rules
from covector.lax import linalg
from tests.lax import test_linalg, test_linalg_forms
from tests.lax.test_linalg import adjoint, close, definite, hermitian, orthonormal, sample

pytestmark = pytest.mark.platform
# Shapes with and without elements, below and above the sizes from which blocks are used.
EMPTY = [(0, 0), (3, 0), (0, 3), (0, 4, 4)]


@pytest.fixture(autouse=True)
def on_xla():
    with cv.enable_x64(), cv.default_device(cv.devices("xla_cpu")[0]):
        yield


def compiled(fun, *args):
    """The results as NumPy's arrays, of one program."""
    return [onp.asarray(x) for x in cv.tree.leaves(cv.jit(fun)(*args))]


@pytest.mark.parametrize("shape", [*EMPTY, (5, 3), (3, 5), (70, 90)])
def test_rectangular(shape):
    test_linalg.test_lu(shape, "complex128" if shape == (5, 3) else "float64")
    if shape != (70, 90):
        test_linalg.test_qr(shape, "complex128" if shape == (3, 5) else "float64")
        test_linalg.test_svd(shape, "float64" if shape == (3, 5) else "complex128")


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (0, 4, 4)])
def test_square(shape):
    for test in (
        test_linalg.test_cholesky, test_linalg.test_eigh, test_linalg.test_eig,
        test_linalg_forms.test_hessenberg, test_linalg_forms.test_schur,
        test_linalg_forms.test_cholesky_update,
    ):  # fmt: skip
        test(shape, "complex128")
    test_linalg_forms.test_tridiagonal(shape, "float64", True)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision(dtype):
    a, h = sample((2, 12, 12), dtype), hermitian((2, 12, 12), dtype)
    p, l, u = compiled(lambda a: cv.numpy.linalg.eigh(a) + (linalg.schur(a)[0],), h)
    assert p.dtype == u.dtype.type(0).real.dtype and l.dtype == u.dtype == dtype
    close((l * p[..., None, :]) @ adjoint(l), h, dtype)
    u, s, vh, w, r = compiled(
        lambda a: (*linalg.svd(a), *linalg.eig(a, compute_left_eigenvectors=False)), a
    )
    close((u * s[..., None, :]) @ vh, a, dtype)
    close(a @ r, r * w[..., None, :], dtype)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks(dtype):
    a, d = sample((2, 70, 70), dtype), definite((2, 70, 70), dtype)
    packed, pivots, order, l, r = compiled(
        lambda a, d: (
            *linalg.lu(a), linalg.cholesky(d), cv.scipy.linalg.cholesky(d),
        ), a, d,
    )  # fmt: skip
    want = [onp.asarray(x) for x in cv.device_put(linalg.lu(a), cv.devices("cpu")[0])]
    close(packed, want[0], dtype)
    assert (pivots == want[1]).all() and (order == want[2]).all()
    close(onp.tril(packed, -1) @ onp.triu(packed) + onp.triu(packed),
          onp.take_along_axis(a, order[..., None], 1), dtype)  # fmt: skip
    close(l @ adjoint(l), d, dtype)
    close(adjoint(r), l, dtype)
    d[1, 69, 69] = -1
    l = onp.asarray(linalg.cholesky(d))
    assert onp.isfinite(l[0]).all() and onp.isnan(l[1][onp.tril_indices(70)]).all()
    assert (onp.triu(l[1], 1) == 0).all()


@pytest.mark.parametrize("scale", [1e-220, 1e200])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_extreme_scales(dtype, scale):
    a, h = sample((5, 5), dtype), hermitian((5, 5), dtype)
    v, w, s, t, q, eigenvalues, qr_q, qr_r, packed, pivoted = compiled(
        lambda a, h: (
            *linalg.eigh(h), linalg.svd(a, compute_uv=False), *linalg.schur(a),
            linalg.eig(a, compute_left_eigenvectors=False)[0], *linalg.qr(a),
            linalg.hessenberg(a)[0], linalg.qr(a, pivoting=True)[1],
        ), a * scale, h * scale,
    )  # fmt: skip
    close((v * (w / scale)) @ adjoint(v), h, dtype)
    close(s / scale, onp.linalg.svd(a)[1], dtype)
    close(q @ (t / scale) @ adjoint(q), a, dtype)
    want = onp.linalg.eigvals(a)
    close(onp.sort_complex(eigenvalues / scale), onp.sort_complex(want), dtype)
    close(qr_q @ (qr_r / scale), a, dtype)
    close(onp.linalg.norm(onp.triu(packed / scale, -1)), onp.linalg.norm(a), dtype)
    close(onp.linalg.norm(pivoted / scale), onp.linalg.norm(a), dtype)


CYCLE = onp.roll(onp.eye(6), 1, 0)
HARD = {
    "zero": onp.zeros((6, 6)),
    "one": onp.eye(6),
    "diagonal": onp.diag([3.0, -1.0, 3.0, 0.0, 3.0, 3.0]),
    "cycle": CYCLE,  # shifts of zero go in circles
    "negative": -onp.ones((6, 6)),
    "rank-1": onp.outer(onp.arange(1.0, 7), onp.arange(6.0)),
    "jordan": onp.eye(40) * 2 + onp.eye(40, k=1),
    "lower": onp.eye(6) + onp.eye(6, k=-1),
    "pairs": scipy.linalg.block_diag(
        [[1.0, 2], [-3, 1]], [[0.0, 1], [-1, 0]], [[5.0, 1], [2, 3]]
    ),
    "real and pairs": scipy.linalg.block_diag([[1.0, 2], [-3, 1]], 4, [[0.0, 1], [-1, 0]], -2),
    "graded": onp.vander(onp.linspace(0.01, 1, 6)),
    "clustered": onp.eye(6) + 1e-12 * (onp.ones((6, 6)) - onp.eye(6)),
}  # fmt: skip


@cv.jit
def factored(a, h):
    return (
        *linalg.eigh(h), *linalg.svd(a), *linalg.schur(a), *linalg.schur(a + 0j),
        *linalg.eig(a, compute_left_eigenvectors=False),
    )  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_matrices(name):
    a = HARD[name]
    size = max(1, abs(a).max())
    h = a + a.T
    v, w, u, s, vh, t, q, tc, qc, values, right = map(onp.asarray, factored(a, h))
    for x in (v, u, adjoint(vh), q, qc):
        orthonormal(x, "float64")
    close((v * w) @ v.T / size, h / size, "float64")
    close((u * s) @ vh / size, a / size, "float64")
    assert (onp.diff(w) >= 0).all() and (onp.diff(s) <= 0).all()
    close(q @ t @ q.T / size, a / size, "float64")
    close(qc @ tc @ adjoint(qc) / size, a / size, "float64")
    below = onp.diagonal(t, -1)
    assert (onp.tril(t, -2) == 0).all() and not (below[1:] * below[:-1]).any()
    assert (onp.tril(tc, -1) == 0).all()
    for k in onp.nonzero(below)[0]:
        assert t[k, k] == t[k + 1, k + 1] and t[k, k + 1] * t[k + 1, k] < 0
    assert onp.isfinite(right).all()
    close(a @ right / size, right * values / size, "float64")
    close(onp.linalg.norm(right, axis=0), onp.ones(len(a)), "float64")


def test_eigenvectors_are_those_of_the_cpu_up_to_signs():
    for a in (sample((6, 6)), sample((6, 6), "complex128")):
        values, *got = compiled(linalg.eig, a)
        with cv.default_device(cv.devices("cpu")[0]):
            want_values, *want = compiled(linalg.eig, a)
        close(values, want_values, "float64")
        for v, w in zip(got, want, strict=True):
            close(v * onp.sign((w.conj() * v).real.sum(0)), w, "float64")
            assert (onp.take_along_axis(v, abs(v).argmax(0)[None], 0).imag == 0).all()


def test_the_portable_factorisation_is_that_of_the_call(monkeypatch):
    shapes = [((4, 4), "float64"), ((2, 5, 3), "complex128"), ((3, 5), "float64")]
    for shape, dtype in shapes:
        a = sample(shape, dtype)
        called = compiled(lambda a: linalg.qr(a, full_matrices=False), a)
        with monkeypatch.context() as patch:
            patch.setattr(rules, "_XLA", ())
            program = cv.jit(lambda a: linalg.qr(a, full_matrices=False)).lower(a)
            assert "custom_call" not in program.as_text()
            portable = [onp.asarray(x) for x in program.compile()(a)]
        for x, y in zip(called, portable, strict=True):
            close(x, y, dtype)
    assert '"Qr"' in cv.jit(linalg.geqrf).lower(a).as_text()


def test_tridiagonal_and_sylvester_equations():
    test_linalg_forms.test_singular_tridiagonal_systems()
    for n in (0, 1, 2, 40):
        test_linalg_forms.test_tridiagonal_solve(n, (2, 3), "complex128")
    test_linalg_forms.test_triangular_sylvester("float64", (True, False, True))
    a = onp.diag([1.0, 2.0])  # 1 - 1 is replaced by the rounding unit
    x = linalg.triangular_sylvester_p.bind(
        cv.numpy.asarray(a), cv.numpy.asarray(a), cv.numpy.ones((2, 2)), adjoint_a=False,
        adjoint_b=False, minus=True,
    )  # fmt: skip
    assert onp.isfinite(x).all() and abs(onp.asarray(x))[0, 0] > 1e14


@pytest.mark.parametrize("norm", [1e-9, 0.5, 3.0, 40.0])
def test_exponentials(norm):
    a, e = sample((2, 5, 5)) * norm / 5, sample((2, 5, 5), seed=1)
    x, d = compiled(
        lambda a, e: (
            cv.scipy.linalg.expm(a), cv.scipy.linalg.expm_frechet(a, e, compute_expm=False)
        ), a, e,
    )  # fmt: skip
    for k in range(2):
        want, change = scipy.linalg.expm_frechet(a[k], e[k])
        onp.testing.assert_allclose(x[k], want, 1e-12, 1e-12 * abs(want).max())
        onp.testing.assert_allclose(d[k], change, 1e-11, 1e-11 * abs(change).max())


def test_exponentials_that_take_too_many_squarings():
    a = onp.stack([onp.eye(3), onp.eye(3) * 1e9])
    x = onp.asarray(cv.jit(lambda a: cv.scipy.linalg.expm(a, max_squarings=4))(a))
    close(x[0], onp.eye(3) * onp.e, "float64")
    assert onp.isnan(x[1]).all()


def test_powers_of_two_scale_without_rounding():
    for x in (onp.float64(3.7e300), onp.float64(5e-300), onp.float64(0)):
        a = onp.array([[x, -x / 3]])
        back, size = compiled(
            lambda a: (common.restored(*common.scaled(a)), lax.abs(common.scaled(a)[0])), a
        )
        assert (back == a).all() and size.max() <= 2 and (size.max() >= 0.5 or x == 0)
