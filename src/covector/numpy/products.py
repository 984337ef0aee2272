"""Products of vectors, matrices and tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import canonical_axes, canonical_axis
from covector.numpy._util import (
    array,
    broadcast_shapes,
    broadcast_to,
    check_out,
    convert,
    fused,
    operand,
    promote_dtypes,
)
from covector.numpy.joining import stack
from covector.numpy.manipulation import moveaxis
from covector.numpy.ufuncs import _multiply, _subtract
from covector.sharding.results import laid_out

_DOT = ("precision", "preferred_element_type")


def _operands(name: str, a: Any, b: Any, preferred: Any) -> tuple[Any, Any, bool]:
    x, y = promote_dtypes(name, operand(a, name, 0), operand(b, name, 1))
    x, y = array(x), array(y)
    return x, y, x.weak_type and y.weak_type and preferred is None


def _dot_general(x: Any, y: Any, dims: Any, precision: Any, preferred: Any, weak: bool) -> Any:
    """`lax.dot_general`, with sums in single precision for booleans and a weak type kept."""
    boolean = x.dtype == dtypes.bool_
    if boolean and preferred is None:
        # The product of booleans is a logical or of ands.
        counts = lax.dot_general(convert(x, dtypes.float32), convert(y, dtypes.float32), dims)
        return lax.gt(counts, 0.0)
    out = lax.dot_general(x, y, dims, precision, preferred)
    return convert(out, out.dtype, weak)


@fused(*_DOT, "out_sharding")
def matmul(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Product of matrices; leading dimensions are stacks that broadcast together.

    Parameters
    ----------
    a, b : array_like
        A vector is a row on the left, a column on the right.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Without the dimension of a vector; of booleans, the logical or of ands.

    Raises
    ------
    ValueError
        If an operand has no dimension.
    TypeError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.matmul(np.array([[1, 2], [3, 4]]), np.array([1, 10]))
    Array([21, 43], dtype=int32)
    >>> np.matmul(np.zeros((5, 2, 3)), np.zeros((3, 4))).shape
    (5, 2, 4)
    """
    if out_sharding is not None:
        return laid_out(matmul, locals())
    x, y, weak = _operands("matmul", a, b, preferred_element_type)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(
            f"matmul takes arrays of one or more dimensions, got {describe(x)} and {describe(y)}; "
            f"scalars are multiplied with *{at_user_line()}"
        )
    inner = 0 if y.ndim == 1 else y.ndim - 2
    if x.shape[-1] != y.shape[inner]:
        raise ShapeMismatchError(
            f"matmul: the last dimension of {describe(x)} (size {x.shape[-1]}) does not match "
            f"dimension {inner} of {describe(y)} (size {y.shape[inner]}){at_user_line()}"
        )
    return _matmul(x, y, precision, preferred_element_type, weak)


def _matmul(x: Any, y: Any, precision: Any, preferred: Any, weak: bool) -> Any:
    if y.ndim <= 2:
        # One matrix (or vector) for all: no batch dimensions.
        dims = (((x.ndim - 1,), (0,)), ((), ()))
        return _dot_general(x, y, dims, precision, preferred, weak)
    if x.ndim <= 2:
        dims = (((x.ndim - 1,), (y.ndim - 2,)), ((), ()))
        out = _dot_general(x, y, dims, precision, preferred, weak)
        if x.ndim == 1:
            return out
        return structural.moveaxis(out, 0, out.ndim - 2)
    batch = broadcast_shapes("matmul", x.shape[:-2], y.shape[:-2], of=(x, y))
    # Stack dimensions of size 1 on one side are free dimensions of the other.
    nb = len(batch)
    x = lax.reshape(x, (1,) * (nb + 2 - x.ndim) + x.shape)
    y = lax.reshape(y, (1,) * (nb + 2 - y.ndim) + y.shape)
    shared = [i for i in range(nb) if x.shape[i] == y.shape[i]]
    if len(shared) != nb:
        x = broadcast_to(x, batch + x.shape[-2:])
        y = broadcast_to(y, batch + y.shape[-2:])
    lead = tuple(range(nb))
    return _dot_general(x, y, (((nb + 1,), (nb,)), (lead, lead)), precision, preferred, weak)


