"""Ranges of numbers: arange, linspace, logspace, geomspace."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import array_from_numpy, aval_of, settled
from covector.core.dims import DimExpr, as_size, max_dim
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, like, traced_size
from covector.core.trace import Tracer, eval_trace
from covector.numpy import _util
from covector.numpy._util import (
    concrete,
    convert,
    current_trace,
    fused,
    promote_inexact,
    rounded,
)
from covector.numpy.creation import on_device
from covector.numpy.powers import _power
from covector.sharding.results import laid_out


def arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Evenly spaced numbers from ``start`` (0) up to, not including, ``stop``.

    The number of elements is ``ceil((stop - start) / step)``, so all must be concrete.

    Parameters
    ----------
    start, stop, step : scalar
        One argument alone is ``stop``; ``step`` is 1 by default.
    dtype : dtype, optional
        By default the one that the arguments promote to.
    device : Device, optional
        Where the array is to be; by default the default device.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        A vector, empty if ``stop`` is not reached.

    Raises
    ------
    ValueError
        If ``step`` is 0.
    ConcretizationTypeError
        If an argument is traced.
    OverflowError
        If an integer dtype does not hold the numbers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.arange(3), np.arange(1, 2, 0.25)
    (Array([0, 1, 2], dtype=int32), Array([1.  , 1.25, 1.5 , 1.75], dtype=float32))
    """
    if out_sharding is not None:
        return laid_out(arange, locals())
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    values = [_range_bound(v, n) for v, n in zip((start, stop, step), _RANGE_NAMES, strict=True)]
    lo, hi, by = values
    if dtype is None:
        pairs = tuple({(aval_of(v).dtype, aval_of(v).weak_type) for v in (start, stop, step)})
        dt = dtypes.promote(pairs)[0]
        dt = dtypes.default_int() if dt == dtypes.bool_ else dt
    else:
        dt = dtypes.check_user_dtype(dtype, "arange")
    if by == 0:
        raise ValueError(f"arange: step must not be 0{at_user_line()}")
    integers = all(isinstance(v, (int, DimExpr)) for v in values)
    n = _range_length(lo, hi, by) if integers else max(0, math.ceil((hi - lo) / by))
    if dt in dtypes.INTEGERS and not integers:
        # As NumPy has it: the step is that between the first two numbers, as integers.
        lo, by, integers = int(lo), int(lo + by) - int(lo), True
    if dt in dtypes.INTEGERS and type(n) is int and n:
        dtypes.check_fits(lo, dt)
        dtypes.check_fits(lo + (n - 1) * by, dt)
    if current_trace() is eval_trace:
        out = _host_range(lo, hi, by, n, dt) if integers else onp.arange(lo, hi, by)
        with onp.errstate(all="ignore"):
            out = out.astype(dt)
        return on_device(settled(array_from_numpy(out, dt, False, True)), device)
    if integers and dt in dtypes.NUMERIC:
        out = lax.iota(dt, n)
        out = out if by == 1 else lax.mul(out, _util.convert(by, dt))
        return out if lo == 0 else lax.add(out, _util.convert(lo, dt))
    if lo == 0 and by == 1 and dt in dtypes.FLOATS:
        return lax.iota(dt, n)
    return settled(array_from_numpy(onp.arange(lo, hi, by).astype(dt), dt, False, True))


