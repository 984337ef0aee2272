"""The batched compressed row format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as onp

from covector import numpy as cnp
from covector.core.errors import at_user_line, boundaries, describe
from covector.core.operands import canonical_axis, canonical_shape
from covector.core.trace import Composed
from covector.experimental.sparse import _products, _shapes
from covector.experimental.sparse._base import (
    JAXSparse,
    SparseInfo,
    check_index_dtype,
    is_placeholder,
    mapped_shape,
    to_array,
)
from covector.experimental.sparse._bcoo import (
    BCOO,
    batched,
    bcoo_fromdense,
    bcoo_todense,
    full_batch,
    gather_blocks,
)
from covector.experimental.sparse._order import bcoo_sum_duplicates
from covector.numpy._util import fused
from covector.tree_util import register_pytree_node_class


@boundaries
@register_pytree_node_class
class BCSR(JAXSparse):
    """A sparse array of batches of rows, each of blocks with their columns.

    Its axes are batch axes, then one of rows and one of columns, then dense axes.

    Parameters
    ----------
    args : tuple of three arrays
        ``data`` of shape ``(*batch, nse, *dense)``, ``indices``, the columns, of shape ``(*batch,
        nse)``, and ``indptr`` of shape ``(*batch, rows + 1)``: row ``i`` is what is stored from
        ``indptr[i]`` to ``indptr[i + 1]``.
    shape : sequence of int
    indices_sorted, unique_indices : bool
        Promises: the columns of a row come in order, and none twice.

    Raises
    ------
    ValueError
        If shapes do not fit together.
    TypeError
        If ``indices`` or ``indptr`` are not integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCSR.fromdense(np.array([[0.0, 2.0], [3.0, 4.0]]))
    >>> x.indices, x.indptr
    (Array([1, 0, 1], dtype=int32), Array([0, 1, 3], dtype=int32))
    >>> x @ np.array([1.0, 10.0])
    Array([20., 43.], dtype=float32)
    """

    indices: Any
    indptr: Any
    indices_sorted: bool
    unique_indices: bool

    def __init__(
        self,
        args: tuple[Any, Any, Any],
        *,
        shape: Sequence[int],
        indices_sorted: bool = False,
        unique_indices: bool = False,
    ) -> None:
        self.data, self.indices, self.indptr = map(to_array, args)
        self.indices_sorted, self.unique_indices = indices_sorted, unique_indices
        super().__init__(args, shape=shape)
        self._check()

    def _check(self) -> None:
        check_index_dtype("BCSR", indices=self.indices, indptr=self.indptr)
        nb, shape = self.n_batch, self.shape
        fits = (
            self.indptr.ndim == nb + 1
            and len(shape) >= nb + 2
            and self.data.ndim > nb
            and self.indptr.shape[-1] == shape[nb] + 1
            and self.data.shape[nb] == self.indices.shape[-1]
            and self.data.shape[nb + 1 :] == shape[nb + 2 :]
            and all(
                n in (1, m)
                for x in self._buffers() for n, m in zip(x.shape, shape[:nb], strict=False)
            )
        )  # fmt: skip
        if not fits:
            texts = [x.aval.str_short() for x in self._buffers()]
            raise ValueError(
                f"BCSR: data {texts[0]}, indices {texts[1]} and indptr {texts[2]} do not fit the "
                f"shape {shape}: they must have the shapes (*batch, nse, *dense), (*batch, nse) "
                f"and (*batch, rows + 1){at_user_line()}"
            )

    @classmethod
    def fromdense(
        cls,
        mat: Any,
        *,
        nse: int | None = None,
        index_dtype: Any = onp.int32,
        n_dense: int = 0,
        n_batch: int = 0,
    ) -> BCSR:
        """The sparse array of a dense one: `bcsr_fromdense`."""
        return bcsr_fromdense(
            mat, nse=nse, index_dtype=index_dtype, n_dense=n_dense, n_batch=n_batch
        )

    @classmethod
    def from_bcoo(cls, arr: BCOO) -> BCSR:
        """The compressed rows of an array of two sparse axes."""
        if not isinstance(arr, BCOO) or arr.n_sparse != 2:
            raise ValueError(
                f"BCSR.from_bcoo takes a BCOO with two sparse axes, got {arr!r}{at_user_line()}"
            )
        return _from_bcoo(arr)

    @classmethod
    def from_scipy_sparse(
        cls, mat: Any, *, index_dtype: Any = None, n_dense: int = 0, n_batch: int = 0
    ) -> BCSR:
        """The sparse array of one of SciPy's."""
        if n_dense or n_batch:
            raise NotImplementedError(
                "BCSR.from_scipy_sparse: matrices of SciPy have no batch or dense axes, got "
                f"n_dense={n_dense} and n_batch={n_batch}{at_user_line()}"
            )
        mat = mat.tocsr()
        dtype = onp.int32 if index_dtype is None else index_dtype
        args = [
            cnp.asarray(mat.data), cnp.asarray(mat.indices, dtype), cnp.asarray(mat.indptr, dtype)
        ]  # fmt: skip
        return cls(tuple(args), shape=mat.shape)

    @classmethod
    def _empty(
        cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32", n_dense: int = 0,
        n_batch: int = 0, nse: int = 0,
    ) -> BCSR:  # fmt: skip
        shape = canonical_shape(tuple(shape))
        if len(shape) - n_dense - n_batch != 2 or min(n_dense, n_batch) < 0:
            raise ValueError(
                f"a BCSR has two sparse axes; the shape {shape} with n_batch={n_batch} and "
                f"n_dense={n_dense} has others{at_user_line()}"
            )
        batch, dense = shape[:n_batch], shape[n_batch + 2 :]
        data = cnp.zeros((*batch, nse, *dense), dtype)
        indices = cnp.full((*batch, nse), shape[n_batch + 1], index_dtype)
        indptr = cnp.zeros((*batch, shape[n_batch] + 1), index_dtype)
        return cls((data, indices, indptr), shape=shape)

    @property
    def n_batch(self) -> int:
        """The number of batch axes."""
        return self.indices.ndim - 1

    @property
    def n_sparse(self) -> int:
        """The number of sparse axes: two."""
        return 2

    @property
    def n_dense(self) -> int:
        """The number of dense axes."""
        return self.data.ndim - self.n_batch - 1

    @property
    def nse(self) -> int:
        """The number of blocks stored by each element of the batch."""
        return self.indices.shape[-1]

    _layout = BCOO._layout
    _info = BCOO._info

    def tree_flatten(self) -> Any:
        """Data, indices and indptr, and what is static."""
        return (self.data, self.indices, self.indptr), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> BCSR:
        """An array of what `tree_flatten` gives."""
        out = object.__new__(cls)
        out.data, out.indices, out.indptr = children
        out.shape, out.indices_sorted, out.unique_indices = SparseInfo(*aux_data)
        if not any(map(is_placeholder, children)):
            out.shape = mapped_shape(out.shape, out.data.ndim + 1, out.n_batch, children)
        return out

    def _with(self, data: Any) -> BCSR:
        return BCSR.tree_unflatten(self._info, (data, self.indices, self.indptr))

    def to_bcoo(self) -> BCOO:
        """The same array with the coordinates of each block."""
        return _to_bcoo(self)

    def todense(self) -> Any:
        """The dense array: `bcsr_todense`."""
        return bcsr_todense(self)

    def sum_duplicates(self, nse: int | None = None, remove_zeros: bool = True) -> BCSR:
        """The same array with each place stored once: `bcsr_sum_duplicates`."""
        return _from_bcoo(_to_bcoo(self).sum_duplicates(nse=nse, remove_zeros=remove_zeros))

    def transpose(self, *args: Any, **kwargs: Any) -> Any:
        """Not implemented: rows would have to become columns."""
        raise NotImplementedError(
            "BCSR.transpose: rows would have to become columns; to_bcoo().transpose() gives the "
            f"coordinates{at_user_line()}"
        )

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        """The sum of the elements, along axes if they are given: that of a BCOO."""
        return self.to_bcoo().sum(*args, **kwargs)


