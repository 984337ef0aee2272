"""Sums of groups of neighbours whose limits are given, against NumPy's sums of slices."""

import hashlib
import os
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
from covector import debug
from covector.core import dtypes
from covector.experimental import sparse
from covector.primitives.groups import group_sums_p, sums_by_scatter

R = onp.random.default_rng(0)
FORMS = [group_sums_p.bind, sums_by_scatter]


def sums(x, offsets):
    ends = onp.clip(offsets, 0, len(x))
    out = onp.zeros((len(offsets) - 1, *x.shape[1:]), x.dtype)
    for k, (i, j) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        out[k] = x[i:j].sum(0, dtype=x.dtype)
    return out


def offsets_of(n, m, dtype=onp.int32):
    return onp.sort(R.integers(-2, n + 3, m + 1)).astype(dtype)


# Elements, groups, the shape of an element: none, one, few, tasks, long groups, rows of vectors.
SIZES = [(0, 4, ()), (4, 0, ()), (6, 1, (0,)), (1, 1, ()), (9, 4, ()), (9, 4, (3,)),
         (50, 7, (2, 3)), (5000, 700, ()), (90_000, 3, ()), (3, 40_000, ()),
         (200_000, 20_000, (20,)), (200_000, 20_000, ())]  # fmt: skip


@pytest.mark.parametrize("n, m, rest", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_sums_of_slices(n, m, rest, form):
    x, offsets = R.standard_normal((n, *rest)), offsets_of(n, m)
    with cv.enable_x64():
        onp.testing.assert_allclose(cv.jit(form)(x, offsets), sums(x, offsets), 1e-9, 1e-9)
        integers = (x * 100).astype(onp.int64)
        got = cv.jit(form)(integers, offsets.astype(onp.int64))
    onp.testing.assert_array_equal(got, sums(integers, offsets))


@pytest.mark.parametrize("dtype", sorted(dtypes.NUMERIC, key=str), ids=str)
def test_dtypes(dtype):
    with cv.enable_x64():
        x = (R.integers(0, 2, 400)).astype(dtype)
        # Groups of at most a few elements, whose sums every dtype has.
        offsets = onp.int32([0, 1, 1, 2, 3, 400])
        got = cv.jit(group_sums_p.bind)(cv.numpy.asarray(x), offsets)
        want = cv.jit(sums_by_scatter)(cv.numpy.asarray(x), offsets)
    assert got.dtype == dtype
    assert onp.asarray(got).tobytes() == onp.asarray(want).tobytes()


def test_special_values_stay_in_their_groups():
    x = onp.float32([onp.nan, 1, onp.inf, -onp.inf, 2, onp.inf, -0.0, -0.0])
    got = group_sums_p.bind(x, onp.int32([0, 1, 2, 4, 5, 6, 8]))
    onp.testing.assert_array_equal(got, onp.float32([onp.nan, 1, onp.nan, 2, onp.inf, 0]))
    assert not onp.signbit(got[-1])


def test_limits_at_the_edge_of_integers():
    x = R.standard_normal(10).astype(onp.float32)
    least, most = -(2**31), 2**31 - 1
    for form in FORMS:
        got = cv.jit(form)(x, onp.int32([least, least, 4, most, most]))
        onp.testing.assert_allclose(got, [0, x[:4].sum(), x[4:].sum(), 0], 1e-5)


@pytest.mark.parametrize("axes", [(0, 0), (1, 0), (2, 1), (None, 0), (None, 1), (0, None)])
def test_batches(axes):
    x, offsets = R.standard_normal((3, 20, 2)), onp.stack([offsets_of(20, 4) for _ in range(3)])
    d, e = axes
    args = (x[0] if d is None else onp.moveaxis(x, 0, d),
            offsets[0] if e is None else onp.moveaxis(offsets, 0, e))  # fmt: skip
    with cv.enable_x64():
        got = cv.vmap(group_sums_p.bind, axes)(*args)
    want = [sums(x[0 if d is None else k], offsets[0 if e is None else k]) for k in range(3)]
    onp.testing.assert_allclose(got, want, 1e-12, 1e-12)


@pytest.mark.parametrize("n, m, rest", SIZES[:8])
def test_transpose(n, m, rest):
    x, offsets, ct = R.standard_normal((n, *rest)), offsets_of(n, m), R.standard_normal((m, *rest))
    want = onp.zeros_like(x)
    ends = onp.clip(offsets, 0, n)
    for k in range(m):
        want[ends[k] : ends[k + 1]] = ct[k]
    with cv.enable_x64():
        _, vjp = cv.vjp(lambda x: group_sums_p.bind(x, offsets), x)
        onp.testing.assert_array_equal(vjp(ct)[0], want)


def test_wrong_operands():
    x = cv.numpy.ones(3)
    for bad in (onp.int32(0), onp.zeros(0, onp.int32), onp.zeros((2, 2), onp.int32)):
        with pytest.raises(ValueError, match="at least one offset"):
            group_sums_p.bind(x, bad)
    with pytest.raises(TypeError, match="int32 or int64"):
        group_sums_p.bind(x, onp.zeros(3, onp.float32))
    with pytest.raises(TypeError, match="group_sums"):
        group_sums_p.bind(x > 0, onp.zeros(3, onp.int32))


_DIGEST = """
import numpy as onp
from tests.lax.test_group_sums import digest
print(digest())
"""


def digest():
    rng = onp.random.default_rng(1)
    h = hashlib.sha256()
    for rest in ((), (5,)):
        x = rng.standard_normal((300_000, *rest)).astype(onp.float32)
        offsets = onp.sort(rng.integers(0, 300_000, 30_001)).astype(onp.int32)
        h.update(onp.asarray(cv.jit(group_sums_p.bind)(x, offsets)).tobytes())
    return h.hexdigest()


def test_the_same_on_any_number_of_threads():
    found = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST], env=dict(os.environ, COVECTOR_NUM_THREADS=n),
            capture_output=True, text=True, check=True,
        ).stdout
        for n in ("1", "2", "3", "7")
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("kind", [sparse.BCSR, sparse.CSR])
def test_products_of_compressed_rows_are_one_pass(kind):
    """What a row meets is computed where it is added up: nothing of all elements is stored."""
    buffers = onp.ones(90_000, onp.float32), onp.zeros(90_000, int), onp.arange(0, 90_001, 10)
    m, v = kind(tuple(map(cv.numpy.asarray, buffers)), shape=(9000, 9000)), onp.ones(9000)
    text = debug.show(lambda m, v: m @ v, m, v, stage="schedule")
    assert "workspace" in text and "piece" not in text
    assert str(text).count("part 0") == 1
