"""Spectra of signals by Fourier transforms of overlapping segments under a window.

P. D. Welch, "The use of the fast Fourier transform for the estimation of power spectra", IEEE
Transactions on Audio and Electroacoustics 15, 1967; for the inverse D. Griffin and J. Lim, "Signal
estimation from modified short-time Fourier transform", IEEE Transactions on Acoustics, Speech, and
Signal Processing 32, 1984.
"""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axis, scalar
from covector.numpy._util import array, convert, fused, inexact, promote_inexact
from covector.scipy.signal._detrend import without_trend

_BOUNDARIES = (None, "zeros", "even", "odd", "constant")


@dataclass(frozen=True)
class _Segments:
    """How a signal is cut up."""

    length: int
    overlap: int
    points: int  # of the transforms
    window: onp.ndarray

    @property
    def step(self) -> int:
        return self.length - self.overlap


def _windowed(window: Any, length: int | None, size: int) -> tuple[onp.ndarray, int]:
    """Numbers of a window, by name or as they are."""
    if isinstance(window, str) or (isinstance(window, tuple) and isinstance(window[0], str)):
        from scipy.signal import get_window

        n = 256 if length is None else length
        if n > size:
            if length is not None:
                warnings.warn(
                    f"nperseg = {n} is greater than the number of samples, {size}; that is taken",
                    stacklevel=4,
                )
            n = size
        return onp.asarray(get_window(window, n)), n
    values = onp.asarray(window)
    if values.ndim != 1:
        raise ValueError(f"window must be a vector, got shape {values.shape}{at_user_line()}")
    if values.shape[0] > size:
        raise ValueError(
            f"window has {values.shape[0]} elements, more than the {size} samples{at_user_line()}"
        )
    if length is not None and length != values.shape[0]:
        raise ValueError(
            f"nperseg = {length} is not the size of the window, {values.shape[0]}{at_user_line()}"
        )
    return values, values.shape[0]


def _segments(
    name: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, size: int
) -> _Segments:
    length = None if nperseg is None else operator.index(nperseg)
    if length is not None and length < 1:
        raise ValueError(f"{name}: nperseg must be positive, got {length}{at_user_line()}")
    values, length = _windowed(window, length, size)
    overlap = length // 2 if noverlap is None else operator.index(noverlap)
    points = length if nfft is None else operator.index(nfft)
    if points < length:
        raise ValueError(
            f"{name}: nfft must be nperseg, {length}, or greater, got {points}{at_user_line()}"
        )
    if not 0 <= overlap < length:
        raise ValueError(
            f"{name}: noverlap must be less than nperseg, {length}, got {overlap}{at_user_line()}"
        )
    return _Segments(length, overlap, points, values)


def _cut(x: Any, s: _Segments) -> Any:
    """Segments of the last axis, as the last two."""
    count = (x.shape[-1] - s.overlap) // s.step
    starts = onp.arange(count)[:, None] * s.step
    if s.overlap == 0:
        return x[..., : count * s.step].reshape(*x.shape[:-1], count, s.step)
    return x[..., starts + onp.arange(s.length)]


def _transformed(x: Any, s: _Segments, detrend: Any, one_sided: bool) -> Any:
    """Transforms of the segments of the last axis: [..., segment, frequency]."""
    parts = _cut(x, s)
    if callable(detrend):
        parts = detrend(parts)
    elif detrend:
        parts = without_trend(parts, detrend, [0, s.length])
    parts = parts * s.window.astype(dtypes.real_dtype(x.dtype))
    return cnp.fft.rfft(parts, s.points) if one_sided else cnp.fft.fft(parts, s.points)


def _frequencies(s: _Segments, fs: Any, one_sided: bool) -> Any:
    make = cnp.fft.rfftfreq if one_sided else cnp.fft.fftfreq
    return make(s.points) * fs


def _check_detrend(name: str, detrend: Any) -> None:
    if detrend not in (False, "constant", "linear") and not callable(detrend):
        raise ValueError(
            f"{name}: detrend must be 'constant', 'linear', a function or False, got {detrend!r}"
            f"{at_user_line()}"
        )


