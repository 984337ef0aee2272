"""Corners that the tables do not reach: NumPy's values, repeated indices, no elements."""

import enum
import functools
import io
import itertools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, random

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 6.0, -6.0, 1e-30, 1e30, onp.inf, -onp.inf, onp.nan, 7.3]


def same(got, want):
    """Whether floats are equal, with the signs of zeros."""
    got = onp.asarray(got)
    nan = onp.isnan(got) & onp.isnan(want)
    return bool(onp.all(nan | ((got == want) & (onp.signbit(got) == onp.signbit(want)))))


# --- quotients, powers of two -------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_quotients_and_remainders_are_those_of_numpy(dtype):
    noise = onp.random.RandomState(0)
    with cv.enable_x64(), onp.errstate(all="ignore"):
        x, y = onp.array(list(itertools.product(SPECIAL, SPECIAL))).astype(dtype).T
        x = onp.concatenate([x, (noise.randn(2000) * 100).astype(dtype)])
        y = onp.concatenate([y, noise.randn(2000).astype(dtype)])
        for name in ("floor_divide", "remainder", "fmod"):
            assert same(getattr(np, name)(np.asarray(x), np.asarray(y)), getattr(onp, name)(x, y))
        q, r = np.divmod(np.asarray(x), np.asarray(y))
        assert same(q, onp.divmod(x, y)[0]) and same(r, onp.divmod(x, y)[1])


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_the_greater_of_complex_numbers(name):
    parts = [complex(a, b) for a, b in itertools.product([0, 1, -2, onp.inf, onp.nan], repeat=2)]
    x, y = onp.array(list(itertools.product(parts, parts)), "complex64").T
    onp.testing.assert_array_equal(getattr(np, name)(x, y), getattr(onp, name)(x, y))


@pytest.mark.parametrize("x", [7.3, -7.3, 6.0, -6.0, 0.0])
@pytest.mark.parametrize("y", [3.0, -3.0])
def test_derivatives_of_remainders(x, y):
    want = (1.0, -float(onp.floor(x / y)))
    assert cv.grad(np.remainder, (0, 1))(x, y) == want
    assert cv.jvp(np.remainder, (x, y), (1.0, 1.0))[1] == sum(want)
    assert cv.grad(np.floor_divide, (0, 1))(x, y) == (0.0, 0.0)


def test_gradient_of_a_quotient_at_zero():
    assert cv.grad(lambda y: np.floor_divide(1.0, y))(0.0) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_powers_of_two_at_the_limits(dtype):
    with cv.enable_x64(), onp.errstate(all="ignore"):
        x = onp.array([0.0, -0.0, 1.5, -1.75, 3.3, 1e300, 1e-310, onp.inf, -onp.inf, onp.nan, 1e-40,
                       6e4, 1e-7]).astype(dtype)  # fmt: skip
        n = onp.array([0, 1, -1, 100, -100, 1000, -1000, 1074, -1074, 2098, -2098, -150, -149, -40,
                       -24, 16, 2**20, -(2**20), 2**31 - 1, -(2**31)], "int32")  # fmt: skip
        x, n = onp.meshgrid(x, n)
        assert same(np.ldexp(np.asarray(x), np.asarray(n)), onp.ldexp(x, n))
        wide = np.array([2**40, -(2**40)])
        assert np.ldexp(np.ones(2), wide).tolist() == [onp.inf, 0.0]


# --- functions of integers and ranges -----------------------------------------------------


def test_integers_that_wrap_around():
    assert np.lcm(np.int8([17]), np.int8([10])).tolist() == [-86]
    assert np.lcm(np.uint8([17]), np.uint8([100])).tolist() == [164]


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("edges", [[5, 4, 2], [2, 4, 5], [3, 3], [9, 1]])
def test_digitize(edges, right):
    x = onp.arange(11) / 2 + 0.5
    want = onp.digitize(x, edges, right)
    onp.testing.assert_array_equal(np.digitize(np.asarray(x), np.array(edges), right), want)


