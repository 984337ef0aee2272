"""Differences, gradients, integrals, interpolation, convolution, statistics of samples, windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as onp

from covector import lax
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.operands import as_number, canonical_axes, canonical_axis, scalar
from covector.numpy import reductions
from covector.numpy._util import (
    array,
    broadcast_to,
    convert,
    fused,
    inexact,
    promote_dtypes,
    promote_inexact,
)
from covector.numpy.creation import asarray, from_numpy
from covector.numpy.elementwise import _where
from covector.numpy.joining import concatenate
from covector.numpy.powers import _remainder
from covector.numpy.sorting import search

# --- differences -------------------------------------------------------------------------


@fused("n", "axis")
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """``n``-th differences of neighbours along ``axis``.

    Parameters
    ----------
    a : array_like
        Of one or more dimensions; of booleans it is whether neighbours differ.
    n : int
    axis : int
    prepend, append : array_like, optional
        Joined to ``a`` before; a scalar counts as one element.

    Returns
    -------
    Array
        Of the dtype of ``a``, shorter by ``n`` along ``axis``.

    Raises
    ------
    ValueError
        If ``n`` is negative, or ``a`` has no dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.diff(np.array([1, 4, 9, 16]))
    Array([3, 5, 7], dtype=int32)
    >>> np.diff(np.array([1, 4, 9, 16]), n=2), np.diff(np.array([1, 4]), prepend=0)
    (Array([2, 2], dtype=int32), Array([1, 3], dtype=int32))
    """
    x = array(a, "diff")
    if x.ndim == 0:
        raise ValueError(f"diff takes an array of one or more dimensions{at_user_line()}")
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}{at_user_line()}")
    axis = canonical_axis(axis, x)
    if n == 0:
        return x
    parts = [x]
    for extra, at in ((prepend, 0), (append, len(parts) + 1)):
        if extra is not None:
            v = array(extra, "diff")
            if v.ndim == 0:
                v = broadcast_to(v, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
            parts.insert(at, v)
    x = concatenate(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        size = x.shape[axis]
        if size == 0:
            break
        after = lax.slice_in_dim(x, 1, size, axis=axis)
        before = lax.slice_in_dim(x, 0, size - 1, axis=axis)
        x = lax.ne(after, before) if x.dtype == dtypes.bool_ else lax.sub(after, before)
    return x


@fused()
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of the flattened array, with values put before and after.

    Parameters
    ----------
    ary : array_like
    to_end, to_begin : array_like, optional
        Flattened, and converted to the dtype of ``ary``.

    Returns
    -------
    Array
        A vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.ediff1d(np.array([[1, 4], [9, 16]]), to_begin=0)
    Array([0, 3, 5, 7], dtype=int32)
    """
    x = array(ary, "ediff1d")
    x = diff(lax.reshape(x, (x.size,)))
    parts = [x]
    if to_begin is not None:
        v = convert(array(to_begin), x.dtype)
        parts.insert(0, lax.reshape(v, (v.size,)))
    if to_end is not None:
        v = convert(array(to_end), x.dtype)
        parts.append(lax.reshape(v, (v.size,)))
    return lax.concatenate(parts, 0)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int | None = None) -> Any:
    """Derivatives of sampled values by central differences, one-sided at the ends.

    Parameters
    ----------
    f : array_like
        Of at least 2 elements along each axis.
    *varargs : scalar or array_like
        Spacing, one for all axes or one per axis; a vector holds the coordinates.
    axis : int or tuple of int, optional
        By default all axes.
    edge_order : int, optional
        Only 1 is supported: differences of two points at the ends.

    Returns
    -------
    Array, or list of arrays for several axes
        Floats, each of the shape of ``f``.

    Raises
    ------
    ValueError
        If an axis is too short, or coordinates do not fit it.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.gradient(np.array([1.0, 4.0, 9.0, 16.0]))
    Array([3., 4., 6., 7.], dtype=float32)
    >>> np.gradient(np.array([0.0, 1.0, 9.0]), np.array([0.0, 1.0, 3.0]))
    Array([1., 2., 4.], dtype=float32)
    """
    if edge_order is not None and edge_order != 1:
        raise NotImplementedError(f"gradient: only edge_order=1 is supported{at_user_line()}")
    x = array(f, "gradient")
    axes = canonical_axes(axis, x)
    spacing = list(varargs)
    if not spacing:
        spacing = [dtypes.to_inexact_dtype(x.dtype).type(1)] * len(axes)
    elif len(spacing) == 1:
        spacing *= len(axes)
    elif len(spacing) != len(axes):
        raise TypeError(f"gradient: {len(spacing)} spacings for {len(axes)} axes{at_user_line()}")
    for k in axes:
        if x.shape[k] < 2:
            raise ValueError(
                f"gradient: axis {k} of {describe(x)} has fewer than 2 elements{at_user_line()}"
            )
    out = [_gradient(x, asarray(h), axis=k) for k, h in zip(axes, spacing, strict=True)]
    return out[0] if axis is not None and not isinstance(axis, (tuple, list)) or (
        len(out) == 1
    ) else out  # fmt: skip


