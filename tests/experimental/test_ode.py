"""Ordinary differential equations: beside SciPy, gradients beside differences, bad input."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import covector as cv
import covector.numpy as cnp
from covector.experimental import ode

T = np.linspace(0, 2, 4)


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def field(y, t, a, b):
    return {"u": a * y["v"], "v": -b * y["u"] + cnp.cos(t)}


def test_beside_scipy():
    y = ode.odeint(field, {"u": 1.0, "v": 0.5}, T, 2.0, 3.0, rtol=1e-9, atol=1e-9)
    want = solve_ivp(
        lambda t, y: [2 * y[1], -3 * y[0] + np.cos(t)], (0, 2), [1, 0.5], "DOP853", T, rtol=1e-11,
        atol=1e-12,
    ).y  # fmt: skip
    np.testing.assert_allclose([y["u"], y["v"]], want, 1e-6, 1e-7)
    # Tolerances and the longest step are kept.
    rough = ode.odeint(lambda y, t: -y, 1.0, T, rtol=1e-3, atol=1e-3)
    assert 1e-9 < np.abs(rough - np.exp(-T)).max() < 1e-2
    fine = ode.odeint(lambda y, t: -y, 1.0, T, rtol=1e-3, atol=1e-3, hmax=0.05)
    assert np.abs(fine - np.exp(-T)).max() < 1e-8
    cut = ode.odeint(lambda y, t: -y, 1.0, T, hmax=0.01, mxstep=3)
    assert cut.shape == (4,)
    spin = ode.odeint(lambda y, t: 1j * y, 1 + 0j, T)
    np.testing.assert_allclose(spin, np.exp(1j * T), 1e-6)


def test_derivatives():
    def loss(u, a, b, t):
        y = ode.odeint(field, {"u": u, "v": 0.5}, t, a, b)
        return (y["u"] ** 2).sum() + y["v"][2]

    value = cv.jit(loss)
    args = (1.0, 2.0, 3.0, T)
    g = cv.jit(cv.grad(loss, (0, 1, 2, 3)))(*args)
    e = 1e-4
    for k in range(3):
        up, down = list(args), list(args)
        up[k], down[k] = args[k] + e, args[k] - e
        np.testing.assert_allclose(g[k], (value(*up) - value(*down)) / (2 * e), 1e-4, 1e-6)
    for k in range(4):
        d = np.eye(4)[k] * e
        slope = (value(*args[:3], T + d) - value(*args[:3], T - d)) / (2 * e)
        np.testing.assert_allclose(g[3][k], slope, 1e-4, 1e-6)

    # By what the function closes over, and of many.
    def end(c):
        return ode.odeint(lambda y, t: -c * y, 1.0, np.array([0.0, 1.0]))[1]

    np.testing.assert_allclose(cv.grad(end)(2.0), -np.exp(-2), 1e-6)
    np.testing.assert_allclose(cv.vmap(end)(np.arange(3.0)), np.exp(-np.arange(3.0)), 1e-6)


def test_forward_mode():
    def end(u, a, b, t):
        y = ode.odeint(field, {"u": u, "v": 0.5}, t, a, b)
        return cnp.stack([y["u"], y["v"]])

    args = (1.0, 2.0, 3.0, T)
    rows = cv.jit(cv.jacfwd(end, (0, 1, 2, 3)))(*args)
    columns = cv.jacrev(end, (0, 1, 2, 3))(*args)
    for a, b in zip(rows, columns, strict=True):
        np.testing.assert_allclose(a, b, 1e-6, 1e-7)
    # The first value is the start, whenever that is.
    np.testing.assert_array_equal(rows[3][:, 0], np.zeros((2, 4)))
    out, dot = cv.jvp(lambda c: ode.odeint(lambda y, t: c * y, 1 + 0j, T), (1j,), (0.5 + 0j,))
    np.testing.assert_allclose(dot, 0.5 * T * np.exp(1j * T), 1e-6, 1e-7)


def test_second_derivatives():
    def end(v):
        # y' = a y cos(b t), whose solution is y0 exp(a sin(b t) / b).
        return ode.odeint(lambda y, t, a: a * y * cnp.cos(v[1] * t), v[2], v[3:], v[0])[1]

    def exact(v):
        a, b, y, s, t = v
        return y * cnp.exp(a * (cnp.sin(b * t) - cnp.sin(b * s)) / b)

    v = np.array([0.7, 1.3, 0.8, 0.2, 1.1])
    want = cv.hessian(exact)(v)
    for outer in (cv.jacfwd, cv.jacrev):
        for inner in (cv.jacfwd, cv.jacrev):
            got = cv.jit(outer(inner(end)))(v)
            np.testing.assert_allclose(got, want, 1e-5, 1e-6)


def test_arguments_that_are_no_floats():
    def end(a, n):
        return ode.odeint(lambda y, t, a, n: a * y * n, 1.0, np.array([0.0, 0.5]), a, n)[1]

    for d in (cv.grad, cv.jacfwd):
        np.testing.assert_allclose(d(end)(0.3, 2), np.exp(0.3), 1e-6)


def test_steps():
    y = np.array([1.0, 2.0])
    y1, f1, error, k = ode.runge_kutta_step(lambda y, t: -y, y, -y, 0.0, 0.1)
    np.testing.assert_allclose(y1, y * np.exp(-0.1), 1e-8)
    np.testing.assert_allclose(f1, -y1, 1e-12)
    assert np.abs(error).max() < 1e-6 and k.shape == (7, 2)
    fit = ode.interp_fit_dopri(y, y1, k, 0.1)
    np.testing.assert_allclose(np.polyval(np.asarray(fit), 0.5), y * np.exp(-0.05), 1e-7)
    assert ode.optimal_step_size(1.0, np.array(16.0)) < 0.6
    assert ode.optimal_step_size(1.0, np.array(1e9)) == 0.2
    assert ode.mean_error_ratio(np.zeros(2), 1e-3, 1e-3, y, y) == 0
    assert ode.abs2(np.array([3 + 4j]))[0] == 25
    assert ode.map is ode.safe_map and ode.zip is ode.safe_zip
    with pytest.raises(ValueError, match="one length"):
        ode.safe_zip([1], [1, 2])
    with pytest.raises(TypeError, match="vector of floats"):
        ode.odeint(lambda y, t: y, 1.0, 3)
