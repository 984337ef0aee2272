"""The batched coordinate format: the class, its layouts, conversions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.core.errors import ShapeMismatchError, at_user_line, boundaries
from covector.core.operands import product
from covector.core.trace import Composed
from covector.experimental.sparse._base import (
    JAXSparse,
    SparseInfo,
    check_index_dtype,
    is_placeholder,
    mapped_shape,
    to_array,
)
from covector.numpy._util import concrete, fused
from covector.transforms.vmap_api import vmap
from covector.tree_util import register_pytree_node_class

_DROP = lax.GatherScatterMode.FILL_OR_DROP


@boundaries
@register_pytree_node_class
class BCOO(JAXSparse):
    """A sparse array of batches of elements with their coordinates.

    Its axes are batch axes, then sparse axes, then dense axes. Each element of the batch stores
    ``nse`` blocks of the shape of the dense axes, and where each stands along the sparse axes.
    Coordinates out of bounds mean nothing: they fill up what is stored. Blocks of the same
    coordinates are added.

    Parameters
    ----------
    args : tuple of two arrays
        ``data`` of shape ``(*batch, nse, *dense)`` and ``indices``, integers of shape ``(*batch,
        nse, n_sparse)``. Batch axes of size 1 are broadcast.
    shape : sequence of int
    indices_sorted, unique_indices : bool
        Promises: coordinates come in lexicographic order, and none twice. Results are wrong if
        they do not hold.

    Attributes
    ----------
    data, indices : Array
    shape : tuple of int
    indices_sorted, unique_indices : bool

    Raises
    ------
    ValueError
        If shapes do not fit together.
    TypeError
        If ``indices`` are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCOO((np.array([3.0, 4.0]), np.array([[0, 2], [1, 0]])), shape=(2, 3))
    >>> x
    BCOO(float32[2, 3], nse=2)
    >>> x.todense()
    Array([[0., 0., 3.],
           [4., 0., 0.]], dtype=float32)
    >>> x @ np.array([1.0, 2.0, 3.0])
    Array([9., 4.], dtype=float32)
    """

    indices: Any
    indices_sorted: bool
    unique_indices: bool

    def __init__(
        self,
        args: tuple[Any, Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        self.data, self.indices = map(to_array, args)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        super().__init__(args, shape=shape)
        _check(self)

    @classmethod
    def fromdense(
        cls,
        mat: Any,
        *,
        nse: int | None = None,
        index_dtype: Any = onp.int32,
        n_dense: int = 0,
        n_batch: int = 0,
    ) -> BCOO:
        """The sparse array of a dense one: `bcoo_fromdense`."""
        return bcoo_fromdense(
            mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch
        )

    @classmethod
    def from_scipy_sparse(
        cls, mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
    ) -> BCOO:
        """The sparse array of one of SciPy's."""
        if n_dense or n_batch:
            raise NotImplementedError(
                "BCOO.from_scipy_sparse: matrices of SciPy have no batch or dense axes, got "
                f"n_dense={n_dense} and n_batch={n_batch}{at_user_line()}"
            )
        mat = mat.tocoo()
        indices = onp.stack(mat.coords, axis=-1)
        indices = cnp.asarray(indices, onp.int32 if index_dtype is None else index_dtype)
        return cls((cnp.asarray(mat.data), indices), shape=mat.shape)

    @classmethod
    def _empty(
        cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32", n_dense: int = 0,
        n_batch: int = 0, nse: int = 0,
    ) -> BCOO:  # fmt: skip
        shape = tuple(shape)
        n_sparse = len(shape) - n_dense - n_batch
        if min(n_sparse, n_dense, n_batch, nse) < 0:
            raise ValueError(
                f"a BCOO of shape {shape} cannot have n_batch={n_batch}, n_dense={n_dense} and "
                f"nse={nse}{at_user_line()}"
            )
        batch, sparse, dense = split_shape(shape, n_batch, n_sparse)
        data = cnp.zeros((*batch, nse, *dense), dtype)
        indices = cnp.broadcast_to(
            cnp.array(sparse, index_dtype).reshape(n_sparse), (*batch, nse, n_sparse)
        )
        return cls((data, indices), shape=shape, indices_sorted=True, unique_indices=True)

    @property
    def n_batch(self) -> int:
        """The number of batch axes."""
        return self.indices.ndim - 2

    @property
    def n_sparse(self) -> int:
        """The number of sparse axes."""
        return self.indices.shape[-1]

    @property
    def n_dense(self) -> int:
        """The number of dense axes."""
        return self.data.ndim - 1 - self.n_batch

    @property
    def nse(self) -> int:
        """The number of blocks stored by each element of the batch."""
        return self.indices.shape[-2]

    def _layout(self) -> str:
        parts = [f", {n}={v}" for n in ("n_batch", "n_dense") if (v := getattr(self, n))]
        return "".join(parts)

    @property
    def _info(self) -> SparseInfo:
        return SparseInfo(self.shape, self.indices_sorted, self.unique_indices)

    def tree_flatten(self) -> Any:
        """The data and the indices, and what is static."""
        return (self.data, self.indices), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> BCOO:
        """An array of what `tree_flatten` gives."""
        out = object.__new__(cls)
        out.data, out.indices = children
        out.shape, out.indices_sorted, out.unique_indices = SparseInfo(*aux_data)
        if not any(map(is_placeholder, children)) and out.indices.ndim > 1:
            rank = out.data.ndim - 1 + out.n_sparse
            out.shape = mapped_shape(out.shape, rank, out.n_batch, children)
        return out

    def _with(self, data: Any) -> BCOO:
        """An array of the same indices."""
        return BCOO.tree_unflatten(self._info, (data, self.indices))

    def todense(self) -> Any:
        """The dense array: `bcoo_todense`."""
        return bcoo_todense(self)


