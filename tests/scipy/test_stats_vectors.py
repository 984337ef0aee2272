"""Distributions of vectors, estimates of densities, and statistics of samples."""

import importlib

import numpy as np
import pytest
import scipy.stats

import covector as cv
import covector.numpy as cnp
from covector.scipy import stats
from tests.scipy.test_stats_distributions import OF_VECTORS

R = np.random.RandomState(0)
ROOT = R.randn(3, 3)
COV = ROOT @ ROOT.T + np.eye(3)


@pytest.fixture
def x64():
    with cv.enable_x64():
        yield


def close(got, want, tol=1e-11):
    np.testing.assert_allclose(np.asarray(got), want, tol, tol)


def slope_is_right(f, x):
    """The gradient against central differences."""
    x = np.asarray(x, float)
    got = np.asarray(cv.grad(f)(x))
    for i in np.ndindex(x.shape):
        h = np.zeros_like(x)
        h[i] = 1e-6
        np.testing.assert_allclose(got[i], (f(x + h) - f(x - h)) / 2e-6, 1e-6, 1e-7)


def test_everything_is_tested():
    for name in OF_VECTORS:
        names = importlib.import_module(f"covector.scipy.stats.{name}").__all__
        assert names in (["logpdf", "pdf"], ["logpmf", "pmf"])
    assert set(stats.__all__) - stats._MODULES == {"gaussian_kde", "mode", "rankdata", "sem"}


def test_multivariate_normal(x64):
    x, mean = R.randn(4, 5, 3), R.randn(3)
    f = stats.multivariate_normal
    want = scipy.stats.multivariate_normal(mean, COV).logpdf(x)
    close(f.logpdf(x, mean, COV), want)
    close(cv.jit(f.pdf)(x, mean, COV), np.exp(want))
    close(f.logpdf(x, mean, np.stack([COV] * 5)), want)
    close(cv.vmap(f.logpdf, (0, None, None))(x, mean, COV), want)
    close(f.logpdf(x, mean, 2.0), scipy.stats.multivariate_normal(mean, 2.0).logpdf(x))
    close(f.logpdf(x, 0.5, 2.0), scipy.stats.norm.logpdf(x, 0.5, 2**0.5))
    assert f.logpdf(np.zeros((0, 3)), mean, COV).shape == (0,)
    assert np.isnan(f.logpdf(mean, mean, -COV))
    slope_is_right(lambda v: f.logpdf(v, mean, COV), x[0, 0])
    slope_is_right(lambda s: f.logpdf(x[0, 0], mean, s * COV + s**2 * np.eye(3)), 1.5)
    with pytest.raises(ValueError, match=r"cov must be a number.*float64\[3\].*float64\[2,2\]"):
        f.logpdf(x, mean, np.eye(2))
    with pytest.raises(NotImplementedError, match="allow_singular"):
        f.logpdf(x, mean, COV, allow_singular=True)


def test_dirichlet(x64):
    alpha = np.array([0.5, 1.0, 3.0])
    x = R.dirichlet(alpha, 7).T
    f = stats.dirichlet
    want = scipy.stats.dirichlet.logpdf(x, alpha)
    close(f.logpdf(x, alpha), want)
    close(f.pdf(x[:-1], alpha), np.exp(want), 1e-9)
    close(cv.vmap(f.logpdf, (1, None))(x, alpha), want)
    assert f.logpdf(x[:, 0] * 1.01, alpha) == -np.inf
    assert f.pdf(np.array([-0.5, 0.5, 1.0]), alpha) == 0
    assert np.isnan(f.pdf(x[:, 0], -alpha))
    close(f.pdf(np.array([0.5, 0.0, 0.5]), alpha), f.pdf(np.array([0.5, 1e-9, 0.5]), alpha), 1e-6)
    slope_is_right(lambda a: f.logpdf(x[:, 0], a), alpha)
    with pytest.raises(ValueError, match=r"alpha must be a vector.*float64\[2,7\]"):
        f.logpdf(x[:2], np.ones(4))


def test_multinomial(x64):
    p = np.array([0.2, 0.3, 0.5])
    x = R.multinomial(9, p, 6)
    f = stats.multinomial
    want = scipy.stats.multinomial.logpmf(x, 9, p)
    close(f.logpmf(x, 9, p), want)
    close(f.pmf(x, 9, p), np.exp(want))
    close(cv.vmap(f.logpmf, (0, None, None))(x, 9, p), want)
    assert f.logpmf(x[0], 8, p) == -np.inf
    assert f.pmf(np.array([0.5, 0.5, 8]), 9, p) == 0
    assert np.isnan(f.pmf(x[0], 9, p - 0.4))
    assert f.pmf(np.array([0, 4, 5]), 9, np.array([0.0, 0.5, 0.5])) > 0
    slope_is_right(lambda q: f.logpmf(x[0], 9, q), p)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("bandwidth", [None, "scott", "silverman", 0.4, lambda k: k.neff**-0.2])
