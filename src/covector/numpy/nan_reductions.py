"""Reductions that ignore NaN."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.core.operands import as_number
from covector.numpy import reductions as r
from covector.numpy._util import array, broadcast_all, check_out, convert, fused
from covector.numpy.reductions import _axes, _limits
from covector.primitives.sorting import partition_p
from covector.sharding.results import laid_out


def _nan(x: Any) -> Any:
    return lax.ne(x, x)


def _replaced(x: Any, value: Any) -> Any:
    return lax.select(_nan(x), x.dtype.type(value), x) if x.dtype in dtypes.INEXACT else x


def _extremum(
    name: str, largest: bool, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    x = array(a, name)
    function = r.max if largest else r.min
    if x.dtype not in dtypes.INEXACT:
        return function(x, axis, None, keepdims, initial, where)
    least, greatest = _limits(x.dtype)
    out = function(_replaced(x, least if largest else greatest), axis, None, keepdims, initial,
                   where)  # fmt: skip
    if initial is not None:
        return out
    # All NaN: there is nothing to ignore.
    return lax.select(r.all(_nan(x), axis, None, keepdims), out.dtype.type(math.nan), out)


@fused("axis", "keepdims")
def nanmax(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Maximum over ``axis`` without NaN; NaN if there is nothing else.

    Parameters
    ----------
    a : array_like
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
    >>> np.nanmax(np.array([[1.0, np.nan], [np.nan, np.nan]]), axis=1)
    Array([ 1., nan], dtype=float32)
    """
    check_out(out, "nanmax")
    return _extremum("nanmax", True, a, axis, keepdims, initial, where)


