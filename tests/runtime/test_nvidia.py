"""Linear algebra by NVIDIA's functions: what goes into them and what is made of their results.

No GPU is needed: the rules of `cuda` write programs for XLA's CPU plugin here, in which functions
of LAPACK that do what NVIDIA documents of theirs stand for them. That the programs with the true
functions compile is seen by `tests.aot`.
"""

import sys
import types
import warnings

import numpy as onp
import pytest
import scipy.linalg
from scipy.linalg import lapack

import covector as cv
from covector.backends.pjrt import lower, nvidia, plugins
from covector.backends.pjrt.rules import nvidia as rules
from covector.backends.pjrt.rules.expansions import expand
from covector.lax import linalg
from tests.lax.test_linalg import adjoint, close, definite, hermitian, sample

DTYPES = ["float32", "float64", "complex64", "complex128"]


def routine(name, a):
    """LAPACK's of a type; those for orthogonal matrices have other names if these are unitary."""
    if onp.iscomplexobj(a):
        name = {"orgqr": "ungqr", "ormqr": "unmqr", "syevd": "heevd", "sytrd": "hetrd"}.get(
            name, name
        )
    return lapack.get_lapack_funcs(name, (a,))


def getrf(a):
    packed, pivots, info = routine("getrf", a)(a)
    return packed, pivots + 1, info


def permutation(pivots, *, size):
    order = onp.arange(size)
    for k, pivot in enumerate(pivots):
        order[[k, pivot]] = order[[pivot, k]]
    return (order,)


def geqrf(a):
    return routine("geqrf", a)(a)[:2]


def orgqr(a, taus):
    return routine("orgqr", a)(a, taus)[:1]


def ormqr(a, taus, c, *, left, transpose):
    adjoint = "C" if onp.iscomplexobj(a) else "T"
    side, turned = "L" if left else "R", adjoint if transpose else "N"
    return routine("ormqr", a)(side, turned, a, taus, c, 64 * max(c.shape))[:1]


def syevd(a, *, algorithm, lower):
    assert algorithm.dtype == onp.uint8
    w, v, info = routine("syevd", a)(a, lower=lower)
    return v, w, info


def sytrd(a, *, lower):
    return routine("sytrd", a)(a, lower=lower)


def gesvd(a, *, compute_uv, full_matrices, transposed):
    assert not transposed and a.shape[0] >= a.shape[1]
    if not compute_uv:
        s = scipy.linalg.svd(a, compute_uv=False, lapack_driver="gesvd")
        return a, s, a.dtype.type(7), a.dtype.type(7), 0
    u, s, vh = scipy.linalg.svd(a, full_matrices, lapack_driver="gesvd")
    return a, s, u, vh, 0


def gesvdj(a, *, compute_uv, full_matrices):
    assert full_matrices
    u, s, vh = scipy.linalg.svd(a, True)
    return a, s, u, adjoint(vh), 0


def geev(a, *, left, right):
    assert not left
    found = routine("geev", a)(a, compute_vl=False, compute_vr=True)
    w = found[0] if onp.iscomplexobj(a) else found[0] + 1j * found[1]
    v = found[-2]
    return a, w, v * 0, v if right else v * 0, found[-1]


def gtsv2(dl, d, du, b):
    assert dl[0] == 0 and du[-1] == 0
    return (routine("gtsv", d)(dl[1:], d, du[:-1], b)[3],)


