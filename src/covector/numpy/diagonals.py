"""Diagonals and triangles of matrices."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.dims import DimExpr, as_size, max_dim, min_dim
from covector.core.errors import at_user_line, describe
from covector.core.operands import canonical_axis, canonical_shape
from covector.core.trace import Tracer, eval_trace
from covector.numpy import _util
from covector.numpy._util import (
    convert,
    current_trace,
    fused,
    shape_of,
)
from covector.numpy.creation import asarray, from_numpy, on_device
from covector.numpy.positions import nonzero
from covector.numpy.ranges import arange
from covector.numpy.reductions import sum


def _offset(k: Any, name: str) -> Any:
    if isinstance(k, Tracer) and k.concrete() is None:
        return k
    return operator.index(onp.asarray(k).item() if not isinstance(k, int) else k)


def _index_grid(n: int, m: int) -> tuple[Any, Any]:
    i = lax.broadcasted_iota(dtypes.int32, (n, m), 0)
    return i, lax.broadcasted_iota(dtypes.int32, (n, m), 1)


def eye(
    N: Any,  # noqa: N803
    M: Any = None,  # noqa: N803
    k: Any = 0,
    dtype: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Matrix with ones on the ``k``-th diagonal and zeros elsewhere.

    Parameters
    ----------
    N : int
        Number of rows.
    M : int, optional
        Number of columns; by default ``N``.
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.
    dtype : dtype, optional
        By default the default float type.
    device : Device, optional
        Where the array is to be; by default the default device.

    Returns
    -------
    Array
        Of shape ``(N, M)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.eye(2, 3, k=1, dtype=int)
    Array([[0, 1, 0],
           [0, 0, 1]], dtype=int32)
    """
    (n,) = canonical_shape(N, "N")
    (m,) = (n,) if M is None else canonical_shape(M, "M")
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, "eye")
    k = _offset(k, "eye")
    if current_trace() is eval_trace and isinstance(k, int):
        return on_device(from_numpy(onp.eye(n, m, k).astype(dt), dt), device)
    i, j = _index_grid(n, m)
    shift = k if isinstance(k, int) else convert(k, dtypes.int32)
    return convert(lax.eq(lax.add(i, shift), j), dt)


