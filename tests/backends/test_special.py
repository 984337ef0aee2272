"""Errors of the special functions against mpmath and SciPy, and their special values."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import covector as cv
from covector import lax
from tests.backends.elementwise import run

INF, NAN = math.inf, math.nan
N = 150


def _gamma_points(rng):
    a = 10 ** rng.uniform(-3, 3, N)
    around = np.abs(a + rng.normal(size=N) * np.sqrt(a))
    return a, np.where(rng.uniform(size=N) < 0.6, around, a * 10 ** rng.uniform(-1.5, 1.5, N))


def _beta_points(rng):
    a, b = 10 ** rng.uniform(-2, 3, (2, N))
    x = np.where(rng.uniform(size=N) < 0.6, rng.beta(a, b), rng.uniform(size=N))
    return a, b, np.clip(x, 1e-30, 1 - 1e-7)


def _one_point(rng):
    return (10 ** rng.uniform(-3, 3, N) * rng.choice([-1, 1], N),)


def _polygamma_points(rng):
    x = np.where(rng.uniform(size=N) < 0.3, -1, 1) * (rng.integers(0, 30, N) + 0.3)
    return rng.integers(0, 9, N).astype(float), x


def _lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def _slope(a, x):
    return mp.diff(lambda s: _lower(s, x), a)


def _variate_slope(a, x):
    return -_slope(a, x) * mp.gamma(a) / (x ** (a - 1) * mp.exp(-x))


# Points, exact value, and the bound of the relative error in f64: what cancels in the exponent of
# the first factor grows with it, as in every method that takes exponentials of logarithms.
CASES = {
    "bessel_i0e": (_one_point, lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), 1e-15),
    "bessel_i1e": (_one_point, lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), 2e-15),
    "polygamma": (_polygamma_points, lambda m, x: mp.polygamma(int(m), x), 2e-14),
    "igamma": (_gamma_points, _lower, 1e-12),
    "igammac": (
        _gamma_points, lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), 1e-12
    ),
    "igamma_grad_a": (_gamma_points, _slope, 1e-12),
    "random_gamma_grad": (_gamma_points, _variate_slope, 1e-12),
    "betainc": (
        _beta_points, lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), 1e-11
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_error(name, dtype):
    points, exact, bound = CASES[name]
    args = [p.astype(dtype) for p in points(np.random.default_rng(len(name)))]
    got = run(name, *args)
    with mp.workdps(40):
        for k in range(0, N, 5 if "grad" in name else 1):
            want = exact(*(mp.mpf(float(a[k])) for a in args))
            if abs(want) < np.finfo(dtype).tiny or abs(want) > np.finfo(dtype).max:
                continue
            error = float(abs(mp.mpf(float(got[k])) - want) / abs(want))
            limit = 2.0**-22 if dtype == np.float32 else bound
            assert error <= limit, (*(a[k] for a in args), got[k], want)


def test_zeta():
    rng = np.random.default_rng(0)
    s, q = rng.uniform(1.01, 40, 2000), 10 ** rng.uniform(-3, 3, 2000)
    np.testing.assert_allclose(run("zeta", s, q), scipy.special.zeta(s, q), rtol=4e-15)
    for s, q in [(2.0, -1.5), (3.0, -1.5), (2.0, -100.3), (5.0, -7.7), (12.0, -3.1)]:
        terms = [(q + k) ** -s for k in range(int(-q) + 1)]
        want = math.fsum([*terms, scipy.special.zeta(s, q + int(-q) + 1)])
        np.testing.assert_allclose(run("zeta", s, q), want, rtol=2e-14)


def test_great_parameters():
    """Where sums and fractions would take long: SciPy agrees as far as it is exact."""
    a = np.repeat(10.0 ** np.arange(3, 16, 2), 5)
    x = a + np.tile([-2.0, -0.3, 0.0, 1.0, 2.5], 7) * np.sqrt(a)
    np.testing.assert_allclose(run("igamma", a, x), scipy.special.gammainc(a, x), rtol=1e-7)
    np.testing.assert_allclose(run("igammac", a, x), scipy.special.gammaincc(a, x), rtol=1e-7)
    # A gamma variate of great shape is normal: it moves by 1 + z / (2 sqrt(a)).
    z = (x - a) / np.sqrt(a)
    np.testing.assert_allclose(run("random_gamma_grad", a, x), 1 + z / (2 * np.sqrt(a)), rtol=2e-3)


VALUES = {
    "igamma": [(0, 1, 1), (0, 0, NAN), (-1, 1, NAN), (1, -1, NAN), (1, 0, 0), (INF, 1, 0),
               (1, INF, 1), (INF, INF, NAN), (NAN, 1, NAN), (1, NAN, NAN)],
    "igammac": [(0, 1, 0), (0, 0, NAN), (-1, 1, NAN), (1, -1, NAN), (1, 0, 1), (INF, 1, 1),
                (1, INF, 0), (INF, INF, NAN), (NAN, 1, NAN), (1, NAN, NAN)],
    "zeta": [(1, 1, INF), (0.5, 1, NAN), (2, 0, INF), (2, -1, INF), (3, -1, NAN), (2.5, -1.5, NAN),
             (INF, 1, 1), (INF, 2, 0), (2, INF, 0), (NAN, 1, NAN), (2, NAN, NAN)],
    "polygamma": [(1, 0, INF), (1, -1, INF), (2, -1, NAN), (1.5, 1, NAN), (-1, 1, NAN)],
    "betainc": [(0, 1, 0.5, 1), (1, 0, 0.5, 0), (0, 0, 0.5, NAN), (1, 1, 0, 0), (1, 1, 1, 1),
                (1, 1, -1, NAN), (1, 1, 2, NAN), (INF, 1, 0.5, 0), (1, INF, 0.5, 1),
                (-1, 1, 0.5, NAN), (1, 1, NAN, NAN)],
    "bessel_i0e": [(0, 1), (INF, 0), (-INF, 0), (NAN, NAN)],
    "bessel_i1e": [(0, 0), (INF, 0), (-INF, -0.0), (NAN, NAN)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VALUES)
def test_special_values(name, dtype):
    *args, want = (np.asarray(c, dtype) for c in zip(*VALUES[name], strict=True))
    np.testing.assert_array_equal(run(name, *args), want)


@pytest.mark.parametrize("name", [*CASES, "zeta"])
def test_a_value_does_not_depend_on_its_neighbours(name):
    """Lanes converge one by one."""
    points = _polygamma_points if name == "zeta" else CASES[name][0]
    args = [p.astype(np.float32)[:37] for p in points(np.random.default_rng(1))]
    if name == "zeta":
        args = [args[0] + 2, np.abs(args[1])]
    whole = run(name, *args)
    alone = [run(name, *(a[k : k + 1] for a in args))[0] for k in range(37)]
    np.testing.assert_array_equal(whole, alone)


@pytest.mark.parametrize("name", ["bessel_i0e", "igamma", "betainc"])
def test_half_precision(name):
    args = [p.astype(np.float16) for p in CASES[name][0](np.random.default_rng(2))]
    wide = run(name, *(a.astype(np.float32) for a in args))
    np.testing.assert_array_equal(run(name, *args), wide.astype(np.float16))


def test_what_has_no_derivative_says_so():
    for f, k in [(lax.zeta, 0), (lax.polygamma, 0), (lax.igamma_grad_a, 0),
                 (lax.random_gamma_grad, 1)]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{f.__name__} has no derivative"):
            cv.grad(f, k)(2.0, 3.0)
    with pytest.raises(ValueError, match="betainc has no derivative with respect to a and b"):
        cv.grad(lax.betainc)(2.0, 3.0, 0.5)