def rows_of(indptr: Any, nse: int) -> Any:
    """The row of each stored block; those behind the last row are in the row after."""
    # A one where each row begins, and running sums of them.
    starts = cnp.zeros((nse,), indptr.dtype).at[indptr[1:]].add(1, mode="drop")
    return cnp.cumsum(starts, dtype=indptr.dtype)


@fused()
def _to_bcoo(mat: BCSR) -> BCOO:
    batch = mat.shape[: mat.n_batch]
    indptr = cnp.broadcast_to(mat.indptr, (*batch, mat.indptr.shape[-1]))
    indices = cnp.broadcast_to(mat.indices, (*batch, mat.nse))
    rows = batched(lambda p: rows_of(p, mat.nse), mat.n_batch)(indptr).astype(indices.dtype)
    # What is behind the last row is out of bounds as a whole.
    valid = rows < mat.shape[mat.n_batch]
    indices = cnp.where(valid, indices, mat.shape[mat.n_batch + 1])
    out = cnp.stack([rows, indices], -1)
    return BCOO.tree_unflatten(mat._info, (mat.data, out))


@fused()
def _from_bcoo(arr: BCOO) -> BCSR:
    arr = full_batch(arr.sort_indices())
    n = arr.shape[arr.n_batch]

    def one(indices: Any) -> Any:
        counts = (
            cnp.zeros((n + 1,), indices.dtype)
            .at[indices[:, 0] + 1]
            .add(1, mode="drop", indices_are_sorted=True)
        )
        return cnp.cumsum(counts, dtype=indices.dtype)

    indptr = batched(one, arr.n_batch)(arr.indices)
    info = SparseInfo(arr.shape, True, arr.unique_indices)
    return BCSR.tree_unflatten(info, (arr.data, arr.indices[..., 1], indptr))


