"""Arrays from and to other libraries: NumPy, buffers, DLPack, and what cannot be converted."""

import array
import ctypes
import datetime
import decimal
import fractions

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

CONVERTED = {
    "memoryview": (memoryview(onp.arange(3, dtype=onp.int16)), "int16"),
    "bytearray": (bytearray(b"abc"), "uint8"),
    "array.array": (array.array("f", [1, 2]), "float32"),
    "foreign byte order": (onp.arange(3, dtype=">f4"), "float32"),
    "negative strides": (onp.arange(4, dtype=onp.int8)[::-1], "int8"),
    "read only": (onp.broadcast_to(onp.float32(1), (3,)), "float32"),
    "mixed numbers": ([1, 2.5, True], "float32"),
    "NumPy scalars": ([onp.float16(1), onp.float16(2)], "float16"),
    "64 bits": (onp.arange(3.0), "float32"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_converted(name):
    x, dtype = CONVERTED[name]
    got = np.asarray(x)
    assert got.dtype == dtype
    assert onp.array_equal(got, onp.asarray(x))


REFUSED = {
    "None": (None, TypeError, "None"),
    "dict": ({1: 2}, TypeError, "dict {1: 2}"),
    "set": ({1, 2}, TypeError, "set {1, 2}"),
    "generator": ((i for i in range(3)), TypeError, "generator"),
    "string": ("1.5", TypeError, "'1.5'"),
    "bytes": (b"abc", TypeError, "b'abc'"),
    "decimal": (decimal.Decimal("1.5"), TypeError, "Decimal"),
    "fraction": (fractions.Fraction(1, 3), TypeError, "Fraction"),
    "date": (datetime.date(2020, 1, 1), TypeError, "date"),
    "objects": (onp.array([object()]), TypeError, "object"),
    "datetimes": (onp.array(["2020-01-01"], "datetime64[D]"), TypeError, "datetime64[D]"),
    "structures": (onp.zeros(3, [("a", "i4")]), TypeError, "[('a', '<i4')]"),
    "long doubles": (onp.zeros(3, onp.longdouble), TypeError, "float"),
    "large integers": ([2**70], OverflowError, "int32"),
    "ragged": ([[1, 2], [3]], ValueError, "ragged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    x, kind, word = REFUSED[name]
    with pytest.raises(kind) as caught:
        np.asarray(x)
    assert word in str(caught.value)
    assert str(caught.traceback[-1].path).endswith("test_interchange.py")


def test_numpy_views_cannot_be_written_to():
    view = onp.asarray(np.arange(4))
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_arrays_do_not_change_with_what_they_were_made_of():
    x = onp.arange(64, dtype=onp.float32)
    made = [np.asarray(x), np.array(x), np.asarray(memoryview(x)), cv.device_put(x)]
    x[:] = -1
    for y in made:
        assert onp.array_equal(y, onp.arange(64))


def test_dlpack_shares_memory():
    x = onp.arange(64, dtype=onp.float32)
    y = cv.dlpack.from_dlpack(x)
    assert y.unsafe_buffer_pointer() == x.ctypes.data
    assert onp.from_dlpack(y).ctypes.data == x.ctypes.data
    copied = np.from_dlpack(x, copy=True)
    assert copied.unsafe_buffer_pointer() != x.ctypes.data
    assert np.from_dlpack(x, copy=False).unsafe_buffer_pointer() == x.ctypes.data
    del x
    assert onp.array_equal(y, onp.arange(64)) and onp.array_equal(copied, onp.arange(64))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "float32", "complex64"])
@pytest.mark.parametrize("index", [onp.s_[:], onp.s_[::2], onp.s_[:0], onp.s_[::-1]])
def test_dlpack_of_views(dtype, index):
    x = onp.arange(24).reshape(4, 6).astype(dtype)[index]
    y = np.from_dlpack(x)
    assert y.dtype == dtype and onp.array_equal(y, x)
    assert onp.array_equal(onp.from_dlpack(y), x)


def test_dlpack_of_a_read_only_array():
    x = onp.arange(4, dtype=onp.float32)
    x.flags.writeable = False
    assert onp.array_equal(np.from_dlpack(x), x)


def test_dlpack_of_64_bits():
    x = onp.arange(4.0)
    assert np.from_dlpack(x).dtype == "float32"
    with pytest.raises(BufferError, match="enable_x64"):
        np.from_dlpack(x, copy=False)
    with cv.enable_x64():
        assert np.from_dlpack(x, copy=False).dtype == "float64"


class OnAccelerator:
    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **kwargs):
        return onp.arange(3).__dlpack__()


class Protocol:
    """A tensor of a library that speaks only the first version of DLPack."""

    shape = (3,)

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, stream=None):
        return onp.arange(3, dtype=onp.float32).__dlpack__()


