"""Functions of matrices, and Sylvester's equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector import lax
from covector import numpy as np
from covector.control_flow.custom_jvp import custom_jvp
from covector.core import dtypes
from covector.core.errors import at_user_line, describe
from covector.lax import linalg
from covector.numpy._util import fused
from covector.numpy.linalg._factorizations import matrices
from covector.primitives.linalg.common import (
    adjoint,
    columns,
    conjugate,
    diagonal,
    matmul,
    rows,
    triu,
)
from covector.primitives.linalg.exponential import expm_frechet_p, expm_p
from covector.primitives.linalg.schur import schur_p, solve_triangular_sylvester
from covector.scipy.linalg._common import choice, matrices_together
from covector.scipy.linalg._decompositions import rsf2csf
from covector.transforms.autodiff import jvp

# --- the exponential ---------------------------------------------------------------------


@fused("upper_triangular", "max_squarings")
def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Any:  # noqa: N803
    """Exponential of square matrices.

    Parameters
    ----------
    A : array_like
        Shape ``(..., n, n)``.
    upper_triangular : bool
        Whether ``A`` is upper triangular: the other triangle is not read.
    max_squarings : int
        Where more squarings would be needed, that is for norms above some ``4 * 2**16``, the
        result is NaN.

    Returns
    -------
    Array
        Shape ``(..., n, n)``.

    Notes
    -----
    Padé approximation with scaling and squaring: A. Al-Mohy, N. Higham, "A new scaling and
    squaring algorithm for the matrix exponential", SIAM J. Matrix Anal. Appl. 31 (2009), 970-989.
    The derivative is that of the algorithm: the same authors, "Computing the Fréchet derivative of
    the matrix exponential", ibid., 1639-1657.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a = np.array([[0.0, 1.0], [-1.0, 0.0]])  # of rotations
    >>> np.round(linalg.expm(a), 3)
    Array([[ 0.54 ,  0.841],
           [-0.841,  0.54 ]], dtype=float32)
    """
    x = matrices(A, "expm", square=True)
    x = triu(x) if upper_triangular else x
    out = expm_p.bind(x, max_squarings=int(max_squarings))
    return triu(out) if upper_triangular else out


@fused("method", "compute_expm")
def expm_frechet(
    A: Any,  # noqa: N803
    E: Any,  # noqa: N803
    *,
    method: str | None = None,
    compute_expm: bool = True,
) -> Any:
    """Derivative of the exponential of a matrix in a direction.

    Parameters
    ----------
    A : array_like
        Shape ``(..., n, n)``.
    E : array_like
        The direction, of the same shape.
    method : str, optional
        Has no effect: there is one.
    compute_expm : bool
        Whether to return the exponential too.

    Returns
    -------
    exponential : Array
        Only with ``compute_expm``.
    derivative : Array

    Raises
    ------
    ValueError
        If the shapes differ.

    Notes
    -----
    A. Al-Mohy, N. Higham, "Computing the Fréchet derivative of the matrix exponential, with an
    application to condition number estimation", SIAM J. Matrix Anal. Appl. 31 (2009).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a, e = np.diag(np.array([0.0, 1.0])), np.array([[1.0, 1.0], [0.0, 0.0]])
    >>> np.round(linalg.expm_frechet(a, e, compute_expm=False), 3)
    Array([[1.   , 1.718],
           [0.   , 0.   ]], dtype=float32)
    """
    a, e = (matrices(x, "expm_frechet", square=True)
            for x in matrices_together("expm_frechet", A, E))  # fmt: skip
    derivative = expm_frechet_p.bind(a, e, max_squarings=_SQUARINGS)
    return (expm_p.bind(a, max_squarings=_SQUARINGS), derivative) if compute_expm else derivative


_SQUARINGS = 1 << 10


# --- Sylvester's equation ----------------------------------------------------------------


def _schur(x: Any) -> tuple[Any, Any]:
    t, q = schur_p.bind(x, compute_schur_vectors=True)
    return t, q


def _complex_schur(x: Any) -> tuple[Any, Any]:
    """Of a real matrix by way of its real form, so that real eigenvalues have no imaginary part."""
    return _schur(x) if x.dtype in dtypes.COMPLEX else rsf2csf(*_schur(x))


def _sylvester(a: Any, b: Any, c: Any) -> Any:
    """``x`` with ``a x + x b = c``, whose derivatives are those of the equation."""
    (ta, qa), (tb, qb) = (_schur(lax.stop_gradient(m)) for m in (a, b))

    def factored(c: Any, adjoint_: bool) -> Any:
        middle = matmul(matmul(adjoint(qa), c), qb)
        x = solve_triangular_sylvester(ta, tb, middle, adjoint_a=adjoint_, adjoint_b=adjoint_)
        return matmul(matmul(qa, x), adjoint(qb))

    return lax.custom_linear_solve(
        lambda x: lax.add(matmul(a, x), matmul(x, b)),
        c,
        solve=lambda _, c: factored(c, False),
        # The transposed equation is the conjugate of the adjoint one.
        transpose_solve=lambda _, c: conjugate(factored(conjugate(c), True)),
    )


def _schur_eigenvalues(t: Any) -> Any:
    """Eigenvalues of a Schur form: those of its blocks, in LAPACK's standard form."""
    d = diagonal(t)
    if t.dtype in dtypes.COMPLEX or t.shape[-1] < 2:
        return d.astype(dtypes.complex_dtype(d.dtype))
    below, above = diagonal(t[..., 1:, :-1]), diagonal(t[..., :-1, 1:])
    turn = np.where(below == 0, 0.0, np.sqrt(np.abs(below * above)))
    pads = [(0, 0)] * (d.ndim - 1)
    return lax.complex(d, np.pad(turn, [*pads, (0, 1)]) - np.pad(turn, [*pads, (1, 0)]))


