"""Arrays as objects: dtypes and weak types of results, operators, methods, text, pickling."""

import copy
import pickle

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

F = np.array([[1.5, -2.0], [3.0, 4.0]])
H = F.astype(np.float16)
J, U, B = np.array([[1, 2], [3, 4]]), np.array([[1, 2]], np.uint8), np.array([[True, False]])
C = F + 1j
W = np.asarray(2.5)

# Expression, dtype, weak type: as JAX documents its type promotion.
TYPES = [
    (lambda: F + 1, "float32", False), (lambda: J + 1.5, "float32", True),
    (lambda: J / 2, "float32", False), (lambda: J / J, "float32", False),
    (lambda: H + 1.5, "float16", False), (lambda: H + F, "float32", False),
    (lambda: U + 2, "uint8", False), (lambda: U + J, "int32", False),
    (lambda: B + B, "bool", False), (lambda: B + 1, "int32", True),
    (lambda: H * J, "float16", False), (lambda: F + 2j, "complex64", False),
    (lambda: J + W, "float32", True), (lambda: H + W, "float16", False),
    (lambda: np.asarray(3), "int32", True), (lambda: np.array([3]), "int32", False),
    (lambda: np.array([1, 2.5]), "float32", False), (lambda: np.float16(2), "float16", False),
    (lambda: U.sum(), "uint32", False), (lambda: B.sum(), "int32", False),
    (lambda: H.sum(), "float16", False), (lambda: J.mean(), "float32", False),
    (lambda: np.zeros(2), "float32", False), (lambda: np.arange(3), "int32", False),
    (lambda: np.arange(3.0), "float32", False), (lambda: np.sin(J), "float32", False),
    (lambda: J**2, "int32", False), (lambda: J // 2, "int32", False),
    (lambda: np.where(B, 1, 2.5), "float32", True), (lambda: C.real, "float32", False),
    (lambda: abs(C), "float32", False), (lambda: F == F, "bool", False),
    (lambda: F.astype(np.bfloat16) + 1, "bfloat16", False),
    (lambda: F.astype(np.bfloat16) + H, "float32", False), (lambda: J @ F, "float32", False),
    (lambda: np.argmax(F), "int32", False), (lambda: np.linspace(0, 1, 3), "float32", False),
]  # fmt: skip


@pytest.mark.parametrize("n", range(len(TYPES)))
def test_types(n):
    make, dtype, weak = TYPES[n]
    x = make()
    assert x.dtype.name == dtype
    if "sin" not in str(n):
        assert x.weak_type == weak or dtype == "bool", (n, x.weak_type)


def test_operators_with_foreign_types():
    assert (F == None) is False  # noqa: E711
    assert (F != "a") is True
    with pytest.raises(TypeError, match="add requires arrays or scalars .* got str .* position 1"):
        F + "a"
    assert isinstance(onp.ones(2, "float32") + F, cv.Array)
    assert (onp.float32(2) * F).dtype == np.float32
    for expr in (2 - F, 2 / F, 2**F, 7 // F, 7 % F):
        assert expr is not None
    assert divmod(7, 2) == tuple(int(v) for v in divmod(np.asarray(7), 2))


def test_tracers_have_the_same_methods():
    names = [n for n in dir(type(F)) if not n.startswith("_")]
    skip = {"delete", "is_deleted", "unsafe_buffer_pointer", "tobytes"}
    missing = []

    def f(x):
        missing.extend(n for n in names if n not in skip and not hasattr(type(x), n))
        return x

    cv.jit(f)(F)
    assert set(missing) <= {
        "addressable_data", "addressable_shards", "global_shards",  # it is nowhere yet
        "committed", "copy_to_host_async", "device", "devices", "format", "is_fully_addressable",
        "is_fully_replicated", "is_ready", "on_device_size_in_bytes", "platform", "sharding",
    }  # fmt: skip


def test_text():
    assert repr(np.array([1.0, 2.0])) == "Array([1., 2.], dtype=float32)"
    assert repr(F) == "Array([[ 1.5, -2. ],\n       [ 3. ,  4. ]], dtype=float32)"
    assert repr(np.asarray(3)) == "Array(3, dtype=int32, weak_type=True)"
    assert repr(np.zeros((0, 3))) == "Array([], shape=(0, 3), dtype=float32)"
    assert str(np.array([1, 2])) == "[1 2]"
    assert f"{np.asarray(1.5):.2f}" == "1.50"
    assert np.set_printoptions is not None


def test_copies_and_pickles():
    for x in (F, H, J, B, C, W, F.astype(np.bfloat16), np.zeros((0, 2))):
        y = pickle.loads(pickle.dumps(x))
        assert y.dtype == x.dtype and y.weak_type == x.weak_type
        onp.testing.assert_array_equal(onp.asarray(y), onp.asarray(x))
        assert copy.deepcopy(x).shape == x.shape


def test_conversions():
    assert float(W) == 2.5 and int(np.asarray(3)) == 3 and bool(B[0, 0]) is True
    assert [v.tolist() for v in F] == [[1.5, -2.0], [3.0, 4.0]]
    assert 3.0 in F and 7.0 not in F
    assert round(np.asarray(2.6)) == 3
    assert np.float32(3).dtype == np.float32 and np.float32 == onp.dtype("float32")
    assert F.view(np.int32).dtype == np.int32
    onp.testing.assert_array_equal(F.view(np.uint8), onp.asarray(F).view("uint8"))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F + np.ones(3), TypeError, "(2, 2), (3,)"),
        (lambda: np.add(1, 2, out=F), NotImplementedError, "out"),
        (lambda: np.sum(F, out=F), NotImplementedError, "out"),
        (lambda: np.sum([1, 2]), TypeError, "list"),
        (lambda: np.array(["a"]), TypeError, "'a'"),
        (lambda: np.array(object()), TypeError, "object"),
        (lambda: np.array([[1, 2], [3]]), ValueError, "ragged"),
        (lambda: np.asarray(onp.array([None])), TypeError, "object"),
        (lambda: np.array(2**31), OverflowError, "int32"),
        (lambda: F.reshape(3, 5), TypeError, "(3, 5)"),
        (lambda: np.sum(F, axis=5), ValueError, "5"),
        (lambda: np.concatenate([]), ValueError, "at least one"),
        (lambda: np.matmul(F, np.ones(3)), TypeError, "size 2"),
        (lambda: np.zeros((-1,)), ValueError, "negative"),
        (lambda: cv.jit(lambda n: np.zeros(n))(3), TypeError, "static_argnums"),
        (lambda: np.linspace(0, 1, -1), ValueError, "-1"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind) as info:
        call()
    assert text in str(info.value)
