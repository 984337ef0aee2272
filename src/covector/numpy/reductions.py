"""Reductions: sums, products, means, extrema, logic, and where extrema lie."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axes, canonical_axis, product, scalar
from covector.numpy._util import (
    array,
    broadcast2,
    broadcast_all,
    broadcast_to,
    check_out,
    convert,
    fused,
    promote_inexact,
)
from covector.numpy.ufuncs import _add, _multiply, truth

_REDUCTION = ("axis", "dtype", "keepdims", "promote_integers")


def _axes(axis: Any, x: Any) -> tuple[int, ...]:
    return canonical_axes(axis, x)


def _kept(x: Any, axes: tuple[int, ...], out: Any, keepdims: bool) -> Any:
    """``out`` with the reduced axes as dimensions of size 1, if asked."""
    if not keepdims:
        return out
    shape = tuple([1 if i in axes else n for i, n in enumerate(x.shape)])
    return lax.reshape(out, shape)


def mask_of(where: Any, name: str) -> Any:
    """The argument ``where`` of a reduction, which is boolean."""
    mask = array(where, name)
    if mask.dtype != dtypes.bool_:
        raise ValueError(
            f"{name}: where must be a boolean array, got {describe(where)}; compare it, for "
            f"example with != 0{at_user_line()}"
        )
    return mask


def _masked(x: Any, where: Any, neutral: Any, name: str) -> Any:
    if where is None:
        return x
    mask = mask_of(where, name)
    mask, x = broadcast_all(name, mask, x)
    return lax.select(mask, x, x.dtype.type(neutral))


def _sum_dtype(x: Any, dtype: Any, promote_integers: bool, name: str) -> Any:
    if dtype is not None:
        return dtypes.check_user_dtype(dtype, name)
    dt = x.dtype
    if dt == dtypes.bool_:
        return dtypes.default_int()
    if promote_integers and dt in dtypes.INTEGERS:
        wide = dtypes.default_int()
        if dt.itemsize < wide.itemsize:
            return dtypes.canonicalize_dtype(
                dtypes.uint64 if dt in dtypes.UNSIGNED else dtypes.int64
            )
    return dt


def _accumulate(
    name: str,
    prim: Any,
    neutral: int,
    a: Any,
    axis: Any,
    dtype: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
    promote_integers: bool,
) -> Any:
    x = array(a, name)
    dt = _sum_dtype(x, dtype, promote_integers, name)
    x = _masked(convert(x, dt), where, neutral, name)
    axes = _axes(axis, x)
    narrow = dt in dtypes.ROUNDED
    if narrow:
        x = convert(x, dtypes.float32)
    if dt == dtypes.bool_:
        # dtype=bool: the sum of booleans is logical or, their product logical and.
        prim = lax.reduce_or_p if neutral == 0 else lax.reduce_and_p
    out = prim.bind(x, axes=axes)
    if initial is not None:
        start = convert(array(initial, name), x.dtype)
        if start.ndim:
            raise ValueError(f"{name}: initial must be a scalar, got {describe(start)}")
        out = (_add if neutral == 0 else _multiply)(out, start)
    if narrow:
        out = convert(out, dt)
    return _kept(x, axes, out, keepdims)


@fused(*_REDUCTION)
def sum(  # noqa: A001
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """Sum over ``axis`` (all axes by default).

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    dtype : dtype, optional
        Dtype of the sum; booleans and narrow integers are summed in the default integer type.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    initial : scalar, optional
        Added to the sum.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.
    promote_integers : bool
        Whether narrow integers are widened if ``dtype`` is None.

    Returns
    -------
    Array
        0 where there is nothing to sum. Half-precision floats are summed in float32.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.sum(x), np.sum(x, axis=0)
    (Array(10, dtype=int32), Array([4, 6], dtype=int32))
    >>> np.sum(x, where=x > 1, initial=100)
    Array(109, dtype=int32)
    """
    check_out(out, "sum")
    return _accumulate(
        "sum", lax.reduce_sum_p, 0, a, axis, dtype, keepdims, initial, where, promote_integers
    )


@fused(*_REDUCTION)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """Product over ``axis`` (all axes by default); see `sum` for the arguments.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    dtype : dtype, optional
        Dtype of the product; booleans and narrow integers are multiplied in the default integer
        type.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    initial : scalar, optional
        Multiplied with the product.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.
    promote_integers : bool
        Whether narrow integers are widened if ``dtype`` is None.

    Returns
    -------
    Array
        1 where there is nothing to multiply.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.prod(np.array([[1, 2], [3, 4]]), axis=1)
    Array([ 2, 12], dtype=int32)
    """
    check_out(out, "prod")
    return _accumulate(
        "prod", lax.reduce_prod_p, 1, a, axis, dtype, keepdims, initial, where, promote_integers
    )


def _limits(dtype: Any) -> tuple[Any, Any]:
    """Least and greatest value of a dtype."""
    if dtype in dtypes.INTEGERS:
        info = dtypes.iinfo(dtype)
        return info.min, info.max
    return (False, True) if dtype == dtypes.bool_ else (-math.inf, math.inf)


def _extremum(
    name: str, largest: bool, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    x = array(a, name)
    x = convert(x, x.dtype)
    axes = _axes(axis, x)
    if initial is None:
        if where is not None:
            raise ValueError(
                f"{name}: where= needs initial=, the result where no element is selected"
                f"{at_user_line()}"
            )
        if product(x.shape[i] for i in axes) == 0 and product(
            n for i, n in enumerate(x.shape) if i not in axes
        ):
            raise ValueError(
                f"{name} of {describe(x)} over axes {axes}: it has no elements and "
                f"{name} no neutral value; give initial={at_user_line()}"
            )
    least, greatest = _limits(x.dtype)
    x = _masked(x, where, least if largest else greatest, name)
    out = (lax.reduce_max_p if largest else lax.reduce_min_p).bind(x, axes=axes)
    if initial is not None:
        start = convert(array(initial, name), x.dtype)
        out = (lax.max if largest else lax.min)(out, start)
    return _kept(x, axes, out, keepdims)


@fused("axis", "keepdims")
def max(  # noqa: A001
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Maximum over ``axis`` (all axes by default); NaN if an element is NaN.

    Parameters
    ----------
    a : array_like
        Complex numbers are ordered by their real, then their imaginary parts.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    initial : scalar, optional
        The least that the result can be; needed for empty axes, and with ``where``.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.

    Returns
    -------
    Array
        In the dtype of ``a``.

    Raises
    ------
    ValueError
        If there are no elements, or ``where`` is given, without ``initial``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 5], [7, 3]])
    >>> np.max(x), np.max(x, axis=1, keepdims=True)
    (Array(7, dtype=int32), Array([[5],
           [7]], dtype=int32))
    """
    check_out(out, "max")
    return _extremum("max", True, a, axis, keepdims, initial, where)