@fused("axis", "keepdims")
def nanmin(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Minimum over ``axis`` without NaN; NaN if there is nothing else.

    Parameters
    ----------
    a : array_like
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
    >>> np.nanmin(np.array([[1.0, np.nan], [3.0, -2.0]]), axis=1)
    Array([ 1., -2.], dtype=float32)
    """
    check_out(out, "nanmin")
    return _extremum("nanmin", False, a, axis, keepdims, initial, where)


@fused("axis", "dtype", "keepdims")
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Sum over ``axis`` with NaN as 0.

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

    Returns
    -------
    Array
        0 where there is nothing to sum.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nansum(np.array([1.0, np.nan, 2.0]))
    Array(3., dtype=float32)
    """
    check_out(out, "nansum")
    return r.sum(_replaced(array(a, "nansum"), 0), axis, dtype, None, keepdims, initial, where)


@fused("axis", "dtype", "keepdims")
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Product over ``axis`` with NaN as 1.

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

    Returns
    -------
    Array
        1 where there is nothing to multiply.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanprod(np.array([2.0, np.nan, 3.0]))
    Array(6., dtype=float32)
    """
    check_out(out, "nanprod")
    return r.prod(_replaced(array(a, "nanprod"), 1), axis, dtype, None, keepdims, initial, where)


def _present(x: Any, where: Any) -> Any:
    """Mask of the elements that count."""
    mask = lax.bitwise_not(_nan(x))
    return mask if where is None else lax.bitwise_and(*broadcast_all("where", mask, where))


@fused("axis", "dtype", "keepdims")
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    where: Any = None,
) -> Any:
    """Mean over ``axis`` without NaN.

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
        NaN where there is nothing else.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanmean(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]), axis=1)
    Array([ 2., nan], dtype=float32)
    """
    check_out(out, "nanmean")
    x = array(a, "nanmean")
    if x.dtype not in dtypes.INEXACT:
        return r.mean(x, axis, dtype, None, keepdims, where=where)
    return r.mean(x, axis, dtype, None, keepdims, where=_present(x, where))


@fused("axis", "dtype", "ddof", "keepdims")
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Any:
    """Variance over ``axis`` without NaN.

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

    Returns
    -------
    Array
        Real; NaN where there are not more than ``ddof`` elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanvar(np.array([1.0, np.nan, 3.0]))
    Array(1., dtype=float32)
    """
    check_out(out, "nanvar")
    x = array(a, "nanvar")
    if x.dtype in dtypes.INEXACT:
        where = _present(x, where)
    return r._variance("nanvar", x, axis, dtype, keepdims, where, mean, ddof)


@fused("axis", "dtype", "ddof", "keepdims")
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: Any = None,
    mean: Any = None,
) -> Any:
    """Standard deviation over ``axis`` without NaN.

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

    Returns
    -------
    Array
        Real; NaN where there are not more than ``ddof`` elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanstd(np.array([1.0, np.nan, 5.0]))
    Array(2., dtype=float32)
    """
    check_out(out, "nanstd")
    return lax.sqrt(nanvar(a, axis, dtype, None, ddof, keepdims, where, mean))


def _arg(name: str, largest: bool, a: Any, axis: Any, keepdims: Any) -> Any:
    x = array(a, name)
    function = r.argmax if largest else r.argmin
    if x.dtype not in dtypes.INEXACT:
        return function(x, axis, None, keepdims)
    found = function(_replaced(x, -math.inf if largest else math.inf), axis, None, keepdims)
    nothing = r.all(_nan(x), axis, None, bool(keepdims))
    return lax.select(nothing, found.dtype.type(-1), found)


@fused("axis", "keepdims")
def nanargmax(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    """Index of the maximum along ``axis`` without NaN; -1 if there is nothing else.

    Parameters
    ----------
    a : array_like
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
    >>> np.nanargmax(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]), axis=1)
    Array([ 2, -1], dtype=int32)
    """
    check_out(out, "nanargmax")
    return _arg("nanargmax", True, a, axis, keepdims)


@fused("axis", "keepdims")
def nanargmin(a: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
    """Index of the minimum along ``axis`` without NaN; -1 if there is nothing else.

    Parameters
    ----------
    a : array_like
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
    >>> np.nanargmin(np.array([5.0, np.nan, 3.0]))
    Array(2, dtype=int32)
    """
    check_out(out, "nanargmin")
    return _arg("nanargmin", False, a, axis, keepdims)


# --- quantiles ---------------------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


def _quantile(
    name: str,
    a: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    ignore_nan: bool,
    weights: Any,
) -> Any:
    x, q = _quantile_operands(name, a, q, method, weights)
    axes = _axes(axis, x)
    shape, dt, wide = x.shape, dtypes.to_inexact_dtype(x.dtype), q.dtype
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    x = lax.transpose(x, (*kept, *axes))
    rows = x.shape[: len(kept)]
    n = r.product(x.shape[len(kept) :])
    x = lax.reshape(x, (*rows, n))
    if n == 0:
        if name != "median" and not ignore_nan:
            raise ValueError(f"{name} of an array without elements{at_user_line()}")
        # As of NaN alone, as NumPy has it.
        n, x = 1, lax.full((*rows, 1), math.nan, dt)
    last = len(rows)
    nans = _nan(x)
    nq = q.shape
    # What is found is of shape (q..., rows...); its position among the sorted elements of a row is
    # the same for each row, unless they have different numbers of elements.
    full = (*nq, *rows)
    of_rows = tuple(range(len(nq), len(full)))
    top: Any = as_number(n - 1, wide)
    if ignore_nan:
        present = r.sum(lax.bitwise_not(nans), last, dtypes.int32)
        top = lax.max(lax.sub(convert(present, wide), wide.type(1)), wide.type(0))
        top = lax.broadcast_in_dim(top, full, of_rows)
        q = lax.broadcast_in_dim(q, full, tuple(range(len(nq))))
    if method == "inverted_cdf":
        one = wide.type(1)
        position = lax.max(lax.sub(lax.ceil(lax.mul(q, lax.add(top, one))), one), wide.type(0))
    else:
        position = lax.mul(q, top)
    # Rows with a NaN, of which no order is asked, are NaN.
    out = _between(x, position, top, dt, method, nq, ignore_nan)
    if not ignore_nan:
        bad = lax.broadcast_in_dim(r.any(nans, last), full, of_rows)
        out = lax.select(bad, dt.type(math.nan), out)
    if keepdims:
        sizes = tuple(1 if i in axes else s for i, s in enumerate(shape))
        out = lax.reshape(out, (*nq, *sizes))
    return out


def _quantile_operands(name: str, a: Any, q: Any, method: str, weights: Any) -> tuple[Any, Any]:
    """The array, and the probabilities as floats of at least 32 bits."""
    if weights is not None:
        raise NotImplementedError(f"{name} with weights is not supported{at_user_line()}")
    if method not in _METHODS:
        raise ValueError(
            f"{name}: method must be one of {', '.join(_METHODS)}, got {method!r}{at_user_line()}"
        )
    x, q = array(a, name), array(q, name, 1)
    if x.dtype in dtypes.COMPLEX:
        raise ValueError(f"{name} of complex numbers is not defined{at_user_line()}")
    if q.ndim > 1:
        raise ValueError(
            f"{name}: q must be a scalar or vector, got shape {q.shape}{at_user_line()}"
        )
    return x, convert(q, _of_positions(dtypes.to_inexact_dtype(x.dtype)))


def _of_positions(dt: Any) -> Any:
    """The dtype of positions among elements of a dtype: those of more than 2048 do not fit in 16
    bits."""
    return dtypes.float32 if dt in dtypes.ROUNDED else dt


def _between(
    x: Any, position: Any, top: Any, dt: Any, method: str, nq: Any, nans_last: bool
) -> Any:
    """What lies at ``position`` among the elements of each row in order, as a ``dt``, of shape
    ``(*nq, *rows)``."""
    wide, end = position.dtype, as_number(x.shape[-1] - 1, position.dtype)
    low = lax.clamp(wide.type(0), lax.floor(position), end)
    high = lax.min(lax.clamp(wide.type(0), lax.ceil(position), end), top)
    full = (*nq, *x.shape[:-1])

    def of_rows(y: Any) -> Any:
        return lax.broadcast_in_dim(y, full, tuple(range(y.ndim)))

    ranks = (of_rows(convert(rank, dtypes.int32)) for rank in (low, high))
    found = _at_ranks(x, *ranks, len(nq), nans_last)
    # Converted only here: integers are parted faster than floats are.
    at_low, at_high = (convert(v, dt) for v in found)
    fraction = lax.sub(position, low)
    match method:
        case "linear":
            w = of_rows(convert(fraction, dt))
            return lax.add(lax.mul(at_low, lax.sub(dt.type(1), w)), lax.mul(at_high, w))
        case "lower" | "inverted_cdf":
            return at_low
        case "higher":
            return at_high
        case "midpoint":
            return lax.mul(lax.add(at_low, at_high), dt.type(0.5))
    return lax.select(of_rows(lax.le(fraction, wide.type(0.5))), at_low, at_high)


def _at_ranks(x: Any, low: Any, high: Any, extra: int, nans_last: bool) -> tuple[Any, Any]:
    """The elements of two ranks among each row's, whose ``extra`` leading dimensions are new."""
    last, q = x.ndim - 1, low.shape[:extra]
    rows = x.shape[:-1]
    perm = (*range(1, last + 1), 0)
    nq = r.product(q)
    ranks = [lax.transpose(lax.reshape(p, (nq, *rows)), perm) for p in (low, high)]
    ranks = lax.concatenate(ranks, last)
    both = partition_p.bind(x, ranks, axis=last, nans_last=nans_last)[2]
    back = (last, *range(last))
    at_low, at_high = (
        lax.reshape(lax.transpose(v, back), (*q, *rows)) for v in lax.split(both, [nq, nq], last)
    )
    return at_low, at_high


