"""Gradients of integers, of dtype ``float0``: in and out of all transformations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax, random
from covector.custom_derivatives import zero_from_primal


def none(*shape: int) -> np.ndarray:
    return np.zeros(shape, cv.float0)


def shown(tree: Any) -> Any:
    """Values, and ``("float0", shape)`` for arrays of that dtype."""

    def one(x: Any) -> Any:
        if getattr(x, "dtype", None) == cv.float0:
            return "float0", x.shape
        return np.asarray(x).tolist()

    return cv.tree.map(one, tree)


FLOAT0 = ("float0", ())
by_both = cv.grad(lambda x, i: x[i], (0, 1), allow_int=True)
two = np.ones(2, np.float32)


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, lambda f: cv.jit(cv.jit(f))])
def test_results_of_compiled_functions(wrap: Any) -> None:
    f = wrap(by_both)
    for _ in range(3):
        assert shown(f(two, 1)) == ([0, 1], FLOAT0)
    assert shown(wrap(lambda x: {"a": none(2), "b": x})(1.0)) == {"a": ("float0", (2,)), "b": 1}
    assert shown(wrap(lambda a, x: (a, x))(none(3), 1.0)) == (("float0", (3,)), 1)
    params = {"w": 2.0, "n": 3}
    g = wrap(cv.value_and_grad(lambda p: p["w"] * p["n"], allow_int=True))
    assert shown(g(params)) == (6, {"w": 3, "n": FLOAT0})
    keys = wrap(cv.grad(lambda k, x: x * random.normal(k), allow_int=True))
    assert shown(keys(random.key(0), 1.0)) == FLOAT0


def test_donation_beside_arguments_without_values() -> None:
    x = cnp.ones(3)
    f = cv.jit(lambda a, x, *, k: (a, x + 1), donate_argnums=1, donate_argnames="k")
    assert shown(f(none(2), x, k=1)) == (("float0", (2,)), [2, 2, 2])
    assert x.is_deleted()


def test_under_vmap() -> None:
    xs, i = np.ones((3, 2), np.float32), np.array([0, 1, 0])
    rows = [[1, 0], [0, 1], [1, 0]]
    for f in (cv.vmap(by_both), cv.jit(cv.vmap(by_both))):
        assert shown(f(xs, i)) == (rows, ("float0", (3,)))
    assert shown(cv.vmap(lambda x: none(2), out_axes=1)(xs)) == ("float0", (2, 3))
    assert shown(cv.vmap(lambda x: none(2), out_axes=-1)(xs)) == ("float0", (2, 3))


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, cv.remat])
def test_forward_mode(wrap: Any) -> None:
    f = wrap(lambda x, i: (x * i, i))
    assert shown(cv.jvp(f, (2.0, 3), (1.0, none()))) == ((6, 3), (3, FLOAT0))
    assert shown(cv.jit(lambda x: cv.jvp(f, (x, 3), (x, none())))(2.0)) == ((6, 3), (6, FLOAT0))
    assert shown(cv.jit(cv.linearize(f, 2.0, 3)[1])(1.0, none())) == (3, FLOAT0)


@pytest.mark.parametrize("ct", [lambda n: none(n), np.arange, lambda n: np.arange(n) * 1.5])
@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit])
def test_cotangents_of_integer_results(ct: Any, wrap: Any) -> None:
    pull = lambda x: cv.vjp(lambda x: (x, np.arange(3)), x)[1]((1.0, ct(3)))  # noqa: E731
    assert shown(wrap(pull)(2.0)) == (1,)
    with pytest.raises(ValueError, match="must have the shape of the function's result int32"):
        cv.vjp(lambda x: (x, cnp.arange(3)), 2.0)[1]((1.0, ct(2)))


def test_boolean_arguments_of_pullbacks() -> None:
    f = cv.jit(lambda x, b: cv.vjp(lambda x, b: cnp.where(b, x, 0.0), x, b)[1](x))
    assert shown(f(two, np.array([True, False]))) == ([1, 0], ("float0", (2,)))


@pytest.mark.parametrize("wrap", [lambda f: f, cv.jit, cv.remat])
def test_custom_rules(wrap: Any) -> None:
    f = cv.custom_jvp(lambda x, y: (x, y))
    f.defjvp(lambda p, t: (p, (2.0, zero_from_primal(p[1]))))
    assert shown(cv.jvp(wrap(f), (2.0, 3), (1.0, none()))) == ((2, 3), (2, FLOAT0))
    f.defjvp(lambda p, t: (p, t))
    assert shown(cv.jvp(wrap(f), (2.0, 3), (1.0, none()))) == ((2, 3), (1, FLOAT0))
    for ct in (None, none(), 1):
        g = cv.custom_vjp(lambda x, i: (x * i, i))
        g.defvjp(lambda x, i: ((x * i, i), i), lambda i, cts: (cts[0] * i, ct))  # noqa: B023
        assert shown(cv.vjp(wrap(g), 2.0, 3)[1]((1.0, none()))) == (3, FLOAT0)


def test_loops() -> None:
    f = lambda x: lax.scan(  # noqa: E731
        lambda c, i: ((c[0] * 2, c[1] + 1), i), (x, 0), cnp.arange(3)
    )
    expected = ((8, 3), [0, 1, 2]), ((8, FLOAT0), ("float0", (3,)))
    assert shown(cv.jvp(f, (1.0,), (1.0,))) == expected
    assert shown(cv.jit(lambda x: cv.jvp(f, (x,), (x,)))(1.0)) == expected
    assert shown(cv.vjp(f, 1.0)[1](((1.0, none()), none(3)))) == (8,)


def test_zero_from_primal_of_a_tree() -> None:
    zeros = zero_from_primal((1.0, cnp.ones(2), {"n": 3}))
    assert shown(zeros) == (0, [0, 0], {"n": FLOAT0})
    assert shown(cnp.zeros((2,), cv.float0)) == shown(cnp.zeros_like(zeros[2]["n"], shape=2))
    symbolic = zero_from_primal((1.0, 3), symbolic_zeros=True)
    assert [repr(z) for z in symbolic] == ["SymbolicZero(float32[])", "SymbolicZero(void[])"]
