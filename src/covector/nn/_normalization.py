"""Functions of whole axes: softmax and its relatives, standardisation."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.control_flow.custom_jvp import custom_jvp, stop_gradient
from covector.core import dtypes
from covector.core.config import config
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axes
from covector.numpy._util import array, broadcast_to, fused, inexact, promote_dtypes


def _operand(x: Any, name: str) -> Any:
    return array(inexact(x, name), name)


def _mask(where: Any, x: Any, name: str) -> Any:
    """``where`` as booleans of the shape of ``x``, or None."""
    if where is None:
        return None
    where = array(where, name)
    if where.dtype != dtypes.bool_:
        where = cnp.not_equal(where, 0)
    if lax.broadcast_shapes(where.shape, x.shape) != x.shape:
        raise ValueError(
            f"{name}: where of shape {where.shape} does not broadcast to {x.aval.str_short()}"
            f"{at_user_line()}"
        )
    return array(broadcast_to(where, x.shape), name)


def _keep(x: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A reduction over ``axes`` spread again over ``shape``."""
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    return lax.broadcast_in_dim(x, shape, kept)


def _shifted(x: Any, axes: tuple[int, ...], mask: Any) -> Any:
    """``x`` less its largest value, so that exponentials do not overflow."""
    seen = x if mask is None else lax.select(mask, x, lax.full_like(x, -float("inf")))
    top = stop_gradient(lax.reduce_max(seen, axes))
    if mask is not None:
        # Nothing is selected: any shift will do.
        top = lax.select(lax.is_finite(top), top, lax.full_like(top, 0))
    # What is left out takes no part: its exponential might overflow, and its derivative be NaN.
    return lax.sub(seen, _keep(top, axes, x.shape))


def _sum(x: Any, axes: tuple[int, ...], mask: Any) -> Any:
    if mask is not None:
        x = lax.select(mask, x, lax.full_like(x, 0))
    return lax.reduce_sum(x, axes)


def _softmax(axes: tuple[int, ...], x: Any) -> Any:
    e = lax.exp(_shifted(x, axes, None))
    return lax.div(e, _keep(lax.reduce_sum(e, axes), axes, x.shape))


_plain_softmax = custom_jvp(_softmax, nondiff_argnums=(0,))