@fused("axis", "keepdims")
def min(  # noqa: A001
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Minimum over ``axis`` (all axes by default); NaN if an element is NaN.

    Parameters
    ----------
    a : array_like
        Complex numbers are ordered by their real, then their imaginary parts.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    initial : scalar, optional
        The greatest that the result can be; needed for empty axes, and with ``where``.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.

    Returns
    -------
    Array
        In the dtype of ``a``.

    Raises
    ------
    ValueError
        If there are no elements, or ``where`` is given, without ``initial``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1.0, 5.0], [7.0, np.nan]])
    >>> np.min(x), np.min(x, axis=1)
    (Array(nan, dtype=float32), Array([ 1., nan], dtype=float32))
    """
    check_out(out, "min")
    return _extremum("min", False, a, axis, keepdims, initial, where)


amax, amin = max, min


@fused("axis", "keepdims")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Maximum minus minimum over ``axis``.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.

    Returns
    -------
    Array
        In the dtype of ``a``.

    Raises
    ------
    ValueError
        If there are no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ptp(np.array([[1, 5], [7, 3]]), axis=0)
    Array([6, 2], dtype=int32)
    """
    check_out(out, "ptp")
    x = array(a, "ptp")
    return lax.sub(max(x, axis, keepdims=keepdims), min(x, axis, keepdims=keepdims))


