"""Discrete Fourier transforms of the last axes: `fft`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import as_array
from covector.primitives.fourier import FftType, fft_p


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """Discrete Fourier transform of the last one to three axes.

    Parameters
    ----------
    x : array_like
        Of complex64 or complex128, or of float32 or float64 for ``RFFT``.
    fft_type : FftType or str
        ``FFT`` and ``IFFT`` transform complex numbers, ``RFFT`` real ones to the half of the
        frequencies that says all of them, ``IRFFT`` such a half back.
    fft_lengths : sequence of int
        Sizes of the last axes, of the last one that of the real numbers.

    Returns
    -------
    Array
        Complex, or real of ``IRFFT``. Inverse transforms are divided by the product of the
        lengths.

    Raises
    ------
    TypeError
        If the dtype is none of those.
    ValueError
        If the kind is unknown, or the lengths are not those of the operand.

    Notes
    -----
    Computed by ducc0 in O(n log n) operations for every length n, in prime factors up to 11 by
    mixed radices, others by Bluestein's algorithm.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.fft(np.array([1.0, 2.0, 1.0, 0.0], "complex64"), "FFT", (4,))
    Array([4.+0.j, 0.-2.j, 0.+0.j, 0.+2.j], dtype=complex64)
    """
    operand = as_array(x, "fft")
    kind = _kind(fft_type)
    lengths = tuple([as_size(n) for n in fft_lengths])
    rank, k = operand.ndim, len(lengths)
    if k > rank:
        raise ValueError(
            f"fft: {k} lengths {lengths} for an operand of {rank} dimensions{at_user_line()}"
        )
    axes = tuple(range(rank - k, rank))
    return fft_p.bind(operand, fft_type=kind, fft_lengths=lengths, axes=axes)


def _kind(fft_type: Any) -> FftType:
    if isinstance(fft_type, str):
        name = fft_type.upper()
        if name in FftType.__members__:
            return FftType[name]
    elif isinstance(fft_type, FftType):
        return fft_type
    raise ValueError(
        f"fft: fft_type must be one of {', '.join(FftType.__members__)}, got {fft_type!r}"
        f"{at_user_line()}"
    )
