"""Softmax and its relatives, standardisation: values, masks, limits, derivatives."""

import numpy as np
import pytest

from covector import nn
from covector import numpy as cnp
from covector.core.config import enable_x64
from covector.transforms.grad import grad
from covector.transforms.jit import jit
from covector.transforms.vmap_api import vmap

special = pytest.importorskip("scipy.special")

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(4, 6))
MASK = _RNG.random((4, 6)) > 0.4
MASK[:, 0] = True
AXES = (-1, 0, None, (0, 1))


def _standardize(x, axis):
    mean, var = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5)


FORMULAS = {
    "softmax": (nn.softmax, special.softmax),
    "log_softmax": (nn.log_softmax, special.log_softmax),
    "logsumexp": (nn.logsumexp, special.logsumexp),
    "logmeanexp": (nn.logmeanexp, lambda x, axis: np.log(np.exp(x).mean(axis=axis))),
    "standardize": (nn.standardize, _standardize),
}


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name, axis):
    function, formula = FORMULAS[name]
    expected = formula(X, axis=axis)
    y = function(X.astype(np.float32), axis=axis)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, rtol=2e-5, atol=2e-5)
    with enable_x64():
        np.testing.assert_allclose(function(X, axis=axis), expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            jit(lambda x: function(x, axis=axis))(X), expected, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_gradients(name, axis):
    function, _ = FORMULAS[name]
    shape = np.shape(function(X.astype(np.float32), axis=axis))
    weights = _RNG.normal(size=shape)

    def loss(x):
        return cnp.sum(cnp.multiply(function(x, axis=axis), weights))

    h = 1e-6
    direction = _RNG.normal(size=X.shape)
    with enable_x64():
        g = np.asarray(grad(loss)(X))
        difference = float(loss(X + h * direction) - loss(X - h * direction)) / (2 * h)
    np.testing.assert_allclose((g * direction).sum(), difference, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_masks(axis):
    with enable_x64():
        inside = np.where(MASK, X, -np.inf)
        soft = special.softmax(inside, axis=axis)
        np.testing.assert_allclose(nn.softmax(X, axis=axis, where=MASK), soft, rtol=1e-12)
        log = np.asarray(nn.log_softmax(X, axis=axis, where=MASK))
        np.testing.assert_allclose(np.exp(log), soft, rtol=1e-12)
        assert np.isneginf(log[~MASK]).all()
        total = special.logsumexp(inside, axis=axis)
        np.testing.assert_allclose(nn.logsumexp(X, axis=axis, where=MASK), total, rtol=1e-12)
        count = MASK.sum(axis=axis)
        np.testing.assert_allclose(
            nn.logmeanexp(X, axis=axis, where=MASK), total - np.log(count), rtol=1e-11
        )


def test_nothing_selected():
    none = np.zeros(3, bool)
    x = np.array([1.0, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(nn.softmax(x, where=none), np.zeros(3))
    assert np.isneginf(nn.log_softmax(x, where=none)).all()
    assert np.isneginf(nn.logsumexp(x, where=none))
    g = grad(lambda x: cnp.sum(nn.softmax(x, where=none)))(np.ones(3, np.float32))
    np.testing.assert_array_equal(g, np.zeros(3))


def test_masked_elements_do_not_matter():
    x = np.array([1.0, 2.0, np.nan], np.float32)
    mask = np.array([True, True, False])
    np.testing.assert_allclose(
        nn.softmax(x, where=mask), [*special.softmax([1.0, 2.0]), 0], rtol=1e-6
    )
    np.testing.assert_allclose(nn.logsumexp(x, where=mask), np.logaddexp(1, 2), rtol=1e-6)


def test_limits():
    inf = np.inf
    np.testing.assert_array_equal(nn.softmax(np.array([-inf, 0], np.float32)), [0, 1])
    np.testing.assert_allclose(nn.softmax(np.array([1e4, 1e4], np.float32)), [0.5, 0.5])
    assert nn.logsumexp(np.array([inf, 1], np.float32)) == inf
    assert np.isneginf(nn.logsumexp(np.array([-inf, -inf], np.float32)))
    assert np.isneginf(nn.logsumexp(np.zeros(0, np.float32)))
    assert np.isnan(nn.logsumexp(np.array([np.nan, 1], np.float32)))
    np.testing.assert_allclose(nn.logsumexp(np.full(2, 1e4, np.float32)), 1e4 + np.log(2))
    g = grad(nn.logsumexp)(np.array([-inf, 0], np.float32))
    np.testing.assert_array_equal(g, [0, 1])
    assert nn.softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert nn.softmax(np.zeros((3, 0), np.float32)).shape == (3, 0)


def test_logsumexp_factors():
    b = _RNG.normal(size=X.shape)
    with enable_x64():
        out, sign = nn.logsumexp(X, axis=1, b=b, return_sign=True, keepdims=True)
        total = (b * np.exp(X)).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.asarray(sign) * np.exp(out), total, rtol=1e-12)
        assert np.isnan(nn.logsumexp(0.0, b=-1.0))
        zero = nn.logsumexp(np.array([np.inf, 1.0]), b=np.array([0.0, 1.0]))
        np.testing.assert_allclose(zero, 1.0)
        np.testing.assert_allclose(nn.logsumexp(X, b=2), special.logsumexp(X) + np.log(2))


def test_logsumexp_of_complex_numbers():
    z = (X + 1j * X[::-1]).astype(np.complex64)
    expected = special.logsumexp(z, axis=0)
    np.testing.assert_allclose(nn.logsumexp(z, axis=0), expected, rtol=1e-5, atol=1e-5)
    out, sign = nn.logsumexp(z, axis=0, return_sign=True)
    total = np.exp(z.astype(np.complex128)).sum(axis=0)
    np.testing.assert_allclose(out, np.log(np.abs(total)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sign, total / np.abs(total), rtol=1e-5, atol=1e-5)


def test_softmax_rows_under_vmap():
    rows = vmap(nn.softmax)(X.astype(np.float32))
    np.testing.assert_allclose(rows, special.softmax(X, axis=1), rtol=1e-5)


def test_second_derivative_of_softmax():
    def f(x):
        return cnp.sum(cnp.square(nn.softmax(x)))

    x, h = X[0], 1e-5
    direction = _RNG.normal(size=x.shape)
    with enable_x64():
        second = grad(lambda x: cnp.sum(cnp.multiply(grad(f)(x), direction)))(x)
        up, down = grad(f)(x + h * direction), grad(f)(x - h * direction)
    expected = (np.asarray(up) - np.asarray(down)) / (2 * h)
    np.testing.assert_allclose(second, expected, rtol=1e-6, atol=1e-9)


def test_standardize_options():
    x = X.astype(np.float32)
    stable = nn.standardize(x, algorithm="stable")
    np.testing.assert_allclose(stable, _standardize(X, -1), rtol=1e-5, atol=1e-5)
    given = nn.standardize(x, mean=1.0, variance=4.0, epsilon=0.0)
    np.testing.assert_allclose(given, (X - 1) / 2, rtol=1e-6, atol=1e-6)
    shifted = nn.standardize(x + np.float32(1e4), algorithm="stable")
    np.testing.assert_allclose(shifted, _standardize(X, -1), atol=5e-3)


_BAD = {
    "axis": (lambda: nn.softmax(np.ones((2, 3), np.float32), axis=2), "axis 2"),
    "axis of a scalar": (lambda: nn.softmax(1.0), "axis -1"),
    "axes twice": (lambda: nn.logsumexp(np.ones((2, 3), np.float32), axis=(0, 0)), "duplicate"),
    "mask": (
        lambda: nn.softmax(np.ones((2, 3), np.float32), where=np.ones(4, bool)), "where|shape",
    ),
    "algorithm": (lambda: nn.standardize(np.ones(3, np.float32), algorithm="x"), "'x'"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_bad_arguments(name):
    call, message = _BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
