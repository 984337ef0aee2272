"""Trends taken off signals."""

from __future__ import annotations

import operator
from typing import Any

import numpy as onp

from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axis
from covector.numpy._util import array, fused, inexact

_TYPES = ("linear", "constant")


def without_trend(x: Any, type_: str, breaks: list[int]) -> Any:
    """``x`` less its mean, or less its best line from each break to the next; last axis."""
    if type_ == "constant":
        return x - cnp.mean(x, -1, keepdims=True)
    parts = []
    for low, high in zip(breaks[:-1], breaks[1:], strict=True):
        part = x[..., low:high]
        n = high - low
        # The line is the mean and the part along the centred ramp, which is orthogonal to it.
        ramp = onp.arange(n) - 0.5 * (n - 1)
        out = part - cnp.mean(part, -1, keepdims=True)
        if n > 1:
            t = (ramp / onp.sqrt(onp.sum(ramp * ramp))).astype(x.dtype)
            out = out - cnp.sum(out * t, -1, keepdims=True) * t
        parts.append(out)
    return cnp.concatenate(parts, -1)


@fused("axis", "type", "bp", "overwrite_data")
def detrend(
    data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: None = None
) -> Any:
    """``data`` without its trend along an axis.

    Parameters
    ----------
    data : array_like
    axis : int
    type : {'linear', 'constant'}
        Whether the line of the least squares or the mean is taken off.
    bp : int or sequence of int
        Where a line ends and the next begins.
    overwrite_data : None
        Not supported: arrays do not change.

    Returns
    -------
    Array
        Of the shape and float dtype of ``data``.

    Raises
    ------
    ValueError
        If the type is unknown, or a break lies outside of the data.
    NotImplementedError
        If ``overwrite_data`` is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import signal
    >>> signal.detrend(np.array([1.0, 3.0, 5.0, 8.0]), type="constant")
    Array([-3.25, -1.25,  0.75,  3.75], dtype=float32)
    """
    if overwrite_data is not None:
        raise NotImplementedError(
            f"detrend: overwrite_data is not supported: arrays do not change{at_user_line()}"
        )
    if type not in _TYPES:
        raise ValueError(
            f"detrend: type must be 'linear' or 'constant', got {type!r}{at_user_line()}"
        )
    x = array(inexact(data, "detrend"), "detrend")
    k = canonical_axis(axis, x)
    n = x.shape[k]
    given = [operator.index(b) for b in onp.atleast_1d(onp.asarray(bp)).tolist()]
    if any(not 0 <= b <= n for b in given):
        raise ValueError(
            f"detrend: breaks must lie between 0 and {n}, the size of the data, got {given}"
            f"{at_user_line()}"
        )
    if n == 0:
        return x
    breaks = sorted({0, *given, n})
    return cnp.moveaxis(without_trend(cnp.moveaxis(x, k, -1), type, breaks), -1, k)
