"""Parts of sparse arrays: slices, gathers; and convolutions, which are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core.errors import at_user_line
from covector.core.operands import product
from covector.experimental.sparse._base import SparseInfo
from covector.experimental.sparse._bcoo import (
    BCOO,
    check_bcoo,
    full_batch,
    in_bounds,
    over_blocks,
    parts,
)
from covector.experimental.sparse._layouts import _relaid
from covector.experimental.sparse._shapes import _bounded, _limits, _stacked
from covector.numpy._util import fused, promote_dtypes


def bcoo_slice(
    mat: BCOO,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None = None,
) -> BCOO:
    """A part of a sparse array: as `covector.lax.slice`.

    Parameters
    ----------
    mat : BCOO
    start_indices, limit_indices : sequence of int
        Where the part begins and ends along each axis.
    strides : sequence of int, optional

    Returns
    -------
    BCOO
        With as much stored as ``mat``, but no more than there are places.

    Raises
    ------
    ValueError
        If the part is not inside.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_slice(
    ...     sparse.eye(3), start_indices=(0, 1), limit_indices=(3, 3)).todense()
    Array([[0., 0.],
           [1., 0.],
           [0., 1.]], dtype=float32)
    """
    check_bcoo("bcoo_slice", mat)
    steps = (1,) * mat.ndim if strides is None else tuple(strides)
    bounds = tuple(start_indices), tuple(limit_indices), steps
    if any(len(b) != mat.ndim for b in bounds) or any(
        not 0 <= s <= e <= n or k < 1 for s, e, k, n in zip(*bounds, mat.shape, strict=True)
    ):
        raise ValueError(
            f"bcoo_slice: from {bounds[0]} to {bounds[1]} in steps of {steps} is no part of an "
            f"array of shape {mat.shape}{at_user_line()}"
        )
    return _slice(mat, *bounds)


@fused("starts", "limits", "strides")
def _slice(
    mat: BCOO, starts: tuple[int, ...], limits: tuple[int, ...], strides: tuple[int, ...]
) -> BCOO:
    nb, ns = mat.n_batch, mat.n_sparse
    shape = tuple(-(-(e - s) // k) for s, e, k in zip(starts, limits, strides, strict=True))

    def cut(x: Any, trailing: bool) -> Any:
        index = [
            slice(starts[a], limits[a], strides[a]) if x.shape[a] != 1 or mat.shape[a] == 1
            else slice(None) for a in range(nb)
        ]  # fmt: skip
        index.append(slice(None))
        if trailing:
            index += [slice(starts[a], limits[a], strides[a]) for a in range(nb + ns, mat.ndim)]
        return x[tuple(index)]

    data, indices = cut(mat.data, True), cut(mat.indices, False)
    valid = in_bounds(indices, parts(mat)[1])
    columns = []
    for k in range(ns):
        a = nb + k
        moved = indices[..., k] - starts[a]
        valid = valid & (moved >= 0) & (indices[..., k] < limits[a])
        if strides[a] != 1:
            valid = valid & (moved % strides[a] == 0)
            moved = moved // strides[a]
        columns.append(moved)
    return _kept(mat, data, _stacked(columns, indices), valid, shape)


def _kept(mat: BCOO, data: Any, indices: Any, valid: Any, shape: tuple[int, ...]) -> BCOO:
    """An array of blocks of which only those that are valid count."""
    nb, ns = mat.n_batch, mat.n_sparse
    limits = _limits(shape[nb : nb + ns], indices.dtype)
    indices = cnp.where(valid[..., None], indices, limits)
    if valid.shape[:nb] != data.shape[:nb]:
        batch = shape[:nb]
        data = cnp.broadcast_to(data, (*batch, *data.shape[nb:]))
        valid = cnp.broadcast_to(valid, (*batch, *valid.shape[nb:]))
    data = cnp.where(over_blocks(valid, data), data, 0).astype(data.dtype)
    return _bounded(
        BCOO.tree_unflatten(SparseInfo(shape, False, mat.unique_indices), (data, indices))
    )


def bcoo_dynamic_slice(mat: BCOO, start_indices: Sequence[Any], slice_sizes: Sequence[int]) -> BCOO:
    """A part of a sparse array that begins where the program says.

    Parameters
    ----------
    mat : BCOO
    start_indices : sequence of int scalars
        They are moved so that the part is inside, as by `covector.lax.dynamic_slice`.
    slice_sizes : sequence of int

    Returns
    -------
    BCOO

    Raises
    ------
    ValueError
        If the sizes do not fit.
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_dynamic_slice(sparse.eye(3), (1, 1), (2, 1)).todense()
    Array([[1.],
           [0.]], dtype=float32)
    """
    check_bcoo("bcoo_dynamic_slice", mat)
    sizes = tuple(map(int, slice_sizes))
    starts = tuple(start_indices)
    if (
        len(sizes) != mat.ndim
        or len(starts) != mat.ndim
        or any(not 0 <= n <= m for n, m in zip(sizes, mat.shape, strict=True))
    ):
        raise ValueError(
            f"bcoo_dynamic_slice: {len(starts)} start_indices and the sizes {sizes} do not fit an "
            f"array of shape {mat.shape}{at_user_line()}"
        )
    return _dynamic_slice(mat, starts, sizes)


@fused("sizes")
def _dynamic_slice(mat: BCOO, starts: tuple[Any, ...], sizes: tuple[int, ...]) -> BCOO:
    mat = full_batch(mat)
    nb, ns = mat.n_batch, mat.n_sparse
    at = [
        cnp.clip(cnp.asarray(s), 0, n - m) for s, n, m in zip(starts, mat.shape, sizes, strict=True)
    ]
    zero = cnp.zeros((), onp.int32)
    at = [a.astype(onp.int32) for a in at]
    data = lax.dynamic_slice(
        mat.data, [*at[:nb], zero, *at[nb + ns :]], (*sizes[:nb], mat.nse, *sizes[nb + ns :])
    )
    indices = lax.dynamic_slice(mat.indices, [*at[:nb], zero, zero], (*sizes[:nb], mat.nse, ns))
    valid = in_bounds(indices, parts(mat)[1])
    columns = []
    for k in range(ns):
        moved = indices[..., k] - at[nb + k].astype(indices.dtype)
        valid = valid & (moved >= 0) & (moved < sizes[nb + k])
        columns.append(moved)
    return _kept(mat, data, _stacked(columns, indices), valid, sizes)


@fused("dimension_numbers", "slice_sizes", "unique_indices", "indices_are_sorted", "mode")
def bcoo_gather(
    operand: BCOO,
    start_indices: Any,
    dimension_numbers: lax.GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> BCOO:
    """Parts of a sparse array: as `covector.lax.gather`.

    Parameters
    ----------
    operand : BCOO
    start_indices : array_like of int
        Where parts begin. The last axis holds the components.
    dimension_numbers : GatherDimensionNumbers
    slice_sizes : sequence of int
    unique_indices, indices_are_sorted : bool
        Promises about ``start_indices``.
    mode : GatherScatterMode or str, optional
        What indices out of bounds mean: ``fill`` (0) or ``clip``.
    fill_value : 0, optional
        What parts out of bounds are filled with. Only 0 is not stored.

    Returns
    -------
    BCOO
        All of whose axes are sparse. It stores each element of ``operand`` for each part.

    Raises
    ------
    NotImplementedError
        For another ``fill_value``, or numbers with batching axes.
    TypeError
        If ``operand`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> from covector.experimental import sparse
    >>> numbers = lax.GatherDimensionNumbers((1,), (0,), (0,))
    >>> sparse.bcoo_gather(sparse.eye(3), np.array([[2], [0]]), numbers, (1, 3)).todense()
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    check_bcoo("bcoo_gather", operand)
    if fill_value is not None and not (isinstance(fill_value, (int, float)) and fill_value == 0):
        raise NotImplementedError(
            f"bcoo_gather: only 0 is not stored, got fill_value={fill_value!r}{at_user_line()}"
        )
    dn = dimension_numbers
    if dn.operand_batching_dims:
        raise NotImplementedError(f"bcoo_gather: batching axes of the numbers{at_user_line()}")
    mat, start_indices = _relaid(operand, 0, 0), cnp.asarray(start_indices)
    places = start_indices.shape[:-1]
    starts = start_indices.reshape(product(places), start_indices.shape[-1])
    starts = starts.astype(mat.indices.dtype)
    room = _limits([mat.shape[a] - slice_sizes[a] for a in dn.start_index_map], starts.dtype)
    inside = cnp.all((starts >= 0) & (starts <= room), axis=-1)
    if mode is None or not any(w in str(mode).upper() for w in ("CLIP", "PROMISE")):
        valid = inside[:, None]
    else:
        starts, valid = cnp.clip(starts, 0, room), cnp.ones((starts.shape[0], 1), bool)
    valid = valid & in_bounds(mat.indices, mat.shape)[None, :]
    at = []
    for a in range(mat.ndim):
        moved = mat.indices[None, :, a]
        if a in dn.start_index_map:
            moved = moved - starts[:, dn.start_index_map.index(a), None]
        valid = valid & (moved >= 0) & (moved < slice_sizes[a])
        at.append(cnp.broadcast_to(moved, (starts.shape[0], mat.nse)))
    windows = [a for a in range(mat.ndim) if a not in dn.collapsed_slice_dims]
    return _gathered(mat, dn, places, windows, slice_sizes, at, valid)


def _gathered(
    mat: BCOO, dn: Any, places: Any, windows: Any, slice_sizes: Any, at: Any, valid: Any
) -> BCOO:
    """The result of a gather: for each part, what of it is stored."""
    ndim = len(places) + len(windows)
    which = iter(cnp.indices(places, dtype=mat.indices.dtype)) if places else iter(())
    sizes, columns, inner, outer = [], [], iter(windows), iter(places)
    for k in range(ndim):
        if k in dn.offset_dims:
            a = next(inner)
            sizes.append(slice_sizes[a])
            columns.append(at[a])
        else:
            sizes.append(next(outer))
            columns.append(cnp.broadcast_to(next(which).reshape(-1, 1), valid.shape))
    indices = cnp.where(
        valid[..., None], cnp.stack(columns, -1) if columns else mat.indices[None, :, :0],
        _limits(sizes, mat.indices.dtype),
    )  # fmt: skip
    data = cnp.where(valid, mat.data[None], 0).astype(mat.dtype)
    info = SparseInfo(tuple(sizes), False, mat.unique_indices)
    out = BCOO.tree_unflatten(info, (data.reshape(-1), indices.reshape(-1, ndim)))
    return _bounded(out)


def bcoo_conv_general_dilated(
    lhs: BCOO,
    rhs: BCOO,
    *,
    window_strides: Sequence[int],
    padding: Any,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> BCOO:
    """The convolution of two sparse arrays: as `covector.lax.conv_general_dilated`.

    Parameters
    ----------
    lhs, rhs : BCOO
        Inputs and kernels.
    window_strides : sequence of int
    padding : str or sequence of pairs of int
    lhs_dilation, rhs_dilation : sequence of int, optional
    dimension_numbers : tuple of str, optional
        The order of the axes; by default batch, features, and the others.
    feature_group_count, batch_group_count : int
        Only 1 is supported.
    precision, preferred_element_type, out_sharding : None
        Not supported.

    Returns
    -------
    BCOO
        All of whose axes are sparse.

    Raises
    ------
    NotImplementedError
        For groups, and options that are not supported.
    TypeError
        If an operand is not a BCOO.

    Notes
    -----
    Each stored element of ``lhs`` meets each of ``rhs``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.array([[[0.0, 1.0, 0.0, 2.0]]]))
    >>> k = sparse.BCOO.fromdense(np.array([[[1.0, 3.0]]]))
    >>> sparse.bcoo_conv_general_dilated(
    ...     x, k, window_strides=(1,), padding=[(0, 0)]).todense()
    Array([[[3., 1., 6.]]], dtype=float32)
    """
    check_bcoo("bcoo_conv_general_dilated", lhs, rhs)
    if feature_group_count != 1 or batch_group_count != 1:
        raise NotImplementedError(
            "bcoo_conv_general_dilated: groups are not supported, got feature_group_count="
            f"{feature_group_count} and batch_group_count={batch_group_count}{at_user_line()}"
        )
    if preferred_element_type is not None or out_sharding is not None:
        raise NotImplementedError(
            "bcoo_conv_general_dilated: preferred_element_type and out_sharding are not "
            f"supported{at_user_line()}"
        )
    n = lhs.ndim - 2
    options = {
        "window_strides": tuple(window_strides),
        "padding": padding if isinstance(padding, str) else tuple(map(tuple, padding)),
        "lhs_dilation": (1,) * n if lhs_dilation is None else tuple(lhs_dilation),
        "rhs_dilation": (1,) * n if rhs_dilation is None else tuple(rhs_dilation),
        "dimension_numbers": lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers),
    }
    return _convolve(lhs, rhs, tuple(options.items()))


@fused("options")
def _convolve(lhs: BCOO, rhs: BCOO, options: tuple[tuple[str, Any], ...]) -> BCOO:
    p = dict(options)
    dn, strides, padding = p["dimension_numbers"], p["window_strides"], p["padding"]
    # In the order batch, features, others.
    x = _relaid(lhs, 0, 0).transpose(dn.lhs_spec)
    k = _relaid(rhs, 0, 0).transpose(dn.rhs_spec)
    spread = [max(0, (n - 1) * d + 1) for n, d in zip(x.shape[2:], p["lhs_dilation"], strict=True)]
    window = [(n - 1) * d + 1 for n, d in zip(k.shape[2:], p["rhs_dilation"], strict=True)]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(spread, window, strides, padding)
    sizes = [x.shape[0], k.shape[0]] + [
        max(0, (n + lo + hi - w) // s + 1)
        for n, w, s, (lo, hi) in zip(spread, window, strides, padding, strict=True)
    ]
    a, b = promote_dtypes("bcoo_conv_general_dilated", x.data, k.data)
    i, j = x.indices, k.indices
    valid = in_bounds(i, x.shape)[:, None] & in_bounds(j, k.shape)[None, :]
    valid = valid & (i[:, None, 1] == j[None, :, 1])
    columns = [i[:, None, 0], j[None, :, 0]]
    for q in range(len(strides)):
        at = i[:, None, 2 + q] * p["lhs_dilation"][q] + padding[q][0]
        at = at - j[None, :, 2 + q] * p["rhs_dilation"][q]
        valid = valid & (at >= 0) & (at % strides[q] == 0)
        at = at // strides[q]
        valid = valid & (at < sizes[2 + q])
        columns.append(at)
    indices = cnp.stack([cnp.broadcast_to(c, valid.shape) for c in columns], -1)
    indices = cnp.where(valid[..., None], indices, _limits(sizes, i.dtype))
    data = cnp.where(valid, a[:, None] * b[None, :], 0).astype(a.dtype).reshape(-1)
    info = SparseInfo(tuple(sizes))
    out = _bounded(BCOO.tree_unflatten(info, (data, indices.reshape(-1, len(sizes)))))
    order = [dn.out_spec.index(d) for d in range(len(sizes))]
    return out.transpose(order)
