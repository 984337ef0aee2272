"""Python integers beside arrays: which fit, which wrap around, which are errors; 64-bit sizes."""

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

U8, I8 = onp.uint8([4, 44]), onp.int8([4, 44])


@pytest.fixture
def x64():
    with cv.enable_x64():
        yield


def forms(f, *args):
    """The results eagerly, compiled with the arguments' values known, and mapped."""
    yield f(*args)
    yield cv.jit(lambda x: f(x, *args[1:]))(args[0])
    yield cv.vmap(lambda x: f(x, *args[1:]))(args[0])


# --- an integer array and a number, where the result is a float ---------------------------

FLOAT_VALUED = [
    "true_divide", "arctan2", "hypot", "copysign", "logaddexp", "logaddexp2", "heaviside",
]  # fmt: skip


@pytest.mark.parametrize("name", FLOAT_VALUED)
@pytest.mark.parametrize("x", [onp.uint8([4]), onp.uint32([8]), onp.int8([4])])
def test_number_outside_the_integers_of_the_array(name, x):
    f, number = getattr(np, name), -1 if x.dtype.kind == "u" else 300
    want = getattr(onp, name)(x.astype("f8"), number)
    for got in (
        forms(f, np.asarray(x), number) if x.dtype == "uint8" else [f(np.asarray(x), number)]
    ):
        assert got.dtype == "float32"
        onp.testing.assert_allclose(got, want, rtol=3e-6)
    flipped = getattr(onp, name)(number, x.astype("f8"))
    onp.testing.assert_allclose(f(number, np.asarray(x)), flipped, rtol=3e-6)


def test_negative_powers_of_integers():
    onp.testing.assert_allclose(np.float_power(np.uint8([4]), -1), [0.25])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32"])
