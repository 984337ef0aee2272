"""Products of matrices and tensors: `dot_general` and what is made of it."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_operand
from covector.core.structural import convert_element_type
from covector.lax.precision import canonicalize_precision
from covector.primitives.dot import Dims, dot_general_p
from covector.sharding.results import laid_out

DotDimensionNumbers = Dims


def promoted(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands in their common dtype."""
    a, b = aval_of(x), aval_of(y)
    if a.dtype is b.dtype:
        return x, y
    dt, _ = dtypes.promote(((a.dtype, a.weak_type), (b.dtype, b.weak_type)))
    return convert_element_type(x, dt), convert_element_type(y, dt)


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over pairs of contracted dimensions, for each batch.

    Parameters
    ----------
    lhs, rhs : array_like
        Numbers or booleans; of two dtypes, both are converted to the common one.
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch))
        Sequences of dimensions, in pairs of one size.
    precision : str, Precision, pair, DotAlgorithm or DotAlgorithmPreset, optional
        See `canonicalize_precision`; on CPUs all are full precision, and algorithms round operands
        to the types that they take.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Dimensions: batch, the remaining of ``lhs``, the remaining of ``rhs``.

    Raises
    ------
    TypeError
        If paired dimensions differ in size, or one is named twice.

    Examples
    --------
    A product of two stacks of matrices:

    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, y = np.ones((5, 2, 3)), np.ones((5, 3, 4))
    >>> lax.dot_general(x, y, (([2], [1]), ([0], [0]))).shape
    (5, 2, 4)
    """
    if out_sharding is not None:
        return laid_out(dot_general, locals())
    x, y = promoted(as_operand(lhs, "dot_general"), as_operand(rhs, "dot_general"))
    (xc, yc), (xb, yb) = dimension_numbers
    wanted = (
        None if preferred_element_type is None
        else dtypes.canonicalize_dtype(preferred_element_type)
    )  # fmt: skip
    how = canonicalize_precision(precision)
    own = aval_of(x).dtype
    total = getattr(how, "accumulation_type", None)
    if total is not None:
        from covector.lax.algorithms import rounded_to  # few programs name one

        x, y = promoted(*(rounded_to(how, i, v) for i, v in enumerate((x, y))))
    out = dot_general_p.bind(
        x,
        y,
        dimension_numbers=(
            (tuple(map(int, xc)), tuple(map(int, yc))),
            (tuple(map(int, xb)), tuple(map(int, yb))),
        ),
        precision=how,
        preferred_element_type=wanted if total is None else total,
    )
    return out if total is None else convert_element_type(out, wanted or own)


def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Product of vectors and matrices; with ``dimension_numbers``, `dot_general`.

    Parameters
    ----------
    lhs, rhs : array_like
        Of one or two dimensions: the last of ``lhs`` is contracted with the first of ``rhs``.
    dimension_numbers : ((lhs_contract, rhs_contract), (lhs_batch, rhs_batch)), optional
        Then operands have any number of dimensions.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.
    preferred_element_type : dtype, optional
        Dtype in which to accumulate and return.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.dot(np.array([[1, 2], [3, 4]]), np.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(dot, locals())
    if dimension_numbers is None:
        n, m = len(aval_of(lhs).shape), len(aval_of(rhs).shape)
        if not (1 <= n <= 2 and 1 <= m <= 2):
            raise TypeError(
                f"lax.dot takes vectors and matrices, got {aval_of(lhs).str_short()} and "
                f"{aval_of(rhs).str_short()}; see dot_general{at_user_line()}"
            )
        dimension_numbers = (((n - 1,), (0,)), ((), ()))
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Product of stacks of matrices with equal leading dimensions.

    Parameters
    ----------
    lhs : array_like
        Shape ``(..., m, k)``.
    rhs : array_like
        Shape ``(..., k, n)``.
    precision : str or Precision or pair, optional
        See `canonicalize_precision`.

    Returns
    -------
    Array
        Shape ``(..., m, n)``.

    Raises
    ------
    ValueError
        If the operands differ in rank, or have fewer than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x, y = np.array([[[1, 2]], [[3, 4]]]), np.array([[[1], [1]], [[1], [10]]])
    >>> lax.batch_matmul(x, y).ravel()
    Array([ 3, 43], dtype=int32)
    """
    n, m = len(aval_of(lhs).shape), len(aval_of(rhs).shape)
    if n != m or n < 2:
        raise ValueError(
            f"batch_matmul takes stacks of matrices of equal rank, got "
            f"{aval_of(lhs).str_short()} and {aval_of(rhs).str_short()}{at_user_line()}"
        )
    batch = tuple(range(n - 2))
    return dot_general(lhs, rhs, (((n - 1,), (n - 2,)), (batch, batch)), precision)
