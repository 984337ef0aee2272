"""Parts of arrays at indices along several axes (`index_take`), and the dtype of a value."""

from __future__ import annotations

from typing import Any

from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_operand, canonical_axis, dtype_of
from covector.core.structural import reshape
from covector.lax.gather import gather
from covector.lax.select import select
from covector.lax.shape_functions import concatenate, full_like
from covector.primitives.arithmetic import add_p
from covector.primitives.compare import lt_p
from covector.primitives.indexing import GatherDimensionNumbers


def index_take(src: Any, idxs: Any, axes: Any) -> Any:
    """The parts of ``src`` at the given indices along ``axes``.

    Parameters
    ----------
    src : array_like
    idxs : sequence of array_like of int, shape (n,)
        One for each of the axes; negative ones count from the end. Indices out of bounds are taken
        to the nearest.
    axes : sequence of int

    Returns
    -------
    Array
        Of size ``n`` along its first dimension, and the other dimensions of ``src`` behind it.

    Raises
    ------
    ValueError
        If there are not as many indices as axes.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.index_take(np.arange(6).reshape(2, 3), (np.array([0, 2]),), (1,))
    Array([[0, 3],
           [2, 5]], dtype=int32)
    """
    x, indices = as_operand(src, "index_take"), [as_operand(i, "index_take") for i in idxs]
    shape = aval_of(x).shape
    if len(indices) != len(axes):
        raise ValueError(
            f"index_take got {len(indices)} arrays of indices for {len(axes)} axes{at_user_line()}"
        )
    dims = [canonical_axis(a, aval_of(x)) for a in axes]
    columns = []
    for i, d in zip(indices, dims, strict=True):
        wrapped = select(lt_p.bind(i, full_like(i, 0)), add_p.bind(i, full_like(i, shape[d])), i)
        columns.append(reshape(wrapped, (*aval_of(i).shape, 1)))
    order = sorted(range(len(dims)), key=dims.__getitem__)
    numbers = GatherDimensionNumbers(
        offset_dims=tuple(range(1, len(shape) - len(dims) + 1)),
        collapsed_slice_dims=tuple(sorted(dims)),
        start_index_map=tuple(dims[k] for k in order),
    )
    sizes = [1 if d in dims else n for d, n in enumerate(shape)]
    stacked = concatenate([columns[k] for k in order], 1)
    return gather(x, stacked, numbers, sizes, mode="clip")


def dtype(x: Any) -> Any:
    """The dtype of an array, or the one that a Python number has in one.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    dtype

    Examples
    --------
    >>> from covector import lax
    >>> lax.dtype(1.0)
    dtype('float32')
    """
    return dtype_of(as_operand(x, "dtype"))
