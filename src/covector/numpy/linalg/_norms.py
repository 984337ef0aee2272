"""Norms, condition numbers and ranks."""

from __future__ import annotations

from typing import Any

import numpy as onp

from covector import lax
from covector.core import dtypes
from covector.core.dims import max_dim, min_dim
from covector.core.errors import at_user_line
from covector.core.operands import canonical_axes
from covector.numpy import powers, reductions
from covector.numpy import ufuncs as u
from covector.numpy._util import array, fused, inexact
from covector.numpy.linalg._factorizations import matrices, svd, svdvals
from covector.numpy.linalg._systems import cutoff, inv, rounding_unit
from covector.numpy.manipulation import moveaxis
from covector.primitives.linalg.common import is_complex


def _squares(x: Any) -> Any:
    if is_complex(x):
        re, im = lax.real(x), lax.imag(x)
        return lax.add(lax.mul(re, re), lax.mul(im, im))
    return lax.mul(x, x)


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    how = {"axis": axes, "keepdims": keepdims}
    if ord is None or (not isinstance(ord, str) and ord == 2):
        return u.sqrt(reductions.sum(_squares(x), **how))
    if ord == onp.inf:
        return _largest(u.abs(x), **how)
    if ord == -onp.inf:
        return reductions.min(u.abs(x), **how)
    if isinstance(ord, str):
        raise ValueError(f"norm: invalid order {ord!r} for the norm of a vector{at_user_line()}")
    if ord == 0:
        real = dtypes.real_dtype(x.dtype)
        return lax.convert_element_type(reductions.sum(u.not_equal(x, 0), **how), real)
    if ord == 1:
        return reductions.sum(u.abs(x), **how)
    return powers.power(reductions.sum(powers.power(u.abs(x), ord), **how), 1.0 / ord)


def _largest(x: Any, axis: Any, keepdims: bool = False) -> Any:
    """The largest of numbers that are not negative; 0 if there are none."""
    initial = None if x.size else 0
    return reductions.max(x, axis=axis, keepdims=keepdims, initial=initial)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    row, column = axes
    if ord is None or ord == "fro":
        return u.sqrt(reductions.sum(_squares(x), axis=axes, keepdims=keepdims))
    if ord in (1, -1, onp.inf, -onp.inf):
        summed, other = (row, column) if ord in (1, -1) else (column, row)
        sums = reductions.sum(u.abs(x), axis=summed, keepdims=True)
        extreme = _largest if ord > 0 else reductions.min
        out = extreme(sums, axis=other, keepdims=True)
        return out if keepdims else lax.squeeze(out, axes)
    if ord in (2, -2, "nuc"):
        s = svd(moveaxis(x, axes, (-2, -1)), compute_uv=False)
        if ord == "nuc":
            out = reductions.sum(s, axis=-1)
        else:
            out = (_largest if ord == 2 else reductions.min)(s, axis=-1)
        return lax.expand_dims(out, tuple(sorted(axes))) if keepdims else out
    raise ValueError(f"norm: invalid order {ord!r} for the norm of a matrix{at_user_line()}")


@fused("ord", "axis", "keepdims")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norm of vectors or matrices.

    Parameters
    ----------
    x : array_like
        Of any shape.
    ord : {None, "fro", "nuc", inf, -inf} or number, optional
        Of vectors: ``sum(|x|**ord)**(1/ord)``, the largest or smallest ``|x|``, or the number of
        nonzeros (0). Of matrices: of Frobenius (default), of singular values (2, -2, "nuc"), of
        sums over columns (1, -1) or rows (inf, -inf).
    axis : int or (int, int), optional
        One axis for vectors, two for matrices. Without it, ``x`` is one vector or matrix, or with
        ``ord=None`` one long vector.
    keepdims : bool
        Whether the axes stay, with size 1.

    Returns
    -------
    Array
        Real floats.

    Raises
    ------
    ValueError
        For an order that vectors or matrices do not have, or more than two axes.

    Examples
    --------
    >>> import covector.numpy as np
    >>> x = np.array([[3, 4], [0, -5]])
    >>> np.linalg.norm(x, axis=1)
    Array([5., 5.], dtype=float32)
    >>> np.linalg.norm(x, ord=1)
    Array(9., dtype=float32)
    """
    x = array(inexact(x, "norm"), "norm")
    if axis is None and ord is None:
        return _vector_norm(x, None, tuple(range(x.ndim)), keepdims)
    axes = canonical_axes(axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, (axes[0], axes[1]), keepdims)
    raise ValueError(
        f"norm of {x.aval.str_short()} with axis {axis}: give one axis for the norm of vectors or "
        f"two for that of matrices{at_user_line()}"
    )


@fused("axis", "keepdims", "ord")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norm of vectors along ``axis`` (``None``: of all elements); see `norm`.

    Parameters
    ----------
    x : array_like
        Of any shape.
    axis : int or sequence of int, optional
        Several axes are taken as one.
    keepdims : bool
        Whether the axes stay, with size 1.
    ord : number, inf or -inf
        See `norm`.

    Returns
    -------
    Array
        Real floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.vector_norm(np.array([3, -4]))
    Array(5., dtype=float32)
    >>> np.linalg.vector_norm(np.array([3, -4]), ord=np.inf)
    Array(4., dtype=float32)
    """
    x = array(inexact(x, "vector_norm"), "vector_norm")
    return _vector_norm(x, ord, canonical_axes(axis, x.ndim), keepdims)


