"""Distributions at the ends of their uniform numbers and parameters: no draw is infinite, NaN or
one that the distribution has not. In half precision every end is drawn."""

import math

import numpy as onp
import pytest
import scipy.special
import scipy.stats

import covector as cv
import covector.numpy as np
from covector import random
from covector.core import dtypes

KEY = random.key(7)
N = 20_000
HALVES = ("float16", "bfloat16")
# Draws of a dtype, and the bounds that hold for half precision: no draw is rarer than one in 2^20.
OPEN = {
    "normal": (lambda d: random.normal(KEY, (N,), d), -5, 5),
    "truncated": (lambda d: random.truncated_normal(KEY, -math.inf, math.inf, (N,), d), -5, 5),
    "truncated above": (lambda d: random.truncated_normal(KEY, -1.0, math.inf, (N,), d), -1, 5),
    "truncated below": (lambda d: random.truncated_normal(KEY, -math.inf, 1.0, (N,), d), -5, 1),
    "upper tail": (lambda d: random.truncated_normal(KEY, 5.0, 1e4, (N,), d), 5, 9),
    "lower tail": (lambda d: random.truncated_normal(KEY, -math.inf, -20.0, (N,), d), -22, -20),
    "maxwell": (lambda d: random.maxwell(KEY, (N,), d), 0, 7),
    "exponential": (lambda d: random.exponential(KEY, (N,), d), 0, 14),
    "gumbel": (lambda d: random.gumbel(KEY, (N,), d), -2.7, 14),
    "gumbel, high": (lambda d: random.gumbel(KEY, (N,), d, mode="high"), -2.7, 22),
    "laplace": (lambda d: random.laplace(KEY, (N,), d), -14, 14),
    "logistic": (lambda d: random.logistic(KEY, (N,), d), -14, 14),
    "cauchy": (lambda d: random.cauchy(KEY, (N,), d), -4e5, 4e5),
    "pareto": (lambda d: random.pareto(KEY, 3.0, (N,), d), 1, 110),
    "weibull": (lambda d: random.weibull_min(KEY, 1.0, 1.0, (N,), d), 0, 14),
    "rayleigh": (lambda d: random.rayleigh(KEY, 1.0, (N,), d), 0, 5.5),
    "wald": (lambda d: random.wald(KEY, 1.0, (N,), d), 0.02, 40),
    "triangular": (lambda d: random.triangular(KEY, 0.0, 0.0, 1.0, (N,), d), 0, 1),
    "uniform": (lambda d: random.uniform(KEY, (N,), d), 0, 1),
    "beta": (lambda d: random.beta(KEY, 1e-3, 1e-3, (N // 20,), d), 0, 1),
    "dirichlet": (lambda d: random.dirichlet(KEY, np.full(3, 0.01, d), (N // 60,), d), 0, 1),
}


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", OPEN)
def test_every_draw_is_possible(name, dtype):
    draw, low, high = OPEN[name]
    x = onp.asarray(draw(np.dtype(dtype))).astype(float)
    assert onp.isfinite(x).all()
    assert low <= x.min() and x.max() <= high


@pytest.mark.parametrize("dtype", (*HALVES, "float32"))
def test_uniform_over_all_numbers(dtype):
    largest = float(dtypes.finfo(np.dtype(dtype)).max)
    x = onp.asarray(random.uniform(KEY, (N,), dtype, -largest, largest)).astype(float) / largest
    assert -1 <= x.min() < -0.97 and 0.97 < x.max() <= 1 and abs(x.mean()) < 0.03
    x = onp.asarray(random.uniform(KEY, (N,), dtype, np.array([-largest] * 2)[:1], 1.0), float)
    assert onp.isfinite(x).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "low, high",
    [(5.0, 1e6), (5.0, math.inf), (8.5, 9.0), (30.0, math.inf), (-math.inf, -6.0),
     (-40.0, -39.99), (1e10, math.inf), (4.0, 4.5), (3.0, math.inf), (-1.0, math.inf)],
)  # fmt: skip
def test_truncated_normal_follows_its_distribution(low, high, dtype):
    with cv.enable_x64():
        x = onp.asarray(random.truncated_normal(KEY, low, high, (4000,), dtype), float)
        bounds = np.array([low, 0.0], dtype)[:1], np.array([high, 0.0], dtype)[:1]
        again = onp.asarray(random.truncated_normal(KEY, *bounds, (4000,), dtype), float)
    # Near 3 the error function has few digits, in whose last place the two may differ.
    onp.testing.assert_allclose(x, again, rtol=1e-4)
    assert onp.isfinite(x).all() and low < x.min() and x.max() < high
    if low > 1e6:
        return
    # Ranks are uniform numbers.
    mirror = high < 0
    a, b, y = (-high, -low, -x) if mirror else (low, high, x)
    below = scipy.special.log_ndtr
    rank = -onp.expm1(below(-y) - below(-a))
    if math.isfinite(b):
        rank /= -onp.expm1(below(-b) - below(-a))
    assert scipy.stats.kstest(rank, "uniform").pvalue > 1e-4


def test_truncated_normal_in_a_tail_is_differentiable():
    """By its lower bound; from the ratio of densities at equal ranks."""
    with cv.enable_x64():
        f = lambda a: random.truncated_normal(KEY, a, math.inf, (50,))  # noqa: E731
        x, slope = cv.jvp(f, (9.0,), (1.0,))
        up, down = f(9.0 + 1e-6), f(9.0 - 1e-6)
    onp.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-5)
    mixed = random.truncated_normal(KEY, np.array([-2.0, 6.0]), np.array([2.0, 7.0]))
    assert abs(float(mixed[0])) < 2 and 6 < float(mixed[1]) < 7
    every = cv.vmap(lambda a: random.truncated_normal(KEY, a, a + 1.0))(np.array([-9.0, 0.0, 6.0]))
    assert all(a < v < a + 1 for a, v in zip((-9.0, 0.0, 6.0), every.tolist(), strict=True))


def test_wald_of_great_means():
    """The formula for the smaller root cancels: it gave negative numbers."""
    for mean in (1e4, 1e8, 1e25):
        x = onp.asarray(random.wald(KEY, mean, (N,)))
        assert (x > 0).all() and not onp.isnan(x).any()
        # For great means the reciprocals are of the distribution chi-square of one degree.
        assert scipy.stats.kstest(1 / x.astype(float), "chi2", args=(1,)).pvalue > 1e-4


def test_rayleigh_of_many():
    assert np.isfinite(random.rayleigh(KEY, 2.0, (200_000,))).all()
    assert float(random.truncated_normal(KEY, -math.inf, math.inf, (200_000,)).min()) > -6
