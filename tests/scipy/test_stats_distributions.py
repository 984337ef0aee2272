"""Distributions: every function against SciPy, in the tails against mpmath, and transformed."""

import functools
import importlib
import inspect

import mpmath
import numpy as np
import pytest
import scipy.stats

import covector as cv
import covector.numpy as cnp
from covector.scipy import stats
from tests.scipy.distributions import TABLE, cases

FUNCTIONS = [(name, f) for name, d in TABLE.items() for f in d.functions.split()]
# Of vectors: tested in test_stats_vectors.py.
OF_VECTORS = {"dirichlet", "multinomial", "multivariate_normal"}


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def function(name, f):
    return getattr(getattr(stats, name), f)


def test_every_function_has_a_row():
    for name in stats._MODULES - OF_VECTORS:
        module = importlib.import_module(f"covector.scipy.stats.{name}")
        assert sorted(TABLE[name].functions.split()) == module.__all__, name


# Where SciPy loses digits, the probability itself in 40 of them.
def _binom(k, n, p, loc):
    k, n, p = k - loc, mpmath.mpf(n), mpmath.mpf(p)
    return mpmath.binomial(n, k) * p**k * (1 - p) ** (n - k)


def _betabinom(k, n, a, b, loc):
    k = k - loc
    return mpmath.binomial(n, k) * mpmath.beta(k + a, n - k + b) / mpmath.beta(a, b)


def _geom(k, p, loc):
    return mpmath.mpf(p) * (1 - mpmath.mpf(p)) ** (k - loc - 1)


def _wrapcauchy(x, c):
    c = mpmath.mpf(c)
    return (1 - c * c) / (2 * mpmath.pi * (1 + c * c - 2 * c * mpmath.cos(x)))


EXACT = {"binom": _binom, "betabinom": _betabinom, "geom": _geom, "wrapcauchy": _wrapcauchy}


def reference(name, f, columns):
    """SciPy's values; our own where it has none or another by definition."""
    want = np.array(getattr(getattr(scipy.stats, name), f)(*columns))
    if name in EXACT:
        for i in np.flatnonzero(np.isfinite(want) & (want != (-np.inf if f[0] == "l" else 0))):
            with mpmath.workdps(40):
                exact = EXACT[name](*[float(c[i]) for c in columns])
                want[i] = float(mpmath.log(exact) if f.startswith("log") else exact)
    parameters = ~np.isnan(sum(columns[1:]))
    if f in ("pdf", "pmf", "logpdf", "logpmf"):
        beside = np.isinf(columns[0]) & np.isnan(want) & parameters
        want = np.where(beside, -np.inf if f.startswith("log") else 0.0, want)
    if (name, f) == ("bernoulli", "ppf"):
        want = np.where(want == -1, 0.0, want)  # the least value that occurs
    return want


def allowed(name, f, columns, want, eps):
    """32 units in the last place, and what becomes of two of them in the arguments."""
    spread = np.zeros_like(want)
    whole = {0} if f in ("pmf", "logpmf") else set()
    whole |= {1} if name in ("binom", "betabinom") else set()
    for i in set(range(len(columns))) - whole:
        for factor in (1 - 2 * eps, 1 + 2 * eps):
            moved = [c * factor if k == i else c for k, c in enumerate(columns)]
            error = np.abs(getattr(getattr(scipy.stats, name), f)(*moved) - want)
            spread = np.maximum(spread, np.where(np.isfinite(error), error, 0))
    return 32 * eps * np.abs(want) + 2 * spread


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, f", FUNCTIONS)
def test_values(name, f, dtype):
    columns = [c.astype(dtype) for c in cases(name, f)[0]]
    wide = [c.astype(np.float64) for c in columns]
    want = reference(name, f, wide)
    limits = np.finfo(dtype)
    bound = allowed(name, f, wide, want, limits.eps) + 4 * limits.tiny
    with cv.enable_x64(dtype == np.float64):
        got = np.asarray(cv.jit(function(name, f))(*columns))
    assert got.dtype == dtype
    got = got.astype(np.float64)
    want = np.where(np.abs(want) > limits.max, np.copysign(np.inf, want), want)
    same = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(got - want) <= bound)
    bad = [(*(c[i] for c in wide), got[i], want[i]) for i in np.flatnonzero(~same)]
    assert not bad, f"{len(bad)} of {len(got)}: {bad[:5]}"


