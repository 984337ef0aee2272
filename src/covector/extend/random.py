"""Generators of random bits (`covector.extend.random`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from covector import lax, random
from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, meaningless
from covector.core.errors import export as _export
from covector.core.operands import as_array
from covector.core.structural import full, reshape
from covector.extend.core._composed import random_seed_p
from covector.primitives.random_bits import threefry2x32_p

_ONE_KIND = (
    "keys of Covector are of one kind, threefry2x32; other generators are functions of arrays "
    "of the user's own"
)


class PRNGImpl(NamedTuple):
    """A generator: functions of keys in the form of arrays of uint32."""

    key_shape: tuple[int, ...]
    seed: Callable[..., Any]
    split: Callable[..., Any]
    random_bits: Callable[..., Any]
    fold_in: Callable[..., Any]
    name: str = "<unnamed>"
    tag: str = "?"


def _seed(seed: Any) -> Any:
    return random.key_data(random.key(seed))


def _split(key: Any, shape: tuple[int, ...]) -> Any:
    return random.key_data(random.split(random.wrap_key_data(key), shape))


def _bits(key: Any, bit_width: int, shape: tuple[int, ...]) -> Any:
    return random.bits(random.wrap_key_data(key), shape, f"uint{bit_width}")


def _fold_in(key: Any, data: Any) -> Any:
    return random.key_data(random.fold_in(random.wrap_key_data(key), data))


def _refusing(name: str) -> PRNGImpl:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise meaningless(name, _ONE_KIND)

    return PRNGImpl((4,), refuse, refuse, refuse, refuse, name, name)


threefry_prng_impl = PRNGImpl((2,), _seed, _split, _bits, _fold_in, "threefry2x32", "fry")
rbg_prng_impl = _refusing("rbg")
unsafe_rbg_prng_impl = _refusing("unsafe_rbg")


def define_prng_impl(
    *,
    key_shape: tuple[int, ...],
    seed: Callable[..., Any],
    split: Callable[..., Any],
    random_bits: Callable[..., Any],
    fold_in: Callable[..., Any],
    name: str = "<unnamed>",
    tag: str = "?",
) -> Any:
    """Not to be had: keys of another kind.

    Parameters
    ----------
    key_shape, seed, split, random_bits, fold_in, name, tag

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> made = dict.fromkeys(("key_shape", "seed", "split", "random_bits", "fold_in"))
    >>> cv.extend.random.define_prng_impl(**made)
    Traceback (most recent call last):
    NotImplementedError: define_prng_impl: keys of Covector are of one kind, threefry2x32; other \
generators are functions of arrays of the user's own
    """
    raise meaningless("define_prng_impl", _ONE_KIND)


def _check(impl: Any, function: str) -> None:
    if impl is threefry_prng_impl or impl in ("threefry2x32", "fry"):
        return
    raise meaningless(function, _ONE_KIND)


def random_seed(seeds: Any, impl: Any) -> Any:
    """Keys for an array of seeds.

    Parameters
    ----------
    seeds : int or array_like of int
    impl : PRNGImpl
        ``threefry_prng_impl``.

    Returns
    -------
    Array
        Keys, of the shape of ``seeds``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import random
    >>> random.random_seed(cv.numpy.arange(3), random.threefry_prng_impl).shape
    (3,)
    """
    _check(impl, "random_seed")
    return random_seed_p.bind(seeds)


def seed_with_impl(impl: Any, seed: Any) -> Any:
    """The key for a seed.

    Parameters
    ----------
    impl : PRNGImpl
        ``threefry_prng_impl``.
    seed : int

    Returns
    -------
    Array

    Examples
    --------
    >>> from covector.extend import random
    >>> random.seed_with_impl(random.threefry_prng_impl, 0).dtype
    key<fry>
    """
    _check(impl, "seed_with_impl")
    return random.key(seed)


def threefry_2x32(keypair: Any, count: Any) -> Any:
    """The Threefry-2x32 hash of numbers: the first half of them with the second.

    Parameters
    ----------
    keypair : pair of array_like of uint32
    count : array_like of uint32

    Returns
    -------
    Array of uint32
        Of the shape of ``count``.

    Raises
    ------
    TypeError
        If they are not of dtype uint32.

    References
    ----------
    J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2,
    3", SC '11, doi:10.1145/2063384.2063405.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.random.threefry_2x32(*cv.numpy.uint32([[1, 2], [0, 1]]))
    Array([ 629003988, 1317161160], dtype=uint32)
    """
    first, second = [as_array(k, "threefry_2x32") for k in keypair]
    numbers = as_array(count, "threefry_2x32")
    for x in (first, second, numbers):
        if x.dtype != dtypes.uint32:
            raise TypeError(
                f"threefry_2x32 takes numbers of dtype uint32, got {aval_of(x).str_short()}"
                f"{at_user_line()}"
            )
    n = numbers.size
    flat = reshape(numbers, (n,))
    if n % 2:
        flat = lax.concatenate([flat, full((1,), 0, dtypes.uint32)], 0)
    half = (n + 1) // 2
    keys = [lax.broadcast(k, (half,)) for k in (first, second)]
    out = threefry2x32_p.bind(*keys, flat[:half], flat[half:])
    return reshape(lax.concatenate(out, 0)[:n], numbers.shape)


__all__ = [
    "define_prng_impl",
    "random_seed",
    "rbg_prng_impl",
    "seed_with_impl",
    "threefry2x32_p",
    "threefry_2x32",
    "threefry_prng_impl",
    "unsafe_rbg_prng_impl",
]
_export(globals(), __all__)
