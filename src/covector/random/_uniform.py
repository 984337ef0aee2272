"""Uniform numbers: floats, integers, coin flips."""

from __future__ import annotations

from typing import Any

import numpy as np

from covector import lax
from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.errors import at_user_line
from covector.core.formats import FLOAT_FORMATS
from covector.core.operands import as_array, product, scalar
from covector.core.structural import convert_element_type
from covector.random._bits import Words, bits_of, shaped_bits, split_words, words_of
from covector.random._checks import (
    float_dtype,
    int_dtype,
    parameter,
    result_shape,
    shape_argument,
)
from covector.random._program import program
from covector.sharding.results import laid_out

# dtype: (random bits per number, bits shifted out, bit pattern of 1.0)
_FLOAT_FORMATS = {
    dtypes.bfloat16: (8, np.uint16(1), np.uint16(0x3F80)),
    dtypes.float16: (16, np.uint16(6), np.uint16(0x3C00)),
    dtypes.float32: (32, np.uint32(9), np.uint32(0x3F800000)),
    dtypes.float64: (64, np.uint64(12), np.uint64(0x3FF0000000000000)),
    **{
        dt: (8, np.uint8(8 - f.mantissa), np.uint8(f.bias << f.mantissa))
        for dt, f in FLOAT_FORMATS.items() if f.kind != "scale"
    },
}  # fmt: skip


def unit_floats(words: Words, counters: Any, dtype: Any) -> Any:
    """Floats in [0, 1): random mantissas of numbers in [1, 2), less 1.

    ``counters`` is a number of elements or an array (see `_bits.cipher`).
    """
    width, shift, one = _FLOAT_FORMATS[dtype]
    bits = bits_of(words, counters, width)
    if width == 8 and dtype == dtypes.bfloat16:
        bits = convert_element_type(bits, dtypes.uint16)
    bits = lax.shift_right_logical_p.bind(bits, shift)
    if dtypes.bits_of(dtype) < 8:
        return lax.mul(convert_element_type(bits, dtype), scalar(2.0 ** (int(shift) - 8), dtype))
    bits = lax.or_p.bind(bits, one)
    x = lax.bitcast_convert_type_p.bind(bits, new_dtype=dtype)
    return lax.sub(x, scalar(1.0, dtype))


def shaped_floats(words: Words, shape: Shape, dtype: Any) -> Any:
    """Floats in [0, 1)."""
    return lax.reshape(unit_floats(words, product(shape), dtype), shape)


def float_pairs(words: Words, shape: Shape, dtype: Any) -> tuple[Any, Any]:
    """Two arrays of floats in [0, 1), the second for the bits below the precision of the first."""
    pairs = shaped_floats(words, (2, *shape), dtype)
    coarse, fine = (lax.squeeze(lax.slice_in_dim(pairs, i, i + 1), (0,)) for i in (0, 1))
    return coarse, fine


def between(u: Any, low: Any, high: Any) -> Any:
    """Numbers in [low, high) from numbers in [0, 1)."""
    span = lax.sub(high, low)
    x = lax.add(lax.mul(u, span), low)
    # The difference of finite bounds may be infinite.
    rest = lax.sub(scalar(1.0, aval_of(u).dtype), u)
    wide = lax.eq(span, scalar(float("inf"), aval_of(u).dtype))
    x = lax.select(wide, lax.add(lax.mul(u, high), lax.mul(rest, low)), x)
    # Rounding must not give a number below the lower bound.
    return lax.max(low, x)


def flat_between(words: Words, n: int, dtype: Any, low: float, high: float = 1.0) -> Any:
    """``n`` floats in [low, high), for constants exact in ``dtype``."""
    u = unit_floats(words, n, dtype)
    if low == 0.0 and high == 1.0:
        return u
    lo = dtype.type(low)
    x = lax.mul(u, scalar(float(dtype.type(high) - lo), dtype))
    lo = scalar(float(lo), dtype)
    return lax.max(x if low == 0.0 else lax.add(x, lo), lo)


