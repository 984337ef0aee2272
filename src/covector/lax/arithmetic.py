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
from covector.transforms.transpose import UndefinedPrimal, check_linear, sum_to, transpose_rules
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
    """Elementwise sum :math:`x + y`; operands of one dtype and shape, or scalars.

    Parameters
    ----------
    x, y : array_like
        Numbers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands; integers wrap around.

    Raises
    ------
    TypeError
        If dtypes or shapes differ; `covector.numpy.add` promotes and broadcasts.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.add(np.array([1, 2]), np.array([10, 20]))
    Array([11, 22], dtype=int32)
    >>> lax.add(np.array([1.5, 2.5]), 1)
    Array([2.5, 3.5], dtype=float32)
    """
    return add_p.bind(*match("add", x, y))


def sub(x: Any, y: Any) -> Any:
    """Elementwise difference :math:`x - y`.

    Parameters
    ----------
    x, y : array_like
        Numbers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.sub(np.array([1, 2]), np.array([10, 20]))
    Array([ -9, -18], dtype=int32)
    """
    return sub_p.bind(*match("sub", x, y))


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """Elementwise product; ``out_dtype`` converts the operands first.

    Parameters
    ----------
    x, y : array_like
        Numbers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.
    out_dtype : dtype, optional
        In which to multiply; by default that of the operands.

    Returns
    -------
    Array
        Of the dtype of the operands; integers wrap around.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([200], dtype=np.uint8)
    >>> lax.mul(x, 2)
    Array([144], dtype=uint8)
    >>> lax.mul(x, 2, out_dtype=np.int32)
    Array([400], dtype=int32)
    """
    if out_dtype is not None:
        dt = dtypes.canonicalize_dtype(out_dtype)
        x, y = convert_element_type(x, dt), convert_element_type(y, dt)
    return mul_p.bind(*match("mul", x, y))


def div(x: Any, y: Any) -> Any:
    """Elementwise quotient; of integers, rounded towards zero.

    Parameters
    ----------
    x, y : array_like
        Numbers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands. Division by zero gives infinities and NaN, of
        integers -1 (all bits set).

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.div(np.array([7, -7]), 2)
    Array([ 3, -3], dtype=int32)
    >>> lax.div(np.array([1.0, 0.0]), 0.0)
    Array([inf, nan], dtype=float32)
    """
    return div_p.bind(*match("div", x, y))


def rem(x: Any, y: Any) -> Any:
    """Remainder of the division rounded towards zero: it has the sign of ``x``.

    Parameters
    ----------
    x, y : array_like
        Real numbers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands. Where ``y`` is 0: NaN, of integers ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.rem(np.array([7, -7]), 3)
    Array([ 1, -1], dtype=int32)
    """
    return rem_p.bind(*match("rem", x, y))


def max(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise maximum; NaN where an operand is NaN; complex in lexicographic order.

    Parameters
    ----------
    x, y : array_like
        Numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.max(np.array([1.0, 5.0, np.nan]), 3.0)
    Array([ 3.,  5., nan], dtype=float32)
    """
    return max_p.bind(*match("max", x, y))


def min(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise minimum; NaN where an operand is NaN; complex in lexicographic order.

    Parameters
    ----------
    x, y : array_like
        Numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.min(np.array([1.0, 5.0, np.nan]), 3.0)
    Array([ 1.,  3., nan], dtype=float32)
    """
    return min_p.bind(*match("min", x, y))


def pow(x: Any, y: Any) -> Any:  # noqa: A001
    """Elementwise power :math:`x^y` of floats or complex numbers; integer ``y`` is allowed.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers.
    y : array_like
        Of the dtype of ``x``, or integers, which are converted to it. Shapes are as in `add`.

    Returns
    -------
    Array
        Of the dtype of ``x``; NaN where a negative float has a power that is not whole.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.pow(np.array([2.0, 3.0]), np.array([3, -1]))
    Array([8.        , 0.33333334], dtype=float32)
    >>> lax.pow(np.array([4.0, -4.0]), 0.5)
    Array([ 2., nan], dtype=float32)
    """
    x, y = as_operand(x, "pow"), as_operand(y, "pow")
    dt = aval_of(x).dtype
    if dt in dtypes.INEXACT and aval_of(y).dtype in dtypes.INTEGERS and type(y) is not int:
        y = convert_element_type(y, dt)
    return pow_p.bind(*match("pow", x, y))


def atan2(x: Any, y: Any) -> Any:
    r"""Angle of the point ``(y, x)``: arc tangent of ``x / y`` in the right quadrant.

    Parameters
    ----------
    x, y : array_like
        Floats (or complex numbers) of one dtype and shape. Axes of size one and operands of rank 0
        are repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Radians, from :math:`-\pi` to :math:`\pi`.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> np.round(lax.atan2(np.array([1.0, 1.0, -1.0]), np.array([1.0, -1.0, 0.0])), 4)
    Array([ 0.7854,  2.3562, -1.5708], dtype=float32)
    """
    return atan2_p.bind(*match("atan2", x, y))


def nextafter(x1: Any, x2: Any) -> Any:
    """The next float after ``x1`` in the direction of ``x2``.

    Parameters
    ----------
    x1, x2 : array_like
        Real floats of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands; ``x1`` where they are equal.

    Examples
    --------
    >>> from covector import lax
    >>> lax.nextafter(1.0, 2.0)
    Array(1.0000001, dtype=float32, weak_type=True)
    """
    return nextafter_p.bind(*match("nextafter", x1, x2))


def mulhi(x: Any, y: Any, /) -> Any:
    """Upper half of the double-width product of two integers.

    Parameters
    ----------
    x, y : array_like
        Integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.mulhi(np.array([2**30]), np.array([8]))
    Array([2], dtype=int32)
    """
    return mulhi_p.bind(*match("mulhi", x, y))


def complex(x: Any, y: Any) -> Any:  # noqa: A001
    """The complex number :math:`x + iy`.

    Parameters
    ----------
    x, y : array_like
        Floats of 32 or 64 bits of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of dtype complex64 or complex128.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.complex(np.array([1.0, 2.0]), np.array([0.0, -1.0]))
    Array([1.+0.j, 2.-1.j], dtype=complex64)
    """
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
        check_linear("mul", y)
        return [sum_to(mul(ct, y), x.aval), None]
    return [None, sum_to(mul(x, ct), y.aval)]


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    check_linear("div", y)
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
