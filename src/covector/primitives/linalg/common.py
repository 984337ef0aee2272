"""What the factorisations share: checks of operands, triangles, products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.operands import like
from covector.core.structural import (
    broadcast_in_dim,
    convert_element_type,
    full,
    reduce_sum,
    transpose,
)
from covector.primitives.arithmetic import add, conj
from covector.primitives.compare import eq, ge
from covector.primitives.dot import dot_general
from covector.primitives.select import select
from covector.primitives.sorting import take_along
from covector.primitives.structure import broadcasted_iota

_SUPPORTED = (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)


def check_matrix(name: str, x: ShapedArray, square: bool = False) -> None:
    """Raise an error if ``x`` is not a stack of (square) matrices LAPACK can compute with."""
    if x.dtype not in _SUPPORTED:
        if x.dtype in dtypes.FLOATS:
            raise NotImplementedError(
                f"{name} computes in single or double precision, got {x.str_short()}; convert "
                f"with .astype('float32') and convert the result back{at_user_line()}"
            )
        raise TypeError(
            f"{name} takes matrices of floats or complex numbers, got {x.str_short()}; convert "
            f"with .astype(float), or use the function of covector.numpy.linalg, which converts"
            f"{at_user_line()}"
        )
    shape = x.shape
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        kind = "square matrices, shape (..., n, n)" if square else "matrices, shape (..., m, n)"
        raise ValueError(f"{name} takes {kind}, got {x.str_short()}{at_user_line()}")


def matrix_transpose(x: Any) -> Any:
    n = x.ndim
    return transpose(x, (*range(n - 2), n - 1, n - 2))


def is_complex(x: Any) -> bool:
    return aval_of(x).dtype in dtypes.COMPLEX


def conjugate(x: Any) -> Any:
    return conj(x) if is_complex(x) else x


def adjoint(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugate(matrix_transpose(x))


def matmul(x: Any, y: Any) -> Any:
    """Products of two stacks of matrices of equal batch shape."""
    n = x.ndim
    batch = tuple(range(n - 2))
    return dot_general(x, y, (((n - 1,), (n - 2,)), (batch, batch)))


def _positions(shape: Sequence[int]) -> tuple[Any, Any]:
    n = len(shape)
    i = broadcasted_iota(dtypes.int32, shape, n - 2)
    return i, broadcasted_iota(dtypes.int32, shape, n - 1)


def _kept(mask: Any, x: Any) -> Any:
    return select(mask, x, full(x.shape, 0, x.dtype))


def tril(x: Any, k: int = 0) -> Any:
    """``x`` on and below the ``k``-th diagonal, zero above."""
    i, j = _positions(x.shape)
    return _kept(ge(add(i, like(k, i)) if k else i, j), x)


def triu(x: Any, k: int = 0) -> Any:
    """``x`` on and above the ``k``-th diagonal, zero below."""
    i, j = _positions(x.shape)
    return _kept(ge(j, add(i, like(k, i)) if k else i), x)


def on_diagonal(shape: Sequence[int]) -> Any:
    """True on the diagonal."""
    i, j = _positions(shape)
    return eq(i, j)


def eye_like(x: Any, shape: Sequence[int] | None = None) -> Any:
    """Identity matrices of the shape (or another) and dtype of ``x``."""
    return convert_element_type(on_diagonal(x.shape if shape is None else shape), x.dtype)


def diagonal(x: Any) -> Any:
    """The diagonals of square matrices."""
    return reduce_sum(_kept(on_diagonal(x.shape), x), (x.ndim - 2,))


def rows(v: Any, like: Any) -> Any:
    """``v`` (..., n) repeated as the rows of matrices of the shape of ``like``."""
    n = like.ndim
    return broadcast_in_dim(v, like.shape, (*range(n - 2), n - 1))


def columns(v: Any, like: Any) -> Any:
    """``v`` (..., m) repeated as the columns of matrices of the shape of ``like``."""
    return broadcast_in_dim(v, like.shape, tuple(range(like.ndim - 1)))


def permute_rows(x: Any, permutation: Any) -> Any:
    """The rows of ``x`` in the order ``permutation``."""
    return take_along(x, columns(permutation, x), x.ndim - 2)


def permute_columns(x: Any, permutation: Any) -> Any:
    """The columns of ``x`` in the order ``permutation``."""
    return take_along(x, rows(permutation, x), x.ndim - 1)
