"""SciPy's signal processing (`covector.scipy.signal`)."""

from covector.core.errors import export as _export
from covector.scipy.signal._convolutions import (
    convolve,
    convolve2d,
    correlate,
    correlate2d,
    fftconvolve,
)
from covector.scipy.signal._detrend import detrend
from covector.scipy.signal._spectra import csd, istft, stft, welch

__all__ = [
    "convolve", "convolve2d", "correlate", "correlate2d", "csd", "detrend", "fftconvolve", "istft",
    "stft", "welch",
]  # fmt: skip

_export(globals(), __all__)
