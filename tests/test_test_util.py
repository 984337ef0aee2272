"""Checks of derivatives: right ones pass, wrong ones do not."""

from functools import partial

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector.test_util import check_grads, check_jvp, check_vjp


def tree(p):
    return {"a": np.sin(p["x"]) * p["y"][0], "b": (p["x"] * p["x"]).sum()}


RIGHT = {
    "scalar": (np.sin, (0.5,), 3),
    "two arguments": (lambda x, y: np.sin(x) * y, (onp.arange(3, dtype="f4"), 2.0), 2),
    "trees": (tree, ({"x": onp.array([0.3, 0.4], "f4"), "y": [1.5]},), 2),
    "integers": (lambda x, n: x * x * n, (1.5, 3), 2),
    "result of integers": (lambda x: (x * x, np.arange(3)), (1.5,), 1),
    "complex": (lambda z: z * z + 1, (onp.complex64(0.5 + 0.25j),), 2),
    "not holomorphic": (lambda z: np.conj(z) * z, (onp.complex64(0.5 + 0.25j),), 1),
    "from real to complex": (lambda x: np.exp(1j * x), (0.5,), 2),
    "nothing": (lambda x: x * 2, (onp.zeros((0, 3), "f4"),), 1),
    "float16": (lambda x: x * x, (onp.float16(1.5),), 1),
    "bfloat16": (lambda x: x * x, (np.array(1.5, "bfloat16"),), 1),
    "jit": (cv.jit(lambda x: np.tanh(x) ** 2), (onp.linspace(-1, 1, 5).astype("f4"),), 2),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives(name):
    f, args, order = RIGHT[name]
    check_grads(f, args, order)


def test_right_derivatives_in_double_precision():
    with cv.enable_x64():
        check_grads(lambda x: np.exp(x) * np.sin(x), (onp.linspace(0, 1, 3),), 3)


@cv.custom_jvp
def wrong(x):
    return np.sin(x)


wrong.defjvp(lambda primals, tangents: (wrong(*primals), 2 * tangents[0]))


@cv.custom_vjp
def wrong_back(x):
    return np.sin(x)


wrong_back.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (2 * ct,))


@cv.custom_jvp
def wrong_second(x):
    return np.sin(x)


@cv.custom_jvp
def wrong_slope(x):
    return np.cos(x)


wrong_second.defjvp(lambda p, t: (wrong_second(*p), wrong_slope(*p) * t[0]))
wrong_slope.defjvp(lambda p, t: (wrong_slope(*p), 3 * t[0]))


@pytest.mark.parametrize(
    ("f", "order", "modes", "words"),
    [
        (wrong, 1, "fwd", "^jvp of wrong: the tangent differs"),
        (wrong, 1, ["rev"], "^vjp of wrong: the cotangents, along a tangent, differ"),
        (wrong_back, 1, ("rev",), "^vjp of wrong_back: the cot"),
        (wrong_second, 2, "fwd", "^jvp of jvp of wrong_second"),
        (wrong_second, 2, "rev", "^vjp of vjp of wrong_second"),
    ],
)
def test_wrong_derivatives(f, order, modes, words):
    with pytest.raises(AssertionError, match=words):
        check_grads(f, (0.7,), order, modes)
    if order == 2:
        check_grads(f, (0.7,), 1, modes)


def test_tolerances_and_steps():
    f = lambda x: 1.1 * x  # noqa: E731
    off = lambda p, t: (f(*p), t[0])  # noqa: E731 - by a tenth
    with pytest.raises(AssertionError):
        check_jvp(f, off, (1.0,), eps=1e-2)
    check_jvp(f, off, (1.0,), rtol=0.2, eps=1e-2)
    check_jvp(f, off, (1.0,), atol=0.5, eps=1e-2)
    back = lambda x: (f(x), lambda ct: (ct,))  # noqa: E731
    with pytest.raises(AssertionError, match="^mine: the cotangents"):
        check_vjp(f, back, (1.0,), eps=1e-2, err_msg="mine")
    check_vjp(f, back, (1.0,), rtol=0.2, eps=1e-2)


def test_wrong_results():
    with pytest.raises(AssertionError, match="the result differs from the function's"):
        check_jvp(np.sin, partial(cv.jvp, np.cos), (1.0,))
    with pytest.raises(AssertionError, match="has the structure"):
        check_jvp(np.sin, lambda p, t: ([1.0], t[0]), (1.0,))
    with pytest.raises(AssertionError, match="the result differs from the function's"):
        check_vjp(np.sin, partial(cv.vjp, np.cos), (1.0,))
    check_jvp(lambda x: np.log(-x), lambda p, t: (p[0] * np.nan, t[0] * np.nan), (1.0,))


def test_there_are_two_modes():
    with pytest.raises(ValueError, match="modes are 'fwd' and 'rev', got 'back'"):
        check_grads(np.sin, (1.0,), 1, ["back"])
