"""Initializers: variances, shapes, streams, errors."""

import numpy as np
import pytest

from covector import random
from covector.nn import initializers as init
from covector.transforms.jit import jit

KEY = random.key(0)
_NAMED = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "he_normal": (2.0, "fan_in", "truncated_normal"),
}


@pytest.mark.parametrize("name", _NAMED)
def test_named(name):
    make = getattr(init, name)
    assert make.__name__ == name
    x = np.asarray(make()(KEY, (300, 100)))
    scale, mode, distribution = _NAMED[name]
    fan = {"fan_avg": 200, "fan_in": 300}[mode]
    np.testing.assert_allclose(x.var(), scale / fan, rtol=0.03)
    np.testing.assert_allclose(x.mean(), 0, atol=0.02)
    y = init.variance_scaling(scale, mode, distribution)(KEY, (300, 100))
    np.testing.assert_array_equal(x, y)


def test_aliases():
    assert init.xavier_uniform is init.glorot_uniform
    assert init.xavier_normal is init.glorot_normal
    assert init.kaiming_uniform is init.he_uniform
    assert init.kaiming_normal is init.he_normal


@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
def test_variance_scaling(mode, distribution):
    x = np.asarray(init.variance_scaling(3.0, mode, distribution)(KEY, (3, 3, 10, 130)))
    fan_in, fan_out = 9 * 10, 9 * 130
    fans = {
        "fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo_avg": (fan_in * fan_out) ** 0.5,
    }  # fmt: skip
    np.testing.assert_allclose(x.var(), 3 / fans[mode], rtol=0.05)


def test_axes():
    x = np.asarray(init.lecun_normal(in_axis=0, out_axis=1, batch_axis=2)(KEY, (200, 5, 30)))
    np.testing.assert_allclose(x.var(), 1 / 200, rtol=0.05)
    x = np.asarray(init.lecun_normal(in_axis=(0, 1), out_axis=2)(KEY, (20, 10, 150)))
    np.testing.assert_allclose(x.var(), 1 / 200, rtol=0.05)


@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
def test_complex(distribution):
    make = init.variance_scaling(1.0, "fan_in", distribution, dtype=np.complex64)
    x = np.asarray(make(KEY, (200, 100)))
    assert x.dtype == np.complex64
    np.testing.assert_allclose((abs(x) ** 2).mean(), 1 / 200, rtol=0.05)
    np.testing.assert_allclose(x.real.var(), x.imag.var(), rtol=0.1)


def test_simple_ones():
    np.testing.assert_array_equal(init.zeros(KEY, (2, 3)), np.zeros((2, 3)))
    ones = init.ones(KEY, (2,), np.int32)
    assert ones.dtype == np.int32
    np.testing.assert_array_equal(init.constant(7)(KEY, (2,)), [7, 7])
    np.testing.assert_array_equal(
        init.constant(np.arange(3.0), np.float16)(KEY, (2, 3)), [[0, 1, 2], [0, 1, 2]]
    )
    x = np.asarray(init.uniform(3.0)(KEY, (4, 5)))
    np.testing.assert_allclose(x, 3 * np.asarray(random.uniform(KEY, (4, 5))))
    x = np.asarray(init.normal(3.0)(KEY, (4, 5)))
    np.testing.assert_allclose(x, 3 * np.asarray(random.normal(KEY, (4, 5))), rtol=1e-6)
    x = np.asarray(init.truncated_normal(2.0, lower=0.0, upper=1.0)(KEY, (1000,)))
    assert 0 <= x.min() < x.max() <= 2


def test_dtypes_and_jit():
    make = init.he_normal(dtype=np.float16)
    assert make(KEY, (2, 3)).dtype == np.float16
    assert make(KEY, (2, 3), np.float32).dtype == np.float32
    np.testing.assert_array_equal(jit(lambda k: make(k, (2, 3)))(KEY), make(KEY, (2, 3)))


def test_orthogonal():
    for shape, axis in (((4, 4), -1), ((2, 3, 4), -1), ((3, 7), -1), ((4, 2, 3), 0)):
        x = np.asarray(init.orthogonal(2.0, axis)(KEY, shape))
        assert x.shape == shape
        matrix = np.moveaxis(x, axis, 0).reshape(shape[axis], -1)
        if matrix.shape[0] > matrix.shape[1]:
            matrix = matrix.T
        np.testing.assert_allclose(matrix @ matrix.T, 4 * np.eye(len(matrix)), atol=1e-4)


def test_delta_orthogonal():
    x = np.asarray(init.delta_orthogonal()(KEY, (3, 4, 2, 5)))
    centre = x[1, 1]
    np.testing.assert_allclose(centre @ centre.T, np.eye(2), atol=1e-5)
    assert np.count_nonzero(x) == np.count_nonzero(centre)


_BAD = {
    "vector": (lambda: init.he_normal()(KEY, (3,)), "two dimensions"),
    "axis": (lambda: init.variance_scaling(1, "fan_in", "normal", 3)(KEY, (3, 4)), "in_axis 3"),
    "mode": (lambda: init.variance_scaling(1, "fan", "normal")(KEY, (3, 4)), "'fan'"),
    "distribution": (lambda: init.variance_scaling(1, "fan_in", "x")(KEY, (3, 4)), "'x'"),
    "integers": (lambda: init.normal()(KEY, (3,), np.int32), "int32"),
    "orthogonal vector": (lambda: init.orthogonal()(KEY, (3,)), r"\(3,\)"),
    "delta rank": (lambda: init.delta_orthogonal()(KEY, (3, 4)), "3, 4 or 5"),
    "delta sizes": (lambda: init.delta_orthogonal()(KEY, (3, 4, 2)), "must not exceed"),
}


@pytest.mark.parametrize("name", _BAD)
def test_bad_arguments(name):
    call, message = _BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.peer
@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_against_jax(distribution, dtype):
    import jax

    args = (2.0, "fan_avg", distribution)
    x = init.variance_scaling(*args, dtype=dtype)(KEY, (3, 4))
    y = jax.nn.initializers.variance_scaling(*args, dtype=dtype)(jax.random.key(0), (3, 4))
    np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6)
