"""The gamma distribution and those made from it."""

from __future__ import annotations

from typing import Any

from covector import lax
from covector.control_flow.custom_jvp import custom_jvp, stop_gradient
from covector.control_flow.map import map as lax_map
from covector.control_flow.while_loop import while_loop
from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.errors import at_user_line
from covector.core.operands import product, scalar
from covector.core.structural import reduce_sum
from covector.core.trace import Composed
from covector.random._bits import Words, cipher, split_words, words_of
from covector.random._checks import (
    float_dtype,
    full_parameter,
    parameter,
    result_shape,
    shape_argument,
)
from covector.random._continuous import (
    flat_exponential,
    flat_normal,
    shaped_exponential,
    shaped_normal,
)
from covector.random._program import program
from covector.random._uniform import signs, unit_floats
from covector.sharding.results import typeless

# Elements sampled together: enough for vector code, and few enough that none waits long for
# the last one of its block to be accepted.
_BLOCK = 64
_FIRST = 0  # counter of the single number drawn from a key


def _number(words: Words, dtype: Any) -> Any:
    return unit_floats(words, dtypes.uint32.type(_FIRST), dtype)


def _sample(words: Words, alpha: Any, log_space: bool) -> Any:
    """One gamma variate, or its logarithm.

    Rejection from a cubed normal: G. Marsaglia, W. W. Tsang, "A simple method for generating
    gamma variables", ACM TOMS 26 (2000). For alpha < 1 a variate for alpha + 1 is multiplied by
    a power of a uniform number (their section 6).
    """
    dt = aval_of(alpha).dtype

    def c(value: float) -> Any:
        return scalar(float(dt.type(value)), dt)

    one = c(1.0)
    large = lax.ge(alpha, one)
    boosted = lax.select(large, alpha, lax.add(alpha, one))
    d = lax.sub(boosted, c(1 / 3))
    slope = lax.div(c(1 / 3), lax.sqrt(d))
    words, boost_words = split_words(words, 2)

    def rejected(x: Any, v: Any, u: Any) -> Any:
        quick = lax.sub(one, lax.mul(lax.mul(x, x), c(0.0331)))
        slow = lax.add(lax.mul(x, c(0.5)), lax.mul(d, lax.add(lax.sub(one, v), lax.log(v))))
        return lax.bitwise_and(lax.ge(u, quick), lax.ge(lax.log(u), slow))

    def again(state: Any) -> Any:
        _, _, x, v, u = state
        return rejected(x, v, u)

    def draw(state: Any) -> Any:
        (a, b), normal_words, uniform_words = split_words((state[0], state[1]), 3)

        def next_normal(state: Any) -> Any:
            rest, this = split_words((state[0], state[1]), 2)
            x = flat_normal(this, dtypes.uint32.type(_FIRST), dt)
            return (*rest, x, lax.add(lax.mul(x, slope), one))

        zero, minus = lax.full((), 0, dt), lax.full((), -1, dt)
        _, _, x, v = while_loop(
            lambda s: lax.le(s[3], c(0.0)), next_normal, (*normal_words, zero, minus)
        )
        return a, b, lax.mul(x, x), lax.mul(lax.mul(v, v), v), _number(uniform_words, dt)

    start = (*words, lax.full((), 0, dt), lax.full((), 1, dt), lax.full((), 2, dt))
    _, _, _, v, _ = while_loop(again, draw, start)
    power = lax.div(one, alpha)
    if log_space:
        e = lax.neg(flat_exponential(boost_words, dtypes.uint32.type(_FIRST), dt))
        plain = lax.bitwise_or(large, lax.eq(e, c(0.0)))
        boost = lax.select(plain, lax.full((), 0, dt), lax.mul(e, power))
        return lax.add(lax.add(lax.log(d), lax.log(v)), boost)
    u = lax.sub(one, _number(boost_words, dt))
    boost = lax.select(large, lax.full((), 1, dt), lax.pow(u, power))
    return lax.mul(lax.mul(d, v), boost)