def _by_eigenvectors(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any]:
    """The solution and the eigenvalues of both."""
    options = {"compute_left_eigenvectors": False, "enable_eigvec_derivs": True}
    (wa, va), (wb, vb) = (linalg.eig(m, **options) for m in (a, b))
    middle = np.linalg.solve(va, c.astype(va.dtype) @ vb)
    x = va @ (middle / (wa[..., :, None] + wb[..., None, :]))
    # x vb⁻¹ from vbᵀ yᵀ = xᵀ.
    x = np.matrix_transpose(np.linalg.solve(np.matrix_transpose(vb), np.matrix_transpose(x)))
    return (x if c.dtype in dtypes.COMPLEX else np.real(x)), wa, wb


@fused("method", "tol")
def solve_sylvester(
    A: Any,  # noqa: N803
    B: Any,  # noqa: N803
    C: Any,  # noqa: N803
    *,
    method: str = "schur",
    tol: float = 1e-8,
) -> Any:
    """Solution of Sylvester's equation ``A X + X B = C``.

    Parameters
    ----------
    A : array_like
        Shape ``(..., m, m)``.
    B : array_like
        Shape ``(..., n, n)``.
    C : array_like
        Shape ``(..., m, n)``.
    method : {"schur", "eigen"}
        By Schur forms, or by eigenvectors, which is less precise where they are nearly dependent.
    tol : float
        Where the sum of an eigenvalue of ``A`` and one of ``B`` is smaller than this, the result is
        NaN.

    Returns
    -------
    Array
        Shape ``(..., m, n)``.

    Raises
    ------
    ValueError
        For another method, or if the shapes do not fit.

    References
    ----------
    R. Bartels, G. Stewart, "Solution of the matrix equation AX + XB = C", Commun. ACM 15 (1972).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a, b = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[4.0]])
    >>> x = linalg.solve_sylvester(a, b, np.array([[9.0], [7.0]]))
    >>> np.round(x, 3)
    Array([[1.4],
           [1. ]], dtype=float32)
    """
    choice("solve_sylvester", "method", method, ("schur", "eigen"))
    a, b, c = matrices_together("solve_sylvester", A, B, C)
    a, b = (matrices(x, "solve_sylvester", square=True) for x in (a, b))
    if c.ndim < 2 or c.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ValueError(
            f"solve_sylvester takes A (..., m, m), B (..., n, n) and C (..., m, n), got "
            f"{describe(a)}, {describe(b)} and {describe(c)}{at_user_line()}"
        )
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], c.shape[:-2])
    a, b, c = (np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b, c))
    if method == "eigen":
        x, wa, wb = _by_eigenvectors(a, b, c)
    else:
        x = _sylvester(a, b, c)
        wa, wb = (_schur_eigenvalues(_schur(lax.stop_gradient(m))[0]) for m in (a, b))
    if x.size == 0:
        return x
    wa, wb = lax.stop_gradient(wa), lax.stop_gradient(wb)
    closest = np.min(np.abs(wa[..., :, None] + wb[..., None, :]), axis=(-2, -1), keepdims=True)
    return np.where(closest >= tol, x, np.nan)