FUNCTIONS = {
    "cusolver_getrf_ffi": getrf, "cusolver_geqrf_ffi": geqrf, "cusolver_orgqr_ffi": orgqr,
    "cusolver_ormqr_ffi": ormqr, "cusolver_syevd_ffi": syevd, "cusolver_sytrd_ffi": sytrd,
    "cusolver_gesvd_ffi": gesvd, "cusolver_gesvdj_ffi": gesvdj, "cusolver_geev_ffi": geev,
    "cusparse_gtsv2_ffi": gtsv2, "cu_lu_pivots_to_permutation": permutation,
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """The names of the functions that programs for `xla_cpu` were written with."""
    written = []

    def call(b, name, operands, outs, alias=None, **attributes):
        written.append(name)
        ranks = [rank for _, rank in operands]
        shapes = [cv.ShapeDtypeStruct(shape, dtype) for (dtype, shape), _ in outs]
        if name == "cu_lu_pivots_to_permutation":
            attributes["size"] = shapes[0].shape[-1]

        def one_by_one(*xs):
            lead = xs[0].shape[: xs[0].ndim - ranks[0]]
            made = [onp.empty(s.shape, s.dtype) for s in shapes]
            for at in onp.ndindex(lead):
                found = FUNCTIONS[name](*[onp.asarray(x)[at] for x in xs], **attributes)
                for out, value, (_, rank) in zip(made, found, outs, strict=True):
                    assert onp.shape(value) == out.shape[len(lead) :] and rank == onp.ndim(value)
                    out[at] = value
            return made

        def through_host(*xs):
            return list(cv.pure_callback(one_by_one, shapes, *xs))

        return expand(b, object(), through_host, *[x for x, _ in operands])

    monkeypatch.setattr(rules, "_call", call)
    monkeypatch.setattr(nvidia, "targets", lambda: frozenset(FUNCTIONS))
    monkeypatch.setattr(nvidia, "cuda_version", lambda: 13)
    monkeypatch.setattr(lower, "OWN", {"xla_cpu": lower.OWN["cuda"]})
    with cv.enable_x64(), cv.default_device(cv.devices("xla_cpu")[0]):
        yield written


def compiled(fun, *args):
    """The results as NumPy's arrays, of one program."""
    return [onp.asarray(x) for x in cv.tree.leaves(cv.jit(lambda *a: fun(*a))(*args))]


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (1, 1), (2, 3, 6, 6)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lu(calls, dtype, shape):
    a = sample(shape, dtype)
    packed, pivots, order = compiled(linalg.lu, a)
    n, k = shape[-1], min(shape[-2:])
    l = onp.tril(packed, -1)[..., :k] + onp.eye(shape[-2], k)
    close(l @ onp.triu(packed)[..., :k, :n], onp.take_along_axis(a, order[..., None], -2), dtype)
    assert pivots.min() >= 0 and pivots.max() < shape[-2]
    assert calls == ["cusolver_getrf_ffi", "cu_lu_pivots_to_permutation"]


@pytest.mark.parametrize("mode", ["reduced", "complete"])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 5, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_qr(calls, dtype, shape, mode):
    a = sample(shape, dtype)
    q, r = compiled(lambda a: linalg.qr(a, full_matrices=mode == "complete"), a)
    close(q @ r, a, dtype)
    close(adjoint(q) @ q, onp.broadcast_to(onp.eye(q.shape[-1]), (*shape[:-2], *[q.shape[-1]] * 2)),
          dtype)  # fmt: skip
    assert (onp.tril(r, -1) == 0).all()
    assert calls == ["cusolver_geqrf_ffi", "cusolver_orgqr_ffi"]


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_ormqr(calls, dtype, transpose, left):
    a, c = sample((6, 4), dtype), sample((6, 6), dtype)
    packed, taus = lapack.get_lapack_funcs("geqrf", (a,))(a)[:2]
    (got,) = compiled(
        lambda *xs: linalg.ormqr(*xs, left=left, transpose=transpose), packed, taus, c
    )
    q = scipy.linalg.qr(a)[0]
    q = adjoint(q) if transpose else q
    close(got, q @ c if left else c @ q, dtype)
    assert calls == ["cusolver_ormqr_ffi"]


@pytest.mark.parametrize("lower_triangle", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh(calls, dtype, lower_triangle):
    h = hermitian((2, 6, 6), dtype)
    read = onp.tril(h) if lower_triangle else onp.triu(h)
    v, w = compiled(
        lambda a: linalg.eigh(a, lower=lower_triangle, symmetrize_input=False), read
    )  # fmt: skip
    close((v * w[..., None, :]) @ adjoint(v), h, dtype)
    assert w.dtype == onp.dtype(dtype).type(0).real.dtype and (onp.diff(w) >= 0).all()
    assert calls == ["cusolver_syevd_ffi"]
    (only,) = compiled(lambda a: cv.numpy.linalg.eigvalsh(a), h)
    close(only, w, dtype)


@pytest.mark.parametrize("lower_triangle", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tridiagonal(calls, dtype, lower_triangle):
    h = hermitian((2, 5, 5), dtype)
    _, d, e, _ = compiled(lambda a: linalg.tridiagonal(a, lower=lower_triangle), h)
    for k in range(2):
        close(scipy.linalg.eigvalsh_tridiagonal(d[k], e[k]), onp.linalg.eigvalsh(h[k]), dtype)
    assert calls == ["cusolver_sytrd_ffi"]


@pytest.mark.parametrize("algorithm", ["DEFAULT", "QR"])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (2, 5, 5), (1, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_svd(calls, dtype, shape, full, algorithm):
    a = sample(shape, dtype)
    how = linalg.SvdAlgorithm[algorithm]
    u, s, vh = compiled(lambda a: linalg.svd(a, full_matrices=full, algorithm=how), a)
    k, (m, n) = min(shape[-2:]), shape[-2:]
    assert u.shape[-2:] == (m, m if full else k) and vh.shape[-2:] == (n if full else k, n)
    close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, dtype)
    for q in (u, adjoint(vh)):
        size = q.shape[-1]
        close(adjoint(q) @ q, onp.broadcast_to(onp.eye(size), (*shape[:-2], size, size)), dtype)
    (only,) = compiled(lambda a: linalg.svd(a, compute_uv=False, algorithm=how), a)
    close(only, s, dtype)
    name = "cusolver_gesvd_ffi" if algorithm == "QR" else "cusolver_gesvdj_ffi"
    assert calls == [name, name]


def test_large_singular_values(calls):
    a = sample((1100, 3), "float64")
    (s,) = compiled(lambda a: linalg.svd(a, compute_uv=False), a)
    close(s, onp.linalg.svd(a)[1], "float64")
    assert calls == ["cusolver_gesvd_ffi"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_eig(calls, dtype):
    pairs = scipy.linalg.block_diag([[1.0, 2], [-3, 1]], 4, [[0.0, 1], [-1, 0]], -2, 1)
    base = sample((7, 7), "float64")
    a = onp.stack([sample((7, 7), dtype), (base @ pairs @ onp.linalg.inv(base)).astype(dtype)])
    w, v = compiled(lambda a: linalg.eig(a, compute_left_eigenvectors=False), a)
    close(a @ v, v * w[..., None, :], dtype)
    close(onp.linalg.norm(v, axis=-2), onp.ones((2, 7)), dtype)
    (only,) = compiled(cv.numpy.linalg.eigvals, a)
    close(only, w, dtype)
    assert calls == ["cusolver_geev_ffi"] * 2
    left = compiled(lambda a: linalg.eig(a)[1], a)  # which NVIDIA's does not find
    assert len(left) == 1 and calls == ["cusolver_geev_ffi"] * 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_tridiagonal_solve(calls, dtype):
    dl, d, du = (sample((3, 6), dtype) for _ in range(3))
    d, b = d + 4, sample((3, 6, 2), dtype)
    (x,) = compiled(linalg.tridiagonal_solve, dl, d, du, b)
    whole = onp.stack([onp.diag(dl[k, 1:], -1) + onp.diag(d[k]) + onp.diag(du[k, :-1], 1)
                       for k in range(3)])  # fmt: skip
    close(whole @ x, b, dtype)
    assert calls == ["cusparse_gtsv2_ffi"]
    compiled(linalg.tridiagonal_solve, dl[:, :2], d[:, :2], du[:, :2], b[:, :2])
    assert calls == ["cusparse_gtsv2_ffi"]


def test_not_finite(calls):
    a = onp.stack([definite((4, 4), "float64")] * 3)
    a[1, 2, 2], a[2, 3, 3] = onp.nan, onp.inf
    outs = compiled(
        lambda a: (
            linalg.lu(a)[0], *linalg.qr(a), *linalg.eigh(a), *linalg.svd(a),
            *linalg.eig(a, compute_left_eigenvectors=False), linalg.tridiagonal(a)[0],
        ), a,
    )  # fmt: skip
    for out in outs:
        assert onp.isfinite(out[0]).all()
        for k in (1, 2):
            assert onp.isnan(out[k][onp.triu_indices(4)] if out.ndim > 2 else out[k]).all()


@pytest.mark.parametrize("scale", [1e-220, 1e200])
def test_extreme_scales(calls, scale):
    a, h = sample((5, 5), "float64"), hermitian((5, 5), "float64")
    v, w, s, eigenvalues, q, r = compiled(
        lambda a, h: (
            *linalg.eigh(h), linalg.svd(a, compute_uv=False),
            linalg.eig(a, compute_left_eigenvectors=False)[0], *linalg.qr(a),
        ), a * scale, h * scale,
    )  # fmt: skip
    close((v * (w / scale)) @ adjoint(v), h, "float64")
    close(s / scale, onp.linalg.svd(a)[1], "float64")
    want = onp.linalg.eigvals(a)
    close(onp.sort_complex(eigenvalues / scale), onp.sort_complex(want), "float64")
    close(q @ (r / scale), a, "float64")


def test_empty_and_failed(calls, monkeypatch):
    assert [x.shape for x in compiled(linalg.lu, onp.zeros((0, 3)))] == [(0, 3), (0,), (0,)]
    assert not calls
    monkeypatch.setitem(FUNCTIONS, "cusolver_syevd_ffi", lambda a, **_: (a, a[0], 2))
    v, w = compiled(linalg.eigh, onp.eye(3))
    assert onp.isnan(v).all() and onp.isnan(w).all()


# --- finding the functions --------------------------------------------------------------------


@pytest.fixture
def package(monkeypatch):
    """Whatever is given stands for the modules of ``jax-cuda13-plugin``; a plugin is there."""
    nvidia.targets.cache_clear()
    nvidia.cuda_version.cache_clear()
    found = plugins.Found("cuda", "/plugins/xla_cuda13/xla_cuda_plugin.so", "of the test")
    monkeypatch.setattr(plugins, "find", lambda platform: found)
    monkeypatch.setattr(
        plugins, "folders_of", lambda name: ["there"] * name.startswith("jax_cuda13")
    )

    def install(**modules):
        monkeypatch.setitem(sys.modules, "jax_cuda13_plugin", types.ModuleType("jax_cuda13_plugin"))
        for name in nvidia._MODULES:
            module = types.ModuleType(name)
            module.registrations = modules.get(name, dict)
            monkeypatch.setitem(sys.modules, f"jax_cuda13_plugin.{name}", module)

    yield install
    nvidia.targets.cache_clear()
    nvidia.cuda_version.cache_clear()


def test_none_without_a_plugin(monkeypatch):
    nvidia.cuda_version.cache_clear()

    def none(platform):
        raise RuntimeError("none")

    monkeypatch.setattr(plugins, "find", none)
    assert nvidia.cuda_version() == 0
    nvidia.cuda_version.cache_clear()


def test_functions_of_the_package(package):
    package()
    assert nvidia.cuda_version() == 13 and nvidia.targets() == frozenset()


def test_a_package_that_does_not_load(package):
    def broken():
        raise ImportError("libcusolver.so.12: cannot open shared object file")

    package(_solver=broken)
    with pytest.warns(UserWarning, match=r"jax-cuda13-plugin .* libcusolver.*slower"):
        assert nvidia.targets() == frozenset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nvidia.targets() == frozenset()  # said once
