"""The order of axes and coordinates: transposes, sorting, each coordinate once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axes
from covector.core.trace import Composed
from covector.experimental.sparse._base import (
    SparseInfo,
)
from covector.experimental.sparse._bcoo import (
    BCOO,
    _bcoo_of,
    _firsts,
    batched,
    check_bcoo,
    full_batch,
    in_bounds,
    lexicographic,
    parts,
    scatter_blocks,
)
from covector.numpy._util import fused, is_concrete


@fused("permutation")
def bcoo_transpose(mat: BCOO, *, permutation: Sequence[int]) -> BCOO:
    """A sparse array with its axes in another order.

    Parameters
    ----------
    mat : BCOO
    permutation : sequence of int
        Which axis of ``mat`` each axis of the result is. Batch axes stay batch axes, and dense
        axes stay dense.

    Returns
    -------
    BCOO

    Raises
    ------
    ValueError
        If ``permutation`` is not one of the axes.
    NotImplementedError
        If axes of different kinds change places.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.array([[1, 2, 0]]))
    >>> sparse.bcoo_transpose(x, permutation=(1, 0)).todense()
    Array([[1],
           [2],
           [0]], dtype=int32)
    """
    check_bcoo("bcoo_transpose", mat)
    axes = canonical_axes(tuple(permutation), mat)
    if sorted(axes) != list(range(mat.ndim)):
        raise ValueError(
            f"bcoo_transpose: {tuple(permutation)} is not a permutation of the axes of an array "
            f"of shape {mat.shape}{at_user_line()}"
        )
    nb, ns = mat.n_batch, mat.n_sparse
    kinds = [0 if k < nb else 1 if k < nb + ns else 2 for k in range(mat.ndim)]
    if [kinds[a] for a in axes] != kinds:
        raise NotImplementedError(
            f"bcoo_transpose: {axes} moves batch, sparse and dense axes (n_batch={nb}, n_dense="
            f"{mat.n_dense}) among each other; update_layout makes them alike{at_user_line()}"
        )
    sparse = [a - nb for a in axes[nb : nb + ns]]
    data = cnp.transpose(mat.data, (*axes[:nb], nb, *(a - ns + 1 for a in axes[nb + ns :])))
    indices = cnp.transpose(mat.indices, (*axes[:nb], nb, nb + 1))
    if sparse != sorted(sparse):
        indices = indices[..., cnp.array(sparse)]
    return BCOO(
        (data, indices),
        shape=[mat.shape[a] for a in axes],
        indices_sorted=mat.indices_sorted and sparse == sorted(sparse),
        unique_indices=mat.unique_indices,
    )


@fused()
def bcoo_sort_indices(mat: BCOO) -> BCOO:
    """A sparse array with its coordinates in lexicographic order.

    Parameters
    ----------
    mat : BCOO

    Returns
    -------
    BCOO

    Raises
    ------
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> x = sparse.bcoo_rev(sparse.eye(2), (0,))
    >>> sparse.bcoo_sort_indices(x).indices
    Array([[0, 1],
           [1, 0]], dtype=int32)
    """
    check_bcoo("bcoo_sort_indices", mat)
    if mat.indices_sorted:
        return mat
    mat = full_batch(mat)

    def one(data: Any, indices: Any) -> tuple[Any, Any]:
        order = lexicographic(indices)
        return data[order], indices[order]

    data, indices = batched(one, mat.n_batch)(mat.data, mat.indices)
    info = SparseInfo(mat.shape, True, mat.unique_indices)
    return BCOO.tree_unflatten(info, (data, indices))


def _normalised(indices: Any, sizes: Sequence[int]) -> Any:
    """Coordinates with all that are out of bounds in one place, behind the others."""
    limits = cnp.array(sizes, indices.dtype).reshape(len(sizes))
    return cnp.where(in_bounds(indices, sizes)[..., None], indices, limits)


@fused()
def zeros_dropped(mat: BCOO) -> BCOO:
    mat = full_batch(mat)
    sizes = parts(mat)[1]
    axes = tuple(range(mat.n_batch + 1, mat.data.ndim))
    some = cnp.any(mat.data != 0, axis=axes) if axes else mat.data != 0
    limits = cnp.array(sizes, mat.indices.dtype).reshape(len(sizes))
    indices = cnp.where(some[..., None], mat.indices, limits)
    return BCOO.tree_unflatten(SparseInfo(mat.shape), (mat.data, indices))


@fused()
def _distinct(mat: BCOO) -> Any:
    """The number of different coordinates of each element of the batch."""
    sizes = parts(mat)[1]

    def one(indices: Any) -> Any:
        if not indices.shape[0]:
            return 0
        return cnp.sum(_firsts(_normalised(indices, sizes)) & in_bounds(indices, sizes))

    return batched(one, mat.n_batch)(mat.indices)


def bcoo_sum_duplicates(mat: BCOO, nse: int | None = None) -> BCOO:
    """A sparse array that stores each coordinate once, in order.

    Parameters
    ----------
    mat : BCOO
    nse : int, optional
        How many blocks the result stores; by default as many as there are different coordinates,
        which must not be traced. What is too much is left out.

    Returns
    -------
    BCOO
        With sorted, unique coordinates.

    Raises
    ------
    ValueError
        If ``nse`` is not given and ``mat`` is traced.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO((np.array([1, 2, 3]), np.array([[1], [0], [1]])), shape=(2,))
    >>> sparse.bcoo_sum_duplicates(x).data
    Array([2, 4], dtype=int32)
    """
    check_bcoo("bcoo_sum_duplicates", mat)
    if nse is None:
        if not is_concrete(mat.indices):
            raise ValueError(
                "bcoo_sum_duplicates: nse must be given where the indices are traced, as in jit "
                f"and vmap: the size of the result depends on it{at_user_line()}"
            )
        nse = int(onp.max(onp.asarray(_distinct(mat)), initial=0))
    return _sum_duplicates(mat, int(nse))


@fused("nse")
def _sum_duplicates(mat: BCOO, nse: int) -> BCOO:
    mat = full_batch(mat)
    sizes = parts(mat)[1]

    def one(data: Any, indices: Any) -> tuple[Any, Any]:
        limits = cnp.array(sizes, indices.dtype).reshape(len(sizes))
        if not indices.shape[0]:
            out = cnp.broadcast_to(limits, (nse, len(sizes)))
            return cnp.zeros((nse, *data.shape[1:]), data.dtype), out
        kept = _normalised(indices, sizes)
        order = lexicographic(kept)
        data, ordered = data[order], kept[order]
        new = cnp.any(ordered[1:] != ordered[:-1], axis=-1)
        group = cnp.concatenate([cnp.zeros((1,), cnp.int32), cnp.cumsum(new, dtype=cnp.int32)])
        group = cnp.where(in_bounds(ordered, sizes), group, nse)[:, None]
        sums = scatter_blocks(data, group, (nse,), True, False)
        out = cnp.broadcast_to(limits, (nse, len(sizes)))
        return sums, out.at[group[:, 0]].set(ordered, mode="drop")

    data, indices = batched(one, mat.n_batch)(mat.data, mat.indices)
    return BCOO.tree_unflatten(SparseInfo(mat.shape, True, True), (data, indices))


# ``bind(data, indices, permutation=, spinfo=)``: data and indices of `bcoo_transpose`.
bcoo_transpose_p = Composed(
    "bcoo_transpose",
    lambda data, indices, *, permutation, spinfo: list(
        bcoo_transpose(_bcoo_of(data, indices, spinfo), permutation=permutation)._buffers()
    ),
)
# ``bind(data, indices, spinfo=)``: data and indices of `bcoo_sort_indices`.
bcoo_sort_indices_p = Composed(
    "bcoo_sort_indices",
    lambda data, indices, *, spinfo: list(
        bcoo_sort_indices(_bcoo_of(data, indices, spinfo))._buffers()
    ),
)
# ``bind(data, indices, spinfo=, nse=)``: data and indices of `bcoo_sum_duplicates`.
bcoo_sum_duplicates_p = Composed(
    "bcoo_sum_duplicates",
    lambda data, indices, *, spinfo, nse: list(
        bcoo_sum_duplicates(_bcoo_of(data, indices, spinfo), nse=nse)._buffers()
    ),
)
