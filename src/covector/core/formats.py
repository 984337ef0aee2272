"""Numbers of at most eight bits, one byte an element: their formats, in a table.

Conversions are made from the table: see `covector.backends.cpu.numerics.formats`.

References
----------
OCP 8-bit Floating Point Specification (OFP8), 2023; OCP Microscaling Formats (MX) Specification
1.0, 2023; B. Noune et al., "8-bit numerical formats for deep neural networks", 2022 (``fnuz``).
"""

from __future__ import annotations

from typing import NamedTuple

import ml_dtypes
import numpy as np


class FloatFormat(NamedTuple):
    """A binary float format of at most eight bits.

    Attributes
    ----------
    exponent, mantissa : int
        Numbers of bits.
    bias : int
        Of the exponent.
    kind : {'ieee', 'fn', 'fnuz', 'finite', 'scale'}
        Infinities and NaN as in IEEE 754; NaN alone, of all ones; NaN alone, in the place of the
        negative zero; neither; powers of two without sign or zero, and NaN.
    dlpack : int
        DLPack's code; 0 where elements are not a byte.
    """

    exponent: int
    mantissa: int
    bias: int
    kind: str
    dlpack: int

    @property
    def bits(self) -> int:
        return self.exponent + self.mantissa + (self.kind != "scale")

    @property
    def largest(self) -> int:
        """The bits of the largest finite number."""
        top = (1 << (self.exponent + self.mantissa)) - 1
        return {
            "ieee": top - (1 << self.mantissa), "fn": top - 1, "fnuz": top, "finite": top,
            "scale": top - 1,
        }[self.kind]  # fmt: skip


_FLOATS = {
    "float8_e3m4": FloatFormat(3, 4, 3, "ieee", 7),
    "float8_e4m3": FloatFormat(4, 3, 7, "ieee", 8),
    "float8_e4m3b11fnuz": FloatFormat(4, 3, 11, "fnuz", 9),
    "float8_e4m3fn": FloatFormat(4, 3, 7, "fn", 10),
    "float8_e4m3fnuz": FloatFormat(4, 3, 8, "fnuz", 11),
    "float8_e5m2": FloatFormat(5, 2, 15, "ieee", 12),
    "float8_e5m2fnuz": FloatFormat(5, 2, 16, "fnuz", 13),
    "float8_e8m0fnu": FloatFormat(8, 0, 127, "scale", 14),
    "float4_e2m1fn": FloatFormat(2, 1, 1, "finite", 0),
    "float6_e2m3fn": FloatFormat(2, 3, 1, "finite", 0),
    "float6_e3m2fn": FloatFormat(3, 2, 3, "finite", 0),
}
FLOAT_FORMATS = {np.dtype(getattr(ml_dtypes, name)): f for name, f in _FLOATS.items()}
# The numbers of bits of the small integers.
SIGNED_BITS = {np.dtype(getattr(ml_dtypes, f"int{n}")): n for n in (1, 2, 4)}
UNSIGNED_BITS = {np.dtype(getattr(ml_dtypes, f"uint{n}")): n for n in (1, 2, 4)}
INTEGER_BITS = SIGNED_BITS | UNSIGNED_BITS
SMALL = (*FLOAT_FORMATS, *INTEGER_BITS)


def values(dtype: np.dtype) -> np.ndarray:
    """What each of the 256 bytes stands for, as doubles."""
    found: np.ndarray = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float64)
    return found
