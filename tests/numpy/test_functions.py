"""Functions of `covector.numpy` against NumPy's: a table of calls over dtypes and shapes."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

R = onp.random.RandomState(0)
DTYPES = ("bool", "int8", "uint8", "int32", "float16", "float32", "complex64")


def sample(shape, dtype):
    if dtype == "bool":
        return onp.asarray(R.rand(*shape) > 0.5)
    if dtype.startswith("complex"):
        return onp.asarray(R.randn(*shape) + 1j * R.randn(*shape)).astype(dtype)
    if dtype.startswith("float"):
        return onp.asarray(R.randn(*shape)).astype(dtype)
    low = 0 if dtype.startswith("u") else -9
    return onp.asarray(R.randint(low, 10, shape)).astype(dtype)


def check(got, want, tol):
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            check(g, w, tol)
        return
    want = onp.asarray(want)
    got = onp.asarray(got)
    assert got.shape == want.shape, (got.shape, want.shape)
    wide = complex if want.dtype.kind == "c" else float
    onp.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=tol, atol=tol)


REAL = tuple(d for d in DTYPES if d != "complex64")
NUMBERS = tuple(d for d in DTYPES if d != "bool")
FLOATS = ("float16", "float32")
INTS = ("int8", "uint8", "int32")

UNARY = {
    "negative": NUMBERS, "absolute": DTYPES, "sign": ("int32", "float32"), "square": NUMBERS,
    "sqrt": ("float32", "complex64"), "exp": ("int8", "float16", "float32", "complex64"),
    "sin": ("int32", "float32"), "cos": FLOATS, "tanh": FLOATS, "arctan": FLOATS,
    "floor": FLOATS, "ceil": FLOATS, "trunc": FLOATS, "rint": FLOATS, "isnan": FLOATS,
    "isfinite": DTYPES, "signbit": FLOATS, "logical_not": DTYPES, "conjugate": DTYPES,
    "real": DTYPES, "imag": DTYPES, "invert": ("bool", *INTS), "degrees": FLOATS,
    "expm1": FLOATS, "sinc": ("float32",), "cbrt": ("float32",),
}  # fmt: skip
BINARY = {
    "add": NUMBERS, "subtract": NUMBERS, "multiply": DTYPES, "divide": ("int32", "float32"),
    "floor_divide": ("float32",), "maximum": REAL, "minimum": REAL, "fmax": FLOATS,
    "equal": DTYPES, "less": REAL, "greater_equal": REAL, "logical_and": DTYPES,
    "logical_xor": DTYPES, "bitwise_and": ("bool", *INTS), "bitwise_xor": INTS,
    "arctan2": FLOATS, "hypot": FLOATS, "copysign": FLOATS, "logaddexp": FLOATS,
}  # fmt: skip
SHAPES = (((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (2,)), ((0, 4), (4,)))


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("shape", [(3, 4), (), (0, 3), (1,)])
def test_unary(name, shape):
    for dtype in UNARY[name]:
        x = onp.asarray(sample(shape, dtype))
        with onp.errstate(all="ignore"):
            want = getattr(onp, name)(x)
            if want.dtype == object:
                continue
        got = getattr(np, name)(x)
        check(got, want, 2e-2 if "16" in dtype or dtype == "int8" else 1e-5)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", SHAPES)
def test_binary(name, shapes):
    for dtype in BINARY[name]:
        x, y = (onp.asarray(sample(s, dtype)) for s in shapes)
        with onp.errstate(all="ignore"):
            want = getattr(onp, name)(x, y)
        check(getattr(np, name)(x, y), want, 2e-2 if "16" in dtype else 1e-5)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int8"])
def test_integer_division_rounds_down(dtype):
    x = sample((20,), dtype)
    y = onp.where(sample((20,), dtype) == 0, 3, sample((20,), dtype))
    y = onp.where(y == 0, 2, y).astype(dtype)
    check(np.floor_divide(x, y), onp.floor_divide(x, y), 0)
    check(np.remainder(x, y), onp.remainder(x, y), 0)
    check(np.fmod(x, y), onp.fmod(x, y), 0)
    check(np.divmod(x, y), onp.divmod(x, y), 0)


REDUCTIONS = {
    "sum": DTYPES, "prod": ("int32", "float32"), "max": REAL, "min": REAL, "any": DTYPES,
    "all": DTYPES, "mean": NUMBERS, "std": NUMBERS, "var": NUMBERS, "argmax": REAL,
    "argmin": REAL, "ptp": ("int32", "float32"), "count_nonzero": DTYPES, "median": FLOATS,
    "nansum": FLOATS, "nanmean": FLOATS, "nanmax": FLOATS, "nanstd": FLOATS,
    "cumsum": ("int32", "float32"), "cumprod": ("float32",),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
def test_reduction(name, axis):
    if isinstance(axis, tuple) and name in ("argmax", "argmin", "cumsum", "cumprod"):
        return
    for dtype in REDUCTIONS[name]:
        x = sample((2, 3, 4), dtype)
        if name.startswith("nan"):
            x = x.copy()
            x[0, 1, 2] = onp.nan
        if name == "prod" and dtype == "int32":
            x %= 4  # the product fits
        wide = x.astype("float64") if dtype == "float16" else x
        want = getattr(onp, name)(wide, axis=axis)
        check(getattr(np, name)(x, axis=axis), want, 2e-2 if dtype == "float16" else 1e-4)
        if not name.startswith("cum"):
            want = getattr(onp, name)(wide, axis=axis, keepdims=True)
            got = getattr(np, name)(x, axis=axis, keepdims=True)
            check(got, want, 2e-2 if dtype == "float16" else 1e-4)


def test_reductions_of_empty_axes():
    e = np.zeros((0, 3))
    check(e.sum(0), onp.zeros(3), 0)
    check(e.prod(0), onp.ones(3), 0)
    check(e.all(), True, 0)
    check(e.max(1), onp.zeros(0), 0)
    with pytest.raises(ValueError, match="no elements"):
        e.max(0)
    with pytest.raises(ValueError, match="no element"):
        e.argmax(0)


V = sample((5,), "float32")
W = sample((5,), "float32")
F = sample((3, 4), "float32")
G = sample((3, 4), "float32")
M = sample((4, 3), "float32")
T = sample((2, 3, 4), "float32")
J = sample((3, 4), "int32")
K = onp.array([2, 0, 1])
B = sample((3, 4), "bool")
N = onp.array([3, 1, 2, 3, 0, 1])

CALLS = [
    lambda np: np.reshape(F, (4, 3)), lambda np: np.reshape(F, (2, -1), order="F"),
    lambda np: np.ravel(T), lambda np: np.transpose(T), lambda np: np.transpose(T, (1, 0, 2)),
    lambda np: np.swapaxes(T, 0, 2), lambda np: np.moveaxis(T, (0, 1), (2, 0)),
    lambda np: np.rollaxis(T, 2), lambda np: np.squeeze(F[None, :, None]),
    lambda np: np.expand_dims(F, (0, -1)), lambda np: np.atleast_3d(V),
    lambda np: np.broadcast_to(V, (3, 5)), lambda np: np.flip(F), lambda np: np.flip(F, 1),
    lambda np: np.rot90(F), lambda np: np.rot90(F, 3), lambda np: np.rot90(T, 1, (1, 2)),
    lambda np: np.roll(V, 2), lambda np: np.roll(F, 1), lambda np: np.roll(F, (1, -2), (0, 1)),
    lambda np: np.concatenate([F, G]), lambda np: np.concatenate([F, J], 1),
    lambda np: np.concatenate([F, V], None), lambda np: np.stack([F, G], -1),
    lambda np: np.vstack([V, W]), lambda np: np.hstack([V, K]), lambda np: np.dstack([F, G]),
    lambda np: np.column_stack([V, W]), lambda np: np.append(F, G, 0),
    lambda np: np.block([[F, F], [G, G]]), lambda np: np.split(F, 2, 1),
    lambda np: np.split(F, [1, 3], 1), lambda np: np.array_split(V, 3),
    lambda np: np.tile(F, (2, 1)), lambda np: np.tile(V, (2, 2)), lambda np: np.repeat(F, 2),
    lambda np: np.repeat(F, K, 0), lambda np: np.resize(F, (2, 7)),
    lambda np: np.delete(V, 1), lambda np: np.delete(F, K[:2], 1),
    lambda np: np.insert(V, 1, 9.0), lambda np: np.insert(F, 1, 5, axis=1),
    lambda np: np.where(B, F, G), lambda np: np.where(B, V[:4], 0), lambda np: np.where(B),
    lambda np: np.select([B, F > 0], [F, G], 9), lambda np: np.nonzero(J),
    lambda np: np.argwhere(B), lambda np: np.flatnonzero(B), lambda np: np.extract(B, F),
    lambda np: np.compress(onp.array([True, False, True]), F, 0), lambda np: np.take(F, K),
    lambda np: np.take(F, K, 0), lambda np: np.take_along_axis(F, onp.argsort(F, 1), 1),
    lambda np: np.choose(K, [K, K * 2, K * 3]),
    lambda np: np.unravel_index(onp.array([3, 7]), (3, 4)),
    lambda np: np.clip(F, -0.5, 0.5), lambda np: np.clip(J, 0, None), lambda np: np.round(F, 1),
    lambda np: np.nan_to_num(onp.array([onp.nan, onp.inf, 1], "float32")),
    lambda np: np.sort(F), lambda np: np.sort(F, 0), lambda np: np.sort(F, None),
    lambda np: np.argsort(N, kind=None, stable=True), lambda np: np.lexsort([N, N[::-1]]),
    lambda np: np.searchsorted(onp.sort(V), W), lambda np: np.searchsorted(N[:0], 2),
    lambda np: np.searchsorted(onp.array([1, 2, 2, 3]), 2, side="right"),
    lambda np: np.digitize(V, onp.array([1.0, 0, -1], "float32")),
    lambda np: np.bincount(N), lambda np: np.bincount(N, weights=N * 0.5),
    lambda np: np.histogram(V), lambda np: np.histogram(V, 5, range=(-1, 1), density=True),
    lambda np: np.unique(N), lambda np: np.union1d(N, K), lambda np: np.intersect1d(N, K),
    lambda np: np.unique(N, return_index=True, return_inverse=True, return_counts=True),
    lambda np: np.setdiff1d(N, K), lambda np: np.setxor1d(N, K), lambda np: np.isin(N, K),
    lambda np: np.packbits(B), lambda np: np.unpackbits(onp.array([7, 200], "uint8")),
    lambda np: np.matmul(F, M), lambda np: np.matmul(T, M), lambda np: np.matmul(V, W),
    lambda np: np.dot(F, M), lambda np: np.vdot(F, G), lambda np: np.inner(F, G),
    lambda np: np.outer(V, W), lambda np: np.tensordot(T, F, ((1, 2), (0, 1))),
    lambda np: np.kron(F, M), lambda np: np.cross(F[:, :3], M[:3]), lambda np: np.trace(F),
    lambda np: np.einsum("ij,jk", F, M), lambda np: np.einsum("ii->i", F[:, :3]),
    lambda np: np.einsum("bij,jk,kl->bil", T, M, F), lambda np: np.einsum("...ij,...jk", T, M),
    lambda np: np.einsum("ij,ij->i", F, G), lambda np: np.einsum("ij->", F),
    lambda np: np.diff(F, 2), lambda np: np.diff(V, prepend=0.0), lambda np: np.gradient(F),
    lambda np: np.gradient(V, onp.cumsum(onp.abs(V) + 0.1)), lambda np: np.trapezoid(F, axis=0),
    lambda np: np.interp(V, onp.arange(4.0), onp.arange(4.0) ** 2),
    lambda np: np.interp(V, onp.arange(4.0), onp.arange(4.0) ** 2, period=4),
    lambda np: np.convolve(V, W), lambda np: np.convolve(V, W[:3], "same"),
    lambda np: np.correlate(V, W, "full"), lambda np: np.correlate(V[:2], W, "same"),
    lambda np: np.cov(F), lambda np: np.corrcoef(F), lambda np: np.average(F, weights=onp.abs(G)),
    lambda np: np.quantile(F, onp.array([0.1, 0.5], "float32"), axis=1),
    lambda np: np.percentile(T, 40, axis=(0, 2), method="lower"),
    lambda np: np.polyval(V, W), lambda np: np.polyadd(V, K), lambda np: np.polymul(V, K),
    lambda np: np.polydiv(V, W[:2]), lambda np: np.polyder(V), lambda np: np.polyint(V),
    lambda np: np.vander(V, 3), lambda np: np.tril(T, -1), lambda np: np.triu(F, 1),
    lambda np: np.diag(V, 1), lambda np: np.diag(F, -1), lambda np: np.diagonal(T, 1, 1, 2),
    lambda np: np.meshgrid(V, K), lambda np: np.indices((2, 3)), lambda np: np.eye(3, 4, 1),
    lambda np: np.linspace(0, 9, 4, endpoint=False), lambda np: np.logspace(0, 2, 4),
    lambda np: np.geomspace(1, 1000, 4), lambda np: np.arange(5, 0, -2),
    lambda np: np.linspace(V, W, 3, axis=1), lambda np: np.arange(0.0, 1.0, 0.25),
    lambda np: np.apply_along_axis(lambda x: x[:2], 1, T), lambda np: np.ediff1d(V, 1, 2),
    lambda np: np.unwrap(V * 4), lambda np: np.piecewise(V, [V < 0, V >= 0], [-1, 1]),
    lambda np: np.add.reduce(F), lambda np: np.subtract.outer(V, W),
    lambda np: np.maximum.reduce(F, axis=0, initial=0, where=G > 0),
    lambda np: np.logaddexp.reduce(F, axis=1), lambda np: np.logical_xor.reduce(F),
    lambda np: np.subtract.reduce(F, axis=1, initial=1, where=G > 0),
    lambda np: np.bitwise_or.reduce(K[:0]), lambda np: np.add.identity,
    lambda np: np.add.reduceat(F, onp.array([2, 0, 0, 1]), axis=0),
    lambda np: np.subtract.reduceat(F, onp.array([0, 2]), axis=1),
    lambda np: np.i0(V), lambda np: np.modf(V), lambda np: np.frexp(V), lambda np: np.r_[1:4, 5, V],
    *[
        lambda np, m=m, w=w: np.pad(F, w, mode=m)
        for m in ("constant", "edge", "wrap", "reflect", "symmetric", "maximum", "mean", "minimum",
                  "linear_ramp")
        for w in (1, ((1, 2), (0, 3)))
    ],
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(CALLS)))
def test_call(i):
    with onp.errstate(all="ignore"):
        try:
            want = CALLS[i](onp)
        except TypeError:  # an older NumPy
            pytest.skip("not in this NumPy")
    check(CALLS[i](np), want, 2e-4)


@pytest.mark.parametrize("value", [300.5, -300.5, 2.7, -0.5, onp.nan, onp.inf, -onp.inf])
@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.filterwarnings("ignore:an update of dtype:FutureWarning")
def test_floats_become_integers_alike_traced_and_not(dtype, value):
    x = np.zeros(2, dtype)
    want = np.full(2, value, "float32").astype(dtype)
    update = lambda v: x.at[:].set(v)  # noqa: E731
    for got in (update(value), cv.jit(lambda: update(value))(), cv.jit(update)(value)):
        assert got.tolist() == want.tolist()


def test_arguments_that_mean_the_same():
    check(np.sum(T, axis=[0, 2]), onp.sum(T, axis=(0, 2)), 1e-5)
    check(np.fmax(x1=V, x2=0.0), onp.fmax(V, 0), 0)
    check(np.trunc(x=V), onp.trunc(V), 0)
    with pytest.raises(ValueError, match="two names of one argument"):
        np.var(F, ddof=1, correction=1)
    assert np.std(F, dtype="int32").dtype == "float32"
    assert np.unique(np.zeros(0), size=2, fill_value=3).tolist() == [3, 3]


def test_sizes_under_jit():
    f = cv.jit(lambda x: (np.nonzero(x, size=4, fill_value=-1), np.unique(x, size=3)))
    (found,), values = f(np.array([3, 0, 3, 1]))
    check(found, [0, 2, 3, -1], 0)
    check(values, [0, 1, 3], 0)
    g = cv.jit(lambda x: np.bincount(x, length=4))
    check(g(np.array([3, 0, 3, 7])), [1, 0, 0, 2], 0)


@pytest.mark.parametrize("method", ["set", "add"])
def test_results_of_scatter_are_used_whole(method):
    i = np.array([3, 0, 3, 1, 3, 2])

    def f(i):
        p = getattr(np.zeros(3, int).at[i], method)(np.arange(6))
        return p % 3, p // 3

    check(cv.jit(f)(i), ([1, 0, 2], [0, 1, 1]), 0)


def test_functions_of_functions_have_the_methods_of_ufuncs():
    add = np.frompyfunc(lambda a, b: a + b, 2, 1)
    assert int(add.reduce(np.arange(5))) == 10
    x = np.arange(6).reshape(2, 3)
    mask = np.array([True, False, True])
    assert add.reduce(x, axis=1, where=mask, initial=0).tolist() == [2, 8]
    assert add.reduceat(np.arange(8), np.array([0, 3, 5])).tolist() == [3, 7, 18]
    assert add.accumulate(np.arange(5)).tolist() == [0, 1, 3, 6, 10]


@pytest.mark.parametrize("wrapped", [lambda f: f, cv.jit])
def test_dtypes_that_do_not_give_way_stay(wrapped):
    y = np.array([-2.0])
    assert not wrapped(lambda y: np.copysign(1.0, y))(y).weak_type
    assert not wrapped(lambda y: np.heaviside(y, 0.5))(y).weak_type
    assert np.copysign(1.0, 2.0).weak_type


def test_what_is_no_array_is_not_equal_to_one():
    assert not np.array_equal("a", "a") and not np.array_equal(np.ones(1), None)
    assert np.array_equal([1, 2], np.array([1, 2]))


def test_lists_are_refused_without_internals_in_the_message():
    for f in (np.sort, np.sum, np.sin):
        with pytest.raises(TypeError, match=r"got list.*convert it") as caught:
            f([3, 1])
        assert "Traced" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32"])
def test_floats_become_integers_in_one_way_wherever_they_are(dtype):
    """Towards zero and saturating, NaN zero: at run time, as constants, and from NumPy."""
    values = [1.7, -1.7, 3e38, -3e38, onp.inf, -onp.inf, onp.nan, 0.0]
    want = np.array(values).astype(dtype).tolist()
    info = onp.iinfo(dtype)
    assert want == [1, -1 if info.min else 0, info.max, info.min, info.max, info.min, 0, 0]
    for k, x in enumerate(values):
        for made in (
            cv.lax.full((), x, dtype), np.full((), x, dtype), np.asarray(x, dtype),
            cv.lax.full((), onp.float32(x), dtype), cv.jit(lambda x=x: np.full((), x, dtype))(),
        ):  # fmt: skip
            assert made.tolist() == want[k], x
    for source in ("float32", "float64", "float16"):
        with onp.errstate(over="ignore"):
            array = onp.asarray(values, source)
        assert np.asarray(array, dtype).tolist() == want
    assert np.asarray(values, dtype).tolist() == want


def test_warnings_name_the_line_of_the_user():
    with pytest.warns(FutureWarning, match="int32") as caught:
        np.arange(3).at[0].set(2.7)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="float64") as caught:
        np.zeros(2, "float64")
    assert caught[0].filename == __file__
