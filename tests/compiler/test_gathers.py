"""Elements at computed places: read where they are needed, from indices that are not stored."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native, lax
from covector.compiler.ir.nodes import Update
from covector.compiler.ir.parse import parse
from covector.compiler.ir.show import show
from covector.compiler.ir.walk import definitions

from .golden_programs import f32, i32
from .test_schedule import lowered, planned


def bilinear(np, image, points):
    x, y = points[..., 0], points[..., 1]
    i, j = np.floor(x).astype("int32"), np.floor(y).astype("int32")
    a, b = x - i.astype(x.dtype), y - j.astype(y.dtype)
    n, m = image.shape

    def at(i, j):
        return image[np.clip(i, 0, n - 1), np.clip(j, 0, m - 1)]

    left = at(i, j) * (1 - a) + at(i + 1, j) * a
    return left * (1 - b) + (at(i, j + 1) * (1 - a) + at(i + 1, j + 1) * a) * b


def stored(program):
    schedule, _ = planned(program)
    return [v for v in program.block.values if schedule.kinds[v] == "mem"]


def test_bilinear_sampling_is_one_loop():
    program = lowered(lambda x, p: bilinear(np, x, p), f32(512, 512), f32(10_000, 2))
    schedule, storage = planned(program)
    assert len(schedule.steps[program.block]) == 1
    assert not storage.pieces
    assert not any(type(d) is Update for d in definitions(program.block))


@pytest.mark.parametrize("shape", [(1,), (37,), (100_003,), (31, 67)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bilinear_sampling(shape, dtype):
    draw = onp.random.default_rng(0)
    image = draw.integers(0, 9, (40, 53)).astype(dtype)
    # Eighths: nothing is rounded.
    points = (draw.integers(-40, 500, (*shape, 2)) / 8).astype(dtype)
    with cv.enable_x64():
        found = cv.jit(lambda x, p: bilinear(np, x, p))(image, points)
    assert (onp.asarray(found) == bilinear(onp, image, points)).all()


def test_threads_do_not_matter():
    draw = onp.random.default_rng(1)
    image, points = draw.normal(size=(90, 80)), draw.uniform(-5, 100, (70_001, 2))
    f = cv.jit(lambda x, p: bilinear(np, x, p))
    threads = _native.num_threads()
    try:
        found = []
        for n in (1, 2):
            _native.set_num_threads(n)
            found.append(onp.asarray(f(image.astype("float32"), points.astype("float32"))))
    finally:
        _native.set_num_threads(threads)
    assert (found[0] == found[1]).all()


def _wanted(x, i, j, mode, fill):
    """By the rules of each mode, element by element."""
    n, m = x.shape
    i, j = (onp.where(k < 0, k + size, k) for k, size in ((i, n), (j, m)))
    inside = (i >= 0) & (i < n) & (j >= 0) & (j < m)
    found = x[onp.clip(i, 0, n - 1), onp.clip(j, 0, m - 1)]
    return onp.where(inside, found, fill) if mode == "fill" else found


DTYPES = ("float32", "float16", "int8", "bool", "uint16", "complex64", "float64", "int64")


@pytest.mark.parametrize("mode", ["clip", "fill", "promise_in_bounds"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", ["int32", "int64", "int8", "uint8"])
def test_modes(mode, dtype, index):
    draw = onp.random.default_rng(2)
    x = draw.integers(0, 100, (60, 70)).astype(dtype)
    most = (59, 69) if mode == "promise_in_bounds" else (120, 120)
    least = 0 if index == "uint8" or mode == "promise_in_bounds" else -120
    with cv.enable_x64():
        for shape in ((7,), (5003,)):
            i, j = (draw.integers(least, n + 1, shape).astype(index) for n in most)
            fill = onp.asarray(3, dtype)

            def f(x, i, j, fill=fill):
                return x.at[i, j].get(mode=mode, fill_value=fill if mode == "fill" else None)

            found = onp.asarray(cv.jit(f)(x, i, j))
            want = _wanted(x, i.astype(int), j.astype(int), mode, fill)
            assert found.dtype == want.dtype and (found == want).all()


def test_indices_at_the_ends_of_their_type():
    ends = onp.asarray([-(2**31), 2**31 - 1, 0, -1, -60, -61, 59, 60] * 9, "int32")
    x = onp.arange(60 * 70, dtype="float32").reshape(60, 70)
    f = cv.jit(lambda x, i, j: x.at[i, j].get(mode="clip"))
    with_zero = onp.zeros_like(ends)
    want = _wanted(x, ends.astype(int), with_zero, "clip", 0)
    assert (onp.asarray(f(x, ends, with_zero)) == want).all()
    filled = cv.jit(lambda x, i, j: x.at[i, j].get(mode="fill"))(x, ends, with_zero)
    want = _wanted(x, ends.astype(int), with_zero, "fill", onp.nan)
    assert onp.array_equal(onp.asarray(filled), want, equal_nan=True)


def test_places_that_are_no_numbers():
    points = onp.asarray([[onp.nan, 1], [onp.inf, 2], [-onp.inf, 3], [1e30, 4]] * 20, "float32")
    found = cv.jit(lambda x, p: bilinear(np, x, p))(onp.ones((9, 9), "float32"), points)
    assert onp.isnan(onp.asarray(found).reshape(20, 4)[:, :3]).all()


@pytest.mark.parametrize("batch", [3, 50])
def test_rows_of_their_own(batch):
    """An index that is the lane itself beside one that is computed."""
    draw = onp.random.default_rng(3)
    x, i = draw.normal(size=(batch, 200)), draw.integers(-200, 200, (batch, 77))
    found = cv.jit(cv.vmap(lambda x, i: x[i]))(x.astype("float32"), i)
    assert (onp.asarray(found) == onp.take_along_axis(x.astype("float32"), i, 1)).all()
    rows = onp.arange(batch)
    found = cv.jit(lambda x, k: x[np.arange(batch), k])(x.astype("float32"), i[:, 0])
    assert (onp.asarray(found) == x.astype("float32")[rows, i[:, 0]]).all()


def test_gradient():
    draw = onp.random.default_rng(4)
    image = draw.integers(0, 9, (30, 20)).astype("float32")
    points = (draw.integers(0, 150, (500, 2)) / 8).astype("float32")
    found = cv.jit(cv.grad(lambda x: bilinear(np, x, points).sum()))(image)
    # A sum that is linear in the image.
    other = draw.integers(0, 9, (30, 20)).astype("float32")
    assert float((found * other).sum()) == bilinear(onp, other, points).astype(float).sum()


# --- pieces of joined arrays -------------------------------------------------------------------


@pytest.mark.parametrize("f", [
    lambda x, y: np.stack([x, y], -1)[..., 1],
    lambda x, y: np.stack([x, y])[1],
    lambda x, y: np.stack([x, y, x])[::-1][1],
    lambda x, y: np.stack([np.stack([x, x]), np.stack([x, y])])[1, 1],
])  # fmt: skip
def test_a_piece_of_a_joined_array_is_that_piece(f):
    program = lowered(f, f32(300), f32(300))
    assert not any(type(d) is Update for d in definitions(program.block))
    x, y = onp.arange(300.0, dtype="float32"), -onp.arange(300.0, dtype="float32")
    assert (onp.asarray(cv.jit(f)(x, y)) == y).all()


def test_what_lies_in_several_pieces_is_read_from_the_whole():
    f = lambda x, y: np.concatenate([x, y])[100:400:3]  # noqa: E731
    x, y = onp.arange(300.0, dtype="float32"), -onp.arange(300.0, dtype="float32")
    assert (onp.asarray(cv.jit(f)(x, y)) == onp.concatenate([x, y])[100:400:3]).all()


def test_starts_of_slices_from_a_stack():
    def f(x, i, j):
        at = np.stack([i, j])
        return lax.dynamic_slice(x, (at[0], at[1]), (3, 4))

    x = onp.arange(400.0, dtype="float32").reshape(20, 20)
    assert (onp.asarray(cv.jit(f)(x, 5, 18)) == x[5:8, 16:]).all()


# --- elements a few apart ----------------------------------------------------------------------


@pytest.mark.parametrize("apart", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_a_few_apart(apart, dtype):
    draw = onp.random.default_rng(5)
    with cv.enable_x64():
        for n in (1, 15, 16, 17, 1000, 40_001):
            x = draw.integers(0, 2, (n, apart)).astype(dtype)
            f = lambda x: tuple(x[:, k] == x[:, -1 - k] for k in range(apart))  # noqa: E731
            for found, want in zip(cv.jit(f)(x), f(x), strict=True):
                assert (onp.asarray(found) == want).all()
            found = cv.jit(lambda x: x.reshape(-1)[1::apart] + x.reshape(-1)[0])(x)
            assert (onp.asarray(found) == x.reshape(-1)[1::apart] + x.reshape(-1)[0]).all()


def test_elements_a_few_apart_are_loaded_in_vectors():
    text = cv.jit(lambda x: x[:, 0] * x[:, 1] + x[:, 2]).lower(f32(5000, 3)).as_text("llvm")
    assert text.count("shufflevector <16 x float>") >= 6  # two for each column of a row
    assert "gather" not in text and "> zeroinitializer, float" not in text


# --- positions of few bits ---------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "large"), [(1 << 15, False), ((1 << 15) + 1, True)])
def test_positions_have_as_many_bits_as_they_need(rows, large):
    def f(x, i, j):
        return x[i, j]

    image = cv.ShapeDtypeStruct((rows, 1 << 16), "int8")
    program = lowered(f, image, i32(100), i32(100))
    assert program.large is large
    text = show(program)
    assert ("  large\n" in text) is large
    again = parse(text)
    assert again.large is large and show(again) == text
    code = cv.jit(f).lower(image, i32(100), i32(100)).as_text("llvm")
    assert ("mul <16 x i32>" in code) is not large