# --- functions of triangular matrices ----------------------------------------------------


def _diagonal_blocks(t: Any, size: int) -> Any:
    """The blocks of ``size`` rows on the diagonal: (..., blocks, size, size)."""
    n = t.shape[-1] // size
    split = t.reshape((*t.shape[:-2], n, size, n, size))
    return np.moveaxis(np.diagonal(split, axis1=-4, axis2=-2), -1, -3)


def _by_halves(t: Any, values: Any, above: Callable[..., Any]) -> Any:
    """A function of upper triangular matrices, from its values at the diagonal.

    Blocks are joined by pairs until there is one: ``above(t11, t22, t12, f11, f22)`` gives the
    block above two on the diagonal.
    """
    n = t.shape[-1]
    size = 1 << max(0, n - 1).bit_length()
    pads = [(0, 0)] * (t.ndim - 2)
    t = np.pad(t, [*pads, (0, size - n), (0, size - n)])
    f = np.pad(values, [*pads, (0, size - n)])[..., None, None]
    half = 1
    while half < size:
        pairs = _diagonal_blocks(t, 2 * half)
        t11, t12 = pairs[..., :half, :half], pairs[..., :half, half:]
        t22 = pairs[..., half:, half:]
        f11, f22 = f[..., 0::2, :, :], f[..., 1::2, :, :]
        f12 = above(t11, t22, t12, f11, f22)
        f = np.concatenate(
            [np.concatenate([f11, f12], -1), np.concatenate([np.zeros_like(f12), f22], -1)], -2
        )
        half *= 2
    return f[..., 0, :n, :n]


def _safe_sylvester(a: Any, b: Any, c: Any, minus: bool) -> Any:
    """Zero where the right-hand side is, whatever the eigenvalues."""
    x = solve_triangular_sylvester(a, b, c, minus=minus)
    zero = np.all(c == 0, axis=(-2, -1), keepdims=True)
    return np.where(zero, np.zeros((), x.dtype), x)


@custom_jvp
def _sqrtm(a: Any) -> Any:
    t, q = _complex_schur(a)
    root = _by_halves(
        t, np.sqrt(diagonal(t)),
        lambda t11, t22, t12, f11, f22: _safe_sylvester(f11, f22, t12, False),
    )  # fmt: skip
    return matmul(matmul(q, root), adjoint(q))


@_sqrtm.defjvp
def _sqrtm_jvp(primals: Any, tangents: Any) -> Any:
    # From s² = a: s ds + ds s = da.
    root = _sqrtm(primals[0])
    return root, _sylvester(root, root, tangents[0].astype(root.dtype))


@fused("blocksize")
def sqrtm(A: Any, blocksize: int = 1) -> Any:  # noqa: N803
    """Principal square root of square matrices.

    Parameters
    ----------
    A : array_like
        Shape ``(..., n, n)``.
    blocksize : int
        Has no effect: the recurrence works in blocks of all sizes.

    Returns
    -------
    Array
        Shape ``(..., n, n)``, complex: the root whose eigenvalues have no negative real part. It
        does not exist, and the result is not finite or not a root, for some singular matrices.

    Notes
    -----
    That of the Schur form, by blocks: E. Deadman, N. Higham, R. Ralha, "Blocked Schur algorithms
    for computing the matrix square root", PARA 2012, LNCS 7782 (the recursive variant).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> root = linalg.sqrtm(np.array([[1.0, 3.0], [0.0, 4.0]]))
    >>> np.round(np.real(root), 3)
    Array([[1., 1.],
           [0., 2.]], dtype=float32)
    """
    return _sqrtm(matrices(A, "sqrtm", square=True))


