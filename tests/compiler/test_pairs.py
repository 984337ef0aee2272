"""Neighbours at computed places: read two at a time, where both are known to be in bounds."""

import itertools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax
from covector.backends.cpu import codegen
from covector.backends.cpu.emit.indexing import Idx, Run
from covector.backends.cpu.emit.structures import pair_of
from covector.backends.cpu.writer import Val
from covector.compiler.ir.nodes import Input, Sym, Value, iop
from covector.compiler.ir.walk import loads
from covector.scipy.ndimage import map_coordinates
from tests.test_options import option

from .golden_programs import f32, i32
from .test_schedule import lowered, planned

DTYPES = (
    "float32",
    "float64",
    "int64",
    "float16",
    "bfloat16",
    "int8",
    "uint8",
    "bool",
    "complex64",
)
LEVELS = ("native", "x86-64-v3", "x86-64-v2")


@pytest.fixture(params=LEVELS)
def level(request):
    if request.param != "native":
        try:
            codegen._of_level(request.param)
        except ValueError:
            pytest.skip("this processor does not have the level")
    return request.param


def windows(x, starts, sizes, mode="clip", fill=None):
    """Parts of an array from indices on, the dimensions of the parts last."""
    ndim = starts[0].ndim
    numbers = lax.GatherDimensionNumbers(
        tuple(range(ndim, ndim + x.ndim)), (), tuple(range(len(starts)))
    )
    at = np.stack(starts, -1)
    return lax.gather(x, at, numbers, slice_sizes=sizes, mode=mode, fill_value=fill)


def wanted(x, starts, sizes, fill=None):
    """The same, element by element."""
    out = onp.empty((*starts[0].shape, *sizes), x.dtype)
    for at in onp.ndindex(*starts[0].shape):
        first = [int(s[at]) for s in starts] + [0] * (x.ndim - len(starts))
        last = [n - w for n, w in zip(x.shape, sizes, strict=True)]
        inside = [min(max(i, 0), n) for i, n in zip(first, last, strict=True)]
        out[at] = x[tuple(slice(i, i + w) for i, w in zip(inside, sizes, strict=True))]
        if fill is not None and inside != first:
            out[at] = fill
    return out


def draw_program(seed):
    """An array, indices, the size of the parts and which of their elements are used."""
    draw = onp.random.default_rng(seed)
    dtype = DTYPES[seed % len(DTYPES)]
    shape = [int(n) for n in draw.integers(2, 40, draw.integers(1, 4))]
    if draw.random() < 0.4:
        shape[-1] = int(draw.integers(1, 5))
    sizes = [int(draw.integers(1, min(n, 4) + 1)) for n in shape]
    # Indices along some of the dimensions; the others are read from their start on.
    indexed = int(draw.integers(1, len(shape) + 1))
    count = int(draw.choice([1, 7, 16, 33, 1000]))
    starts = [draw.integers(-3, n + 3, count).astype("int32") for n in shape[:indexed]]
    starts[0][:2] = [-(2**31), 2**31 - 1][:count]
    x = draw.integers(0, 2 if dtype == "bool" else 100, shape).astype(np.dtype(dtype))
    places = list(itertools.product(*map(range, sizes)))
    kept = draw.permutation(len(places))[: int(draw.integers(1, len(places) + 1))]
    return x, starts, tuple(sizes), [places[k] for k in kept], draw.random() < 0.5


@pytest.mark.parametrize("seed", range(60))
def test_random_parts(seed, level):
    x, starts, sizes, places, filled = draw_program(seed)
    fill = onp.asarray(1, x.dtype) if filled else None

    @cv.jit
    def f(x, *starts):
        mode = "fill" if filled else "clip"
        found = windows(x, starts, sizes, mode, 1 if filled else None)
        return tuple(found[(..., *p)] for p in places), sum(
            (k + 1) * found[(..., *p)].astype("float32") for k, p in enumerate(places)
        )

    with cv.enable_x64(), option("cpu", level), onp.errstate(all="ignore"):
        found, total = f(x, *starts)
        want = wanted(x, starts, sizes, fill)
        for got, p in zip(found, places, strict=True):
            assert got.dtype == x.dtype
            onp.testing.assert_array_equal(onp.asarray(got), want[(slice(None), *p)])
        if x.dtype.kind != "c":
            want = sum((k + 1) * want[(slice(None), *p)].astype("f") for k, p in enumerate(places))
            onp.testing.assert_array_equal(onp.asarray(total), want)


def smooth(t, x):
    """A table between its entries, of which windows of two are read."""
    i = np.floor(x).astype("int32")
    two = cv.vmap(lambda i: lax.dynamic_slice(t, (i,), (2,)))(i)
    return two[:, 0] + (two[:, 1] - two[:, 0]) * (x - i)


def test_a_table_between_its_entries(level):
    draw = onp.random.default_rng(0)
    t = draw.integers(0, 99, 300).astype("f")
    x = (draw.integers(0, 298 * 8, 5001) / 8).astype("f")
    i = onp.floor(x).astype(int)
    with option("cpu", level):
        found = cv.jit(smooth)(t, x)
    onp.testing.assert_array_equal(found, t[i] + (t[i + 1] - t[i]) * (x - i))


