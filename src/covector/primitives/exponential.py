"""Powers, exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from math import inf, nan, pi
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.operands import like, scalar
from covector.core.structural import convert_element_type
from covector.core.trace import Bind
from covector.primitives.arithmetic import (
    abs,
    add,
    div,
    integer_pow,
    max,
    mul,
    neg,
    real,
    square,
    sub,
)
from covector.primitives.common import FLOAT, INEXACT
from covector.primitives.compare import bitwise_and, eq, ge, gt
from covector.primitives.convert import bitcast_convert_type_p
from covector.primitives.elementwise import (
    binary,
    doc,
    slopes,
    slopes_of_result,
    unary,
)
from covector.primitives.select import clamp, select


def _by_square_of_radius(part: Any, x: Any, y: Any) -> Any:
    """``part`` / (x² + y²), scaled by constants so that squares neither overflow nor vanish."""
    dt = aval_of(x).dtype
    if dtypes.is_complex(dt):
        return div(part, add(mul(x, x), mul(y, y)))
    k = div(scalar(1.0, dt), power_of_two(max(abs(x), abs(y))))
    a, b = mul(x, k), mul(y, k)
    return mul(k, div(mul(part, k), add(mul(a, a), mul(b, b))))


def power_of_two(size: Any) -> Any:
    """The power of two below a number that is not negative, a constant for derivatives.

    It is a normal number and finite, and so is its reciprocal.
    """
    dt = aval_of(size).dtype
    if dt in dtypes.SMALL_FLOATS:
        return convert_element_type(power_of_two(convert_element_type(size, dtypes.float32)), dt)
    info = dtypes.finfo(dt)
    integer = {2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}[dt.itemsize]
    exponent = integer.type((1 << (8 * dt.itemsize - 1)) - (1 << info.nmant))
    bits = bitcast_convert_type_p.bind(size, new_dtype=integer)
    power = bitcast_convert_type_p.bind(bitwise_and(bits, exponent), new_dtype=dt)
    return clamp(scalar(float(info.tiny), dt), power, scalar(2.0 ** (info.maxexp - 2), dt))


def _atan2_jvp_x(g: Any, x: Any, y: Any) -> Any:
    return mul(g, _by_square_of_radius(y, x, y))


def _atan2_jvp_y(g: Any, x: Any, y: Any) -> Any:
    return mul(g, _by_square_of_radius(neg(x), x, y))


atan2_p = binary(
    "atan2",
    INEXACT,
    derivative=slopes(_atan2_jvp_x, _atan2_jvp_y),
    cost=24,
    values=[((0.0, 1.0), 0.0), ((0.0, -1.0), pi), ((1.0, 0.0), pi / 2), ((-inf, inf), -pi / 4)],
    doc=doc(
        """
        Angle of the point ``(y, x)``: arc tangent of ``x / y`` in the right quadrant.
        """,
        """
        >>> np.round(lax.atan2(np.array([1.0, 1.0, -1.0]), np.array([1.0, -1.0, 0.0])), 4)
        Array([ 0.7854,  2.3562, -1.5708], dtype=float32)
        """,
        parameters="""
        x, y : array_like
            Floats (or complex numbers) of one dtype and shape. Axes of size one and operands of
            rank 0 are repeated; Python scalars take the dtype of the other operand.
        """,
        returns=r"Radians, from :math:`-\pi` to :math:`\pi`.",
    ),
)


def _by_one_and_square(x: Any, twice_power: int) -> Any:
    """(1 + x²) to the power -1/2 or -1."""
    one = like(1.0, x)
    if dtypes.is_complex(aval_of(x).dtype):
        s = add(one, square(x))
        return div(one, s) if twice_power == 2 else rsqrt(s)
    # By the reciprocal of large numbers, whose squares overflow.
    large = gt(abs(x), one)
    t = select(large, div(one, select(large, x, one)), x)
    s = add(one, square(t))
    if twice_power == 2:
        return div(select(large, square(t), one), s)
    return mul(select(large, abs(t), one), rsqrt(s))


def _pow_jvp_x(g: Any, x: Any, y: Any) -> Any:
    ydt = aval_of(y).dtype
    one, zero = scalar(1, ydt), scalar(0, ydt)
    # y * x**(y-1); where both are 0, of another base, so that 0 * inf does not arise.
    origin = bitwise_and(eq(x, scalar(0, aval_of(x).dtype)), eq(y, zero))
    jac = mul(y, pow(select(origin, scalar(1, aval_of(x).dtype), x), sub(y, one)))
    return mul(g, jac)


def _pow_jvp_y(g: Any, x: Any, y: Any) -> Any:
    dt = aval_of(x).dtype
    # At x = 0 the derivative log(0) * 0**y is 0 for y > 0, where the product would be NaN, and
    # at the origin by convention.
    zero, one = scalar(0.0, dt), scalar(1.0, dt)
    at_zero = eq(x, zero)
    y_real = real(y) if dtypes.is_complex(dt) else y
    log_x = log(select(at_zero, one, x))
    limit = select(ge(y_real, scalar(0.0, aval_of(y_real).dtype)), zero, log(zero))
    jac = mul(select(at_zero, limit, log_x), pow(x, y))
    return mul(g, jac)


pow_p = binary(
    "pow",
    INEXACT,
    derivative=slopes(_pow_jvp_x, _pow_jvp_y),
    cost=40,
    values=[
        ((2.0, 3.0), 8.0),
        ((0.0, 0.0), 1.0),
        ((nan, 0.0), 1.0),
        ((-8.0, 0.5), nan),
        ((2.0, -inf), 0.0),
    ],
)

exp_p = unary(
    "exp",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, out)),
    cost=16,
    values=[((0.0,), 1.0), ((-inf,), 0.0), ((inf,), inf)],
    doc=doc(
        "Elementwise exponential :math:`e^x`.",
        """
        >>> lax.exp(np.array([0.0, 1.0, 100.0, -np.inf]))
        Array([1.       , 2.7182817,       inf, 0.       ], dtype=float32)
        """,
        returns="""
        Of the shape and dtype of ``x``; infinite where the power is too large for the dtype.
        """,
        accuracy=True,
    ),
)

exp2_p = unary(
    "exp2",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, mul(out, like(math.log(2.0), x)))),
    cost=16,
    values=[((3.0,), 8.0), ((-inf,), 0.0), ((inf,), inf)],
    doc=doc(
        "Elementwise :math:`2^x`.",
        """
        >>> lax.exp2(np.array([0.0, 3.0, -1.0]))
        Array([1. , 8. , 0.5], dtype=float32)
        """,
        accuracy=True,
    ),
)

log_p = unary(
    "log",
    INEXACT,
    derivative=slopes(lambda g, x: div(g, x)),
    cost=16,
    values=[((1.0,), 0.0), ((0.0,), -inf), ((-1.0,), nan), ((inf,), inf)],
    doc=doc(
        "Elementwise natural logarithm.",
        """
        >>> lax.log(np.array([1.0, 0.0, -1.0]))
        Array([  0., -inf,  nan], dtype=float32)
        """,
        returns=r"""
        Of the shape and dtype of ``x``; -inf at 0. NaN where a float is negative; of complex
        numbers the principal value, with an imaginary part in :math:`[-\pi, \pi]`.
        """,
        accuracy=True,
    ),
)

log1p_p = unary(
    "log1p",
    INEXACT,
    derivative=slopes(lambda g, x: div(g, add(x, like(1.0, x)))),
    cost=20,
    values=[((0.0,), 0.0), ((-1.0,), -inf), ((-2.0,), nan)],
    doc=doc(
        r"Elementwise :math:`\log(1 + x)`, exact for small ``x``.",
        """
        >>> lax.log1p(np.array([1e-10, -1.0, -2.0]))
        Array([1.e-10,   -inf,    nan], dtype=float32)
        """,
        returns="Of the shape and dtype of ``x``; -inf at -1, NaN where a float is less.",
        accuracy=True,
    ),
)

expm1_p = unary(
    "expm1",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, add(out, like(1.0, x)))),
    cost=20,
    values=[((0.0,), 0.0), ((-inf,), -1.0), ((inf,), inf)],
    doc=doc(
        "Elementwise :math:`e^x - 1`, exact for small ``x``.",
        """
        >>> lax.expm1(np.array([1e-10, 0.0, -np.inf]))
        Array([ 1.e-10,  0.e+00, -1.e+00], dtype=float32)
        """,
        accuracy=True,
    ),
)

_RADIANS = """
    x : array_like
        Floats or complex numbers, in radians, of any shape.
    accuracy : object, optional
        Ignored: there is one implementation, of full precision.
    """

sin_p = unary(
    "sin",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, cos(x))),
    cost=24,
    values=[((0.0,), 0.0), ((inf,), nan)],
    doc=doc(
        "Elementwise sine.",
        """
        >>> np.round(lax.sin(np.array([0.0, np.pi / 6, np.pi / 2])), 3)
        Array([0. , 0.5, 1. ], dtype=float32)
        """,
        parameters=_RADIANS,
        returns="Of the shape and dtype of ``x``; NaN at infinities.",
        accuracy=True,
    ),
)

cos_p = unary(
    "cos",
    INEXACT,
    derivative=slopes(lambda g, x: neg(mul(g, sin(x)))),
    cost=24,
    values=[((0.0,), 1.0), ((inf,), nan)],
    doc=doc(
        "Elementwise cosine.",
        """
        >>> np.round(lax.cos(np.array([0.0, np.pi / 3, np.pi])), 3)
        Array([ 1. ,  0.5, -1. ], dtype=float32)
        """,
        parameters=_RADIANS,
        returns="Of the shape and dtype of ``x``; NaN at infinities.",
        accuracy=True,
    ),
)

tan_p = unary(
    "tan",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, add(like(1.0, x), square(out)))),
    cost=30,
    values=[((0.0,), 0.0), ((inf,), nan)],
    doc=doc(
        "Elementwise tangent.",
        """
        >>> np.round(lax.tan(np.array([0.0, np.pi / 4])), 3)
        Array([0., 1.], dtype=float32)
        """,
        parameters=_RADIANS,
        returns="Of the shape and dtype of ``x``; NaN at infinities.",
        accuracy=True,
    ),
)

asin_p = unary(
    "asin",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, rsqrt(sub(like(1.0, x), square(x))))),
    cost=20,
    values=[((0.0,), 0.0), ((1.0,), pi / 2), ((2.0,), nan)],
    doc=doc(
        "Elementwise inverse sine.",
        """
        >>> np.round(lax.asin(np.array([0.0, 1.0, 2.0])), 4)
        Array([0.    , 1.5708,    nan], dtype=float32)
        """,
        returns=r"""
        Angles in radians, in :math:`[-\pi/2, \pi/2]`, of the shape and dtype of ``x``; NaN where a
        float is outside [-1, 1].
        """,
    ),
)

acos_p = unary(
    "acos",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, neg(rsqrt(sub(like(1.0, x), square(x)))))),
    cost=20,
    values=[((1.0,), 0.0), ((-1.0,), pi), ((2.0,), nan)],
    doc=doc(
        "Elementwise inverse cosine.",
        """
        >>> np.round(lax.acos(np.array([1.0, -1.0, 2.0])), 4)
        Array([0.    , 3.1416,    nan], dtype=float32)
        """,
        returns=r"""
        Angles in radians, in :math:`[0, \pi]`, of the shape and dtype of ``x``; NaN where a float
        is outside [-1, 1].
        """,
    ),
)

atan_p = unary(
    "atan",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, _by_one_and_square(x, 2))),
    cost=20,
    values=[((0.0,), 0.0), ((-inf,), -pi / 2)],
    doc=doc(
        "Elementwise inverse tangent.",
        """
        >>> np.round(lax.atan(np.array([0.0, 1.0, np.inf])), 4)
        Array([0.    , 0.7854, 1.5708], dtype=float32)
        """,
        returns=r"""
        Angles in radians, in :math:`[-\pi/2, \pi/2]`, of the shape and dtype of ``x``.
        """,
    ),
)

sinh_p = unary(
    "sinh",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, cosh(x))),
    cost=20,
    values=[((0.0,), 0.0), ((-inf,), -inf)],
    doc=doc(
        "Elementwise hyperbolic sine.",
        """
        >>> np.round(lax.sinh(np.array([0.0, 1.0, -1.0])), 4)
        Array([ 0.    ,  1.1752, -1.1752], dtype=float32)
        """,
    ),
)

cosh_p = unary(
    "cosh",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, sinh(x))),
    cost=20,
    values=[((0.0,), 1.0), ((-inf,), inf)],
    doc=doc(
        "Elementwise hyperbolic cosine.",
        """
        >>> np.round(lax.cosh(np.array([0.0, 1.0, -1.0])), 4)
        Array([1.    , 1.5431, 1.5431], dtype=float32)
        """,
    ),
)

tanh_p = unary(
    "tanh",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, sub(like(1.0, x), square(out)))),
    cost=20,
    values=[((0.0,), 0.0), ((inf,), 1.0)],
    doc=doc(
        "Elementwise hyperbolic tangent.",
        """
        >>> np.round(lax.tanh(np.array([0.0, 0.5, np.inf])), 4)
        Array([0.    , 0.4621, 1.    ], dtype=float32)
        """,
        accuracy=True,
    ),
)

asinh_p = unary(
    "asinh",
    INEXACT,
    derivative=slopes(lambda g, x: mul(g, _by_one_and_square(x, 1))),
    cost=30,
    values=[((0.0,), 0.0), ((-inf,), -inf)],
    doc=doc(
        "Elementwise inverse hyperbolic sine.",
        """
        >>> np.round(lax.asinh(np.array([0.0, 1.0, -1.0])), 4)
        Array([ 0.    ,  0.8814, -0.8814], dtype=float32)
        """,
    ),
)

acosh_p = unary(
    "acosh",
    INEXACT,
    derivative=slopes(
        lambda g, x: mul(g, mul(rsqrt(sub(x, like(1.0, x))), rsqrt(add(x, like(1.0, x)))))
    ),
    cost=30,
    domain=((1.2, 1.8),),
    values=[((1.0,), 0.0), ((0.5,), nan), ((inf,), inf)],
    doc=doc(
        "Elementwise inverse hyperbolic cosine.",
        """
        >>> np.round(lax.acosh(np.array([1.0, 2.0, 0.0])), 4)
        Array([0.   , 1.317,   nan], dtype=float32)
        """,
        returns="Of the shape and dtype of ``x``; NaN where a float is below 1.",
    ),
)

atanh_p = unary(
    "atanh",
    INEXACT,
    derivative=slopes(
        lambda g, x: mul(g, div(like(1.0, x), mul(sub(like(1.0, x), x), add(like(1.0, x), x))))
    ),
    cost=30,
    values=[((0.0,), 0.0), ((1.0,), inf), ((2.0,), nan)],
    doc=doc(
        "Elementwise inverse hyperbolic tangent.",
        """
        >>> np.round(lax.atanh(np.array([0.5, 1.0, 2.0])), 4)
        Array([0.5493,    inf,    nan], dtype=float32)
        """,
        returns="""
        Of the shape and dtype of ``x``; infinite at -1 and 1, NaN where a float is beyond.
        """,
    ),
)


def _sqrt_jvp(g: Any, out: Any, x: Any) -> Any:
    half, one = like(0.5, x), like(1.0, x)
    if aval_of(x).dtype in dtypes.COMPLEX:
        return mul(g, div(half, out))
    # As good as 0.5/out, which a root is never too large for, and often there already.
    return mul(g, mul(half, div(one, out)))


sqrt_p = unary(
    "sqrt",
    INEXACT,
    derivative=slopes_of_result(_sqrt_jvp),
    cost=4,
    complex_cost=40,
    values=[((4.0,), 2.0), ((-1.0,), nan), ((inf,), inf)],
    fold=np.sqrt,
    doc=doc(
        "Elementwise square root.",
        """
        >>> lax.sqrt(np.array([4.0, -1.0]))
        Array([ 2., nan], dtype=float32)
        >>> lax.sqrt(np.array([-4 + 0j]))
        Array([0.+2.j], dtype=complex64)
        """,
        returns="""
        Of the shape and dtype of ``x``; NaN where a float is negative, and the root with a real
        part that is not negative of complex numbers.
        """,
        accuracy=True,
    ),
)

rsqrt_p = unary(
    "rsqrt",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, mul(like(-0.5, x), div(out, x)))),
    cost=6,
    values=[((4.0,), 0.5), ((0.0,), inf), ((-1.0,), nan)],
    doc=doc(
        r"Elementwise :math:`1/\sqrt x`.",
        """
        >>> lax.rsqrt(np.array([4.0, 0.0]))
        Array([0.5, inf], dtype=float32)
        """,
        returns="""
        Of the shape and dtype of ``x``; infinite at 0, NaN where a float is negative.
        """,
        accuracy=True,
    ),
)

cbrt_p = unary(
    "cbrt",
    FLOAT,
    derivative=slopes_of_result(
        lambda g, out, x: mul(g, mul(like(1.0 / 3.0, x), integer_pow(out, y=-2)))
    ),
    cost=20,
    values=[((-8.0,), -2.0), ((inf,), inf)],
    doc=doc(
        "Elementwise cube root.",
        """
        >>> lax.cbrt(np.array([27.0, -8.0]))
        Array([ 3., -2.], dtype=float32)
        """,
        returns="Of the shape and dtype of ``x``; negative where ``x`` is.",
        accuracy=True,
    ),
)

logistic_p = unary(
    "logistic",
    INEXACT,
    derivative=slopes_of_result(lambda g, out, x: mul(g, mul(out, sub(like(1.0, x), out)))),
    cost=20,
    values=[((0.0,), 0.5), ((-inf,), 0.0), ((inf,), 1.0)],
    doc=doc(
        "Elementwise logistic function :math:`1/(1 + e^{-x})`.",
        """
        >>> lax.logistic(np.array([0.0, np.inf, -np.inf]))
        Array([0.5, 1. , 0. ], dtype=float32)
        """,
        accuracy=True,
    ),
)


# --- constructors: what rules bind ---------------------------------------------------------

exp: Bind = exp_p.bind
log: Bind = log_p.bind
log1p: Bind = log1p_p.bind
rsqrt: Bind = rsqrt_p.bind
pow: Bind = pow_p.bind
cos: Bind = cos_p.bind
sin: Bind = sin_p.bind
cosh: Bind = cosh_p.bind
sinh: Bind = sinh_p.bind
