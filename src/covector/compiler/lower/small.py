"""Factorisations of small matrices, written out: straight code for each matrix of a batch.

Every element is a value of its own over the batch, which lies in the lanes of vectors. Pivots are
found and rows exchanged by selections, so that all matrices take the same steps: G. H. Golub,
C. F. Van Loan, "Matrix Computations", 4th ed., algorithms 3.4.1, 3.1.1 and 4.2.1. Elements that
are not finite, and pivots that are zero, are treated as by the library (native/cpu/lapack.h).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from covector.compiler.ir.nodes import Dim, Expr, Lit, Op, Value, Where, ivars
from covector.compiler.lower.lowering import Lowering
from covector.core import dtypes
from covector.core.dtypes import DType

# Sides of matrices that are written out, and multiplications that a program may grow by for them.
SIDE = 4
MULTIPLICATIONS = 2048
_Matrix = list[list[Value]]


def write_out(low: Lowering, *sides: Dim) -> bool:
    """Whether loops over three sides are written out; the program has grown by them then."""
    work = 1
    for n in sides:
        if type(n) is not int or not 1 <= n <= SIDE:
            return False
        work *= n
    if low.written_out + work > MULTIPLICATIONS:
        return False
    low.written_out += work
    return True


class Straight:
    """Straight code: values over a batch."""

    def __init__(self, low: Lowering, batch: Sequence[Dim]) -> None:
        self.low = low
        self.batch = tuple(batch)

    def value(self, expr: Expr) -> Value:
        return self.low.pointwise(self.batch, expr.dtype, expr)

    def at(self, v: Value, *place: int) -> Expr:
        return v.at(*ivars(len(self.batch)), *place)

    def op(self, name: str, *args: Value | Expr, dtype: DType | None = None) -> Value:
        given = [self.at(a) if isinstance(a, Value) else a for a in args]
        return self.value(Op(name, given, dtype or given[0].dtype))

    def select(self, cond: Value, yes: Value | Expr, no: Value | Expr) -> Value:
        a, b = (self.at(x) if isinstance(x, Value) else x for x in (yes, no))
        return self.value(Op("select_n", [self.at(cond), b, a], a.dtype))

    def less(self, x: Value | Expr, y: Value | Expr) -> Value:
        return self.op("lt", x, y, dtype=dtypes.bool_)

    def matrix(self, v: Value) -> _Matrix:
        """The elements of the matrices of ``v``."""
        m, n = v.shape[-2:]
        assert type(m) is int and type(n) is int
        return [[self.value(self.at(v, i, j)) for j in range(n)] for i in range(m)]

    def assembled(self, elements: Sequence[Value], shape: Sequence[int]) -> Value:
        """An array of the elements of each matrix, in order."""
        n = len(self.batch)
        axes = ivars(n + len(shape))[n:]

        def chosen(elements: Sequence[Value], shape: Sequence[int]) -> Expr:
            if not shape:
                return self.at(elements[0])
            axis = axes[len(axes) - len(shape)]
            step = len(elements) // shape[0]
            rest = chosen(elements[-step:], shape[1:])
            for k in range(shape[0] - 2, -1, -1):
                one = chosen(elements[k * step : (k + 1) * step], shape[1:])
                rest = Where([(axis, k, k + 1)], one, rest)
            return rest

        return self.low.pointwise((*self.batch, *shape), elements[0].dtype, chosen(elements, shape))

    def parts(self, x: Value) -> list[Value]:
        """The real numbers that make an element."""
        if x.dtype not in dtypes.COMPLEX:
            return [x]
        return [self.op(part, x, dtype=dtypes.real_dtype(x.dtype)) for part in ("real", "imag")]

    def size(self, x: Value) -> Value:
        """By what pivots are compared: |x|, or |Re x| + |Im x|."""
        sizes = [self.op("abs", p) for p in self.parts(x)]
        return sizes[0] if len(sizes) == 1 else self.op("add", *sizes)

    def wrong(self, elements: Sequence[Value]) -> Value:
        """Whether an element is not finite."""
        total: Value | None = None
        for p in [p for x in elements for p in self.parts(x)]:
            zero = self.op("mul", p, Lit(0, p.dtype))
            total = zero if total is None else self.op("add", total, zero)
        assert total is not None
        return self.op("ne", total, total, dtype=dtypes.bool_)


def lu(low: Lowering, a: Value) -> list[Value]:
    """Factors, pivots and permutation of small matrices, rows exchanged for the largest pivot."""
    code = Straight(low, a.shape[:-2])
    rows = code.matrix(a)
    m, n = len(rows), len(rows[0])
    wrong = code.wrong([x for row in rows for x in row])
    order = [code.value(Lit(np.int32(i), dtypes.int32)) for i in range(m)]
    pivots = []
    for j in range(min(m, n)):
        # ``best[i]``: whether row i is the largest so far.
        size, best = code.size(rows[j][j]), {}
        for i in range(j + 1, m):
            other = code.size(rows[i][j])
            best[i] = code.less(size, other)
            size = code.select(best[i], other, size)
        pivot = code.value(Lit(np.int32(j), dtypes.int32))
        for i, better in best.items():
            pivot = code.select(better, Lit(np.int32(i), dtypes.int32), pivot)
        pivots.append(code.select(wrong, Lit(np.int32(j), dtypes.int32), pivot))
        # ``here[i]``: whether the rows i and j are exchanged.
        here = {
            i: code.op("eq", pivot, Lit(np.int32(i), dtypes.int32), dtype=dtypes.bool_)
            for i in best
        }  # fmt: skip
        for column in (*range(n), None):
            old = [order[i] if column is None else rows[i][column] for i in range(j, m)]
            first = old[0]
            for i in best:
                first = code.select(best[i], old[i - j], first)
            new = [first, *[code.select(here[i], old[0], old[i - j]) for i in best]]
            for i, v in enumerate(new, j):
                if column is None:
                    order[i] = v
                else:
                    rows[i][column] = v
        top = rows[j][j]
        nothing = code.op("eq", top, Lit(0, a.dtype), dtype=dtypes.bool_)
        for i in range(j + 1, m):
            x = rows[i][j]
            rows[i][j] = factor = code.select(nothing, x, code.op("div", x, top))
            for k in range(j + 1, n):
                product = code.op("mul", factor, rows[j][k])
                rows[i][k] = code.op("sub", rows[i][k], product)
    nan = Lit(np.nan, a.dtype)
    packed = code.assembled([code.select(wrong, nan, x) for row in rows for x in row], (m, n))
    order = [
        code.select(wrong, Lit(np.int32(i), dtypes.int32), v) for i, v in enumerate(order)
    ]  # fmt: skip
    return [packed, code.assembled(pivots, (len(pivots),)), code.assembled(order, (m,))]


def cholesky(low: Lowering, a: Value, upper: bool) -> Value:
    """The triangular factor of small positive definite matrices; NaN for others."""
    code = Straight(low, a.shape[:-2])
    given = code.matrix(a)
    n = len(given)
    conj = a.dtype in dtypes.COMPLEX

    def conjugate(x: Value) -> Value:
        return code.op("conj", x) if conj else x

    # The lower factor; the upper one is its conjugate transpose.
    lower: _Matrix = [[] for _ in range(n)]
    fine: Value | None = None
    for j in range(n):
        for i in range(j, n):
            x = conjugate(given[j][i]) if upper else given[i][j]
            for k in range(j):
                x = code.op("sub", x, code.op("mul", lower[i][k], conjugate(lower[j][k])))
            if i > j:
                lower[i].append(code.op("div", x, lower[j][j]))
                continue
            if conj:
                x = code.op("real", x, dtype=dtypes.real_dtype(a.dtype))
            for test in (code.less(Lit(0, x.dtype), x), code.less(x, Lit(np.inf, x.dtype))):
                fine = test if fine is None else code.op("and", fine, test)
            root = code.op("sqrt", x)
            lower[j].append(code.op("convert_element_type", root, dtype=a.dtype) if conj else root)
    assert fine is not None
    zero, nan = Lit(0, a.dtype), Lit(np.nan, a.dtype)
    elements = []
    for i in range(n):
        for j in range(n):
            if (j < i) if upper else (j > i):
                elements.append(code.value(zero))
            else:
                x = conjugate(lower[j][i]) if upper else lower[i][j]
                elements.append(code.select(fine, x, nan))
    return code.assembled(elements, (n, n))


def triangular_solve(
    low: Lowering, a: Value, b: Value, *, right: bool, lower: bool, transpose: bool,
    conjugate: bool, unit: bool,
) -> Value:  # fmt: skip
    """Solutions of small triangular systems, by substitution."""
    code = Straight(low, a.shape[:-2])
    t, x = code.matrix(a), code.matrix(b)
    n = len(t)
    if right:  # x op(a) = b is op(a)ᵀ xᵀ = bᵀ.
        x = [list(column) for column in zip(*x, strict=True)]
    if transpose != right:
        t = [list(column) for column in zip(*t, strict=True)]
        lower = not lower
    if conjugate:
        t = [[code.op("conj", e) for e in row] for row in t]
    rows = range(n) if lower else range(n - 1, -1, -1)
    for i in rows:
        for c in range(len(x[0])):
            total = x[i][c]
            for k in range(i) if lower else range(n - 1, i, -1):
                total = code.op("sub", total, code.op("mul", t[i][k], x[k][c]))
            x[i][c] = total if unit else code.op("div", total, t[i][i])
    if right:
        x = [list(column) for column in zip(*x, strict=True)]
    return code.assembled([e for row in x for e in row], (len(x), len(x[0])))
