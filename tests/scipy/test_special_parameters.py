"""Derivatives of special functions by their parameters, against mpmath."""

import math

import mpmath as mp
import numpy as onp
import pytest

import covector as cv
from covector import lax
from covector.scipy import special

INF, NAN = math.inf, math.nan
N = 16


def _beta(rng):
    a, b = 10 ** rng.uniform(-2, 2.5, (2, N))
    x = onp.where(rng.uniform(size=N) < 0.6, rng.beta(a, b), rng.uniform(size=N))
    return a, b, onp.clip(x, 1e-9, 1 - 1e-7)


def _confluent(rng):
    x = 10 ** rng.uniform(-2, 2.4, N) * rng.choice([-1, 1], N)
    return onp.round(rng.uniform(-5, 6, N) * 4) / 4, rng.uniform(-3, 8, N), x


def _gauss(rng):
    a, b = onp.round(rng.uniform(-3, 6, (2, N)) * 2) / 2
    c = onp.round(rng.uniform(0.5, 8, N) * 2) / 2
    near = rng.uniform(size=N) < 0.6
    return a, b, c, onp.where(near, 1 - 10 ** rng.uniform(-9, 0, N), -(10 ** rng.uniform(-2, 4, N)))


def _integrals(rng):
    return rng.integers(0, 25, N).astype(float), 10 ** rng.uniform(-3, 2, N)


def _hurwitz(rng):
    return 1 + 10 ** rng.uniform(-3, 1.3, N), 10 ** rng.uniform(-3, 2, N)


def _riemann(rng):
    return (onp.concatenate([rng.uniform(-60, 30, N - 4), [0.0, -2.0, -1e-9, -0.5]]),)


# Function, exact values, points, bound of the relative error in f64, and orders of derivatives.
CASES = {
    "betainc": (
        special.betainc, lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), _beta, 1e-10,
        [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 0), (1, 0, 1), (0, 1, 2)],
    ),
    "hyp1f1": (
        special.hyp1f1, mp.hyp1f1, _confluent, 1e-11,
        [(1, 0, 0), (0, 1, 0), (1, 1, 0), (2, 0, 0), (0, 1, 1)],
    ),
    "hyp2f1": (
        special.hyp2f1, mp.hyp2f1, _gauss, 1e-10,
        [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (1, 1, 0, 0), (0, 0, 1, 1)],
    ),
    "expn": (special.expn, mp.expint, _integrals, 1e-13, [(1, 0), (2, 0), (1, 1), (3, 0)]),
    "zeta": (special.zeta, mp.zeta, _hurwitz, 1e-13, [(1, 0), (2, 0), (1, 1), (1, 2)]),
    "riemann_zeta": (special.zeta, mp.zeta, _riemann, 1e-12, [(1,), (2,), (3,)]),
}  # fmt: skip


def differentiated(f, orders):
    for k, n in enumerate(orders):
        for _ in range(n):
            f = cv.grad(f, k)
    return cv.jit(cv.vmap(f))


@pytest.mark.parametrize(
    "name, orders, dtype",
    [(name, orders, onp.float64) for name, case in CASES.items() for orders in case[4]]
    + [(name, case[4][0], onp.float32) for name, case in CASES.items()],
)
def test_error(name, orders, dtype):
    f, exact, points, bound, _ = CASES[name]
    args = [x.astype(dtype) for x in points(onp.random.default_rng(len(name)))]
    with cv.enable_x64():
        got = onp.asarray(differentiated(f, orders)(*args))
    info, tested = onp.finfo(dtype), 0
    bound = 3 * float(info.eps) if dtype == onp.float32 else bound
    for k in range(N):
        point = tuple(mp.mpf(float(x[k])) for x in args)
        with mp.workdps(30):
            want = mp.re(mp.diff(exact, point, orders))
        # Differences have no more digits.
        if 1e-12 < abs(want) < 0.01 * float(info.max):
            assert abs(got[k] - want) <= bound * abs(want), (point, got[k], want)
            tested += 1
    assert tested > 4


