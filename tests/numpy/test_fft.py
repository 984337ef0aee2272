"""Fourier transforms against NumPy's, and their derivatives."""

import os
import threading

import numpy as onp
import pytest

import covector as cv
import covector.numpy as np
from covector import lax

TOLERANCE = {"complex64": 3e-6, "complex128": 1e-14}
NORMS = (None, "backward", "ortho", "forward")
# Powers of two, products of small primes, primes, and one beyond those with a pass of their own.
LENGTHS = (1, 2, 3, 4, 7, 12, 13, 30, 64, 101, 360, 1009)
# What a transform takes: real numbers, or complex ones.
ONE = {"fft": "c", "ifft": "c", "rfft": "f", "irfft": "c", "hfft": "c", "ihfft": "f"}
MANY = {name + k: kind for name, kind in list(ONE.items())[:4] for k in ("2", "n")}


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def sample(*shape, kind="c", dtype="complex128"):
    rng = onp.random.default_rng(shape)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind == "c" else 0)
    return x.astype(dtype if kind == "c" else onp.zeros(1, dtype).real.dtype)


def check(got, want, dtype="complex128"):
    """Equal up to so much of the largest."""
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    scale = onp.abs(want).max(initial=1e-300)
    onp.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", ONE)
def test_every_length(name, dtype):
    for n in LENGTHS:
        if name in ("irfft", "hfft"):
            x = sample(3, n // 2 + 1, dtype=dtype)
            check(getattr(np.fft, name)(x, n), getattr(onp.fft, name)(x, n), dtype)
        else:
            x = sample(3, n, kind=ONE[name], dtype=dtype)
            check(getattr(np.fft, name)(x), getattr(onp.fft, name)(x), dtype)
            check(cv.jit(getattr(np.fft, name))(x[0]), getattr(onp.fft, name)(x[0]), dtype)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE)
def test_axes_sizes_and_norms(name, norm):
    x = sample(4, 5, 6, kind=ONE[name])
    for axis in (0, 1, -1, -3):
        for n in (None, 3, 4, 9):
            got = getattr(np.fft, name)(x, n, axis, norm)
            check(got, getattr(onp.fft, name)(x, n, axis, norm))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", MANY)
def test_several_axes(name, norm):
    x = sample(4, 5, 6, kind=MANY[name])
    ours, theirs = getattr(np.fft, name), getattr(onp.fft, name)
    check(ours(x, norm=norm), theirs(x, norm=norm))
    for axes in ((0, 2), (2, 0), (1, 0), (-1, 1)):
        check(ours(x, axes=axes, norm=norm), theirs(x, axes=axes, norm=norm))
        check(ours(x, (3, 8), axes, norm), theirs(x, (3, 8), axes, norm))
        check(
            cv.jit(lambda x, a=axes: ours(x, axes=a, norm=norm))(x), theirs(x, axes=axes, norm=norm)
        )


def test_more_axes_than_a_call_takes():
    for name in ("fftn", "ifftn", "rfftn", "irfftn"):
        x = sample(2, 3, 4, 3, 5, kind=MANY[name])
        for axes in ((0, 1, 2, 3), (4, 0, 3, 1), None):
            check(getattr(np.fft, name)(x, axes=axes), getattr(onp.fft, name)(x, axes=axes))


def test_lines_of_tasks():
    """Work that is cut up among axes, and lines that share a task."""
    for shape, axis in (((2, 300, 700), 1), ((5000, 64), 1), ((64, 5000), 0), ((3, 40000), 0)):
        for name in ("fft", "rfft"):
            x = sample(*shape, kind=ONE[name], dtype="complex64")
            check(
                getattr(np.fft, name)(x, axis=axis),
                getattr(onp.fft, name)(x, axis=axis),
                "complex64",
            )
            back = getattr(np.fft, "i" + name)(
                getattr(onp.fft, name)(x, axis=axis), shape[axis], axis
            )
            check(back, x, "complex64")


