"""PRNG keys: making, splitting and wrapping them.

A key is two 32-bit words, the key of the block cipher Threefry-2x32 [1]_. A *typed* key is an
opaque element of dtype ``key<fry>``; a *raw* key is an array of dtype ``uint32`` whose last axis
holds the words. New keys are cipher texts of counters under the old key.

References
----------
.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
   1, 2, 3", SC '11, doi:10.1145/2063384.2063405.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from covector import _native, lax
from covector.core import dtypes
from covector.core.avals import Array, aval_of, settled
from covector.core.config import current
from covector.core.errors import at_user_line, describe
from covector.core.operands import as_array, canonical_shape, product
from covector.core.structural import convert_element_type, scalar
from covector.core.trace import Tracer
from covector.random._bits import Words, cipher, stack_words, words_of
from covector.random._program import program

_IMPL = dtypes.key_dtype.impl
_KEY = dtypes.key_dtype
_KEY_CODE = dtypes.code_of[_KEY]
_UINT32_CODE = dtypes.code_of[dtypes.uint32]


def _made(keys: Any) -> Any:
    """Keys that may be used, whether or not those of the same words were."""
    from covector.random import _reuse  # few processes need it

    return _reuse.made(keys)


def _keys_of(words: Any) -> Any:
    """Keys made of pairs of words, along the last axis."""
    return lax.bitcast_convert_type_p.bind(words, new_dtype=_KEY)


def _check_impl(impl: Any) -> None:
    if impl is not None and impl is not _KEY and impl not in (_IMPL, "fry"):
        raise ValueError(
            f"unrecognized PRNG implementation {impl!r}: keys are of the kind {_IMPL!r}"
            f"{at_user_line()}"
        )


def _seed_words(seed: Any, name: str) -> Words | bytes:
    """The words of the key for a seed: its bits, as 64 of them."""
    options = current()
    if isinstance(seed, (int, np.integer)):
        n = int(seed) + options.random_seed_offset
        if not -(2**63) <= n < 2**63:
            raise OverflowError(
                f"{name}: the seed {n} does not fit in 64 bits; take it modulo 2**63"
                f"{at_user_line()}"
            )
        wide = options.enable_x64 and not (isinstance(seed, np.integer) and seed.itemsize < 8)
        return struct.pack("<II", (n >> 32) & 0xFFFFFFFF if wide else 0, n & 0xFFFFFFFF)
    x = as_array(seed, name)
    if x.dtype not in dtypes.INTEGERS and x.dtype != dtypes.bool_:
        raise TypeError(
            f"{name}: the seed must be an integer, got {x.aval.str_short()}{at_user_line()}"
        )
    if x.shape:
        raise TypeError(
            f"{name} takes a scalar seed, got {x.aval.str_short()}; use vmap for several seeds"
            f"{at_user_line()}"
        )
    if options.random_seed_offset:
        x = lax.add(x, scalar(options.random_seed_offset, x.dtype))
    high: Any = np.uint32(0)
    if x.dtype.itemsize == 8:
        high = lax.shift_right_logical(x, x.dtype.type(32))
        high = convert_element_type(high, dtypes.uint32)
    return high, convert_element_type(x, dtypes.uint32)


@program()
def _key_of_seed(seed: Any) -> Any:
    words = _seed_words(seed, "random.key")
    return _keys_of(stack_words(words))  # type: ignore[arg-type]


@program()
def _raw_key_of_seed(seed: Any) -> Any:
    return stack_words(_seed_words(seed, "random.PRNGKey"))  # type: ignore[arg-type]


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """A typed PRNG key for an integer seed.

    Parameters
    ----------
    seed : int or integer scalar array
        Its lowest 32 bits count; 64 bits with 64-bit types enabled.
    impl, dtype : str or dtype, optional
        The kind of key; there is one, ``"threefry2x32"``.

    Returns
    -------
    Array
        Scalar of dtype ``key<fry>``.

    Raises
    ------
    OverflowError
        If a Python integer does not fit in 64 bits.
    TypeError
        If the seed is not an integer.

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.uniform(cv.random.key(42))
    Array(0.48870957, dtype=float32)
    """
    if impl is not None or dtype is not None:
        _check_impl(impl)
        _check_impl(dtype)
    if isinstance(seed, (Array, Tracer)):
        return _key_of_seed(seed)
    words = _seed_words(seed, "random.key")
    if type(words) is not bytes:
        return _key_of_seed(seed)
    made = settled(_native.array_from_buffer(words, _KEY_CODE, ()))
    return _made(made) if current().debug_key_reuse else made


def PRNGKey(seed: Any, *, impl: Any = None) -> Any:  # noqa: N802
    """A raw PRNG key for an integer seed: an array of dtype ``uint32`` and shape ``(2,)``.

    New programs use `key`, whose result cannot be mistaken for numbers.

    Parameters
    ----------
    seed : int or integer scalar array
        See `key`.
    impl : str, optional
        The kind of key; there is one, ``"threefry2x32"``.

    Returns
    -------
    Array of uint32
        Shape ``(2,)``.

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.PRNGKey(42)
    Array([ 0, 42], dtype=uint32)
    """
    _check_impl(impl)
    if current().enable_custom_prng:
        return key(seed)
    if isinstance(seed, (Array, Tracer)):
        return _raw_key_of_seed(seed)
    words = _seed_words(seed, "random.PRNGKey")
    return (
        settled(_native.array_from_buffer(words, _UINT32_CODE, (2,)))
        if type(words) is bytes
        else _raw_key_of_seed(seed)
    )


@program("num")
def split(key: Any, num: Any = 2) -> Any:
    """Split a key into several independent ones.

    Parameters
    ----------
    key : Array
        A key, not to be used again.
    num : int or tuple of int
        Shape of the array of new keys.

    Returns
    -------
    Array
        Keys of the kind of ``key``, of shape ``num`` (raw ones with a last axis of size 2).

    Examples
    --------
    >>> import covector as cv
    >>> first, second = cv.random.split(cv.random.key(0))
    >>> cv.random.uniform(first), cv.random.uniform(second)
    (Array(0.8423141, dtype=float32), Array(0.00729382, dtype=float32))
    >>> cv.random.split(cv.random.key(0), (2, 3)).shape
    (2, 3)
    """
    shape = canonical_shape(num, "num")
    words = words_of(key, "split")
    n = product(shape)
    out = stack_words(cipher(words, n))
    if aval_of(key).dtype is not _KEY:
        return lax.reshape(out, (*shape, 2))
    return lax.reshape(_keys_of(out), shape)


@program()
def _fold_in(key: Any, data: Any) -> Any:
    words = words_of(key, "fold_in")
    x = as_array(data, "fold_in")
    if x.dtype not in dtypes.INTEGERS and x.dtype != dtypes.bool_:
        raise TypeError(
            f"fold_in: data must be an integer, got {x.aval.str_short()}{at_user_line()}"
        )
    if x.shape:
        raise TypeError(
            f"fold_in takes a scalar as data, got {x.aval.str_short()}; use vmap for several"
            f"{at_user_line()}"
        )
    out = stack_words(cipher(words, convert_element_type(x, dtypes.uint32)))
    return out if aval_of(key).dtype is not _KEY else _keys_of(out)


def fold_in(key: Any, data: Any) -> Any:
    """A new key from a key and an integer, for example the number of a step.

    It is element ``data`` of what `split` gives.

    Parameters
    ----------
    key : Array
        A single key. It may be folded with many numbers, but not be used otherwise.
    data : int or integer scalar array
        Taken modulo 2**32 if it is an array; a Python integer must lie in [0, 2**32).

    Returns
    -------
    Array
        A key of the kind of ``key``.

    Raises
    ------
    OverflowError
        If a Python integer is out of range.

    Examples
    --------
    >>> import covector as cv
    >>> key = cv.random.key(0)
    >>> [cv.random.randint(cv.random.fold_in(key, step), (), 0, 100) for step in range(3)]
    [Array(91, dtype=int32), Array(22, dtype=int32), Array(59, dtype=int32)]
    """
    if isinstance(data, int):
        if not 0 <= data < 2**32:
            raise OverflowError(
                f"fold_in: the Python integer {data} does not lie in [0, 2**32){at_user_line()}"
            )
        if data >= 2**31:
            return _fold_in(key, np.uint32(data))
    return _fold_in(key, data)


def _is_key_array(x: Any) -> bool:
    return getattr(x, "dtype", None) is _KEY


def _check_raw(x: Any, name: str) -> Any:
    x = as_array(x, name)
    if x.dtype != dtypes.uint32 or x.shape[-1:] != (2,):
        raise TypeError(
            f"{name}: raw keys have dtype uint32 and a last axis of size 2, got "
            f"{x.aval.str_short()}{at_user_line()}"
        )
    return x


@program()
def key_data(keys: Any) -> Any:
    """The words of keys: ``uint32`` with a new last axis of size 2 (raw keys as they are).

    Parameters
    ----------
    keys : Array
        Keys, of any shape.

    Returns
    -------
    Array of uint32

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.key_data(cv.random.key(42))
    Array([ 0, 42], dtype=uint32)
    """
    if _is_key_array(keys):
        return lax.bitcast_convert_type_p.bind(keys, new_dtype=dtypes.uint32)
    return _check_raw(keys, "key_data")


@program("impl", "dtype")
def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """Typed keys from their words, the inverse of `key_data`.

    Parameters
    ----------
    key_bits_array : array_like of uint32
        The last axis has size 2.
    impl, dtype : str or dtype, optional
        The kind of key; there is one, ``"threefry2x32"``.

    Returns
    -------
    Array
        Of dtype ``key<fry>``, without the last axis.

    Raises
    ------
    TypeError
        If the dtype or the last axis is another.

    Examples
    --------
    >>> import covector as cv
    >>> words = cv.random.key_data(cv.random.key(42))
    >>> cv.random.wrap_key_data(words) == cv.random.key(42)
    Array(True, dtype=bool)
    """
    _check_impl(impl)
    _check_impl(dtype)
    return _keys_of(_check_raw(key_bits_array, "wrap_key_data"))


def key_impl(keys: Any) -> str:
    """Name of the generator that ``keys`` are for.

    Parameters
    ----------
    keys : Array
        Typed or raw keys.

    Returns
    -------
    str

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.key_impl(cv.random.key(0))
    'threefry2x32'
    """
    if not _is_key_array(keys):
        _check_raw(keys, "key_impl")
    return _IMPL


def key_dtype(impl_spec: Any = None) -> Any:
    """The dtype of typed keys.

    Parameters
    ----------
    impl_spec : str or dtype, optional
        The kind of key; there is one, ``"threefry2x32"``.

    Returns
    -------
    dtype

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.key(0).dtype == cv.random.key_dtype()
    True
    """
    _check_impl(impl_spec)
    return _KEY


def clone(key: Any) -> Any:
    """The same key, marked as one that may be used again.

    Parameters
    ----------
    key : Array
        Typed or raw keys.

    Returns
    -------
    Array
        Of the same words: draws with it repeat those with ``key``.

    Examples
    --------
    >>> import covector as cv
    >>> key = cv.random.key(0)
    >>> cv.random.uniform(key) == cv.random.uniform(cv.random.clone(key))
    Array(True, dtype=bool)
    """
    if not _is_key_array(key):
        if not isinstance(key, (Array, Tracer, np.ndarray)):
            raise TypeError(f"clone takes a PRNG key, got {describe(key)}{at_user_line()}")
        return _check_raw(key, "clone")
    copy = lax.copy_p.bind(key)
    return _made(copy) if current().debug_key_reuse else copy
