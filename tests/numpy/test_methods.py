"""Every method, property and operator of arrays against NumPy's, on arrays and under `jit`."""

import copy
import operator
import pickle
from pathlib import Path

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

R = onp.random.RandomState(0)
K = onp.array([2, 0, 1])
ARRAYS = {
    d: onp.asarray(R.randn(3, 4) * 5 + (1j * R.randn(3, 4) if d == "complex64" else 0)).astype(d)
    for d in ("bool", "int32", "uint8", "float32", "complex64")
}
ORDERED = ("bool", "int32", "uint8", "float32")
NUMBERS = ("int32", "float32", "complex64")
REAL = ("int32", "uint8", "float32")

# Name: calls of the method, with the dtypes they take.
METHODS = {
    "T": (lambda x: x.T, ARRAYS), "mT": (lambda x: x.mT, ARRAYS),
    "real": (lambda x: x.real, ARRAYS), "imag": (lambda x: x.imag, ARRAYS),
    "all": (lambda x: x.all(axis=1), ARRAYS), "any": (lambda x: x.any(0), ARRAYS),
    "argmax": (lambda x: x.argmax(axis=1), ORDERED), "argmin": (lambda x: x.argmin(), ORDERED),
    "argsort": (lambda x: x.argsort(stable=True), REAL),
    "argpartition": (lambda x: np.sort(x.argpartition(1)[..., :2]), ("float32",)),
    "astype": (lambda x: x.astype("int32"), ("bool", "int32", "uint8")),
    "byteswap": (lambda x: x.byteswap().astype("int32"), ("int32",)),
    "choose": (lambda x: (x % 2 == 0).astype("int32").choose([x, 2 * x], mode="clip"),
               ("int32",)),
    "clip": (lambda x: x.clip(1, 3), REAL),
    "compress": (lambda x: x.compress(onp.array([True, False, True]), axis=0), ARRAYS),
    "conj": (lambda x: x.conj(), NUMBERS), "conjugate": (lambda x: x.conjugate(), NUMBERS),
    "copy": (lambda x: x.copy(), ARRAYS),
    "cumprod": (lambda x: x.cumprod(1), NUMBERS), "cumsum": (lambda x: x.cumsum(0), NUMBERS),
    "diagonal": (lambda x: x.diagonal(1), ARRAYS), "dot": (lambda x: x.dot(x.T), NUMBERS),
    "flatten": (lambda x: x.flatten(), ARRAYS), "max": (lambda x: x.max(1), ORDERED),
    "mean": (lambda x: x.mean(0), NUMBERS), "min": (lambda x: x.min(), ORDERED),
    "prod": (lambda x: x.prod(1), NUMBERS), "ravel": (lambda x: x.ravel("F"), ARRAYS),
    "repeat": (lambda x: x.repeat(2, axis=1), ARRAYS),
    "reshape": (lambda x: (x.reshape(4, 3), x.reshape((2, -1))), ARRAYS),
    "round": (lambda x: x.round(1), ("float32",)),
    "searchsorted": (lambda x: np.sort(x[0]).searchsorted(x[1]), REAL),
    "sort": (lambda x: np.sort(x, axis=0), ORDERED),
    "squeeze": (lambda x: x[None].squeeze(0), ARRAYS), "std": (lambda x: x.std(1), NUMBERS),
    "sum": (lambda x: x.sum((0, 1)), NUMBERS), "swapaxes": (lambda x: x.swapaxes(0, 1), ARRAYS),
    "take": (lambda x: x.take(K, axis=1), ARRAYS), "trace": (lambda x: x.trace(), NUMBERS),
    "transpose": (lambda x: (x.transpose(), x.transpose(1, 0), x.transpose((0, 1))), ARRAYS),
    "var": (lambda x: x.var(0, ddof=1), NUMBERS),
    "view": (lambda x: (x.view("uint32"), x.view("uint8"), x.view("uint16")), ("float32",)),
    "shape": (lambda x: onp.array((*x.shape, x.ndim, x.size)), ARRAYS),
    "nonzero": (lambda x: x.nonzero(), ORDERED),
    # operators
    "neg": (lambda x: -x, NUMBERS), "pos": (lambda x: +x, NUMBERS), "abs": (abs, ARRAYS),
    "invert": (lambda x: ~x, ("bool", "int32", "uint8")),
    "add": (lambda x: (x + x.T.reshape(3, 4), x + 2, 2 + x), NUMBERS),
    "sub": (lambda x: (x - x[:1], 3 - x), NUMBERS), "mul": (lambda x: (x * x, 2 * x), NUMBERS),
    "truediv": (lambda x: (x / 2, 2 / (x * x + 1)), ("float32", "complex64")),
    "floordiv": (lambda x: (x // 3, 7 // (x * x + 1)), ("int32", "float32")),
    "mod": (lambda x: (x % 3, 7 % (x * x + 1)), ("int32", "float32")),
    "divmod": (lambda x: (*divmod(x, 3), *divmod(7, x * x + 1)), ("int32", "float32")),
    "pow": (lambda x: (x**2, 2 ** (x * 0 + 2)), NUMBERS),
    "matmul": (lambda x: x @ x.T, NUMBERS),
    "and": (lambda x: (x & x[::-1], x & True), ("bool",)),
    "or": (lambda x: (x | x[::-1], 5 | x), ("int32",)),
    "xor": (lambda x: (x ^ x[::-1], 5 ^ x), ("int32",)),
    "shift": (lambda x: (x << 2, x >> 1, 1 << (x & 3), 100 >> (x & 3)), ("int32",)),
    "compare": (lambda x: (x == x.T.T, x != x[:1], x < 1, x <= x[0], x > 0, x >= 1), ORDERED),
    "getitem": (lambda x: (x[1], x[..., -1], x[::-2, 1:], x[K, K], x[None, 0]), ARRAYS),
}  # fmt: skip
# Methods of arrays alone, and those whose results have sizes that depend on values.
CONCRETE = {"nonzero", "shape"}


def agree(got, want):
    if not isinstance(want, tuple):
        got, want = (got,), (want,)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        g = onp.asarray(g)
        assert g.shape == w.shape
        onp.testing.assert_allclose(g.astype(complex), w.astype(complex), rtol=3e-5, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    f, dtypes = METHODS[name]
    for dtype in dtypes:
        x = ARRAYS[dtype]
        with onp.errstate(all="ignore"):
            want = f(x)
        agree(f(np.asarray(x)), want)
        if name not in CONCRETE:
            agree(cv.jit(f)(x), want)


def test_ptp():
    x = ARRAYS["float32"]
    agree(np.asarray(x).ptp(axis=1), onp.ptp(x, axis=1))


def test_copies_and_conversions():
    x = ARRAYS["float32"]
    a = np.asarray(x)
    for b in (copy.copy(a), copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.clone()):
        agree(b, x)
        assert b.dtype == a.dtype
    assert a.tolist() == x.tolist() and a[0, 0].item() == x[0, 0].item()
    assert (a.nbytes, a.itemsize, a.ndim, a.size) == (x.nbytes, x.itemsize, x.ndim, x.size)
    assert bytes(memoryview(a)) == x.tobytes()
    scalar = np.asarray(onp.float32(2.6))
    assert (float(scalar), int(scalar), bool(scalar)) == (float(onp.float32(2.6)), 2, True)
    assert complex(scalar) == complex(onp.float32(2.6)) and round(scalar) == 3
    assert operator.index(np.asarray(3)) == 3 and [1, 2, 3][np.asarray(1)] == 2
    assert len(a) == 3 and [r.tolist() for r in a] == x.tolist()
    assert [r.tolist() for r in reversed(a)] == x[::-1].tolist()
    assert a[0, 0] in a and -1e9 not in a
    assert f"{scalar:.2f}" == "2.60" and str(a[0]) == str(x[0])
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)
    assert a.__array__().base is not x and onp.asarray(a).tolist() == x.tolist()


def test_devices_of_arrays():
    a = np.asarray(ARRAYS["float32"])
    assert a.device in a.devices() and a.platform() == a.device.platform
    assert a.is_ready() and a.is_fully_addressable and a.is_fully_replicated
    assert a.block_until_ready() is a and a.copy_to_host_async() is None
    agree(a.to_device(a.device), ARRAYS["float32"])
    assert a.on_device_size_in_bytes() == a.nbytes
    assert a.weak_type is False and a.committed in (True, False)


def test_arrays_are_immutable():
    a = np.arange(3)
    with pytest.raises(TypeError, match="immutable"):
        a[0] = 1
    with pytest.raises(TypeError, match="immutable"):
        del a[0]
    with pytest.raises(NotImplementedError, match="ravel"):
        a.flat  # noqa: B018
    with pytest.raises(TypeError, match="rank 0"):
        iter(np.asarray(1))


def test_every_method_of_arrays_has_a_test():
    text = Path(__file__).read_text() + (Path(__file__).parent / "test_indexing.py").read_text()
    public = {n for n in dir(cv.Array) if not n.startswith("_")}
    elsewhere = {"aval", "delete", "is_deleted", "unsafe_buffer_pointer", "traceback"}
    assert sorted(n for n in public - elsewhere if f".{n}" not in text) == []