@fused("axis")
def _gradient(f: Any, h: Any, *, axis: int) -> Any:
    x, h = (array(v) for v in promote_inexact("gradient", f, h))
    n = x.shape[axis]

    def part(lo: int, hi: int) -> Any:
        return lax.slice_in_dim(x, lo, hi, axis=axis)

    def divide(a: Any, by: Any) -> Any:
        return lax.div(a, broadcast_to(by, a.shape) if by.ndim else by)

    if h.ndim == 0:
        first = divide(lax.sub(part(1, 2), part(0, 1)), h)
        last = divide(lax.sub(part(n - 1, n), part(n - 2, n - 1)), h)
        middle = divide(lax.sub(part(2, n), part(0, n - 2)), lax.mul(h, 2.0))
        return lax.concatenate([first, middle, last], axis)
    if h.ndim != 1 or h.shape[0] != n:
        raise ValueError(
            f"gradient: coordinates of shape {h.shape} for an axis of size {n}{at_user_line()}"
        )
    d = lax.sub(lax.slice_in_dim(h, 1, n), lax.slice_in_dim(h, 0, n - 1))
    shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))

    def steps(lo: int, hi: int) -> Any:
        s = lax.slice_in_dim(d, lo, hi)
        return lax.reshape(s, tuple(s.shape[0] if k == -1 else 1 for k in shape))

    first = divide(lax.sub(part(1, 2), part(0, 1)), steps(0, 1))
    last = divide(lax.sub(part(n - 1, n), part(n - 2, n - 1)), steps(n - 2, n - 1))
    left, right = steps(0, n - 2), steps(1, n - 1)
    both = lax.add(left, right)
    size = part(2, n).shape
    weights = (
        lax.neg(lax.div(right, lax.mul(left, both))),
        lax.div(lax.sub(right, left), lax.mul(left, right)),
        lax.div(left, lax.mul(right, both)),
    )
    terms = [lax.mul(broadcast_to(w, size), part(i, n - 2 + i)) for i, w in enumerate(weights)]
    middle = lax.add(lax.add(terms[0], terms[1]), terms[2])
    return lax.concatenate([first, middle, last], axis)


