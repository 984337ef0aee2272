"""Sparse arrays of nothing, and identities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.experimental.sparse._base import JAXSparse, SparseInfo
from covector.experimental.sparse._bcoo import BCOO
from covector.experimental.sparse._bcsr import BCSR
from covector.experimental.sparse._matrices import COO, CSC, CSR

_FORMATS: dict[str, Any] = {"bcoo": BCOO, "bcsr": BCSR, "coo": COO, "csr": CSR, "csc": CSC}


def _format(name: str, sparse_format: str, kwds: dict[str, Any]) -> Any:
    if sparse_format not in _FORMATS:
        raise ValueError(
            f"{name}: sparse_format must be one of {', '.join(_FORMATS)}, got "
            f"{sparse_format!r}{at_user_line()}"
        )
    if kwds and sparse_format not in ("bcoo", "bcsr"):
        raise TypeError(
            f"{name}: the format {sparse_format} has no options {', '.join(kwds)}{at_user_line()}"
        )
    return _FORMATS[sparse_format]


def empty(
    shape: Sequence[int],
    dtype: Any = None,
    index_dtype: Any = "int32",
    sparse_format: str = "bcoo",
    **kwds: Any,
) -> JAXSparse:
    """A sparse array that stores nothing: all elements are 0.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype, optional
        By default the default float.
    index_dtype : dtype
    sparse_format : {"bcoo", "bcsr", "coo", "csr", "csc"}
    **kwds
        ``n_batch``, ``n_dense``, ``nse`` of the formats with batches.

    Returns
    -------
    JAXSparse

    Raises
    ------
    ValueError
        For another format, or a shape that it does not have.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.empty((2, 3))
    BCOO(float32[2, 3], nse=0)
    """
    cls = _format("empty", sparse_format, kwds)
    return cls._empty(tuple(shape), dtype=dtype, index_dtype=index_dtype, **kwds)


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
    index_dtype: Any = "int32",
    sparse_format: str = "bcoo",
    **kwds: Any,
) -> JAXSparse:
    """A sparse matrix with ones on a diagonal.

    Parameters
    ----------
    N, M : int
        Rows and columns; as many columns as rows by default.
    k : int
        Which diagonal: above the main one if it is positive.
    dtype : dtype, optional
        By default the default float.
    index_dtype : dtype
    sparse_format : {"bcoo", "bcsr", "coo", "csr", "csc"}
    **kwds
        ``n_batch``, ``n_dense`` of the formats with batches.

    Returns
    -------
    JAXSparse

    Raises
    ------
    ValueError
        For another format, or negative sizes.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.eye(2, 3, k=1).todense()
    Array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    cls = _format("eye", sparse_format, kwds)
    N, M, k = int(N), int(N if M is None else M), int(k)
    if min(N, M) < 0:
        raise ValueError(f"eye: sizes must not be negative, got {N} and {M}{at_user_line()}")
    if cls is BCOO:
        return _eye_bcoo(N, M, k, dtype, index_dtype, **kwds)
    if cls is BCSR and any(kwds.values()):
        raise NotImplementedError(
            f"eye: a BCSR of a matrix has no batch or dense axes, got {kwds}{at_user_line()}"
        )
    count = max(0, min(N + min(k, 0), M - max(k, 0)))
    data = cnp.ones(count, dtype)
    rows = onp.arange(count) - min(k, 0)
    columns = onp.arange(count) + max(k, 0)
    if cls is COO:
        args = (data, cnp.asarray(rows, index_dtype), cnp.asarray(columns, index_dtype))
        return COO(args, shape=(N, M), rows_sorted=True, cols_sorted=True)
    lines, others = (columns, rows) if cls is CSC else (rows, columns)
    ends = onp.searchsorted(lines, onp.arange((M if cls is CSC else N) + 1))
    args = (data, cnp.asarray(others, index_dtype), cnp.asarray(ends, index_dtype))
    if cls is BCSR:
        return BCSR(args, shape=(N, M), indices_sorted=True, unique_indices=True)
    return cls(args, shape=(N, M))


def _eye_bcoo(
    N: int, M: int, k: int, dtype: Any, index_dtype: Any, n_batch: int = 0, n_dense: int = 0
) -> BCOO:
    if min(n_batch, n_dense) < 0 or n_batch + n_dense > 2:
        raise ValueError(
            f"eye: a matrix cannot have n_batch={n_batch} and n_dense={n_dense}{at_user_line()}"
        )
    rows = onp.arange(N)
    inside = (rows + k >= 0) & (rows + k < M)
    if n_batch + n_dense == 2 or n_dense == 2:
        return BCOO.fromdense(cnp.eye(N, M, k, dtype), nse=1, n_batch=n_batch, n_dense=n_dense,
                              index_dtype=index_dtype)  # fmt: skip
    if n_batch == 1:
        data = cnp.asarray(inside[:, None], dtype or float)
        indices = onp.where(inside, rows + k, M)[:, None, None]
    elif n_dense == 1:
        at = rows[inside]
        data, indices = cnp.eye(N, M, k, dtype)[at], at[:, None]
    else:
        at = rows[inside]
        data, indices = cnp.ones(at.size, dtype), onp.stack([at, at + k], -1)
    info = SparseInfo((N, M), True, True)
    return BCOO((data, cnp.asarray(indices, index_dtype)), **info._asdict())
