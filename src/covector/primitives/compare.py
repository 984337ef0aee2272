"""Comparisons and operations on bits."""

from __future__ import annotations

from covector.core.definers import def_jvp_zero
from covector.primitives.common import ANY, BITS, INTEGER, ORDERED, binary, comparison, unary

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


# --- constructors: what rules bind ---------------------------------------------------------

eq, ne, lt, le, gt, ge = eq_p.bind, ne_p.bind, lt_p.bind, le_p.bind, gt_p.bind, ge_p.bind
bitwise_and, bitwise_or = and_p.bind, or_p.bind


for _p in (
    eq_p, ne_p, lt_p, le_p, gt_p, ge_p, and_p, or_p, xor_p, not_p, shift_left_p,
    shift_right_logical_p, shift_right_arithmetic_p, population_count_p, clz_p,
):  # fmt: skip
    def_jvp_zero(_p)
