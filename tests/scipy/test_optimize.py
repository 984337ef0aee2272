"""Minima: known functions, under transformations, and what is told where there is none."""

import numpy as np
import pytest
import scipy.optimize

import covector as cv
import covector.numpy as cnp
from covector.scipy import optimize
from covector.scipy.optimize import OptimizeResults, minimize


def rosenbrock(x):
    return cnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def beale(x):
    return sum((c - x[0] + x[0] * x[1] ** k) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), 1))


def long_valley(x):
    return cnp.sum(cnp.array([1.0, 100.0, 1e4], x.dtype) * x * x + x)


FUNCTIONS = {
    "rosenbrock": (rosenbrock, np.zeros(2)),
    "rosenbrock of 8": (rosenbrock, np.full(8, -1.2)),
    "himmelblau": (himmelblau, np.zeros(2)),
    "beale": (beale, np.zeros(2)),
    "long valley": (long_valley, np.ones(3)),
}


def test_every_name_is_here():
    assert optimize.__all__ == ["OptimizeResults", "minimize"]
    assert OptimizeResults._fields == (
        "x", "success", "status", "fun", "jac", "hess_inv", "nfev", "njev", "nit",
    )  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_minima(name):
    f, x0 = FUNCTIONS[name]
    with cv.enable_x64():
        got = cv.jit(lambda x: minimize(f, x, method="BFGS", tol=1e-7))(x0)
        slope = cv.jit(cv.grad(f))
        want = scipy.optimize.minimize(f, x0, jac=slope, method="BFGS", tol=1e-9)
    assert got.success and got.status == 0
    np.testing.assert_allclose(got.x, want.x, 1e-5, 1e-6)
    np.testing.assert_allclose(got.fun, want.fun, 1e-9, 1e-12)
    assert np.abs(got.jac).max() <= 1e-7
    assert got.nfev == got.njev and got.nit <= 3 * want.nit
    hessian = np.asarray(got.hess_inv)
    np.testing.assert_allclose(hessian, hessian.T, 1e-5, 1e-6)


def test_single_precision_and_arguments():
    def f(x, centre, power):
        return cnp.sum(cnp.abs(x - centre) ** power)

    got = minimize(f, np.zeros(3, np.float32), (2.5, 4), method="bfgs", options={"gtol": 1e-3})
    assert got.x.dtype == np.float32 and got.success
    np.testing.assert_allclose(got.x, 2.5, atol=0.1)
    runs = cv.vmap(lambda c: minimize(f, cnp.zeros(2), (c, 2), method="BFGS").x)
    np.testing.assert_allclose(runs(np.array([1.0, -2.0, 7.0])), [[1, 1], [-2, -2], [7, 7]], 1e-4)


def test_no_minimum():
    f = {"maxiter": 3}
    got = minimize(lambda x: -cnp.sum(x), np.ones(2), method="BFGS", options=f)
    assert not got.success and got.status == 1 and got.nit == 3
    got = minimize(lambda x: cnp.sum(x) * np.nan, np.ones(2), method="BFGS")
    assert not got.success and got.status == 3
    # The logarithm has no least value, and none below 0.
    got = minimize(lambda x: cnp.sum(cnp.log(x)), np.ones(2), method="BFGS")
    assert not got.success and np.isfinite(got.fun)
    got = minimize(rosenbrock, np.ones(2), method="BFGS")
    assert got.success and got.nit == 0
    assert minimize(lambda x: cnp.sum(x), np.zeros(0), method="BFGS").success


def test_bad_input():
    x = np.ones(2)
    for call, error, text in (
        (lambda: minimize(rosenbrock, x, method="Newton"), ValueError, "'BFGS'"),
        (lambda: minimize(rosenbrock, np.ones((2, 2)), method="BFGS"), ValueError, "vector"),
        (lambda: minimize(lambda x: x, x, method="BFGS"), TypeError, r"real number.*\[2\]"),
        (lambda: minimize(rosenbrock, x, 3, method="BFGS"), TypeError, "tuple"),
        (
            lambda: minimize(rosenbrock, x, method="BFGS", options={"max": 3}),
            TypeError, "unknown options max",
        ),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            call()
