"""Loops over time whose carries belong to one index each: that index is outermost instead.

The trajectories of many particles, one step after the other: as a loop over arrays, each step reads
and writes all of them. What belongs to one particle is few numbers, so the loop over particles goes
outside, many of them in the lanes of vectors, and the loop over steps keeps numbers in registers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence, Set
from typing import Any

from covector.compiler.access import Moved, cost, key_of
from covector.compiler.ir.nodes import (
    Block,
    Bound,
    Cumulative,
    Expr,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    Load,
    Loop,
    Op,
    Part,
    Pointwise,
    Reduce,
    Strips,
    Sym,
    Update,
    Value,
    ivars,
    product,
)
from covector.compiler.ir.walk import loads, reads_of
from covector.compiler.lower.lowering import Lowering
from covector.core import dtypes

# Indices from which on it is worth it; numbers of a value for one index, and of all carries.
MANY = 16
_SMALL, _CARRIED = 16, 48
# Simple operations of a round: longer code is compiled with less care.
_LONG = 800
# Values behind strips, at most, if others are to continue them.
_LOOK_BACK = 64


class _Cannot(Exception):
    """A loop that stays as it is."""


def might_be_strips(inits: Sequence[Value], carries: Sequence[Value]) -> bool:
    """Whether a loop that carries such values may be one of strips."""
    found: set[Sym] = set()
    for init, c in zip(inits, carries, strict=True):
        if c.defn.what == "stacked":
            continue
        long = [d for d in init.shape if type(d) is Sym]
        if len(long) > 1 or 0 in init.shape:
            return False
        found.update(long)
    return len(found) == 1 and all([d.value >= MANY for d in found])


def strips(low: Lowering, d: Loop) -> list[Value] | None:
    """What stands for the results of a loop that might be one of strips, if its carries belong to
    one index each."""
    carries = [c for c in d.carries if c.defn.what == "carry"]
    (extent,) = {n for c in carries for n in c.shape if type(n) is Sym}
    try:
        plain = [
            k for k, (c, r) in enumerate(zip(d.carries, d.body.results, strict=True))
            if extent not in (c.shape if c.defn.what == "carry" else _row(r).shape)
        ]  # fmt: skip
        defn, before = _strips(low, d, extent, plain)
    except _Cannot:
        return None
    changed = any([d.body.results[k] is not d.carries[k] for k in plain])
    if changed and d.cond is not None:
        return None
    own = iter(_appended(low, defn, before))
    others = iter(low.append(_alone(d, plain)) if changed else [d.inits[k] for k in plain])
    out = []
    for k, c in enumerate(d.carries):
        if k in plain:
            out.append(next(others))
            continue
        r = next(own)
        if c.defn.what == "stacked":
            out.append(r)
            continue
        axis, v = c.shape.index(extent), ivars(c.ndim)
        if axis:
            index = [v[axis], *v[:axis], *v[axis + 1 :]]
            r = low.pointwise(c.shape, c.dtype, r.at(*index))
        out.append(r)
    return out


def _strips(
    low: Lowering, d: Loop, extent: Sym, plain: Sequence[int]
) -> tuple[Strips, Strips | None]:
    """Strips of a loop; and the strips before, if they are the first part of these, so that what an
    index leaves for the next loop is still at hand."""
    before = _last(low, extent)
    if before is not None:
        try:
            return _One(extent, before).strips(d, plain), before
        except _Cannot:
            pass
    return _One(extent).strips(d, plain), None


def _last(low: Lowering, extent: Sym) -> Strips | None:
    """The strips that others of the same indices may continue: nothing else reads their results."""
    for k in range(len(low.values) - 1, max(len(low.values) - _LOOK_BACK, 0) - 1, -1):
        d = low.values[k].defn
        if type(d) is Strips:
            own = set(d.results)
            read = any([not own.isdisjoint(reads_of(v)) for v in low.values[k + 1 :]])
            return None if read or d.extent is not extent else d
    return None


def _appended(low: Lowering, d: Strips, before: Strips | None) -> Sequence[Value]:
    """The results of strips, less those of the ones that they continue, whose place they take."""
    results = low.append(d)
    if before is None:
        return results
    n = len(before.results)
    low.replace(before.results, results[:n])
    return results[n:]


def _row(r: Value) -> Value:
    """What a round adds to a stacked array: it may belong to each index, or to none."""
    d = r.defn
    if type(d) is not Update or len(d.parts) != 1 or type(d.parts[0].expr) is not Load:
        raise _Cannot
    return d.parts[0].expr.value


def _alone(d: Loop, plain: Sequence[int]) -> Loop:
    """The loop of those carries alone that belong to no index."""
    results = [d.body.results[k] for k in plain]
    values, wanted = [], set(results)
    for v in reversed(d.body.values):
        if v in wanted or any(r in wanted for r in v.defn.results):
            values.append(v)
            wanted |= reads_of(v)
    body = Block(values[::-1], results)
    carries = [d.carries[k] for k in plain]
    inits = [d.inits[k] for k in plain]
    return Loop(inits, carries, body, trips=d.trips, counter=d.counter)


class _One(Moved):
    """Makes what belongs to one index of the values of a loop.

    A value that belongs to each index has an axis along which they lie; its counterpart has none.
    """

    __slots__ = ("extent", "before", "lane", "at", "known", "whole", "stacked", "work", "test")

    def __init__(self, extent: Sym, before: Strips | None = None) -> None:
        super().__init__(())
        self.extent = extent
        self.before = before
        self.lane = Value((), dtypes.int64, Bound("lane")) if before is None else before.lane
        # The index, wherever the axis was.
        self.at = IDyn(self.lane.at())
        # Counterparts, each with the axis it is without, if it is.
        self.known: dict[Value, tuple[Value, int | None]] = {}
        # Of whole results of the strips before, with the axis along which indices lie.
        self.whole: dict[Value, tuple[Value, int]] = {}
        if before is not None:
            inner = zip(before.results, before.block.results, before.whole, strict=True)
            for r, own, whole in inner:
                if whole:
                    self.whole[r] = own, _lane_axis(own, before.lane)
                else:
                    self.known[r] = own, 0
        # Of arrays that gain a row each round, of which each index has a part.
        self.stacked: dict[Value, Value] = {}
        self.work = 0
        # The condition of a loop, which holds for some index.
        self.test: Value | None = None

    def strips(self, d: Loop, plain: Sequence[int]) -> Strips:
        """``d`` for one index, the loop over all of them around it; without the results of those
        carries that are ``plain``, which belong to no index."""
        values: list[Value] = []
        rows = [c for c in d.carries if c.defn.what == "stacked"]
        dropped = {d.carries[k] for k in plain if d.carries[k] in rows}
        for c in rows:
            if c not in dropped:
                self.stacked[c] = Value(c.shape, c.dtype, Bound("stacked"))
        kept = [k for k, c in enumerate(d.carries) if c not in dropped]
        results = self._loop(d, kept, values)
        numbers = [product(r.shape) or 0 for r in results]
        if self.work > _LONG or sum(numbers) > _CARRIED:
            raise _Cannot
        own = [r for r, k in zip(results, kept, strict=True) if k not in plain]
        whole = [d.carries[k] in rows for k in kept if k not in plain]
        before = self.before
        if before is not None:
            values = [*before.block.values, *values]
            own, whole = [*before.block.results, *own], [*before.whole, *whole]
        return Strips(self.extent, self.lane, Block(values, own), whole)

    def _axis(self, v: Value) -> int | None:
        """Along which axis the indices lie."""
        long = [k for k, n in enumerate(v.shape) if type(n) is Sym]
        if len(long) > 1 or any([v.shape[k] is not self.extent for k in long]):
            raise _Cannot
        return long[0] if long else None

    def _shape(self, v: Value, axis: int | None) -> list[Any]:
        shape = [n for k, n in enumerate(v.shape) if k != axis]
        size = product(shape)
        if size is None or size > _SMALL:
            raise _Cannot
        return shape

    def _loop(self, d: Loop, kept: Sequence[int], values: list[Value]) -> Sequence[Value]:
        """Append the counterpart of a loop with some of its carries; those of its results."""
        inits, carries, axes = [], [], []
        for k in kept:
            c, init = d.carries[k], d.inits[k]
            axis = None
            if c in self.stacked:
                new = self.stacked[c]
                if init in self.whole:
                    raise _Cannot
                inits.append(init)
            elif c.defn.what == "carry":
                axis = self._axis(c)
                new = Value(
                    self._shape(c, axis), c.dtype, Bound("carry" if axis is None else "lanes")
                )
                inits.append(self._whole(init, axis, values))
            else:
                raise _Cannot
            axes.append(axis)
            carries.append(new)
            self.known[c] = (new, axis)
        counter = None
        if d.counter is not None:
            counter = Value((), dtypes.int64, Bound("counter"))
            self.known[d.counter] = (counter, None)
        if d.cond is not None and not _leaves_alone(d, self.extent):
            raise _Cannot
        cond = None if d.cond is None else self._block(d.cond, d.cond.results, [None], True)
        body = self._block(d.body, [d.body.results[k] for k in kept], axes, False)
        loop = Loop(inits, carries, body, cond, d.trips, counter)
        values += loop.results
        for k, new, axis in zip(kept, loop.results, axes, strict=True):
            self.known[d.results[k]] = (new, axis)
        return loop.results

    def _whole(self, v: Value, axis: int | None, values: list[Value]) -> Value:
        """What belongs to one index of a value that is used whole."""
        if v in self.known:
            new, was = self.known[v]
            if (was is None) != (axis is None):
                raise _Cannot
            return new
        if v in self.whole:
            raise _Cannot
        if axis is None:
            return v
        shape = self._shape(v, axis)
        rest = ivars(len(shape))
        new = Value(shape, v.dtype, Pointwise(v.at(*rest[:axis], self.at, *rest[axis:])))
        values.append(new)
        return new

    def _block(
        self, block: Block, results: Sequence[Value], axes: Sequence[int | None], tests: bool
    ) -> Block:
        """The counterpart of a block with some of its results, which lie along ``axes``."""
        values: list[Value] = []
        outer, self.test = self.test, block.results[0] if tests else None
        for v in block.values:
            if v.output_index == 0:
                self._value(v, values)
        self.test = outer
        new = [self._whole(r, a, values) for r, a in zip(results, axes, strict=True)]
        return Block(values, new)

    def _value(self, v: Value, values: list[Value]) -> None:
        d = v.defn
        if type(d) is Loop:
            self._loop(d, range(len(d.carries)), values)
            return
        if type(d) is Update and d.base is not None:
            base = d.base.defn
            if type(base) is Bound and base.what == "stacked":
                self._stack(v, d, values)
                return
        axis = self._axis(v)
        shape = self._shape(v, axis)
        n = len(shape)
        own: list[Index] = list(ivars(n))
        env = own if axis is None else [*own[:axis], self.at, *own[axis:]]
        defn: Pointwise | Reduce | Cumulative
        rounds = 1
        if type(d) is Pointwise:
            defn = Pointwise(self.within(d.expr, env))
        elif type(d) is Update and d.pointwise is not None:
            if d.base is not None and not _of_every_index(d, axis, self.extent):
                # One place of many is written in a round: others cost nothing then.
                raise _Cannot
            defn = Pointwise(self.within(d.pointwise, env))
        elif type(d) is Cumulative and d.axis != axis:
            along = d.axis if axis is None or d.axis < axis else d.axis - 1
            defn = Cumulative(d.kind, along, d.reverse, self.within(d.expr, env))
        elif type(d) is Reduce and d.kind.known and product(d.extents) is not None:
            rounds = product(d.extents) or 1
            inner = ivars(n + len(d.extents))[n:]
            order = [a - (axis is not None and a > axis) for a in d.order if a != axis]
            defn = Reduce(d.kind, d.extents, [self.within(d.expr, [*env, *inner])], order)
        elif type(d) is Reduce and d.kind.name == "or" and v is self.test:
            # Some index is not done.
            if d.extents != (self.extent,) or shape:
                raise _Cannot
            defn = Pointwise(self.within(d.expr, [self.at]))
        else:
            raise _Cannot
        self.work += (product(shape) or 1) * rounds * cost(defn.children()[0])
        new = Value(shape, v.dtype, defn)
        values.append(new)
        self.known[v] = (new, axis)

    def _stack(self, v: Value, d: Update, values: list[Value]) -> None:
        """Write what belongs to one index of the next row."""
        assert d.base is not None
        base = self.stacked.get(d.base)
        if base is None:
            # A row that belongs to no index is computed once.
            return
        row, axis = self.known[_row(v)]
        if axis is None:
            raise _Cannot
        (part,) = d.parts
        parts = []
        for place in itertools.product(*[range(n) for n in row.shape if type(n) is int]):
            dest = [self.visit(part.dest[0]), *place]
            dest.insert(axis + 1, self.at)
            parts.append(Part((), dest, row.at(*place)))
        new = Value(base.shape, base.dtype, Update(base, parts))
        values.append(new)
        self.known[v] = (new, None)

    def dyn(self, node: IDyn) -> Index:
        moved: Index = self.inner(node)
        return moved

    def load(self, node: Load) -> Load:
        v = node.value
        index = [self.visit(i) for i in node.index]
        if v in self.whole:
            v, lanes = self.whole[v]
            if index[lanes] is not self.at:
                raise _Cannot
        if v not in self.known:
            if any([i is not self.at and self._is_of_lane(i) for i in index]):
                raise _Cannot
            return v.at(*index)
        new, axis = self.known[v]
        if axis is not None:
            if index[axis] is not self.at:
                raise _Cannot
            del index[axis]
        if not all(map(_fixed, index)):
            raise _Cannot
        return new.at(*index)

    def _is_of_lane(self, i: Index) -> bool:
        return type(i) not in (int, IVar, Sym) and any([u.value is self.lane for u in loads(i)])


def _lane_axis(v: Value, lane: Value) -> int:
    """Along which axis of a stacked array, which a loop of strips gives, their indices lie."""
    (part, *_) = v.defn.body.results[v.output_index].defn.parts
    return next(
        k for k, i in enumerate(part.dest)
        if type(i) is IDyn and type(i.expr) is Load and i.expr.value is lane
    )  # fmt: skip


def _of_every_index(d: Update, axis: int | None, extent: Sym) -> bool:
    """Whether an update writes what belongs to each index."""
    if axis is None:
        return True
    at = [p.dest[axis] for p in d.parts]
    return all([
        type(i) is IVar and p.extents[i.axis] is extent for i, p in zip(at, d.parts, strict=True)
    ])  # fmt: skip


def _leaves_alone(d: Loop, extent: Sym) -> bool:
    """Whether a loop changes nothing of the indices for which its test does not hold.

    The test of a loop that goes on as long as it holds for some index is a reduction; then every
    round selects what was carried where it does not hold.
    """
    assert d.cond is not None
    test = d.cond.results[0].defn
    if type(test) is not Reduce or test.kind.name != "or" or test.extents != (extent,):
        # One for all indices, or nothing for strips.
        return True
    inside = _Inside({*d.cond.values, *d.body.values})
    holds = inside.element(test.expr, ivars(1))
    for c, r in zip(d.carries, d.body.results, strict=True):
        if r is c:
            continue
        if extent not in c.shape:
            return False
        e, axis = r.defn.expr if type(r.defn) is Pointwise else None, c.shape.index(extent)
        if not (type(e) is Op and e.name == "select_n" and len(e.args) == 3):
            return False
        which, old = e.args[:2]
        env: list[Index] = list(ivars(64)[32 : 32 + c.ndim])
        env[axis] = ivars(1)[0]
        if inside.element(which, env) != holds:
            return False
        if inside.element(old, env) != inside.element(c.at(*ivars(c.ndim)), env):
            return False
    return True


class _Inside(Moved):
    """What elements are in terms of what blocks are given: equal for equal formulas."""

    __slots__ = ("own", "left")

    def __init__(self, own: Set[Value]) -> None:
        super().__init__(())
        self.own = own
        # Definitions that are looked through at most.
        self.left = 1000

    def element(self, e: Expr, env: Sequence[Index]) -> Any:
        outer, self.env = self.env, env
        found = self._of(e)
        self.env = outer
        return found

    def _of(self, e: Expr) -> Any:
        if type(e) is Op:
            return (e.name, e.attr, e.dtype, *map(self._of, e.args))
        if type(e) is not Load:
            return key_of([self.visit(e)])
        v, index = e.value, [self.visit(i) for i in e.index]
        self.left -= 1
        if v not in self.own or self.left < 0:
            return (v, key_of(index))
        d = v.defn
        if type(d) is Pointwise:
            return self.element(d.expr, index)
        if type(d) is Reduce and d.kind.known:
            own = ivars(64)[48 : 48 + len(d.extents)]
            return (d.kind.name, d.extents, self.element(d.expr, [*index, *own]))
        return (v, key_of(index))


def _fixed(i: Index) -> bool:
    """Whether an index is known as code is written out."""
    if type(i) is IOp:
        return _fixed(i.a) and _fixed(i.b)
    if type(i) is IPart:
        return product(i.dims) is not None and _fixed(i.position)
    return type(i) in (int, IVar)