def test_ranges():
    for f in (np.arange, lambda *a, **k: cv.jit(lambda: np.arange(*a, **k))()):
        assert f(0, 5, 0.5, dtype=int).tolist() == [0] * 10
        assert f(-3, 0, 0.5, dtype=int).tolist() == onp.arange(-3, 0, 0.5, dtype=int).tolist()
    with cv.enable_x64():
        got = np.geomspace(1, 256, num=9, dtype=int)
        assert got.tolist() == onp.geomspace(1, 256, num=9, dtype=int).tolist()
    assert np.geomspace(1, 1000, 4).tolist() == [1.0, 10.0, 100.0, 1000.0]
    assert onp.isnan(np.linspace(0.0, np.ones((2, 2)), 0, retstep=True)[1])


def _random_range(noise, kind):
    if kind == "whole":
        return *noise.integers(-1000, 1000, 2).astype(float), int(noise.integers(1, 2000))
    if kind == "integers":
        return *noise.integers(-50, 50, 2).tolist(), int(noise.integers(0, 100))
    shape = (2, 3) if kind == "arrays" else (2,)
    return *noise.normal(size=shape) * 10.0 ** noise.integers(-10, 10), int(noise.integers(0, 60))


@pytest.mark.parametrize("kind", ["whole", "integers", "floats", "arrays"])
@pytest.mark.parametrize("endpoint", [True, False])
def test_evenly_spaced_numbers_are_those_of_numpy(kind, endpoint):
    """To the last digit: a product that is fused with an addition gives others."""
    noise = onp.random.default_rng(0)
    with cv.enable_x64():
        for k in range(30):
            lo, hi, n = _random_range(noise, kind)
            how = {"axis": -1} if kind == "arrays" else {}
            how["dtype"] = int if kind == "integers" and k % 2 else None
            got, step = np.linspace(lo, hi, n, endpoint, True, **how)
            want, its_step = onp.linspace(lo, hi, n, endpoint, True, **how)
            assert got.dtype == want.dtype
            onp.testing.assert_array_equal(got, want)
            onp.testing.assert_array_equal(step, its_step)


def test_whole_numbers_between_whole_numbers():
    assert np.linspace(-8.0, 1.0, 10).tolist() == list(range(-8, 2))
    assert np.linspace(-1, 1, 11)[5] == 0 and np.linspace(0, 49, 8, dtype=int)[-2] == 42
    assert np.linspace(2**30, 2**30 + 4, 5, dtype="int32").tolist()[1] == 2**30 + 1
    got = np.linspace(-9 + 9j, 0j, 10).tolist()
    assert got == [complex(-k, k) for k in range(9, -1, -1)]
    assert np.logspace(0, 3, 4, base=2).tolist() == [1, 2, 4, 8]


def test_ranges_at_the_limits():
    big, small = 3e38, float(onp.float32(1e-45))
    got = onp.asarray(np.linspace(-big, big, 5, retstep=True)[0])
    onp.testing.assert_allclose(got, onp.linspace(-big, big, 5), rtol=1e-6)
    assert got[2] == 0 and np.linspace(big, big, 3).tolist() == [onp.float32(big)] * 3
    assert (np.linspace(0, 7 * small, 8) == onp.arange(8) * onp.float32(small)).all()
    assert np.linspace(np.float16(0), np.float16(4096), 8193)[-4] == 4094
    onp.testing.assert_array_equal(np.linspace(0.0, onp.inf, 3), [onp.nan, onp.inf, onp.inf])


def test_slopes_of_evenly_spaced_numbers():
    by_lo, by_hi = cv.jacobian(lambda a, b: np.linspace(a, b, 5), (0, 1))(-1.0, 3.0)
    assert by_lo.tolist() == [1, 0.75, 0.5, 0.25, 0] and by_hi.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert cv.grad(lambda a: np.linspace(a, 1.0, 4, retstep=True)[1])(0.0) == onp.float32(-1 / 3)
    assert cv.grad(lambda a: np.linspace(a, 3.3e38, 3)[1])(-3.3e38) == 0.5


