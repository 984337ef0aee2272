"""Activations against formulas in NumPy and SciPy, derivatives against differences."""

import numpy as np
import pytest

from covector import nn
from covector.core.config import enable_x64
from covector.transforms.grad import grad
from covector.transforms.jit import jit
from covector.transforms.vmap_api import vmap

special = pytest.importorskip("scipy.special")


def _softplus(x):
    return np.logaddexp(x, 0)


def _sigmoid(x):
    return special.expit(x)


_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805

# name: (function, formula in double precision)
FORMULAS = {
    "relu": (nn.relu, lambda x: np.maximum(x, 0)),
    "relu6": (nn.relu6, lambda x: np.clip(x, 0, 6)),
    "sigmoid": (nn.sigmoid, _sigmoid),
    "hard_sigmoid": (nn.hard_sigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "silu": (nn.silu, lambda x: x * _sigmoid(x)),
    "swish": (nn.swish, lambda x: x * _sigmoid(x)),
    "hard_silu": (nn.hard_silu, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hard_swish": (nn.hard_swish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "softplus": (nn.softplus, _softplus),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -_softplus(-x)),
    "soft_sign": (nn.soft_sign, lambda x: x / (np.abs(x) + 1)),
    "sparse_plus": (
        nn.sparse_plus, lambda x: np.where(x >= 1, x, np.where(x <= -1, 0, (x + 1) ** 2 / 4)),
    ),
    "sparse_sigmoid": (nn.sparse_sigmoid, lambda x: np.clip(x + 1, 0, 2) / 2),
    "hard_tanh": (nn.hard_tanh, lambda x: np.clip(x, -1, 1)),
    "elu": (nn.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "elu_alpha": (
        lambda x: nn.elu(x, 0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))),
    ),
    "celu": (
        lambda x: nn.celu(x, 2.0), lambda x: np.maximum(x, 0) + 2 * np.expm1(np.minimum(x, 0) / 2),
    ),
    "selu": (
        nn.selu, lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0))),
    ),
    "leaky_relu": (nn.leaky_relu, lambda x: np.where(x >= 0, x, 0.01 * x)),
    "gelu": (
        nn.gelu,
        lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "gelu_exact": (lambda x: nn.gelu(x, approximate=False), lambda x: x * special.ndtr(x)),
    "mish": (nn.mish, lambda x: x * np.tanh(_softplus(x))),
    "squareplus": (nn.squareplus, lambda x: (x + np.sqrt(x * x + 4)) / 2),
    "identity": (nn.identity, lambda x: x),
    "tanh": (nn.tanh, np.tanh),
}  # fmt: skip

# Away from kinks, where the difference quotient is the derivative.
POINTS = np.array([-7.3, -3.2, -1.4, -0.6, -0.1, 0.1, 0.7, 1.3, 2.9, 6.4, 9.5])


@pytest.mark.parametrize("name", FORMULAS)
def test_values(name):
    function, formula = FORMULAS[name]
    for dtype, tolerance in ((np.float32, 2e-6), (np.float16, 4e-3)):
        x = POINTS.astype(dtype)
        y = function(x)
        assert y.dtype == dtype
        expected = formula(x.astype(np.float64))
        np.testing.assert_allclose(np.asarray(y, np.float64), expected, tolerance, tolerance)


@pytest.mark.parametrize("name", FORMULAS)
def test_derivatives(name):
    function, formula = FORMULAS[name]
    h = 1e-6
    expected = (formula(POINTS + h) - formula(POINTS - h)) / (2 * h)
    with enable_x64():
        slopes = np.asarray(vmap(grad(function))(POINTS))
    np.testing.assert_allclose(slopes, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_far_out(name):
    # Neither value nor derivative overflows where the formula has a limit.
    function, formula = FORMULAS[name]
    x = np.array([-1e4, -200, 200, 1e4], np.float32)
    with np.errstate(over="ignore"):
        expected = formula(x.astype(np.float64))
    # The difference in squareplus loses what is below the precision of x.
    np.testing.assert_allclose(function(x), expected, rtol=2e-6, atol=2e-4)
    assert np.isfinite(vmap(grad(function))(x)).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_special_values(name):
    function, _ = FORMULAS[name]
    y = np.asarray(function(np.array([np.nan, 0.0, -0.0], np.float32)))
    assert np.isnan(y[0])
    assert np.isfinite(y[1:]).all()
    assert function(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert function(1.5).shape == ()


def test_kinks():
    slope = grad(nn.relu)
    assert slope(0.0) == 0
    assert slope(1e-30) == 1
    assert grad(nn.relu6)(0.0) == 0
    assert grad(nn.relu6)(6.0) == 0


def test_relu_of_integers():
    y = nn.relu(np.arange(-2, 3, dtype=np.int32))
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 2])


def test_log1mexp():
    x = np.array([1e-10, 1e-3, 0.5, np.log(2), 1.0, 20.0, 100.0])
    with enable_x64():
        expected = np.where(x < 0.7, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))
        np.testing.assert_allclose(nn.log1mexp(x), expected, rtol=1e-13)
        slopes = vmap(grad(nn.log1mexp))(x)
    np.testing.assert_allclose(slopes, 1 / np.expm1(x), rtol=1e-12, atol=1e-40)


def test_glu():
    x = np.linspace(-1, 1, 24).reshape(4, 6).astype(np.float32)
    np.testing.assert_allclose(nn.glu(x), x[:, :3] * _sigmoid(x[:, 3:]), rtol=1e-6)
    np.testing.assert_allclose(nn.glu(x, 0), x[:2] * _sigmoid(x[2:]), rtol=1e-6)
    with pytest.raises(ValueError, match="size is 5"):
        nn.glu(x[:, :5])


def test_one_hot():
    np.testing.assert_array_equal(
        nn.one_hot(np.array([0, 2, 5, -1]), 3), [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    )
    y = nn.one_hot(np.array([0, 2], np.uint8), 3, dtype=np.int8, axis=0)
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y, [[1, 0], [0, 0], [0, 1]])
    np.testing.assert_array_equal(nn.one_hot(1, 3), [0, 1, 0])
    assert nn.one_hot(np.zeros((2, 3), int), 4, axis=1).shape == (2, 4, 3)
    assert nn.one_hot(np.array([0]), 0).shape == (1, 0)
    with pytest.raises(ValueError, match="-1"):
        nn.one_hot(np.array([0]), -1)
    with pytest.raises(TypeError, match="num_classes"):
        nn.one_hot(np.array([0]), 2.5)


def test_under_transformations():
    x = POINTS.astype(np.float32)
    for function, _ in FORMULAS.values():
        y = np.asarray(function(x))
        np.testing.assert_allclose(jit(function)(x), y, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(vmap(function)(x), y, rtol=1e-6, atol=1e-7)


def test_bad_operands():
    for call in (lambda: nn.relu([1, 2]), lambda: nn.gelu("a"), lambda: nn.softplus(None)):
        with pytest.raises(TypeError):
            call()


def test_small_integers():
    assert nn.hard_tanh(np.array([0, 1, 3], "uint8")).tolist() == [0, 1, 1]
    assert nn.hard_tanh(np.array([-3, 0, 3], "int8")).tolist() == [-1, 0, 1]
    for index in (np.array([44], "uint8"), np.array([44], "int8")):
        assert np.flatnonzero(nn.one_hot(index, 301)).tolist() == [44]
    assert nn.one_hot(np.array([True, False]), 2).tolist() == [[0, 1], [1, 0]]
