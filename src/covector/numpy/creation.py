"""Creation of arrays: from data, filled, ranges, grids, diagonals."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.avals import Array, array_from_numpy, aval_of, to_array
from covector.core.errors import at_user_line, describe
from covector.core.trace import Tracer, eval_trace
from covector.lax._common import PY_SCALARS, canonical_axis, canonical_shape
from covector.numpy import _util
from covector.numpy._util import (
    concrete,
    convert,
    current_trace,
    fused,
    promote_dtypes,
    promote_inexact,
    shape_of,
)


def on_device(x: Any, device: Any) -> Any:
    """``x`` on ``device``, a place to which arrays can be moved."""
    if device is None:
        return x
    from covector.runtime.devices import device_put

    return device_put(x, device)


def from_numpy(x: onp.ndarray, dtype: Any = None) -> Any:
    """A fresh NumPy array as an Array, without a copy where that is possible."""
    return array_from_numpy(x, dtype, False, True)


# --- from data ---------------------------------------------------------------------------


def array(
    object: Any,  # noqa: A002
    dtype: Any = None,
    copy: bool = True,
    order: str | None = "K",
    ndmin: int = 0,
    *,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Array from numbers, nested sequences, NumPy arrays and the like.

    Parameters
    ----------
    object : array_like
    dtype : dtype, optional
        By default that of the data, with 64-bit types narrowed unless ``enable_x64`` is set.
    copy : bool
        Arrays are immutable, so that an Array is never copied.
    order : {'K', 'C', 'A'}
        Arrays are stored in row-major order only.
    ndmin : int
        Least number of dimensions; leading ones of size 1 are added.
    device : Device, optional

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.array([[1, 2], [3, 4.5]])
    Array([[1. , 2. ],
           [3. , 4.5]], dtype=float32)
    """
    if order not in ("K", "C", "A", None):
        raise NotImplementedError(
            f"array: order={order!r} is not supported, arrays are stored in row-major order"
            f"{at_user_line()}"
        )
    dt = None if dtype is None else dtypes.check_user_dtype(dtype, "array")
    out = _array(object, dt)
    n = ndmin - out.ndim
    if n > 0:
        out = lax.reshape(out, (1,) * n + out.shape)
    return on_device(out, device)


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    device: Any = None,
    out_sharding: Any = None,
) -> Any:
    """``a`` as an array; see `array`."""
    if dtype is None and device is None and (type(a) is Array or isinstance(a, Tracer)):
        return a
    return array(a, dtype, bool(copy), order or "K", device=device)


def _array(x: Any, dtype: Any) -> Any:
    t = type(x)
    if t is Array or isinstance(x, Tracer):
        return x if dtype is None else convert(x, dtype)
    if t in PY_SCALARS:
        if dtype is None:
            return to_array(x)
        if t is int and dtype in dtypes.INTEGERS:
            info = onp.iinfo(dtype)
            if not info.min <= x <= info.max:
                raise OverflowError(
                    f"the Python integer {x} does not fit in {dtype}{at_user_line()}"
                )
        return _from_numpy_checked(onp.asarray(x), dtype)
    if hasattr(x, "__jax_array__"):
        return _array(x.__jax_array__(), dtype)
    if isinstance(x, (onp.ndarray, onp.generic)):
        return _from_numpy_checked(onp.asarray(x), dtype)
    if isinstance(x, (list, tuple)):
        return _from_sequence(x, dtype)
    if x is None:
        raise TypeError(f"None is not an array: array() takes numbers and arrays{at_user_line()}")
    if hasattr(x, "__array__"):
        return _from_numpy_checked(onp.asarray(x), dtype)
    if hasattr(x, "__dlpack__"):
        out = from_dlpack(x)
        return out if dtype is None else convert(out, dtype)
    if isinstance(x, (str, bytes)):
        raise TypeError(
            f"the string {x!r:.60} is not an array: arrays hold numbers and booleans"
            f"{at_user_line()}"
        )
    try:
        values = onp.asarray(x) if isinstance(x, (memoryview, bytearray)) else None
        if values is None and hasattr(x, "__len__") and hasattr(x, "__getitem__"):
            return _from_sequence([x[i] for i in range(len(x))], dtype)
        if values is not None:
            return _from_numpy_checked(values, dtype)
    except (KeyError, IndexError):
        pass
    raise TypeError(
        f"{describe(x)} is not an array: array() takes numbers, sequences of numbers and arrays"
        f"{at_user_line()}"
    )


