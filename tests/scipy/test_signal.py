"""Signal processing against SciPy's."""

import itertools

import numpy as onp
import pytest
import scipy.signal

import covector as cv
import covector.numpy as np
from covector.scipy import signal

RNG = onp.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:Input data is complex")
MODES = ("full", "same", "valid")


@pytest.fixture(autouse=True)
def x64():
    with cv.enable_x64():
        yield


def number(kind, *shape):
    if kind == "i":
        return RNG.integers(-5, 6, shape)
    x = RNG.normal(size=shape)
    return x + 1j * RNG.normal(size=shape) if kind == "c" else x


def close(got, want, tolerance=1e-12):
    got, want = onp.asarray(got), onp.asarray(want)
    assert got.shape == want.shape and got.dtype.kind == want.dtype.kind
    scale = onp.abs(want).max(initial=1)
    onp.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)


SHAPES = [
    ((7,), (3,)), ((3,), (7,)), ((6,), (4,)), ((4,), (4,)), ((5, 6), (2, 3)), ((5, 6), (3, 2)),
    ((2, 3), (5, 6)), ((3, 4, 5), (2, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("kind", "rci")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions(name, mode, kind):
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    for a, b in SHAPES:
        x, y = number(kind, *a), number(kind, *b)
        want = theirs(x, y, mode, "direct")
        for method in ("auto", "direct", "fft"):
            close(ours(x, y, mode, method), want)
        close(cv.jit(lambda x, y: ours(x, y, mode))(x, y), want)
        many = onp.stack([x, -x])
        close(cv.vmap(lambda x, y=y: ours(x, y, mode))(many), onp.stack([want, -want]))


@pytest.mark.parametrize("kind", "rc")
@pytest.mark.parametrize("mode", MODES)
def test_convolutions_by_transforms(mode, kind):
    for a, b in SHAPES:
        x, y = number(kind, *a), number(kind, *b)
        close(signal.fftconvolve(x, y, mode), scipy.signal.fftconvolve(x, y, mode))
    x, y = number(kind, 3, 8, 5), number(kind, 1, 4, 5)
    for axes in ((1,), (-2,), (1, 0)):
        want = scipy.signal.fftconvolve(x, y, mode, axes)
        close(signal.fftconvolve(x, y, mode, axes), want)


@pytest.mark.parametrize("kind", "rci")
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_two_dimensions(name, kind):
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    for (a, b), mode in itertools.product(SHAPES[4:7], MODES):
        x, y = number(kind, *a), number(kind, *b)
        for boundary, fill in (("fill", 0), ("fill", 3), ("wrap", 0), ("symm", 0)):
            if a < b and boundary != "fill":
                continue  # SciPy reflects more than once
            want = theirs(x, y, mode, boundary, fill)
            if name == "correlate2d" and mode == "valid" and a < b:
                want = want.conj()  # SciPy conjugates the wrong one of those that it exchanges
            close(ours(x, y, mode, boundary, fill), want)


@pytest.mark.parametrize("name", ["convolve", "correlate", "fftconvolve"])
def test_gradients_of_convolutions(name):
    x, y, v = number("r", 9), number("r", 4), number("r", 9)

    def f(x):
        return (getattr(signal, name)(x, y, "same") ** 2).sum()

    h = 1e-5
    slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
    onp.testing.assert_allclose((cv.grad(f)(x) * v).sum(), slope, rtol=1e-8)


def test_trends():
    x = number("r", 3, 50, 2)
    for kind, breaks, axis in itertools.product(("linear", "constant"), (0, [10, 30]), (0, 1, -1)):
        if axis != 1 and breaks:
            continue
        want = scipy.signal.detrend(x, axis, kind, breaks)
        close(signal.detrend(x, axis, kind, breaks), want)
    assert signal.detrend(np.zeros((3, 0))).shape == (3, 0)
    assert signal.detrend(np.ones((3, 1), "float32")).tolist() == [[0.0]] * 3


SEGMENTS = {
    "short": {"nperseg": 32},
    "odd": {"nperseg": 33, "noverlap": 7, "nfft": 50},
    "boxcar": {"window": "boxcar", "nperseg": 64, "scaling": "spectrum"},
    "median": {"nperseg": 40, "average": "median", "detrend": "linear"},
    "numbers": {"window": onp.hamming(25), "detrend": False, "return_onesided": False},
    "apart": {"nperseg": 30, "noverlap": 0},
    "kaiser": {"window": ("kaiser", 4.0), "nperseg": 50},
    "whole": {"nperseg": 300},
}


@pytest.mark.parametrize("kind", "rc")
@pytest.mark.parametrize("form", SEGMENTS)
def test_power_spectra(form, kind):
    options = SEGMENTS[form]
    x, y = number(kind, 2, 3, 300), number("r", 2, 3, 280)
    for got, want in (
        (signal.welch(x, 2.5, **options), scipy.signal.welch(x, 2.5, **options)),
        (signal.csd(x, y, 2.5, **options), scipy.signal.csd(x, y, 2.5, **options)),
        (
            signal.csd(x[0].T, y[0].T, 2.5, axis=0, **options),
            scipy.signal.csd(x[0].T, y[0].T, 2.5, axis=0, **options),
        ),
    ):
        for a, b in zip(got, want, strict=True):
            close(a, b)


SHORT = {
    "default": {},
    "short": {"nperseg": 32},
    "odd": {"nperseg": 33, "noverlap": 7, "nfft": 50},
    "alone": {"window": "boxcar", "nperseg": 64, "boundary": None},
    "even": {"nperseg": 40, "boundary": "even", "padded": False},
    "odd reflection": {"nperseg": 40, "boundary": "odd"},
    "constant": {"nperseg": 41, "boundary": "constant", "return_onesided": False},
    "apart": {"nperseg": 30, "noverlap": 0, "boundary": None, "padded": False},
}


@pytest.mark.parametrize("kind", "rc")
@pytest.mark.parametrize("form", SHORT)
def test_short_time_transforms(form, kind):
    options = SHORT[form]
    for axis in (-1, 1):
        x = onp.moveaxis(number(kind, 2, 3, 300), -1, axis)
        got = signal.stft(x, 2.5, axis=axis, **options)
        want = scipy.signal.stft(x, 2.5, axis=axis, **options)
        for a, b in zip(got, want, strict=True):
            close(a, b)


@pytest.mark.parametrize("kind", "rc")
@pytest.mark.parametrize(
    "options",
    [{"nperseg": 32}, {"nperseg": 33, "noverlap": 20},
     {"nperseg": 40, "noverlap": 30, "nfft": 64}, {"nperseg": 41}],
)  # fmt: skip
def test_inverses(options, kind):
    x = number(kind, 2, 3, 300)
    z = scipy.signal.stft(x, 2.5, **options)[2]
    sided = {"input_onesided": kind == "r"}
    want = scipy.signal.istft(z, 2.5, **options, **sided)[1]
    times, got = signal.istft(z, 2.5, **options, **sided)
    close(got, want)
    close(got[..., :300], x)
    close(times, onp.arange(want.shape[-1]) / 2.5)
    moved = onp.moveaxis(z, (-1, -2), (0, 2))
    axes = {"time_axis": 0, "freq_axis": 2}
    want = scipy.signal.istft(moved, 2.5, **options, **sided, **axes)[1]
    close(signal.istft(moved, 2.5, **options, **sided, **axes)[1], want)


def test_gradient_of_a_spectrogram():
    x, v = number("r", 200), number("r", 200)

    def f(x):
        return np.log1p(np.abs(signal.stft(x, nperseg=32)[2]) ** 2).sum()

    h = 1e-5
    slope = (f(x + h * v) - f(x - h * v)) / (2 * h)
    onp.testing.assert_allclose((cv.grad(f)(x) * v).sum(), slope, rtol=1e-7)
    many = onp.stack([x, v])
    close(cv.vmap(f)(many), [f(x), f(v)])


X = onp.ones(20)
ERRORS = {
    "rank": (lambda: signal.convolve(X, X[None]), "one rank"),
    "mode": (lambda: signal.convolve(X, X, "all"), "mode must be one of 'full', 'same', 'valid'"),
    "method": (lambda: signal.correlate(X, X, method="fast"), "method must be one of"),
    "valid": (lambda: signal.convolve(X.reshape(4, 5), X.reshape(5, 4), "valid"), "at least as"),
    "vectors": (lambda: signal.convolve2d(X, X), "matrices"),
    "boundary": (lambda: signal.convolve2d(X[None], X[None], boundary="all"), "boundary must be"),
    "axes": (lambda: signal.fftconvolve(X, X, axes=(1,)), "out of bounds"),
    "type": (lambda: signal.detrend(X, type="cubic"), "'linear' or 'constant', got 'cubic'"),
    "breaks": (lambda: signal.detrend(X, bp=[30]), "between 0 and 20"),
    "overlap": (lambda: signal.welch(X, nperseg=8, noverlap=8), "noverlap must be less"),
    "points": (lambda: signal.welch(X, nperseg=8, nfft=4), "nfft must be"),
    "segment": (lambda: signal.stft(X, nperseg=0), "nperseg must be positive"),
    "scaling": (lambda: signal.welch(X, nperseg=8, scaling="log"), "scaling must be"),
    "average": (lambda: signal.csd(X, X, nperseg=8, average="mode"), "average must be"),
    "trend": (lambda: signal.stft(X, nperseg=8, detrend="cubic"), "detrend must be"),
    "ends": (lambda: signal.stft(X, nperseg=8, boundary="wrap"), "boundary must be one of"),
    "window": (lambda: signal.welch(X, window=onp.ones((2, 2))), "window must be a vector"),
    "long window": (lambda: signal.welch(X, window=onp.ones(30)), "more than the 20 samples"),
    "nothing": (lambda: signal.welch(X[:0]), "without samples"),
    "same axes": (lambda: signal.istft(onp.ones((3, 4)), time_axis=0, freq_axis=0), "both 0"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=text):
        call()
    with pytest.raises(NotImplementedError, match="overwrite_data"):
        signal.detrend(X, overwrite_data=True)
