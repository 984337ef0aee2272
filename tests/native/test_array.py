"""Array: attributes, conversions, views, exchange with other libraries."""

import gc
import weakref

import numpy as np
import pytest

from .conftest import CODE, DTYPES

REAL = [d for d in DTYPES if d.kind in "biuf"]


def sample(dtype, shape=(3, 4)):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype.kind == "b" else 100, shape)
    return (x + 0.5j * x if dtype.kind == "c" else x).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (0, 3), (2, 1, 3), (1,) * 10])
def test_round_trip(array, dtype, shape):
    x = sample(dtype, shape)
    a = array(x)
    assert a.shape == shape and a.ndim == len(shape) and a.size == x.size
    assert a.dtype == dtype and a.itemsize == dtype.itemsize and a.nbytes == x.nbytes
    assert a._code == DTYPES.index(dtype) and a.weak_type is False
    back = np.asarray(a)
    assert back.dtype == dtype and back.shape == shape and not back.flags.writeable
    np.testing.assert_array_equal(back, x)
    np.testing.assert_array_equal(a.__array__(), x)
    assert back.tobytes() == x.tobytes()
    assert a.tolist() == x.tolist()


def test_conversion_arguments_of_array_method(array):
    a = array([1.5, 2.5], np.float32)
    assert a.__array__(np.float64).dtype == np.float64
    assert a.__array__(copy=True).flags.writeable
    with pytest.raises(ValueError, match="copy=False"):
        a.__array__(np.dtype("f8"), copy=False)


def test_attributes_can_be_added_to_the_type_but_not_to_instances(native, array):
    native.Array._test_attribute = lambda self: self.ndim
    try:
        assert array([1])._test_attribute() == 1
    finally:
        del native.Array._test_attribute
    with pytest.raises(AttributeError):
        array([1]).nothing = 1
    with pytest.raises(TypeError):
        native.Array()
    with pytest.raises(TypeError, match="unhashable type"):
        hash(array([1]))


def test_weak_reference(array):
    a = array([1])
    r = weakref.ref(a)
    assert r() is a
    del a
    assert r() is None


def test_weak_type(array):
    a = array(1.0)
    w = a._with_weak(True)
    assert w.weak_type and not a.weak_type
    assert w.unsafe_buffer_pointer() == a.unsafe_buffer_pointer()
    assert a._with_weak(False) is a


def test_aval_is_shared(array):
    a, b = array([1.0, 2.0]), array([3.0, 4.0])
    assert a.aval is b.aval
    assert a.aval is not array([1.0]).aval


def test_views_share_memory(native, array):
    a = array(np.arange(6, dtype=np.float32))
    r = a._reshaped((2, 3))
    assert r.shape == (2, 3) and r.unsafe_buffer_pointer() == a.unsafe_buffer_pointer()
    assert r._subarray(1).tolist() == [3, 4, 5] and r._subarray(-2).tolist() == [0, 1, 2]
    assert r._subarray(1)._subarray(2).tolist() == 5
    b = a._bitcast(CODE["u8"], (6, 4))
    np.testing.assert_array_equal(np.asarray(b), np.asarray(a).view(np.uint8).reshape(6, 4))
    with pytest.raises(ValueError, match="cannot view"):
        a._reshaped((4,))
    with pytest.raises(IndexError, match="out of bounds"):
        r._subarray(2)
    with pytest.raises(IndexError):
        array(1)._subarray(0)
    words = array(np.arange(6, dtype=np.uint32).reshape(3, 2))
    key = words._bitcast(CODE["key"], (3,))
    assert key.shape == (3,)
    assert key._bitcast(CODE["u32"], (3, 2)).tolist() == words.tolist()


def test_deleted(array):
    a = array(np.zeros((2, 3), np.float32))
    view = np.asarray(a)
    a.delete()
    a.delete()
    assert a.is_deleted() and a.shape == (2, 3)
    for use in (np.asarray, lambda a: a.item(), lambda a: a.block_until_ready(), bytes):
        with pytest.raises(RuntimeError, match=r"deleted with shape=\(2, 3\) dtype=float32"):
            use(a)
    assert view.sum() == 0


