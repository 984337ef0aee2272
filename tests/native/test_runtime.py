"""What generated code calls: matrix products and sorting; and the search for user frames."""

import ctypes
import re

import numpy as np
import pytest

from .conftest import CODE, DTYPES
from .test_memory import slot

I32, I64, PTR = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
GEMM = ctypes.CFUNCTYPE(None, I32, I32, I32, *[I64] * 3, PTR, I64, PTR, I64, PTR, *[I64] * 5)
SORT_ROWS = ctypes.CFUNCTYPE(I32, I32, PTR, I64, I64)
SORT_MULTI = ctypes.CFUNCTYPE(I32, I32, PTR, PTR, PTR, I32, I64, I64)
FFT = ctypes.CFUNCTYPE(I32, I32, I32, PTR, PTR, *[I64] * 9)
PARTITION = ctypes.CFUNCTYPE(I32, I32, *[PTR] * 5, *[I64] * 3)
SEARCH = ctypes.CFUNCTYPE(I32, I32, I32, PTR, PTR, PTR, *[I64] * 3)
TOP_K = ctypes.CFUNCTYPE(I32, I32, PTR, PTR, PTR, I64, I64, I64)
REAL = [d for d in DTYPES if d.kind != "c"]
SORTED = [CODE[n] for n in "bool i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64".split()]


@pytest.fixture(scope="module", autouse=True)
def blas(native):
    from scipy.linalg import cython_blas

    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = PTR, [ctypes.py_object, ctypes.c_char_p]
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    table = {}
    for routine in "sgemm dgemm cgemm zgemm sgemv dgemv".split():
        capsule = cython_blas.__pyx_capi__[routine]
        table[routine] = get(capsule, name(capsule))
    native.set_routines(table)
    with pytest.raises(ValueError):
        native.set_routines({"nonsense": 1})


