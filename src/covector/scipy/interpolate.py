"""Interpolation on grids (`covector.scipy.interpolate`)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as onp

from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.numpy._util import array, fused, inexact, is_concrete, promote_inexact

__all__ = ["RegularGridInterpolator"]

_METHODS = ("linear", "nearest")


class RegularGridInterpolator:
    """Interpolation of values on a rectangular grid.

    Parameters
    ----------
    points : sequence of array_like
        Coordinates of the grid along each dimension, vectors that rise or fall strictly.
    values : array_like
        Values at the points: an array whose first dimensions are as long as the vectors. Further
        dimensions are values of one point.
    method : {'linear', 'nearest'}
        Between the points linearly in each coordinate, or the value of the nearest.
    bounds_error : bool
        Must be False: compiled functions do not raise.
    fill_value : array_like or None
        The value outside of the grid; None to extrapolate.

    Raises
    ------
    ValueError
        If the points do not fit the values or are not sorted, or the method is unknown.
    NotImplementedError
        If ``bounds_error`` is set.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.interpolate import RegularGridInterpolator
    >>> f = RegularGridInterpolator((np.arange(3.0),), np.array([0.0, 10.0, 40.0]))
    >>> f(np.array([0.5, 1.25, 3.0]))
    Array([ 5. , 17.5,  nan], dtype=float32)
    """

    def __init__(
        self,
        points: Any,
        values: Any,
        method: str = "linear",
        bounds_error: bool = False,
        fill_value: Any = cnp.nan,
    ) -> None:
        _check_method(method)
        if bounds_error:
            raise NotImplementedError(
                "RegularGridInterpolator: bounds_error is not supported: compiled functions do not "
                f"raise; what is outside has fill_value{at_user_line()}"
            )
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value
        self.values = array(inexact(cnp.asarray(values), "RegularGridInterpolator"))
        grid = [cnp.asarray(p) for p in points]
        if len(grid) > self.values.ndim:
            raise ValueError(
                f"RegularGridInterpolator: there are {len(grid)} point arrays, but values have "
                f"{self.values.ndim} dimensions{at_user_line()}"
            )
        for i, p in enumerate(grid):
            self._check_points(i, p)
            if _falls(p):
                grid[i] = cnp.flip(p)
                self.values = cnp.flip(self.values, i)
        self.grid = tuple(grid)
        if fill_value is not None and dtypes.is_complex(cnp.asarray(fill_value).dtype):
            if not dtypes.is_complex(self.values.dtype):
                raise ValueError(
                    "RegularGridInterpolator: fill_value must be real, as the values are, got "
                    f"{describe(fill_value)}{at_user_line()}"
                )

    def _check_points(self, i: int, p: Any) -> None:
        if p.ndim != 1 or p.shape[0] != self.values.shape[i] or not p.shape[0]:
            raise ValueError(
                f"RegularGridInterpolator: the points of dimension {i} must be a vector of "
                f"{self.values.shape[i]} coordinates, got {p.aval.str_short()}{at_user_line()}"
            )
        if is_concrete(p):
            steps = onp.diff(onp.asarray(p))
            if not ((steps > 0).all() or (steps < 0).all()):
                raise ValueError(
                    f"RegularGridInterpolator: the points of dimension {i} must rise or fall "
                    f"strictly, got {onp.asarray(p)}{at_user_line()}"
                )

    def __call__(self, xi: Any, method: str | None = None) -> Any:
        """The values at ``xi``: coordinates in the last axis, or a tuple of arrays of each."""
        method = self.method if method is None else method
        _check_method(method)
        n = len(self.grid)
        if isinstance(xi, (tuple, list)):
            xi = cnp.stack(cnp.broadcast_arrays(*[cnp.asarray(x) for x in xi]), -1)
        else:
            xi = cnp.asarray(xi)
            xi = xi[:, None] if xi.ndim == 1 and n == 1 else xi
        if not xi.ndim or xi.shape[-1] != n:
            raise ValueError(
                f"RegularGridInterpolator: the points have {n} coordinates in their last axis, got "
                f"{xi.aval.str_short()}{at_user_line()}"
            )
        return _interpolate(xi, self.grid, self.values, self.fill_value, method)


def _check_method(method: str) -> None:
    if method not in _METHODS:
        raise ValueError(
            f"RegularGridInterpolator: method must be 'linear' or 'nearest', got {method!r}"
            f"{at_user_line()}"
        )


def _falls(p: Any) -> bool:
    return is_concrete(p) and p.shape[0] > 1 and bool(onp.asarray(p)[0] > onp.asarray(p)[-1])


@fused("method")
def _interpolate(xi: Any, grid: Any, values: Any, fill_value: Any, method: str) -> Any:
    xi, *grid = (array(v) for v in promote_inexact("RegularGridInterpolator", xi, *grid))
    below, parts, outside = [], [], cnp.zeros(xi.shape[:-1], cnp.bool_)
    for i, p in enumerate(grid):
        x = xi[..., i]
        left, part = _place(p, x)
        below.append(left)
        parts.append(part)
        outside = outside | (x < p[0]) | (x > p[-1])
    over = tuple(range(outside.ndim, outside.ndim + values.ndim - len(grid)))
    if method == "nearest":
        nearest = [b + (t > 0.5) for b, t in zip(below, parts, strict=True)]
        out = values[
            tuple(cnp.clip(k, 0, p.shape[0] - 1) for k, p in zip(nearest, grid, strict=True))
        ]
    else:
        out = cnp.zeros((), values.dtype)
        for corner in itertools.product((0, 1), repeat=len(grid)):
            index = [
                cnp.minimum(b + c, p.shape[0] - 1)
                for b, c, p in zip(below, corner, grid, strict=True)
            ]
            weight = cnp.ones((), xi.dtype)
            for c, t in zip(corner, parts, strict=True):
                weight = weight * (t if c else 1.0 - t)
            out = out + values[tuple(index)] * cnp.expand_dims(weight, over)
    missing = cnp.any(cnp.isnan(xi), -1)
    out = cnp.where(cnp.expand_dims(missing, over), cnp.nan, out)
    if fill_value is not None:
        out = cnp.where(cnp.expand_dims(outside, over), fill_value, out)
    return out


def _place(p: Any, x: Any) -> tuple[Any, Any]:
    """The grid point at or below each coordinate, and the part of the way to the next."""
    n = p.shape[0]
    if n == 1:
        return cnp.zeros(x.shape, int), cnp.zeros_like(x)
    left = cnp.clip(cnp.searchsorted(p, x, side="right") - 1, 0, n - 2)
    low = p[left]
    return left, (x - low) / (p[left + 1] - low)


_export(globals(), __all__)
