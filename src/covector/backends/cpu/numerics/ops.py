"""Scalar operations of the loop IR as LLVM instructions, for scalars and vectors alike.

A number is held as a `Val`, a complex one as a `Cx` of two. Floats of at most 16 bits are held as
f32 and rounded after every operation, integers of less than 8 bits as i8; booleans are i1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from covector.backends.cpu import numerics
from covector.backends.cpu.numerics import calls, formats
from covector.backends.cpu.numerics.number import Cx, Number, real
from covector.backends.cpu.writer import (
    Function,
    Val,
    bool_const,
    float_const,
    int_const,
)
from covector.core import dtypes
from covector.core.dtypes import DType
from covector.numerics.num import power_chain

_TYPES: dict[Any, str] = {
    dtypes.bool_: "i1",
    **dict.fromkeys(dtypes.ROUNDED, "float"),
    dtypes.float32: "float",
    dtypes.float64: "double",
    dtypes.complex64: "float",
    dtypes.complex128: "double",
    dtypes.key_dtype: "i64",
    **{dt: f"i{dt.itemsize * 8}" for dt in dtypes.INTEGERS},  # a byte for less than eight bits
}


def register_type(dtype: DType) -> str:
    """LLVM type in which an element (or a part of a complex one) is computed."""
    return _TYPES[dtype]


def literal(value: Any, dtype: DType) -> Number:
    """A constant of the program."""
    if dtype == dtypes.bool_:
        return bool_const(bool(value))
    if dtype in dtypes.INTEGERS:
        return int_const(int(np.asarray(value).astype(dtype)), _TYPES[dtype])
    if dtype in dtypes.COMPLEX:
        value = complex(value)
        return Cx(float_const(value.real, _TYPES[dtype]), float_const(value.imag, _TYPES[dtype]))
    if dtype is dtypes.key_dtype:
        return int_const(int(value))
    with np.errstate(over="ignore"):
        return float_const(float(dtypes.cast(np.asarray(value), dtype)), _TYPES[dtype])


def fconst(v: Val, value: float) -> Val:
    """A float constant of the type of ``v``."""
    return float_const(value, v.ty)


def iconst(v: Val, value: int) -> Val:
    return int_const(value, v.ty)


# --- rounding to small floats ------------------------------------------------------------


def round_small(b: Function, v: Val, dtype: DType) -> Val:
    """``v`` (f32) rounded to the nearest value of a float type of at most 16 bits, as f32."""
    if dtype in dtypes.SMALL_FLOATS:
        return formats.decode(b, formats.encode(b, v, dtype), dtype)
    if dtype == dtypes.float16:
        return b.cast("fpext", b.cast("fptrunc", v, "half"), "float")
    return b.cast("bitcast", b.bin("shl", b.cast("zext", bf16_bits(b, v), "i32"),
                                   int_const(16, "i32")), "float")  # fmt: skip


def bf16_bits(b: Function, v: Val) -> Val:
    """The bits (i16) of f32 ``v`` rounded to nearest even as bfloat16; NaN stays NaN."""
    bits = b.cast("bitcast", v, "i32")
    odd = b.bin("and", b.bin("lshr", bits, int_const(16, "i32")), int_const(1, "i32"))
    up = b.bin("add", bits, b.bin("add", odd, int_const(0x7FFF, "i32")))
    nan = b.bin("or", bits, int_const(0x400000, "i32"))
    chosen = b.select(b.cmp("fcmp uno", v, v), nan, up)
    return b.cast("trunc", b.bin("lshr", chosen, int_const(16, "i32")), "i16")


# --- conversion --------------------------------------------------------------------------


def convert(b: Function, x: Number, src: DType, dst: DType) -> Number:
    """Conversion between element types: towards zero and saturating for float to integer."""
    if src == dst:
        return x
    if isinstance(x, Cx):
        if dst == dtypes.bool_:
            return b.bin("or", _convert(b, x.re, dtypes.float64, dst),
                         _convert(b, x.im, dtypes.float64, dst))  # fmt: skip
        part = dtypes.real_dtype(src)
        if dst in dtypes.COMPLEX:
            to = dtypes.real_dtype(dst)
            return Cx(_convert(b, x.re, part, to), _convert(b, x.im, part, to))
        return _convert(b, x.re, part, dst)
    if dst in dtypes.COMPLEX:
        re = _convert(b, x, src, dtypes.real_dtype(dst))
        return Cx(re, fconst(re, 0.0))
    return _convert(b, x, src, dst)


def _convert(b: Function, x: Val, src: DType, dst: DType) -> Val:
    """Conversion between element types of which none is complex."""
    if src == dst:
        return x
    ty = _TYPES[dst]
    if dst == dtypes.bool_:
        if x.ty in ("float", "double"):
            return b.cmp("fcmp une", x, fconst(x, 0.0))
        return b.cmp("icmp ne", x, iconst(x, 0))
    if dst in dtypes.FLOATS:
        if src in dtypes.FLOATS:
            if x.ty == "double" and dst in dtypes.ROUNDED:
                v = formats.to_odd(b, x)
            else:
                v = b.cast("fpext" if ty == "double" else "fptrunc", x, ty)
        elif dst in _BEYOND and dtypes.bits_of(src) > 24:
            v = formats.to_odd(b, _odd_double(b, x, src in dtypes.SIGNED))
        elif src == dtypes.bool_ or src in dtypes.UNSIGNED:
            v = b.cast("uitofp", x, ty)
        else:
            v = b.cast("sitofp", x, ty)
        return round_small(b, v, dst) if dst in dtypes.ROUNDED else v
    if src in dtypes.FLOATS:
        out = _float_to_int(b, x, ty, dst in dtypes.SIGNED)
        return formats.clamp(b, out, dst) if dst in dtypes.SMALL_INTEGERS else out
    width, have = int(ty[1:]), int(x.ty[1:])
    if dst in dtypes.SMALL_INTEGERS:
        return formats.wrap(b, b.cast("trunc", x, ty) if have > 8 else b.cast("zext", x, ty), dst)
    if width < have:
        return b.cast("trunc", x, ty)
    return b.cast("sext" if src in dtypes.SIGNED else "zext", x, ty)


# Small floats with numbers above 2²⁴, where integers are not all in float32.
_BEYOND = frozenset(dt for dt in dtypes.ROUNDED if float(ml_dtypes.finfo(dt).max) > 2.0**24)


def _odd_double(b: Function, x: Val, signed: bool) -> Val:
    """An integer as a double, with an odd last place where digits are lost."""
    op = "sitofp" if signed else "uitofp"
    near = b.cast(op, x, "double")
    if x.ty != "i64":
        return near
    lost = b.cmp("icmp ne", b.bin("and", x, iconst(x, 0x7FF)), iconst(x, 0))
    high = b.bin("ashr" if signed else "lshr", x, iconst(x, 11))
    kept = b.cast(op, b.bin("or", high, b.cast("zext", lost, "i64")), "double")
    small = b.cmp("fcmp olt", b.intrinsic("fabs", near), fconst(near, 2.0**53))
    return b.select(small, near, b.bin("fmul", kept, fconst(kept, 2048.0)))


def _float_to_int(b: Function, x: Val, ty: str, signed: bool) -> Val:
    if x.lanes and ty == "i32" and signed:
        return _vector_to_int32(b, x)
    suffix = {"float": "f32", "double": "f64"}[x.ty]
    op = "fptosi" if signed else "fptoui"
    it = f"v{x.lanes}{ty}" if x.lanes else ty
    ft = f"v{x.lanes}{suffix}" if x.lanes else suffix
    name = f"llvm.{op}.sat.{it}.{ft}"
    out = Val("", ty, x.lanes).type
    b.module.declare(name, out, x.type)
    return b.ins(name, f"call {out} @{name}({x.type} %s)", (x,), ty, x.lanes)


def _vector_to_int32(b: Function, x: Val) -> Val:
    """As the intrinsic, for which LLVM converts the elements of a vector one by one."""
    limit = 2.0**31
    # One comparison finds what is outside, NaN too: vectors of bits are dear to combine.
    inside = b.cmp("fcmp olt", b.intrinsic("fabs", x), fconst(x, limit))
    out = b.cast("fptosi", b.select(inside, x, fconst(x, 0.0)), "i32")
    out = b.select(b.cmp("fcmp ole", x, fconst(x, -limit)), iconst(out, -(2**31)), out)
    return b.select(b.cmp("fcmp oge", x, fconst(x, limit)), iconst(out, 2**31 - 1), out)


def bitcast_scalar(b: Function, x: Val, src: DType, dst: DType) -> Val:
    """Same bits, other type of the same width (neither complex)."""
    bits = to_bits(b, x, src)
    return from_bits(b, bits, dst)


def to_bits(b: Function, x: Val, dtype: DType) -> Val:
    """The stored form of an element as an integer."""
    if dtype == dtypes.bool_:
        return b.cast("zext", x, "i8")
    if dtype in dtypes.SMALL_INTEGERS:
        return formats.masked(b, x, dtype)
    if dtype in dtypes.SMALL_FLOATS:
        return formats.encode(b, x, dtype)
    if dtype == dtypes.bfloat16:
        return bf16_bits(b, x)
    if dtype == dtypes.float16:
        return b.cast("bitcast", b.cast("fptrunc", x, "half"), "i16")
    if dtype in dtypes.FLOATS:
        return b.cast("bitcast", x, f"i{dtype.itemsize * 8}")
    return x


def from_bits(b: Function, bits: Val, dtype: DType) -> Val:
    if dtype == dtypes.bool_:
        return b.cmp("icmp ne", bits, iconst(bits, 0))
    if dtype in dtypes.SMALL_INTEGERS:
        return formats.wrap(b, bits, dtype)
    if dtype in dtypes.SMALL_FLOATS:
        return formats.decode(b, bits, dtype)
    if dtype == dtypes.bfloat16:
        wide = b.bin("shl", b.cast("zext", bits, "i32"), int_const(16, "i32"))
        return b.cast("bitcast", wide, "float")
    if dtype == dtypes.float16:
        return b.cast("fpext", b.cast("bitcast", bits, "half"), "float")
    if dtype in dtypes.FLOATS:
        return b.cast("bitcast", bits, _TYPES[dtype])
    return bits


# --- integers ----------------------------------------------------------------------------


def _int_div(b: Function, x: Val, y: Val, signed: bool, rem: bool) -> Val:
    """Quotient or remainder towards zero; x/0 = -1 and x%0 = x, MIN/-1 = MIN, never a trap."""
    zero = b.cmp("icmp eq", y, iconst(y, 0))
    one = iconst(y, 1)
    if not signed:
        safe = b.select(zero, one, y)
        if rem:
            return b.select(zero, x, _whole_quotient(b, x, safe, signed, rem))
        return b.select(zero, iconst(x, -1), _whole_quotient(b, x, safe, signed, rem))
    minus = b.cmp("icmp eq", y, iconst(y, -1))
    safe = b.select(b.bin("or", zero, minus), one, y)
    if rem:
        r = _whole_quotient(b, x, safe, signed, rem)
        return b.select(zero, x, b.select(minus, iconst(x, 0), r))
    q = _whole_quotient(b, x, safe, signed, rem)
    neg = b.bin("sub", iconst(x, 0), x)
    return b.select(zero, iconst(x, -1), b.select(minus, neg, q))


def _whole_quotient(b: Function, x: Val, y: Val, signed: bool, rem: bool) -> Val:
    """Quotient or remainder where both are defined; those of vectors by floats.

    The reciprocal is made greater by more than what rounding loses, and by less than what a
    quotient lacks to the next whole number.
    """
    width, s = int(x.ty[1:]), "s" if signed else "u"
    if not x.lanes or width > 32:
        return b.bin(s + ("rem" if rem else "div"), x, y)
    ty, more = ("double", 2.0**-50) if width == 32 else ("float", 2.0**-20)
    divisor = b.cast(f"{s}itofp", y, ty)
    reciprocal = b.bin("fdiv", fconst(divisor, 1.0 + more), divisor)
    q = b.bin("fmul", b.cast(f"{s}itofp", x, ty), reciprocal)
    q = b.cast(f"fpto{s}i", q, x.ty)
    return b.bin("sub", x, b.bin("mul", q, y)) if rem else q


def _shift(b: Function, op: str, x: Val, y: Val) -> Val:
    width = int(x.ty[1:])
    ok = b.cmp("icmp ult", y, iconst(y, width))
    safe = b.select(ok, y, iconst(y, width - 1))
    out = b.bin(op, x, safe)
    return out if op == "ashr" else b.select(ok, out, iconst(x, 0))


def _int_pow(b: Function, x: Val, y: Val, signed: bool, ydtype: DType) -> Val:
    """Power by repeated squaring over the bits of the exponent; x**-n as 1/x**n truncated."""
    acc, base = iconst(x, 1), x
    width = int(y.ty[1:])
    for k in range(width):
        bit = b.bin("and", b.bin("lshr", y, iconst(y, k)), iconst(y, 1))
        odd = b.cmp("icmp ne", bit, iconst(y, 0))
        acc = b.select(odd, b.bin("mul", acc, base), acc)
        base = b.bin("mul", base, base)
    if ydtype in dtypes.SIGNED:
        negative = b.cmp("icmp slt", y, iconst(y, 0))
        odd = b.cmp("icmp ne", b.bin("and", y, iconst(y, 1)), iconst(y, 0))
        one = b.cmp("icmp eq", x, iconst(x, 1))
        recip = b.select(one, iconst(x, 1), iconst(x, 0))
        if signed:
            minus = b.cmp("icmp eq", x, iconst(x, -1))
            sign = b.select(odd, iconst(x, -1), iconst(x, 1))
            recip = b.select(minus, sign, recip)
        acc = b.select(negative, recip, acc)
    return acc


def _mulhi(b: Function, x: Val, y: Val, signed: bool) -> Val:
    width = int(x.ty[1:])
    wide, ext = f"i{2 * width}", "sext" if signed else "zext"
    p = b.bin("mul", b.cast(ext, x, wide), b.cast(ext, y, wide))
    return b.cast("trunc", b.bin("lshr", p, int_const(width, wide)), x.ty)


def _integer(b: Function, name: str, a: list[Val], dtype: DType, attr: Any, in_dtype: DType) -> Val:
    x = a[0]
    signed = in_dtype in dtypes.SIGNED
    s = "s" if signed else "u"
    match name:
        case "add" | "sub" | "mul" | "and" | "or" | "xor":
            return b.bin(name, x, a[1])
        case "add_any":
            return b.bin("add", x, a[1])
        case "div":
            return _int_div(b, x, a[1], signed, rem=False)
        case "rem":
            return _int_div(b, x, a[1], signed, rem=True)
        case "neg":
            return b.bin("sub", iconst(x, 0), x)
        case "not":
            return b.bin("xor", x, bool_const(True) if x.ty == "i1" else iconst(x, -1))
        case "abs":
            if not signed:
                return x
            return b.select(b.cmp("icmp slt", x, iconst(x, 0)), b.bin("sub", iconst(x, 0), x), x)
        case "sign":
            zero = iconst(x, 0)
            pos = b.select(b.cmp(f"icmp {s}gt", x, zero), iconst(x, 1), zero)
            return b.select(b.cmp("icmp slt", x, zero), iconst(x, -1), pos) if signed else pos
        case "max" | "min":
            if x.ty == "i1":
                return b.bin("or" if name == "max" else "and", x, a[1])
            return b.intrinsic(f"{s}{name}", x, a[1])
        case "square":
            return b.bin("mul", x, x)
        case "integer_pow":
            return power_chain(lambda p, q: b.bin("mul", p, q), x, attr, iconst(x, 1))
        case "pow":
            return _int_pow(b, x, a[1], signed, in_dtype)
        case "mulhi":
            return _mulhi(b, x, a[1], signed)
        case "floor" | "ceil" | "round" | "real" | "conj":
            return x
        case "threefry":
            return _threefry(b, *a)[attr]
    return _bits(b, name, a, dtype, attr)


def _bits(b: Function, name: str, a: list[Val], dtype: DType, attr: Any) -> Val:
    """Operations on the bits of integers."""
    x = a[0]
    match name:
        case "shift_left":
            return _shift(b, "shl", x, a[1])
        case "shift_right_logical":
            return _shift(b, "lshr", x, a[1])
        case "shift_right_arithmetic":
            return _shift(b, "ashr", x, a[1])
        case "population_count":
            return b.intrinsic("ctpop", x)
        case "clz":
            return b.intrinsic("ctlz", x, extra="i1 false")
        case "rotate_left":
            return b.intrinsic("fshl", x, x, iconst(x, attr))
    raise NotImplementedError(f"{name} of {dtype.name} has no CPU lowering")


def _threefry(b: Function, k0: Val, k1: Val, x0: Val, x1: Val) -> tuple[Val, Val]:
    """Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers", SC 2011)."""
    key = (k0, k1, b.bin("xor", b.bin("xor", k0, k1), iconst(k0, 0x1BD11BDA)))
    x0, x1 = b.bin("add", x0, key[0]), b.bin("add", x1, key[1])
    for i in range(5):
        for r in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            x0 = b.bin("add", x0, x1)
            x1 = b.bin("xor", x0, b.intrinsic("fshl", x1, x1, iconst(x1, r)))
        x0 = b.bin("add", x0, key[(i + 1) % 3])
        x1 = b.bin("add", b.bin("add", x1, key[(i + 2) % 3]), iconst(x1, i + 1))
    return x0, x1


