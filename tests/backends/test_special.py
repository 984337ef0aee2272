"""Errors of the special functions against mpmath and SciPy, and their special values."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import covector as cv
import covector.primitives.gamma_functions
import covector.primitives.integrals
import covector.primitives.probability
from covector import lax
from covector.core.rules import ELEMENTWISE
from covector.primitives.parameters import igamma_partial_p
from tests.backends.elementwise import run, ulp_error

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
    "igamma": (_gamma_points, _lower, 3e-15),
    "igammac": (
        _gamma_points, lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), 3e-15
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
    "beta": [(0, 0, INF), (-1, 1, -1), (1, -1, -1), (-1, 2, INF), (-1, 0.5, INF),
             (-2, -3, INF), (-0.5, 0.5, 0), (INF, 1, 0), (INF, -0.5, -INF), (INF, -1, INF),
             (-INF, 1, INF), (1, NAN, NAN)],
    "poch": [(-1, 1, -1), (-3, 2, 6), (-3, 4, 0), (2, -2, INF), (-1, -1, -0.5), (0, -1, -1),
             (0, 0.5, 0), (0.5, -0.5, INF), (INF, 1, INF), (INF, -1, 0), (INF, 0, 1),
             (-INF, 1, -INF), (-1.5, INF, INF), (-1, INF, 0), (1, INF, INF), (1, -INF, NAN),
             (NAN, 0, NAN)],
    "bessel_i0e": [(0, 1), (INF, 0), (-INF, 0), (NAN, NAN)],
    "bessel_i1e": [(0, 0), (INF, 0), (-INF, -0.0), (NAN, NAN)],
}  # fmt: skip


def _both_signs(low, high):
    return lambda rng: 10 ** rng.uniform(low, high, N) * rng.choice([-1, 1], N)


def _positive(low, high):
    return lambda rng: 10 ** rng.uniform(low, high, N)


def _between(low, high):
    return lambda rng: rng.uniform(low, high, N)


def _tail(x, sign):
    return mp.fsum(sign**k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(30))


def _erfcx(x):
    return mp.exp(x * x) * mp.erfc(x) if x < 30 else _tail(x, -1) / x / mp.sqrt(mp.pi)


def _dawsn(x):
    small = abs(x) < 30
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x) if small else _tail(x, 1) / 2 / x


def _ndtri(p):
    y = mp.sqrt(-2 * mp.log(p))
    for _ in range(60):
        e = mp.erfc(y / mp.sqrt(2))
        y += mp.log(e / 2 / p) * e * mp.exp(y * y / 2) * mp.sqrt(mp.pi / 2)
    return -y


def _log_ndtr(x):
    if x > 0:
        return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x < 1e4 else mp.mpf(0)
    return mp.log(_erfcx(-x / mp.sqrt(2)) / 2) - x * x / 2


def _spence(x):
    if abs(x - 1) < 1e-9:
        return (1 - x) + (1 - x) ** 2 / 4
    return mp.re(mp.polylog(2, 1 - x))


# Points of one operand, the exact value, and the bound in units of the last place in f64.
ONE = {
    "gamma": ([_both_signs(-300, 2.2), _between(-170, 171.5), _between(-9, 9)], mp.gamma, 8),
    "erfcx": ([_both_signs(-20, 1.4), _positive(0, 10)], _erfcx, 3),
    "ndtr": (
        [_both_signs(-20, 1), _between(-37, 8)], lambda x: mp.erfc(-x / mp.sqrt(2)) / 2, 3
    ),
    "log_ndtr": (
        [_both_signs(-20, 1), _between(-40, 8), _both_signs(1, 18)], _log_ndtr, 3
    ),
    "ndtri": ([_positive(-300, -2), _between(0.01, 0.4)], _ndtri, 9),
    "logit": (
        [_between(0, 1), lambda rng: 0.5 + _both_signs(-12, -1)(rng), _positive(-300, -1)],
        lambda p: mp.log(p / (1 - p)), 3,
    ),
    "dawsn": ([_both_signs(-300, 10), _between(-9, 9)], _dawsn, 6),
    "exp1": ([_positive(-300, 2.8), _between(0, 12)], mp.e1, 4),
    "expi": ([_both_signs(-300, 2.8), _between(-9, 30)], mp.ei, 6),
    "sin_integral": ([_both_signs(-300, 5), _between(-20, 20)], mp.si, 4),
    "fresnel_sin": ([_both_signs(-80, 4), _between(-6, 6)], mp.fresnels, 5),
    "fresnel_cos": ([_both_signs(-300, 4), _between(-6, 6)], mp.fresnelc, 6),
    "spence": ([_positive(-300, 10), _between(0, 4)], _spence, 4),
    "riemann_zeta": ([_between(-6, 30), _positive(-20, 1.5), _between(-250, -6)], mp.zeta, 40),
    "digamma": ([_between(1, 2), _positive(0, 8)], mp.digamma, 6),
}  # fmt: skip

# In f32 the others are computed in double, or as pairs.
FLOAT32 = {"logit": 2}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_units_in_the_last_place(name, dtype):
    points, exact, bound = ONE[name]
    rng = np.random.default_rng(len(name))
    with np.errstate(over="ignore"):
        x = np.concatenate([draw(rng) for draw in points]).astype(dtype)
    x = x[np.isfinite(x) & (x != 0) & (np.abs(x) >= np.finfo(dtype).tiny)]
    with cv.enable_x64():
        got = np.asarray(cv.jit(ELEMENTWISE[name].bind)(x))
    limit = bound if dtype == np.float64 else FLOAT32.get(name, 1)
    with mp.workdps(50):
        for v, g in zip(x, got, strict=True):
            want = exact(mp.mpf(float(v)))
            if abs(want) >= np.finfo(dtype).tiny:
                assert ulp_error(g, want, dtype) <= limit, (v, g, want)


def _pairs(rng):
    """Arguments of the beta function of all signs and sizes, whole ones among them."""
    mixed = rng.uniform(-40, 40, (2, N))
    far = 10 ** rng.uniform(-3, 8, N), rng.uniform(-5, 5, N)
    wide = rng.uniform(-300, 300, (2, N))
    near = 10 ** rng.uniform(-12, 2.5, (2, N)) * rng.choice([-1, 1], (2, N))
    halves = np.round(rng.uniform(-9, 9, N)) + 0.5, np.round(rng.uniform(-9, 9, N))
    return np.concatenate([mixed, far, wide, near, halves], axis=1)


def _beta(a, b):
    if any(x == mp.floor(x) <= 0 for x in (a, b)):
        # As in SciPy the limit along whole arguments, where one is positive, else infinite.
        a, b = min(a, b), max(a, b)
        there = b > 0 and b == mp.floor(b) and 1 - a - b > 0
        return (-1) ** int(b) * mp.beta(1 - a - b, b) if there else mp.inf
    return mp.beta(a, b)


# Bounds in units of the last place; the exponents of great powers are taken with 40 more bits.
PAIRS = {"beta": (_beta, 12), "poch": (mp.rf, 12)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_all_signs_and_sizes(name, dtype):
    exact, bound = PAIRS[name]
    a, b = _pairs(np.random.default_rng(len(name))).astype(dtype)
    got = run(name, a, b)
    info, tested = np.finfo(dtype), 0
    limit = bound if dtype == np.float64 else 1
    with mp.workdps(60):
        for x, y, g in zip(a, b, got, strict=True):
            want = exact(mp.mpf(float(x)), mp.mpf(float(y)))
            if mp.isinf(want):
                assert g == np.inf, (x, y, g)
            elif want == 0:
                assert g == 0, (x, y, g)
            elif info.tiny <= abs(want) <= info.max:
                assert ulp_error(g, want, dtype) <= limit, (x, y, g, want)
                tested += 1
    assert tested > 3 * N


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p"])
def test_power_transformations_in_f32(name):
    """Within 3 units in the last place, and more where what is raised to a power is far from 1."""
    rng = np.random.default_rng(len(name))
    x = np.concatenate([rng.uniform(0.1, 20, N), 10 ** rng.uniform(-44, 38, N)])
    power = rng.uniform(-4, 4, 2 * N)
    near = 1 + rng.uniform(-1, 1, N) ** 7, rng.uniform(-1, 1, N) * 10 ** rng.uniform(-10, 5, N)
    x, power = (np.concatenate(c).astype(np.float32) for c in zip((x, power), near, strict=True))
    x = x - np.float32(1) if name == "boxcox1p" else x
    info, tested = np.finfo(np.float32), 0
    with mp.workdps(60):
        for v, p, g in zip(x, power, run(name, x, power), strict=True):
            log = mp.log(mp.mpf(float(v)) + (name == "boxcox1p"))
            want = mp.expm1(mp.mpf(float(p)) * log) / mp.mpf(float(p))
            if info.tiny <= abs(want) <= info.max:
                assert ulp_error(g, want, np.float32) <= 3 + abs(p * log) / 16, (v, p, g, want)
                tested += 1
    assert tested > 2 * N


def test_power_transformations_at_the_ends():
    x = np.array([0, 0, 0, 1, INF, INF, INF, -1, NAN, 2, 2, 0.5, 2, 1e-42], np.float32)
    power = np.array([0, 2, -2, 3, 0, 2, -2, 2, 1, INF, NAN, INF, 1e-40, 0], np.float32)
    for name in ("boxcox", "boxcox1p"):
        there = x - np.float32(name == "boxcox1p")
        wide = run(name, there.astype(np.float64), power.astype(np.float64))
        np.testing.assert_allclose(run(name, there, power), wide.astype(np.float32), rtol=1.2e-7)


def test_logarithms_of_the_beta_function():
    """To the digits of the greatest of its terms, where it is small."""
    a, b = _pairs(np.random.default_rng(6))
    got = run("betaln", a, b)
    with mp.workdps(60):
        for x, y, g in zip(a, b, got, strict=True):
            want = _beta(mp.mpf(float(x)), mp.mpf(float(y)))
            if want == 0 or mp.isinf(want):
                assert g == (-np.inf if want == 0 else np.inf)
                continue
            size = 1 + sum(mp.log(1 + abs(v)) for v in (x, y))
            error = abs(mp.mpf(float(g)) - mp.log(abs(want)))
            assert error <= 1e-15 * max(size, abs(g)), (x, y, g)


def test_zeros_of_the_cosine_integral():
    """Its digits beside the first zero, and those of the logarithm and the waves elsewhere."""
    rng = np.random.default_rng(0)
    near = 0.6165054856207163 * (1 + 10 ** rng.uniform(-15, -1, N) * rng.choice([-1, 1], N))
    x = np.concatenate([near, rng.uniform(0, 30, N), 10 ** rng.uniform(-300, 3, N)])
    with cv.enable_x64():
        got = np.asarray(cv.jit(ELEMENTWISE["cos_integral"].bind)(x))
    with mp.workdps(40):
        for k, (v, g) in enumerate(zip(x, got, strict=True)):
            want = mp.ci(mp.mpf(float(v)))
            size = abs(want) if k < N else max(abs(want), min(1, 1 / v))
            assert abs(mp.mpf(float(g)) - want) <= 2e-15 * size, (v, g, want)


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
    with pytest.raises(ValueError, match="polygamma has no derivative"):
        cv.grad(lax.polygamma)(2.0, 3.0)


def test_incomplete_gamma_functions_far_out():
    """Where the logarithms of their factors are large: within a few units in the last place."""
    rng = np.random.default_rng(5)
    a = 10 ** rng.uniform(-8, 4, 200)
    tail = 10 ** rng.uniform(-300, 3, 100)
    about = np.abs(a[100:] * (1 + rng.normal(size=100) * 20 / np.sqrt(a[100:])))
    x = np.concatenate([tail, about])
    with mp.workdps(40):
        lower = [float(_lower(mp.mpf(s), mp.mpf(t))) for s, t in zip(a, x, strict=True)]
        upper = [
            float(mp.gammainc(mp.mpf(s), mp.mpf(t), mp.inf, regularized=True))
            for s, t in zip(a, x, strict=True)
        ]
    for name, want in (("igamma", lower), ("igammac", upper)):
        got, want = run(name, a, x), np.array(want)
        normal = want > 1e-290
        assert np.max(np.abs(got[normal] / want[normal] - 1)) < 3e-15, name
        np.testing.assert_allclose(got[~normal], want[~normal], rtol=1e-15, atol=1e-305)


@pytest.mark.parametrize("orders", [(2, 0), (3, 0), (1, 1), (2, 2), (0, 3)])
def test_derivatives_of_the_incomplete_gamma_function(orders):
    points = [(0.5, 0.3), (2.5, 3.1), (10.0, 8.0), (50.0, 60.0), (1e-3, 0.5), (1e-3, 5.0)]
    a, x = np.array(points).T
    with cv.enable_x64(), mp.workdps(40):
        got = np.asarray(cv.jit(lambda a, x: igamma_partial_p.bind(a, x, orders=orders))(a, x))
        want = [float(mp.diff(_lower, tuple(map(mp.mpf, at)), orders)) for at in points]
    np.testing.assert_allclose(got, want, rtol=1e-13)


def test_second_derivatives_by_the_shape():
    with cv.enable_x64(), mp.workdps(30):
        f = cv.hessian(lambda p: lax.igammac(p[0], p[1]))
        got = np.asarray(f(np.array([2.5, 3.1])))
        for i, j in ((0, 0), (0, 1), (1, 1)):
            orders = ((i == 0) + (j == 0), (i == 1) + (j == 1))
            want = -float(mp.diff(_lower, (mp.mpf(2.5), mp.mpf(3.1)), orders))
            np.testing.assert_allclose([got[i, j], got[j, i]], want, rtol=1e-12)
        by_a = cv.grad(lax.random_gamma_grad)(2.5, 3.1)
        step = mp.mpf("1e-8")
        near = [_variate_slope(2.5 + s, mp.mpf(3.1)) for s in (-step, step)]
        np.testing.assert_allclose(float(by_a), float((near[1] - near[0]) / (2 * step)), rtol=1e-9)
