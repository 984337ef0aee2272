"""Operations that rearrange elements, or look at their bits."""

from __future__ import annotations

import numpy as np

from covector.backends.pjrt.lower import Number, out_type, refused, rule, spread
from covector.backends.pjrt.rules.elementwise import computed_in
from covector.backends.pjrt.text import Builder, Value
from covector.core import dtypes
from covector.core.jaxpr import JaxprEqn
from covector.core.structural import broadcast_in_dim_p, reshape_p, transpose_p
from covector.primitives.convert import bitcast_convert_type_p, reduce_precision_p
from covector.primitives.random_bits import threefry2x32_p
from covector.primitives.structure import concatenate_p, iota_p, pad_p, rev_p, slice_p, squeeze_p


@rule(broadcast_in_dim_p)
def _broadcast(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    shape = eqn.params["shape"]
    if type(x) is Number:
        return spread(b, x, shape)
    return b.broadcast(x, shape, eqn.params["broadcast_dimensions"])


@rule(reshape_p, squeeze_p)
def _reshape(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return b.reshape(x, out_type(eqn).shape)


@rule(transpose_p)
def _transpose(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return b.transpose(x, eqn.params["permutation"])


@rule(rev_p)
def _rev(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    return b.reverse(x, eqn.params["dimensions"])


@rule(concatenate_p)
def _concatenate(b: Builder, eqn: JaxprEqn, *xs: Value) -> Value:
    return b.concatenate(xs, eqn.params["dimension"])


@rule(slice_p)
def _slice(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    p = eqn.params
    return b.slice(x, p["start_indices"], p["limit_indices"], p["strides"])


@rule(pad_p)
def _pad(b: Builder, eqn: JaxprEqn, x: Value, value: Value) -> Value:
    low, high, between = zip(*eqn.params["padding_config"], strict=True) if x.shape else ((),) * 3
    return b.pad(x, value, low, high, between)


@rule(iota_p)
def _iota(b: Builder, eqn: JaxprEqn) -> Value:
    p = eqn.params
    dtype = p["dtype"]
    if dtype == dtypes.bool_ or dtype in dtypes.SMALL:
        return b.convert(b.iota(dtypes.int32, p["shape"], p["dimension"]), dtype)
    return b.iota(dtype, p["shape"], p["dimension"])


@rule(bitcast_convert_type_p)
def _bitcast(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    aval = out_type(eqn)
    return b.bitcast(x, aval.dtype, aval.shape)


@rule(reduce_precision_p)
def _reduce_precision(b: Builder, eqn: JaxprEqn, x: Value) -> Value:
    p, dtype = eqn.params, x.dtype
    exponent, mantissa = p["exponent_bits"], p["mantissa_bits"]
    wide = computed_in(dtype)
    if b.platform == "tpu" and dtype == np.float64:
        if exponent >= 11 and mantissa >= 52:
            # Of its emulated doubles its compiler knows no other operation for this.
            return b.ops("stablehlo.optimization_barrier", [x], [(x.dtype, x.shape)])[0]
        if mantissa or exponent < 11:
            raise refused(
                b.platform, eqn, "TPUs reduce the precision of float32 and narrower; convert to it"
            )
        # To a power of two, by way of float32, whose exponents the doubles of TPUs have.
        wide, exponent = np.dtype(np.float32), 8
    attrs = f"exponent_bits = {exponent} : i32, mantissa_bits = {mantissa} : i32"
    x = b.convert(x, wide)
    return b.convert(b.op("stablehlo.reduce_precision", (x,), wide, x.shape, attrs), dtype)


_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_U32 = np.dtype(np.uint32)


@rule(threefry2x32_p)
def _threefry(b: Builder, eqn: JaxprEqn, k1: Value, k2: Value, x: Value, y: Value) -> list[Value]:
    """Twenty rounds of Threefry-2x32 (J. Salmon et al., "Parallel random numbers: as easy as 1,
    2, 3", SC 2011)."""
    shape = out_type(eqn).shape
    k1, k2, x, y = (spread(b, v, shape) for v in (k1, k2, x, y))
    third = b.same("xor", b.same("xor", k1, k2), b.like(k1, 0x1BD11BDA))
    keys = (k1, k2, third)
    x, y = b.add(x, k1), b.add(y, k2)
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x = b.add(x, y)
            left = b.same("shift_left", y, b.like(y, r))
            right = b.same("shift_right_logical", y, b.like(y, 32 - r))
            y = b.same("xor", b.either(left, right), x)
        x = b.add(x, keys[(group + 1) % 3])
        y = b.add(b.add(y, keys[(group + 2) % 3]), b.like(y, group + 1))
    return [x, y]