# --- floats ------------------------------------------------------------------------------

_FLOAT_BIN = {
    "add": "fadd contract",
    "add_any": "fadd contract",
    "mul": "fmul contract",
}
_FLOAT_CMP = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}
_INT_CMP = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}


# By type: exponent bits to the right of the sign, mantissa bits, and the exponents between which
# no step of `_divide` overflows, underflows or is subnormal.
_SAFE = {"float": (8, 23, 60), "double": (11, 52, 400)}


def _divide(b: Function, x: Val, y: Val) -> Val:
    """``x / y``, correctly rounded; several times faster where ``y`` is the same in a whole loop.

    The quotient by the reciprocal is corrected twice by its remainder, which makes it exact
    (P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor",
    1990, theorem 8). Vectors with a number out of the safe range (zero too) are divided.
    """
    x, y = b.local(x), b.local(y)
    invariant = y.level < b.level and y.lanes == 0
    if not invariant or not x.lanes or x.level < b.level or _power_of_two(y):
        return b.bin("fdiv", x, y)
    exponent, mantissa, safe = _SAFE[x.ty]
    ity, lanes = f"i{exponent + mantissa + 1}", x.lanes
    bias = (1 << (exponent - 1)) - 1
    low, span = (bias - safe) << (mantissa + 1), 2 * safe << (mantissa + 1)

    def above(v: Val) -> Val:
        twice = b.bin("shl", b.cast("bitcast", v, ity), int_const(1, ity))
        return b.bin("sub", twice, int_const(low, ity))

    # No vector is within an empty span.
    ok = b.cmp("icmp ult", above(y), int_const(span, ity))
    limit = b.select(ok, int_const(span, ity), int_const(0, ity))
    out = b.cmp("icmp uge", above(x), limit)
    usual = b.no_lane(out)
    reciprocal, minus = b.bin("fdiv", fconst(y, 1.0), y), b.un("fneg", y)
    q = b.bin("fmul", x, reciprocal)
    for _ in range(2):
        q = b.intrinsic("fma", b.intrinsic("fma", q, minus, x), reciprocal, q)
    y = b.splat(y, lanes)
    exact = f"fdiv {x.type} {x.ref}, {y.ref}"
    return b.usually(usual, [q], lambda: [b.impure(exact, x.ty, lanes)])[0]


