"""Loops over small integers fill whole vectors with them."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

SIZES = [0, 1, 7, 16, 31, 63, 64, 65, 127, 130, 1000]


def schedule(f, *args):
    return cv.jit(f).lower(*args).as_text("schedule")


@pytest.mark.parametrize(
    "dtype, lanes", [("uint8", 64), ("int8", 64), ("int16", 32), ("uint16", 32), ("bool", 64)]
)
def test_lanes(dtype, lanes):
    x = np.ones((300, 200), dtype)
    assert f"vector {lanes}" in schedule(lambda x: x ^ (x & 1 if dtype != "bool" else ~x), x)
    # Wider numbers in between take vectors of their own.
    assert "vector 16" in schedule(lambda x: (x.astype("int32") * 3 > 4).astype(dtype), x)


def mixed(x, y):
    near = np.where(x > y, x - y, y - x)
    return near * 3 + (x == y).astype(x.dtype), (near < 5) & (x != 2), np.maximum(x, y) ^ near


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16"])
def test_values(n, dtype):
    rng = onp.random.default_rng(n)
    info = onp.iinfo(dtype)
    x, y = (rng.integers(info.min, info.max, n, dtype, endpoint=True) for _ in range(2))
    with onp.errstate(over="ignore"):
        near = onp.where(x > y, x - y, y - x)
        want = (
            near * onp.array(3, dtype) + (x == y).astype(dtype), (near < 5) & (x != 2),
            onp.maximum(x, y) ^ near,
        )  # fmt: skip
    for got, expected in zip(cv.jit(mixed)(x, y), want, strict=True):
        assert got.dtype == expected.dtype
        onp.testing.assert_array_equal(got, expected)
    rolled = cv.jit(lambda x: np.roll(x, 1) + np.roll(x, -2) * x)(x)
    with onp.errstate(over="ignore"):
        onp.testing.assert_array_equal(rolled, onp.roll(x, 1) + onp.roll(x, -2) * x)


@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (33, 64), (64, 130)])
def test_life(shape):
    def step(xp, g):
        shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        n = sum(xp.roll(g, s, (0, 1)) for s in shifts)
        return ((n == 3) | ((g == 1) & (n == 2))).astype("uint8")

    g = (onp.random.default_rng(0).random(shape) < 0.4).astype("uint8")
    want = g
    for _ in range(5):
        want = step(onp, want)
    got = cv.jit(lambda g: cv.lax.fori_loop(0, 5, lambda _, g: step(np, g), g))(g)
    onp.testing.assert_array_equal(got, want)
