"""Conversions of numbers of at most eight bits, made from the table of their formats.

A float is decoded by putting exponent and mantissa where float32 has them and multiplying by the
power of two between the biases, which makes subnormal numbers right too. It is encoded by adding
half a unit of the last place, less one if that place is even; numbers below the normal ones are
rounded by adding a power of two of whose last place they are multiples.
"""

from __future__ import annotations

from covector.backends.cpu.writer import Function, Val, float_const, int_const
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.core.formats import FLOAT_FORMATS, INTEGER_BITS, FloatFormat


def _int(value: int) -> Val:
    return int_const(value, "i32")


def decode(b: Function, bits: Val, dtype: DType) -> Val:
    """The float32 that a byte stands for."""
    f = FLOAT_FORMATS[dtype]
    wide = b.cast("zext", bits, "i32")
    if f.kind == "scale":
        shifted = b.bin("shl", wide, _int(23))
        shifted = b.select(b.cmp("icmp eq", wide, _int(0)), _int(1 << 22), shifted)
        shifted = b.select(b.cmp("icmp eq", wide, _int(255)), _int(0x7FC00000), shifted)
        return b.cast("bitcast", shifted, "float")
    size = f.bits - 1
    magnitude = b.bin("and", wide, _int((1 << size) - 1))
    sign = b.bin("shl", b.bin("and", b.bin("lshr", wide, _int(size)), _int(1)), _int(31))
    x = b.cast("bitcast", b.bin("shl", magnitude, _int(23 - f.mantissa)), "float")
    x = b.cast("bitcast", b.bin("fmul", x, float_const(2.0 ** (127 - f.bias), "float")), "i32")
    if f.kind == "ieee":
        first = b.cmp("icmp eq", magnitude, _int(f.largest + 1))
        x = b.select(b.cmp("icmp ugt", magnitude, _int(f.largest)), _int(0x7FC00000), x)
        x = b.select(first, _int(0x7F800000), x)
    elif f.kind == "fn":
        x = b.select(b.cmp("icmp ugt", magnitude, _int(f.largest)), _int(0x7FC00000), x)
    x = b.bin("or", x, sign)
    if f.kind == "fnuz":
        x = b.select(b.cmp("icmp eq", wide, _int(1 << size)), _int(0x7FC00000), x)
    return b.cast("bitcast", x, "float")


def encode(b: Function, x: Val, dtype: DType) -> Val:
    """The byte of the number nearest to a float32, ties to even; beyond all, as the format says."""
    f = FLOAT_FORMATS[dtype]
    bits = b.cast("bitcast", x, "i32")
    magnitude = b.bin("and", bits, _int(0x7FFFFFFF))
    nan = b.cmp("fcmp uno", x, x)
    if f.kind == "scale":
        return b.cast("trunc", _encode_scale(b, bits, magnitude), "i8")
    out = _nearest(b, f, magnitude)
    size = f.bits - 1
    sign = b.bin("shl", b.bin("lshr", bits, _int(31)), _int(size))
    beyond = b.cmp("icmp ugt", out, _int(f.largest))
    if f.kind == "fnuz":
        out = b.select(b.cmp("icmp eq", out, _int(0)), _int(0), b.bin("or", out, sign))
        out = b.select(b.bin("or", beyond, nan), _int(1 << size), out)
    elif f.kind == "finite":
        out = b.bin("or", b.select(beyond, _int(f.largest), out), sign)
        out = b.select(nan, b.bin("xor", sign, _int(1 << size)), out)
    else:
        out = b.select(beyond, _int(f.largest + 1), out)
        quiet = f.largest + 1 + (1 << (f.mantissa - 1) if f.kind == "ieee" else 0)
        out = b.bin("or", b.select(nan, _int(quiet), out), sign)
    return b.cast("trunc", out, "i8")