def _power_of_two(y: Val) -> bool:
    """Whether ``y`` is a constant whose reciprocal is exact, so that LLVM multiplies by it."""
    return y.fn is None and y.ref.endswith("0000000000000")


def _nextafter(b: Function, x: Val, y: Val) -> Val:
    ity = "i32" if x.ty == "float" else "i64"
    sign = -(1 << (31 if ity == "i32" else 63))
    bits, zero = b.cast("bitcast", x, ity), fconst(x, 0.0)
    up = b.cmp("fcmp ogt", y, x)
    positive = b.cmp("icmp sge", bits, int_const(0, ity))
    step = b.select(b.bin("xor", up, positive), int_const(-1, ity), int_const(1, ity))
    moved = b.bin("add", bits, step)
    tiny_sign = b.select(up, int_const(0, ity), int_const(sign, ity))
    tiny = b.bin("or", tiny_sign, int_const(1, ity))
    out = b.cast("bitcast", b.select(b.cmp("fcmp oeq", x, zero), tiny, moved), x.ty)
    out = b.select(b.cmp("fcmp oeq", x, y), y, out)
    return b.select(b.cmp("fcmp uno", x, y), b.bin("fadd", x, y), out)


def float_max(b: Function, x: Val, y: Val, low: bool = False) -> Val:
    """Maximum (or minimum) that is NaN if either operand is; -0 is below +0."""
    return b.intrinsic("minimum" if low else "maximum", x, y)