def test_gaussian_kde(x64, d, bandwidth):
    data, weights, points = R.randn(d, 20), R.rand(20), R.randn(d, 7)
    for w in (None, weights):
        k = stats.gaussian_kde(data, bandwidth, w)
        q = scipy.stats.gaussian_kde(data, bandwidth, w)
        other, other_q = stats.gaussian_kde(data[:, :9]), scipy.stats.gaussian_kde(data[:, :9])
        assert (k.d, k.n) == (q.d, q.n)
        for name in ("neff", "covariance", "inv_cov", "weights", "dataset"):
            close(getattr(k, name), getattr(q, name), 1e-9)
        for name in ("evaluate", "pdf", "logpdf"):
            close(getattr(k, name)(points), getattr(q, name)(points))
        close(k(points), q(points))
        close(k.integrate_kde(other), q.integrate_kde(other_q))
        args = np.zeros(d), np.eye(d)
        close(k.integrate_gaussian(*args), q.integrate_gaussian(*args))
        if d == 1:
            close(k.integrate_box_1d(-1.0, 2.0), q.integrate_box_1d(-1.0, 2.0))
    slope_is_right(lambda v: stats.gaussian_kde(v, 0.4).logpdf(points).sum(), data)
    assert cv.jit(lambda k: k)(k).n == 20
    close(cv.jit(lambda k, x: k(x))(k, points), k(points))
    drawn = np.asarray(k.resample(cv.random.key(0), (4000,)))
    assert drawn.shape == (d, 4000)
    close(np.cov(drawn), np.cov(data, aweights=weights, bias=True) + k.covariance, 0.15)
    assert k.resample(cv.random.key(0)).shape == (d,)


def test_gaussian_kde_refuses():
    k = stats.gaussian_kde(cnp.ones((2, 5)) * cnp.arange(5.0))
    for call, error, text in (
        (lambda: stats.gaussian_kde(cnp.ones(1)), ValueError, "several points"),
        (lambda: stats.gaussian_kde(cnp.ones(3), "x"), ValueError, "'scott', 'silverman'"),
        (lambda: stats.gaussian_kde(cnp.arange(3), weights=cnp.ones(2)), ValueError, "vector of 3"),
        (lambda: k.logpdf(cnp.ones((3, 2))), ValueError, "2 dimensions"),
        (lambda: k.integrate_box_1d(0, 1), ValueError, "one dimension"),
        (lambda: k.integrate_box(0, 1), NotImplementedError, "integrate_box_1d"),
        (lambda: k.set_bandwidth(), NotImplementedError, "another"),
        (lambda: k.integrate_gaussian(cnp.ones(3), cnp.eye(3)), ValueError, "shape"),
        (lambda: k.integrate_kde(stats.gaussian_kde(cnp.arange(3.0))), ValueError, "1 dimensions"),
    ):
        with pytest.raises(error, match=text):
            call()


SAMPLES = np.array([[3, 1, 1, 2, 3, 3], [0, 0, 5, 5, 5, 1]])


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float16])
def test_samples(axis, dtype):
    a = SAMPLES.astype(dtype)
    for method in ("average", "min", "max", "dense", "ordinal"):
        got = stats.rankdata(a, method, axis=axis)
        np.testing.assert_array_equal(got, scipy.stats.rankdata(a, method, axis=axis))
    for keepdims in (False, True):
        got = stats.mode(a, axis, keepdims=keepdims)
        want = scipy.stats.mode(a, axis, keepdims=keepdims)
        np.testing.assert_array_equal(got.mode, want.mode)
        np.testing.assert_array_equal(got.count, want.count)
        assert got.mode.dtype == dtype
        for ddof in (0, 1):
            got = stats.sem(a, axis, ddof, keepdims=keepdims)
            want = scipy.stats.sem(a.astype(float), axis, ddof, keepdims=keepdims)
            tol = 2e-3 if dtype == np.float16 else 1e-6
            np.testing.assert_allclose(np.asarray(got, float), want, tol)
    run = cv.vmap(lambda row: (stats.rankdata(row), stats.mode(row).mode))
    ranks, modes = run(a)
    np.testing.assert_array_equal(ranks, scipy.stats.rankdata(a, axis=1))
    np.testing.assert_array_equal(modes, scipy.stats.mode(a, 1).mode)


def test_samples_of_nan_and_of_nothing():
    a = np.array([1.0, np.nan, np.nan, 0.0], np.float32)
    assert np.isnan(stats.rankdata(a)).all()
    got = stats.mode(a)
    assert np.isnan(got.mode) and got.count == 2
    assert np.isnan(stats.sem(a))
    np.testing.assert_allclose(stats.sem(a, nan_policy="omit"), 0.5)
    assert stats.rankdata(np.zeros(0)).shape == (0,)
    assert np.isnan(stats.mode(np.zeros(0)).mode) and stats.mode(np.zeros(0)).count == 0
    np.testing.assert_array_equal(stats.rankdata(np.ones(1)), [1])
    slope = cv.grad(stats.sem)(np.array([1.0, 2.0, 4.0], np.float32))
    np.testing.assert_allclose(slope, [-0.252, -0.0630, 0.315], rtol=1e-2)
    for call, error in (
        (lambda: stats.rankdata(a, "best"), ValueError),
        (lambda: stats.mode(a, nan_policy="x"), ValueError),
        (lambda: stats.mode(a, nan_policy="omit"), NotImplementedError),
        (lambda: stats.sem(a, nan_policy="raise"), NotImplementedError),
        (lambda: stats.mode(a, axis=3), ValueError),
    ):
        with pytest.raises(error):
            call()
