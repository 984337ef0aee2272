"""The methods of NumPy's ufuncs: reduce, accumulate, outer, reduceat, at."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axes, canonical_axis
from covector.core.structural import moveaxis
from covector.numpy._util import (
    broadcast_all,
    broadcast_to,
    check_out,
    convert,
    is_concrete,
    scalar_of,
)
from covector.numpy.creation import asarray
from covector.numpy.reductions import mask_of
from covector.numpy.ufuncs import truth

IDENTITIES = {
    "add": 0, "logaddexp": -math.inf, "logaddexp2": -math.inf, "multiply": 1, "bitwise_and": -1,
    "bitwise_or": 0, "bitwise_xor": 0, "logical_and": True, "logical_or": False,
    "logical_xor": False,
}  # fmt: skip


def reduce_with(
    fun: Any, a: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    """Combine along ``axis`` with any function of two operands."""
    name = f"{fun.__name__}.reduce"
    x = asarray(a)
    x = x if dtype is None else convert(x, asarray(0, dtype).dtype)
    if fun.__name__.startswith("logical_"):
        x = truth(x, name)
    masks = None
    if where is not None:
        mask, x = broadcast_all(name, mask_of(where, name), x)
    axes = canonical_axes(axis, x)
    rows = _flattened(x, axes)
    if where is not None:
        masks = _flattened(mask, axes)
    start = fun.identity if initial is None else initial
    if initial is None and where is None and rows.shape[0]:
        first, rows = lax.index_in_dim(rows, 0, 0, False), rows[1:]
    elif start is not None:
        first = broadcast_to(scalar_of(start, x.dtype), rows.shape[1:])
    else:
        raise ValueError(
            f"{name} of {describe(x)} over axes {axes}: it may combine no elements, and "
            f"{fun.__name__} has no identity; give initial={at_user_line()}"
        )
    out = _combine_rows(fun, first, rows, masks)
    if keepdims:
        out = lax.reshape(out, tuple(1 if i in axes else s for i, s in enumerate(x.shape)))
    return out


def _flattened(x: Any, axes: tuple[int, ...]) -> Any:
    kept = [i for i in range(x.ndim) if i not in axes]
    x = lax.transpose(x, (*axes, *kept))
    n = 1
    for s in x.shape[: len(axes)]:
        n *= s
    return lax.reshape(x, (n, *x.shape[len(axes) :]))


def _combine_rows(fun: Any, first: Any, rows: Any, masks: Any) -> Any:
    """The rows combined one after the other: the function need not be associative."""

    def step(acc: Any, each: tuple[Any, Any]) -> tuple[Any, None]:
        row, mask = each
        new = fun(acc, row)
        return (new if mask is None else lax.select(mask, new, acc)), None

    return lax.scan(step, first, (rows, masks))[0]


def accumulate_with(fun: Any, a: Any, axis: int, dtype: Any) -> Any:
    """Combine up to each position along ``axis`` with any associative function."""
    x = asarray(a, dtype)
    return lax.associative_scan(fun, x, axis=canonical_axis(axis, x))


def outer_with(fun: Any, a: Any, b: Any) -> Any:
    """A function of two operands applied to all pairs of elements."""
    x, y = asarray(a), asarray(b)
    return fun(lax.reshape(x, x.shape + (1,) * y.ndim), y)


def at_with(fun: Any, a: Any, indices: Any, b: Any, inplace: bool) -> Any:
    """A function applied to the elements at ``indices``."""
    if inplace:
        raise NotImplementedError(
            f"{fun.__name__}.at: arrays are immutable, so the result is a new array; pass "
            f"inplace=False{at_user_line()}"
        )
    x = asarray(a)
    if b is None:
        return x.at[indices].apply(fun)
    methods = {"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide",
               "maximum": "max", "minimum": "min", "power": "power"}  # fmt: skip
    method = methods.get(fun.__name__)
    if method is None:
        return _one_by_one(fun, x, indices, asarray(b))
    return getattr(x.at[indices], method)(b)


def _one_by_one(fun: Any, x: Any, indices: Any, b: Any) -> Any:
    """``fun`` applied in turn to each element at ``indices``, to one named twice twice."""
    at = lax.reshape(lax.iota(dtypes.default_int(), x.size), x.shape)[indices]
    b = lax.reshape(broadcast_to(b, at.shape), (at.size,))
    at = lax.reshape(at, (at.size,))

    def step(flat: Any, each: tuple[Any, Any]) -> tuple[Any, None]:
        i, v = each
        return flat.at[i].set(convert(fun(flat[i], v), flat.dtype)), None

    return lax.reshape(lax.scan(step, lax.reshape(x, (x.size,)), (at, b))[0], x.shape)


def reduceat_with(fun: Any, a: Any, indices: Any, axis: int, dtype: Any) -> Any:
    """Combine from each of ``indices`` up to the next one along ``axis``.

    Where the next is not greater, the one element at the index is taken, as NumPy does.
    """
    x, starts = asarray(a, dtype), asarray(indices)
    if starts.ndim != 1 or starts.dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"{fun.__name__}.reduceat takes a vector of integer indices, got {describe(starts)}"
            f"{at_user_line()}"
        )
    axis = canonical_axis(axis, x)
    rows = moveaxis(x, axis, 0)
    n = rows.shape[0]
    if is_concrete(starts) and onp.any((at := onp.asarray(starts)) < 0) | onp.any(at >= n):
        raise IndexError(
            f"{fun.__name__}.reduceat: the indices {at} are not all positions of axis {axis} of "
            f"{describe(x)}{at_user_line()}"
        )
    k = starts.shape[0]
    starts = convert(starts, dtypes.default_int())
    stops = lax.concatenate([starts[1:], lax.full((min(k, 1),), n, starts.dtype)], 0)
    shape = (k, *rows.shape[1:])

    def step(acc: Any, each: tuple[Any, Any]) -> tuple[Any, None]:
        position, row = each
        row = lax.broadcast_in_dim(row, shape, tuple(range(1, len(shape))))
        started = lax.bitwise_and(lax.lt(starts, position), lax.lt(position, stops))
        began, started = (
            lax.broadcast_in_dim(m, shape, (0,)) for m in (lax.eq(starts, position), started)
        )
        return lax.select(began, row, lax.select(started, fun(acc, row), acc)), None

    positions = lax.iota(starts.dtype, n)
    out, _ = lax.scan(step, lax.full(shape, 0, x.dtype), (positions, rows))
    return moveaxis(out, 0, axis)


def attach_ufunc_methods(
    functions: dict[str, Any], reductions: dict[str, Any], unary: Sequence[Any] = ()
) -> None:
    """Give functions NumPy's `reduce`, `accumulate`, `outer`, `reduceat` and `at`.

    Those of one operand (``unary``) have `at` only.
    """
    for fun in unary:
        fun.at = functools.partial(_at, fun)
    for name, fun in functions.items():
        fun.identity = IDENTITIES.get(name)
        fun.reduce = functools.partial(_reduce, fun, reductions.get(name))
        fun.accumulate = functools.partial(_accumulate, fun)
        fun.outer = functools.partial(outer_with, fun)
        fun.reduceat = functools.partial(_reduceat, fun)
        fun.at = functools.partial(_at, fun)


def _reduce(
    fun: Any,
    special: Any,
    a: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """Combine the elements along ``axis``."""
    check_out(out, f"{fun.__name__}.reduce")
    if special is not None:
        x = asarray(a) if dtype is None else asarray(a, dtype)
        more = {} if initial is None else {"initial": initial}
        return special(x, axis, keepdims=keepdims, where=where, **more)
    return reduce_with(fun, a, axis, dtype, keepdims, initial, where)


def _accumulate(fun: Any, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
    check_out(out, f"{fun.__name__}.accumulate")
    return accumulate_with(fun, a, axis, dtype)


def _reduceat(
    fun: Any, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
) -> Any:
    check_out(out, f"{fun.__name__}.reduceat")
    return reduceat_with(fun, a, indices, axis, dtype)


def _at(fun: Any, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
    return at_with(fun, a, indices, b, inplace)
