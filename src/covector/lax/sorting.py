"""Sorting and selection of the largest: `sort`, `top_k`."""

from __future__ import annotations

from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import Array, aval_of
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import as_array, as_operand, canonical_axis, traced_size
from covector.core.trace import Composed, Tracer
from covector.primitives.arithmetic import neg_p
from covector.primitives.sorting import sort_p, top_k_p


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
        raise traced_size(k, "k of top_k")
    axis = canonical_axis(axis, aval_of(x))
    values, indices = top_k_p.bind(x, k=as_size(k), axis=axis)
    return values, indices


def _approximate(
    operand: Any, k: int, dimension: int, recall: float, override: int, name: str, sign: bool
) -> tuple[Any, Any]:
    x = as_operand(operand, name)
    aval = aval_of(x)
    if not dtypes.is_float(aval.dtype):
        raise TypeError(f"{name} takes floats, got {aval.str_short()}{at_user_line()}")
    if not 0 < recall <= 1:
        raise ValueError(
            f"recall_target of {name} must be between 0 and 1, got {recall}{at_user_line()}"
        )
    axis = canonical_axis(dimension, aval)
    if override >= 0 and override < aval.shape[axis]:
        raise ValueError(
            f"reduction_input_size_override of {name} must be at least the size of the dimension, "
            f"{aval.shape[axis]}, got {override}{at_user_line()}"
        )
    values, indices = top_k(neg_p.bind(x) if sign else x, k, axis=axis)
    return (neg_p.bind(values) if sign else values), indices


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The ``k`` largest values along a dimension, or most of them.

    On CPUs all of them are found, as by `top_k`.

    Parameters
    ----------
    operand : array_like
        Floats.
    k : int
    reduction_dimension : int
    recall_target : float
        Which part of the largest values must be among the results.
    reduction_input_size_override : int
        The size of the whole dimension, where the operand is a part of it.
    aggregate_to_topk : bool
        Whether there are exactly ``k`` results, sorted; on CPUs there always are.

    Returns
    -------
    values, indices : Array
        See `top_k`.

    Raises
    ------
    TypeError
        If ``operand`` does not consist of floats.
    ValueError
        If ``recall_target`` is not between 0 and 1.

    References
    ----------
    .. [1] Chern et al., "TPU-KNN: K nearest neighbor search at peak FLOP/s", arXiv:2206.14286.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.approx_max_k(np.array([1.0, 9.0, 4.0]), 2)
    (Array([9., 4.], dtype=float32), Array([1, 2], dtype=int32))
    """
    return _approximate(
        operand, k, reduction_dimension, recall_target, reduction_input_size_override,
        "approx_max_k", False,
    )  # fmt: skip


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The ``k`` smallest values along a dimension, or most of them; see `approx_max_k`.

    Parameters
    ----------
    operand : array_like
        Floats.
    k : int
    reduction_dimension, recall_target, reduction_input_size_override, aggregate_to_topk
        See `approx_max_k`.

    Returns
    -------
    values, indices : Array
        In increasing order.

    Raises
    ------
    TypeError, ValueError
        See `approx_max_k`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.approx_min_k(np.array([1.0, 9.0, 4.0]), 2)
    (Array([1., 4.], dtype=float32), Array([0, 2], dtype=int32))
    """
    return _approximate(
        operand, k, reduction_dimension, recall_target, reduction_input_size_override,
        "approx_min_k", True,
    )  # fmt: skip


def _approx_top_k(
    operand: Any, *, k: int, is_max_k: bool = True, reduction_dimension: int = -1, **params: Any
) -> list[Any]:
    find = approx_max_k if is_max_k else approx_min_k
    return list(find(operand, k, reduction_dimension, **params))


approx_top_k_p = Composed("approx_top_k", _approx_top_k, True)
