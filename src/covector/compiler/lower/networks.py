"""Rows of few elements, sorted by exchanges that are written out: a row in each lane of vectors.

Neighbours that are out of order are exchanged, the even pairs and the odd ones in turns, as many
rounds as there are elements: D. E. Knuth, "The Art of Computer Programming", volume 3, 2nd ed.,
section 5.3.4, exercise 37. Only neighbours are, so that equal elements keep their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from covector.compiler.ir.nodes import Expr, Op, Part, Update, Value, Where, ivars
from covector.compiler.lower.lowering import Lowering, as_int
from covector.compiler.lower.reads import one_of, read, source
from covector.core import dtypes

# Elements of a row that is sorted so, and rows from which on it is worth the code.
FEW = 8
MANY = 64
# Operations of all that a program may grow by.
OPERATIONS = 2048


def elements_in_order(
    low: Lowering, xs: Sequence[Value], axis: int, num_keys: int, nans_last: bool = True
) -> list[list[Value]] | None:
    """The elements of each operand along ``axis`` in the order of the first operand.

    None where a library call is better. Where ``nans_last`` is false, rows with a NaN are in any
    order: an exchange is a minimum and a maximum.
    """
    key = xs[0]
    n = key.shape[axis]
    rest = [d for k, d in enumerate(key.shape) if k != axis]
    # What is known at run time alone is large.
    rows = math.prod([d if type(d) is int else MANY for d in rest])
    if type(n) is not int or not 2 <= n <= FEW or rows < MANY or num_keys != 1:
        return None
    if any([x.dtype in dtypes.COMPLEX or dtypes.is_extended(x.dtype) for x in xs]):
        return None
    grown = n * (n - 1) // 2 * (3 + 2 * len(xs))
    if low.written_out + grown > OPERATIONS:
        return None
    low.written_out += grown
    v = ivars(len(rest))

    def value(expr: Expr) -> Value:
        return low.pointwise(rest, expr.dtype, expr)

    def at(x: Value) -> Expr:
        return x.at(*v)

    def out_of_order(a: Value, b: Value) -> Value:
        if a.dtype not in dtypes.FLOATS or not nans_last:
            return value(Op("lt", [at(b), at(a)], dtypes.bool_))
        # NaN comes last.
        before = Op("le", [at(a), at(b)], dtypes.bool_)
        there = Op("eq", [at(b), at(b)], dtypes.bool_)
        return value(Op("and", [Op("not", [before], dtypes.bool_), there], dtypes.bool_))

    def chosen(cond: Value, yes: Value, no: Value) -> Value:
        return value(Op("select_n", [at(cond), at(no), at(yes)], yes.dtype))

    out = [[value(read(x, *v[:axis], k, *v[axis:])) for k in range(n)] for x in xs]
    for round_ in range(n):
        for k in range(round_ % 2, n - 1, 2):
            exchanged = out_of_order(out[0][k], out[0][k + 1])
            for row in out:
                a, b = row[k], row[k + 1]
                row[k], row[k + 1] = chosen(exchanged, b, a), chosen(exchanged, a, b)
    return out


def joined(low: Lowering, elements: Sequence[Value], axis: int) -> Value:
    """An array of elements along ``axis``."""
    n = len(elements)
    rest = elements[0].shape
    shape = (*rest[:axis], n, *rest[axis:])
    v = ivars(len(shape))
    others = (*v[:axis], *v[axis + 1 :])
    parts = [
        Part((*rest[:axis], 1, *rest[axis:]), (*v[:axis], k, *v[axis + 1 :]), x.at(*others))
        for k, x in enumerate(elements)
    ]

    def piece(lo: int, hi: int) -> Expr:
        if hi - lo == 1:
            return elements[lo].at(*others)
        half = (lo + hi) // 2
        return Where([(v[axis], lo, half)], piece(lo, half), piece(half, hi))

    return low.define(shape, elements[0].dtype, Update(None, parts, piece(0, n)))


def picked(low: Lowering, elements: Sequence[Value], ranks: Value, axis: int) -> Value:
    """The elements of ``ranks``, whose axis ``axis`` may have any length."""
    v = ivars(ranks.ndim)
    others = (*v[:axis], *v[axis + 1 :])
    count = ranks.shape[axis]
    found = [
        read(ranks, *v[:axis], k, *v[axis + 1 :]) for k in range(count if type(count) is int else 0)
    ]
    places = [as_int(source(e.value, *e.index).value) for e in found]
    known = [max(0, min(k, len(elements) - 1)) for k in places if k is not None]
    if found and len(known) == len(found):
        return joined(low, [elements[k] for k in known], axis)
    expr = one_of([e.at(*others) for e in elements], ranks.at(*v))
    return low.pointwise(ranks.shape, expr.dtype, expr)
