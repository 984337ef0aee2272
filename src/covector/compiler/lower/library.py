"""Matrix products, sorting and callbacks: calls of the runtime library."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from covector.compiler.ir.nodes import (
    KNOWN,
    Dim,
    IVar,
    LibraryCall,
    Lit,
    Load,
    Op,
    Pointwise,
    Reduce,
    Value,
    ivars,
    product,
)
from covector.compiler.lower import networks
from covector.compiler.lower.lowering import Lowering, rule
from covector.compiler.target import SHORT_ROW, MatrixProduct
from covector.core import dtypes
from covector.core.avals import ShapedArray
from covector.core.dtypes import DType
from covector.core.jaxpr import DropVar, JaxprEqn
from covector.primitives.dot import dot_general_p
from covector.primitives.sorting import partition_p, search_p, sort_p, top_k_p


def transposed(low: Lowering, x: Value, perm: Sequence[int]) -> Value:
    """``x`` with its axes in the order ``perm``."""
    base, axes = _peel(x)
    perm = [axes[p] for p in perm]
    if perm == list(range(x.ndim)):
        return base
    index: list[Any] = [0] * x.ndim
    for k, p in enumerate(perm):
        index[p] = ivars(x.ndim)[k]
    return low.pointwise([base.shape[p] for p in perm], x.dtype, base.at(*index))


def converted(low: Lowering, x: Value, dtype: Any) -> Value:
    if x.dtype == dtype:
        return x
    expr = Op("convert_element_type", [x.at(*ivars(x.ndim))], dtype)
    return low.pointwise(x.shape, dtype, expr)


def _peel(x: Value) -> tuple[Value, list[int]]:
    """A value of which ``x`` is a transposition, and for each axis of ``x`` its axis there."""
    perm = list(range(x.ndim))
    while type(x.defn) is Pointwise and type(x.defn.expr) is Load:
        load = x.defn.expr
        if load.value.ndim != x.ndim or not all(type(i) is IVar for i in load.index):
            break
        where = {i.axis: k for k, i in enumerate(load.index)}  # type: ignore[union-attr]
        if len(where) != x.ndim:
            break
        if any(load.value.shape[k] != x.shape[axis] for axis, k in where.items()):
            break  # The beginning of a larger array.
        perm = [where[p] for p in perm]
        x = load.value
    return x, perm


def _innermost(x: Value) -> int:
    """The axis of ``x`` along which its elements are next to each other in memory."""
    return _peel(x)[1].index(x.ndim - 1)


def _operand(
    low: Lowering, x: Value, batch: Sequence[int], first: Sequence[int], last: Sequence[int]
) -> tuple[Value, bool]:
    """``x`` laid out as batch, first, last axes, or (True) as batch, last, first."""
    base, perm = _peel(x)
    b, f, t = ([perm[a] for a in axes] for axes in (batch, first, last))
    if [*b, *f, *t] == list(range(x.ndim)):
        return base, False
    if [*b, *t, *f] == list(range(x.ndim)):
        return base, True
    return transposed(low, base, [*b, *f, *t]), False


def _unwidened(x: Value) -> Value:
    """An integer value that ``x`` is a conversion of, all numbers of which it can hold."""
    expr = x.defn.expr if type(x.defn) is Pointwise else None
    if type(expr) is not Op or expr.name != "convert_element_type":
        return x
    (load,) = expr.args
    if type(load) is not Load or load.index != ivars(x.ndim) or load.value.shape != x.shape:
        return x
    source = load.value.dtype
    whole = source in dtypes.INTEGERS and np.can_cast(source, x.dtype)
    return load.value if whole else x


def _narrowed(x: Value, y: Value, integers: Container[DType]) -> tuple[Value, Value]:
    """The same operands before they were widened, where such integers can be multiplied."""
    if x.dtype not in dtypes.INTEGERS:
        return x, y
    narrow = _unwidened(x), _unwidened(y)
    return narrow if all(u.dtype in integers for u in narrow) else (x, y)


@rule(dot_general_p)
def _dot_general(low: Lowering, eqn: JaxprEqn, x: Value, y: Value) -> Value:
    (cx, cy), (bx, by) = eqn.params["dimension_numbers"]
    aval = eqn.outvars[0].aval
    fx = [k for k in range(x.ndim) if k not in cx and k not in bx]
    fy = [k for k in range(y.ndim) if k not in cy and k not in by]
    shape = low.shape(aval.shape)
    compute = aval.dtype
    matrices = [*(x.shape[k] for k in (*fx, *cx)), *(y.shape[k] for k in fy)]
    work = product([*(x.shape[k] for k in bx), *matrices])
    outer = all(x.shape[k] == 1 for k in cx)
    inner = not shape
    sides = [product([u.shape[k] for k in free]) for u, free in ((x, fx), (y, fy))]
    few = min([n for n in sides if n is not None], default=None)
    each = _each(sides, matrices, product([x.shape[k] for k in cx]))
    library = low.target.library
    left, right = _narrowed(x, y, library.integers)
    wide = max(left.dtype, right.dtype, key=lambda dtype: dtype.itemsize)
    asked = MatrixProduct(
        compute, wide, few, work, product(matrices), product(shape), outer, inner, each
    )
    operands = library.multiplies(asked)
    if operands is None:
        return _as_reduction(low, x, y, (cx, cy, bx, by, fx, fy), shape, compute)
    x, y = left, right
    if operands.itemsize > 1:  # of bytes, only one may have a sign
        x, y = converted(low, x, operands), converted(low, y, operands)
    a, ta = _operand(low, x, bx, fx, cx)
    c, tc = _operand(low, y, by, cy, fy)
    attrs = {
        "m": tuple(x.shape[k] for k in fx),
        "n": tuple(y.shape[k] for k in fy),
        "k": tuple(x.shape[k] for k in cx),
        "batch": tuple(x.shape[k] for k in bx),
        "ta": ta,
        "tb": tc,
    }
    results = [(shape, library.product_of(operands))]
    (out,) = low.append(LibraryCall("gemm", (a, c), attrs, results))
    return converted(low, out, compute)


def _each(sides: Sequence[int | None], matrices: Sequence[Dim], summed: int | None) -> int | None:
    """Numbers multiplied for one index of the long axes, if but one operand has such and all other
    axes are short."""
    constant = [n for n in matrices if type(n) is int]
    if summed is None or all([n is None for n in sides]) or max(constant, default=1) > SHORT_ROW:
        return None
    return product(constant)


def _as_reduction(
    low: Lowering, x: Value, y: Value, dims: Any, shape: Sequence[Any], dtype: Any
) -> Value:
    """The product as a sum over index variables; an outer product sums nothing."""
    cx, cy, bx, by, fx, fy = dims
    pairs = [(p, q) for p, q in zip(cx, cy, strict=True) if x.shape[p] != 1]
    cx, cy = [p for p, _ in pairs], [q for _, q in pairs]
    n = len(shape)
    v = ivars(n + len(cx))
    ix: list[Any] = [0] * x.ndim
    iy: list[Any] = [0] * y.ndim
    for k, (p, q) in enumerate(zip(bx, by, strict=True)):
        ix[p], iy[q] = v[k], v[k]
    for k, p in enumerate(fx):
        ix[p] = v[len(bx) + k]
    for k, q in enumerate(fy):
        iy[q] = v[len(bx) + len(fx) + k]
    for k, (p, q) in enumerate(zip(cx, cy, strict=True)):
        ix[p], iy[q] = v[n + k], v[n + k]

    def factor(u: Value, index: list[Any]) -> Any:
        e: Any = u.at(*index)
        wide = dtypes.float32 if dtype in dtypes.ROUNDED else dtype
        return e if u.dtype == wide else Op("convert_element_type", [e], wide)

    fa, fb = factor(x, ix), factor(y, iy)
    wide = fa.dtype
    if wide == dtypes.bool_:
        kind, expr = "or", Op("and", [fa, fb], wide)
    else:
        kind, expr = "sum", Op("mul", [fa, fb], wide)
    if not cx:
        out = low.pointwise(shape, wide, expr)
    else:
        extents = [x.shape[k] for k in cx]
        order = list(range(n + len(cx)))
        if fy and _innermost(y) == fy[-1] and type(shape[-1]) is not int:
            # Rows of the right operand are added to rows of the result.
            order = [*order[: n - 1], *order[n:], n - 1]
        elif product(extents) is not None:
            # All that is made of a row of a long operand is made where it is read.
            order.sort(key=lambda a: a >= n or type(shape[a]) is int)
        out = low.define(shape, wide, Reduce(KNOWN[kind], extents, [expr], order))
    return converted(low, out, dtype)


@rule(sort_p)
def _sort(low: Lowering, eqn: JaxprEqn, *xs: Value) -> list[Value]:
    axis, n = eqn.params["dimension"], xs[0].ndim
    few = networks.elements_in_order(low, xs, axis, eqn.params["num_keys"])
    if few is not None:
        return [networks.joined(low, elements, axis) for elements in few]
    perm = [k for k in range(n) if k != axis] + [axis]
    back = [perm.index(k) for k in range(n)]
    moved = [transposed(low, x, perm) for x in xs]
    avals = [a.aval.update(shape=tuple(a.aval.shape[p] for p in perm)) for a in eqn.invars]
    avals = [a.update(dtype=_ordered(a.dtype)) for a in avals]
    moved = [converted(low, x, a.dtype) for x, a in zip(moved, avals, strict=True)]
    attrs = {"num_keys": eqn.params["num_keys"]}
    out = [transposed(low, r, back) for r in _call(low, "sort", eqn, moved, attrs, avals)]
    return [converted(low, r, x.dtype) for r, x in zip(out, xs, strict=True)]


def _call(
    low: Lowering, kind: str, eqn: JaxprEqn, operands: Sequence[Value], attrs: dict[str, Any],
    avals: Sequence[ShapedArray],
) -> list[Value]:  # fmt: skip
    """The results of a call that only computes those that are ``wanted``; zeros for the others."""
    wanted = tuple([type(v) is not DropVar for v in eqn.outvars])
    specs = low.specs(avals)
    attrs = {**attrs, "wanted": wanted}
    call = LibraryCall(kind, operands, attrs, [s for s, w in zip(specs, wanted, strict=True) if w])
    made = iter(low.append(call))
    return [
        next(made) if w else low.pointwise(shape, dtype, Lit(0, dtype))
        for w, (shape, dtype) in zip(wanted, specs, strict=True)
    ]


@rule(partition_p)
def _partition(low: Lowering, eqn: JaxprEqn, x: Value, ranks: Value) -> list[Value]:
    axis, n = eqn.params["axis"], x.ndim
    if all([type(v) is DropVar for v in eqn.outvars[:2]]):
        few = networks.elements_in_order(low, [x], axis, 1, eqn.params["nans_last"])
        if few is not None:
            zeros = [
                low.pointwise(low.shape(v.aval.shape), v.aval.dtype, Lit(0, v.aval.dtype))
                for v in eqn.outvars[:2]
            ]
            return [*zeros, networks.picked(low, few[0], ranks, axis)]
    perm = [k for k in range(n) if k != axis] + [axis]
    back = [perm.index(k) for k in range(n)]
    avals = [v.aval.update(shape=tuple(v.aval.shape[p] for p in perm)) for v in eqn.outvars]
    avals = [a if a.dtype == dtypes.int32 else a.update(dtype=_ordered(a.dtype)) for a in avals]
    wide = converted(low, transposed(low, x, perm), _ordered(x.dtype))
    out = _call(low, "partition", eqn, [wide, transposed(low, ranks, perm)], {}, avals)
    out = [transposed(low, r, back) for r in out]
    return [converted(low, r, v.aval.dtype) for r, v in zip(out, eqn.outvars, strict=True)]


@rule(search_p)
def _search(low: Lowering, eqn: JaxprEqn, x: Value, v: Value) -> Value:
    dtype = _ordered(x.dtype)
    operands = [converted(low, u, dtype) for u in (x, v)]
    attrs = {"right": eqn.params["side"] == "right"}
    call = LibraryCall("search_rows", operands, attrs, low.specs([eqn.outvars[0].aval]))
    return low.append(call)[0]


def _ordered(dtype: DType) -> DType:
    """A dtype of the same order that the library knows."""
    if dtype in dtypes.SMALL:
        return dtypes.float32 if dtype in dtypes.SMALL_FLOATS else dtypes.int8
    return dtype


@rule(top_k_p)
def _top_k(low: Lowering, eqn: JaxprEqn, x: Value) -> list[Value]:
    axis = eqn.params.get("axis", -1) % x.ndim
    n = x.ndim
    perm = [k for k in range(n) if k != axis] + [axis]
    back = [perm.index(k) for k in range(n)]
    attrs = {"k": low.dim(eqn.params["k"])}
    avals = [v.aval.update(shape=tuple(v.aval.shape[p] for p in perm)) for v in eqn.outvars]
    avals[0] = avals[0].update(dtype=_ordered(x.dtype))
    wide = converted(low, transposed(low, x, perm), _ordered(x.dtype))
    values, indices = low.append(LibraryCall("top_k", [wide], attrs, low.specs(avals)))
    return [converted(low, transposed(low, values, back), x.dtype), transposed(low, indices, back)]