def test_differences_of_order_zero():
    assert np.diff(np.arange(4), n=0, prepend=1, append=2).tolist() == [0, 1, 2, 3]


# --- statistics ---------------------------------------------------------------------------


def test_covariances():
    assert onp.isnan(np.cov(np.zeros(0))) and onp.isnan(np.cov(np.zeros((2, 0)))).all()
    assert np.cov(np.ones((1, 3)), rowvar=False).shape == (3, 3)
    assert np.cov(np.zeros((0, 2))).shape == (0, 0)


def test_trapezoids_of_varying_width():
    y, dx = onp.random.RandomState(0).rand(3, 4, 5), onp.random.RandomState(1).rand(2, 4, 5)
    onp.testing.assert_allclose(
        np.trapezoid(np.asarray(y), dx=np.asarray(dx), axis=0), onp.trapezoid(y, dx=dx, axis=0),
        rtol=1e-6,
    )  # fmt: skip


def test_dtypes_of_variances():
    assert np.var(np.ones(3), dtype=np.complex64).dtype == "complex64"
    assert np.std(np.ones(3), dtype="complex64").dtype == "complex64"
    assert np.var(np.ones(3), dtype=int).dtype == "float32"
    with pytest.raises(ValueError, match="complex"):
        np.var(np.ones(3, "complex64"), dtype="float32")


def test_booleans_as_the_dtype_of_sums():
    x = np.array([1, 0, 2], dtype="int8")
    assert np.prod(x, dtype=bool).tolist() is False and np.sum(x, dtype=bool).tolist() is True
    with pytest.raises(ValueError, match="where must be a boolean array"):
        np.sum(np.ones(3), where=np.array([1, 0, 2]))


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_long_sums_keep_their_digits(dtype):
    n = 40_000_000
    ones = cv.jit(lambda v: np.broadcast_to(v, (n,)))(np.ones((), dtype))
    assert complex(np.sum(ones)) == n
    assert complex(np.cumsum(ones)[-1]) == n


@pytest.mark.parametrize("shape", [(200_001,), (300, 777), (3, 70_000), (129, 129, 9)])
def test_sums_of_floats(shape):
    x = onp.random.RandomState(0).rand(*shape).astype("float32")
    for axis in (None, -1):
        want = x.astype("f8").sum(axis)
        onp.testing.assert_allclose(np.sum(np.asarray(x), axis), want, rtol=3e-7)
    with cv.enable_x64():
        y = onp.random.RandomState(0).rand(*shape)
        want = y.astype(onp.longdouble).sum().astype("f8")
        onp.testing.assert_allclose(np.sum(np.asarray(y)), want, rtol=5e-16)


def test_sums_with_infinities():
    with cv.enable_x64():
        x = onp.ones(300_000)
        x[5] = onp.inf
        for dtype in ("float32", "float64", "complex128"):
            assert np.sum(np.asarray(x.astype(dtype))).real == onp.inf
        x[9] = -onp.inf
        assert onp.isnan(np.sum(np.asarray(x)))


# --- axes given as arrays -----------------------------------------------------------------

M = onp.arange(6.0).reshape(2, 3)
BOTH = onp.array([0, 1])
WITH_AXES = {
    "sum": lambda np, a: np.sum(np.asarray(M), axis=a), "var": lambda np, a: np.var(M, axis=a),
    "expand_dims": lambda np, a: np.expand_dims(M, a), "flip": lambda np, a: np.flip(M, a),
    "median": lambda np, a: np.median(M, a), "roll": lambda np, a: np.roll(M, a, a),
    "count_nonzero": lambda np, a: np.count_nonzero(M, a),
    "norm": lambda np, a: np.linalg.norm(M, axis=a),
    "tensordot": lambda np, a: np.tensordot(M, M, axes=[a, a]),
    "apply_over_axes": lambda np, a: np.apply_over_axes(np.sum, np.asarray(M), a),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_AXES)
def test_axes_as_arrays(name):
    want = WITH_AXES[name](np, (0, 1))
    for axes in (BOTH, np.asarray(BOTH), [0, 1]):
        onp.testing.assert_array_equal(WITH_AXES[name](np, axes), want)
    assert np.sum(np.asarray(M), axis=np.array(0)).shape == (3,)


