"""Shifted, joined and padded arrays: read where they are needed, never copied."""

from functools import partial

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native
from covector.compiler.ir.nodes import Update
from covector.compiler.schedule.nodes import Nest

from .golden_programs import f32
from .test_schedule import lowered, planned


def stencil(np, x):
    near = np.roll(x, 1, 0) + np.roll(x, -1, 0) + np.roll(x, 1, 1) + np.roll(x, -1, 1)
    return near - 4 * x


def life(np, x):
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    n = sum(np.roll(np.roll(x > 0, i, 0), j, 1).astype("uint8") for i, j in steps)
    return (n == 3) | ((x > 0) & (n == 2))


PROGRAMS = {
    "stencil": stencil,
    "life": life,
    "padded": lambda np, x: np.pad(x, 1)[2:, 1:-1] - np.pad(x, 1)[1:-1, :-2] + x,
    "edges": lambda np, x: np.pad(x, 1, mode="edge")[2:, 2:] * np.pad(x, 1, mode="wrap")[:-2, 1:-1],
    "joined": lambda np, x: np.concatenate([x[:, -2:] + 1, x, x[:, :1] * 2], 1)[:, 1:-2] - x,
    "three pieces": lambda np, x: np.concatenate([x[:1], x + 1, x[-1:]], 0)[2:] - x,
    "turned": lambda np, x: np.roll(x, 1, 0).T - 2 * x.T + np.roll(x.T, 1, 1),
    "backwards": lambda np, x: np.roll(x[:, ::-1], 1, 1) - x,
    "twice": lambda np, x: stencil(np, stencil(np, x)),
    "chosen": lambda np, x: np.where(np.roll(x, 1, 1) > 1, np.roll(x, 2, 0), np.roll(x, -1, 1)),
    "flat": lambda np, x: np.roll(x.reshape(-1), 5) - np.roll(x.reshape(-1), -3),
    "reshaped": lambda np, x: (np.roll(x, 1, 1) + x).reshape(-1)[3:],
    "rows": lambda np, x: (np.roll(x, 1, 1) * x).max(1),
    "columns": lambda np, x: (np.roll(x, 1, 1) * x).max(0),
    "where": lambda np, x: (np.roll(x, 1, 1) - np.roll(x, 2, 0)).argmax(1),
}
SHAPES = [(37, 53), (200, 131), (3, 100), (100, 3), (70, 16), (1, 200), (40, 128)]


ORDERED = ("chosen", "rows", "columns", "where", "life")


@pytest.mark.parametrize(("name", "dtype"), [
    (name, dtype) for name in PROGRAMS
    for dtype in ("float32", "float64", "int32", "uint8", "complex64")
    if dtype != "complex64" or name not in ORDERED
])  # fmt: skip
def test_values(name, dtype):
    f = PROGRAMS[name]
    draw = onp.random.default_rng(0)
    for shape in SHAPES:
        x = draw.integers(0, 4, shape).astype(dtype)
        if dtype == "complex64":
            x = x + 1j * draw.integers(0, 4, shape).astype("float32")
        want, got = f(onp, x), onp.asarray(cv.jit(lambda x: f(np, x))(x))
        # Small whole numbers: nothing is rounded.
        assert got.shape == want.shape and (got == want.astype(got.dtype)).all(), shape


@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_do_not_matter(name):
    f = cv.jit(lambda x: PROGRAMS[name](np, x))
    x = onp.random.default_rng(1).standard_normal((700, 413)).astype("float32")
    threads = _native.num_threads()
    try:
        found = []
        for n in (1, 2):
            _native.set_num_threads(n)
            found.append(onp.asarray(f(x)))
    finally:
        _native.set_num_threads(threads)
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("reshaped", "where")])
def test_no_joined_array_is_stored(name):
    program = lowered(lambda x: PROGRAMS[name](np, x), f32(512, 512))
    schedule, _ = planned(program)
    stored = [v for v in program.block.values if schedule.kinds[v] == "mem"]
    assert not any(type(v.defn) is Update for v in stored)


def test_what_is_dear_to_compute_is_stored_before_it_is_shifted():
    program = lowered(lambda x: np.roll(np.sin(x), 1, 0) + np.roll(np.sin(x), 1, 1), f32(512, 512))
    schedule, storage = planned(program)
    stored = [v for v in program.block.values if schedule.kinds[v] == "mem"]
    assert len(stored) == 2 and len(storage.pieces) == 1