def _slopes(f, *point):
    with cv.enable_x64():
        return [float(g) for g in cv.grad(f, tuple(range(len(point))))(*point)]


def test_special_values():
    euler, glaisher = -0.9189385332046728, -0.1654211437004509
    for f, point, want in (
        (special.betainc, (1.0, 2.0, 0.0), [0, 0, 2]),
        (special.betainc, (1.0, 2.0, 1.0), [0, 0, 0]),
        (special.betainc, (2.0, 3.0, 1.5), [NAN, NAN, NAN]),
        (special.betainc, (-1.0, 1.0, 0.5), [NAN, NAN, NAN]),
        (special.hyp1f1, (1.0, 2.0, 0.0), [0, 0, 0.5]),
        (special.hyp2f1, (1.0, 1.0, 2.0, 0.0), [0, 0, 0, 0.5]),
        # Gauss's sum.
        (special.hyp2f1, (1.0, 1.0, 2.5, 1.0), [6, 6, -4, INF]),
        # The degree of a polynomial that ends before its series has another pole.
        (special.hyp2f1, (1.0, 1.0, -2.0, 0.5), [NAN, NAN, NAN, -INF]),
        (special.expn, (2.0, 0.0), [-1, -INF]),
        (special.expn, (1.0, 0.0), [-INF, -INF]),
        (special.expn, (3.0, INF), [0, 0]),
        (special.expn, (1.5, 1.0), [NAN, NAN]),
        (special.zeta, (2.0, INF), [0, 0]),
        (special.zeta, (0.0,), [euler]),
        (special.zeta, (-1.0,), [glaisher]),
        (special.zeta, (INF,), [0]),
    ):
        onp.testing.assert_allclose(_slopes(f, *point), want, rtol=1e-14, err_msg=str(point))


def test_polynomials():
    """Where a parameter ends the series, derivatives by the others are those of the polynomial."""
    for a, b, c, x in ((-2.0, 6.0, 0.5, 3.0), (6.0, -3.0, 1.5, 1.0), (-1.0, 2.0, 4.0, -9.0)):
        _, _, by_c, _ = _slopes(special.hyp2f1, a, b, c, x)
        want = float(mp.diff(lambda c, a=a, b=b, x=x: mp.hyp2f1(a, b, c, x), c))
        assert by_c == pytest.approx(want, rel=1e-9)
    _, by_b, _ = _slopes(special.hyp1f1, -3.0, 2.5, 90.0)
    assert by_b == pytest.approx(float(mp.diff(lambda b: mp.hyp1f1(-3, b, 90), 2.5)), rel=1e-9)


def test_modes_and_shapes():
    """Forwards as backwards, of several orders, and under batching."""
    with cv.enable_x64():
        a, b, x = onp.array([0.5, 2.0, 7.0]), onp.array([[1.5], [3.0]]), 0.3
        rows = cv.jacfwd(special.betainc)(a, b, x)
        columns = cv.jacrev(special.betainc)(a, b, x)
        onp.testing.assert_allclose(rows, columns, rtol=1e-13, atol=1e-16)
        f = lambda v: special.hyp1f1(*v)  # noqa: E731
        v = onp.array([0.5, 1.5, 0.4])
        hessian = cv.hessian(f)(v)
        onp.testing.assert_allclose(hessian, onp.swapaxes(hessian, 0, 1), rtol=1e-12)
        onp.testing.assert_allclose(hessian, cv.jacrev(cv.jacrev(f))(v), rtol=1e-12)
        # Lanes converge one by one.
        slope = cv.vmap(cv.grad(special.betainc))
        points = _beta(onp.random.default_rng(3))
        whole = onp.asarray(slope(*points))
        for k in range(0, N, 5):
            alone = slope(*(p[k : k + 1] for p in points))[0]
            onp.testing.assert_array_equal(whole[k], alone)
    slope = float(mp.diff(lambda a: mp.betainc(a, 3, 0, 0.5, regularized=True), 2))
    half = cv.grad(lax.betainc)(onp.float16(2), onp.float16(3), onp.float16(0.5))
    assert half.dtype == "float16" and abs(float(half) - slope) < 1e-3
