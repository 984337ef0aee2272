"""Operations on bits: logic, shifts, counts, other views of them, and the random ones."""

from __future__ import annotations

import numpy as np

from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.primitives import compare as cp
from covector.primitives.arithmetic import mulhi_p
from covector.primitives.convert import bitcast_convert_type_p, reduce_precision_p
from covector.primitives.random_bits import threefry2x32_p
from covector_toy.interpreter import rule
from covector_toy.rules.elementwise import Elements, rules_of, widened


def _mulhi(x: Elements, y: Elements) -> Elements:
    bits = 8 * x.dtype.itemsize
    if bits < 64:
        wide = np.int64 if x.dtype.kind == "i" else np.uint64
        return (x.astype(wide) * y.astype(wide)) >> wide(bits)
    # Of two halves each; a negative number is 2**64 more when it is read without sign.
    a, b = x.astype(np.uint64), y.astype(np.uint64)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
    middle = a1 * b0 + ((a0 * b0) >> half)
    high = a1 * b1 + (middle >> half) + ((a0 * b1 + (middle & low)) >> half)
    if x.dtype.kind == "i":
        high = high - np.where(x < 0, b, np.uint64(0)) - np.where(y < 0, a, np.uint64(0))
    return high


def _in_width(x: Elements, y: Elements) -> Elements:
    return (y >= 0) & (y < 8 * x.dtype.itemsize)


def _shift_left(x: Elements, y: Elements) -> Elements:
    inside = _in_width(x, y)
    zero = x.dtype.type(0)
    return np.where(inside, np.left_shift(x, np.where(inside, y, zero)), zero)


def _unsigned(x: Elements) -> Elements:
    return x.astype(f"uint{8 * x.dtype.itemsize}")


def _shift_right_logical(x: Elements, y: Elements) -> Elements:
    inside = _in_width(x, y)
    amount = _unsigned(np.where(inside, y, y.dtype.type(0)))
    shifted = np.right_shift(_unsigned(x), amount).astype(x.dtype)
    return np.where(inside, shifted, x.dtype.type(0))


def _shift_right_arithmetic(x: Elements, y: Elements) -> Elements:
    bits = 8 * x.dtype.itemsize
    amount = np.where(_in_width(x, y), y, y.dtype.type(bits - 1)).astype(f"int{bits}")
    return np.right_shift(x.astype(f"int{bits}"), amount).astype(x.dtype)


def _clz(x: Elements) -> Elements:
    bits = 8 * x.dtype.itemsize
    x = _unsigned(x)
    for k in (1, 2, 4, 8, 16, 32):
        if k < bits:
            x = x | (x >> x.dtype.type(k))
    return bits - np.bitwise_count(x).astype(np.int64)


rules_of({
    cp.and_p: np.bitwise_and, cp.or_p: np.bitwise_or, cp.xor_p: np.bitwise_xor,
    cp.not_p: np.invert, cp.population_count_p: lambda x: np.bitwise_count(_unsigned(x)),
    cp.clz_p: _clz, cp.shift_left_p: _shift_left, mulhi_p: _mulhi,
    cp.shift_right_logical_p: _shift_right_logical,
    cp.shift_right_arithmetic_p: _shift_right_arithmetic,
})  # fmt: skip


@rule(bitcast_convert_type_p)
def _bitcast(eqn: JaxprEqn, x: Elements) -> Elements:
    new = eqn.params["new_dtype"]
    word = np.dtype(np.uint64) if dtypes.is_extended(new) else new
    if word.itemsize <= x.dtype.itemsize:
        x = x.reshape(*x.shape, 1)
    return np.ascontiguousarray(x).view(word).reshape(eqn.outvars[0].aval.shape)


@rule(reduce_precision_p)
def _reduce_precision(eqn: JaxprEqn, x: Elements) -> Elements:
    exponent, mantissa = eqn.params["exponent_bits"], eqn.params["mantissa_bits"]
    x = widened(x)
    word, fraction = (np.uint32, 23) if x.dtype == np.float32 else (np.uint64, 52)
    bits = np.ascontiguousarray(x).reshape(x.shape).view(word)
    if mantissa < fraction:
        drop = word(fraction - mantissa)
        # To nearest, halves to even.
        odd = (bits >> drop) & word(1)
        bits = (bits + (word(1) << (drop - word(1))) - word(1) + odd) >> drop << drop
    out = bits.view(x.dtype)
    if exponent < 8 * x.dtype.itemsize - 1 - fraction:
        largest = 2.0 ** (2 ** (exponent - 1) - 1) * (2 - 2.0**-mantissa)
        smallest = 2.0 ** (2 - 2 ** (exponent - 1))
        out = np.where(np.abs(out) > largest, np.copysign(np.inf, x), out)
        out = np.where(np.abs(out) < smallest, np.copysign(0.0, x), out)
    return np.where(np.isfinite(x), out, x)


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


@rule(threefry2x32_p)
def _threefry(
    eqn: JaxprEqn, k1: Elements, k2: Elements, x: Elements, y: Elements
) -> list[Elements]:
    """Twenty rounds of Threefry-2x32 (J. Salmon et al., "Parallel random numbers: as easy as 1,
    2, 3", SC 2011)."""
    keys = (k1, k2, k1 ^ k2 ^ np.uint32(0x1BD11BDA))
    x, y = x + k1, y + k2
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(r) | y >> np.uint32(32 - r)) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    shape = eqn.outvars[0].aval.shape
    return [np.broadcast_to(v, shape) for v in (x, y)]