def _draw(first: Any, second: Any, alpha: Any, log_space: bool) -> Any:
    """A variate for each pair of words and each shape parameter (one-dimensional arrays)."""
    n = aval_of(alpha).shape[0]
    block = min(n, _BLOCK) if type(n) is int else _BLOCK
    xs = [first, second, alpha]
    if n % block != 0:
        # Whole blocks only: a remainder would be compiled as a second program.
        width = ((0, -n % block, 0),)
        xs = [lax.pad(x, scalar(1, aval_of(x).dtype), width) for x in xs]
    out = lax_map(lambda x: _sample((x[0], x[1]), x[2], log_space), xs, batch_size=block)
    return lax.slice_in_dim(out, 0, n) if n % block != 0 else out


def _log_slope(alpha: Any, log_x: Any) -> Any:
    """Derivative of the logarithm of a variate with respect to alpha, its quantile held."""
    dt = aval_of(alpha).dtype
    tiny = scalar(float(dtypes.finfo(dt).tiny), dt)
    x = lax.max(lax.exp(log_x), tiny)
    # Where the variate itself underflows the first term of the series is all of it.
    first = lax.div(lax.sub(lax.digamma(lax.add(alpha, scalar(1.0, dt))), log_x), alpha)
    return lax.select(lax.gt(x, tiny), lax.div(lax.random_gamma_grad(alpha, x), x), first)


def _differentiable(log_space: bool) -> Any:
    def draw(first: Any, second: Any, alpha: Any) -> Any:
        return _draw(first, second, alpha, log_space)

    def rule(primals: Any, tangents: Any) -> Any:
        first, second, alpha = primals
        out = variates(first, second, alpha)
        x, a = stop_gradient(out), stop_gradient(alpha)
        slope = _log_slope(a, x) if log_space else lax.random_gamma_grad(a, x)
        return out, lax.mul(tangents[2], slope)

    variates = custom_jvp(draw)
    variates.defjvp(rule)
    return variates


_variates = {False: _differentiable(False), True: _differentiable(True)}


@typeless
def shaped_gamma(words: Words, alpha: Any, shape: Shape, log_space: bool) -> Any:
    """Gamma variates of ``shape`` (or their logarithms) for shape parameters ``alpha``."""
    n = product(shape)
    dt = aval_of(alpha).dtype
    if n == 0:
        return lax.full(shape, 0, dt)
    alpha = lax.reshape(full_parameter(alpha, dt, shape, "gamma"), (n,))
    return lax.reshape(_variates[log_space](*cipher(words, n), alpha), shape)


@program("shape", "dtype", "out_sharding")
def gamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers with density x**(a-1) exp(-x) / Γ(a).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    a : array_like
        Shape parameter, positive. The result is differentiable in it, by implicit
        reparameterisation.
    shape : int or tuple of int, optional
        Of the result; by default that of ``a``.
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

    See Also
    --------
    loggamma : more accurate for small ``a``

    References
    ----------
    G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000).

    M. Figurnov, S. Mohamed, A. Mnih, "Implicit reparameterization gradients", NeurIPS 2018.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.gamma(cv.random.key(0), 2.0, (3,)), 3)
    Array([1.59 , 1.76 , 1.129], dtype=float32)
    """
    dt = float_dtype(dtype, "gamma")
    shape = result_shape("gamma", shape, a=a)
    return shaped_gamma(words_of(key, "gamma"), parameter(a, dt, shape, "gamma"), shape, False)


@program("shape", "dtype", "out_sharding")
def loggamma(
    key: Any, a: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Logarithms of gamma-distributed numbers, without underflow for small ``a`` (see `gamma`).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    a : array_like
        Shape parameter, positive.
    shape : int or tuple of int, optional
        Of the result; by default that of ``a``.
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
    >>> np.round(cv.random.loggamma(cv.random.key(0), 1e-3, (3,)), 0)
    Array([ -111.,   -96., -1370.], dtype=float32)
    """
    dt = float_dtype(dtype, "loggamma")
    shape = result_shape("loggamma", shape, a=a)
    return shaped_gamma(words_of(key, "loggamma"), parameter(a, dt, shape, "loggamma"), shape, True)


