"""Dtypes as people write them: Python types, names, NumPy's and our scalar types, keys, options."""

import threading
import warnings

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax, random
from covector.errors import TypePromotionError

KEY = random.key(0)
WIDE = ["float64", "int64", "uint64", "complex128"]


# --- dtypes are told from Python types by identity ----------------------------------------


@pytest.mark.parametrize("name", [*WIDE, "float32", "int32", "bool"])
def test_only_python_types_are_weak(name):
    with cv.enable_x64():
        x = onp.ones(3, "float32")
        for dtype in (name, onp.dtype(name), onp.dtype(name).type, getattr(np, name, None)):
            if dtype is not None:
                assert not lax.convert_element_type(x, dtype).weak_type
                assert np.result_type(dtype) == name and cv.dtypes.result_type(dtype) == name
        assert (lax.convert_element_type(x, np.zeros(3, "float64").dtype) + x).dtype == "float64"
        for dtype in (int, float, complex):
            assert lax.convert_element_type(x, dtype).weak_type


@pytest.mark.parametrize("scalar_type", ["bool_", "int8", "uint16", "float16", "bfloat16"])
def test_our_scalar_types(scalar_type):
    t = getattr(np, scalar_type)
    assert np.result_type(t, np.int8) == np.promote_types(t, "int8")
    assert np.promote_types(t, t) == t and np.can_cast(t, t)
    assert np.zeros(1, t).dtype == t and lax.full((1,), 1, t).dtype == t
    for other in ({}, [], (), "no dtype", 1, None):
        assert (t == other) is False and (t != other) is True


def test_promotion_is_a_question_about_types():
    assert np.promote_types("float32", "complex128") == "complex128"
    assert np.promote_types("int64", float) == "float64"
    assert np.promote_types(int, "int8") == "int8"
    with pytest.raises(TypeError, match="dtypes"):
        np.can_cast(1, "int32")


