"""Short rows sorted by exchanges that are written out: as the library sorts them."""

import warnings

import ml_dtypes
import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

DTYPES = ["bool", "int8", "uint8", "int32", "uint64", "float16", "bfloat16", "float32", "float64"]
KINDS = {"bfloat16": ml_dtypes.bfloat16}


def loop(f, *args):
    return cv.jit(f).lower(*args).as_text("loop")


def values(dtype, shape, seed=0):
    """Few different numbers, so that many are equal; of floats also those that are special."""
    rng = onp.random.default_rng(seed)
    x = rng.integers(-3, 4, shape).astype(KINDS.get(dtype, dtype))
    if onp.issubdtype(x.dtype, onp.floating) or dtype == "bfloat16":
        special = onp.array([onp.nan, -onp.nan, onp.inf, -onp.inf, 0.0, -0.0]).astype(x.dtype)
        x = onp.where(rng.random(shape) < 0.4, rng.choice(special, shape), x)
    return x


def bits(x):
    """What tells zeros of both signs apart, but not one NaN from another."""
    x = onp.asarray(x)
    return onp.where(x != x, 1, x.view(f"u{x.dtype.itemsize}"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_as_the_library(dtype, n, axis):
    with cv.enable_x64():
        shape = [13, 17]
        shape.insert(axis, n)
        x = values(dtype, tuple(shape))
        payload = onp.arange(x.size, dtype="int32").reshape(shape)

        def ordered(axis):
            return cv.jit(lambda x, p: (*lax.sort((x, p), axis, num_keys=1), lax.sort(x, axis)))

        got = ordered(axis)(x, payload)
        # Of few rows the library sorts each.
        one = ordered(0)
        moved = onp.moveaxis(x, axis, 0).reshape(n, -1), onp.moveaxis(payload, axis, 0)
        rows = [one(*[m.reshape(n, -1)[:, k : k + 1].T[0] for m in moved]) for k in range(221)]
        for found, each in zip(got, zip(*rows, strict=True), strict=True):
            want = onp.stack([onp.asarray(r) for r in each], -1).reshape(n, 13, 17)
            onp.testing.assert_array_equal(bits(onp.moveaxis(found, axis, 0)), bits(want))


def test_which_are_written_out():
    rows = np.ones((2000, 5))
    assert "call sort" not in loop(lambda x: np.sort(x, 1), rows)
    assert "call sort" not in loop(lambda x: np.argsort(x, 1), rows)
    assert "call sort" in loop(lambda x: np.sort(x, 1), np.ones((2000, 9)))
    assert "call sort" in loop(np.sort, np.ones(5))
    assert "call sort" in loop(lambda x: np.sort(x, 1), np.ones((2000, 5), "complex64"))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8])
def test_medians_and_their_like(n):
    x = values("float32", (n, 300))
    x = onp.where(onp.isnan(x) & (onp.arange(300) % 2 == 0), 1, x)
    for f, g in ((np.median, onp.median), (np.nanmedian, onp.nanmedian)):
        with onp.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows of nothing but NaN
            want = g(x, 0)
        finite = ~onp.isinf(x).any(0)
        onp.testing.assert_allclose(onp.asarray(cv.jit(lambda x, f=f: f(x, 0))(x))[finite],
                                    want[finite], rtol=1e-6)  # fmt: skip
    y = onp.random.default_rng(n).standard_normal((300, n)).astype("f")
    got = cv.jit(lambda y: np.quantile(y, np.array([0.1, 0.5, 0.9]), axis=1))(y)
    onp.testing.assert_allclose(got, onp.quantile(y, [0.1, 0.5, 0.9], axis=1), rtol=1e-5, atol=1e-6)
    onp.testing.assert_array_equal(cv.jit(lambda y: np.argsort(y, 1))(y), onp.argsort(y, 1))


def test_derivatives_and_loops():
    x = onp.random.default_rng(0).standard_normal((200, 4)).astype("f")
    w = onp.arange(4.0, dtype="f")
    got = cv.jit(cv.grad(lambda x: (np.sort(x, 1) * w).sum()))(x)
    want = onp.argsort(onp.argsort(x, 1), 1).astype("f")
    onp.testing.assert_array_equal(got, want)
    looped = cv.jit(lambda x: lax.fori_loop(0, 3, lambda _, x: np.sort(x, 1) - x[:, ::-1], x))(x)
    y = x
    for _ in range(3):
        y = onp.sort(y, 1) - y[:, ::-1]
    onp.testing.assert_allclose(looped, y, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_known_ranks_are_picked_in_one_pass(n, dtype):
    x = np.asarray(values(dtype, (200, n)))
    shown = cv.jit(lambda x: np.median(x, axis=1)).lower(x).compile().as_text("schedule")
    assert "call" not in shown and shown.count("nest") == 1, shown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for method in ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf"):
            # Between infinities NumPy has NaN, as others have not.
            wide = onp.asarray(x, "float64")
            wide[onp.isinf(wide)] = 7
            got = cv.jit(lambda x, m=method: np.quantile(x, 0.3, axis=1, method=m))(
                np.where(np.isinf(x), 7, x).astype(x.dtype)
            )
            want = onp.quantile(wide, np.asarray(0.3, got.dtype).item(), axis=1, method=method)
            onp.testing.assert_allclose(onp.asarray(got, "float64"), want, rtol=0.02, atol=0.02)