@fused(*_DOT, "out_sharding")
def dot(
    a: Any,
    b: Any,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over the last axis of ``a`` and the last but one of ``b``.

    Parameters
    ----------
    a, b : array_like
        Vectors are summed over their only axis; scalars are multiplied.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the remaining dimensions of ``a``, then those of ``b``.

    Raises
    ------
    TypeError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.dot(np.array([1, 2, 3]), np.array([1, 10, 100]))
    Array(321, dtype=int32)
    >>> np.dot(np.array([[1, 2], [3, 4]]), np.array([[1, 0], [0, 10]]))
    Array([[ 1, 20],
           [ 3, 40]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(dot, locals())
    x, y, weak = _operands("dot", a, b, preferred_element_type)
    if not x.ndim or not y.ndim:
        dims: Any = (((), ()), ((), ()))
    else:
        inner = max(y.ndim - 2, 0)
        if x.shape[-1] != y.shape[inner]:
            raise ShapeMismatchError(
                f"dot: the last dimension of {describe(x)} does not match dimension {inner} of "
                f"{describe(y)}{at_user_line()}"
            )
        dims = (((x.ndim - 1,), (inner,)), ((), ()))
    return _dot_general(x, y, dims, precision, preferred_element_type, weak)


@fused(*_DOT)
def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum of the products of all elements, those of ``a`` conjugated.

    Parameters
    ----------
    a, b : array_like
        Of as many elements; they are flattened.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array
        Of rank 0.

    Raises
    ------
    TypeError
        If the sizes differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vdot(np.array([1 + 1j, 2]), np.array([1j, 3]))
    Array(7.+1.j, dtype=complex64)
    """
    x, y, weak = _operands("vdot", a, b, preferred_element_type)
    x = lax.conj(x) if x.dtype in dtypes.COMPLEX else x
    if x.size != y.size:
        raise ShapeMismatchError(
            f"vdot: {describe(x)} and {describe(y)} differ in size{at_user_line()}"
        )
    x, y = lax.reshape(x, (x.size,)), lax.reshape(y, (y.size,))
    dims = (((0,), (0,)), ((), ()))
    return _dot_general(x, y, dims, precision, preferred_element_type, weak)


@fused("axis", *_DOT)
def vecdot(
    x1: Any,
    x2: Any,
    /,
    *,
    axis: int = -1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Sums of products along an axis, the first operand conjugated; the others broadcast.

    Parameters
    ----------
    x1, x2 : array_like
    axis : int
        Of both operands.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array
        Of the common shape without ``axis``.

    Raises
    ------
    ValueError
        If the sizes along ``axis`` differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vecdot(np.array([[1, 2], [3, 4]]), np.array([1, 10]))
    Array([21, 43], dtype=int32)
    """
    x, y, weak = _operands("vecdot", x1, x2, preferred_element_type)
    i, j = canonical_axis(axis, x), canonical_axis(axis, y)
    if x.shape[i] != y.shape[j]:
        raise ValueError(
            f"vecdot: {describe(x)} and {describe(y)} differ in size along axis {axis}"
            f"{at_user_line()}"
        )
    x, y = structural.moveaxis(x, i, x.ndim - 1), structural.moveaxis(y, j, y.ndim - 1)
    x = lax.conj(x) if x.dtype in dtypes.COMPLEX else x
    shape = broadcast_shapes("vecdot", x.shape[:-1], y.shape[:-1], of=(x, y))
    x, y = broadcast_to(x, shape + x.shape[-1:]), broadcast_to(y, shape + y.shape[-1:])
    lead = tuple(range(len(shape)))
    dims = (((len(shape),), (len(shape),)), (lead, lead))
    return _dot_general(x, y, dims, precision, preferred_element_type, weak)


@fused()
def matvec(x1: Any, x2: Any, /) -> Any:
    """Products of matrices and vectors; leading dimensions broadcast.

    Parameters
    ----------
    x1 : array_like
        Matrices, in the last two dimensions.
    x2 : array_like
        Vectors, in the last dimension.

    Returns
    -------
    Array
        Vectors.

    Raises
    ------
    ValueError
        If an operand has too few dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.matvec(np.array([[1, 2], [3, 4]]), np.array([[1, 0], [0, 1]]))
    Array([[1, 3],
           [2, 4]], dtype=int32)
    """
    x, y, weak = _operands("matvec", x1, x2, None)
    if x.ndim < 2 or y.ndim < 1:
        raise ValueError(f"matvec takes matrices and vectors, got {describe(x)} and {describe(y)}")
    out = _matmul(x, lax.reshape(y, (*y.shape, 1)), None, None, weak)
    return lax.reshape(out, out.shape[:-1])


@fused()
def vecmat(x1: Any, x2: Any, /) -> Any:
    """Products of (conjugated) vectors and matrices; leading dimensions broadcast.

    Parameters
    ----------
    x1 : array_like
        Vectors, in the last dimension.
    x2 : array_like
        Matrices, in the last two dimensions.

    Returns
    -------
    Array
        Vectors.

    Raises
    ------
    ValueError
        If an operand has too few dimensions.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.vecmat(np.array([1, 10]), np.array([[1, 2], [3, 4]]))
    Array([31, 42], dtype=int32)
    """
    x, y, weak = _operands("vecmat", x1, x2, None)
    if x.ndim < 1 or y.ndim < 2:
        raise ValueError(f"vecmat takes vectors and matrices, got {describe(x)} and {describe(y)}")
    x = lax.conj(x) if x.dtype in dtypes.COMPLEX else x
    out = _matmul(lax.reshape(x, (*x.shape[:-1], 1, x.shape[-1])), y, None, None, weak)
    return lax.reshape(out, (*out.shape[:-2], out.shape[-1]))


@fused(*_DOT)
def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum of products over the last axes.

    Parameters
    ----------
    a, b : array_like
        Of equal size along the last axis; scalars are multiplied.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.

    Returns
    -------
    Array
        Of the remaining dimensions of ``a``, then those of ``b``.

    Raises
    ------
    TypeError
        If the last dimensions differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.inner(np.array([[1, 2], [3, 4]]), np.array([[1, 10], [0, 1]]))
    Array([[21,  2],
           [43,  4]], dtype=int32)
    """
    x, y, weak = _operands("inner", a, b, preferred_element_type)
    dims: Any = (((), ()), ((), ()))
    if x.ndim and y.ndim:
        if x.shape[-1] != y.shape[-1]:
            raise ShapeMismatchError(
                f"inner: the last dimensions of {describe(x)} and {describe(y)} do not match"
                f"{at_user_line()}"
            )
        dims = (((x.ndim - 1,), (y.ndim - 1,)), ((), ()))
    return _dot_general(x, y, dims, precision, preferred_element_type, weak)


@fused()
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Products of all pairs of elements of two flattened arrays.

    Parameters
    ----------
    a, b : array_like
    out : None
        Not supported: arrays are immutable.

    Returns
    -------
    Array
        Of shape ``(a.size, b.size)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.outer(np.array([1, 2]), np.array([1, 10, 100]))
    Array([[  1,  10, 100],
           [  2,  20, 200]], dtype=int32)
    """
    check_out(out, "outer")
    x, y = array(a, "outer"), array(b, "outer", 1)
    return _multiply(lax.reshape(x, (x.size, 1)), lax.reshape(y, (1, y.size)))


def tensordot(
    a: Any,
    b: Any,
    axes: Any = 2,
    *,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Sum of products over pairs of axes.

    Parameters
    ----------
    a, b : array_like
    axes : int, or pair of sequences of int
        The last ``axes`` of ``a`` with the first of ``b``, or the axes of each.
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the remaining dimensions of ``a``, then those of ``b``.

    Raises
    ------
    TypeError
        If the axes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.arange(6).reshape(2, 3)
    >>> np.tensordot(x, x, axes=([0, 1], [0, 1]))
    Array(55, dtype=int32)
    >>> np.tensordot(x, np.zeros((3, 4)), axes=1).shape
    (2, 4)
    """
    if out_sharding is not None:
        return laid_out(tensordot, locals())
    axes = axes.tolist() if hasattr(axes, "tolist") else axes
    if isinstance(axes, (list, tuple)):
        axes = [s.tolist() if hasattr(s, "tolist") else s for s in axes]
        if len(axes) != 2:
            raise ShapeMismatchError(
                f"tensordot: axes must be a number or a pair of sequences, got {axes!r}"
                f"{at_user_line()}"
            )
        pair = tuple(
            tuple(int(i) for i in s) if isinstance(s, (list, tuple, onp.ndarray)) else (int(s),)
            for s in axes
        )
        return _tensordot(a, b, axes=pair, precision=precision,
                          preferred_element_type=preferred_element_type)  # fmt: skip
    return _tensordot(a, b, axes=operator.index(axes), precision=precision,
                      preferred_element_type=preferred_element_type)  # fmt: skip


@fused("axes", "precision", "preferred_element_type")
def _tensordot(a: Any, b: Any, *, axes: Any, precision: Any, preferred_element_type: Any) -> Any:
    x, y, weak = _operands("tensordot", a, b, preferred_element_type)
    if isinstance(axes, int):
        if axes > min(x.ndim, y.ndim):
            raise ShapeMismatchError(
                f"tensordot: axes={axes} exceeds the dimensions of {describe(x)} or {describe(y)}"
                f"{at_user_line()}"
            )
        xc, yc = tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    else:
        xc, yc = canonical_axes(axes[0], x), canonical_axes(axes[1], y)
        if len(xc) != len(yc):
            raise ShapeMismatchError(
                f"tensordot: {len(xc)} axes of one operand for {len(yc)} of the other"
                f"{at_user_line()}"
            )
    for i, j in zip(xc, yc, strict=True):
        if x.shape[i] != y.shape[j]:
            raise ShapeMismatchError(
                f"tensordot: axis {i} of {describe(x)} does not match axis {j} of {describe(y)}"
                f"{at_user_line()}"
            )
    dims = ((xc, yc), ((), ()))
    return _dot_general(x, y, dims, precision, preferred_element_type, weak)


@fused()
def kron(a: Any, b: Any) -> Any:
    """Kronecker product: each element of ``a`` times the whole of ``b``.

    Parameters
    ----------
    a, b : array_like
        The one of fewer dimensions gets leading ones of size 1.

    Returns
    -------
    Array
        Its sizes are the products of those of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.kron(np.array([1, 10]), np.array([1, 2, 3]))
    Array([ 1,  2,  3, 10, 20, 30], dtype=int32)
    """
    x, y = array(a, "kron"), array(b, "kron", 1)
    n = max(x.ndim, y.ndim)
    x = lax.reshape(x, (1,) * (n - x.ndim) + x.shape)
    y = lax.reshape(y, (1,) * (n - y.ndim) + y.shape)
    spread_x = tuple(s for d in x.shape for s in (d, 1))
    spread_y = tuple(s for d in y.shape for s in (1, d))
    out = _multiply(lax.reshape(x, spread_x), lax.reshape(y, spread_y))
    return lax.reshape(out, tuple(p * q for p, q in zip(x.shape, y.shape, strict=True)))


@fused("axisa", "axisb", "axisc", "axis")
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Cross products of vectors of three (or two) components along an axis.

    Parameters
    ----------
    a, b : array_like
        A missing third component is 0.
    axisa, axisb, axisc : int
        Where the components are in ``a``, ``b`` and the result.
    axis : int, optional
        Where they are in all three.

    Returns
    -------
    Array
        The third component alone if all vectors have two.

    Raises
    ------
    ValueError
        If there are not 2 or 3 components.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moveaxis(array(a, "cross"), axisa, -1), moveaxis(array(b, "cross", 1), axisb, -1)
    nx, ny = x.shape[-1], y.shape[-1]
    if nx not in (2, 3) or ny not in (2, 3):
        raise ValueError(
            f"cross takes vectors of 2 or 3 components, got {nx} and {ny}{at_user_line()}"
        )

    def part(v: Any, i: int) -> Any:
        return lax.index_in_dim(v, i, v.ndim - 1, False)

    def minus(i: int, j: int) -> Any:
        return _subtract(_multiply(part(x, i), part(y, j)), _multiply(part(x, j), part(y, i)))

    if nx == ny == 2:
        return minus(0, 1)
    if nx == 3 and ny == 3:
        parts = [minus(1, 2), minus(2, 0), minus(0, 1)]
    else:
        short = x if nx == 2 else y
        pads = ((0, 0, 0),) * (short.ndim - 1) + ((0, 1, 0),)
        grown = lax.pad(short, short.dtype.type(0), pads)
        x, y = (grown, y) if nx == 2 else (x, grown)
        parts = [minus(1, 2), minus(2, 0), minus(0, 1)]
    return moveaxis(stack(parts, -1), -1, axisc)
