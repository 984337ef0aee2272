"""The frequencies of Fourier transforms, and their order."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import as_number, canonical_axes
from covector.numpy._util import array, fused
from covector.numpy.creation import asarray, on_device
from covector.numpy.manipulation import roll
from covector.numpy.ranges import arange


def _frequencies(name: str, n: Any, d: Any, dtype: Any, device: Any, half: bool) -> Any:
    points = as_size(n)
    if points < 1:
        raise ValueError(f"{name}: n must be positive, got {points}{at_user_line()}")
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, name)
    if not dtypes.is_inexact(dt):
        raise TypeError(f"{name}: dtype must be that of floats, got {dt}{at_user_line()}")
    if half:
        k = arange(points // 2 + 1)
    elif type(points) is int:
        k = asarray(onp.fft.ifftshift(onp.arange(points) - points // 2))
    else:
        k = arange(points)
        k = lax.select(lax.lt(k, as_number((points + 1) // 2, k.dtype)), k, k - points)
    out = k.astype(dt) / (array(d, name).astype(dt) * points)
    return on_device(out.astype(dt), device)


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the results of `fft`, in their order.

    Parameters
    ----------
    n : int
        Number of points.
    d : array_like of rank 0
        Time from one point to the next, in the unit whose inverse the frequencies have.
    dtype : float dtype, optional
        By default the default float.
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array
        Shape ``(n,)``: 0, the positive frequencies, then the negative ones.

    Raises
    ------
    ValueError
        If ``n`` is not positive.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fft.fftfreq(5, 0.1)
    Array([ 0.,  2.,  4., -4., -2.], dtype=float32)
    """
    return _frequencies("fftfreq", n, d, dtype, device, False)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the results of `rfft`, in their order.

    Parameters
    ----------
    n : int
        Number of points of the real side.
    d : array_like of rank 0
        Time from one point to the next, in the unit whose inverse the frequencies have.
    dtype : float dtype, optional
        By default the default float.
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array
        Shape ``(n // 2 + 1,)``.

    Raises
    ------
    ValueError
        If ``n`` is not positive.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fft.rfftfreq(5, 0.1)
    Array([0., 2., 4.], dtype=float32)
    """
    return _frequencies("rfftfreq", n, d, dtype, device, True)


@fused("axes")
def fftshift(x: Any, axes: Any = None) -> Any:
    """``x`` with the frequency 0 moved from the beginning of axes to their middle.

    Parameters
    ----------
    x : array_like
    axes : int or sequence of int, optional
        By default all.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fft.fftshift(np.array([0, 1, 2, -2, -1]))
    Array([-2, -1,  0,  1,  2], dtype=int32)
    """
    x = array(x, "fftshift")
    along = canonical_axes(axes, x, "axes")
    return roll(x, [x.shape[k] // 2 for k in along], along)


@fused("axes")
def ifftshift(x: Any, axes: Any = None) -> Any:
    """Inverse of `fftshift`, also for an odd number of points.

    Parameters
    ----------
    x : array_like
    axes : int or sequence of int, optional
        By default all.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fft.ifftshift(np.array([-2, -1, 0, 1, 2]))
    Array([ 0,  1,  2, -2, -1], dtype=int32)
    """
    x = array(x, "ifftshift")
    along = canonical_axes(axes, x, "axes")
    return roll(x, [-(x.shape[k] // 2) for k in along], along)