def test_neighbours_from_other_arrays():
    """Blocks with the edges of their neighbours beside them."""

    def f(np, x, a, b):
        p = np.concatenate([a.T, x, b.T], 1)
        q = np.concatenate([b, x, a], 0)
        return p[:, 2:] + p[:, :-2] - q[2:] * q[:-2]

    draw = onp.random.default_rng(2)
    x, a, b = (draw.integers(0, 9, s).astype("float32") for s in ((90, 90), (1, 90), (1, 90)))
    assert (onp.asarray(cv.jit(lambda *xs: f(np, *xs))(x, a, b)) == f(onp, x, a, b)).all()


def test_indices_that_are_computed_on_the_side_not_taken():
    """An index is computed from where elements are, also for a piece that is not read."""
    x, at = onp.arange(300.0, dtype="float32"), onp.arange(40)[::-1].copy()
    f = lambda np, x, at: np.concatenate([x[:100], x[at]]) * 2  # noqa: E731
    g = lambda np, x, at: f(np, x, at) + np.arange(140)  # noqa: E731
    assert (onp.asarray(cv.jit(lambda x, at: g(np, x, at))(x, at)) == g(onp, x, at)).all()


def test_gradient():
    x = onp.random.default_rng(3).standard_normal((60, 70)).astype("float32")
    energy = lambda x: (stencil(np, x) ** 2).sum() / 2  # noqa: E731
    want = stencil(onp, stencil(onp, x))
    onp.testing.assert_allclose(cv.jit(cv.grad(energy))(x), want, rtol=1e-4, atol=1e-4)


def test_in_place():
    """A donated argument that is read at shifted places is not overwritten before it is read."""
    x = onp.random.default_rng(4).integers(0, 9, (300, 300)).astype("float32")
    f = cv.jit(lambda x: stencil(np, x), donate_argnums=0)
    assert (onp.asarray(f(cv.device_put(x))) == stencil(onp, x)).all()
    loop = cv.jit(lambda x: cv.lax.fori_loop(0, 3, lambda _, y: stencil(np, y), x))
    want = x
    for _ in range(3):
        want = stencil(onp, want)
    assert (onp.asarray(loop(x)) == want).all()


def test_nothing_is_read_far_outside():
    """Positions in pieces that are not taken may be gigabytes away."""
    far = 2**28
    x, r = onp.ones((3, 1000), "float32"), onp.arange(1000, dtype="float32")
    below = cv.jit(lambda x, r: np.pad(np.roll(x, 1, 0), ((far, 0), (0, 0)))[:7] + r)
    beside = cv.jit(lambda x, r: np.pad(np.roll(x, 1, 1), ((0, 0), (far, 0)))[:, :1000] + r)
    assert (onp.asarray(below(x, r)) == r).all()
    assert (onp.asarray(beside(x, r)) == r).all()


@pytest.mark.parametrize("n", [2, 3, 15, 16, 17, 33, 64, 100, 1000])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_shifted_and_gathered_at_once(n, dtype):
    rng = onp.random.default_rng(n)
    x = rng.integers(0, 9, n).astype(dtype)
    i = rng.integers(-n, n, n).astype("int32")

    def f(xp, x, i):
        edges = xp.pad(x, (2, 2), mode="edge")
        near = edges[: x.size] + edges[4:] + xp.roll(x, 1) * 2
        return near + (x * 2 + 1)[i] + xp.roll((x + 3)[i], -1)

    onp.testing.assert_array_equal(cv.jit(lambda x, i: f(np, x, i))(x, i), f(onp, x, i))


@pytest.mark.parametrize("mode", ["constant", "edge", "wrap", "reflect"])
@pytest.mark.parametrize("shape", [(17, 15, 16), (3, 4, 5), (5, 6, 7, 8)], ids=str)
def test_padded_arrays_are_reduced_along_every_axis(shape, mode):
    x = onp.random.default_rng(0).standard_normal(shape).astype("float32")
    for widths in (1, [(0, 1), (3, 1), (2, 2), (1, 0)][: len(shape)]):
        for axis in range(len(shape)):
            for name in ("sum", "max"):

                def reduced(np, x, widths=widths, axis=axis, name=name):
                    return getattr(np.pad(x, widths, mode=mode), name)(axis)

                got, want = cv.jit(partial(reduced, np))(x), reduced(onp, x)
                onp.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 130, 2500])
