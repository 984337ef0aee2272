"""Products, powers and parts of matrices, under the names of the array API standard."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from covector.core.dims import is_at_least
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis
from covector.numpy import diagonals, products
from covector.numpy._util import array, fused, promote_dtypes
from covector.numpy.linalg._systems import inv
from covector.numpy.manipulation import matrix_transpose
from covector.primitives.linalg.common import eye_like

vecdot = products.vecdot

__all__ = ["matrix_transpose", "vecdot"]


def matmul(
    x1: Any, x2: Any, /, *, precision: Any = None, preferred_element_type: Any = None
) -> Any:
    """Product of matrices; leading dimensions are stacks that broadcast together.

    Parameters
    ----------
    x1, x2 : array_like
        A vector is a row on the left, a column on the right.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If an operand has no dimension.
    TypeError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.matmul(np.array([[1, 2], [3, 4]]), np.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    return products.matmul(
        x1, x2, precision=precision, preferred_element_type=preferred_element_type
    )


def tensordot(
    x1: Any,
    x2: Any,
    /,
    *,
    axes: Any = 2,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over pairs of axes.

    Parameters
    ----------
    x1, x2 : array_like
    axes : int, or pair of sequences of int
        The last ``axes`` of ``x1`` with the first of ``x2``, or the axes of each.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the remaining dimensions of ``x1``, then those of ``x2``.

    Raises
    ------
    TypeError
        If the axes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.arange(6).reshape(2, 3)
    >>> np.linalg.tensordot(x, x, axes=([0, 1], [0, 1]))
    Array(55, dtype=int32)
    """
    return products.tensordot(
        x1, x2, axes, precision=precision, preferred_element_type=preferred_element_type,
        out_sharding=out_sharding,
    )  # fmt: skip


def outer(x1: Any, x2: Any, /) -> Any:
    """Products of all pairs of elements of two vectors.

    Parameters
    ----------
    x1, x2 : array_like
        Shapes ``(m,)`` and ``(n,)``.

    Returns
    -------
    Array
        Shape ``(m, n)``.

    Raises
    ------
    ValueError
        If an operand is not a vector; `covector.numpy.outer` flattens.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.outer(np.array([1, 2]), np.array([10, 20, 30]))
    Array([[10, 20, 30],
           [20, 40, 60]], dtype=int32)
    """
    x, y = array(x1, "outer", 0), array(x2, "outer", 1)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"outer takes two vectors, got {describe(x)} and {describe(y)}{at_user_line()}"
        )
    return products.outer(x, y)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross products of vectors of three elements along ``axis``.

    Parameters
    ----------
    x1, x2 : array_like
        The other axes broadcast.
    axis : int
        Negative ones count from the end.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the axis does not have size 3.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    x, y = array(x1, "cross", 0), array(x2, "cross", 1)
    if any(v.shape[canonical_axis(axis, v, "cross: axis")] != 3 for v in (x, y)):
        raise ValueError(
            f"cross takes vectors of three elements along axis {axis}, got {describe(x)} and "
            f"{describe(y)}{at_user_line()}"
        )
    return products.cross(x, y, axis=axis)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of the diagonal of the matrices in the last two axes.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``.
    offset : int
        Of the diagonal: positive above the main one, negative below.
    dtype : dtype, optional
        Of the sum; by default that of ``x``, with booleans and small integers widened to int32.

    Returns
    -------
    Array
        Shape ``(...)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.trace(np.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    return diagonals.trace(x, offset, -2, -1, dtype)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonal of the matrices in the last two axes.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``.
    offset : int
        Of the diagonal: positive above the main one, negative below.

    Returns
    -------
    Array
        Shape ``(..., k)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.diagonal(np.array([[1, 2, 3], [4, 5, 6]]), offset=1)
    Array([2, 6], dtype=int32)
    """
    return diagonals.diagonal(x, offset, -2, -1)


@fused("n")
def _power(x: Any, n: int) -> Any:
    if n < 0:
        x, n = inv(x), -n
    if n == 0:
        return eye_like(x)
    out = None
    while True:
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        if not n:
            return out
        x = matmul(x, x)


def matrix_power(a: Any, n: int) -> Any:
    """The ``n``-th power of square matrices; of their inverses if ``n`` is negative.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, m)``.
    n : int
        The power 0 is the identity.

    Returns
    -------
    Array
        Shape ``(..., m, m)``; of floats where ``n`` is negative.

    Raises
    ------
    TypeError
        If ``n`` is not an integer.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.matrix_power(np.array([[1, 1], [1, 0]]), 10)
    Array([[89, 55],
           [55, 34]], dtype=int32)
    """
    x = array(a, "matrix_power")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"matrix_power takes square matrices, shape (..., n, n), got {describe(x)}"
            f"{at_user_line()}"
        )
    try:
        exponent = operator.index(n)
    except TypeError as e:
        raise TypeError(
            f"matrix_power: the exponent must be an integer, got {describe(n)}{at_user_line()}"
        ) from e
    return _power(x, exponent)


def _chain_order(sizes: Sequence[int]) -> list[list[int]]:
    """Where to split products of matrices ``i..j``, of sizes ``sizes[i]`` × ``sizes[i + 1]``.

    T. Cormen et al., Introduction to Algorithms, section 14.2.
    """
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            for k in range(i, j):
                found = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                # Of symbolic sizes, the first of those that may be the fewest.
                if k == i or not is_at_least(found, cost[i][j], True):
                    cost[i][j], split[i][j] = found, k
    return split


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Any:
    """Product of two or more matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors.

    Parameters
    ----------
    arrays : sequence of array_like
        Matrices whose sizes fit in a row.
    precision : str or Precision or pair, optional
        See `covector.lax.canonicalize_precision`.

    Returns
    -------
    Array
        A matrix; a vector or a scalar if one or both of the ends are vectors.

    Raises
    ------
    ValueError
        If there are fewer than two arrays, or the sizes do not fit.

    References
    ----------
    T. Cormen et al., "Introduction to Algorithms", section 14.2.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a, b, v = np.ones((10, 100)), np.ones((100, 5)), np.ones(5)
    >>> np.linalg.multi_dot([a, b, v]).shape
    (10,)
    """
    if len(arrays) < 2:
        raise ValueError(f"multi_dot takes two or more arrays, got {len(arrays)}{at_user_line()}")
    return _multi_dot(*arrays, precision=precision)


@fused("precision")
def _multi_dot(*arrays: Any, precision: Any) -> Any:
    xs = [array(x, "multi_dot", i) for i, x in enumerate(arrays)]
    xs = [array(x) for x in promote_dtypes("multi_dot", *xs)]
    ok = all(x.ndim == 2 for x in xs[1:-1]) and xs[0].ndim in (1, 2) and xs[-1].ndim in (1, 2)
    if not ok or any(x.shape[-1] != y.shape[0] for x, y in zip(xs[:-1], xs[1:], strict=True)):
        raise ValueError(
            "multi_dot takes matrices whose sizes fit in a row, the first and last of which may "
            f"be vectors; got {', '.join(map(describe, xs))}{at_user_line()}"
        )
    last = 1 if xs[-1].ndim == 1 else xs[-1].shape[1]
    sizes = [1 if xs[0].ndim == 1 else xs[0].shape[0], *(x.shape[0] for x in xs[1:]), last]
    split = _chain_order(sizes)

    def product(i: int, j: int) -> Any:
        if i == j:
            return xs[i]
        k = split[i][j]
        return matmul(product(i, k), product(k + 1, j), precision=precision)

    return product(0, len(xs) - 1)
