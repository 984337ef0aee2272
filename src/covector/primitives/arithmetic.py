"""Arithmetic: sums, products, quotients, extrema, rounding, signs, parts of complex numbers."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.definers import (
    def_jvp,
    def_jvp_linear,
    def_jvp_out,
    def_jvp_zero,
    def_vectorized,
)
from covector.core.operands import like, scalar
from covector.core.rules import UndefinedPrimal, Zero, check_linear, transpose_rules
from covector.core.structural import convert_element_type, sum_to
from covector.core.trace import Primitive
from covector.primitives.common import (
    ANY,
    COMPLEX,
    FLOAT,
    INEXACT,
    INTEGER,
    NUMERIC,
    REAL,
    binary,
    check_dtype,
    elementwise_aval,
    unary,
)
from covector.primitives.compare import eq, gt, lt
from covector.primitives.select import select


def _conj_dtype(dtype: Any) -> Any:
    return dtypes.complex_dtype(dtype)


add_p = binary("add", NUMERIC)
sub_p = binary("sub", NUMERIC)
mul_p = binary("mul", NUMERIC)
div_p = binary("div", NUMERIC)
rem_p = binary("rem", REAL)
max_p = binary("max", ANY)
min_p = binary("min", ANY)
nextafter_p = binary("nextafter", FLOAT)
mulhi_p = binary("mulhi", INTEGER)
neg_p = unary("neg", NUMERIC)
sign_p = unary("sign", NUMERIC)
floor_p = unary("floor", FLOAT)
ceil_p = unary("ceil", FLOAT)
round_p = unary("round", FLOAT)
is_finite_p = unary("is_finite", FLOAT, dtypes.bool_)
square_p = unary("square", NUMERIC)
integer_pow_p = unary("integer_pow", NUMERIC)
abs_p = unary("abs", NUMERIC, dtypes.real_dtype)
real_p = unary("real", COMPLEX, dtypes.real_dtype)
imag_p = unary("imag", COMPLEX, dtypes.real_dtype)
conj_p = unary("conj", INEXACT, _conj_dtype)

complex_p = Primitive("complex")


@complex_p.def_abstract_eval
def _complex_aval(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        check_dtype("complex", x, FLOAT)
        raise TypeError(f"complex takes float32 or float64 operands, got {x.str_short()}")
    return elementwise_aval("complex", (x, y), dtypes.complex_dtype(x.dtype))


def_vectorized(complex_p)


# --- constructors: what rules bind ---------------------------------------------------------

add, sub, mul, div = add_p.bind, sub_p.bind, mul_p.bind, div_p.bind
max, min, complex = max_p.bind, min_p.bind, complex_p.bind
neg, sign, floor, abs = neg_p.bind, sign_p.bind, floor_p.bind, abs_p.bind
real, imag, square = real_p.bind, imag_p.bind, square_p.bind


def conj(x: Any) -> Any:
    """Complex conjugate; the result is complex for real operands too."""
    return conj_p.bind(x, input_dtype=aval_of(x).dtype)


def neg_of(x: Any) -> Any:
    return neg(x)


# --- derivatives -------------------------------------------------------------------------

def_jvp(add_p, lambda g, x, y: g, lambda g, x, y: g)


def_jvp(sub_p, lambda g, x, y: g, lambda g, x, y: neg_of(g))


def_jvp(mul_p, lambda g, x, y: mul(g, y), lambda g, x, y: mul(x, g))


def_jvp(
    div_p,
    lambda g, x, y: div(g, y),
    lambda g, x, y: mul(neg_of(g), div(div(x, y), y)),
)


def _add_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(ct, x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(ct, y.aval) if type(y) is UndefinedPrimal else None,
    ]


def _sub_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(ct, x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(neg_of(ct), y.aval) if type(y) is UndefinedPrimal else None,
    ]


def _mul_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(x) is UndefinedPrimal:
        check_linear("mul", y)
        return [sum_to(mul(ct, y), x.aval), None]
    return [None, sum_to(mul(x, ct), y.aval)]


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    check_linear("div", y)
    return [sum_to(div(ct, y), x.aval), None]


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(real(ct), x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(imag(neg(ct)), y.aval) if type(y) is UndefinedPrimal else None,
    ]


transpose_rules[add_p] = _add_transpose


transpose_rules[sub_p] = _sub_transpose


transpose_rules[mul_p] = _mul_transpose


transpose_rules[div_p] = _div_transpose


transpose_rules[complex_p] = _complex_transpose


def _complex_jvp_x(g: Any, x: Any, y: Any) -> Any:
    return complex(g, scalar(0.0, aval_of(g).dtype))


def _complex_jvp_y(g: Any, x: Any, y: Any) -> Any:
    return complex(scalar(0.0, aval_of(g).dtype), g)


def_jvp(complex_p, _complex_jvp_x, _complex_jvp_y)


def _rem_jvp_y(g: Any, x: Any, y: Any) -> Any:
    # rem truncates: x - y * trunc(x / y).
    q = div(x, y)
    trunc = mul(sign(q), floor(_abs(q)))
    return mul(neg_of(g), trunc)


def _abs(x: Any) -> Any:
    return abs(x)


def_jvp(rem_p, lambda g, x, y: g, _rem_jvp_y)


def _share(x: Any, y: Any, larger: bool) -> Any:
    """The part of ``x`` in the derivative of a maximum: 1, 0, or a half where equal."""
    dt = aval_of(x).dtype
    wins = gt(x, y) if larger else lt(x, y)
    half = select(eq(x, y), scalar(0.5, dt), scalar(0.0, dt))
    return select(wins, scalar(1.0, dt), half)


def_jvp(
    max_p,
    lambda g, x, y: mul(g, _share(x, y, True)),
    lambda g, x, y: mul(g, _share(y, x, True)),
)


def_jvp(
    min_p,
    lambda g, x, y: mul(g, _share(x, y, False)),
    lambda g, x, y: mul(g, _share(y, x, False)),
)


for _p in (nextafter_p, mulhi_p):
    def_jvp_zero(_p)


def _linear(prim: Primitive, transpose: Any) -> None:
    def_jvp_linear(prim)
    transpose_rules[prim] = lambda ct, x, **params: [transpose(ct)]


_linear(neg_p, neg)


_linear(real_p, lambda ct: complex(ct, like(0.0, ct)))


_linear(imag_p, lambda ct: complex(like(0.0, ct), neg(ct)))


def_jvp_linear(conj_p)


def _conj_transpose(ct: Any, x: Any, *, input_dtype: Any) -> list[Any]:
    out = conj(ct)
    return [out if dtypes.is_complex(input_dtype) else real(out)]


transpose_rules[conj_p] = _conj_transpose


for _p in (floor_p, ceil_p, round_p, is_finite_p):
    def_jvp_zero(_p)


def _sign_jvp(g: Any, out: Any, x: Any) -> Any:
    # d(x/|x|) = (g - s² conj(g)) / (2|x|); zero for real numbers.
    if not dtypes.is_complex(aval_of(x).dtype):
        return Zero(aval_of(x))
    s = out
    num = sub(g, mul(mul(s, s), conj(g)))
    size = abs(x)
    return div(num, convert_element_type(mul(size, like(2.0, size)), aval_of(x).dtype))


def_jvp_out(sign_p, _sign_jvp)


def_jvp(square_p, lambda g, x: mul(g, mul(like(2.0, x), x)))


def _integer_pow_jvp(g: Any, x: Any, *, y: int) -> Any:
    if y == 0:
        return mul(g, like(0.0, x))
    power = x if y == 2 else integer_pow_p.bind(x, y=y - 1)
    return mul(g, mul(like(float(y), x), power))


def_jvp(integer_pow_p, _integer_pow_jvp)


def _abs_jvp(g: Any, out: Any, x: Any) -> Any:
    if not dtypes.is_complex(aval_of(x).dtype):
        return mul(g, sign(x))
    # Re(conj(x) g) / |x|, and 0 at the origin.
    safe = select(eq(out, like(0.0, out)), like(1.0, out), out)
    return div(real(mul(g, conj(x))), safe)


def_jvp_out(abs_p, _abs_jvp)
