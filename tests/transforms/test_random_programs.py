"""Random compositions of operations, loops, branches and transformations agree with one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.core.config import override

N = 4
W = np.random.RandomState(1).randn(N, N) * 0.4


def random_function(rng: np.random.RandomState, depth: int) -> Any:
    """A smooth function from vectors of length N to such vectors, bounded on bounded sets."""
    kind = rng.randint(14) if depth else rng.randint(5)
    if kind == 0:
        return cnp.sin
    if kind == 1:
        return lambda x: cnp.tanh(W @ x)
    if kind == 2:
        c = rng.randn(N)
        return lambda x: x * c / (1.0 + x * x)
    if kind == 3:
        return lambda x: cnp.cumsum(x)[::-1] * 0.3
    if kind == 4:
        k = rng.randint(N)
        return lambda x: x.at[k].set(cnp.cos(x[(k + 1) % N])).at[0].add(x[k])
    f, g = (random_function(rng, depth - 1) for _ in range(2))
    if kind == 5:
        return lambda x: f(g(x))
    if kind == 6:
        return lambda x: f(x) * cnp.cos(g(x))
    if kind == 7:
        return cv.jit(lambda x: f(x) + g(x))
    if kind == 8:
        return cv.checkpoint(lambda x: f(x) - g(x))
    if kind == 9:
        return lambda x: lax.cond(cnp.sum(x) > 0.1, f, g, x)
    if kind == 10:
        return lambda x: lax.fori_loop(
            0, 3, lambda i, c: cnp.tanh(f(c)) + 0.1 * i * cnp.sin(g(x)), x
        )
    if kind == 11:
        return lambda x: lax.scan(
            lambda c, y: (cnp.tanh(f(c) * y), cnp.sum(g(c)) * y), x, cnp.sin(x)
        )[1]
    if kind == 12:
        return lambda x: cnp.mean(cv.vmap(lambda s: f(s * x))(cnp.array([0.5, 1.0])), 0)
    return lambda x: lax.map(lambda s: cnp.sum(f(x * s)), cnp.cos(x)) * 0.5


@pytest.mark.parametrize("seed", range(16))
def test_random_program(seed: int) -> None:
    rng = np.random.RandomState(seed)
    program = random_function(rng, 3)
    f = lambda x: program(cnp.asarray(x))  # noqa: E731
    x, t = rng.randn(N), rng.randn(N)
    loss = lambda x: cnp.sum(cnp.sin(f(x)))  # noqa: E731
    run, slopes = cv.jit(lambda x: (f(x), loss(x))), cv.jit(cv.grad(loss))
    with override(enable_x64=True, enable_checks=True):
        y = np.asarray(f(x))
        np.testing.assert_allclose(np.asarray(run(x)[0]), y, rtol=1e-10, atol=1e-12)
        xs = np.stack([x, t])
        np.testing.assert_allclose(
            np.asarray(cv.vmap(f)(xs)), [y, np.asarray(run(t)[0])], rtol=1e-9, atol=1e-12
        )
        g = np.asarray(cv.grad(loss)(x))
        eps = 1e-6
        slope = (float(run(x + eps * t)[1]) - float(run(x - eps * t)[1])) / (2 * eps)
        np.testing.assert_allclose(g @ t, slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(float(cv.jvp(loss, (x,), (t,))[1]), slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(np.asarray(slopes(x)), g, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            np.asarray(cv.vmap(cv.grad(loss))(xs))[0], g, rtol=1e-9, atol=1e-12
        )
        hvp = lambda x: cv.jvp(cv.grad(loss), (x,), (t,))[1]  # noqa: E731
        expected = (np.asarray(slopes(x + eps * t)) - np.asarray(slopes(x - eps * t))) / (2 * eps)
        np.testing.assert_allclose(np.asarray(cv.jit(hvp)(x)), expected, rtol=1e-4, atol=1e-6)
        reverse = cv.jit(cv.grad(lambda x: cnp.sum(cv.grad(loss)(x) * t)))(x)
        np.testing.assert_allclose(np.asarray(reverse), expected, rtol=1e-4, atol=1e-6)