@fused("axis", "keepdims")
def all(  # noqa: A001
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """Whether all elements along ``axis`` are true (not zero).

    Parameters
    ----------
    a : array_like
        NaN counts as true.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.

    Returns
    -------
    Array
        Booleans; true where there are no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.all(np.array([[1, 0], [2, 3]]), axis=1)
    Array([False,  True], dtype=bool)
    """
    check_out(out, "all")
    x = _masked(array(truth(a, "all")), where, True, "all")
    axes = _axes(axis, x)
    return _kept(x, axes, lax.reduce_and_p.bind(x, axes=axes), keepdims)


@fused("axis", "keepdims")
def any(  # noqa: A001
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """Whether some element along ``axis`` is true (not zero).

    Parameters
    ----------
    a : array_like
        NaN counts as true.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.

    Returns
    -------
    Array
        Booleans; false where there are no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.any(np.array([[1, 0], [0, 0]]), axis=1)
    Array([ True, False], dtype=bool)
    """
    check_out(out, "any")
    x = _masked(array(truth(a, "any")), where, False, "any")
    axes = _axes(axis, x)
    return _kept(x, axes, lax.reduce_or_p.bind(x, axes=axes), keepdims)


@fused("axis", "keepdims")
def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Number of elements along ``axis`` that are not zero.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    keepdims : bool
        Whether the reduced axes stay, with size 1.

    Returns
    -------
    Array
        Of the default integer type.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.count_nonzero(np.array([[1, 0], [2, 3]]), axis=0)
    Array([2, 1], dtype=int32)
    """
    return sum(truth(a, "count_nonzero"), axis, dtypes.default_int(), None, keepdims)


# --- means and variances -----------------------------------------------------------------


def _count(x: Any, axes: tuple[int, ...], where: Any, name: str) -> Any:
    """Number of elements that a reduction combines, a Python number unless masked."""
    if where is None:
        return product(x.shape[i] for i in axes)
    mask = broadcast_to(mask_of(where, name), x.shape)
    return lax.reduce_sum_p.bind(convert(mask, dtypes.default_int()), axes=axes)


def _float_dtype(x: Any, dtype: Any, name: str) -> Any:
    if dtype is None:
        return dtypes.to_inexact_dtype(x.dtype)
    return dtypes.check_user_dtype(dtype, name)


@fused("axis", "dtype", "keepdims")
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    *,
    where: Any = None,
) -> Any:
    """Arithmetic mean over ``axis`` (all axes by default); see `sum` for the arguments.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    dtype : dtype, optional
        In which to compute; by default that of ``a``, and floats for integers and booleans.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.

    Returns
    -------
    Array
        NaN where there are no elements. Half-precision floats are summed in float32.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 6]])
    >>> np.mean(x), np.mean(x, axis=0, where=x > 1)
    (Array(3., dtype=float32), Array([3., 4.], dtype=float32))
    """
    check_out(out, "mean")
    x = array(a, "mean")
    dt = _float_dtype(x, dtype, "mean")
    if where is not None:
        x, where = broadcast_all("mean", x, where)
    axes = _axes(axis, x)
    weak = x.weak_type and dt == x.dtype and dtype is None
    # Halves are summed in single precision and rounded once.
    wide = dtypes.float32 if dt in dtypes.ROUNDED else dt
    integral = dt in dtypes.INTEGERS
    x = convert(x, wide, weak and wide == dt)
    total = lax.reduce_sum_p.bind(_masked(x, where, 0, "mean"), axes=axes)
    n = _count(x, axes, where, "mean")
    if integral:
        out_ = lax.div(total, convert(array(n), wide))
    else:
        out_ = lax.div(total, scalar(n, wide) if isinstance(n, int) else convert(n, wide))
    return _kept(x, axes, convert(out_, dt, weak), keepdims)


@fused("axis", "returned", "keepdims")
def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Any:
    """Weighted mean over ``axis``, with the sum of the weights if ``returned``.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    weights : array_like, optional
        Of the shape of ``a``, or of its ``axis``; by default all equal.
    returned : bool
        Whether to return the sums of the weights too.
    keepdims : bool
        Whether the reduced axes stay, with size 1.

    Returns
    -------
    Array, or tuple of two Array
        The averages, and the sums of the weights if ``returned``.

    Raises
    ------
    ValueError
        If the shape of the weights does not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.average(np.array([1.0, 2.0, 6.0]), weights=np.array([2, 1, 1]))
    Array(2.5, dtype=float32)
    >>> np.average(np.array([1.0, 3.0]), weights=np.array([3.0, 1.0]), returned=True)
    (Array(1.5, dtype=float32), Array(4., dtype=float32))
    """
    if weights is None:
        x = array(a, "average")
        avg = mean(x, axis, keepdims=keepdims)
        total = lax.full(avg.shape, x.size / avg.size if avg.size else 1, avg.dtype)
        return (avg, total) if returned else avg
    x, w = (array(v) for v in promote_inexact("average", a, weights))
    axes = _axes(axis, x)
    if w.shape != x.shape:
        if axis is None or w.shape != tuple([x.shape[i] for i in axes]):
            over = "" if axis is None else f", nor its axes {axes}"
            raise ValueError(
                f"average: weights of shape {w.shape} do not fit the array, of shape {x.shape}"
                f"{over}{at_user_line()}"
            )
        order = sorted(range(w.ndim), key=lambda i: axes[i])
        w = lax.broadcast_in_dim(lax.transpose(w, order), x.shape, tuple(sorted(axes)))
    total = sum(w, axes, keepdims=keepdims)
    avg = lax.div(sum(lax.mul(x, w), axes, keepdims=keepdims), total)
    return (avg, total) if returned else avg


def _variance_dtypes(x: Any, dtype: Any, name: str) -> tuple[Any, Any]:
    """Of the result, which is that asked for, and in which a variance is computed."""
    if dtype is None:
        dt = dtypes.to_inexact_dtype(x.dtype)
        return dtypes.real_dtype(dt), dt
    asked = dtypes.check_user_dtype(dtype, name)
    if x.dtype in dtypes.COMPLEX and asked not in dtypes.COMPLEX:
        raise ValueError(
            f"{name}: a complex array has no {name} of dtype {asked} in the computation; take "
            f"that of its parts, or leave dtype away{at_user_line()}"
        )
    if asked in dtypes.INEXACT:
        return asked, asked
    return dtypes.to_inexact_dtype(asked), dtypes.to_inexact_dtype(
        dtypes.promote(((x.dtype, x.weak_type), (asked, False)))[0]
    )


def _variance(
    name: str,
    a: Any,
    axis: Any,
    dtype: Any,
    keepdims: bool,
    where: Any,
    given_mean: Any,
    correction: Any,
) -> Any:
    x = array(a, name)
    result, dt = _variance_dtypes(x, dtype, name)
    wide = dtypes.float32 if dt in dtypes.ROUNDED else dt
    x = convert(x, wide)
    if where is not None:
        x, where = broadcast_all(name, x, where)
        # Before anything is computed: the derivative of what is left out must not be 0 times NaN.
        x = _masked(x, where, 0, name)
    axes = _axes(axis, x)
    if given_mean is None:
        center = mean(x, axes, None, None, True, where=where)
    else:
        center = convert(array(given_mean, name), wide)
    centered = lax.sub(*broadcast2(name, x, center))
    if wide in dtypes.COMPLEX:
        squares = lax.real(lax.mul(centered, lax.conj(centered)))
    else:
        squares = lax.square(centered)
    rdt = dtypes.real_dtype(wide)
    n = _count(x, axes, where, name)
    total = lax.reduce_sum_p.bind(_masked(squares, where, 0, name), axes=axes)
    nan = rdt.type(math.nan)
    if isinstance(n, int) and isinstance(correction, (int, float)):
        free = n - correction
        value = lax.div(total, rdt.type(free)) if free > 0 else lax.full(total.shape, nan, rdt)
    else:
        free = lax.sub(convert(array(n), rdt), convert(array(correction), rdt))
        value = lax.select(*broadcast_all(
            name, lax.gt(free, rdt.type(0)), lax.div(*broadcast2(name, total, free)), nan
        ))  # fmt: skip
    return _kept(x, axes, convert(value, result), keepdims)


def _correction(name: str, ddof: Any, correction: Any) -> Any:
    """The argument given of the two that mean the same."""
    if correction is None:
        return ddof
    if isinstance(ddof, (int, float)) and ddof == 0:
        return correction
    raise ValueError(
        f"{name}: ddof and correction are two names of one argument; got ddof={ddof} and "
        f"correction={correction}{at_user_line()}"
    )


@fused("axis", "dtype", "ddof", "keepdims", "correction")
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Variance over ``axis``: the sum of squared deviations over ``n - ddof``.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    dtype : float or complex dtype, optional
        In which to compute; by default that of ``a``, and floats for integers and booleans.
    out : None
        Not supported: arrays are immutable.
    ddof : int
        Subtracted from the number of elements to divide by: 1 estimates the variance of the
        population of which ``a`` is a sample.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.
    mean : array_like, optional
        The means, with the reduced axes kept, if they are known.
    correction : int, optional
        Another name of ``ddof``.

    Returns
    -------
    Array
        Real, also of complex numbers; NaN where there are not more than ``ddof`` elements.

    Raises
    ------
    ValueError
        If ``dtype`` is of integers, or both ``ddof`` and ``correction`` are given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([1.0, 2.0, 3.0, 6.0])
    >>> np.var(x), np.var(np.array([1.0, 2.0, 3.0]), ddof=1)
    (Array(3.5, dtype=float32), Array(1., dtype=float32))
    """
    check_out(out, "var")
    ddof = _correction("var", ddof, correction)
    return _variance("var", a, axis, dtype, keepdims, where, mean, ddof)