def test_len(array):
    assert len(array([1, 2, 3])) == 3
    with pytest.raises(TypeError, match="len\\(\\) of unsized object"):
        len(array(1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_python_scalars(array, dtype):
    a = array(1, dtype)
    assert bool(a) is True and complex(a) == 1
    assert bool(array([[0]], dtype)) is False
    if dtype.kind != "c":
        assert int(a) == 1 and float(a) == 1.0
        assert type(int(a)) is int and type(float(a)) is float
    else:
        with pytest.raises(TypeError):
            float(a)
    if dtype.kind in "iu":
        assert [10, 20][a] == 20
    else:
        with pytest.raises(TypeError, match="only integer scalar arrays"):
            [10, 20][a]


def test_python_scalar_errors(array):
    a = array([1, 2])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(a)
    with pytest.raises(ValueError, match="empty"):
        bool(array([]))
    for convert in (int, float, complex):
        with pytest.raises(TypeError, match="only 0-d"):
            convert(array([1]))
    with pytest.raises(ValueError):
        a.item()
    with pytest.raises(TypeError):
        range(array([1])._subarray(0)._with_weak(True)._bitcast(CODE["f64"], ()))


def test_item(array):
    a = array(np.arange(6).reshape(2, 3))
    assert a.item(4) == 4 and a.item(1, 2) == 5 and a.item((1, 0)) == 3 and a.item(-1) == 5
    assert array([7]).item() == 7
    with pytest.raises(IndexError):
        a.item(6)
    with pytest.raises(ValueError):
        a.item(1, 2, 3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_buffer_protocol(array, dtype):
    x = sample(dtype)
    if dtype == DTYPES[CODE["bf16"]]:
        with pytest.raises(BufferError, match="bfloat16"):
            memoryview(array(x))
        return
    view = memoryview(array(x))
    assert view.readonly and view.shape == x.shape and view.strides == x.strides
    np.testing.assert_array_equal(np.asarray(view), x)
    assert np.asarray(view).dtype == dtype


def test_buffer_is_read_only(array):
    import io

    with pytest.raises((BufferError, TypeError), match="immutable|read-write"):
        io.BytesIO(b"12345678").readinto(array([1.0]))


def test_key_has_no_numpy_form(native):
    key = native.empty(CODE["key"], (2,))
    with pytest.raises(TypeError, match="random.key_data"):
        np.asarray(key)
    with pytest.raises(BufferError, match="random.key_data"):
        memoryview(key)
    with pytest.raises(TypeError):
        key.tolist()
    with pytest.raises(BufferError):
        key.__dlpack__()


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind != "V"], ids=str)
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_dlpack(native, array, dtype, version):
    x = sample(dtype)
    a = array(x)
    assert a.__dlpack_device__() == (1, 0)
    capsule = a.__dlpack__(max_version=version)
    b = native.from_dlpack_capsule(capsule)
    assert b.unsafe_buffer_pointer() == a.unsafe_buffer_pointer()
    assert b.dtype == dtype and b.shape == x.shape
    del a
    np.testing.assert_array_equal(np.asarray(b), x)
    with pytest.raises(ValueError, match="not been used"):
        native.from_dlpack_capsule(capsule)


def test_dlpack_with_numpy(native, array):
    a = array(np.arange(6, dtype=np.float32).reshape(2, 3))
    out = np.from_dlpack(a)
    np.testing.assert_array_equal(out, np.asarray(a))
    assert out.__array_interface__["data"][0] == a.unsafe_buffer_pointer()
    copied = np.from_dlpack(a, copy=True)
    assert copied.__array_interface__["data"][0] != a.unsafe_buffer_pointer()
    x = np.arange(24.0).reshape(4, 6)
    for y in (x, x[::2, 1::2], x.T, x[:0]):
        b = native.from_dlpack_capsule(y.__dlpack__())
        np.testing.assert_array_equal(np.asarray(b), y)
    with pytest.raises(BufferError, match="device type 2"):
        a.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="stream"):
        a.__dlpack__(stream=1)
    a.__dlpack__()  # dropped without a consumer


