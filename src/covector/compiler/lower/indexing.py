"""Dynamic slices, gather and scatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    Dim,
    Expr,
    IDyn,
    Index,
    Lit,
    Load,
    Part,
    Test,
    Update,
    Value,
    Where,
    iop,
    ivars,
    product,
)
from covector.compiler.lower.lowering import Lowering, as_int, rule
from covector.compiler.lower.reads import one_of, read, renamed
from covector.core.jaxpr import JaxprEqn
from covector.primitives.groups import group_sums_p
from covector.primitives.indexing import (
    default_fill,
    gather_p,
    scatter_add_p,
    scatter_max_p,
    scatter_min_p,
    scatter_mul_p,
    scatter_p,
)
from covector.primitives.slicing import dynamic_slice_p, dynamic_update_slice_p

# Elements of an axis, and of what is read for an index, up to which all are read and one selected.
_PICKED = 4


def _starts(
    low: Lowering, starts: Sequence[Value], sizes: Sequence[int], windows: Sequence[int]
) -> list[Index]:
    """Start indices clamped so that the window fits; constants where they are known."""
    out: list[Index] = []
    for s, size, window in zip(starts, sizes, windows, strict=True):
        known = as_int(s)
        if size == window:
            out.append(0)
        elif known is not None:
            out.append(low.dim(max(0, min(known, size - window))))
        else:
            limit = iop("-", low.dim(size), low.dim(window))
            out.append(iop("max", iop("min", IDyn(read(s)), limit), 0))
    return out


@rule(dynamic_slice_p)
def _dynamic_slice(low: Lowering, eqn: JaxprEqn, x: Value, *starts: Value) -> Value:
    aval = eqn.outvars[0].aval
    at = _starts(low, starts, eqn.invars[0].aval.shape, aval.shape)
    index = [iop("+", i, s) for i, s in zip(ivars(x.ndim), at, strict=True)]
    return low.pointwise(low.shape(aval.shape), aval.dtype, x.at(*index))


@rule(dynamic_update_slice_p)
def _dynamic_update_slice(
    low: Lowering, eqn: JaxprEqn, x: Value, update: Value, *starts: Value
) -> Value:
    aval = eqn.outvars[0].aval
    window = eqn.invars[1].aval.shape
    at = _starts(low, starts, aval.shape, window)
    v = ivars(x.ndim)
    dest = [iop("+", i, s) for i, s in zip(v, at, strict=True)]
    part = Part(update.shape, dest, update.at(*v))
    tests: list[Test] = []
    inner: list[Index] = []
    for k, (i, s, n) in enumerate(zip(v, at, update.shape, strict=True)):
        if window[k] == aval.shape[k]:
            inner.append(i)
            continue
        tests.append((i, s, iop("+", s, n)))
        moved = iop("-", i, s)
        inner.append(iop("max", iop("min", moved, iop("-", n, 1)), 0))
    if 0 in window:
        return x
    if not tests:
        return update
    pointwise = Where(tests, update.at(*inner), x.at(*v))
    return low.define(low.shape(aval.shape), aval.dtype, Update(x, [part], pointwise))


def _mode(mode: Any) -> str:
    """``clip`` or ``fill``: what happens to indices out of bounds."""
    return "fill" if "FILL" in str(mode) or "DROP" in str(mode) else "clip"


def _component(indices: Value, batch: Sequence[Index], k: int) -> Load:
    """A component of index vectors, where it is computed."""
    return renamed(read(indices, *batch, k))


@rule(gather_p)
def _gather(low: Lowering, eqn: JaxprEqn, x: Value, indices: Value) -> Value:
    p = eqn.params
    dn, sizes = p["dimension_numbers"], p["slice_sizes"]
    aval = eqn.outvars[0].aval
    shape = eqn.invars[0].aval.shape
    if 0 in aval.shape:
        return low.pointwise(low.shape(aval.shape), aval.dtype, Lit(0, aval.dtype))
    v = ivars(len(aval.shape))
    batch = [v[k] for k in range(len(v)) if k not in dn.offset_dims]
    offsets = iter(v[k] for k in dn.offset_dims)
    fill = _mode(p["mode"]) == "fill"
    few = product([n for d, n in enumerate(low.shape(sizes)) if d not in dn.start_index_map])
    tests: list[tuple[Index, Index, Index]] = []
    index: list[Index] = []
    # Axes of few elements, one of which is picked, and by what.
    picked: dict[int, Load] = {}
    for d in range(x.ndim):
        if d in dn.operand_batching_dims:
            k = dn.start_indices_batching_dims[dn.operand_batching_dims.index(d)]
            index.append(batch[k])
            continue
        offset: Index = 0 if d in dn.collapsed_slice_dims else next(offsets)
        if d in dn.start_index_map:
            position = _component(indices, batch, dn.start_index_map.index(d))
            start = IDyn(position)
            limit = iop("-", low.dim(shape[d]), low.dim(sizes[d]))
            if few is not None and few <= _PICKED and sizes[d] == 1 and _is_few(x.shape[d]):
                picked[len(index)] = position
            if fill:
                size = iop("+", limit, 1)
                tests.append((start, 0, size))
                safe = iop("inside", start, size)
            else:
                safe = iop("max", iop("min", start, limit), 0)
            index.append(iop("+", safe, offset))
        else:
            index.append(offset)
    value = p.get("fill_value")
    if value is None:
        value = default_fill(aval.dtype)
    if 0 in shape:
        return low.pointwise(low.shape(aval.shape), aval.dtype, Lit(value, aval.dtype))
    expr = _element(x, index, picked if len(picked) == 1 else {})
    if tests:
        expr = Where(tests, expr, Lit(value, aval.dtype))
    return low.pointwise(low.shape(aval.shape), aval.dtype, expr)


def _is_few(n: Dim) -> bool:
    return type(n) is int and n <= _PICKED


def _element(x: Value, index: Sequence[Index], picked: Mapping[int, Load]) -> Expr:
    """An element; along a ``picked`` axis one of the few is selected, and none looked for."""
    if not picked:
        return x.at(*index)
    ((axis, position),) = picked.items()
    n = x.shape[axis]
    assert type(n) is int

    return one_of([x.at(*index[:axis], k, *index[axis + 1 :]) for k in range(n)], position)


def _scatter(low: Lowering, eqn: JaxprEqn, combine: str | None, x: Value, *rest: Value) -> Value:
    indices, updates = rest
    p = eqn.params
    dn = p["dimension_numbers"]
    aval = eqn.outvars[0].aval
    shape, upd = eqn.invars[0].aval.shape, eqn.invars[2].aval.shape
    if 0 in upd or 0 in shape:
        return x
    v = ivars(len(upd))
    batch = [v[k] for k in range(len(v)) if k not in dn.update_window_dims]
    windows = [(v[k], upd[k]) for k in dn.update_window_dims]
    it = iter(windows)
    fill = _mode(p["mode"]) == "fill"
    tests: list[tuple[Index, Index, Index]] = []
    dest: list[Index] = []
    for d in range(x.ndim):
        if d in dn.operand_batching_dims:
            k = dn.scatter_indices_batching_dims[dn.operand_batching_dims.index(d)]
            dest.append(batch[k])
            continue
        offset: Index = 0
        size = 1
        if d not in dn.inserted_window_dims:
            offset, size = next(it)
        if d in dn.scatter_dims_to_operand_dims:
            column = dn.scatter_dims_to_operand_dims.index(d)
            start: Index = IDyn(read(indices, *batch, column))
            limit = iop("-", low.dim(shape[d]), low.dim(size))
            if fill:
                tests.append((start, 0, iop("+", limit, 1)))
            else:
                start = iop("max", iop("min", start, limit), 0)
            dest.append(iop("+", start, offset))
        else:
            dest.append(offset)
    serial = [
        k for k in range(len(upd))
        if dn.scatter_dims_to_operand_dims and k not in dn.update_window_dims and upd[k] != 1
    ]  # fmt: skip
    # Elements of sorted indices that share a destination follow each other, unless windows overlap
    # or index vectors of several components become the same as they are moved inside.
    grouped = (
        p["indices_are_sorted"] and serial == [0]
        and (fill or len(dn.scatter_dims_to_operand_dims) == 1)
        and set(dn.scatter_dims_to_operand_dims) <= set(dn.inserted_window_dims)
    )  # fmt: skip
    part = Part(updates.shape, dest, updates.at(*v), combine, tests, serial, grouped)
    extents: tuple[Dim, ...] = low.shape(aval.shape)
    return low.define(extents, aval.dtype, Update(x, [part]))


@rule(group_sums_p)
def _group_sums(low: Lowering, eqn: JaxprEqn, x: Value, offsets: Value) -> Value:
    aval = eqn.outvars[0].aval
    zero = Lit(0, aval.dtype)
    out = low.pointwise(low.shape(aval.shape), aval.dtype, zero)
    if 0 in aval.shape or 0 in eqn.invars[0].aval.shape:
        return out
    # Axes: the groups, the elements of each, those of an element.
    group, k, *inner = ivars(x.ndim + 1)
    limits = [IDyn(offsets.at(i)) for i in (group, iop("+", group, 1))]
    part = Part(
        (out.shape[0], *x.shape), [group, *inner], x.at(k, *inner), "add",
        [(k, limits[0], limits[1])], [1], True,
    )  # fmt: skip
    return low.define(out.shape, aval.dtype, Update(out, [part]))


_COMBINATIONS = {
    scatter_p: None,
    scatter_add_p: "add",
    scatter_mul_p: "mul",
    scatter_min_p: "min",
    scatter_max_p: "max",
}
for _p, _combine in _COMBINATIONS.items():
    rule(_p)(lambda low, eqn, *args, _combine=_combine: _scatter(low, eqn, _combine, *args))
