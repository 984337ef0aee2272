"""Functions of whole axes."""

from __future__ import annotations

from typing import Any

from covector import nn
from covector.nn import logsumexp

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(x: Any, /, *, axis: int | tuple[int, ...] | None = None) -> Any:
    """exp(x) normalised to sum to one.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        Along which it sums to one; None for all.

    Returns
    -------
    Array
        Of the shape of ``x``; exponentials do not overflow.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> special.softmax(np.array([[0.0, 0.0], [0.0, 0.0]]))
    Array([[0.25, 0.25],
           [0.25, 0.25]], dtype=float32)
    """
    return nn.softmax(x, axis=axis)


def log_softmax(x: Any, /, *, axis: int | tuple[int, ...] | None = None) -> Any:
    """Logarithm of `softmax`, without its underflow.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        Along which the softmax sums to one; None for all.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import special
    >>> np.round(special.log_softmax(np.array([0.0, 200.0])), 3)
    Array([-200.,    0.], dtype=float32)
    """
    return nn.log_softmax(x, axis=axis)
