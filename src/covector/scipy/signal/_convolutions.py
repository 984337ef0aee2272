"""Convolutions and correlations of arrays, directly or by Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axes
from covector.numpy._util import array, convert, fused, promote_dtypes

_MODES = ("full", "same", "valid")
_METHODS = ("auto", "direct", "fft")
_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def _one_of(name: str, what: str, given: Any, known: Sequence[str]) -> None:
    if given not in known:
        raise ValueError(
            f"{name}: {what} must be one of {', '.join(map(repr, known))}, got {given!r}"
            f"{at_user_line()}"
        )


def _operands(name: str, in1: Any, in2: Any) -> tuple[Any, Any]:
    x, y = (array(v, name) for v in promote_dtypes(name, in1, in2))
    if x.ndim != y.ndim:
        raise ValueError(
            f"{name} takes arrays of one rank, got shapes {x.shape} and {y.shape}{at_user_line()}"
        )
    return x, y


def _are_swapped(name: str, mode: str, a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether the second array is the larger one, where only whole overlaps count."""
    if mode != "valid":
        return False
    if all(m >= n for m, n in zip(a, b, strict=True)):
        return False
    if all(m <= n for m, n in zip(a, b, strict=True)):
        return True
    raise ValueError(
        f"{name}: for mode='valid' one array must be at least as large as the other in every "
        f"dimension, got shapes {tuple(a)} and {tuple(b)}{at_user_line()}"
    )


