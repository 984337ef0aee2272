"""Sorting and selection of the largest: `sort`, `top_k`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import Array, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.trace import Primitive, Tracer
from covector.lax._common import ORDERED, as_array, as_operand, canonical_axis, check_dtype
from covector.lax.gather import GatherDimensionNumbers, GatherScatterMode, gather_p
from covector.lax.shape_functions import broadcasted_iota, expand_dims
from covector.transforms.jvp import Zero, jvp_rules
from covector.transforms.vmap import batching_rules, bring_dim

sort_p = Primitive("sort", multiple_results=True)
top_k_p = Primitive("top_k", multiple_results=True)


@sort_p.def_abstract_eval
def _sort_aval(
    *xs: ShapedArray, dimension: int, is_stable: bool, num_keys: int
) -> list[ShapedArray]:
    shape = xs[0].shape
    if any(x.shape != shape for x in xs):
        raise TypeError(
            f"sort takes arrays of one shape, got {', '.join(x.str_short() for x in xs)}"
            f"{at_user_line()}"
        )
    if not 0 <= dimension < len(shape):
        raise ValueError(
            f"sort of {xs[0].str_short()} along dimension {dimension}, which does not exist"
            f"{at_user_line()}"
        )
    if not 1 <= num_keys <= len(xs):
        raise ValueError(
            f"sort of {len(xs)} arrays by num_keys={num_keys}: needs 1 to {len(xs)}{at_user_line()}"
        )
    return list(xs)


@top_k_p.def_abstract_eval
def _top_k_aval(x: ShapedArray, *, k: int, axis: int) -> list[ShapedArray]:
    check_dtype("top_k", x, ORDERED)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(
            f"top_k of {x.str_short()} along axis {axis}: k={k} must lie between 0 and "
            f"{x.shape[axis]}{at_user_line()}"
        )
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return [ShapedArray(shape, x.dtype, x.weak_type), ShapedArray(shape, dtypes.int32)]


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along ``dimension``, in increasing order with NaN last.

    Parameters
    ----------
    operand : array_like, or sequence of array_like of one shape
        Several arrays are sorted together, by the first ``num_keys`` of them.
    dimension : int
        Negative ones count from the end.
    is_stable : bool
        Whether equal elements keep their order.
    num_keys : int
        The second array decides where elements of the first are equal, and so on.

    Returns
    -------
    Array, or tuple of Array
        Of the shapes and dtypes of the operands.

    Raises
    ------
    ValueError
        If ``num_keys`` is not between 1 and the number of arrays.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.sort(np.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    >>> lax.sort((np.array([2, 1, 1]), np.array([5, 7, 6])), num_keys=2)
    (Array([1, 1, 2], dtype=int32), Array([6, 7, 5], dtype=int32))
    """
    if isinstance(operand, (tuple, list)):
        xs = [as_array(x, "sort") for x in operand]
        if not xs:
            raise TypeError(f"sort needs at least one array{at_user_line()}")
        dim = canonical_axis(dimension, xs[0], "dimension")
        return tuple(
            sort_p.bind(*xs, dimension=dim, is_stable=bool(is_stable), num_keys=int(num_keys))
        )
    x = as_array(operand, "sort")
    dim = canonical_axis(dimension, x, "dimension")
    return sort_p.bind(x, dimension=dim, is_stable=bool(is_stable), num_keys=1)[0]


def sort_key_val(
    keys: Any, values: Any, dimension: int = -1, is_stable: bool = True
) -> tuple[Any, Any]:
    """Sort ``keys`` along ``dimension`` and apply the same permutation to ``values``.

    Parameters
    ----------
    keys, values : array_like
        Of one shape.
    dimension : int
        Negative ones count from the end.
    is_stable : bool
        Whether values of equal keys keep their order.

    Returns
    -------
    (Array, Array)
        Keys in increasing order, with NaN last, and values.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.sort_key_val(np.array([3, 1, 2]), np.array([0, 1, 2]))
    (Array([1, 2, 3], dtype=int32), Array([1, 2, 0], dtype=int32))
    """
    out = sort((keys, values), dimension, is_stable, 1)
    return out[0], out[1]


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The ``k`` largest values along ``axis``, in decreasing order, and their indices.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans.
    k : int
        Not traced, as it is a size of the results.
    axis : int
        Negative ones count from the end.

    Returns
    -------
    values : Array
        Of size ``k`` along ``axis``. Of equal values the one with the lowest index comes first;
        NaN counts as the largest.
    indices : Array of int32

    Raises
    ------
    ValueError
        If ``k`` is negative or larger than the axis.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.top_k(np.array([1, 9, 4, 9]), 2)
    (Array([9, 9], dtype=int32), Array([1, 3], dtype=int32))
    """
    x = as_operand(operand, "top_k")
    if isinstance(k, (Array, np.generic)):
        k = int(k)
    elif isinstance(k, Tracer):
        from covector.lax._common import traced_size

        raise traced_size(k, "k of top_k")
    axis = canonical_axis(axis, aval_of(x))
    values, indices = top_k_p.bind(x, k=int(k), axis=axis)
    return values, indices


def take_along(x: Any, indices: Any, axis: int) -> Any:
    """``x`` at ``indices`` along ``axis``, all other dimensions running together."""
    shape = aval_of(x).shape
    others = tuple(i for i in range(len(shape)) if i != axis)
    return gather_p.bind(
        x,
        expand_dims(indices, (len(shape),)),
        dimension_numbers=GatherDimensionNumbers(
            offset_dims=(),
            collapsed_slice_dims=(axis,),
            start_index_map=(axis,),
            operand_batching_dims=others,
            start_indices_batching_dims=others,
        ),
        slice_sizes=tuple(min(1, n) for n in shape),
        indices_are_sorted=False,
        unique_indices=False,
        mode=GatherScatterMode.PROMISE_IN_BOUNDS,
        fill_value=None,
    )


def _sort_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, dimension: int, **params: Any
) -> tuple[Any, Any]:
    shape = aval_of(primals[0]).shape
    positions = broadcasted_iota(dtypes.int32, shape, dimension)
    *out, order = sort_p.bind(*primals, positions, dimension=dimension, **params)
    out_tangents = [
        Zero.of(x) if type(g) is Zero else take_along(g, order, dimension)
        for x, g in zip(out, tangents, strict=True)
    ]
    return out, out_tangents


def _top_k_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, k: int, axis: int
) -> tuple[Any, Any]:
    (x,), (g,) = primals, tangents
    values, indices = top_k_p.bind(x, k=k, axis=axis)
    tangent = Zero.of(values) if type(g) is Zero else take_along(g, indices, axis)
    return [values, indices], [tangent, Zero.of(indices)]


jvp_rules[sort_p] = _sort_jvp
jvp_rules[top_k_p] = _top_k_jvp


def _sort_batch(
    axis_size: int,
    args: Sequence[Any],
    dims: Sequence[int | None],
    *,
    dimension: int,
    **params: Any,
) -> tuple[list[Any], list[int]]:
    xs = [bring_dim(x, axis_size, d, 0) for x, d in zip(args, dims, strict=True)]
    out = sort_p.bind(*xs, dimension=dimension + 1, **params)
    return out, [0] * len(out)


def _top_k_batch(
    axis_size: int, args: Sequence[Any], dims: Sequence[int | None], *, k: int, axis: int
) -> tuple[list[Any], list[int | None]]:
    d = dims[0]
    out = top_k_p.bind(args[0], k=k, axis=axis + (axis >= d))  # type: ignore[operator]
    return out, [d, d]


batching_rules[sort_p] = _sort_batch
batching_rules[top_k_p] = _top_k_batch
