"""Reductions over dimensions: sums, products, extrema, logic, and where extrema lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.config import config
from covector.core.errors import at_user_line, describe
from covector.core.operands import (
    as_operand,
    canonical_axes,
    canonical_axis,
)
from covector.core.structural import reduce_sum_p
from covector.core.trace import Primitive
from covector.primitives.reductions import (
    argmax_p,
    argmin_p,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)
from covector.sharding.results import laid_out

# --- public functions --------------------------------------------------------------------


def _bind(prim: Primitive, operand: Any, axes: Any) -> Any:
    x = as_operand(operand, prim.name)
    return prim.bind(x, axes=canonical_axes(tuple(axes), aval_of(x), "axes"))


def _refuse_halves(operand: Any) -> None:
    if aval_of(operand).dtype in dtypes.ROUNDED:
        raise ValueError(
            f"reduce_sum of {describe(operand)}, and the option allow_f16_reductions is False: "
            f"convert it to float32, or use covector.numpy.sum{at_user_line()}"
        )


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: Any = None) -> Any:
    """Sum over ``axes``.

    Parameters
    ----------
    operand : array_like
        Numbers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; integers wrap around. Of
        nothing, 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_sum(np.array([[1, 2], [3, 4]]), [0])
    Array([4, 6], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(reduce_sum, locals())
    if not config.allow_f16_reductions:
        _refuse_halves(operand)
    return _bind(reduce_sum_p, operand, axes)


def reduce_prod(operand: Any, axes: Sequence[int]) -> Any:
    """Product over ``axes``.

    Parameters
    ----------
    operand : array_like
        Numbers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; integers wrap around. Of
        nothing, 1.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_prod(np.array([[1, 2], [3, 4]]), [1])
    Array([ 2, 12], dtype=int32)
    """
    return _bind(reduce_prod_p, operand, axes)


def reduce_max(operand: Any, axes: Sequence[int]) -> Any:
    """Maximum over ``axes``; of nothing, the least value of the dtype.

    Parameters
    ----------
    operand : array_like
        Numbers or booleans, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; NaN where one is among the
        elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_max(np.array([[1, 2], [3, 4]]), [0])
    Array([3, 4], dtype=int32)
    >>> lax.reduce_max(np.zeros((2, 0)), [1])
    Array([-inf, -inf], dtype=float32)
    """
    return _bind(reduce_max_p, operand, axes)


def reduce_min(operand: Any, axes: Sequence[int]) -> Any:
    """Minimum over ``axes``; of nothing, the greatest value of the dtype.

    Parameters
    ----------
    operand : array_like
        Numbers or booleans, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``; NaN where one is among the
        elements.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_min(np.array([[1, 2], [3, 4]]), [0, 1])
    Array(1, dtype=int32)
    """
    return _bind(reduce_min_p, operand, axes)


def reduce_and(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical AND over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, True or all bits
        set.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_and(np.array([[True, True], [True, False]]), [1])
    Array([ True, False], dtype=bool)
    """
    return _bind(reduce_and_p, operand, axes)


def reduce_or(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical OR over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, False or 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_or(np.array([0b001, 0b100]), [0])
    Array(5, dtype=int32)
    """
    return _bind(reduce_or_p, operand, axes)


def reduce_xor(operand: Any, axes: Sequence[int]) -> Any:
    """Bitwise or logical exclusive OR over ``axes``.

    Parameters
    ----------
    operand : array_like
        Booleans or integers, of any shape.
    axes : sequence of int
        Distinct; negative ones count from the end. An empty sequence reduces nothing.

    Returns
    -------
    Array
        Without the dimensions ``axes``, of the dtype of ``operand``. Of nothing, False or 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reduce_xor(np.array([0b011, 0b110]), [0])
    Array(5, dtype=int32)
    """
    return _bind(reduce_xor_p, operand, axes)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the first maximum along ``axis``; of the first NaN if there is one.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans.
    axis : int
        Negative ones count from the end.
    index_dtype : dtype
        An integer dtype, of the result.

    Returns
    -------
    Array
        Without the dimension ``axis``.

    Raises
    ------
    ValueError
        If the axis has size 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.argmax(np.array([[1, 5, 5], [9, 2, 3]]), 1, np.int32)
    Array([1, 0], dtype=int32)
    """
    x = as_operand(operand, "argmax")
    axis = canonical_axis(axis, aval_of(x))
    return argmax_p.bind(x, axes=(axis,), index_dtype=dtypes.canonicalize_dtype(index_dtype))


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Index of the first minimum along ``axis``; of the first NaN if there is one.

    Parameters
    ----------
    operand : array_like
        Real numbers or booleans.
    axis : int
        Negative ones count from the end.
    index_dtype : dtype
        An integer dtype, of the result.

    Returns
    -------
    Array
        Without the dimension ``axis``.

    Raises
    ------
    ValueError
        If the axis has size 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.argmin(np.array([[4, 1, 1], [0, 2, 3]]), 1, np.int32)
    Array([1, 0], dtype=int32)
    """
    x = as_operand(operand, "argmin")
    axis = canonical_axis(axis, aval_of(x))
    return argmin_p.bind(x, axes=(axis,), index_dtype=dtypes.canonicalize_dtype(index_dtype))
