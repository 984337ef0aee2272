"""Systems of equations, inverses and determinants."""

from __future__ import annotations

from typing import Any, NamedTuple

from covector import lax
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.core.dims import is_at_least, max_dim, min_dim
from covector.core.errors import at_user_line, describe
from covector.core.operands import product
from covector.lax import linalg
from covector.numpy._util import (
    array,
    broadcast_shapes,
    concrete,
    convert,
    fused,
    inexact,
    promote_inexact,
)
from covector.numpy.linalg._factorizations import matrices
from covector.primitives.linalg.common import (
    adjoint,
    columns,
    diagonal,
    eye_like,
    is_complex,
    matmul,
    on_diagonal,
    permute_rows,
    rows,
)
from covector.primitives.linalg.lu import lu_solve
from covector.primitives.linalg.triangular import broadcast_batch, triangular_solve_p


class SlogdetResult(NamedTuple):
    """Result of `slogdet`."""

    sign: Any
    logabsdet: Any


# --- systems -----------------------------------------------------------------------------


@custom_jvp
def _solve(a: Any, b: Any) -> Any:
    """a x = b for stacks of matrices of equal batch shape."""
    packed, _, permutation = linalg.lu(a)
    return lu_solve(packed, permutation, b)


@_solve.defjvp
def _solve_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (da, db) = primals, tangents
    packed, _, permutation = linalg.lu(a)
    x = lu_solve(packed, permutation, b)
    return x, lu_solve(packed, permutation, lax.sub(db, matmul(da, x)))


@fused()
def solve(a: Any, b: Any) -> Any:
    """Solution of ``a x = b``.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``. Where it is singular, the result is not finite.
    b : array_like
        A vector ``(n,)``, or matrices ``(..., n, m)``.

    Returns
    -------
    Array
        Shape ``(..., n)`` for a vector ``b``, else ``(..., n, m)``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a, b = np.array([[2, 1], [1, 3]]), np.array([5, 10])
    >>> np.round(np.linalg.solve(a, b), 3)
    Array([1., 3.], dtype=float32)
    """
    a, b = (array(x, "solve") for x in promote_inexact("solve", a, b))
    a = matrices(a, "solve", square=True)
    vector = b.ndim == 1
    if not b.ndim or b.shape[0 if vector else -2] != a.shape[-1]:
        hint = "; for a stack of vectors use solve(a, b[..., None])[..., 0]" if b.ndim > 1 else ""
        raise ValueError(
            f"solve of a = {describe(a)} and b = {describe(b)}: b must have shape "
            f"({a.shape[-1]},) or (..., {a.shape[-1]}, m){hint}{at_user_line()}"
        )
    if vector:
        b = lax.expand_dims(b, (1,))
    out = _solve_stacks(a, b)
    return lax.squeeze(out, (out.ndim - 1,)) if vector else out


def _solve_stacks(a: Any, b: Any) -> Any:
    if a.ndim == 2 and b.ndim > 2:
        # One matrix for all: its factors serve all right-hand sides side by side.
        n = a.shape[0]
        lead = b.ndim - 2
        side = (lead, *range(lead), lead + 1)
        back = (*range(1, lead + 1), 0, lead + 1)
        moved = lax.transpose(b, side)
        x = _solve(a, lax.reshape(moved, (n, product(moved.shape[1:]))))
        return lax.transpose(lax.reshape(x, moved.shape), back)
    batch = broadcast_shapes("solve", a.shape[:-2], b.shape[:-2])
    return _solve(broadcast_batch(a, batch), broadcast_batch(b, batch))


@fused()
def inv(a: Any) -> Any:
    """Inverse of square matrices; not finite where they are singular.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.

    Returns
    -------
    Array
        Shape ``(..., n, n)``. To multiply it by vectors, `solve` is faster and more precise.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.inv(np.array([[0, 2], [4, 0]])), 3)
    Array([[0.  , 0.25],
           [0.5 , 0.  ]], dtype=float32)
    """
    x = matrices(a, "inv", square=True)
    return _solve(x, eye_like(x))