@fused("axis")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral along ``axis`` by the trapezoidal rule, over ``x`` or points ``dx`` apart.

    Parameters
    ----------
    y : array_like
    x : array_like, optional
        Coordinates of the points: a vector, or an array of the shape of ``y``.
    dx : array_like
        Distance of the points if ``x`` is not given.
    axis : int

    Returns
    -------
    Array
        Floats, of the shape of ``y`` without ``axis``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.trapezoid(np.array([1.0, 2.0, 4.0]))
    Array(4.5, dtype=float32)
    >>> np.trapezoid(np.array([1.0, 2.0, 4.0]), np.array([0.0, 2.0, 3.0]))
    Array(6., dtype=float32)
    """
    if x is None:
        (v,) = promote_inexact("trapezoid", y)
        v = array(v)
        d: Any = convert(array(dx), v.dtype)
        if d.ndim:
            k = canonical_axis(axis, v)
            gaps = (*v.shape[:k], max(v.shape[k] - 1, 0), *v.shape[k + 1 :])
            d = lax.transpose(broadcast_to(d, gaps), _to_last(v.ndim, k))
    else:
        v, points = (array(t) for t in promote_inexact("trapezoid", y, x))
        if points.ndim == 1:
            d = diff(points)
        else:
            d = lax.transpose(
                diff(points, axis=axis),
                _to_last(points.ndim, canonical_axis(axis, points)),
            )
    v = lax.transpose(v, _to_last(v.ndim, canonical_axis(axis, v)))
    n = v.shape[-1]
    if n == 0:
        return lax.full(v.shape[:-1], 0, v.dtype)
    ends = lax.add(
        lax.slice_in_dim(v, 1, n, axis=v.ndim - 1), lax.slice_in_dim(v, 0, n - 1, axis=v.ndim - 1)
    )
    terms = lax.mul(ends, broadcast_to(d, ends.shape) if d.ndim else d)
    return lax.mul(lax.reduce_sum(terms, (v.ndim - 1,)), v.dtype.type(0.5))


def _to_last(rank: int, axis: int) -> tuple[int, ...]:
    return (*[i for i in range(rank) if i != axis], axis)


@fused("axis")
def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * math.pi) -> Any:
    """Phases with jumps of more than half a ``period`` along ``axis`` taken out.

    Parameters
    ----------
    p : array_like
        Real numbers, by default angles in radians.
    discont : array_like, optional
        Jumps smaller than this stay; by default, and at least, half a ``period``.
    axis : int
    period : array_like
        What makes no difference to a phase.

    Returns
    -------
    Array
        Of the shape of ``p``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.unwrap(np.array([170, 175, 181, -174]), period=360)
    Array([170, 175, 181, 186], dtype=int32)
    """
    x = array(p, "unwrap")
    if x.dtype not in dtypes.INTEGERS:
        x = array(inexact(x, "unwrap"))
    axis = canonical_axis(axis, x)
    n = x.shape[axis]
    if n < 2:
        return x
    x, per = promote_dtypes("unwrap", x, period)
    per = array(per)
    dd = lax.sub(lax.slice_in_dim(x, 1, n, axis=axis), lax.slice_in_dim(x, 0, n - 1, axis=axis))
    dt = x.dtype
    if dt in dtypes.INTEGERS:
        high = lax.div(per, scalar(2, dt))
        low = lax.neg(high)
        boundary = lax.eq(lax.rem(per, scalar(2, dt)), scalar(0, dt))
    else:
        high = lax.div(per, scalar(2, dt))
        low = lax.neg(high)
        boundary = onp.bool_(True)
    ddmod = lax.add(_remainder(lax.sub(dd, low), per), low)
    up = lax.bitwise_and(lax.eq(ddmod, low), lax.gt(dd, scalar(0, dt)))
    ddmod = lax.select(lax.bitwise_and(up, boundary), high, ddmod)
    correction = lax.sub(ddmod, dd)
    limit = high if discont is None else convert(array(discont), dt)
    correction = lax.select(lax.lt(lax.abs(dd), limit), scalar(0, dt), correction)
    config = tuple((1, 0, 0) if i == axis else (0, 0, 0) for i in range(x.ndim))
    total = lax.cumsum(correction, axis)
    return lax.add(x, lax.pad(total, scalar(0, dt), config))


# --- interpolation -----------------------------------------------------------------------


@fused("left", "right")
def _interp_named(x: Any, xp: Any, fp: Any, period: Any, *, left: Any, right: Any) -> Any:
    return _interp(x, xp, fp, left, right, period)


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear interpolation of the points ``(xp, fp)``, ``xp`` increasing, at ``x``.

    Parameters
    ----------
    x : array_like
    xp, fp : array_like
        Vectors of one length.
    left, right : scalar or 'extrapolate', optional
        The value before the first and after the last point: that of ``fp`` there by default, the
        line of the outermost points for ``'extrapolate'``.
    period : scalar, optional
        With which the points repeat; they need not be in order then.

    Returns
    -------
    Array
        Floats, of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``xp`` and ``fp`` are not vectors of one length.

    Examples
    --------
    >>> import covector.numpy as np
    >>> xp, fp = np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 40.0])
    >>> np.interp(np.array([0.5, 1.5, 3.0]), xp, fp)
    Array([ 5., 25., 40.], dtype=float32)
    >>> np.interp(3.0, xp, fp, right="extrapolate")
    Array(70., dtype=float32)
    """
    if isinstance(left, str) or isinstance(right, str):
        for name, v in (("left", left), ("right", right)):
            if isinstance(v, str) and v != "extrapolate":
                raise ValueError(f"interp: {name} must be a number or 'extrapolate', got {v!r}")
        if all(v is None or isinstance(v, str) for v in (left, right)):
            return _interp_named(x, xp, fp, period, left=left, right=right)
        return _interp(x, xp, fp, left, right, period)
    return _interp_values(x, xp, fp, left, right, period)


