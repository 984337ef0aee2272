"""Comparisons and bitwise operations."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.core.operands import match
from covector.primitives.compare import (
    and_p,
    clz_p,
    eq_p,
    ge_p,
    gt_p,
    le_p,
    lt_p,
    ne_p,
    not_p,
    or_p,
    population_count_p,
    shift_left_p,
    shift_right_arithmetic_p,
    shift_right_logical_p,
    xor_p,
)


def eq(x: Any, y: Any) -> Any:
    """Elementwise :math:`x = y`.

    Parameters
    ----------
    x, y : array_like
        Numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; NaN equals nothing.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.eq(np.array([1.0, np.nan]), np.array([1.0, np.nan]))
    Array([ True, False], dtype=bool)
    """
    return eq_p.bind(*match("eq", x, y))


def ne(x: Any, y: Any) -> Any:
    r"""Elementwise :math:`x \ne y`.

    Parameters
    ----------
    x, y : array_like
        Numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; NaN differs from everything.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.ne(np.array([1, 2]), 2)
    Array([ True, False], dtype=bool)
    """
    return ne_p.bind(*match("ne", x, y))


def lt(x: Any, y: Any) -> Any:
    """Elementwise :math:`x < y`.

    Parameters
    ----------
    x, y : array_like
        Real numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; False where an operand is NaN.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.lt(np.array([1, 2, 3]), 2)
    Array([ True, False, False], dtype=bool)
    """
    return lt_p.bind(*match("lt", x, y))


def le(x: Any, y: Any) -> Any:
    r"""Elementwise :math:`x \le y`.

    Parameters
    ----------
    x, y : array_like
        Real numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; False where an operand is NaN.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.le(np.array([1, 2, 3]), 2)
    Array([ True,  True, False], dtype=bool)
    """
    return le_p.bind(*match("le", x, y))


def gt(x: Any, y: Any) -> Any:
    """Elementwise :math:`x > y`.

    Parameters
    ----------
    x, y : array_like
        Real numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; False where an operand is NaN.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.gt(np.array([1, 2, 3]), 2)
    Array([False, False,  True], dtype=bool)
    """
    return gt_p.bind(*match("gt", x, y))


def ge(x: Any, y: Any) -> Any:
    r"""Elementwise :math:`x \ge y`.

    Parameters
    ----------
    x, y : array_like
        Real numbers or booleans of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Booleans; False where an operand is NaN.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.ge(np.array([1, 2, 3]), 2)
    Array([False,  True,  True], dtype=bool)
    """
    return ge_p.bind(*match("ge", x, y))


def bitwise_and(x: Any, y: Any) -> Any:
    """Elementwise AND of booleans or of the bits of integers.

    Parameters
    ----------
    x, y : array_like
        Booleans or integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.bitwise_and(np.array([0b1100, 0b0110]), 0b1010)
    Array([8, 2], dtype=int32)
    """
    return and_p.bind(*match("bitwise_and", x, y))


def bitwise_or(x: Any, y: Any) -> Any:
    """Elementwise OR of booleans or of the bits of integers.

    Parameters
    ----------
    x, y : array_like
        Booleans or integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.bitwise_or(np.array([0b1100, 0b0110]), 0b1010)
    Array([14, 14], dtype=int32)
    """
    return or_p.bind(*match("bitwise_or", x, y))


def bitwise_xor(x: Any, y: Any) -> Any:
    """Elementwise exclusive OR of booleans or of the bits of integers.

    Parameters
    ----------
    x, y : array_like
        Booleans or integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.bitwise_xor(np.array([0b1100, 0b0110]), 0b1010)
    Array([ 6, 12], dtype=int32)
    """
    return xor_p.bind(*match("bitwise_xor", x, y))


def bitwise_not(x: Any) -> Any:
    """Elementwise NOT of booleans or of the bits of integers.

    Parameters
    ----------
    x : array_like
        Booleans or integers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.bitwise_not(np.array([True, False]))
    Array([False,  True], dtype=bool)
    >>> lax.bitwise_not(np.array([0, 5]))
    Array([-1, -6], dtype=int32)
    """
    return not_p.bind(x)


def shift_left(x: Any, y: Any) -> Any:
    r"""Elementwise left shift :math:`x \ll y`; 0 where ``y`` is outside the width.

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
    >>> lax.shift_left(np.array([1, 1, 1]), np.array([1, 4, 32]))
    Array([ 2, 16,  0], dtype=int32)
    """
    return shift_left_p.bind(*match("shift_left", x, y))


def shift_right_logical(x: Any, y: Any) -> Any:
    """Elementwise right shift that fills with zeros.

    Parameters
    ----------
    x, y : array_like
        Integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands; 0 where ``y`` is outside the width.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.shift_right_logical(np.array([16, -8]), 1)
    Array([         8, 2147483644], dtype=int32)
    """
    return shift_right_logical_p.bind(*match("shift_right_logical", x, y))


def shift_right_arithmetic(x: Any, y: Any) -> Any:
    """Elementwise right shift that fills with the sign bit.

    Parameters
    ----------
    x, y : array_like
        Integers of one dtype and shape. Axes of size one and operands of rank 0 are
        repeated; Python scalars take the dtype of the other operand.

    Returns
    -------
    Array
        Of the dtype of the operands; 0 or -1 where ``y`` is outside the width.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.shift_right_arithmetic(np.array([16, -8]), 1)
    Array([ 8, -4], dtype=int32)
    """
    return shift_right_arithmetic_p.bind(*match("shift_right_arithmetic", x, y))


def population_count(x: Any) -> Any:
    """Elementwise number of bits that are set.

    Parameters
    ----------
    x : array_like
        Integers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.population_count(np.array([7, -1]))
    Array([ 3, 32], dtype=int32)
    """
    return population_count_p.bind(x)


def clz(x: Any) -> Any:
    """Elementwise number of leading zero bits.

    Parameters
    ----------
    x : array_like
        Integers, of any shape.

    Returns
    -------
    Array
        Of the shape and dtype of ``x``; the width of the dtype at 0.

    Examples
    --------
    >>> import covector.numpy as np
    >>> from covector import lax
    >>> lax.clz(np.array([0, 1, 7]))
    Array([32, 31, 29], dtype=int32)
    """
    return clz_p.bind(x)


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
