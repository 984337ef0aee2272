"""Continuous distributions by transformations of uniform numbers.

The formulas are inverses of distribution functions unless a function says otherwise; see
L. Devroye, "Non-Uniform Random Variate Generation", Springer 1986.
"""

from __future__ import annotations

import math
from typing import Any

from covector import lax
from covector.control_flow.cond import cond
from covector.control_flow.custom_jvp import stop_gradient
from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.config import config
from covector.core.errors import at_user_line
from covector.core.operands import product, scalar
from covector.core.structural import convert_element_type, reduce_sum
from covector.random._bits import Words, split_words, words_of
from covector.random._checks import (
    float_dtype,
    full_parameter,
    parameter,
    result_shape,
    shape_argument,
)
from covector.random._program import program
from covector.random._tails import tail_quantile
from covector.random._uniform import (
    between,
    flat_between,
    float_pairs,
    shaped_floats,
    signs,
    unit_floats,
)
from covector.sharding.results import laid_out


def _tiny(dtype: Any) -> float:
    return float(dtypes.finfo(dtype).tiny)


def _above_minus_one(dtype: Any) -> float:
    """The number next above -1."""
    return -1.0 + float(dtypes.finfo(dtype).epsneg)


# --- normal ------------------------------------------------------------------------------


def normal_from(u: Any, dtype: Any) -> Any:
    """Standard normal numbers from numbers in (-1, 1)."""
    return lax.mul(lax.erf_inv(u), scalar(float(dtype.type(math.sqrt(2))), dtype))


def flat_normal(words: Words, counters: Any, dtype: Any) -> Any:
    """Standard normal numbers (see `_bits.cipher` for ``counters``)."""
    return normal_from(flat_between(words, counters, dtype, _above_minus_one(dtype)), dtype)


def shaped_normal(words: Words, shape: Shape, dtype: Any) -> Any:
    """Standard normal numbers of a float or complex dtype."""
    n = product(shape)
    if not dtypes.is_complex(dtype):
        return lax.reshape(flat_normal(words, n, dtype), shape)
    part = dtypes.real_dtype(dtype)
    root = scalar(float(part.type(math.sqrt(2))), part)
    re, im = [lax.div(flat_normal(w, n, part), root) for w in split_words(words, 2)]
    return lax.reshape(lax.complex(re, im), shape)