_QUANTILE = ("axis", "method", "keepdims", "overwrite_input")


@fused(*_QUANTILE)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Values below which a fraction ``q`` of the elements along ``axis`` lies.

    Parameters
    ----------
    a : array_like
        Real numbers.
    q : array_like
        Between 0 and 1; a scalar or vector. Numbers outside are taken as the nearer end.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    method : {'linear', 'lower', 'higher', 'midpoint', 'nearest', 'inverted_cdf'}
        What is taken between two elements; ``inverted_cdf``: the first element up to which there is
        at least a share ``q`` of all (a hundredth of it, of a percentage).
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    weights : None
        Not supported.

    Returns
    -------
    Array
        Floats; the shape of ``q`` comes first. NaN where an element is NaN.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements, or ``q`` has more than one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([1.0, 2.0, 3.0, 10.0])
    >>> np.quantile(x, np.array([0.0, 0.5, 1.0]))
    Array([ 1. ,  2.5, 10. ], dtype=float32)
    >>> np.quantile(x, 0.5, method="lower")
    Array(2., dtype=float32)
    """
    check_out(out, "quantile")
    return _quantile("quantile", a, q, axis, method, keepdims, False, weights)


@fused(*_QUANTILE)
def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Quantiles over ``axis`` without NaN; see `quantile`.

    Parameters
    ----------
    a : array_like
        Real numbers.
    q : array_like
        Between 0 and 1; a scalar or vector. Numbers outside are taken as the nearer end.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    method : {'linear', 'lower', 'higher', 'midpoint', 'nearest', 'inverted_cdf'}
        What is taken between two elements; ``inverted_cdf``: the first element up to which there is
        at least a share ``q`` of all (a hundredth of it, of a percentage).
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    weights : None
        Not supported.

    Returns
    -------
    Array
        Floats; the shape of ``q`` comes first. NaN where there is nothing else.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements, or ``q`` has more than one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanquantile(np.array([1.0, np.nan, 3.0, 5.0]), 0.5)
    Array(3., dtype=float32)
    """
    check_out(out, "nanquantile")
    return _quantile("nanquantile", a, q, axis, method, keepdims, True, weights)