@_plain_softmax.defjvp
def _softmax_jvp(axes: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    # In terms of the result alone, which is then all that reverse differentiation keeps.
    (x,), (g,) = primals, tangents
    y = _plain_softmax(axes, x)
    weighted = lax.mul(y, g)
    total = _keep(lax.reduce_sum(weighted, axes), axes, x.shape)
    return y, lax.sub(weighted, lax.mul(y, total))


@fused("axis")
def softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """exp(x) normalised to sum to one along ``axis``.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        None for all.
    where : array_like of bool, optional
        Elements that take part; the others are 0 in the result.

    Returns
    -------
    Array
        Of the shape of ``x``. Exponentials do not overflow; where nothing takes part, all is 0.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.softmax(np.array([1000.0, 1000.0, 1001.0])), 3)
    Array([0.212, 0.212, 0.576], dtype=float32)
    >>> cv.nn.softmax(np.zeros(3), where=np.array([True, True, False]))
    Array([0.5, 0.5, 0. ], dtype=float32)
    """
    x = _operand(x, "softmax")
    axes = canonical_axes(axis, x)
    if not x.size:
        return x
    mask = _mask(where, x, "softmax")
    if mask is None:
        return _plain_softmax(axes, x) if config.softmax_custom_jvp else _softmax(axes, x)
    zero = lax.full_like(x, 0)
    e = lax.exp(_shifted(x, axes, mask))
    total = _sum(e, axes, mask)
    total = lax.select(lax.eq(total, 0.0), lax.full_like(total, 1), total)
    return lax.select(mask, lax.div(e, _keep(total, axes, x.shape)), zero)


@fused("axis")
def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """Logarithm of `softmax`, without its underflow.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        None for all.
    where : array_like of bool, optional
        Elements that take part; the others are -inf in the result.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.log_softmax(np.array([0.0, 200.0])), 3)
    Array([-200.,    0.], dtype=float32)
    """
    x = _operand(x, "log_softmax")
    axes = canonical_axes(axis, x)
    if not x.size:
        return x
    mask = _mask(where, x, "log_softmax")
    shifted = _shifted(x, axes, mask)
    total = _sum(lax.exp(shifted), axes, mask)
    out = lax.sub(shifted, _keep(lax.log(total), axes, x.shape))
    return out if mask is None else lax.select(mask, out, lax.full_like(x, -float("inf")))


@fused("axis", "keepdims", "return_sign")
def logsumexp(
    a: Any,
    axis: Any = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    where: Any = None,
) -> Any:
    """log(sum(b exp(a))) over ``axis``, without overflow.

    Parameters
    ----------
    a : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        None for all.
    b : array_like, optional
        Factors of the exponentials.
    keepdims : bool
        Whether the axes stay, with size 1.
    return_sign : bool
        Return the logarithm of the sum's absolute value, and its sign. Otherwise the logarithm
        of a negative sum is NaN.
    where : array_like of bool, optional
        Elements that take part.

    Returns
    -------
    Array, or a tuple of two
        -inf for a sum of nothing.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.logsumexp(np.array([1000.0, 1000.0])), 3)
    Array(1000.693, dtype=float32)
    """
    if b is None:
        a = _operand(a, "logsumexp")
    else:
        a, b = promote_dtypes("logsumexp", a, b)
        a = _operand(a, "logsumexp")
        b = array(cnp.asarray(b, a.dtype), "logsumexp")
        shape = lax.broadcast_shapes(a.shape, b.shape)
        a, b = (array(broadcast_to(t, shape), "logsumexp") for t in (a, b))
        # A factor of 0 removes the element, be it infinite.
        a = lax.select(lax.eq(b, lax.full_like(b, 0)), lax.full_like(a, -float("inf")), a)
    axes = canonical_axes(axis, a)
    mask = _mask(where, a, "logsumexp")
    if mask is not None:
        # What is left out takes no part: its exponential might overflow, and its derivative be NaN.
        a = lax.select(mask, a, lax.full_like(a, -float("inf")))
    part = lax.real(a) if dtypes.is_complex(a.dtype) else a
    top = stop_gradient(lax.reduce_max(part, axes))
    top = lax.select(lax.is_finite(top), top, lax.full_like(top, 0))
    shift = _keep(top, axes, a.shape)
    if dtypes.is_complex(a.dtype):
        shift = lax.convert_element_type(shift, a.dtype)
    e = lax.exp(lax.sub(a, shift))
    if b is not None:
        e = lax.mul(e, b)
    total = _sum(e, axes, mask)
    sign = None
    if return_sign:
        sign = lax.sign(total)
        total = lax.abs(total)
    elif dtypes.is_complex(total.dtype):
        top = lax.convert_element_type(top, total.dtype)
    out = lax.add(lax.log(total), top)
    if keepdims:
        out = lax.expand_dims(out, axes)
        sign = None if sign is None else lax.expand_dims(sign, axes)
    return out if sign is None else (out, sign)


@fused("axis", "keepdims")
def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Any:
    """log(mean(exp(x))) over ``axis``, without overflow.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        None for all.
    where : array_like of bool, optional
        Elements that take part.
    keepdims : bool
        Whether the axes stay, with size 1.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.logmeanexp(np.array([1000.0, 1000.0])), 3)
    Array(1000., dtype=float32)
    """
    x = _operand(x, "logmeanexp")
    axes = canonical_axes(axis, x)
    out = logsumexp(x, axis=axes, where=where, keepdims=keepdims)
    mask = _mask(where, x, "logmeanexp")
    if mask is None:
        count: Any = float(_product(x.shape[i] for i in axes))
        return lax.sub(out, lax.log(lax.full_like(out, count)))
    ones = lax.convert_element_type(mask, dtypes.real_dtype(x.dtype))
    count = lax.reduce_sum(ones, axes)
    if keepdims:
        count = lax.expand_dims(count, axes)
    return cnp.subtract(out, lax.log(count))


def _product(sizes: Any) -> int:
    n = 1
    for s in sizes:
        n *= s
    return n


@fused("axis", "algorithm")
def standardize(
    x: Any,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
    *,
    algorithm: str = "fast",
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) along ``axis``.

    Parameters
    ----------
    x : array_like
        Numbers; integers are converted to floats.
    axis : int, tuple of int or None
        None for all.
    mean, variance : array_like, optional
        By default those of ``x`` along ``axis``.
    epsilon : float
        Keeps a variance of 0 from a division by 0.
    where : array_like of bool, optional
        Elements that count for the mean and the variance.
    algorithm : {"fast", "stable"}
        The variance as the mean of squares less the square of the mean, or as the mean square
        of the deviations. The first is inexact, down to NaN for a negative variance, where the
        mean is much larger than the deviations.

    Returns
    -------
    Array
        Of the shape of ``x``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.nn.standardize(np.array([1.0, 2.0, 3.0])), 3)
    Array([-1.225,  0.   ,  1.225], dtype=float32)
    """
    if algorithm not in ("fast", "stable"):
        raise ValueError(
            f"standardize: algorithm must be 'fast' or 'stable', got {algorithm!r}{at_user_line()}"
        )
    x = _operand(x, "standardize")
    axes = canonical_axes(axis, x)
    seen = x
    if where is not None:
        mask = _mask(where, x, "standardize")
        seen = lax.select(mask, x, lax.full_like(x, 0))
    if mean is None:
        mean = cnp.mean(seen, axis=axes, keepdims=True, where=where)
    if variance is None:
        if algorithm == "stable":
            deviation = cnp.subtract(seen, mean)
            variance = cnp.mean(cnp.square(deviation), axis=axes, keepdims=True, where=where)
        else:
            squares = cnp.mean(cnp.square(seen), axis=axes, keepdims=True, where=where)
            variance = cnp.subtract(squares, cnp.square(mean))
    scale = lax.rsqrt(cnp.add(variance, epsilon))
    out = cnp.multiply(cnp.subtract(seen, mean), scale)
    if where is None:
        return out
    # What is left out is standardised too, and may be infinite or NaN.
    safe = lax.select(lax.is_finite(x), x, lax.full_like(x, 0))
    other = cnp.where(lax.is_finite(x), cnp.multiply(cnp.subtract(safe, mean), scale), x)
    return cnp.where(mask, out, other)