def test_alias_keeps_the_buffer(native):
    x = np.arange(4, dtype=np.float32)
    a = native.array_from_buffer(x, CODE["f32"], (4,), False, True)
    assert a.unsafe_buffer_pointer() == x.__array_interface__["data"][0]
    with pytest.raises(ValueError):
        x.resize(100)
    r = weakref.ref(x)
    del x
    gc.collect()
    assert r() is not None
    assert a.tolist() == [0, 1, 2, 3]
    del a
    assert r() is None


def test_from_buffer_errors(native):
    x = np.arange(4, dtype=np.float32)
    with pytest.raises(ValueError, match="16 bytes"):
        native.array_from_buffer(x, CODE["f32"], (5,), False, False)
    with pytest.raises(ValueError):
        native.array_from_buffer(x, CODE["f32"], (-4,), False, False)
    with pytest.raises(ValueError, match="dtype code"):
        native.array_from_buffer(x, 47, (4,), False, False)
    with pytest.raises((BufferError, ValueError)):
        native.array_from_buffer(np.arange(8)[::2], CODE["i64"], (4,), False, False)
    with pytest.raises(TypeError):
        native.array_from_buffer(3, CODE["f32"], (), False, False)


@pytest.mark.parametrize("name", "i8 i16 i32 i64 u8 u16 u32 u64".split())
def test_scalar_bounds(native, name):
    info = np.iinfo(DTYPES[CODE[name]])
    for value in (info.min, info.max):
        assert native.array_from_scalar(int(value), CODE[name], True).item() == value
    for value in (int(info.min) - 1, int(info.max) + 1, 10**30, -(10**30)):
        with pytest.raises(OverflowError, match=f"Python integer {value} out of bounds for"):
            native.array_from_scalar(value, CODE[name], True)


@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64"])
def test_scalar_rounding(native, name):
    dtype = DTYPES[CODE[name]]
    rng = np.random.default_rng(0)
    values = rng.standard_normal(200) * 10.0 ** rng.uniform(-12, 6, 200)
    values = [*values.tolist(), 0.0, -0.0, np.inf, -np.inf, 65504.0, 65519.9, 65520.0, 6e-8, 1e39]
    if name == "bf16":
        with np.errstate(over="ignore"):  # NumPy converts through f32
            values = [float(np.float32(v)) for v in values]
    with np.errstate(over="ignore"):
        expected = np.array(values).astype(dtype)
    got = [native.array_from_scalar(v, CODE[name], False) for v in values]
    assert b"".join(np.asarray(a).tobytes() for a in got) == expected.tobytes()
    assert np.isnan(native.array_from_scalar(float("nan"), CODE[name], False).item())


def test_scalar_types(native):
    make = native.array_from_scalar
    assert make(True, CODE["bool"], False).tolist() is True
    assert make(True, CODE["i32"], False).tolist() == 1
    assert make(1 + 2j, CODE["c64"], False).tolist() == 1 + 2j
    assert make(2, CODE["c128"], False).tolist() == 2
    for value, name in [
        (1.5, "i32"),
        (1j, "f32"),
        (1.0, "bool"),
        (2, "bool"),
        ("x", "f32"),
        (1, "key"),
    ]:
        with pytest.raises(TypeError):
            make(value, CODE[name], False)
    with pytest.raises(OverflowError):
        make(10**400, CODE["f64"], False)


def test_memory_error_names_shape_and_dtype(native):
    with pytest.raises(MemoryError, match=r"\(1000000, 1000000, 100\).*float32"):
        native.empty(CODE["f32"], (10**6, 10**6, 100))
    with pytest.raises(MemoryError, match="too large"):
        native.empty(CODE["f32"], (2**40, 2**40))
    for shape in ((2**40, 2**40, 0), (0, 2**40, 2**40)):
        a = native.empty(CODE["f32"], shape)
        assert a.size == 0 and memoryview(a).nbytes == 0
        a.__dlpack__()
    with pytest.raises(ValueError, match="at most 64"):
        native.empty(CODE["f32"], (1,) * 65)


def test_unregistered_context_key_is_a_number(native):
    old = native.context_key()
    native.set_context_key(7)
    assert native.context_key() == 7
    native.set_context_key(old)


def test_sizeof_counts_the_elements(array):
    assert array(np.zeros(1000)).__sizeof__() > 8000