def split_shape(
    shape: Sequence[int], n_batch: int, n_sparse: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The sizes of the batch axes, the sparse axes and the dense axes."""
    shape, end = tuple(shape), n_batch + n_sparse
    return shape[:n_batch], shape[n_batch:end], shape[end:]


def parts(mat: BCOO) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The same of an array."""
    return split_shape(mat.shape, mat.n_batch, mat.n_sparse)


def _check(mat: BCOO) -> None:
    data, indices = mat.data, mat.indices
    if indices.ndim < 2:
        raise ValueError(
            "BCOO: indices must have the shape (*batch, nse, n_sparse), got "
            f"{indices.aval.str_short()}{at_user_line()}"
        )
    check_index_dtype("BCOO", indices=indices)
    batch, sparse, dense = parts(mat)
    fits = (
        data.ndim > len(batch)
        and len(sparse) == mat.n_sparse
        and data.shape[len(batch) + 1 :] == dense
        and data.shape[len(batch)] == indices.shape[-2]
        and all(
            n in (1, m)
            for x in (data, indices) for n, m in zip(x.shape, batch, strict=False)
        )
    )  # fmt: skip
    if not fits:
        raise ValueError(
            f"BCOO: data {data.aval.str_short()} and indices {indices.aval.str_short()} do not fit "
            f"the shape {mat.shape}: with {mat.n_sparse} sparse axes they must have the shapes "
            f"(*batch, nse, *dense) and (*batch, nse, {mat.n_sparse}){at_user_line()}"
        )


def check_bcoo(name: str, *mats: Any) -> None:
    """Raise for what is not a BCOO."""
    for mat in mats:
        if not isinstance(mat, BCOO):
            raise TypeError(
                f"{name} takes sparse arrays of the kind BCOO, got {type(mat).__name__}; "
                f"BCOO.fromdense makes one of a dense array{at_user_line()}"
            )


def batched(fun: Callable[..., Any], n_batch: int) -> Callable[..., Any]:
    """``fun`` of one element of a batch, mapped over the leading axes."""
    for _ in range(n_batch):
        fun = vmap(fun)
    return fun


def full_batch(mat: BCOO) -> BCOO:
    """The same array with no batch axis to be broadcast."""
    batch = parts(mat)[0]
    n = len(batch)
    data, indices = mat.data, mat.indices
    if data.shape[:n] == batch == indices.shape[:n]:
        return mat
    data = cnp.broadcast_to(data, (*batch, *data.shape[n:]))
    indices = cnp.broadcast_to(indices, (*batch, *indices.shape[n:]))
    return BCOO.tree_unflatten(mat._info, (data, indices))


def in_bounds(indices: Any, sizes: Sequence[int]) -> Any:
    """Which coordinates mean something."""
    if not sizes:
        return cnp.ones(indices.shape[:-1], bool)
    limits = cnp.array(sizes, indices.dtype)
    return cnp.all((indices >= 0) & (indices < limits), axis=-1)


def over_blocks(mask: Any, data: Any) -> Any:
    """A mask of blocks as one that broadcasts over their elements."""
    return cnp.reshape(mask, (*mask.shape, *(1,) * (data.ndim - mask.ndim)))


def gather_blocks(x: Any, indices: Any) -> Any:
    """Blocks of ``x`` at coordinates of its leading axes, 0 out of bounds."""
    n, rest = indices.shape[-1], x.shape[indices.shape[-1] :]
    if 0 in x.shape[:n]:
        return cnp.zeros((*indices.shape[:-1], *rest), x.dtype)
    dims = lax.GatherDimensionNumbers(
        offset_dims=tuple(range(1, 1 + len(rest))),
        collapsed_slice_dims=tuple(range(n)),
        start_index_map=tuple(range(n)),
    )
    return lax.gather(x, indices, dims, (1,) * n + rest, mode=_DROP, fill_value=0)


def scatter_blocks(
    blocks: Any, indices: Any, sizes: Sequence[int], ordered: bool, unique: bool
) -> Any:
    """A dense array of leading axes ``sizes`` that holds the sums of blocks at coordinates."""
    n, rest = len(sizes), blocks.shape[1:]
    dims = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(1, 1 + len(rest))),
        inserted_window_dims=tuple(range(n)),
        scatter_dims_to_operand_dims=tuple(range(n)),
    )
    out = lax.full((*sizes, *rest), 0, blocks.dtype)
    scatter = lax.scatter_max if blocks.dtype == bool else lax.scatter_add
    return scatter(
        out, indices, blocks, dims, indices_are_sorted=ordered, unique_indices=unique, mode=_DROP
    )