def check_bcsr(name: str, *mats: Any) -> None:
    """Raise for what is not a BCSR."""
    for mat in mats:
        if not isinstance(mat, BCSR):
            raise TypeError(
                f"{name} takes sparse arrays of the kind BCSR, got {describe(mat)}{at_user_line()}"
            )


def bcsr_todense(mat: BCSR) -> Any:
    """The dense array of a sparse one.

    Parameters
    ----------
    mat : BCSR

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If ``mat`` is not a BCSR.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.bcsr_todense(sparse.BCSR.fromdense(np.array([[0, 1], [2, 0]])))
    Array([[0, 1],
           [2, 0]], dtype=int32)
    """
    check_bcsr("bcsr_todense", mat)
    return bcoo_todense(mat.to_bcoo())


def bcsr_fromdense(
    mat: Any,
    *,
    nse: int | None = None,
    n_batch: int = 0,
    n_dense: int = 0,
    index_dtype: Any = cnp.int32,
) -> BCSR:
    """The sparse array of a dense one, by rows.

    Parameters
    ----------
    mat : array_like
        With two axes besides those of the batch and dense ones.
    nse : int, optional
        How many blocks each element of the batch stores; by default the most that are not zero.
    n_batch, n_dense : int
        The number of leading batch axes and trailing dense axes.
    index_dtype : dtype
        Of ``indices`` and ``indptr``.

    Returns
    -------
    BCSR

    Raises
    ------
    ValueError
        If there are not two sparse axes.
    ConcretizationTypeError
        If ``nse`` is not given and ``mat`` is traced.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.bcsr_fromdense(np.array([[0, 1], [2, 0]]), nse=3)
    BCSR(int32[2, 2], nse=3)
    """
    mat = cnp.asarray(mat)
    if mat.ndim - n_batch - n_dense != 2:
        raise ValueError(
            f"bcsr_fromdense: a BCSR has two sparse axes; {mat.aval.str_short()} with n_batch="
            f"{n_batch} and n_dense={n_dense} has others{at_user_line()}"
        )
    return _from_bcoo(
        bcoo_fromdense(mat, nse=nse, n_batch=n_batch, n_dense=n_dense, index_dtype=index_dtype)
    )


