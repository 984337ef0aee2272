"""NumPy's Fourier transforms (`covector.numpy.fft`).

Numbers of 16 bits, integers and booleans are transformed in single precision, float64 and
complex128 in double.
"""

from covector.core.errors import export as _export
from covector.numpy.fft._frequencies import fftfreq, fftshift, ifftshift, rfftfreq
from covector.numpy.fft._transforms import (
    fft,
    fft2,
    fftn,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_export(globals(), __all__)
