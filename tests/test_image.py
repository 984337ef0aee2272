"""Resized images: against sums written down, against JAX, and under transformations."""

import numpy as np
import pytest

import covector as cv
import covector.numpy as cnp
from covector import image
from covector.image import ResizeMethod, resize, scale_and_translate

R = np.random.RandomState(0)
METHODS = ("nearest", "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5", "area")
SMOOTH = METHODS[1:]
X = R.rand(6, 8, 2).astype(np.float32)
SHAPES = ((7, 9, 2), (13, 4, 2), (5, 5, 2), (2, 30, 2), (1, 1, 2), (6, 8, 2))


def lanczos(radius):
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


def keys(x):
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


KERNELS = {
    "linear": lambda x: np.maximum(0, 1 - x),
    "cubic": keys,
    "lanczos3": lanczos(3),
    "lanczos5": lanczos(5),
}


def weights(size, out, kernel, antialias):
    """The matrix of one axis, by the definition."""
    step = size / out
    centre = (np.arange(out) + 0.5) * step - 0.5
    wide = max(step, 1) if antialias else 1
    w = kernel(np.abs(centre[:, None] - np.arange(size)) / wide)
    return w / w.sum(1, keepdims=True)


def test_every_name_is_here():
    assert image.__all__ == ["ResizeMethod", "resize", "scale_and_translate"]


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", KERNELS)
def test_definition(method, antialias):
    with cv.enable_x64():
        x = X.astype(float)
        for shape in SHAPES:
            a = weights(6, shape[0], KERNELS[method], antialias) if shape[0] != 6 else np.eye(6)
            b = weights(8, shape[1], KERNELS[method], antialias) if shape[1] != 8 else np.eye(8)
            want = np.einsum("ai,bj,ijk->abk", a, b, x)
            np.testing.assert_allclose(resize(x, shape, method, antialias), want, 1e-11, 1e-12)
            run = cv.jit(lambda x, shape=shape: resize(x, shape, method, antialias))
            np.testing.assert_allclose(run(x), want, 1e-11, 1e-12)


def test_means_and_nearest():
    x = np.arange(6.0) ** 2
    np.testing.assert_allclose(resize(x, (3,), "area"), [0.5, 6.5, 20.5])
    np.testing.assert_allclose(resize(x, (4,), "area"), [1 / 3, 3, 34 / 3, 22], 1e-6)
    np.testing.assert_allclose(resize(x, (9,), "area")[:3], [0, 0.5, 1], 1e-6)
    np.testing.assert_array_equal(resize(x, (3,), "nearest"), x[1::2])
    np.testing.assert_array_equal(resize(x, (12,), "nearest"), np.repeat(x, 2))
    # Great reductions go by products of matrices.
    y = R.rand(400, 3).astype(np.float32)
    np.testing.assert_allclose(resize(y, (4, 3), "area"), y.reshape(4, 100, 3).mean(1), 1e-5)
    want = weights(400, 4, KERNELS["lanczos3"], True) @ y
    np.testing.assert_allclose(resize(y, (4, 3), "lanczos3"), want, 1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_transformed(method):
    with cv.enable_x64():
        x = X.astype(float)
        run = cv.jit(lambda x: resize(x, (9, 5, 2), method))
        want = np.asarray(run(x))
        batch = np.stack([x, 2 * x, 0 * x])
        np.testing.assert_allclose(cv.vmap(run)(batch), [want, 2 * want, 0 * want], 1e-12)
        pull, push = R.rand(9, 5, 2), R.rand(6, 8, 2)
        back = cv.grad(lambda x: cnp.sum(run(x) * pull))(x)
        np.testing.assert_allclose(np.sum(np.asarray(back) * push), np.sum(run(push) * pull), 1e-10)
    for dtype in (np.float16, cnp.bfloat16, np.float32):
        got = resize(cnp.asarray(X, dtype), (9, 5, 2), method)
        assert got.dtype == dtype
    assert resize(X.astype(np.int32), (9, 5, 2), method).dtype == (
        np.int32 if method == "nearest" else np.float32
    )
    assert resize(X, (0, 5, 2), method).shape == (0, 5, 2)
    assert resize(X[:, :, :0], (3, 5, 0), method).shape == (3, 5, 0)


@pytest.mark.parametrize("method", SMOOTH)
def test_scale_and_translate(method):
    """A traced scale gives what a known one gives; whole shifts move pixels."""
    scale, shift = np.array([0.7, 1.9], np.float32), np.array([1.3, -0.6], np.float32)
    for antialias in (True, False):
        for shape in SHAPES:
            known = scale_and_translate(X, shape, (0, 1), scale, shift, method, antialias)
            traced = cv.jit(
                lambda s, t, shape=shape, a=antialias: scale_and_translate(
                    X, shape, (0, 1), s, t, method, a
                )
            )(scale, shift)
            np.testing.assert_allclose(known, traced, 2e-4, 2e-5)
    moved = scale_and_translate(X, (6, 8, 2), (0,), np.ones(1), 2 * np.ones(1), method)
    np.testing.assert_allclose(moved[2:], X[:4], 1e-5, 1e-6)
    if method != "cubic-pytorch":
        np.testing.assert_array_equal(moved[:2], np.zeros((2, 8, 2)))
    by = cv.grad(
        lambda t: cnp.sum(
            cnp.square(scale_and_translate(X, (6, 8, 2), (0,), cnp.ones(1), t, method))
        )
    )(np.array([0.3], np.float32))
    assert np.isfinite(by).all() and (by != 0).all()


@pytest.mark.peer
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_as_jax(method, antialias):
    import jax

    # Not compiled, each of their operations is a program of its own.
    known = jax.jit(jax.image.resize, static_argnums=(1, 2, 3))
    theirs = jax.jit(jax.image.scale_and_translate, static_argnums=(1, 2, 5, 6))
    for shape in SHAPES:
        got, want = resize(X, shape, method, antialias), known(X, shape, method, antialias)
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), 1e-4, 2e-5)
        if method != "nearest":
            args = X, shape, (0, 1), np.array([0.7, 1.9], "f"), np.array([1.3, -0.6], "f")
            got = scale_and_translate(*args, method, antialias)
            want = theirs(*args, method, antialias)
            np.testing.assert_allclose(np.asarray(got), np.asarray(want), 1e-4, 2e-5)


def test_bad_input():
    one = np.ones(1)
    for call, error, text in (
        (lambda: resize(X, (3, 3), "linear"), ValueError, "3 dimensions"),
        (lambda: resize(X, (3, 3, 2), "best"), ValueError, "'best'.*bilinear"),
        (lambda: resize(X, (3, 3, 2), 1), TypeError, "ResizeMethod"),
        (lambda: resize(X[:0], (3, 8, 2), "linear"), ValueError, "no pixels"),
        (lambda: resize(X, (-1, 8, 2), "linear"), ValueError, "negative"),
        (lambda: scale_and_translate(X, X.shape, (0,), one, one, "nearest"), ValueError, "nearest"),
        (lambda: scale_and_translate(X, X.shape, (0, 1), one, one, "linear"), ValueError, "number"),
        (lambda: scale_and_translate(X, X.shape, (5,), one, one, "linear"), ValueError, "bounds"),
        (lambda: scale_and_translate(X, (6, 8, 3), (0,), one, one, "linear"), ValueError, "change"),
        (lambda: ResizeMethod.from_string("Linear"), ValueError, "Linear"),
    ):
        with pytest.raises(error, match=text):
            call()
    assert resize(X, (3, 3, 2), ResizeMethod.LINEAR).shape == (3, 3, 2)
