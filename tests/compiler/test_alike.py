"""Loops that are alike but for the arrays they work on share their code."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax


def functions(f, *args):
    return cv.jit(f).lower(*args).as_text("llvm").count("define internal void @body")


def adam(params, rate):
    out = []
    for p, m, v, g in params:
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        out.append((p - rate * m / (np.sqrt(v) + 1e-8), m, v))
    return out


def arrays(count, shape, dtype="float32"):
    rng = onp.random.default_rng(count)
    return [[rng.random(shape).astype(dtype) for _ in range(4)] for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, 9, 30])
def test_a_step_of_many_arrays(count):
    params = arrays(count, (40, 30))
    got = cv.jit(adam)(params, 0.5)
    for found, given in zip(got, params, strict=True):
        p, m, v, g = given
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        for x, y in zip(found, (p - 0.5 * m / (onp.sqrt(v) + 1e-8), m, v), strict=True):
            onp.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)
    assert functions(adam, params, 0.5) == functions(adam, params[:1], 0.5)


def test_what_differs_is_told_apart():
    params = [*arrays(5, (40, 30)), *arrays(4, (50, 70)), *arrays(3, (40, 30), "float16")]
    one = functions(adam, params[:1], 0.5)
    # Sizes are no part of the code.
    assert functions(adam, params[:9], 0.5) == one < functions(adam, params, 0.5)
    several = [lambda x, k=k: np.sin(x) * k for k in (2, 3, 5)]
    xs = [np.ones(500) for _ in range(9)]
    assert functions(lambda xs: [several[k % 3](x) for k, x in enumerate(xs)], xs) == 3


def test_functions_written_in_place_and_called():
    def f(x):
        return [np.tanh(x[k]) * (k % 5 + 1) for k in range(12)]

    x = onp.random.default_rng(0).standard_normal((12, 400)).astype("f")
    for k, found in enumerate(cv.jit(f)(x)):
        onp.testing.assert_allclose(found, onp.tanh(x[k]) * (k % 5 + 1), rtol=1e-6)


def test_the_same_array_twice_and_donated():
    def f(xs):
        return [a * 2 + b for a, b in zip(xs, xs[1:] + xs[:1], strict=True)]

    xs = [onp.full((500,), k, "f") for k in range(10)]
    for k, found in enumerate(cv.jit(f)([*map(np.asarray, xs)])):
        assert (found == 2 * k + (k + 1) % 10).all()
    same = np.asarray(xs[3])
    assert all((y == 9).all() for y in cv.jit(f)([same] * 10))
    given = [*map(np.asarray, xs)]
    for k, found in enumerate(cv.jit(f, donate_argnums=0)(given)):
        assert (found == 2 * k + (k + 1) % 10).all()


def test_inside_loops_and_branches():
    def step(_, xs):
        return [
            lax.cond(x[0] > 3, np.sin, np.cos, x) + y for x, y in zip(xs, xs[::-1], strict=True)
        ]

    xs = [onp.full((300,), k, "f") for k in range(12)]
    got = cv.jit(lambda xs: lax.fori_loop(0, 3, step, xs))(xs)
    for _ in range(3):
        xs = [
            (onp.sin(x) if x[0] > 3 else onp.cos(x)) + y for x, y in zip(xs, xs[::-1], strict=True)
        ]
    for x, y in zip(got, xs, strict=True):
        onp.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)