@fused("axis", "dtype", "ddof", "keepdims", "correction")
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: Any = None,
) -> Any:
    """Standard deviation over ``axis``: the square root of `var`.

    Parameters
    ----------
    a : array_like
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    dtype : float or complex dtype, optional
        In which to compute; by default that of ``a``, and floats for integers and booleans.
    out : None
        Not supported: arrays are immutable.
    ddof : int
        Subtracted from the number of elements to divide by.
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    where : array_like of bool, optional
        Elements to take part; broadcasts with ``a``.
    mean : array_like, optional
        The means, with the reduced axes kept, if they are known.
    correction : int, optional
        Another name of ``ddof``.

    Returns
    -------
    Array
        Real, also of complex numbers; NaN where there are not more than ``ddof`` elements.

    Raises
    ------
    ValueError
        If ``dtype`` is of integers, or both ``ddof`` and ``correction`` are given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.std(np.array([[1.0, 3.0], [2.0, 8.0]]), axis=1)
    Array([1., 3.], dtype=float32)
    """
    check_out(out, "std")
    ddof = _correction("std", ddof, correction)
    return lax.sqrt(_variance("std", a, axis, dtype, keepdims, where, mean, ddof))


# --- positions ---------------------------------------------------------------------------


def _arg(name: str, prim: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    x = array(a, name)
    shape = x.shape
    k = 0 if axis is None else canonical_axis(axis, x)
    if (x.size if axis is None else shape[k]) == 0:
        raise ValueError(f"{name} of {describe(x)}: there is no element to choose{at_user_line()}")
    if axis is None:
        x = lax.reshape(x, (x.size,))
    out = prim.bind(x, axes=(k,), index_dtype=dtypes.default_int())
    if keepdims:
        sizes = (1,) * len(shape) if axis is None else (*shape[:k], 1, *shape[k + 1 :])
        out = lax.reshape(out, sizes)
    return out


@fused("axis", "keepdims")
def argmax(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    """Index of the first maximum along ``axis``, or in the flattened array.

    Parameters
    ----------
    a : array_like
        NaN counts as the greatest.
    axis : int, optional
        By default the array is flattened first.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool, optional
        Whether the reduced axis stays, with size 1.

    Returns
    -------
    Array
        Of the default integer type.

    Raises
    ------
    ValueError
        If there are no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 5, 5], [7, 3, 0]])
    >>> np.argmax(x), np.argmax(x, axis=1)
    (Array(3, dtype=int32), Array([1, 0], dtype=int32))
    """
    check_out(out, "argmax")
    return _arg("argmax", lax.argmax_p, a, axis, keepdims)


@fused("axis", "keepdims")
def argmin(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    """Index of the first minimum along ``axis``, or in the flattened array.

    Parameters
    ----------
    a : array_like
        NaN counts as the least.
    axis : int, optional
        By default the array is flattened first.
    out : None
        Not supported: arrays are immutable.
    keepdims : bool, optional
        Whether the reduced axis stays, with size 1.

    Returns
    -------
    Array
        Of the default integer type.

    Raises
    ------
    ValueError
        If there are no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 5, 1], [7, 3, 0]])
    >>> np.argmin(x), np.argmin(x, axis=1)
    (Array(5, dtype=int32), Array([0, 2], dtype=int32))
    """
    check_out(out, "argmin")
    return _arg("argmin", lax.argmin_p, a, axis, keepdims)


# --- cumulative --------------------------------------------------------------------------


def _cumulative(name: str, prim: Any, a: Any, axis: Any, dtype: Any, nan_as: Any = None) -> Any:
    x = array(a, name)
    if axis is None:
        x = lax.reshape(x, (x.size,))
        axis = 0
    axis = canonical_axis(axis, x)
    if nan_as is not None and x.dtype in dtypes.INEXACT:
        x = lax.select(lax.ne(x, x), x.dtype.type(nan_as), x)
    if dtype is not None:
        dt = dtypes.check_user_dtype(dtype, name)
        if dt == dtypes.bool_:
            x, dt = convert(x, dt), dtypes.default_int()
            return convert(prim.bind(convert(x, dt), axis=axis, reverse=False), dtypes.bool_)
    else:
        dt = dtypes.default_int() if x.dtype == dtypes.bool_ else x.dtype
    x = convert(x, dt, x.weak_type and dtype is None)
    wide = dtypes.float32 if dt in dtypes.ROUNDED else dt
    out = prim.bind(convert(x, wide, x.weak_type), axis=axis, reverse=False)
    return convert(out, dt, x.weak_type)


@fused("axis", "dtype")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Cumulative sum along ``axis``, or of the flattened array.

    Parameters
    ----------
    a : array_like
    axis : int, optional
        By default the array is flattened first.
    dtype : dtype, optional
        Of the sums; by default that of ``a``, and the default integer type for booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the shape of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cumsum(np.array([[1, 2], [3, 4]]))
    Array([ 1,  3,  6, 10], dtype=int32)
    >>> np.cumsum(np.array([[1, 2], [3, 4]]), axis=0)
    Array([[1, 2],
           [4, 6]], dtype=int32)
    """
    check_out(out, "cumsum")
    return _cumulative("cumsum", lax.cumsum_p, a, axis, dtype)


@fused("axis", "dtype")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Cumulative product along ``axis``, or of the flattened array.

    Parameters
    ----------
    a : array_like
    axis : int, optional
        By default the array is flattened first.
    dtype : dtype, optional
        Of the products; by default that of ``a``, and the default integer type for booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the shape of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cumprod(np.array([1, 2, 3, 4]))
    Array([ 1,  2,  6, 24], dtype=int32)
    """
    check_out(out, "cumprod")
    return _cumulative("cumprod", lax.cumprod_p, a, axis, dtype)


@fused("axis", "dtype")
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Cumulative sum along ``axis`` with NaN as 0.

    Parameters
    ----------
    a : array_like
    axis : int, optional
        By default the array is flattened first.
    dtype : dtype, optional
        Of the sums; by default that of ``a``, and the default integer type for booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the shape of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nancumsum(np.array([1.0, np.nan, 2.0]))
    Array([1., 1., 3.], dtype=float32)
    """
    check_out(out, "nancumsum")
    return _cumulative("nancumsum", lax.cumsum_p, a, axis, dtype, 0)


@fused("axis", "dtype")
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Cumulative product along ``axis`` with NaN as 1.

    Parameters
    ----------
    a : array_like
    axis : int, optional
        By default the array is flattened first.
    dtype : dtype, optional
        Of the products; by default that of ``a``, and the default integer type for booleans.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the shape of ``a``, or of one dimension if ``axis`` is None.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nancumprod(np.array([2.0, np.nan, 3.0]))
    Array([2., 2., 6.], dtype=float32)
    """
    check_out(out, "nancumprod")
    return _cumulative("nancumprod", lax.cumprod_p, a, axis, dtype, 1)


def _with_initial(name: str, prim: Any, x: Any, axis: Any, dtype: Any, initial: Any) -> Any:
    x = array(x, name)
    if x.ndim == 0:
        raise ValueError(f"{name} takes an array of one or more dimensions{at_user_line()}")
    if axis is None:
        if x.ndim > 1:
            raise ValueError(
                f"{name} of an array of {x.ndim} dimensions needs an axis{at_user_line()}"
            )
        axis = 0
    axis = canonical_axis(axis, x)
    # As the sum of all: the standard of these functions asks for it, unlike NumPy's older ones.
    out = _cumulative(name, prim, x, axis, _sum_dtype(x, dtype, True, name))
    if initial is None:
        return out
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return lax.concatenate([lax.full(shape, initial, out.dtype), out], axis)


@fused("axis", "dtype", "include_initial")
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Cumulative sum along ``axis``, from 0 if ``include_initial``.

    Parameters
    ----------
    x : array_like
        Of one or more dimensions.
    axis : int, optional
        Needed unless ``x`` is a vector.
    dtype : dtype, optional
        Of the sums; by default that of ``x``, with booleans and narrow integers in the default
        integer type.
    include_initial : bool

    Returns
    -------
    Array
        Of the shape of ``x``, with one element more along ``axis`` if ``include_initial``.

    Raises
    ------
    ValueError
        If ``x`` has no dimension, or several and no ``axis`` is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cumulative_sum(np.array([1, 2, 3]), include_initial=True)
    Array([0, 1, 3, 6], dtype=int32)
    """
    initial = 0 if include_initial else None
    return _with_initial("cumulative_sum", lax.cumsum_p, x, axis, dtype, initial)


@fused("axis", "dtype", "include_initial")
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """Cumulative product along ``axis``, from 1 if ``include_initial``.

    Parameters
    ----------
    x : array_like
        Of one or more dimensions.
    axis : int, optional
        Needed unless ``x`` is a vector.
    dtype : dtype, optional
        Of the products; by default that of ``x``, with booleans and narrow integers in the default
        integer type.
    include_initial : bool

    Returns
    -------
    Array
        Of the shape of ``x``, with one element more along ``axis`` if ``include_initial``.

    Raises
    ------
    ValueError
        If ``x`` has no dimension, or several and no ``axis`` is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cumulative_prod(np.array([1, 2, 3]), include_initial=True)
    Array([1, 1, 2, 6], dtype=int32)
    """
    initial = 1 if include_initial else None
    return _with_initial("cumulative_prod", lax.cumprod_p, x, axis, dtype, initial)
