"""Constants of the loop IR as text: equal text, equal bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import short_dtype
from covector.core.dtypes import DType

SHORT = {dtype: short_dtype(dtype) for dtype in dtypes.code_of}
DTYPES = {short: dtype for dtype, short in SHORT.items()}


def bits(value: Any, dtype: DType) -> bytes:
    """The bytes of a constant in memory."""
    if dtypes.is_extended(dtype):
        return int(value).to_bytes(8, "little")
    with np.errstate(over="ignore"):
        return dtypes.cast(np.asarray(value), dtype).tobytes()


def from_bits(number: int, dtype: DType) -> Any:
    """The constant with the bits of a whole number."""
    data = number.to_bytes(dtype.itemsize, "little")
    return np.frombuffer(data, dtype)[0]  # type: ignore[call-overload]


def _real(value: Any, scalar: Any) -> str:
    with np.errstate(over="ignore"):
        return str(scalar(value))


def text(value: Any, dtype: DType) -> str:
    """A constant, exactly; as its bits if they are of no number that is written otherwise."""
    if dtype == dtypes.bool_:
        return "true" if value else "false"
    if dtype in dtypes.FLOATS and not (value != value):
        return _real(value, dtype.type)  # type: ignore[union-attr]
    if dtype in dtypes.COMPLEX and not (value != value):
        part = np.float32 if dtype == dtypes.complex64 else np.float64
        value = complex(value)
        return f"({_real(value.real, part)}, {_real(value.imag, part)})"
    if dtype not in dtypes.INEXACT:
        return str(int(value))
    raw = bits(value, dtype)
    if dtype in dtypes.FLOATS and raw == bits(math.nan, dtype):
        return "nan"
    return f"bits 0x{int.from_bytes(raw, 'little'):x}"
