"""Cosine transforms against SciPy's."""

import itertools

import numpy as onp
import pytest
import scipy.fft

import covector as cv
import covector.numpy as np
from covector.scipy import fft

RNG = onp.random.default_rng(0)
TYPES, NORMS = (1, 2, 3, 4), (None, "backward", "ortho", "forward")


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def close(got, want, tolerance=1e-13):
    got = onp.asarray(got)
    assert got.shape == want.shape and got.dtype == want.dtype
    scale = onp.abs(want).max(initial=1)
    onp.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", ["dct", "idct"])
@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("norm", NORMS)
def test_along_an_axis(name, type_, norm):
    ours, theirs = getattr(fft, name), getattr(scipy.fft, name)
    for n in (1, 2, 3, 4, 5, 8, 13, 30):
        if type_ == 1 and n == 1:
            continue
        x = RNG.normal(size=(3, n))
        close(ours(x, type_, norm=norm), theirs(x, type_, norm=norm))
        close(cv.jit(lambda x: ours(x, type_, norm=norm))(x), theirs(x, type_, norm=norm))
    x = RNG.normal(size=(4, 5, 6))
    # What a norm makes of sizes is seen above.
    for axis, n in itertools.product((0, 1, -1), (None, 3, 9) if norm is None else (3,)):
        close(ours(x, type_, n, axis, norm), theirs(x, type_, n, axis, norm))
        single = x.astype("float32")
        close(ours(single, type_, n, axis, norm), theirs(single, type_, n, axis, norm), 1e-5)


@pytest.mark.parametrize("name", ["dctn", "idctn"])
@pytest.mark.parametrize("norm", NORMS)
def test_along_axes(name, norm):
    ours, theirs = getattr(fft, name), getattr(scipy.fft, name)
    x = RNG.normal(size=(4, 5, 6))
    for type_, axes in itertools.product(TYPES, (None, (0,), (2, 0), (-1, 1))):
        close(ours(x, type_, axes=axes, norm=norm), theirs(x, type_, axes=axes, norm=norm))
    close(ours(x, 2, (3, 8), norm=norm), theirs(x, 2, (3, 8), norm=norm))


@pytest.mark.parametrize("type_", TYPES)
def test_derivatives_and_batches(type_):
    """The transform is linear: its transpose is its matrix turned over."""
    x, ct = RNG.normal(size=(2, 6)), RNG.normal(size=(2, 6))
    matrix = scipy.fft.dct(onp.eye(6), type_, axis=0)
    y, pull = cv.vjp(lambda x: fft.dct(x, type_), x)
    close(pull(ct)[0], ct @ matrix)
    close(cv.jvp(lambda x: fft.dct(x, type_), (x,), (ct,))[1], ct @ matrix.T)
    close(cv.vmap(lambda x: fft.dct(x, type_))(x), onp.asarray(y))
    close(cv.vmap(lambda x: fft.dct(x, type_), 1, 1)(x.T), onp.asarray(y).T)
    g = cv.grad(lambda x: cv.grad(lambda x: (fft.dct(x, type_) ** 3).sum())(x).sum())(x)
    close(g, 6 * (x @ matrix.T * onp.sum(matrix, 1)) @ matrix, 1e-12)


def test_dtypes():
    for dtype, want in (("int32", "float32"), ("float16", "float32"), ("float64", "float64")):
        assert fft.dct(np.ones(4, dtype)).dtype == want


@pytest.mark.parametrize("name", fft.__all__)
def test_errors(name):
    f, x = getattr(fft, name), np.ones((3, 4))
    for call, error, text in (
        (lambda: f(x, 5), ValueError, "type must be 1, 2, 3 or 4, got 5"),
        (lambda: f(x, norm="max"), ValueError, "norm must be one of"),
        (lambda: f(x + 1j), TypeError, "real numbers"),
        (lambda: f(x[:, :0]), ValueError, "must be positive"),
        (lambda: f(x[:1, :1], 1), ValueError, "two points"),
    ):
        with pytest.raises(error, match=text):
            call()
