"""Random bits by counter: `rng_bit_generator`."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import as_operand, canonical_shape
from covector.core.structural import broadcast_in_dim, convert_element_type, reshape
from covector.core.trace import Composed
from covector.lax.shape_functions import full_like, iota, stack
from covector.lax.slicing import index_in_dim
from covector.lax.slicing import slice as slice_
from covector.primitives.arithmetic import add_p, mul_p, mulhi_p
from covector.primitives.compare import lt_p, or_p, shift_left_p, xor_p
from covector.primitives.random_bits import threefry2x32_p
from covector.sharding.results import laid_out


class RandomAlgorithm(enum.Enum):
    """How `rng_bit_generator` makes bits: by Threefry-2x32, or by Philox-4x32 (the default)."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2

    def __str__(self) -> str:
        return self.name


def _philox(key: Sequence[Any], counter: Sequence[Any]) -> list[Any]:
    """Four words for each counter (of four words, the key the last two), in ten rounds."""
    c, k = list(counter), list(key)

    def constant(value: int) -> Any:
        return full_like(c[0], value)

    multipliers = constant(0xD2511F53), constant(0xCD9E8D57)
    steps = constant(0x9E3779B9), constant(0xBB67AE85)
    for _ in range(10):
        high = [mulhi_p.bind(m, x) for m, x in zip(multipliers, c[::2], strict=True)]
        low = [mul_p.bind(m, x) for m, x in zip(multipliers, c[::2], strict=True)]
        c = [
            xor_p.bind(xor_p.bind(high[1], c[1]), k[0]), low[1],
            xor_p.bind(xor_p.bind(high[0], c[3]), k[1]), low[0],
        ]  # fmt: skip
        k = [add_p.bind(x, step) for x, step in zip(k, steps, strict=True)]
    return c


def _threefry(key: Sequence[Any], counter: Sequence[Any]) -> list[Any]:
    return list(threefry2x32_p.bind(*key, *counter[:2]))


def _advanced(low: Any, high: Any, by: Any) -> tuple[Any, Any]:
    """A counter of two words, later by ``by``."""
    total = add_p.bind(low, by)
    carry = convert_element_type(lt_p.bind(total, low), dtypes.uint32)
    return total, add_p.bind(high, carry)


def _bits(key: Any, *, shape: tuple[int, ...], dtype: Any, algorithm: Any) -> list[Any]:
    words = [index_in_dim(key, i, keepdims=False) for i in range(4)]
    threefry = algorithm is RandomAlgorithm.RNG_THREE_FRY
    width = 2 if threefry else 4
    size = math.prod(shape)
    needed = size * max(1, dtype.itemsize // 4)
    blocks = -(-needed // width)
    if blocks >= 2**32:
        raise ValueError(
            f"rng_bit_generator makes fewer than 2**32 blocks of {width} words, got shape {shape}"
            f"{at_user_line()}"
        )
    row = [broadcast_in_dim(w, (blocks,), ()) for w in words]
    low, high = _advanced(row[2], row[3], iota(dtypes.uint32, blocks))
    cipher = _threefry if threefry else _philox
    out = reshape(stack(cipher(row[:2], [low, high, *row[:2]]), 1), (blocks * width,))
    out = slice_(out, (0,), (needed,))
    if dtype.itemsize == 8:
        pairs = convert_element_type(reshape(out, (size, 2)), dtypes.uint64)
        first, second = (index_in_dim(pairs, i, 1, keepdims=False) for i in range(2))
        out = or_p.bind(shift_left_p.bind(second, full_like(second, 32)), first)
    out = reshape(convert_element_type(out, dtype), shape)
    after = _advanced(words[2], words[3], full_like(words[2], blocks))
    return [stack([words[0], words[1], *after]), out]


rng_bit_generator_p = Composed("rng_bit_generator", _bits, True)


def rng_bit_generator(
    key: Any,
    shape: Any,
    dtype: Any = np.uint32,
    algorithm: Any = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Any, Any]:
    """Random bits from a key and a counter, and the key and counter that come after them.

    `covector.random` is what most programs want.

    Parameters
    ----------
    key : array_like of uint32, shape (4,)
        Two words of the key, and the lower and the higher word of a counter of blocks.
    shape : sequence of int
    dtype : dtype
        An unsigned integer; of a narrower one than 32 bits each number takes 32 all the same.
    algorithm : RandomAlgorithm
        Threefry-2x32 with 20 rounds, or Philox-4x32 with 10, whose counter ends in the key.
    out_sharding : NamedSharding or PartitionSpec, optional
        How ``bits`` are laid out over the axes of a mesh.

    Returns
    -------
    key : Array of uint32, shape (4,)
    bits : Array
        Of ``shape`` and ``dtype``.

    Raises
    ------
    TypeError
        If ``key`` is not four words, or ``dtype`` not an unsigned integer.

    References
    ----------
    .. [1] Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> key, bits = lax.rng_bit_generator(np.zeros(4, "uint32"), (2,))
    >>> [hex(b) for b in bits.tolist()]
    ['0x6627e8d5', '0xe169c58d']
    >>> key
    Array([0, 0, 1, 0], dtype=uint32)
    """
    if out_sharding is not None:
        return laid_out(rng_bit_generator, locals(), only=1)
    x = as_operand(key, "rng_bit_generator")
    aval = aval_of(x)
    if aval.shape != (4,) or aval.dtype != dtypes.uint32:
        raise TypeError(
            f"rng_bit_generator takes a key of type uint32[4], got {describe(x)}{at_user_line()}"
        )
    wanted = dtypes.canonicalize_dtype(dtype)
    if not dtypes.issubdtype(wanted, np.unsignedinteger):
        raise TypeError(
            f"rng_bit_generator makes unsigned integers, got dtype {wanted}{at_user_line()}"
        )
    new, bits = rng_bit_generator_p.bind(
        x, shape=canonical_shape(shape), dtype=wanted, algorithm=RandomAlgorithm(algorithm)
    )
    return new, bits
