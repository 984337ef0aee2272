"""`jacfwd`, `jacrev` and `hessian` against finite differences, over structures and modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector.core.config import override

A = np.random.RandomState(0).randn(4, 3)
V = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def x64() -> Any:
    with override(enable_x64=True):
        yield


def difference(f: Any, x: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """Jacobian by central differences, shape of the result + shape of ``x``."""
    columns = []
    for i in range(x.size):
        d = np.zeros(x.size)
        d[i] = eps
        d = d.reshape(x.shape)
        columns.append((np.asarray(f(x + d)) - np.asarray(f(x - d))) / (2 * eps))
    return np.stack(columns, -1).reshape(*columns[0].shape, *x.shape)


FUNCTIONS = {
    "vector": lambda x: cnp.sin(A @ x),
    "scalar": lambda x: cnp.sum(cnp.sin(A @ x) ** 2),
    "matrix": lambda x: cnp.outer(x, x) * cnp.exp(x),
    "constant": lambda x: cnp.ones(2),
}


@pytest.mark.parametrize("jac", [cv.jacfwd, cv.jacrev])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian(name: str, jac: Any) -> None:
    f = FUNCTIONS[name]
    expected = difference(f, V)
    for g in (jac(f), cv.jit(jac(f)), jac(cv.jit(f))):
        np.testing.assert_allclose(np.asarray(g(V)), expected, rtol=1e-6, atol=1e-8)
    several = cv.vmap(jac(f))(np.stack([V, 2 * V]))
    np.testing.assert_allclose(np.asarray(several)[0], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessian(name: str) -> None:
    f = FUNCTIONS[name]
    expected = difference(cv.jacrev(f), V)
    np.testing.assert_allclose(np.asarray(cv.hessian(f)(V)), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("jac", [cv.jacfwd, cv.jacrev])
def test_structures(jac: Any) -> None:
    f = lambda d: {"o": d["a"] * cnp.sum(d["b"]), "q": d["b"] ** 2}  # noqa: E731
    got = jac(f)({"a": 2.0, "b": V})
    np.testing.assert_allclose(np.asarray(got["o"]["a"]), V.sum())
    np.testing.assert_allclose(np.asarray(got["o"]["b"]), [2, 2, 2])
    np.testing.assert_allclose(np.asarray(got["q"]["a"]), [0, 0, 0])
    np.testing.assert_allclose(np.asarray(got["q"]["b"]), np.diag(2 * V))
    da, dv = jac(lambda a, v: a @ v, argnums=(0, 1))(A, V)
    assert da.shape == (4, 4, 3)
    np.testing.assert_allclose(np.asarray(dv), A)
    j, aux = jac(lambda x: (x * x, "aux"), has_aux=True)(V)
    assert aux == "aux" and j.shape == (3, 3)


def test_complex() -> None:
    z = np.array([1 + 2j, -0.5j])
    got = cv.jacfwd(lambda z: z * z, holomorphic=True)(z)
    np.testing.assert_allclose(np.asarray(got), np.diag(2 * z))
    np.testing.assert_allclose(
        np.asarray(cv.jacrev(lambda z: z * z, holomorphic=True)(z)), np.diag(2 * z)
    )
    with pytest.raises(TypeError, match="holomorphic"):
        cv.jacfwd(lambda z: z)(z)
