"""Innermost loops along which conditions change: from one border to the next, none does."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.indexing import Idx, Scalar
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.emit.reductions import Running, Total
from covector.backends.cpu.emit.values import TRUE, ValueEmitter
from covector.backends.cpu.writer import Val, int_const
from covector.compiler.access import variables
from covector.compiler.ir.nodes import (
    Block,
    Expr,
    Index,
    IOp,
    IVar,
    Lit,
    Load,
    Part,
    Sym,
    Update,
    Value,
    Where,
)
from covector.compiler.ir.walk import all_values, parts_of
from covector.compiler.schedule.nodes import Extent, Nest, NestLoop, Stage

# Vectors at either end of a loop, at most, whose elements have conditions of their own.
NEAR = 4
# Sides on which no vector reaches across a border: the begin, and the end.
BOTH = frozenset({True, False})


# How often each term is in a sum: sizes, axes, and 1.
_Sum = dict[Any, int]


class BorderEmitter(ValueEmitter):
    """Writes loops along which conditions change."""

    # The stages of the nest at hand, by identity.
    running: dict[int, Running]
    _known_sizes: dict[Sym, _Sum] | None = None

    @abstractmethod
    def leaf(self, nest: Nest, stages: Sequence[Stage]) -> None:
        """One element (or vector) of each stage."""

    @abstractmethod
    def may_write_twice(self, node: NestLoop) -> bool:
        """Whether an element written again is the same: nothing that is read is overwritten."""

    @abstractmethod
    def totals(self, node: NestLoop, depth: int) -> list[Total]:
        """Of the long sums that a loop reduces: where their running sums go now and then."""

    @abstractmethod
    def in_stretches(
        self, begin: Val, end: Val, step: int, innermost: bool, totals: list[Total],
        write: Callable[[Val], None],
    ) -> None:  # fmt: skip
        """A loop that hands its running sums, if it has any, over after each stretch of rounds but
        the last."""

    def rest(self, left: Val, lanes: int) -> Tail:
        return Tail(left, self.b.cmp("icmp sge", left, int_const(lanes)), lanes)

    def _write(
        self, nest: Nest, node: NestLoop, depth: int, i: Idx, lanes: int,
        tail: Tail | None = None, steady: bool = False,
    ) -> None:  # fmt: skip
        """The element, or vector, of a loop at an index."""
        outer = self.lanes, self.tail, self.steady
        for s in node.leaves:
            self.running[id(s)].env[s.order[depth]] = i
        self.lanes, self.tail, self.steady = lanes, tail, steady
        self.leaf(nest, node.leaves)
        self.lanes, self.tail, self.steady = outer

    def in_borders(self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val) -> None:
        """A loop whose conditions change at borders that are known before it."""
        if self._known_sizes is None:
            self._known_sizes = _sizes(self.program.block)
        sides = _sides(node, depth, self._known_sizes)
        if sides is not None and node.role == "p":
            self._between_ends(nest, node, depth, begin, end, sides)
        elif sides is not None and all([self._is_padded(s.expr, set()) for s in node.leaves]):
            self._in_zones(nest, node, depth, begin, end, sides)
        else:
            self._between_borders(nest, node, depth, begin, end)

    def _is_padded(self, e: Expr, seen: set[Value]) -> bool:
        """Whether elements that conditions rule out are constants, in what is computed here."""
        for x in parts_of(e):
            if type(x) is Where and not self._is_constant(x.other):
                return False
            if type(x) is Load and self.schedule.inline(x.value) and x.value not in seen:
                seen.add(x.value)
                if not self._is_padded(x.value.defn.expr, seen):
                    return False
        return True

    def _is_constant(self, e: Expr) -> bool:
        if type(e) is Load and self.schedule.inline(e.value):
            return self._is_constant(e.value.defn.expr)
        return type(e) is Lit

    def _in_zones(
        self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val, sides: list[bool]
    ) -> None:
        """A loop reduced, all of whose borders are near its begin or its end.

        Where conditions on outer indices are as usual, its vectors are of three kinds: those that
        reach into the first elements, those between, which ask nothing, and those that reach into
        the last. Elsewhere, and in short loops, they ask for each lane.
        """
        b, lanes = self.b, node.lanes
        totals = self.totals(node, depth)
        outer = self.zone, self.known

        def vector(i: Val, tail: Tail | None, steady: bool = False) -> None:
            at = Idx(int(i.ref) if i.fn is None else i, 1, None, False, (0, i))
            self._write(nest, node, depth, at, lanes, tail, steady)

        def rounds(start: Val, stop: Val, write: Callable[[Val], None]) -> None:
            self.in_stretches(start, stop, lanes, True, totals, write)

        def last(i: Val) -> None:
            vector(i, self.rest(self.b.bin("sub", end, i), lanes))

        first, stop, self.borders = self._ends(node, depth, sides, begin, end)
        far = b.bin("and", b.bin("add", first, int_const(lanes - 1)), int_const(-lanes))
        start = b.bin("add", begin, far)
        whole = b.bin("and", b.bin("sub", stop, start), int_const(-lanes))
        stop = b.bin("add", start, whole)
        self.zone = BOTH
        usual, known = self._usual(node, depth, begin)
        usual = b.bin("and", usual, b.cmp("icmp sge", whole, int_const(0)))

        def usually() -> None:
            b = self.b
            self.known, self.zone = known, frozenset({False})
            if start.fn is None and int(start.ref) == lanes:
                vector(begin, None)
            elif start.ref != begin.ref:
                b.repeat(begin, start, lanes, lambda i: vector(i, None))
            self.zone = BOTH
            rounds(start, stop, lambda i: vector(i, None, True))
            self.zone = frozenset({True})
            rounds(stop, end, last)

        def otherwise() -> None:
            rounds(begin, end, last)

        b.when(usual, usually)
        self.zone, self.known = outer
        b.when(b.bin("xor", usual, TRUE), otherwise)

    def _ends(
        self, node: NestLoop, depth: int, sides: list[bool], begin: Val, end: Val
    ) -> tuple[Val, Val, dict[int | str, bool]]:
        """How many elements there are before the last border near the begin, where the first one
        near the end is, and on which side each is."""
        b = self.b
        borders: dict[int | str, bool] = {}
        first, stop = int_const(0), b.local(end)
        for at, at_begin in zip(self._borders(node, depth), sides, strict=True):
            key = at if isinstance(at, int) else at.ref
            if key in borders:
                continue
            borders[key] = at_begin
            if not at_begin:
                stop = b.intrinsic("smin", stop, indexing.val(at))
            elif isinstance(at, int) and first.fn is None:
                first = int_const(max(at, int(first.ref)))
            else:
                first = b.intrinsic("smax", first, indexing.val(at))
        if begin.ref != "0" or first.fn is not None:
            first = b.intrinsic("smax", b.bin("sub", first, begin), int_const(0))
        return first, stop, borders

    def _between_ends(
        self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val, sides: list[bool]
    ) -> None:
        """A loop none of whose borders may be far from its begin and its end.

        Where that is so, and conditions on outer indices are as usual, its vectors lie between
        them and ask nothing; the elements beside are taken one by one.
        """
        b, lanes = self.b, int_const(node.lanes)
        twice = self.may_write_twice(node)
        outer = self.zone, self.known

        first, stop, self.borders = self._ends(node, depth, sides, begin, end)
        start = b.bin("add", begin, first)
        count = b.bin("sub", stop, start)
        usual = b.cmp("icmp sge", count, lanes)
        if not twice:
            stop = b.bin("add", start, b.bin("and", count, b.bin("sub", int_const(0), lanes)))
        beside = b.bin("add", first, b.bin("sub", end, stop))
        few = b.cmp("icmp sle", beside, int_const((2 * NEAR + 1) * node.lanes))
        self.zone = BOTH
        cond, known = self._usual(node, depth, begin)
        self.zone = outer[0]
        usual = b.bin("and", b.bin("and", usual, few), cond)

        def usually() -> None:
            self.known, self.zone = known, BOTH

            def vector(i: Val) -> None:
                if twice:
                    i = self.b.intrinsic("smin", i, self.b.bin("sub", stop, lanes))
                at = Idx(i, 1, None, False, (0, i))
                self._write(nest, node, depth, at, node.lanes, steady=True)

            self.b.repeat(start, stop, node.lanes, vector)
            self.zone, self.known = outer

            def element(k: Val) -> None:
                b = self.b
                behind = b.bin("add", stop, b.bin("sub", k, first))
                before = b.cmp("icmp slt", k, first)
                i = b.select(before, b.bin("add", begin, k), behind)
                self._write(nest, node, depth, Idx(i), 0)

            self.b.repeat(int_const(0), beside, 1, element)

        b.when(usual, usually)
        b.when(
            b.bin("xor", usual, TRUE),
            lambda: self._between_borders(nest, node, depth, begin, end, usual=False),
        )

    def _between_borders(
        self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val, usual: bool = True
    ) -> None:
        """An innermost loop from one border to the next, between which conditions do not change.

        What fills no vector is taken one by one, unless elements may be written twice. Where they
        are reduced, vectors follow each other across borders. What is ``usual`` has code of its
        own.
        """
        inside = [x for x in self._borders(node, depth) if type(x) is not int or x > 0]
        borders = list({x.ref: x for x in map(indexing.val, inside)}.values())
        totals = self.totals(node, depth)
        twice = self.may_write_twice(node)
        at = self.b.alloca("i64")
        self.b.line(f"store i64 {self.b.local(begin).ref}, ptr {at.ref}")

        def following() -> tuple[Val, Val]:
            """Where a stretch starts, and the next border."""
            b = self.b
            start = b.impure(f"load i64, ptr {at.ref}", "i64")
            stop = b.local(end)
            for border in borders:
                nearer = b.intrinsic("smin", stop, border)
                stop = b.select(b.cmp("icmp sgt", border, start), nearer, stop)
            return start, stop

        def stretch(_: Val) -> None:
            b = self.b
            start, stop = following()
            b.line(f"store i64 {stop.ref}, ptr {at.ref}")
            count = b.bin("sub", stop, start)
            if twice:
                fits = b.cmp("icmp sge", count, int_const(node.lanes))
                rest = b.select(fits, count, int_const(0))
            else:
                rest = b.bin("and", count, int_const(-node.lanes))

            def vectors() -> None:
                def vector(far: Val) -> None:
                    if twice:
                        last = self.b.bin("sub", count, int_const(node.lanes))
                        far = self.b.intrinsic("smin", far, last)
                    one(start, node.lanes, far)

                self.b.repeat(int_const(0), rest, node.lanes, vector)

            cond, known = self._usual(node, depth, start) if usual else (TRUE, {})
            if len(known) < 2:
                vectors()
            else:

                def usually() -> None:
                    self.known = known
                    vectors()
                    self.known = {}

                b.when(cond, usually)
                b.when(b.bin("xor", cond, TRUE), vectors)
            b.repeat(rest, count, 1, functools.partial(one, start, 0))

        def reduced(_: Val) -> None:
            """The vectors up to the next border, and the one across it."""
            b = self.b
            start, stop = following()
            whole = b.bin("and", b.bin("sub", stop, start), int_const(-node.lanes))
            whole = b.intrinsic("smax", whole, int_const(0))

            def rounds(begin: Val, end: Val) -> None:
                write = functools.partial(one, start, node.lanes)
                self.in_stretches(begin, end, node.lanes, True, totals, write)

            cond, known = self._usual(node, depth, start)
            done = int_const(0)
            if len(known) > 1:
                self.known = known
                done = b.select(cond, whole, done)
                rounds(int_const(0), done)
                self.known = {}
            rounds(done, whole)
            start = b.bin("add", start, whole)
            b.line(
                f"store i64 {b.local(b.bin('add', start, int_const(node.lanes))).ref}, ptr {at.ref}"
            )
            b.when(b.cmp("icmp slt", start, end), functools.partial(across, start))

        def across(start: Val) -> None:
            tail = self.rest(self.b.bin("sub", end, start), node.lanes)
            self._write(nest, node, depth, Idx(start, 1), node.lanes, tail)

        def one(start: Val, lanes: int, far: Val) -> None:
            i = self.b.bin("add", start, far)
            at = Idx(i, int(lanes > 0), None, False, (start, far))
            self._write(nest, node, depth, at, lanes, steady=True)

        write = reduced if node.role == "r" else stretch
        self.b.repeat(int_const(0), int_const(len(borders) + 1), 1, write)

    def _usual(self, node: NestLoop, depth: int, start: Val) -> tuple[Val, dict[str, bool]]:
        """Whether the conditions of a stretch are those between the borders, and what they are."""
        found: dict[str, tuple[Val, bool]] = {}
        outer = self.lanes, self.tail, self.steady, self.granted
        self.lanes, self.tail, self.steady, self.granted = node.lanes, None, True, True
        for s in node.leaves:
            r = self.running[id(s)]
            env = list(r.env)
            way = (0, start) if self.zone else (start, int_const(0))
            env[s.order[depth]] = Idx(start, 1, None, False, way)
            # Of rows that are added in one pass, what is usual is so for each.
            axis = s.order[s.roles.rindex("r")] if s.kind == "accumulate" else s.order[depth]
            for row in r.rows if s.kind == "accumulate" and r.rows else (env[axis],):
                env[axis] = row
                self.usual(s.expr, env, found, set())
        self.lanes, self.tail, self.steady, self.granted = outer
        b, every = self.b, TRUE
        for cond, holds in found.values():
            every = b.bin("and", every, cond if holds else b.bin("xor", cond, TRUE))
        return every, {ref: holds for ref, (_, holds) in found.items()}

    def _borders(self, node: NestLoop, depth: int) -> list[Scalar]:
        """Where conditions on the index of a loop change."""
        found: list[Scalar] = []
        granted, self.granted = self.granted, True
        for s in node.leaves:
            env, axis = list(self.running[id(s)].env), s.order[depth]
            env[axis] = Idx(0)
            for index, *limits in s.tests:
                if axis in variables(index):
                    first = self.index(index, env).base
                    for x in limits:
                        border = indexing.sub(self.b, self.index(x, env).base, first)
                        found.append(self.b.local(border) if isinstance(border, Val) else border)
        self.granted = granted
        return found


def _sides(node: NestLoop, depth: int, sizes: Mapping[Sym, _Sum]) -> list[bool] | None:
    """Of each border of a loop, whether it is near the begin, not the end; None if one is neither,
    as far as is known of ``sizes``."""
    sides = []
    size = _sum(node.dim)
    for s in node.leaves:
        axis = s.order[depth]
        for index, *limits in s.tests:
            if axis not in variables(index):
                continue
            # How far the index is ahead of that of the loop.
            ahead = _less(_sum(index), {("axis", axis): 1})
            for limit in limits:
                border = _less(_sum(limit), ahead)
                far = [_known(x, sizes) for x in (border, _less(size, border))]
                before, behind = [NEAR * node.lanes + 1 if x is None else x for x in far]
                if min(before, behind) > NEAR * node.lanes:
                    return None
                sides.append(before <= behind)
    return sides


def _sizes(block: Block) -> dict[Sym, _Sum]:
    """What sizes are in terms of others, where arrays are joined: as far as the program says."""
    found: dict[Sym, _Sum] = {}
    for v in all_values(block):
        d = v.defn
        if type(d) is not Update or d.base is not None or len(d.parts) < 2:
            continue
        for axis in range(v.ndim):
            pieces = [_piece(part, axis) for part in d.parts]
            if all(pieces) and all([p and p[0] for p in pieces[1:]]):
                end: _Sum = {}
                for begin, size in [p for p in pieces if p]:
                    _equal(found, begin, end)
                    end = _less(begin, _less({}, size))
                _equal(found, _sum(v.shape[axis]), end)
    return found


def _piece(part: Part, axis: int) -> tuple[_Sum, _Sum] | None:
    """Where a part begins along an axis, and its size; None if that is no stretch."""
    begin = _sum(part.dest[axis])
    axes = [t[1] for t in begin if type(t) is tuple]
    if len(axes) != 1 or begin[("axis", axes[0])] != 1:
        return None
    return _less(begin, {("axis", axes[0]): 1}), _sum(part.extents[axes[0]])


def _equal(found: dict[Sym, _Sum], x: _Sum, y: _Sum) -> None:
    """Note that two sums are equal."""
    rest = _reduced(_less(x, y), found)
    for term, n in rest.items():
        if type(term) is Sym and n in (1, -1):
            by = _less({}, {t: n * m for t, m in rest.items() if t is not term})
            for known, sum_ in found.items():
                found[known] = _reduced(sum_, {term: by})
            found[term] = by
            return


def _reduced(x: _Sum, by: Mapping[Sym, _Sum]) -> _Sum:
    """A sum in which what is known of its terms is put in their place."""
    for term in [t for t in x if t in by]:
        times = x[term]
        x = _less(_less(x, {term: times}), {t: -times * n for t, n in by[term].items()})
    return x


def _known(x: _Sum, sizes: Mapping[Sym, _Sum]) -> int | None:
    """What a sum comes to; None if that is not known."""
    x = _reduced(x, sizes)
    return x.get(1, 0) if set(x) <= {1} else None


def _sum(index: Index | Extent) -> _Sum:
    """An index as a sum: how often each of its terms is in it, and 1."""
    if type(index) is int:
        return {1: index} if index else {}
    if type(index) is IVar:
        return {("axis", index.axis): 1}
    if type(index) is IOp and index.op == "+":
        return _less(_sum(index.a), _less({}, _sum(index.b)))
    if type(index) is IOp and index.op == "-":
        return _less(_sum(index.a), _sum(index.b))
    if type(index) is IOp and index.op == "inside":
        return _sum(index.a)
    return {index: 1}


def _less(x: _Sum, y: _Sum) -> _Sum:
    found = {term: x.get(term, 0) - y.get(term, 0) for term in [*x, *y]}
    return {term: n for term, n in found.items() if n}
