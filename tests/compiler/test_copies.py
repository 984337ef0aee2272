"""Many elements merged into few places: tasks do so into copies."""

import os
import subprocess
import sys
import textwrap

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np

N = 200_000


@pytest.fixture(autouse=True)
def wide():
    with cv.enable_x64(True):
        yield


def drawn(dtype, *shape):
    x = onp.random.default_rng(1).standard_normal(shape)
    if dtype.startswith("complex"):
        x = x + 1j * onp.random.default_rng(2).standard_normal(shape)
    return (x * 5).astype(dtype) if dtype.startswith(("int", "uint")) else x.astype(dtype)


UFUNCS = {"add": onp.add, "multiply": onp.multiply, "max": onp.maximum, "min": onp.minimum}
DTYPES = ["int8", "int32", "uint16", "int64", "float32", "float64", "complex64", "complex128"]
CASES = [(n, t) for n in UFUNCS for t in DTYPES if n in ("add", "multiply") or t[0] != "c"]


@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("places", [1, 7, 1000])
def test_values(name, dtype, places):
    index = onp.random.default_rng(0).integers(-2, places + 2, N)
    base, x = drawn(dtype, places), drawn(dtype, N)
    if name == "multiply" and dtype[0] in "fc":
        x = 1 + x / N
    f = cv.jit(lambda b, i, x: getattr(b.at[i], name)(x, mode="drop", wrap_negative_indices=False))
    assert "tasks copies" in f.lower(base, index, x).compile().as_text("schedule")
    got = onp.asarray(f(base, index, x))
    exact = {"float32": "float64", "complex64": "complex128"}.get(dtype, dtype)
    want = base.astype(exact)
    kept = (index >= 0) & (index < places)
    with onp.errstate(all="ignore"):
        UFUNCS[name].at(want, index[kept], x[kept].astype(exact))
    if dtype[0] in "iu":
        onp.testing.assert_array_equal(got, want)
    else:
        error = 3e-4 if got.dtype.itemsize <= (8 if dtype[0] == "c" else 4) else 1e-11
        onp.testing.assert_allclose(got, want, rtol=error, atol=error * abs(want).max())


def test_rows():
    index = onp.random.default_rng(3).integers(0, 50, 20_000)
    x = drawn("float64", 20_000, 9)
    f = cv.jit(lambda i, x: np.zeros((50, 9)).at[i].add(x))
    want = onp.zeros((50, 9))
    onp.add.at(want, index, x)
    onp.testing.assert_allclose(f(index, x), want, rtol=1e-11, atol=1e-11)


def test_two_indices():
    i, j = onp.random.default_rng(4).integers(0, 30, (2, N))
    f = cv.jit(lambda i, j: np.zeros((30, 30), int).at[i, j].add(1))
    want = onp.zeros((30, 30), int)
    onp.add.at(want, (i, j), 1)
    onp.testing.assert_array_equal(f(i, j), want)


def test_numbers_at_the_edge():
    """Zeros keep their sign, and what is no number stays in its place."""
    base = np.array([-0.0, 0.0, 1.0, -0.0, 2.0], "float32")
    index = onp.full(N, 2)
    x = onp.zeros(N, "float32")
    index[:5] = [1, 1, 3, 4, 4]
    x[:5] = [-0.0, -0.0, -0.0, onp.inf, -onp.inf]
    got = onp.asarray(cv.jit(lambda b, i, x: b.at[i].add(x))(base, index, x))
    onp.testing.assert_array_equal(got, onp.array([-0.0, 0.0, 1.0, -0.0, onp.nan], "float32"))
    onp.testing.assert_array_equal(onp.signbit(got[:4]), [True, False, False, True])


def test_derivatives():
    index = onp.random.default_rng(5).integers(0, 100, N)
    x = drawn("float64", 100)
    got = cv.jit(cv.grad(lambda x: (x[index] ** 2).sum()))(x)
    onp.testing.assert_allclose(got, 2 * x * onp.bincount(index, minlength=100), rtol=1e-10)


def test_a_donated_base():
    index = onp.random.default_rng(6).integers(0, 100, N)
    f = cv.jit(lambda b: b.at[index].add(1.0), donate_argnums=0)
    got = f(np.ones(100))
    onp.testing.assert_array_equal(got, 1 + onp.bincount(index, minlength=100))


def test_results_do_not_depend_on_threads():
    code = textwrap.dedent("""
        import numpy as onp, covector as cv, covector.numpy as np
        r = onp.random.default_rng(0)
        i, x = r.integers(0, 1000, 500_000), r.standard_normal(500_000).astype("float32")
        print(onp.asarray(cv.jit(lambda: np.zeros(1000).at[i].add(x))()).tobytes().hex())
    """)
    found = set()
    for threads in ("1", "2", "3"):
        env = {**os.environ, "COVECTOR_NUM_THREADS": threads}
        found.add(subprocess.run([sys.executable, "-c", code], env=env, check=True,
                                 capture_output=True).stdout)  # fmt: skip
    assert len(found) == 1