def test_sums_across_borders(n):
    x = onp.random.default_rng(0).standard_normal((20, n)).astype("float32")

    def neighbours(np, x):
        p = np.pad(x, 1)
        return 4 * x - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]

    def numbers(np, x):
        y = neighbours(np, x)
        return [(x * y).sum(), np.abs(y).max(), (x * y).sum(1), y.min(), (y > 5).any()]

    for got, want in zip(
        cv.jit(lambda x: numbers(np, x))(x), numbers(onp, x.astype("float64")), strict=True
    ):
        onp.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    dot = cv.jit(lambda x: np.vdot(x, neighbours(np, x)))(x)
    onp.testing.assert_allclose(dot, (x * neighbours(onp, x.astype("float64"))).sum(), rtol=1e-5)


@pytest.mark.parametrize("far", [1, 5, 16, 17, 40, 70])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float64"])
def test_sums_of_windows_that_reach_over_the_ends(far, dtype):
    """Rows whose first or last elements, or all, have neighbours outside."""
    threads = _native.num_threads()

    def windows(xp, x):
        p = xp.pad(x, ((1, 2), (far, far + 1)))
        rows, columns = x.shape
        right = p[1 : rows + 1, 2 * far + 1 : 2 * far + 1 + columns]
        return [
            (x + 2 * p[3:, :columns] + 3 * right).sum(),
            (p[:rows, far : far + columns] * 5 - right).max(initial=0),
            (x ^ right if x.dtype.kind != "f" else x * right).sum(1),
        ]

    got = cv.jit(lambda x: windows(np, x))
    for rows, columns in [(0, 3), (3, 0), (1, 1), (2, 15), (7, 16), (5, 17), (40, 33), (9, 64),
                          (3, 65), (300, 130), (2, 5000)]:  # fmt: skip
        x = onp.random.default_rng(columns).integers(0, 9, (rows, columns)).astype(dtype)
        with cv.enable_x64(True):
            want = windows(onp, x)
            for n in {1, threads}:
                _native.set_num_threads(n)
                try:
                    for g, w in zip(got(x), want, strict=True):
                        onp.testing.assert_array_equal(g, w)
                finally:
                    _native.set_num_threads(threads)


def filtered(xp, x, w):
    """A filter along columns, and then along rows."""
    n, m, far = *x.shape[-2:], w.size // 2
    beside = [(0, 0)] * (x.ndim - 2)
    p = xp.pad(x, [*beside, (far, far), (0, 0)], mode="edge")
    x = sum(w[k] * p[..., k : k + n, :] for k in range(w.size))
    p = xp.pad(x, [*beside, (0, 0), (far, far)], mode="reflect" if m > far else "edge")
    return sum(w[k] * p[..., k : k + m] for k in range(w.size))


@pytest.mark.parametrize("size", [3, 11])
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 5), (16, 17), (40, 100), (300, 65), (3, 20, 31), (2, 3, 9, 16)], ids=str
)
def test_filters_along_two_axes(shape, size):
    """The rows between them are where the next ones are: results do not depend on that."""
    rng = onp.random.default_rng(size)
    x = rng.integers(-9, 9, shape).astype("float32")
    w = rng.integers(-9, 9, size).astype("float32")
    threads = _native.num_threads()
    f = cv.jit(lambda x, w: filtered(np, x, w))
    try:
        for n in {1, threads}:
            _native.set_num_threads(n)
            onp.testing.assert_array_equal(f(x, w), filtered(onp, x, w))
    finally:
        _native.set_num_threads(threads)


def kept_rows(f, *args):
    """The values of a program of which there are only rows."""
    schedule, _ = planned(lowered(f, *args))
    nests = [n for steps in schedule.steps.values() for n in steps if isinstance(n, Nest)]
    return [v for n in nests for v in n.rows]


def test_rows_between_two_passes_are_not_stored():
    x, w = f32(400, 300), f32(5)
    # What the first pass leaves, and what is reflected of it at either end.
    assert len(kept_rows(lambda x, w: filtered(np, x, w), x, w)) == 3
    assert len(kept_rows(lambda x: (y := np.cumsum(x, 1))[:, 1:] * y[:, :-1], x)) == 1
    # What is a result, or read in another row, is stored.
    assert not kept_rows(lambda x: [y := np.cumsum(x, 1), y[:, 1:] * y[:, :-1]], x)
    assert not kept_rows(lambda x: [y := np.cumsum(x, 1), y[::-1] + np.roll(y, 1, 1)][1], x)