def bcsr_extract(indices: Any, indptr: Any, mat: Any) -> Any:
    """The elements of a dense array where a sparse array stores some.

    Parameters
    ----------
    indices, indptr : array_like of int
        As of a BCSR.
    mat : array_like
        The dense array.

    Returns
    -------
    Array
        The data of the BCSR.

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.bcsr_extract([1, 0], [0, 1, 2], np.array([[1, 2], [3, 4]]))
    Array([2, 3], dtype=int32)
    """
    indices, indptr, mat = cnp.asarray(indices), cnp.asarray(indptr), cnp.asarray(mat)
    nb = indices.ndim - 1
    data = cnp.zeros((*(1,) * nb, indices.shape[-1], *mat.shape[nb + 2 :]), mat.dtype)
    # Construction checks the shapes.
    return _extract(BCSR((data, indices, indptr), shape=mat.shape), mat)


@fused()
def _extract(like: BCSR, mat: Any) -> Any:
    where = full_batch(_to_bcoo(like))
    return batched(gather_blocks, like.n_batch)(mat, where.indices)


def bcsr_dot_general(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any,
    precision: None = None,
    preferred_element_type: None = None,
    out_sharding: Any = None,
) -> Any:
    """The product of a sparse array and a dense one: as `covector.lax.dot_general`.

    Parameters
    ----------
    lhs, rhs : BCSR or array_like
    dimension_numbers : tuple
        ``((contracting axes of lhs, of rhs), (batch axes of lhs, of rhs))``.
    precision, preferred_element_type, out_sharding : None
        Not supported.

    Returns
    -------
    Array
        Or a BCOO, if both operands are sparse.

    Raises
    ------
    ShapeMismatchError
        If sizes differ.
    TypeError
        If neither operand is sparse.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCSR.fromdense(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> dims = (((1,), (0,)), ((), ()))
    >>> sparse.bcsr_dot_general(x, np.array([3.0, 4.0]), dimension_numbers=dims)
    Array([8., 3.], dtype=float32)
    """
    if not isinstance(lhs, BCSR) and not isinstance(rhs, BCSR):
        raise TypeError(
            f"bcsr_dot_general takes at least one BCSR, got {describe(lhs)} and "
            f"{describe(rhs)}{at_user_line()}"
        )
    _products._check_options("bcsr_dot_general", preferred_element_type, out_sharding)
    dims = _products._dims("bcsr_dot_general", lhs, rhs, dimension_numbers)
    return _dot(lhs, rhs, dims)


@fused("dims")
def _dot(lhs: Any, rhs: Any, dims: Any) -> Any:
    if isinstance(lhs, BCSR) and not lhs.n_batch and not isinstance(rhs, JAXSparse):
        # Rows are in order, whatever the columns are: products need no more.
        columns = [rows_of(lhs.indptr, lhs.nse), lhs.indices]
        ordered = lhs.indices_sorted or 1 in dims[0][0]
        promises = ordered, lhs.unique_indices
        wide = cnp.int64 if lhs.indptr.dtype.itemsize == 8 else cnp.int32
        return _products.product_of(
            lhs.data, columns, lhs.shape, promises, cnp.asarray(rhs), dims,
            lhs.indptr.astype(wide),
        )  # fmt: skip
    lhs, rhs = (_to_bcoo(x) if isinstance(x, BCSR) else x for x in (lhs, rhs))
    return _products.bcoo_dot_general(lhs, rhs, dimension_numbers=dims)