@fused()
def _interp_values(x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    return _interp(x, xp, fp, left, right, period)


def _interp(x: Any, xp: Any, fp: Any, left: Any, right: Any, period: Any) -> Any:
    x, xp = (array(v) for v in promote_inexact("interp", x, xp))
    (fp,) = promote_inexact("interp", fp)
    fp = array(fp)
    if xp.ndim != 1 or fp.shape != xp.shape:
        raise ValueError(
            f"interp: xp and fp must be vectors of one length, got {describe(xp)} and "
            f"{describe(fp)}{at_user_line()}"
        )
    n = xp.shape[0]
    if period is not None:
        per = convert(array(period), xp.dtype)
        per = lax.abs(per)
        x, xp = _remainder(x, per), _remainder(xp, per)
        xp, fp = lax.sort_key_val(xp, fp, 0)
        xp = lax.concatenate([lax.sub(xp[-1:], per), xp, lax.add(xp[:1], per)], 0)
        fp = lax.concatenate([fp[-1:], fp, fp[:1]], 0)
        n += 2
    if n == 1:
        inner = broadcast_to(fp[0], x.shape)
    else:
        i = lax.clamp(
            onp.int32(1),
            convert(search(xp, x, "right"), dtypes.int32),
            as_number(n - 1, dtypes.int32),
        )
        at = i - 1
        f0, f1, x0, x1 = fp[at], fp[i], xp[at], xp[i]
        dx = lax.sub(x1, x0)
        flat = lax.eq(dx, dx.dtype.type(0))
        t = lax.div(lax.sub(x, x0), lax.select(flat, dx.dtype.type(1), dx))
        f0, df, t = promote_dtypes("interp", f0, lax.sub(f1, f0), t)
        inner = lax.select(flat, f0, lax.add(f0, lax.mul(t, df)))
    if period is None:
        if not (isinstance(left, str)):
            inner = _where(lax.lt(x, xp[0]), fp[0] if left is None else left, inner)
        if not (isinstance(right, str)):
            inner = _where(lax.gt(x, xp[n - 1]), fp[n - 1] if right is None else right, inner)
    return inner


# --- convolution -------------------------------------------------------------------------


@fused("mode", "precision", "preferred_element_type")
def convolve(
    a: Any,
    v: Any,
    mode: str = "full",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution of two vectors; ``mode`` is ``full``, ``same`` or ``valid``.

    Parameters
    ----------
    a, v : array_like
        Vectors with elements.
    mode : {'full', 'same', 'valid'}
        Whether the result has all sums of products, as many as the longer operand, or only those
        without elements beyond the ends.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array
        Floats or complex numbers.

    Raises
    ------
    ValueError
        If an operand is not a vector, or has no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.convolve(np.array([1, 2, 3]), np.array([1, 10]))
    Array([ 1., 12., 23., 30.], dtype=float32)
    >>> np.convolve(np.array([1, 2, 3]), np.array([1, 10]), mode="valid")
    Array([12., 23.], dtype=float32)
    """
    return _convolve("convolve", a, v, mode, precision, preferred_element_type)


def _convolve(name: str, a: Any, v: Any, mode: str, precision: Any, preferred: Any) -> Any:
    x, y = (array(t) for t in promote_inexact(name, a, v))
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"{name} takes two vectors, got {describe(x)} and {describe(y)}{at_user_line()}"
        )
    if not x.shape[0] or not y.shape[0]:
        raise ValueError(f"{name} takes vectors with elements{at_user_line()}")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    if x.shape[0] < y.shape[0]:
        x, y = y, x
    n, k = x.shape[0], y.shape[0]
    before = {"full": k - 1, "same": k // 2, "valid": 0}[mode]
    after = {"full": k - 1, "same": k - 1 - k // 2, "valid": 0}[mode]
    if mode == "same":
        before, after = k - 1 - (k - 1) // 2, (k - 1) // 2
    padded = lax.pad(x, x.dtype.type(0), ((before, after, 0),))
    size = n + before + after - k + 1
    taps = lax.rev(y, (0,))
    if k < 32:
        out: Any = None
        wide = dtypes.float32 if x.dtype in dtypes.ROUNDED else x.dtype
        padded, taps = convert(padded, wide), convert(taps, wide)
        for i in range(k):
            window = lax.slice_in_dim(padded, i, i + size)
            term = lax.mul(window, lax.index_in_dim(taps, i, 0, False))
            out = term if out is None else lax.add(out, term)
        out = convert(out, x.dtype)
    else:
        image, kernel = (lax.expand_dims(v, (0, 1)) for v in (padded, taps))
        out = lax.conv_general_dilated(
            image, kernel, (1,), [(0, 0)], precision=precision, preferred_element_type=preferred
        )
        out = lax.reshape(out, (size,))
    return out if preferred is None else convert(out, dtypes.canonicalize_dtype(preferred))


@fused("mode", "precision", "preferred_element_type")
def correlate(
    a: Any,
    v: Any,
    mode: str = "valid",
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Cross-correlation of two vectors: `convolve` with the second reversed and conjugated.

    Parameters
    ----------
    a, v : array_like
        Vectors with elements.
    mode : {'valid', 'same', 'full'}
        See `convolve`.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array
        Floats or complex numbers.

    Raises
    ------
    ValueError
        If an operand is not a vector, or has no elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.correlate(np.array([1, 2, 3]), np.array([1, 10]))
    Array([21., 32.], dtype=float32)
    """
    x, y = array(a, "correlate"), array(v, "correlate", 1)
    if x.ndim == y.ndim == 1 and x.shape[0] < y.shape[0]:
        # The result is centred on the longer operand.
        swapped = correlate(
            y,
            x,
            mode,
            precision=precision,
            preferred_element_type=preferred_element_type,
        )
        out = lax.rev(swapped, (0,))
        return lax.conj(out) if out.dtype in dtypes.COMPLEX else out
    y = lax.conj(y) if y.dtype in dtypes.COMPLEX else y
    if y.ndim == 1:
        y = lax.rev(y, (0,))
    return _convolve("correlate", x, y, mode, precision, preferred_element_type)


# --- statistics of samples ---------------------------------------------------------------


@fused("rowvar", "bias", "ddof", "dtype")
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    dtype: Any = None,
) -> Any:
    """Covariance matrix of variables, the rows of ``m`` (columns if not ``rowvar``).

    Parameters
    ----------
    m, y : array_like
        Samples, of at most two dimensions; ``y`` adds variables.
    rowvar : bool
        Whether variables are rows, and samples columns.
    bias : bool
        Divide by the number of samples, not by one less.
    ddof : int, optional
        Subtracted from the number of samples to divide by, whatever ``bias`` is.
    fweights, aweights : array_like, optional
        Numbers of repetitions, and weights, of the samples.
    dtype : dtype, optional
        In which to compute.

    Returns
    -------
    Array
        A matrix of floats or complex numbers, or of rank 0 for a single variable.

    Raises
    ------
    ValueError
        If the samples have more than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cov(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]))
    Array([[1., 2.],
           [2., 4.]], dtype=float32)
    """
    x = array(promote_inexact("cov", m)[0])
    if y is not None:
        x, other = (array(t) for t in promote_inexact("cov", m, y))
        if other.ndim > 2:
            raise ValueError(f"cov: y has more than two dimensions: {describe(other)}")
    if dtype is not None:
        x = convert(x, dtypes.canonicalize_dtype(dtype))
    if x.ndim > 2:
        raise ValueError(f"cov: m has more than two dimensions: {describe(x)}{at_user_line()}")

    def rows(v: Any) -> Any:
        flat = v.ndim < 2
        v = lax.reshape(v, (1, v.size)) if v.ndim < 2 else v
        return v if rowvar or flat else lax.transpose(v, (1, 0))

    x = rows(x)
    if y is not None:
        x = concatenate([x, rows(convert(other, x.dtype))], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    rdt = dtypes.real_dtype(x.dtype)
    centered, weighted, free = _centered(x, fweights, aweights, ddof)
    conjugate = lax.conj(weighted) if x.dtype in dtypes.COMPLEX else weighted
    product = lax.dot_general(centered, conjugate, (((1,), (1,)), ((), ())))
    # Without degrees of freedom it is NaN.
    free = lax.max(free, rdt.type(0))
    out = lax.div(product, convert(array(free), x.dtype))
    k = out.shape[0]
    one = k == 1 if type(k) is int else k <= 1  # symbolic sizes are at least 1
    return lax.reshape(out, ()) if one else out


def _centered(x: Any, fweights: Any, aweights: Any, ddof: int) -> tuple[Any, Any, Any]:
    """Rows less their means, the same weighted, and the degrees of freedom."""
    w = None
    rdt = dtypes.real_dtype(x.dtype)
    if fweights is not None:
        w = convert(array(fweights, "cov"), rdt)
    if aweights is not None:
        a = convert(array(aweights, "cov"), rdt)
        w = a if w is None else lax.mul(w, a)
    if w is None:
        center = reductions.mean(x, 1, keepdims=True)
        centered = lax.sub(x, broadcast_to(center, x.shape))
        return centered, centered, as_number(x.shape[1] - ddof, rdt)
    total = reductions.sum(w)
    wide = broadcast_to(convert(w, x.dtype), x.shape)
    center = lax.div(reductions.sum(lax.mul(x, wide), 1, keepdims=True), convert(total, x.dtype))
    if ddof == 0:
        free = total
    elif aweights is None:
        free = lax.sub(total, rdt.type(ddof))
    else:
        both = reductions.sum(lax.mul(w, convert(array(aweights), rdt)))
        free = lax.sub(total, lax.div(lax.mul(both, rdt.type(ddof)), total))
    centered = lax.sub(x, broadcast_to(center, x.shape))
    return centered, lax.mul(centered, wide), free


@fused("rowvar", "dtype")
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """Correlation coefficients of variables; see `cov`.

    Parameters
    ----------
    x, y : array_like
        Samples, of at most two dimensions; ``y`` adds variables.
    rowvar : bool
        Whether variables are rows, and samples columns.
    dtype : dtype, optional
        In which to compute.

    Returns
    -------
    Array
        A matrix of numbers in ``[-1, 1]``, or of rank 0 for a single variable.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.corrcoef(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).round(3)
    Array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return lax.div(c, c)
    n = c.shape[0]
    d = c[onp.arange(n), onp.arange(n)]
    d = lax.sqrt(lax.real(d) if c.dtype in dtypes.COMPLEX else d)
    d = convert(d, c.dtype)
    c = lax.div(c, lax.broadcast_in_dim(d, (n, n), (0,)))
    c = lax.div(c, lax.broadcast_in_dim(d, (n, n), (1,)))
    if c.dtype in dtypes.COMPLEX:
        re, im = lax.real(c), lax.imag(c)
        one = re.dtype.type(1)
        return lax.complex(lax.clamp(-one, re, one), lax.clamp(-one, im, one))
    one = c.dtype.type(1)
    return lax.clamp(-one, c, one)


# --- windows -----------------------------------------------------------------------------


def _window(values: onp.ndarray) -> Any:
    return from_numpy(values.astype(dtypes.default_float()))


def bartlett(M: int) -> Any:  # noqa: N803
    """The Bartlett (triangular) window of ``M`` points.

    Parameters
    ----------
    M : int
        Without points if not positive.

    Returns
    -------
    Array
        A vector of floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window(onp.bartlett(M))


def blackman(M: int) -> Any:  # noqa: N803
    """The Blackman window of ``M`` points.

    Parameters
    ----------
    M : int
        Without points if not positive.

    Returns
    -------
    Array
        A vector of floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.abs(np.blackman(5)).round(3)
    Array([0.  , 0.34, 1.  , 0.34, 0.  ], dtype=float32)
    """
    return _window(onp.blackman(M))


def hamming(M: int) -> Any:  # noqa: N803
    """The Hamming window of ``M`` points.

    Parameters
    ----------
    M : int
        Without points if not positive.

    Returns
    -------
    Array
        A vector of floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.hamming(5).round(3)
    Array([0.08, 0.54, 1.  , 0.54, 0.08], dtype=float32)
    """
    return _window(onp.hamming(M))


def hanning(M: int) -> Any:  # noqa: N803
    """The von Hann window of ``M`` points.

    Parameters
    ----------
    M : int
        Without points if not positive.

    Returns
    -------
    Array
        A vector of floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.hanning(5).round(3)
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    return _window(onp.hanning(M))


def kaiser(M: int, beta: Any) -> Any:  # noqa: N803
    """The Kaiser window of ``M`` points; ``beta``, a concrete number, sets its shape.

    Parameters
    ----------
    M : int
        Without points if not positive.
    beta : float
        0 is a rectangle; the larger, the narrower the window.

    Returns
    -------
    Array
        A vector of floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.kaiser(5, 2.0).round(3)
    Array([0.439, 0.835, 1.   , 0.835, 0.439], dtype=float32)
    """
    return _window(onp.kaiser(M, float(beta)))


@fused()
def i0(x: Any) -> Any:
    """Modified Bessel function of the first kind and order 0.

    Parameters
    ----------
    x : array_like
        Real numbers.

    Returns
    -------
    Array
        Floats, of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` is complex.

    Notes
    -----
    From Chebyshev series on ``[0, 8]`` and above, summed by Clenshaw's recurrence.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.i0(np.array([0.0, 1.0, -2.0])).round(3)
    Array([1.   , 1.266, 2.28 ], dtype=float32)
    """
    (v,) = promote_inexact("i0", x)
    if dtypes.is_complex(array(v).dtype):
        raise ValueError(f"i0 takes real numbers, got {describe(v)}{at_user_line()}")
    return _i0(array(v))


@custom_jvp
def _i0(x: Any) -> Any:
    return _unscaled(x, lax.bessel_i0e(x), 1.0)


@custom_jvp
def bessel_i1(x: Any) -> Any:
    return _unscaled(x, lax.bessel_i1e(x), lax.sign(x))


def _unscaled(x: Any, y: Any, sign: Any) -> Any:
    # In two steps, as the exponential overflows before the product does.
    root = lax.exp(lax.mul(lax.abs(x), 0.5))
    out = lax.mul(root, lax.mul(root, y))
    return lax.select(lax.eq(root, lax.full_like(root, onp.inf)), lax.mul(root, sign), out)


# Rules of their own: those of the factors cancel near 0, and are inf - inf where they overflow.
# All are in terms of I_n(x) / x^n, where nothing does.
@_i0.defjvp
def _i0_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (g,) = primals, tangents
    return _i0(x), lax.mul(g, bessel_i1(x))


@bessel_i1.defjvp
def _i1_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (g,) = primals, tangents
    slope = lax.add(_over_power(1, x), lax.mul(x, lax.mul(x, _over_power(2, x))))
    return bessel_i1(x), lax.mul(g, slope)


def _bessel_over_power(n: int, x: Any) -> Any:
    """I_n(x) / x^n for n > 0: the power series up to 10 (DLMF 10.25.2), and the recurrence."""
    near = lax.lt(lax.abs(x), 10.0)
    s = lax.mul(lax.square(lax.select(near, x, lax.full_like(x, 0))), 0.25)
    series = lax.full_like(x, 0)
    for k in reversed(range(34)):
        c = 0.5**n / (math.factorial(k) * math.factorial(k + n))
        series = lax.add(lax.mul(s, series), c)
    # An even function.
    t = lax.select(near, lax.full_like(x, 10), lax.abs(x))
    before, last = lax.bessel_i0e(t), lax.div(lax.bessel_i1e(t), t)
    for k in range(1, n):
        difference = lax.sub(before, lax.mul(last, 2.0 * k))
        before, last = last, lax.div(lax.div(difference, t), t)
    return lax.select(near, series, _unscaled(t, last, 1.0))


_over_power = custom_jvp(_bessel_over_power, nondiff_argnums=(0,))


@_over_power.defjvp
def _over_power_jvp(n: int, primals: Any, tangents: Any) -> Any:
    # DLMF 10.29.4.
    (x,), (g,) = primals, tangents
    return _over_power(n, x), lax.mul(g, lax.mul(x, _over_power(n + 1, x)))