# --- no elements --------------------------------------------------------------------------


def test_nothing():
    for order, shape in [(onp.inf, 0), (2, (0, 3)), (1, (0, 3)), ("nuc", (0, 3)), (3, 0)]:
        assert np.linalg.norm(np.zeros(shape), ord=order) == 0.0
    with pytest.raises(ValueError):
        np.linalg.norm(np.zeros(0), ord=-onp.inf)
    assert np.ones(3)[np.zeros(0, bool)].shape == (0,)
    assert np.ones((3, 2))[np.zeros(0, bool)].shape == (0, 2)
    assert np.ones(3).at[np.zeros(0, bool)].set(5.0).tolist() == [1.0] * 3
    assert np.bitwise_and.reduce(np.zeros(0, "uint8")) == 255
    assert onp.isnan(np.median(np.zeros((0, 3)), axis=0)).tolist() == [True] * 3
    assert onp.isnan(np.nanmedian(np.zeros(0))) and onp.isnan(np.nanpercentile(np.zeros(0), 50))


# --- indices that repeat, or are traced ---------------------------------------------------


def test_functions_applied_to_repeated_elements():
    x, i = np.arange(1.0, 4.0), np.array([0, 0, 1])
    want = [float(onp.sin(onp.sin(1.0))), float(onp.sin(2.0)), 3.0]
    for f in (lambda x: x.at[i].apply(np.sin), cv.jit(lambda x: x.at[i].apply(np.sin))):
        onp.testing.assert_allclose(f(x), want, rtol=1e-6)
    traced = cv.jit(lambda x, i: x.at[i].apply(np.sin))
    onp.testing.assert_allclose(traced(x, i), want, rtol=1e-6)
    onp.testing.assert_allclose(cv.vmap(traced)(x[None], i[None])[0], want, rtol=1e-6)
    slopes = [float(onp.cos(onp.sin(1.0)) * onp.cos(1.0)), float(onp.cos(2.0)), 1.0]
    onp.testing.assert_allclose(
        cv.grad(lambda x: x.at[i].apply(np.sin).sum())(x), slopes, rtol=1e-6
    )
    onp.testing.assert_allclose(np.diag(cv.jacfwd(traced)(x, i)), slopes, rtol=1e-6)
    assert x.at[np.array([9, 1])].apply(lambda v: 1 / v).tolist() == [1.0, 0.5, 3.0]
    m = np.asarray(M).at[np.array([1, 1])].apply(lambda v: v * 2)
    assert m.tolist() == [[0.0, 1.0, 2.0], [12.0, 16.0, 20.0]]


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2", "power", "add", "maximum", "negative"])
def test_ufuncs_at_repeated_elements(name):
    x, i, b = onp.array([1.0, 2.0, 3.0]), onp.array([0, 0, 2]), onp.array([5.0, 7.0, 2.0])
    operands = () if name == "negative" else (b,)
    want = x.copy()
    getattr(onp, name).at(want, i, *operands)
    f = getattr(np, name)
    got = f.at(np.asarray(x), np.asarray(i), *map(np.asarray, operands), inplace=False)
    onp.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(("obj", "values"), [(1, 9), ([1, 3], [8, 9]), ([3, 1], [8, 9]), (-1, 9)])
def test_insertion_at_traced_positions(obj, values):
    want = onp.insert(onp.arange(4), obj, values)
    got = cv.jit(np.insert)(np.arange(4), np.array(obj), np.array(values))
    assert got.tolist() == want.tolist()
    rows = onp.arange(8).reshape(4, 2)
    got = cv.jit(lambda x, i: np.insert(x, i, 7, axis=0))(rows, np.array(obj))
    assert got.tolist() == onp.insert(rows, obj, 7, axis=0).tolist()


def test_removal_at_traced_positions():
    f = cv.jit(lambda x, i: np.delete(x, i, assume_unique_indices=True))
    assert f(np.arange(4), np.array([1, -1])).tolist() == [0, 2]


