"""Elementwise functions that take more than operands, or more kinds of them; see `elementwise`."""

from __future__ import annotations

import enum
import operator
from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.errors import at_user_line, describe
from covector.core.operands import PY_SCALARS, as_operand, match
from covector.core.structural import convert_element_type
from covector.primitives.arithmetic import (
    conj_p,
    div,
    integer_pow_p,
    mul_p,
    mulhi_p,
    round_p,
)
from covector.primitives.common import INEXACT, check_dtype
from covector.primitives.compare import (
    ne_p,
)
from covector.primitives.exponential import pow_p
from covector.primitives.incomplete import (
    regularized_incomplete_beta_p,
)


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


class RoundingMethod(enum.IntEnum):
    """Where `round` sends halves: away from zero, or to the even neighbour."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def round(x: Any, rounding_method: Any = RoundingMethod.AWAY_FROM_ZERO) -> Any:  # noqa: A001
    """Elementwise nearest integer, as a float; ``rounding_method`` decides halves.

    Parameters
    ----------
    x : array_like
        Real floats, of any shape.
    rounding_method : RoundingMethod
        By default halves go away from zero.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> x = np.array([0.5, 1.5, -2.5])
    >>> lax.round(x)
    Array([ 1.,  2., -3.], dtype=float32)
    >>> lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
    Array([ 0.,  2., -2.], dtype=float32)
    """
    return round_p.bind(
        as_operand(x, "round"), rounding_method=int(RoundingMethod(rounding_method))
    )


def reciprocal(x: Any) -> Any:
    """Elementwise :math:`1/x`.

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; infinite at 0.

    Raises
    ------
    TypeError
        If ``x`` is an array of integers.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.reciprocal(np.array([2.0, 0.0]))
    Array([0.5, inf], dtype=float32)
    """
    x = as_operand(x, "reciprocal")
    return integer_pow(x, -1) if type(x) not in PY_SCALARS else div(*match("div", 1.0, x))


def integer_pow(x: Any, y: int) -> Any:
    """Elementwise :math:`x^y` for a fixed integer ``y``.

    Parameters
    ----------
    x : array_like
        Numbers, of any shape.
    y : int
        Not traced: the power is a part of the program.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; 1 where ``y`` is 0.

    Raises
    ------
    TypeError
        If ``x`` holds integers and ``y`` is negative.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.integer_pow(np.array([2, -3]), 3)
    Array([  8, -27], dtype=int32)
    >>> lax.integer_pow(np.array([2.0, 4.0]), -1)
    Array([0.5 , 0.25], dtype=float32)
    """
    x = as_operand(x, "integer_pow")
    try:
        y = operator.index(y)
    except TypeError:
        raise TypeError(
            f"integer_pow takes an integer known while tracing as y, got {describe(y)}; see pow"
            f"{at_user_line()}"
        ) from None
    if y < 0 and dtypes.is_integer(aval_of(x).dtype):
        raise TypeError(
            f"integer_pow: integers cannot be raised to the negative power {y}{at_user_line()}"
        )
    if y == 1:
        return x
    return integer_pow_p.bind(x, y=y)


def conj(x: Any) -> Any:
    """Elementwise complex conjugate; the result is complex for real operands too.


    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Complex numbers of the shape of ``x``, of the complex dtype where ``x`` is real.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.conj(np.array([1 + 2j, 3 - 1j]))
    Array([1.-2.j, 3.+1.j], dtype=complex64)
    """
    x = as_operand(x, "conj")
    dt = aval_of(x).dtype
    if dt not in dtypes.INEXACT:
        check_dtype("conj", aval_of(x), INEXACT)
    return conj_p.bind(x, input_dtype=dt)


def is_nan(x: Any) -> Any:
    """Elementwise: is it not a number (for complex numbers, is a part of it).

    Parameters
    ----------
    x : array_like
        Floats or complex numbers, of any shape.

    Returns
    -------
    Array
        Booleans, of the shape of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.is_nan(np.array([1.0, np.nan]))
    Array([False,  True], dtype=bool)
    """
    if not dtypes.is_inexact(aval_of(x).dtype):
        raise TypeError(f"is_nan takes floats or complex numbers, got {aval_of(x).str_short()}")
    return ne_p.bind(x, x)


def betainc(a: Any, b: Any, x: Any) -> Any:
    """Elementwise regularised incomplete beta function :math:`I_x(a, b)`.

    Parameters
    ----------
    a, b : array_like
        Shapes, real floats that are not negative.
    x : array_like
        Real floats in [0, 1], of the same dtype and shape (or any of rank 0).

    Returns
    -------
    Array
        NaN where an argument is out of range.

    References
    ----------
    DLMF 8.17.22.

    Examples
    --------
    >>> from covector import lax
    >>> lax.betainc(2.0, 3.0, 0.5)
    Array(0.6875, dtype=float32, weak_type=True)
    """
    a, b = match("betainc", a, b)
    a, x = match("betainc", a, x)
    b, x = match("betainc", b, x)
    return regularized_incomplete_beta_p.bind(a, b, x)
