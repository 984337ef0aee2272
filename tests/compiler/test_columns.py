"""All pairs of points: lanes over one of them, a loop over the other inside, short rows in it."""

import itertools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

COUNTS = (0, 1, 5, 16, 17, 33, 130)


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def drawn(seed, dtype, *shape):
    x = onp.random.default_rng(seed).standard_normal(shape) * 3
    return np.asarray(x).astype(dtype)


def schedule(f, *args):
    return cv.jit(f).lower(*args).compile().as_text("schedule")


def between(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def nearest(x, y):
    return np.argmin(between(x, y), 1)


def nearest_of_the_other(x, y):
    return np.argmin(between(x, y), 0)


def nearest_both_ways(x, y):
    d = between(x, y)
    return np.argmin(d, 0), np.argmin(d, 1), d.min(1), d.max(0)


def forces(x, y):
    d = x[:, None] - y[None]
    return (d / (np.sqrt((d * d).sum(-1, keepdims=True)) + 1)).sum(1)


def reactions(x, y):
    d = x[:, None] - y[None]
    return (d / (np.sqrt((d * d).sum(-1, keepdims=True)) + 1)).sum(0)


def both_forces(x, y):
    return forces(x, y), reactions(x, y)


def energy(x, y):
    return np.sum(1 / np.sqrt(between(x, y) + 1))


def gradients(x, y):
    return cv.grad(energy, (0, 1))(x, y)


def self_gradient(x, y):
    return cv.grad(lambda x: energy(x, x) + energy(x, y))(x)


def kernel_sums(x, y):
    return np.exp(-between(x, y)) @ np.ones(y.shape[0], x.dtype), np.exp(-between(x, y)).sum(0)


def distances_too(x, y):
    d = between(x, y)
    return d, np.min(d, 1), np.sum(np.sqrt(d), 0)


def centred(x, y):
    d = x[:, None] - y[None]
    r = (d * d).sum(-1)
    close = r < r.mean()
    return np.where(close[..., None], d, 0).sum(1), close.sum(0)


FUNCTIONS = [nearest, nearest_of_the_other, nearest_both_ways, forces, reactions, both_forces,
             gradients, self_gradient, kernel_sums, distances_too, centred]  # fmt: skip
ERRORS = {"float32": 2e-5, "float64": 1e-12}


def same(got, want, dtype):
    got, want = map(cv.tree_util.tree_leaves, (got, want))
    for x, y in zip(got, want, strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        x, y = onp.asarray(x), onp.asarray(y)
        if x.dtype.kind in "iub":
            onp.testing.assert_array_equal(x, y)
        else:
            scale = max(1, abs(y).max(initial=0))
            onp.testing.assert_allclose(x, y, rtol=ERRORS[dtype], atol=ERRORS[dtype] * scale)


@pytest.mark.parametrize("dtype", ERRORS)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions(f, dtype):
    """Against one operation at a time, for every number of points and of coordinates."""
    jitted = cv.jit(f)
    for n, m in itertools.product(COUNTS, (1, 16, 33, 200)):
        for k in (1, 2, 3, 4) if n in (17, 130) else (3, 16):
            if not n and f in (nearest_of_the_other, nearest_both_ways):
                continue  # there is no least of nothing
            x, y = drawn(n, dtype, n, k), drawn(m + 1000, dtype, m, k)
            with cv.disable_jit():
                want = f(x, y)
            same(jitted(x, y), want, dtype)


ONE_PASS = [nearest, nearest_of_the_other, forces, reactions, gradients]


@pytest.mark.parametrize("f", ONE_PASS, ids=lambda f: f.__name__)
def test_nothing_of_all_pairs_is_stored(f):
    text = schedule(f, np.ones((1000, 3), "float32"), np.ones((2000, 3), "float32"))
    loops = [line.split() for line in text.splitlines()]
    lanes = "8" if "nearest" in f.__name__ else "16"  # positions have 64 bits
    assert any([["for", n, "p", "vector", lanes] in loops for n in ("n0", "n1")])
    pieces = [w[3].split("*") for w in loops if w[:1] == ["piece"]]
    assert all([sum([n.startswith("n") for n in p]) < 2 for p in pieces])


def test_a_long_row_of_coordinates():
    """The centres of k-means: sixteen coordinates are as many vectors."""
    text = schedule(nearest, np.ones((5000, 16), "float32"), np.ones((64, 16), "float32"))
    assert "for n0 p vector 8\n      for n1 r\n        for 16 r unrolled" in text


def test_a_lane_with_no_number_is_alone():
    x, y = onp.array(drawn(1, "float32", 40, 3)), drawn(2, "float32", 30, 3)
    whole = [onp.asarray(v) for v in cv.jit(nearest_both_ways)(x, y)]
    x[7, 1], x[20, 0] = onp.nan, onp.inf
    with cv.disable_jit():
        want = [onp.asarray(v) for v in nearest_both_ways(np.asarray(x), y)]
    got = [onp.asarray(v) for v in cv.jit(nearest_both_ways)(x, y)]
    for a, b in zip(got, want, strict=True):
        onp.testing.assert_allclose(a, b, rtol=1e-6)
    others = onp.delete(onp.arange(40), [7, 20])
    onp.testing.assert_array_equal(got[1][others], whole[1][others])


def test_the_sums_of_many_keep_their_digits():
    x = drawn(3, "float32", 20, 3)
    y = drawn(4, "float32", 200_000, 3)
    got = onp.asarray(cv.jit(forces)(x, y), "float64")
    with cv.disable_jit():
        want = onp.asarray(forces(x.astype("float64"), y.astype("float64")))
    onp.testing.assert_allclose(got, want, rtol=3e-7, atol=3e-7 * abs(want).max())


def test_inside_a_loop():
    def step(x, _):
        return x + 1e-3 * self_gradient(x, x[:5]), energy(x, x)

    x = drawn(5, "float64", 70, 3)
    got = cv.jit(lambda x: lax.scan(step, x, None, length=4))(x)
    want_x, energies = x, []
    with cv.disable_jit():
        for _ in range(4):
            want_x, e = step(want_x, None)
            energies.append(e)
    same(got, (want_x, np.stack(energies)), "float64")


def test_what_is_computed_before_a_loop_is_not_computed_in_it():
    def f(x, w):
        d = between(x, x)
        return lax.scan(lambda w, _: (np.tanh((d * w[:, None]).sum(0)), None), w, None, length=3)[0]

    x, w = drawn(7, "float64", 90, 3), drawn(8, "float64", 90)
    loop = cv.jit(f).lower(x, w).compile().as_text("loop").split("repeat")[1]
    assert "integer_pow" not in loop
    with cv.disable_jit():
        want = f(x, w)
    same(cv.jit(f)(x, w), want, "float64")


def test_donated_points():
    f = cv.jit(lambda x: x + forces(x, x), donate_argnums=0)
    x = drawn(6, "float32", 100, 3)
    with cv.disable_jit():
        want = x + forces(x, x)
    same(f(x), want, "float32")


@pytest.mark.parametrize("name", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "bfloat16"])
def test_rows_of_every_short_length(name, dtype):
    """Rows reduced to a row: a running result for each of its numbers."""
    if dtype == "complex64" and name in ("max", "min"):
        name = "sum"
    f = cv.jit(lambda x: getattr(np, name)(x * 1, 1))
    rows = ((2,), (3,), (4,), (5,), (6,), (7,), (8,), (2, 2), (3, 2), (2, 1, 3), (2, 2, 2))
    for row, m in itertools.product(rows, (16, 17, 40)):
        x = onp.random.default_rng(m).standard_normal((5, m, *row)) / 2 + 1
        x = np.asarray(x * 2 if dtype == "int32" else x).astype(dtype)
        with cv.disable_jit():
            want = getattr(np, name)(x, 1)
        error = {"bfloat16": 0.03, "float64": 1e-13}.get(dtype, 2e-5)
        onp.testing.assert_allclose(
            onp.asarray(f(x).astype("complex128")), onp.asarray(want.astype("complex128")),
            rtol=error, atol=error,
        )  # fmt: skip


def squares(x):
    return ((x[:, None] - x[None]) ** 2).sum(-1)


# Energies of all pairs, and the sums over one point there are in their slopes: half of them where
# what one point does to another is what that does to it.
ENERGIES = {
    "of the distance": (lambda x, m: 1 / np.sqrt(squares(x) + 0.1), 1),
    "of products": (lambda x, m: np.exp(-squares(x)) * squares(x), 2),
    "of masses": (lambda x, m: m[:, None] * m[None] / (squares(x) + 1), 1),
    "of absolute differences": (lambda x, m: np.abs(x[:, None] - x[None]).sum(-1) ** 1.5, None),
    "of one of the masses": (lambda x, m: m[:, None] / (squares(x) + 1), None),
    "with a direction": (lambda x, m: np.sin((x[:, None] - x[None]).sum(-1)) * m[:, None], None),
    "odd": (lambda x, m: ((x[:, None] - x[None]) ** 3).sum(-1) * m[None], None),
    "of both, otherwise": (lambda x, m: (x[:, None] * x[None] ** 2).sum(-1), None),
    "of places": (lambda x, m: np.where(np.arange(len(m)) > 3, squares(x), -squares(x)), None),
}


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_points_do_to_each_other(name, dtype):
    energy, sums = ENERGIES[name]
    slope = cv.grad(lambda x, m: energy(x, m).sum())
    for n in (1, 2, 17, 100):
        x, m = drawn(0, dtype, n, 3), drawn(1, dtype, n)
        with cv.disable_jit():
            want = onp.asarray(slope(x, m))
        size = 1e-5 if dtype == "float32" else 1e-12
        error = size * max(1, onp.abs(want).max()) * n
        onp.testing.assert_allclose(cv.jit(slope)(x, m), want, atol=error, rtol=0)
    if sums is not None:
        shown = schedule(slope, drawn(0, dtype, 100, 3), drawn(1, dtype, 100))
        assert shown.count("i2:r i1") == sums, shown


def test_sums_of_one_array_along_different_axes():
    x = drawn(0, "float64", 30, 30)

    def sums(np, x):
        y = x * 2 + 1
        return y.sum(), y.sum(0), y.sum(1), y.max(), y.max(0), y.max(1), y.sum(1), y.argmax(0)

    same(cv.jit(lambda x: sums(np, x))(x), sums(onp, onp.asarray(x)), "float64")