def test_positions_in_a_traced_shape():
    i = np.array([5, -1, 99])
    got, want = cv.jit(np.unravel_index)(i, (3, 4)), np.unravel_index(i, (3, 4))
    assert [g.tolist() for g in got] == [w.tolist() for w in want] == [[1, 2, 2], [1, 3, 3]]


# --- what NumPy and JAX take too ----------------------------------------------------------


def test_einsum():
    a, b = np.full((2, 3), 100, "int8"), np.full((3, 2), 100, "int8")
    wide = {"preferred_element_type": np.int32}
    assert np.einsum("ij,jk->ik", a, b, **wide)[0, 0] == 30000
    assert np.einsum("ij,ij->i", a, a, **wide)[0] == 30000
    assert np.einsum("ij->i", a, **wide)[0] == 300
    assert np.einsum("i,j->ij", a[0], a[0], **wide)[0, 0] == 10000
    h = np.full((1, 4), 300.0, "float16")
    assert np.einsum("ij,kj->ik", h, h, preferred_element_type="float32")[0, 0] == 360000.0
    assert (
        np.einsum(
            "ij,kj->ik", np.ones((1, 4)), np.ones((1, 4)), preferred_element_type="float16"
        ).dtype
        == "float16"
    )
    path = np.einsum_path("ij,jk,kl", a, b, a)[0]
    x, y = np.ones((2, 3)), np.ones((3, 2))
    assert np.einsum("ij,jk,kl", x, y, x, optimize=path)[0, 0] == 6.0
    assert np.einsum("ij,jk", x, y, optimize=["einsum_path", (0, 1)]).shape == (2, 2)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32", "int32"])
def test_selectors_of_any_integer_type(dtype):
    which = np.array([0, 2, 1], dtype)
    cases = [np.full(3, v) for v in (1.0, 2.0, 3.0)]
    assert lax.select_n(which, *cases).tolist() == [1.0, 3.0, 2.0]
    assert lax.select(which, *cases[:2]).tolist() == [2.0, 1.0, 1.0]
    beyond = np.array([onp.iinfo(dtype).min, onp.iinfo(dtype).max, 1], dtype)
    assert lax.select_n(beyond, *cases).tolist() == [1.0, 3.0, 2.0]


def test_lists_and_other_objects():
    assert bool(np.array_equiv([1, 2], [[1, 2], [1, 2]]))
    assert np.isrealobj("a string") and np.iscomplexobj([1j])

    class E(enum.IntEnum):
        A = 42

    assert np.array(E.A) == 42 and np.array(E.A).weak_type and np.array(E.A, "float16") == 42
    assert np.vectorize(lambda x, y: x)(np.arange(2.0), None).tolist() == [0.0, 1.0]
    assert isinstance(np.add, np.ufunc) and isinstance(np.power, np.ufunc) and np.add.nargs == 3
    assert not isinstance(np.sum, np.ufunc)


def test_python_integers_that_are_looked_for():
    x = np.array([4, 44], "uint8")
    assert np.isin(x, 300).tolist() == [False, False] and np.isin(x, 44).tolist() == [False, True]
    assert np.searchsorted(x, 300) == 2 and np.searchsorted(x, -1) == 0
    assert cv.jit(lambda x: np.searchsorted(x, 300))(x) == 2


def test_objects_that_convert_themselves():
    class Three:
        def __jax_array__(self):
            return np.array(3.0)

    x = np.arange(2.0)
    assert (Three() * x).tolist() == (x * Three()).tolist() == [0.0, 3.0]
    assert cv.jit(lambda x: Three() - x)(x).tolist() == [3.0, 2.0]


def test_arrays_are_sequences_to_numpy():
    keys = onp.array([[3, 1, 2]])
    assert onp.lexsort(np.asarray(keys)).tolist() == onp.lexsort(keys).tolist()


@pytest.mark.parametrize("shape", [(2, 60_000), (60_000, 2)])
def test_pseudoinverses_of_long_matrices(shape):
    x = onp.random.RandomState(0).randn(*shape).astype("float32")
    p, t = cv.jvp(np.linalg.pinv, (x,), (x,))
    onp.testing.assert_allclose(t, -onp.asarray(p), atol=1e-7)


