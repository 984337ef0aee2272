"""`custom_batching`: rules of functions for `vmap`."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.custom_batching import custom_vmap, sequential_vmap

X = onp.arange(3, dtype=onp.float32)


@pytest.fixture
def scaled():
    """A product, which under `vmap` is 100 times as much, and the calls of its rule."""
    calls = []

    @custom_vmap
    def f(x, y=2.0):
        return x * y

    @f.def_vmap
    def rule(size, in_batched, x, y):
        calls.append((size, in_batched, x.shape, y.shape))
        return 100 * x * y, True

    f.calls = calls
    return f


def test_the_rule_is_used_where_arguments_are_mapped(scaled):
    assert scaled(3.0) == 6 and cv.jit(scaled)(3.0, y=4.0) == 12 and not scaled.calls
    onp.testing.assert_array_equal(cv.vmap(scaled)(X), 200 * X)
    assert scaled.calls.pop() == (3, [True, False], (3,), ())
    onp.testing.assert_array_equal(
        cv.jit(cv.vmap(scaled, (None, 1)))(2.0, X[None]), 200 * X[:, None]
    )
    assert scaled.calls.pop() == (3, [False, True], (), (3, 1))
    assert cv.vmap(lambda x: scaled(1.0))(X)[0] == 2 and not scaled.calls
    carried = cv.vmap(lambda x: lax.scan(lambda c, _: (scaled(c), None), x, None, length=2)[0])
    onp.testing.assert_array_equal(carried(X), 40000 * X)


def test_derivatives(scaled):
    assert cv.grad(scaled)(3.0, 4.0) == 4
    y, slope = cv.vmap(lambda x, t: cv.jvp(scaled, (x, 3.0), (t, 0.0)))(X, X)
    onp.testing.assert_array_equal(y, 300 * X)
    onp.testing.assert_array_equal(slope, 300 * X)
    mapped = cv.grad(lambda x: cv.vmap(scaled, (0, None))(x, 3.0).sum())
    onp.testing.assert_array_equal(mapped(X), [300, 300, 300])
    onp.testing.assert_array_equal(cv.vmap(cv.grad(scaled), (0, None))(X, 3.0), [3, 3, 3])
    # Tangents mapped, primals not.
    y, slope = cv.vmap(lambda t: cv.jvp(scaled, (2.0, 3.0), (t, 0.0)))(X)
    onp.testing.assert_array_equal(slope, 300 * X)


def test_trees_and_results_that_are_not_mapped():
    @custom_vmap
    def f(d):
        return {"sum": d["x"] + d["y"], "x": d["x"]}

    @f.def_vmap
    def rule(size, in_batched, d):
        assert in_batched == [{"x": False, "y": True}]
        return {"sum": d["x"] + d["y"], "x": d["x"]}, {"sum": True, "x": False}

    out = cv.vmap(f, ({"x": None, "y": 0},), {"sum": 0, "x": None})({"x": 1.0, "y": X})
    onp.testing.assert_array_equal(out["sum"], X + 1)
    assert out["x"] == 1


def test_sequential():
    order = []

    @sequential_vmap
    def f(x, y):
        cv.debug.callback(lambda v: order.append(float(v)), x, ordered=True)
        return x * y.sum()

    onp.testing.assert_array_equal(cv.vmap(f, (0, None))(X, np.ones(2)), 2 * X)
    assert order == [0, 1, 2]
    nested = cv.vmap(cv.vmap(f, (0, None)), (None, 0))(X, np.ones((2, 2)))
    onp.testing.assert_array_equal(nested, [2 * X, 2 * X])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda s, b, x: x, "must return a pair"),
        (lambda s, b, x: (x, (True, True)), "batching specification returned by the vmap rule"),
        (lambda s, b, x: ((x, x), (True, True)), "does not match that of the function"),
        (lambda s, b, x: (x[None], True), "axis 0 must be of size 3"),
    ],
)
def test_bad_rules(rule, message):
    f = custom_vmap(lambda x: x)
    with pytest.raises(AttributeError, match="No batching rule defined for custom_vmap"):
        f(1.0)
    f.def_vmap(rule)
    with pytest.raises(ValueError, match=message):
        cv.vmap(f)(X)


def test_closed_over_values():
    def scale(x):
        f = custom_vmap(lambda y: x * y)
        f.def_vmap(lambda s, b, y: (y, True))
        return f(1.0 + 0 * x)

    assert cv.jit(scale)(2.0) == 2
    with pytest.raises(cv.errors.UnexpectedTracerError, match="pass it as an argument"):
        cv.vmap(scale)(X)
