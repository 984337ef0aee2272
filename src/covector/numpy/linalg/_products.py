"""Products, powers and parts of matrices, under the names of the array API standard."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.lax.linalg._common import eye_like
from covector.numpy import diagonals, products
from covector.numpy._util import array, fused, promote_dtypes
from covector.numpy.linalg._systems import inv
from covector.numpy.manipulation import matrix_transpose

matmul, tensordot, vecdot = products.matmul, products.tensordot, products.vecdot

__all__ = ["matmul", "matrix_transpose", "tensordot", "vecdot"]


def outer(x1: Any, x2: Any, /) -> Any:
    """Products of all pairs of elements of two vectors."""
    x, y = array(x1, "outer", 0), array(x2, "outer", 1)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"outer takes two vectors, got {describe(x)} and {describe(y)}{at_user_line()}"
        )
    return products.outer(x, y)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross products of vectors of three elements along ``axis``."""
    x, y = array(x1, "cross", 0), array(x2, "cross", 1)
    if not x.ndim or not y.ndim or x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ValueError(
            f"cross takes vectors of three elements along axis {axis}, got {describe(x)} and "
            f"{describe(y)}{at_user_line()}"
        )
    return products.cross(x, y, axis=axis)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum of the diagonal of the matrices in the last two axes."""
    return diagonals.trace(x, offset, -2, -1, dtype)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Diagonal of the matrices in the last two axes."""
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
    """The ``n``-th power of square matrices; of their inverses if ``n`` is negative."""
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
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return split


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Any:
    """Product of two or more matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors.
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
