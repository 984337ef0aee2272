"""Random counts: Poisson, binomial and multinomial distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from covector import lax
from covector.control_flow.cond import cond
from covector.control_flow.scan import scan
from covector.control_flow.while_loop import while_loop
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_array, product, scalar
from covector.core.structural import convert_element_type, moveaxis
from covector.random._bits import Words, cipher, split_words, words_of
from covector.random._checks import (
    float_dtype,
    full_parameter,
    int_dtype,
    result_shape,
    shape_argument,
)
from covector.random._discrete import _take
from covector.random._program import program
from covector.random._uniform import shaped_floats
from covector.sharding.results import typeless

# log k! less the leading terms of Stirling's series at k + 1, for k = 0 … 9.
_STIRLING_TAIL = np.array(
    [
        math.lgamma(k + 1) - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
        for k in range(10)
    ]
)


def _any(x: Any) -> Any:
    return lax.reduce_or(x, tuple(range(len(aval_of(x).shape))))


def _numbers(words: Words, like: Any) -> Any:
    return shaped_floats(words, aval_of(like).shape, aval_of(like).dtype)


class _Constants:
    """Scalars of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def __call__(self, value: float) -> Any:
        return scalar(float(self.dtype.type(value)), self.dtype)


# --- Poisson -----------------------------------------------------------------------------


@typeless
def _poisson_products(words: Words, rate: Any, dtype: Any) -> Any:
    """Uniform numbers multiplied until the product is below exp(-rate).

    D. E. Knuth, "The Art of Computer Programming", volume 2, 3.4.1.
    """
    shape = aval_of(rate).shape
    bound = lax.neg(rate)
    one = scalar(1, dtype)

    def more(state: Any) -> Any:
        return _any(lax.gt(state[3], bound))

    def step(state: Any) -> Any:
        rest, this = split_words((state[0], state[1]), 2)
        _, _, count, total = state
        count = lax.select(lax.gt(total, bound), lax.add(count, one), count)
        return (*rest, count, lax.add(total, lax.log(_numbers(this, rate))))

    start = (*words, lax.full(shape, 0, dtype), lax.full(shape, 0, aval_of(rate).dtype))
    return lax.sub(while_loop(more, step, start)[2], one)


@typeless
def _poisson_rejection(words: Words, rate: Any, dtype: Any) -> Any:
    """The transformed rejection method PTRS for rates of at least 10.

    W. Hörmann, "The transformed rejection method for generating Poisson random variables",
    Insurance: Mathematics and Economics 12 (1993).
    """
    shape = aval_of(rate).shape
    c = _Constants(aval_of(rate).dtype)
    log_rate = lax.log(rate)
    b = lax.add(lax.mul(lax.sqrt(rate), c(2.53)), c(0.931))
    a = lax.add(lax.mul(b, c(0.02483)), c(-0.059))
    inverse_alpha = lax.add(lax.div(c(1.1328), lax.sub(b, c(3.4))), c(1.1239))
    v_r = lax.sub(c(0.9277), lax.div(c(3.6224), lax.sub(b, c(2.0))))

    def more(state: Any) -> Any:
        return _any(lax.bitwise_not(state[3]))

    def step(state: Any) -> Any:
        _, _, out, done = state
        rest, u_words, v_words = split_words((state[0], state[1]), 3)
        u = lax.sub(_numbers(u_words, rate), c(0.5))
        v = _numbers(v_words, rate)
        us = lax.sub(c(0.5), lax.abs(u))
        k = lax.mul(lax.add(lax.div(lax.mul(a, c(2.0)), us), b), u)
        k = lax.floor(lax.add(lax.add(k, rate), c(0.43)))
        s = lax.log(lax.div(lax.mul(v, inverse_alpha), lax.add(lax.div(a, lax.mul(us, us)), b)))
        bound = lax.sub(
            lax.add(lax.neg(rate), lax.mul(k, log_rate)), lax.lgamma(lax.add(k, c(1.0)))
        )
        inside = lax.bitwise_and(lax.ge(us, c(0.07)), lax.le(v, v_r))
        outside = lax.bitwise_or(
            lax.lt(k, c(0.0)), lax.bitwise_and(lax.lt(us, c(0.013)), lax.gt(v, us))
        )
        accept = lax.bitwise_or(inside, lax.bitwise_and(lax.bitwise_not(outside), lax.le(s, bound)))
        return (*rest, lax.select(accept, k, out), lax.bitwise_or(done, accept))

    start = (*words, lax.full(shape, -1, c.dtype), lax.full(shape, False, dtypes.bool_))
    return convert_element_type(while_loop(more, step, start)[2], dtype)