def test_unique_complex_nan():
    nan = onp.nan
    x = np.array([2.0, complex(1, nan), nan, 1.0, complex(nan, 1), 1.0], "complex64")
    got = onp.asarray(np.unique(x))
    assert got[:2].tolist() == [1.0, 2.0] and len(got) == 3 and onp.isnan(got[2])


def test_spacing_of_halves():
    x = onp.array([1.0, -1.0, 0.0, -0.0, 2.0, -2.0, onp.inf, -onp.inf], "float16")
    with onp.errstate(all="ignore"):
        assert same(np.spacing(np.asarray(x)), onp.spacing(x))


@pytest.mark.parametrize(
    "pair", [("complex64", "float32"), ("complex64", "int8"), ("uint16", "complex64")]
)
def test_complex_numbers_seen_as_others(pair):
    x = onp.arange(64, dtype="uint8").view(pair[0])
    for f in (lambda x: x.view(pair[1]), cv.jit(lambda x: x.view(pair[1]))):
        assert onp.asarray(f(np.asarray(x))).tobytes() == x.tobytes()


def test_broadcasts():
    assert lax.broadcast_in_dim(np.ones((3, 1)), (2, 3, 4), [1, 0]).shape == (2, 3, 4)
    assert lax.broadcast_in_dim(np.array([[1, 2]]), (2, 3), [1, 0]).tolist() == [[1] * 3, [2] * 3]
    assert lax.broadcast_in_dim(np.asarray(M), (3, 2), [1, 0]).tolist() == M.T.tolist()
    with pytest.raises(TypeError):
        lax.broadcast_in_dim(np.ones((2, 2)), (2, 2), [0, 0])


def test_dimensions_that_are_none():
    with pytest.raises(TypeError):
        numbers = lax.ScatterDimensionNumbers((), (3,), (0,))
        lax.scatter(np.zeros(2), np.array([[5]]), np.ones(1), numbers)
    with pytest.raises(TypeError):
        numbers = lax.GatherDimensionNumbers((), (3,), (0,))
        lax.gather(np.zeros(2), np.array([[1]]), numbers, (1,))
    with pytest.raises(ValueError):
        random.permutation(random.key(0), 4, axis=3)


def test_qr_of_the_old_name():
    assert np.linalg.qr(np.zeros((3, 2)), mode="full")[0].shape == (3, 2)


def test_files_of_bfloat16():
    file = io.BytesIO()
    np.save(file, np.ones(3, np.bfloat16))
    file.seek(0)
    got = np.load(file)
    assert got.dtype == "bfloat16" and got.tolist() == [1.0] * 3
    file = io.BytesIO()
    np.savez(file, np.ones(3, np.bfloat16), n=np.arange(3))
    file.seek(0)
    several = dict(np.load(file))
    assert several["arr_0"].dtype == "bfloat16" and several["arr_0"].tolist() == [1.0] * 3
    assert several["n"].tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="bfloat16"):
        np.array(onp.zeros(2, "V2"))


def test_attention_with_a_mask_of_few_dimensions():
    q, k = np.ones((5, 6, 2)), np.ones((7, 6, 2))
    mask = np.array([True] * 3 + [False] * 4)
    got = cv.nn.dot_product_attention(q, k, k, mask=mask)
    want = cv.nn.dot_product_attention(q, k, k, mask=mask[None, None, None])
    assert got.tolist() == want.tolist()


def test_modes_of_categorical():
    key = random.key(0)
    assert random.categorical(key, np.ones(3), mode="highest").shape == ()


