"""`custom_root`, `custom_linear_solve` and `linear_call` against derivatives that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.core.config import override
from covector.custom_derivatives import linear_call

A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]])
B = np.array([1.0, 2.0, 3.0])
SKEW = A + np.array([[0, 0.7, 0], [0, 0, 0.2], [0.1, 0, 0]])


@pytest.fixture(autouse=True)
def x64() -> Any:
    with override(enable_x64=True):
        yield


def square_root(a: Any) -> Any:
    def newton(f: Any, x: Any) -> Any:
        return lax.while_loop(lambda x: abs(f(x)) > 1e-12, lambda x: x - f(x) / (2 * x), x)

    return lax.custom_root(lambda x: x * x - a, 1.0, newton, lambda g, y: y / g(1.0))


def test_root() -> None:
    assert abs(float(square_root(4.0)) - 2) < 1e-9
    for d in (cv.grad(square_root), cv.jit(cv.grad(square_root))):
        np.testing.assert_allclose(float(d(4.0)), 0.25)
    np.testing.assert_allclose(float(cv.jvp(square_root, (4.0,), (1.0,))[1]), 0.25)
    np.testing.assert_allclose(float(cv.grad(cv.grad(square_root))(4.0)), -1 / 32)
    xs = np.array([1.0, 4.0, 9.0])
    np.testing.assert_allclose(np.asarray(cv.vmap(square_root)(xs)), [1, 2, 3])
    np.testing.assert_allclose(np.asarray(cv.vmap(cv.grad(square_root))(xs)), [1 / 2, 1 / 4, 1 / 6])


def test_root_with_aux() -> None:
    def f(a: Any) -> Any:
        solve = lambda f, x: (lax.fori_loop(0, 30, lambda i, x: x - f(x) / (2 * x), x), x)  # noqa: E731
        return lax.custom_root(
            lambda x: x * x - a, 1.0, solve, lambda g, y: y / g(1.0), has_aux=True
        )

    g, aux = cv.grad(f, has_aux=True)(4.0)
    np.testing.assert_allclose(float(g), 0.25)
    assert float(aux) == 1


def jacobi(matvec: Any, b: Any) -> Any:
    """Solves by Richardson iteration: the loop has no reverse mode of its own."""
    return lax.while_loop(
        lambda x: cnp.max(abs(matvec(x) - b)) > 1e-13, lambda x: x + 0.2 * (b - matvec(x)), 0 * b
    )


def solution(a: Any, b: Any, **options: Any) -> Any:
    return lax.custom_linear_solve(lambda x: a @ x, b, jacobi, **options)


CASES = {
    "symmetric": (lambda a, b: solution((a + a.T) / 2, b, symmetric=True), A),
    "general": (lambda a, b: solution(a, b, transpose_solve=jacobi), SKEW),
}


@pytest.mark.parametrize("name", CASES)
def test_linear_solve(name: str) -> None:
    f, a = CASES[name]
    x = np.linalg.solve(a, B)
    np.testing.assert_allclose(np.asarray(f(a, B)), x, rtol=1e-8)
    np.testing.assert_allclose(np.asarray(cv.jit(f)(a, B)), x, rtol=1e-8)
    np.testing.assert_allclose(
        np.asarray(cv.vmap(f, (None, 0))(a, np.stack([B, 2 * B]))), [x, 2 * x], rtol=1e-8
    )
    np.testing.assert_allclose(
        np.asarray(cv.jacfwd(f, 1)(a, B)), np.linalg.inv(a), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(
        np.asarray(cv.jacrev(f, 1)(a, B)), np.linalg.inv(a), rtol=1e-6, atol=1e-8
    )
    loss = lambda a: cnp.sum(f(a, B) ** 2)  # noqa: E731
    expected = -np.outer(np.linalg.solve(a.T, 2 * x), x)
    if name == "symmetric":
        expected = (expected + expected.T) / 2
    for g in (cv.grad(loss), cv.jit(cv.grad(loss))):
        np.testing.assert_allclose(np.asarray(g(a)), expected, rtol=1e-6)


def test_errors() -> None:
    with pytest.raises(TypeError, match="transpose_solve"):
        cv.grad(lambda b: cnp.sum(solution(A, b)))(B)
    with pytest.raises(TypeError, match="shapes do not match"):
        lax.custom_linear_solve(lambda x: x[:2], B, jacobi)
    with pytest.raises(TypeError, match="takes a function"):
        lax.custom_root(3, 1.0, jacobi, jacobi)


def test_platform_dependent() -> None:
    assert lax.platform_dependent(1, cpu=lambda x: x + 1, default=lambda x: x) == 2
    assert lax.platform_dependent(1, tpu=lambda x: x + 1, default=lambda x: x) == 1
    with pytest.raises(NotImplementedError, match="tpu"):
        lax.platform_dependent(1, tpu=lambda x: x)


def test_custom_root_whose_solver_closes_over_what_is_differentiated() -> None:
    def root(a: Any) -> Any:
        return lax.custom_root(
            lambda x: x * x - a, 1.0, lambda f, x: cnp.sqrt(a), lambda g, y: y / g(1.0)
        )

    assert float(cv.grad(root)(4.0)) == 0.25
    assert float(cv.grad(cv.grad(root))(4.0)) == -1 / 32
    got = cv.jit(cv.vmap(cv.grad(root)))(np.array([4.0, 16.0]))
    np.testing.assert_allclose(got, [0.25, 0.125])


def scaled(residual: Any, x: Any) -> Any:
    """Linear, with ten times its transpose, so that it shows which one is used."""
    return linear_call(lambda r, x: r * x, lambda r, ct: 10 * r * ct, residual, x)


def test_linear_call() -> None:
    f = lambda x: scaled(3.0, x)  # noqa: E731
    assert float(f(2.0)) == float(cv.jit(f)(2.0)) == 6.0
    assert float(cv.jvp(f, (2.0,), (1.0,))[1]) == 3.0
    for wrapped in (cv.grad(f), cv.jit(cv.grad(f)), cv.grad(cv.jit(f)), cv.grad(cv.checkpoint(f))):
        assert float(wrapped(2.0)) == 30.0
    assert float(cv.linear_transpose(f, 1.0)(1.0)[0]) == 30.0
    # The transpose of the transpose is the function.
    assert float(cv.jvp(cv.grad(lambda x: f(x) ** 2 / 2), (2.0,), (1.0,))[1]) == 90.0
    x = np.arange(3.0)
    np.testing.assert_array_equal(cv.vmap(cv.grad(scaled, 1))(x, x), 10 * x)
    np.testing.assert_array_equal(cv.vmap(cv.grad(scaled, 1), (None, 0))(2.0, x), [20, 20, 20])


def test_linear_call_in_a_derivative_rule() -> None:
    @cv.custom_jvp
    def g(x: Any) -> Any:
        return cnp.sin(x)

    g.defjvp(lambda p, t: (g(p[0]), scaled(3.0, t[0])))
    assert float(cv.jvp(g, (1.0,), (1.0,))[1]) == 3.0
    assert float(cv.grad(g)(1.0)) == 30.0


def test_linear_call_by_its_residuals() -> None:
    """It is a function like others: its transpose is for the linear arguments."""
    f = lambda r, x: linear_call(  # noqa: E731
        lambda r, x: cnp.sin(r) * x, lambda r, ct: 10 * cnp.sin(r) * ct, r, x
    )
    sine, cosine = np.sin(2.0), np.cos(2.0)
    for d in (cv.grad, cv.jacfwd):
        np.testing.assert_allclose(d(f)(2.0, 3.0), 3 * cosine, 1e-6)
        np.testing.assert_allclose(d(cv.grad(f))(2.0, 3.0), -3 * sine, 1e-6)
        np.testing.assert_allclose(d(cv.grad(f, 1))(2.0, 3.0), 10 * cosine, 1e-6)
    both = cv.jvp(f, (2.0, 3.0), (1.0, 1.0))[1]
    np.testing.assert_allclose(both, 3 * cosine + sine, 1e-6)
    mapped = cv.vmap(cv.grad(f), (0, None))(np.array([1.0, 2.0]), 3.0)
    np.testing.assert_allclose(mapped, 3 * np.cos([1.0, 2.0]), 1e-6)


def test_linear_call_of_trees_and_errors() -> None:
    def apply(r: Any, t: Any) -> Any:
        return r[0] * t["a"], r[1] * t["b"]

    def transpose(r: Any, ct: Any) -> Any:
        return {"a": r[0] * ct[0], "b": r[1] * ct[1]}

    def second(x: Any) -> Any:
        return linear_call(apply, transpose, (2.0, 3.0), {"a": x, "b": x * x})[1]

    assert float(cv.grad(second)(2.0)) == 12.0
    with pytest.raises(TypeError, match="linear_call"):
        linear_call(lambda r, x: r * x, lambda r, ct: (ct, ct), 2.0, 1.0)