def test_pairs_are_loaded_as_one():
    program = lowered(smooth, f32(3000), f32(5000))
    schedule, storage = planned(program)
    assert len(schedule.steps[program.block]) == 1 and not storage.pieces
    text = cv.jit(smooth).lower(f32(3000), f32(5000)).as_text("llvm")
    assert "load double" in text or ("gather" in text and "x double>" in text)
    assert "load float" not in text and "f32.v16p0" not in text


@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_pairs_of_parts_out_of_bounds(mode):
    def f(t, i):
        two = windows(t, (i,), (2,), mode)
        return two[:, 0] - two[:, 1]

    text = cv.jit(f).lower(f32(3000), i32(5000)).as_text("llvm")
    assert "double" in text and "load float" not in text and "f32.v16p0" not in text


def test_parts_of_an_image_are_read_from_one_index():
    def f(x, i, j):
        return windows(x, (i, j), (2, 2)).sum((-1, -2))

    def g(x, i, j):
        return sum(windows(x, (i, j), (2, 2))[:, a, b] for a in (0, 1) for b in (0, 1))

    draw = onp.random.default_rng(1)
    x = draw.integers(0, 99, (70, 80)).astype("f")
    i, j = (draw.integers(-9, 99, 999).astype("i4") for _ in range(2))
    want = wanted(x, (i, j), (2, 2)).sum((-1, -2))
    onp.testing.assert_array_equal(cv.jit(f)(x, i, j), want)
    onp.testing.assert_array_equal(cv.jit(g)(x, i, j), want)
    text = cv.jit(g).lower(f32(70, 80), i32(999), i32(999)).as_text("llvm")
    # One position a point for four pixels.
    assert text.count("mul <16 x i32>") <= 1


def test_rows_of_points(level):
    """Corners of triangles: three numbers at computed places."""
    draw = onp.random.default_rng(2)
    points = draw.integers(0, 9, (50, 3)).astype("f")
    faces = draw.integers(0, 50, (777, 3)).astype("i4")

    def area(np, points, faces):
        a, b, c = (points[faces[:, k]] for k in range(3))
        u, v = b - a, c - a
        return sum(
            (u[:, i] * v[:, j] - u[:, j] * v[:, i]) ** 2 for i, j in ((0, 1), (1, 2), (2, 0))
        )

    with option("cpu", level):
        found = cv.jit(lambda p, f: area(np, p, f))(points, faces)
    onp.testing.assert_array_equal(found, area(onp, points, faces))


def test_a_loop_does_not_read_anew_what_is_read_before_it():
    def f(t, i):
        two = cv.vmap(lambda i: lax.dynamic_slice(t, (i,), (2,)))(i)
        return lax.fori_loop(0, 10, lambda k, c: c * two[:, 1] + two[:, 0], two[:, 0])

    program = lowered(f, f32(3000), i32(5000))
    inner = next(block for v in program.block.values for block in v.defn.nested())
    (t,) = [v for v in program.inputs if v.dtype == np.dtype("float32")]
    assert inner.values
    for v in inner.values:
        assert t not in [load.value for e in v.defn.children() for load in loads(e)]


@pytest.mark.parametrize("mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
def test_an_image_is_sampled_in_one_loop(mode):
    def f(x, i, j):
        return map_coordinates(x, [i, j], 1, mode)

    # Fewer points than pixels: for more, one that wraps is copied before.
    program = lowered(f, f32(300, 300), *[f32(200, 300)] * 2)
    schedule, storage = planned(program)
    assert len(schedule.steps[program.block]) == 1 and not storage.pieces


@pytest.mark.parametrize("n", [*range(1, 7), Sym(0, 100)])
@pytest.mark.parametrize("row", [1, 2, 3, 4])
def test_pairs_are_in_bounds(n, row):
    """What an element is read with is in the same part, or it is the last one of an odd number."""
    v = Value((n, row), np.dtype("float32"), Input(0))
    places = Val("%i", "i32", 16, object())
    for width in range(1, n + 1 if type(n) is int else 6):
        run = [Run(places, k, iop("-", n, width)) for k in range(width)]
        if type(n) is int and n == 1 and row == 1:
            continue
        for k, c in itertools.product(range(width), range(row)):
            pair = pair_of(v, [Idx(0, 0, places, run=run[k]), Idx(c)])
            at = k * row + c
            if pair is None:
                assert at == width * row - 1 and at % 2 == 0
                continue
            first = pair.ahead[0] * row + pair.ahead[1]
            assert pair.index[0].vec is places and first + pair.place == at
            assert pair.place in (0, 1) and 0 <= first < first + 1 < width * row
    assert pair_of(v, [Idx(0, 0, places), Idx(0)]) is None or row > 1
    assert pair_of(v, [Idx(0, 0, places, wild=True), Idx(0)]) is None
