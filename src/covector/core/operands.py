"""Arguments of functions for people: operands, axes and shapes, checked and converted."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from covector.core import dtypes, structural
from covector.core.avals import (
    Array,
    array_from_numpy,
    aval_of,
    is_array_like,
    sparse_remedy,
    to_array,
)
from covector.core.dims import DimExpr, as_size
from covector.core.dtypes import DType
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.trace import JaxprTrace, Primitive, Tracer, current_trace, origin

PY_SCALARS = frozenset((bool, int, float, complex))
_KIND_OF_PY = {bool: 0, int: 1, float: 2, complex: 3}


def scalar(value: Any, dtype: DType) -> Any:
    """``value`` as a scalar operand of exactly ``dtype``.

    A Python number where its own dtype is the wanted one (it stays weakly typed, and prints
    well in jaxprs), else a NumPy scalar.
    """
    t = type(value)
    if t is DimExpr:
        return structural.convert_element_type(value.__jax_array__(), dtype)
    if dtypes.is_extended(dtype):
        raise TypeError(
            f"a number is needed beside PRNG keys, which are none; see random.key_data"
            f"{at_user_line()}"
        )
    if t is float or t is int:
        kind = dtype.kind
        if kind == "f" and dtype is dtypes.default_float():
            return float(value)
        if t is int and kind == "i" and dtype is dtypes.default_int() and -(2**31) <= value < 2**31:
            return value
    if dtypes.is_complex(dtype) or t is not complex:
        if t is float and dtype in dtypes.INTEGERS:
            return dtypes.cast(np.asarray(value), dtype)[()]
        if dtype in dtypes.WIDE and not dtypes.x64_enabled():
            return array_from_numpy(np.asarray(dtype.type(value)), dtype)
        try:
            if dtype in dtypes.SMALL or dtype in dtypes.ROUNDED:
                if t is float and not dtypes.x64_enabled():
                    value = np.float32(value)  # as it is where it is a run-time value
                return dtypes.cast(np.asarray(value), dtype)[()]
            return dtype.type(value)
        except OverflowError:
            return _wrapped(value, dtype)
    raise TypeError(f"the complex number {value} does not convert to {dtype}{at_user_line()}")


def _wrapped(value: int, dtype: DType) -> Any:
    """An integer outside ``dtype``, modulo its range, as it is where it is a run-time value.

    Raises
    ------
    OverflowError
        If there could be no such run-time value: it does not fit in the default integer type.
    """
    if dtype not in dtypes.INTEGERS:
        raise OverflowError(
            f"the Python integer {value:.3e} is beyond the range of {dtype}{at_user_line()}"
            if abs(value) < 10**300
            else f"a Python integer of {value.bit_length()} bits is beyond the range of {dtype}"
            f"{at_user_line()}"
        )
    default = dtypes.default_int()
    low, high = dtypes.LIMITS[default]
    if low <= value <= high:
        return np.asarray(value).astype(dtype)[()]
    raise dtypes.too_large(value, dtype if dtype.itemsize >= default.itemsize else default)


def as_number(n: Any, dtype: DType) -> Any:
    """A size, which may be symbolic, as a scalar operand that is typed."""
    return scalar(n, dtype) if type(n) is DimExpr else dtype.type(n)


def like(value: Any, x: Any) -> Any:
    """``value`` as a scalar operand of the dtype of ``x``."""
    return scalar(value, aval_of(x).dtype)


def bind_known(prim: Primitive, args: Sequence[Any], params: dict[str, Any], aval: Any) -> Any:
    """`Primitive.bind` where the caller knows the aval of the one result: nothing is inferred."""
    trace = current_trace()
    if type(trace) is JaxprTrace:
        return trace.record_known(prim, args, params, aval)
    return trace.process(prim, args, params)[0]


def as_operand(x: Any, name: str = "the function") -> Any:
    """``x`` if it can be an operand; NumPy arrays and scalars too, converted when bound."""
    t = type(x)
    if t is Array or t in PY_SCALARS or isinstance(x, Tracer):
        return x
    if hasattr(x, "__jax_array__"):
        return x.__jax_array__()
    if not is_array_like(x):
        hint = sparse_remedy(x)
        raise TypeError(
            f"{name} takes arrays or scalars, got {describe(x)}{hint and f'; {hint}'}"
            f"{at_user_line()}"
        )
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype not in dtypes.code_of:
        dtypes.canonicalize_dtype(x.dtype)
    return x


def as_array(x: Any, name: str = "the function") -> Any:
    """``x`` as an Array or Tracer."""
    t = type(x)
    if t is Array or isinstance(x, Tracer):
        return x
    x = as_operand(x, name)
    if isinstance(x, Tracer):
        return x
    return to_array(x)


def match(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Operands of a binary function in one dtype and one shape (or rank 0).

    A Python scalar takes the dtype of the other operand; arrays must agree.
    """
    tx, ty = type(x), type(y)
    if tx in PY_SCALARS:
        if ty in PY_SCALARS:
            if tx is not ty:
                kinds = _KIND_OF_PY
                t = tx if kinds[tx] > kinds[ty] else ty
                return t(x), t(y)
            return x, y
        y = as_operand(y, name)
        return weak_operand(name, x, y), y
    x = as_operand(x, name)
    if ty in PY_SCALARS:
        return x, weak_operand(name, y, x)
    y = as_operand(y, name)
    xa, ya = aval_of(x), aval_of(y)
    if xa.dtype is not ya.dtype and xa.dtype != ya.dtype:
        raise TypeError(
            f"lax.{name} takes operands of one dtype, got {xa.str_short()} and "
            f"{ya.str_short()}; convert one, or use the function of covector.numpy, which "
            f"promotes{at_user_line()}"
        )
    if xa.shape != ya.shape and xa.shape and ya.shape:
        shape = broadcast_equal_rank(name, xa.shape, ya.shape)
        dims = tuple(range(len(shape)))
        x = structural.broadcast_in_dim(x, shape, dims) if xa.shape != shape else x
        y = structural.broadcast_in_dim(y, shape, dims) if ya.shape != shape else y
    return x, y