@pytest.mark.parametrize(("shape", "axis"), [((3, 1, 0), 1), ((3, 2, 0), 1), ((0, 2), 1)], ids=str)
def test_extrema_along_axes_of_empty_arrays(shape, axis):
    x = onp.zeros(shape, onp.float32)
    for name in ("argmax", "argmin", "max", "cumsum", "sort", "argsort"):
        want = getattr(onp, name)(x, axis=axis)
        for f in (getattr(np, name), cv.jit(getattr(np, name), static_argnames="axis")):
            assert f(x, axis=axis).shape == want.shape, name


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint32", "uint8"])
def test_isin_at_the_limits_of_integers(dtype):
    info = onp.iinfo(dtype)
    near = onp.arange(30).astype(dtype)
    x = onp.concatenate([near, info.max - near, info.min + near])
    for t in (near + info.dtype.type(5), info.max - near[::2], info.min + near[3:], x[::3]):
        onp.testing.assert_array_equal(np.isin(np.array(x), np.array(t)), onp.isin(x, t))
        jitted = cv.vmap(np.isin, (0, None))(np.array(x.reshape(2, -1)), np.array(t))
        onp.testing.assert_array_equal(jitted, onp.isin(x, t).reshape(2, -1))


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_setxor1d_with_and_without_size(dtype):
    x, y = onp.array([3, 1, 1, 7, 3], dtype), onp.array([7, 9, 9, 1], dtype)
    onp.testing.assert_array_equal(np.setxor1d(np.array(x), np.array(y)), onp.setxor1d(x, y))
    out = cv.jit(lambda a, b: np.setxor1d(a, b, size=3))(np.array(x), np.array(y))
    assert out.tolist() == [3, 9, 3]
    assert np.setxor1d(np.array(x), np.array(y[:0])).tolist() == [1, 3, 7]


