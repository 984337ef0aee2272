"""Iterative solvers of linear equations (`covector.scipy.sparse.linalg`).

The iterations run on vectors: operands that are trees of arrays are joined to one. Solutions are
differentiated as such, whatever the iterations do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core import dtypes, tree
from covector.core.avals import is_array_like
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.flatten_util import ravel_pytree

__all__ = ["bicgstab", "cg", "gmres"]

Operator = Callable[[Any], Any]

_DOC = """{summary}

Parameters
----------
A : array_like or callable
    {matrix} A matrix, a sparse one too, or a linear function of trees of arrays like ``b``.
b : array_like or pytree
    The right-hand side.
x0 : array_like or pytree, optional
    Where to begin, like ``b``; by default 0.
tol, atol : float
    The iteration ends where the norm of the residual is at most ``max(tol * norm(b), atol)``.
{restart}maxiter : int, optional
    {maxiter}
M : array_like or callable, optional
    An approximate inverse of ``A``, alike.
{method}
Returns
-------
x : array_like or pytree
    The solution, like ``b``.
info : None
    Nothing: whether the iteration converged is seen from the residual.

Raises
------
TypeError
    If ``A`` or ``M`` is neither a matrix nor a function.
ValueError
    If they are not square or do not fit ``b``, or ``x0`` is not like ``b``{errors}.

Notes
-----
A solution is differentiated by its equation, in forward and reverse mode, by a second solution
with the same tolerances; ``x0`` and ``M`` have no part in derivatives.

References
----------
{references}