@pytest.mark.parametrize(
    "dtype", ["bool", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
)
def test_real_numbers_become_complex(dtype):
    x = np.array([0, 1, 1, 0, 1], dtype)
    want = "complex128" if dtype in ("int64", "float64") else "complex64"
    for name in ("fft", "ifft", "rfft", "fft2"):
        got = getattr(np.fft, name)(x[None])
        assert got.dtype == want
        check(got, getattr(onp.fft, name)(onp.asarray(x, "float64")[None]).astype(want), want)


def test_kinds_by_name_and_by_member():
    x = sample(2, 3, 4)
    for kind in lax.FftType:
        y = x.real if kind is lax.FftType.RFFT else x
        lengths = (3, 6) if kind is lax.FftType.IRFFT else (3, 4)
        want = getattr(onp.fft, kind.name.lower() + "n")(y, lengths, (1, 2))
        for given in (kind, kind.name, kind.name.lower()):
            check(lax.fft(y, given, lengths), want)


def test_frequencies():
    for n in (1, 2, 5, 8):
        check(np.fft.fftfreq(n, 0.1) + 0j, onp.fft.fftfreq(n, 0.1) + 0j)
        check(np.fft.rfftfreq(n, 0.1) + 0j, onp.fft.rfftfreq(n, 0.1) + 0j)
    assert np.fft.fftfreq(4, dtype="float32").dtype == "float32"
    assert cv.grad(lambda d: np.fft.fftfreq(4, d)[1])(0.5) == -1.0
    for shape in ((5,), (4, 5), (2, 3, 4)):
        x = onp.arange(onp.prod(shape)).reshape(shape)
        for axes in (None, 0, -1, (0, -1) if len(shape) > 1 else (0,)):
            for name in ("fftshift", "ifftshift"):
                got = getattr(np.fft, name)(x, axes)
                onp.testing.assert_array_equal(got, getattr(onp.fft, name)(x, axes))


def test_infinities_and_nan_stay_where_they_belong():
    x = onp.array([onp.inf, 1.0, 2.0])
    got, want = np.fft.rfft(x, norm="ortho"), onp.fft.rfft(x, norm="ortho")
    onp.testing.assert_array_equal(onp.isfinite(onp.asarray(got).real), onp.isfinite(want.real))
    rows = onp.stack([onp.full(8, onp.nan), onp.ones(8)])
    got = onp.asarray(np.fft.fft(rows))
    assert onp.isnan(got[0]).all() and got[1].tolist() == [8] + [0] * 7


def test_empty_batches_and_empty_axes():
    assert np.fft.fft(np.zeros((0, 4))).shape == (0, 4)
    assert np.fft.rfftn(np.zeros((3, 0, 4)), axes=(0, 2)).shape == (3, 0, 3)
    assert np.fft.fft(np.zeros((2, 0)), 4).tolist() == [[0] * 4] * 2
    assert np.fft.fftn(np.float64(2.0), axes=()).tolist() == 2.0
    for f in (np.fft.fft, np.fft.rfft, np.fft.irfft, np.fft.ifft):
        with pytest.raises(ValueError, match="must be positive"):
            f(np.zeros((2, 0)))


def test_derivatives():
    """Of functions of real numbers through every kind, against differences, to second order."""
    x = sample(3, 4, kind="f")

    def f(x):
        y = np.fft.rfft2(x) * np.fft.rfft2(x**2, norm="ortho")
        z = np.fft.irfft(y, 5, norm="forward")
        return (np.abs(np.fft.ifftn(np.fft.fft(z, axis=0))) ** 2).sum() + np.fft.hfft(y[0])[1]

    v = sample(3, 4, kind="f")
    v /= onp.linalg.norm(v)
    g, h = cv.grad(f), 1e-5
    slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
    onp.testing.assert_allclose((g(x) * v).sum(), slope, rtol=1e-7)
    onp.testing.assert_allclose(cv.jvp(f, (x,), (v,))[1], slope, rtol=1e-7)
    curve = (g(x + h * v) - g(x - h * v)) / (2 * h)
    onp.testing.assert_allclose(cv.jvp(g, (x,), (v,))[1], curve, rtol=1e-6, atol=1e-6)


def test_batches_are_loops():
    x = sample(3, 4, 5)
    for name in ONE:
        f = getattr(np.fft, name)
        y = x.real if ONE[name] == "f" else x
        for axis in (0, 1, 2):
            got = cv.vmap(f, in_axes=axis, out_axes=axis)(y)
            want = onp.stack([f(onp.take(y, i, axis)) for i in range(y.shape[axis])], axis)
            check(got, want)


def test_results_do_not_depend_on_threads():
    x = sample(300, 700, dtype="complex64")
    want = onp.asarray(np.fft.fft2(x))
    got = [None] * 6

    def run(i):
        got[i] = onp.asarray(np.fft.fft2(x + 0))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for g in got:
        onp.testing.assert_array_equal(g, want)


def test_after_fork():
    """Plans are shared by threads: none of them is held by a thread that a child has not."""
    x = sample(64, 33)
    stop = threading.Event()

    def busy():
        n = 8
        while not stop.is_set():
            np.fft.fft(x, n := n % 200 + 1)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                ok = onp.allclose(np.fft.fft(x, 77), onp.fft.fft(x, 77))
                os._exit(0 if ok else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


ERRORS = {
    "norm": (lambda x: np.fft.fft(x, norm="max"), ValueError, ["'ortho'", "'max'"]),
    "n": (lambda x: np.fft.fft(x, 0), ValueError, ["positive", "0"]),
    "axis": (lambda x: np.fft.fft(x, axis=3), ValueError, ["axis 3", "out of bounds"]),
    "axes": (lambda x: np.fft.fft2(x, axes=(0, 5)), ValueError, ["axes 5"]),
    "repeated": (lambda x: np.fft.fftn(x, axes=(1, 1)), ValueError, ["duplicate", "(1, 1)"]),
    "sizes": (lambda x: np.fft.fftn(x, (2, 2), (0,)), ValueError, ["2 sizes", "1 axes"]),
    "too many": (lambda x: np.fft.fftn(x, (2, 2, 2)), ValueError, ["3 sizes", "2 dimensions"]),
    "vector": (lambda x: np.fft.fft2(x[0]), ValueError, ["axes -2", "out of bounds"]),
    "complex": (lambda x: np.fft.rfft(x), TypeError, ["rfft", "complex128[2,4]"]),
    "kind": (lambda x: lax.fft(x, "DCT", (4,)), ValueError, ["FFT, IFFT", "'DCT'"]),
    "lengths": (lambda x: lax.fft(x, "FFT", (5,)), ValueError, ["(5,)", "complex128[2,4]"]),
    "rank": (lambda x: lax.fft(x, "FFT", (1, 2, 4)), ValueError, ["3 lengths", "2 dimensions"]),
    "none": (lambda x: lax.fft(x, "FFT", ()), ValueError, ["one to 3 axes"]),
    "dtype": (lambda x: lax.fft(x.real, "FFT", (4,)), TypeError, ["complex64", "float64[2,4]"]),
    "half": (lambda x: lax.fft(x, "IRFFT", (8,)), ValueError, ["(5,)"]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, error, parts = ERRORS[name]
    for f in (call, cv.jit(call)):
        with pytest.raises(error) as e:
            f(np.array(sample(2, 4)))
        for part in parts:
            assert part in str(e.value)