@program("shape", "dtype", "out_sharding", small_floats=True)
def uniform(
    key: Any,
    shape: Any = (),
    dtype: Any = None,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    *,
    out_sharding: Any = None,
) -> Any:
    """Uniform floats in [minval, maxval).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : float dtype, optional
        By default the default float type.
    minval, maxval : array_like
        Bounds, broadcast to ``shape``. Where ``maxval <= minval`` the result is ``minval``.
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
    >>> cv.random.uniform(cv.random.key(0), (2,))
    Array([0.947667 , 0.9785799], dtype=float32)
    >>> cv.random.uniform(cv.random.key(0), (2,), minval=-1, maxval=1)
    Array([0.895334  , 0.95715976], dtype=float32)
    """
    dt = float_dtype(dtype, "uniform")
    shape = shape_argument(shape)
    u = unit_floats(words_of(key, "uniform"), product(shape), dt)
    if type(minval) is float and type(maxval) is float and minval == 0.0 and maxval == 1.0:
        return lax.reshape(u, shape)
    result_shape("uniform", shape, minval=minval, maxval=maxval)
    low = parameter(minval, dt, shape, "uniform")
    high = parameter(maxval, dt, shape, "uniform")
    if low.shape or high.shape:
        return between(lax.reshape(u, shape), low, high)
    return lax.reshape(between(u, low, high), shape)


def _bound(x: Any, dtype: Any, name: str, end: int) -> tuple[Any, Any]:
    """A bound of `randint` clamped to ``dtype`` (plus ``end``), and where it lay above it."""
    x = as_array(x, "randint")
    src, info = x.dtype, dtypes.iinfo(dtype)
    if src in dtypes.FLOATS:
        x, src = convert_element_type(x, dtypes.default_int()), dtypes.default_int()
    elif src not in dtypes.INTEGERS:
        raise TypeError(
            f"randint: {name} must be an integer, got {x.aval.str_short()}{at_user_line()}"
        )
    wide = dtypes.int32 if dtype.itemsize < 4 else dtype
    low, high = info.min, info.max + (end if wide is not dtype else 0)
    have = dtypes.iinfo(src)
    above = None
    if have.max > high:
        # A narrower dtype is drawn in 32 bits, which hold the bound just past its range.
        above = lax.gt(x, scalar(high, src)) if wide is dtype else None
        x = lax.min(x, scalar(high, src))
    if have.min < low:
        x = lax.max(x, scalar(low, src))
    return convert_element_type(x, wide), above


