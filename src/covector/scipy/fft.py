"""Discrete cosine transforms (`covector.scipy.fft`); Fourier transforms are `covector.numpy.fft`.

Each is a Fourier transform of as many points, or of about twice as many, and a turn of its
results: J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Transactions on
Acoustics, Speech, and Signal Processing 28, 1980.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import canonical_axes, canonical_axis
from covector.numpy._util import array, convert, fused

__all__ = ["dct", "dctn", "idct", "idctn"]

_NORMS = (None, "backward", "ortho", "forward")
# The type that undoes each.
_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}


# --- along the last axis, not normalised ------------------------------------------------------


def _turn(x: Any, angle: Any) -> Any:
    """The real part of complex numbers turned back by angles."""
    dt = dtypes.real_dtype(x.dtype)
    c, s = onp.cos(angle).astype(dt), onp.sin(angle).astype(dt)
    return lax.real(x) * c + lax.imag(x) * s


def _first(x: Any) -> Any:
    n = x.shape[-1]
    if n < 2:
        raise ValueError(f"a DCT of type 1 needs two points or more, got {n}{at_user_line()}")
    return lax.real(cnp.fft.rfft(cnp.concatenate([x, x[..., -2:0:-1]], -1)))


def _second(x: Any) -> Any:
    n = x.shape[-1]
    z = cnp.fft.rfft(cnp.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], -1))
    k = onp.arange(n)
    half = n // 2 + 1
    # Of the upper frequencies the conjugates are known.
    low = _turn(z, 0.5 * onp.pi * k[:half] / n)
    high = _turn(lax.conj(z[..., 1 : (n + 1) // 2][..., ::-1]), 0.5 * onp.pi * k[half:] / n)
    return 2.0 * cnp.concatenate([low, high], -1)


def _third(x: Any) -> Any:
    n = x.shape[-1]
    dt = x.dtype
    k = onp.arange(n // 2 + 1)
    angle = 0.5 * onp.pi * k / n
    c, s = onp.cos(angle).astype(dt), onp.sin(angle).astype(dt)
    other = cnp.concatenate([cnp.zeros_like(x[..., :1]), x[..., ::-1]], -1)[..., : k.size]
    front = x[..., : k.size]
    if k.size > n:
        front = cnp.concatenate([front, cnp.zeros_like(x[..., :1])], -1)
    z = lax.complex(front * c + other * s, front * s - other * c)
    v = n * cnp.fft.irfft(z, n)
    half = (n + 1) // 2
    out = cnp.zeros_like(x)
    return out.at[..., ::2].set(v[..., :half]).at[..., 1::2].set(v[..., half:][..., ::-1])


def _fourth(x: Any) -> Any:
    n = x.shape[-1]
    dt = x.dtype
    k = onp.arange(n)
    angle = 0.5 * onp.pi * k / n
    z = lax.complex(x * onp.cos(angle).astype(dt), x * (-onp.sin(angle)).astype(dt))
    return 2.0 * _turn(cnp.fft.fft(z, 2 * n)[..., :n], 0.25 * onp.pi * (2 * k + 1) / n)


_TYPES: dict[int, Callable[[Any], Any]] = {1: _first, 2: _second, 3: _third, 4: _fourth}


def _edges(n: int, first: float, last: float = 1.0) -> onp.ndarray:
    out = onp.ones(n)
    out[0] *= first
    out[-1] *= last
    return out


def _orthonormal(x: Any, type_: int) -> Any:
    """The transform by an orthogonal matrix."""
    n, dt, root = x.shape[-1], x.dtype, math.sqrt(0.5)
    if type_ == 1:
        edges = _edges(n, root, root).astype(dt)
        scale = math.sqrt(1 / (2 * (n - 1))) if n > 1 else 1.0
        return _TYPES[1](x / edges) * (edges * dt.type(scale))
    scale = math.sqrt(1 / (2 * n))
    if type_ == 2:
        return _TYPES[2](x) * (_edges(n, root) * scale).astype(dt)
    if type_ == 3:
        return _TYPES[3](x * (_edges(n, 1 / root)).astype(dt)) * dt.type(scale)
    return _TYPES[4](x) * dt.type(scale)


# --- along any axes --------------------------------------------------------------------------


def _check(name: str, type_: Any, norm: Any) -> int:
    kind = operator.index(type_)
    if kind not in _TYPES:
        raise ValueError(f"{name}: type must be 1, 2, 3 or 4, got {type_!r}{at_user_line()}")
    if norm not in _NORMS:
        raise ValueError(
            f"{name}: norm must be one of {', '.join(map(repr, _NORMS))}, got {norm!r}"
            f"{at_user_line()}"
        )
    return kind


def _operand(name: str, x: Any) -> Any:
    x = array(x, name)
    dt = dtypes.to_inexact_dtype(x.dtype)
    if dt in dtypes.COMPLEX:
        raise TypeError(f"{name} takes real numbers, got {x.aval.str_short()}{at_user_line()}")
    return convert(x, dtypes.float32 if dt.itemsize == 2 else dt)


def _along(name: str, x: Any, type_: int, n: Any, axis: int, norm: Any, inverse: bool) -> Any:
    """One axis; of the inverse ``type_`` is that of the transform undone."""
    points = x.shape[axis] if n is None else operator.index(n)
    if points < 1:
        raise ValueError(
            f"{name}: the number of points must be positive, got {points}{at_user_line()}"
        )
    if points != x.shape[axis]:
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (0, points - x.shape[axis], 0)
        x = lax.pad(x, x.dtype.type(0), config)
    x = cnp.moveaxis(x, axis, -1)
    kind = _INVERSE[type_] if inverse else type_
    if norm == "ortho":
        out = _orthonormal(x, kind)
    else:
        out = _TYPES[kind](x)
        if (norm == "forward") != inverse:
            out = out * x.dtype.type(1 / (2 * (points - 1) if kind == 1 else 2 * points))
    return cnp.moveaxis(out, -1, axis)


def _several(name: str, x: Any, type_: Any, s: Any, axes: Any, norm: Any, inverse: bool) -> Any:
    kind = _check(name, type_, norm)
    x = _operand(name, x)
    if axes is None and s is not None:
        axes = range(x.ndim - len(s), x.ndim)
    along = canonical_axes(axes, x, "axes")
    sizes = [None] * len(along) if s is None else list(s)
    if len(sizes) != len(along):
        raise ValueError(f"{name}: s has {len(sizes)} sizes for {len(along)} axes{at_user_line()}")
    for axis, n in zip(along, sizes, strict=True):
        x = _along(name, x, kind, n, axis, norm, inverse)
    return x


# --- functions -----------------------------------------------------------------------------


@fused("type", "n", "axis", "norm")
def dct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Any:
    """Discrete cosine transform along an axis.

    Parameters
    ----------
    x : array_like
        Real numbers.
    type : {1, 2, 3, 4}
        Of the cosines, as SciPy counts them; 3 undoes 2, and 1 and 4 undo themselves.
    n : int, optional
        Number of points: the array is cut off or filled up with zeros at the end.
    axis : int
        Axis to transform.
    norm : {'backward', 'ortho', 'forward'}, optional
        ``ortho`` makes the matrix orthogonal, ``forward`` divides by twice the number of points;
        by default nothing is divided here but in the inverse.

    Returns
    -------
    Array
        Of the shape and float dtype of ``x``, at least float32.

    Raises
    ------
    TypeError
        If the numbers are complex.
    ValueError
        If the type or norm is unknown, or there are no points.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import fft
    >>> np.round(fft.dct(np.array([1.0, 2.0, 4.0, 3.0])), 1)
    Array([20. , -5.2, -2.8,  2.2], dtype=float32)
    """
    kind = _check("dct", type, norm)
    x = _operand("dct", x)
    return _along("dct", x, kind, n, canonical_axis(axis, x), norm, False)


@fused("type", "n", "axis", "norm")
def idct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None
) -> Any:
    """Inverse of `dct`.

    Parameters
    ----------
    x : array_like
        Real numbers.
    type : {1, 2, 3, 4}
        Of the transform that is undone.
    n : int, optional
        Number of points: the array is cut off or filled up with zeros at the end.
    axis : int
        Axis to transform.
    norm : {'backward', 'ortho', 'forward'}, optional
        As of `dct`.

    Returns
    -------
    Array
        Of the shape and float dtype of ``x``, at least float32.

    Raises
    ------
    TypeError
        If the numbers are complex.
    ValueError
        If the type or norm is unknown, or there are no points.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import fft
    >>> np.round(fft.idct(fft.dct(np.array([1.0, 2.0, 3.0, 4.0]))), 3)
    Array([1., 2., 3., 4.], dtype=float32)
    """
    kind = _check("idct", type, norm)
    x = _operand("idct", x)
    return _along("idct", x, kind, n, canonical_axis(axis, x), norm, True)


@fused("type", "s", "axes", "norm")
def dctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    """Discrete cosine transform along several axes.

    Parameters
    ----------
    x : array_like
        Real numbers.
    type : {1, 2, 3, 4}
        See `dct`.
    s : sequence of int, optional
        Number of points along each of the axes: the array is cut off or filled up with zeros at
        the ends.
    axes : sequence of int, optional
        Axes to transform; by default the last ones, as many as ``s`` has, or all.
    norm : {'backward', 'ortho', 'forward'}, optional
        See `dct`.

    Returns
    -------
    Array
        Of the float dtype of ``x``, at least float32.

    Raises
    ------
    TypeError
        If the numbers are complex.
    ValueError
        If the type or norm is unknown, there are no points, or an axis does not exist.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import fft
    >>> np.round(fft.dctn(np.array([[1.0, 2.0], [3.0, 4.0]]), norm="ortho"), 3)
    Array([[ 5., -1.],
           [-2.,  0.]], dtype=float32)
    """
    return _several("dctn", x, type, s, axes, norm, False)


@fused("type", "s", "axes", "norm")
def idctn(
    x: Any,
    type: int = 2,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str | None = None,
) -> Any:
    """Inverse of `dctn`.

    Parameters
    ----------
    x : array_like
        Real numbers.
    type : {1, 2, 3, 4}
        Of the transform that is undone.
    s : sequence of int, optional
        Number of points along each of the axes.
    axes : sequence of int, optional
        Axes to transform; by default the last ones, as many as ``s`` has, or all.
    norm : {'backward', 'ortho', 'forward'}, optional
        See `dct`.

    Returns
    -------
    Array
        Of the float dtype of ``x``, at least float32.

    Raises
    ------
    TypeError
        If the numbers are complex.
    ValueError
        If the type or norm is unknown, there are no points, or an axis does not exist.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import fft
    >>> np.round(fft.idctn(np.array([[5.0, -1.0], [-2.0, 0.0]]), norm="ortho"), 3)
    Array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    return _several("idctn", x, type, s, axes, norm, True)


_export(globals(), __all__)
