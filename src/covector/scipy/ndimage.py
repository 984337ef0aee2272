"""Images of any number of dimensions (`covector.scipy.ndimage`)."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import product
from covector.numpy._util import array, broadcast_all, convert, fused, inexact, promote_dtypes

__all__ = ["map_coordinates"]


def _mirror(i: Any, n: int) -> Any:
    """Indices reflected at the centres of the first and the last pixel."""
    period = 2 * n - 2
    return cnp.abs(cnp.remainder(i + (n - 1), period) - (n - 1)) if period else cnp.zeros_like(i)


def _reflect(i: Any, n: int) -> Any:
    """Indices reflected at the outer edges of these pixels."""
    folded = cnp.remainder(i, 2 * n)
    return cnp.minimum(folded, 2 * n - 1 - folded)


def _nearest(i: Any, n: int) -> Any:
    return cnp.clip(i, 0, n - 1)


_MODES: dict[str, Callable[[Any, int], Any]] = {
    "constant": _nearest,
    "nearest": _nearest,
    "wrap": cnp.remainder,
    "mirror": _mirror,
    "reflect": _reflect,
}


def _neighbours(x: Any, order: int) -> list[tuple[Any, Any]]:
    """Of coordinates, indices and weights of the pixels beside them."""
    if order == 0:
        return [(_rounded(x).astype(dtypes.int32), None)]
    below = cnp.floor(x)
    part = x - below
    i = below.astype(dtypes.int32)
    return [(i, 1.0 - part), (i + 1, part)]


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


_ONE_BY_ONE = lax.GatherDimensionNumbers(
    offset_dims=(), collapsed_slice_dims=(0,), start_index_map=(0,)
)


def _pixels(row: Any, at: Any) -> Any:
    """Elements of a vector at positions that are in bounds: none counts from the end."""
    return lax.gather(
        row, lax.expand_dims(at, (at.ndim,)), _ONE_BY_ONE, slice_sizes=(1,),
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )  # fmt: skip


def _mapped(x: Any, coordinates: Sequence[Any], order: int, mode: str, cval: Any) -> Any:
    at = [inexact(c, "map_coordinates") for c in coordinates]
    at = broadcast_all("map_coordinates", *at) if at else at
    dt = x.dtype
    kind = dt if dt in dtypes.INEXACT else dtypes.default_float()
    fix = _MODES[mode]
    # Positions in row-major order: one gather, of indices that are in bounds already.
    strides = [product(x.shape[d + 1 :]) for d in range(x.ndim)]
    pixels = cnp.ravel(x)
    total = None
    for corner in itertools.product(*[_neighbours(c, order) for c in at]):
        fixed = [fix(i, n) * s for (i, _), n, s in zip(corner, x.shape, strides, strict=True)]
        value = _pixels(pixels, sum(fixed)) if fixed else x
        if mode == "constant":
            for (i, _), n in zip(corner, x.shape, strict=True):
                value = cnp.where((i >= 0) & (i < n), value, cnp.asarray(cval, dt))
        value = convert(value, kind)
        for _, weight in corner:
            if weight is not None:
                value, weight = promote_dtypes("map_coordinates", value, weight)
                value = value * weight
        total = value if total is None else total + value
    if dt not in dtypes.INEXACT:
        total = _rounded(total)
    return convert(total, dt)


_export(globals(), __all__)
