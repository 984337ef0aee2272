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
from covector.core.errors import export as _export
from covector.core.operands import canonical_shape, product
from covector.sharding.results import laid_out

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
    """Zeros; the key is not used.

    Parameters
    ----------
    key : Array
        Not used.
    shape : int or tuple of int
    dtype : dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.nn.initializers.zeros(cv.random.key(0), (2,))
    Array([0., 0.], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(zeros, locals())
    return cnp.zeros(shape, _dtype(dtype, None))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Ones; the key is not used.

    Parameters
    ----------
    key : Array
        Not used.
    shape : int or tuple of int
    dtype : dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.nn.initializers.ones(cv.random.key(0), (2,))
    Array([1., 1.], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(ones, locals())
    return cnp.ones(shape, _dtype(dtype, None))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """Initializer that gives ``value``, broadcast to the shape.

    Parameters
    ----------
    value : array_like
    dtype : dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.

    Examples
    --------
    >>> import covector as cv
    >>> init = cv.nn.initializers.constant(0.5)
    >>> init(cv.random.key(0), (2,))
    Array([0.5, 0.5], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
        return cnp.full(shape, value, _dtype(dtype, default))

    return init


def uniform(scale: Any = 0.01, dtype: Any = None) -> Initializer:
    """Initializer of uniform numbers in [0, scale).

    Parameters
    ----------
    scale : array_like
    dtype : float dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.

    Examples
    --------
    >>> import covector as cv
    >>> init = cv.nn.initializers.uniform(2.0)
    >>> init(cv.random.key(0), (2,))
    Array([1.895334 , 1.9571598], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
        dt = _dtype(dtype, default)
        return cnp.multiply(random.uniform(key, shape, dt), cnp.asarray(scale, dt))

    return init


def normal(stddev: Any = 0.01, dtype: Any = None) -> Initializer:
    """Initializer of normal numbers with mean 0 and the given standard deviation.

    Parameters
    ----------
    stddev : array_like
    dtype : float or complex dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> init = cv.nn.initializers.normal(2.0)
    >>> np.round(init(cv.random.key(0), (3,)), 3)
    Array([ 3.245,  4.051, -0.867], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
        dt = _dtype(dtype, default)
        return cnp.multiply(random.normal(key, shape, dt), cnp.asarray(stddev, dt))

    return init


def truncated_normal(
    stddev: Any = 0.01, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0
) -> Initializer:
    """Initializer of standard normal numbers in (lower, upper), times ``stddev``.

    Parameters
    ----------
    stddev : array_like
        Of the normal numbers before those outside of the bounds are left out.
    dtype : float dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.
    lower, upper : float
        Bounds before the multiplication.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> init = cv.nn.initializers.truncated_normal(0.1, lower=-1.0, upper=1.0)
    >>> np.round(init(cv.random.key(0), (3,)), 3)
    Array([ 0.086,  0.094, -0.029], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
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
        Normal numbers are truncated at two standard deviations.
    in_axis, out_axis, batch_axis : int or sequence of int
        Axes of the inputs, of the outputs, and of independent copies; the others are a
        receptive field and count for both.
    dtype : float or complex dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.
        It raises ValueError for weights without these axes, and for another mode or distribution.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.

    K. He et al., "Delving deep into rectifiers", ICCV 2015.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> init = cv.nn.initializers.variance_scaling(1.0, "fan_in", "normal")
    >>> w = init(cv.random.key(0), (400, 200))
    >>> np.round(w.var() * 400, 1)
    Array(1., dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
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


_GLOROT = """X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010."""
_LECUN = 'Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, "Efficient BackProp", 1998.'
_HE = 'K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.'


def _scaling(
    name: str, scale: float, mode: str, distribution: str, title: str, source: str, spread: float
) -> Any:
    """The maker of a kind of `variance_scaling`; ``spread`` is the deviation in its example."""

    def make(
        in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None
    ) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{title}: ``variance_scaling({scale}, {mode!r}, {distribution!r})``.

    Parameters
    ----------
    in_axis, out_axis, batch_axis : int or sequence of int
        Axes of the inputs, of the outputs, and of independent copies; the others are a
        receptive field and count for both.
    dtype : float or complex dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``. It raises ValueError
        for weights without these axes.

    References
    ----------
    {source}

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> w = cv.nn.initializers.{name}()(cv.random.key(0), (400, 200))
    >>> np.round(w.std(), 3)
    Array({spread}, dtype=float32)
    """
    return make


glorot_uniform = _scaling(
    "glorot_uniform", 1.0, "fan_avg", "uniform", "Glorot's uniform initializer", _GLOROT, 0.058
)
glorot_normal = _scaling(
    "glorot_normal",
    1.0,
    "fan_avg",
    "truncated_normal",
    "Glorot's normal initializer",
    _GLOROT,
    0.058,
)
lecun_uniform = _scaling(
    "lecun_uniform", 1.0, "fan_in", "uniform", "LeCun's uniform initializer", _LECUN, 0.05
)
lecun_normal = _scaling(
    "lecun_normal", 1.0, "fan_in", "truncated_normal", "LeCun's normal initializer", _LECUN, 0.05
)
he_uniform = _scaling(
    "he_uniform", 2.0, "fan_in", "uniform", "He's uniform initializer", _HE, 0.071
)
he_normal = _scaling(
    "he_normal", 2.0, "fan_in", "truncated_normal", "He's normal initializer", _HE, 0.071
)
xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


# --- orthogonal --------------------------------------------------------------------------


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Initializer of a uniform orthogonal matrix, times ``scale``.

    Parameters
    ----------
    scale : array_like
    column_axis : int
        The axis of the columns; the others together are the rows. Whichever are fewer are
        orthonormal.
    dtype : float or complex dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.
        It raises ValueError for weights of fewer than two dimensions.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks", ICLR 2014.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> w = cv.nn.initializers.orthogonal()(cv.random.key(0), (4, 2))
    >>> np.round(np.abs(w.T @ w), 3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
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

    Parameters
    ----------
    scale : array_like
    column_axis : int
        Of the matrix at the centre; see `orthogonal`.
    dtype : float or complex dtype, optional
        Of weights, where the initializer is called without one; by default the default float type.

    Returns
    -------
    Initializer
        A function ``(key, shape, dtype=None, out_sharding=None) -> Array``.
        It raises ValueError for other shapes.

    References
    ----------
    L. Xiao et al., "Dynamical isometry and a mean field theory of CNNs", ICML 2018.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> w = cv.nn.initializers.delta_orthogonal()(cv.random.key(0), (3, 2, 2))
    >>> np.round(np.abs(w[1] @ w[1].T), 3)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    >>> np.abs(w[::2]).max()
    Array(0., dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        if out_sharding is not None:
            return laid_out(init, locals())
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

_export(globals(), __all__)