def identity(n: Any, dtype: Any = None) -> Any:
    """The ``n`` by ``n`` identity matrix.

    Parameters
    ----------
    n : int
    dtype : dtype, optional
        By default the default float type.

    Returns
    -------
    Array
        Of shape ``(n, n)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.identity(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return eye(n, dtype=dtype)


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803
    """Matrix with ones at and below the ``k``-th diagonal and zeros above.

    Parameters
    ----------
    N : int
        Number of rows.
    M : int, optional
        Number of columns; by default ``N``.
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.
    dtype : dtype, optional
        By default float32.

    Returns
    -------
    Array
        Of shape ``(N, M)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.tri(2, 3, dtype=int)
    Array([[1, 0, 0],
           [1, 1, 0]], dtype=int32)
    """
    (n,) = canonical_shape(N, "N")
    (m,) = (n,) if M is None else canonical_shape(M, "M")
    dt = dtypes.float32 if dtype is None else dtypes.check_user_dtype(dtype, "tri")
    k = _offset(k, "tri")
    if current_trace() is eval_trace and isinstance(k, int):
        return from_numpy(onp.tri(n, m, k).astype(dt), dt)
    return convert(_lower(n, m, k), dt)


def _lower(n: int, m: int, k: Any) -> Any:
    i, j = _index_grid(n, m)
    return lax.ge(lax.add(i, k if isinstance(k, int) else convert(k, dtypes.int32)), j)


def _triangle(m: Any, k: int, lower: bool, name: str) -> Any:
    x = _util.array(m, name)
    if x.ndim < 2:
        raise ValueError(
            f"{name} takes an array of two or more dimensions, got {describe(x)}{at_user_line()}"
        )
    mask = _lower(*x.shape[-2:], k if lower else k - 1)
    mask = _util.broadcast_to(mask, x.shape)
    zero = x.dtype.type(0)
    return lax.select(mask, x, zero) if lower else lax.select(mask, zero, x)


@fused("k")
def tril(m: Any, k: int = 0) -> Any:
    """``m`` with zeros above its ``k``-th diagonal.

    Parameters
    ----------
    m : array_like
        Of two or more dimensions: a matrix, or a stack of matrices.
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.

    Returns
    -------
    Array
        Of the shape and dtype of ``m``.

    Raises
    ------
    ValueError
        If ``m`` has fewer than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.tril(np.array([[1, 2], [3, 4]]))
    Array([[1, 0],
           [3, 4]], dtype=int32)
    """
    return _triangle(m, k, True, "tril")


@fused("k")
def triu(m: Any, k: int = 0) -> Any:
    """``m`` with zeros below its ``k``-th diagonal.

    Parameters
    ----------
    m : array_like
        Of two or more dimensions: a matrix, or a stack of matrices.
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.

    Returns
    -------
    Array
        Of the shape and dtype of ``m``.

    Raises
    ------
    ValueError
        If ``m`` has fewer than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.triu(np.array([[1, 2], [3, 4]]), k=1)
    Array([[0, 2],
           [0, 0]], dtype=int32)
    """
    return _triangle(m, k, False, "triu")


def tril_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, Any]:
    """Row and column indices of the lower triangle of an ``n`` by ``m`` matrix.

    Parameters
    ----------
    n : int
    k : int
        The last diagonal that belongs to the triangle.
    m : int, optional
        By default ``n``.

    Returns
    -------
    tuple of two Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> x[np.tril_indices(2)]
    Array([1, 3, 4], dtype=int32)
    """
    if type(n) is DimExpr or type(m) is DimExpr:
        m = n if m is None else m
        return nonzero(tri(n, m, k), size=_elements_below(as_size(n), as_size(m), k))
    i, j = onp.tril_indices(int(n), int(k), None if m is None else int(m))
    return from_numpy(i), from_numpy(j)


def _elements_below(n: Any, m: Any, k: int) -> Any:
    """The number of elements of an ``n`` by ``m`` matrix at and below the ``k``-th diagonal."""

    def up_to(row: Any) -> Any:
        # Of the rows up to this, from that of the first element on.
        short = max_dim(0, min_dim(row, m))
        return short * (short + 1) // 2 + m * max_dim(0, row - m)

    return max_dim(0, up_to(n + k) - up_to(k))


def triu_indices(n: Any, k: int = 0, m: Any = None) -> tuple[Any, Any]:
    """Row and column indices of the upper triangle of an ``n`` by ``m`` matrix.

    Parameters
    ----------
    n : int
    k : int
        The first diagonal that belongs to the triangle.
    m : int, optional
        By default ``n``.

    Returns
    -------
    tuple of two Array

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> x[np.triu_indices(2)]
    Array([1, 2, 4], dtype=int32)
    """
    if type(n) is DimExpr or type(m) is DimExpr:
        m = n if m is None else m
        below = _elements_below(as_size(n), as_size(m), k - 1)
        return nonzero(lax.eq(tri(n, m, k - 1, bool), False), size=max_dim(0, n * m - below))
    i, j = onp.triu_indices(int(n), int(k), None if m is None else int(m))
    return from_numpy(i), from_numpy(j)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """Indices of the lower triangle of the matrix ``arr``.

    Parameters
    ----------
    arr : array_like
        Only its shape is used.
    k : int
        The last diagonal that belongs to the triangle.

    Returns
    -------
    tuple of two Array

    Raises
    ------
    ValueError
        If ``arr`` is not a matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.tril_indices_from(np.zeros((2, 3)))
    (Array([0, 1, 1], dtype=int32), Array([0, 0, 1], dtype=int32))
    """
    return tril_indices(*_matrix_shape(arr, "tril_indices_from", k))


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Any, Any]:
    """Indices of the upper triangle of the matrix ``arr``.

    Parameters
    ----------
    arr : array_like
        Only its shape is used.
    k : int
        The first diagonal that belongs to the triangle.

    Returns
    -------
    tuple of two Array

    Raises
    ------
    ValueError
        If ``arr`` is not a matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.triu_indices_from(np.zeros((2, 3)), k=1)
    (Array([0, 0, 1], dtype=int32), Array([1, 2, 2], dtype=int32))
    """
    return triu_indices(*_matrix_shape(arr, "triu_indices_from", k))


def _matrix_shape(arr: Any, name: str, k: int) -> tuple[int, int, int]:
    shape = shape_of(arr)
    if len(shape) != 2:
        raise ValueError(f"{name} takes a matrix, got shape {shape}{at_user_line()}")
    return shape[0], k, shape[1]


def diag_indices(n: int, ndim: int = 2) -> tuple[Any, ...]:
    """Indices of the main diagonal of an array of ``ndim`` dimensions of size ``n``.

    Parameters
    ----------
    n, ndim : int

    Returns
    -------
    tuple of Array
        The same vector ``ndim`` times.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.diag_indices(3)
    (Array([0, 1, 2], dtype=int32), Array([0, 1, 2], dtype=int32))
    """
    n, ndim = operator.index(n), operator.index(ndim)
    if n < 0 or ndim < 0:
        raise ValueError(f"diag_indices: n and ndim must not be negative{at_user_line()}")
    return (arange(n),) * ndim


def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """Indices of the main diagonal of an array with equal dimensions.

    Parameters
    ----------
    arr : array_like
        Of two or more dimensions; only its shape is used.

    Returns
    -------
    tuple of Array

    Raises
    ------
    ValueError
        If the sizes of its dimensions differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> x.at[np.diag_indices_from(x)].set(0)
    Array([[0, 2],
           [3, 0]], dtype=int32)
    """
    shape = shape_of(arr)
    if len(shape) < 2 or len(set(shape)) != 1:
        raise ValueError(
            f"diag_indices_from takes an array of two or more equal dimensions, got shape {shape}"
            f"{at_user_line()}"
        )
    return diag_indices(shape[0], len(shape))


@fused("k")
def diag(v: Any, k: int = 0) -> Any:
    """Matrix with ``v`` on its ``k``-th diagonal, or that diagonal of a matrix ``v``.

    Parameters
    ----------
    v : array_like
        A vector or a matrix.
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``v`` is neither a vector nor a matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.diag(np.array([1, 2]), k=1)
    Array([[0, 1, 0],
           [0, 0, 2],
           [0, 0, 0]], dtype=int32)
    >>> np.diag(np.array([[1, 2], [3, 4]]))
    Array([1, 4], dtype=int32)
    """
    x = _util.array(v, "diag")
    if x.ndim == 1:
        n = x.shape[0] + abs(k)
        row, column = max(-k, 0), max(k, 0)
        padded = lax.pad(x, x.dtype.type(0), ((column, row, 0),))
        i, j = _index_grid(n, n)
        wide = lax.broadcast_in_dim(padded, (n, n), (1,))
        return lax.select(lax.eq(lax.add(i, k), j), wide, x.dtype.type(0))
    if x.ndim == 2:
        return diagonal(x, k)
    raise ValueError(f"diag takes a vector or a matrix, got {describe(x)}{at_user_line()}")


def diagflat(v: Any, k: int = 0) -> Any:
    """Matrix with the elements of ``v``, flattened, on its ``k``-th diagonal.

    Parameters
    ----------
    v : array_like
    k : int
        0 is the main diagonal, 1 the one above it, -1 the one below.

    Returns
    -------
    Array
        A matrix.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.diagflat(np.array([[1], [2]]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = _util.array(v, "diagflat")
    return diag(lax.reshape(x, (x.size,)), k)


@fused("offset", "axis1", "axis2")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Elements with equal indices (up to ``offset``) along two axes, as the last axis.

    Parameters
    ----------
    a : array_like
        Of two or more dimensions.
    offset : int
        0 is the main diagonal, 1 the one above it, -1 the one below.
    axis1, axis2 : int
        The axes of the matrices whose diagonals are meant.

    Returns
    -------
    Array
        The other dimensions of ``a``, then the diagonals.

    Raises
    ------
    ValueError
        If ``a`` has fewer than two dimensions, or the axes are the same.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.diagonal(np.array([[1, 2, 3], [4, 5, 6]]), offset=1)
    Array([2, 6], dtype=int32)
    """
    x = _util.array(a, "diagonal")
    if x.ndim < 2:
        raise ValueError(
            f"diagonal takes an array of two or more dimensions, got {describe(x)}{at_user_line()}"
        )
    i, j = canonical_axis(axis1, x), canonical_axis(axis2, x)
    if i == j:
        raise ValueError(f"diagonal: axis1 and axis2 are both {i}{at_user_line()}")
    rest = [d for d in range(x.ndim) if d not in (i, j)]
    x = structural.transpose(x, (*rest, i, j))
    n, m = x.shape[-2:]
    size = max_dim(0, min_dim(n + min(offset, 0), m - max(offset, 0)))
    row, column = max(-offset, 0), max(offset, 0)
    if type(size) is DimExpr:
        at = lax.iota(dtypes.position_dtype(n, m), size)
        return x[..., at + row, at + column]
    # Every (m + 1)-th element of the flattened matrix, from the first of the diagonal.
    flat = lax.reshape(x, (*x.shape[:-2], n * m))
    if size == 0:
        return lax.slice_in_dim(flat, 0, 0, axis=-1)
    start = row * m + column
    return lax.slice_in_dim(flat, start, start + (size - 1) * (m + 1) + 1, m + 1, -1)


@fused("offset", "axis1", "axis2", "dtype")
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Sum of the ``offset``-th diagonal along two axes.

    Parameters
    ----------
    a : array_like
        Of two or more dimensions.
    offset : int
        0 is the main diagonal, 1 the one above it, -1 the one below.
    axis1, axis2 : int
        The axes of the matrices whose diagonals are meant.
    dtype : dtype, optional
        Of the sum, as in `sum`.
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of the other dimensions of ``a``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.trace(np.array([[1, 2], [3, 4]]))
    Array(5, dtype=int32)
    """
    _util.check_out(out, "trace")
    return sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """``a`` with ``val`` on its main diagonal, as a new array: pass ``inplace=False``.

    Parameters
    ----------
    a : array_like
        Of two or more dimensions.
    val : array_like
        A scalar, or values that are repeated along the diagonal.
    wrap : bool
        Must be False.
    inplace : bool
        Must be False.

    Returns
    -------
    Array
        Of the shape and dtype of ``a``.

    Raises
    ------
    ValueError
        If ``inplace`` is True, or ``a`` has fewer than two dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.fill_diagonal(np.zeros((2, 3), int), 7, inplace=False)
    Array([[7, 0, 0],
           [0, 7, 0]], dtype=int32)
    """
    if inplace:
        raise ValueError(
            "fill_diagonal: arrays are immutable, so the result is a new array; pass "
            f"inplace=False{at_user_line()}"
        )
    if wrap:
        raise NotImplementedError("fill_diagonal with wrap=True is not supported")
    x = asarray(a)
    if x.ndim < 2:
        raise ValueError(
            f"fill_diagonal takes an array of two or more dimensions, got {describe(x)}"
            f"{at_user_line()}"
        )
    n = functools.reduce(min_dim, x.shape)
    index = arange(n)
    v = _util.array(val)
    if v.ndim > 1 or (v.ndim == 1 and v.shape[0] != n):
        v = lax.reshape(v, (v.size,))
        v = v[arange(n) % v.size]
    return x.at[(index,) * x.ndim].set(v)
