"""Every program under every transformation: against finite differences, loops and eager runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
from covector import lax
from covector.core.config import override
from tests.transforms.programs import PROGRAMS

FORWARD = [name for name, (_, _, modes) in PROGRAMS.items() if "f" in modes]
REVERSE = [name for name, (_, _, modes) in PROGRAMS.items() if "r" in modes]
TOL = {"rtol": 1e-5, "atol": 1e-7}


@pytest.fixture(autouse=True)
def x64_and_checks() -> Any:
    with override(enable_x64=True, enable_checks=True):
        yield


def difference(f: Any, x: float, eps: float = 1e-6) -> np.ndarray:
    """Derivative by central differences."""
    return (np.asarray(f(x + eps)) - np.asarray(f(x - eps))) / (2 * eps)


def close(actual: Any, expected: Any, **tol: Any) -> None:
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), **(tol or TOL))


@pytest.mark.parametrize("name", PROGRAMS)
def test_jit_equals_eager(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    close(cv.jit(f)(x), f(x), rtol=1e-12)
    with cv.disable_jit():
        close(f(x), cv.jit(f)(x), rtol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_vmap_equals_loop(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    xs = np.array([x, x + 0.3, x - 0.2])
    expected = [np.asarray(f(v)) for v in xs]
    close(cv.vmap(f)(xs), expected)
    close(cv.jit(cv.vmap(f))(xs), expected)
    close(cv.vmap(cv.jit(f))(xs), expected)


@pytest.mark.parametrize("name", FORWARD)
def test_jvp(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    expected = difference(f, x)
    for g in (f, cv.jit(f)):
        out, tangent = cv.jvp(g, (x,), (1.0,))
        close(out, f(x))
        close(tangent, expected)
        close(cv.linearize(g, x)[1](1.0), expected)
    close(cv.jit(lambda x: cv.jvp(f, (x,), (1.0,))[1])(x), expected)


@pytest.mark.parametrize("name", REVERSE)
def test_grad(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    expected = difference(f, x)
    close(cv.grad(f)(x), expected)
    close(cv.jit(cv.grad(f))(x), expected)
    close(cv.grad(cv.jit(f))(x), expected)
    value, grad = cv.value_and_grad(f)(x)
    close(value, f(x))
    close(grad, expected)
    close(cv.vjp(f, x)[1](2.0)[0], 2 * expected)


@pytest.mark.parametrize("name", REVERSE)
def test_second_derivatives(name: str) -> None:
    f, x, modes = PROGRAMS[name]
    expected = difference(cv.grad(f), x)
    close(cv.jit(cv.grad(cv.grad(f)))(x), expected)
    close(cv.grad(cv.jit(cv.grad(f)))(x), expected)
    if "f" in modes:
        close(cv.jvp(cv.grad(f), (x,), (1.0,))[1], expected)


@pytest.mark.parametrize("name", REVERSE)
def test_grad_and_vmap_commute(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    xs = np.array([x, x + 0.3, x - 0.2])
    expected = [np.asarray(cv.grad(f)(v)) for v in xs]
    close(cv.vmap(cv.grad(f))(xs), expected)
    close(cv.grad(lambda xs: lax.reduce_sum(cv.vmap(f)(xs), (0,)))(xs), expected)
    close(cv.jit(cv.vmap(cv.jit(cv.grad(f))))(xs), expected)


@pytest.mark.parametrize("name", REVERSE)
def test_checkpoint_changes_nothing(name: str) -> None:
    f, x, _ = PROGRAMS[name]
    expected = cv.grad(f)(x)
    for policy in (None, cv.checkpoint_policies.everything_saveable):
        close(cv.grad(cv.checkpoint(f, policy=policy))(x), expected)