def broadcast_equal_rank(name: str, a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    if len(a) == len(b):
        out = tuple(m if n == 1 else n if m in (1, n) else -1 for m, n in zip(a, b, strict=True))
        if -1 not in out:
            return out
    raise ShapeMismatchError(
        f"lax.{name} got operands of shapes {tuple(a)} and {tuple(b)}, which differ in more than "
        f"size-one axes{at_user_line()}"
    )


def weak_operand(name: str, value: Any, other: Any) -> Any:
    """A Python scalar as an operand beside the array ``other``."""
    dt = aval_of(other).dtype
    if dt not in dtypes.code_of or dtypes.is_extended(dt):
        raise TypeError(f"lax.{name} does not take arrays of dtype {dt}{at_user_line()}")
    if _KIND_OF_PY[type(value)] > dtypes.kind_rank(dt):
        raise TypeError(
            f"lax.{name} got {describe(other)} and the {type(value).__name__} {value}, which "
            f"does not convert to {dt}; use the function of covector.numpy, which promotes"
            f"{at_user_line()}"
        )
    return scalar(value, dt)


def canonical_axis(axis: Any, of: Any, what: str = "axis") -> int:
    """``axis`` of an array, or of a number of dimensions; negative ones count from the end."""
    ndim = of if type(of) is int else len(of.shape)
    try:
        k = operator.index(axis)
    except TypeError as e:
        if isinstance(axis, Tracer):
            raise
        raise TypeError(f"{what} must be an integer, got {describe(axis)}{at_user_line()}") from e
    if not -ndim <= k < ndim:
        raise ValueError(f"{what} {k} is out of bounds for {_owner(of)}{at_user_line()}")
    return k + ndim if k < 0 else k


def _owner(of: Any) -> str:
    if type(of) is int:
        return f"an array of {of} dimensions"
    ndim = len(of.shape)
    return f"{describe(of)}, which has {ndim} dimension{'s' * (ndim != 1)}"


def canonical_axes(axes: Any, of: Any, what: str = "axis") -> tuple[int, ...]:
    """Axes (``None``: all) of an array, or a number of dimensions, as distinct integers."""
    if axes is None:
        return tuple(range(of if type(of) is int else len(of.shape)))
    if isinstance(axes, (tuple, list, range)) or getattr(axes, "ndim", 0) != 0:
        out = tuple(canonical_axis(a, of, what) for a in axes)
        if len(set(out)) != len(out):
            raise ValueError(
                f"duplicate value in {what} {tuple(axes)} for {_owner(of)}{at_user_line()}"
            )
        return out
    return (canonical_axis(axes, of, what),)


def canonical_shape(shape: Any, what: str = "shape") -> tuple[int, ...]:
    """``shape`` as a tuple of non-negative Python integers and symbolic sizes."""
    if isinstance(shape, (int, np.integer, DimExpr)):
        shape = (shape,)
    elif getattr(shape, "ndim", None) == 0:
        shape = (shape,)
    elif type(shape) is tuple:
        for d in shape:
            if type(d) is not int or d < 0:
                break
        else:
            return shape
    try:
        items = tuple(shape)
    except TypeError as e:
        raise TypeError(
            f"{what} must be an integer or a sequence of integers, got {describe(shape)}"
            f"{at_user_line()}"
        ) from e
    out = []
    for d in items:
        try:
            n = as_size(d)
        except TypeError as e:
            if isinstance(d, Tracer):
                raise traced_size(d, what) from e
            raise TypeError(
                f"{what} must consist of integers, got {describe(d)} in {items}{at_user_line()}"
            ) from e
        if n < 0:
            raise ValueError(f"{what} {items} has a negative size{at_user_line()}")
        out.append(n)
    return tuple(out)


def traced_size(x: Tracer, what: str) -> TypeError:
    """The error for a traced value where a size is needed."""
    return TypeError(
        f"{what} must consist of concrete integers, but {x.describe()} is traced: sizes must be "
        f"known while the function is traced.{origin(x)}\nMark the argument static "
        f"(static_argnums or static_argnames of jit).{at_user_line()}"
    )


def dtype_of(x: Any) -> DType:
    return aval_of(x).dtype


def shape_of(x: Any) -> tuple[int, ...]:
    return aval_of(x).shape


def product(sizes: Iterable[int]) -> int:
    n = 1
    for s in sizes:
        n *= s
    return n
