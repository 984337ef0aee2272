"""Objects to be indexed: grids, concatenation, index expressions."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core.errors import at_user_line
from covector.numpy._util import promote_dtypes
from covector.numpy.creation import asarray
from covector.numpy.grids import meshgrid
from covector.numpy.joining import concatenate
from covector.numpy.manipulation import atleast_1d
from covector.numpy.ranges import arange, linspace


def _range(s: slice) -> Any:
    """``start:stop:step``, where an imaginary step is a number of points."""
    start = 0 if s.start is None else s.start
    step = 1 if s.step is None else s.step
    if isinstance(step, complex):
        return linspace(start, s.stop, int(abs(step)))
    return arange(start, s.stop, step)


class _MGrid:
    """``mgrid[0:3, 0:2]``: dense coordinate arrays of a grid, stacked."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range(key)
        axes = promote_dtypes("mgrid", *[_range(k) for k in key])
        grids = meshgrid(*axes, indexing="ij")
        return lax.stack(grids, 0) if grids else asarray([])


class _OGrid:
    """``ogrid[0:3, 0:2]``: coordinate arrays of a grid that broadcast together."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return _range(key)
        axes = promote_dtypes("ogrid", *[_range(k) for k in key])
        return meshgrid(*axes, indexing="ij", sparse=True)


class _Concatenator:
    """``r_[1:3, x, 7]``: arrays, ranges and scalars joined along an axis."""

    def __init__(self, axis: int, ndmin: int, trans1d: int) -> None:
        self.defaults = axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Any:
        items = list(key) if isinstance(key, tuple) else [key]
        axis, ndmin, trans1d = self.defaults
        if items and isinstance(items[0], str):
            directive = items.pop(0)
            if directive in ("r", "c"):
                raise NotImplementedError("matrix directives 'r' and 'c' are not supported")
            try:
                numbers = [int(t) for t in directive.split(",")]
            except ValueError as e:
                raise ValueError(f"unknown directive {directive!r}{at_user_line()}") from e
            axis = numbers[0]
            ndmin = numbers[1] if len(numbers) > 1 else ndmin
            trans1d = numbers[2] if len(numbers) > 2 else trans1d
        parts = []
        for item in items:
            x = _range(item) if isinstance(item, slice) else atleast_1d(asarray(item))
            old = x.ndim
            if ndmin > old:
                # The dimensions it has go to `trans1d`, counted from the end of the new ones.
                shape = [1] * ndmin
                at = trans1d if trans1d >= 0 else trans1d + ndmin - old + 1
                shape[at : at + old] = x.shape
                x = lax.reshape(x, tuple(shape))
            parts.append(x)
        return concatenate(parts, axis)


class _IndexExpression:
    """``s_[1:3, ...]``: the index itself."""

    def __init__(self, always_tuple: bool) -> None:
        self.always_tuple = always_tuple

    def __getitem__(self, key: Any) -> Any:
        return (key,) if self.always_tuple and not isinstance(key, tuple) else key


mgrid, ogrid = _MGrid(), _OGrid()
r_, c_ = _Concatenator(0, 1, -1), _Concatenator(-1, 2, 0)
index_exp, s_ = _IndexExpression(True), _IndexExpression(False)
