"""Binary arithmetic."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.operands import as_operand, match
from covector.core.structural import convert_element_type
from covector.primitives.arithmetic import (
    add_p,
    complex_p,
    div_p,
    max_p,
    min_p,
    mul_p,
    mulhi_p,
    nextafter_p,
    rem_p,
    sub_p,
)
from covector.primitives.exponential import atan2_p, pow_p


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
