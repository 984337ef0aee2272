"""Draws from finite sets: permutations, choices, categories; and the geometric distribution."""

from __future__ import annotations

import math
import operator
from typing import Any

from covector import lax
from covector.control_flow.while_loop import fori_loop
from covector.core import dtypes
from covector.core.avals import Shape, aval_of
from covector.core.dims import as_size
from covector.core.errors import at_user_line
from covector.core.operands import as_array, canonical_axis, product, scalar
from covector.core.structural import convert_element_type
from covector.core.trace import Tracer
from covector.random._bits import Words, shaped_bits, split_words, words_of
from covector.random._checks import (
    int_dtype,
    parameter,
    result_shape,
    shape_argument,
)
from covector.random._continuous import gumbel_mode, shaped_gumbel
from covector.random._program import program
from covector.random._uniform import _randint, shaped_floats
from covector.sharding.results import laid_out


def _shuffle(words: Words, x: Any, axis: int) -> Any:
    """Sort by random keys, so often that ties among 32-bit keys leave no trace of the order."""
    size = product(aval_of(x).shape)
    # With n³ << 2**(32 rounds) few draws of the keys have a tie at all.
    rounds = math.ceil(3 * math.log(max(1, size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        words, sub = split_words(words, 2)
        order = shaped_bits(sub, aval_of(x).shape, 32)
        _, x = lax.sort_p.bind(order, x, dimension=axis, is_stable=True, num_keys=1)
    return x


def _iota(n: int) -> Any:
    return lax.iota(dtypes.default_int(), n)


def _take(x: Any, indices: Any, axis: int) -> Any:
    """``x`` at ``indices``, known to be in bounds, along ``axis``."""
    shape, n = aval_of(x).shape, len(aval_of(indices).shape)
    kept = (*range(axis), *range(axis + n, len(shape) - 1 + n))
    dims = lax.GatherDimensionNumbers(
        offset_dims=kept, collapsed_slice_dims=(axis,), start_index_map=(axis,)
    )
    sizes = tuple(min(1, s) if i == axis else s for i, s in enumerate(shape))
    return lax.gather(
        x,
        lax.expand_dims(indices, (n,)),
        dims,
        sizes,
        mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )


@program("x")
def _permutation_of(key: Any, x: int) -> Any:
    return _shuffle(words_of(key, "permutation"), _iota(x), 0)


@program("axis", "independent")
def _permuted(key: Any, x: Any, axis: int, independent: bool) -> Any:
    words = words_of(key, "permutation")
    x = as_array(x, "permutation")
    axis = canonical_axis(axis, x)
    if independent or x.ndim == 1:
        return _shuffle(words, x, axis)
    return _take(x, _shuffle(words, _iota(x.shape[axis]), 0), axis)


def _population(a: Any, name: str, argument: str) -> int | None:
    """The number that stands for ``range(number)``; None for an array."""
    if isinstance(a, Tracer) or getattr(a, "ndim", 0):
        if not aval_of(a).shape and aval_of(a).dtype in dtypes.INTEGERS:
            return as_size(a)
        if aval_of(a).shape:
            return None
    try:
        return as_size(a)
    except TypeError:
        raise TypeError(
            f"{name}: {argument} must be an integer or have at least one dimension, got {a!r:.100}"
            f"{at_user_line()}"
        ) from None


def permutation(
    key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None
) -> Any:
    """An array in random order, or the integers below a number.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    x : int or array_like
    axis : int
        Slices along it change places.
    independent : bool
        Permute each one-dimensional slice along ``axis`` on its own.
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.random.permutation(cv.random.key(0), 5)
    Array([0, 1, 4, 3, 2], dtype=int32)
    >>> cv.random.permutation(cv.random.key(1), np.array([[1, 2], [3, 4], [5, 6]]))
    Array([[5, 6],
           [1, 2],
           [3, 4]], dtype=int32)
    """
    if out_sharding is not None:
        return laid_out(permutation, locals())
    n = _population(x, "permutation", "x")
    if n is not None:
        canonical_axis(axis, 1)
        return _permutation_of(key, max(n, 0))
    return _permuted(key, x, operator.index(axis), bool(independent))


def _search(cumulative: Any, values: Any) -> Any:
    """For each value the first index where ``cumulative``, sorted, is not below it."""
    n = aval_of(cumulative).shape[0]
    shape = aval_of(values).shape
    low = lax.full(shape, 0, dtypes.int32)
    high = lax.full(shape, n, dtypes.int32)

    def halve(_: Any, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bounds
        middle = lax.shift_right_logical(lax.add(low, high), scalar(1, dtypes.int32))
        found = lax.le(values, _take(cumulative, middle, 0))
        return lax.select(found, low, middle), lax.select(found, middle, high)

    steps = max(1, math.ceil(math.log2(n + 1)))
    return convert_element_type(fori_loop(0, steps, halve, (low, high))[1], dtypes.default_int())


def _probabilities(p: Any, n: int) -> Any:
    p = as_array(p, "choice")
    if p.shape != (n,):
        raise ValueError(
            f"choice: p must have one probability for each of the {n} elements of a along axis, "
            f"got {p.aval.str_short()}{at_user_line()}"
        )
    if p.dtype not in dtypes.FLOATS:
        p = convert_element_type(p, dtypes.default_float())
    return p


def _choose_indices(key: Any, n: int, shape: Shape, replace: bool, p: Any, high: bool) -> Any:
    if p is None:
        if replace:
            return _randint(key, shape, 0, n, dtypes.default_int(), False)
        shuffled = _shuffle(words_of(key, "choice"), _iota(n), 0)
        return lax.reshape(lax.slice_in_dim(shuffled, 0, product(shape)), shape)
    words, p = words_of(key, "choice"), _probabilities(p, n)
    if replace:
        total = lax.cumsum(p)
        last = lax.squeeze(lax.slice_in_dim(total, n - 1, n), (0,))
        u = shaped_floats(words, shape, p.dtype)
        return _search(total, lax.mul(lax.sub(scalar(1.0, p.dtype), u), last))
    # The largest of log p plus Gumbel noise come out with the right probabilities: T. Vieira,
    # "Gumbel-max trick and weighted reservoir sampling" (2014).
    noisy = lax.add(shaped_gumbel(words, (n,), p.dtype, high), lax.log(p))
    return lax.reshape(
        convert_element_type(lax.top_k(noisy, product(shape))[1], dtypes.default_int()), shape
    )


@program("n", "shape", "replace", "axis", "mode")
def _choice(
    key: Any, a: Any, n: int | None, shape: Any, replace: bool, p: Any, axis: int, mode: Any
) -> Any:
    high = gumbel_mode(mode, "choice")
    shape = shape_argument(shape)
    array = None
    if n is None:
        array = as_array(a, "choice")
        axis = canonical_axis(axis, array)
        n = array.shape[axis]
        full = (*array.shape[:axis], *shape, *array.shape[axis + 1 :])
    else:
        full = shape
    draws = product(shape)
    if draws == 0 or (array is not None and product(full) == 0 and n > 0):
        return lax.full(full, 0, dtypes.default_int() if array is None else array.dtype)
    if n <= 0:
        raise ValueError(
            f"choice: a has no elements to draw {draws} from along axis {axis}{at_user_line()}"
        )
    if not replace and draws > n:
        raise ValueError(
            f"choice: {draws} draws without replacement from {n} elements; draw no more than "
            f"there are, or use replace=True{at_user_line()}"
        )
    indices = _choose_indices(key, n, shape, replace, p, high)
    return indices if array is None else _take(array, indices, axis)


def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Any:
    """Elements drawn from an array, or from the integers below a number.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    a : int or array_like
    shape : int or tuple of int
        Of the draws, which replace ``axis`` in the result.
    replace : bool
        Whether an element may be drawn more than once.
    p : array_like, optional
        Probabilities of the elements along ``axis``; equal by default.
    axis : int
    mode : {"low", "high"}, optional
        Resolution of the noise for draws with ``p`` and without replacement (see `gumbel`).

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If there is nothing to draw from, or less than is drawn without replacement.

    References
    ----------
    T. Vieira, "Gumbel-max trick and weighted reservoir sampling", 2014, for draws with ``p`` and
    without replacement.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> cv.random.choice(cv.random.key(0), 10, (3,), replace=False)
    Array([0, 1, 8], dtype=int32)
    >>> values = np.array([10, 20, 30])
    >>> cv.random.choice(cv.random.key(0), values, (4,), p=np.array([0.0, 0.5, 0.5]))
    Array([20, 20, 30, 30], dtype=int32)
    """
    n = _population(a, "choice", "a")
    array = a if n is None else None
    return _choice(key, array, n, shape, bool(replace), p, operator.index(axis), mode)


@program("axis", "shape", "replace", "mode", "out_sharding")
def categorical(
    key: Any,
    logits: Any,
    axis: int = -1,
    shape: Any = None,
    replace: bool = True,
    mode: str | None = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Indices drawn with probabilities softmax(logits) along ``axis``.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    logits : float array_like
        Unnormalised logarithms of probabilities.
    axis : int
    shape : int or tuple of int, optional
        Of the result; it ends with the shape of ``logits`` without ``axis`` (or what that
        broadcasts to), which is the default.
    replace : bool
        Whether draws along the leading axes of ``shape`` may repeat a category.
    mode : {"low", "high"}, optional
        Resolution of the noise (see `gumbel`).
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array
        Of the default integer type.

    Raises
    ------
    ValueError
        If ``logits`` are not floats or have no categories, or ``shape`` does not fit them.

    Notes
    -----
    The Gumbel-max trick: the index of the largest logit plus Gumbel noise.

    Examples
    --------
    >>> import covector as cv
    >>> import covector.numpy as np
    >>> logits = np.log(np.array([0.1, 0.9]))
    >>> cv.random.categorical(cv.random.key(0), logits, shape=(8,))
    Array([1, 1, 1, 1, 1, 0, 1, 1], dtype=int32)
    """
    words = words_of(key, "categorical")
    x = as_array(logits, "categorical")
    if x.dtype not in dtypes.FLOATS:
        raise ValueError(
            f"categorical: logits must be floats, got {x.aval.str_short()}{at_user_line()}"
        )
    high = gumbel_mode(mode, "categorical")
    axis = canonical_axis(axis, x)
    classes = x.shape[axis]
    batch = (*x.shape[:axis], *x.shape[axis + 1 :])
    if shape is None:
        shape = batch
    else:
        shape = shape_argument(shape)
        _check_batch(shape, batch, x)
    lead = shape[: len(shape) - len(batch)]
    from_end = axis - x.ndim
    if classes == 0 and product(shape):
        raise ValueError(
            f"categorical: logits {x.aval.str_short()} have no categories along axis {axis}"
            f"{at_user_line()}"
        )
    if not replace:
        return _without_replacement(words, x, axis, lead, shape, high)
    full = list(shape)
    full.insert(len(full) + 1 + from_end, classes)
    noise = shaped_gumbel(words, tuple(full), x.dtype, high)
    return lax.argmax(
        lax.add(noise, parameter(x, x.dtype, tuple(full), "categorical")),
        len(full) + from_end,
        dtypes.default_int(),
    )


def _without_replacement(
    words: Any, x: Any, axis: int, lead: tuple[int, ...], shape: tuple[int, ...], high: Any
) -> Any:
    """Different categories along the dimensions ``lead`` of the result."""
    classes, draws = x.shape[axis], product(lead)
    if draws > classes:
        raise ValueError(
            f"categorical: {draws} draws without replacement exceed the {classes} categories"
            f"{at_user_line()}"
        )
    noisy = lax.add(x, shaped_gumbel(words, x.shape, x.dtype, high))
    indices = lax.top_k(noisy, draws, axis=axis)[1]
    order = (axis, *range(axis), *range(axis + 1, x.ndim))
    return lax.reshape(lax.transpose(indices, order), shape)


def _check_batch(shape: Shape, batch: Shape, x: Any) -> None:
    tail = shape[len(shape) - len(batch) :] if len(shape) >= len(batch) else None
    if tail is None or any(b not in (1, t) for b, t in zip(batch, tail, strict=True)):
        raise ValueError(
            f"categorical: shape {shape} does not end with {batch}, the shape of the logits "
            f"{x.aval.str_short()} without the axis of the categories{at_user_line()}"
        )


@program("shape", "dtype", "out_sharding")
def geometric(
    key: Any, p: Any, shape: Any = None, dtype: Any = None, *, out_sharding: Any = None
) -> Any:
    """Numbers of trials up to the first success: k = 1, 2, … with probability (1-p)**(k-1) p.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    p : array_like
        Probability of success, in (0, 1].
    shape : int or tuple of int, optional
        Of the result; by default that of ``p``.
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
    >>> cv.random.geometric(cv.random.key(0), 0.3, (5,))
    Array([1, 1, 4, 3, 2], dtype=int32)
    """
    dt = int_dtype(dtype, "geometric")
    shape = result_shape("geometric", shape, p=p)
    fdt = aval_of(p).dtype
    if fdt not in dtypes.FLOATS:
        fdt = dtypes.default_float()
    p = parameter(p, fdt, shape, "geometric")
    u = shaped_floats(words_of(key, "geometric"), shape, fdt)
    # log 0 would be infinite; 1 stands for 0.
    u = lax.select(lax.eq(u, scalar(0.0, fdt)), lax.full(shape, 1, fdt), u)
    trials = lax.floor(lax.div(lax.log(u), lax.log1p(lax.neg(p))))
    return convert_element_type(lax.add(trials, scalar(1.0, fdt)), dt)
