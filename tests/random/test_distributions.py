"""Draws have the distributions they should: Kolmogorov-Smirnov and moments, with fixed keys."""

import numpy as np
import pytest

from covector import random

stats = pytest.importorskip("scipy.stats")

N = 10_000

# name: (draw of N numbers, distribution function)
_CONTINUOUS = {
    "uniform": (lambda k: random.uniform(k, (N,)), stats.uniform.cdf),
    "uniform_bounds": (
        lambda k: random.uniform(k, (N,), minval=-2.0, maxval=3.0), stats.uniform(-2, 5).cdf,
    ),
    "normal": (lambda k: random.normal(k, (N,)), stats.norm.cdf),
    "truncated_normal": (
        lambda k: random.truncated_normal(k, -1.0, 2.0, (N,)), stats.truncnorm(-1, 2).cdf,
    ),
    "exponential": (lambda k: random.exponential(k, (N,)), stats.expon.cdf),
    "gumbel": (lambda k: random.gumbel(k, (N,)), stats.gumbel_r.cdf),
    "gumbel_high": (lambda k: random.gumbel(k, (N,), mode="high"), stats.gumbel_r.cdf),
    "laplace": (lambda k: random.laplace(k, (N,)), stats.laplace.cdf),
    "logistic": (lambda k: random.logistic(k, (N,)), stats.logistic.cdf),
    "cauchy": (lambda k: random.cauchy(k, (N,)), stats.cauchy.cdf),
    "pareto": (lambda k: random.pareto(k, 2.0, (N,)), stats.pareto(2).cdf),
    "weibull_min": (
        lambda k: random.weibull_min(k, 3.0, 2.0, (N,)), stats.weibull_min(2, scale=3).cdf,
    ),
    "rayleigh": (lambda k: random.rayleigh(k, 2.0, (N,)), stats.rayleigh(scale=2).cdf),
    "maxwell": (lambda k: random.maxwell(k, (N,)), stats.maxwell.cdf),
    "lognormal": (lambda k: random.lognormal(k, 0.5, (N,)), stats.lognorm(0.5).cdf),
    "wald": (lambda k: random.wald(k, 2.0, (N,)), stats.invgauss(2).cdf),
    "triangular": (
        lambda k: random.triangular(k, -1.0, 0.0, 3.0, (N,)), stats.triang(0.25, -1, 4).cdf,
    ),
    "gamma_small": (lambda k: random.gamma(k, 0.3, (N,)), stats.gamma(0.3).cdf),
    "gamma_large": (lambda k: random.gamma(k, 20.0, (N,)), stats.gamma(20).cdf),
    "loggamma": (lambda k: random.loggamma(k, 0.5, (N,)), stats.loggamma(0.5).cdf),
    "beta": (lambda k: random.beta(k, 0.5, 2.0, (N,)), stats.beta(0.5, 2).cdf),
    "dirichlet": (
        lambda k: random.dirichlet(k, np.array([1, 2, 3], np.float32), (N,))[:, 1],
        stats.beta(2, 4).cdf,
    ),
    "chisquare": (lambda k: random.chisquare(k, 3.0, (N,)), stats.chi2(3).cdf),
    "t": (lambda k: random.t(k, 3.0, (N,)), stats.t(3).cdf),
    "f": (lambda k: random.f(k, 4.0, 7.0, (N,)), stats.f(4, 7).cdf),
    "generalized_normal": (
        lambda k: random.generalized_normal(k, 1.5, (N,)), stats.gennorm(1.5).cdf,
    ),
    "ball": (
        lambda k: np.linalg.norm(random.ball(k, 3, 2.0, (N,)), axis=-1) ** 3, stats.uniform.cdf,
    ),
    "double_sided_maxwell": (
        lambda k: abs(np.asarray(random.double_sided_maxwell(k, 1.0, 2.0, (N,))) - 1) / 2,
        stats.maxwell.cdf,
    ),
}  # fmt: skip

