"""Elementwise functions of one operand: primitives with their rules, and the public functions."""

from __future__ import annotations

import enum
import math
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line
from covector.core.structural import convert_element_type
from covector.core.trace import Primitive
from covector.lax._common import (
    COMPLEX,
    FLOAT,
    INEXACT,
    NUMERIC,
    PY_SCALARS,
    as_operand,
    check_dtype,
    scalar,
)
from covector.lax._elementwise import unary
from covector.lax.arithmetic import add, complex, div, mul, sub
from covector.lax.compare import eq
from covector.lax.select import select
from covector.transforms.jvp import def_jvp, def_jvp_linear, def_jvp_out, def_jvp_zero
from covector.transforms.transpose import transpose_rules


class RoundingMethod(enum.IntEnum):
    """Where `round` sends halves: away from zero, or to the even neighbour."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def _conj_dtype(dtype: Any) -> Any:
    return dtypes.complex_dtype(dtype)


neg_p = unary("neg", NUMERIC)
sign_p = unary("sign", NUMERIC)
floor_p = unary("floor", FLOAT)
ceil_p = unary("ceil", FLOAT)
round_p = unary("round", FLOAT)
is_finite_p = unary("is_finite", FLOAT, dtypes.bool_)
exp_p = unary("exp", INEXACT)
exp2_p = unary("exp2", INEXACT)
log_p = unary("log", INEXACT)
log1p_p = unary("log1p", INEXACT)
expm1_p = unary("expm1", INEXACT)
sin_p = unary("sin", INEXACT)
cos_p = unary("cos", INEXACT)
tan_p = unary("tan", INEXACT)
asin_p = unary("asin", INEXACT)
acos_p = unary("acos", INEXACT)
atan_p = unary("atan", INEXACT)
sinh_p = unary("sinh", INEXACT)
cosh_p = unary("cosh", INEXACT)
tanh_p = unary("tanh", INEXACT)
asinh_p = unary("asinh", INEXACT)
acosh_p = unary("acosh", INEXACT)
atanh_p = unary("atanh", INEXACT)
sqrt_p = unary("sqrt", INEXACT)
rsqrt_p = unary("rsqrt", INEXACT)
cbrt_p = unary("cbrt", FLOAT)
square_p = unary("square", NUMERIC)
integer_pow_p = unary("integer_pow", NUMERIC)
logistic_p = unary("logistic", INEXACT)
abs_p = unary("abs", NUMERIC, dtypes.real_dtype)
real_p = unary("real", COMPLEX, dtypes.real_dtype)
imag_p = unary("imag", COMPLEX, dtypes.real_dtype)
conj_p = unary("conj", INEXACT, _conj_dtype)


def neg(x: Any) -> Any:
    """Elementwise negation :math:`-x`."""
    return neg_p.bind(as_operand(x, "neg"))


def sign(x: Any) -> Any:
    """Elementwise sign: -1, 0 or 1; :math:`x/|x|` for complex numbers."""
    return sign_p.bind(as_operand(x, "sign"))


def floor(x: Any) -> Any:
    """Elementwise largest integer not above ``x``, as a float."""
    return floor_p.bind(as_operand(x, "floor"))


def ceil(x: Any) -> Any:
    """Elementwise smallest integer not below ``x``, as a float."""
    return ceil_p.bind(as_operand(x, "ceil"))


def round(x: Any, rounding_method: Any = RoundingMethod.AWAY_FROM_ZERO) -> Any:  # noqa: A001
    """Elementwise nearest integer, as a float; ``rounding_method`` decides halves."""
    return round_p.bind(as_operand(x, "round"), rounding_method=int(rounding_method))


def is_finite(x: Any) -> Any:
    """Elementwise: neither infinite nor NaN."""
    return is_finite_p.bind(as_operand(x, "is_finite"))


def exp(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise exponential :math:`e^x`."""
    return exp_p.bind(as_operand(x, "exp"))


