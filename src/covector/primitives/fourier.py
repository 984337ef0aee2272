"""Discrete Fourier transforms along some axes: `fft`."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

from covector.core import dtypes, structural
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.definers import def_jvp_linear
from covector.core.dtypes import DType
from covector.core.errors import at_user_line
from covector.core.operands import scalar
from covector.core.rules import batching_rules, transpose_rules
from covector.core.structural import broadcast_in_dim
from covector.core.trace import Primitive
from covector.primitives.arithmetic import complex, conj, div, imag, mul, real
from covector.primitives.compare import bitwise_or, eq
from covector.primitives.select import select
from covector.primitives.structure import iota


class FftType(enum.Enum):
    """Kinds of Fourier transforms: of complex numbers or real ones, forward or inverse.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.fft(np.array([1.0, 2.0, 1.0, 0.0]), lax.FftType.RFFT, (4,))
    Array([4.+0.j, 0.-2.j, 0.+0.j], dtype=complex64)
    """

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


# The axes that one call takes.
MOST_AXES = 3

fft_p = Primitive("fft")


def _lengths_of(fft_type: FftType, lengths: Shape) -> Shape:
    """Sizes that an operand has along the axes of a transform of these lengths."""
    if fft_type is FftType.IRFFT:
        return (*lengths[:-1], lengths[-1] // 2 + 1)
    return lengths


def _dtypes_of(fft_type: FftType) -> tuple[DType, DType]:
    if fft_type is FftType.RFFT:
        return dtypes.float32, dtypes.float64
    return dtypes.complex64, dtypes.complex128


def _check(x: ShapedArray, fft_type: FftType, lengths: Shape, axes: Shape) -> None:
    name = f"fft of kind {fft_type.name}"
    accepted = _dtypes_of(fft_type)
    if x.dtype not in accepted:
        raise TypeError(
            f"{name} takes an array of {' or '.join(map(str, accepted))}, got {x.str_short()}"
            f"{at_user_line()}"
        )
    if not 1 <= len(axes) <= MOST_AXES:
        raise ValueError(
            f"{name} is along one to {MOST_AXES} axes, got lengths {lengths}{at_user_line()}"
        )
    if any(n < 1 for n in lengths):
        raise ValueError(f"{name} of lengths {lengths}: each must be positive{at_user_line()}")
    wanted = _lengths_of(fft_type, lengths)
    given = tuple([x.shape[a] for a in axes])
    if given != wanted:
        raise ValueError(
            f"{name} of lengths {lengths} takes an operand of sizes {wanted} along the axes "
            f"{axes}, got {x.str_short()}{at_user_line()}"
        )


def _fft_aval(x: ShapedArray, *, fft_type: FftType, fft_lengths: Shape, axes: Shape) -> ShapedArray:
    _check(x, fft_type, fft_lengths, axes)
    shape, dtype = list(x.shape), x.dtype
    if fft_type is FftType.RFFT:
        shape[axes[-1]] = fft_lengths[-1] // 2 + 1
        dtype = dtypes.complex_dtype(dtype)
    elif fft_type is FftType.IRFFT:
        shape[axes[-1]] = fft_lengths[-1]
        dtype = dtypes.real_dtype(dtype)
    return ShapedArray(tuple(shape), dtype)


fft_p.def_abstract_eval(_fft_aval)
def_jvp_linear(fft_p)


def _transpose(ct: Any, x: Any, *, fft_type: FftType, fft_lengths: Shape, axes: Shape) -> list[Any]:
    """The matrix of a transform is symmetric; those of real numbers have half of it.

    Of x ↦ y = F x with real x, Σ Re(ct y) is Σ x Re(F ct), the real part of a sum over half the
    frequencies; `irfft` of the conjugate gives it where all but the ends are halved, as it counts
    them twice. Of z ↦ x = Re(Σ w z e^(iθ)) / n the transpose is w e^(iθ) ct / n.
    """
    params = {"fft_lengths": fft_lengths, "axes": axes}
    count = math.prod(fft_lengths)
    if fft_type is FftType.RFFT:
        weighted = _times_inner(conj(ct), 0.5, fft_lengths[-1], axes[-1])
        out = fft_p.bind(weighted, fft_type=FftType.IRFFT, **params)
        return [mul(out, _number(count, aval_of(out).dtype))]
    if fft_type is FftType.IRFFT:
        out = conj(fft_p.bind(ct, fft_type=FftType.RFFT, **params))
        out = _times_inner(out, 2.0, fft_lengths[-1], axes[-1])
        dtype = dtypes.real_dtype(aval_of(out).dtype)
        return [_times_real(out, div(scalar(1.0, dtype), _number(count, dtype)))]
    return [fft_p.bind(ct, fft_type=fft_type, **params)]


def _number(count: Any, dtype: DType) -> Any:
    """A number of elements, which may be symbolic, as a float."""
    return scalar(float(count) if type(count) is int else count, dtype)


def _times_inner(z: Any, factor: float, n: int, axis: int) -> Any:
    """``z`` with all but the frequency 0, and n/2 where there is one, times ``factor``."""
    aval = aval_of(z)
    dt = dtypes.real_dtype(aval.dtype)
    k = iota(dtypes.int32, n // 2 + 1)
    zero, last = (scalar(m, dtypes.int32) for m in (0, n - n // 2))
    ends = bitwise_or(eq(k, zero), eq(k, last))  # of odd n, the last one is beyond those there are
    one, inner = (structural.full((n // 2 + 1,), c, dt) for c in (1.0, factor))
    return _times_real(z, broadcast_in_dim(select(ends, one, inner), aval.shape, (axis,)))


def _times_real(z: Any, factor: Any) -> Any:
    """The product of two complex numbers would make NaN of infinities."""
    return complex(mul(real(z), factor), mul(imag(z), factor))


transpose_rules[fft_p] = _transpose


def _batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int], *, axes: Shape, **params: Any
) -> tuple[Any, int]:
    (d,) = dims
    return fft_p.bind(args[0], axes=tuple([a + (a >= d) for a in axes]), **params), d


batching_rules[fft_p] = _batch