def values(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        x = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        return x.astype(dtype)
    return (rng.standard_normal(shape) * 10).astype(dtype)


def small(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, shape)
    return (x + (1j * rng.integers(-4, 5, shape) if dtype.kind == "c" else 0)).astype(dtype)


PRODUCTS = "f32 f64 c64 c128 f16 bf16 i8 u8 i16".split()
# What products are written as, where it is not what is multiplied.
WRITTEN = dict(f16="f32", bf16="f32", i8="i32", u8="i32", i16="i32")
OPERATIONS = [lambda x: x, lambda x: x.swapaxes(-1, -2), lambda x: x.swapaxes(-1, -2).conj()]


def multiplied(native, name, a, b, ta, tb, c):
    """The product of matrices, or of batches of them, in the first columns of ``c``."""
    batch, m, n = (1, *c.shape)[-3:]
    k, n = a.shape[-2 if ta else -1], b.shape[-2 if tb else -1]
    lda, ldb, ldc = (x.strides[-2] // x.itemsize for x in (a, b, c))
    apart = [x.strides[0] // x.itemsize if x.ndim > 2 else 0 for x in (a, b, c)]
    slot(native, 1, GEMM)(CODE[name], ta, tb, m, n, k, a.ctypes.data, lda, b.ctypes.data, ldb,
                          c.ctypes.data, ldc, batch, *apart)  # fmt: skip
    return c[..., :n]


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(
    "m, n, k",
    [
        (3, 4, 5),
        (1, 4, 5),
        (3, 1, 5),
        (1, 1, 5),
        (3, 4, 0),
        (0, 4, 3),
        (40, 30, 20),
        (13, 67, 1031),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_gemm(native, name, m, n, k, batch):
    dtype, out = DTYPES[CODE[name]], DTYPES[CODE[WRITTEN.get(name, name)]]
    for ta in (0, 1, 2):
        for tb in (0, 1, 2):
            a = small(dtype, (batch, k, m) if ta else (batch, m, k), 1)
            b = small(dtype, (batch, n, k) if tb else (batch, k, n), 2)
            c = np.full((batch, m, n), 77).astype(out)
            multiplied(native, name, a, b, ta, tb, c)
            wide = np.complex128 if dtype.kind == "c" else np.int64
            expected = OPERATIONS[ta](a).astype(wide) @ OPERATIONS[tb](b).astype(wide)
            np.testing.assert_array_equal(c, expected.astype(out))


@pytest.mark.parametrize("name", "i8 u8 i16".split())
@pytest.mark.parametrize("m, n, k", [(5, 3, 7), (97, 40, 515), (200, 300, 1100), (6, 32, 512)])
def test_integers_of_all_sizes_modulo(native, name, m, n, k):
    dtype, threads = DTYPES[CODE[name]], native.num_threads()
    for ta, tb in ((0, 0), (0, 1), (1, 0), (1, 1)):
        a = values(dtype, (k, m) if ta else (m, k), 1)
        b = values(dtype, (n, k + 3) if tb else (k, n + 3), 2)
        a.flat[::3], b.flat[::5] = np.iinfo(dtype).min, np.iinfo(dtype).min
        b = b[:, :k] if tb else b[:, :n]
        expected = OPERATIONS[ta](a).astype(np.int64) @ OPERATIONS[tb](b).astype(np.int64)
        for count in (1, 3):
            c = np.full((m, n + 2), 77, np.int32)
            try:
                native.set_num_threads(count)
                found = multiplied(native, name, a, b, ta, tb, c)
            finally:
                native.set_num_threads(threads)
            np.testing.assert_array_equal(found, expected.astype(np.int32))
            assert (c[:, n:] == 77).all()


@pytest.mark.parametrize("name", "f32 f64 f16 bf16".split())
@pytest.mark.parametrize(
    "few, many, k",
    [
        (8, 300, 700),
        (2, 70, 9000),
        (16, 33, 513),
        (7, 5000, 9),
        (3, 4, 40_000),
        (5, 128, 300),
        (8, 2100, 600),
        (5, 33_000, 33),
        (33, 601, 300),
        (40, 256, 420),
        (100, 131, 385),
    ],
)
def test_few_rows(native, name, few, many, k):
    dtype, out = DTYPES[CODE[name]], DTYPES[CODE[WRITTEN.get(name, name)]]
    threads = native.num_threads()
    for m, n in ((few, many), (many, few)):
        for ta, tb in ((0, 0), (0, 1), (1, 0), (1, 1)):
            a = values(np.dtype("f4"), (k, m) if ta else (m, k), 1).astype(dtype)
            b = values(np.dtype("f4"), (n, k + 3) if tb else (k, n + 3), 2).astype(dtype)
            b = b[:, :k] if tb else b[:, :n]
            x, y = (OPERATIONS[t](u).astype(np.float64) for t, u in ((ta, a), (tb, b)))
            found = []
            for count in (1, 3):
                c = np.full((m, n + 2), 77, out)
                try:
                    native.set_num_threads(count)
                    found.append(multiplied(native, name, a, b, ta, tb, c))
                finally:
                    native.set_num_threads(threads)
                assert (c[:, n:] == 77).all()
            np.testing.assert_array_equal(*found)
            error = abs(found[0] - x @ y) / (abs(x) @ abs(y))
            assert error.max() < 32 * np.finfo(out).eps


@pytest.mark.parametrize("name", "f16 bf16".split())
def test_every_small_float_is_read_as_it_is(native, name):
    x = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[CODE[name]])
    one = np.ones((2, 1), x.dtype)
    for b, tb in ((x[None, :], 0), (x[:, None], 1)):
        c = np.zeros((2, x.size), np.float32)
        with np.errstate(invalid="ignore"):
            expected = x.astype(np.float32)
        for row in multiplied(native, name, one, b, 0, tb, c):
            np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("name", "f32 f64 c64 c128".split())
@pytest.mark.parametrize("m, n, k", [(24, 40, 4100), (500, 3, 4097), (64, 64, 1030)])
def test_gemm_over_a_long_axis(native, name, m, n, k):
    dtype, run, threads = DTYPES[CODE[name]], slot(native, 1, GEMM), native.num_threads()
    for ta, tb in ((0, 0), (0, 1), (1, 0), (2, 2)):
        found = []
        for count, make in ((1, small), (1, values), (3, values)):
            a = make(dtype, (k, m) if ta else (m, k), 1)
            b = make(dtype, (n, k) if tb else (k, n), 2)
            c = np.full((m, n + 2), 77).astype(dtype)
            try:
                native.set_num_threads(count)
                run(CODE[name], ta, tb, m, n, k, a.ctypes.data, a.shape[1], b.ctypes.data,
                    b.shape[1], c.ctypes.data, n + 2, 1, 0, 0, 0)  # fmt: skip
            finally:
                native.set_num_threads(threads)
            op = [lambda x: x, np.transpose, lambda x: x.T.conj()]
            if make is small:
                np.testing.assert_array_equal(c[:, :n], op[ta](a) @ op[tb](b))
            assert (c[:, n:] == 77).all()
            found.append(c)
        np.testing.assert_array_equal(found[1], found[2])


def test_gemm_of_submatrices_and_shared_operands(native):
    a, b = small(np.dtype("f4"), (10, 12), 1), small(np.dtype("f4"), (12, 14), 2)
    c = np.zeros((3, 5, 20), np.float32)
    slot(native, 1, GEMM)(
        CODE["f32"], 0, 0, 5, 4, 6, a[1:, 2:].ctypes.data, 12, b[3:, 1:].ctypes.data, 14,
        c.ctypes.data, 20, 3, 0, 1, 100,
    )  # fmt: skip
    for i in range(3):
        np.testing.assert_array_equal(c[i, :, :4], a[1:6, 2:8] @ b[3:9, 1 + i : 5 + i])
    assert not c[:, :, 4:].any()
    v = np.zeros((5, 7), np.float32)  # a column of a larger matrix
    slot(native, 1, GEMM)(
        CODE["f32"],
        0,
        0,
        5,
        1,
        6,
        a.ctypes.data,
        12,
        b.ctypes.data,
        14,
        v.ctypes.data,
        7,
        1,
        0,
        0,
        0,
    )
    np.testing.assert_array_equal(v[:, :1], a[:5, :6] @ b[:6, :1])
    assert not v[:, 1:].any()


def specials(x):
    """Some NaNs of both signs, infinities and zeros of both signs."""
    if x.dtype.kind not in "fV" or x.size < 8:
        return x
    x = x.copy()
    flat = x.reshape(-1)
    flat[:: max(1, x.size // 5)] = [np.nan, np.inf, -np.inf, -0.0, 0.0, -np.nan][
        : flat[:: max(1, x.size // 5)].size
    ]
    return x


@pytest.mark.parametrize("code", SORTED)
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 0), (2, 2), (50, 7), (5, 300), (3, 20_000), (1, 700_000)]
)
def test_sort_rows(native, code, shape):
    x = specials(values(DTYPES[code], shape))
    for threads in (1, 2):
        native.set_num_threads(threads)
        y = x.copy()
        assert slot(native, 2, SORT_ROWS)(code, y.ctypes.data, *shape) == 0
        expected = np.sort(x.astype(np.float64) if code in (9, 10) else x, axis=1)
        np.testing.assert_array_equal(y.astype(expected.dtype), expected)


@pytest.mark.parametrize("name", ["c64", "c128"])
def test_sort_complex_rows(native, name):
    x = small(DTYPES[CODE[name]], (4, 1000))
    x.real[x.real == 0] = -0.0
    x.real[:, ::2] += 0.0
    y = x.copy()
    assert slot(native, 2, SORT_ROWS)(CODE[name], y.ctypes.data, *x.shape) == 0
    np.testing.assert_array_equal(y, np.sort(x, axis=1))


def multi(native, operands, nkeys):
    codes = (I32 * len(operands))(*[c for c, _ in operands])
    pointers = (PTR * len(operands))(*[x.ctypes.data for _, x in operands])
    rows, n = operands[0][1].shape
    return slot(native, 3, SORT_MULTI)(len(operands), codes, pointers, pointers, nkeys, rows, n)


@pytest.mark.parametrize("code", [*SORTED, CODE["c64"], CODE["c128"]])
@pytest.mark.parametrize("shape", [(1, 1), (20, 10), (3, 1000), (1, 600_000)])
@pytest.mark.parametrize("narrow", [False, True])
def test_stable_sort_with_payload(native, code, shape, narrow):
    dtype = DTYPES[code]
    x = specials(small(dtype, shape) if narrow else values(dtype, shape))
    index = np.broadcast_to(np.arange(shape[1]), shape).copy()
    y = x.copy()
    assert multi(native, [(code, y), (CODE["i64"], index)], 1) == 0
    if dtype.kind == "V":
        x, y = x.astype(np.float32), y.astype(np.float32)
    expected = np.argsort(x, axis=1, kind="stable")
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(y, np.take_along_axis(x, expected, 1))


def test_close_wide_keys(native):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 2**20, (1, 100_000))
    high = rng.integers(0, 5, (1, 100_000)) << 60
    x = (low | high).astype(np.int64)
    index = np.arange(100_000, dtype=np.int32)[None].copy()
    assert multi(native, [(CODE["i64"], x.copy()), (CODE["i32"], index)], 1) == 0
    np.testing.assert_array_equal(index[0], np.argsort(x[0], kind="stable"))


@pytest.mark.parametrize("n", [5, 100, 5000])
def test_lexicographic_keys(native, n):
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, (3, n)).astype(np.float32)
    b = rng.integers(0, 4, (3, n)).astype(np.int8)
    c = (rng.integers(0, 3, (3, n)) + 1j * rng.integers(0, 3, (3, n))).astype(np.complex128)
    p = np.broadcast_to(np.arange(n, dtype=np.int16), (3, n)).copy()
    a[:, 0], a[:, 1] = np.nan, -0.0
    keys = [x.copy() for x in (a, b, c)]
    operands = [
        (CODE["f32"], keys[0]),
        (CODE["i8"], keys[1]),
        (CODE["c128"], keys[2]),
        (CODE["i16"], p),
    ]
    assert multi(native, operands, 3) == 0
    for r in range(3):
        order = np.lexsort((c[r].imag, c[r].real, b[r], a[r]))
        np.testing.assert_array_equal(p[r], order)
        np.testing.assert_array_equal(keys[2][r], c[r][order])


@pytest.mark.parametrize("n", [1, 7, 3000, 100_000])
@pytest.mark.parametrize("order", ["sorted", "nearly", "random"])
@pytest.mark.parametrize("second", ["f32", "u8", "c64"])
def test_results_elsewhere_and_those_wanted(native, n, order, second):
    rng = np.random.default_rng(0)
    a = rng.integers(-3, n // 3 + 4, (2, n)).astype(np.float64)
    b = rng.integers(0, 4, (2, n)).astype(DTYPES[CODE[second]])
    a[a == 0] = -0.0
    a[:, ::3] += 0.0
    a[:, n // 2 :: max(1, n // 3)] = np.nan
    p = rng.permutation(2 * n).astype(np.int32).reshape(2, n)
    orders = [np.lexsort((b[r].imag, b[r].real, a[r])) for r in range(2)]
    if order != "random":
        a, b = (np.stack([x[r][orders[r]] for r in range(2)]) for x in (a, b))
        if order == "nearly" and n > 1:  # by the second key, or at the end
            a[0, -2:], b[0, -2:] = 2 * n, [1, 0]
            a[1, -2:] = [np.nan, np.inf]
        orders = [np.lexsort((b[r].imag, b[r].real, a[r])) for r in range(2)]
    operands = [(CODE["f64"], a), (CODE[second], b), (CODE["i32"], p)]
    before = [x.copy() for _, x in operands]
    codes = (I32 * 3)(*[c for c, _ in operands])
    ins = (PTR * 3)(*[x.ctypes.data for _, x in operands])
    for wanted in ((1, 1, 1), (0, 0, 1), (1, 0, 0)):
        results = [np.zeros_like(x) for x in before]
        outs = (PTR * 3)(
            *[x.ctypes.data if w else None for x, w in zip(results, wanted, strict=True)]
        )
        assert slot(native, 3, SORT_MULTI)(3, codes, ins, outs, 2, 2, n) == 0
        for x, y, w, (_, z) in zip(before, results, wanted, operands, strict=True):
            assert z.tobytes() == x.tobytes()
            for r in range(2 * w):
                assert y[r].tobytes() == x[r][orders[r]].tobytes()


def test_keys_have_no_order(native):
    x = np.zeros((2, 3), np.uint64)
    assert multi(native, [(CODE["key"], x)], 1) == 3
    assert slot(native, 2, SORT_ROWS)(CODE["key"], x.ctypes.data, 2, 3) == 3


@pytest.mark.parametrize("code", SORTED)
@pytest.mark.parametrize(
    "rows, n, k", [(1, 1, 1), (3, 10, 10), (5, 100, 3), (2, 5000, 1), (2, 5000, 700)]
)
def test_top_k(native, code, rows, n, k):
    dtype = DTYPES[code]
    x = specials(values(dtype, (rows, n)))
    if dtype.kind in "fV":
        x[:, n // 2] = np.nan
    out, index = np.zeros((rows, k), dtype), np.zeros((rows, k), np.int32)
    run = slot(native, 4, TOP_K)
    assert run(code, x.ctypes.data, out.ctypes.data, index.ctypes.data, rows, n, k) == 0
    wide = x.astype(np.float64) if dtype.kind in "fV" else x
    reverse = np.argsort(wide[:, ::-1], axis=1, kind="stable")[:, ::-1]
    expected = (n - 1 - reverse)[:, :k]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(out.astype(wide.dtype), np.take_along_axis(wide, expected, 1))
    assert run(code, x.ctypes.data, out.ctypes.data, index.ctypes.data, rows, n, n + 1) == 3


def arranged(x, how):
    """Rows in order, the other way round, all equal, or in order but for a NaN and a neighbour."""
    if how == "random":
        return x
    if how == "equal":
        return np.broadcast_to(x[:, :1], x.shape).copy()
    # As the library orders them: NaN last, and halves, too.
    keys = x.astype(np.float64) if x.dtype.kind in "fV" else x
    x = np.take_along_axis(x, np.argsort(keys, 1, kind="stable"), 1)
    if how == "falling":
        return x[:, ::-1].copy()
    if how == "nearly" and x.shape[1] > 4:
        k = x.shape[1] // 2
        x[:, [k, k + 1]] = x[:, [k + 1, k]]
        if x.dtype.kind in "fV":
            x[:, 1] = np.float32(np.nan)
    return x


HOW = ["random", "rising", "falling", "nearly", "equal"]


@pytest.mark.parametrize("code", SORTED)
@pytest.mark.parametrize(
    "shape, m", [((1, 1), 1), ((2, 9), 0), ((4, 9), 2), ((5, 300), 1), ((3, 5000), 40),
                 ((1, 20_000), 3), ((1, 600_000), 2)]
)  # fmt: skip
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_partition(native, code, shape, m, narrow, how):
    dtype, (rows, n) = DTYPES[code], shape
    x = arranged(specials(small(dtype, shape) if narrow else values(dtype, shape)), how)
    ranks = np.random.default_rng(1).integers(0, n, (rows, m)).astype(np.int32)
    out, index, found = (
        np.zeros(shape, dtype),
        np.zeros(shape, np.int32),
        np.zeros((rows, m), dtype),
    )
    run = slot(native, native.runtime_slots["partition"], PARTITION)
    arrays = [v.ctypes.data for v in (x, ranks, out, index, found)]
    assert run(code, *arrays, rows, n, m) == 0
    wide = x.astype(np.float64) if dtype.kind in "fV" else x
    for r in range(rows):
        order = np.argsort(wide[r], kind="stable")
        # The bits, too: a zero has its sign.
        assert found[r].tobytes() == x[r][order[ranks[r]]].tobytes()
        pivots = np.unique(wide[r][order[ranks[r]]])
        # Twice the number of pivots below, one more for a pivot; NaN is the greatest.
        parts = np.searchsorted(pivots, wide[r]) + np.searchsorted(pivots, wide[r], "right")
        expected = np.argsort(parts, kind="stable")
        np.testing.assert_array_equal(index[r], expected)
        np.testing.assert_array_equal(out[r].astype(wide.dtype), wide[r][expected])
    for k in range(3):  # One result alone.
        results = [out, index, found]
        want = results[k].tobytes()
        results[k].fill(0)
        alone = [a if i < 2 or i == k + 2 else None for i, a in enumerate(arrays)]
        assert run(code, *alone, rows, n, m) == 0
        assert results[k].tobytes() == want


@pytest.mark.parametrize("code", SORTED)
@pytest.mark.parametrize("n, m", [(0, 5), (1, 5), (7, 1), (100, 2000), (3000, 20_000)])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("right", [False, True])
def test_search_rows(native, code, n, m, how, right):
    dtype, rows = DTYPES[code], 3
    table = arranged(specials(values(dtype, (rows, n), 1)), "rising")
    x = arranged(specials(values(dtype, (rows, m))), how)
    if n > 1 and m > 1:
        x[:, ::2] = np.take(table, np.arange(m)[::2] % n, axis=1)  # some are there
    out = np.full((rows, m), -1, np.int32)
    run = slot(native, native.runtime_slots["search_rows"], SEARCH)
    for threads in (1, 2):
        native.set_num_threads(threads)
        assert run(code, right, table.ctypes.data, x.ctypes.data, out.ctypes.data, rows, n, m) == 0
        for r in range(rows):
            t, v = (a[r].astype(np.float64) if dtype.kind in "fV" else a[r] for a in (table, x))
            want = np.searchsorted(t, v, "right" if right else "left")
            np.testing.assert_array_equal(out[r], want)
    assert run(CODE["c64"], 0, table.ctypes.data, x.ctypes.data, out.ctypes.data, rows, n, m) == 3


def test_user_frame(native):
    def here():
        return native.user_frame("/no/such/prefix/")

    file, line, function = here()
    assert file == __file__ and function == "here" and isinstance(line, int)
    namespace = {"frame": native.user_frame}
    for module in ("one", "two"):
        exec(compile(f"def {module}(f): return f()", f"/lib/{module}.py", "exec"), namespace)
    inside = namespace["two"]
    assert inside(lambda: native.user_frame(__file__))[0] == "/lib/two.py"
    file, line, function = namespace["one"](
        eval(compile("lambda: two(lambda: frame('/lib/'))", "/lib/x.py", "eval"), namespace)
    )
    assert file == __file__ and function == "test_user_frame"
    with pytest.raises(TypeError):
        native.user_frame(3)
    assert native.user_frame("") is None
    native.user_frame("/no/such/prefix/")


def test_stub_names_everything(native):
    import pathlib

    for part in ("ffi", "pjrt", "processes"):
        if not hasattr(native, part):
            getattr(native, f"load_{part}")()
    stub = pathlib.Path(__file__).parents[2] / "src" / "covector" / "_native.pyi"
    declared = set(re.findall(r"^(?:(?:def|class) )?(\w+)(?=[:(]| = )", stub.read_text(), re.M))
    public = {n for n in dir(native) if not n.startswith("_")}
    assert declared == public


def test_shared_numbers_have_names(native):
    slots = native.runtime_slots
    assert sorted(slots.values()) == list(range(len(slots))) and len(slots) < 64
    table = (ctypes.c_void_p * 64).from_address(native.runtime_table())
    assert all(table[k] for name, k in slots.items() if name != "callback")
    assert native.statuses["ok"] == 0 and len(set(native.statuses.values())) == 3
    assert native.dtype_names[CODE["bool"]] == "bool" and native.dtype_names[CODE["bf16"]] == (
        "bfloat16"
    )


TRANSFORMS = [np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn]


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("name", ["c64", "c128"])
@pytest.mark.parametrize(
    "shape, axes",
    [((5,), (0,)), ((2, 1, 3), (1,)), ((0, 4), (1,)), ((3, 4, 5, 2), (0, 3, 1)),
     ((300, 500), (0, 1)), ((2, 70000), (0,))],
)  # fmt: skip
def test_fft(native, name, kind, shape, axes):
    dtype = np.dtype({"c64": "complex64", "c128": "complex128"}[name])
    real, x = dtype.type(0).real.dtype, values(dtype, shape)
    lengths = [shape[a] for a in axes]
    if kind == 2:
        x = np.ascontiguousarray(x.real)
    if kind == 3:
        lengths[-1] = 2 * shape[axes[-1]] - 1
    want = TRANSFORMS[kind](x, lengths, axes).astype(real if kind == 3 else dtype) if x.size else x
    whole = want.shape if kind < 3 else shape
    sizes = [0] * 9
    for k, (a, n) in enumerate(zip(axes, lengths, strict=True)):
        before, after = (int(np.prod(part)) for part in (whole[:a], whole[a + 1 :]))
        sizes[3 * k : 3 * k + 3] = before, n, after
    out = np.full(want.shape, np.nan, want.dtype)
    code = CODE[{"c64": "f32", "c128": "f64"}[name] if kind == 2 else name]
    assert (
        slot(native, native.runtime_slots["fft"], FFT)(
            code, kind, x.ctypes.data, out.ctypes.data, *sizes
        )
        == 0
    )
    tolerance = 1e-5 if real == np.float32 else 1e-12
    np.testing.assert_allclose(out, want, atol=tolerance * np.abs(want).max(initial=0), rtol=0)
    assert (
        slot(native, native.runtime_slots["fft"], FFT)(CODE["i32"], kind, None, None, *sizes) == 3
    )
