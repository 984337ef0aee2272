"""`checkpoint`: what is traced anew, and what policies keep inside of loops and branches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import lax
from covector.ad_checkpoint import checkpoint_name

# --- traces ------------------------------------------------------------------------------


class Counted:
    """A function that counts how often it is traced."""

    def __init__(self) -> None:
        self.traces = 0

        def fun(x: Any, *rest: Any, **kwargs: Any) -> Any:
            self.traces += 1
            return cnp.sin(x)

        self.fun = fun


def test_traces_are_remembered() -> None:
    c = Counted()
    f = cv.checkpoint(c.fun)
    for _ in range(3):
        f(2.0)
        cv.grad(f)(2.0)
        cv.checkpoint(c.fun)(2.0)
    assert c.traces == 1
    cv.vmap(f)(cnp.ones(2))
    assert c.traces == 1 + 1  # not weakly typed
    f(cnp.ones(3))
    f(cnp.ones(3))
    assert c.traces == 3
    with cv.enable_x64():
        assert f(2.0).dtype == np.float64
    assert c.traces == 4
    cv.clear_caches()
    f(2.0)
    assert c.traces == 5


def test_traces_with_static_arguments() -> None:
    c = Counted()
    f = cv.checkpoint(c.fun, static_argnums=1, static_argnames="mode")
    f(2.0, 1, mode="a")
    f(2.0, 1, mode="a")
    assert c.traces == 1
    f(2.0, 2, mode="a")
    f(2.0, 1, mode="b")
    f(2.0, True, mode="a")
    assert c.traces == 4
    f(2.0, [1], mode="a")  # not hashable: not remembered
    f(2.0, [1], mode="a")
    assert c.traces == 6


def test_traces_that_close_over_traced_values() -> None:
    f = lambda y: cv.checkpoint(lambda x: x * y)  # noqa: E731
    assert cv.jit(lambda y: cv.grad(f(y))(2.0))(3.0) == 3.0
    assert cv.grad(lambda y: f(y)(2.0))(3.0) == 2.0
    assert cv.grad(lambda y: f(y)(2.0))(4.0) == 2.0


# --- policies ----------------------------------------------------------------------------


def in_scan(x: Any) -> Any:
    return lax.scan(lambda c, _: (cnp.sin(c), None), x, None, length=3)[0]


def in_cond(x: Any) -> Any:
    return lax.cond(x > 0, lambda x: cnp.sin(x), lambda x: cnp.exp(x), x)


# The numbers of sines, cosines and exponentials that the backward pass computes again.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], dict[str, list[int]]]] = {
    "scan": (in_scan, {
        "none": [1, 1, 0], "cos": [0, 0, 0], "sin": [0, 1, 0], "exp": [1, 1, 0],
        "everything": [0, 0, 0], "loops": [1, 1, 0],
    }),
    "scan with xs and ys": (
        lambda x: lax.scan(
            lambda c, a: (cnp.sin(c) * cnp.cos(a), cnp.exp(c)), x, cnp.arange(3.0)
        )[1].sum(),
        {
            "none": [1, 2, 1], "cos": [1, 0, 1], "sin": [0, 2, 1], "exp": [1, 2, 0],
            "everything": [0, 0, 0], "mul": [0, 2, 1],
        },
    ),
    "cond": (in_cond, {
        "none": [0, 1, 1], "cos": [0, 0, 1], "sin": [0, 1, 1], "exp": [0, 1, 0],
        "everything": [0, 0, 0], "loops": [0, 1, 1],
    }),
    "cond in scan": (lambda x: lax.scan(lambda c, _: (in_cond(c), None), x, None, length=3)[0], {
        "none": [1, 1, 1], "cos": [1, 0, 1], "sin": [0, 1, 1], "exp": [1, 1, 0],
        "everything": [0, 0, 0],
    }),
    "scan in cond": (lambda x: lax.cond(x > 0, in_scan, lambda x: x, x), {
        "none": [1, 1, 0], "cos": [0, 0, 0], "sin": [0, 1, 0], "everything": [0, 0, 0],
    }),
    "jit in fori_loop": (lambda x: lax.fori_loop(0, 3, lambda i, c: cv.jit(cnp.sin)(c), x), {
        "none": [1, 1, 0], "cos": [0, 0, 0], "everything": [0, 0, 0],
    }),
    "after a loop": (lambda x: cnp.sin(cnp.exp(in_scan(x))), {
        "none": [1, 2, 1], "cos": [1, 0, 1], "everything": [0, 0, 0],
    }),
}  # fmt: skip


def policy(name: str) -> Any:
    match name:
        case "none":
            return None
        case "everything":
            return cv.checkpoint_policies.everything_saveable
        case "loops":
            return lambda prim, *_, **__: str(prim) in ("scan", "cond")
    return lambda prim, *_, **__: str(prim) == name


@pytest.mark.parametrize(
    "name, kept", [(name, kept) for name, (_, table) in FUNCTIONS.items() for kept in table]
)
def test_policies_inside_of_loops_and_branches(name: str, kept: str) -> None:
    fun, table = FUNCTIONS[name]
    f = cv.checkpoint(fun, policy=policy(kept))
    text = str(cv.make_jaxpr(cv.linearize(f, 0.4)[1])(0.4))
    assert [text.count(f" {op} ") for op in ("sin", "cos", "exp")] == table[kept]
    for at in (0.4, -0.3):
        np.testing.assert_allclose(cv.grad(f)(at), cv.grad(fun)(at), rtol=1e-6)
    if kept in ("cos", "everything"):
        xs = cnp.array([0.4, -0.3])
        np.testing.assert_allclose(
            cv.vmap(cv.grad(cv.grad(f)))(xs), cv.vmap(cv.grad(cv.grad(fun)))(xs), rtol=1e-5
        )


def test_names_inside_of_loops() -> None:
    fun = lambda x: lax.scan(  # noqa: E731
        lambda c, _: (cnp.sin(checkpoint_name(cnp.cos(c), "inner")), None), x, None, length=3
    )[0]
    keep = cv.checkpoint_policies.save_only_these_names("inner")
    count = lambda f: str(cv.make_jaxpr(cv.linearize(f, 0.4)[1])(0.4)).count(" cos ")  # noqa: E731
    assert (count(cv.checkpoint(fun)), count(cv.checkpoint(fun, policy=keep))) == (2, 1)
