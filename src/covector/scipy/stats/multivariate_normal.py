"""The multivariate normal distribution (`covector.scipy.stats.multivariate_normal`)."""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector import numpy as cnp
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.lax import linalg
from covector.numpy._util import convert, fused
from covector.scipy.stats._family import real


def _log_density(x: Any, mean: Any, cov: Any) -> tuple[Any, Any]:
    dt, (x, mean, cov) = real("multivariate_normal", x, mean, cov)
    if not mean.ndim:
        if cov.ndim:
            raise _mismatch(mean, cov)
        z = x - mean
        return dt, -0.5 * (z * z / cov + cnp.log(2 * math.pi * cov))
    n = mean.shape[-1]
    z = x - mean
    if not cov.ndim:
        squares, logs = cnp.sum(z * z, -1) / cov, n * cnp.log(cov)
    else:
        if cov.ndim < 2 or cov.shape[-2:] != (n, n):
            raise _mismatch(mean, cov)
        factor = linalg.cholesky(cov, symmetrize_input=False)
        batch = lax.broadcast_shapes(z.shape[:-1], factor.shape[:-2])
        # One factor for all points: they are the columns of one right-hand side.
        if factor.ndim == 2:
            columns = cnp.reshape(cnp.broadcast_to(z, (*batch, n)), (-1, n)).T
            w = cnp.reshape(_solved(factor, columns).T, (*batch, n))
        else:
            factors = cnp.broadcast_to(factor, (*batch, n, n))
            w = _solved(factors, cnp.broadcast_to(z, (*batch, n))[..., None])[..., 0]
        squares = cnp.sum(w * w, -1)
        logs = 2.0 * cnp.sum(cnp.log(cnp.diagonal(factor, axis1=-2, axis2=-1)), -1)
    return dt, -0.5 * (squares + n * math.log(2 * math.pi) + logs)


def _solved(factor: Any, b: Any) -> Any:
    return linalg.triangular_solve(factor, b, left_side=True, lower=True)


def _mismatch(mean: Any, cov: Any) -> ValueError:
    return ValueError(
        "multivariate_normal: cov must be a number, or matrices as large as mean is long; got mean "
        f"{aval_of(mean).str_short()} and cov {aval_of(cov).str_short()}{at_user_line()}"
    )


@fused("allow_singular")
def logpdf(x: Any, mean: Any, cov: Any, allow_singular: None = None) -> Any:
    """Logarithm of the density of the multivariate normal distribution.

    Parameters
    ----------
    x : array_like
        Points, their components along the last axis.
    mean : array_like
        Means, along the last axis; a number for the normal distribution of one variable.
    cov : array_like
        Covariances in the last two axes, positive definite; a number for that multiple of the
        identity.
    allow_singular : None
        Not supported: a singular matrix gives NaN.

    Returns
    -------
    Array
        Of the common shape of the points and parameters without the axes of components; NaN where
        ``cov`` is not positive definite.

    Raises
    ------
    ValueError
        If ``cov`` does not fit ``mean``.
    NotImplementedError
        If ``allow_singular`` is given.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import multivariate_normal
    >>> multivariate_normal.logpdf(np.array([1.0, 2.0]), np.zeros(2), np.eye(2))
    Array(-4.3378773, dtype=float32)
    """
    if allow_singular is not None:
        raise NotImplementedError(
            "multivariate_normal.logpdf: allow_singular is not supported, got "
            f"{allow_singular!r}; a singular cov gives NaN{at_user_line()}"
        )
    dt, out = _log_density(x, mean, cov)
    return convert(out, dt, out.aval.weak_type)


@fused()
def pdf(x: Any, mean: Any, cov: Any) -> Any:
    """Density of the multivariate normal distribution.

    Parameters
    ----------
    x : array_like
        Points, their components along the last axis.
    mean : array_like
        Means, along the last axis; a number for the normal distribution of one variable.
    cov : array_like
        Covariances in the last two axes, positive definite; a number for that multiple of the
        identity.

    Returns
    -------
    Array
        Of the common shape of the points and parameters without the axes of components; NaN where
        ``cov`` is not positive definite.

    Raises
    ------
    ValueError
        If ``cov`` does not fit ``mean``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import multivariate_normal
    >>> multivariate_normal.pdf(np.array([1.0, 2.0]), np.zeros(2), np.eye(2))
    Array(0.01306423, dtype=float32)
    """
    dt, out = _log_density(x, mean, cov)
    return convert(cnp.exp(out), dt, out.aval.weak_type)


__all__ = ["logpdf", "pdf"]

_export(globals(), __all__)