# --- dense arrays --------------------------------------------------------------------------


@fused()
def bcoo_todense(mat: BCOO) -> Any:
    """The dense array of a sparse one.

    Parameters
    ----------
    mat : BCOO

    Returns
    -------
    Array
        Of the shape and dtype of ``mat``.

    Raises
    ------
    TypeError
        If ``mat`` is not a BCOO.

    Examples
    --------
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_todense(sparse.eye(2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    check_bcoo("bcoo_todense", mat)
    mat = full_batch(mat)
    sizes = parts(mat)[1]

    def one(data: Any, indices: Any) -> Any:
        return scatter_blocks(data, indices, sizes, mat.indices_sorted, mat.unique_indices)

    return batched(one, mat.n_batch)(mat.data, mat.indices)


def _stored(mask: Any) -> int:
    """The most elements that a batch stores, of a mask of batch axes and one other."""
    known = concrete(mask, "nse is not given, and the number of elements that are not zero")
    return int(known.sum(-1).max(initial=0))


def bcoo_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = cnp.int32,
) -> BCOO:
    """The sparse array of a dense one.

    Parameters
    ----------
    mat : array_like
    nse : int, optional
        How many blocks each element of the batch stores. By default the most that are not zero;
        needed where ``mat`` is traced. What is too much is left out.
    n_batch, n_dense : int
        The number of leading batch axes and trailing dense axes.
    index_dtype : dtype
        Of the coordinates.

    Returns
    -------
    BCOO
        With sorted, unique coordinates.

    Raises
    ------
    ValueError
        If ``mat`` has fewer axes than ``n_batch + n_dense``.
    ConcretizationTypeError
        If ``nse`` is not given and ``mat`` is traced.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.bcoo_fromdense(np.array([[0, 5, 0], [6, 0, 0]]))
    >>> x.data, x.indices
    (Array([5, 6], dtype=int32), Array([[0, 1],
           [1, 0]], dtype=int32))
    """
    mat = cnp.asarray(mat)
    if n_batch < 0 or n_dense < 0 or mat.ndim < n_batch + n_dense:
        raise ValueError(
            f"bcoo_fromdense: {mat.aval.str_short()} cannot have n_batch={n_batch} and "
            f"n_dense={n_dense}{at_user_line()}"
        )
    if nse is None:
        axes = tuple(range(mat.ndim - n_dense, mat.ndim))
        mask = cnp.any(mat != 0, axis=axes) if n_dense else mat != 0
        nse = _stored(cnp.reshape(mask, (*mat.shape[:n_batch], product(mask.shape[n_batch:]))))
    return _fromdense(mat, int(nse), n_batch, n_dense, onp.dtype(index_dtype))


@fused("nse", "n_batch", "n_dense", "index_dtype")
def _fromdense(mat: Any, nse: int, n_batch: int, n_dense: int, index_dtype: Any) -> BCOO:
    n_sparse = mat.ndim - n_batch - n_dense
    sizes = mat.shape[n_batch : n_batch + n_sparse]

    def one(x: Any) -> tuple[Any, Any]:
        mask = x != 0
        if n_dense:
            mask = cnp.any(mask, axis=tuple(range(n_sparse, x.ndim)))
        if n_sparse:
            found = cnp.nonzero(mask, size=nse, fill_value=sizes)
            indices = cnp.stack([i.astype(index_dtype) for i in found], -1)
            return gather_blocks(x, indices), indices
        data = cnp.concatenate([x[None], cnp.zeros((max(nse - 1, 0), *x.shape), x.dtype)])
        return data[:nse], cnp.zeros((nse, 0), index_dtype)

    data, indices = batched(one, n_batch)(mat)
    return BCOO((data, indices), shape=mat.shape, indices_sorted=True, unique_indices=True)


def _firsts(indices: Any) -> Any:
    """Which coordinates are the first of their kind."""
    order = lexicographic(indices)
    ordered = indices[order]
    new = cnp.any(ordered[1:] != ordered[:-1], axis=-1)
    new = cnp.concatenate([cnp.ones((1,), bool), new])
    return cnp.zeros(new.shape, bool).at[order].set(new)


def lexicographic(indices: Any) -> Any:
    """The stable order of coordinates."""
    n = indices.shape[0]
    columns = [indices[:, k] for k in range(indices.shape[1])]
    count = cnp.arange(n, dtype=cnp.int32)
    if not columns:
        return count
    return lax.sort([*columns, count], num_keys=len(columns))[-1]


@fused("assume_unique")
def bcoo_extract(sparr: BCOO, arr: Any, *, assume_unique: bool | None = None) -> BCOO:
    """The elements of a dense array where a sparse array stores some.

    Parameters
    ----------
    sparr : BCOO
        Whose coordinates are taken.
    arr : array_like
        Of the shape of ``sparr``.
    assume_unique : bool, optional
        Whether each coordinate is taken as often as it is stored. Otherwise only the first gets
        the element, so that the result is ``arr`` there. By default as ``sparr`` promises.

    Returns
    -------
    BCOO
        With the coordinates of ``sparr``.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    TypeError
        If ``sparr`` is not a BCOO.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.bcoo_extract(sparse.eye(2), np.array([[1, 2], [3, 4]])).data
    Array([1, 4], dtype=int32)
    """
    check_bcoo("bcoo_extract", sparr)
    arr = cnp.asarray(arr)
    if arr.shape != sparr.shape:
        raise ShapeMismatchError(
            f"bcoo_extract: the arrays must have one shape, got {sparr.shape} and "
            f"{arr.aval.str_short()}{at_user_line()}"
        )
    unique = sparr.unique_indices if assume_unique is None else assume_unique
    sparr = full_batch(sparr)

    def one(x: Any, indices: Any) -> Any:
        data = gather_blocks(x, indices)
        if unique or not indices.shape[0]:
            return data
        return cnp.where(over_blocks(_firsts(indices), data), data, 0)

    data = batched(one, sparr.n_batch)(arr, sparr.indices)
    return sparr._with(data.astype(arr.dtype))


# --- primitives ---


def _bcoo_of(data: Any, indices: Any, spinfo: Any) -> BCOO:
    return BCOO((data, indices), **SparseInfo(*spinfo)._asdict())


# ``bind(data, indices, spinfo=(shape, sorted, unique))``: see `bcoo_todense`.
bcoo_todense_p = Composed(
    "bcoo_todense", lambda data, indices, *, spinfo: bcoo_todense(_bcoo_of(data, indices, spinfo))
)
# ``bind(mat, nse=, n_batch=, n_dense=, index_dtype=)``: data, indices of `bcoo_fromdense`.
bcoo_fromdense_p = Composed(
    "bcoo_fromdense",
    lambda mat, *, nse, n_batch, n_dense, index_dtype: list(
        _fromdense(cnp.asarray(mat), nse, n_batch, n_dense, index_dtype)._buffers()
    ),
)


def _like_dense(indices: Any, arr: Any) -> BCOO:
    """A sparse array of these coordinates and the shape of a dense one."""
    arr, (*batch, nse, n_sparse) = cnp.asarray(arr), indices.shape
    dense = arr.shape[len(batch) + n_sparse :]
    data = cnp.zeros((*(1,) * len(batch), nse, *dense), arr.dtype)
    return BCOO((data, indices), shape=arr.shape)


# ``bind(indices, arr, assume_unique=)``: the data of `bcoo_extract`.
bcoo_extract_p = Composed(
    "bcoo_extract",
    lambda indices, arr, *, assume_unique: (
        bcoo_extract(_like_dense(indices, arr), arr, assume_unique=assume_unique).data
    ),
)