@program("shape", "dtype", "out_sharding")
def beta(
    key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers with density proportional to x**(a-1) (1-x)**(b-1) on [0, 1].

    X / (X + Y) of two gamma variates, from their logarithms.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    a, b : array_like
        Positive, broadcast to ``shape``. The result is differentiable in them.
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
    >>> np.round(cv.random.beta(cv.random.key(0), 2.0, 2.0, (3,)), 3)
    Array([0.285, 0.711, 0.818], dtype=float32)
    """
    dt = float_dtype(dtype, "beta")
    shape = result_shape("beta", shape, a=a, b=b)
    first, second = split_words(words_of(key, "beta"), 2)
    x = shaped_gamma(first, parameter(a, dt, shape, "beta"), shape, True)
    y = shaped_gamma(second, parameter(b, dt, shape, "beta"), shape, True)
    top = lax.max(x, y)
    x, y = lax.exp(lax.sub(x, top)), lax.exp(lax.sub(y, top))
    return lax.div(x, lax.add(x, y))


@program("shape", "dtype", "out_sharding")
def dirichlet(
    key: Any, alpha: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Points of the simplex with density proportional to the product of x_i**(alpha_i - 1).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    alpha : array_like
        Concentrations along the last axis.
    shape : int or tuple of int, optional
        Of the batch: the result has the last axis of ``alpha`` besides.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Not negative, with sums of 1 along the last axis.

    Raises
    ------
    ValueError
        If ``alpha`` has no dimension, or does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.dirichlet(cv.random.key(0), np.ones(3)), 3)
    Array([0.365, 0.428, 0.207], dtype=float32)
    """
    dt = float_dtype(dtype, "dirichlet")
    ashape = aval_of(alpha).shape
    if not ashape:
        raise ValueError(f"dirichlet: alpha must have at least one dimension{at_user_line()}")
    batch = ashape[:-1] if shape is None else shape_argument(shape)
    full = result_shape("dirichlet", (*batch, ashape[-1]), alpha=alpha)
    x = shaped_gamma(
        words_of(key, "dirichlet"), parameter(alpha, dt, full, "dirichlet"), full, True
    )
    last = len(full) - 1
    top = stop_gradient(lax.expand_dims(lax.reduce_max(x, (last,)), (last,)))
    x = lax.exp(lax.sub(x, top))
    return lax.div(x, lax.expand_dims(reduce_sum(x, (last,)), (last,)))


def _chisquare(words: Words, df: Any, shape: Shape) -> Any:
    two = scalar(2.0, aval_of(df).dtype)
    return lax.mul(lax.exp(shaped_gamma(words, lax.div(df, two), shape, True)), two)


@program("shape", "dtype", "out_sharding")
def chisquare(
    key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Sums of squares of ``df`` standard normal numbers.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    df : array_like
        Degrees of freedom, positive; need not be whole.
    shape : int or tuple of int, optional
        Of the result; by default that of ``df``.
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
    >>> np.round(cv.random.chisquare(cv.random.key(0), 2.0, (3,)), 3)
    Array([1.237, 1.453, 0.702], dtype=float32)
    """
    dt = float_dtype(dtype, "chisquare")
    shape = result_shape("chisquare", shape, df=df)
    return _chisquare(words_of(key, "chisquare"), parameter(df, dt, shape, "chisquare"), shape)


@program("shape", "dtype", "out_sharding")
def f(
    key: Any,
    dfnum: Any,
    dfden: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Ratios of two chi-square numbers, each divided by its degrees of freedom (F distribution).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    dfnum, dfden : array_like
        Degrees of freedom of numerator and denominator, positive.
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
    >>> np.round(cv.random.f(cv.random.key(0), 3.0, 4.0, (3,)), 3)
    Array([2.704, 0.226, 0.158], dtype=float32)
    """
    dt = float_dtype(dtype, "f")
    shape = result_shape("f", shape, dfnum=dfnum, dfden=dfden)
    num, den = (parameter(p, dt, shape, "f") for p in (dfnum, dfden))
    den_words, num_words = split_words(words_of(key, "f"), 2)
    x = lax.div(_chisquare(num_words, num, shape), num)
    return lax.div(x, lax.div(_chisquare(den_words, den, shape), den))


@program("shape", "dtype", "out_sharding")
def t(key: Any, df: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Numbers of Student's t distribution with ``df`` degrees of freedom.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    df : array_like
        Positive; need not be whole.
    shape : int or tuple of int, optional
        Of the result; by default that of ``df``.
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
    >>> np.round(cv.random.t(cv.random.key(0), 3.0, (3,)), 3)
    Array([ 0.69 , -3.239, -1.675], dtype=float32)
    """
    dt = float_dtype(dtype, "t")
    shape = result_shape("t", shape, df=df)
    first, second = split_words(words_of(key, "t"), 2)
    half = lax.div(parameter(df, dt, shape, "t"), scalar(2.0, dt))
    x = shaped_normal(first, shape, dt)
    return lax.mul(x, lax.sqrt(lax.div(half, shaped_gamma(second, half, shape, False))))


def _generalized_normal(words: Words, p: Any, shape: Shape, dtype: Any) -> Any:
    inverse = lax.div(scalar(1.0, dtype), p)
    first, second = split_words(words, 2)
    size = lax.pow(shaped_gamma(first, inverse, shape, False), inverse)
    return lax.mul(signs(second, shape, dtype), size)


@program("shape", "dtype", "out_sharding")
def generalized_normal(
    key: Any, p: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers with density proportional to exp(-abs(x)**p).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    p : array_like
        Positive, broadcast to ``shape``.
    shape : int or tuple of int, or None for that of ``p``
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
    >>> np.round(cv.random.generalized_normal(cv.random.key(0), 2.0, (3,)), 3)
    Array([ 0.954,  0.09 , -1.153], dtype=float32)
    """
    dt = float_dtype(dtype, "generalized_normal")
    shape = result_shape("generalized_normal", shape, p=p)
    words = words_of(key, "generalized_normal")
    return _generalized_normal(words, parameter(p, dt, shape, "generalized_normal"), shape, dt)


@program("d", "shape", "dtype", "out_sharding")
def ball(
    key: Any,
    d: int,
    p: Any = 2,
    shape: Any = (),
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Uniform points of the unit ball of the p-norm in ``d`` dimensions.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    d : int
    p : float
    shape : int or tuple of int
        Of the batch.
    dtype : float dtype, optional
        By default the default float type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the shape ``shape`` followed by ``d``.

    References
    ----------
    F. Barthe, O. Guédon, S. Mendelson, A. Naor, "A probabilistic approach to the geometry of the
    l_p^n-ball", Annals of Probability 33 (2005), theorem 1.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> np.round(cv.random.ball(cv.random.key(0), 3), 3)
    Array([0.917, 0.393, 0.012], dtype=float32)
    """
    dt = float_dtype(dtype, "ball")
    shape = shape_argument(shape)
    d = shape_argument((d,))[0]
    p = parameter(p, dt, (), "ball")
    first, second = split_words(words_of(key, "ball"), 2)
    g = _generalized_normal(first, p, (*shape, d), dt)
    e = shaped_exponential(second, shape, dt)
    total = lax.add(reduce_sum(lax.pow(lax.abs(g), p), (len(shape),)), e)
    norm = lax.pow(total, lax.div(scalar(1.0, dt), p))
    return lax.div(g, lax.broadcast_in_dim(norm, (*shape, d), tuple(range(len(shape)))))


def _random_gamma(key: Any, a: Any, *, log_space: bool = False, **params: Any) -> Any:
    return (loggamma if log_space else gamma)(key, a)


random_gamma_p = Composed("random_gamma", _random_gamma)
