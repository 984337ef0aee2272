"""Fourier transforms along one, two or any axes, of complex and of real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from covector import lax
from covector.core import dtypes
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axes, canonical_axis, scalar
from covector.numpy._util import array, convert, fused
from covector.primitives.fourier import MOST_AXES, FftType, fft_p

_NORMS = ("backward", "ortho", "forward")
_ONE = ("n", "axis", "norm")
_MANY = ("s", "axes", "norm")

F = TypeVar("F", bound=Callable[..., Any])


# --- operands ------------------------------------------------------------------------------


def _operand(name: str, a: Any, kind: FftType) -> Any:
    """``a`` in the dtype that a transform takes: at least float32."""
    x = array(a, name)
    dt = dtypes.to_inexact_dtype(x.dtype)
    if kind is FftType.RFFT:
        if dt in dtypes.COMPLEX:
            raise TypeError(
                f"{name} takes real numbers, got {x.aval.str_short()}; fft takes complex ones"
                f"{at_user_line()}"
            )
        return convert(x, dtypes.float32 if dt.itemsize == 2 else dt)
    return convert(x, dtypes.complex_dtype(dtypes.float32 if dt.itemsize == 2 else dt))


def _check_norm(name: str, norm: Any) -> None:
    if norm is not None and norm not in _NORMS:
        raise ValueError(
            f"{name}: norm must be one of {', '.join(map(repr, _NORMS))} or None, got {norm!r}"
            f"{at_user_line()}"
        )


def _count(name: str, n: Any) -> int:
    k = as_size(n)
    if k < 1:
        raise ValueError(f"{name}: the number of points must be positive, got {k}{at_user_line()}")
    return k


def _resized(x: Any, sizes: Sequence[int], axes: Sequence[int]) -> Any:
    """``x`` cut off, or filled up with zeros, at the ends of ``axes``."""
    config = [(0, 0, 0)] * x.ndim
    for n, k in zip(sizes, axes, strict=True):
        config[k] = (0, n - x.shape[k], 0)
    if any(high != 0 for _, high, _ in config):
        return lax.pad(x, scalar(0, x.dtype), config)
    return x


def _lengths(name: str, x: Any, s: Any, axes: Sequence[int], half: bool) -> tuple[int, ...]:
    """Sizes along the axes, of the real side of a transform whose operand has ``half`` of them."""
    if s is not None:
        given = tuple([_count(name, n) for n in s])
        if len(given) != len(axes):
            raise ValueError(
                f"{name}: s has {len(given)} sizes for {len(axes)} axes{at_user_line()}"
            )
        return given
    sizes = [x.shape[k] for k in axes]
    if half and sizes:
        sizes[-1] = 2 * (sizes[-1] - 1)
    return tuple([_count(name, n) for n in sizes])


def _axes(name: str, x: Any, s: Any, axes: Any) -> tuple[int, ...]:
    if axes is None and s is not None:
        k = len(s)
        if k > x.ndim:
            raise ValueError(
                f"{name}: s has {k} sizes for an array of {x.ndim} dimensions{at_user_line()}"
            )
        return tuple(range(x.ndim - k, x.ndim))
    return canonical_axes(axes, x, "axes")


# --- one way to all of them ----------------------------------------------------------------


def _transform(name: str, a: Any, kind: FftType, s: Any, axes: Any, norm: Any) -> Any:
    _check_norm(name, norm)
    x = _operand(name, a, kind)
    axes = _axes(name, x, s, axes)
    if not axes:
        if kind in (FftType.RFFT, FftType.IRFFT):
            raise ValueError(f"{name} takes at least one axis{at_user_line()}")
        return x
    half = kind is FftType.IRFFT
    lengths = _lengths(name, x, s, axes, half)
    sizes = (*lengths[:-1], lengths[-1] // 2 + 1) if half else lengths
    x = _bound(_resized(x, sizes, axes), kind, lengths, axes)
    return _normalized(x, kind, math.prod(lengths), norm)


def _bound(x: Any, kind: FftType, lengths: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """The transform, by calls of as many axes as one takes; the half axis is the last."""
    first = 0
    if kind is FftType.RFFT and len(axes) > MOST_AXES:
        x = fft_p.bind(x, fft_type=kind, fft_lengths=lengths[-1:], axes=axes[-1:])
        kind, lengths, axes = FftType.FFT, lengths[:-1], axes[:-1]
    while len(axes) - first > MOST_AXES:
        part = slice(first, first + MOST_AXES)
        inner = FftType.FFT if kind is FftType.FFT else FftType.IFFT
        x = fft_p.bind(x, fft_type=inner, fft_lengths=lengths[part], axes=axes[part])
        first += MOST_AXES
    return fft_p.bind(x, fft_type=kind, fft_lengths=lengths[first:], axes=axes[first:])


def _normalized(x: Any, kind: FftType, count: int, norm: Any) -> Any:
    """Inverse transforms come divided by the number of points."""
    forward = kind in (FftType.FFT, FftType.RFFT)
    if norm in (None, "backward"):
        return x
    factor = math.sqrt(count) if norm == "ortho" else float(count)
    return _scaled(x, 1 / factor if forward else factor)


def _scaled(x: Any, factor: float) -> Any:
    """Complex numbers by a real one: the product of two would make NaN of infinities."""
    dt = x.dtype
    c = scalar(factor, dtypes.real_dtype(dt))
    if dt in dtypes.COMPLEX:
        return lax.complex(lax.mul(lax.real(x), c), lax.mul(lax.imag(x), c))
    return lax.mul(x, c)


def _one(name: str, a: Any, kind: FftType, n: Any, axis: Any, norm: Any) -> Any:
    k = canonical_axis(axis, array(a, name))
    return _transform(name, a, kind, None if n is None else (n,), (k,), norm)


# --- functions -----------------------------------------------------------------------------

_DOC = """{summary}

