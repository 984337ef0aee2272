"""Statistics of samples: the most frequent value, ranks, the standard error of the mean."""

from __future__ import annotations

from typing import Any, NamedTuple

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axis
from covector.numpy._util import array, fused, promote_inexact

_METHODS = ("average", "min", "max", "dense", "ordinal")


class ModeResult(NamedTuple):
    """The most frequent values, and how often they occur."""

    mode: Any
    count: Any


def _policy(nan_policy: str, name: str) -> bool:
    """Whether NaN is left out."""
    if nan_policy == "omit":
        if name == "sem":
            return True
        raise NotImplementedError(
            f"{name}: nan_policy='omit' is not supported: sizes would depend on values; NaN "
            f"counts with nan_policy='propagate'{at_user_line()}"
        )
    if nan_policy == "raise":
        raise NotImplementedError(
            f"{name}: nan_policy='raise' is not supported: compiled functions do not raise; look "
            f"at covector.numpy.isnan(a).any(){at_user_line()}"
        )
    if nan_policy != "propagate":
        raise ValueError(
            f"{name}: nan_policy must be 'propagate', 'omit' or 'raise', got {nan_policy!r}"
            f"{at_user_line()}"
        )
    return False


def _runs(x: Any) -> Any:
    """Where, along the last axis of sorted values, another value begins."""
    first = cnp.ones((*x.shape[:-1], 1), cnp.bool_)
    before, after = x[..., :-1], x[..., 1:]
    # Two NaN are one value.
    changed = (before != after) & ~((before != before) & (after != after))
    return cnp.concatenate([first, changed], -1)