def _float(b: Function, name: str, a: list[Val], dtype: DType, attr: Any) -> Val:
    x = a[0]
    if name in _FLOAT_BIN:
        return b.bin(_FLOAT_BIN[name], x, a[1])
    match name:
        case "sub":
            return b.difference(x, a[1])
        case "div":
            return _divide(b, x, a[1])
        case "neg":
            return b.un("fneg", x)
        case "abs":
            return b.intrinsic("fabs", b.unsigned(x))
        case "square":
            x = b.unsigned(x)
            return b.bin("fmul contract", x, x)
        case "sqrt":
            return b.intrinsic("sqrt", x)
        case "rsqrt":
            return b.bin("fdiv", fconst(x, 1.0), b.intrinsic("sqrt", x))
        case "max":
            return float_max(b, x, a[1])
        case "min":
            return float_max(b, x, a[1], low=True)
        case "floor" | "ceil":
            return b.intrinsic(name, x)
        case "round":
            return b.intrinsic("roundeven" if attr == 1 else "round", x)
        case "sign":
            minus = b.select(b.cmp("fcmp olt", x, fconst(x, 0.0)), fconst(x, -1.0), x)
            return b.select(b.cmp("fcmp ogt", x, fconst(x, 0.0)), fconst(x, 1.0), minus)
        case "rem":
            return b.bin("frem", x, a[1])
        case "integer_pow":
            mul = lambda p, q: b.bin("fmul contract", p, q)  # noqa: E731
            x = x if attr % 2 else b.unsigned(x)
            out = power_chain(mul, x, abs(attr), fconst(x, 1.0))
            return b.bin("fdiv", fconst(x, 1.0), out) if attr < 0 else out
        case "nextafter":
            return _nextafter(b, x, a[1])
        case "real" | "conj" | "copy":
            return x
        case "reduce_precision":
            return _reduce_precision(b, x, *attr)
    return calls.call(b, name, *a, orders=attr)


