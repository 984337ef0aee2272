"""Arithmetic: sums, products, quotients, extrema, rounding, signs, parts of complex numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np

from covector.core import dtypes
from covector.core.avals import ShapedArray, aval_of
from covector.core.operands import like, scalar
from covector.core.rules import UndefinedPrimal, Zero, check_linear, jvp_rules
from covector.core.structural import convert_element_type, sum_to
from covector.core.trace import Bind, Primitive
from covector.primitives.common import (
    ANY,
    COMPLEX,
    FLOAT,
    INEXACT,
    INTEGER,
    NUMERIC,
    REAL,
    check_dtype,
    elementwise_aval,
)
from covector.primitives.compare import eq
from covector.primitives.elementwise import (
    LINEAR,
    ZERO,
    binary,
    doc,
    operation,
    slopes,
    slopes_of_result,
    unary,
)
from covector.primitives.select import select


def _add_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(ct, x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(ct, y.aval) if type(y) is UndefinedPrimal else None,
    ]


add_p = binary(
    "add",
    NUMERIC,
    derivative=slopes(lambda g, x, y: g, lambda g, x, y: g),
    transpose=_add_transpose,
    complex_cost=2,
    values=[((1.0, 2.0), 3.0), ((inf, -inf), nan)],
    fold=np.add,
    doc=doc(
        "Elementwise sum :math:`x + y`; operands of one dtype and shape, or scalars.",
        """
        >>> lax.add(np.array([1, 2]), np.array([10, 20]))
        Array([11, 22], dtype=int32)
        >>> lax.add(np.array([1.5, 2.5]), 1)
        Array([2.5, 3.5], dtype=float32)
        """,
        returns="Of the dtype of the operands; integers wrap around.",
        raises="""
        TypeError
            If dtypes or shapes differ; `covector.numpy.add` promotes and broadcasts.
        """,
    ),
)


def _sub_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(ct, x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(neg(ct), y.aval) if type(y) is UndefinedPrimal else None,
    ]


sub_p = binary(
    "sub",
    NUMERIC,
    derivative=slopes(lambda g, x, y: g, lambda g, x, y: neg(g)),
    transpose=_sub_transpose,
    complex_cost=2,
    values=[((1.0, 2.0), -1.0), ((inf, inf), nan)],
    fold=np.subtract,
    doc=doc(
        "Elementwise difference :math:`x - y`.",
        """
        >>> lax.sub(np.array([1, 2]), np.array([10, 20]))
        Array([ -9, -18], dtype=int32)
        """,
        returns="Of the dtype of the operands; integers wrap around.",
    ),
)


def _mul_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(x) is UndefinedPrimal:
        check_linear("mul", y)
        return [sum_to(mul(ct, y), x.aval), None]
    return [None, sum_to(mul(x, ct), y.aval)]


mul_p = binary(
    "mul",
    NUMERIC,
    derivative=slopes(lambda g, x, y: mul(g, y), lambda g, x, y: mul(x, g)),
    transpose=_mul_transpose,
    complex_cost=6,
    values=[((3.0, -2.0), -6.0), ((0.0, inf), nan)],
    fold=np.multiply,
)


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    check_linear("div", y)
    return [sum_to(div(ct, y), x.aval), None]


def _div_derivative(prim: Primitive) -> None:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        (x, y), (gx, gy) = primals, tangents
        out = div(x, y)
        if type(gy) is Zero:
            return out, Zero.of(out) if type(gx) is Zero else div(gx, y)
        if type(gx) is not Zero:
            # One division for both, of the cotangent as well: what goes to y is made from what
            # goes to x.
            return out, div(sub(gx, mul(gy, out)), y)
        one = isinstance(x, (int, float, np.generic)) and x == 1
        # The square of a reciprocal overflows and vanishes where the quotient does.
        square = one and aval_of(out).dtype in dtypes.FLOATS
        return out, mul(neg(gy), mul(out, out) if square else div(out, y))

    jvp_rules[prim] = jvp


div_p = binary(
    "div",
    NUMERIC,
    derivative=_div_derivative,
    transpose=_div_transpose,
    cost=4,
    complex_cost=70,
    values=[((1.0, 4.0), 0.25), ((-1.0, 0.0), -inf), ((0.0, 0.0), nan)],
    doc=doc(
        "Elementwise quotient; of integers, rounded towards zero.",
        """
        >>> lax.div(np.array([7, -7]), 2)
        Array([ 3, -3], dtype=int32)
        >>> lax.div(np.array([1.0, 0.0]), 0.0)
        Array([inf, nan], dtype=float32)
        """,
        returns="""
        Of the dtype of the operands. Division by zero gives infinities and NaN, of
        integers -1 (all bits set).
        """,
    ),
)


def _rem_jvp_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    # rem truncates: x - y * n. The quotient of what is left is n before it is rounded.
    n = round_p.bind(div(sub(x, out), y), rounding_method=0)
    return mul(neg(g), n)


rem_p = binary(
    "rem",
    REAL,
    derivative=slopes_of_result(lambda g, out, x, y: g, _rem_jvp_y),
    cost=30,
    values=[((5.0, 3.0), 2.0), ((-5.0, 3.0), -2.0), ((1.0, inf), 1.0), ((1.0, 0.0), nan)],
    doc=doc(
        "Remainder of the division rounded towards zero: it has the sign of ``x``.",
        """
        >>> lax.rem(np.array([7, -7]), 3)
        Array([ 1, -1], dtype=int32)
        """,
        returns="Of the dtype of the operands. Where ``y`` is 0: NaN, of integers ``x``.",
    ),
)

neg_p = unary(
    "neg",
    NUMERIC,
    derivative=LINEAR,
    transpose=lambda ct, x: [neg(ct)],
    complex_cost=2,
    values=[((2.0,), -2.0), ((0.0,), -0.0), ((inf,), -inf)],
    fold=np.negative,
    doc=doc(
        "Elementwise negation :math:`-x`.",
        """
        >>> lax.neg(np.array([1, -2, 3]))
        Array([-1,  2, -3], dtype=int32)
        """,
        returns="Of the shape and dtype of ``x``; integers wrap around.",
    ),
)


def _sign_jvp(g: Any, out: Any, x: Any) -> Any:
    # d(x/|x|) = (g - s² conj(g)) / (2|x|), and 0 at the origin; zero for real numbers.
    if not dtypes.is_complex(aval_of(x).dtype):
        return Zero(aval_of(x))
    s = out
    zero = eq(s, like(0.0, s))
    num = select(zero, like(0.0, s), sub(g, mul(mul(s, s), conj(g))))
    size = select(zero, scalar(1.0, dtypes.real_dtype(aval_of(x).dtype)), abs(x))
    return div(num, convert_element_type(mul(size, like(2.0, size)), aval_of(x).dtype))


sign_p = unary(
    "sign",
    NUMERIC,
    derivative=slopes_of_result(_sign_jvp),
    complex_cost=20,
    values=[((-2.5,), -1.0), ((0.0,), 0.0), ((nan,), nan)],
    doc=doc(
        "Elementwise sign: -1, 0 or 1; :math:`x/|x|` for complex numbers.",
        """
        >>> lax.sign(np.array([-2.5, 0.0, 7.0]))
        Array([-1.,  0.,  1.], dtype=float32)
        >>> lax.sign(np.array([3 + 4j]))
        Array([0.6+0.8j], dtype=complex64)
        """,
        returns="Of the shape and dtype of ``x``; NaN where ``x`` is.",
    ),
)


def _abs_jvp(g: Any, out: Any, x: Any) -> Any:
    if not dtypes.is_complex(aval_of(x).dtype):
        # At 0 the slope to the right, as in JAX.
        return mul(g, select(eq(x, like(0.0, x)), like(1.0, x), sign(x)))
    # Re(conj(x) g) / |x|, and 0 at the origin.
    safe = select(eq(out, like(0.0, out)), like(1.0, out), out)
    return div(real(mul(g, conj(x))), safe)


abs_p = unary(
    "abs",
    NUMERIC,
    dtypes.real_dtype,
    derivative=slopes_of_result(_abs_jvp),
    complex_cost=20,
    values=[((-3.0,), 3.0), ((-0.0,), 0.0), ((-inf,), inf)],
    doc=doc(
        "Elementwise absolute value; the modulus of complex numbers.",
        """
        >>> lax.abs(np.array([-2, 3]))
        Array([2, 3], dtype=int32)
        >>> lax.abs(np.array([3 + 4j]))
        Array([5.], dtype=float32)
        """,
        returns="""
        Of the shape of ``x``, and of its dtype, or of the real one if complex. The magnitude of the
        most negative integer of a dtype wraps around to itself.
        """,
    ),
)


def _share(out: Any, x: Any, y: Any) -> Any:
    """The part of ``x`` in the derivative of an extremum: 1, 0, or a half where equal."""
    dt = aval_of(x).dtype
    part = select(eq(y, out), scalar(0.5, dt), scalar(1.0, dt))
    return select(eq(x, out), part, scalar(0.0, dt))


_EXTREMUM = slopes_of_result(
    lambda g, out, x, y: mul(g, _share(out, x, y)), lambda g, out, x, y: mul(g, _share(out, y, x))
)


max_p = binary(
    "max",
    ANY,
    derivative=_EXTREMUM,
    values=[((1.0, 2.0), 2.0), ((1.0, nan), nan)],
    fold=np.maximum,
    doc=doc(
        """
        Elementwise maximum; NaN where an operand is NaN; complex in lexicographic order.
        """,
        """
        >>> lax.max(np.array([1.0, 5.0, np.nan]), 3.0)
        Array([ 3.,  5., nan], dtype=float32)
        """,
    ),
)

min_p = binary(
    "min",
    ANY,
    derivative=_EXTREMUM,
    values=[((1.0, 2.0), 1.0), ((1.0, nan), nan)],
    fold=np.minimum,
    doc=doc(
        """
        Elementwise minimum; NaN where an operand is NaN; complex in lexicographic order.
        """,
        """
        >>> lax.min(np.array([1.0, 5.0, np.nan]), 3.0)
        Array([ 1.,  3., nan], dtype=float32)
        """,
    ),
)

square_p = unary(
    "square",
    NUMERIC,
    derivative=slopes(lambda g, x: mul(g, mul(like(2.0, x), x))),
    complex_cost=6,
    values=[((-3.0,), 9.0), ((-inf,), inf)],
    fold=np.square,
    doc=doc(
        "Elementwise :math:`x^2`.",
        """
        >>> lax.square(np.array([3, -2]))
        Array([9, 4], dtype=int32)
        """,
        returns="Of the shape and dtype of ``x``; integers wrap around.",
    ),
)


def _integer_pow_jvp(g: Any, x: Any, *, y: int) -> Any:
    if y == 0:
        return mul(g, like(0.0, x))
    power = x if y == 2 else integer_pow_p.bind(x, y=y - 1)
    return mul(g, mul(like(float(y), x), power))


integer_pow_p = unary(
    "integer_pow",
    NUMERIC,
    derivative=slopes(_integer_pow_jvp),
    plain=False,
    complex_cost=15,
)

floor_p = unary(
    "floor",
    FLOAT,
    derivative=ZERO,
    values=[((1.5,), 1.0), ((-1.5,), -2.0), ((-inf,), -inf)],
    doc=doc(
        "Elementwise largest integer not above ``x``, as a float.",
        """
        >>> lax.floor(np.array([1.7, -1.2]))
        Array([ 1., -2.], dtype=float32)
        """,
    ),
    fold=np.floor,
)

ceil_p = unary(
    "ceil",
    FLOAT,
    derivative=ZERO,
    values=[((1.5,), 2.0), ((-1.5,), -1.0), ((inf,), inf)],
    doc=doc(
        "Elementwise smallest integer not below ``x``, as a float.",
        """
        >>> lax.ceil(np.array([1.2, -1.7]))
        Array([ 2., -1.], dtype=float32)
        """,
    ),
    fold=np.ceil,
)

round_p = unary(
    "round",
    FLOAT,
    derivative=ZERO,
    plain=False,
)

is_finite_p = unary(
    "is_finite",
    FLOAT,
    dtypes.bool_,
    derivative=ZERO,
    values=[((1.0,), True), ((inf,), False), ((nan,), False)],
    doc=doc(
        "Elementwise: neither infinite nor NaN.",
        """
        >>> lax.is_finite(np.array([1.0, np.inf, np.nan]))
        Array([ True, False, False], dtype=bool)
        """,
        returns="Booleans, of the shape of ``x``.",
    ),
)

nextafter_p = binary(
    "nextafter",
    FLOAT,
    ("x1", "x2"),
    derivative=ZERO,
    smooth=False,
    values=[((0.5, 0.5), 0.5), ((nan, 1.0), nan)],
    doc=doc(
        "The next float after ``x1`` in the direction of ``x2``.",
        """
        >>> lax.nextafter(1.0, 2.0)
        Array(1.0000001, dtype=float32, weak_type=True)
        """,
        returns="Of the dtype of the operands; ``x1`` where they are equal.",
    ),
)

mulhi_p = binary(
    "mulhi",
    INTEGER,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((2**30, 8), 2)],
)


def _complex_jvp_x(g: Any, x: Any, y: Any) -> Any:
    return complex(g, scalar(0.0, aval_of(g).dtype))


def _complex_jvp_y(g: Any, x: Any, y: Any) -> Any:
    return complex(scalar(0.0, aval_of(g).dtype), g)


def _complex_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    return [
        sum_to(real(ct), x.aval) if type(x) is UndefinedPrimal else None,
        sum_to(imag(neg(ct)), y.aval) if type(y) is UndefinedPrimal else None,
    ]


def _complex_aval(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        check_dtype("complex", x, FLOAT)
        raise TypeError(f"complex takes float32 or float64 operands, got {x.str_short()}")
    return elementwise_aval("complex", (x, y), dtypes.complex_dtype(x.dtype))


complex_p = operation(
    "complex",
    ("x", "y"),
    FLOAT,
    _complex_aval,
    result=dtypes.complex_dtype,
    derivative=slopes(_complex_jvp_x, _complex_jvp_y),
    transpose=_complex_transpose,
    values=[((3.0, -4.0), 3 - 4j)],
    doc=doc(
        "The complex number :math:`x + iy`.",
        """
        >>> lax.complex(np.array([1.0, 2.0]), np.array([0.0, -1.0]))
        Array([1.+0.j, 2.-1.j], dtype=complex64)
        """,
        parameters="""
        x, y : array_like
            Floats of 32 or 64 bits of one dtype and shape. Axes of size one and operands of
            rank 0 are repeated; Python scalars take the dtype of the other operand.
        """,
        returns="Of dtype complex64 or complex128.",
    ),
)

real_p = unary(
    "real",
    COMPLEX,
    dtypes.real_dtype,
    derivative=LINEAR,
    transpose=lambda ct, x: [complex(ct, like(0.0, ct))],
    complex_cost=0,
    values=[((3 - 4j,), 3.0)],
    doc=doc(
        "Elementwise real part of complex numbers.",
        """
        >>> lax.real(np.array([1 + 2j, 3j]))
        Array([1., 0.], dtype=float32)
        """,
        returns="Floats of the shape of ``x``.",
    ),
)

imag_p = unary(
    "imag",
    COMPLEX,
    dtypes.real_dtype,
    derivative=LINEAR,
    transpose=lambda ct, x: [complex(like(0.0, ct), neg(ct))],
    complex_cost=0,
    values=[((3 - 4j,), -4.0)],
    doc=doc(
        "Elementwise imaginary part of complex numbers.",
        """
        >>> lax.imag(np.array([1 + 2j, 3j]))
        Array([2., 3.], dtype=float32)
        """,
        returns="Floats of the shape of ``x``.",
    ),
)


def _conj_transpose(ct: Any, x: Any, *, input_dtype: Any) -> list[Any]:
    out = conj(ct)
    return [out if dtypes.is_complex(input_dtype) else real(out)]


def _conj_dtype(dtype: Any) -> Any:
    return dtypes.complex_dtype(dtype)


conj_p = unary(
    "conj",
    INEXACT,
    _conj_dtype,
    derivative=LINEAR,
    transpose=_conj_transpose,
    complex_cost=1,
    values=[((3 - 4j,), 3 + 4j)],
)


# --- constructors: what rules bind ---------------------------------------------------------

add: Bind = add_p.bind
sub: Bind = sub_p.bind
mul: Bind = mul_p.bind
div: Bind = div_p.bind
max: Bind = max_p.bind
min: Bind = min_p.bind
complex: Bind = complex_p.bind
neg: Bind = neg_p.bind
sign: Bind = sign_p.bind
floor: Bind = floor_p.bind
abs: Bind = abs_p.bind
real: Bind = real_p.bind
imag: Bind = imag_p.bind
square: Bind = square_p.bind
integer_pow: Bind = integer_pow_p.bind
rem: Bind = rem_p.bind


def conj(x: Any) -> Any:
    """Complex conjugate; the result is complex for real operands too."""
    return conj_p.bind(x, input_dtype=aval_of(x).dtype)