@fused("ind")
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Inverse with respect to `tensordot` over the first ``ind`` axes.

    Parameters
    ----------
    a : array_like
        The product of the first ``ind`` sizes is that of the others.
    ind : int
        At least 1.

    Returns
    -------
    Array
        Shape ``a.shape[ind:] + a.shape[:ind]``: ``tensordot(tensorinv(a, ind), b, ind)`` is
        ``tensorsolve(a, b)``.

    Raises
    ------
    ValueError
        If the products differ.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a = np.eye(6).reshape(2, 3, 6)
    >>> np.linalg.tensorinv(a).shape
    (6, 2, 3)
    """
    x = array(inexact(a, "tensorinv"), "tensorinv")
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, got {ind}{at_user_line()}")
    head, tail = x.shape[:ind], x.shape[ind:]
    if product(head) != product(tail):
        raise ValueError(
            f"tensorinv of {describe(x)}: the sizes {head} and {tail} before and after axis {ind} "
            f"must have equal products{at_user_line()}"
        )
    square = lax.reshape(x, (product(head), product(tail)))
    return lax.reshape(inv(square), (*tail, *head))


@fused("axes")
def tensorsolve(a: Any, b: Any, axes: tuple[int, ...] | None = None) -> Any:
    """The ``x`` with ``tensordot(a, x, x.ndim) = b``.

    Parameters
    ----------
    a : array_like
        Its shape is that of ``b``, then that of ``x``, of as many elements.
    b : array_like
    axes : sequence of int, optional
        These axes of ``a`` are moved to its end first.

    Returns
    -------
    Array
        Not finite where there is no unique solution.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a = 2 * np.eye(4).reshape(2, 2, 4)
    >>> np.round(np.linalg.tensorsolve(a, np.array([[2, 4], [6, 8]])), 3)
    Array([1., 2., 3., 4.], dtype=float32)
    """
    a, b = (array(x, "tensorsolve") for x in promote_inexact("tensorsolve", a, b))
    if axes is not None:
        last = [k % a.ndim for k in axes]
        a = lax.transpose(a, (*[k for k in range(a.ndim) if k not in last], *last))
    shape = a.shape[b.ndim :]
    if product(shape) != b.size or a.shape[: b.ndim] != b.shape:
        raise ValueError(
            f"tensorsolve of a = {describe(a)} and b = {describe(b)}: a must have the shape of b "
            f"and then axes of the same number of elements{at_user_line()}"
        )
    flat = solve(lax.reshape(a, (b.size, b.size)), lax.reshape(b, (b.size,)))
    return lax.reshape(flat, shape)


# --- determinants ------------------------------------------------------------------------


def _parity(pivots: Any, dtype: Any) -> Any:
    """The sign of the permutation that the pivots make, in ``dtype``."""
    i = lax.broadcasted_iota(dtypes.int32, pivots.shape, pivots.ndim - 1)
    moved = lax.convert_element_type(lax.ne(pivots, i), dtypes.int32)
    odd = lax.bitwise_and(lax.reduce_sum(moved, (pivots.ndim - 1,)), 1)
    return lax.convert_element_type(lax.sub(1, lax.mul(odd, 2)), dtype)


def _pivot_product(d: Any) -> Any:
    return lax.reduce_prod(d, (d.ndim - 1,))


def _det_small(x: Any) -> Any:
    """By the formula, for up to three rows."""
    n = x.shape[-1]
    e = [[x[..., i, j] for j in range(n)] for i in range(n)]
    if n == 1:
        return e[0][0]
    if n == 2:
        return e[0][0] * e[1][1] - e[0][1] * e[1][0]
    return (
        e[0][0] * (e[1][1] * e[2][2] - e[1][2] * e[2][1])
        - e[0][1] * (e[1][0] * e[2][2] - e[1][2] * e[2][0])
        + e[0][2] * (e[1][0] * e[2][1] - e[1][1] * e[2][0])
    )


@custom_jvp
def _det(x: Any) -> Any:
    packed, pivots, _ = linalg.lu(x)
    return lax.mul(_parity(pivots, x.dtype), _pivot_product(diagonal(packed)))


@_det.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    # Jacobi's formula, d det(A) = tr(adj(A) dA), with adj(A) = det(P) adj(U) L⁻¹ P. The entries of
    # adj(U) are linear in any one element of U: where the smallest pivot is close to zero, its
    # result is extrapolated from two others, so that matrices of rank n-1 are no exception.
    (x,), (t,) = primals, tangents
    packed, pivots, permutation = linalg.lu(x)
    parity = _parity(pivots, x.dtype)
    d = diagonal(packed)
    last = d.ndim - 1
    size = lax.abs(d)

    def spread(v: Any) -> Any:
        return lax.broadcast_in_dim(v, d.shape, tuple(range(last)))

    positions = lax.broadcasted_iota(dtypes.int32, d.shape, last)
    smallest = lax.eq(positions, spread(lax.argmin(size, last, dtypes.int32)))
    largest = spread(lax.reduce_max(size, (last,)))
    largest = lax.select(lax.gt(largest, 0.0), largest, lax.full_like(largest, 1))
    tiny = lax.lt(size, lax.mul(largest, float(dtypes.finfo(x.dtype).eps) ** 0.5))
    step = lax.select(tiny, lax.convert_element_type(largest, d.dtype), d)
    y = triangular_solve_p.bind(
        packed, permute_rows(t, permutation), left_side=True, lower=True, transpose_a=False,
        conjugate_a=False, unit_diagonal=True,
    )  # fmt: skip

    def adjugate_trace(pivot: Any) -> Any:
        """tr(adj(U') y) where U' has ``pivot`` in place of the smallest."""
        changed = lax.select(smallest, pivot, d)
        # Where other pivots are zero too, so is their product.
        zero = lax.eq(changed, lax.full_like(d, 0))
        divisor = lax.select(zero, lax.full_like(d, 1), changed)
        upper = lax.select(on_diagonal(packed.shape), rows(divisor, packed), packed)
        z = triangular_solve_p.bind(
            upper, y, left_side=True, lower=False, transpose_a=False, conjugate_a=False,
            unit_diagonal=False,
        )  # fmt: skip
        return lax.mul(_pivot_product(changed), lax.reduce_sum(diagonal(z), (last,)))

    # With f linear in the pivot: f(p) = f(s) + (p/s - 1) (f(2s) - f(s)).
    first, second = adjugate_trace(step), adjugate_trace(lax.add(step, step))
    off = lax.select(smallest, lax.div(lax.sub(d, step), step), lax.full_like(d, 0))
    slope = lax.mul(lax.reduce_sum(off, (last,)), lax.sub(second, first))
    return (
        lax.mul(parity, _pivot_product(d)),
        lax.mul(parity, lax.add(first, slope)),
    )


@fused()
def det(a: Any) -> Any:
    """Determinant of square matrices.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.

    Returns
    -------
    Array
        Shape ``(...)``; 1 for ``n = 0``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.det(np.array([[1, 2], [3, 4]])), 3)
    Array(-2., dtype=float32)
    """
    x = matrices(a, "det", square=True)
    n = x.shape[-1]
    if n == 0:
        return lax.full(x.shape[:-2], 1, x.dtype)
    return _det_small(x) if is_at_least(3, n, False) else _det(x)


@custom_jvp
def _slogdet(x: Any) -> Any:
    packed, pivots, _ = linalg.lu(x)
    return _sign_and_log(packed, pivots)


def _sign_and_log(packed: Any, pivots: Any) -> Any:
    d = diagonal(packed)
    last = d.ndim - 1
    sign = lax.mul(_parity(pivots, d.dtype), lax.reduce_prod(lax.sign(d), (last,)))
    return sign, lax.reduce_sum(lax.log(lax.abs(d)), (last,))


@_slogdet.defjvp
def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    # d log det(A) = tr(A⁻¹ dA); its imaginary part turns the sign.
    (x,), (t,) = primals, tangents
    packed, pivots, permutation = linalg.lu(x)
    sign, logdet = _sign_and_log(packed, pivots)
    g = diagonal(lu_solve(packed, permutation, t))
    g = lax.reduce_sum(g, (g.ndim - 1,))
    if not is_complex(x):
        return (sign, logdet), (lax.full_like(sign, 0), g)
    turn = lax.mul(sign, lax.complex(lax.full_like(logdet, 0), lax.imag(g)))
    return (sign, logdet), (turn, lax.real(g))


@fused("method")
def slogdet(a: Any, *, method: str | None = None) -> Any:
    """Sign and logarithm of the absolute value of the determinant.

    Parameters
    ----------
    a : array_like
        Shape ``(..., n, n)``.
    method : {"lu", "qr"}, optional
        For compatibility: the LU factorisation is used in any case.

    Returns
    -------
    SlogdetResult
        ``det(a) = sign * exp(logabsdet)``; 0 and -inf for singular matrices.

    Examples
    --------
    >>> import covector.numpy as np
    >>> sign, logabsdet = np.linalg.slogdet(1e-3 * np.eye(100))  # the determinant underflows
    >>> sign, np.round(logabsdet, 1)
    (Array(1., dtype=float32), Array(-690.8, dtype=float32))
    """
    if method not in (None, "lu", "qr"):
        raise ValueError(f"slogdet: method must be 'lu' or 'qr', got {method!r}{at_user_line()}")
    x = matrices(a, "slogdet", square=True)
    if x.shape[-1] == 0:
        real = dtypes.real_dtype(x.dtype)
        return SlogdetResult(lax.full(x.shape[:-2], 1, x.dtype), lax.full(x.shape[:-2], 0, real))
    return SlogdetResult(*_slogdet(x))


# --- pseudoinverse and least squares -----------------------------------------------------


def cutoff(s: Any, rtol: Any, size: int = 1) -> Any:
    """``rtol`` (a number, or one per matrix) times the largest of the values ``s``, and ``size``.

    The size is a factor of its own because in code it is then a run-time value.
    """
    last = s.ndim - 1
    factor = float(size) if type(size) is int else convert(size, s.dtype)
    largest = lax.mul(lax.reduce_max(s, (last,)), factor)
    rtol = lax.convert_element_type(array(rtol), s.dtype)
    if rtol.shape != largest.shape:
        shape = broadcast_shapes("rtol", rtol.shape, largest.shape)
        rtol = lax.broadcast_in_dim(rtol, shape, tuple(range(len(shape) - rtol.ndim, len(shape))))
    return lax.broadcast_in_dim(lax.mul(largest, rtol), s.shape, tuple(range(last)))


def rounding_unit(x: Any) -> float:
    return float(dtypes.finfo(x.dtype).eps)


def _inverted(s: Any, kept: Any) -> Any:
    """``1/s`` where ``kept``, else zero."""
    one = lax.full_like(s, 1)
    return lax.select(kept, lax.div(one, lax.select(kept, s, one)), lax.full_like(s, 0))


def _pinv(hermitian: bool, size: int, x: Any, rtol: Any) -> Any:
    if hermitian:
        u, w = linalg.eigh(x)
        s, vh = lax.abs(w), adjoint(u)
    else:
        u, w, vh = linalg.svd(x, full_matrices=False)
        s = w
    v = adjoint(vh)
    inverted = _inverted(w, lax.gt(s, cutoff(s, rtol, size)))
    return matmul(lax.mul(v, rows(lax.convert_element_type(inverted, v.dtype), v)), adjoint(u))


def _pinv_jvp(hermitian: bool, size: int, primals: Any, tangents: Any) -> Any:
    # G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares
    # problems whose variables separate", SIAM J. Numer. Anal. 10 (1973), for constant rank.
    (x, rtol), (t, _) = primals, tangents
    p = _pinv_with_jvp(hermitian, size, x, rtol)
    if hermitian:
        # Of the Hermitian part: the rest is not read.
        x, t = (lax.mul(lax.add(m, adjoint(m)), 0.5) for m in (x, t))
    ph, th = adjoint(p), adjoint(t)
    out = lax.neg(_product(p, t, p))
    first = _product(p, ph, th)
    out = lax.add(out, lax.sub(first, _product(first, x, p)))
    second = _product(th, ph, p)
    return p, lax.add(out, lax.sub(second, _product(p, x, second)))


def _product(a: Any, b: Any, c: Any) -> Any:
    """``a @ b @ c``, in the order of the smaller product in between."""
    if not is_at_least(a.shape[-2] * b.shape[-1], b.shape[-2] * c.shape[-1], True):
        return matmul(matmul(a, b), c)
    return matmul(a, matmul(b, c))


_pinv_with_jvp = custom_jvp(_pinv, nondiff_argnums=(0, 1))
_pinv_with_jvp.defjvp(_pinv_jvp)


@fused("hermitian")
def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Any:
    """Pseudoinverse of Moore and Penrose.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``.
    rtol : array_like, optional
        Singular values up to ``rtol`` times the largest count as zero; by default
        ``10 max(m, n)`` times the rounding unit. May be one number per matrix.
    hermitian : bool
        ``a`` is Hermitian: use `eigh`.
    rcond : array_like, optional
        Former name of ``rtol``.

    Returns
    -------
    Array
        Shape ``(..., n, m)``.

    References
    ----------
    Derivatives: G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least
    squares problems whose variables separate", SIAM J. Numer. Anal. 10 (1973).

    Examples
    --------
    >>> import covector.numpy as np
    >>> np.round(np.linalg.pinv(np.array([[1, 0], [0, 2], [0, 0]])), 3)
    Array([[1. , 0. , 0. ],
           [0. , 0.5, 0. ]], dtype=float32)
    """
    x = matrices(a, "pinv", square=hermitian)
    *batch, m, n = x.shape
    if min_dim(m, n) == 0:
        return lax.full((*batch, n, m), 0, x.dtype)
    rtol = rcond if rtol is None else rtol
    size = 1
    if rtol is None:
        rtol, size = 10 * rounding_unit(x), max_dim(m, n)
    real = dtypes.real_dtype(x.dtype)
    rtol = lax.stop_gradient(lax.convert_element_type(array(rtol), real))
    return _pinv_with_jvp(bool(hermitian), size, x, rtol)


def lstsq(
    a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = False
) -> tuple[Any, Any, Any, Any]:
    """Least squares: the ``x`` of least norm among those with least ``|b - a x|``.

    Parameters
    ----------
    a : array_like
        Shape ``(m, n)``.
    b : array_like
        Shape ``(m,)`` or ``(m, k)``.
    rcond : float, optional
        Singular values below ``rcond`` times the largest count as zero; by default
        ``max(m, n)`` times the rounding unit.
    numpy_resid : bool
        Return no residuals where NumPy does not: for matrices that have not full column rank or
        are not tall. Not possible in traced code, as the rank decides a size.

    Returns
    -------
    x : Array
        Shape ``(n,)`` or ``(n, k)``.
    residuals : Array
        Sums of squares, shape ``(k,)``.
    rank : Array
    s : Array
        Singular values of ``a``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> a = np.array([[0, 1], [1, 1], [2, 1]])
    >>> x, residuals, rank, s = np.linalg.lstsq(a, np.array([1, 3, 5]))
    >>> np.round(x, 3)
    Array([2., 1.], dtype=float32)
    >>> rank
    Array(2, dtype=int32)
    """
    x, residuals, rank, s = _lstsq(a, b, rcond)
    if numpy_resid:
        m, n = a.shape
        if m <= n or concrete(rank, "the rank, with numpy_resid=True,").item() < n:
            residuals = residuals[:0]
    return x, residuals, rank, s


@fused()
def _lstsq(a: Any, b: Any, rcond: Any) -> Any:
    a, b = (array(x, "lstsq") for x in promote_inexact("lstsq", a, b))
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ValueError(
            f"lstsq takes a of shape (m, n) and b of shape (m,) or (m, k), got {describe(a)} and "
            f"{describe(b)}{at_user_line()}"
        )
    a = matrices(a, "lstsq")
    vector = b.ndim == 1
    if vector:
        b = lax.expand_dims(b, (1,))
    m, n = a.shape
    real = dtypes.real_dtype(a.dtype)
    if m == 0 or n == 0:
        s, rank = lax.full((0,), 0, real), lax.full((), 0, dtypes.int32)
        x = lax.full((n, b.shape[1]), 0, a.dtype)
    else:
        u, s, vh = linalg.svd(a, full_matrices=False)
        eps = rounding_unit(a)
        if rcond is None:
            limit = cutoff(s, eps, max(m, n))
        else:  # negative: as precise as the numbers
            rcond = lax.convert_element_type(array(rcond), real)
            limit = cutoff(s, lax.select(lax.lt(rcond, 0.0), lax.full_like(rcond, eps), rcond))
        kept = lax.ge(s, limit)
        kept = lax.bitwise_and(kept, lax.gt(s, 0.0))
        rank = lax.reduce_sum(lax.convert_element_type(kept, dtypes.int32), (0,))
        weights = lax.convert_element_type(_inverted(s, kept), a.dtype)
        ub = matmul(adjoint(u), b)
        x = matmul(adjoint(vh), lax.mul(columns(weights, ub), ub))
    off = lax.abs(lax.sub(b, matmul(a, x)))
    residuals = lax.reduce_sum(lax.mul(off, off), (0,))
    return (lax.squeeze(x, (1,)) if vector else x), residuals, rank, s