def _reduce_precision(b: Function, x: Val, exponent_bits: int, mantissa_bits: int) -> Val:
    """``x`` rounded to a float format with fewer exponent and mantissa bits."""
    double = x.ty == "double"
    ity, full_m, full_e = ("i64", 52, 11) if double else ("i32", 23, 8)
    if mantissa_bits >= full_m and exponent_bits >= full_e:
        # Rounded as it is: a product becomes no part of a fused multiply-add.
        return b.intrinsic("arithmetic.fence", x)
    out = x
    bits = b.cast("bitcast", x, ity)
    if mantissa_bits < full_m:
        drop = full_m - mantissa_bits
        odd = b.bin("and", b.bin("lshr", bits, int_const(drop, ity)), int_const(1, ity))
        bias = b.bin("add", odd, int_const((1 << (drop - 1)) - 1, ity))
        bits = b.bin("and", b.bin("add", bits, bias), int_const(-(1 << drop), ity))
        out = b.cast("bitcast", bits, x.ty)
    if exponent_bits < full_e:
        emax = (1 << (exponent_bits - 1)) - 1
        huge = float_const(float(2.0**emax * (2 - 2.0**-mantissa_bits)), x.ty)
        tiny = float_const(float(2.0 ** (1 - emax)), x.ty)
        mag = b.intrinsic("fabs", out)
        inf = b.intrinsic("copysign", fconst(x, float("inf")), x)
        zero = b.intrinsic("copysign", fconst(x, 0.0), x)
        out = b.select(b.cmp("fcmp ogt", mag, huge), inf, out)
        out = b.select(b.cmp("fcmp olt", mag, tiny), zero, out)
    return b.select(b.cmp("fcmp uno", x, x), x, out)