def _funm(func: Callable[[Any], Any], a: Any) -> tuple[Any, Any]:
    """The function, and how ill-determined its Schur form makes it."""
    t, q = _complex_schur(a)
    f = _by_halves(
        t, func(diagonal(t)).astype(t.dtype),
        lambda t11, t22, t12, f11, f22: _safe_sylvester(
            t11, t22, matmul(f11, t12) - matmul(t12, f22), True
        ),
    )  # fmt: skip
    return matmul(matmul(q, f), adjoint(q)), t


_funm_with_jvp = custom_jvp(_funm, nondiff_argnums=(0,))


@_funm_with_jvp.defjvp
def _funm_jvp(func: Callable[[Any], Any], primals: Any, tangents: Any) -> Any:
    # Daleckiĭ and Kreĭn, in N. Higham, "Functions of Matrices", 2008, theorem 3.11: in a basis of
    # eigenvectors, the derivative multiplies by divided differences.
    (a,), (e,) = primals, tangents
    out = _funm_with_jvp(func, a)
    w, v = linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)
    f, slope = _value_and_slope(func, w)
    gaps = columns(w, v) - rows(w, v)
    close = gaps == 0
    quotient = (columns(f, v) - rows(f, v)) / np.where(close, 1.0, gaps)
    factors = np.where(close, columns(slope, v), quotient)
    change = v @ (factors * np.linalg.solve(v, e.astype(v.dtype) @ v))
    change = np.matrix_transpose(
        np.linalg.solve(np.matrix_transpose(v), np.matrix_transpose(change))
    )
    return out, (change, np.zeros_like(out[1]))


def _value_and_slope(func: Callable[[Any], Any], w: Any) -> tuple[Any, Any]:
    f, slope = jvp(func, (w,), (np.ones_like(w),))
    return f.astype(w.dtype), slope.astype(w.dtype)


def funm(A: Any, func: Callable[[Any], Any], disp: bool = True) -> Any:  # noqa: N803
    """A function of square matrices, given that of numbers.

    Parameters
    ----------
    A : array_like
        Shape ``(..., n, n)``.
    func : callable
        Maps an array of complex numbers, elementwise.
    disp : bool
        If False, return an estimate of the error too.

    Returns
    -------
    F : Array
        Shape ``(..., n, n)``, complex.
    error : Array
        An estimate of the relative error, at most 1, or infinite; only without ``disp``.

    Notes
    -----
    Parlett's recurrence on the Schur form, in blocks: G. Golub, C. Van Loan, "Matrix
    Computations", 4th ed., section 9.1.4. It is inaccurate where eigenvalues are close; `expm` and
    `sqrtm` are not. The derivative takes distinct eigenvalues.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy import linalg
    >>> a = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> np.round(np.real(linalg.funm(a, lambda x: x * x)), 3)
    Array([[5., 4.],
           [4., 5.]], dtype=float32)
    """
    f, t = _funm_with_jvp(func, matrices(A, "funm", square=True))
    return f if disp else (f, _parlett_error(f, t))


def _parlett_error(f: Any, t: Any) -> Any:
    """The rounding unit, magnified by the size of ``t`` over the smallest gap of its diagonal."""
    eps = float(dtypes.finfo(t.dtype).eps)
    n = t.shape[-1]
    if n == 0:
        return np.full(t.shape[:-2], eps, dtypes.real_dtype(t.dtype))
    d = diagonal(t)
    gaps = np.abs(columns(d, t) - rows(d, t))
    gap = np.min(np.where(np.eye(n, dtype=bool), np.inf, gaps), axis=(-2, -1))
    gap = np.where(gap == 0, eps, gap)
    size = np.max(np.sum(np.abs(triu(t, 1)), axis=-2), axis=-1)
    error = np.clip(eps / gap * size, eps, 1.0)
    return np.where(np.all(np.isfinite(f), axis=(-2, -1)), error, np.inf)