def _from_numpy_checked(x: onp.ndarray, dtype: Any) -> Any:
    if x.dtype not in dtypes.code_of:
        if x.dtype.kind in "OUSMmV" and x.dtype != dtypes.float0:
            raise TypeError(
                f"a NumPy array of dtype {x.dtype} is not an array of numbers: convert it first, "
                f"for example with .astype(float){at_user_line()}"
            )
        if x.dtype == dtypes.float0:
            return x
        x = x.astype(dtypes.as_dtype(x.dtype))
    if dtype is not None and x.dtype.kind == "c" and dtype not in dtypes.COMPLEX:
        x = x.real if dtype != dtypes.bool_ else x
    return array_from_numpy(x, dtype)


def _leaves(x: Any, out: list[Any]) -> None:
    for item in x:
        if isinstance(item, (list, tuple)):
            _leaves(item, out)
        else:
            out.append(item)


def _from_sequence(x: Any, dtype: Any) -> Any:
    leaves: list[Any] = []
    _leaves(x, leaves)
    kinds = set(map(type, leaves))
    if kinds <= PY_SCALARS:
        if dtype is None:
            rank = max((("bool", "int", "float", "complex").index(k.__name__) for k in kinds),
                       default=2)  # fmt: skip
            dtype = (
                dtypes.bool_, dtypes.default_int(), dtypes.default_float(),
                dtypes.default_complex(),
            )[rank]  # fmt: skip
        try:
            values = onp.array(x)
        except ValueError as e:
            raise ValueError(
                f"array: the nested sequence is ragged, its parts differ in length{at_user_line()}"
            ) from e
        if values.dtype.kind == "O" or (
            values.dtype.kind in "iu"
            and dtype in dtypes.INTEGERS
            and values.size
            and not (
                onp.iinfo(dtype).min <= int(values.min())
                and int(values.max()) <= onp.iinfo(dtype).max
            )
        ):
            raise OverflowError(f"array: a Python integer does not fit in {dtype}{at_user_line()}")
        return from_numpy(values, dtype)
    for leaf in leaves:
        if leaf is None or isinstance(leaf, (str, bytes)):
            raise TypeError(f"array: the value {leaf!r} is not a number or array{at_user_line()}")
    if any(isinstance(leaf, Tracer) for leaf in leaves) or any(
        type(leaf) is Array and leaf.size > 1 for leaf in leaves
    ):
        return _stack(x, dtype)
    if dtype is None:
        pairs = tuple({(aval_of(v).dtype, aval_of(v).weak_type) for v in map(_plain, leaves)})
        dtype = dtypes.promote(pairs)[0]
    try:
        values = onp.array(_concrete_tree(x))
    except ValueError as e:
        raise ValueError(
            f"array: the nested sequence is ragged, its parts differ in shape{at_user_line()}"
        ) from e
    return _from_numpy_checked(values, dtype)


def _plain(x: Any) -> Any:
    if hasattr(x, "__jax_array__"):
        return x.__jax_array__()
    if hasattr(x, "aval") or type(x) in PY_SCALARS or isinstance(x, (onp.ndarray, onp.generic)):
        return x
    return onp.asarray(x)


def _concrete_tree(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_concrete_tree(v) for v in x]
    return x if type(x) in PY_SCALARS else onp.asarray(x)


def _stack(x: Any, dtype: Any) -> Any:
    parts = [_array(v, None) if not isinstance(v, (list, tuple)) else _stack(v, None) for v in x]
    if not parts:
        return zeros((0,), dtype)
    if any(p.shape != parts[0].shape for p in parts):
        raise ValueError(
            f"array: the parts of the sequence differ in shape: "
            f"{', '.join(str(p.shape) for p in parts)}{at_user_line()}"
        )
    parts = promote_dtypes("array", *parts) if len(parts) > 1 else parts
    out = lax.stack([_util.array(p) for p in parts], 0)
    return convert(out, out.dtype if dtype is None else dtype)