def _nearest(b: Function, f: FloatFormat, magnitude: Val) -> Val:
    """Exponent and mantissa of the nearest number, as if there were no largest one."""
    shift = 23 - f.mantissa
    odd = b.bin("and", b.bin("lshr", magnitude, _int(shift)), _int(1))
    up = b.bin("add", magnitude, b.bin("add", odd, _int((1 << (shift - 1)) - 1)))
    normal = b.bin("sub", b.bin("lshr", up, _int(shift)), _int((127 - f.bias) << f.mantissa))
    # Below the least normal number: its unit is the last place of this power of two.
    step = float_const(2.0 ** (1 - f.bias + shift), "float")
    sum_ = b.bin("fadd", b.cast("bitcast", magnitude, "float"), step)
    unit = (127 + 1 - f.bias + shift) << 23
    small = b.bin("sub", b.cast("bitcast", sum_, "i32"), _int(unit))
    return b.select(b.cmp("icmp ult", magnitude, _int((128 - f.bias) << 23)), small, normal)


def _encode_scale(b: Function, bits: Val, magnitude: Val) -> Val:
    """The exponent of the nearest power of two, in ties the greater one: no mantissa is even."""
    out = b.bin("lshr", b.bin("add", magnitude, _int(1 << 22)), _int(23))
    # The least one is a subnormal number of float32, whose exponent is not its bits.
    low = b.cast("zext", b.cmp("icmp uge", magnitude, _int(0x600000)), "i32")
    out = b.select(b.cmp("icmp ult", magnitude, _int(0x800000)), low, out)
    positive = b.cmp("icmp sgt", bits, _int(0))
    inside = b.cmp("icmp ult", bits, _int(0x7F800000))
    return b.select(b.bin("and", positive, inside), out, _int(255))


def to_odd(b: Function, x: Val) -> Val:
    """A double as float32, with an odd last place where digits are lost, so that it can be rounded
    once more as if it had not been."""
    near = b.cast("fptrunc", x, "float")
    back = b.cast("fpext", near, "double")
    size, size_back = b.intrinsic("fabs", x), b.intrinsic("fabs", back)
    bits = b.cast("bitcast", near, "i32")
    above = b.cmp("fcmp ogt", size_back, size)
    bits = b.select(above, b.bin("sub", bits, _int(1)), bits)
    inexact = b.cmp("fcmp one", size_back, size)
    bits = b.select(inexact, b.bin("or", bits, _int(1)), bits)
    return b.cast("bitcast", bits, "float")


def wrap(b: Function, x: Val, dtype: DType) -> Val:
    """The low bits of an i8 as the integer they stand for."""
    if dtype in dtypes.UNSIGNED:
        return masked(b, x, dtype)
    unused = int_const(8 - INTEGER_BITS[dtype], "i8")
    return b.bin("ashr", b.bin("shl", x, unused), unused)


def masked(b: Function, x: Val, dtype: DType) -> Val:
    """The low bits of an i8, as they are stored."""
    return b.bin("and", x, int_const((1 << INTEGER_BITS[dtype]) - 1, "i8"))


def clamp(b: Function, x: Val, dtype: DType) -> Val:
    """An i8 as the nearest number of a smaller integer type."""
    least, most = dtypes.LIMITS[dtype]
    order = "icmp slt" if dtype in dtypes.SIGNED else "icmp ult"
    least_, most_ = int_const(least, "i8"), int_const(most, "i8")
    x = b.select(b.cmp(order, x, least_), least_, x)
    return b.select(b.cmp(order, most_, x), most_, x)


def unsigned(dtype: DType) -> bool:
    """Whether a float format has positive numbers alone."""
    return FLOAT_FORMATS[dtype].kind == "scale"


def kept(b: Function, before: Val, after: Val, dtype: DType) -> Val:
    """The bits one step further, but for steps beyond the largest number where there is neither
    infinity nor NaN, and to the negative zero where there is none."""
    f = FLOAT_FORMATS[dtype]
    size = f.bits - 1
    if f.kind == "fnuz":
        return b.select(b.cmp("icmp eq", after, int_const(-128, "i8")), int_const(0, "i8"), after)
    if f.kind != "finite":
        return after
    magnitude = b.bin("and", before, int_const((1 << size) - 1, "i8"))
    away = b.cmp("icmp ugt", b.bin("xor", after, before), int_const(f.largest, "i8"))
    return b.select(b.bin("and", b.cmp("icmp eq", magnitude, int_const(f.largest, "i8")), away),
                    before, after)  # fmt: skip