Examples
--------
>>> import covector.numpy as np
>>> from covector.scipy.sparse.linalg import {name}
>>> A = np.array([[4.0, 1.0], [1.0, 3.0]])
>>> x, _ = {name}(A, np.array([1.0, 2.0]))
>>> np.round(x, 4)
Array([0.0909, 0.6364], dtype=float32)
"""


def _documented(**parts: str) -> Callable[[Any], Any]:
    def decorate(f: Any) -> Any:
        text = {"restart": "", "method": "", "errors": "", "name": f.__name__, **parts}
        f.__doc__ = _DOC.format(**text)
        return f

    return decorate


def _is_sparse(a: Any) -> bool:
    """Whether it is one of `covector.experimental.sparse`, which is imported with its arrays."""
    return hasattr(a, "todense") and hasattr(a, "tree_flatten")


def _operator(name: str, what: str, a: Any) -> Operator:
    """A matrix or function as a function."""
    if callable(a):
        return a
    if not _is_sparse(a) and not is_array_like(a) and not hasattr(a, "__jax_array__"):
        raise TypeError(
            f"{name}: {what} must be a matrix or a function, got {describe(a)}{at_user_line()}"
        )
    a = a if _is_sparse(a) else cnp.asarray(a)
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(
            f"{name}: {what} must be a square matrix, got {describe(a)}{at_user_line()}"
        )
    return lambda x: a @ x


def _types(x: Any) -> list[Any]:
    return [(cnp.shape(v), cnp.result_type(v)) for v in tree.leaves(x)]


def _prepared(name: str, A: Any, b: Any, x0: Any, M: Any) -> Any:
    """Functions of vectors, the vectors, and back to trees."""
    b = tree.map(lambda v: cnp.asarray(v, dtypes.to_inexact_dtype(cnp.result_type(v))), b)
    matvec, inverse = _operator(name, "A", A), _operator(name, "M", M) if M is not None else None
    if (is_array_like(A) or _is_sparse(A)) and not callable(A):
        b = b.astype(cnp.result_type(A.dtype if _is_sparse(A) else A, b))
    if x0 is None:
        x0 = tree.map(cnp.zeros_like, b)
    elif tree.structure(x0) != tree.structure(b) or [s for s, _ in _types(x0)] != [
        s for s, _ in _types(b)
    ]:
        raise ValueError(
            f"{name}: x0 must be like b, got {describe(x0)} and {describe(b)}{at_user_line()}"
        )
    b_flat, back = ravel_pytree(b)
    x_flat = ravel_pytree(x0)[0].astype(b_flat.dtype)

    def on_vectors(f: Operator) -> Operator:
        def apply(v: Any) -> Any:
            out = f(back(v))
            if tree.structure(out) != tree.structure(b) or _shapes(out) != _shapes(b):
                raise ValueError(
                    f"{name}: A and M must give trees of arrays like b, {describe(b)}, got "
                    f"{describe(out)}{at_user_line()}"
                )
            return ravel_pytree(out)[0].astype(v.dtype)

        return apply

    return on_vectors(matvec), b_flat, x_flat, on_vectors(inverse) if inverse else None, back


def _shapes(x: Any) -> list[Any]:
    return [s for s, _ in _types(x)]


def _norm(x: Any) -> Any:
    return cnp.sqrt(cnp.sum(cnp.square(cnp.abs(x))))


def _dot(x: Any, y: Any) -> Any:
    return cnp.vdot(x, y)


def _solve(
    name: str, iterate: Any, symmetric: bool, A: Any, b: Any, x0: Any, M: Any, tol: Any, atol: Any
) -> tuple[Any, None]:
    matvec, b, start, inverse, back = _prepared(name, A, b, x0, M)
    inverse = inverse or (lambda v: v)

    def solve(matvec: Operator, b: Any, start: Any) -> Any:
        limit = cnp.maximum(tol * _norm(b), atol).astype(_norm(b).dtype)
        return iterate(matvec, b, start, inverse, limit)

    x = lax.custom_linear_solve(
        matvec,
        b,
        lambda matvec, b: solve(matvec, b, lax.stop_gradient(start)),
        # What is solved in reverse mode is another equation: it begins at 0.
        lambda vecmat, b: solve(vecmat, b, cnp.zeros_like(b)),
        symmetric=symmetric and not dtypes.is_complex(b.dtype),
    )
    return back(x), None


@_documented(
    summary="Solve ``A x = b`` for a positive definite ``A`` by conjugate gradients.",
    matrix="Hermitian and positive definite.",
    maxiter="The greatest number of iterations, by default 10 times the size of ``b``.",
    references=(
        'M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems",\n'
        "Journal of Research of the National Bureau of Standards 49, 1952."
    ),
)
def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-05,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    def iterate(matvec: Operator, b: Any, x: Any, inverse: Operator, limit: Any) -> Any:
        most = 10 * b.size if maxiter is None else maxiter

        def unfinished(state: Any) -> Any:
            x, r, p, gamma, k = state
            return (_norm(r) > limit) & (k < most)

        def step(state: Any) -> Any:
            x, r, p, gamma, k = state
            moved = matvec(p)
            alpha = gamma / _dot(p, moved)
            x, r = x + alpha * p, r - alpha * moved
            z = inverse(r)
            later = _dot(r, z)
            return x, r, z + (later / gamma) * p, later, k + 1

        r = b - matvec(x)
        z = inverse(r)
        return lax.while_loop(unfinished, step, (x, r, z, _dot(r, z), 0))[0]

    return _solve("cg", iterate, True, A, b, x0, M, tol, atol)


@_documented(
    summary="Solve ``A x = b`` by stabilised biconjugate gradients.",
    matrix="Of any symmetry.",
    maxiter="The greatest number of iterations, by default 10 times the size of ``b``.",
    references=(
        'H. A. van der Vorst, "Bi-CGSTAB", SIAM Journal on Scientific and Statistical Computing\n'
        "13, 1992."
    ),
)
def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-05,
    atol: Any = 0.0,
    maxiter: Any = None,
    M: Any = None,
) -> tuple[Any, None]:
    def iterate(matvec: Operator, b: Any, x: Any, inverse: Operator, limit: Any) -> Any:
        most = 10 * b.size if maxiter is None else maxiter

        def unfinished(state: Any) -> Any:
            r, k = state[1], state[-1]
            return (_norm(r) > limit) & (k < most)

        def step(state: Any) -> Any:
            x, r, shadow, p, v, rho, alpha, omega, k = state
            later = _dot(shadow, r)
            p = r + (later / rho) * (alpha / omega) * (p - omega * v)
            direction = inverse(p)
            v = matvec(direction)
            alpha = later / _dot(shadow, v)
            s = r - alpha * v
            half = inverse(s)
            t = matvec(half)
            # Where s is the solution already, t is 0.
            square = _dot(t, t)
            omega = cnp.where(square == 0, 0.0, _dot(t, s) / cnp.where(square == 0, 1.0, square))
            new = x + alpha * direction + omega * half, s - omega * t
            # A breakdown: the iteration ends where it was.
            broken = ~cnp.isfinite(_norm(new[1]))
            x, r = (cnp.where(broken, old, v) for old, v in zip((x, r), new, strict=True))
            stuck = broken | (later == 0) | (omega == 0)
            return x, r, shadow, p, v, later, alpha, omega, cnp.where(stuck, most, k + 1)

        r = b - matvec(x)
        one = cnp.ones((), b.dtype)
        state = (x, r, r, cnp.zeros_like(b), cnp.zeros_like(b), one, one, one, cnp.asarray(0))
        return lax.while_loop(unfinished, step, state)[0]

    return _solve("bicgstab", iterate, False, A, b, x0, M, tol, atol)


@_documented(
    summary="Solve ``A x = b`` by the generalised method of least residuals.",
    matrix="Of any symmetry.",
    restart=(
        "restart : int\n    The number of dimensions of the Krylov spaces: more need fewer steps "
        "and more memory.\n"
    ),
    maxiter="The greatest number of Krylov spaces, by default 10 times the size of ``b``.",
    method=(
        "solve_method : {'batched', 'incremental'}\n    Make each Krylov space whole, which is "
        "faster; or end within one where the residual is\n    small enough, which needs fewer "
        "products.\n"
    ),
    errors=", or the method is unknown",
    references=(
        'Y. Saad, M. H. Schultz, "GMRES", SIAM Journal on Scientific and Statistical Computing 7,\n'
        "1986. The preconditioner is applied from the right: residuals are those of ``A x = b``."
    ),
)
def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-05,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: Any = None,
    M: Any = None,
    solve_method: str = "batched",
) -> tuple[Any, None]:
    if solve_method not in ("batched", "incremental"):
        raise ValueError(
            f"gmres: solve_method must be 'batched' or 'incremental', got {solve_method!r}"
            f"{at_user_line()}"
        )
    cycle = _whole_space if solve_method == "batched" else _space_as_needed

    def iterate(matvec: Operator, b: Any, x: Any, inverse: Operator, limit: Any) -> Any:
        most = 10 * b.size if maxiter is None else maxiter
        size = max(1, min(restart, b.size))

        def unfinished(state: Any) -> Any:
            x, r, k = state
            return (_norm(r) > limit) & (k < most)

        def step(state: Any) -> Any:
            x, r, k = state
            x = x + inverse(cycle(lambda v: matvec(inverse(v)), r, size, limit))
            return x, b - matvec(x), k + 1

        return lax.while_loop(unfinished, step, (x, b - matvec(x), 0))[0]

    return _solve("gmres", iterate, False, A, b, x0, M, tol, atol)


def _arnoldi(matvec: Operator, basis: Any, k: Any) -> tuple[Any, Any]:
    """The next vector of the basis (rows), and the column of Hessenberg's matrix."""
    w = matvec(basis[k])
    before = _norm(w)
    column = cnp.zeros(basis.shape[0], basis.dtype)
    # Gram-Schmidt twice is enough: L. Giraud et al., Numerische Mathematik 101, 2005.
    for _ in range(2):
        parts = cnp.conj(basis) @ w
        w, column = w - parts @ basis, column + parts
    length = _norm(w)
    # The space is invariant: nothing but rounding is left.
    length = cnp.where(length <= dtypes.finfo(basis.dtype).eps * before, 0.0, length)
    w = w / cnp.where(length == 0, 1.0, length) * (length != 0)
    return basis.at[k + 1].set(w), column.at[k + 1].set(length.astype(basis.dtype))


