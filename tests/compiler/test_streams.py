"""Results that are larger than caches are written past them."""

import platform

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="only x86 has such stores"
)
LARGE = (2100, 2053)


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def text(f, *args):
    return cv.jit(f).lower(*args).compile().as_text("llvm")


def drawn(dtype, shape=LARGE):
    x = onp.random.default_rng(0).standard_normal(shape) * 50
    return np.asarray(x if dtype != "complex64" else x + 2j).astype(dtype)


FUNCTIONS = {
    "as it lies": lambda x: x * 2,
    "in rows that begin anywhere": lambda x: x[:, 1:] + x[:, :-1],
    "two results": lambda x: (x + 1, x[::-1] * 3),
    "with what is read again": lambda x: (x - x.mean(1, keepdims=True)).astype(x.dtype),
    "with borders": lambda x: np.pad(x, 1)[:-2, 1:-1] + x,
    "turned": lambda x: x.T + x.dtype.type(1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "int16", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_results(name, dtype):
    f, x = FUNCTIONS[name], drawn(dtype)
    # In rows of this many a task begins at no multiple of a line.
    small = cv.jit(f)(x[:7])
    for got, want in zip(
        cv.tree_util.tree_leaves(cv.jit(f)(x)), cv.tree_util.tree_leaves(f(x)), strict=True
    ):
        onp.testing.assert_allclose(
            onp.asarray(got, "complex128"), onp.asarray(want, "complex128"), rtol=1e-2
        )
    assert cv.tree_util.tree_leaves(small)[0].size


def test_what_is_written_so():
    x = np.zeros((1000, 1000), "float32")
    assert "!nontemporal" in text(lambda x: x + 1, x)
    # Not what is small, or what is read again.
    assert "!nontemporal" not in text(lambda x: x * 2 + 1, x[:4, :4])
    again = text(lambda x: np.exp(x - x.max(1, keepdims=True)).cumsum(1), x)
    assert again.count("!nontemporal") <= 1


def test_others_see_it_at_once():
    x = np.zeros((3000, 3000), "float32")
    f = cv.jit(lambda x: x + 1)
    for k in range(20):
        y = f(x + k)
        assert float(cv.jit(np.sum)(y)) == (k + 1) * x.size