def _compare(b: Function, name: str, x: Val, y: Val, dtype: DType) -> Val:
    if x.ty in ("float", "double"):
        return b.cmp(f"fcmp {_FLOAT_CMP[name]}", x, y)
    op = _INT_CMP[name]
    if op not in ("eq", "ne"):
        op = ("s" if dtype in dtypes.SIGNED else "u") + op
    return b.cmp(f"icmp {op}", x, y)


# --- the one entry point -----------------------------------------------------------------


def select(b: Function, c: Val, x: Number, y: Number) -> Number:
    """``x if c else y``."""
    if isinstance(x, Cx):
        assert isinstance(y, Cx)
        return Cx(b.select(c, x.re, y.re), b.select(c, x.im, y.im))
    return b.select(c, x, real(y))


def apply(
    b: Function, name: str, args: Sequence[Number], in_dtypes: Sequence[DType], dtype: DType,
    attr: Any,
) -> Number:  # fmt: skip
    """The operation ``name`` on numbers of ``in_dtypes``, giving one of ``dtype``."""
    src = in_dtypes[0]
    match name:
        case "convert_element_type":
            return convert(b, args[0], src, dtype)
        case "select_n":
            return _select_n(b, real(args[0]), args[1:], src)
        case "copy":
            return args[0]
        case "clamp":
            lo, x, hi = args
            low = apply(b, "max", [x, lo], in_dtypes[:2], dtype, None)
            return apply(b, "min", [low, hi], in_dtypes[:2], dtype, None)
    if src in dtypes.COMPLEX:
        number: Number = numerics.complex_math.emit(
            b, name, [x for x in args if isinstance(x, Cx)], attr
        )
        return number
    reals = [x for x in args if isinstance(x, Val)]
    if name == "complex":
        return Cx(*reals)
    return _real(b, name, reals, src, dtype, attr)


