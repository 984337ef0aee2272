"""Grids of coordinates, and functions of them: meshgrid, indices, vander."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_shape
from covector.numpy import _util
from covector.numpy._util import (
    convert,
)
from covector.numpy.creation import zeros
from covector.numpy.ranges import arange
from covector.transforms.vmap_api import vmap


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Any]:
    """Coordinate arrays of the grid spanned by vectors.

    Parameters
    ----------
    *xi : array_like
        Vectors, or scalars.
    copy : bool
        Accepted and ignored: arrays are immutable.
    sparse : bool
        Leave the other dimensions at size 1.
    indexing : {'xy', 'ij'}
        Whether the first vector runs along the second axis or the first.

    Returns
    -------
    list of Array
        One for each vector.

    Raises
    ------
    ValueError
        If an argument has more than one dimension.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x, y = np.meshgrid(np.array([1, 2, 3]), np.array([10, 20]))
    >>> x + y
    Array([[11, 12, 13],
           [21, 22, 23]], dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    args = [_util.array(x, "meshgrid", i) for i, x in enumerate(xi)]
    for x in args:
        if x.ndim > 1:
            raise ValueError(
                f"meshgrid takes one-dimensional arrays, got {describe(x)}{at_user_line()}"
            )
    args = [lax.reshape(x, (x.size,)) for x in args]
    order = list(range(len(args)))
    if indexing == "xy" and len(args) > 1:
        order[:2] = [1, 0]
    shape = [0] * len(args)
    for d, x in zip(order, args, strict=True):
        shape[d] = x.size
    out = []
    for d, x in zip(order, args, strict=True):
        sizes = tuple(n if i == d else 1 for i, n in enumerate(shape)) if sparse else tuple(shape)
        out.append(lax.broadcast_in_dim(x, sizes, (d,)))
    return out


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """The index along each dimension at each position of an array of the given shape.

    Parameters
    ----------
    dimensions : sequence of int
    dtype : dtype, optional
        By default the default integer type.
    sparse : bool
        Return a tuple of arrays with the other dimensions at size 1.

    Returns
    -------
    Array, or tuple of Array
        Of shape ``(len(dimensions), *dimensions)`` unless ``sparse``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.indices((2, 2))
    Array([[[0, 0],
            [1, 1]],
    <BLANKLINE>
           [[0, 1],
            [0, 1]]], dtype=int32)
    """
    shape = canonical_shape(tuple(dimensions), "dimensions")
    dt = dtypes.default_int() if dtype is None else dtypes.check_user_dtype(dtype, "indices")
    n = len(shape)
    if sparse:
        return tuple(
            lax.reshape(arange(s, dtype=dt), tuple(s if i == d else 1 for i in range(n)))
            for d, s in enumerate(shape)
        )
    if not n:
        return zeros((0,), dt)
    return lax.stack([lax.broadcasted_iota(dt, shape, d) for d in range(n)], 0)


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any
) -> Any:
    """``function`` of the indices at each position of an array of ``shape``.

    Parameters
    ----------
    function : callable
        Takes one scalar per dimension; called once, on traced values (see `covector.vmap`).
    shape : int or tuple of int
    dtype : dtype
        Of the indices.
    **kwargs
        Passed to the function too.

    Returns
    -------
    Array
        The indices first, then the dimensions of a result.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fromfunction(lambda i, j: 10 * i + j, (2, 3), dtype=int)
    Array([[ 0,  1,  2],
           [10, 11, 12]], dtype=int32)
    """
    shape = canonical_shape(shape)

    def mapped(*index: Any) -> Any:
        return function(*index, **kwargs)

    # The last dimension is mapped first, so that it ends up innermost.
    for i in reversed(range(len(shape))):
        mapped = vmap(mapped, in_axes=tuple(0 if i == j else None for j in range(len(shape))))
    dt = dtypes.check_user_dtype(dtype, "fromfunction")
    return mapped(*[arange(n, dtype=dt) for n in shape])


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803
    """Matrix of the powers of the elements of a vector.

    Parameters
    ----------
    x : array_like
        A vector.
    N : int, optional
        Number of columns; by default as many as rows.
    increasing : bool
        Whether the powers increase from left to right.

    Returns
    -------
    Array
        In the dtype of ``x``.

    Raises
    ------
    ValueError
        If ``x`` is not a vector.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vander(np.array([1, 2, 3]), increasing=True)
    Array([[1, 1, 1],
           [1, 2, 4],
           [1, 3, 9]], dtype=int32)
    """
    v = _util.array(x, "vander")
    if v.ndim != 1:
        raise ValueError(f"vander takes a vector, got {describe(v)}{at_user_line()}")
    n = v.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError(f"vander: N must not be negative, got {n}{at_user_line()}")
    powers = arange(n) if increasing else arange(n - 1, -1, -1)
    out = lax.expand_dims(v, (1,)) ** lax.expand_dims(convert(powers, dtypes.int32), (0,))
    return out if v.dtype == dtypes.bool_ else convert(out, v.dtype)