Parameters
----------
a : array_like
    {operand}
{sizes}
norm : {{'backward', 'ortho', 'forward'}}, optional
    Which way is divided by the number of points: the inverse (the default), each by its root, or
    the forward transform.

Returns
-------
Array
    {result}

Raises
------
{complex_}ValueError
    If a number of points is not positive, an axis does not exist, or the norm is unknown.

Notes
-----
Computed as `covector.lax.fft` says.

Examples
--------
>>> import covector.numpy as np
>>> np.fft.{example}
{printed}
"""
_COMPLEX = """TypeError
    If the numbers are complex.
"""
_ONE_SIZE = """n : int, optional
    Number of points: the array is cut off or filled up with zeros at the end. By default {points}.
axis : int
    Axis to transform."""
_SIZES = """s : sequence of int, optional
    Number of points along each of the axes: the array is cut off or filled up with zeros at the
    ends. By default {points}.
axes : sequence of int{optional}
    Axes to transform{default}."""
_AS_MANY = "as many as there are"
_EVEN = "the even number ``2 * (m - 1)`` for ``m`` of them"
_EVEN_LAST = "as many as there are, along the last of the axes ``2 * (m - 1)`` for ``m`` of them"


def _documented(
    summary: str, operand: str, points: str, result: str, example: str, printed: str
) -> Callable[[F], F]:
    """A function for people: its docstring, and its body compiled as one program."""

    def decorate(body: F) -> F:
        name = body.__name__
        if "n" in body.__code__.co_varnames[: body.__code__.co_argcount]:
            static, sizes = _ONE, _ONE_SIZE.format(points=points)
        else:
            any_ = name.endswith("n")
            static = _MANY
            sizes = _SIZES.format(
                points=points,
                optional=", optional" if any_ else "",
                default="; by default the last, as many as ``s`` has, or all" if any_ else "",
            )
        public = fused(*static)(body)
        public.__doc__ = _DOC.format(
            summary=summary,
            operand=operand,
            sizes=sizes,
            result=result,
            complex_=_COMPLEX if operand == "Real numbers." else "",
            example=example,
            printed=printed,
        )
        return public

    return decorate


@_documented(
    "Discrete Fourier transform along an axis.",
    "Numbers; real ones become complex.",
    _AS_MANY,
    "Complex, frequencies in the order of `fftfreq`.",
    "fft(np.array([1.0, 2.0, 1.0, 0.0]))",
    "Array([4.+0.j, 0.-2.j, 0.+0.j, 0.+2.j], dtype=complex64)",
)
def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    return _one("fft", a, FftType.FFT, n, axis, norm)


@_documented(
    "Inverse of `fft`.",
    "Numbers, frequencies in the order of `fftfreq`.",
    _AS_MANY,
    "Complex.",
    "ifft(np.array([4.0, -2.0j, 0.0, 2.0j]))",
    "Array([1.+0.j, 2.+0.j, 1.+0.j, 0.+0.j], dtype=complex64)",
)
def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    return _one("ifft", a, FftType.IFFT, n, axis, norm)


@_documented(
    "Discrete Fourier transform of real numbers along an axis.",
    "Real numbers.",
    _AS_MANY,
    "Complex, the ``n // 2 + 1`` frequencies that are not negative, in the order of `rfftfreq`; "
    "the others are their conjugates.",
    "rfft(np.array([1.0, 2.0, 1.0, 0.0]))",
    "Array([4.+0.j, 0.-2.j, 0.+0.j], dtype=complex64)",
)
def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    return _one("rfft", a, FftType.RFFT, n, axis, norm)


@_documented(
    "Inverse of `rfft`.",
    "Frequencies that are not negative; imaginary parts of the ends do not count.",
    _EVEN,
    "Real, ``n`` numbers along the axis.",
    "irfft(np.array([4.0, -2.0j, 0.0]))",
    "Array([1., 2., 1., 0.], dtype=float32)",
)
def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    return _one("irfft", a, FftType.IRFFT, n, axis, norm)


@_documented(
    "Discrete Fourier transform of times whose negatives are conjugates of the positive.",
    "The times that are not negative.",
    _EVEN,
    "Real, ``n`` numbers along the axis.",
    "hfft(np.array([1.0, 2.0, 3.0]))",
    "Array([ 8., -2.,  0., -2.], dtype=float32)",
)
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    x = lax.conj(_operand("hfft", a, FftType.IRFFT))
    return _one("hfft", x, FftType.IRFFT, n, axis, _other_way("hfft", norm))


@_documented(
    "Inverse of `hfft`.",
    "Real numbers.",
    _AS_MANY,
    "Complex, the ``n // 2 + 1`` times that are not negative.",
    "ihfft(np.array([8.0, -2.0, 0.0, -2.0]))",
    "Array([1.-0.j, 2.-0.j, 3.-0.j], dtype=complex64)",
)
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    return lax.conj(_one("ihfft", a, FftType.RFFT, n, axis, _other_way("ihfft", norm)))


def _other_way(name: str, norm: Any) -> str:
    """The norm of the transform that goes the other way."""
    _check_norm(name, norm)
    return {"ortho": "ortho", "forward": "backward"}.get(norm, "forward")


@_documented(
    "Discrete Fourier transform along two axes.",
    "Numbers; real ones become complex.",
    _AS_MANY,
    "Complex.",
    "fft2(np.ones((2, 2)))",
    "Array([[4.+0.j, 0.+0.j],\n       [0.+0.j, 0.+0.j]], dtype=complex64)",
)
def fft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Any:
    return _transform("fft2", a, FftType.FFT, s, axes, norm)


@_documented(
    "Inverse of `fft2`.",
    "Numbers.",
    _AS_MANY,
    "Complex.",
    "ifft2(np.array([[4.0, 0.0], [0.0, 0.0]]))",
    "Array([[1.+0.j, 1.+0.j],\n       [1.+0.j, 1.+0.j]], dtype=complex64)",
)
def ifft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Any:
    return _transform("ifft2", a, FftType.IFFT, s, axes, norm)


@_documented(
    "Discrete Fourier transform of real numbers along two axes.",
    "Real numbers.",
    _AS_MANY,
    "Complex; along the last of the axes the frequencies that are not negative.",
    "rfft2(np.ones((2, 2)))",
    "Array([[4.+0.j, 0.+0.j],\n       [0.+0.j, 0.+0.j]], dtype=complex64)",
)
def rfft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Any:
    return _transform("rfft2", a, FftType.RFFT, s, axes, norm)


@_documented(
    "Inverse of `rfft2`.",
    "Frequencies, along the last of the axes those that are not negative.",
    _EVEN_LAST,
    "Real.",
    "irfft2(np.array([[4.0, 0.0], [0.0, 0.0]]))",
    "Array([[1., 1.],\n       [1., 1.]], dtype=float32)",
)
def irfft2(
    a: Any, s: Sequence[int] | None = None, axes: Sequence[int] = (-2, -1), norm: str | None = None
) -> Any:
    return _transform("irfft2", a, FftType.IRFFT, s, axes, norm)


@_documented(
    "Discrete Fourier transform along several axes.",
    "Numbers; real ones become complex.",
    _AS_MANY,
    "Complex.",
    "fftn(np.ones((2, 2)))",
    "Array([[4.+0.j, 0.+0.j],\n       [0.+0.j, 0.+0.j]], dtype=complex64)",
)
def fftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    return _transform("fftn", a, FftType.FFT, s, axes, norm)


@_documented(
    "Inverse of `fftn`.",
    "Numbers.",
    _AS_MANY,
    "Complex.",
    "ifftn(np.array([[4.0, 0.0], [0.0, 0.0]]))",
    "Array([[1.+0.j, 1.+0.j],\n       [1.+0.j, 1.+0.j]], dtype=complex64)",
)
def ifftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    return _transform("ifftn", a, FftType.IFFT, s, axes, norm)


@_documented(
    "Discrete Fourier transform of real numbers along several axes.",
    "Real numbers.",
    _AS_MANY,
    "Complex; along the last of the axes the frequencies that are not negative.",
    "rfftn(np.ones((2, 2)))",
    "Array([[4.+0.j, 0.+0.j],\n       [0.+0.j, 0.+0.j]], dtype=complex64)",
)
def rfftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    return _transform("rfftn", a, FftType.RFFT, s, axes, norm)


@_documented(
    "Inverse of `rfftn`.",
    "Frequencies, along the last of the axes those that are not negative.",
    _EVEN_LAST,
    "Real.",
    "irfftn(np.array([[4.0, 0.0], [0.0, 0.0]]))",
    "Array([[1., 1.],\n       [1., 1.]], dtype=float32)",
)
def irfftn(
    a: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    return _transform("irfftn", a, FftType.IRFFT, s, axes, norm)