_DISCRETE = {
    "randint": (lambda k: random.randint(k, (N,), -3, 5), stats.randint(-3, 5)),
    "bernoulli": (lambda k: random.bernoulli(k, 0.3, (N,)), stats.bernoulli(0.3)),
    "categorical": (
        lambda k: random.categorical(k, np.log(np.arange(1, 5, dtype=np.float32)), shape=(N,)),
        stats.rv_discrete(values=(range(4), np.arange(1, 5) / 10)),
    ),
    "choice": (
        lambda k: random.choice(k, 4, (N,), p=np.arange(1, 5, dtype=np.float32) / 10),
        stats.rv_discrete(values=(range(4), np.arange(1, 5) / 10)),
    ),
    "geometric": (lambda k: random.geometric(k, 0.3, (N,)), stats.geom(0.3)),
    "poisson_small": (lambda k: random.poisson(k, 3.0, (N,)), stats.poisson(3)),
    "poisson_large": (lambda k: random.poisson(k, 40.0, (N,)), stats.poisson(40)),
    "binomial_small": (lambda k: random.binomial(k, 20.0, 0.2, (N,)), stats.binom(20, 0.2)),
    "binomial_large": (lambda k: random.binomial(k, 90.0, 0.7, (N,)), stats.binom(90, 0.7)),
    "multinomial": (
        lambda k: random.multinomial(k, 30.0, np.array([0.2, 0.3, 0.5], np.float32), shape=(N, 3))[
            :, 1
        ],
        stats.binom(30, 0.3),
    ),
}


@pytest.mark.parametrize("name", _CONTINUOUS)
def test_continuous(name):
    draw, cdf = _CONTINUOUS[name]
    x = np.asarray(draw(random.key(2024)), np.float64)
    assert np.isfinite(x).all()
    assert stats.kstest(x, cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", _DISCRETE)
def test_discrete(name):
    draw, law = _DISCRETE[name]
    x = np.asarray(draw(random.key(2025)), np.float64)
    values, counts = np.unique(x, return_counts=True)
    expected = law.pmf(values) * N
    often = expected > 5
    assert (law.pmf(values) > 0).all()
    # Rare values count as one.
    observed = np.append(counts[often], N - counts[often].sum())
    expected = np.append(expected[often], N - expected[often].sum())
    if expected[-1] < 1e-6:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_permutations_are_equally_likely():
    from covector.transforms.vmap_api import vmap

    n = 6000
    perms = vmap(lambda k: random.permutation(k, 3))(random.split(random.key(1), n))
    _, counts = np.unique(np.asarray(perms) @ [9, 3, 1], return_counts=True)
    assert counts.shape == (6,)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_draws_without_replacement_are_distinct():
    x = np.asarray(random.choice(random.key(0), 50, (50,), replace=False))
    np.testing.assert_array_equal(np.sort(x), np.arange(50))
    p = np.arange(1, 51, dtype=np.float32)
    x = np.asarray(random.choice(random.key(0), 50, (50,), replace=False, p=p / p.sum()))
    np.testing.assert_array_equal(np.sort(x), np.arange(50))


def test_multinomial_counts_add_up():
    p = np.array([0.2, 0.0, 0.5, 0.3], np.float32)
    x = np.asarray(random.multinomial(random.key(0), 1000.0, p))
    assert x.sum() == 1000
    assert x[1] == 0


def test_multivariate_normal_moments():
    cov = np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)
    mean = np.array([1.0, -1.0], np.float32)
    for method in ("cholesky", "eigh", "svd"):
        x = random.multivariate_normal(random.key(0), mean, cov, (N,), method=method)
        np.testing.assert_allclose(np.mean(x, axis=0), mean, atol=0.05)
        np.testing.assert_allclose(np.cov(np.asarray(x).T), cov, atol=0.08)


def test_orthogonal_matrices():
    q = np.asarray(random.orthogonal(random.key(0), 4, (3,)))
    np.testing.assert_allclose(q @ q.swapaxes(-1, -2), np.broadcast_to(np.eye(4), q.shape),
                               atol=1e-5)  # fmt: skip
    wide = np.asarray(random.orthogonal(random.key(0), 3, m=5))
    np.testing.assert_allclose(wide @ wide.T, np.eye(3), atol=1e-5)


def test_normal_is_accurate():
    # Against the inverse error function in double precision, from the same uniform numbers.
    special = pytest.importorskip("scipy.special")
    low = np.nextafter(np.float32(-1), np.float32(0))
    u = np.asarray(random.uniform(random.key(5), (N,), minval=low, maxval=1.0), np.float64)
    expected = np.sqrt(2) * special.erfinv(u)
    x = np.asarray(random.normal(random.key(5), (N,)), np.float64)
    np.testing.assert_allclose(x, expected, rtol=6e-7, atol=1e-7)
