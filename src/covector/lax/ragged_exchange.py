"""Exchanges of slices of different sizes along a named axis, and sends of one's own."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NoReturn

import numpy as np

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe, meaningless
from covector.core.operands import as_operand
from covector.core.structural import broadcast_in_dim, convert_element_type
from covector.core.trace import Composed
from covector.lax.parallel import (
    _groups,
    _members,
    _names,
    _rows,
    all_gather,
    all_to_all,
    axis_size,
)
from covector.lax.select import clamp, select
from covector.lax.shape_functions import broadcasted_iota, reshape
from covector.primitives.arithmetic import add, div, mul, sub
from covector.primitives.compare import bitwise_and, ge, lt
from covector.primitives.reductions import reduce_max_p

_SIZES = ("input_offsets", "send_sizes", "output_offsets", "recv_sizes")


def ragged_all_to_all(
    operand: Any,
    output: Any,
    input_offsets: Any,
    send_sizes: Any,
    output_offsets: Any,
    recv_sizes: Any,
    *,
    axis_name: Hashable,
    axis_index_groups: Any = None,
) -> Any:
    """Every element sends slices of its operand, of sizes of their own, to the others.

    The four vectors are of one length, a multiple of the size of the axis: the first slices go to
    element 0, as many others to element 1, and so on.

    Parameters
    ----------
    operand : array_like
        What slices along the first axis are sent of.
    output : array_like
        What received slices are written over; of the dtype of ``operand``, and of its shape but
        for the first axis.
    input_offsets, send_sizes : array_like of int
        Where each slice begins in ``operand``, and how long it is.
    output_offsets : array_like of int
        Where each slice begins in the result of the element that it goes to.
    recv_sizes : array_like of int
        How long the slices are that come from each element:
        ``all_to_all(send_sizes, axis_name, 0, 0, tiled=True)``.
    axis_name : hashable
    axis_index_groups : sequence of sequences of int, optional
        Groups of the elements of the axis, each in one of them: each group on its own.

    Returns
    -------
    Array
        ``output`` with the slices that come from the others.

    Raises
    ------
    TypeError
        If dtypes differ, or the vectors do not hold integers.
    ValueError
        If shapes do not fit.

    Examples
    --------
    Element 0 keeps one number and sends two, element 1 sends one and keeps one:

    >>> import covector as cv
    >>> import covector.numpy as np
    >>> f = cv.vmap(lambda *xs: cv.lax.ragged_all_to_all(*xs, axis_name="i"), axis_name="i")
    >>> operand = np.array([[1, 2, 2], [3, 4, 0]])
    >>> starts, sizes = np.array([[0, 1], [0, 1]]), np.array([[1, 2], [1, 1]])
    >>> to, received = np.array([[0, 0], [1, 2]]), np.array([[1, 1], [2, 1]])
    >>> f(operand, np.zeros((2, 4), int), starts, sizes, to, received)
    Array([[1, 3, 0, 0],
           [2, 2, 4, 0]], dtype=int32)
    """
    return _exchange(
        operand,
        output,
        input_offsets,
        send_sizes,
        output_offsets,
        recv_sizes,
        axis_name=axis_name,
        axis_index_groups=axis_index_groups,
    )


def _exchange(
    operand: Any, output: Any, input_offsets: Any, send_sizes: Any, output_offsets: Any,
    recv_sizes: Any, *, axis_name: Hashable, axis_index_groups: Any = None,
) -> Any:  # fmt: skip
    names = _names(axis_name)
    groups = _groups(axis_index_groups, names, "ragged_all_to_all", equal=True)
    n = axis_size(names) if groups is None else len(groups[0])
    x = as_operand(operand, "ragged_all_to_all")
    out = as_operand(output, "ragged_all_to_all")
    vectors = [
        as_operand(v, "ragged_all_to_all")
        for v in (input_offsets, send_sizes, output_offsets, recv_sizes)
    ]
    _check(x, out, vectors, n)
    index = dtypes.default_int()
    starts, _, ends, sizes = (convert_element_type(v, index) for v in vectors)
    # What each sender says of the slices that come here.
    starts, ends = (
        all_to_all(v, axis_name, 0, 0, axis_index_groups=axis_index_groups, tiled=True)
        for v in (starts, ends)
    )
    if groups is None:
        sent = all_gather(x, names)
    else:
        sent = _members(x, names[0], groups)
    length, rows, k = aval_of(out).shape[0], aval_of(x).shape[0], aval_of(sizes).shape[0]
    if not length or not rows or not k:
        return out
    row = broadcasted_iota(index, (length, k), 0)
    each = lambda v: broadcast_in_dim(v, (length, k), (1,))  # noqa: E731
    inside = bitwise_and(ge(row, each(ends)), lt(row, each(add(ends, sizes))))
    # The number of the last slice that is written over a row of the result, -1 for none.
    number = select(inside, broadcasted_iota(index, (length, k), 1), _full((length, k), -1, index))
    last = reduce_max_p.bind_params((number,), {"axes": (1,)})
    written = ge(last, _full((length,), 0, index))
    slice_at = select(written, last, _full((length,), 0, index))
    here = broadcasted_iota(index, (length,), 0)
    at = add(sub(here, _rows(ends, slice_at)), _rows(starts, slice_at))
    # Whatever users say, nothing outside of the operands is read.
    at = clamp(np.asarray(0, index), at, np.asarray(rows - 1, index))
    source = div(slice_at, _full((length,), k // n, index))
    flat = add(mul(source, _full((length,), rows, index)), at)
    flat = select(written, flat, _full((length,), 0, index))
    found = _rows(reshape(sent, (n * rows, *aval_of(x).shape[1:])), flat)
    return select(broadcast_in_dim(written, aval_of(out).shape, (0,)), found, out)


def _full(shape: tuple[int, ...], value: int, dtype: Any) -> Any:
    return broadcast_in_dim(np.asarray(value, dtype), shape, ())


def _check(x: Any, out: Any, vectors: list[Any], n: int) -> None:
    a, b = aval_of(x), aval_of(out)
    if a.dtype != b.dtype:
        raise TypeError(
            f"ragged_all_to_all: operand and output must have one dtype, got {a.str_short()} and "
            f"{b.str_short()}{at_user_line()}"
        )
    if not a.shape or not b.shape or a.shape[1:] != b.shape[1:]:
        raise ValueError(
            "ragged_all_to_all: operand and output must have the same shape but for the first "
            f"axis, got {a.str_short()} and {b.str_short()}{at_user_line()}"
        )
    for v, name in zip(vectors, _SIZES, strict=True):
        aval = aval_of(v)
        if not dtypes.is_integer(aval.dtype):
            raise TypeError(
                f"ragged_all_to_all: {name} must hold integers, got {describe(v)}{at_user_line()}"
            )
        if len(aval.shape) != 1 or aval.shape != aval_of(vectors[0]).shape or aval.shape[0] % n:
            raise ValueError(
                f"ragged_all_to_all: {', '.join(_SIZES)} must be vectors of one length, a multiple "
                f"of the size of the axis, {n}, got {name} of the shape {aval.shape}"
                f"{at_user_line()}"
            )


ragged_all_to_all_p = Composed("ragged_all_to_all", _exchange)


def psend(x: Any, axis_name: Hashable, perm: Any) -> NoReturn:
    """Send values to other elements of an axis, without receiving what they send.

    Parameters
    ----------
    x : pytree of arrays
    axis_name : hashable
    perm : sequence of (int, int)
        Pairs of a source and its destination.

    Returns
    -------
    token

    Raises
    ------
    NotImplementedError
        Always: the two halves of an exchange are one operation here, `ppermute`.

    Examples
    --------
    >>> import covector as cv
    >>> cv.vmap(lambda x: cv.lax.ppermute(x, "i", [(0, 1)]), axis_name="i")(cv.numpy.arange(1, 3))
    Array([0, 1], dtype=int32)
    """
    raise meaningless("psend", _HALVES)


def precv(token: Any, out_shape: Any, axis_name: Hashable, perm: Any) -> NoReturn:
    """Receive what other elements of an axis send.

    Parameters
    ----------
    token : token
        That of a `psend`.
    out_shape : pytree of ShapeDtypeStruct
    axis_name : hashable
    perm : sequence of (int, int)
        Pairs of a source and its destination.

    Returns
    -------
    pytree of Array

    Raises
    ------
    NotImplementedError
        Always: the two halves of an exchange are one operation here, `ppermute`.

    Examples
    --------
    >>> import covector as cv
    >>> cv.vmap(lambda x: cv.lax.ppermute(x, "i", [(1, 0)]), axis_name="i")(cv.numpy.arange(1, 3))
    Array([2, 0], dtype=int32)
    """
    raise meaningless("precv", _HALVES)


_HALVES = (
    "programs exchange values in one operation, of which a device cannot do half: use "
    "lax.ppermute, which sends and receives"
)
