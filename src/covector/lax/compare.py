"""Comparisons and bitwise operations: primitives with their rules, and the public functions."""

from __future__ import annotations

from typing import Any

from covector.core import dtypes
from covector.core.avals import aval_of
from covector.lax._common import ANY, BITS, INTEGER, ORDERED, match
from covector.lax._elementwise import binary, comparison, unary
from covector.transforms.jvp import def_jvp_zero

eq_p = comparison("eq", ANY)
ne_p = comparison("ne", ANY)
lt_p = comparison("lt", ORDERED)
le_p = comparison("le", ORDERED)
gt_p = comparison("gt", ORDERED)
ge_p = comparison("ge", ORDERED)
and_p = binary("and", BITS)
or_p = binary("or", BITS)
xor_p = binary("xor", BITS)
not_p = unary("not", BITS)
shift_left_p = binary("shift_left", INTEGER)
shift_right_logical_p = binary("shift_right_logical", INTEGER)
shift_right_arithmetic_p = binary("shift_right_arithmetic", INTEGER)
population_count_p = unary("population_count", INTEGER)
clz_p = unary("clz", INTEGER)

for _p in (
    eq_p, ne_p, lt_p, le_p, gt_p, ge_p, and_p, or_p, xor_p, not_p, shift_left_p,
    shift_right_logical_p, shift_right_arithmetic_p, population_count_p, clz_p,
):  # fmt: skip
    def_jvp_zero(_p)


def eq(x: Any, y: Any) -> Any:
    """Elementwise :math:`x = y`."""
    return eq_p.bind(*match("eq", x, y))


def ne(x: Any, y: Any) -> Any:
    """Elementwise :math:`x \\ne y`."""
    return ne_p.bind(*match("ne", x, y))


def lt(x: Any, y: Any) -> Any:
    """Elementwise :math:`x < y`."""
    return lt_p.bind(*match("lt", x, y))


def le(x: Any, y: Any) -> Any:
    """Elementwise :math:`x \\le y`."""
    return le_p.bind(*match("le", x, y))


def gt(x: Any, y: Any) -> Any:
    """Elementwise :math:`x > y`."""
    return gt_p.bind(*match("gt", x, y))


def ge(x: Any, y: Any) -> Any:
    """Elementwise :math:`x \\ge y`."""
    return ge_p.bind(*match("ge", x, y))


def bitwise_and(x: Any, y: Any) -> Any:
    """Elementwise AND of booleans or of the bits of integers."""
    return and_p.bind(*match("bitwise_and", x, y))


def bitwise_or(x: Any, y: Any) -> Any:
    """Elementwise OR of booleans or of the bits of integers."""
    return or_p.bind(*match("bitwise_or", x, y))


def bitwise_xor(x: Any, y: Any) -> Any:
    """Elementwise exclusive OR of booleans or of the bits of integers."""
    return xor_p.bind(*match("bitwise_xor", x, y))


def bitwise_not(x: Any) -> Any:
    """Elementwise NOT of booleans or of the bits of integers."""
    return not_p.bind(x)


def shift_left(x: Any, y: Any) -> Any:
    """Elementwise left shift :math:`x \\ll y`; 0 where ``y`` is outside the width."""
    return shift_left_p.bind(*match("shift_left", x, y))


def shift_right_logical(x: Any, y: Any) -> Any:
    """Elementwise right shift that fills with zeros."""
    return shift_right_logical_p.bind(*match("shift_right_logical", x, y))


def shift_right_arithmetic(x: Any, y: Any) -> Any:
    """Elementwise right shift that fills with the sign bit."""
    return shift_right_arithmetic_p.bind(*match("shift_right_arithmetic", x, y))


def population_count(x: Any) -> Any:
    """Elementwise number of bits that are set."""
    return population_count_p.bind(x)


def clz(x: Any) -> Any:
    """Elementwise number of leading zero bits."""
    return clz_p.bind(x)


def is_nan(x: Any) -> Any:
    """Elementwise: is it not a number (for complex numbers, is a part of it)."""
    if not dtypes.is_inexact(aval_of(x).dtype):
        raise TypeError(f"is_nan takes floats or complex numbers, got {aval_of(x).str_short()}")
    return ne_p.bind(x, x)
