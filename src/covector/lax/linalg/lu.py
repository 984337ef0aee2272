"""LU factorisation, its permutations, and systems solved with it."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.structural import convert_element_type
from covector.lax.linalg._common import matrix
from covector.primitives.linalg.lu import lu_p, lu_pivots_to_permutation_p


def lu(x: Any) -> tuple[Any, Any, Any]:
    """LU factorisation with partial pivoting.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``, of floats or complex numbers.

    Returns
    -------
    lu : Array
        U on and above the diagonal, L (with a diagonal of ones) below.
    pivots : Array of int32
        Shape ``(..., min(m, n))``: row ``i`` was exchanged with row ``pivots[i]``, in order.
    permutation : Array of int32
        Shape ``(..., m)``: ``x[permutation] = L U``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> packed, pivots, permutation = lax.linalg.lu(np.array([[1.0, 2.0], [4.0, 6.0]]))
    >>> packed
    Array([[4.  , 6.  ],
           [0.25, 0.5 ]], dtype=float32)
    >>> pivots, permutation
    (Array([1, 1], dtype=int32), Array([1, 0], dtype=int32))
    """
    packed, pivots, permutation = lu_p.bind(matrix(x, "lu"))
    return packed, pivots, permutation


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation that exchanging row ``i`` with row ``pivots[i]``, in order, makes.

    Parameters
    ----------
    pivots : array_like of int32
        Shape ``(..., k)``.
    permutation_size : int
        The number of rows, at least ``k``.

    Returns
    -------
    Array of int32
        Shape ``(..., permutation_size)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.linalg.lu_pivots_to_permutation(np.array([2, 2, 2]), 4)
    Array([2, 0, 1, 3], dtype=int32)
    """
    pivots = matrix(pivots, "lu_pivots_to_permutation")
    if pivots.dtype in dtypes.INTEGERS:
        pivots = convert_element_type(pivots, dtypes.int32)
    return lu_pivots_to_permutation_p.bind(pivots, permutation_size=int(permutation_size))
