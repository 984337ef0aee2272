"""Cumulative sums, products, extrema and log-sum-exps along an axis."""

from __future__ import annotations

from typing import Any

from covector.core.avals import aval_of
from covector.core.operands import as_operand, canonical_axis
from covector.core.trace import Primitive
from covector.primitives.cumulative import cumlogsumexp_p, cummax_p, cummin_p, cumprod_p, cumsum_p


def _bind(prim: Primitive, operand: Any, axis: int, reverse: bool) -> Any:
    x = as_operand(operand, prim.name)
    axis = canonical_axis(axis, aval_of(x))
    return prim.bind(x, axis=axis, reverse=bool(reverse))


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Cumulative sum along ``axis``, from the end if ``reverse``.

    Parameters
    ----------
    operand : array_like
        Numbers, of at least one dimension.
    axis : int
        Negative ones count from the end.
    reverse : bool
        Whether to start from the end.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.cumsum(np.array([1, 2, 3, 4]))
    Array([ 1,  3,  6, 10], dtype=int32)
    >>> lax.cumsum(np.array([1, 2, 3, 4]), reverse=True)
    Array([10,  9,  7,  4], dtype=int32)
    """
    return _bind(cumsum_p, operand, axis, reverse)


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Cumulative product along ``axis``, from the end if ``reverse``.

    Parameters
    ----------
    operand : array_like
        Numbers, of at least one dimension.
    axis : int
        Negative ones count from the end.
    reverse : bool
        Whether to start from the end.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.cumprod(np.array([[1, 2, 3], [4, 5, 6]]), axis=1)
    Array([[  1,   2,   6],
           [  4,  20, 120]], dtype=int32)
    """
    return _bind(cumprod_p, operand, axis, reverse)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Cumulative maximum along ``axis``, from the end if ``reverse``.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans, of at least one dimension.
    axis : int
        Negative ones count from the end.
    reverse : bool
        Whether to start from the end.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``; NaN from the first NaN on.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.cummax(np.array([1, 3, 2, 5]))
    Array([1, 3, 3, 5], dtype=int32)
    """
    return _bind(cummax_p, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Cumulative minimum along ``axis``, from the end if ``reverse``.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans, of at least one dimension.
    axis : int
        Negative ones count from the end.
    reverse : bool
        Whether to start from the end.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``; NaN from the first NaN on.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.cummin(np.array([4, 5, 2, 3]))
    Array([4, 4, 2, 2], dtype=int32)
    >>> lax.cummin(np.array([4, 5, 2, 3]), reverse=True)
    Array([2, 2, 2, 3], dtype=int32)
    """
    return _bind(cummin_p, operand, axis, reverse)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    r"""Cumulative :math:`\log\sum\exp` along ``axis``, from the end if ``reverse``.

    Parameters
    ----------
    operand : array_like
        Real floats, of at least one dimension.
    axis : int
        Negative ones count from the end.
    reverse : bool
        Whether to start from the end.

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``. No exponential overflows on the way.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.cumlogsumexp(np.array([1000.0, 1000.0, 1000.0])), 3)
    Array([1000.   , 1000.693, 1001.099], dtype=float32)
    """
    return _bind(cumlogsumexp_p, operand, axis, reverse)
