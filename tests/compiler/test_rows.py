"""Short rows in the lanes of vectors: products, sums, pieces and factorisations of a batch."""

import itertools

import numpy as onp
import pytest
import scipy.linalg

import covector as cv
import covector.numpy as np
from covector import lax

COUNTS = (0, 1, 3, 4, 15, 16, 17, 33, 1000)
DTYPES = ("float32", "float64", "complex64", "complex128", "bfloat16", "float16", "int8", "int32",
          "uint16", "bool")  # fmt: skip
ERRORS = {"bfloat16": 0.05, "float16": 0.01, "float32": 4e-6, "complex64": 1e-5}


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def schedule(f, *args):
    return cv.jit(f).lower(*args).compile().as_text("schedule")


def drawn(seed, dtype, *shape):
    r = onp.random.default_rng(seed)
    x = r.standard_normal(shape) * 3
    if dtype.startswith("complex"):
        x = x + 1j * r.standard_normal(shape)
    return np.asarray(x > 0 if dtype == "bool" else x).astype(dtype)


def plain(x):
    x = onp.asarray(x)
    return x.astype("complex128" if x.dtype.kind == "c" else "float64")


def same(got, want, dtype):
    got, want = cv.tree_util.tree_leaves(got), cv.tree_util.tree_leaves(want)
    for x, y in zip(got, want, strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        error = ERRORS.get(dtype, 1e-13)
        atol = error * max(1, abs(plain(y)).max(initial=0))
        onp.testing.assert_allclose(plain(x), plain(y), rtol=error, atol=atol)


SHAPES = [(3, 3, 3), (2, 2, 2), (4, 4, 4), (3, 2, 4), (1, 3, 2), (2, 5, 1), (3, 1, 3)]


@pytest.mark.parametrize("sides", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products(dtype, sides):
    m, k, n = sides
    for count in COUNTS:
        a, b = drawn(1, dtype, count, m, k), drawn(2, dtype, count, k, n)
        got = cv.jit(np.matmul)(a, b)
        if dtype in ("bfloat16", "float16"):
            want = onp.matmul(plain(a), plain(b))
            onp.testing.assert_allclose(plain(got), want, rtol=ERRORS[dtype], atol=0.1)
        else:
            same(got, onp.matmul(onp.asarray(a), onp.asarray(b)), dtype)


def test_products_have_the_batch_in_the_lanes():
    x = np.ones((100, 3, 3), "float32")
    text = schedule(lambda x, y: np.matmul(2 * x, y), x, x)
    assert "for n0 p vector 16\n      for 3 p unrolled\n        for 3 p unrolled" in text


def stacked(x):
    s = x[..., 0] * x[..., -1] + x[..., 1]
    t = s * s - x[..., 0]
    return np.stack([s * t, t - x[..., 1], s + t], -1), t


def normalised(x):
    size = np.sqrt((x * x).sum(-1, keepdims=True) + 1)
    return x / size, size[..., 0]


def joined(x):
    return np.concatenate([x[:, :1] * 2, x[:, 1:] + x[:, :-1], x[:, -1:]], 1)


def moments(x):
    centred = x - x.mean(-1, keepdims=True)
    return (centred**2).sum(-1), (centred**3).sum(-1), centred.max(-1), centred


def distances(x):
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))


def turned(x):
    return np.cross(x[..., :3], x[..., -3:])


FUNCTIONS = [stacked, normalised, joined, moments, distances, turned]


# Functions that take an order, a root or a quotient are of real floats.
CASES = [(f, t) for f in FUNCTIONS for t in ("float32", "float64", "bfloat16")]
CASES += [(f, t) for f in (stacked, joined, turned) for t in ("complex64", "int32")]