def copy(a: Any, order: str | None = None) -> Any:
    """An array with the elements of ``a``."""
    x = asarray(a)
    return lax.copy_p.bind(x)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Any:
    """``x`` converted to ``dtype``; complex numbers lose their imaginary part."""
    x = asarray(x)
    if dtype is None:
        dtype = float
    return on_device(convert(x, dtypes.check_user_dtype(dtype, "astype")), device)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array that shares (or copies) the memory of a tensor of another library."""
    from covector import _native

    return on_device(_native.from_dlpack_capsule(x.__dlpack__(), bool(copy)), device)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Any:
    """One-dimensional array of the elements in a buffer of bytes."""
    return array(onp.frombuffer(buffer, dtypes.as_dtype(dtype), count, offset), dtype)


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Any:
    """One-dimensional array of the numbers in a text separated by ``sep``."""
    return array(onp.fromstring(string, dtypes.as_dtype(dtype), count, sep=sep), dtype)


def fromfile(*args: Any, **kwargs: Any) -> Any:
    """Not available: read with NumPy and pass the result to `array`."""
    raise NotImplementedError(
        "fromfile is not supported: use covector.numpy.asarray(numpy.fromfile(...))"
    )


def fromiter(*args: Any, **kwargs: Any) -> Any:
    """Not available: collect with NumPy and pass the result to `array`."""
    raise NotImplementedError(
        "fromiter is not supported: use covector.numpy.asarray(numpy.fromiter(...))"
    )


# --- filled ------------------------------------------------------------------------------


def _filled(shape: Any, value: int, dtype: Any, device: Any, name: str) -> Any:
    shape = canonical_shape(shape)
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, name)
    if current_trace() is eval_trace:
        make = onp.zeros if value == 0 else onp.ones
        return on_device(array_from_numpy(make(shape, dt), dt, False, True), device)
    return lax.full(shape, value, dt)


def zeros(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of zeros, of the default float type unless ``dtype`` is given."""
    return _filled(shape, 0, dtype, device, "zeros")


