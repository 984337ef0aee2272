"""What the portable factorisations share: batches, matrices that are not finite, scaling."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector.control_flow.map import map as in_turn
from covector.core import dtypes
from covector.core.structural import full
from covector.numpy import take, where
from covector.primitives.dot import dot_general
from covector.transforms.vmap_api import vmap

Function = Callable[..., Any]


def eps_of(x: Any) -> float:
    """The distance from 1 to the next number of the (real) type of ``x``."""
    return float(dtypes.finfo(x.dtype).eps)


def tiny_of(x: Any) -> float:
    """The smallest number with all its digits."""
    return float(dtypes.finfo(x.dtype).tiny)


def zeros(shape: Sequence[int], dtype: Any) -> Any:
    return full(tuple(shape), 0, dtype)


def constant(value: Any, x: Any) -> Any:
    """A scalar of the type of ``x``."""
    return full((), value, x.dtype)


def positions(shape: Sequence[int], axis: int = 0) -> Any:
    return lax.broadcasted_iota(dtypes.int32, tuple(shape), axis)


def squares(x: Any) -> Any:
    """The squares of the magnitudes."""
    if x.dtype in dtypes.COMPLEX:
        return lax.real(x) * lax.real(x) + lax.imag(x) * lax.imag(x)
    return x * x


def real(x: Any) -> Any:
    return lax.real(x) if x.dtype in dtypes.COMPLEX else x


def as_type(x: Any, like: Any) -> Any:
    return lax.convert_element_type(x, like.dtype)


def magnitude(x: Any) -> Any:
    """A norm of each element that costs no root: LAPACK's ``cabs1``."""
    if x.dtype in dtypes.COMPLEX:
        return lax.abs(lax.real(x)) + lax.abs(lax.imag(x))
    return lax.abs(x)


def dot(x: Any, y: Any) -> Any:
    """A product of a vector with a matrix, or of a matrix with a vector, in full precision."""
    return dot_general(x, y, (((x.ndim - 1,), (0,)), ((), ())))


def picked(x: Any, order: Any, axis: int) -> Any:
    """The rows or columns of a matrix in an order."""
    return take(x, order, axis, mode="clip")


# --- batches ----------------------------------------------------------------------------------


def together(fn: Function, *ranks: int) -> Function:
    """``fn`` of single matrices as a function of stacks of them, all at once.

    ``ranks`` are those of its operands.
    """

    def stacked(*xs: Any) -> Any:
        mapped = fn
        for _ in range(xs[0].ndim - ranks[0]):
            mapped = vmap(mapped)
        return mapped(*xs)

    return stacked


def one_by_one(fn: Function, *ranks: int) -> Function:
    """The same in a loop: for algorithms whose steps differ from matrix to matrix."""

    def stacked(*xs: Any) -> Any:
        lead = xs[0].shape[: xs[0].ndim - ranks[0]]
        if not lead:
            return fn(*xs)
        count = math.prod(lead)
        flat = [lax.reshape(x, (count, *x.shape[len(lead) :])) for x in xs]
        outs = in_turn(lambda row: fn(*row), tuple(flat))
        return [lax.reshape(out, (*lead, *out.shape[1:])) for out in outs]

    return stacked


# --- what is not finite -----------------------------------------------------------------------


def finite(*xs: Any) -> Any:
    """Whether all elements are."""
    parts = [
        p for x in xs for p in ((lax.real(x), lax.imag(x)) if x.dtype in dtypes.COMPLEX else (x,))
    ]
    found = [lax.reduce_and(lax.is_finite(p), range(p.ndim)) for p in parts]
    return functools.reduce(lax.bitwise_and, found)


def nan_unless(ok: Any, x: Any) -> Any:
    """NaN in place of ``x`` where ``ok`` does not hold, a scalar; integers stay."""
    if x.dtype not in dtypes.INEXACT:
        return x
    nan = complex(float("nan"), float("nan")) if x.dtype in dtypes.COMPLEX else float("nan")
    return where(ok, x, nan)


def guarded(fn: Function) -> Function:
    """``fn`` of finite matrices; where an operand is not finite, results are NaN."""

    @functools.wraps(fn)
    def checked(*xs: Any, **params: Any) -> list[Any]:
        ok = finite(*xs)
        outs = fn(*[where(ok, x, 0) for x in xs], **params)
        return [nan_unless(ok, out) for out in outs]

    return checked


# --- scaling ----------------------------------------------------------------------------------


# Powers of two are divided by this, as the largest one and the reciprocal of the smallest would
# overflow.
_SPARE = 1024.0


def scaled(x: Any) -> tuple[Any, Any]:
    """``x`` with its largest element brought near to 1 by a power of two, and what `restored`
    needs to know of it; so squares of elements neither overflow nor vanish."""
    if x.size == 0:
        return x, full((), 1, dtypes.real_dtype(x.dtype))
    largest = lax.reduce_max(magnitude(x), range(x.ndim))
    info = dtypes.finfo(largest.dtype)
    power = lax.reduce_precision(largest * (1 / _SPARE), info.nexp, 0)
    power = lax.max(power, constant(float(info.tiny), power))
    power = where(largest == 0, 1 / _SPARE, power)
    return times(times(x, 1 / power), 1 / _SPARE), power


def restored(x: Any, power: Any) -> Any:
    """What is proportional to a matrix, for that before it was `scaled`."""
    return times(times(x, _SPARE), power)


def times(x: Any, factor: Any) -> Any:
    """``x`` times real numbers of the same shape, or one."""
    if x.dtype in dtypes.COMPLEX:
        return lax.complex(lax.real(x) * factor, lax.imag(x) * factor)
    return x * factor
