"""Initial values of weights (`covector.nn.initializers`).

An initializer is a function ``(key, shape, dtype=None, out_sharding=None) -> Array``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

from covector import lax, random
from covector import numpy as cnp
from covector.core import dtypes
from covector.core.errors import at_user_line
from covector.lax._common import canonical_shape, product
from covector.random._checks import no_sharding

Axes = int | Sequence[int]


class Initializer(Protocol):
    """The type of initializers."""

    def __call__(
        self, key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None
    ) -> Any: ...


def _dtype(dtype: Any, default: Any) -> Any:
    chosen = default if dtype is None else dtype
    if chosen is None:
        return dtypes.default_float()
    return dtypes.check_user_dtype(chosen, "the initializer")


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Zeros; the key is not used."""
    no_sharding(out_sharding, "zeros")
    return cnp.zeros(shape, _dtype(dtype, None))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Ones; the key is not used."""
    no_sharding(out_sharding, "ones")
    return cnp.ones(shape, _dtype(dtype, None))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """Initializer that gives ``value``, broadcast to the shape."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "constant")
        return cnp.full(shape, value, _dtype(dtype, default))

    return init


def uniform(scale: Any = 0.01, dtype: Any = None) -> Initializer:
    """Initializer of uniform numbers in [0, scale)."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "uniform")
        dt = _dtype(dtype, default)
        return cnp.multiply(random.uniform(key, shape, dt), cnp.asarray(scale, dt))

    return init


def normal(stddev: Any = 0.01, dtype: Any = None) -> Initializer:
    """Initializer of normal numbers with mean 0 and the given standard deviation."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "normal")
        dt = _dtype(dtype, default)
        return cnp.multiply(random.normal(key, shape, dt), cnp.asarray(stddev, dt))

    return init


def truncated_normal(
    stddev: Any = 0.01, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """Initializer of standard normal numbers in (lower, upper), times ``stddev``."""
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "truncated_normal")
        dt = _dtype(dtype, default)
        x = random.truncated_normal(key, lower, upper, shape, dt)
        return cnp.multiply(x, cnp.asarray(stddev, dt))

    return init


# --- scaled by the number of connections -------------------------------------------------


def _sizes(axes: Axes, shape: tuple[int, ...]) -> int:
    return product(shape[i] for i in ((axes,) if isinstance(axes, int) else axes))


def _fans(
    shape: tuple[int, ...], in_axis: Axes, out_axis: Axes, batch_axis: Axes
) -> tuple[float, float]:
    """Numbers of inputs and outputs of a unit, those of the receptive field included."""
    n = len(shape)
    for axes, what in ((in_axis, "in_axis"), (out_axis, "out_axis"), (batch_axis, "batch_axis")):
        for i in (axes,) if isinstance(axes, int) else axes:
            if not -n <= i < n:
                raise ValueError(
                    f"variance scaling of weights of shape {shape}: {what} {axes} is out of "
                    "bounds; weights need at least two dimensions unless in_axis and out_axis "
                    f"are given{at_user_line()}"
                )
    if isinstance(in_axis, int) and isinstance(out_axis, int) and n < 2 and in_axis % n != 0:
        raise ValueError(
            f"variance scaling needs weights of at least two dimensions, got shape {shape}"
            f"{at_user_line()}"
        )
    inputs, outputs = _sizes(in_axis, shape), _sizes(out_axis, shape)
    known = inputs * outputs * _sizes(batch_axis, shape)
    field = product(shape) / known if known else 1.0
    return inputs * field, outputs * field


# Standard deviation of a standard normal number truncated to (-2, 2).
_TRUNCATED_STD = math.sqrt(1 - 4 * math.exp(-2) / (math.sqrt(2 * math.pi) * math.erf(math.sqrt(2))))
# Root of the second moment of a complex standard normal number that lies within 2.
_COMPLEX_TRUNCATED_STD = math.sqrt(1 - 5 * math.exp(-4))


