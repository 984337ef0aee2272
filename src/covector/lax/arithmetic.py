"""Binary arithmetic: primitives with their rules, and the functions that bind them."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.structural import convert_element_type
from covector.core.trace import Primitive
from covector.lax._common import (
    ANY,
    FLOAT,
    INEXACT,
    INTEGER,
    NUMERIC,
    REAL,
    as_operand,
    check_dtype,
    elementwise_aval,
    match,
    scalar,
)
from covector.lax._elementwise import binary
from covector.transforms.jvp import def_jvp, def_jvp_zero
from covector.transforms.transpose import UndefinedPrimal, sum_to, transpose_rules
from covector.transforms.vmap import def_vectorized

add_p = binary("add", NUMERIC)
sub_p = binary("sub", NUMERIC)
mul_p = binary("mul", NUMERIC)
div_p = binary("div", NUMERIC)
rem_p = binary("rem", REAL)
max_p = binary("max", ANY)
min_p = binary("min", ANY)
atan2_p = binary("atan2", INEXACT)
nextafter_p = binary("nextafter", FLOAT)
mulhi_p = binary("mulhi", INTEGER)

pow_p = binary("pow", INEXACT)
complex_p = Primitive("complex")


@complex_p.def_abstract_eval
def _complex_aval(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        check_dtype("complex", x, FLOAT)
        raise TypeError(f"complex takes float32 or float64 operands, got {x.str_short()}")
    return elementwise_aval("complex", (x, y), dtypes.complex_dtype(x.dtype))


def_vectorized(complex_p)


def add(x: Any, y: Any) -> Any:
    """Elementwise sum :math:`x + y`; operands of one dtype and shape, or scalars."""
    return add_p.bind(*match("add", x, y))


def sub(x: Any, y: Any) -> Any:
    """Elementwise difference :math:`x - y`."""
    return sub_p.bind(*match("sub", x, y))


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """Elementwise product; ``out_dtype`` converts the operands first."""
    if out_dtype is not None:
        dt = dtypes.canonicalize_dtype(out_dtype)
        x, y = convert_element_type(x, dt), convert_element_type(y, dt)
    return mul_p.bind(*match("mul", x, y))


def div(x: Any, y: Any) -> Any:
    """Elementwise quotient; of integers, rounded towards zero."""
    return div_p.bind(*match("div", x, y))


def rem(x: Any, y: Any) -> Any:
    """Remainder of the division rounded towards zero: it has the sign of ``x``."""
    return rem_p.bind(*match("rem", x, y))


def max(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise maximum; NaN where an operand is NaN; complex in lexicographic order."""
    return max_p.bind(*match("max", x, y))


def min(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise minimum; NaN where an operand is NaN; complex in lexicographic order."""
    return min_p.bind(*match("min", x, y))


def pow(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise power :math:`x^y` of floats or complex numbers; integer ``y`` is allowed."""
    x, y = as_operand(x, "pow"), as_operand(y, "pow")
    dt = aval_of(x).dtype
    if dt in dtypes.INEXACT and aval_of(y).dtype in dtypes.INTEGERS and type(y) is not int:
        y = convert_element_type(y, dt)
    return pow_p.bind(*match("pow", x, y))


def atan2(x: Any, y: Any) -> Any:
    """Angle of the point ``(y, x)``: arc tangent of ``x / y`` in the right quadrant."""
    return atan2_p.bind(*match("atan2", x, y))


def nextafter(x1: Any, x2: Any) -> Any:
    """The next float after ``x1`` in the direction of ``x2``."""
    return nextafter_p.bind(*match("nextafter", x1, x2))


def mulhi(x: Any, y: Any, /) -> Any:
    """Upper half of the double-width product of two integers."""
    return mulhi_p.bind(*match("mulhi", x, y))


def complex(x: Any, y: Any) -> Any:  # noqa: A001
    """The complex number :math:`x + iy`."""
    return complex_p.bind(*match("complex", x, y))


def neg_of(x: Any) -> Any:
    from covector.lax.unary import neg

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
        return [sum_to(mul(ct, y), x.aval), None]
    return [None, sum_to(mul(x, ct), y.aval)]


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [sum_to(div(ct, y), x.aval), None]


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    from covector.lax.unary import imag, neg, real

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
    from covector.lax.unary import floor, sign

    # rem truncates: x - y * trunc(x / y).
    q = div(x, y)
    trunc = mul(sign(q), floor(_abs(q)))
    return mul(neg_of(g), trunc)


def _abs(x: Any) -> Any:
    from covector.lax.unary import abs

    return abs(x)


def_jvp(rem_p, lambda g, x, y: g, _rem_jvp_y)


def _share(x: Any, y: Any, larger: bool) -> Any:
    """The part of ``x`` in the derivative of a maximum: 1, 0, or a half where equal."""
    from covector.lax.compare import eq, gt, lt
    from covector.lax.select import select

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


def _atan2_jvp_x(g: Any, x: Any, y: Any) -> Any:
    return mul(g, div(y, add(mul(x, x), mul(y, y))))


def _atan2_jvp_y(g: Any, x: Any, y: Any) -> Any:
    return mul(g, div(neg_of(x), add(mul(x, x), mul(y, y))))


def_jvp(atan2_p, _atan2_jvp_x, _atan2_jvp_y)


def _pow_jvp_x(g: Any, x: Any, y: Any) -> Any:
    from covector.lax.compare import eq
    from covector.lax.select import select

    ydt = aval_of(y).dtype
    one, zero = scalar(1, ydt), scalar(0, ydt)
    # y * x**(y-1), with the exponent 1 where y is 0, so that 0 * inf does not arise.
    at_zero = eq(y, zero)
    jac = mul(y, pow(x, select(at_zero, one, sub(y, one))))
    return mul(g, jac)


def _pow_jvp_y(g: Any, x: Any, y: Any) -> Any:
    from covector.lax.compare import eq, gt
    from covector.lax.select import select
    from covector.lax.unary import log, real

    dt = aval_of(x).dtype
    # At x = 0 the derivative log(0) * 0**y is 0 for y > 0, where the product would be NaN.
    zero, one = scalar(0.0, dt), scalar(1.0, dt)
    at_zero = eq(x, zero)
    y_real = real(y) if dtypes.is_complex(dt) else y
    log_x = log(select(at_zero, one, x))
    limit = select(gt(y_real, scalar(0.0, aval_of(y_real).dtype)), zero, log(zero))
    jac = mul(select(at_zero, limit, log_x), pow(x, y))
    return mul(g, jac)


def_jvp(pow_p, _pow_jvp_x, _pow_jvp_y)
for _p in (nextafter_p, mulhi_p):
    def_jvp_zero(_p)
