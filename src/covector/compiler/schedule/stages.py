"""The passes that compute a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covector.compiler.access import Access, variables
from covector.compiler.ir.nodes import (
    Cumulative,
    Expr,
    IVar,
    Lit,
    Load,
    Pointwise,
    Reduce,
    Update,
    Value,
    ivars,
)
from covector.compiler.schedule.kinds import LONG_ROW, few_results, in_lanes
from covector.compiler.schedule.loops import joins_rows, reduces_rows
from covector.compiler.schedule.nest import block_transposed
from covector.compiler.schedule.nodes import Extent, Stage

Inline = Callable[[Value], bool]


def stages_of(v: Value, inline: Inline) -> list[Stage]:
    """The stages of ``v``, in order."""
    d = v.defn
    t = type(d)
    n = v.ndim
    if t is Pointwise:
        return [block_transposed(make(v, "pointwise", range(n), v.shape, "p" * n, inline))]
    if t is Reduce:
        return _reduce(v, d, inline)
    if t is Cumulative:
        roles = "p" * d.axis + "s" + "p" * (n - d.axis - 1)
        return [make(v, "cumulative", range(n), v.shape, roles, inline)]
    assert t is Update
    return _update(v, d, inline)


def make(
    v: Value, kind: str, order: Sequence[int], dims: Sequence[Extent], roles: str, inline: Inline,
    number: int = 0, few: bool = False,
) -> Stage:  # fmt: skip
    """A stage with what it reads."""
    expr = element(v, kind, number)
    access = Access()
    access.add(expr, ivars(64), inline)
    if kind == "part":
        part = v.defn.parts[number]
        for i in part.dest:
            access.add(i, ivars(64), inline)
            if type(i) is not IVar:
                access.other |= variables(i)
        for test in part.tests:
            for i in test:
                access.add(i, ivars(64), inline)
                access.other |= variables(i)
    return Stage(
        v, kind, tuple(order), tuple(dims), roles, number, few,
        expr, tuple(access.reads), frozenset(access.other), tuple(access.tests),
    )  # fmt: skip


def element(v: Value, kind: str, number: int) -> Expr:
    """What a stage of this kind computes for an element."""
    d = v.defn
    if kind == "part":
        part: Expr = d.parts[number].expr
        return part
    if kind == "init":
        return Lit(0, d.expr.dtype)
    if type(d) is Update and d.base is not None:
        return Load(d.base, ivars(v.ndim))
    expr: Expr = d.expr
    return expr


def _reduce(v: Value, d: Reduce, inline: Inline) -> list[Stage]:
    n = v.ndim
    dims = [*v.shape, *d.extents]
    order = list(d.order)

    def stage(kind: str, axes: Sequence[int], few: bool = False, tiled: bool = False) -> Stage:
        roles = "".join(["p" if a < n else "r" for a in axes])
        if tiled:
            roles = "t" + roles[1:]
        return make(v, kind, axes, [dims[a] for a in axes], roles, inline, few=few)

    reduced = [a for a in order if a >= n]
    if few_results(v):
        # One accumulator (or vector of them) per result, the results written out.
        return [stage("reduce", reduced, few=True)]
    row = reduces_rows(v, d)
    if row or _rows_inside(d, n, dims) or in_lanes(v):
        # Reduced axes innermost, but for the rows: running results stay in registers.
        rest, inside = order[: len(order) - row], order[len(order) - row :]
        return [stage("reduce", [*[a for a in rest if a < n], *reduced, *inside])]
    # A result axis is innermost: whole rows of results are accumulated in memory.
    last = [a for a in order if a < n][-1]
    result = [a for a in order if a < n and a != last]
    tile = [] if result else [last]
    return [
        stage("init", [*result, *tile, last], tiled=bool(tile)),
        stage("accumulate", [*result, *tile, *reduced, last], tiled=bool(tile)),
    ]


def _rows_inside(d: Reduce, n: int, dims: Sequence[Extent]) -> bool:
    """Whether a reduction walks the reduced axes innermost."""
    order = list(d.order)
    first = next((k for k, a in enumerate(order) if a >= n), len(order))
    inner = all(a >= n for a in order[first:])
    row = dims[order[-1]]
    along = order[-1] >= n and (type(row) is not int or row >= LONG_ROW)
    return inner or along or d.kind.finds


def _update(v: Value, d: Update, inline: Inline) -> list[Stage]:
    if joins_rows(v, d):
        return [make(v, "pointwise", range(v.ndim), v.shape, "p" * v.ndim, inline)]
    out = []
    if d.base is not None:
        out.append(make(v, "pointwise", range(v.ndim), v.shape, "p" * v.ndim, inline))
        # The copy of the base is walked in blocks where it is read across.
        out[0] = block_transposed(out[0])
    for k, p in enumerate(d.parts):
        m = len(p.extents)
        roles = "".join(["s" if a in p.serial else "p" for a in range(m)])
        out.append(make(v, "part", range(m), p.extents, roles, inline, number=k))
    return out