def _select_n(b: Function, which: Val, cases: Sequence[Number], dtype: DType) -> Number:
    if dtype == dtypes.bool_:
        return select(b, which, cases[1], cases[0])
    out = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        out = select(b, b.cmp("icmp sle", which, iconst(which, k)), cases[k], out)
    return out


def _real(b: Function, name: str, args: list[Val], src: DType, dtype: DType, attr: Any) -> Number:
    """An operation on numbers of which none is complex."""
    x = args[0]
    if name == "bitcast_convert_type":
        return bitcast_scalar(b, x, src, dtype)
    if name in _FLOAT_CMP:
        return _compare(b, name, x, args[1], src)
    if name == "is_finite":
        if x.ty not in ("float", "double"):
            return bool_const(True)
        return b.cmp("fcmp olt", b.intrinsic("fabs", x), fconst(x, float("inf")))
    if src in dtypes.FLOATS:
        if name == "imag":
            return fconst(x, 0.0)
        if name == "conj" and dtype in dtypes.COMPLEX:
            return Cx(x, fconst(x, 0.0))
        if name == "nextafter" and src in dtypes.ROUNDED:
            return _nextafter_small(b, x, args[1], src)
        out = _float(b, name, args, dtype, attr)
        return round_small(b, out, dtype) if dtype in dtypes.ROUNDED else out
    if src in dtypes.SMALL_INTEGERS:
        return _small_integer(b, name, args, dtype, attr, src)
    return _integer(b, name, args, dtype, attr, src)


def _small_integer(
    b: Function, name: str, args: list[Val], dtype: DType, attr: Any, src: DType
) -> Number:
    """An operation on integers of less than 8 bits, which are held as i8."""
    if name in ("shift_right_logical", "population_count", "clz"):
        args = [formats.masked(b, args[0], src), *args[1:]]
    out = _integer(b, name, args, dtype, attr, src)
    if name == "clz":
        out = b.bin("sub", real(out), iconst(real(out), 8 - dtypes.bits_of(src)))
    return formats.wrap(b, real(out), dtype) if dtype in dtypes.SMALL_INTEGERS else out


def _nextafter_small(b: Function, x: Val, y: Val, dtype: DType) -> Val:
    bits = to_bits(b, x, dtype)
    up = b.cmp("fcmp ogt", y, x)
    sign = 1 << (dtypes.bits_of(dtype) - 1)
    sign = -sign if sign == 1 << (int(bits.ty[1:]) - 1) else sign  # as an integer of this type
    positive = b.cmp("icmp eq", b.bin("and", bits, iconst(bits, sign)), iconst(bits, 0))
    if dtype in dtypes.SMALL_FLOATS and formats.unsigned(dtype):
        positive = bool_const(True)
    step = b.select(b.bin("xor", up, positive), iconst(bits, -1), iconst(bits, 1))
    moved = b.bin("add", bits, step)
    tiny = b.bin("or", b.select(up, iconst(bits, 0), iconst(bits, sign)), iconst(bits, 1))
    moved = b.select(b.cmp("fcmp oeq", x, fconst(x, 0.0)), tiny, moved)
    if dtype in dtypes.SMALL_FLOATS:
        moved = formats.kept(b, bits, moved, dtype)
    out = from_bits(b, moved, dtype)
    out = b.select(b.cmp("fcmp oeq", x, y), y, out)
    return b.select(b.cmp("fcmp uno", x, y), b.bin("fadd", x, y), out)
