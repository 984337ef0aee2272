"""Images of any number of dimensions (`covector.scipy.ndimage`)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.dims import is_at_least, max_dim
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import as_number
from covector.numpy._util import array, broadcast_all, convert, fused, inexact, promote_dtypes

__all__ = ["map_coordinates"]


def _around(i: Any, period: int) -> Any:
    """Indices modulo a number that is not negative."""
    if period == 0:
        return cnp.zeros_like(i)
    i = lax.rem(i, as_number(max_dim(period, 1), dtypes.int32))
    return cnp.where(i < 0, i + period, i)


def _mirror(i: Any, n: int) -> Any:
    """Indices reflected at the centres of the first and the last pixel."""
    i, period = _around(i, 2 * n - 2), 2 * n - 2
    return cnp.minimum(i, period - i)


def _reflect(i: Any, n: int) -> Any:
    """Indices reflected at the outer edges of these pixels."""
    i = _around(i, 2 * n)
    return cnp.minimum(i, 2 * n - 1 - i)


# The pixels that indices are of; those out of bounds are moved inside as they are read.
_MODES: dict[str, Callable[[Any, int], Any]] = {
    "constant": lambda i, n: i,
    "nearest": lambda i, n: i,
    "wrap": _around,
    "mirror": _mirror,
    "reflect": _reflect,
}


def _pair(i: Any, n: int, mode: str) -> tuple[Any, Any, Any]:
    """Where two pixels start, beside each other, that have those of indices and of the next ones;
    and whether each of these is the second."""
    if mode == "mirror":
        i = _around(i, 2 * n - 2)
        return cnp.minimum(i, 2 * n - 3 - i), i >= n - 1, i < n - 1
    if mode == "reflect":
        i = _around(i, 2 * n)
        return cnp.minimum(i, 2 * n - 2 - i), (i >= n - 1) & (i < 2 * n - 1), i < n
    return i, i >= n - 1, i >= 0


def _rounded(x: Any) -> Any:
    return lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)


@fused("order", "mode")
def map_coordinates(
    input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0
) -> Any:
    """The values of an image at coordinates between its pixels.

    Parameters
    ----------
    input : array_like
        Of any number of dimensions.
    coordinates : sequence of array_like
        An array of coordinates for each dimension; they broadcast together. The centres of the
        pixels lie at whole numbers.
    order : int
        0 for the nearest pixel, 1 for linear interpolation.
    mode : {'constant', 'nearest', 'wrap', 'mirror', 'reflect'}
        What lies beyond the image: pixels of the value ``cval``, those at the border, the image
        again (SciPy's ``'grid-wrap'``), or its mirror image about the centres or the edges of the
        pixels at the border. ``'constant'`` is SciPy's ``'grid-constant'``.
    cval : array_like
        The value beyond the image for ``mode='constant'``.

    Returns
    -------
    Array
        Of the common shape of the coordinates and the dtype of ``input``; integers are rounded,
        halves away from zero. NaN where a coordinate is no finite number, for a float ``input``.

    Raises
    ------
    ValueError
        If there is not a coordinate for each dimension, or the image is empty.
    NotImplementedError
        For other orders and modes.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.ndimage import map_coordinates
    >>> image = np.arange(12.0).reshape(3, 4)
    >>> map_coordinates(image, [np.array([0.5, 2.0]), np.array([0.5, 3.5])], order=1)
    Array([2.5, 5.5], dtype=float32)
    """
    x = array(input, "map_coordinates")
    if operator.index(order) not in (0, 1):
        raise NotImplementedError(
            f"map_coordinates: order must be 0 or 1, got {order}{at_user_line()}"
        )
    if mode not in _MODES:
        raise NotImplementedError(
            f"map_coordinates: mode must be one of {', '.join(_MODES)}, got {mode!r}"
            f"{at_user_line()}"
        )
    if len(coordinates) != x.ndim:
        raise ValueError(
            f"map_coordinates: there must be an array of coordinates for each of the {x.ndim} "
            f"dimensions of {x.aval.str_short()}, got {len(coordinates)}{at_user_line()}"
        )
    if not x.size:
        raise ValueError(
            f"map_coordinates: the image {x.aval.str_short()} has no pixels{at_user_line()}"
        )
    return _mapped(x, coordinates, order, mode, cval)


def _windows(x: Any, starts: Sequence[Any], sizes: Sequence[int]) -> Any:
    """Parts of these sizes of an image, from indices on; their dimensions are the last ones."""
    ndim = starts[0].ndim
    numbers = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(ndim, ndim + x.ndim)), collapsed_slice_dims=(),
        start_index_map=tuple(range(x.ndim)),
    )  # fmt: skip
    at, mode = cnp.stack(starts, axis=-1), lax.GatherScatterMode.CLIP
    return lax.gather(x, at, numbers, slice_sizes=tuple(sizes), mode=mode)


def _at(x: Any, at: Sequence[Any]) -> Any:
    return _windows(x, at, [1] * x.ndim)[(..., *[0] * x.ndim)]


def _nearest(x: Any, at: Sequence[Any], mode: str, cval: Any) -> Any:
    """The pixels nearest to coordinates."""
    at = [_rounded(c).astype(dtypes.int32) for c in at]
    found = _at(x, [_MODES[mode](i, n) for i, n in zip(at, x.shape, strict=True)])
    if mode == "constant":
        for i, n in zip(at, x.shape, strict=True):
            found = cnp.where((i >= 0) & (i < n), found, cval)
    return found


def _linear(x: Any, at: Sequence[Any], mode: str, cval: Any) -> Any:
    """Between the pixels at coordinates, one dimension after the other."""
    kind = x.dtype if x.dtype in dtypes.INEXACT else dtypes.default_float()
    below = [cnp.floor(c) for c in at]
    parts = [c - f for c, f in zip(at, below, strict=True)]
    i = [f.astype(dtypes.int32) for f in below]
    # The pixels between which one is lie beside each other: they are read as a part of the image.
    # For ``'wrap'`` they do so with the first pixels behind the last, if such a copy is no dearer
    # than what is asked for.
    wraps = mode == "wrap"
    together = not wraps or is_at_least(at[0].size, x.size, False)
    if wraps:
        sizes = [2] * x.ndim
        starts = [_around(j, n) for j, n in zip(i, x.shape, strict=True)]
        following = [cnp.where(s == n - 1, 0, s + 1) for s, n in zip(starts, x.shape, strict=True)]
        source = cnp.pad(x, [(0, 1)] * x.ndim, mode="wrap") if together else x
    else:
        sizes = [min(n, 2) if type(n) is int else 2 for n in x.shape]
        pairs = [_pair(j, n, mode) for j, n in zip(i, x.shape, strict=True)]
        starts = [start for start, *_ in pairs]
        # Of a symbolic size, which may be 1, there are two pixels, too.
        missing = [0 if type(n) is int else max_dim(2 - n, 0) for n in x.shape]
        known = all(type(k) is int for k in missing)
        source = x if known else cnp.pad(x, [(0, k) for k in missing], mode="edge")
    if together:
        windows = _windows(source, starts, sizes)

    def pixel(place: tuple[int, ...]) -> Any:
        if together:
            return convert(windows[(..., *place)], kind)
        found = [f if k else s for s, f, k in zip(starts, following, place, strict=True)]
        return convert(_at(x, found), kind)

    def between(place: tuple[int, ...]) -> tuple[Any, Any]:
        """What is found in the part of the image that begins so, and what would be beyond it."""
        d = len(place)
        if d == x.ndim:
            return pixel(place), convert(cval, kind)
        found = [between((*place, k)) for k in range(sizes[d])]
        near, beyond = [f for f, _ in found], found[0][1]
        if len(near) == 1:
            near *= 2
        elif not wraps:
            near = [cnp.where(second, near[1], near[0]) for second in pairs[d][1:]]
        if mode == "constant":
            inside = [(i[d] >= -k) & (i[d] < x.shape[d] - k) for k in (0, 1)]
            near = [cnp.where(ok, v, beyond) for ok, v in zip(inside, near, strict=True)]
        return _mix(*near, parts[d]), _mix(beyond, beyond, parts[d])

    return between(())[0]


def _mix(x: Any, y: Any, part: Any) -> Any:
    """What lies at this part of the way from one to the other."""
    x, y, part = promote_dtypes("map_coordinates", x, y, part)
    return x * (1 - part) + y * part


def _mapped(x: Any, coordinates: Sequence[Any], order: int, mode: str, cval: Any) -> Any:
    if not x.ndim:
        return x
    at = [inexact(c, "map_coordinates") for c in coordinates]
    at = broadcast_all("map_coordinates", *at)
    dt = x.dtype
    found = (_linear if order else _nearest)(x, at, mode, cnp.asarray(cval, dt))
    if order and dt not in dtypes.INEXACT:
        found = _rounded(found)
    return convert(found, dt)


_export(globals(), __all__)
