"""Shapes of sparse arrays in the batched coordinate format: parts, joins, reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.operands import canonical_axes, canonical_axis, canonical_shape, product
from covector.experimental.sparse._base import SparseInfo
from covector.experimental.sparse._bcoo import (
    BCOO,
    check_bcoo,
    full_batch,
    in_bounds,
    over_blocks,
    parts,
)
from covector.experimental.sparse._order import _sum_duplicates, bcoo_transpose
from covector.numpy._util import fused, promote_dtypes


def _kind(mat: BCOO, axis: int) -> int:
    """0, 1 or 2 for a batch, sparse or dense axis."""
    return 0 if axis < mat.n_batch else 1 if axis < mat.n_batch + mat.n_sparse else 2


def _limits(sizes: Sequence[int], dtype: Any) -> Any:
    return cnp.array(tuple(sizes), dtype).reshape(len(sizes))


def _bounded(mat: BCOO) -> BCOO:
    """The array with no more stored than there are places."""
    most = product(parts(mat)[1])
    return _sum_duplicates(mat, most) if mat.nse > most else mat


@fused("shape", "broadcast_dimensions")
def _broadcast(mat: BCOO, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> BCOO:
    dims, nb, ns, nd = broadcast_dimensions, mat.n_batch, mat.n_sparse, mat.n_dense
    ends = dims[nb + ns :]
    first_dense = min(ends, default=len(shape)) if nd else len(shape)
    sparse_to = dims[nb : nb + ns]
    first_sparse = min(sparse_to, default=first_dense)
    last_batch = max(dims[:nb], default=-1)
    # New axes before the sparse ones are batch axes that cost nothing.
    new_nb = max(last_batch + 1, first_sparse) if nb or first_sparse else 0
    new_sparse = list(range(new_nb, first_dense))
    grown = [d for d in new_sparse if d not in sparse_to or mat.shape[dims.index(d)] != shape[d]]
    if any(shape[d] != 1 for d in grown):
        return _broadcast_sparse(mat, shape, dims, new_nb, first_dense)
    batch_dims = dims[:nb]
    data = lax.broadcast_in_dim(
        mat.data,
        (*_sizes(mat.data, batch_dims, new_nb), mat.nse, *shape[first_dense:]),
        [*batch_dims, new_nb, *(d - first_dense + new_nb + 1 for d in ends)],
    )
    columns = []
    for d in new_sparse:
        if d in sparse_to:
            columns.append(mat.indices[..., sparse_to.index(d)])
        else:
            columns.append(cnp.zeros_like(mat.indices, shape=mat.indices.shape[:-1]))
    indices = mat.indices if list(sparse_to) == new_sparse else _stacked(columns, mat.indices)
    indices = lax.broadcast_in_dim(
        indices,
        (*_sizes(indices, batch_dims, new_nb), mat.nse, len(new_sparse)),
        [*batch_dims, new_nb, new_nb + 1],
    )
    info = SparseInfo(shape, mat.indices_sorted and list(sparse_to) == new_sparse,
                      mat.unique_indices)  # fmt: skip
    return BCOO(
        (data, indices), shape=shape, indices_sorted=info.indices_sorted,
        unique_indices=info.unique_indices,
    )  # fmt: skip


def _sizes(x: Any, batch_dims: Sequence[int], n: int) -> list[int]:
    """Batch sizes of a buffer: 1 where it is new, to be broadcast."""
    return [x.shape[list(batch_dims).index(d)] if d in batch_dims else 1 for d in range(n)]


def _stacked(columns: Sequence[Any], indices: Any) -> Any:
    if not columns:
        return cnp.zeros((*indices.shape[:-1], 0), indices.dtype)
    return cnp.stack(columns, -1)


def _broadcast_sparse(
    mat: BCOO, shape: tuple[int, ...], dims: tuple[int, ...], new_nb: int, first_dense: int
) -> BCOO:
    """Where sparse axes grow, what is stored is repeated."""
    small = [1] * len(shape)
    for k, d in enumerate(dims):
        small[d] = mat.shape[k] if new_nb <= d < first_dense else shape[d]
    for d in range(len(shape)):
        if d not in dims and not new_nb <= d < first_dense:
            small[d] = shape[d]
    out = full_batch(_broadcast(mat, tuple(small), dims))
    for d in range(new_nb, first_dense):
        if small[d] == shape[d]:
            continue
        n, k = shape[d], d - new_nb
        batch = out.indices.shape[:new_nb]
        count = cnp.arange(n, dtype=out.indices.dtype)
        valid = in_bounds(out.indices, [*small[new_nb:first_dense]])
        indices = cnp.broadcast_to(out.indices[..., None, :], (*batch, out.nse, n, out.n_sparse))
        column = cnp.where(valid[..., None], count, n)
        indices = indices.at[..., k].set(column).reshape(*batch, out.nse * n, out.n_sparse)
        data = cnp.repeat(out.data, n, axis=new_nb)
        small[d] = n
        info = SparseInfo(tuple(small), False, out.unique_indices)
        out = BCOO.tree_unflatten(info, (data, indices))
    return out


def bcoo_broadcast_in_dim(
    mat: BCOO, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCOO:
    """A sparse array broadcast to a shape: as `covector.lax.broadcast_in_dim`.

    Parameters
    ----------
    mat : BCOO
    shape : sequence of int
    broadcast_dimensions : sequence of int
        Which axis of the result each axis of ``mat`` becomes. They increase.
    sharding : None
        Not supported.

    Returns
    -------
    BCOO
        New axes before the sparse ones are batch axes, those among them sparse. What is stored is
        repeated only along sparse axes.

    Raises
    ------
    ValueError
        If the axes do not fit ``shape``.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_broadcast_in_dim(
    ...     sparse.eye(2), shape=(3, 2, 2), broadcast_dimensions=(1, 2))
    BCOO(float32[3, 2, 2], nse=2, n_batch=1)
    """
    check_bcoo("bcoo_broadcast_in_dim", mat)
    if sharding is not None:
        raise NotImplementedError("bcoo_broadcast_in_dim: sharding is not supported")
    shape, dims = canonical_shape(tuple(shape)), tuple(map(int, broadcast_dimensions))
    if (
        len(dims) != mat.ndim or list(dims) != sorted(set(dims))
        or any(not 0 <= d < len(shape) for d in dims)
        or any(n not in (1, shape[d]) for n, d in zip(mat.shape, dims, strict=True))
    ):  # fmt: skip
        raise ValueError(
            f"bcoo_broadcast_in_dim: an array of shape {mat.shape} cannot be broadcast to {shape} "
            f"along the axes {dims}{at_user_line()}"
        )
    return _broadcast(mat, shape, dims)


def bcoo_concatenate(operands: Sequence[BCOO], *, dimension: int) -> BCOO:
    """Sparse arrays joined along an axis.

    Parameters
    ----------
    operands : sequence of BCOO
        With as many batch and dense axes, and of one shape but along the axis.
    dimension : int

    Returns
    -------
    BCOO

    Raises
    ------
    ValueError
        If there are no operands, or their layouts or shapes do not fit.
    TypeError
        If an operand is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_concatenate([sparse.eye(2), sparse.eye(2)], dimension=1).todense()
    Array([[1., 0., 1., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """
    operands = list(operands)
    if not operands:
        raise ValueError(f"bcoo_concatenate needs at least one array, got none{at_user_line()}")
    check_bcoo("bcoo_concatenate", *operands)
    first = operands[0]
    axis = canonical_axis(dimension, first)
    for x in operands:
        if (x.n_batch, x.n_sparse, x.n_dense) != (first.n_batch, first.n_sparse, first.n_dense):
            raise ValueError(
                "bcoo_concatenate: the arrays must have as many batch, sparse and dense axes, got "
                f"{first!r} and {x!r}{at_user_line()}"
            )
        if any(a != b for k, (a, b) in enumerate(zip(x.shape, first.shape, strict=True))
               if k != axis):  # fmt: skip
            raise ShapeMismatchError(
                f"bcoo_concatenate: the shapes must agree but along axis {axis}, got "
                f"{first.shape} and {x.shape}{at_user_line()}"
            )
    return _concatenate(operands, axis)


@fused("axis")
def _concatenate(operands: list[BCOO], axis: int) -> BCOO:
    first = operands[0]
    shape = list(first.shape)
    shape[axis] = sum(x.shape[axis] for x in operands)
    dtypes = promote_dtypes("bcoo_concatenate", *[x.data for x in operands])
    mats = [full_batch(x._with(d)) for x, d in zip(operands, dtypes, strict=True)]
    nb, kind = first.n_batch, _kind(first, axis)
    if kind == 0:
        most = max(x.nse for x in mats)
        mats = [_padded(x, most) for x in mats]
        data = cnp.concatenate([x.data for x in mats], axis)
        indices = cnp.concatenate([x.indices for x in mats], axis)
        return BCOO.tree_unflatten(
            SparseInfo(tuple(shape), all(x.indices_sorted for x in mats),
                       all(x.unique_indices for x in mats)), (data, indices),
        )  # fmt: skip
    starts = onp.cumsum([0, *(x.shape[axis] for x in operands)])
    datas, moved = [], []
    for x, start in zip(mats, starts[:-1].tolist(), strict=True):
        if kind == 2:
            padding = [(0, 0)] * x.data.ndim
            padding[axis - first.n_sparse + 1] = (
                start, shape[axis] - start - x.shape[axis]
            )  # fmt: skip
            datas.append(cnp.pad(x.data, padding))
            moved.append(x.indices)
            continue
        limits = _limits([shape[nb + k] for k in range(first.n_sparse)], x.indices.dtype)
        shift = onp.zeros(first.n_sparse, x.indices.dtype)
        shift[axis - nb] = start
        valid = in_bounds(x.indices, parts(x)[1])[..., None]
        datas.append(x.data)
        moved.append(cnp.where(valid, x.indices + cnp.asarray(shift), limits))
    # In order only if no padding comes between, which the shapes cannot tell.
    info = SparseInfo(tuple(shape), False, kind == 1 and all(x.unique_indices for x in mats))
    return BCOO.tree_unflatten(info, (cnp.concatenate(datas, nb), cnp.concatenate(moved, nb)))


def _padded(mat: BCOO, nse: int) -> BCOO:
    """The array with so many blocks stored, the last of them out of bounds."""
    more, nb = nse - mat.nse, mat.n_batch
    data = cnp.pad(mat.data, [(0, more if k == nb else 0) for k in range(mat.data.ndim)])
    limits = _limits(parts(mat)[1], mat.indices.dtype)
    end = cnp.broadcast_to(limits, (*mat.indices.shape[:nb], more, mat.n_sparse))
    return BCOO.tree_unflatten(mat._info, (data, cnp.concatenate([mat.indices, end], nb)))


def _groups(old: Sequence[int], new: Sequence[int], ends: Sequence[int]) -> list[int] | None:
    """Where the axes of ``new`` are cut so that their products are those of ``old`` cut at ends."""
    cuts, at = [], 0
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        want = product(old[begin:end])
        have = 1
        start = at
        # Axes of size 1 go with the group before, but a group without axes takes none.
        while at < len(new) and end > begin and (
            have != want or new[at] == 1 or (want == 0 and at == start)
        ):  # fmt: skip
            have *= new[at]
            at += 1
        if have != want:
            return None
        cuts.append(at)
    return cuts if at == len(new) else None


def _cuts(mat: BCOO, new: Sequence[int]) -> list[int] | None:
    return _groups(mat.shape, new, [mat.n_batch, mat.n_batch + mat.n_sparse, mat.ndim])


def keeps_kinds(mat: BCOO, new_sizes: Sequence[int]) -> bool:
    """Whether batch, sparse and dense axes are reshaped each by themselves."""
    return _cuts(mat, new_sizes) is not None


def bcoo_reshape(
    mat: BCOO, *, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None,
    sharding: Any = None,
) -> BCOO:  # fmt: skip
    """A sparse array in another shape.

    Parameters
    ----------
    mat : BCOO
    new_sizes : sequence of int
        Batch, sparse and dense axes are reshaped each by themselves.
    dimensions : sequence of int, optional
        The order in which the axes are walked.
    sharding : None
        Not supported.

    Returns
    -------
    BCOO

    Raises
    ------
    ShapeMismatchError
        If the shapes have not as many elements.
    ValueError
        If axes of different kinds would be mixed.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_reshape(sparse.eye(2), new_sizes=(4,)).todense()
    Array([1., 0., 0., 1.], dtype=float32)
    """
    check_bcoo("bcoo_reshape", mat)
    if sharding is not None:
        raise NotImplementedError("bcoo_reshape: sharding is not supported")
    if dimensions is not None and list(dimensions) != list(range(mat.ndim)):
        mat = bcoo_transpose(mat, permutation=tuple(dimensions))
    new = canonical_shape(tuple(new_sizes))
    if product(new) != mat.size:
        raise ShapeMismatchError(
            f"bcoo_reshape: an array of shape {mat.shape} does not have the elements of one of "
            f"shape {new}{at_user_line()}"
        )
    cuts = _cuts(mat, new)
    if cuts is None:
        raise ValueError(
            f"bcoo_reshape: the batch, sparse and dense axes of {mat!r} cannot be mixed in the "
            f"shape {new}; update_layout(n_batch=0, n_dense=0) makes all of them "
            f"sparse{at_user_line()}"
        )
    return _reshape(mat, new, tuple(cuts))


@fused("new", "cuts")
def _reshape(mat: BCOO, new: tuple[int, ...], cuts: tuple[int, ...]) -> BCOO:
    mat = full_batch(mat)
    sizes = parts(mat)[1]
    batch, sparse, dense = new[: cuts[0]], new[cuts[0] : cuts[1]], new[cuts[1] :]
    data = cnp.reshape(mat.data, (*batch, mat.nse, *dense))
    indices = mat.indices
    if sparse != sizes:
        dtype = cnp.promote_types(indices.dtype, onp.int32)
        if product(sizes) > onp.iinfo(dtype).max:
            dtype = onp.dtype(onp.int64)
        valid = in_bounds(indices, sizes)
        flat = cnp.zeros(indices.shape[:-1], dtype)
        for k, n in enumerate(sizes):
            flat = flat * n + indices[..., k].astype(dtype)
        columns = []
        for n in reversed(sparse):
            columns.append(cnp.remainder(flat, n) if n else flat)
            flat = cnp.floor_divide(flat, n) if n else flat
        fresh = _stacked(columns[::-1], indices).astype(indices.dtype)
        indices = cnp.where(valid[..., None], fresh, _limits(sparse, indices.dtype))
    indices = cnp.reshape(indices, (*batch, mat.nse, len(sparse)))
    return BCOO.tree_unflatten(
        SparseInfo(new, mat.indices_sorted, mat.unique_indices), (data, indices)
    )


@fused("dimensions")
def bcoo_rev(operand: BCOO, dimensions: Sequence[int]) -> BCOO:
    """A sparse array with axes reversed.

    Parameters
    ----------
    operand : BCOO
    dimensions : sequence of int

    Returns
    -------
    BCOO

    Raises
    ------
    TypeError
        If ``operand`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_rev(sparse.eye(2), (0,)).todense()
    Array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    check_bcoo("bcoo_rev", operand)
    axes = canonical_axes(tuple(dimensions), operand)
    nb, sizes = operand.n_batch, parts(operand)[1]
    kinds = [_kind(operand, a) for a in axes]
    batch = [a for a, k in zip(axes, kinds, strict=True) if k == 0]
    sparse = [a - nb for a, k in zip(axes, kinds, strict=True) if k == 1]
    dense = [a - operand.n_sparse + 1 for a, k in zip(axes, kinds, strict=True) if k == 2]
    data, indices = lax.rev(operand.data, [*batch, *dense]), lax.rev(operand.indices, batch)
    if sparse:
        valid = in_bounds(indices, sizes)
        for k in sparse:
            column = cnp.where(valid, sizes[k] - 1 - indices[..., k], indices[..., k])
            indices = indices.at[..., k].set(column)
    info = SparseInfo(operand.shape, operand.indices_sorted and not sparse, operand.unique_indices)
    return BCOO.tree_unflatten(info, (data, indices))


@fused("dimensions")
def bcoo_squeeze(arr: BCOO, *, dimensions: Sequence[int]) -> BCOO:
    """A sparse array without axes of size 1.

    Parameters
    ----------
    arr : BCOO
    dimensions : sequence of int
        The axes to leave out.

    Returns
    -------
    BCOO

    Raises
    ------
    ValueError
        If one of the axes has another size.
    TypeError
        If ``arr`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.array([[3, 4]]))
    >>> sparse.bcoo_squeeze(x, dimensions=(0,)).todense()
    Array([3, 4], dtype=int32)
    """
    check_bcoo("bcoo_squeeze", arr)
    axes = canonical_axes(tuple(dimensions), arr)
    if any(arr.shape[a] != 1 for a in axes):
        raise ValueError(
            f"bcoo_squeeze: the axes {axes} of an array of shape {arr.shape} do not all have the "
            f"size 1{at_user_line()}"
        )
    nb, ns = arr.n_batch, arr.n_sparse
    batch = tuple(a for a in axes if a < nb)
    dense = tuple(a - ns + 1 for a in axes if a >= nb + ns)
    gone = [a - nb for a in axes if nb <= a < nb + ns]
    indices = arr.indices
    if gone:
        # What is out of bounds stays so along an axis that is left.
        valid = in_bounds(indices, parts(arr)[1])
        columns = [k for k in range(ns) if k not in gone]
        limits = _limits([parts(arr)[1][k] for k in columns], indices.dtype)
        kept = _stacked([indices[..., k] for k in columns], indices)
        indices = cnp.where(valid[..., None], kept, limits)
        if not columns:
            arr = arr._with(cnp.where(over_blocks(valid, arr.data), arr.data, 0))
    shape = [n for a, n in enumerate(arr.shape) if a not in axes]
    return BCOO(
        (cnp.squeeze(arr.data, batch + dense), cnp.squeeze(indices, batch)),
        shape=shape, indices_sorted=arr.indices_sorted, unique_indices=arr.unique_indices,
    )  # fmt: skip


@fused("axes")
def bcoo_reduce_sum(mat: BCOO, *, axes: Sequence[int]) -> BCOO:
    """The sums of a sparse array along axes.

    Parameters
    ----------
    mat : BCOO
    axes : sequence of int

    Returns
    -------
    BCOO
        That stores what is added side by side, unless it were more than there are places.

    Raises
    ------
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_reduce_sum(sparse.eye(3), axes=(0,)).todense()
    Array([1., 1., 1.], dtype=float32)
    """
    check_bcoo("bcoo_reduce_sum", mat)
    axes = canonical_axes(tuple(axes), mat)
    nb, ns = mat.n_batch, mat.n_sparse
    batch = [a for a in axes if a < nb]
    gone = [a - nb for a in axes if nb <= a < nb + ns]
    mat = full_batch(mat)
    valid = in_bounds(mat.indices, parts(mat)[1])
    data = cnp.where(over_blocks(valid, mat.data), mat.data, 0).astype(mat.dtype)
    dense = tuple(a - ns + 1 for a in axes if a >= nb + ns)
    if dense:
        data = cnp.sum(data, axis=dense, dtype=data.dtype)
    columns = [k for k in range(ns) if k not in gone]
    limits = _limits([parts(mat)[1][k] for k in columns], mat.indices.dtype)
    kept = _stacked([mat.indices[..., k] for k in columns], mat.indices)
    indices = cnp.where(valid[..., None], kept, limits)
    rest = [a for a in range(nb) if a not in batch]
    # The batch axes that are added up stand beside what is stored.
    data = cnp.transpose(data, [*rest, *batch, *range(nb, data.ndim)])
    indices = cnp.transpose(indices, [*rest, *batch, nb, nb + 1])
    sizes = [mat.shape[a] for a in rest]
    nse = mat.nse * product([mat.shape[a] for a in batch])
    data = cnp.reshape(data, (*sizes, nse, *data.shape[nb + 1 :]))
    indices = cnp.reshape(indices, (*sizes, nse, len(columns)))
    shape = tuple(n for a, n in enumerate(mat.shape) if a not in axes)
    info = SparseInfo(shape, mat.indices_sorted and not gone and not batch,
                      mat.unique_indices and not gone and not batch)  # fmt: skip
    return _bounded(BCOO.tree_unflatten(info, (data, indices)))
