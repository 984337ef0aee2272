"""The Python array API standard 2024.12: names, calls, inspection, special values, dtypes."""

import inspect
import math
import operator

import numpy as np
import pytest

import covector as cv
import covector.numpy as xp
from tests.numpy import array_api_names as names

inf, nan, pi = math.inf, math.nan, math.pi
DOUBLE = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _signatures(text):
    out = {}
    for line in text.strip().splitlines():
        space = {}
        exec(f"def {line}: pass", space)
        out[line.partition("(")[0]] = inspect.signature(space[line.partition("(")[0]])
    return out


def _all():
    one = "\n".join(f"{n}(x, /)" for n in names.ONE.split())
    two = "\n".join(f"{n}(x1, x2, /)" for n in names.TWO.split())
    axis = "\n".join(f'{n}(x, /, *, n=None, axis=-1, norm="x")' for n in names.ONE_AXIS.split())
    axes = "\n".join(f'{n}(x, /, *, s=None, axes=None, norm="x")' for n in names.MANY_AXES.split())
    for module, text in (
        (xp, names.FUNCTIONS), (xp, one), (xp, two), (xp.linalg, names.LINALG),
        (xp.fft, axis), (xp.fft, axes), (xp.fft, names.FFT),
    ):  # fmt: skip
        for name, signature in _signatures(text).items():
            yield module, name, signature


def test_every_call_of_the_standard_is_one_of_ours():
    for module, name, want in _all():
        ours = inspect.signature(getattr(module, name))
        given, named = [], {}
        for p in want.parameters.values():
            if p.kind is p.KEYWORD_ONLY:
                named[p.name] = p.default
            elif p.kind is not p.VAR_POSITIONAL:
                given.append(p)
        ours.bind(*given, **named)
        at = len([p for p in given if p.kind is not DOUBLE])
        ours.bind(*given[:at], **{p.name: 0 for p in given[at:]}, **named)
        required = [p for p in given if p.default is p.empty]
        ours.bind(*required)  # options may be left out


def test_constants_dtypes_and_members_are_there():
    for name in (*names.CONSTANTS.split(), *names.DTYPES.split()):
        assert hasattr(xp, name), name
    x = xp.ones((2, 3))
    for name in (*names.ATTRIBUTES.split(), *(f"__{n}__" for n in names.METHODS.split())):
        assert hasattr(x, name), name
    assert callable(x.to_device)
    assert (xp.newaxis, xp.inf, xp.e, xp.pi) == (None, inf, math.e, pi)


def test_namespace():
    assert xp.__array_api_version__ == "2024.12"
    x = xp.ones(2)
    assert x.__array_namespace__() is xp
    assert x.__array_namespace__(api_version="2024.12") is xp
    with pytest.raises(ValueError, match=r"2019\.12.*2024\.12"):
        x.__array_namespace__(api_version="2019.12")
    assert cv.jit(lambda y: y.__array_namespace__().sum(y))(x) == 2


def test_inspection():
    info = xp.__array_namespace_info__()
    assert info.capabilities() == {
        "boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64,
    }  # fmt: skip
    assert xp.ones((1,) * 64).ndim == 64
    assert info.default_device() in info.devices() == list(cv.devices())
    defaults = info.default_dtypes(device=info.default_device())
    assert defaults["real floating"] == xp.ones(1).dtype
    assert defaults["integral"] == xp.arange(1).dtype
    assert defaults["complex floating"] == xp.asarray(1j).dtype
    assert defaults["indexing"] == xp.argmax(xp.ones(1)).dtype
    assert not {"int64", "float64"} & set(info.dtypes())
    with cv.enable_x64():
        assert set(info.dtypes()) == set(names.DTYPES.split())
        assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
        assert info.default_dtypes()["integral"] == xp.int64
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {
        "bool", "uint8", "uint16", "uint32",
    }  # fmt: skip
    assert all(xp.dtype(dt).name == name for name, dt in info.dtypes().items())
    with pytest.raises(ValueError, match="is no device"):
        info.dtypes(device="moon")


