"""Comparisons and operations on bits."""

from __future__ import annotations

from math import nan

import numpy as np

from covector.core.trace import Bind
from covector.primitives.common import ANY, BITS, INTEGER, ORDERED
from covector.primitives.elementwise import (
    ZERO,
    binary,
    comparison,
    doc,
    unary,
)

eq_p = comparison(
    "eq",
    ANY,
    complex_cost=3,
    values=[((1.0, 1.0), True), ((nan, nan), False)],
    fold=np.equal,
    doc=doc(
        "Elementwise :math:`x = y`.",
        """
        >>> lax.eq(np.array([1.0, np.nan]), np.array([1.0, np.nan]))
        Array([ True, False], dtype=bool)
        """,
        returns="Booleans; NaN equals nothing.",
    ),
)

ne_p = comparison(
    "ne",
    ANY,
    complex_cost=3,
    values=[((1.0, 1.0), False), ((nan, nan), True)],
    fold=np.not_equal,
    doc=doc(
        r"Elementwise :math:`x \ne y`.",
        """
        >>> lax.ne(np.array([1, 2]), 2)
        Array([ True, False], dtype=bool)
        """,
        returns="Booleans; NaN differs from everything.",
    ),
)

lt_p = comparison(
    "lt",
    ORDERED,
    values=[((1.0, 2.0), True), ((nan, 1.0), False)],
    fold=np.less,
    doc=doc(
        "Elementwise :math:`x < y`.",
        """
        >>> lax.lt(np.array([1, 2, 3]), 2)
        Array([ True, False, False], dtype=bool)
        """,
        returns="Booleans; False where an operand is NaN.",
    ),
)

le_p = comparison(
    "le",
    ORDERED,
    values=[((2.0, 2.0), True), ((nan, 1.0), False)],
    fold=np.less_equal,
    doc=doc(
        r"Elementwise :math:`x \le y`.",
        """
        >>> lax.le(np.array([1, 2, 3]), 2)
        Array([ True,  True, False], dtype=bool)
        """,
        returns="Booleans; False where an operand is NaN.",
    ),
)

gt_p = comparison(
    "gt",
    ORDERED,
    values=[((2.0, 1.0), True), ((nan, 1.0), False)],
    fold=np.greater,
    doc=doc(
        "Elementwise :math:`x > y`.",
        """
        >>> lax.gt(np.array([1, 2, 3]), 2)
        Array([False, False,  True], dtype=bool)
        """,
        returns="Booleans; False where an operand is NaN.",
    ),
)

ge_p = comparison(
    "ge",
    ORDERED,
    values=[((2.0, 2.0), True), ((nan, 1.0), False)],
    fold=np.greater_equal,
    doc=doc(
        r"Elementwise :math:`x \ge y`.",
        """
        >>> lax.ge(np.array([1, 2, 3]), 2)
        Array([False,  True,  True], dtype=bool)
        """,
        returns="Booleans; False where an operand is NaN.",
    ),
)

and_p = binary(
    "and",
    BITS,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((12, 10), 8)],
    fold=np.bitwise_and,
    doc=doc(
        "Elementwise AND of booleans or of the bits of integers.",
        """
        >>> lax.bitwise_and(np.array([0b1100, 0b0110]), 0b1010)
        Array([8, 2], dtype=int32)
        """,
        name="bitwise_and",
    ),
)

or_p = binary(
    "or",
    BITS,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((12, 10), 14)],
    fold=np.bitwise_or,
    doc=doc(
        "Elementwise OR of booleans or of the bits of integers.",
        """
        >>> lax.bitwise_or(np.array([0b1100, 0b0110]), 0b1010)
        Array([14, 14], dtype=int32)
        """,
        name="bitwise_or",
    ),
)

xor_p = binary(
    "xor",
    BITS,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((12, 10), 6)],
    fold=np.bitwise_xor,
    doc=doc(
        "Elementwise exclusive OR of booleans or of the bits of integers.",
        """
        >>> lax.bitwise_xor(np.array([0b1100, 0b0110]), 0b1010)
        Array([ 6, 12], dtype=int32)
        """,
        name="bitwise_xor",
    ),
)

not_p = unary(
    "not",
    BITS,
    derivative=ZERO,
    domain=((-9, 9),),
    values=[((5,), -6)],
    fold=np.invert,
    doc=doc(
        "Elementwise NOT of booleans or of the bits of integers.",
        """
        >>> lax.bitwise_not(np.array([True, False]))
        Array([False,  True], dtype=bool)
        >>> lax.bitwise_not(np.array([0, 5]))
        Array([-1, -6], dtype=int32)
        """,
        name="bitwise_not",
    ),
)

shift_left_p = binary(
    "shift_left",
    INTEGER,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((3, 2), 12), ((1, 32), 0)],
    doc=doc(
        r"Elementwise left shift :math:`x \ll y`; 0 where ``y`` is outside the width.",
        """
        >>> lax.shift_left(np.array([1, 1, 1]), np.array([1, 4, 32]))
        Array([ 2, 16,  0], dtype=int32)
        """,
    ),
)

shift_right_logical_p = binary(
    "shift_right_logical",
    INTEGER,
    derivative=ZERO,
    domain=((0, 9), (0, 9)),
    values=[((12, 2), 3), ((-1, 31), 1)],
    doc=doc(
        "Elementwise right shift that fills with zeros.",
        """
        >>> lax.shift_right_logical(np.array([16, -8]), 1)
        Array([         8, 2147483644], dtype=int32)
        """,
        returns="Of the dtype of the operands; 0 where ``y`` is outside the width.",
    ),
)

shift_right_arithmetic_p = binary(
    "shift_right_arithmetic",
    INTEGER,
    derivative=ZERO,
    domain=((-9, 9), (0, 9)),
    values=[((-12, 2), -3), ((-1, 40), -1)],
    doc=doc(
        "Elementwise right shift that fills with the sign bit.",
        """
        >>> lax.shift_right_arithmetic(np.array([16, -8]), 1)
        Array([ 8, -4], dtype=int32)
        """,
        returns="Of the dtype of the operands; 0 or -1 where ``y`` is outside the width.",
    ),
)

population_count_p = unary(
    "population_count",
    INTEGER,
    derivative=ZERO,
    domain=((0, 9),),
    values=[((7,), 3), ((-1,), 32)],
    doc=doc(
        "Elementwise number of bits that are set.",
        """
        >>> lax.population_count(np.array([7, -1]))
        Array([ 3, 32], dtype=int32)
        """,
    ),
)

clz_p = unary(
    "clz",
    INTEGER,
    derivative=ZERO,
    domain=((0, 9),),
    values=[((1,), 31), ((0,), 32)],
    doc=doc(
        "Elementwise number of leading zero bits.",
        """
        >>> lax.clz(np.array([0, 1, 7]))
        Array([32, 31, 29], dtype=int32)
        """,
        returns="Of the shape and dtype of ``x``; the width of the dtype at 0.",
    ),
)


# --- constructors: what rules bind ---------------------------------------------------------

eq: Bind = eq_p.bind
ne: Bind = ne_p.bind
lt: Bind = lt_p.bind
le: Bind = le_p.bind
gt: Bind = gt_p.bind
ge: Bind = ge_p.bind
bitwise_and: Bind = and_p.bind
bitwise_or: Bind = or_p.bind