def _median_bias(n: int) -> float:
    """The median of averages of n squared normal numbers by their mean, for an odd n."""
    k = 2 * onp.arange(1.0, (n - 1) // 2 + 1)
    return float(1 + onp.sum(1.0 / (k + 1) - 1.0 / k))


# --- power spectra -------------------------------------------------------------------------

_STATIC = (
    "window", "nperseg", "noverlap", "nfft", "detrend", "return_onesided", "scaling", "axis",
    "average",
)  # fmt: skip


def _spectrum(
    name: str,
    x: Any,
    y: Any,
    fs: Any,
    window: Any,
    nperseg: Any,
    noverlap: Any,
    nfft: Any,
    detrend: Any,
    return_onesided: bool,
    scaling: str,
    axis: int,
    average: str,
) -> tuple[Any, Any]:
    """Frequencies, and the (cross) power spectrum."""
    _check_detrend(name, detrend)
    for what, given, known in (
        ("scaling", scaling, ("density", "spectrum")),
        ("average", average, ("mean", "median")),
    ):
        if given not in known:
            raise ValueError(
                f"{name}: {what} must be {known[0]!r} or {known[1]!r}, got {given!r}"
                f"{at_user_line()}"
            )
    same = y is None
    operands = [x] if same else [x, y]
    xs = [array(v, name) for v in promote_inexact(name, *operands)]
    axes = [canonical_axis(axis, v) for v in xs]
    xs = [cnp.moveaxis(v, k, -1) for v, k in zip(xs, axes, strict=True)]
    if not same:
        lead = cnp.broadcast_shapes(*[v.shape[:-1] for v in xs])
        size = max(v.shape[-1] for v in xs)
        xs = [
            lax.pad(
                cnp.broadcast_to(v, (*lead, v.shape[-1])),
                scalar(0, v.dtype),
                [(0, 0, 0)] * len(lead) + [(0, size - v.shape[-1], 0)],
            )
            for v in xs
        ]
    shape, dt = xs[0].shape, xs[0].dtype
    if 0 in shape:
        raise ValueError(f"{name} of a signal without samples, of shape {shape}{at_user_line()}")
    one_sided = return_onesided and dt not in dtypes.COMPLEX
    s = _segments(name, window, nperseg, noverlap, nfft, shape[-1])
    zs = [_transformed(v, s, detrend, one_sided) for v in xs]
    real = dtypes.real_dtype(dt)
    power = cnp.abs(zs[0]) ** 2 if same else lax.conj(zs[0]) * zs[1]
    win = s.window
    if scaling == "density":
        power = power * (real.type(1 / onp.sum(win * win)) / fs)
    else:
        power = power * real.type(1 / onp.sum(win) ** 2)
    if one_sided:
        # All but the frequency 0, and half the sampling rate, stand for two.
        double = onp.full(power.shape[-1], 2.0)
        double[0] = 1.0
        if s.points % 2 == 0:
            double[-1] = 1.0
        power = power * double.astype(real)
    power = cnp.moveaxis(power, -2, -1)
    if average == "median":
        bias = _median_bias(power.shape[-1])
        if power.dtype in dtypes.COMPLEX:
            power = lax.complex(cnp.median(power.real, -1), cnp.median(power.imag, -1)) / bias
        else:
            power = cnp.median(power, -1) / bias
    else:
        power = cnp.mean(power, -1)
    freqs = _frequencies(s, fs, one_sided)
    return freqs, cnp.moveaxis(power, -1, axes[0] if same else power.ndim - len(shape) + axes[0])


@fused(*_STATIC)
def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """Cross power spectral density of two signals, by Welch's method.

    Parameters
    ----------
    x, y : array_like
        Signals; the shorter one is filled up with zeros. Without ``y``, see `welch`.
    fs : float
        Samples per unit of time.
    window : str, tuple or array_like
        A name for ``scipy.signal.get_window``, or the numbers.
    nperseg : int, optional
        Samples of a segment; by default 256, or the size of the window.
    noverlap : int, optional
        Samples that segments share with the next; by default half.
    nfft : int, optional
        Points of the transforms; by default ``nperseg``.
    detrend : {'constant', 'linear'}, callable or False
        What is taken off each segment; see `detrend`.
    return_onesided : bool
        Whether spectra of real signals leave out negative frequencies.
    scaling : {'density', 'spectrum'}
        Power per frequency, or power.
    axis : int
        Of time.
    average : {'mean', 'median'}
        Of the segments.

    Returns
    -------
    freqs : Array
        Frequencies, in units of ``fs``.
    spectrum : Array
        Complex; frequencies along ``axis``.

    Raises
    ------
    ValueError
        If sizes of segments do not fit, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> x = np.cos(np.arange(16) * np.pi / 2)
    >>> freqs, power = signal.csd(x, x, nperseg=8)
    >>> freqs[np.argmax(np.abs(power))]
    Array(0.25, dtype=float32)
    """
    return _spectrum(
        "csd", x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis,
        average,
    )  # fmt: skip


@fused(*_STATIC)
def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """Power spectral density of a signal, by Welch's method.

    Parameters
    ----------
    x : array_like
    fs : float
        Samples per unit of time.
    window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average
        As of `csd`.

    Returns
    -------
    freqs : Array
        Frequencies, in units of ``fs``.
    spectrum : Array
        Real; frequencies along ``axis``.

    Raises
    ------
    ValueError
        If sizes of segments do not fit, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> freqs, power = signal.welch(np.cos(np.arange(16) * np.pi / 2), nperseg=8)
    >>> freqs[np.argmax(power)]
    Array(0.25, dtype=float32)
    """
    return _spectrum(
        "welch", x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling,
        axis, average,
    )  # fmt: skip


# --- short-time transforms -----------------------------------------------------------------


def _extended(x: Any, boundary: str | None, n: int) -> Any:
    """``n`` samples more at both ends of the last axis."""
    if boundary is None or n == 0:
        return x
    width = [(0, 0)] * (x.ndim - 1) + [(n, n)]
    if boundary == "zeros":
        return cnp.pad(x, width)
    if boundary == "constant":
        return cnp.pad(x, width, "edge")
    kind = "even" if boundary == "even" else "odd"
    return cnp.pad(x, width, "reflect", reflect_type=kind)


@fused(
    "window", "nperseg", "noverlap", "nfft", "detrend", "return_onesided", "boundary", "padded",
    "axis",
)  # fmt: skip
def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
) -> tuple[Any, Any, Any]:
    """Short-time Fourier transform: of segments of a signal under a window.

    Parameters
    ----------
    x : array_like
    fs : float
        Samples per unit of time.
    window, nperseg, noverlap, nfft, return_onesided, axis
        As of `csd`.
    detrend : {'constant', 'linear'}, callable or False
        What is taken off each segment; see `detrend`.
    boundary : {'zeros', 'even', 'odd', 'constant', None}
        How the signal goes on beyond its ends, by half a segment.
    padded : bool
        Whether zeros at the end make the number of segments a whole one.

    Returns
    -------
    freqs, times : Array
        Of the segments' transforms, and of their middles.
    Zxx : Array
        Complex; frequencies along ``axis``, segments along the last.

    Raises
    ------
    ValueError
        If sizes of segments do not fit, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> freqs, times, z = signal.stft(np.cos(np.arange(32) * np.pi / 2), nperseg=8)
    >>> z.shape, freqs[np.argmax(np.abs(z[:, 4]))]
    ((5, 9), Array(0.25, dtype=float32))
    """
    _check_detrend("stft", detrend)
    if boundary not in _BOUNDARIES:
        raise ValueError(
            f"stft: boundary must be one of {', '.join(map(repr, _BOUNDARIES))}, got {boundary!r}"
            f"{at_user_line()}"
        )
    x = array(inexact(x, "stft"), "stft")
    k = canonical_axis(axis, x)
    x = cnp.moveaxis(x, k, -1)
    if 0 in x.shape:
        raise ValueError(f"stft of a signal without samples, of shape {x.shape}{at_user_line()}")
    s = _segments("stft", window, nperseg, noverlap, nfft, x.shape[-1])
    one_sided = return_onesided and x.dtype not in dtypes.COMPLEX
    x = _extended(x, boundary, s.length // 2)
    if padded:
        more = -(x.shape[-1] - s.length) % s.step % s.length
        x = cnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)])
    z = _transformed(x, s, detrend, one_sided)
    z = z * dtypes.real_dtype(x.dtype).type(1 / abs(onp.sum(s.window)))
    middle = onp.arange(s.length / 2, x.shape[-1] - s.length / 2 + 1, s.step)
    if boundary is not None:
        middle = middle - s.length / 2
    times = cnp.asarray(middle, dtypes.default_float()) / fs
    return _frequencies(s, fs, one_sided), times, cnp.moveaxis(cnp.moveaxis(z, -1, -2), -2, k)


