"""Matrices as coordinates, compressed rows and compressed columns: COO, CSR, CSC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as onp

from covector import numpy as cnp
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import canonical_shape
from covector.core.trace import Composed
from covector.experimental.sparse import _products
from covector.experimental.sparse._base import (
    JAXSparse,
    SparseInfo,
    check_index_dtype,
    to_array,
)
from covector.experimental.sparse._bcoo import BCOO, bcoo_fromdense, bcoo_todense
from covector.experimental.sparse._bcsr import BCSR, _from_bcoo, bcsr_dot_general, rows_of
from covector.numpy._util import fused
from covector.tree_util import register_pytree_node_class


class COOInfo(NamedTuple):
    """What is static of a matrix of coordinates."""

    shape: tuple[int, ...]
    rows_sorted: bool = False
    cols_sorted: bool = False


class _Matrix(JAXSparse):
    """What the formats of matrices share."""

    # The other buffers.
    _places: ClassVar[tuple[str, str]]

    def _set(self, args: Sequence[Any], shape: Sequence[int]) -> None:
        name = type(self).__name__
        self.data = to_array(args[0])
        for place, x in zip(self._places, args[1:], strict=True):
            setattr(self, place, to_array(x))
        JAXSparse.__init__(self, tuple(args), shape=shape)
        check_index_dtype(name, **{p: getattr(self, p) for p in self._places})
        if self.ndim != 2 or any(x.ndim != 1 for x in self._buffers()) or not self._fits():
            texts = ", ".join(x.aval.str_short() for x in self._buffers())
            raise ValueError(
                f"{name}: data, {', '.join(self._places)} must be vectors that fit the shape "
                f"{self.shape} of a matrix, got {texts}{at_user_line()}"
            )

    def _fits(self) -> bool:
        raise NotImplementedError

    def _buffers(self) -> tuple[Any, ...]:
        return (self.data, *(getattr(self, p) for p in self._places))

    @property
    def nse(self) -> int:
        """The number of stored elements."""
        return self.data.shape[0]

    def _with(self, data: Any) -> Any:
        children, aux = self.tree_flatten()
        return type(self).tree_unflatten(aux, (data, *children[1:]))

    def _bcoo(self) -> BCOO:
        raise NotImplementedError

    def todense(self) -> Any:
        """The dense matrix."""
        return _todense(self)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, JAXSparse):
            raise NotImplementedError(
                f"{type(self).__name__} @ {type(other).__name__}: products of two sparse arrays "
                f"are those of BCOO{at_user_line()}"
            )
        return _times(self, cnp.asarray(other), False)

    def __rmatmul__(self, other: Any) -> Any:
        other = cnp.asarray(other)
        if other.ndim == 2:
            return _times(self, other.T, True).T
        return _times(self, other, True)

    def __neg__(self) -> Any:
        return self._with(-self.data)


@fused()
def _todense(mat: _Matrix) -> Any:
    return bcoo_todense(mat._bcoo())


@fused("transpose")
def _times(mat: _Matrix, x: Any, transpose: bool) -> Any:
    """A matrix, or its transpose, times a vector or matrix."""
    axis = 0 if transpose else 1
    if x.ndim not in (1, 2) or x.shape[0] != mat.shape[axis]:
        raise ShapeMismatchError(
            f"{type(mat).__name__}: {'the transpose of ' * transpose}a matrix of shape {mat.shape} "
            f"cannot be multiplied by {x.aval.str_short()}{at_user_line()}"
        )
    dims = (((axis,), (0,)), ((), ()))
    if isinstance(mat, _Compressed) and axis != mat._axis:
        # The sums of its lines.
        shape = mat.shape if axis else mat.shape[::-1]
        lines = BCSR.tree_unflatten(SparseInfo(shape), mat._buffers())
        return bcsr_dot_general(lines, x, dimension_numbers=(((1,), (0,)), ((), ())))
    return _products.bcoo_dot_general(mat._bcoo(), x, dimension_numbers=dims)


@register_pytree_node_class
class COO(_Matrix):
    """A sparse matrix of elements with their rows and columns.

    Parameters
    ----------
    args : tuple of three vectors
        ``data``, ``row``, ``col``.
    shape : sequence of int
    rows_sorted, cols_sorted : bool
        Promises: rows, or columns, come in order.

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.COO.fromdense(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> x.row, x.col
    (Array([0, 1], dtype=int32), Array([1, 0], dtype=int32))
    >>> x @ np.array([3.0, 4.0])
    Array([8., 3.], dtype=float32)
    """

    _places = ("row", "col")
    row: Any
    col: Any

    def __init__(
        self,
        args: tuple[Any, Any, Any],
        *,
        shape: Any,
        rows_sorted: bool = False,
        cols_sorted: bool = False,
    ) -> None:
        self._info = COOInfo(canonical_shape(tuple(shape)), rows_sorted, cols_sorted)
        self._set(args, shape)

    def _fits(self) -> bool:
        return len({x.shape for x in self._buffers()}) == 1

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = onp.int32) -> COO:
        """The sparse matrix of a dense one: `coo_fromdense`."""
        return coo_fromdense(mat, nse=nse, index_dtype=index_dtype)

    @classmethod
    def _empty(cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32") -> COO:
        _check_matrix("COO", shape)
        args = (cnp.zeros(0, dtype), cnp.zeros(0, index_dtype), cnp.zeros(0, index_dtype))
        return cls(args, shape=shape, rows_sorted=True, cols_sorted=True)

    def tree_flatten(self) -> Any:
        """Data, rows and columns, and what is static."""
        return (self.data, self.row, self.col), self._info

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> COO:
        """A matrix of what `tree_flatten` gives."""
        out = object.__new__(cls)
        out.data, out.row, out.col = children
        out._info = COOInfo(*aux_data)
        out.shape = out._info.shape
        return out

    def transpose(self, axes: tuple[int, ...] | None = None) -> COO:
        """The transposed matrix."""
        if axes is not None and tuple(axes) != (1, 0):
            raise NotImplementedError(
                f"COO.transpose: axes must be (1, 0), got {axes}{at_user_line()}"
            )
        info = COOInfo(self.shape[::-1], self._info.cols_sorted, self._info.rows_sorted)
        return COO.tree_unflatten(info, (self.data, self.col, self.row))

    def _bcoo(self) -> BCOO:
        # Sums need rows in order, not columns in them.
        info = SparseInfo(self.shape, self._info.rows_sorted)
        return BCOO.tree_unflatten(info, (self.data, cnp.stack([self.row, self.col], -1)))


class _Compressed(_Matrix):
    """What compressed rows and columns share."""

    _places = ("indices", "indptr")
    _axis: ClassVar[int]
    indices: Any
    indptr: Any

    def __init__(self, args: Any, *, shape: Any) -> None:
        self._set(args, shape)

    def _fits(self) -> bool:
        return (
            self.data.shape == self.indices.shape
            and self.indptr.shape[0] == self.shape[self._axis] + 1
        )

    @classmethod
    def _empty(cls, shape: Any, *, dtype: Any = None, index_dtype: Any = "int32") -> Any:
        _check_matrix(cls.__name__, shape)
        ends = cnp.zeros(tuple(shape)[cls._axis] + 1, index_dtype)
        return cls((cnp.zeros(0, dtype), cnp.zeros(0, index_dtype), ends), shape=shape)

    def tree_flatten(self) -> Any:
        """The buffers, and the shape."""
        return self._buffers(), (self.shape,)

    @classmethod
    def tree_unflatten(cls, aux_data: Any, children: Any) -> Any:
        """A matrix of what `tree_flatten` gives."""
        out = object.__new__(cls)
        out.data, out.indices, out.indptr = children
        (out.shape,) = aux_data
        return out

    def transpose(self, axes: Any = None) -> Any:
        """The transposed matrix: rows are stored as columns, and columns as rows."""
        if axes is not None and tuple(axes) != (1, 0):
            raise NotImplementedError(
                f"{type(self).__name__}.transpose: axes must be (1, 0), got {axes}{at_user_line()}"
            )
        other = CSC if type(self) is CSR else CSR
        return other.tree_unflatten((self.shape[::-1],), self._buffers())

    def _bcoo(self) -> BCOO:
        lines = rows_of(self.indptr, self.nse).astype(self.indices.dtype)
        shape = self.shape
        # Elements behind the last row are padding.
        other = cnp.where(lines < shape[self._axis], self.indices, shape[1 - self._axis])
        pair = [lines, other] if self._axis == 0 else [other, lines]
        info = SparseInfo(shape, self._axis == 0)
        return BCOO.tree_unflatten(info, (self.data, cnp.stack(pair, -1)))


@register_pytree_node_class
class CSR(_Compressed):
    """A sparse matrix of rows of elements with their columns.

    Parameters
    ----------
    args : tuple of three vectors
        ``data``, ``indices`` (the columns) and ``indptr``: row ``i`` is what is stored from
        ``indptr[i]`` to ``indptr[i + 1]``.
    shape : sequence of int

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.CSR.fromdense(np.array([[0.0, 2.0], [1.0, 3.0]]))
    >>> x.indices, x.indptr
    (Array([1, 0, 1], dtype=int32), Array([0, 1, 3], dtype=int32))
    >>> x @ np.array([1.0, 10.0])
    Array([20., 31.], dtype=float32)
    """

    _axis = 0

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = onp.int32) -> CSR:
        """The sparse matrix of a dense one: `csr_fromdense`."""
        return csr_fromdense(mat, nse=nse, index_dtype=index_dtype)


@register_pytree_node_class
class CSC(_Compressed):
    """A sparse matrix of columns of elements with their rows.

    Parameters
    ----------
    args : tuple of three vectors
        ``data``, ``indices`` (the rows) and ``indptr``: column ``i`` is what is stored from
        ``indptr[i]`` to ``indptr[i + 1]``.
    shape : sequence of int

    Raises
    ------
    ValueError
        If shapes do not fit together.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> x = sparse.CSC.fromdense(np.array([[0.0, 2.0], [1.0, 3.0]]))
    >>> x.indices, x.indptr
    (Array([1, 0, 1], dtype=int32), Array([0, 1, 3], dtype=int32))
    >>> x.T
    CSR(float32[2, 2], nse=3)
    """

    _axis = 1

    @classmethod
    def fromdense(cls, mat: Any, *, nse: int | None = None, index_dtype: Any = onp.int32) -> CSC:
        """The sparse matrix of a dense one."""
        mat = cnp.asarray(mat)
        _check_matrix("CSC.fromdense", mat.shape)
        return csr_fromdense(mat.T, nse=nse, index_dtype=index_dtype).transpose()


def _check_matrix(name: str, shape: Any) -> None:
    if len(tuple(shape)) != 2:
        raise ValueError(f"{name}: a matrix has two axes, got the shape {shape}{at_user_line()}")


def _check(name: str, mat: Any, kind: type) -> None:
    if not isinstance(mat, kind):
        raise TypeError(f"{name} takes a {kind.__name__}, got {describe(mat)}{at_user_line()}")


def _check_rank(name: str, x: Any, rank: int) -> Any:
    x = cnp.asarray(x)
    if x.ndim != rank:
        raise ValueError(
            f"{name} takes a {'vector' if rank == 1 else 'matrix'}, got "
            f"{x.aval.str_short()}{at_user_line()}"
        )
    return x


def coo_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = cnp.int32) -> COO:
    """The sparse matrix of a dense one, as coordinates.

    Parameters
    ----------
    mat : array_like
        A matrix.
    nse : int, optional
        How many elements to store; by default those that are not zero.
    index_dtype : dtype
        Of rows and columns.

    Returns
    -------
    COO

    Raises
    ------
    ValueError
        If ``mat`` is no matrix.
    ConcretizationTypeError
        If ``nse`` is not given and ``mat`` is traced.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.coo_fromdense(np.eye(3))
    COO(float32[3, 3], nse=3)
    """
    mat = cnp.asarray(mat)
    _check_matrix("coo_fromdense", mat.shape)
    out = bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype)
    args = (out.data, out.indices[:, 0], out.indices[:, 1])
    return COO(args, shape=mat.shape, rows_sorted=True)


def csr_fromdense(mat: Any, *, nse: int | None = None, index_dtype: Any = onp.int32) -> CSR:
    """The sparse matrix of a dense one, as compressed rows.

    Parameters
    ----------
    mat : array_like
        A matrix.
    nse : int, optional
        How many elements to store; by default those that are not zero.
    index_dtype : dtype
        Of columns and ends of rows.

    Returns
    -------
    CSR

    Raises
    ------
    ValueError
        If ``mat`` is no matrix.
    ConcretizationTypeError
        If ``nse`` is not given and ``mat`` is traced.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> sparse.csr_fromdense(np.eye(3))
    CSR(float32[3, 3], nse=3)
    """
    mat = cnp.asarray(mat)
    _check_matrix("csr_fromdense", mat.shape)
    out = _from_bcoo(bcoo_fromdense(mat, nse=nse, index_dtype=index_dtype))
    return CSR(out._buffers(), shape=mat.shape)


_TODENSE = """The dense matrix of {kind}.

Parameters
----------
mat : {cls}

Returns
-------
Array

Raises
------
TypeError
    If ``mat`` is not a {cls}.

Examples
--------
>>> from covector.experimental import sparse
>>> sparse.{name}(sparse.eye(2, sparse_format="{format}"))
Array([[1., 0.],
       [0., 1.]], dtype=float32)
"""
_PRODUCT = """The product of {kind}, or of its transpose, and a {what}.

Parameters
----------
mat : {cls}
{operand} : array_like
    A {what}.
transpose : bool
    Whether it is that of the transpose.

Returns
-------
Array

Raises
------
ShapeMismatchError
    If sizes differ.
ValueError
    If ``{operand}`` is no {what}.
TypeError
    If ``mat`` is not a {cls}.

Examples
--------
>>> import covector.numpy as np
>>> from covector.experimental import sparse
>>> x = sparse.{cls}.fromdense(np.array([[0.0, 2.0], [1.0, 3.0]]))
>>> sparse.{name}(x, np.ones({size}))
{result}
"""
_KINDS = {"COO": "coordinates", "CSR": "compressed rows"}
_RESULTS = {
    "vector": "Array([2., 4.], dtype=float32)",
    "matrix": "Array([[2.],\n       [4.]], dtype=float32)",
}


def _documented(text: str, cls: str, **more: str) -> Any:
    def decorate(f: Any) -> Any:
        f.__doc__ = text.format(
            cls=cls, name=f.__name__, kind=f"a matrix of {_KINDS[cls]}", format=cls.lower(), **more
        )
        return f

    return decorate


_VECTOR = {"what": "vector", "operand": "v", "size": "2", "result": _RESULTS["vector"]}
_MATRIX = {"what": "matrix", "operand": "B", "size": "(2, 1)", "result": _RESULTS["matrix"]}


@_documented(_TODENSE, "COO")
def coo_todense(mat: COO) -> Any:
    _check("coo_todense", mat, COO)
    return mat.todense()


@_documented(_TODENSE, "CSR")
def csr_todense(mat: CSR) -> Any:
    _check("csr_todense", mat, CSR)
    return mat.todense()


@_documented(_PRODUCT, "COO", **_VECTOR)
def coo_matvec(mat: COO, v: Any, transpose: bool = False) -> Any:
    _check("coo_matvec", mat, COO)
    return _times(mat, _check_rank("coo_matvec", v, 1), bool(transpose))


@_documented(_PRODUCT, "COO", **_MATRIX)
def coo_matmat(mat: COO, B: Any, *, transpose: bool = False) -> Any:
    _check("coo_matmat", mat, COO)
    return _times(mat, _check_rank("coo_matmat", B, 2), bool(transpose))


@_documented(_PRODUCT, "CSR", **_VECTOR)
def csr_matvec(mat: CSR, v: Any, transpose: bool = False) -> Any:
    _check("csr_matvec", mat, CSR)
    return _times(mat, _check_rank("csr_matvec", v, 1), bool(transpose))


@_documented(_PRODUCT, "CSR", **_MATRIX)
def csr_matmat(mat: CSR, B: Any, *, transpose: bool = False) -> Any:
    _check("csr_matmat", mat, CSR)
    return _times(mat, _check_rank("csr_matmat", B, 2), bool(transpose))


def _coo(data: Any, row: Any, col: Any, spinfo: Any) -> COO:
    return COO((data, row, col), **COOInfo(*spinfo)._asdict())


# ``bind(data, row, col, spinfo=(shape, rows_sorted, cols_sorted))``: see `coo_todense`.
coo_todense_p = Composed(
    "coo_todense", lambda data, row, col, *, spinfo: coo_todense(_coo(data, row, col, spinfo))
)
# ``bind(mat, nse=, index_dtype=)``: the buffers of `coo_fromdense`.
coo_fromdense_p = Composed(
    "coo_fromdense",
    lambda mat, *, nse, index_dtype: list(
        coo_fromdense(mat, nse=nse, index_dtype=index_dtype)._buffers()
    ),
)
# ``bind(data, row, col, v, spinfo=, transpose=)``: see `coo_matvec`.
coo_matvec_p = Composed(
    "coo_matvec",
    lambda data, row, col, v, *, spinfo, transpose: coo_matvec(
        _coo(data, row, col, spinfo), v, transpose
    ),
)
# ``bind(data, row, col, B, spinfo=, transpose=)``: see `coo_matmat`.
coo_matmat_p = Composed(
    "coo_matmat",
    lambda data, row, col, B, *, spinfo, transpose: coo_matmat(
        _coo(data, row, col, spinfo), B, transpose=transpose
    ),
)
# ``bind(data, indices, indptr, shape=)``: see `csr_todense`.
csr_todense_p = Composed(
    "csr_todense",
    lambda data, indices, indptr, *, shape: csr_todense(CSR((data, indices, indptr), shape=shape)),
)
# ``bind(mat, nse=, index_dtype=)``: the buffers of `csr_fromdense`.
csr_fromdense_p = Composed(
    "csr_fromdense",
    lambda mat, *, nse, index_dtype: list(
        csr_fromdense(mat, nse=nse, index_dtype=index_dtype)._buffers()
    ),
)
# ``bind(data, indices, indptr, v, shape=, transpose=)``: see `csr_matvec`.
csr_matvec_p = Composed(
    "csr_matvec",
    lambda data, indices, indptr, v, *, shape, transpose: csr_matvec(
        CSR((data, indices, indptr), shape=shape), v, transpose
    ),
)
# ``bind(data, indices, indptr, B, shape=, transpose=)``: see `csr_matmat`.
csr_matmat_p = Composed(
    "csr_matmat",
    lambda data, indices, indptr, B, *, shape, transpose: csr_matmat(
        CSR((data, indices, indptr), shape=shape), B, transpose=transpose
    ),
)
