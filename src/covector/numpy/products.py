"""Products of vectors, matrices and tensors."""

from __future__ import annotations

import operator
from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes, structural
from covector.core.errors import ShapeMismatchError, at_user_line, describe
from covector.core.operands import canonical_axes, canonical_axis, no_sharding
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
    out_sharding : optional
        Not supported.

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
    no_sharding(out_sharding, "matmul")
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
    out_sharding : optional
        Not supported.

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
    no_sharding(out_sharding, "dot")
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
    out_sharding : optional
        Not supported.

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
    no_sharding(out_sharding, "tensordot")
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


# --- einsum ------------------------------------------------------------------------------


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: Any = None,
    optimize: Any = "auto",
    precision: Any = None,
    preferred_element_type: Any = None,
    _dot_general: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Einstein's sum: products over labelled axes, summed over those not in the result.

    Parameters
    ----------
    subscripts : str
        Such as ``'ij,jk->ik'``; ``...`` stands for axes that broadcast. Without ``->``, labels that
        occur once stay, in alphabetical order.
    *operands : array_like
        Or operands and lists of the numbers of their axes in turn, instead of ``subscripts``.
    out : None
        Not supported: arrays are immutable.
    optimize : str or bool or path
        How the order of pairwise products is chosen (by ``opt_einsum``).
    precision : optional
        Accuracy of the products, as of `covector.lax.dot_general`.
    preferred_element_type : dtype, optional
        Of the sums and the result.
    _dot_general
        Accepted and ignored.
    out_sharding : optional
        Not supported.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If the subscripts do not fit the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> np.einsum("ij,kj->ik", x, x)
    Array([[ 5, 11],
           [11, 25]], dtype=int32)
    >>> np.einsum("ii->i", x), np.einsum("ij->", x)
    (Array([1, 4], dtype=int32), Array(10, dtype=int32))
    """
    no_sharding(out_sharding, "einsum")
    check_out(out, "einsum")
    if not isinstance(subscripts, str):
        # The form with lists of axes: operand, axes, operand, axes, ..., axes of the result.
        import opt_einsum.parser as parser

        operands = (subscripts, *operands)
        _, _, found = parser.parse_einsum_input(operands)
        text = parser.convert_interleaved_input(operands)[0]
        subscripts, operands = text, tuple(found)
    ops = tuple(array(x, "einsum", i) for i, x in enumerate(operands))
    text, steps = _plan(subscripts, tuple([x.shape for x in ops]), _optimize_key(optimize))
    return _einsum(
        ops, text=text, steps=steps, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _optimize_key(optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)):
        # The path that `einsum_path` returns begins with its name.
        steps = optimize[1:] if len(optimize) and optimize[0] == "einsum_path" else optimize
        return tuple(tuple(p) if isinstance(p, (list, tuple)) else p for p in steps)
    return {True: "optimal", False: "naive"}.get(optimize, optimize) if isinstance(
        optimize, bool
    ) else optimize  # fmt: skip


_plans: dict[Any, Any] = {}


def _plan(text: str, shapes: tuple[tuple[int, ...], ...], optimize: Any) -> tuple[str, Any]:
    """Explicit subscripts without ellipses, and the order of pairwise products."""
    key = (text, shapes, optimize)
    found = _plans.get(key)
    if found is None:
        explicit = _explicit(text, shapes)
        n = len(shapes)
        if n <= 2 and not isinstance(optimize, tuple):
            steps: Any = (tuple(range(n)),)
        else:
            import opt_einsum

            path = list(optimize) if isinstance(optimize, tuple) else optimize
            if path == "naive":
                steps = tuple((0, 1) for _ in range(n - 1))
            else:
                found_path, _ = opt_einsum.contract_path(
                    explicit, *shapes, shapes=True, optimize=path
                )
                steps = tuple(tuple(p) for p in found_path)
        if len(_plans) > 4096:
            _plans.clear()
        found = _plans[key] = explicit, steps
    return found


def _explicit(text: str, shapes: tuple[tuple[int, ...], ...]) -> str:
    text = text.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: {text!r} has {len(terms)} operands, {len(shapes)} were given{at_user_line()}"
        )
    used = set(text)
    free = [c for c in map(chr, range(ord("A"), ord("z") + 1)) if c.isalpha() and c not in used]
    widths = [
        len(s) - len(t.replace("...", "")) if "..." in t else 0
        for t, s in zip(terms, shapes, strict=True)
    ]
    longest = max(widths, default=0)
    extra = "".join(free[:longest])
    terms = [
        t.replace("...", extra[longest - w :] if w else "")
        for t, w in zip(terms, widths, strict=True)
    ]
    sizes: dict[str, int] = {}
    for t, s in zip(terms, shapes, strict=True):
        if len(t) != len(s):
            raise ValueError(
                f"einsum: the term {t!r} of {text!r} has {len(t)} labels for an operand of shape "
                f"{s}{at_user_line()}"
            )
        for c, n in zip(t, s, strict=True):
            if not c.isalpha():
                raise ValueError(f"einsum: {c!r} in {text!r} is not a letter{at_user_line()}")
            if sizes.get(c, 1) != 1 and n != 1 and sizes[c] != n:
                raise ValueError(
                    f"einsum: the label {c!r} of {text!r} stands for sizes {sizes[c]} and {n} in "
                    f"operands of shapes {', '.join(map(str, shapes))}{at_user_line()}"
                )
            sizes[c] = max(n, sizes.get(c, n)) if n != 0 else 0
    if arrow:
        out = right.replace("...", extra)
    else:
        joined = "".join(terms)
        out = extra + "".join(sorted(c for c in set(joined) - set(extra) if joined.count(c) == 1))
    for c in out:
        if c not in sizes or out.count(c) > 1:
            raise ValueError(
                f"einsum: the label {c!r} of the result in {text!r} is not in the operands, or "
                f"repeated{at_user_line()}"
            )
    return ",".join(terms) + "->" + out


@fused("text", "steps", "precision", "preferred_element_type")
def _einsum(
    operands: tuple[Any, ...], *, text: str, steps: Any, precision: Any, preferred_element_type: Any
) -> Any:
    left, _, result = text.partition("->")
    xs = [array(x) for x in promote_dtypes("einsum", *operands)]
    if preferred_element_type is not None:
        # Sums are computed in the dtype asked for, or in that of the operands if it is wider.
        preferred = dtypes.canonicalize_dtype(preferred_element_type)
        wide = dtypes.promote(((xs[0].dtype, False), (preferred, False)))[0] if xs else preferred
        xs = [convert(x, wide) for x in xs]
    weak = all(x.weak_type for x in xs) and preferred_element_type is None
    terms = left.split(",")
    items = list(zip(xs, terms, strict=True))
    if not steps or (len(items) > 1 and len(steps) == 1 and len(steps[0]) > 2):
        steps = tuple((0, 1) for _ in range(len(items) - 1))
    for step in steps:
        chosen = [items[i] for i in step]
        for i in sorted(step, reverse=True):
            del items[i]
        needed = set(result).union(*[t for _, t in items])
        while len(chosen) > 1:
            rest = needed.union(*[t for _, t in chosen[2:]])
            pair = _contract(*chosen[0], *chosen[1], rest, precision)
            chosen[:2] = [pair]
        items.append(chosen[0])
    x, t = items[0]
    x, t = _diagonalised(x, t)
    x, t = _summed(x, t, set(result))
    out = structural.transpose(x, [t.index(c) for c in result])
    sizes = _result_sizes(operands, left.split(","), result)
    out = broadcast_to(out, sizes)
    return convert(out, out.dtype if preferred_element_type is None else preferred, weak)


def _result_sizes(operands: Any, terms: list[str], result: str) -> tuple[int, ...]:
    sizes: dict[str, int] = {}
    for x, t in zip(operands, terms, strict=True):
        for c, n in zip(t, x.shape, strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    return tuple(sizes[c] for c in result)


def _diagonalised(x: Any, t: str) -> tuple[Any, str]:
    """Repeated labels of one term reduced to the diagonal."""
    from covector.numpy.diagonals import diagonal

    for c in dict.fromkeys(t):
        while t.count(c) > 1:
            i = t.index(c)
            j = t.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            t = t[:i] + t[i + 1 : j] + t[j + 1 :] + c
    return x, t


def _summed(x: Any, t: str, needed: set[str]) -> tuple[Any, str]:
    """Labels that nothing else needs summed over."""
    axes = tuple(i for i, c in enumerate(t) if c not in needed)
    if axes:
        narrow = x.dtype.itemsize == 2 and x.dtype in dtypes.FLOATS
        dt = x.dtype
        if dt == dtypes.bool_:
            return lax.reduce_or(x, axes), "".join(c for c in t if c in needed)
        x = convert(x, dtypes.float32) if narrow else x
        x = convert(lax.reduce_sum(x, axes), dt)
    return x, "".join(c for c in t if c in needed)


def _contract(x: Any, t: str, y: Any, u: str, needed: set[str], precision: Any) -> tuple[Any, str]:
    """Product of two terms, summed over the labels that are not needed any more."""
    x, t = _diagonalised(x, t)
    y, u = _diagonalised(y, u)
    x, t = _summed(x, t, needed | set(u))
    y, u = _summed(y, u, needed | set(t))
    # A size of 1 against a larger one broadcasts: drop it, the other keeps the label.
    for c in set(t) & set(u):
        n, m = x.shape[t.index(c)], y.shape[u.index(c)]
        if n != m:
            if n == 1:
                x, t = lax.squeeze(x, (t.index(c),)), t.replace(c, "")
            else:
                y, u = lax.squeeze(y, (u.index(c),)), u.replace(c, "")
    x, t = _summed(x, t, needed | set(u))
    y, u = _summed(y, u, needed | set(t))
    shared = [c for c in t if c in u]
    batch = [c for c in shared if c in needed]
    contracted = [c for c in shared if c not in needed]
    dims = (
        (tuple(t.index(c) for c in contracted), tuple(u.index(c) for c in contracted)),
        (tuple(t.index(c) for c in batch), tuple(u.index(c) for c in batch)),
    )
    out = _dot_general(x, y, dims, precision, None, False)
    free = [c for c in t if c not in shared] + [c for c in u if c not in shared]
    return out, "".join([*batch, *free])


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> Any:
    """The order of pairwise products that `einsum` takes, and a report on its cost.

    Parameters
    ----------
    subscripts : str
        See `einsum`.
    *operands : array_like
    optimize : str or bool or path
        How the order is chosen (by ``opt_einsum``).

    Returns
    -------
    tuple of list and str
        The list begins with ``"einsum_path"``, the steps follow: positions of the operands to
        combine, whose product comes last.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a, b, c = np.zeros((2, 100)), np.zeros((100, 100)), np.zeros((100, 2))
    >>> path, report = np.einsum_path("ij,jk,kl->il", a, b, c)
    >>> path
    ['einsum_path', (0, 1), (0, 1)]
    """
    import opt_einsum

    if optimize is False:
        optimize = None
    path, info = opt_einsum.contract_path(
        subscripts, *[onp.empty(array(x).shape) for x in operands], optimize=optimize or "auto"
    )
    return ["einsum_path", *path], str(info)