def bcsr_broadcast_in_dim(
    mat: BCSR, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], sharding: Any = None
) -> BCSR:
    """A sparse array broadcast to a shape: as `covector.lax.broadcast_in_dim`.

    Parameters
    ----------
    mat : BCSR
    shape : sequence of int
    broadcast_dimensions : sequence of int
        Which axis of the result each axis of ``mat`` becomes. Rows and columns stay next to each
        other.
    sharding : None
        Not supported.

    Returns
    -------
    BCSR

    Raises
    ------
    ValueError
        If the axes do not fit ``shape``, or there would be further sparse axes.
    TypeError
        If ``mat`` is not a BCSR.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCSR.fromdense(np.eye(2))
    >>> sparse.bcsr_broadcast_in_dim(x, shape=(3, 2, 2), broadcast_dimensions=(1, 2))
    BCSR(float32[3, 2, 2], nse=2, n_batch=1)
    """
    check_bcsr("bcsr_broadcast_in_dim", mat)
    out = _shapes.bcoo_broadcast_in_dim(
        mat.to_bcoo(), shape=shape, broadcast_dimensions=broadcast_dimensions, sharding=sharding
    )
    return BCSR.from_bcoo(out)


def bcsr_concatenate(operands: Sequence[BCSR], *, dimension: int) -> BCSR:
    """Sparse arrays joined along an axis.

    Parameters
    ----------
    operands : sequence of BCSR
        With as many batch and dense axes, and of one shape but along the axis.
    dimension : int

    Returns
    -------
    BCSR

    Raises
    ------
    ValueError
        If there are no operands, or their layouts or shapes do not fit.
    TypeError
        If an operand is not a BCSR.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCSR.fromdense(np.eye(2))
    >>> sparse.bcsr_concatenate([x, x], dimension=0)
    BCSR(float32[4, 2], nse=4)
    """
    operands = list(operands)
    check_bcsr("bcsr_concatenate", *operands)
    if operands:
        dimension = canonical_axis(dimension, operands[0])
    out = _shapes.bcoo_concatenate([x.to_bcoo() for x in operands], dimension=dimension)
    return BCSR.from_bcoo(out)


def bcsr_sum_duplicates(mat: BCSR, nse: int | None = None) -> BCSR:
    """A sparse array that stores each place once, in order.

    Parameters
    ----------
    mat : BCSR
    nse : int, optional
        How many blocks the result stores; by default as many as there are different places, which
        must not be traced.

    Returns
    -------
    BCSR

    Raises
    ------
    ValueError
        If ``nse`` is not given and ``mat`` is traced.
    TypeError
        If ``mat`` is not a BCSR.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.BCSR((np.array([1, 2]), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    >>> sparse.bcsr_sum_duplicates(x).data
    Array([3], dtype=int32)
    """
    check_bcsr("bcsr_sum_duplicates", mat)
    return _from_bcoo(bcoo_sum_duplicates(mat.to_bcoo(), nse=nse))


def _bcsr_of(data: Any, indices: Any, indptr: Any, spinfo: Any) -> BCSR:
    return BCSR((data, indices, indptr), **SparseInfo(*spinfo)._asdict())


# ``bind(data, indices, indptr, spinfo=(shape, sorted, unique))``: see `bcsr_todense`.
bcsr_todense_p = Composed(
    "bcsr_todense",
    lambda data, indices, indptr, *, spinfo: bcsr_todense(_bcsr_of(data, indices, indptr, spinfo)),
)
# ``bind(mat, nse=, n_batch=, n_dense=, index_dtype=)``: the buffers of `bcsr_fromdense`.
bcsr_fromdense_p = Composed(
    "bcsr_fromdense", lambda mat, **params: list(bcsr_fromdense(mat, **params)._buffers())
)
# ``bind(indices, indptr, mat)``: see `bcsr_extract`.
bcsr_extract_p = Composed(
    "bcsr_extract", lambda indices, indptr, mat: bcsr_extract(indices, indptr, mat)
)
# ``bind(data, indices, indptr, rhs, dimension_numbers=, lhs_spinfo=)``: see `bcsr_dot_general`.
bcsr_dot_general_p = Composed(
    "bcsr_dot_general",
    lambda data, indices, indptr, rhs, *, dimension_numbers, lhs_spinfo: bcsr_dot_general(
        _bcsr_of(data, indices, indptr, lhs_spinfo), rhs, dimension_numbers=dimension_numbers
    ),
)
