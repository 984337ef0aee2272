"""Linear algebra of sparse matrices (`covector.experimental.sparse.linalg`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from covector import lax
from covector import numpy as cnp
from covector.control_flow.solves import custom_linear_solve
from covector.core import dtypes
from covector.core.errors import ShapeMismatchError, at_user_line
from covector.core.errors import export as _export
from covector.core.trace import Composed
from covector.experimental.sparse._matrices import CSR, _times
from covector.numpy._util import promote_inexact
from covector.transforms.callbacks import pure_callback
from covector.transforms.shapes import ShapeDtypeStruct

__all__ = ["lobpcg_standard", "spsolve", "spsolve_p"]

# Permutations of columns by SuperLU.
_ORDERS = {0: "NATURAL", 1: "COLAMD", 2: "MMD_AT_PLUS_A", 3: "MMD_ATA"}


def spsolve(data: Any, indices: Any, indptr: Any, b: Any, tol: Any = 1e-6, reorder: int = 1) -> Any:
    """Solve a sparse system of linear equations.

    Parameters
    ----------
    data, indices, indptr : array_like
        A square matrix of compressed rows, as of `covector.experimental.sparse.CSR`.
    b : array_like
        The right-hand side, a vector.
    tol : float
        Has no effect: the method is direct.
    reorder : int
        How columns are ordered before they are eliminated: 0 as they are, 1 by approximate
        minimum degree, 2 and 3 by the minimum degree of ``A.T + A`` and ``A.T @ A``.

    Returns
    -------
    Array
        The solution, NaN where the matrix is singular.

    Raises
    ------
    ShapeMismatchError
        If ``indptr`` and ``b`` do not fit together.
    ValueError
        If ``reorder`` is none of these.

    Notes
    -----
    SciPy's SuperLU [1]_ factors the matrix, on the host. The solution is differentiated by the
    equation, with respect to ``data`` and ``b``, in both modes.

    References
    ----------
    .. [1] X. S. Li, "An overview of SuperLU: algorithms, implementation, and user interface",
       ACM Transactions on Mathematical Software 31, 2005.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> A = sparse.CSR.fromdense(np.array([[2.0, 0.0], [1.0, 4.0]]))
    >>> sparse.linalg.spsolve(A.data, A.indices, A.indptr, np.array([2.0, 5.0]))
    Array([1., 1.], dtype=float32)
    """
    if reorder not in _ORDERS:
        raise ValueError(
            f"spsolve: reorder must be one of {', '.join(map(str, _ORDERS))}, got "
            f"{reorder!r}{at_user_line()}"
        )
    data, b = promote_inexact("spsolve", cnp.asarray(data), cnp.asarray(b))
    indices, indptr = cnp.asarray(indices), cnp.asarray(indptr)
    n = b.shape[0] if b.ndim else -1
    if b.ndim != 1 or indptr.shape != (n + 1,) or data.shape != indices.shape:
        raise ShapeMismatchError(
            f"spsolve: the matrix of data {data.aval.str_short()}, indices "
            f"{indices.aval.str_short()} and indptr {indptr.aval.str_short()} does not fit "
            f"b {b.aval.str_short()}{at_user_line()}"
        )
    mat = CSR((data, indices, indptr), shape=(n, n))

    def solve(transposed: bool) -> Callable[[Any, Any], Any]:
        def run(_: Any, rhs: Any) -> Any:
            return pure_callback(
                _Solve(_ORDERS[reorder], transposed), ShapeDtypeStruct(rhs.shape, rhs.dtype),
                lax.stop_gradient(data), indices, indptr, rhs, vmap_method="sequential",
            )  # fmt: skip

        return run

    return custom_linear_solve(lambda x: _times(mat, x, False), b, solve(False), solve(True))


class _Solve:
    """SciPy's solution of one system, on NumPy's arrays."""

    def __init__(self, order: str, transposed: bool) -> None:
        self.order, self.transposed = order, transposed

    def __eq__(self, other: object) -> bool:
        return type(other) is _Solve and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.order, self.transposed))

    def __call__(self, data: Any, indices: Any, indptr: Any, b: Any) -> Any:
        from scipy.sparse import csc_matrix
        from scipy.sparse.linalg import splu

        b = onp.asarray(b)
        dtype = b.dtype
        wide = onp.float32 if dtype.itemsize == 2 else dtype
        parts = onp.asarray(data).astype(wide), onp.asarray(indices), onp.asarray(indptr)
        # The compressed rows of a matrix are the columns of its transpose.
        mat = csc_matrix(parts, shape=(b.size, b.size))
        if not b.size:
            return b
        try:
            factors = splu(mat, permc_spec=self.order)
        except RuntimeError:
            return onp.full(b.shape, onp.nan, dtype)
        return factors.solve(b.astype(wide), trans="N" if self.transposed else "T").astype(dtype)


# ``bind(data, indices, indptr, b, tol=, reorder=)``: see `spsolve`.
spsolve_p = Composed(
    "spsolve",
    lambda data, indices, indptr, b, *, tol=1e-6, reorder=1: spsolve(
        data, indices, indptr, b, tol, reorder
    ),
)


def lobpcg_standard(A: Any, X: Any, m: int = 100, tol: Any = None) -> tuple[Any, Any, Any]:
    """The greatest eigenvalues of a Hermitian matrix, by products with it.

    Parameters
    ----------
    A : array_like or callable
        A Hermitian matrix with ``n`` rows, or the function that multiplies matrices of ``n``
        rows by it.
    X : array_like
        Where to begin: ``k`` independent columns of ``n`` numbers, with ``5 * k < n``.
    m : int
        The most iterations.
    tol : float, optional
        The iteration ends when each residual is at most ``10 * n * tol * (norm(A) + theta)``; by
        default ``tol`` is the precision of the dtype.

    Returns
    -------
    theta : Array
        The ``k`` greatest eigenvalues, in descending order.
    U : Array
        Their eigenvectors, as columns.
    i : Array
        The number of iterations.

    Raises
    ------
    ValueError
        If shapes do not fit, or ``k`` is too great.
    TypeError
        If ``X`` is not of floats.

    Notes
    -----
    Each iteration looks for the best vectors in the space of the old ones, their residuals and
    the last directions [1]_, of which an orthonormal basis is kept [2]_: directions lost to
    rounding are left out.

    References
    ----------
    .. [1] A. V. Knyazev, "Toward the optimal preconditioned eigensolver: locally optimal block
       preconditioned conjugate gradient method", SIAM Journal on Scientific Computing 23, 2001.
    .. [2] J. A. Duersch, M. Shao, C. Yang, M. Gu, "A robust and efficient implementation of
       LOBPCG", SIAM Journal on Scientific Computing 40, 2018.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.experimental import sparse
    >>> A = np.diag(np.arange(1.0, 21.0))
    >>> theta, U, _ = sparse.linalg.lobpcg_standard(A, np.eye(20, 2) + 0.1)
    >>> np.round(theta, 3)
    Array([20., 19.], dtype=float32)
    """
    X = cnp.asarray(X)
    if X.dtype not in dtypes.FLOATS:
        raise TypeError(f"lobpcg_standard: X must be of floats, got {X.aval.str_short()}"
                        f"{at_user_line()}")  # fmt: skip
    if X.ndim != 2:
        raise ValueError(f"lobpcg_standard: X must be a matrix, got {X.aval.str_short()}"
                         f"{at_user_line()}")  # fmt: skip
    n, k = X.shape
    if 5 * k >= n or not k:
        raise ValueError(
            f"lobpcg_standard: X must have at least one column and more than five times as many "
            f"rows as columns, got {X.aval.str_short()}; eigh finds all eigenvalues{at_user_line()}"
        )
    if not callable(A):
        matrix = cnp.asarray(A)
        if matrix.shape != (n, n):
            raise ValueError(
                f"lobpcg_standard: A must have the shape {(n, n)}, got {matrix.aval.str_short()}"
                f"{at_user_line()}"
            )

        def product(v: Any) -> Any:
            return matrix @ v
    else:
        product = A
    image = product(X)
    if image.shape != X.shape or image.dtype != X.dtype:
        raise ValueError(
            f"lobpcg_standard: A must give arrays like X, {X.aval.str_short()}, got "
            f"{image.aval.str_short()}{at_user_line()}"
        )
    eps = float(dtypes.finfo(X.dtype).eps)
    return _lobpcg(product, X, m, eps if tol is None else tol, eps)


def _orthonormal(v: Any, eps: float) -> Any:
    """An orthonormal basis of the columns; those lost to rounding are 0."""
    for _ in range(2):
        norms = cnp.sqrt(cnp.sum(v * v, axis=0))
        v = v / cnp.where(norms > 0, norms, 1)
        values, vectors = cnp.linalg.eigh(v.T @ v)
        great = values > 10 * eps * v.shape[1] * cnp.maximum(values[-1], 0)
        scale = cnp.where(great, 1 / cnp.sqrt(cnp.where(great, values, 1)), 0)
        v = v @ (vectors * scale)
    return v


def _against(v: Any, basis: Any, eps: float) -> Any:
    """An orthonormal basis of what of the columns is orthogonal to ``basis``."""
    for _ in range(2):
        v = v - basis @ (basis.T @ v)
        v = _orthonormal(v, eps)
    return v


def _best(basis: Any, product: Any, k: int) -> tuple[Any, Any]:
    """The k greatest Ritz values in a space, and the coordinates of their vectors."""
    small = basis.T @ product(basis)
    small = (small + small.T) / 2
    # A direction that is 0 is none.
    low = -2 * cnp.max(cnp.abs(small)) - 1
    missing = cnp.sum(basis * basis, axis=0) < 0.5
    small = small + cnp.diag(cnp.where(missing, low, 0))
    values, vectors = cnp.linalg.eigh(small)
    return values[::-1][:k], vectors[:, ::-1][:, :k]


def _lobpcg(product: Any, X: Any, m: int, tol: Any, eps: float) -> tuple[Any, Any, Any]:
    n, k = X.shape
    X = _orthonormal(X, eps)
    theta, C = _best(X, product, k)
    X = X @ C

    def residual(X: Any, theta: Any) -> Any:
        return product(X) - X * theta

    def open_(X: Any, theta: Any, R: Any) -> Any:
        norm = cnp.max(cnp.abs(theta)) + cnp.sqrt(cnp.max(cnp.sum(R * R, axis=0)))
        limit = 10 * n * tol * (norm + cnp.abs(theta))
        return cnp.any(cnp.sqrt(cnp.sum(R * R, axis=0)) > limit)

    def go_on(state: Any) -> Any:
        i, X, _, R, theta = state
        return (i < m) & open_(X, theta, R)

    def step(state: Any) -> Any:
        i, X, P, R, theta = state
        basis = cnp.concatenate([X, P], axis=1)
        basis = cnp.concatenate([basis, _against(R, basis, eps)], axis=1)
        theta, C = _best(basis, product, k)
        # The new directions: what is not of the old vectors, orthogonal to the new ones.
        new = _against(C.at[:k].set(0), C, eps)
        X, P = _orthonormal_like(basis @ C), basis @ new
        return i + 1, X, P, residual(X, theta), theta

    state = (0, X, cnp.zeros_like(X), residual(X, theta), theta)
    i, X, _, _, theta = lax.while_loop(go_on, step, state)
    return theta, X, cnp.asarray(i)


def _orthonormal_like(v: Any) -> Any:
    """Columns that are almost orthonormal, corrected to first order."""
    return v @ (1.5 * cnp.eye(v.shape[1], dtype=v.dtype) - 0.5 * (v.T @ v))


_export(globals(), __all__)
