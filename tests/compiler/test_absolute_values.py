"""Absolute values of complex numbers that are compared with a number, by their squares."""

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp

COMPARED = {
    "gt": lambda x, c: x > c,
    "ge": lambda x, c: x >= c,
    "lt": lambda x, c: x < c,
    "le": lambda x, c: x <= c,
}


def numbers(dtype, c):
    """Complex numbers about as large as ``c``, and others that are not usual."""
    real = np.finfo(dtype).dtype
    rng = np.random.default_rng(7)
    angles = rng.uniform(0, 2 * np.pi, 20_000)
    sizes = c * (1 + rng.integers(-3, 4, angles.size) * np.finfo(real).eps)
    near = (sizes * np.exp(1j * angles)).astype(dtype)
    tiny, huge = np.finfo(real).tiny, np.finfo(real).max
    odd = np.array([0, -0.0, np.inf, -np.inf, np.nan, tiny, tiny / 8, huge, -huge, c, -c], real)
    pairs = np.empty((odd.size, odd.size), dtype)
    pairs.real, pairs.imag = odd[:, None], odd
    return np.concatenate([near, pairs.ravel()])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("c", [2.0, 1.0, 0.1, 3.7, 1000.25])
@pytest.mark.parametrize("name", COMPARED)
def test_the_same_as_the_absolute_value(name, c, dtype):
    compare = COMPARED[name]
    with cv.enable_x64(True):
        z = cnp.asarray(numbers(dtype, c))
        sizes = cnp.abs(z)
        bound = cnp.asarray(c, sizes.dtype)
        want = compare(sizes, bound)
        got = cv.jit(lambda z: compare(cnp.abs(z), c))(z)
        turned = cv.jit(lambda z: ~compare(c, cnp.abs(z)))(z)
        np.testing.assert_array_equal(got, want)
        exchanged = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}[name]
        np.testing.assert_array_equal(turned, ~COMPARED[exchanged](sizes, bound))


@pytest.mark.parametrize("c", [0.0, -1.0, np.inf, np.nan, 1e-30, 1e30])
def test_bounds_whose_squares_say_nothing(c):
    z = cnp.asarray(numbers(np.complex64, 2.0))
    np.testing.assert_array_equal(
        cv.jit(lambda z: cnp.abs(z) > c)(z), cnp.abs(z) > cnp.asarray(c, np.float32)
    )


def test_no_square_root():
    program = cv.jit(lambda z: cnp.abs(z) > 2).lower(cv.ShapeDtypeStruct((1000,), np.complex64))
    assert "sqrt" not in program.as_text("llvm")
    program = cv.jit(lambda z: cnp.abs(z) > z.real).lower(
        cv.ShapeDtypeStruct((1000,), np.complex64)
    )
    assert "sqrt" in program.as_text("llvm")
