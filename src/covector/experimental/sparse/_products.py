"""Products with sparse arrays in the batched coordinate format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import product
from covector.core.trace import Composed
from covector.experimental.sparse._base import SparseInfo
from covector.experimental.sparse._bcoo import (
    BCOO,
    _bcoo_of,
    _like_dense,
    batched,
    bcoo_extract,
    bcoo_todense,
    check_bcoo,
    full_batch,
    gather_blocks,
    in_bounds,
    over_blocks,
    parts,
    scatter_blocks,
)
from covector.experimental.sparse._layouts import _relaid
from covector.experimental.sparse._order import _sum_duplicates
from covector.numpy._util import fused, promote_dtypes
from covector.primitives.groups import group_sums_p

# ((contracting of lhs, of rhs), (batch of lhs, of rhs))
Dims = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


def _dims(name: str, lhs: Any, rhs: Any, dimension_numbers: Any) -> Dims:
    (cl, cr), (bl, br) = (tuple(tuple(map(int, d)) for d in p) for p in dimension_numbers)
    for l, r in ((cl, cr), (bl, br)):
        sizes = [lhs.shape[k] for k in l], [rhs.shape[k] for k in r]
        if sizes[0] != sizes[1]:
            raise ShapeMismatchError(
                f"{name}: the axes {l} of an array of shape {lhs.shape} and {r} of one of shape "
                f"{rhs.shape} must have the same sizes{at_user_line()}"
            )
    return (cl, cr), (bl, br)


def _check_options(name: str, preferred_element_type: Any, out_sharding: Any) -> None:
    if out_sharding is not None:
        raise NotImplementedError(
            f"{name}: out_sharding is not supported, got {out_sharding!r}; lay the result out with "
            f"covector.reshard{at_user_line()}"
        )
    if preferred_element_type is not None:
        raise NotImplementedError(
            f"{name}: preferred_element_type is not supported: convert the operands with "
            f"astype{at_user_line()}"
        )


def bcoo_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: None = None,
    preferred_element_type: None = None,
    out_sharding: Any = None,
) -> Any:
    """The product of arrays, one or both of them sparse: as `covector.lax.dot_general`.

    Parameters
    ----------
    lhs, rhs : BCOO or array_like
    dimension_numbers : tuple
        ``((contracting axes of lhs, of rhs), (batch axes of lhs, of rhs))``.
    precision, preferred_element_type, out_sharding : None
        Not supported.

    Returns
    -------
    Array or BCOO
        Of the batch axes, then the others of ``lhs``, then those of ``rhs``. It is sparse if both
        operands are.

    Raises
    ------
    ShapeMismatchError
        If sizes differ.
    NotImplementedError
        For products of two sparse arrays that contract or batch dense axes, or contract batch
        axes.

    Notes
    -----
    A product with a dense array gathers a block for each coordinate, multiplies, and adds up the
    products of each place. Where coordinates are sorted and the first axes are kept, the places
    are computed in parallel. A product of two sparse arrays compares each stored coordinate with
    each.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> dims = (((1,), (0,)), ((), ()))
    >>> sparse.bcoo_dot_general(x, np.array([3.0, 4.0]), dimension_numbers=dims)
    Array([8., 3.], dtype=float32)
    """
    _check_options("bcoo_dot_general", preferred_element_type, out_sharding)
    dims = _dims("bcoo_dot_general", lhs, rhs, dimension_numbers)
    sparse = isinstance(lhs, BCOO), isinstance(rhs, BCOO)
    if sparse == (True, True):
        return _sparse_product(lhs, rhs, dims)
    if sparse == (True, False):
        return _product(lhs, cnp.asarray(rhs), dims)
    if sparse == (False, True):
        return _reversed_product(cnp.asarray(lhs), rhs, dims)
    raise TypeError(
        "bcoo_dot_general takes at least one BCOO, got "
        f"{describe(lhs)} and {describe(rhs)}; lax.dot_general multiplies dense "
        f"arrays{at_user_line()}"
    )


def _rest(ndim: int, *used: Sequence[int]) -> list[int]:
    return [k for k in range(ndim) if not any(k in u for u in used)]


@fused("dims")
def _reversed_product(lhs: Any, rhs: BCOO, dims: Dims) -> Any:
    (cl, cr), (bl, br) = dims
    out = _product(rhs, lhs, ((cr, cl), (br, bl)))
    nb, nr = len(bl), rhs.ndim - len(cr) - len(br)
    order = [*range(nb), *range(nb + nr, out.ndim), *range(nb, nb + nr)]
    return cnp.transpose(out, order)


@fused("dims")
def _product(mat: BCOO, x: Any, dims: Dims) -> Any:
    """A sparse array times a dense one."""
    mat = _relaid(mat, 0, mat.n_dense)
    columns = [mat.indices[:, k] for k in range(mat.n_sparse)]
    return product_of(
        mat.data, columns, mat.shape, (mat.indices_sorted, mat.unique_indices), x, dims
    )


def product_of(
    data: Any,
    columns: Sequence[Any],
    shape: tuple[int, ...],
    promises: tuple[bool, bool],
    x: Any,
    dims: Dims,
    offsets: Any = None,
) -> Any:
    """Blocks, of which the coordinates along each sparse axis are given, times a dense array.

    ``promises`` are those of a BCOO: whether coordinates are sorted, and unique. ``offsets`` say
    where the blocks of each coordinate along the first sparse axis begin, and the last ones end.
    """
    data, x = promote_dtypes("bcoo_dot_general", data, x)
    (cl, cr), (bl, br) = dims
    n, ndim = len(columns), len(shape)
    # Pairs of axes; those that are sparse are found by coordinates, others run along.
    pairs = [*zip(bl, br, strict=True), *zip(cl, cr, strict=True)]
    found = [(p, q) for p, q in pairs if p < n]
    batch = [(p, q) for p, q in zip(bl, br, strict=True) if p >= n]
    summed = [(p, q) for p, q in zip(cl, cr, strict=True) if p >= n]
    free = _rest(x.ndim, cr, br)
    x = cnp.transpose(x, [*(q for _, q in [*found, *batch, *summed]), *free])
    offset = 1 - n
    axes = [p + offset for p, _ in summed], [p + offset for p, _ in batch]
    blocks = _multiplied(data, [columns[p] for p, _ in found], x, axes)
    kept = [p for p in bl if p < n] + _rest(n, cl, bl)
    if offsets is not None and kept == [0] and blocks.dtype != bool:
        out = group_sums_p.bind(blocks, offsets)
    else:
        out = _placed(blocks, columns, shape, kept, promises)
    # Now the axes that are kept sparse, those of batch, other dense ones, those of x.
    dense = [p for p in range(n, ndim) if p not in cl and p not in bl]
    names = [*kept, *(p for p, _ in batch), *dense, *(ndim + k for k in range(len(free)))]
    wanted = [*bl, *_rest(ndim, cl, bl), *(ndim + k for k in range(len(free)))]
    return cnp.transpose(out, [names.index(p) for p in wanted])


def _index(columns: Sequence[Any]) -> Any:
    """Coordinates of columns of them."""
    return columns[0][:, None] if len(columns) == 1 else cnp.stack(columns, -1)


def _multiplied(data: Any, columns: Sequence[Any], x: Any, axes: Any) -> Any:
    """For each stored block its product with what it meets in ``x``."""
    summed, batch = axes
    nb, ns = len(batch), len(summed)
    if not columns:
        # Each block meets all of x: the axis of the blocks is a free one.
        out = lax.dot_general(data, x, ((summed, range(nb, nb + ns)), (batch, range(nb))))
        return cnp.moveaxis(out, nb, 0)
    met = gather_blocks(x, _index(columns))
    if data.ndim == 1:
        return over_blocks(data, met) * met
    return lax.dot_general(
        data, met, ((summed, range(1 + nb, 1 + nb + ns)), ([0, *batch], range(1 + nb)))
    )


def _placed(
    blocks: Any,
    columns: Sequence[Any],
    shape: tuple[int, ...],
    kept: Sequence[int],
    promises: tuple[bool, bool],
) -> Any:
    """The sums of blocks by the coordinates along the sparse axes that are kept."""
    n, kept = len(columns), list(kept)
    # What is out of bounds along another axis alone counts no more.
    if not kept:
        if n:
            valid = in_bounds(_index(columns), shape[:n])
            blocks = cnp.where(over_blocks(valid, blocks), blocks, 0)
        return cnp.sum(blocks, axis=0, dtype=blocks.dtype)
    ordered = promises[0] and kept == list(range(len(kept)))
    unique = promises[1] and len(kept) == n
    sizes = [shape[k] for k in kept]
    return scatter_blocks(blocks, _index([columns[k] for k in kept]), sizes, ordered, unique)


def _check_pairs(lhs: BCOO, rhs: BCOO, dims: Dims) -> None:
    (cl, cr), (bl, br) = dims

    def sparse(mat: BCOO, axes: Sequence[int]) -> bool:
        return all(mat.n_batch <= k < mat.n_batch + mat.n_sparse for k in axes)

    if lhs.n_dense or rhs.n_dense or not sparse(lhs, cl) or not sparse(rhs, cr):
        raise NotImplementedError(
            "bcoo_dot_general: a product of two sparse arrays contracts sparse axes, and neither "
            f"has dense ones, got {lhs!r} and {rhs!r} with the contracting axes {cl} and {cr}; "
            f"update_layout(n_batch=0, n_dense=0) makes all axes sparse{at_user_line()}"
        )
    if tuple(bl) != tuple(range(len(bl))) or tuple(br) != tuple(bl) or len(bl) > min(
        lhs.n_batch, rhs.n_batch
    ):  # fmt: skip
        raise NotImplementedError(
            "bcoo_dot_general: the batch axes of a product of two sparse arrays must be the first "
            f"axes, and batch axes of both, got {bl} and {br} of {lhs!r} and "
            f"{rhs!r}{at_user_line()}"
        )


def _sparse_product(lhs: BCOO, rhs: BCOO, dims: Dims) -> BCOO:
    _check_pairs(lhs, rhs, dims)
    return _sparse_pairs(lhs, rhs, dims)


@fused("dims")
def _sparse_pairs(lhs: BCOO, rhs: BCOO, dims: Dims) -> BCOO:
    """A product of sparse arrays, from all pairs of what they store."""
    (cl, cr), (bl, br) = dims
    nb = len(bl)
    l_data, r_data = promote_dtypes("bcoo_dot_general", lhs.data, rhs.data)
    lhs = full_batch(_relaid(lhs._with(l_data), nb, 0))
    rhs = full_batch(_relaid(rhs._with(r_data), nb, 0))
    l_cols, r_cols = [k - nb for k in cl], [k - nb for k in cr]
    l_free, r_free = _rest(lhs.n_sparse, l_cols), _rest(rhs.n_sparse, r_cols)
    sizes = [lhs.shape[nb + k] for k in l_free] + [rhs.shape[nb + k] for k in r_free]

    def one(a: Any, i: Any, b: Any, j: Any) -> tuple[Any, Any]:
        meet = in_bounds(i, parts(lhs)[1])[:, None] & in_bounds(j, parts(rhs)[1])[None, :]
        for p, q in zip(l_cols, r_cols, strict=True):
            meet = meet & (i[:, None, p] == j[None, :, q])
        data = cnp.where(meet, a[:, None] * b[None, :], 0).astype(a.dtype)
        dtype = cnp.promote_types(i.dtype, j.dtype)
        limits = cnp.array(sizes, dtype).reshape(len(sizes))
        columns = [cnp.broadcast_to(i[:, None, k], meet.shape) for k in l_free]
        columns += [cnp.broadcast_to(j[None, :, k], meet.shape) for k in r_free]
        if not columns:
            return cnp.sum(data, dtype=data.dtype)[None], cnp.zeros((1, 0), dtype)
        indices = cnp.stack([c.astype(dtype) for c in columns], -1)
        indices = cnp.where(meet[..., None], indices, limits)
        return data.reshape(-1), indices.reshape(-1, len(sizes))

    data, indices = batched(one, nb)(lhs.data, lhs.indices, rhs.data, rhs.indices)
    shape = (*parts(lhs)[0], *sizes)
    out = BCOO.tree_unflatten(SparseInfo(shape), (data, indices))
    most = product(sizes)
    return _sum_duplicates(out, most) if most < out.nse else out


@fused("dimension_numbers")
def bcoo_dot_general_sampled(A: Any, B: Any, indices: Any, *, dimension_numbers: Any) -> Any:
    """Elements of a product of dense arrays: those at coordinates.

    Parameters
    ----------
    A, B : array_like
    indices : array_like of int
        Coordinates as a BCOO of the shape of the product has them: ``(*batch, nse, n_sparse)``.
    dimension_numbers : tuple
        As of `covector.lax.dot_general`.

    Returns
    -------
    Array
        The data of the BCOO.

    Raises
    ------
    ShapeMismatchError
        If sizes differ.

    Notes
    -----
    Where the coordinates are those of single elements, only these are computed; else the product
    is computed as a whole.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> A, B = np.ones((2, 4)), np.ones((4, 3))
    >>> dims = (((1,), (0,)), ((), ()))
    >>> at = np.array([[0, 1], [1, 2]])
    >>> sparse.bcoo_dot_general_sampled(A, B, at, dimension_numbers=dims)
    Array([4., 4.], dtype=float32)
    """
    A, B, indices = cnp.asarray(A), cnp.asarray(B), cnp.asarray(indices)
    A, B = promote_dtypes("bcoo_dot_general_sampled", A, B)
    dims = _dims("bcoo_dot_general_sampled", A, B, dimension_numbers)
    (ca, cb), (ba, bb) = dims
    fa, fb = _rest(A.ndim, ca, ba), _rest(B.ndim, cb, bb)
    if indices.ndim != 2 or indices.shape[-1] != len(ba) + len(fa) + len(fb):
        out = lax.dot_general(A, B, dims)
        return bcoo_extract(_like_dense(indices, out), out, assume_unique=True).data
    nb, na = len(ba), len(fa)
    rows = cnp.transpose(A, [*ba, *fa, *ca])
    columns = cnp.transpose(B, [*bb, *fb, *cb])
    at_rows = indices[:, : nb + na]
    at_columns = cnp.concatenate([indices[:, :nb], indices[:, nb + na :]], -1)
    x, y = gather_blocks(rows, at_rows), gather_blocks(columns, at_columns)
    return cnp.sum(x * y, axis=tuple(range(1, x.ndim)), dtype=x.dtype)


@fused()
def bcoo_multiply_dense(sp_mat: BCOO, v: Any) -> Any:
    """What a sparse array times a dense one, element by element, stores.

    Parameters
    ----------
    sp_mat : BCOO
    v : array_like
        It is broadcast to the shape of ``sp_mat``.

    Returns
    -------
    Array
        The data of the product, whose indices are those of ``sp_mat``.

    Raises
    ------
    ShapeMismatchError
        If ``v`` does not broadcast to the shape.
    TypeError
        If ``sp_mat`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_multiply_dense(sparse.eye(2), np.array([3.0, 4.0]))
    Array([3., 4.], dtype=float32)
    """
    check_bcoo("bcoo_multiply_dense", sp_mat)
    data, v = promote_dtypes("bcoo_multiply_dense", sp_mat.data, cnp.asarray(v))
    if v.ndim == 0:
        return data * v
    if v.ndim > sp_mat.ndim or any(
        n not in (1, m) for n, m in zip(v.shape[::-1], sp_mat.shape[::-1], strict=False)
    ):
        raise ShapeMismatchError(
            f"bcoo_multiply_dense: {v.aval.str_short()} does not broadcast to the shape "
            f"{sp_mat.shape}{at_user_line()}"
        )
    sp_mat = full_batch(sp_mat._with(data))
    v = cnp.reshape(v, (*(1,) * (sp_mat.ndim - v.ndim), *v.shape))
    nb, ns = sp_mat.n_batch, sp_mat.n_sparse
    # Axes of size 1 that are found by coordinates are not looked up.
    columns = [k for k in range(ns) if v.shape[nb + k] != 1]
    v = cnp.broadcast_to(v, (*sp_mat.shape[:nb], *v.shape[nb:]))
    v = cnp.squeeze(v, tuple(nb + k for k in range(ns) if k not in columns))

    def one(data: Any, indices: Any, x: Any) -> Any:
        met = gather_blocks(x, indices[:, cnp.array(columns)]) if columns else x[None]
        return data * met

    return batched(one, nb)(sp_mat.data, sp_mat.indices, v)


def bcoo_multiply_sparse(lhs: BCOO, rhs: BCOO) -> BCOO:
    """The product of two sparse arrays, element by element.

    Parameters
    ----------
    lhs, rhs : BCOO
        Of one shape, with as many batch axes, and no dense ones.

    Returns
    -------
    BCOO
        That stores a product for each pair of coordinates, most of them out of bounds.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    NotImplementedError
        If the layouts differ, or have dense axes.
    TypeError
        If an operand is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO.fromdense(np.array([[1, 2], [0, 3]]))
    >>> sparse.bcoo_multiply_sparse(x, x).todense()
    Array([[1, 4],
           [0, 9]], dtype=int32)
    """
    check_bcoo("bcoo_multiply_sparse", lhs, rhs)
    if lhs.shape != rhs.shape:
        raise ShapeMismatchError(
            f"bcoo_multiply_sparse: the arrays must have one shape, got {lhs.shape} and "
            f"{rhs.shape}{at_user_line()}"
        )
    if lhs.n_batch != rhs.n_batch or lhs.n_dense or rhs.n_dense:
        raise NotImplementedError(
            "bcoo_multiply_sparse: the arrays must have as many batch axes and no dense ones, got "
            f"{lhs!r} and {rhs!r}; update_layout makes them alike{at_user_line()}"
        )
    return _multiply_sparse(lhs, rhs)


@fused()
def _multiply_sparse(lhs: BCOO, rhs: BCOO) -> BCOO:
    l_data, r_data = promote_dtypes("bcoo_multiply_sparse", lhs.data, rhs.data)
    lhs, rhs = full_batch(lhs._with(l_data)), full_batch(rhs._with(r_data))
    sizes = parts(lhs)[1]

    def one(a: Any, i: Any, b: Any, j: Any) -> tuple[Any, Any]:
        meet = cnp.all(i[:, None] == j[None, :], axis=-1) & in_bounds(i, sizes)[:, None]
        limits = cnp.array(sizes, i.dtype).reshape(len(sizes))
        data = cnp.where(meet, a[:, None] * b[None, :], 0).astype(a.dtype)
        indices = cnp.where(meet[..., None], i[:, None], limits)
        return data.reshape(-1), indices.reshape(-1, len(sizes))

    data, indices = batched(one, lhs.n_batch)(lhs.data, lhs.indices, rhs.data, rhs.indices)
    unique = lhs.unique_indices and rhs.unique_indices
    return BCOO.tree_unflatten(SparseInfo(lhs.shape, False, unique), (data, indices))


def densified(x: Any) -> Any:
    """A dense array of what may be sparse."""
    return bcoo_todense(x) if isinstance(x, BCOO) else x


# ``bind(data, indices, rhs, dimension_numbers=, lhs_spinfo=)``: see `bcoo_dot_general`.
bcoo_dot_general_p = Composed(
    "bcoo_dot_general",
    lambda lhs_data, lhs_indices, rhs, *, dimension_numbers, lhs_spinfo: bcoo_dot_general(
        _bcoo_of(lhs_data, lhs_indices, lhs_spinfo), rhs, dimension_numbers=dimension_numbers
    ),
)
# ``bind(data, indices, data, indices, lhs_spinfo=, rhs_spinfo=, dimension_numbers=)``: data and
# indices of the product of two sparse arrays.
bcoo_spdot_general_p = Composed(
    "bcoo_spdot_general",
    lambda *buffers, lhs_spinfo, rhs_spinfo, dimension_numbers: list(
        bcoo_dot_general(
            _bcoo_of(*buffers[:2], lhs_spinfo),
            _bcoo_of(*buffers[2:], rhs_spinfo),
            dimension_numbers=dimension_numbers,
        )._buffers()
    ),
)
# ``bind(A, B, indices, dimension_numbers=)``: see `bcoo_dot_general_sampled`.
bcoo_dot_general_sampled_p = Composed(
    "bcoo_dot_general_sampled",
    lambda a, b, indices, *, dimension_numbers: bcoo_dot_general_sampled(
        a, b, indices, dimension_numbers=dimension_numbers
    ),
)