@pytest.mark.parametrize(("f", "dtype"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_functions(f, dtype):
    for count, width in itertools.product((1, 5, 16, 17, 100), (3, 4, 5, 7, 16)):
        x = drawn(count, dtype, count, width)
        if dtype == "bfloat16":  # rounded once an operation, in whatever order
            got, want = cv.jit(f)(x), f(x.astype("float32"))
            for p, q in zip(*map(cv.tree_util.tree_leaves, (got, want)), strict=True):
                scale = 1 + abs(plain(q)).max()
                onp.testing.assert_allclose(plain(p) / scale, plain(q) / scale, atol=0.1)
        else:
            with cv.disable_jit():
                want = f(x)
            same(cv.jit(f)(x), want, dtype)


@pytest.mark.parametrize("f", [stacked, joined, turned], ids=lambda f: f.__name__)
def test_one_pass(f):
    """What is made of short rows is one nest, whose lanes are the rows."""
    text = schedule(f, np.ones((1000, 4), "float32"))
    assert text.count("nest") == 1
    assert "for n0 p vector 16" in text


def test_what_ends_in_the_lanes_and_what_goes_on():
    text = schedule(distances, np.ones((100, 3), "float32"))
    assert "contracted" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["for", "n0", "p", "vector", "16", "rest", "apart"] in lines
    assert ["for", "3", "r", "unrolled"] in lines


def test_rows_of_merged_axes():
    x = drawn(8, "float64", 21, 5, 2, 5)
    f = cv.vmap(lambda x: lax.associative_scan(np.add, x))
    same(cv.jit(f)(x), onp.cumsum(onp.asarray(x), 1), "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "bfloat16", "int32"])
@pytest.mark.parametrize("name", ["sum", "max", "prod", "mean"])
def test_rows_are_reduced(name, dtype):
    """Rows of two to sixteen numbers, one to each lane, to one row."""
    if dtype == "complex64" and name == "max":
        name = "sum"
    f = cv.jit(lambda x: getattr(np, name)(x * 1, 1))
    for count, row in itertools.product((1, 16, 17, 100), ((3,), (2,), (5,), (3, 3), (16,))):
        x = drawn(count, dtype, 7, count, *row) / (1 if dtype == "int32" else 3)
        with cv.disable_jit():
            want = getattr(np, name)(x, 1)
        if dtype == "bfloat16":
            onp.testing.assert_allclose(plain(f(x)), plain(want), rtol=0.02, atol=0.02)
        else:
            same(f(x), want, dtype)


def test_rows_are_reduced_in_lanes():
    text = schedule(lambda x: (2 * x).sum(1), np.ones((100, 1000, 3), "float32"))
    assert "for n1 r vector 16 rest apart\n        for 3 p unrolled" in text


def test_derivatives_through_rows():
    x = drawn(5, "float64", 37, 3)

    def f(x):
        y, size = normalised(x)
        return (stacked(y)[0] * size[:, None]).sum()

    with cv.disable_jit():
        want = cv.grad(f)(x)
    same(cv.jit(cv.grad(f))(x), want, "float64")


def test_donated_rows():
    f = cv.jit(lambda x: np.stack([x[:, 1], x[:, 0] + x[:, 2], x[:, 0]], 1), donate_argnums=0)
    x = drawn(3, "float32", 100, 3)
    want = onp.asarray(x)
    want = onp.stack([want[:, 1], want[:, 0] + want[:, 2], want[:, 0]], 1)
    onp.testing.assert_array_equal(f(x), want)


def test_state_in_a_loop():
    def step(y, _):
        return np.stack([y[:, 1], -y[:, 0] - 0.1 * y[:, 1]], 1) * 0.01 + y, None

    y = drawn(4, "float64", 21, 2)
    got = cv.jit(lambda y: lax.scan(step, y, None, length=50)[0])(y)
    for _ in range(50):
        y, _ = step(y, None)
    same(got, y, "float64")


# --- factorisations ---

LINEAR = ("float64", "float32", "complex128", "complex64")
BATCHES = ((), (1,), (17,), (3, 40), (500,))


def matrices(dtype, n, batch):
    return onp.asarray(drawn(n, dtype, *batch, n, n)) / 3


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", LINEAR)
def test_lu(dtype, n):
    for batch in BATCHES:
        a = matrices(dtype, n, batch)
        packed, pivots, order = map(onp.asarray, cv.jit(lax.linalg.lu)(a))
        assert "call" not in schedule(lambda a: lax.linalg.lu(2 * a), a)
        for index in onp.ndindex(batch):
            want, swaps = scipy.linalg.lu_factor(a[index])
            onp.testing.assert_array_equal(pivots[index], swaps)
            error = 50 * onp.finfo(dtype).eps
            onp.testing.assert_allclose(packed[index], want, rtol=error, atol=error)
            lower = onp.tril(packed[index], -1) + onp.eye(n)
            onp.testing.assert_allclose(
                lower @ onp.triu(packed[index]), a[index][order[index]], atol=error
            )


def test_many_factorisations_are_not_written_out():
    """Programs grow by so much; what comes later is left to the library."""

    def inverses(x):
        for _ in range(30):
            x = np.linalg.inv(x + 4 * np.eye(4)) + x
        return x

    x = matrices("float64", 4, (20,))
    assert "call" in schedule(inverses, x)
    want = inverses(np.asarray(x))
    onp.testing.assert_allclose(cv.jit(inverses)(x), want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("dtype", LINEAR)
def test_inverse_as_precise_as_lapack(dtype, n):
    """Random matrices, and some that are nearly singular."""
    a = matrices(dtype, n, (2000,))
    a[::4, 0] = a[::4, 1] + 1e-3 * a[::4, 0]
    got, want = onp.asarray(cv.jit(np.linalg.inv)(a)), onp.linalg.inv(a)

    def errors(x):
        left = onp.abs(a.astype("complex128") @ x - onp.eye(n)).max((1, 2))
        return left / (onp.abs(x).max((1, 2)) * onp.abs(a).max((1, 2)))

    eps = onp.finfo(dtype).eps
    assert errors(got).max() <= 8 * eps
    assert errors(got).mean() <= 3 * errors(want).mean()


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", LINEAR)
def test_cholesky(dtype, n, upper):
    for batch in BATCHES:
        a = matrices(dtype, n, batch)
        a = a @ onp.conj(onp.swapaxes(a, -1, -2)) + onp.eye(n, dtype=dtype)
        got = onp.asarray(cv.jit(lambda a: np.linalg.cholesky(a, upper=upper))(a))
        want = onp.linalg.cholesky(a)
        if upper:
            want = onp.conj(onp.swapaxes(want, -1, -2))
        error = 50 * onp.finfo(dtype).eps
        onp.testing.assert_allclose(got, want, rtol=error, atol=error)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transpose", ["N", "T", "C"])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_solve(left, lower, transpose, unit):
    for dtype, n, m in (("float32", 3, 2), ("float64", 4, 4), ("complex64", 2, 3),
                        ("complex128", 4, 1)):  # fmt: skip
        a = matrices(dtype, n, (33,)) + 2 * onp.eye(n, dtype=dtype)
        b = onp.asarray(drawn(9, dtype, *((33, n, m) if left else (33, m, n))))
        x = cv.jit(
            lambda a, b: lax.linalg.triangular_solve(
                a,
                b,
                left_side=left,
                lower=lower,
                transpose_a=transpose != "N",
                conjugate_a=transpose == "C",
                unit_diagonal=unit,
            )  # fmt: skip
        )(a, b)
        t = onp.tril(a) if lower else onp.triu(a)
        if unit:
            t = t * (1 - onp.eye(n, dtype=dtype)) + onp.eye(n, dtype=dtype)
        t = t.conj() if transpose == "C" else t
        t = onp.swapaxes(t, -1, -2) if transpose != "N" else t
        again = t @ onp.asarray(x) if left else onp.asarray(x) @ t
        error = 60 * onp.finfo(dtype).eps * max(1, onp.abs(onp.asarray(x)).max())
        onp.testing.assert_allclose(again, b, atol=error, rtol=error)


WRONG = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "solve": lambda a: np.linalg.solve(a, a[..., :1]),
    "lu": lambda a: lax.linalg.lu(a),
    "cholesky": lambda a: np.linalg.cholesky(a, symmetrize_input=False),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_matrices_spoil_no_other(name):
    """Lanes with zero pivots, NaN and infinities do as a matrix alone, by the library."""
    f = WRONG[name]
    a = matrices("float32", 3, (40,))
    if name == "cholesky":
        a = a @ onp.swapaxes(a, -1, -2) + onp.eye(3, dtype="float32")
    a[7] = 0
    a[9, 1, 1] = onp.nan
    a[11, 0, 0] = onp.inf
    a[13, :, 2] = 0
    a[15, 2] = -onp.inf
    # One operation at a time calls the library, as sizes are no part of its code.
    got, want = cv.jit(f)(a), f(np.asarray(a))
    for x, y in zip(*map(cv.tree_util.tree_leaves, (got, want)), strict=True):
        onp.testing.assert_allclose(onp.asarray(x), onp.asarray(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows, constant", [(2000, True), (100, False)])
def test_short_rows_of_one_operation(rows, constant):
    # Points in space: lanes are points. Of few of them, the code is that of all sizes.
    text = cv.jit(lambda x: np.argmax(x, 1)).lower(np.ones((rows, 3))).as_text("schedule")
    assert ("for 3 r unrolled" in text) == constant
    x = onp.random.default_rng(0).standard_normal((rows, 3)).astype("f")
    x[::7, 1] = onp.nan
    assert onp.array_equal(np.argmax(x, 1), onp.argmax(x, 1))
    assert onp.array_equal(np.max(x, 1), onp.max(x, 1), equal_nan=True)


LAYOUTS = {
    "points by a matrix": ("nk,km->nm", lambda n, k, m: ((n, k), (k, m))),
    "a matrix by points": ("mk,kn->mn", lambda n, k, m: ((m, k), (k, n))),
    "the transposed matrix": ("nk,mk->nm", lambda n, k, m: ((n, k), (m, k))),
    "a vector": ("nk,k->n", lambda n, k, m: ((n, k), (k,))),
    "from the left of each": ("ik,nkm->nim", lambda n, k, m: ((m, k), (n, k, m))),
    "on both sides of each": ("ik,nkl,jl->nij", lambda n, k, m: ((m, k), (n, k, k), (m, k))),
    "each by each": ("nik,nkj->nij", lambda n, k, m: ((n, m, k), (n, k, m))),
}


@pytest.mark.parametrize("n", [1, 15, 17, 1000])
@pytest.mark.parametrize(
    "sides", [(1, 3), (2, 2), (3, 3), (4, 4), (8, 8), (8, 3), (12, 5), (13, 4)]
)
@pytest.mark.parametrize("name", LAYOUTS)
def test_products_with_short_matrices(name, sides, n):
    spec, shapes = LAYOUTS[name]
    for dtype in ("float32", "complex128", "int32", "bfloat16"):
        given = [drawn(k, dtype, *s) for k, s in enumerate(shapes(n, *sides))]
        got = cv.jit(lambda *xs: np.einsum(spec, *xs))(*given)
        wide = [onp.asarray(x, "float64" if dtype == "bfloat16" else None) for x in given]
        want = onp.einsum(spec, *wide)
        error = ERRORS.get(dtype, 1e-13) * max(1, onp.abs(want).max(initial=0))
        onp.testing.assert_allclose(onp.asarray(got, want.dtype), want, atol=error, rtol=0)


def test_short_products_are_written_out():
    x, turn = np.zeros((5000, 3)), np.eye(3)
    for f in (lambda x, a: x @ a, lambda x, a: a @ x.T, lambda x, a: 1 + (x @ a.T) @ a):
        shown = schedule(f, x, turn)
        assert "gemm" not in shown and "call" not in shown
        assert shown.count("nest") == shown.count("vector 8"), shown


def test_a_sum_of_all_products_is_no_call():
    x = drawn(0, "float32", 300, 70)
    shown = schedule(lambda x: np.vdot(x, 2 * x), x)
    assert "call" not in shown and "partial" in shown
    onp.testing.assert_allclose(np.vdot(x, 2 * x), 2 * (onp.asarray(x, "float64") ** 2).sum(), 1e-6)


@pytest.mark.parametrize("mode", ["clip", "fill", "wrap"])
@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_one_of_few_elements(size, mode):
    x = drawn(0, "float32", 100, size)
    at = np.asarray(onp.random.default_rng(1).integers(-size - 2, size + 3, (100, 1)))
    got = cv.jit(lambda x, at: np.take_along_axis(x, at, 1, mode=mode))(x, at)
    want = onp.empty((100, 1), "float32")
    for i, k in enumerate(onp.asarray(at)[:, 0]):
        inside = 0 <= k < size or -size <= k < 0
        place = k % size if inside or mode == "wrap" else min(max(k, 0), size - 1)
        want[i] = onp.asarray(x)[i, place] if inside or mode != "fill" else onp.nan
    if mode == "clip":
        # Whether negative places count from the end before they are clipped is the function's.
        with cv.disable_jit():
            want = onp.asarray(np.take_along_axis(x, at, 1, mode=mode))
    onp.testing.assert_array_equal(got, want)
    slope = cv.grad(lambda x: np.take_along_axis(x, at, 1, mode="clip").sum())(x)
    assert onp.asarray(slope).sum() == 100
