"""QR factorisation and products of Householder reflections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.trace import Primitive
from covector.lax.arithmetic import add, complex, mul, sub
from covector.lax.compare import gt
from covector.lax.linalg._common import (
    adjoint,
    check_matrix,
    columns,
    eye_like,
    is_complex,
    matmul,
    matrix,
    on_diagonal,
    permute_columns,
    tril,
)
from covector.lax.linalg.triangular import triangular_solve_p
from covector.lax.select import select
from covector.lax.shape_functions import broadcasted_iota, full_like
from covector.lax.slicing import dynamic_index_in_dim, slice_in_dim
from covector.lax.unary import imag
from covector.transforms.jvp import Zero, instantiate, jvp_rules
from covector.transforms.vmap import def_broadcasting

qr_p = Primitive("qr", multiple_results=True)
geqrf_p = Primitive("geqrf", multiple_results=True)
householder_product_p = Primitive("householder_product")


@qr_p.def_abstract_eval
def _qr_aval(x: ShapedArray, *, pivoting: bool, full_matrices: bool) -> list[ShapedArray]:
    check_matrix("qr", x)
    *batch, m, n = x.shape
    k = m if full_matrices else min(m, n)
    out = [ShapedArray((*batch, m, k), x.dtype), ShapedArray((*batch, k, n), x.dtype)]
    return [*out, ShapedArray((*batch, n), dtypes.int32)] if pivoting else out


def qr(
    x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None
) -> tuple[Any, ...]:
    """``x = q r`` with orthonormal columns in ``q`` and an upper triangular ``r``.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``, of floats or complex numbers.
    pivoting : bool
        Exchange columns so that the diagonal of ``r`` does not increase: ``x[:, p] = q r``.
    full_matrices : bool
        Whether ``q`` has ``m`` columns, or ``min(m, n)``.
    use_magma : bool, optional
        Has no effect on this device.

    Returns
    -------
    q, r : Array
    p : Array of int32
        Only with ``pivoting``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> q, r = lax.linalg.qr(np.array([[3.0, 0.0], [4.0, 5.0]]))
    >>> np.round(r, 3)
    Array([[-5., -4.],
           [ 0.,  3.]], dtype=float32)
    >>> np.round(q @ r, 3)
    Array([[3., 0.],
           [4., 5.]], dtype=float32)
    """
    x = matrix(x, "qr")
    return tuple(qr_p.bind(x, pivoting=bool(pivoting), full_matrices=bool(full_matrices)))


def _qr_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, pivoting: bool, full_matrices: bool
) -> tuple[list[Any], list[Any]]:
    # S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with
    # application in optimum experimental design", arXiv:1001.1654, section 4: with C = dA R⁻¹ and
    # B = Qᴴ C, Ω = Qᴴ dQ is the antihermitian matrix with the lower triangle of B (and its
    # imaginary diagonal, as that of R is real), dQ = Q (Ω - B) + C, dR = (B - Ω) R.
    x, t = primals[0], tangents[0]
    *_, m, n = aval_of(x).shape
    q, r, *p = out = qr_p.bind(x, pivoting=pivoting, full_matrices=full_matrices)
    if full_matrices and m > n:
        raise NotImplementedError(
            f"the derivative of qr with full_matrices=True of {aval_of(x).str_short()}: the "
            "additional columns of q are not determined; use full_matrices=False"
            f"{at_user_line()}"
        )
    if p:
        t = permute_columns(t, p[0])
    k = min(m, n)
    # The first k columns determine q.
    head, r_head = (t, r) if n == k else (slice_in_dim(v, 0, k, axis=v.ndim - 1) for v in (t, r))
    c = triangular_solve_p.bind(r_head, head, left_side=False, lower=False, transpose_a=False,
                                conjugate_a=False, unit_diagonal=False)  # fmt: skip
    b = matmul(adjoint(q), c)
    lower = tril(b, -1)
    omega = sub(lower, adjoint(lower))
    if is_complex(b):
        part = imag(b)
        zero = full_like(part, 0)
        omega = add(omega, complex(zero, select(on_diagonal(b.shape), part, zero)))
    dq = add(matmul(q, sub(omega, b)), c)
    if n == k:
        dr = matmul(sub(b, omega), r)
    else:
        dr = sub(matmul(adjoint(q), t), matmul(omega, r))
    return out, [dq, dr, *map(Zero.of, p)]


jvp_rules[qr_p] = _qr_jvp
def_broadcasting(qr_p)


# --- reflections -------------------------------------------------------------------------


@geqrf_p.def_abstract_eval
def _geqrf_aval(x: ShapedArray) -> list[ShapedArray]:
    check_matrix("geqrf", x)
    *batch, m, n = x.shape
    return [ShapedArray(x.shape, x.dtype), ShapedArray((*batch, min(m, n)), x.dtype)]


def geqrf(x: Any) -> tuple[Any, Any]:
    """QR factorisation as LAPACK keeps it: R above the diagonal, reflections below it.

    Parameters
    ----------
    x : array_like
        Shape ``(..., m, n)``, of floats or complex numbers.

    Returns
    -------
    a : Array
        Shape ``(..., m, n)``.
    taus : Array
        The reflections' factors, shape ``(..., min(m, n))``; see `householder_product`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> a, taus = lax.linalg.geqrf(np.array([[3.0], [4.0]]))
    >>> np.round(a, 3)
    Array([[-5. ],
           [ 0.5]], dtype=float32)
    >>> np.round(taus, 3)
    Array([1.6], dtype=float32)
    """
    a, taus = geqrf_p.bind(matrix(x, "geqrf"))
    return a, taus


def_broadcasting(geqrf_p)


@householder_product_p.def_abstract_eval
def _product_aval(a: ShapedArray, taus: ShapedArray) -> ShapedArray:
    check_matrix("householder_product", a)
    *batch, m, n = a.shape
    if (
        a.dtype != taus.dtype
        or taus.shape[:-1] != (*batch,)
        or not taus.shape
        or not m >= n >= taus.shape[-1]
    ):
        raise ValueError(
            f"householder_product takes a of shape (..., m, n) with m >= n, and taus of shape "
            f"(..., k) with k <= n and the same dtype, got {a.str_short()} and "
            f"{taus.str_short()}{at_user_line()}"
        )
    return ShapedArray(a.shape, a.dtype)


def householder_product(a: Any, taus: Any) -> Any:
    """The first columns of a product of elementary Householder reflections.

    Parameters
    ----------
    a : array_like
        Shape ``(..., m, n)``, ``m >= n``: below the diagonal, column ``i`` holds the vector ``v``
        of the ``i``-th reflection ``I - taus[i] v vᴴ``; its entry on the diagonal is one.
    taus : array_like
        Shape ``(..., k)``, ``k <= n``.

    Returns
    -------
    Array
        Shape ``(..., m, n)``.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> a, taus = lax.linalg.geqrf(np.array([[3.0], [4.0]]))
    >>> np.round(lax.linalg.householder_product(a, taus), 3)
    Array([[-0.6],
           [-0.8]], dtype=float32)
    """
    a, taus = matrix(a, "householder_product"), matrix(taus, "householder_product")
    return householder_product_p.bind(a, taus)


def _reflect(a: Any, taus: Any) -> Any:
    """The same as a loop over the reflections, from the last to the first."""
    from covector.lax.control_flow import fori_loop

    k = taus.shape[-1]
    i = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 2)
    j = broadcasted_iota(dtypes.int32, a.shape, a.ndim - 1)
    below = select(gt(i, j), a, full_like(a, 0))
    vectors = add(below, eye_like(a))

    def body(step: Any, q: Any) -> Any:
        at = sub(k - 1, step)
        v = dynamic_index_in_dim(vectors, at, a.ndim - 1)
        tau = dynamic_index_in_dim(taus, at, taus.ndim - 1)
        row = matmul(adjoint(v), q)
        return sub(q, matmul(v, mul(columns(tau, row), row)))

    return fori_loop(0, k, body, eye_like(a))


def _product_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    from covector.transforms.autodiff import jvp

    out = householder_product_p.bind(*primals)
    _, tangent = jvp(_reflect, tuple(primals), tuple(map(instantiate, tangents)))
    return out, tangent


jvp_rules[householder_product_p] = _product_jvp
def_broadcasting(householder_product_p)
