"""Gather: windows of an array at computed positions."""

from __future__ import annotations

from typing import Any

from covector.core.avals import aval_of
from covector.core.operands import as_operand, canonical_shape
from covector.primitives.indexing import (
    GatherDimensionNumbers,
    GatherScatterMode,
    default_fill,
    gather_p,
)


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Any,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> Any:
    """Windows of ``operand`` of shape ``slice_sizes`` at each vector of ``start_indices``.

    Parameters
    ----------
    operand : array_like
    start_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    dimension_numbers : GatherDimensionNumbers
    slice_sizes : sequence of int
        One for each dimension of ``operand``.
    unique_indices, indices_are_sorted : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``promise_in_bounds`` by default).
    fill_value : scalar, optional
        Read out of bounds in mode ``fill``; NaN or an extreme integer by default.

    Returns
    -------
    Array
        The window runs over the dimensions ``offset_dims``, the index vectors over the others.

    Raises
    ------
    TypeError
        If shapes and ``dimension_numbers`` do not fit, or the indices are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([[1, 2], [3, 4], [5, 6]])
    >>> rows = lax.GatherDimensionNumbers(
    ...     offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,)
    ... )
    >>> lax.gather(x, np.array([[2], [0]]), rows, slice_sizes=(1, 2))
    Array([[5, 6],
           [1, 2]], dtype=int32)
    >>> lax.gather(x, np.array([[7]]), rows, (1, 2), mode="fill", fill_value=-1)
    Array([[-1, -1]], dtype=int32)
    """
    x = as_operand(operand, "gather")
    m = GatherScatterMode.from_any("promise_in_bounds" if mode is None else mode)
    if m is GatherScatterMode.ONE_HOT:
        m, fill_value = GatherScatterMode.FILL_OR_DROP, 0
    if m is not GatherScatterMode.FILL_OR_DROP:
        fill_value = None
    elif fill_value is None:
        fill_value = default_fill(aval_of(x).dtype)
    elif hasattr(fill_value, "item"):
        fill_value = fill_value.item()
    return gather_p.bind(
        x,
        as_operand(start_indices, "gather"),
        dimension_numbers=GatherDimensionNumbers(*[tuple(map(int, d)) for d in dimension_numbers]),
        slice_sizes=canonical_shape(slice_sizes, "slice_sizes"),
        indices_are_sorted=bool(indices_are_sorted),
        unique_indices=bool(unique_indices),
        mode=m,
        fill_value=fill_value,
    )
