"""Distributions that need linear algebra: multivariate normal, orthogonal matrices."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_array
from covector.core.structural import convert_element_type, moveaxis
from covector.numpy import linalg
from covector.random._bits import words_of
from covector.random._checks import float_dtype, full_parameter, shape_argument
from covector.random._continuous import shaped_normal
from covector.random._program import program


def _factor(cov: Any, method: str) -> Any:
    """A matrix A with A Aᵀ = cov."""
    if method == "cholesky":
        return linalg.cholesky(cov)
    if method == "eigh":
        size, vectors = linalg.eigh(cov)
    else:
        vectors, size, _ = linalg.svd(cov)
    n = vectors.ndim
    scale = lax.broadcast_in_dim(lax.sqrt(size), vectors.shape, (*range(n - 2), n - 1))
    return lax.mul(vectors, scale)


@program("shape", "dtype", "method", "out_sharding")
def multivariate_normal(
    key: Any,
    mean: Any,
    cov: Any,
    shape: Any = None,
    dtype: Any = None,
    method: str = "cholesky",
    *,
    out_sharding: Any = None,
) -> Any:
    """Normal vectors of a given mean and covariance.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    mean : array_like
        Shape ``(..., n)``.
    cov : array_like
        Shape ``(..., n, n)``, symmetric and positive definite (semidefinite for the methods
        other than Cholesky's).
    shape : int or tuple of int, optional
        Of the batch; by default that of ``mean`` and ``cov`` broadcast together.
    dtype : float dtype, optional
        By default the default float type.
    method : {"cholesky", "eigh", "svd"}
        How a factor of the covariance is found.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the shape of the batch followed by ``n``; NaN where ``cov`` has no factor.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the method is another.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> mean, cov = np.array([1.0, 2.0]), np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> np.round(cv.random.multivariate_normal(cv.random.key(0), mean, cov, (2,)), 3)
    Array([[2.623, 4.565],
           [0.566, 1.715]], dtype=float32)
    """
    dt = float_dtype(dtype, "multivariate_normal")
    if method not in ("cholesky", "eigh", "svd"):
        raise ValueError(
            "multivariate_normal: method must be 'cholesky', 'eigh' or 'svd', got "
            f"{method!r}{at_user_line()}"
        )
    words = words_of(key, "multivariate_normal")
    mean, cov = (convert_element_type(as_array(x, "multivariate_normal"), dt) for x in (mean, cov))
    if not mean.ndim:
        raise ValueError(
            f"multivariate_normal: mean must have at least one dimension{at_user_line()}"
        )
    n = mean.shape[-1]
    if cov.shape[-2:] != (n, n):
        raise ValueError(
            f"multivariate_normal: cov must have shape (..., {n}, {n}) for mean of shape "
            f"{mean.shape}, got {cov.shape}{at_user_line()}"
        )
    common = lax.broadcast_shapes(mean.shape[:-1], cov.shape[:-2])
    batch = common if shape is None else shape_argument(shape)
    if lax.broadcast_shapes(batch, common) != batch:
        raise ValueError(
            f"multivariate_normal: mean of shape {mean.shape} and cov of shape {cov.shape} do not "
            f"broadcast to the batch shape {batch}{at_user_line()}"
        )
    factor = full_parameter(_factor(cov, method), dt, (*batch, n, n), "multivariate_normal")
    z = shaped_normal(words, (*batch, n), dt)
    b = tuple(range(len(batch)))
    if aval_of(cov).ndim == 2 and batch:
        # One factor for the whole batch: a single matrix product.
        shift = lax.dot_general(z, _factor(cov, method), (((len(batch),), (1,)), ((), ())))
    else:
        shift = lax.dot_general(factor, z, (((len(batch) + 1,), (len(batch),)), (b, b)))
    return lax.add(full_parameter(mean, dt, (*batch, n), "multivariate_normal"), shift)


@program("n", "shape", "dtype", "m", "out_sharding")
def orthogonal(
    key: Any,
    n: int,
    shape: Any = (),
    dtype: Any = None,
    m: int | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Uniform orthogonal (or unitary) matrices of shape ``(n, m)``, square by default.

    With ``m != n`` the rows or the columns, whichever are fewer, are orthonormal.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    n : int
    shape : int or tuple of int
        Of the batch.
    dtype : float or complex dtype, optional
        By default the default float type.
    m : int, optional
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the shape ``shape`` followed by ``(n, m)``.

    References
    ----------
    The factor Q of a normal matrix, with the signs that make it unique: F. Mezzadri, "How to
    generate random matrices from the classical compact groups", Notices of the AMS 54 (2007).

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> q = cv.random.orthogonal(cv.random.key(0), 2)
    >>> np.round(np.abs(q @ q.T), 3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, "orthogonal")
    if dt not in dtypes.INEXACT:
        raise ValueError(
            f"orthogonal: dtype must be a float or complex type, got {dt}{at_user_line()}"
        )
    shape = shape_argument(shape)
    n, m = shape_argument((n, n if m is None else m))
    tall, wide = max(n, m), min(n, m)
    z = shaped_normal(words_of(key, "orthogonal"), (*shape, tall, wide), dt)
    q, r = linalg.qr(z)
    diagonal = _diagonal(r)
    sign = lax.broadcast_in_dim(lax.sign(diagonal), q.shape, (*range(len(shape)), len(shape) + 1))
    q = lax.mul(q, sign)
    return moveaxis(q, len(shape), len(shape) + 1) if n < m else q


def _diagonal(x: Any) -> Any:
    rank = x.ndim
    i = lax.broadcasted_iota(dtypes.int32, x.shape, rank - 2)
    j = lax.broadcasted_iota(dtypes.int32, x.shape, rank - 1)
    kept = lax.select(lax.eq(i, j), x, lax.full_like(x, 0))
    return lax.reduce_sum(kept, (rank - 2,))