def _fraction(q: Any, name: str) -> Any:
    q = array(q, name)
    dt = dtypes.to_inexact_dtype(q.dtype)
    return lax.div(convert(q, dt), dt.type(100))


@fused(*_QUANTILE, "out_sharding")
def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Quantiles for ``q`` in percent; see `quantile`.

    Parameters
    ----------
    a : array_like
        Real numbers.
    q : array_like
        Between 0 and 100; a scalar or vector. Numbers outside are taken as the nearer end.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    method : {'linear', 'lower', 'higher', 'midpoint', 'nearest', 'inverted_cdf'}
        What is taken between two elements; ``inverted_cdf``: the first element up to which there is
        at least a share ``q`` of all (a hundredth of it, of a percentage).
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    weights : None
        Not supported.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Floats; the shape of ``q`` comes first. NaN where an element is NaN.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements, or ``q`` has more than one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.percentile(np.array([[1.0, 3.0], [2.0, 8.0]]), 25, axis=1)
    Array([1.5, 3.5], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(percentile, locals())
    check_out(out, "percentile")
    q = _fraction(q, "percentile")
    return _quantile("percentile", a, q, axis, method, keepdims, False, weights)


@fused(*_QUANTILE)
def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Quantiles without NaN for ``q`` in percent; see `quantile`.

    Parameters
    ----------
    a : array_like
        Real numbers.
    q : array_like
        Between 0 and 100; a scalar or vector. Numbers outside are taken as the nearer end.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    method : {'linear', 'lower', 'higher', 'midpoint', 'nearest', 'inverted_cdf'}
        What is taken between two elements; ``inverted_cdf``: the first element up to which there is
        at least a share ``q`` of all (a hundredth of it, of a percentage).
    keepdims : bool
        Whether the reduced axes stay, with size 1.
    weights : None
        Not supported.

    Returns
    -------
    Array
        Floats; the shape of ``q`` comes first. NaN where there is nothing else.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements, or ``q`` has more than one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanpercentile(np.array([1.0, np.nan, 3.0, 5.0]), 75)
    Array(4., dtype=float32)
    """
    check_out(out, "nanpercentile")
    q = _fraction(q, "nanpercentile")
    return _quantile("nanpercentile", a, q, axis, method, keepdims, True, weights)


@fused("axis", "keepdims", "overwrite_input")
def median(
    a: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    """Median over ``axis``: the middle element, or the mean of the two in the middle.

    Parameters
    ----------
    a : array_like
        Real numbers.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    keepdims : bool
        Whether the reduced axes stay, with size 1.

    Returns
    -------
    Array
        Floats; NaN where an element is NaN.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.median(np.array([[1, 2, 9], [4, 5, 6]]), axis=1)
    Array([2., 5.], dtype=float32)
    """
    check_out(out, "median")
    x = array(a, "median")
    half = _of_positions(dtypes.to_inexact_dtype(x.dtype)).type(0.5)
    return _quantile("median", x, half, axis, "midpoint", keepdims, False, None)


@fused("axis", "keepdims", "overwrite_input")
def nanmedian(
    a: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    """Median over ``axis`` without NaN.

    Parameters
    ----------
    a : array_like
        Real numbers.
    axis : int or tuple of int, optional
        Axes to reduce; by default all.
    out : None
        Not supported: arrays are immutable.
    overwrite_input : bool
        Accepted and ignored.
    keepdims : bool
        Whether the reduced axes stay, with size 1.

    Returns
    -------
    Array
        Floats; NaN where there is nothing else.

    Raises
    ------
    ValueError
        If ``a`` is complex or has no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.nanmedian(np.array([1.0, np.nan, 2.0]))
    Array(1.5, dtype=float32)
    """
    check_out(out, "nanmedian")
    x = array(a, "nanmedian")
    half = _of_positions(dtypes.to_inexact_dtype(x.dtype)).type(0.5)
    return _quantile("nanmedian", x, half, axis, "midpoint", keepdims, True, None)
