"""Fourier transforms: NumPy's."""

from __future__ import annotations

import numpy as np

from covector.core.jaxpr import JaxprEqn
from covector.primitives.fourier import FftType, fft_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements

_FUNCTIONS = {
    FftType.FFT: np.fft.fftn,
    FftType.IFFT: np.fft.ifftn,
    FftType.RFFT: np.fft.rfftn,
    FftType.IRFFT: np.fft.irfftn,
}


@rule(fft_p)
def _fft(eqn: JaxprEqn, x: Elements) -> Elements:
    p, dtype = eqn.params, eqn.outvars[0].aval.dtype
    if x.size == 0:
        return np.zeros(eqn.outvars[0].aval.shape, dtype)
    return _FUNCTIONS[p["fft_type"]](x, p["fft_lengths"], p["axes"]).astype(dtype)
