"""Random sparse arrays (`covector.experimental.sparse.random`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp
from numpy.typing import DTypeLike

from covector import numpy as cnp
from covector import random as _random
from covector.core import dtypes
from covector.core.array_type import Array
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.core.operands import canonical_shape, product
from covector.experimental.sparse._base import SparseInfo
from covector.experimental.sparse._bcoo import BCOO, batched, split_shape
from covector.numpy._util import fused
from covector.transforms.vmap_api import vmap

__all__ = ["Array", "DTypeLike", "random_bcoo", "vmap"]


def random_bcoo(
    key: Any,
    shape: Sequence[int],
    *,
    dtype: Any = cnp.float64,
    indices_dtype: Any = None,
    nse: float | int = 0.2,
    n_batch: int = 0,
    n_dense: int = 0,
    unique_indices: bool = True,
    sorted_indices: bool = False,
    generator: Callable[..., Any] = _random.uniform,
    **kwds: Any,
) -> BCOO:
    """A random sparse array.

    Parameters
    ----------
    key : array
        A PRNG key.
    shape : sequence of int
    dtype : dtype
        Narrowed to float32 unless ``enable_x64`` is set.
    indices_dtype : dtype, optional
        By default int32.
    nse : float or int
        How many elements are stored, by each element of the batch; as a part of all if less than
        1.
    n_batch, n_dense : int
        The number of leading batch axes and trailing dense axes.
    unique_indices : bool
        Whether no coordinate is stored twice.
    sorted_indices : bool
        Whether coordinates come in order.
    generator : callable
        ``generator(key, shape=, dtype=, **kwds)`` gives the elements.
    **kwds
        Options of ``generator``.

    Returns
    -------
    BCOO

    Raises
    ------
    ValueError
        If the layout does not fit the shape, or there are not as many places.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import sparse
    >>> sparse.random_bcoo(cv.random.key(0), (4, 5), nse=0.25)
    BCOO(float32[4, 5], nse=5)
    """
    shape = canonical_shape(tuple(shape))
    n_sparse = len(shape) - n_batch - n_dense
    if min(n_batch, n_dense, n_sparse) < 0:
        raise ValueError(
            f"random_bcoo: the shape {shape} cannot have n_batch={n_batch} and n_dense="
            f"{n_dense}{at_user_line()}"
        )
    batch, sizes, dense = split_shape(shape, n_batch, n_sparse)
    places = product(sizes)
    count = int(math.ceil(nse * places)) if 0 <= nse < 1 else int(nse)
    if count < 0 or (unique_indices and count > places):
        raise ValueError(
            f"random_bcoo: nse must be between 0 and the number of places, {places}, got {nse}"
            f"{at_user_line()}"
        )
    index_dtype = onp.dtype(onp.int32 if indices_dtype is None else indices_dtype)
    data_key, index_key = _random.split(key)
    dtype = dtypes.canonicalize_dtype(dtype)
    data = generator(data_key, shape=(*batch, count, *dense), dtype=dtype, **kwds)
    keys = _random.split(index_key, product(batch))
    how = sizes, count, unique_indices, sorted_indices, index_dtype
    indices = _indices(keys, *how).reshape(*batch, count, n_sparse)
    info = SparseInfo(shape, sorted_indices, unique_indices)
    return BCOO((data, indices), **info._asdict())


@fused("sizes", "count", "unique", "ordered", "dtype")
def _indices(
    keys: Any, sizes: tuple[int, ...], count: int, unique: bool, ordered: bool, dtype: Any
) -> Any:
    places = product(sizes)

    def one(key: Any) -> Any:
        if unique:
            flat = _random.permutation(key, places)[:count]
        else:
            flat = _random.randint(key, (count,), 0, max(places, 1))
        if ordered:
            flat = cnp.sort(flat)
        if not sizes:
            return cnp.zeros((count, 0), dtype)
        return cnp.stack([i.astype(dtype) for i in cnp.unravel_index(flat, sizes)], -1)

    return batched(one, 1)(keys)


_export(globals(), __all__)