@program("shape", "dtype", "out_sharding")
def normal(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Standard normal numbers: mean 0, variance 1.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float or complex dtype, optional
        Complex numbers have independent parts of variance 1/2.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.normal(cv.random.key(0), (3,)), 3)
    Array([ 1.623,  2.025, -0.434], dtype=float32)
    """
    dt = dtypes.default_float() if dtype is None else dtypes.check_user_dtype(dtype, "normal")
    if dt not in dtypes.INEXACT:
        raise ValueError(f"normal: dtype must be a float or complex type, got {dt}{at_user_line()}")
    return shaped_normal(words_of(key, "normal"), shape_argument(shape), dt)


# Beyond this the error function has lost its digits.
_TAIL = {2: 3.0, 4: 4.0, 8: 7.0}


def _in_tail(u: Any, low: Any, high: Any, x: Any) -> Any:
    """``x``, but in the tails the number of rank ``u`` between ``low`` and ``high``."""
    dt = aval_of(x).dtype
    start = _TAIL[dt.itemsize]
    u, low, high = (lax.add(v, lax.full_like(x, 0)) for v in (u, low, high))
    upper, lower = lax.ge(low, scalar(start, dt)), lax.le(high, scalar(-start, dt))

    def tail(u: Any, low: Any, high: Any, x: Any) -> Any:
        # By symmetry all are upper ones. Elsewhere any interval will do.
        near = lax.select(upper, low, lax.select(lower, lax.neg(high), lax.full_like(x, start)))
        far = lax.select(upper, high, lax.select(lower, lax.neg(low), lax.full_like(x, start + 1)))
        wide = dtypes.float32 if dt.itemsize == 2 else dt
        out = tail_quantile(*(convert_element_type(v, wide) for v in (u, near, far)))
        out = convert_element_type(out, dt)
        return lax.select(upper, out, lax.select(lower, lax.neg(out), x))

    some = lax.reduce_or(lax.bitwise_or(upper, lower), tuple(range(len(aval_of(x).shape))))
    return cond(some, tail, lambda u, low, high, x: x, u, low, high, x)


@program("shape", "dtype", "tails")
def _truncated_normal(key: Any, lower: Any, upper: Any, shape: Any, dtype: Any, tails: bool) -> Any:
    dt = float_dtype(dtype, "truncated_normal")
    shape = result_shape("truncated_normal", shape, lower=lower, upper=upper)
    low, high = (parameter(x, dt, shape, "truncated_normal") for x in (lower, upper))
    root = scalar(float(dt.type(math.sqrt(2))), dt)
    u = shaped_floats(words_of(key, "truncated_normal"), shape, dt)
    a, b = lax.erf(lax.div(low, root)), lax.erf(lax.div(high, root))
    # The ends of the error function are infinite numbers.
    middle = lax.max(between(u, a, b), scalar(_above_minus_one(dt), dt))
    middle = lax.min(middle, scalar(-_above_minus_one(dt), dt))
    x = normal_from(middle, dt)
    if tails:
        x = _in_tail(u, low, high, x)
    # The end points do not belong to the interval; rounding may have reached them.
    inside = lax.nextafter(stop_gradient(low), scalar(math.inf, dt))
    below = lax.nextafter(stop_gradient(high), scalar(-math.inf, dt))
    return lax.min(lax.max(x, inside), below)


def truncated_normal(
    key: Any,
    lower: Any,
    upper: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Standard normal numbers conditioned on lying in (lower, upper).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    lower, upper : array_like
        Bounds, broadcast to ``shape``.
    shape : int or tuple of int, optional
        Of the result; by default that of the bounds broadcast together.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.truncated_normal(cv.random.key(0), -1.0, 1.0, (3,)), 3)
    Array([ 0.862,  0.941, -0.291], dtype=float32)
    """
    if out_sharding is not None:
        return laid_out(truncated_normal, locals())
    # Most bounds are numbers that show that no tail is reached, which saves much code.
    numbers = type(lower) in (int, float) and type(upper) in (int, float)
    tails = not numbers or lower >= _TAIL[2] or upper <= -_TAIL[2]
    return _truncated_normal(key, lower, upper, shape, dtype, tails)


@program("shape", "dtype", "out_sharding")
def lognormal(
    key: Any,
    sigma: Any = 1.0,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers whose logarithm is normal with mean 0 and standard deviation ``sigma``.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    sigma : array_like
    shape : int or tuple of int, optional
        Of the result; by default that of ``sigma``.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.lognormal(cv.random.key(0), 0.5, (3,)), 3)
    Array([2.251, 2.753, 0.805], dtype=float32)
    """
    dt = float_dtype(dtype, "lognormal")
    shape = result_shape("lognormal", shape, sigma=sigma)
    x = shaped_normal(words_of(key, "lognormal"), shape, dt)
    return lax.exp(lax.mul(x, parameter(sigma, dt, shape, "lognormal")))


def _maxwell(words: Words, shape: Shape, dtype: Any) -> Any:
    x = shaped_normal(words, (*shape, 3), dtype)
    return lax.sqrt(reduce_sum(lax.mul(x, x), (len(shape),)))


@program("shape", "dtype", "out_sharding")
def maxwell(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Lengths of normal vectors in three dimensions: density sqrt(2/π) x² exp(-x²/2).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.maxwell(cv.random.key(0), (3,)), 3)
    Array([2.631, 0.991, 0.965], dtype=float32)
    """
    dt = float_dtype(dtype, "maxwell")
    return _maxwell(words_of(key, "maxwell"), shape_argument(shape), dt)


