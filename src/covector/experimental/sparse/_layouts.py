"""Layouts of sparse arrays: which axes are batch axes, sparse or dense."""

from __future__ import annotations

from typing import Any

from covector import numpy as cnp
from covector.core.errors import at_user_line, warn
from covector.experimental.sparse._base import (
    SparseEfficiencyError,
    SparseEfficiencyWarning,
    SparseInfo,
)
from covector.experimental.sparse._bcoo import (
    BCOO,
    batched,
    check_bcoo,
    full_batch,
    over_blocks,
    parts,
    scatter_blocks,
)
from covector.numpy._util import fused


def bcoo_update_layout(
    mat: BCOO,
    *,
    n_batch: int | None = None,
    n_dense: int | None = None,
    on_inefficient: str | None = "error",
) -> BCOO:
    """A sparse array with other numbers of batch and dense axes.

    Parameters
    ----------
    mat : BCOO
    n_batch, n_dense : int, optional
        By default as they are.
    on_inefficient : {"error", "warn", None}
        What to do where the result would store more elements: to have more batch or dense axes
        means to store zeros.

    Returns
    -------
    BCOO

    Raises
    ------
    SparseEfficiencyError
        If the result would store more elements, unless ``on_inefficient`` says otherwise.
    ValueError
        If the array has fewer axes, or ``on_inefficient`` is none of these.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.ones((2, 3, 4)), n_batch=1, n_dense=1)
    >>> sparse.bcoo_update_layout(x, n_batch=0, n_dense=0)
    BCOO(float32[2, 3, 4], nse=24)
    """
    check_bcoo("bcoo_update_layout", mat)
    nb = mat.n_batch if n_batch is None else int(n_batch)
    nd = mat.n_dense if n_dense is None else int(n_dense)
    if min(nb, nd) < 0 or nb + nd > mat.ndim:
        raise ValueError(
            f"bcoo_update_layout: an array of shape {mat.shape} cannot have n_batch={nb} and "
            f"n_dense={nd}{at_user_line()}"
        )
    if on_inefficient not in ("error", "warn", None):
        raise ValueError(
            "bcoo_update_layout: on_inefficient must be 'error', 'warn' or None, got "
            f"{on_inefficient!r}{at_user_line()}"
        )
    for what, old, new in (("n_batch", mat.n_batch, nb), ("n_dense", mat.n_dense, nd)):
        if new > old and on_inefficient is not None:
            text = (
                f"bcoo_update_layout: an array of shape {mat.shape} with {what} raised from {old} "
                f"to {new} stores zeros; on_inefficient=None allows it"
            )
            if on_inefficient == "error":
                raise SparseEfficiencyError(text + at_user_line())
            warn(text, SparseEfficiencyWarning)
    return _relaid(mat, nb, nd)


@fused("n_batch", "n_dense")
def _relaid(mat: BCOO, n_batch: int, n_dense: int) -> BCOO:
    while mat.n_dense > n_dense:
        mat = _dense_to_sparse(mat)
    while mat.n_batch > n_batch:
        mat = _batch_to_sparse(mat)
    while mat.n_dense < n_dense:
        mat = _sparse_to_dense(mat)
    while mat.n_batch < n_batch:
        mat = _sparse_to_batch(mat)
    return mat


def _dense_to_sparse(mat: BCOO) -> BCOO:
    """The first dense axis becomes the last sparse one."""
    nb, n = mat.n_batch, parts(mat)[2][0]
    data = cnp.reshape(mat.data, (*mat.data.shape[:nb], mat.nse * n, *mat.data.shape[nb + 2 :]))
    batch = mat.indices.shape[:nb]
    old = cnp.broadcast_to(mat.indices[..., None, :], (*batch, mat.nse, n, mat.n_sparse))
    new = cnp.broadcast_to(cnp.arange(n, dtype=mat.indices.dtype)[:, None], (*batch, mat.nse, n, 1))
    indices = cnp.concatenate([old, new], -1)
    indices = cnp.reshape(indices, (*batch, mat.nse * n, mat.n_sparse + 1))
    # Blocks of the same coordinates, as those out of bounds have, are no longer in order.
    info = SparseInfo(mat.shape, mat.indices_sorted and mat.unique_indices, mat.unique_indices)
    return BCOO.tree_unflatten(info, (data, indices))


def _batch_to_sparse(mat: BCOO) -> BCOO:
    """The last batch axis becomes the first sparse one."""
    mat = full_batch(mat)
    batch = parts(mat)[0]
    n = batch[-1]
    new = cnp.arange(n, dtype=mat.indices.dtype)[:, None, None]
    new = cnp.broadcast_to(new, (*batch, mat.nse, 1))
    indices = cnp.concatenate([new, mat.indices], -1)
    shape = (*batch[:-1], n * mat.nse)
    data = cnp.reshape(mat.data, (*shape, *mat.data.shape[len(batch) + 1 :]))
    indices = cnp.reshape(indices, (*shape, mat.n_sparse + 1))
    return BCOO.tree_unflatten(mat._info, (data, indices))


def _sparse_to_dense(mat: BCOO) -> BCOO:
    """The last sparse axis becomes the first dense one."""
    mat = full_batch(mat)
    n = parts(mat)[1][-1]

    def one(block: Any, index: Any) -> Any:
        return scatter_blocks(block[None], index[None, None], (n,), False, True)

    data = batched(one, mat.n_batch + 1)(mat.data, mat.indices[..., -1])
    info = SparseInfo(mat.shape, mat.indices_sorted, False)
    return BCOO.tree_unflatten(info, (data, mat.indices[..., :-1]))


def _sparse_to_batch(mat: BCOO) -> BCOO:
    """The first sparse axis becomes the last batch one: each element of the batch stores all."""
    mat = full_batch(mat)
    nb, n = mat.n_batch, parts(mat)[1][0]
    own = cnp.arange(n, dtype=mat.indices.dtype)[:, None] == mat.indices[..., None, :, 0]
    data = cnp.expand_dims(mat.data, nb)
    data = cnp.where(over_blocks(own, data), data, 0).astype(mat.dtype)
    limits = cnp.array(parts(mat)[1][1:], mat.indices.dtype).reshape(mat.n_sparse - 1)
    indices = cnp.where(own[..., None], mat.indices[..., None, :, 1:], limits)
    info = SparseInfo(mat.shape, False, False)
    return BCOO.tree_unflatten(info, (data, indices))