def in_order(how, dtype, n):
    x = onp.random.default_rng(3).normal(size=n) * 40
    x = (onp.round(x / 20) if how == "few" else x).astype(dtype)
    if how in ("rising", "falling", "nearly"):
        x = onp.sort(x)[:: -1 if how == "falling" else 1].copy()
    if how == "nearly" and n > 2:
        x[n // 2 : n // 2 + 2] = x[n // 2 : n // 2 + 2][::-1]
        x[1] = onp.nan if dtype.startswith("f") else x[-1]
    return onp.full_like(x, x[0]) if how == "equal" else x


@pytest.mark.parametrize("how", ["rising", "falling", "nearly", "equal", "few"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
@pytest.mark.parametrize("n", [3, 2000, 300_000])
def test_order_statistics_and_searches_in_every_order(how, dtype, n):
    with cv.enable_x64():
        x = in_order(how, dtype, n)
        y, q, bins = np.asarray(x), onp.array([0.9, 0.25]), onp.unique(x[~(x != x)])[:700]
        for got, want in [
            (np.quantile(y, q), onp.quantile(x, q)), (np.median(y), onp.median(x)),
            (np.median(y[:, None], 1), onp.median(x[:, None], 1)),
            (np.percentile(y[::-1], 75), onp.percentile(x[::-1], 75)),
        ]:  # fmt: skip
            onp.testing.assert_allclose(got, want, rtol=1e-5)
        same = onp.testing.assert_array_equal
        same(np.lexsort((y[::-1], y)), onp.lexsort((x[::-1], x)))
        same(np.lexsort((y, y)), onp.lexsort((x, x)))
        for right in (False, True):
            same(np.digitize(y, bins, right), onp.digitize(x, bins, right))
            same(np.digitize(y, bins[::-1], right), onp.digitize(x, bins[::-1], right))
            side = "right" if right else "left"
            same(np.searchsorted(bins, y, side), onp.searchsorted(bins, x, side))
            same(np.searchsorted(bins, y[::-1], side), onp.searchsorted(bins, x[::-1], side))
        curve = onp.arange(len(bins)) ** 2.0
        want = onp.interp(x, bins, curve)
        got = np.interp(y, bins, curve)
        onp.testing.assert_allclose(got, want, rtol=1e-4 if dtype == "float32" else 1e-9)
        same(np.setxor1d(y, bins), onp.setxor1d(x, bins))


@pytest.mark.parametrize("shape", [(0,), (7,), (100_000,), (3, 0, 2), (300, 401), (70_000, 2),
                                   (2, 70_000), (40, 50, 60)])  # fmt: skip
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "int64", "float16",
                                   "bfloat16", "float32", "float64", "complex64",
                                   "int4"])  # fmt: skip
@pytest.mark.parametrize("share", [0, 0.3, 1])
@pytest.mark.parametrize("x64", [False, True])
def test_nonzero(shape, dtype, share, x64):
    with cv.enable_x64(x64):
        x = (onp.random.default_rng(0).random(shape) < share).astype(onp.float32)
        if dtype != "int4" and "int" not in dtype and x.size > 3:
            x.ravel()[:4] = [0, -0.0, onp.nan, 1]
        y = np.asarray(x).astype(dtype)
        got, want = np.nonzero(y), onp.nonzero(x)
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            assert g.dtype == (onp.int64 if x64 else onp.int32)
            onp.testing.assert_array_equal(g, w)


def test_signs_of_zeros_and_searches_of_nan():
    zeros = np.array([-0.0] * 3 + [1.0])
    assert onp.signbit(np.quantile(zeros, 0.25, method="lower"))
    assert onp.signbit(np.quantile(zeros[::-1], 0.25, method="lower"))
    table = np.array([-onp.inf, -0.0, 2.0, onp.nan, -onp.nan])
    v = onp.tile(onp.float32([0.0, -0.0, onp.nan, 3.0, -onp.inf, onp.inf]), 400)
    for side in ("left", "right"):
        onp.testing.assert_array_equal(
            np.searchsorted(table, v, side), onp.searchsorted(onp.asarray(table), v, side)
        )
        search = functools.partial(np.searchsorted, side=side)
        rows = cv.vmap(search)(np.stack([table[:3]] * 2),
                                                                 v.reshape(2, -1))  # fmt: skip
        onp.testing.assert_array_equal(
            rows.ravel(), onp.searchsorted(onp.asarray(table[:3]), v, side)
        )


def test_partition_keeps_the_order_of_equal_elements():
    x = np.array([2.0, onp.nan, -0.0, 5.0, 0.0, 2.0, 1.0])
    assert np.argpartition(x, 3).tolist() == [2, 4, 6, 0, 5, 1, 3]
    assert np.argpartition(x, -1).tolist() == [0, 2, 3, 4, 5, 6, 1]
    assert np.argpartition(np.array([1j, 0, 1]), 1).tolist() == [1, 0, 2]
    tangents = cv.grad(lambda a: np.median(a) + np.partition(a, 0)[0])(np.array([3.0, 1.0, 2.0]))
    assert tangents.tolist() == [0, 1, 1]


@pytest.mark.parametrize("n", [2, 9, 33, 1000, 70_000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zeros_of_both_signs_keep_their_order(dtype, n):
    x = onp.random.default_rng(n).choice(onp.array([0.0, -0.0, 1.0, -1.0], dtype), n)
    with cv.enable_x64():
        got = onp.asarray(np.sort(x))
        assert same(got, x[onp.argsort(x, kind="stable")])
        assert same(got, x[onp.asarray(np.argsort(x))])


def test_the_first_element_up_to_which_there_is_a_share():
    x, q = np.arange(10.0), onp.array([0, 0.04, 0.125, 0.25, 0.5, 0.55, 0.75, 0.99, 1])
    with cv.enable_x64(True):
        got = np.quantile(x, q, method="inverted_cdf")
        onp.testing.assert_array_equal(
            got, onp.quantile(onp.arange(10.0), q, method="inverted_cdf")
        )
    with_nan = np.array([3.0, onp.nan, 1.0, 2.0])
    assert np.nanquantile(with_nan, 0.5, method="inverted_cdf") == 2
    assert onp.isnan(np.quantile(with_nan, 0.5, method="inverted_cdf"))


def test_nothing_to_take_along_an_axis():
    with pytest.raises(IndexError, match="has no elements to take"):
        np.take_along_axis(np.zeros((3, 0)), np.zeros((3, 2), int), 1)
    assert np.take_along_axis(np.zeros((3, 0)), np.zeros((3, 0), int), 1).shape == (3, 0)