@program("shape", "dtype", "out_sharding")
def poisson(
    key: Any, lam: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Counts k with probability lam**k exp(-lam) / k!.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    lam : array_like
        Rate, not negative.
    shape : int or tuple of int, optional
        Of the result; by default that of ``lam``.
    dtype : integer dtype, optional
        By default the default integer type.
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
    D. E. Knuth, "The Art of Computer Programming", volume 2, 3.4.1, for rates below 10.

    W. Hörmann, "The transformed rejection method for generating Poisson random variables",
    Insurance: Mathematics and Economics 12 (1993), for the others.

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.poisson(cv.random.key(0), 3.0, (5,))
    Array([0, 0, 4, 4, 1], dtype=int32)
    """
    dt = int_dtype(dtype, "poisson")
    shape = result_shape("poisson", shape, lam=lam)
    words = words_of(key, "poisson")
    rate = full_parameter(lam, dtypes.float32, shape, "poisson")
    if not product(shape):
        return lax.full(shape, 0, dt)
    c = _Constants(dtypes.float32)
    small = lax.bitwise_or(lax.ne(rate, rate), lax.lt(rate, c(10.0)))
    few = _poisson_products(words, lax.select(small, rate, lax.full_like(rate, 0)), dt)
    zero = lax.full_like(few, 0)
    many = cond(
        _any(lax.bitwise_not(small)),
        lambda rate: _poisson_rejection(words, rate, dt),
        lambda rate: zero,
        lax.select(small, lax.full_like(rate, 1e5), rate),
    )
    return lax.select(lax.eq(rate, c(0.0)), zero, lax.select(small, few, many))


# --- binomial ----------------------------------------------------------------------------


@typeless
def _binomial_waiting(words: Words, n: Any, q: Any) -> Any:
    """Successes counted by waiting times, geometric numbers added until they exceed ``n``.

    L. Devroye, "Non-Uniform Random Variate Generation" (1986), X.4.3.
    """
    shape = aval_of(n).shape
    c = _Constants(aval_of(n).dtype)
    log_miss = lax.log1p(lax.neg(q))

    def more(state: Any) -> Any:
        return _any(lax.le(state[3], n))

    def step(state: Any) -> Any:
        this, rest = split_words((state[0], state[1]), 2)
        _, _, count, total = state
        count = lax.select(lax.le(total, n), lax.add(count, c(1.0)), count)
        wait = lax.ceil(lax.div(lax.log(_numbers(this, n)), log_miss))
        return (*rest, count, lax.add(total, wait))

    zero = lax.full(shape, 0, c.dtype)
    return lax.sub(while_loop(more, step, (*words, zero, zero))[2], c(1.0))


def _stirling_tail(k: Any) -> Any:
    c = _Constants(aval_of(k).dtype)
    m = lax.add(k, c(1.0))
    m2 = lax.mul(m, m)
    series = lax.div(c(1 / 1260), m2)
    series = lax.div(lax.sub(c(1 / 360), series), m2)
    series = lax.div(lax.sub(c(1 / 12), series), m)
    index = convert_element_type(lax.clamp(c(0.0), k, c(9.0)), dtypes.int32)
    table = as_array(_STIRLING_TAIL.astype(c.dtype))
    return lax.select(lax.le(k, c(9.0)), _take(table, index, 0), series)


@typeless
def _binomial_rejection(words: Words, n: Any, p: Any) -> Any:
    """The transformed rejection method BTRS for n p >= 10, p <= 1/2.

    W. Hörmann, "The generation of binomial random variates", Journal of Statistical Computation
    and Simulation 46 (1993).
    """
    shape = aval_of(n).shape
    c = _Constants(aval_of(n).dtype)
    one = c(1.0)
    miss = lax.sub(one, p)
    spread = lax.sqrt(lax.mul(lax.mul(n, p), miss))
    b = lax.add(lax.mul(spread, c(2.53)), c(1.15))
    a = lax.add(lax.add(lax.mul(b, c(0.0248)), c(-0.0873)), lax.mul(p, c(0.01)))
    center = lax.add(lax.mul(n, p), c(0.5))
    v_r = lax.sub(c(0.92), lax.div(c(4.2), b))
    r = lax.div(p, miss)
    alpha = lax.mul(lax.add(lax.div(c(5.1), b), c(2.83)), spread)
    m = lax.floor(lax.mul(lax.add(n, one), p))
    above = lax.add(lax.sub(n, m), one)
    at_mode = lax.mul(lax.add(m, c(0.5)), lax.log(lax.div(lax.add(m, one), lax.mul(r, above))))
    tails = lax.add(_stirling_tail(m), _stirling_tail(lax.sub(n, m)))

    def more(state: Any) -> Any:
        return _any(lax.bitwise_not(state[3]))

    def step(state: Any) -> Any:
        _, _, out, done = state
        rest, u_words, v_words = split_words((state[0], state[1]), 3)
        u = lax.sub(_numbers(u_words, n), c(0.5))
        v = _numbers(v_words, n)
        us = lax.sub(c(0.5), lax.abs(u))
        k = lax.mul(lax.add(lax.div(lax.mul(a, c(2.0)), us), b), u)
        k = lax.floor(lax.add(k, center))
        left = lax.add(lax.sub(n, k), one)
        s = lax.log(lax.div(lax.mul(v, alpha), lax.add(lax.div(a, lax.mul(us, us)), b)))
        bound = lax.add(at_mode, lax.mul(lax.add(n, one), lax.log(lax.div(above, left))))
        ratio = lax.div(lax.mul(r, left), lax.add(k, one))
        bound = lax.add(bound, lax.mul(lax.add(k, c(0.5)), lax.log(ratio)))
        bound = lax.add(bound, tails)
        bound = lax.sub(lax.sub(bound, _stirling_tail(k)), _stirling_tail(lax.sub(n, k)))
        inside = lax.bitwise_and(lax.ge(us, c(0.07)), lax.le(v, v_r))
        outside = lax.bitwise_or(lax.lt(k, c(0.0)), lax.gt(k, n))
        accept = lax.bitwise_or(inside, lax.bitwise_and(lax.bitwise_not(outside), lax.le(s, bound)))
        return (*rest, lax.select(accept, k, out), lax.bitwise_or(done, accept))

    start = (*words, lax.full(shape, -1, c.dtype), lax.full(shape, False, dtypes.bool_))
    return while_loop(more, step, start)[2]


def _binomial(words: Words, n: Any, p: Any) -> Any:
    """Counts as floats, for ``n`` and ``p`` of one shape and dtype."""
    shape = aval_of(n).shape
    c = _Constants(aval_of(n).dtype)

    def full(value: float) -> Any:
        return lax.full(shape, value, c.dtype)

    rare = lax.lt(p, c(0.5))
    q = lax.select(rare, p, lax.sub(c(1.0), p))
    bad_n = lax.bitwise_or(lax.ne(n, n), lax.lt(n, c(0.0)))
    infinite = lax.eq(lax.abs(n), c(math.inf))
    q_nan, q_negative = lax.ne(q, q), lax.lt(q, c(0.0))
    bad_q = lax.bitwise_or(q_nan, q_negative)
    q = lax.select(bad_q, full(0.01), q)
    few = lax.bitwise_or(bad_n, lax.le(lax.mul(n, q), c(10.0)))
    n = lax.floor(n)
    waiting = _binomial_waiting(words, lax.select(few, n, full(0.0)), q)
    rejection = cond(
        _any(lax.bitwise_not(few)),
        lambda n, q: _binomial_rejection(words, n, q),
        lambda n, q: n,
        lax.select(few, full(1e4), n),
        lax.select(few, full(0.5), q),
    )
    k = lax.select(few, waiting, rejection)
    bad = lax.bitwise_or(bad_q, bad_n)
    k = lax.select(bad, full(math.nan), k)
    k = lax.select(lax.bitwise_and(infinite, lax.bitwise_not(bad)), full(math.inf), k)
    keep = lax.bitwise_or(lax.bitwise_or(rare, bad_n), lax.bitwise_or(q_nan, infinite))
    return lax.select(keep, k, lax.sub(n, k))


def _common_float(n: Any, p: Any) -> Any:
    """The float dtype of the parameters, in which the counts are drawn."""
    avals = [aval_of(x) for x in (n, p)]
    dt, _ = dtypes.promote(tuple([(a.dtype, a.weak_type) for a in avals]))
    return dt if dt in dtypes.FLOATS else dtypes.default_float()


@program("shape", "dtype")
def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of successes among ``n`` independent trials of probability ``p``, as floats.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    n, p : array_like
        NaN or out of range gives NaN.
    shape : int or tuple of int, optional
        Of the result; by default that of the parameters broadcast together.
    dtype : float dtype, optional
        By default the default float type.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If a parameter does not broadcast to ``shape``.

    References
    ----------
    L. Devroye, "Non-Uniform Random Variate Generation", Springer 1986, X.4.3.

    W. Hörmann, "The generation of binomial random variates", Journal of Statistical Computation and
    Simulation 46 (1993).

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.binomial(cv.random.key(0), 10, 0.5, (5,))
    Array([6., 7., 5., 6., 7.], dtype=float32)
    """
    dt = float_dtype(dtype, "binomial")
    shape = result_shape("binomial", shape, n=n, p=p)
    words = words_of(key, "binomial")
    work = _common_float(n, p)
    n, p = (full_parameter(x, work, shape, "binomial") for x in (n, p))
    return convert_element_type(_binomial(words, n, p) if product(shape) else n, dt)


@program("shape", "dtype", "unroll")
def multinomial(
    key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1
) -> Any:
    """Counts of ``n`` independent draws in each of several categories, as floats.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    n : array_like
        Numbers of draws.
    p : array_like
        Probabilities along the last axis; they need not sum to one.
    shape : int or tuple of int, optional
        Of the result, the last axis included.
    dtype : float dtype, optional
        By default the default float type.
    unroll : int or bool
        Categories handled per step of the loop.

    Returns
    -------
    Array
        Sums along the last axis are ``n``.

    Raises
    ------
    ValueError
        If ``p`` has no dimension, or ``shape`` does not end with the number of categories.

    Notes
    -----
    One binomial number after another, of the draws that are left and the probability among the
    categories that are left.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.random.multinomial(cv.random.key(0), 10, np.array([0.2, 0.3, 0.5]))
    Array([1., 1., 8.], dtype=float32)
    """
    dt = float_dtype(dtype, "multinomial")
    words = words_of(key, "multinomial")
    work = _common_float(n, p)
    p = convert_element_type(as_array(p, "multinomial"), work)
    if not p.ndim:
        raise ValueError(
            f"multinomial: p must have at least one dimension, of the categories{at_user_line()}"
        )
    k = p.shape[-1]
    if shape is None:
        batch = lax.broadcast_shapes(aval_of(n).shape, p.shape[:-1])
    else:
        batch = shape_argument(shape)
        if batch[-1:] != (k,):
            raise ValueError(
                f"multinomial: shape {batch} must end with the number of categories, {k}, of p "
                f"of shape {p.shape}{at_user_line()}"
            )
        batch = result_shape("multinomial", batch[:-1], n=n)
    p = full_parameter(p, work, result_shape("multinomial", (*batch, k), p=p), "multinomial")
    n = full_parameter(n, work, batch, "multinomial")
    p = moveaxis(p, len(batch), 0)
    if k == 0 or not product(batch):
        return lax.full((*batch, k), 0, dt)
    left = lax.cumsum(p, 0, reverse=True)
    one = lax.full_like(left, 1)
    ratios = lax.div(p, lax.select(lax.eq(left, scalar(0.0, work)), one, left))
    c = _Constants(work)

    def draw(n: Any, xs: Any) -> Any:
        first, second, ratio = xs
        # Rounding may have taken a ratio past 1.
        ratio = lax.min(lax.max(ratio, c(0.0)), c(1.0))
        count = _binomial((first, second), n, ratio)
        return lax.sub(n, count), count

    xs = (*cipher(words, k), ratios)
    _, counts = scan(draw, n, xs, unroll=unroll)
    return convert_element_type(moveaxis(counts, 0, len(batch)), dt)