@program("shape", "dtype")
def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers with density z² exp(-z²/2) / sqrt(2π) for z = (x - loc) / scale.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    loc, scale : array_like
        Centre and width, broadcast to ``shape``.
    shape : int or tuple of int
        Of the result; if empty, that of the parameters broadcast together.
    dtype : float dtype, optional
        By default the default float type.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.double_sided_maxwell(cv.random.key(0), 0.0, 1.0, (3,)), 3)
    Array([ 1.546,  1.574, -2.083], dtype=float32)
    """
    dt = float_dtype(dtype, "double_sided_maxwell")
    shape = shape_argument(shape) or None
    shape = result_shape("double_sided_maxwell", shape, loc=loc, scale=scale)
    first, second = split_words(words_of(key, "double_sided_maxwell"), 2)
    x = lax.mul(_maxwell(first, shape, dt), signs(second, shape, dt))
    loc, scale = (parameter(p, dt, shape, "double_sided_maxwell") for p in (loc, scale))
    return lax.add(lax.mul(x, scale), loc)


# --- exponential family of inverse transforms --------------------------------------------


def flat_exponential(words: Words, counters: Any, dtype: Any) -> Any:
    """Numbers with density exp(-x) (see `_bits.cipher` for ``counters``)."""
    return lax.neg(lax.log1p(lax.neg(unit_floats(words, counters, dtype))))


def shaped_exponential(words: Words, shape: Shape, dtype: Any) -> Any:
    return lax.reshape(flat_exponential(words, product(shape), dtype), shape)


@program("shape", "dtype", "out_sharding")
def exponential(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers with density exp(-x) for x >= 0.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.exponential(cv.random.key(0), (3,)), 3)
    Array([2.95 , 3.843, 0.404], dtype=float32)
    """
    dt = float_dtype(dtype, "exponential")
    return shaped_exponential(words_of(key, "exponential"), shape_argument(shape), dt)


def _flat_open(words: Words, n: int, dtype: Any) -> Any:
    """Floats in (0, 1): in place of 0 the middle of the numbers that round to it."""
    u = flat_between(words, n, dtype, _tiny(dtype))
    middle = float(dtypes.finfo(dtype).eps) / 2
    return lax.select(lax.eq(u, scalar(_tiny(dtype), dtype)), lax.full_like(u, middle), u)


def shaped_gumbel(words: Words, shape: Shape, dtype: Any, high: bool = False) -> Any:
    """Numbers with density exp(-x - exp(-x)); ``high`` resolves the upper tail too."""
    n = product(shape)
    if not high:
        u = _flat_open(words, n, dtype)
        return lax.reshape(lax.neg(lax.log(lax.neg(lax.log(u)))), shape)
    coarse, fine = float_pairs(words, (n,), dtype)
    # Near 0, where the tail lies, the second number supplies the bits below the first's.
    eps = scalar(float(dtypes.finfo(dtype).eps), dtype)
    small = lax.add(lax.add(coarse, lax.mul(fine, eps)), scalar(_tiny(dtype), dtype))
    # As if drawn from the middle of the cell at 0, not from its end.
    least = float(dtypes.finfo(dtype).eps) ** 2 / 2
    zero = lax.eq(small, scalar(_tiny(dtype), dtype))
    small = lax.select(zero, lax.full_like(small, least), small)
    u = lax.select(lax.ge(coarse, scalar(0.5, dtype)), coarse, small)
    return lax.reshape(lax.neg(lax.log(lax.neg(lax.log1p(lax.neg(u))))), shape)


def gumbel_mode(mode: str | None, name: str) -> bool:
    """Whether ``mode`` asks for the high resolution."""
    if mode not in (None, "low", "high", "highest"):
        raise ValueError(f"{name}: mode must be 'low' or 'high', got {mode!r}{at_user_line()}")
    return config.high_dynamic_range_gumbel if mode is None else mode != "low"