def test_limits():
    for dt in (xp.float32, xp.complex64):
        info = xp.finfo(dt)
        assert (info.bits, info.dtype) == (32, xp.float32)
        assert float(info.eps) == 2.0**-23
        assert float(info.max) == -float(info.min) == (2 - 2.0**-23) * 2.0**127
        assert float(info.smallest_normal) == 2.0**-126
    assert xp.finfo(xp.ones(2)).bits == 32
    info = xp.iinfo(xp.asarray([1], dtype=xp.int8))
    assert (info.bits, info.min, info.max, info.dtype) == (8, -128, 127, xp.int8)


# --- special values ----------------------------------------------------------------------

# Function: rows of an operand (or two) and the result; signs of zeros count.
ONE = {
    "acos": [(nan, nan), (1.5, nan), (-1.5, nan), (1.0, 0.0)],
    "acosh": [(nan, nan), (0.5, nan), (1.0, 0.0), (inf, inf)],
    "asin": [(nan, nan), (1.5, nan), (-1.5, nan), (0.0, 0.0), (-0.0, -0.0)],
    "asinh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf)],
    "atan": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, pi / 2), (-inf, -pi / 2)],
    "atanh": [(nan, nan), (1.5, nan), (-1.0, -inf), (1.0, inf), (0.0, 0.0), (-0.0, -0.0)],
    "ceil": [(nan, nan), (inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (-0.5, -0.0)],
    "cos": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, nan), (-inf, nan)],
    "cosh": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, inf)],
    "exp": [(nan, nan), (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0)],
    "expm1": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1.0)],
    "floor": [(nan, nan), (inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0)],
    "log": [(nan, nan), (-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "log1p": [(nan, nan), (-2.0, nan), (-1.0, -inf), (-0.0, -0.0), (0.0, 0.0), (inf, inf)],
    "log2": [(nan, nan), (-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "log10": [(nan, nan), (-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "round": [(nan, nan), (inf, inf), (-0.0, -0.0), (0.5, 0.0), (1.5, 2.0), (-0.5, -0.0)],
    "sign": [(nan, nan), (-2.0, -1.0), (3.0, 1.0), (0.0, 0.0)],
    "sin": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "sinh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf)],
    "sqrt": [(nan, nan), (-1.0, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf)],
    "tan": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "tanh": [(nan, nan), (0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0)],
    "trunc": [(nan, nan), (inf, inf), (-inf, -inf), (-0.0, -0.0), (-0.5, -0.0)],
    "abs": [(nan, nan), (-0.0, 0.0), (-inf, inf)],
    "reciprocal": [(nan, nan), (0.0, inf), (-0.0, -inf), (inf, 0.0), (-inf, -0.0)],
    "isfinite": [(nan, 0), (inf, 0), (-inf, 0), (1.0, 1)],
    "isinf": [(nan, 0), (inf, 1), (-inf, 1), (1.0, 0)],
    "isnan": [(nan, 1), (inf, 0), (1.0, 0)],
    "signbit": [(0.0, 0), (-0.0, 1), (inf, 0), (-inf, 1), (-nan, 1), (nan, 0)],
}
TWO = {
    "add": [(nan, 1.0, nan), (inf, -inf, nan), (inf, inf, inf), (inf, 1.0, inf),
            (-0.0, -0.0, -0.0), (-0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, -1.0, 0.0)],
    "atan2": [(nan, 1.0, nan), (1.0, nan, nan), (1.0, 0.0, pi / 2), (1.0, -0.0, pi / 2),
              (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.0, -0.0, pi), (0.0, -1.0, pi),
              (-0.0, 1.0, -0.0), (-0.0, 0.0, -0.0), (-0.0, -0.0, -pi), (-0.0, -1.0, -pi),
              (-1.0, 0.0, -pi / 2), (-1.0, -0.0, -pi / 2), (1.0, inf, 0.0), (1.0, -inf, pi),
              (-1.0, inf, -0.0), (-1.0, -inf, -pi), (inf, 1.0, pi / 2), (-inf, 1.0, -pi / 2),
              (inf, inf, pi / 4), (inf, -inf, 3 * pi / 4), (-inf, inf, -pi / 4),
              (-inf, -inf, -3 * pi / 4)],
    "copysign": [(1.0, -0.0, -1.0), (-2.0, 0.0, 2.0), (3.0, -inf, -3.0), (inf, -1.0, -inf)],
    "divide": [(nan, 1.0, nan), (inf, inf, nan), (0.0, 0.0, nan), (0.0, 1.0, 0.0),
               (0.0, -1.0, -0.0), (-0.0, 1.0, -0.0), (1.0, 0.0, inf), (1.0, -0.0, -inf),
               (-1.0, 0.0, -inf), (inf, 1.0, inf), (inf, -1.0, -inf), (1.0, inf, 0.0),
               (-1.0, inf, -0.0)],
    "floor_divide": [(nan, 1.0, nan), (inf, inf, nan), (0.0, 0.0, nan), (0.0, 1.0, 0.0),
                     (0.0, -1.0, -0.0), (-0.0, 1.0, -0.0), (1.0, inf, 0.0), (-1.0, -inf, 0.0),
                     (1.0, -inf, -1.0), (-1.0, inf, -1.0)],
    "hypot": [(inf, nan, inf), (nan, -inf, inf), (nan, 1.0, nan), (inf, 1.0, inf)],
    "logaddexp": [(nan, 1.0, nan), (inf, 1.0, inf), (inf, inf, inf), (-inf, -inf, -inf)],
    "maximum": [(nan, 1.0, nan), (1.0, nan, nan), (inf, 1.0, inf)],
    "minimum": [(nan, 1.0, nan), (1.0, nan, nan), (-inf, 1.0, -inf)],
    "multiply": [(nan, 1.0, nan), (inf, 0.0, nan), (0.0, -inf, nan), (inf, -2.0, -inf),
                 (0.0, -2.0, -0.0), (-0.0, -2.0, 0.0)],
    "nextafter": [(nan, 1.0, nan), (1.0, nan, nan), (0.0, -0.0, -0.0), (2.0, 2.0, 2.0)],
    "pow": [(nan, 0.0, 1.0), (1.0, nan, 1.0), (nan, 2.0, nan), (2.0, nan, nan), (2.0, inf, inf),
            (2.0, -inf, 0.0), (1.0, inf, 1.0), (0.5, inf, 0.0), (0.5, -inf, inf), (inf, 2.0, inf),
            (inf, -2.0, 0.0), (-inf, 3.0, -inf), (-inf, 2.0, inf), (-inf, -3.0, -0.0),
            (-inf, -2.0, 0.0), (0.0, 2.0, 0.0), (0.0, -2.0, inf), (-0.0, 3.0, -0.0),
            (-0.0, 2.0, 0.0), (-0.0, -3.0, -inf), (-0.0, -2.0, inf), (-2.0, 0.5, nan)],
    "remainder": [(nan, 1.0, nan), (inf, 1.0, nan), (1.0, 0.0, nan), (0.0, 1.0, 0.0),
                  (-0.0, 1.0, 0.0), (0.0, -1.0, -0.0), (-0.0, -1.0, -0.0), (1.0, inf, 1.0),
                  (-1.0, -inf, -1.0), (1.0, -inf, -inf), (-1.0, inf, inf)],
    "subtract": [(nan, 1.0, nan), (inf, inf, nan), (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0)],
}  # fmt: skip


@pytest.mark.parametrize(("name", "rows"), [*ONE.items(), *TWO.items()])
def test_special_values(name, rows):
    *operands, want = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    got = getattr(xp, name)(*map(xp.asarray, operands))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=0)
    if got.dtype == xp.float32:
        known = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got)[known], np.signbit(want)[known])


def test_special_values_of_complex_numbers():
    def check(function, operand, want):
        got = complex(function(xp.asarray(operand)))
        np.testing.assert_allclose([got.real, got.imag], [want.real, want.imag], rtol=1e-6)

    check(xp.exp, complex(inf, 0), complex(inf, 0))
    check(xp.exp, complex(-inf, 0), complex(0, 0))
    check(xp.sqrt, complex(-inf, 1), complex(0, inf))
    check(xp.sqrt, complex(inf, 1), complex(inf, 0))
    check(xp.log, complex(-0.0, 0.0), complex(-inf, pi))
    check(xp.sign, 3 + 4j, 0.6 + 0.8j)
    check(xp.sign, 0j, 0j)
    assert float(xp.abs(xp.asarray(complex(inf, nan)))) == inf


# --- dtypes and shapes of results --------------------------------------------------------


def test_sums_of_small_integers_are_wide():
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        function = getattr(xp, name)
        assert function(xp.ones(3, dtype=xp.int8)).dtype == xp.int32
        assert function(xp.ones(3, dtype=xp.uint16)).dtype == xp.uint32
        assert function(xp.ones(3, dtype=xp.int8), dtype=xp.int16).dtype == xp.int16
        assert function(xp.ones(3, dtype=xp.complex64)).dtype == xp.complex64


def test_initial_values():
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(
        xp.cumulative_sum(x, axis=1, include_initial=True), [[0, 1, 3], [0, 3, 7]]
    )
    np.testing.assert_array_equal(
        xp.cumulative_prod(x, axis=0, include_initial=True), [[1, 1], [1, 2], [3, 8]]
    )


def test_python_numbers_beside_arrays():
    for dt in (xp.int8, xp.float32, xp.complex64):
        x = xp.ones(2, dtype=dt)
        for op in (operator.add, operator.mul, operator.eq, operator.pow, operator.sub):
            assert op(x, 1).dtype == op(1, x).dtype == op(x, xp.ones(2, dtype=dt)).dtype
        assert xp.where(xp.asarray([True, False]), x, 1).dtype == dt
        assert xp.add(x, 1).dtype == xp.subtract(1, x).dtype == dt
    x = xp.asarray([0.5, 2.0])
    assert xp.clip(x, 0, 1).dtype == xp.maximum(x, 1).dtype == xp.pow(2, x).dtype == xp.float32
    assert xp.result_type(xp.int8, 1) == xp.int8
    assert xp.result_type(xp.ones(1), 1j) == xp.complex64


def test_promotion_is_symmetric_within_a_kind():
    with cv.enable_x64():
        for kind in ("signed integer", "unsigned integer", "real floating", "complex floating"):
            found = xp.__array_namespace_info__().dtypes(kind=kind).values()
            for a in found:
                for b in found:
                    wide = a if a.itemsize >= b.itemsize else b
                    assert xp.result_type(a, b) == wide
        assert xp.result_type(xp.uint8, xp.int8) == xp.int16
        assert xp.result_type(xp.uint32, xp.int8) == xp.int64
        assert xp.result_type(xp.float32, xp.complex64) == xp.complex64
        assert xp.result_type(xp.float64, xp.complex64) == xp.complex128


def test_rounding_keeps_integers():
    x = xp.asarray([1, -2], dtype=xp.int16)
    for name in ("ceil", "floor", "round", "trunc", "sign", "square", "positive"):
        assert getattr(xp, name)(x).dtype == xp.int16


def test_sets_are_named():
    x = xp.asarray([3, 1, 3, 2])
    every = xp.unique_all(x)
    assert every._fields == ("values", "indices", "inverse_indices", "counts")
    np.testing.assert_array_equal(every.values[every.inverse_indices], x)
    assert xp.unique_counts(x)._fields == ("values", "counts")
    assert xp.unique_inverse(x)._fields == ("values", "inverse_indices")
    assert xp.unique_values(xp.asarray([nan, nan])).size == 2
    assert xp.unique_inverse(xp.ones((2, 3))).inverse_indices.shape == (2, 3)


def test_factorisations_are_named():
    x = xp.eye(2)
    assert xp.linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert xp.linalg.qr(x)._fields == ("Q", "R")
    assert xp.linalg.slogdet(x)._fields == ("sign", "logabsdet")
    assert xp.linalg.svd(x)._fields == ("U", "S", "Vh")
    np.testing.assert_array_equal(xp.linalg.cholesky(4 * x, upper=True), 2 * np.eye(2))
    assert xp.linalg.vecdot(xp.asarray([1j]), xp.asarray([1j])) == 1  # the first is conjugated
    np.testing.assert_array_equal(xp.linalg.tensordot(x, x, axes=1), x)
    np.testing.assert_array_equal(xp.linalg.matmul(x, x), x)


def test_searching():
    x = xp.asarray([[0, 1], [2, 0]])
    assert xp.count_nonzero(x, axis=0, keepdims=True).tolist() == [[1, 1]]
    assert [part.tolist() for part in xp.nonzero(x)] == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="one or more dimensions"):
        xp.nonzero(xp.asarray(1))
    order = xp.argsort(xp.asarray([2.0, 1.0, 2.0]), descending=True, stable=True)
    assert order.tolist() == [0, 2, 1]
    sorter = xp.asarray([2, 0, 1])
    assert int(xp.searchsorted(xp.asarray([5, 7, 1]), xp.asarray(6), sorter=sorter)) == 2


def test_manipulation():
    x = xp.reshape(xp.arange(6), (2, 3))
    assert xp.expand_dims(x).shape == (1, 2, 3)
    assert xp.tile(x, (2, 1, 2)).shape == (2, 2, 6)
    assert [part.tolist() for part in xp.unstack(x, axis=1)] == [[0, 3], [1, 4], [2, 5]]
    assert xp.repeat(x, xp.asarray([1, 2]), axis=0).shape == (3, 3)
    np.testing.assert_array_equal(xp.diff(x, prepend=x[:, :1], append=x[:, -1:])[:, 0], [0, 0])
    with pytest.raises(ValueError, match="squeeze"):
        xp.squeeze(x, 0)
    np.testing.assert_array_equal(xp.take_along_axis(x, xp.asarray([[2], [0]])), [[2], [3]])
    assert xp.take(x, xp.asarray([2, 0]), axis=1).tolist() == [[2, 0], [5, 3]]


def test_indexing():
    x = xp.reshape(xp.arange(24), (2, 3, 4))
    assert x[0, ..., xp.newaxis, 1].shape == (3, 1)
    assert x[:, ::-1, 1:10].shape == (2, 3, 3)
    assert x[x > 20].tolist() == [21, 22, 23]
    assert x[xp.asarray([0, 1]), xp.asarray([2, 0])].shape == (2, 4)
    assert xp.asarray(5)[()] == 5


def test_devices_and_copies():
    x = xp.asarray([1.0, 2.0])
    assert xp.asarray(x, copy=False) is x
    assert xp.asarray(x, copy=True) is not x
    assert xp.astype(x, xp.float32, copy=False) is x
    assert x.to_device(x.device, stream=None).device == x.device
    assert xp.zeros(2, device=x.device).device == x.device
    assert xp.reshape(x, (2, 1), copy=True).shape == xp.reshape(x, (2, 1), copy=False).shape
    assert x.__dlpack_device__() == (1, 0)
    for options in ({}, {"max_version": (1, 0)}, {"copy": True, "dl_device": (1, 0)}):
        assert "dltensor" in repr(x.__dlpack__(stream=None, **options))
    np.testing.assert_array_equal(np.from_dlpack(x), [1, 2])
    np.testing.assert_array_equal(xp.from_dlpack(np.ones(2), device=x.device, copy=True), [1, 1])


def test_scalars():
    assert (bool(xp.asarray(0)), int(xp.asarray(3)), float(xp.asarray(1.5))) == (False, 3, 1.5)
    assert complex(xp.asarray(1.5)) == 1.5
    assert operator.index(xp.asarray(3)) == 3
    for convert in (float, int, complex, operator.index):
        with pytest.raises(TypeError):
            convert(xp.ones(2))
    with pytest.raises(TypeError):
        float(xp.asarray(1j))


def test_empty_reductions():
    x = xp.zeros((0, 2))
    assert (xp.sum(x, axis=0).tolist(), xp.prod(x, axis=0).tolist()) == ([0, 0], [1, 1])
    assert (bool(xp.all(x)), bool(xp.any(x))) == (True, False)
    for function in (xp.max, xp.min, xp.argmax, xp.argmin):
        with pytest.raises(ValueError):
            function(x, axis=0)
    assert math.isnan(float(xp.mean(xp.zeros(0))))


def test_transforms():
    x = xp.asarray([1.0, 2.0, 3.0])
    assert xp.fft.fft(x).dtype == xp.complex64
    assert xp.fft.rfft(x).shape == (2,)
    assert xp.fft.irfft(xp.fft.rfft(x), n=3).dtype == xp.float32
    assert xp.fft.fftfreq(4, d=0.5, dtype=xp.float32, device=x.device).tolist() == [
        0,
        0.5,
        -1,
        -0.5,
    ]
    assert xp.fft.fftshift(x, axes=0).tolist() == [3, 1, 2]
