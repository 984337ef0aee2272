"""Results do not depend on the number of threads, to the last bit."""

import os
import subprocess
import sys

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import _native, lax

R = onp.random.default_rng(0)
LONG = R.normal(size=1_000_003).astype("float32")
WIDE = R.normal(size=(700, 1001)).astype("float32")
SQUARE = R.normal(size=(600, 600)).astype("float32")
AT = R.integers(0, 1000, LONG.size)
STEP = R.normal(size=(300, 300)).astype("float32") / 20

IMAGES = R.normal(size=(4, 60, 50, 16)).astype("float32")
KERNEL = R.normal(size=(3, 3, 16, 24)).astype("float32")


def convolved(x, k):
    return lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


PROGRAMS = {
    "sum": lambda: np.sum(LONG),
    "sum of products": lambda: np.dot(LONG, LONG[::-1]),
    "mean and variance": lambda: (np.mean(LONG), np.var(LONG)),
    "sums of columns": lambda: np.sum(np.exp(WIDE), axis=0),
    "sums of rows": lambda: np.sum(np.exp(WIDE), axis=1),
    "softmax": lambda: cv.nn.softmax(WIDE, axis=1),
    "logsumexp": lambda: cv.nn.logsumexp(WIDE, axis=0),
    "running sum": lambda: np.cumsum(LONG),
    "argmax": lambda: np.argmax(WIDE, axis=0),
    "sort": lambda: np.sort(LONG),
    "product": lambda: np.asarray(SQUARE) @ SQUARE,
    "transposed product": lambda: np.asarray(SQUARE).T @ WIDE[:600],
    "batch of products": lambda: np.einsum("bij,bjk->bik", *SQUARE.reshape(2, 50, 60, 60)),
    "product of float64": lambda: np.asarray(SQUARE.astype("float64")) @ SQUARE,
    "sums into few": lambda: np.zeros(1000).at[AT].add(LONG),
    "normal": lambda: cv.random.normal(cv.random.key(1), (1_000_003,)),
    "permutation": lambda: cv.random.permutation(cv.random.key(1), 100_000),
    "gradient": lambda: cv.grad(lambda x: np.sum(np.tanh(x @ SQUARE) ** 2))(SQUARE),
    "convolution": lambda: convolved(IMAGES, KERNEL),
    "gradients of a convolution": lambda: cv.grad(
        lambda x, k: np.sum(convolved(x, k) ** 2), (0, 1)
    )(IMAGES, KERNEL),
    "transform": lambda: np.fft.fft2(WIDE),
    "loop": lambda: lax.fori_loop(0, 5, lambda i, x: np.tanh(x @ STEP) / np.sum(x), STEP),
}


@pytest.fixture
def restored():
    threads = _native.num_threads()
    yield
    _native.set_num_threads(threads)


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_do_not_depend_on_threads(name, restored):
    with cv.enable_x64():
        f = cv.jit(PROGRAMS[name])
        results = []
        for n in (1, 2, 5):
            _native.set_num_threads(n)
            results.append([onp.asarray(x).tobytes() for x in cv.tree.leaves(f())])
    assert results[0] == results[1] == results[2]


BLAS = """
import numpy as onp
from threadpoolctl import threadpool_info
import covector as cv, covector.numpy as np
def threads():
    return [p["num_threads"] for p in threadpool_info() if p["internal_api"] == "openblas"]
x = onp.random.default_rng(0).normal(size=(600, 600))
with cv.enable_x64():
    np.ones((70, 70)) @ np.ones((70, 70))
    before = threads()
    cv._native.set_num_threads(2)
    y, (q, r) = np.asarray(x) @ x, np.linalg.qr(np.asarray(x))
    onp.testing.assert_allclose(y, x @ x, 1e-9, 1e-9)
    onp.testing.assert_allclose(onp.asarray(q) @ r, x, 1e-9, 1e-9)
assert before and threads() == before, (before, threads())
print("the same")
"""


def test_threads_of_blas_are_left_as_they_were():
    """Covector's own threads call it, each of them without further ones."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl, which counts them, is missing")
    done = subprocess.run(
        [sys.executable, "-c", BLAS], env={**os.environ, "OPENBLAS_NUM_THREADS": "2"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "the same\n", done.stderr