def _pads(mode: str, sizes: Sequence[int]) -> list[tuple[int, int]]:
    if mode == "full":
        return [(n - 1, n - 1) for n in sizes]
    if mode == "same":
        return [(n // 2, n - 1 - n // 2) for n in sizes]
    return [(0, 0)] * len(sizes)


def _correlated(x: Any, k: Any, pads: Sequence[tuple[int, int]], precision: Any) -> Any:
    """Sums of products with a window that moves over ``x``."""
    if x.ndim == 0:
        return x * k
    out = lax.conv_general_dilated(
        x[None, None], k[None, None], (1,) * x.ndim, pads, precision=precision
    )
    return out[0, 0]


def _flipped(x: Any) -> Any:
    return lax.rev(x, tuple(range(x.ndim)))


def _convolved(name: str, x: Any, y: Any, mode: str, method: str, precision: Any) -> Any:
    _one_of(name, "mode", mode, _MODES)
    _one_of(name, "method", method, _METHODS)
    if method == "fft":
        return _by_transforms(name, x, y, mode, tuple(range(x.ndim)))
    if _are_swapped(name, mode, x.shape, y.shape):
        x, y = y, x
    if 0 in (*x.shape, *y.shape):
        return cnp.zeros((0,) * x.ndim, x.dtype)
    return _correlated(x, _flipped(y), _pads(mode, y.shape), precision)


@fused("mode", "method", "precision")
def convolve(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Any:
    """Convolution of two arrays of any rank.

    Parameters
    ----------
    in1, in2 : array_like
        Of one rank.
    mode : {'full', 'same', 'valid'}
        All places where the arrays overlap, as many as ``in1`` has in the middle, or those where
        the smaller array lies wholly inside the larger.
    method : {'auto', 'direct', 'fft'}
        By sums, which ``auto`` takes, or by Fourier transforms.
    precision : str or Precision, optional
        See `covector.lax.canonicalize_precision`.

    Returns
    -------
    Array
        Of the common dtype.

    Raises
    ------
    ValueError
        If the ranks differ, neither array is the larger one for ``valid``, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.convolve(np.array([1, 2, 3]), np.array([1, 10]))
    Array([ 1, 12, 23, 30], dtype=int32)
    """
    x, y = _operands("convolve", in1, in2)
    return _convolved("convolve", x, y, mode, method, precision)


@fused("mode", "method", "precision")
def correlate(
    in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None
) -> Any:
    """Cross-correlation of two arrays of any rank: a convolution with ``in2`` turned round.

    Parameters
    ----------
    in1, in2 : array_like
        Of one rank; complex numbers of ``in2`` are conjugated.
    mode : {'full', 'same', 'valid'}
        As of `convolve`.
    method : {'auto', 'direct', 'fft'}
        By sums, which ``auto`` takes, or by Fourier transforms.
    precision : str or Precision, optional
        See `covector.lax.canonicalize_precision`.

    Returns
    -------
    Array
        Of the common dtype.

    Raises
    ------
    ValueError
        If the ranks differ, neither array is the larger one for ``valid``, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.correlate(np.array([1, 2, 3]), np.array([1, 10]))
    Array([10, 21, 32,  3], dtype=int32)
    """
    x, y = _operands("correlate", in1, in2)
    return _cross("correlate", x, y, mode, method, precision)


def _cross(name: str, x: Any, y: Any, mode: str, method: str, precision: Any) -> Any:
    _one_of(name, "mode", mode, _MODES)
    conj = lax.conj if y.dtype in dtypes.COMPLEX else (lambda v: v)
    if _are_swapped(name, mode, x.shape, y.shape):
        # The correlation of the larger with the smaller, from its other end.
        return conj(_flipped(_cross(name, y, x, mode, method, precision)))
    return _convolved(name, x, _flipped(conj(y)), mode, method, precision)


# --- two dimensions, with what lies beyond the border --------------------------------------


def _two(
    name: str, in1: Any, in2: Any, mode: str, boundary: str, fill: Any, precision: Any, turned: bool
) -> Any:
    x, y = _operands(name, in1, in2)
    if x.ndim != 2:
        raise ValueError(f"{name} takes matrices, got {x.ndim} dimensions{at_user_line()}")
    _one_of(name, "boundary", boundary, tuple(_BOUNDARIES))
    make = _cross if turned else _convolved
    zeros = boundary == "fill" and isinstance(fill, (int, float)) and fill == 0
    if mode == "valid" or (zeros and not (turned and mode == "same")):
        return make(name, x, y, mode, "direct", precision)
    _one_of(name, "mode", mode, _MODES)
    options = {"constant_values": fill} if boundary == "fill" else {}
    around = [(n - 1, n - 1) for n in y.shape]
    wide = cnp.pad(x, around, _BOUNDARIES[boundary], **options)
    out = make(name, wide, y, "valid", "direct", precision)
    if mode == "full":
        return out
    # Of an even number of places the middle is the earlier one; turned round, the later.
    first = [n // 2 if turned else (n - 1) // 2 for n in y.shape]
    return lax.slice(out, first, [a + n for a, n in zip(first, x.shape, strict=True)])


@fused("mode", "boundary", "precision")
def convolve2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    precision: Any = None,
) -> Any:
    """Convolution of two matrices.

    Parameters
    ----------
    in1, in2 : array_like
        Matrices.
    mode : {'full', 'same', 'valid'}
        As of `convolve`.
    boundary : {'fill', 'wrap', 'symm'}
        What lies beyond the border of ``in1``: ``fillvalue``, the other side, or its image.
    fillvalue : scalar
        See ``boundary``.
    precision : str or Precision, optional
        See `covector.lax.canonicalize_precision`.

    Returns
    -------
    Array
        Of the common dtype.

    Raises
    ------
    ValueError
        If an operand is not a matrix, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.convolve2d(np.array([[1, 2], [3, 4]]), np.array([[1, 10]]), boundary="wrap")
    Array([[21, 12, 21],
           [43, 34, 43]], dtype=int32)
    """
    return _two("convolve2d", in1, in2, mode, boundary, fillvalue, precision, False)


@fused("mode", "boundary", "precision")
def correlate2d(
    in1: Any,
    in2: Any,
    mode: str = "full",
    boundary: str = "fill",
    fillvalue: Any = 0,
    precision: Any = None,
) -> Any:
    """Cross-correlation of two matrices.

    Parameters
    ----------
    in1, in2 : array_like
        Matrices; complex numbers of ``in2`` are conjugated.
    mode : {'full', 'same', 'valid'}
        As of `convolve`.
    boundary : {'fill', 'wrap', 'symm'}
        What lies beyond the border of ``in1``: ``fillvalue``, the other side, or its image.
    fillvalue : scalar
        See ``boundary``.
    precision : str or Precision, optional
        See `covector.lax.canonicalize_precision`.

    Returns
    -------
    Array
        Of the common dtype.

    Raises
    ------
    ValueError
        If an operand is not a matrix, or a name is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.correlate2d(np.array([[1, 2], [3, 4]]), np.array([[1, 10]]), mode="valid")
    Array([[21],
           [43]], dtype=int32)
    """
    return _two("correlate2d", in1, in2, mode, boundary, fillvalue, precision, True)


# --- by Fourier transforms -----------------------------------------------------------------


def _by_transforms(name: str, x: Any, y: Any, mode: str, axes: tuple[int, ...]) -> Any:
    from scipy.fft import next_fast_len

    a, b = [x.shape[k] for k in axes], [y.shape[k] for k in axes]
    if _are_swapped(name, mode, a, b):
        x, y, a, b = y, x, b, a
    dt = x.dtype
    real = dt not in dtypes.COMPLEX
    wide = dtypes.to_inexact_dtype(dt)
    x, y = convert(x, wide), convert(y, wide)
    others = cnp.broadcast_shapes(
        *[tuple(1 if k in axes else n for k, n in enumerate(v.shape)) for v in (x, y)]
    )
    if 0 in (*x.shape, *y.shape):
        return cnp.zeros(tuple(0 if k in axes else n for k, n in enumerate(others)), dt)
    full = [m + n - 1 for m, n in zip(a, b, strict=True)]
    if not axes:
        return convert(x * y, dt)
    sizes = [next_fast_len(n, real) for n in full]
    if real:
        product = cnp.fft.rfftn(x, sizes, axes) * cnp.fft.rfftn(y, sizes, axes)
        out = cnp.fft.irfftn(product, sizes, axes)
    else:
        out = cnp.fft.ifftn(cnp.fft.fftn(x, sizes, axes) * cnp.fft.fftn(y, sizes, axes), None, axes)
    if mode == "same":
        kept = a
    else:
        kept = full if mode == "full" else [m - n + 1 for m, n in zip(a, b, strict=True)]
    low, high = [0] * out.ndim, list(out.shape)
    for k, n, m in zip(axes, kept, full, strict=True):
        low[k] = (m - n) // 2
        high[k] = low[k] + n
    out = lax.slice(out, low, high)
    return convert(cnp.round(out) if dtypes.is_integer(dt) else out, dt)


@fused("mode", "axes")
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Sequence[int] | None = None) -> Any:
    """Convolution by Fourier transforms.

    Parameters
    ----------
    in1, in2 : array_like
        Of one rank; along the axes that are not convolved they broadcast.
    mode : {'full', 'same', 'valid'}
        As of `convolve`.
    axes : sequence of int, optional
        Axes to convolve; by default all.

    Returns
    -------
    Array
        Of the common float or complex dtype.

    Raises
    ------
    ValueError
        If the ranks differ, an axis does not exist, or the mode is unknown.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.fftconvolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]))
    Array([ 1., 12., 23., 30.], dtype=float32)
    """
    x, y = _operands("fftconvolve", in1, in2)
    wide = dtypes.to_inexact_dtype(x.dtype)
    _one_of("fftconvolve", "mode", mode, _MODES)
    along = canonical_axes(axes, x, "axes")
    return _by_transforms("fftconvolve", convert(x, wide), convert(y, wide), mode, along)