@fused("keepdims", "ord")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of the matrices in the last two axes; see `norm`.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``.
    keepdims : bool
        Whether the axes stay, with size 1.
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        See `norm`.

    Returns
    -------
    Array
        Real floats.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.matrix_norm(np.array([[3, 0], [0, 4]]))
    Array(5., dtype=float32)
    """
    x = matrices(x, "matrix_norm")
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@fused("p")
def cond(x: Any, p: Any = None) -> Any:
    """Condition number of matrices: the norm of ``x`` times that of its inverse.

    Parameters
    ----------
    x : array_like
        Shape ``(..., n, n)``; by default ``(..., m, n)``.
    p : {None, "fro", "nuc", 1, -1, 2, -2, inf, -inf}
        The order of the norm (see `norm`), by default 2, for which ``x`` need not be square.

    Returns
    -------
    Array
        Very large or infinite where ``x`` is singular.

    Raises
    ------
    ValueError
        If ``x`` is empty.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.cond(np.array([[2, 0], [0, 8]])), 3)
    Array(4., dtype=float32)
    """
    x = matrices(x, "cond", square=p not in (None, 2, -2))
    if 0 in x.shape:
        raise ValueError(f"cond of the empty array {x.aval.str_short()}{at_user_line()}")
    if p in (None, 2, -2):
        s = svdvals(x)
        first, last = s[..., 0], s[..., -1]
        out = lax.div(last, first) if p == -2 else lax.div(first, last)
    else:
        axes = (x.ndim - 2, x.ndim - 1)
        out = lax.mul(_matrix_norm(x, p, axes, False), _matrix_norm(inv(x), p, axes, False))
    # Matrices of numbers have a condition number, at worst an infinite one: 0 / 0 is that.
    dt = out.dtype
    known = lax.reduce_and(lax.eq(x, x), (x.ndim - 2, x.ndim - 1))
    infinite = lax.full_like(out, dt.type(onp.inf))
    return lax.select(lax.bitwise_and(lax.ne(out, out), known), infinite, out)


@fused("hermitian")
def matrix_rank(
    M: Any,  # noqa: N803
    rtol: Any = None,
    *,
    hermitian: bool = False,
    tol: Any = None,
) -> Any:
    """Number of singular values above ``rtol`` times the largest (or above ``tol``).

    Parameters
    ----------
    M : array_like
        Shape ``(..., m, n)``; a vector has rank 0 or 1.
    rtol : array_like, optional
        By default ``max(m, n)`` times the rounding unit.
    hermitian : bool
        ``M`` is Hermitian: use `eigh`.
    tol : array_like, optional
        A bound for singular values themselves.

    Returns
    -------
    Array of int32
        Shape ``(...)``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.linalg.matrix_rank(np.array([[1, 2], [2, 4]]))
    Array(1, dtype=int32)
    """
    x = array(inexact(M, "matrix_rank"), "matrix_rank")
    if x.ndim < 2:
        nonzero = reductions.any(u.not_equal(x, 0))
        return lax.convert_element_type(nonzero, dtypes.default_int())
    if min_dim(*x.shape[-2:]) == 0:
        return lax.full(x.shape[:-2], 0, dtypes.default_int())
    s = svd(x, compute_uv=False, hermitian=hermitian)
    if tol is not None:
        limit = lax.convert_element_type(array(tol), s.dtype)
        if limit.ndim:
            limit = lax.expand_dims(limit, (limit.ndim,))
        above = u.greater(s, limit)
    else:
        limit = (
            cutoff(s, rounding_unit(x), max_dim(*x.shape[-2:])) if rtol is None else cutoff(s, rtol)
        )
        above = lax.gt(s, limit)
    return reductions.sum(above, axis=-1)