@program("shape", "dtype", "mode", "out_sharding")
def gumbel(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers with density exp(-x - exp(-x)).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    mode : {"low", "high"}, optional
        "high" draws twice as many bits and reaches further into the upper tail.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.gumbel(cv.random.key(0), (3,)), 3)
    Array([ 2.923,  3.833, -0.097], dtype=float32)
    """
    dt = float_dtype(dtype, "gumbel")
    high = gumbel_mode(mode, "gumbel")
    return shaped_gumbel(words_of(key, "gumbel"), shape_argument(shape), dt, high)


@program("shape", "dtype", "out_sharding")
def laplace(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers with density exp(-abs(x)) / 2.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.laplace(cv.random.key(0), (3,)), 3)
    Array([-2.257, -3.15 ,  0.409], dtype=float32)
    """
    dt = float_dtype(dtype, "laplace")
    shape = shape_argument(shape)
    u = flat_between(words_of(key, "laplace"), product(shape), dt, _above_minus_one(dt))
    return lax.reshape(lax.mul(lax.sign(u), lax.log1p(lax.neg(lax.abs(u)))), shape)


@program("shape", "dtype", "out_sharding")
def logistic(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers with density exp(-x) / (1 + exp(-x))².

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.logistic(cv.random.key(0), (3,)), 3)
    Array([ 2.896,  3.822, -0.698], dtype=float32)
    """
    dt = float_dtype(dtype, "logistic")
    shape = shape_argument(shape)
    u = _flat_open(words_of(key, "logistic"), product(shape), dt)
    return lax.reshape(lax.sub(lax.log(u), lax.log1p(lax.neg(u))), shape)


@program("shape", "dtype", "out_sharding")
def cauchy(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers with density 1 / (π (1 + x²)).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.cauchy(cv.random.key(0), (3,)), 3)
    Array([ 6.027, 14.838, -0.582], dtype=float32)
    """
    dt = float_dtype(dtype, "cauchy")
    shape = shape_argument(shape)
    low = float(dtypes.finfo(dt).eps)
    u = flat_between(words_of(key, "cauchy"), product(shape), dt, low)
    angle = lax.mul(lax.sub(u, scalar(0.5, dt)), scalar(float(dt.type(math.pi)), dt))
    return lax.reshape(lax.tan(angle), shape)


@program("shape", "dtype", "out_sharding")
def pareto(
    key: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers with density b / x**(b + 1) for x >= 1.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    b : array_like
        Exponent, positive.
    shape : int or tuple of int, optional
        Of the result; by default that of ``b``.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.pareto(cv.random.key(0), 2.0, (3,)), 3)
    Array([4.371, 6.833, 1.224], dtype=float32)
    """
    dt = float_dtype(dtype, "pareto")
    shape = result_shape("pareto", shape, b=b)
    e = shaped_exponential(words_of(key, "pareto"), shape, dt)
    return lax.exp(lax.div(e, parameter(b, dt, shape, "pareto")))


@program("shape", "dtype")
def weibull_min(
    key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None
) -> Any:
    """Numbers with density c x**(c-1) exp(-x**c), times ``scale``; c is the concentration.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    scale, concentration : array_like
        Positive, broadcast to ``shape``.
    shape : int or tuple of int
        Of the result; if empty, that of the parameters broadcast together.
    dtype : float dtype, optional
        By default the default float type.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.weibull_min(cv.random.key(0), 1.0, 2.0, (3,)), 3)
    Array([1.718, 1.96 , 0.636], dtype=float32)
    """
    dt = float_dtype(dtype, "weibull_min")
    shape = shape_argument(shape) or None
    shape = result_shape("weibull_min", shape, scale=scale, concentration=concentration)
    e = shaped_exponential(words_of(key, "weibull_min"), shape, dt)
    scale, c = (parameter(p, dt, shape, "weibull_min") for p in (scale, concentration))
    return lax.mul(lax.pow(e, lax.div(scalar(1.0, dt), c)), scale)


@program("shape", "dtype", "out_sharding")
def rayleigh(
    key: Any, scale: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers with density x exp(-x²/(2 s²)) / s² for x >= 0 and the scale s.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    scale : array_like
    shape : int or tuple of int, optional
        Of the result; by default that of ``scale``.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.rayleigh(cv.random.key(0), 1.0, (3,)), 3)
    Array([0.328, 0.208, 1.484], dtype=float32)
    """
    dt = float_dtype(dtype, "rayleigh")
    shape = result_shape("rayleigh", shape, scale=scale)
    u = unit_floats(words_of(key, "rayleigh"), product(shape), dt)
    # The logarithm of 0 is infinite; in its place the middle of the numbers that round to it.
    middle = lax.full_like(u, float(dtypes.finfo(dt).eps) / 2)
    u = lax.select(lax.eq(u, scalar(0.0, dt)), middle, u)
    x = lax.sqrt(lax.mul(lax.log(u), scalar(-2.0, dt)))
    return lax.mul(lax.reshape(x, shape), parameter(scale, dt, shape, "rayleigh"))


