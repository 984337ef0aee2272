"""Scatter: an array with windows at computed positions replaced or combined with updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.operands import PY_SCALARS, as_array, as_operand, weak_operand
from covector.core.trace import Primitive
from covector.primitives.arithmetic import neg
from covector.primitives.indexing import (
    GatherScatterMode,
    ScatterDimensionNumbers,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
)

_DOCSTRING = """{summary}

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    updates : array_like
        Of the dtype of ``operand``. The index vectors run over the dimensions that are not
        ``update_window_dims``.
    dimension_numbers : ScatterDimensionNumbers
    indices_are_sorted, unique_indices : bool
        Promises about the indices.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean (``drop`` by default).

    Returns
    -------
    Array
        Of the shape and dtype of ``operand``, which does not change.

    Raises
    ------
    TypeError
        If shapes and ``dimension_numbers`` do not fit, dtypes differ, or the indices are not
        integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> elements = lax.ScatterDimensionNumbers(
    ...     update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
    ... )
    >>> x, indices = np.array([1, 2, 3]), np.array([[2], [2], [0]])
    >>> lax.{name}(x, indices, np.array([5, 7, 6]), elements)
    {result}
    """


def _scatter_function(prim: Primitive, summary: str, result: str) -> Callable[..., Any]:
    name = prim.name

    def scatter_function(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
    ) -> Any:
        x, u = as_operand(operand, name), as_operand(updates, name)
        if type(u) in PY_SCALARS:
            u = weak_operand(name, u, x)
        return prim.bind(
            x,
            as_operand(scatter_indices, name),
            u,
            dimension_numbers=ScatterDimensionNumbers(
                *[tuple(map(int, d)) for d in dimension_numbers]
            ),
            indices_are_sorted=bool(indices_are_sorted),
            unique_indices=bool(unique_indices),
            mode=GatherScatterMode.from_any(mode),
        )

    scatter_function.__name__ = scatter_function.__qualname__ = name
    scatter_function.__doc__ = _DOCSTRING.format(summary=summary, name=name, result=result)
    return scatter_function


scatter = _scatter_function(
    scatter_p,
    "``operand`` with windows replaced by ``updates``; the last of several counts.",
    "Array([6, 2, 7], dtype=int32)",
)

scatter_add = _scatter_function(
    scatter_add_p,
    "``operand`` with ``updates`` added to windows.",
    "Array([ 7,  2, 15], dtype=int32)",
)

scatter_mul = _scatter_function(
    scatter_mul_p,
    "``operand`` with windows multiplied.",
    "Array([  6,   2, 105], dtype=int32)",
)

scatter_min = _scatter_function(
    scatter_min_p,
    "``operand`` with minima taken with windows.",
    "Array([1, 2, 3], dtype=int32)",
)

scatter_max = _scatter_function(
    scatter_max_p,
    "``operand`` with maxima taken with windows.",
    "Array([6, 2, 7], dtype=int32)",
)


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """``operand`` with ``updates`` subtracted from windows; see `scatter_add`.

    Parameters
    ----------
    operand : array_like
    scatter_indices : array_like
        Integers. The last dimension holds the components of an index vector.
    updates : array_like
        Of the dtype of ``operand``.
    dimension_numbers : ScatterDimensionNumbers
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
    >>> lax.scatter_sub(np.zeros(3), np.array([[0], [2], [2]]), np.array([1.0, 2.0, 3.0]), elements)
    Array([-1.,  0., -5.], dtype=float32)
    """
    return scatter_add(
        operand,
        scatter_indices,
        neg(as_array(updates, "scatter_sub")),
        dimension_numbers,
        indices_are_sorted=indices_are_sorted,
        unique_indices=unique_indices,
        mode=mode,
    )
