"""Any function applied to the elements that a scatter names: `scatter_apply`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from covector.control_flow.while_loop import while_loop
from covector.core import dtypes, structural
from covector.core.avals import Shape, aval_of
from covector.core.operands import scalar
from covector.core.trace import Tracer, eval_trace, set_current_trace
from covector.primitives.arithmetic import add
from covector.primitives.compare import gt, lt
from covector.primitives.indexing import (
    GatherScatterMode,
    ScatterDimensionNumbers,
    _gather_like,
    scatter_add_p,
    scatter_p,
)
from covector.primitives.reductions import reduce_max_p
from covector.primitives.select import select


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Shape = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """``operand`` with ``func`` applied to the elements of windows.

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    func : callable
        Of an array of all windows, to one of the same shape; it treats each element by itself. An
        element that several index vectors name is given to it as many times.
    dimension_numbers : ScatterDimensionNumbers
    update_shape : tuple of int
        That of updates: of the index vectors, and of the windows.
    indices_are_sorted, unique_indices : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``drop`` by default).

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> elements = lax.ScatterDimensionNumbers(
    ...     update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    ... )
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> lax.scatter_apply(x, np.array([[0], [2]]), lambda v: 10 * v, elements, update_shape=(2,))
    Array([10.,  2., 30.], dtype=float32)
    """
    params: dict[str, Any] = {
        "dimension_numbers": ScatterDimensionNumbers(*dimension_numbers),
        "indices_are_sorted": indices_are_sorted,
        "unique_indices": unique_indices,
        "mode": GatherScatterMode.from_any(mode),
    }
    inside = dict(params)
    if params["mode"] is GatherScatterMode.FILL_OR_DROP:
        inside["mode"] = GatherScatterMode.CLIP  # what is dropped is still given to the function
    new = func(_gather_like(operand, scatter_indices, update_shape, **inside))
    if not unique_indices:
        shape = aval_of(operand).shape
        if isinstance(scatter_indices, Tracer):
            counts = _counts(shape, scatter_indices, update_shape, params)
        else:
            with set_current_trace(eval_trace):
                counts = _counts(shape, scatter_indices, update_shape, params)
        new = _again(func, new, counts)
    return scatter_p.bind(operand, scatter_indices, new, **params)


def _counts(shape: Shape, indices: Any, update_shape: Shape, params: dict[str, Any]) -> Any:
    """How many of the updates go to the element that each goes to."""
    ones = structural.full(update_shape, 1, dtypes.int32)
    none = structural.full(shape, 0, dtypes.int32)
    counts = scatter_add_p.bind(none, indices, ones, **params)
    return _gather_like(counts, indices, update_shape, **params)


def _again(func: Callable[[Any], Any], new: Any, counts: Any) -> Any:
    """``func`` applied to each of the elements ``new`` once less than ``counts`` says."""
    if not isinstance(counts, Tracer):
        # What is known is no loop of run-time length: it has derivatives in both modes.
        for k in range(1, int(np.max(np.asarray(counts), initial=1))):
            new = select(gt(counts, scalar(k, dtypes.int32)), func(new), new)
        return new
    most = reduce_max_p.bind(counts, axes=tuple(range(len(aval_of(counts).shape))))

    def step(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        k, v = carry
        v = select(gt(counts, k), func(v), v)
        return add(k, scalar(1, dtypes.int32)), v

    first = structural.scalar(1, dtypes.int32)
    return while_loop(lambda carry: lt(carry[0], most), step, (first, new))[1]