def test_dlpack_of_an_older_version():
    assert np.from_dlpack(Protocol()).tolist() == [0, 1, 2]
    assert np.asarray(Protocol()).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("x", "kind", "word"),
    [
        (3, TypeError, "int 3"),
        (onp.array(["2020"], "M8[D]"), BufferError, "DLPack"),
        (OnAccelerator(), BufferError, "copy it to the CPU"),
    ],
)
def test_dlpack_refuses(x, kind, word):
    with pytest.raises(kind, match=word):
        np.from_dlpack(x)


def test_strided_tensors_are_not_shared():
    with pytest.raises(BufferError, match="strided"):
        np.from_dlpack(onp.arange(8, dtype=onp.float32)[::2], copy=False)


class Tensor(ctypes.Structure):
    """A tensor as DLPack lays it out (before version 1), with whatever content."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


class Handmade:
    """An object with the protocol that hands out a tensor made by hand."""

    def __init__(self, shape=(4,), strides=None, data=True, **fields):
        self.memory = (ctypes.c_float * 4)(1, 2, 3, 4)
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = (ctypes.c_int64 * len(shape))(*strides) if strides else None
        values = {
            "data": ctypes.addressof(self.memory) if data else None, "device": (1, 0),
            "ndim": len(shape), "code": 2, "bits": 32, "lanes": 1,
            "shape": ctypes.addressof(self.shape),
            "strides": ctypes.addressof(self.strides) if strides else None,
        }  # fmt: skip
        self.tensor = Tensor(**{**values, **fields})

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


DAMAGED = {
    "negative size": Handmade((-4,)),
    "a negative size beside a zero": Handmade((0, -4)),
    "two negative sizes": Handmade((-2, -2)),
    "null data": Handmade(data=False),
    "null shape": Handmade(shape=(4,), **{"ndim": 1}),
    "negative rank": Handmade(ndim=-1),
    "huge rank": Handmade(ndim=1 << 30),
    "two lanes": Handmade(lanes=2),
    "strides beyond memory": Handmade((2, 2), (1 << 62, 1)),
    "strides that overflow": Handmade((4, 4), (1 << 62, 1 << 62)),
}
DAMAGED["null shape"].tensor.shape = None


@pytest.mark.parametrize("what", DAMAGED)
@pytest.mark.parametrize("copy", [None, True, False])
def test_damaged_tensors_are_errors(what, copy):
    with pytest.raises(BufferError, match="DLPack"):
        np.from_dlpack(DAMAGED[what], copy=copy)


def test_a_tensor_made_by_hand():
    assert np.from_dlpack(Handmade()).tolist() == [1, 2, 3, 4]
    assert np.from_dlpack(Handmade((2, 2), (1, 2))).tolist() == [[1, 3], [2, 4]]
    assert np.from_dlpack(Handmade((4,), byte_offset=0, data=True)).sum() == 10
    # No elements need no memory.
    assert np.from_dlpack(Handmade((0, 3), data=False)).shape == (0, 3)
    assert np.from_dlpack(Handmade((3, 0), (1 << 62, 1 << 62), data=False)).shape == (3, 0)


def test_supported_dtypes():
    assert cv.dlpack.is_supported_dtype("bfloat16")
    assert not cv.dlpack.is_supported_dtype(object)