@pytest.mark.parametrize("name", TABLE)
def test_small_dtypes_and_integers(name):
    """Computed in single precision and rounded once; integers become floats."""
    fs = [f for f in TABLE[name].functions.split() if f != "entropy"]
    columns = {f: cases(name, f)[0] for f in fs}

    @cv.jit
    def both(columns):
        got = [function(name, f)(*columns[f]) for f in fs]
        wide = [function(name, f)(*[x.astype(np.float32) for x in columns[f]]) for f in fs]
        return got, [w.astype(g.dtype) for g, w in zip(got, wide, strict=True)]

    for dtype in (cnp.bfloat16, np.float16):
        got, wide = both({f: [cnp.asarray(x, dtype) for x in c] for f, c in columns.items()})
        for g, w in zip(got, wide, strict=True):
            assert g.dtype == dtype
            np.testing.assert_array_equal(np.asarray(g, np.float32), np.asarray(w, np.float32))
    for f, c in columns.items():
        whole = [cv.ShapeDtypeStruct(x.shape, np.int32) for x in c]
        assert cv.eval_shape(function(name, f), *whole).dtype == np.float32


@pytest.mark.parametrize("name", TABLE)
def test_eager_mapped_and_empty(name):
    fs = TABLE[name].functions.split()
    columns = {f: [np.asarray(c, np.float32) for c in cases(name, f)[0]] for f in fs}
    program = cv.jit(lambda columns: [function(name, f)(*columns[f]) for f in fs])
    mapped_program = cv.jit(lambda columns: [cv.vmap(function(name, f))(*columns[f]) for f in fs])
    for f, want, mapped in zip(fs, program(columns), mapped_program(columns), strict=True):
        want, wide = np.asarray(want), [c.astype(np.float64) for c in columns[f]]
        bound = allowed(name, f, wide, want.astype(np.float64), np.finfo(np.float32).eps)
        same = (want == mapped) | (np.isnan(want) & np.isnan(mapped))
        assert (same | (np.abs(want - np.asarray(mapped)) <= 2 * bound)).all(), f
    first = columns[fs[0]]
    run = function(name, fs[0])
    np.testing.assert_allclose(run(*first), program(columns)[0], 1e-5, 1e-30)
    none = program({f: [c[:0] for c in columns[f]] for f in fs})
    assert all(out.shape == (0,) for out in none)
    assert run(*[c[:1] for c in first]).shape == (1,)
    # Arguments broadcast, and the result is of a rank-0 point one of rank 0.
    assert run(*[c[len(c) // 2] for c in first]).shape == ()
    if len(first) > 1:
        out = cv.eval_shape(run, first[0][:, None], *[c[None, :3] for c in first[1:]])
        assert out.shape == (len(first[0]), 3)


# Arguments without a derivative: whole numbers, and the shapes of the incomplete beta function.
NO_SLOPE = {("beta", f): {1, 2} for f in ("cdf", "sf", "logcdf", "logsf")}
SMOOTH = [(n, f) for n, f in FUNCTIONS if (n, f) != ("bernoulli", "ppf")]
# At the ends of the range of p, powers 0**0 have no slope.
INTERIOR = {
    "binom": lambda k, n, p, loc: (p > 0) & (p < 1),
    "nbinom": lambda k, n, p, loc: p < 1,
    "geom": lambda k, p, loc: p < 1,
    "poisson": lambda *a: a[-2] > 0,
}


def without_slope(name, f):
    last = len(cases(name, f)[0]) - 1
    whole = {0, last} if name in ("bernoulli", "poisson") or "pmf" in f else set()
    whole = {1} if f == "entropy" else {0} if (name, f) == ("bernoulli", "cdf") else whole
    trials = {1} if name in ("binom", "betabinom") else set()
    return whole | trials | NO_SLOPE.get((name, f), set())


@pytest.mark.parametrize("name, f", SMOOTH)
def test_derivatives(name, f):
    """Against central differences where the function is smooth; nowhere NaN inside parameters."""
    columns = cases(name, f)[0]
    run = function(name, f)
    by = sorted(set(range(len(columns))) - without_slope(name, f))

    def of_smooth(*moved):
        args = list(columns)
        for i, c in zip(by, moved, strict=True):
            args[i] = c
        return run(*args)

    start = [columns[i] for i in by]
    with cv.enable_x64():
        ones = np.ones_like(columns[0])
        values = np.asarray(of_smooth(*start))
        slopes = cv.jit(lambda *c: cv.vjp(of_smooth, *c)[1](ones))(*start)
        compiled = cv.jit(of_smooth)
        inside = INTERIOR.get(name, lambda *a: True)(*columns)
        for k, i in enumerate(by):
            slope, c = np.asarray(slopes[k]), columns[i]
            h = 1e-6 * np.maximum(np.abs(c), 1e-2)
            up, down, up2, down2 = (
                np.asarray(compiled(*[c + s * h if j == k else x for j, x in enumerate(start)]))
                for s in (1, -1, 2, -2)
            )
            want = (8 * (up - down) - (up2 - down2)) / (12 * h)
            rough = np.abs((up - down) / (2 * h) - want)
            kink = np.abs((up - values) / h - (values - down) / h)
            smooth = (
                inside & np.isfinite(want + values) & (rough + kink < 1e-3 * (1 + np.abs(want)))
            )
            noise = 1e-14 * np.abs(values) / h
            bad = smooth & ~(
                np.abs(slope - want) <= 1e-6 * np.abs(want) + 1e-7 + noise + rough + kink
            )
            found = [(*(c[m] for c in columns), slope[m], want[m]) for m in np.flatnonzero(bad)]
            assert not found, f"by argument {i}, {len(found)}: {found[:5]}"
            # Where there is a value, of a branch not taken nothing comes through.
            kept = np.isfinite(values) & inside
            found = [tuple(c[m] for c in columns) for m in np.flatnonzero(np.isnan(slope) & kept)]
            assert not found, f"NaN by argument {i}, {len(found)}: {found[:5]}"


def _log(f):
    return lambda *args: mpmath.log(f(*args))


TAILS = {
    ("norm", "logcdf"): (_log(mpmath.ncdf), [(-8.0,), (-30.0,), (-150.0,), (5.0,), (9.0,)]),
    ("norm", "logsf"): (_log(lambda x: mpmath.ncdf(-x)), [(12.0,), (21.0,), (1e4,), (-6.0,)]),
    ("gamma", "logcdf"): (
        _log(lambda x, a: mpmath.gammainc(a, 0, x, regularized=True)),
        [(1e-10, 50.0), (0.5, 300.0), (300.0, 1e3), (20.0, 0.5), (80.0, 3.0), (1e-30, 20.0)],
    ),
    ("gamma", "logsf"): (
        _log(lambda x, a: mpmath.gammainc(a, x, mpmath.inf, regularized=True)),
        [(900.0, 2.0), (5e3, 1e3), (1e4, 0.3), (1e-5, 2.0), (1e-4, 7.5)],
    ),
    ("beta", "logcdf"): (
        _log(lambda x, a, b: mpmath.betainc(a, b, 0, x, regularized=True)),
        [(1e-8, 50.0, 3.0), (0.1, 2e3, 1e3), (0.5, 1.5, 60.0), (0.5, 2.0, 3.0)],
    ),
    ("beta", "logsf"): (
        _log(lambda x, a, b: mpmath.betainc(b, a, 0, 1 - mpmath.mpf(x), regularized=True)),
        [(0.9990234375, 3.0, 200.0), (0.75, 1e3, 5e3), (1e-5, 3.0, 2.0)],
    ),
    ("cauchy", "logcdf"): (
        _log(lambda x: mpmath.atan2(1, -mpmath.mpf(x)) / mpmath.pi), [(-1e20,), (1e10,), (3.0,)]
    ),
    ("gumbel_r", "logsf"): (
        _log(lambda x: -mpmath.expm1(-mpmath.exp(-mpmath.mpf(x)))), [(80.0,), (500.0,), (-2.0,)]
    ),
    ("truncnorm", "logcdf"): (
        _log(lambda x, a, b: (mpmath.ncdf(x) - mpmath.ncdf(a)) / (mpmath.ncdf(b) - mpmath.ncdf(a))),
        [(-20.0, -21.0, 3.0), (30.5, 30.0, 31.0), (-15.0, -16.0, -12.0), (1.0, -2.0, 9.0)],
    ),
    ("truncnorm", "logpdf"): (
        _log(lambda x, a, b: mpmath.npdf(x) / (mpmath.ncdf(b) - mpmath.ncdf(a))),
        [(30.5, 30.0, 31.0), (-100.0, -101.0, -99.5), (0.5, 0.25, 0.75)],
    ),
    ("t", "logpdf"): (
        _log(
            lambda x, n: mpmath.rf(mpmath.mpf(n) / 2, mpmath.mpf(0.5)) / mpmath.sqrt(n * mpmath.pi)
            * (1 + mpmath.mpf(x) ** 2 / n) ** (-(mpmath.mpf(n) + 1) / 2)
        ),
        [(3.0, 1e8), (1e-3, 1e5), (1e30, 2.0), (0.5, 17.0)],
    ),
    ("poisson", "entropy"): (
        lambda mu: -mpmath.nsum(
            lambda k: (lambda p: p * mpmath.log(p))(
                mpmath.exp(-mu) * mpmath.mpf(mu) ** k / mpmath.factorial(k)
            ), [0, 400],
        ),
        [(0.125,), (1.0,), (20.0,), (59.0,), (61.0,), (120.0,)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("key", TAILS, ids=".".join)
def test_tails(key, dtype):
    exact, points = TAILS[key]
    columns = [np.array(c, dtype) for c in zip(*points, strict=True)]
    with mpmath.workdps(200):
        if key[0] in ("norm", "truncnorm"):
            mpmath.mp.dps = 2500
        want = np.array([float(exact(*map(float, row))) for row in zip(*columns, strict=True)])
    with cv.enable_x64(dtype == np.float64):
        got = np.asarray(function(*key)(*columns), np.float64)
        slope = np.asarray(cv.vmap(cv.grad(function(*key)))(*columns))
    np.testing.assert_allclose(got, want, rtol=64 * np.finfo(dtype).eps)
    assert np.isfinite(slope).all()


def test_second_derivatives():
    with cv.enable_x64():
        for x in (-40.0, -3.0, 0.0, 3.0, 40.0):
            # (log Φ)'' = -r (x + r) with r = (log Φ)'
            r = float(cv.grad(stats.norm.logcdf)(x))
            want = float(-mpmath.mpf(r) * (mpmath.mpf(x) + mpmath.mpf(r)))
            got = cv.grad(cv.grad(stats.norm.logcdf))(x)
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-300)
        np.testing.assert_allclose(cv.grad(cv.grad(stats.laplace.cdf))(1.0), -0.5 / np.e)
        np.testing.assert_allclose(cv.hessian(stats.poisson.logpmf, 1)(3.0, 2.0), -0.75)


def test_signatures_and_errors():
    assert list(inspect.signature(stats.norm.logpdf).parameters) == ["x", "loc", "scale"]
    with pytest.raises(TypeError, match="covector.numpy.array"):
        stats.norm.pdf([1.0, 2.0])
    with pytest.raises(TypeError, match="real numbers, got complex64"):
        stats.gamma.cdf(1j, 2.0)
    with pytest.raises(TypeError, match=r"incompatible shapes for broadcasting"):
        stats.norm.pdf(cnp.zeros(2), cnp.zeros(3))
    with pytest.raises(AttributeError, match="norm"):
        _ = stats.normm


def test_gradients_of_sums_are_finite():
    """One point outside of the support does not spoil the gradients of the others."""
    x = cnp.array([-1.0, 0.5, 2.0])

    def loss(f, *parameters):
        out = f(x, *parameters)
        return cnp.sum(cnp.where(x > 0, out, 0.0))

    for f, parameters in (
        (stats.gamma.logpdf, (2.0,)), (stats.expon.logpdf, ()), (stats.gamma.logcdf, (20.0,)),
        (stats.pareto.logpdf, (1.5, -2.0)), (stats.chi2.logsf, (3.0,)),
        (stats.beta.logpdf, (2.0, 3.0)),
    ):  # fmt: skip
        for i in range(len(parameters)):
            slope = cv.grad(functools.partial(loss, f), i)(*parameters)
            assert np.isfinite(slope), (f, i)
