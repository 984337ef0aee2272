"""Arrays read across: blocks of rows are turned as they are read."""

import itertools

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "complex64", "bfloat16"])
@pytest.mark.parametrize(
    "shape", [(16, 17), (33, 129), (100, 64), (2, 17, 40), (40, 3, 33), (3, 20, 5, 37)], ids=str
)
def test_axes_in_another_order(shape, dtype):
    whole = onp.random.default_rng(0).integers(0, 100, shape)
    threads = _native.num_threads()
    with cv.enable_x64(True):
        x = whole.astype(np.dtype(dtype))
        for axes in itertools.permutations(range(x.ndim)):
            moved = cv.jit(lambda x, axes=axes: np.transpose(x, axes))
            used = cv.jit(lambda x, axes=axes: np.transpose(x * 2, axes) + 1)
            try:
                for n in {1, threads}:
                    _native.set_num_threads(n)
                    want = onp.transpose(x, axes)
                    onp.testing.assert_array_equal(moved(x), want)
                    near = (onp.transpose(whole, axes) * 2 + 1).astype(x.dtype)
                    onp.testing.assert_array_equal(used(x), near)
            finally:
                _native.set_num_threads(threads)


def test_two_arrays_read_across_in_one_pass():
    x, y = (onp.random.default_rng(k).standard_normal((100, 70)).astype("float32") for k in (0, 1))
    f = cv.jit(lambda x, y: [x.T * 2, y.T + x.T, (x * y).T])
    for got, want in zip(f(x, y), [x.T * 2, y.T + x.T, (x * y).T], strict=True):
        onp.testing.assert_array_equal(got, want)