def test_division_by_zero(dtype):
    x, zeros = np.array([0, 5, 100], dtype), np.zeros(3, dtype)
    for f in (np.divmod, cv.jit(np.divmod), lambda x, y: (x // y, x % y)):
        for y in (zeros, 0):
            quotient, rest = f(x, y)
            assert quotient.dtype == rest.dtype == dtype
            assert quotient.tolist() == rest.tolist() == [0, 0, 0]
    if dtype[0] == "i":
        assert (-x // zeros).tolist() == [0, 0, 0]


def test_powers_by_numpy_integers():
    x = np.int8([2, 7])
    assert (x ** onp.int64(3)).dtype == (x * onp.int64(3)).dtype == "int32"
    assert (x ** onp.int64(3)).tolist() == [8, 343]
    assert (x**3).dtype == (x ** onp.int8(3)).dtype == "int8"


def test_positions_along_a_negative_axis():
    x = np.array([[1, 3, 2], [9, 8, 7]])
    for f, want in ((lax.argmax, [1, 0]), (lax.argmin, [0, 2])):
        assert f(x, -1, np.int32).tolist() == f(x, 1, np.int32).tolist() == want


def test_divided_at_an_index():
    x = np.uint8([4, 44])
    assert x.at[0].divide(256).tolist() == [0, 44]
    assert x.at[np.array([0, 0])].divide(2).tolist() == [1, 44]
    assert cv.jit(lambda x: x.at[1].divide(300))(x).tolist() == [4, 0]
    assert np.int32([-7, 9]).at[0].divide(2).tolist() == [-3, 9]


def test_closeness_is_that_of_the_numbers():
    assert np.isclose(np.uint8([44]), 300).tolist() == [False]
    assert np.isclose(np.array([True]), np.array([True])).tolist() == [True]


# --- comparisons --------------------------------------------------------------------------

OPERATORS = {
    "==": lambda x, y: x == y, "!=": lambda x, y: x != y, "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
}  # fmt: skip


NUMBERS = [-1, 44, 255, 300, -129, 2**31, 2**40, -(2**70)]


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("x", [U8, I8, onp.uint32([5, 2**32 - 1])])
def test_comparisons_are_exact(op, x):
    f = OPERATORS[op]
    want = [[f(int(v), number) for v in x] for number in NUMBERS]
    a = np.asarray(x)
    assert [f(a, number).tolist() for number in NUMBERS] == want
    assert [r.tolist() for r in cv.jit(lambda x: [f(x, n) for n in NUMBERS])(a)] == want
    assert [r.tolist() for r in cv.vmap(lambda x: [f(x, n) for n in NUMBERS])(a)] == want
    flipped = [[f(number, int(v)) for v in x] for number in NUMBERS]
    assert [f(number, a).tolist() for number in NUMBERS] == flipped
    name = {"==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater",
            ">=": "greater_equal"}[op]  # fmt: skip
    assert [getattr(np, name)(number, a).tolist() for number in NUMBERS] == flipped


def test_bounds_that_do_not_limit():
    a = np.asarray(U8)
    for f in (np.clip, cv.jit(np.clip, static_argnums=(1, 2))):
        assert f(a, -1, 300).tolist() == [4, 44]
        assert f(a, 5, 2**40).tolist() == [5, 44]
        assert f(a, -(2**40), 9).tolist() == [4, 9]
    assert a.clip(-5, 1000).tolist() == [4, 44]


# --- the one rule: it fits, wraps around, or is an error ----------------------------------


def test_an_integer_beside_an_array_wraps_around():
    a = np.asarray(U8)
    for got in forms(np.add, a, 300):
        assert got.tolist() == [48, 88] and got.dtype == "uint8"
    assert (a & -1).tolist() == [4, 44]
    assert a.at[0].add(300).tolist() == [48, 44]
    assert cv.jit(lambda x: x.at[0].set(-1))(a).tolist() == [255, 44]


ERRORS = [
    lambda: cv.jit(lambda: 2**31)(),
    lambda: cv.jit(lambda: [2**64])(),
    lambda: cv.jit(lambda x: x + 2**31)(np.int32(1)),
    lambda: np.arange(2) + 2**31,
    lambda: np.arange(2, dtype="uint8") + 2**40,
    lambda: np.add(1, 2**31),
    lambda: np.array(2**31),
    lambda: np.array([2**31]),
    lambda: np.array([[1, 2**70]]),
    lambda: np.array([onp.int64(2**40)]),
    lambda: np.array(300, "uint8"),
    lambda: np.asarray([1, -1], "uint16"),
    lambda: np.uint8(300),
    lambda: np.full(2, -1, "uint8"),
    lambda: cv.jit(lambda: np.full(2, -1, "uint8"))(),
    lambda: lax.full((2,), 300, "uint8"),
    lambda: np.arange(250, 260, dtype="uint8"),
    lambda: cv.jit(lambda: np.arange(250, 260, dtype="uint8"))(),
    lambda: np.arange(2**31, 2**31 + 2),
    lambda: np.arange(3).at[0].set(2**31),
    lambda: cv.jit(lambda x: x.at[0].add(2**31))(np.arange(3)),
    lambda: lax.fori_loop(0, 2, lambda i, c: c + 2**31, 0),
    lambda: np.ones(2) * 10**400,
    lambda: np.array([10**400, 1.0]),
    lambda: cv.jit(lambda x: x)(10**5000),
    lambda: np.arange(2) + 10**5000,
    lambda: np.array(10**5000),
    lambda: cv.jit(lambda: 10**5000)(),
]


@pytest.mark.parametrize("which", range(len(ERRORS)))
def test_integers_that_do_not_fit_are_errors(which):
    with pytest.raises(OverflowError):
        ERRORS[which]()


def test_integers_beside_floats_are_floats():
    for got in forms(np.multiply, np.ones(2), 2**70):
        assert got.tolist() == [2.0**70] * 2
    assert np.array([2**70, 1.0]).tolist() == [2.0**70, 1.0]
    assert np.array(2**70, float) == 2.0**70 and np.full(2, 2**70, float)[0] == 2.0**70
    assert np.ones(2).at[0].set(2**40)[0] == 2.0**40


def test_unsigned_integers_above_the_signed(x64):
    b = 2**63
    u = np.array([5], "uint64")
    assert np.arange(b, b + 4, 2, dtype="uint64").tolist() == [b, b + 2]
    for got in forms(np.add, u, b + 1):
        assert got.tolist() == [b + 6] and got.dtype == "uint64"
    assert (b + u).tolist() == [b + 5] and (u | b).tolist() == [b + 5]
    assert u.at[0].set(b + 3).tolist() == [b + 3]
    assert u.at[np.array([0])].add(b).tolist() == [b + 5]
    assert np.clip(u, 0, b).tolist() == [5] and np.maximum(u, b).tolist() == [b]
    assert (u == b).tolist() == [False] and (u < b).tolist() == [True]
    assert np.full(2, b, "uint64").tolist() == [b, b] and np.array([b], "uint64").tolist() == [b]
    assert np.where(u > 0, u, b).tolist() == [5]
    assert float((np.array([b], "uint64") / 2)[0]) == 2.0**62
    with pytest.raises(OverflowError):
        u + 2**64
    with pytest.raises(OverflowError):
        np.array([5]) + b


# --- sizes and positions that need 64 bits: types and programs, without the memory --------

HUGE = 2**33


def shape(f, *args):
    return cv.eval_shape(f, *[cv.ShapeDtypeStruct(s, d) for s, d in args])


def test_positions_in_huge_dimensions(x64):
    text = str(
        cv.make_jaxpr(lambda x, i: x[i])(cv.ShapeDtypeStruct((HUGE,), "uint8"), onp.int32(1))
    )
    assert "i64[]" in text and "8589934592" in text
    batched = cv.make_jaxpr(cv.vmap(lambda x, i: lax.dynamic_slice(x, (i,), (3,)), (None, 0)))(
        cv.ShapeDtypeStruct((HUGE,), "uint8"), onp.zeros(2, "int64")
    )
    gather = next(e for e in batched.eqns if e.primitive.name == "gather")
    assert gather.invars[1].aval.dtype == "int64"
    out = shape(np.argmax, ((HUGE,), "float32"))
    assert out.dtype == "int64"
    out = shape(np.searchsorted, ((HUGE,), "float32"), ((2,), "float32"))
    assert out.dtype == "int64"


def test_reductions_over_more_than_32_bits(x64):
    n = 2**31 + 9
    total = cv.jit(lambda v: np.broadcast_to(v, (n,)).sum())(onp.uint8(1))
    assert int(total) == n
    last = cv.jit(lambda v: (lax.iota("int64", n) * v)[n - 1])(onp.int64(3))
    assert int(last) == 3 * (n - 1)


def test_sizes_beyond_64_bits():
    huge = ((2**40, 2**40), "float32")
    assert shape(np.mean, huge).dtype == "float32" and shape(np.sum, huge).shape == ()
    for f in (np.argmax, lambda x: x.size, np.nonzero):
        with pytest.raises((OverflowError, cv.errors.ConcretizationTypeError)):
            shape(f, huge)
    with pytest.raises(OverflowError, match="enable_x64"):
        shape(np.argmax, ((2**31 + 1,), "float32"))


@pytest.mark.parametrize(("sizes", "error"), [((-1,), ValueError), ((3.5,), TypeError)])
def test_types_of_impossible_shapes(sizes, error):
    with pytest.raises(error, match="ShapeDtypeStruct"):
        cv.ShapeDtypeStruct(sizes, "float32")
