"""Powers, exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.definers import def_jvp, def_jvp_out
from covector.core.operands import like, scalar
from covector.primitives.arithmetic import add, div, mul, neg, neg_of, real, square, sub
from covector.primitives.common import FLOAT, INEXACT, binary, unary
from covector.primitives.compare import eq, gt
from covector.primitives.select import select

atan2_p = binary("atan2", INEXACT)
pow_p = binary("pow", INEXACT)
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
logistic_p = unary("logistic", INEXACT)

# --- constructors: what rules bind ---------------------------------------------------------

exp, log, log1p, rsqrt, pow = exp_p.bind, log_p.bind, log1p_p.bind, rsqrt_p.bind, pow_p.bind
cos, sin, cosh, sinh = cos_p.bind, sin_p.bind, cosh_p.bind, sinh_p.bind


def _atan2_jvp_x(g: Any, x: Any, y: Any) -> Any:
    return mul(g, div(y, add(mul(x, x), mul(y, y))))


def _atan2_jvp_y(g: Any, x: Any, y: Any) -> Any:
    return mul(g, div(neg_of(x), add(mul(x, x), mul(y, y))))


def_jvp(atan2_p, _atan2_jvp_x, _atan2_jvp_y)


def _pow_jvp_x(g: Any, x: Any, y: Any) -> Any:
    ydt = aval_of(y).dtype
    one, zero = scalar(1, ydt), scalar(0, ydt)
    # y * x**(y-1), with the exponent 1 where y is 0, so that 0 * inf does not arise.
    at_zero = eq(y, zero)
    jac = mul(y, pow(x, select(at_zero, one, sub(y, one))))
    return mul(g, jac)


def _pow_jvp_y(g: Any, x: Any, y: Any) -> Any:
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


def_jvp_out(exp_p, lambda g, out, x: mul(g, out))


def_jvp_out(exp2_p, lambda g, out, x: mul(g, mul(out, like(math.log(2.0), x))))


def_jvp(log_p, lambda g, x: div(g, x))


def_jvp(log1p_p, lambda g, x: div(g, add(x, like(1.0, x))))


def_jvp_out(expm1_p, lambda g, out, x: mul(g, add(out, like(1.0, x))))


def_jvp(sin_p, lambda g, x: mul(g, cos(x)))


def_jvp(cos_p, lambda g, x: neg(mul(g, sin(x))))


def_jvp_out(tan_p, lambda g, out, x: mul(g, add(like(1.0, x), square(out))))


def_jvp(asin_p, lambda g, x: mul(g, rsqrt(sub(like(1.0, x), square(x)))))


def_jvp(acos_p, lambda g, x: mul(g, neg(rsqrt(sub(like(1.0, x), square(x))))))


def_jvp(atan_p, lambda g, x: div(g, add(like(1.0, x), square(x))))


def_jvp(sinh_p, lambda g, x: mul(g, cosh(x)))


def_jvp(cosh_p, lambda g, x: mul(g, sinh(x)))


def_jvp_out(tanh_p, lambda g, out, x: mul(g, sub(like(1.0, x), square(out))))


def_jvp(asinh_p, lambda g, x: mul(g, rsqrt(add(square(x), like(1.0, x)))))


def_jvp(
    acosh_p,
    lambda g, x: (
        mul(g, rsqrt(mul(sub(x, like(1.0, x)), add(x, like(1.0, x)))))
        if not dtypes.is_complex(aval_of(x).dtype)
        else mul(g, mul(rsqrt(sub(x, like(1.0, x))), rsqrt(add(x, like(1.0, x)))))
    ),
)


def_jvp(
    atanh_p, lambda g, x: mul(g, div(like(1.0, x), mul(sub(like(1.0, x), x), add(like(1.0, x), x))))
)


def_jvp_out(sqrt_p, lambda g, out, x: mul(g, div(like(0.5, x), out)))


def_jvp_out(rsqrt_p, lambda g, out, x: mul(g, mul(like(-0.5, x), div(out, x))))


def_jvp_out(cbrt_p, lambda g, out, x: mul(g, div(mul(like(1.0 / 3.0, x), out), x)))


def_jvp_out(logistic_p, lambda g, out, x: mul(g, mul(out, sub(like(1.0, x), out))))