@fused("axis", "nan_policy", "keepdims")
def mode(
    a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> ModeResult:
    """The most frequent value, the least one of several.

    Parameters
    ----------
    a : array_like
        Real numbers or booleans.
    axis : int or None
        None for all elements.
    nan_policy : {'propagate'}
        NaN is a value like any other, greater than all numbers; ``'omit'`` and ``'raise'`` are not
        supported.
    keepdims : bool
        Whether the axis stays, with size 1.

    Returns
    -------
    ModeResult
        ``mode``, of the dtype of ``a``, and ``count``. Of nothing they are NaN (0 in dtypes without
        NaN) and 0.

    Raises
    ------
    NotImplementedError
        For other policies.
    ValueError
        If ``nan_policy`` is none, or the axis is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import stats
    >>> stats.mode(np.array([3, 1, 2, 1, 2]))
    ModeResult(mode=Array(1, dtype=int32), count=Array(2, dtype=int32))
    """
    _policy(nan_policy, "mode")
    x = array(a, "mode")
    shape = x.shape
    if axis is None:
        x, kept = cnp.ravel(x), (1,) * len(shape)
    else:
        k = canonical_axis(axis, x)
        x, kept = cnp.moveaxis(x, k, -1), (*shape[:k], 1, *shape[k + 1 :])
    n = x.shape[-1]
    if not n:
        nothing = cnp.nan if x.dtype in dtypes.FLOATS else 0
        value, count = cnp.full(x.shape[:-1], nothing, x.dtype), cnp.zeros(x.shape[:-1], int)
    else:
        x = cnp.sort(x, -1)
        place = cnp.arange(n)
        starts = lax.cummax(cnp.where(_runs(x), place, 0), x.ndim - 1)
        # Of equal lengths the first is found, which is of the least value.
        end = cnp.argmax(place - starts, -1, keepdims=True)
        value = cnp.take_along_axis(x, end, -1)[..., 0]
        count = (end - cnp.take_along_axis(starts, end, -1))[..., 0] + 1
    if keepdims:
        value, count = cnp.reshape(value, kept), cnp.reshape(count, kept)
    return ModeResult(value, count)


@fused("method", "axis", "nan_policy")
def rankdata(
    a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate"
) -> Any:
    """Ranks of the elements, from 1 on.

    Parameters
    ----------
    a : array_like
        Real numbers.
    method : {'average', 'min', 'max', 'dense', 'ordinal'}
        Which rank equal elements have: the mean, least or greatest of theirs; all one, so that
        ranks have no gaps; each its own, in the order of the elements.
    axis : int or None
        None for the ranks among all elements, as a vector.
    nan_policy : {'propagate'}
        What is ranked with NaN has the rank NaN.

    Returns
    -------
    Array
        Floats, of the shape of ``a``, or a vector if ``axis`` is None.

    Raises
    ------
    NotImplementedError
        For other policies.
    ValueError
        If the method or the policy is none, or the axis is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import stats
    >>> stats.rankdata(np.array([3, 1, 1, 2]))
    Array([4. , 1.5, 1.5, 3. ], dtype=float32)
    """
    _policy(nan_policy, "rankdata")
    if method not in _METHODS:
        raise ValueError(
            f"rankdata: method must be one of {', '.join(_METHODS)}, got {method!r}{at_user_line()}"
        )
    x = array(a, "rankdata")
    if axis is None:
        x, k = cnp.ravel(x), 0
    else:
        k = canonical_axis(axis, x)
    ranks = cnp.moveaxis(_ranks(cnp.moveaxis(x, k, -1), method), -1, k)
    if x.dtype in dtypes.FLOATS:
        ranks = cnp.where(cnp.any(cnp.isnan(x), k, keepdims=True), cnp.nan, ranks)
    return ranks


def _ranks(x: Any, method: str) -> Any:
    """Ranks along the last axis."""
    dt = x.dtype if x.dtype in dtypes.FLOATS else dtypes.default_float()
    n = x.shape[-1]
    if not n:
        return cnp.zeros(x.shape, dt)
    order = cnp.argsort(x, -1, stable=True)
    place = cnp.broadcast_to(cnp.arange(n), x.shape)
    if method == "ordinal":
        ranks = place + 1
    else:
        first = _runs(cnp.take_along_axis(x, order, -1))
        if method == "dense":
            ranks = cnp.cumsum(first, -1)
        else:
            start = lax.cummax(cnp.where(first, place, 0), x.ndim - 1)
            last = cnp.concatenate([first[..., 1:], cnp.ones_like(first[..., :1])], -1)
            end = lax.cummin(cnp.where(last, place, n), x.ndim - 1, reverse=True)
            ranks = {"min": start + 1, "max": end + 1}.get(method, None)
            if ranks is None:
                ranks = 0.5 * (start + end + 2).astype(dt)
    back = cnp.argsort(order, -1)
    return cnp.take_along_axis(ranks.astype(dt), back, -1)


@fused("axis", "ddof", "nan_policy", "keepdims")
def sem(
    a: Any,
    axis: int | None = 0,
    ddof: int = 1,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Any:
    """Standard error of the mean.

    Parameters
    ----------
    a : array_like
        Numbers; integers are converted to floats.
    axis : int or None
        None for all elements.
    ddof : int
        What is subtracted from the number of elements in the standard deviation.
    nan_policy : {'propagate', 'omit'}
        Whether NaN makes the result NaN, or is left out.
    keepdims : bool
        Whether the axis stays, with size 1.

    Returns
    -------
    Array
        Floats.

    Raises
    ------
    NotImplementedError
        If ``nan_policy`` is ``'raise'``.
    ValueError
        If ``nan_policy`` is none, or the axis is out of bounds.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import stats
    >>> stats.sem(np.array([1.0, 2.0, 4.0]))
    Array(0.8819171, dtype=float32)
    """
    omit = _policy(nan_policy, "sem")
    (x,) = (array(v, "sem") for v in promote_inexact("sem", a))
    if axis is None:
        n = x.size
    else:
        n = x.shape[canonical_axis(axis, x)]
    if not omit:
        return cnp.std(x, axis, ddof=ddof, keepdims=keepdims) / cnp.sqrt(cnp.asarray(n, x.dtype))
    count = cnp.sum(~cnp.isnan(x), axis, keepdims=keepdims).astype(x.dtype)
    return cnp.nanstd(x, axis, ddof=ddof, keepdims=keepdims) / cnp.sqrt(count)
