"""What the families of primitives share: kinds of dtypes, checks, elementwise constructors."""

from __future__ import annotations

from collections.abc import Sequence

from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.dims import max_dim
from covector.core.dtypes import DType
from covector.core.errors import at_user_line

_DTYPE_SETS = {
    "a float": dtypes.FLOATS,
    "a float or complex": dtypes.INEXACT,
    "complex": dtypes.COMPLEX,
    "an integer": dtypes.INTEGERS,
    "a boolean or integer": dtypes.INTEGERS | {dtypes.bool_},
    "numeric": dtypes.NUMERIC,
    "a number or boolean": dtypes.NUMERIC | {dtypes.bool_},
    "a real number": dtypes.INTEGERS | dtypes.FLOATS,
    "a real number or boolean": dtypes.INTEGERS | dtypes.FLOATS | {dtypes.bool_},
}

FLOAT, INEXACT, COMPLEX, INTEGER, BITS, NUMERIC, ANY, REAL, ORDERED = _DTYPE_SETS


def check_dtype(name: str, aval: ShapedArray, kind: str) -> None:
    if aval.dtype not in _DTYPE_SETS[kind]:
        raise TypeError(
            f"{name} takes {kind} array, but an operand is {aval.str_short()}{at_user_line()}"
        )


def dtype_set(kind: str) -> frozenset[DType]:
    return frozenset(_DTYPE_SETS[kind])


def elementwise_aval(
    name: str, avals: Sequence[ShapedArray], dtype: DType | None = None
) -> ShapedArray:
    """Aval of an elementwise operation on operands of one dtype and shape (or rank 0)."""
    shape: tuple[int, ...] = ()
    weak = True
    first = avals[0]
    for a in avals:
        if a.shape:
            if not shape:
                shape = a.shape
            elif shape != a.shape:
                raise TypeError(
                    f"{name} takes operands of equal shapes or rank 0, got "
                    f"{', '.join(b.str_short() for b in avals)}{at_user_line()}"
                )
        if a.dtype is not first.dtype and a.dtype != first.dtype:
            raise TypeError(
                f"{name} takes operands of one dtype, got "
                f"{', '.join(b.str_short() for b in avals)}{at_user_line()}"
            )
        weak = weak and a.weak_type
    return ShapedArray(shape, first.dtype if dtype is None else dtype, weak)


# --- windows ---------------------------------------------------------------------------------


def spanned(n: int, dilation: int) -> int:
    """What ``n`` elements take up, ``dilation`` apart."""
    if type(n) is int:
        return (n - 1) * dilation + 1 if n else 0
    return n + (dilation - 1) * max_dim(n - 1, 0)


def window_places(
    n: int, window: int, stride: int, pads: tuple[int, int], dilation: int, window_dilation: int
) -> int:
    """Places of a window of as many elements along ``n``, with padding at both ends."""
    room = spanned(n, dilation) + pads[0] + pads[1] - spanned(window, window_dilation)
    return max_dim(0, room // stride + 1) if window else 0


def transposed_pads(
    n: int, window: int, places: int, stride: int, low: int, dilation: int, window_dilation: int
) -> tuple[int, int]:
    """Padding of the cotangents of ``places``, ``stride`` apart, under the window turned round."""
    reach = spanned(window, window_dilation)
    before = reach - 1 - low
    return before, (n - 1) * dilation + reach - spanned(places, stride) - before
