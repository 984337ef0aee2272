"""QR factorisation and products of Householder reflections."""

from __future__ import annotations

from typing import Any

from covector.control_flow.householder import householder_product_p
from covector.lax.linalg._common import matrix
from covector.primitives.linalg.qr import geqrf_p, qr_p


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