def _disc(key: Any, shape: tuple[int, ...], dtype: Any, edge: float | None) -> Any:
    """Complex numbers: uniform in the unit disc, or normal and shorter than ``edge``."""
    part = dtypes.real_dtype(dtype)
    first, second = random.split(key)
    u = random.uniform(first, shape, part)
    angle = lax.mul(random.uniform(second, shape, part), 2 * math.pi)
    if edge is None:
        radius = lax.sqrt(u)
    else:
        radius = lax.sqrt(lax.neg(lax.log1p(lax.neg(lax.mul(u, 1 - math.exp(-(edge**2)))))))
    return lax.complex(lax.mul(radius, lax.cos(angle)), lax.mul(radius, lax.sin(angle)))


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Initializer whose variance is ``scale`` over the number of connections.

    Parameters
    ----------
    scale : float
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo_avg"}
        Which number: of inputs, of outputs, or the arithmetic or geometric mean of both.
    distribution : {"truncated_normal", "normal", "uniform"}
    in_axis, out_axis, batch_axis : int or sequence of int
        Axes of the inputs, of the outputs, and of independent copies; the others are a
        receptive field and count for both.
    dtype : float or complex dtype, optional

    References
    ----------
    X. Glorot, Y. Bengio, AISTATS 2010; K. He et al., ICCV 2015.
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "variance_scaling")
        shape = canonical_shape(shape)
        dt = _dtype(dtype, default)
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        fans = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }
        if mode not in fans:
            raise ValueError(
                f"variance_scaling: mode must be one of {', '.join(fans)}, got {mode!r}"
                f"{at_user_line()}"
            )
        real = not dtypes.is_complex(dt)
        variance = cnp.asarray(scale / fans[mode] if fans[mode] else 0.0, dtypes.real_dtype(dt))
        if distribution == "normal":
            x, factor = random.normal(key, shape, dt), 1.0
        elif distribution == "uniform":
            x = random.uniform(key, shape, dt, -1, 1) if real else _disc(key, shape, dt, None)
            factor = 3.0 if real else 2.0
        elif distribution == "truncated_normal":
            x = (
                random.truncated_normal(key, -2, 2, shape, dt)
                if real
                else _disc(key, shape, dt, 2.0)
            )
            factor = (_TRUNCATED_STD if real else _COMPLEX_TRUNCATED_STD) ** -2
        else:
            raise ValueError(
                "variance_scaling: distribution must be one of truncated_normal, normal, "
                f"uniform, got {distribution!r}{at_user_line()}"
            )
        return cnp.multiply(x, cnp.asarray(cnp.sqrt(cnp.multiply(variance, factor)), dt))

    return init


def _scaling(scale: float, mode: str, distribution: str, doc: str) -> Any:
    def make(
        in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
    ) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__doc__ = doc + f": ``variance_scaling({scale}, {mode!r}, {distribution!r})``."
    return make


def _named(name: str, function: Any) -> Any:
    function.__name__ = function.__qualname__ = name
    return function


glorot_uniform = _named(
    "glorot_uniform", _scaling(1.0, "fan_avg", "uniform", "Glorot's uniform initializer")
)
glorot_normal = _named(
    "glorot_normal", _scaling(1.0, "fan_avg", "truncated_normal", "Glorot's normal initializer")
)
lecun_uniform = _named(
    "lecun_uniform", _scaling(1.0, "fan_in", "uniform", "LeCun's uniform initializer")
)
lecun_normal = _named(
    "lecun_normal", _scaling(1.0, "fan_in", "truncated_normal", "LeCun's normal initializer")
)
he_uniform = _named("he_uniform", _scaling(2.0, "fan_in", "uniform", "He's uniform initializer"))
he_normal = _named(
    "he_normal", _scaling(2.0, "fan_in", "truncated_normal", "He's normal initializer")
)
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


# --- orthogonal --------------------------------------------------------------------------


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Initializer of a uniform orthogonal matrix, times ``scale``.

    Parameters
    ----------
    scale : float
    column_axis : int
        The axis of the columns; the others together are the rows. Whichever are fewer are
        orthonormal.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks", ICLR 2014.
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "orthogonal")
        shape = canonical_shape(shape)
        if len(shape) < 2:
            raise ValueError(
                f"orthogonal: weights need at least two dimensions, got shape {shape}"
                f"{at_user_line()}"
            )
        dt = _dtype(dtype, default)
        columns = shape[column_axis]
        rows = product(shape) // columns if columns else 0
        q = random.orthogonal(key, columns, (), dt, rows)
        at = column_axis % len(shape)
        rest = (*shape[:at], *shape[at + 1 :])
        q = cnp.moveaxis(cnp.reshape(q, (columns, *rest)), 0, at)
        return cnp.multiply(q, cnp.asarray(scale, dt))

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Initializer of convolution kernels: orthogonal at the centre and zero elsewhere.

    Kernels have shape ``(*field, n_in, n_out)`` with one to three axes in ``field`` and
    ``n_in <= n_out``.

    References
    ----------
    L. Xiao et al., "Dynamical isometry and a mean field theory of CNNs", ICML 2018.
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        no_sharding(out_sharding, "delta_orthogonal")
        shape = canonical_shape(shape)
        if len(shape) not in (3, 4, 5):
            raise ValueError(
                f"delta_orthogonal: weights must have 3, 4 or 5 dimensions, got shape {shape}"
                f"{at_user_line()}"
            )
        if shape[-1] < shape[-2]:
            raise ValueError(
                f"delta_orthogonal: the number of inputs, {shape[-2]}, must not exceed the number "
                f"of outputs, {shape[-1]}{at_user_line()}"
            )
        dt = _dtype(dtype, default)
        matrix = orthogonal(scale, column_axis, dt)(key, shape[-2:])
        centre = tuple((k - 1) // 2 for k in shape[:-2])
        padding = [(c, k - 1 - c, 0) for c, k in zip(centre, shape[:-2], strict=True)]
        kernel = cnp.reshape(matrix, (1,) * len(padding) + matrix.shape)
        zero = cnp.zeros((), dt)
        return lax.pad(kernel, zero, (*padding, (0, 0, 0), (0, 0, 0)))

    return init


__all__ = [
    "Initializer",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
