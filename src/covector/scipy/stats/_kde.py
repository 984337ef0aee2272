"""Estimates of densities by sums of Gaussian kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from covector import numpy as cnp
from covector import random
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.tree import register_node
from covector.lax import linalg
from covector.nn import logsumexp
from covector.numpy._util import fused
from covector.scipy.stats import _special as special
from covector.scipy.stats._family import real

_NAMES = ("neff", "dataset", "weights", "covariance", "inv_cov")


@dataclass(frozen=True, init=False, eq=False)
class gaussian_kde:
    """Estimate of a density: the mean of Gaussian kernels about points.

    It is a pytree, and may be made and used in transformed functions.

    Parameters
    ----------
    dataset : array_like
        Points, in the columns of a matrix; a vector for points of one dimension.
    bw_method : {'scott', 'silverman'}, number or callable, optional
        The factor by which the standard deviations of the kernels are smaller than those of the
        points: by the rule of Scott (the default) or Silverman, itself, or a function of this
        object that gives it.
    weights : array_like, optional
        Weights of the points, a vector; by default equal.

    Attributes
    ----------
    dataset : Array
        The points, in the columns of a matrix.
    weights : Array
        The weights of the points, which sum to 1.
    neff : Array
        As how many points of equal weight they count.
    covariance, inv_cov : Array
        The covariances of the kernels, and their inverse.

    Raises
    ------
    ValueError
        If there is only one point, or the shapes do not fit, or the method is unknown.
    TypeError
        If the points are complex or not an array.

    References
    ----------
    D. W. Scott, *Multivariate Density Estimation*, 1992.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector.scipy.stats import gaussian_kde
    >>> estimate = gaussian_kde(np.array([0.0, 1.0, 1.5, 3.0]))
    >>> np.round(estimate(np.array([1.0, 5.0])), 3)
    Array([0.269, 0.011], dtype=float32)
    """

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(
        self,
        dataset: Any,
        bw_method: None | str | Any | Callable[[Any], Any] = None,
        weights: Any = None,
    ) -> None:
        if weights is None:
            _, (points,) = real("gaussian_kde", dataset)
        else:
            _, (points, weights) = real("gaussian_kde", dataset, weights)
        if points.ndim > 2 or points.size < 2 or points.shape[-1] < 2:
            raise ValueError(
                "gaussian_kde: dataset must be a vector or a matrix of several points, got "
                f"{aval_of(points).str_short()}{at_user_line()}"
            )
        points = cnp.atleast_2d(points)
        self._store(dataset=points, weights=_weights(weights, points))
        self._store(neff=1.0 / cnp.sum(cnp.square(self.weights)))
        factor = _bandwidth(self, bw_method)
        cov = cnp.cov(points, rowvar=True, bias=False, aweights=self.weights)
        covariance = cnp.atleast_2d(cov) * cnp.square(factor)
        self._store(covariance=covariance, inv_cov=cnp.linalg.inv(covariance))

    def _store(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def tree_flatten(self) -> tuple[tuple[Any, ...], None]:
        """The arrays, and nothing beside them."""
        return tuple(getattr(self, name) for name in _NAMES), None

    @classmethod
    def tree_unflatten(cls, aux_data: None, children: Any) -> gaussian_kde:
        """The object of these arrays."""
        out = object.__new__(cls)
        out._store(**dict(zip(_NAMES, children, strict=True)))
        return out

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return int(self.dataset.shape[0])

    @property
    def n(self) -> int:
        """The number of points."""
        return int(self.dataset.shape[1])

    def evaluate(self, points: Any) -> Any:
        """The density at ``points``, the columns of a matrix or numbers of one dimension."""
        return cnp.exp(self.logpdf(points))

    def __call__(self, points: Any) -> Any:
        """The density at ``points``."""
        return self.evaluate(points)

    def pdf(self, x: Any) -> Any:
        """The density at the points ``x``."""
        return self.evaluate(x)

    def logpdf(self, x: Any) -> Any:
        """The logarithm of the density at the points ``x``."""
        points = self._points(x, "logpdf")
        return _log_density(points, self.dataset, self.weights, self.covariance)

    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the density times that of a Gaussian distribution.

        ``mean`` is a vector, ``cov`` a matrix; numbers will do for one dimension.
        """
        mean, cov = cnp.atleast_1d(cnp.squeeze(mean)), cnp.atleast_2d(cov)
        if mean.shape != (self.d,) or cov.shape != (self.d, self.d):
            raise ValueError(
                f"gaussian_kde.integrate_gaussian: of {self.d} dimensions are needed a mean of "
                f"shape ({self.d},) and a cov of shape ({self.d}, {self.d}), got {mean.shape} and "
                f"{cov.shape}{at_user_line()}"
            )
        logs = _log_kernel(mean[:, None], self.dataset, self.covariance + cov)
        return cnp.sum(cnp.exp(logs[0]) * self.weights)

    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The integral of the density of one dimension from ``low`` to ``high``."""
        if self.d != 1:
            raise ValueError(
                f"gaussian_kde.integrate_box_1d takes points of one dimension, not {self.d}"
                f"{at_user_line()}"
            )
        if cnp.ndim(low) or cnp.ndim(high):
            raise ValueError(
                "gaussian_kde.integrate_box_1d: the bounds must be numbers, got shapes "
                f"{cnp.shape(low)} and {cnp.shape(high)}{at_user_line()}"
            )
        sigma = cnp.sqrt(self.covariance[0, 0])
        upper, lower = ((b - self.dataset[0]) / sigma for b in (high, low))
        return cnp.sum(self.weights * (special.ndtr(upper) - special.ndtr(lower)))

    def integrate_kde(self, other: gaussian_kde) -> Any:
        """The integral of the product with another estimate."""
        if other.d != self.d:
            raise ValueError(
                f"gaussian_kde.integrate_kde: the estimates have {self.d} and {other.d} dimensions"
                f"{at_user_line()}"
            )
        cov = self.covariance + other.covariance
        kernels = cnp.exp(_log_kernel(self.dataset, other.dataset, cov))
        return self.weights @ kernels @ other.weights

    def integrate_box(self, low_bounds: Any, high_bounds: Any, maxpts: Any = None) -> Any:
        """Not supported."""
        raise NotImplementedError(
            "gaussian_kde.integrate_box is not supported; integrate_box_1d takes one dimension"
            f"{at_user_line()}"
        )

    def set_bandwidth(self, bw_method: Any = None) -> None:
        """Not supported: the object does not change."""
        raise NotImplementedError(
            "gaussian_kde.set_bandwidth is not supported: the object does not change; make another "
            f"one with this bw_method{at_user_line()}"
        )

    def resample(self, key: Any, shape: Any = ()) -> Any:
        """Random points of the density: an array of shape ``(d, *shape)``."""
        first, second = random.split(key)
        chosen = random.choice(first, self.n, shape, p=self.weights)
        noise = random.multivariate_normal(
            second, cnp.zeros(self.d, self.dataset.dtype), self.covariance, shape=shape,
            dtype=self.dataset.dtype,
        )  # fmt: skip
        return self.dataset[:, chosen] + cnp.moveaxis(noise, -1, 0)

    def _points(self, x: Any, name: str) -> Any:
        _, (points, _) = real(f"gaussian_kde.{name}", x, self.dataset)
        points = cnp.atleast_2d(points)
        if points.ndim == 2 and points.shape[0] == 1 and points.shape[1] == self.d != 1:
            points = points.T  # one point
        if points.ndim > 2 or points.shape[0] != self.d:
            raise ValueError(
                f"gaussian_kde.{name}: points have {self.d} dimensions, in the rows of a matrix, "
                f"got {aval_of(x).str_short()}{at_user_line()}"
            )
        return points


def _weights(weights: Any, points: Any) -> Any:
    n = points.shape[1]
    if weights is None:
        return cnp.full((n,), 1.0 / n, points.dtype)
    if weights.shape != (n,):
        raise ValueError(
            f"gaussian_kde: weights must be a vector of {n}, one for each point, got "
            f"{aval_of(weights).str_short()}{at_user_line()}"
        )
    return weights / cnp.sum(weights)


def _bandwidth(kde: gaussian_kde, method: Any) -> Any:
    power = -1.0 / (kde.d + 4)
    if method is None:
        method = "scott"
    if isinstance(method, str):
        if method == "scott":
            return cnp.power(kde.neff, power)
        if method == "silverman":
            return cnp.power(kde.neff * (kde.d + 2) / 4.0, power)
        raise ValueError(
            f"gaussian_kde: bw_method must be 'scott', 'silverman', a number or a function, got "
            f"{method!r}{at_user_line()}"
        )
    if callable(method):
        return method(kde)
    if cnp.ndim(method):
        raise ValueError(
            f"gaussian_kde: bw_method must be one number, got {describe(method)}{at_user_line()}"
        )
    return cnp.asarray(method, kde.dataset.dtype)


@fused()
def _log_density(points: Any, centres: Any, weights: Any, cov: Any) -> Any:
    return logsumexp(_log_kernel(points, centres, cov) + cnp.log(weights), -1)


@fused()
def _log_kernel(points: Any, centres: Any, cov: Any) -> Any:
    """Logarithms of Gaussian densities of the distances of points (rows) and centres (columns)."""
    factor = linalg.cholesky(cov, symmetrize_input=False)
    p, c = (
        linalg.triangular_solve(factor, v, left_side=True, lower=True) for v in (points, centres)
    )
    squares = cnp.sum(cnp.square(p[:, :, None] - c[:, None, :]), 0)
    scale = 0.5 * factor.shape[0] * math.log(2 * math.pi) + cnp.sum(cnp.log(cnp.diagonal(factor)))
    return -0.5 * squares - scale


register_node(
    gaussian_kde,
    lambda kde: kde.tree_flatten(),
    gaussian_kde.tree_unflatten,
)