@program("shape", "dtype", "closed")
def _randint(key: Any, shape: Shape, minval: Any, maxval: Any, dtype: Any, closed: bool) -> Any:
    shape = result_shape("randint", shape, minval=minval, maxval=maxval)
    low, _ = _bound(minval, dtype, "minval", 0)
    high, above = _bound(maxval, dtype, "maxval", 1)
    wide = low.dtype
    words = words_of(key, "randint")
    width = wide.itemsize * 8
    unsigned = dtypes.as_dtype(f"uint{width}")
    first, second = split_words(words, 2)
    one = unsigned.type(1)
    low, high = parameter(low, wide, shape, "randint"), parameter(high, wide, shape, "randint")
    some = lax.gt(high, low)
    span = convert_element_type(lax.sub(high, low), unsigned)
    span = lax.select(some, span, lax.full(aval_of(some).shape, 1, unsigned))
    if closed or above is not None:
        # The range ends with the dtype's largest number, which is part of it.
        more = some if above is None else lax.bitwise_and(some, _fit(above, some))
        span = lax.select(more, lax.add(span, one), span)
    # The number 2**width * upper + lower, modulo span, in words of `width` bits. The span of a
    # whole dtype is 0, and the remainder then the number itself.
    half = unsigned.type(2 ** (width // 2))
    factor = lax.rem(half, span)
    factor = lax.rem(lax.mul(factor, factor), span)
    upper = lax.rem(shaped_bits(first, shape, width), span)
    lower = lax.rem(shaped_bits(second, shape, width), span)
    offset = lax.rem(lax.add(lax.mul(upper, factor), lower), span)
    out = lax.add(low, convert_element_type(offset, wide))
    return convert_element_type(out, dtype)


def _fit(x: Any, like: Any) -> Any:
    shape = aval_of(like).shape
    return parameter(x, dtypes.bool_, shape, "randint") if shape else x


def randint(
    key: Any,
    shape: Any,
    minval: Any,
    maxval: Any,
    dtype: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Uniform integers in [minval, maxval).

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int, or None for that of the bounds
    minval, maxval : integer array_like
        Bounds, broadcast to ``shape``; they are clamped to the range of ``dtype``. Where
        ``maxval <= minval`` the result is ``minval``.
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

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.randint(cv.random.key(0), (5,), 0, 10)
    Array([9, 0, 2, 3, 1], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(randint, locals())
    dt = int_dtype(dtype, "randint")
    closed = False
    if isinstance(maxval, int) and not -(2**31) <= maxval < 2**31:
        info = dtypes.iinfo(dt)
        closed = maxval > info.max
        maxval = _python_bound(maxval, dt, info)
    if isinstance(minval, int) and not -(2**31) <= minval < 2**31:
        minval = _python_bound(minval, dt, dtypes.iinfo(dt))
    return _randint(key, shape, minval, maxval, dt, closed)


def _python_bound(n: int, dtype: Any, info: Any) -> Any:
    """A Python integer of more than 32 bits, within the range of ``dtype``."""
    return dtype.type(min(max(n, int(info.min)), int(info.max)))


def coin_flips(words: Words, p: Any, shape: Shape, high: bool = False) -> Any:
    """True with probability ``p``, a float of rank 0 or of ``shape``."""
    dt = aval_of(p).dtype
    if high:
        coarse, fine = float_pairs(words, shape, dt)
        eps = scalar(float(dtypes.finfo(dt).eps), dt)
        return lax.lt(lax.mul(fine, eps), lax.sub(p, coarse))
    if aval_of(p).shape:
        return lax.lt(shaped_floats(words, shape, dt), p)
    return lax.reshape(lax.lt(unit_floats(words, product(shape), dt), p), shape)


@program("shape", "mode", "out_sharding")
def bernoulli(
    key: Any,
    p: Any = 0.5,
    shape: Any = None,
    mode: str = "low",
    *,
    out_sharding: Any = None,
) -> Any:
    """Booleans that are True with probability ``p``.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    p : float array_like
    shape : int or tuple of int, optional
        Of the result; by default that of ``p``.
    mode : {"low", "high"}
        Whether probabilities are resolved to the precision of the dtype near 1, or also below.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array of bool

    Raises
    ------
    TypeError
        If ``p`` does not hold floats.
    ValueError
        If a parameter does not broadcast to ``shape``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.bernoulli(cv.random.key(0), 0.5, (5,))
    Array([False, False,  True,  True, False], dtype=bool)
    """
    if mode not in ("low", "high"):
        raise ValueError(f"bernoulli: mode must be 'low' or 'high', got {mode!r}{at_user_line()}")
    aval = aval_of(p)
    if aval.dtype not in dtypes.FLOATS:
        raise TypeError(
            f"bernoulli: the probability p must be a float, got {aval.str_short()}{at_user_line()}"
        )
    shape = result_shape("bernoulli", shape, p=p)
    p = parameter(p, aval.dtype, shape, "bernoulli")
    return coin_flips(words_of(key, "bernoulli"), p, shape, mode == "high")


def signs(words: Words, shape: Shape, dtype: Any) -> Any:
    """-1 or 1, each with probability one half."""
    half = scalar(0.5, dtypes.default_float())
    heads = convert_element_type(coin_flips(words, half, shape), dtype)
    return lax.sub(lax.mul(heads, scalar(2, dtype)), scalar(1, dtype))


@program("shape", "dtype", "out_sharding")
def rademacher(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """-1 or 1, each with probability one half.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : dtype, optional
        By default the default integer type.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.rademacher(cv.random.key(0), (5,))
    Array([-1, -1,  1,  1, -1], dtype=int32)
    """
    dt = dtypes.default_int() if dtype is None else dtypes.check_user_dtype(dtype, "rademacher")
    if dt == dtypes.bool_ or dt in dtypes.UNSIGNED:
        raise TypeError(f"rademacher gives -1 and 1, which {dt} does not hold{at_user_line()}")
    return signs(words_of(key, "rademacher"), shape_argument(shape), dt)
