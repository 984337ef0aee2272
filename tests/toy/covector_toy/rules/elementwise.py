"""Elementwise primitives: a NumPy function of arrays, or of arrays and a scalar, for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from scipy import special

from covector.control_flow.checkpoint import name_p
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import add_any_p, convert_element_type_p, optimization_barrier_p
from covector.core.trace import Primitive
from covector.primitives import arithmetic as ar
from covector.primitives import compare as cp
from covector.primitives import exponential as ex
from covector.primitives.convert import bitcast_convert_type_p, copy_p, reduce_precision_p
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.select import clamp_p, select_n_p
from covector_toy.interpreter import rule

Elements = np.ndarray


def widened(x: Elements) -> Elements:
    """Floats of 16 bits as float32, in which the toy computes with them."""
    return x.astype(np.float32) if x.dtype in (np.float16, ml_dtypes.bfloat16) else x


def rules_of(table: dict[Primitive, Callable[..., Any]]) -> None:
    """Make the functions rules; `typed` of the interpreter rounds what is wider."""
    for prim, fn in table.items():
        rule(prim)(lambda eqn, *xs, fn=fn: fn(*map(widened, xs)))


def _div(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind not in "iu":
        return np.divide(x, y)
    safe = np.where(y == 0, y.dtype.type(1), y)
    quotient = np.floor_divide(x, safe)
    inexact = (quotient * safe != x) & ((x < 0) != (safe < 0))
    return np.where(y == 0, ~y.dtype.type(0), quotient + inexact.astype(x.dtype))


def _rem(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, y.dtype.type(1), y)))


def _mulhi(x: Elements, y: Elements) -> Elements:
    bits = 8 * x.dtype.itemsize
    if bits < 64:
        return np.right_shift(x.astype(np.int64) * y.astype(np.int64), bits).astype(x.dtype) \
            if x.dtype.kind == "i" else np.right_shift(x.astype(np.uint64) * y, bits)  # fmt: skip
    # Of two halves each; a negative number is 2**64 more when it is read without sign.
    a, b = x.astype(np.uint64), y.astype(np.uint64)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
    middle = a1 * b0 + ((a0 * b0) >> half)
    high = a1 * b1 + (middle >> half) + ((a0 * b1 + (middle & low)) >> half)
    if x.dtype.kind == "i":
        high = high - np.where(x < 0, b, 0) - np.where(y < 0, a, 0)
    return high.astype(x.dtype)


def _complex(x: Elements, y: Elements) -> Elements:
    out = np.empty(np.broadcast_shapes(x.shape, y.shape), dtypes.complex_dtype(x.dtype))
    out.real, out.imag = x, y
    return out


def _logistic(x: Elements) -> Elements:
    return 1 / (1 + np.exp(-x)) if x.dtype.kind == "c" else special.expit(x)


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


def _sign(x: Elements) -> Elements:
    return np.where(x == 0, x, np.sign(x))


def _max(x: Elements, y: Elements) -> Elements:
    zeros = (x == 0) & (y == 0)
    return np.where(zeros, x + y, np.maximum(x, y))  # of zeros the positive one


def _min(x: Elements, y: Elements) -> Elements:
    if x.dtype.kind in "bu":
        return np.minimum(x, y)
    zeros = (x == 0) & (y == 0)
    return np.where(zeros, -(-x - y), np.minimum(x, y))


def _clamp(low: Elements, x: Elements, high: Elements) -> Elements:
    return np.minimum(np.maximum(x, low), high)


rules_of({
    ar.add_p: np.add, add_any_p: np.add, ar.sub_p: np.subtract, ar.mul_p: np.multiply,
    ar.div_p: _div, ar.rem_p: _rem, ar.mulhi_p: _mulhi, ar.max_p: _max, ar.min_p: _min,
    ar.neg_p: np.negative, ar.sign_p: _sign, ar.abs_p: np.abs, ar.square_p: np.square,
    ar.floor_p: np.floor, ar.ceil_p: np.ceil, ar.is_finite_p: np.isfinite,
    ar.real_p: np.real, ar.imag_p: np.imag, ar.conj_p: np.conj, ar.complex_p: _complex,
    ex.pow_p: np.power, ex.atan2_p: np.arctan2, ex.exp_p: np.exp, ex.exp2_p: np.exp2,
    ex.expm1_p: np.expm1, ex.log_p: np.log, ex.log1p_p: np.log1p, ex.logistic_p: _logistic,
    ex.sqrt_p: np.sqrt, ex.rsqrt_p: lambda x: 1 / np.sqrt(x), ex.cbrt_p: np.cbrt,
    ex.sin_p: np.sin, ex.cos_p: np.cos, ex.tan_p: np.tan,
    ex.asin_p: np.arcsin, ex.acos_p: np.arccos, ex.atan_p: np.arctan,
    ex.sinh_p: np.sinh, ex.cosh_p: np.cosh, ex.tanh_p: np.tanh,
    ex.asinh_p: np.arcsinh, ex.acosh_p: np.arccosh, ex.atanh_p: np.arctanh,
    cp.eq_p: np.equal, cp.ne_p: np.not_equal, cp.lt_p: np.less, cp.le_p: np.less_equal,
    cp.gt_p: np.greater, cp.ge_p: np.greater_equal,
    cp.and_p: np.bitwise_and, cp.or_p: np.bitwise_or, cp.xor_p: np.bitwise_xor,
    cp.not_p: np.invert, cp.population_count_p: lambda x: np.bitwise_count(_unsigned(x)),
    cp.clz_p: _clz, cp.shift_left_p: _shift_left,
    cp.shift_right_logical_p: _shift_right_logical,
    cp.shift_right_arithmetic_p: _shift_right_arithmetic,
    clamp_p: _clamp,
})  # fmt: skip


@rule(ar.nextafter_p)
def _nextafter(eqn: JaxprEqn, x: Elements, y: Elements) -> Elements:
    return np.where(x == y, y, np.nextafter(x, y))


@rule(ar.integer_pow_p)
def _integer_pow(eqn: JaxprEqn, x: Elements) -> Elements:
    x, y = widened(x), eqn.params["y"]
    power = np.power(x, abs(y))
    return 1 / power if y < 0 else power


@rule(ar.round_p)
def _round(eqn: JaxprEqn, x: Elements) -> Elements:
    x = widened(x)
    if int(eqn.params["rounding_method"]) == 1:
        return np.rint(x)
    down = np.trunc(x)
    return np.where(np.abs(x - down) >= 0.5, down + np.sign(x), down)


@rule(copy_p, name_p)
def _same(eqn: JaxprEqn, x: Elements) -> Elements:
    return x


@rule(optimization_barrier_p)
def _all_same(eqn: JaxprEqn, *xs: Elements) -> list[Elements]:
    return list(xs)


@rule(select_n_p)
def _select(eqn: JaxprEqn, which: Elements, *cases: Elements) -> Elements:
    out = cases[0]
    for k, case in enumerate(cases[1:], 1):
        out = np.where(which == k, case, out)
    return np.broadcast_to(out, eqn.outvars[0].aval.shape)


@rule(convert_element_type_p)
def _convert(eqn: JaxprEqn, x: Elements) -> Elements:
    new = eqn.params["new_dtype"]
    if dtypes.is_extended(new):
        return x
    if x.dtype.kind == "c" and new.kind not in "cb":
        x = x.real
    return dtypes.cast(x, new)


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