def _range_length(lo: Any, hi: Any, by: Any) -> Any:
    """The number of integers in a range, whose bounds may be symbolic."""
    if all(type(v) is int for v in (lo, hi, by)):
        return len(range(lo, hi, by))
    return max_dim(0, (hi - lo + by - 1) // by if by > 0 else (lo - hi - by - 1) // -by)


def _host_range(lo: int, hi: int, by: int, n: int, dtype: Any) -> onp.ndarray:
    """``n`` integers in steps, which a dtype holds although int64 may not."""
    if dtype == dtypes.uint64:
        wrapped = onp.arange(n, dtype=onp.uint64) * onp.uint64(by % 2**64)
        return wrapped + onp.uint64(lo % 2**64)
    return onp.arange(n, dtype=onp.int64) * by + lo if by != 1 else onp.arange(lo, lo + n)


_RANGE_NAMES = ("start", "stop", "step")


def _range_bound(x: Any, name: str) -> Any:
    if type(x) is int or type(x) is float or type(x) is DimExpr:
        return x
    v = concrete(x, f"the argument {name} of arange")
    if v.ndim:
        raise TypeError(
            f"arange: {name} must be a scalar, got an array of shape {v.shape}{at_user_line()}"
        )
    if v.dtype.kind in "iub":
        return int(v)
    if v.dtype.kind == "c":
        raise TypeError(f"arange: {name} must be a real number, got {describe(x)}{at_user_line()}")
    return float(v)


def _count(num: Any, name: str) -> int:
    try:
        n = as_size(num)
    except TypeError as e:
        if isinstance(num, Tracer):
            raise traced_size(num, f"{name}: num") from e
        raise TypeError(
            f"{name}: num must be an integer, got {describe(num)}{at_user_line()}"
        ) from e
    if n < 0:
        raise ValueError(f"{name}: num must not be negative, got {n}{at_user_line()}")
    return n


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop`` (included if ``endpoint``).

    Parameters
    ----------
    start, stop : array_like
        Arrays give one sequence per element, along ``axis`` of the result.
    num : int
    endpoint : bool
        Whether ``stop`` is the last number; else it would be the next one.
    retstep : bool
        Also return the spacing.
    dtype : dtype, optional
        By default floats; integers are rounded down.
    axis : int
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array, or (Array, spacing)

    Raises
    ------
    ValueError
        If ``num`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linspace(0, 1, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    >>> np.linspace(0, 1, 4, endpoint=False, retstep=True)
    (Array([0.  , 0.25, 0.5 , 0.75], dtype=float32), Array(0.25, dtype=float32))
    """
    num = _count(num, "linspace")
    out, step = _linspace(start, stop, num=num, endpoint=bool(endpoint),
                          dtype=None if dtype is None else dtypes.as_dtype(dtype),
                          axis=operator.index(axis))  # fmt: skip
    out = on_device(out, device)
    return (out, step) if retstep else out


@fused("num", "endpoint", "dtype", "axis")
def _linspace(
    start: Any, stop: Any, *, num: int, endpoint: bool, dtype: Any, axis: int
) -> tuple[Any, Any]:
    lo, hi = promote_inexact("linspace", start, stop)
    given = aval_of(lo).dtype
    dt = given if dtype is None else dtypes.canonicalize_dtype(dtype)
    computed = given
    if dt in dtypes.INTEGERS and given not in dtypes.COMPLEX:
        # Of what is rounded down the last digit decides.
        lo, hi, computed = start, stop, dtypes.float64
    elif given.itemsize < 4:
        computed = dtypes.float32  # narrower ones do not count as far as there are numbers
    ends = (convert(v, computed) for v in (lo, hi))
    lo, hi = _util.broadcast_all("linspace", *ends)
    div = num - 1 if endpoint else num
    if div > 0:
        out, step = _spaced(lo, hi, div)
        step = convert(step, given)
        if endpoint:
            out = lax.concatenate([out, lax.expand_dims(hi, (0,))], 0)
    else:
        step = lax.full((), math.nan, dtypes.real_dtype(given))
        out = _repeated(lo, num)
    if dt in dtypes.INTEGERS:
        out = lax.floor(out)
    axis = canonical_axis(axis, lo.ndim + 1)
    return convert(structural.moveaxis(out, 0, axis), dt), step


def _spaced(lo: Any, hi: Any, n: int) -> tuple[Any, Any]:
    """The first ``n`` numbers of steps of an ``n``-th of the way, and that step.

    By NumPy's formula, in which whole numbers stay whole, and the step is a difference divided.
    """
    if lo.dtype in dtypes.COMPLEX:
        parts = [_spaced(part(lo), part(hi), n) for part in (lax.real, lax.imag)]
        return tuple([lax.complex(re, im) for re, im in zip(*parts, strict=True)])  # type: ignore[return-value]
    scale = _scale(lax.sub(hi, lo))
    start = lax.mul(lo, scale)
    step = lax.div(lax.sub(lax.mul(hi, scale), start), like(n, lo))
    k = convert(lax.broadcasted_iota(dtypes.int32, (n, *lo.shape), 0), lo.dtype)
    # Rounded by itself: fused with the addition, it would be less than a whole number, or more.
    way = rounded(lax.mul(k, _repeated(step, n)))
    out = lax.add(way, _repeated(start, n))
    return lax.div(out, _repeated(scale, n)), lax.div(step, scale)


def _scale(delta: Any) -> Any:
    """A power of two: multiplied by it a difference is finite, and an n-th of it has its digits."""
    low = float(2.0 ** (dtypes.finfo(delta.dtype).minexp // 2))
    size = lax.abs(delta)
    small = lax.bitwise_and(lax.lt(size, like(low, delta)), lax.gt(size, like(0, delta)))
    large = lax.eq(size, like(math.inf, delta))
    one, half, up = (lax.broadcast(like(v, delta), delta.shape) for v in (1, 0.5, 1 / low))
    return lax.select(small, up, lax.select(large, half, one))


def _repeated(x: Any, n: int) -> Any:
    """``x``, ``n`` times along a new first axis."""
    return lax.broadcast_in_dim(x, (n, *x.shape), tuple(range(1, x.ndim + 1)))


@fused("num", "endpoint", "dtype", "axis")
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``base`` to the power of ``num`` evenly spaced exponents (see `linspace`).

    Parameters
    ----------
    start, stop : array_like
        The first and the last exponent; arrays give one sequence per element.
    num : int
    endpoint : bool
        Whether ``stop`` is the last exponent; else it would be the next one.
    base : array_like
    dtype : dtype, optional
        By default floats.
    axis : int
        Of the sequences in the result.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.logspace(0, 4, 3, base=2).round(3)
    Array([ 1.,  4., 16.], dtype=float32)
    """
    num = _count(num, "logspace")
    lo, hi = promote_inexact("logspace", start, stop)
    dt = aval_of(lo).dtype if dtype is None else dtypes.canonicalize_dtype(dtype)
    exponents, _ = _linspace(lo, hi, num=num, endpoint=endpoint, dtype=None, axis=axis)
    return convert(_power(base, exponents), dt)


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers in geometric progression from ``start`` to ``stop``.

    Parameters
    ----------
    start, stop : array_like
        The first and the last number, neither 0; arrays give one sequence per element.
    num : int
    endpoint : bool
        Whether ``stop`` is the last number; else it would be the next one.
    dtype : dtype, optional
        By default floats.
    axis : int
        Of the sequences in the result.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.geomspace(1, 1000, 4).round(3)
    Array([   1.,   10.,  100., 1000.], dtype=float32)
    """
    logs = tuple([_log10(v) for v in (start, stop)])
    return _geomspace(start, stop, logs, num=_count(num, "geomspace"), endpoint=bool(endpoint),
                      dtype=None if dtype is None else dtypes.as_dtype(dtype),
                      axis=operator.index(axis))  # fmt: skip


def _log10(x: Any) -> float | None:
    """The decimal logarithm of a Python number, which is not rounded twice."""
    return math.log10(abs(x)) if type(x) in (int, float) and x and math.isfinite(x) else None


@fused("num", "endpoint", "dtype", "axis")
def _geomspace(
    start: Any, stop: Any, logs: tuple[Any, Any], *, num: int, endpoint: bool, dtype: Any, axis: int
) -> Any:
    lo, hi = promote_inexact("geomspace", start, stop)
    computed = aval_of(lo).dtype
    dt = computed if dtype is None else dtypes.canonicalize_dtype(dtype)
    lo, hi = _util.broadcast_all("geomspace", lo, hi)
    if computed in dtypes.COMPLEX:
        sign = lax.sign(lo)
        lo, hi = lax.div(lo, sign), lax.div(hi, sign)
    else:
        both = lax.bitwise_and(lax.lt(lo, computed.type(0)), lax.lt(hi, computed.type(0)))
        sign = lax.select(both, lax.full(lo.shape, -1, computed), lax.full(lo.shape, 1, computed))
        lo, hi = lax.mul(lo, sign), lax.mul(hi, sign)
    first, last = (
        lax.div(lax.log(v), computed.type(math.log(10)))
        if log is None
        else lax.broadcast_in_dim(convert(log, computed), v.shape, ())
        for v, log in zip((lo, hi), logs, strict=True)
    )
    # In powers of ten and by these formulas, so that integers are those of NumPy.
    step = lax.div(lax.sub(last, first), computed.type(max(num - 1 if endpoint else num, 1)))
    shape = (num, *step.shape)
    over = tuple(range(1, len(shape)))
    first, step = (lax.broadcast_in_dim(v, shape, over) for v in (first, step))
    index = convert(lax.broadcasted_iota(dtypes.real_dtype(computed), shape, 0), computed)
    out = _power(computed.type(10), lax.add(lax.mul(index, step), first))
    # The ends exactly, not as the exponential of their logarithm.
    if num:
        out = lax.dynamic_update_slice(out, lax.expand_dims(lo, (0,)), (0,) * out.ndim)
    if endpoint and num > 1:
        at = (num - 1,) + (0,) * (out.ndim - 1)
        out = lax.dynamic_update_slice(out, lax.expand_dims(hi, (0,)), at)
    sign = _util.broadcast_to(sign, out.shape)
    out = lax.mul(out, sign)
    return convert(structural.moveaxis(out, 0, canonical_axis(axis, out)), dt)
