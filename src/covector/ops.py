"""Reductions over segments of an array (`covector.ops`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.dims import DimExpr
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import product
from covector.numpy._util import concrete, fused
from covector.sharding.results import laid_out

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def _lowest(dtype: Any) -> Any:
    if dtype == dtypes.bool_:
        return False
    return -math.inf if dtype in dtypes.FLOATS else int(dtypes.iinfo(dtype).min)


def _highest(dtype: Any) -> Any:
    if dtype == dtypes.bool_:
        return True
    return math.inf if dtype in dtypes.FLOATS else int(dtypes.iinfo(dtype).max)


# name: (scatter, neutral element, reduction of one axis)
_KINDS: dict[str, tuple[Callable[..., Any], Callable[[Any], Any], Callable[..., Any]]] = {
    "segment_sum": (lax.scatter_add, lambda dt: 0, lax.reduce_sum),
    "segment_prod": (lax.scatter_mul, lambda dt: 1, lax.reduce_prod),
    "segment_max": (lax.scatter_max, _lowest, lax.reduce_max),
    "segment_min": (lax.scatter_min, _highest, lax.reduce_min),
}


@fused("name", "num_segments", "is_sorted", "unique", "buckets", "mode")
def _reduce(
    data: Any,
    ids: Any,
    name: str,
    num_segments: int,
    is_sorted: bool,
    unique: bool,
    buckets: int,
    mode: Any,
) -> Any:
    scatter, neutral, _ = _KINDS[name]
    rest = data.shape[1:]
    # Identifiers of more than one axis take each slice of the data several times.
    shape = (*ids.shape, *rest)
    data = cnp.broadcast_to(data, shape)
    n = product(ids.shape)
    data, ids = cnp.reshape(data, (n, *rest)), cnp.reshape(ids, (n,))
    out = lax.full((buckets * num_segments, *rest), neutral(data.dtype), data.dtype)
    if buckets > 1:
        # Consecutive parts of the data into accumulators of their own. Identifiers out of
        # bounds stay so.
        part = cnp.floor_divide(cnp.arange(n, dtype=ids.dtype), -(-n // buckets))
        bad = cnp.logical_or(cnp.less(ids, 0), cnp.greater_equal(ids, num_segments))
        ids = cnp.where(bad, -1, cnp.add(ids, cnp.multiply(part, num_segments)))
    dims = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(1, 1 + len(rest))),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
    )
    out = scatter(
        out,
        cnp.reshape(ids, (n, 1)),
        data,
        dims,
        indices_are_sorted=is_sorted and buckets == 1,
        unique_indices=unique,
        mode=lax.GatherScatterMode.FILL_OR_DROP if mode is None else mode,
    )
    if buckets > 1:
        reduction = _KINDS[name][2]
        out = reduction(cnp.reshape(out, (buckets, num_segments, *rest)), (0,))
    return out


_DOC = """{summary}

Parameters
----------
data : array_like
segment_ids : array_like of int
    Segment of each slice along the first axis of ``data``. What lies outside of
    ``range(num_segments)`` is left out (unless ``mode`` says otherwise).
num_segments : int, optional
    By default the largest identifier plus one; needed where identifiers are traced.
indices_are_sorted, unique_indices : bool
    Promises about ``segment_ids``: the results are wrong if they do not hold.
bucket_size : int, optional
    {bucket_size}
mode : optional
    What becomes of identifiers out of bounds (see `covector.lax.GatherScatterMode`).
out_sharding : NamedSharding or PartitionSpec, optional
    How the result is laid out over the axes of a mesh.

Returns
-------
Array
    Of shape ``(num_segments, *data.shape[1:])`` and the dtype of ``data``; {empty}.

Raises
------
TypeError
    If ``segment_ids`` are not integers{booleans}.
ValueError
    If ``data`` and ``segment_ids`` differ in the size of their first axes.
ConcretizationTypeError
    If ``num_segments`` is not given and ``segment_ids`` are traced.

