"""Reductions with a combination of their own, of one value or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.indexing import AnyIdx, Idx
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.emit.reductions import Accumulator, parts, some_lanes, whole
from covector.backends.cpu.emit.values import ValueEmitter
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Number
from covector.backends.cpu.writer import Function, Val, int_const
from covector.compiler.ir.nodes import Arg, FromIndex, Lit, Op, Reduce
from covector.compiler.ir.visit import Walk
from covector.compiler.schedule.folds import Fold, fold_of

ZERO = int_const(0)


class _Combine(Walk):
    """The expressions of a combination, given its operands."""

    def __init__(self, em: ValueEmitter, operands: Sequence[Number]) -> None:
        self.em = em
        self.operands = operands

    def arg(self, node: Arg) -> Number:
        return self.operands[node.position]

    def lit(self, node: Lit) -> Number:
        return ops.literal(node.value, node.dtype)

    def from_index(self, node: FromIndex) -> Number:
        return self.em.expr(node, ())

    def op(self, node: Op) -> Number:
        args: list[Number] = [self.visit(a) for a in node.args]
        types = [a.dtype for a in node.args]
        return ops.apply(self.em.b, node.name, args, types, node.dtype, node.attr)


def fold(em: ValueEmitter, d: Reduce) -> None:
    """Emit a reduction whose combination is its own."""
    _Folder(em, d, fold_of(d, em.schedule.target)).run()


class _Folder:
    """Writes one reduction: loops over the results, in them those over what is reduced."""

    def __init__(self, em: ValueEmitter, d: Reduce, plan: Fold) -> None:
        self.em = em
        self.d = d
        self.plan = plan
        self.env: list[AnyIdx] = [Idx(0)] * 64
        self.places = [em.place(r) for r in d.results]

    def run(self) -> None:
        self.results(0)
        for place in self.places:
            place.level = self.em.b.level

    def extent(self, axis: int) -> Val:
        return indexing.val(self.em.dim(self.plan.dims[axis]))

    def each(self, axis: int, write: Callable[[], None]) -> None:
        """A loop over an index variable."""

        def one(i: Val) -> None:
            self.env[axis] = Idx(i)
            write()

        if self.plan.dims[axis] == 1:
            self.env[axis] = Idx(0)
            write()
        else:
            self.em.b.repeat(ZERO, self.extent(axis), 1, one)

    def results(self, k: int) -> None:
        axes = self.plan.results
        if k == len(axes):
            self.result()
        elif k == len(axes) - 1 and self.plan.rows and self.plan.lanes:
            self.row(axes[k])
        else:
            self.each(axes[k], lambda: self.results(k + 1))

    def row(self, axis: int) -> None:
        """Results along the innermost axis, a vector of them at a time."""
        em, end, lanes = self.em, self.extent(axis), self.plan.lanes

        def one(i: Val) -> None:
            left = em.b.bin("sub", end, i)
            em.lanes = lanes
            em.tail = Tail(left, em.b.cmp("icmp sge", left, int_const(lanes)), lanes)
            self.env[axis] = Idx(i, 1)
            self.result()
            em.lanes, em.tail = 0, None

        em.b.repeat(ZERO, end, lanes, one)

    def result(self) -> None:
        """One result, or a vector of them."""
        em, b = self.em, self.em.b
        start = [em.expr(e, self.env) for e in self.d.kind.identity]
        slots = [Accumulator(b, x, em.lanes) for x in start]
        self.reduced(0, slots)
        index = self.env[: len(self.plan.results)]
        for r, place, slot in zip(self.d.results, self.places, slots, strict=True):
            em.store(r, place, index, slot.get(em.b))

    def reduced(self, k: int, slots: list[Accumulator]) -> None:
        axes = self.plan.reduced
        if k == len(axes):
            self.combine(slots, self.elements())
        elif k == len(axes) - 1 and not self.plan.rows and self.plan.lanes:
            self.in_vectors(axes[k], slots)
        else:
            self.each(axes[k], lambda: self.reduced(k + 1, slots))

    def elements(self) -> list[Number]:
        return [self.em.expr(e, self.env) for e in self.d.exprs]

    def combine(self, slots: list[Accumulator], xs: Sequence[Number]) -> None:
        b = self.em.b
        for slot, x in zip(slots, self.merged([s.get(b) for s in slots], xs), strict=True):
            slot.set(b, x)

    def merged(self, xs: Sequence[Number], ys: Sequence[Number]) -> list[Number]:
        combine = _Combine(self.em, [*xs, *ys])
        return [combine.visit(e) for e in self.d.kind.results]

    # --- lanes of a reduced axis ---

    def in_vectors(self, axis: int, slots: list[Accumulator]) -> None:
        """Reduce along the innermost axis in vectors, then what is left; their order is kept."""
        b, n, lanes = self.em.b, self.extent(axis), self.plan.lanes
        vectors = b.bin("udiv", n, int_const(lanes))
        write = self.stretches if self.plan.stretches else self.neighbours
        b.when(b.cmp("icmp sgt", vectors, ZERO), lambda: write(axis, vectors, slots))

        def one(i: Val) -> None:
            self.env[axis] = Idx(i)
            self.combine(slots, self.elements())

        b.repeat(b.bin("mul", vectors, int_const(lanes)), n, 1, one)

    def neighbours(self, axis: int, vectors: Val, slots: list[Accumulator]) -> None:
        """Combine the lanes of each vector, and these with the running results."""
        em, b, lanes = self.em, self.em.b, self.plan.lanes

        def one(i: Val) -> None:
            em.lanes = lanes
            self.env[axis] = Idx(i, 1)
            xs = [_splat(b, x, lanes) for x in self.elements()]
            em.lanes = 0
            self.combine(slots, self.of_lanes(xs))

        b.repeat(ZERO, b.bin("mul", vectors, int_const(lanes)), lanes, one)

    def stretches(self, axis: int, stretch: Val, slots: list[Accumulator]) -> None:
        """Combine the elements of a stretch in each lane, and then the lanes."""
        em, b, lanes = self.em, self.em.b, self.plan.lanes

        def elements(i: Val) -> list[Number]:
            self.env[axis] = Idx(i, stretch)
            return [_splat(b, x, lanes) for x in self.elements()]

        em.lanes = lanes
        running = [Accumulator(b, x, lanes) for x in elements(ZERO)]
        b.repeat(int_const(1), stretch, 1, lambda i: self.combine(running, elements(i)))
        em.lanes = 0
        self.combine(slots, self.of_lanes([s.get(b) for s in running]))

    def of_lanes(self, xs: list[Number]) -> list[Number]:
        """The lanes of vectors combined, neighbours first."""
        b, lanes = self.em.b, self.plan.lanes
        while lanes > 1:
            lanes //= 2
            even, odd = ([_every_other(b, x, at, lanes) for x in xs] for at in (0, 1))
            xs = self.merged(even, odd)
        return [_first(b, x) for x in xs]


def _splat(b: Function, x: Number, lanes: int) -> Number:
    return whole([b.splat(p, lanes) for p in parts(x)])


def _every_other(b: Function, x: Number, at: int, count: int) -> Number:
    return whole([some_lanes(b, p, at, count, 2) for p in parts(x)])


def _first(b: Function, x: Number) -> Number:
    """The number in a vector of one lane."""
    return whole([
        b.ins("lane0", f"extractelement {p.type} %s, i32 0", (p,), p.ty, 0) if p.lanes else p
        for p in parts(x)
    ])  # fmt: skip