@program("shape", "dtype", "out_sharding")
def wald(
    key: Any, mean: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of the inverse Gaussian distribution of the given mean and shape parameter 1.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    mean : array_like
        Positive.
    shape : int or tuple of int, optional
        Of the result; by default that of ``mean``.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    References
    ----------
    The transformation with two roots of J. R. Michael, W. R. Schucany, R. W. Haas, "Generating
    random variates using transformations with multiple roots", The American Statistician 30 (1976).

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.wald(cv.random.key(0), 1.0, (3,)), 3)
    Array([0.381, 0.416, 0.481], dtype=float32)
    """
    dt = float_dtype(dtype, "wald")
    shape = result_shape("wald", shape, mean=mean)
    first, second = split_words(words_of(key, "wald"), 2)
    m = full_parameter(mean, dt, shape, "wald")
    v = shaped_normal(first, shape, dt)
    z = shaped_floats(second, shape, dt)
    y, m2 = lax.square(v), lax.square(m)
    one, two = scalar(1.0, dt), scalar(2.0, dt)
    root = lax.sqrt(lax.add(lax.mul(lax.mul(m, scalar(4.0, dt)), y), lax.mul(m2, lax.square(y))))
    x = lax.sub(lax.add(m, lax.div(lax.mul(m2, y), two)), lax.mul(lax.div(m, two), root))
    # The difference cancels where half of m y is large; then by the product of the two roots.
    s = lax.mul(m, lax.div(y, two))
    sum_ = lax.add(lax.add(s, one), lax.mul(lax.sqrt(s), lax.sqrt(lax.add(s, two))))
    far = lax.eq(m2, scalar(math.inf, dt))
    x = lax.select(lax.bitwise_or(far, lax.gt(s, scalar(16.0, dt))), lax.div(m, sum_), x)
    other = lax.select(far, lax.mul(m, lax.div(m, x)), lax.div(m2, x))
    return lax.select(lax.le(z, lax.div(m, lax.add(m, x))), x, other)


@program("shape", "dtype", "out_sharding")
def triangular(
    key: Any,
    left: Any,
    mode: Any,
    right: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Numbers whose density rises linearly from ``left`` to ``mode`` and falls to ``right``.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    left, mode, right : array_like
        In increasing order, broadcast to ``shape``.
    shape : int or tuple of int, optional
        Of the result; by default that of the parameters broadcast together.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.triangular(cv.random.key(0), 0.0, 0.5, 1.0, (3,)), 3)
    Array([0.838, 0.897, 0.408], dtype=float32)
    """
    dt = float_dtype(dtype, "triangular")
    shape = result_shape("triangular", shape, left=left, mode=mode, right=right)
    a, c, b = (full_parameter(p, dt, shape, "triangular") for p in (left, mode, right))
    u = shaped_floats(words_of(key, "triangular"), shape, dt)
    width = lax.sub(b, a)
    rising = lax.add(a, lax.sqrt(lax.mul(lax.mul(u, width), lax.sub(c, a))))
    rest = lax.sub(scalar(1.0, dt), u)
    falling = lax.sub(b, lax.sqrt(lax.mul(lax.mul(rest, width), lax.sub(b, c))))
    return lax.select(lax.lt(u, lax.div(lax.sub(c, a), width)), rising, falling)
