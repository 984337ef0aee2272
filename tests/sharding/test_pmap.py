"""`pmap`: an element a device."""

import re

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

X = onp.arange(8.0, dtype="float32")
A = onp.arange(24.0, dtype="float32").reshape(8, 3)


def test_it_maps_and_spreads():
    f = cv.pmap(lambda x: x * 2)
    out = f(A)
    onp.testing.assert_array_equal(out, 2 * A)
    assert len(out.sharding.device_set) == 8
    assert out.addressable_shards[3].data.shape == (1, 3)
    assert f(A[:4]).sharding.num_devices == 4
    assert f(out).sharding == out.sharding


def test_collectives_and_axes():
    f = cv.pmap(lambda x: x / lax.psum(x, "i"), axis_name="i")
    onp.testing.assert_allclose(f(X), X / 28, rtol=1e-6)
    g = cv.pmap(lambda x, y: x + y, in_axes=(1, None), out_axes=1)
    onp.testing.assert_array_equal(g(A.T, X[:3]), A.T + X[:3, None])
    last = cv.pmap(lambda x: (x, x[0]), out_axes=-1)(A)
    onp.testing.assert_array_equal(last[0], A.T)
    onp.testing.assert_array_equal(last[1], A[:, 0])
    assert last[0].sharding.spec == cv.P(None, "devices")
    h = cv.pmap(lambda x: (x, lax.pmax(x, "i")), axis_name="i", out_axes=(0, None))
    assert float(h(X)[1]) == 7
    k = cv.pmap(lambda tree, *, c: tree["a"] * c, in_axes=({"a": 0, "b": None},))
    onp.testing.assert_array_equal(k({"a": X, "b": 1.0}, c=X), X * X)


def test_static_arguments_devices_and_sizes():
    f = cv.pmap(lambda x, n: x**n, static_broadcasted_argnums=1)
    onp.testing.assert_array_equal(f(X, 2), X**2)
    g = cv.pmap(lambda x: x + 1, devices=cv.devices()[4:6])
    assert g(X[:2]).sharding.device_set == set(cv.devices()[4:6])
    h = cv.pmap(lambda x: x + lax.axis_index("i"), "i", in_axes=None, axis_size=3)
    onp.testing.assert_array_equal(h(1), [1, 2, 3])


def test_it_composes():
    loss = lambda w, x: ((w * x) ** 2).sum()  # noqa: E731
    step = cv.pmap(
        lambda w, x: w - 0.1 * lax.pmean(cv.grad(loss)(w, x), "b"), "b", in_axes=(None, 0)
    )
    expected = 1 - 0.1 * onp.mean([2 * (a**2).sum() for a in A])
    onp.testing.assert_allclose(step(1.0, A), onp.full(8, expected), rtol=1e-5)
    f = cv.pmap(lambda x: np.sin(x))
    onp.testing.assert_allclose(cv.grad(lambda x: f(x).sum())(X), onp.cos(X), rtol=1e-6)
    onp.testing.assert_allclose(cv.pmap(cv.vmap(lambda x: x * 2))(A), 2 * A)
    text = f.lower(X).as_text("jaxpr")
    assert "shard_map" in text


def fails(error, text, f, *args):
    with pytest.raises(error, match=re.escape(text)):
        f(*args)


def test_bad_input():
    f = cv.pmap(lambda x: x)
    fails(ValueError, "there are 8 devices", f, onp.zeros((9, 2)))
    fails(ValueError, "pmap got inconsistent sizes", cv.pmap(lambda x, y: x), A, X[:4])
    fails(ValueError, "no argument is mapped", cv.pmap(lambda x: x, in_axes=None), X)
    fails(ValueError, "each has one", cv.pmap(lambda x: x, in_axes=(0, 0)), X)
    fails(ValueError, "out_axes has -3, and the result", cv.pmap(lambda x: x, out_axes=-3), A)
    fails(TypeError, "pmap", cv.pmap, 3)