def ones(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of ones, of the default float type unless ``dtype`` is given."""
    return _filled(shape, 1, dtype, device, "ones")


def empty(shape: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None) -> Any:
    """Array of zeros: memory is never handed out uninitialised."""
    return _filled(shape, 0, dtype, device, "empty")


def full(
    shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array filled with ``fill_value``, a scalar or an array that broadcasts to ``shape``."""
    shape = canonical_shape(shape)
    value = fill_value if type(fill_value) in PY_SCALARS else asarray(fill_value)
    dt = None if dtype is None else dtypes.check_user_dtype(dtype, "full")
    if type(value) in PY_SCALARS and current_trace() is eval_trace:
        weak = dt is None and type(value) is not bool
        dt = aval_of(value).dtype if dt is None else dt
        filled = onp.full(shape, _array(value, dt).item(), dt)
        return on_device(array_from_numpy(filled, dt, weak, True), device)
    if shape_of(value):
        out = broadcast_to(value if dt is None else convert(value, dt), shape)
    else:
        out = lax.full(shape, value, dt)
    return on_device(out, device)


def _like(a: Any, shape: Any) -> tuple[tuple[int, ...], Any]:
    if not hasattr(a, "shape") or not hasattr(a, "dtype"):
        a = aval_of(_util.operand(a, "the prototype"))
    return (tuple(a.shape) if shape is None else canonical_shape(shape)), a


def _filled_like(a: Any, value: int, dtype: Any, shape: Any, device: Any, name: str) -> Any:
    sizes, a = _like(a, shape)
    dt = dtypes.canonicalize_dtype(a.dtype) if dtype is None else dtype
    out = _filled(sizes, value, dt, device, name)
    if dtype is None and getattr(a, "weak_type", False):
        out = convert(out, out.dtype, True)
    return out


def zeros_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array of zeros with the shape and dtype of ``a``."""
    return _filled_like(a, 0, dtype, shape, device, "zeros_like")


def ones_like(
    a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None, out_sharding: Any = None
) -> Any:
    """Array of ones with the shape and dtype of ``a``."""
    return _filled_like(a, 1, dtype, shape, device, "ones_like")


def empty_like(prototype: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """Array of zeros with the shape and dtype of ``prototype``."""
    return _filled_like(prototype, 0, dtype, shape, device, "empty_like")


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: Any = None
) -> Any:
    """Array with the shape and dtype of ``a``, filled with ``fill_value``."""
    sizes, a = _like(a, shape)
    out = full(sizes, fill_value, a.dtype if dtype is None else dtype, device=device)
    if dtype is None and getattr(a, "weak_type", False):
        out = convert(out, out.dtype, True)
    return out


def broadcast_to(array: Any, shape: Any, *, out_sharding: Any = None) -> Any:
    """``array`` repeated along new and size-one dimensions to ``shape``.

    Raises
    ------
    ValueError
        If it does not broadcast to that shape.
    """
    x = _util.array(array, "broadcast_to")
    shape = canonical_shape(shape)
    old = x.shape
    n = len(shape) - len(old)
    if n < 0 or any(a != b and a != 1 for a, b in zip(old, shape[n:], strict=True)):
        raise ValueError(
            f"cannot broadcast an array of shape {old} to shape {shape}: sizes must be equal or "
            f"1, counted from the last dimension{at_user_line()}"
        )
    return _util.broadcast_to(x, shape)


# --- ranges ------------------------------------------------------------------------------


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
    """
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
    integers = all(isinstance(v, int) for v in values)
    if current_trace() is eval_trace:
        with onp.errstate(all="ignore"):
            out = onp.arange(lo, hi, by) if not integers else onp.arange(lo, hi, by, onp.int64)
            out = out.astype(dt)
        return on_device(array_from_numpy(out, dt, False, True), device)
    n = len(range(lo, hi, by)) if integers else max(0, math.ceil((hi - lo) / by))
    if integers and dt in dtypes.NUMERIC:
        out = lax.iota(dt, n)
        out = out if by == 1 else lax.mul(out, _util.scalar_of(by, dt))
        return out if lo == 0 else lax.add(out, _util.scalar_of(lo, dt))
    if lo == 0 and by == 1 and dt in dtypes.FLOATS:
        return lax.iota(dt, n)
    return array_from_numpy(onp.arange(lo, hi, by).astype(dt), dt, False, True)


_RANGE_NAMES = ("start", "stop", "step")


def _range_bound(x: Any, name: str) -> Any:
    if type(x) is int or type(x) is float:
        return x
    v = concrete(x, f"the argument {name} of arange")
    if v.ndim:
        raise TypeError(
            f"arange: {name} must be a scalar, got an array of shape {v.shape}{at_user_line()}"
        )
    if v.dtype.kind in "iub":
        return int(v)
    if v.dtype.kind == "c":
        raise TypeError(f"arange: {name} must be a real number, got {describe(x)}")
    return float(v)


def _count(num: Any, name: str) -> int:
    try:
        n = operator.index(num)
    except TypeError as e:
        raise TypeError(
            f"{name}: num must be a concrete integer, got {describe(num)}{at_user_line()}"
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
    retstep : bool
        Also return the spacing.
    dtype : dtype, optional
    axis : int

    Returns
    -------
    Array, or (Array, spacing)
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
    computed = aval_of(lo).dtype
    dt = computed if dtype is None else dtypes.canonicalize_dtype(dtype)
    lo, hi = _util.broadcast_all("linspace", lo, hi)
    div = num - 1 if endpoint else num
    delta = lax.sub(hi, lo)
    shape = lo.shape
    if div > 0:
        step = lax.div(delta, computed.type(div))
        rdt = dtypes.real_dtype(computed)
        t = lax.div(lax.iota(rdt, div), rdt.type(div))
        t = convert(lax.reshape(t, (div,) + (1,) * len(shape)), computed)
        t = _util.broadcast_to(t, (div, *shape))
        lo_, hi_ = (lax.broadcast_in_dim(v, (div, *shape), tuple(range(1, len(shape) + 1)))
                    for v in (lo, hi))  # fmt: skip
        out = lax.add(lax.mul(lo_, lax.sub(computed.type(1), t)), lax.mul(hi_, t))
        if endpoint:
            out = lax.concatenate([out, lax.expand_dims(hi, (0,))], 0)
    else:
        step = lax.full(shape, math.nan, dtypes.real_dtype(computed))
        out = lax.broadcast_in_dim(lo, (num, *shape), tuple(range(1, len(shape) + 1)))
    if dt in dtypes.INTEGERS:
        out = lax.floor(out)
    axis = canonical_axis(axis, len(shape) + 1)
    return convert(structural.moveaxis(out, 0, axis), dt), step


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
    """``base`` to the power of ``num`` evenly spaced exponents (see `linspace`)."""
    from covector.numpy.ufuncs import _power

    num = _count(num, "logspace")
    lo, hi = promote_inexact("logspace", start, stop)
    dt = aval_of(lo).dtype if dtype is None else dtypes.canonicalize_dtype(dtype)
    exponents, _ = _linspace(lo, hi, num=num, endpoint=endpoint, dtype=None, axis=axis)
    return convert(_power(base, exponents), dt)


@fused("num", "endpoint", "dtype", "axis")
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """``num`` numbers in geometric progression from ``start`` to ``stop``."""
    num = _count(num, "geomspace")
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
    exponents, _ = _linspace(
        lax.log(lo), lax.log(hi), num=num, endpoint=endpoint, dtype=None, axis=0
    )
    out = lax.exp(exponents)
    # The ends exactly, not as the exponential of their logarithm.
    if num:
        out = lax.dynamic_update_slice(out, lax.expand_dims(lo, (0,)), (0,) * out.ndim)
    if endpoint and num > 1:
        at = (num - 1,) + (0,) * (out.ndim - 1)
        out = lax.dynamic_update_slice(out, lax.expand_dims(hi, (0,)), at)
    sign = _util.broadcast_to(sign, out.shape)
    out = lax.mul(out, sign)
    return convert(structural.moveaxis(out, 0, canonical_axis(axis, out.ndim)), dt)


# --- diagonals and triangles -------------------------------------------------------------


def _offset(k: Any, name: str) -> Any:
    if isinstance(k, Tracer) and k.concrete() is None:
        return k
    return operator.index(onp.asarray(k).item() if not isinstance(k, int) else k)


def _index_grid(n: int, m: int) -> tuple[Any, Any]:
    i = lax.broadcasted_iota(dtypes.int32, (n, m), 0)
    return i, lax.broadcasted_iota(dtypes.int32, (n, m), 1)


def eye(
    N: Any,  # noqa: N803
    M: Any = None,  # noqa: N803
    k: Any = 0,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Matrix with ones on the ``k``-th diagonal and zeros elsewhere."""
    (n,) = canonical_shape(N, "N")
    (m,) = (n,) if M is None else canonical_shape(M, "M")
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, "eye")
    k = _offset(k, "eye")
    if current_trace() is eval_trace and isinstance(k, int):
        return on_device(from_numpy(onp.eye(n, m, k).astype(dt), dt), device)
    i, j = _index_grid(n, m)
    shift = k if isinstance(k, int) else convert(k, dtypes.int32)
    return convert(lax.eq(lax.add(i, shift), j), dt)


def identity(n: Any, dtype: Any = None) -> Any:
    """The ``n`` by ``n`` identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803
    """Matrix with ones at and below the ``k``-th diagonal and zeros above."""
    (n,) = canonical_shape(N, "N")
    (m,) = (n,) if M is None else canonical_shape(M, "M")
    dt = dtypes.float32 if dtype is None else dtypes.check_user_dtype(dtype, "tri")
    k = _offset(k, "tri")
    if current_trace() is eval_trace and isinstance(k, int):
        return from_numpy(onp.tri(n, m, k).astype(dt), dt)
    return convert(_lower(n, m, k), dt)


def _lower(n: int, m: int, k: Any) -> Any:
    i, j = _index_grid(n, m)
    return lax.ge(lax.add(i, k if isinstance(k, int) else convert(k, dtypes.int32)), j)


def _triangle(m: Any, k: int, lower: bool, name: str) -> Any:
    x = _util.array(m, name)
    if x.ndim < 2:
        raise ValueError(
            f"{name} takes an array of two or more dimensions, got {describe(x)}{at_user_line()}"
        )
    mask = _lower(*x.shape[-2:], k if lower else k - 1)
    mask = _util.broadcast_to(mask, x.shape)
    zero = x.dtype.type(0)
    return lax.select(mask, x, zero) if lower else lax.select(mask, zero, x)


@fused("k")
def tril(m: Any, k: int = 0) -> Any:
    """``m`` with zeros above its ``k``-th diagonal."""
    return _triangle(m, k, True, "tril")


@fused("k")
def triu(m: Any, k: int = 0) -> Any:
    """``m`` with zeros below its ``k``-th diagonal."""
    return _triangle(m, k, False, "triu")


def tril_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, Any]:
    """Row and column indices of the lower triangle of an ``n`` by ``m`` matrix."""
    i, j = onp.tril_indices(int(n), int(k), None if m is None else int(m))
    return from_numpy(i), from_numpy(j)


def triu_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, Any]:
    """Row and column indices of the upper triangle of an ``n`` by ``m`` matrix."""
    i, j = onp.triu_indices(int(n), int(k), None if m is None else int(m))
    return from_numpy(i), from_numpy(j)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """Indices of the lower triangle of the matrix ``arr``."""
    return tril_indices(*_matrix_shape(arr, "tril_indices_from", k))


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """Indices of the upper triangle of the matrix ``arr``."""
    return triu_indices(*_matrix_shape(arr, "triu_indices_from", k))


def _matrix_shape(arr: Any, name: str, k: int) -> tuple[int, int, int]:
    shape = shape_of(arr)
    if len(shape) != 2:
        raise ValueError(f"{name} takes a matrix, got shape {shape}{at_user_line()}")
    return shape[0], k, shape[1]


def diag_indices(n: int, ndim: int = 2) -> tuple[Any, ...]:
    """Indices of the main diagonal of an array of ``ndim`` dimensions of size ``n``."""
    n, ndim = operator.index(n), operator.index(ndim)
    if n < 0 or ndim < 0:
        raise ValueError(f"diag_indices: n and ndim must not be negative{at_user_line()}")
    return (arange(n),) * ndim


def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """Indices of the main diagonal of an array with equal dimensions."""
    shape = shape_of(arr)
    if len(shape) < 2 or len(set(shape)) != 1:
        raise ValueError(
            f"diag_indices_from takes an array of two or more equal dimensions, got shape {shape}"
            f"{at_user_line()}"
        )
    return diag_indices(shape[0], len(shape))


@fused("k")
def diag(v: Any, k: int = 0) -> Any:
    """Matrix with ``v`` on its ``k``-th diagonal, or that diagonal of a matrix ``v``."""
    x = _util.array(v, "diag")
    if x.ndim == 1:
        n = x.shape[0] + abs(k)
        row, column = max(-k, 0), max(k, 0)
        padded = lax.pad(x, x.dtype.type(0), ((column, row, 0),))
        i, j = _index_grid(n, n)
        wide = lax.broadcast_in_dim(padded, (n, n), (1,))
        return lax.select(lax.eq(lax.add(i, k), j), wide, x.dtype.type(0))
    if x.ndim == 2:
        return diagonal(x, k)
    raise ValueError(f"diag takes a vector or a matrix, got {describe(x)}{at_user_line()}")


def diagflat(v: Any, k: int = 0) -> Any:
    """Matrix with the elements of ``v``, flattened, on its ``k``-th diagonal."""
    x = _util.array(v, "diagflat")
    return diag(lax.reshape(x, (x.size,)), k)


@fused("offset", "axis1", "axis2")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Elements with equal indices (up to ``offset``) along two axes, as the last axis."""
    x = _util.array(a, "diagonal")
    if x.ndim < 2:
        raise ValueError(
            f"diagonal takes an array of two or more dimensions, got {describe(x)}{at_user_line()}"
        )
    i, j = canonical_axis(axis1, x.ndim), canonical_axis(axis2, x.ndim)
    if i == j:
        raise ValueError(f"diagonal: axis1 and axis2 are both {i}{at_user_line()}")
    rest = [d for d in range(x.ndim) if d not in (i, j)]
    x = structural.transpose(x, (*rest, i, j))
    n, m = x.shape[-2:]
    size = max(0, min(n + min(offset, 0), m - max(offset, 0)))
    row, column = max(-offset, 0), max(offset, 0)
    # Every (m + 1)-th element of the flattened matrix, from the first of the diagonal.
    flat = lax.reshape(x, (*x.shape[:-2], n * m))
    if size == 0:
        return lax.slice_in_dim(flat, 0, 0, axis=-1)
    start = row * m + column
    return lax.slice_in_dim(flat, start, start + (size - 1) * (m + 1) + 1, m + 1, -1)


@fused("offset", "axis1", "axis2", "dtype")
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Sum of the ``offset``-th diagonal along two axes."""
    from covector.numpy.reductions import sum

    _util.check_out(out, "trace")
    return sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """``a`` with ``val`` on its main diagonal, as a new array: pass ``inplace=False``."""
    if inplace:
        raise ValueError(
            "fill_diagonal: arrays are immutable, so the result is a new array; pass "
            f"inplace=False{at_user_line()}"
        )
    if wrap:
        raise NotImplementedError("fill_diagonal with wrap=True is not supported")
    x = asarray(a)
    n = min(x.shape)
    index = arange(n)
    v = _util.array(val)
    if v.ndim > 1 or (v.ndim == 1 and v.shape[0] != n):
        v = lax.reshape(v, (v.size,))
        v = v[arange(n) % v.size]
    return x.at[(index,) * x.ndim].set(v)


# --- grids -------------------------------------------------------------------------------


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Any]:
    """Coordinate arrays of the grid spanned by vectors.

    Parameters
    ----------
    *xi : array_like of one dimension
    copy : bool
    sparse : bool
        Leave the dimensions of size 1.
    indexing : {'xy', 'ij'}
        Whether the first vector runs along the second axis or the first.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    args = [_util.array(x, "meshgrid", i) for i, x in enumerate(xi)]
    for x in args:
        if x.ndim > 1:
            raise ValueError(
                f"meshgrid takes one-dimensional arrays, got {describe(x)}{at_user_line()}"
            )
    args = [lax.reshape(x, (x.size,)) for x in args]
    order = list(range(len(args)))
    if indexing == "xy" and len(args) > 1:
        order[:2] = [1, 0]
    shape = [0] * len(args)
    for d, x in zip(order, args, strict=True):
        shape[d] = x.size
    out = []
    for d, x in zip(order, args, strict=True):
        sizes = tuple(n if i == d else 1 for i, n in enumerate(shape)) if sparse else tuple(shape)
        out.append(lax.broadcast_in_dim(x, sizes, (d,)))
    return out


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """The index along each dimension at each position of an array of the given shape."""
    shape = canonical_shape(tuple(dimensions), "dimensions")
    dt = dtypes.default_int() if dtype is None else dtypes.check_user_dtype(dtype, "indices")
    n = len(shape)
    if sparse:
        return tuple(
            lax.reshape(arange(s, dtype=dt), tuple(s if i == d else 1 for i in range(n)))
            for d, s in enumerate(shape)
        )
    if not n:
        return zeros((0,), dt)
    return lax.stack([lax.broadcasted_iota(dt, shape, d) for d in range(n)], 0)


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any
) -> Any:
    """``function`` of the indices at each position of an array of ``shape``."""
    from covector.transforms.vmap_api import vmap

    shape = canonical_shape(shape)

    def mapped(*index: Any) -> Any:
        return function(*index, **kwargs)

    # The last dimension is mapped first, so that it ends up innermost.
    for i in reversed(range(len(shape))):
        mapped = vmap(mapped, in_axes=tuple(0 if i == j else None for j in range(len(shape))))
    dt = dtypes.check_user_dtype(dtype, "fromfunction")
    return mapped(*[arange(n, dtype=dt) for n in shape])


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803
    """Matrix of the powers of the elements of a vector."""
    v = _util.array(x, "vander")
    if v.ndim != 1:
        raise ValueError(f"vander takes a vector, got {describe(v)}{at_user_line()}")
    n = v.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError(f"vander: N must not be negative, got {n}{at_user_line()}")
    powers = arange(n) if increasing else arange(n - 1, -1, -1)
    return lax.expand_dims(v, (1,)) ** lax.expand_dims(convert(powers, dtypes.int32), (0,))
