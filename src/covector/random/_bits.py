"""Random bits: Threefry-2x32 of counters.

Element ``i`` (in row-major order) of a draw is the cipher text of the 64-bit counter ``i``,
split in two words, under the key. No element depends on how many are drawn or on how the work
is divided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from covector import lax
from covector.core import dtypes
from covector.core.avals import Shape, aval_of, is_array_like
from covector.core.config import config
from covector.core.dims import Dim, DimExpr, is_nonnegative
from covector.core.errors import at_user_line, describe, warn
from covector.core.operands import product
from covector.core.structural import convert_element_type, scalar
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.structure import iota_p
from covector.random._checks import shape_argument
from covector.random._program import program

Words = tuple[Any, Any]

_ZERO = np.uint32(0)


def words_of(key: Any, name: str) -> Words:
    """The two words of a single key, typed or raw.

    Raises
    ------
    TypeError
        If it is no key.
    ValueError
        If it is an array of keys.
    """
    aval = getattr(key, "aval", None)
    if aval is None:
        if not is_array_like(key):
            raise _no_key(name, key)
        aval = aval_of(key)
    shape = aval.shape
    if aval.dtype is dtypes.key_dtype:
        if shape:
            raise _several(name, aval)
        key = lax.bitcast_convert_type_p.bind(key, new_dtype=dtypes.uint32)
    elif aval.dtype != dtypes.uint32 or shape[-1:] != (2,):
        raise _no_key(name, key)
    elif len(shape) > 1:
        raise _several(name, aval)
    elif config.legacy_prng_key != "allow":
        _refuse_raw(name)
    return tuple(
        [
            lax.squeeze_p.bind(
                lax.slice_p.bind(key, start_indices=(i,), limit_indices=(i + 1,), strides=None),
                dimensions=(0,),
            )
            for i in (0, 1)
        ]
    )  # type: ignore[return-value]


def _no_key(name: str, key: Any) -> TypeError:
    return TypeError(
        f"{name} takes a PRNG key as its first argument, got {describe(key)}. Make one with "
        "random.key(seed), and derive others from it with random.split; a raw key has dtype "
        f"uint32 and shape (2,){at_user_line()}"
    )


def _refuse_raw(name: str) -> None:
    text = (
        f"{name} was given a raw key of dtype uint32, and the option legacy_prng_key is "
        f"{config.legacy_prng_key!r}: make keys with random.key, or from raw ones with "
        "random.wrap_key_data"
    )
    if config.legacy_prng_key == "error":
        raise ValueError(f"{text}{at_user_line()}")
    warn(text)


def _several(name: str, aval: Any) -> ValueError:
    return ValueError(
        f"{name} takes a single key, got an array of keys {aval.str_short()}; use vmap, or index "
        f"the array{at_user_line()}"
    )


def cipher(words: Words, counters: Any) -> Words:
    """Cipher text of the counters 0, 1, … (an ``int`` of them) or of a ``uint32`` array."""
    low, high = counters, _ZERO
    if type(counters) is int or type(counters) is DimExpr:
        if is_nonnegative(2**32 - counters):
            low = _iota(counters, dtypes.uint32)
        else:
            # The only place where 64-bit integers occur without the x64 option.
            wide = _iota(counters, dtypes.uint64)
            low = convert_element_type(wide, dtypes.uint32)
            half = scalar(32, dtypes.uint64)
            high = convert_element_type(lax.shift_right_logical_p.bind(wide, half), dtypes.uint32)
    return tuple(threefry2x32_p.bind(*words, high, low))  # type: ignore[return-value]


def _iota(n: Dim, dtype: Any) -> Any:
    return iota_p.bind(dtype=dtype, shape=(n,), dimension=0)


def stack_words(words: Words) -> Any:
    """Raw keys: the words of each side by side in a new last axis."""
    parts = []
    for w in words:
        shape = aval_of(w).shape
        parts.append(
            lax.broadcast_in_dim_p.bind(
                w, shape=(*shape, 1), broadcast_dimensions=tuple(range(len(shape)))
            )
        )
    return lax.concatenate_p.bind(*parts, dimension=len(aval_of(parts[0]).shape) - 1)


def split_words(words: Words, num: int) -> list[Words]:
    """The words of ``num`` new keys (the same as `split` gives), for each of the keys given."""
    return [cipher(words, np.uint32(i)) for i in range(num)]


def bits_of(words: Words, counters: Any, width: int) -> Any:
    """Unsigned integers of ``width`` bits (see `cipher` for ``counters``)."""
    a, b = cipher(words, counters)
    if width == 64:
        a, b = (convert_element_type(x, dtypes.uint64) for x in (a, b))
        return lax.or_p.bind(lax.shift_left_p.bind(a, np.uint64(32)), b)
    out = lax.xor_p.bind(a, b)
    return out if width == 32 else convert_element_type(out, dtypes.as_dtype(f"uint{width}"))


def shaped_bits(words: Words, shape: Shape, width: int) -> Any:
    """Unsigned integers of ``width`` bits in an array of ``shape``."""
    return lax.reshape(bits_of(words, product(shape), width), shape)


@program("shape", "dtype", "out_sharding")
def bits(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Uniform random bits, as unsigned integers.

    Parameters
    ----------
    key : Array
        A single PRNG key, typed or raw, not to be used again.
    shape : int or tuple of int
        Of the result.
    dtype : dtype, optional
        ``uint8`` to ``uint64``; by default ``uint32`` (``uint64`` with 64-bit types enabled).
    out_sharding : NamedSharding or PartitionSpec, optional
        How the result is laid out over the axes of a mesh.

    Returns
    -------
    Array

    Raises
    ------
    ValueError
        If ``dtype`` is not an unsigned integer type.

    Examples
    --------
    >>> import covector as cv
    >>> cv.random.bits(cv.random.key(0), (2,))
    Array([4070199207, 4202968722], dtype=uint32)
    >>> cv.random.bits(cv.random.key(0), (2,), "uint8")
    Array([167, 146], dtype=uint8)
    """
    dt = (
        dtypes.check_user_dtype(dtype, "bits")
        if dtype is not None
        else dtypes.canonicalize_dtype(dtypes.uint64)
    )
    if dt not in dtypes.UNSIGNED:
        raise ValueError(f"bits: dtype must be an unsigned integer type, got {dt}{at_user_line()}")
    out = shaped_bits(words_of(key, "bits"), shape_argument(shape), dt.itemsize * 8)
    return convert_element_type(out, dt) if dt in dtypes.SMALL else out
