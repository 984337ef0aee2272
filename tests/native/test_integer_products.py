"""Products of matrices of small integers, modulo 2³², by the kernels of every instruction set."""

import numpy as np
import pytest

from .conftest import CODE, DTYPES
from .test_memory import slot
from .test_runtime import GEMM

BYTES = [(a, b) for a in ("i8", "u8") for b in ("i8", "u8")]
TYPES = [*BYTES, ("i16", "i16")]
ALL = 3  # what `limit_instructions` takes for whatever the processor has


@pytest.fixture(params=range(ALL + 1))
def kernels(native, request):
    old = native.limit_instructions(request.param)
    yield request.param
    native.limit_instructions(old)


def extremes(dtype, rng, shape):
    """Half of the numbers are the least or the largest."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    edge = rng.choice(np.array([info.min, info.max], dtype), shape)
    return np.where(rng.random(shape) < 0.5, edge, x)


def product(native, a, b, ta=False, tb=False, apart=0):
    """The product by the native core: of matrices, or of the first axis of both."""
    left, right = (DTYPES.index(x.dtype) for x in (a, b))
    m, k = (a.shape[-1], a.shape[-2]) if ta else a.shape[-2:]
    n = b.shape[-2] if tb else b.shape[-1]
    batch = a.shape[0] if a.ndim > 2 else 1
    c = np.full((batch, m, n + apart), 77, np.int32)
    lda, ldb = (x.strides[-2] // x.itemsize for x in (a, b))
    code = left if left == right else left | right << 8
    strides = [x.strides[0] // x.itemsize if x.ndim > 2 else 0 for x in (a, b, c)]
    slot(native, 1, GEMM)(code, ta, tb, m, n, k, a.ctypes.data, lda, b.ctypes.data, ldb,
                          c.ctypes.data, n + apart, batch, *strides)  # fmt: skip
    assert (c[..., n:] == 77).all()
    return c[..., :n] if a.ndim > 2 else c[0, :, :n]


def wrapped(a, b, ta=False, tb=False):
    a, b = (x.swapaxes(-1, -2) if t else x for x, t in ((a, ta), (b, tb)))
    return (a.astype(np.int64) @ b.astype(np.int64)).astype(np.int32)


def check(native, types, m, n, k, seed, apart=0, batch=()):
    for ta in (False, True):
        for tb in (False, True):
            rng = np.random.default_rng([seed, ta, tb])
            left, right = (DTYPES[CODE[name]] for name in types)
            a = extremes(left, rng, (*batch, k, m + apart) if ta else (*batch, m, k + apart))
            b = extremes(right, rng, (*batch, n, k + apart) if tb else (*batch, k, n + apart))
            a = a[..., :m] if ta else a[..., :k]
            b = b[..., :k] if tb else b[..., :n]
            found = product(native, a, b, ta, tb, apart)
            np.testing.assert_array_equal(found, wrapped(a, b, ta, tb))


@pytest.mark.parametrize("types", TYPES, ids="-".join)
@pytest.mark.parametrize(
    "m, n, k",
    [
        (1, 1, 1),
        (1, 1, 1025),
        (1, 33, 4),
        (33, 1, 3),
        (8, 32, 1024),  # a tile, and a block of bytes
        (9, 31, 1023),
        (7, 65, 1026),
        (17, 40, 514),
        (100, 70, 2),
        (70, 300, 129),
        (260, 50, 2050),
    ],
)
def test_sizes(native, kernels, types, m, n, k):
    check(native, types, m, n, k, 1)
    check(native, types, m, n, k, 2, apart=3)


@pytest.mark.parametrize("types", TYPES, ids="-".join)
def test_random_sizes(native, kernels, types):
    rng = np.random.default_rng(kernels)
    for seed in range(25):
        m, n, k = (int(x) for x in np.exp(rng.uniform(0, [5, 5, 7.5])))
        check(native, types, m, n, k, seed, apart=int(rng.integers(3)))


@pytest.mark.parametrize("types", TYPES, ids="-".join)
@pytest.mark.parametrize("m, n", [(9, 40), (40, 9)])
def test_the_largest_products_over_many_terms(native, kernels, types, m, n):
    """The sums, and those that a change of sides takes off, pass 2³¹ more than once."""
    left, right = (np.iinfo(DTYPES[CODE[name]]) for name in types)
    k = 300_001
    for x in (left.min, left.max):
        for y in (right.min, right.max):
            a, b = np.full((m, k), x, left.dtype), np.full((n, k), y, right.dtype)
            expected = np.int64(k * int(x) * int(y)).astype(np.int32)
            assert (product(native, a, b, tb=True) == expected).all()


@pytest.mark.parametrize("types", TYPES, ids="-".join)
def test_batches(native, kernels, types):
    check(native, types, 5, 37, 11, 1, batch=(4,))
    check(native, types, 70, 90, 130, 2, apart=1, batch=(3,))


@pytest.mark.parametrize("types", TYPES, ids="-".join)
def test_nothing_to_add_up(native, kernels, types):
    left, right = (DTYPES[CODE[name]] for name in types)
    assert not product(native, np.ones((3, 1), left)[:, :0], np.ones((0, 5), right)).any()
    assert product(native, np.ones((0, 4), left), np.ones((4, 5), right)).shape == (0, 5)
    assert product(native, np.ones((3, 4), left), np.ones((4, 0), right)).shape == (3, 0)


@pytest.mark.parametrize("types", TYPES, ids="-".join)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads(native, kernels, types, threads):
    old = native.num_threads()
    native.set_num_threads(threads)
    try:
        check(native, types, 300, 210, 700, 3)
        check(native, types, 21, 900, 1100, 4)
    finally:
        native.set_num_threads(old)


def test_shared_factors_of_more_than_one_stretch(native, kernels):
    """Of more bytes than are packed at a time."""
    rng = np.random.default_rng(0)
    a, b = extremes(np.int8, rng, (2, 4_500_000)), extremes(np.uint8, rng, (4_500_000, 3))
    np.testing.assert_array_equal(product(native, a, b), wrapped(a, b))