@fused(
    "window", "nperseg", "noverlap", "nfft", "input_onesided", "boundary", "time_axis", "freq_axis"
)
def istft(
    Zxx: Any,  # noqa: N803
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Any, Any]:
    """Inverse of `stft`: segments overlapping and added, by the least squares.

    Parameters
    ----------
    Zxx : array_like
        Transforms of segments.
    fs : float
        Samples per unit of time.
    window, nperseg, noverlap, nfft
        As of `csd`, of the transforms undone.
    input_onesided : bool
        Whether negative frequencies were left out.
    boundary : bool
        Whether the signal was extended at its ends.
    time_axis, freq_axis : int
        Axes of the segments and of the frequencies.

    Returns
    -------
    times : Array
        Of the samples.
    x : Array
        The signal; time where the segments were.

    Raises
    ------
    ValueError
        If sizes of segments do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> x = np.arange(8.0)
    >>> z = signal.stft(x, nperseg=4)[2]
    >>> np.round(signal.istft(z, nperseg=4)[1], 3)
    Array([0., 1., 2., 3., 4., 5., 6., 7.], dtype=float32)
    """
    z = array(inexact(Zxx, "istft"), "istft")
    if z.ndim < 2:
        raise ValueError(
            f"istft takes two dimensions or more, got {z.aval.str_short()}{at_user_line()}"
        )
    t, f = canonical_axis(time_axis, z, "time_axis"), canonical_axis(freq_axis, z, "freq_axis")
    if t == f:
        raise ValueError(f"istft: time_axis and freq_axis are both {t}{at_user_line()}")
    rest = [k for k in range(z.ndim) if k not in (t, f)]
    z = lax.transpose(z, (*rest, t, f))
    z = convert(z, dtypes.complex_dtype(dtypes.real_dtype(z.dtype)))
    count, bins = z.shape[-2:]
    points = 2 * (bins - 1) if input_onesided else bins
    if nfft is not None:
        points = operator.index(nfft)
    elif nperseg is not None and input_onesided and operator.index(nperseg) == points + 1:
        points += 1
    length = points if nperseg is None else operator.index(nperseg)
    s = _segments("istft", window, length, noverlap, points, length)
    parts = cnp.fft.irfft(z, points) if input_onesided else cnp.fft.ifft(z, points)
    parts = parts[..., : s.length]
    real = dtypes.real_dtype(z.dtype)
    win = s.window
    parts = parts * (win * onp.sum(win)).astype(real)
    size = s.length + (count - 1) * s.step
    places = (onp.arange(count)[:, None] * s.step + onp.arange(s.length)).ravel()
    norm = onp.zeros(size)
    onp.add.at(norm, places, onp.tile(win * win, count))
    out = cnp.zeros((*parts.shape[:-2], size), parts.dtype)
    out = out.at[..., places].add(parts.reshape(*parts.shape[:-2], -1))
    if boundary:
        ends = slice(s.length // 2, size - s.length // 2)
        out, norm = out[..., ends], norm[ends]
    out = out / onp.where(norm > 1e-10, norm, 1.0).astype(real)
    times = cnp.arange(out.shape[-1], dtype=dtypes.default_float()) / fs
    return times, cnp.moveaxis(out, -1, t - (f < t))
