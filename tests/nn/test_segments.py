"""Segment reductions (`covector.ops`) against loops in NumPy."""

import numpy as np
import pytest

from covector import numpy as cnp
from covector import ops
from covector.transforms.grad import grad
from covector.transforms.jit import jit
from covector.transforms.vmap_api import vmap

_KINDS = {
    "segment_sum": (np.add, lambda dt: 0),
    "segment_prod": (np.multiply, lambda dt: 1),
    "segment_max": (np.maximum, lambda dt: -np.inf if dt.kind == "f" else np.iinfo(dt).min),
    "segment_min": (np.minimum, lambda dt: np.inf if dt.kind == "f" else np.iinfo(dt).max),
}
_RNG = np.random.default_rng(0)
IDS = np.array([3, 0, 3, 1, -1, 7, 0, 3, 5, 1], np.int32)


def _reference(name, data, ids, n):
    combine, neutral = _KINDS[name]
    out = np.full((n, *data.shape[1:]), neutral(data.dtype), data.dtype)
    for x, i in zip(data, ids, strict=True):
        if 0 <= i < n:
            out[i] = combine(out[i], x)
    return out


@pytest.mark.parametrize("bucket_size", [None, 1, 3, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int8])
@pytest.mark.parametrize("name", _KINDS)
def test_values(name, dtype, bucket_size):
    function = getattr(ops, name)
    for rest in ((), (2, 3)):
        data = _RNG.integers(1, 4, size=(10, *rest)).astype(dtype)
        out = function(data, IDS, 5, bucket_size=bucket_size)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, _reference(name, data, IDS, 5))


def test_number_of_segments():
    data = np.arange(4, dtype=np.float32)
    assert ops.segment_sum(data, np.array([0, 2, 2, 0])).shape == (3,)
    assert ops.segment_sum(data[:0], np.zeros(0, np.int32)).shape == (0,)
    assert ops.segment_sum(data[:0], np.zeros(0, np.int32), 2).tolist() == [0, 0]
    np.testing.assert_array_equal(
        jit(lambda d, i: ops.segment_sum(d, i, 3))(data, np.array([0, 2, 2, 0])), [3, 0, 3]
    )


def test_booleans():
    data = np.array([True, False, False])
    ids = np.array([0, 0, 1])
    np.testing.assert_array_equal(ops.segment_max(data, ids, 3), [True, False, False])
    np.testing.assert_array_equal(ops.segment_min(data, ids, 3), [False, False, True])


def test_clip_mode():
    data = np.arange(5, dtype=np.float32)
    ids = np.array([0, 2, 2, -1, 7], np.int32)
    np.testing.assert_array_equal(ops.segment_sum(data, ids, 4, mode="clip"), [3, 0, 3, 4])


def test_gradient():
    data = np.arange(1, 6, dtype=np.float32)
    ids = np.array([0, 0, 2, 2, 0])
    w = np.array([1, 10, 100], np.float32)
    g = grad(lambda d: cnp.sum(cnp.multiply(ops.segment_sum(d, ids, 3), w)))(data)
    np.testing.assert_array_equal(g, w[ids])
    g = grad(lambda d: cnp.sum(cnp.multiply(ops.segment_max(d, ids, 3)[::2], w[::2])))(data)
    np.testing.assert_array_equal(g, [0, 0, 0, 100, 1])


def test_vmap():
    data = _RNG.normal(size=(3, 10)).astype(np.float32)
    out = vmap(lambda d: ops.segment_sum(d, IDS, 5))(data)
    for x, row in zip(data, np.asarray(out), strict=True):
        np.testing.assert_allclose(row, _reference("segment_sum", x, IDS, 5), rtol=1e-5)


_X = np.arange(5, dtype=np.float32)
_BAD = {
    "sizes": (lambda: ops.segment_sum(_X, IDS, 4), ValueError, "first axes"),
    "scalar": (lambda: ops.segment_sum(1.0, 0, 4), ValueError, "first axes"),
    "identifiers": (lambda: ops.segment_sum(_X, _X, 4), TypeError, "integers"),
    "number": (lambda: ops.segment_sum(_X, IDS[:5], -1), ValueError, "-1"),
    "bucket": (lambda: ops.segment_sum(_X, IDS[:5], 4, bucket_size=0), ValueError, "bucket"),
    "booleans": (lambda: ops.segment_sum(_X > 2, IDS[:5], 4), TypeError, "booleans"),
    "traced": (
        lambda: jit(lambda i: ops.segment_sum(_X, i))(IDS[:5]), TypeError, "num_segments",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_bad_arguments(name):
    call, error, message = _BAD[name]
    with pytest.raises(error, match=message):
        call()