MAKERS = {
    "zeros": lambda d: np.zeros(1, d), "ones": lambda d: np.ones(1, d),
    "empty": lambda d: np.empty(1, d), "full": lambda d: np.full(1, 1, d),
    "zeros_like": lambda d: np.zeros_like(onp.zeros(1, "f4"), d),
    "array": lambda d: np.array([1], d), "arange": lambda d: np.arange(1, dtype=d),
    "astype": lambda d: np.ones(1).astype(d), "sum": lambda d: np.sum(onp.ones(1, "f4"), dtype=d),
    "eye": lambda d: np.eye(1, dtype=d), "result_type": lambda d: np.result_type(d),
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
def test_wide_types_that_are_narrowed_are_announced(maker):
    for dtype in ("float64", onp.float64, onp.dtype("float64"), np.float64):
        if maker == "result_type" and dtype is np.float64:
            continue
        with pytest.warns(UserWarning, match="float64"):
            MAKERS[maker](dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MAKERS[maker](float)
        np.zeros_like(onp.zeros(1))


# --- strict promotion ---------------------------------------------------------------------

REFUSED = [
    lambda i, f: i + 1.5, lambda i, f: f + 1j, lambda i, f: i == 1.5, lambda i, f: i + f,
    lambda i, f: np.where(i > 0, i, 1.5), lambda i, f: i.at[0].set(1.5), lambda i, f: f + True,
    lambda i, f: (i > 0) * 2, lambda i, f: cv.jit(lambda x, y: x + y)(i, 1.5),
    lambda i, f: np.result_type(i, 1.5), lambda i, f: np.concatenate([i, f]),
]  # fmt: skip
ALLOWED = [
    lambda i, f: i + 1, lambda i, f: f + 1, lambda i, f: f * 1.5, lambda i, f: i / 2,
    lambda i, f: np.sin(i), lambda i, f: f.at[0].set(1), lambda i, f: np.clip(f, 0, 1),
    lambda i, f: np.median(f), lambda i, f: cv.nn.softmax(f), lambda i, f: 1.5 + 2,
    lambda i, f: np.interp(f, f, f), lambda i, f: random.normal(KEY, (2,)),
]  # fmt: skip


def test_strict_promotion():
    i, f = np.arange(2), np.ones(2)
    cv.config.update("numpy_dtype_promotion", "strict")
    try:
        for case in REFUSED:
            with pytest.raises(TypePromotionError):
                case(i, f)
        for case in ALLOWED:
            case(i, f)
    finally:
        cv.config.update("numpy_dtype_promotion", "standard")


# --- options in functions that are traced, and in threads ---------------------------------


def within(enabled, f):
    def g(*args):
        with cv.enable_x64(enabled):
            return f(*args)

    return g


INSIDE = [  # a program, and the dtypes of its result where 64-bit types are enabled, or not
    (lambda w: cv.jit(w(lambda x: 2 + x))(1), "int64", "int32"),
    (lambda w: cv.grad(w(lambda x: np.sin(x) * 2))(0.5), "float32", "float64"),
    (lambda w: cv.jit(cv.grad(w(lambda x: np.sin(x))))(0.5), "float32", "float64"),
    (lambda w: cv.vjp(w(lambda x: np.sin(x)), 0.5)[0], "float32", "float64"),
    (lambda w: cv.jit(w(lambda: np.ones(2)))(), "float64", "float32"),
    (lambda w: cv.jit(w(lambda x: x + 1))(np.ones(2)), "float32", "float32"),
    (lambda w: cv.jit(w(lambda x: x.astype(float)))(1), "float64", "float32"),
    (lambda w: lax.cond(True, w(lambda: np.ones(2)), w(lambda: np.ones(2))), "float64", "float32"),
    (lambda w: cv.vmap(w(lambda x: x * 2 + 1))(np.ones(3)), "float32", "float32"),
]


@pytest.mark.parametrize("case", range(len(INSIDE)))
def test_wide_types_within_a_traced_function(case):
    program, wide, narrow = INSIDE[case]
    assert program(lambda f: within(True, f)).dtype == wide
    with cv.enable_x64():
        assert program(lambda f: within(False, f)).dtype == narrow


def test_options_of_threads():
    """A context manager is its thread's; an update is everybody's, but for these."""
    seen, go, done = [], threading.Event(), threading.Event()

    def look():
        seen.append((cv.config.enable_x64, np.ones(2).dtype.name, cv.jit(lambda: 1.0)().dtype.name))

    def other():
        look()
        with cv.disable_jit(False):  # an option of its own does not keep the others from it
            done.set()
            go.wait(10)
            look()
        look()

    thread = threading.Thread(target=other)
    with cv.enable_x64():
        thread.start()
        done.wait(10)
    cv.config.update("enable_x64", True)
    try:
        with cv.enable_x64(False):
            look()
            cv.config.update("enable_x64", True)
            look()
        go.set()
        thread.join()
        look()
    finally:
        cv.config.update("enable_x64", False)
    narrow, wide = (False, "float32", "float32"), (True, "float64", "float64")
    assert seen == [narrow, narrow, narrow, wide, wide, wide]


# --- weak types ---------------------------------------------------------------------------


def test_derivatives_by_python_numbers_are_weak():
    for f in (cv.grad, cv.jacfwd, cv.jacrev, cv.hessian):
        assert f(lambda x: x * x)(5.0).weak_type
    assert not cv.jacfwd(lambda x: x * np.ones(2))(1.0).weak_type
    assert cv.jacrev(lambda x: x * np.ones(2))(1.0).weak_type
    assert not cv.jacfwd(lambda x: x)(np.ones(2)).weak_type
    z = np.asarray(1j)
    for part in (z.real, z.imag, np.abs(z), np.angle(z), np.conj(z), np.asarray(1.0) * 1j):
        assert part.weak_type


# --- keys ---------------------------------------------------------------------------------


def words(keys):
    return random.key_data(keys).tolist()


def test_keys_as_a_dtype():
    d, some = KEY.dtype, random.split(KEY, 3)
    for make in (lambda: np.zeros(2, d), cv.jit(lambda: np.zeros(2, d)), lambda: np.empty(2, d),
                 lambda: lax.empty((2,), d)):  # fmt: skip
        assert make().dtype == d and words(make()) == [[0, 0], [0, 0]]
    assert words(np.ones(2, d)) == [[1, 1], [1, 1]] == words(np.full(2, 1, d))
    assert words(np.full(2, KEY)) == words(np.full_like(some, KEY))[:2] == [words(KEY)] * 2
    assert np.zeros_like(some).shape == (3,) and np.ones_like(some).dtype == d
    assert np.asarray([KEY, KEY]).shape == (2,) and bool(np.isclose(KEY, KEY))


def test_keys_out_of_bounds_are_filled():
    some, full = random.split(KEY, 3), [2**32 - 1] * 2
    assert words(some.at[9].get(mode="fill")) == full
    got = cv.jit(lambda k, i: k.at[i].get(mode="fill"))(some, np.array([9, 1]))
    assert words(got) == [full, words(some[1])]
    assert words(np.take(some, np.array([9, 1]), mode="fill")) == [full, words(some[1])]


def test_keys_as_they_are(capsys):
    got = cv.device_get({"key": KEY, "n": np.arange(2)})
    assert got["key"].dtype == KEY.dtype and type(got["n"]) is onp.ndarray
    cv.debug.print("{}", KEY)
    cv.effects_barrier()
    assert "key<fry>" in capsys.readouterr().out and "key<fry>" in str(KEY)


@pytest.mark.parametrize("name", ["int32", "bfloat16", "float8_e5m2"])
def test_names_may_be_strings_of_numpy(name):
    assert np.zeros(2, onp.str_(name)).dtype == np.ones(2).astype(onp.str_(name)).dtype == name