def _first(r: Any, size: int) -> tuple[Any, Any]:
    length = _norm(r)
    basis = cnp.zeros((size + 1, r.size), r.dtype)
    return basis.at[0].set(r / cnp.where(length == 0, 1.0, length)), length


def _whole_space(matvec: Operator, r: Any, size: int, limit: Any) -> Any:
    basis, length = _first(r, size)

    def step(k: Any, state: Any) -> Any:
        basis, matrix = state
        basis, column = _arnoldi(matvec, basis, k)
        return basis, matrix.at[:, k].set(column)

    matrix = cnp.zeros((size + 1, size), r.dtype)
    basis, matrix = lax.fori_loop(0, size, step, (basis, matrix))
    right = cnp.zeros(size + 1, r.dtype).at[0].set(length.astype(r.dtype))
    return cnp.linalg.lstsq(matrix, right)[0] @ basis[:-1]


def _space_as_needed(matvec: Operator, r: Any, size: int, limit: Any) -> Any:
    """Least squares by Givens rotations, whose last element is the residual."""
    basis, length = _first(r, size)

    def unfinished(state: Any) -> Any:
        k, basis, upper, right, turns = state
        return (k < size) & (cnp.abs(right[k]) > limit)

    def step(state: Any) -> Any:
        k, basis, upper, right, turns = state
        basis, column = _arnoldi(matvec, basis, k)
        column = lax.fori_loop(0, k, lambda i, c: _turned(c, i, turns[i]), column)
        turn = _turn(column[k], column[k + 1])
        column, right = _turned(column, k, turn), _turned(right, k, turn)
        return k + 1, basis, upper.at[:, k].set(column[:-1]), right, turns.at[k].set(turn)

    # Columns that are not made are those of the identity.
    upper = cnp.eye(size, dtype=r.dtype)
    right = cnp.zeros(size + 1, r.dtype).at[0].set(length.astype(r.dtype))
    turns = cnp.zeros((size, 2), r.dtype)
    k, basis, upper, right, _ = lax.while_loop(unfinished, step, (0, basis, upper, right, turns))
    made = cnp.arange(size) < k
    diagonal = cnp.diagonal(upper)
    singular = diagonal == 0
    upper = upper + cnp.diag(singular.astype(r.dtype))
    wanted = cnp.where(made & ~singular, right[:-1], 0.0)
    y = lax.linalg.triangular_solve(upper, wanted[:, None], left_side=True)[:, 0]
    return y @ basis[:-1]


def _turn(a: Any, b: Any) -> Any:
    """Cosine and sine of the rotation that takes (a, b) to (r, 0)."""
    length = cnp.sqrt(cnp.square(cnp.abs(a)) + cnp.square(cnp.abs(b)))
    zero = length == 0
    safe = cnp.where(zero, 1.0, length)
    return cnp.stack([cnp.where(zero, 1.0, a / safe), cnp.where(zero, 0.0, b / safe)])


def _turned(v: Any, i: Any, turn: Any) -> Any:
    c, s = turn[0], turn[1]
    a, b = v[i], v[i + 1]
    v = v.at[i].set(cnp.conj(c) * a + cnp.conj(s) * b)
    return v.at[i + 1].set(c * b - s * a)


_export(globals(), __all__)