Examples
--------
>>> import covector as cv
>>> import covector.numpy as np
{example}
"""


def _check_segments(name: str, data: ShapedArray, ids: ShapedArray) -> None:
    if ids.dtype not in dtypes.INTEGERS:
        raise TypeError(
            f"{name}: segment_ids must be integers, got {ids.str_short()}{at_user_line()}"
        )
    if not data.shape or data.shape[0] != (ids.shape[0] if ids.shape else None):
        raise ValueError(
            f"{name}: data {data.str_short()} and segment_ids {ids.str_short()} must "
            f"have first axes of one size{at_user_line()}"
        )
    if data.dtype == dtypes.bool_ and name in ("segment_sum", "segment_prod"):
        raise TypeError(
            f"{name} does not take booleans, got {data.str_short()}; convert the data "
            f"with astype(int){at_user_line()}"
        )
    if data.dtype in dtypes.COMPLEX and name in ("segment_max", "segment_min"):
        raise TypeError(
            f"{name} does not take complex numbers, which have no order, got "
            f"{data.str_short()}{at_user_line()}"
        )


def _segment_function(
    name: str, summary: str, empty: str, example: str, bucket_size: str = ""
) -> Callable[..., Any]:
    def segment_function(
        data: Any,
        segment_ids: Any,
        num_segments: int | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        bucket_size: int | None = None,
        mode: Any = None,
        out_sharding: Any = None,
    ) -> Any:
        if out_sharding is not None:
            return laid_out(segment_function, locals(), name)
        data, ids = cnp.asarray(data), cnp.asarray(segment_ids)
        _check_segments(name, data.aval, ids.aval)
        n = _number_of_segments(name, num_segments, ids)
        buckets = 1
        if bucket_size is not None:
            if bucket_size < 1:
                raise ValueError(
                    f"{name}: bucket_size must be positive, got {bucket_size}{at_user_line()}"
                )
            buckets = max(1, -(-ids.shape[0] // bucket_size))
        promises = bool(indices_are_sorted), bool(unique_indices)
        return _reduce(data, ids, name, n, *promises, buckets, mode)

    segment_function.__name__ = segment_function.__qualname__ = name
    segment_function.__doc__ = _DOC.format(
        summary=summary,
        empty=empty,
        example=example,
        bucket_size=bucket_size or "Reduce parts of so many slices on their own first.",
        booleans=", or ``data`` are booleans" if name in ("segment_sum", "segment_prod") else "",
    )
    return segment_function


def _number_of_segments(name: str, given: Any, ids: Any) -> int:
    if given is None:
        values = concrete(ids, f"{name}: num_segments is not given, and segment_ids, whose "
                               "maximum it is,")  # fmt: skip
        given = max(int(values.max(initial=-1)) + 1, 0)
    n = given if type(given) is DimExpr else int(given)
    if n < 0:
        raise ValueError(f"{name}: num_segments must not be negative, got {n}{at_user_line()}")
    return n


segment_sum = _segment_function(
    "segment_sum",
    "Sums of the slices of ``data`` that belong to each segment.",
    "empty segments are 0",
    """>>> cv.ops.segment_sum(np.arange(5), np.array([0, 0, 1, 1, 3]))
Array([1, 5, 0, 4], dtype=int32)

Rows are added; the last of three segments has none:

>>> rows = np.array([[1, 2], [3, 4], [5, 6]])
>>> cv.ops.segment_sum(rows, np.array([0, 1, 0]), num_segments=3)
Array([[6, 8],
       [3, 4],
       [0, 0]], dtype=int32)""",
    "Add up parts of so many slices on their own first, which loses less precision.",
)
segment_prod = _segment_function(
    "segment_prod",
    "Products of the slices of ``data`` that belong to each segment.",
    "empty segments are 1",
    """>>> cv.ops.segment_prod(np.array([2, 3, 4]), np.array([0, 0, 2]))
Array([6, 1, 4], dtype=int32)""",
)
segment_max = _segment_function(
    "segment_max",
    "Maxima of the slices of ``data`` that belong to each segment.",
    "empty segments are the\n    smallest value of the dtype, -inf for floats",
    """>>> cv.ops.segment_max(np.array([2.0, 3.0, 4.0]), np.array([0, 0, 2]))
Array([  3., -inf,   4.], dtype=float32)""",
)
segment_min = _segment_function(
    "segment_min",
    "Minima of the slices of ``data`` that belong to each segment.",
    "empty segments are the\n    largest value of the dtype, inf for floats",
    """>>> cv.ops.segment_min(np.array([2.0, 3.0, 4.0]), np.array([0, 0, 2]))
Array([ 2., inf,  4.], dtype=float32)""",
)

_export(globals(), __all__)