def exp2(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`2^x`."""
    return exp2_p.bind(as_operand(x, "exp2"))


def log(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise natural logarithm."""
    return log_p.bind(as_operand(x, "log"))


def log1p(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`\\log(1 + x)`, exact for small ``x``."""
    return log1p_p.bind(as_operand(x, "log1p"))


def expm1(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`e^x - 1`, exact for small ``x``."""
    return expm1_p.bind(as_operand(x, "expm1"))


def sin(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise sine."""
    return sin_p.bind(as_operand(x, "sin"))


def cos(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise cosine."""
    return cos_p.bind(as_operand(x, "cos"))


def tan(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise tangent."""
    return tan_p.bind(as_operand(x, "tan"))


def asin(x: Any) -> Any:
    """Elementwise inverse sine."""
    return asin_p.bind(as_operand(x, "asin"))


def acos(x: Any) -> Any:
    """Elementwise inverse cosine."""
    return acos_p.bind(as_operand(x, "acos"))


def atan(x: Any) -> Any:
    """Elementwise inverse tangent."""
    return atan_p.bind(as_operand(x, "atan"))


def sinh(x: Any) -> Any:
    """Elementwise hyperbolic sine."""
    return sinh_p.bind(as_operand(x, "sinh"))


def cosh(x: Any) -> Any:
    """Elementwise hyperbolic cosine."""
    return cosh_p.bind(as_operand(x, "cosh"))


def tanh(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise hyperbolic tangent."""
    return tanh_p.bind(as_operand(x, "tanh"))


def asinh(x: Any) -> Any:
    """Elementwise inverse hyperbolic sine."""
    return asinh_p.bind(as_operand(x, "asinh"))


def acosh(x: Any) -> Any:
    """Elementwise inverse hyperbolic cosine."""
    return acosh_p.bind(as_operand(x, "acosh"))


def atanh(x: Any) -> Any:
    """Elementwise inverse hyperbolic tangent."""
    return atanh_p.bind(as_operand(x, "atanh"))


def sqrt(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise square root."""
    return sqrt_p.bind(as_operand(x, "sqrt"))


def rsqrt(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise :math:`1/\\sqrt x`."""
    return rsqrt_p.bind(as_operand(x, "rsqrt"))


def cbrt(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise cube root."""
    return cbrt_p.bind(as_operand(x, "cbrt"))


def square(x: Any) -> Any:
    """Elementwise :math:`x^2`."""
    return square_p.bind(as_operand(x, "square"))


def reciprocal(x: Any) -> Any:
    """Elementwise :math:`1/x`."""
    x = as_operand(x, "reciprocal")
    return integer_pow(x, -1) if type(x) not in PY_SCALARS else div(1.0, x)


def integer_pow(x: Any, y: int) -> Any:
    """Elementwise :math:`x^y` for a fixed integer ``y``."""
    x = as_operand(x, "integer_pow")
    if y < 0 and dtypes.is_integer(aval_of(x).dtype):
        raise TypeError(
            f"integer_pow: integers cannot be raised to the negative power {y}{at_user_line()}"
        )
    if y == 1:
        return x
    return integer_pow_p.bind(x, y=int(y))


def logistic(x: Any, *, accuracy: Any = None) -> Any:
    """Elementwise logistic function :math:`1/(1 + e^{-x})`."""
    return logistic_p.bind(as_operand(x, "logistic"))


def abs(x: Any) -> Any:  # noqa: A001
    """Elementwise absolute value; the modulus of complex numbers."""
    return abs_p.bind(as_operand(x, "abs"))


def real(x: Any) -> Any:
    """Elementwise real part of complex numbers."""
    return real_p.bind(as_operand(x, "real"))


def imag(x: Any) -> Any:
    """Elementwise imaginary part of complex numbers."""
    return imag_p.bind(as_operand(x, "imag"))


def conj(x: Any) -> Any:
    """Elementwise complex conjugate; the result is complex for real operands too."""
    x = as_operand(x, "conj")
    dt = aval_of(x).dtype
    if dt not in dtypes.INEXACT:
        check_dtype("conj", aval_of(x), INEXACT)
    return conj_p.bind(x, input_dtype=dt)


# --- derivatives -------------------------------------------------------------------------


def _c(value: float, x: Any) -> Any:
    return scalar(value, aval_of(x).dtype)


def _linear(prim: Primitive, transpose: Any) -> None:
    def_jvp_linear(prim)
    transpose_rules[prim] = lambda ct, x, **params: [transpose(ct)]


_linear(neg_p, neg)
_linear(real_p, lambda ct: complex(ct, _c(0.0, ct)))
_linear(imag_p, lambda ct: complex(_c(0.0, ct), neg(ct)))
def_jvp_linear(conj_p)


def _conj_transpose(ct: Any, x: Any, *, input_dtype: Any) -> list[Any]:
    out = conj(ct)
    return [out if dtypes.is_complex(input_dtype) else real(out)]


transpose_rules[conj_p] = _conj_transpose

for _p in (floor_p, ceil_p, round_p, is_finite_p):
    def_jvp_zero(_p)


def _sign_jvp(g: Any, out: Any, x: Any) -> Any:
    # d(x/|x|) = (g - s² conj(g)) / (2|x|); zero for real numbers.
    from covector.transforms.jvp import Zero

    if not dtypes.is_complex(aval_of(x).dtype):
        return Zero(aval_of(x))
    s = out
    num = sub(g, mul(mul(s, s), conj(g)))
    return div(num, convert_element_type(mul(abs(x), 2.0), aval_of(x).dtype))


def_jvp_out(sign_p, _sign_jvp)
def_jvp_out(exp_p, lambda g, out, x: mul(g, out))
def_jvp_out(exp2_p, lambda g, out, x: mul(g, mul(out, _c(math.log(2.0), x))))
def_jvp(log_p, lambda g, x: div(g, x))
def_jvp(log1p_p, lambda g, x: div(g, add(x, _c(1.0, x))))
def_jvp_out(expm1_p, lambda g, out, x: mul(g, add(out, _c(1.0, x))))
def_jvp(sin_p, lambda g, x: mul(g, cos(x)))
def_jvp(cos_p, lambda g, x: neg(mul(g, sin(x))))
def_jvp_out(tan_p, lambda g, out, x: mul(g, add(_c(1.0, x), square(out))))
def_jvp(asin_p, lambda g, x: mul(g, rsqrt(sub(_c(1.0, x), square(x)))))
def_jvp(acos_p, lambda g, x: mul(g, neg(rsqrt(sub(_c(1.0, x), square(x))))))
def_jvp(atan_p, lambda g, x: div(g, add(_c(1.0, x), square(x))))
def_jvp(sinh_p, lambda g, x: mul(g, cosh(x)))
def_jvp(cosh_p, lambda g, x: mul(g, sinh(x)))
def_jvp_out(tanh_p, lambda g, out, x: mul(g, sub(_c(1.0, x), square(out))))
def_jvp(asinh_p, lambda g, x: mul(g, rsqrt(add(square(x), _c(1.0, x)))))
def_jvp(
    acosh_p,
    lambda g, x: (
        mul(g, rsqrt(mul(sub(x, _c(1.0, x)), add(x, _c(1.0, x)))))
        if not dtypes.is_complex(aval_of(x).dtype)
        else mul(g, mul(rsqrt(sub(x, _c(1.0, x))), rsqrt(add(x, _c(1.0, x)))))
    ),
)
def_jvp(atanh_p, lambda g, x: mul(g, div(_c(1.0, x), mul(sub(_c(1.0, x), x), add(_c(1.0, x), x)))))
def_jvp_out(sqrt_p, lambda g, out, x: mul(g, div(_c(0.5, x), out)))
def_jvp_out(rsqrt_p, lambda g, out, x: mul(g, mul(_c(-0.5, x), div(out, x))))
def_jvp_out(cbrt_p, lambda g, out, x: mul(g, div(mul(_c(1.0 / 3.0, x), out), x)))
def_jvp(square_p, lambda g, x: mul(g, mul(_c(2.0, x), x)))


def _integer_pow_jvp(g: Any, x: Any, *, y: int) -> Any:
    if y == 0:
        return mul(g, _c(0.0, x))
    power = x if y == 2 else integer_pow_p.bind(x, y=y - 1)
    return mul(g, mul(_c(float(y), x), power))


def_jvp(integer_pow_p, _integer_pow_jvp)
def_jvp_out(logistic_p, lambda g, out, x: mul(g, mul(out, sub(_c(1.0, x), out))))


def _abs_jvp(g: Any, out: Any, x: Any) -> Any:
    if not dtypes.is_complex(aval_of(x).dtype):
        return mul(g, sign(x))
    # Re(conj(x) g) / |x|, and 0 at the origin.
    safe = select(eq(out, _c(0.0, out)), _c(1.0, out), out)
    return div(real(mul(g, conj(x))), safe)


def_jvp_out(abs_p, _abs_jvp)
