"""Random numbers without a key: `rng_uniform`, from a generator of the process."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import Shape, ShapedArray, aval_of
from covector.core.errors import at_user_line
from covector.core.operands import as_array, canonical_shape
from covector.core.structural import broadcast_in_dim, convert_element_type
from covector.core.trace import Composed
from covector.primitives.arithmetic import add, mul, sub
from covector.primitives.compare import eq
from covector.primitives.select import select
from covector.transforms.io_callback import io_callback

_lock = threading.Lock()


@functools.cache
def _generator() -> np.random.Generator:
    return np.random.default_rng()


def _fractions(shape: Shape, bits: int, dtype: Any) -> np.ndarray:
    """Multiples of ``2**-bits`` in [0, 1)."""
    with _lock:
        words = _generator().integers(0, 2**bits, shape, np.uint64)
    return np.asarray(np.ldexp(words.astype(np.float64), -bits), dtype)


def _integers(low: Any, high: Any, shape: Shape, dtype: Any) -> np.ndarray:
    """Integers in [low, high), or ``low`` if there are none."""
    first, last = int(low), int(high)
    with _lock:
        return np.asarray(_generator().integers(first, max(last, first + 1), shape, dtype))


def rng_uniform(a: Any, b: Any, shape: Any) -> Any:
    """Uniform numbers in [a, b) from a generator with a state: others at each call.

    Parameters
    ----------
    a, b : array_like
        Scalars of one dtype, floats or integers.
    shape : tuple of int
        Of the result.

    Returns
    -------
    Array
        Of the dtype of ``a`` and ``b``.

    Raises
    ------
    ValueError
        If ``a`` and ``b`` are no scalars of one dtype.
    TypeError
        If they are neither floats nor integers.

    Notes
    -----
    Numbers are drawn each time a program runs, also a compiled one. The generator is the
    process's, seeded by the system: for numbers that can be had again, use `covector.random`.

    Examples
    --------
    >>> import covector as cv
    >>> draw = cv.jit(lambda: cv.lax.rng_uniform(2.0, 3.0, (1000,)))
    >>> x, y = draw(), draw()
    >>> bool((x == y).all()), bool(((2 <= x) & (x < 3)).all())
    (False, True)
    """
    return _rng_uniform(a, b, shape=canonical_shape(shape))


def _rng_uniform(a: Any, b: Any, *, shape: Shape) -> Any:
    a, b = as_array(a, "rng_uniform"), as_array(b, "rng_uniform")
    low, high = aval_of(a), aval_of(b)
    if low.shape or high.shape or low.dtype != high.dtype:
        raise ValueError(
            "rng_uniform takes two scalars of one dtype, got "
            f"{low.str_short()} and {high.str_short()}{at_user_line()}"
        )
    dtype = low.dtype
    if dtypes.is_integer(dtype):
        draw = functools.partial(_integers, shape=shape, dtype=dtype)
        return io_callback(_named(draw), ShapedArray(shape, dtype), a, b)
    if not dtypes.is_float(dtype):
        raise TypeError(f"rng_uniform takes floats or integers, got {dtype}{at_user_line()}")
    # As many bits as every number of the dtype below 1 has.
    wide = dtypes.float64 if dtype == dtypes.float64 else dtypes.float32
    draw = functools.partial(_fractions, shape, dtypes.finfo(dtype).nmant + 1, wide)
    u = convert_element_type(io_callback(_named(draw), ShapedArray(shape, wide)), dtype)
    low_s, high_s = (broadcast_in_dim(convert_element_type(x, dtype), shape, ()) for x in (a, b))
    x = add(low_s, mul(u, sub(high_s, low_s)))
    return select(eq(x, high_s), low_s, x)  # where a sum was rounded up


def _named(fun: Any) -> Any:
    fun.__name__ = "rng_uniform"
    return fun


rng_uniform_p = Composed("rng_uniform", _rng_uniform)
