"""Nests of loops: vectors and their ragged ends, blocks, rows, tasks for threads."""

from __future__ import annotations

import platform
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from covector import _native
from covector.backends.cpu.emit import (
    ahead,
    early,
    groups,
    indexing,
    memory,
    reductions,
    structures,
)
from covector.backends.cpu.emit.alike import Given, Signature
from covector.backends.cpu.emit.borders import BorderEmitter
from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.emit.reductions import Accumulator, Running, Total
from covector.backends.cpu.emit.storage import Mem, Regs, positions
from covector.backends.cpu.emit.values import OK, PATIENCE
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Number
from covector.backends.cpu.writer import BasicBlock, Function, Val, bool_const, int_const
from covector.compiler.access import cost
from covector.compiler.ir.nodes import Expr, IVar, Load, Pointwise, Update, Value, ivars
from covector.compiler.ir.walk import loads
from covector.compiler.schedule.loops import (
    BLOCK,
    CHUNK_ELEMENTS,
    CHUNK_MOST,
    CHUNKS,
    CHUNKS_MOST,
    GRAIN,
    SUM_LOOPS,
    SUM_ROUNDS,
    TILE,
    TILE_MOST,
    first_reduced,
    last_reduced,
    numbers,
)
from covector.compiler.schedule.nodes import Nest, NestLoop, Stage
from covector.compiler.schedule.plan import copy_nest
from covector.core.config import config

# An axis, and the piece of it that a tile covers.
_Tile = tuple[int, Val, Val]


def _runs(node: NestLoop | Stage) -> bool:
    """Whether anything is computed: not in a loop over the elements of an empty array."""
    if type(node) is Stage:
        return True
    assert type(node) is NestLoop
    return not (node.role == "p" and node.dim == 0) and any(map(_runs, node.children))


def _block(node: NestLoop) -> int:
    """Elements of a block: those of the vectors inside."""
    inner: NestLoop | Stage = node
    while type(inner) is NestLoop and not inner.lanes:
        inner = inner.children[0]
    return inner.lanes if type(inner) is NestLoop else BLOCK


def _innermost(node: NestLoop) -> bool:
    """Whether no loop is left inside a loop once it is written out."""
    return all([c.unrolled for c in node.loops])


def _up_to(n: int, multiple: int) -> int:
    """The next multiple."""
    return -(-n // multiple) * multiple


# Bytes of a result from which on it is written past the caches, which would be full of it.
STREAMED = 1 << 24
# Simple operations for an element of such a result, up to which writing it takes the time.
STREAMED_WORK = 24


class Outlined(NamedTuple):
    """A function of tasks, and what of the function around it is in its frame."""

    name: str
    captures: list[Val]


class NestEmitter(BorderEmitter):
    """Writes nests of loops."""

    # What is computed right after another value.
    early: dict[Value, list[Value]]
    # Functions of tasks, with what they are given, by the signature of their nest; and how often
    # elementary functions had been written before.
    alike: dict[str, tuple[str, list[Given], dict[tuple[str, str, int], int]]]
    # Whether there are so many nests that it pays to look which are alike.
    repetitive = False

    def nest(self, nest: Nest) -> None:
        for s in nest.stages:
            v = s.value
            if v not in self.storage and v in self.plan.places:
                self.place(v)
        if self.is_idle(nest) or not _runs(nest.root):
            return
        self.running = {id(s): Running(s) for s in nest.stages}
        self.early = early.after(nest, self.schedule.inline)
        root = nest.root
        if type(root) is Stage:
            self.leaf(nest, (root,))
        else:
            assert type(root) is NestLoop
            if nest.tasks == "partial":
                self._partial(nest, root)
            elif nest.tasks == "loop":
                self._outline(nest, root)
            elif nest.tasks == "groups":
                self._groups(nest, root)
            elif nest.tasks == "copies":
                self.copies(nest, root, lambda: self._loop(nest, root, 0, None))
            else:
                self.at_hand = self._rows(nest, Idx(0))
                self._loop(nest, root, 0, None)
                self.at_hand = {}
        for s in nest.stages:
            st = self.storage.get(s.value)
            if isinstance(st, Mem):
                st.level = self.b.level if st.fn is self.b else st.level

    def store_whole(self, v: Value, ptr: Val) -> None:
        """Write all of ``v`` to ``ptr``."""
        st = self.storage.get(v)
        mem = Mem(ptr, self.b.level, self.b)
        if isinstance(st, Regs):
            for pos, x in zip(positions(v.shape), st.elements, strict=True):
                self.store(v, mem, pos, x)
            return
        copy = Value(v.shape, v.dtype, Pointwise(Load(v, ivars(v.ndim))))
        self.storage[copy] = mem
        self.nest(copy_nest(v, copy, self.schedule))

    def is_idle(self, nest: Nest) -> bool:
        """Whether all that a nest computes is where it is to be."""
        return all([self._in_place(s) for s in nest.stages])

    def _in_place(self, s: Stage) -> bool:
        """Whether the stage copies the base of an update, or what is reshaped, onto itself."""
        d = s.value.defn
        if s.kind != "pointwise" or not (type(d) is Update or d.flat):
            return False
        source = d.base if type(d) is Update else d.expr.value
        if source is None:
            return False
        place = self.plan.places.get(s.value)
        return place is not None and self.plan.places.get(source) == place

    def inner_work(self, node: NestLoop | Stage) -> int | Val:
        """Elements that one round of this loop touches, roughly, as a run-time number."""
        if isinstance(node, Stage):
            return 1
        best: int | Val = 1
        for c in node.children:
            if isinstance(c, NestLoop):
                w = indexing.mul(self.b, self.inner_work(c), self._rounds(node, c))
                best = w if type(best) is int and best == 1 else indexing.add(self.b, best, w)
        return best

    def _rounds(self, node: NestLoop, inner: NestLoop) -> int | Val:
        """Rounds of a loop in one of ``node``, on average where groups of elements differ."""
        rounds = self.dim(inner.dim)
        if inner.role != "s" or all([groups.limits(s) is None for s in inner.stages()]):
            return rounds
        b = self.b
        count = b.intrinsic("umax", indexing.val(self.dim(node.dim)), int_const(1))
        return b.bin("udiv", indexing.val(rounds), count)

    def grain(self, root: NestLoop) -> Val:
        """Rounds of the outermost loop per task: a multiple of the vector length."""
        b = self.b
        work = self.inner_work(root)
        if root.role == "b":
            return int_const(_block(root))
        if root.role == "t":
            # Fewer columns where they are so long that nobody could interrupt a task. A loop inside
            # runs over the tile, so that the work counts all columns.
            n = b.intrinsic("umax", indexing.val(self.dim(root.dim)), int_const(1))
            each = b.bin("udiv", indexing.val(work), n)
            columns = b.intrinsic("umax", self.rounds_of(TILE_MOST, each), int_const(64))
            return b.intrinsic("umin", columns, int_const(TILE))
        if type(work) is int:
            return int_const(_up_to(max(1, GRAIN // max(work, 1)), root.lanes or 1))
        return self.rounds_of(GRAIN, work, root.lanes)

    def rounds_of(self, elements: int, work: int | Val, lanes: int = 0) -> Val:
        """How many rounds that touch ``work`` elements make up so many: at least one, and whole
        vectors of ``lanes``."""
        b = self.b
        each = b.intrinsic("umax", indexing.val(work), int_const(1))
        rounds = b.intrinsic("umax", b.bin("udiv", int_const(elements), each), int_const(1))
        if lanes <= 1:
            return rounds
        return b.bin("and", b.bin("add", rounds, int_const(lanes - 1)), int_const(-lanes))

    def outlined(self, write: Callable[[Val, Val], None]) -> Outlined:
        """A function of (frame, begin, end) written by ``write(begin, end)``.

        What it works on is in its frame, so that equal loops over different arrays are one.
        """
        parent = self.b
        name, uses = self.module.fresh("body"), dict(self.module.uses)
        child = Function(
            self.module, name,
            f"define internal void @{name}(ptr %frame, i64 %begin, i64 %end) noinline", parent,
        )  # fmt: skip
        self.b = child
        saved, saved_lanes = self.tail, self.lanes
        self.tail, self.lanes = None, 0
        write(Val("%begin", "i64", 0, child, 0), Val("%end", "i64", 0, child, 0))
        child.line("ret void")
        self.tail, self.lanes = saved, saved_lanes
        self.b = parent
        child.finish_once()
        if child.name != name:
            self.module.uses = uses
        return Outlined(child.name, child.captures)

    def frame(self, child: Outlined) -> Val:
        """Memory with what the outlined function captured."""
        b = self.b
        frame = b.alloca(f"[{64 * max(1, len(child.captures))} x i8]")
        for slot, v in enumerate(child.captures):
            v = b.local(v)
            p = b.ins(("frame", slot), f"getelementptr i8, ptr %s, i64 {64 * slot}", (frame,),
                      "ptr", 0)  # fmt: skip
            b.line(f"store {v.type} {v.ref}, ptr {p.ref}, align 64")
        return frame

    def parallel_for(self, child: Outlined, n: Val, grain: Val, *first: str) -> None:
        """Run the outlined body over [0, n), on threads when there is more than one task.

        What is interrupted ends the program, after some instructions.
        """
        b = self.b
        b.tasks += 1
        n, grain = b.local(n), b.local(grain)
        if self.repetitive and b is self.root:
            captures = [b.local(v) for v in child.captures]
            site = self._site(child.name, [v.type for v in captures])
            args = ", ".join([f"{v.type} {v.ref}" for v in (b.local(self.rt), n, grain, *captures)])
            self.leave_unless_ok(b.impure(f"call i32 @{site}({args})", "i32"), *first)
            return
        frame = self.frame(child)
        few = b.cmp("icmp sle", n, grain)
        fn = self.runtime("parallel_for")
        direct = f"call void @{child.name}(ptr {frame.ref}, i64 0, i64 {n.ref})"
        threads = (
            f"call i32 {fn.ref}(ptr {b.local(self.rt).ref}, ptr @{child.name}, ptr {frame.ref}, "
            f"i64 {n.ref}, i64 {grain.ref})"
        )

        def shared() -> None:
            self.leave_unless_ok(b.impure(threads, "i32"), *first)

        stems = ("direct", "threads", "done")
        b.either(few, lambda: b.line(direct), shared, stems, likely=False)

    def _site(self, body: str, types: Sequence[str]) -> str:
        """A function that fills a frame and runs a body: what every place of a call would do."""
        name = f"run.{body}"
        if name in self.module.internal:
            return name
        self.module.internal.add(name)
        args = ["ptr %rt", "i64 %n", "i64 %grain", *[f"{t} %c{k}" for k, t in enumerate(types)]]
        header = f"define internal i32 @{name}({', '.join(args)}) noinline"
        entry = BasicBlock("entry")
        entry.lines.append(f"  %frame = alloca [{64 * max(1, len(types))} x i8], align 64")
        for k, t in enumerate(types):
            entry.lines += [
                f"  %p{k} = getelementptr i8, ptr %frame, i64 {64 * k}",
                f"  store {t} %c{k}, ptr %p{k}, align 64",
            ]
        entry.lines += [
            "  %few = icmp sle i64 %n, %grain",
            "  br i1 %few, label %direct, label %threads",
        ]
        direct, threads = BasicBlock("direct"), BasicBlock("threads")
        direct.lines += [f"  call void @{body}(ptr %frame, i64 0, i64 %n)", f"  ret i32 {OK}"]
        slot = _native.runtime_slots["parallel_for"]
        threads.lines += [
            f"  %at = getelementptr ptr, ptr %rt, i64 {slot}",
            "  %fn = load ptr, ptr %at",
            f"  %status = call i32 %fn(ptr %rt, ptr @{body}, ptr %frame, i64 %n, i64 %grain)",
            "  ret i32 %status",
        ]
        self.module.functions.append((header, [entry, direct, threads]))
        return name

    def call_runtime(self, name: str, args: Sequence[str]) -> None:
        """Call a function of the runtime library that gives nothing, with typed arguments.

        Where there are many calls, those that differ in few arguments share a function of these.
        """
        b = self.b
        if not self.repetitive or b is not self.root:
            b.line(f"call void {self.runtime(name).ref}({', '.join(args)})")
            return
        given: dict[str, str] = {}
        inner = []
        for a in args:
            type_, ref = a.rsplit(" ", 1)
            inner.append(f"{type_} {given.setdefault(a, f'%a{len(given)}')}" if "%" in ref else a)
        key = f"{name}({', '.join(inner)})"
        site = self.module.names.get(key)
        if site is None:
            site = self.module.names[key] = self.module.fresh(f"call.{name}")
            types = [f"{a.rsplit(' ', 1)[0]} {x}" for a, x in given.items()]
            entry = BasicBlock("entry")
            entry.lines += [
                f"  %at = getelementptr ptr, ptr %rt, i64 {_native.runtime_slots[name]}",
                "  %fn = load ptr, ptr %at",
                f"  call void %fn({', '.join(inner)})",
                "  ret void",
            ]
            header = f"define internal void @{site}({', '.join(['ptr %rt', *types])}) noinline"
            self.module.functions.append((header, [entry]))
        b.line(f"call void @{site}({', '.join([f'ptr {self.rt.ref}', *given])})")

    def _outline(self, nest: Nest, root: NestLoop) -> None:
        n, grain = indexing.val(self.dim(root.dim)), self.grain(root)
        self.parallel_for(self._task(nest, root), n, grain)

    def _task(self, nest: Nest, root: NestLoop) -> Outlined:
        """The function of a nest's tasks, that of one before which is like it."""

        def write(begin: Val, end: Val) -> None:
            self.streamed = self._streamed(nest)
            self.at_hand = self._rows(nest, Idx(begin))
            self._loop(nest, root, 0, (begin, end))
            self.at_hand = {}
            for bits in self.streamed.values():
                # Other threads see it before they see that the task is done.
                self.b.when(self.b.cmp("icmp ne", bits, int_const(-1)), self._fence, rare=True)
            self.streamed = {}

        if not self.repetitive or self.b is not self.root:
            return self.outlined(write)
        signature = Signature(self, nest)
        text = signature.text()
        found = None if text is None else self.alike.get(text)
        if found is not None:
            known = Outlined(found[0], signature.captures(found[1]))
            if config.enable_checks:
                now, self.module.uses = self.module.uses, dict(found[2])
                assert self.outlined(write) == known, text
                self.module.uses = now
            return known
        uses = dict(self.module.uses)
        task = self.outlined(write)
        given = signature.given(task.captures)
        if text is not None and given is not None:
            self.alike[text] = task.name, given, uses
        return task

    def _rows(self, nest: Nest, first: Idx) -> dict[Value, tuple[int, Idx]]:
        """Where the rows are that each round of the outermost loop computes anew: all where that of
        the first round is, which no other task computes, if nothing else is there."""
        places = self.plan.places
        others = {u for s in nest.stages for u in (s.value, *[v for v, _ in s.reads])}
        used = Counter([places.get(u) for u in others])
        return {
            s.value: (s.order[0], first) for s in nest.stages
            if s.value in nest.rows and used[places.get(s.value)] == 1
        }  # fmt: skip

    def _streamed(self, nest: Nest) -> dict[Value, Val]:
        """What a nest writes that is larger than caches are, by the bits of addresses that are zero
        where it is written past them: it is none of what the nest reads, and takes its time to be
        written, not to be computed."""
        if platform.machine().lower() not in ("x86_64", "amd64"):
            return {}
        places = self.plan.places
        read = {places.get(v) for s in nest.stages for v, _ in s.reads}
        seen: set[Value] = set()
        work = sum([self._operations(s.expr, seen) for s in nest.stages])
        written = {s.value for s in nest.stages if s.value not in nest.contracted}
        if work > STREAMED_WORK * len(written):
            return {}
        found: dict[Value, Val] = {}
        for s in nest.stages:
            v = s.value
            if s.kind != "pointwise" or v in nest.contracted or places.get(v) in {None, *read}:
                continue
            size: int | Val = v.dtype.itemsize
            for d in v.shape:
                size = indexing.mul(self.b, size, self.dim(d))
            if type(size) is Val:
                large = self.b.cmp("icmp sge", size, int_const(STREAMED))
                found[v] = self.b.select(large, int_const(memory.LINE - 1), int_const(-1))
        return found

    def _operations(self, e: Expr, seen: set[Value]) -> int:
        """Simple operations for an element, with what is computed where it is read."""
        total = cost(e)
        for load in loads(e):
            v = load.value
            if v not in seen and self.schedule.inline(v):
                seen.add(v)
                total += self._operations(v.defn.expr, seen)
        return total

    def _fence(self) -> None:
        self.module.declare("llvm.x86.sse.sfence", "void", "")
        self.b.line("call void @llvm.x86.sse.sfence()")

    @abstractmethod
    def copies(self, nest: Nest, root: NestLoop, alone: Callable[[], None]) -> None:
        """Tasks that merge elements into copies of the places that they go to."""

    def counted(self, nest: Nest, root: NestLoop, begin: Val, end: Val) -> None:
        """The rounds from ``begin`` to ``end`` of the outermost loop."""
        self._counted(nest, root, 0, begin, end, root.lanes)

    def _groups(self, nest: Nest, root: NestLoop) -> None:
        """A part whose elements of one destination follow each other: a task takes whole groups.

        So no two tasks write one place, and each place is written in order.
        """
        (stage,) = nest.stages
        n, grain = indexing.val(self.dim(root.dim)), self.grain(root)

        def write(begin: Val, end: Val) -> None:
            first, last = (groups.following(self, stage.part, at, n) for at in (begin, end))
            if groups.accumulates(stage.part):
                groups.write(self, self.running[id(stage)], first, last)
            else:
                self._loop(nest, root, 0, (first, last))

        self.parallel_for(self.outlined(write), n, grain)

    def _partial(self, nest: Nest, root: NestLoop) -> None:
        """Reductions to a few numbers in a fixed number of tasks."""
        b = self.b
        n = indexing.val(self.dim(root.dim))
        work = self.inner_work(root)
        least = self.rounds_of(CHUNK_ELEMENTS, work)
        # As many tasks as keep each of them short, within bounds.
        tasks = b.bin("udiv", n, self.rounds_of(CHUNK_MOST, work))
        tasks = b.intrinsic("umax", tasks, int_const(CHUNKS))
        tasks = b.intrinsic("umin", tasks, int_const(CHUNKS_MOST))
        share = b.bin("udiv", b.bin("add", n, b.bin("sub", tasks, int_const(1))), tasks)
        grain = b.intrinsic("umax", least, share)
        few = [s for s in nest.stages if s.few]
        slots = [self._partial_slots(s) for s in few]

        def write(begin: Val, end: Val) -> None:
            c = self.b
            for s in few:
                reductions.start(self, self.running[id(s)], self.lanes_of(root, s))
            self._counted(nest, root, 0, begin, end, root.lanes)
            slot = c.bin("udiv", begin, c.local(grain))
            for s, outs in zip(few, slots, strict=True):
                found = reductions.result(self, self.running[id(s)])
                for x, out in zip(found, outs, strict=True):
                    for p, o in zip(reductions.parts(x), out, strict=True):
                        at = memory.gep(c, o, p.ty, slot)
                        c.line(f"store {p.ty} {p.ref}, ptr {at.ref}")

        self.parallel_for(self.outlined(write), n, grain)
        count = b.bin("udiv", b.bin("add", n, b.bin("sub", grain, int_const(1))), grain)
        for s, outs in zip(few, slots, strict=True):
            xs = [self._combine(s, out, count) for out in outs]
            self.storage[s.value] = Regs([reductions.rounded(b, x, s.value.dtype) for x in xs])

    def _partial_slots(self, s: Stage) -> list[list[Val]]:
        """Memory for the tasks' results: for each result, and each part of a number."""
        kinds = reductions.parts(reductions.initial(s.value.defn.kind, s.value.dtype))
        return [
            [self.b.alloca(f"[{CHUNKS_MOST} x {p.ty}]") for p in kinds]
            for _ in reductions.results_of(s)
        ]

    def _combine(self, s: Stage, slots: list[Val], count: Val) -> Number:
        """The tasks' results merged in order."""
        v, kind = s.value, s.value.defn.kind
        acc = Accumulator(self.b, reductions.initial(kind, v.dtype), 0)
        total = Total(self.b, acc) if self.running[id(s)].totals else None

        def merge_one(i: Val) -> None:
            b = self.b
            parts = []
            for slot, (ty, _) in zip(slots, acc.types, strict=True):
                p = memory.gep(b, slot, ty, i)
                parts.append(b.impure(f"load {ty}, ptr {p.ref}", ty))
            x = reductions.whole(parts)
            acc.set(b, reductions.merge(b, kind, acc.get(b), x, v.dtype))
            if total is not None:
                total.take(b)

        self.b.repeat(int_const(0), count, 1, merge_one)
        if total is not None:
            total.give(self.b)
        return acc.get(self.b)

    def _loop(self, nest: Nest, node: NestLoop, depth: int, span: tuple[Val, Val] | None) -> None:
        """Emit one loop of a nest over ``span`` or its whole extent."""
        if node.role in ("t", "b"):
            begin, end = span or self._extent(node)
            if node.role == "t":
                self._inside_tile(nest, node, depth, begin, end)
            else:
                self._counted(nest, node, depth, begin, end, 0, block=_block(node))
            return
        starting = [
            self.running[id(s)] for s in node.stages()
            if s.kind in ("reduce", "cumulative") and first_reduced(s) == depth
        ]  # fmt: skip
        for r in starting:
            reductions.start(self, r, self.lanes or self.lanes_of(node, r.stage))
        if node.unrolled:
            assert type(node.dim) is int
            for k in range(node.dim):
                self._round(nest, node, depth, k)
        elif last_reduced(node):
            self._accumulate(nest, node, depth, self._extent(node)[1])
        elif depth == 0 and self.b is self.root and not self.totals(node, depth):
            self._patient(nest, node)
        elif not self._limited(nest, node, depth):
            begin, end = span or self._extent(node)
            self._counted(nest, node, depth, begin, end, node.lanes)
        for r in starting:
            reductions.finish(self, nest, r)

    def _limited(self, nest: Nest, node: NestLoop, depth: int) -> bool:
        """Write a loop over the elements of a group, if that is what it is."""
        stages = list(node.stages())
        limits = groups.limits(stages[0]) if node.role == "s" and len(stages) == 1 else None
        if limits is None:
            return False
        r = self.running[id(stages[0])]
        begin, end = groups.span(self, r, limits, self._extent(node)[1])
        if node.leaves:
            groups.merge(self, r, begin, end)
        else:
            self._counted(nest, node, depth, begin, end, 0)
        return True

    def _patient(self, nest: Nest, node: NestLoop) -> None:
        """The outermost loop where it runs on this thread alone: it looks out now and then."""
        begin, end = self._extent(node)
        work, step = self.inner_work(node), node.lanes or 1
        if type(node.dim) is type(work) is int and node.dim * work <= PATIENCE:
            self._counted(nest, node, 0, begin, end, node.lanes)
            return
        b = self.b
        stretch = b.bin("mul", self.rounds_of(PATIENCE // step, work), int_const(step))
        count = b.bin("udiv", b.bin("add", end, b.bin("sub", stretch, int_const(1))), stretch)

        def some(k: Val) -> None:
            i = b.bin("mul", k, stretch)
            stop = b.intrinsic("smin", b.bin("add", i, stretch), end)
            self._counted(nest, node, 0, i, stop, node.lanes)
            b.when(b.cmp("icmp slt", stop, end), self.look_out, rare=True)

        b.repeat(int_const(0), count, 1, some)

    def _extent(self, node: NestLoop) -> tuple[Val, Val]:
        return int_const(0), indexing.val(self.dim(node.dim))

    def _round(self, nest: Nest, node: NestLoop, depth: int, k: int) -> None:
        """One round of a loop that is written out."""
        for s in node.stages():
            at = k
            if s.kind == "cumulative" and s.roles[depth] == "s" and s.value.defn.reverse:
                assert type(node.dim) is int
                at = node.dim - 1 - k
            self.running[id(s)].env[s.order[depth]] = Idx(at)
        self._children(nest, node, depth, None)

    def _children(self, nest: Nest, node: NestLoop, depth: int, tile: _Tile | None) -> None:
        """What is inside a loop."""
        for c in node.children:
            if isinstance(c, Stage):
                self.leaf(nest, (c,))
            elif tile is not None:
                self._loop_in_tile(nest, c, depth + 1, tile)
            else:
                self._loop(nest, c, depth + 1, None)

    def _inside_tile(self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val) -> None:
        """What a tile (or block) of one axis contains; a later loop runs over its span."""
        axis = next(iter(node.stages())).order[depth]
        outer = self.ahead
        if node.role == "b":
            self.ahead = self._columns_ahead(node, depth)
        for c in node.loops:
            self._loop_in_tile(nest, c, depth + 1, (axis, begin, end))
        self.ahead = outer

    def _columns_ahead(self, node: NestLoop, depth: int) -> dict[Value, ahead.Ahead]:
        """What is read across the vectors of a block, an element of each lane's row in a round of
        the loop around them: the next ones are those of the next rounds."""
        s, *others = node.stages()
        if others:
            return {}
        width, inner = self.schedule.target.vector_bytes, s.order[-2]
        lanes = _block(node)
        return {
            v: ahead.start(self.b, memory.memory_type(v.dtype), lanes, width)
            for v, index in s.reads
            if isinstance(self.storage.get(v), Mem)
            and numbers(v.dtype) == 1
            and memory.align_of(memory.memory_type(v.dtype)) >= ahead.LEAST
            and lanes * v.dtype.itemsize == width
            and type(index[-1]) is IVar
            and index[-1].axis == inner
            and [type(i) is IVar and i.axis == s.order[depth] for i in index].count(True) == 1
        }  # fmt: skip

    def _loop_in_tile(self, nest: Nest, node: NestLoop, depth: int, tile: _Tile) -> None:
        """A loop inside a tile: over the tile's span if it is the tiled axis."""
        axis, begin, end = tile
        if next(iter(node.stages())).order[depth] == axis:
            self._counted(nest, node, depth, begin, end, node.lanes)
            return
        begin, end = self._extent(node)
        if last_reduced(node):
            self._accumulate(nest, node, depth, end, tile)
        else:
            self._counted(nest, node, depth, begin, end, 0, tile)

    def _accumulate(
        self, nest: Nest, node: NestLoop, depth: int, n: Val, tile: _Tile | None = None
    ) -> None:
        """A reduced loop around rows of results in memory: several rounds to a pass over them."""
        b = self.b
        stages = [self.running[id(s)] for s in node.stages()]

        def passes(step: int) -> Callable[[Val], None]:
            def write(i: Val) -> None:
                for r in stages:
                    r.rows = [Idx(indexing.add(self.b, i, k)) for k in range(step)]
                self._children(nest, node, depth, tile)

            return write

        if node.together == 1:
            b.repeat(int_const(0), n, 1, passes(1))
            return
        most = b.bin("sub", n, b.bin("urem", n, int_const(node.together)))
        b.repeat(int_const(0), most, node.together, passes(node.together))
        b.repeat(most, n, 1, passes(1))

    def lanes_of(self, node: NestLoop, stage: Stage) -> int:
        """Lanes of the innermost loop in which ``stage`` runs."""
        if node.lanes or any([s is stage for s in node.leaves]):
            return node.lanes
        for c in node.loops:
            if any([s is stage for s in c.stages()]):
                return self.lanes_of(c, stage)
        return 0

    def _counted(
        self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val, lanes: int,
        tile: _Tile | None = None, block: int = 0,
    ) -> None:  # fmt: skip
        """``for i in [begin, end)`` in steps of ``block``, ``lanes`` or 1, around the children."""
        outer = self.lanes, self.tail, self.row_level
        twice = lanes > 1 and not block and self.may_write_twice(node)

        def round_(i: Val, rest: bool = False) -> None:
            b = self.b
            if lanes:
                self.lanes, self.row_level = lanes, b.level
                self.tail = None if node.apart else self._tail(node, begin, end, i, lanes)
            if rest:
                self.tail = Tail(b.bin("sub", end, i), bool_const(False), lanes)
            elif node.apart and twice:
                i = b.intrinsic("smin", i, b.bin("sub", end, int_const(lanes)))
            elif twice and self.tail is not None:
                # The last vector ends where the loop does, and writes some elements once more.
                last = b.intrinsic("smax", b.bin("sub", end, int_const(lanes)), begin)
                i = b.intrinsic("smin", i, last)
                full = b.cmp("icmp sge", b.bin("sub", end, begin), int_const(lanes))
                self.tail = Tail(b.bin("sub", end, i), full, lanes)
            at = Idx(i, 1 if lanes else 0)
            if lanes and self.ahead and self.strip is None:
                self.lane = at
            for s in node.stages():
                self._set_index(s, depth, node, at, bool(block))
            if block:
                stop = b.intrinsic("smin", b.bin("add", i, int_const(block)), end)
                self._inside_tile(nest, node, depth, i, stop)
            else:
                self._children(nest, node, depth, tile)
            assert not (lanes and self.pending), "rows are written whole"
            self.lanes, self.tail, self.row_level = outer

        if node.stretches:
            self.in_borders(nest, node, depth, begin, end)
            return
        if self.lanes:
            self._rows_at_hand(nest, node, depth)
        step = block or lanes or 1
        totals = self.totals(node, depth)

        def rounds(stop: Val) -> None:
            self.in_stretches(begin, stop, step, _innermost(node), totals, round_)

        if not node.apart:
            rounds(end)
            return
        b = self.b
        count = b.bin("sub", end, begin)
        if twice:
            # The last vector ends where the loop does, and writes some elements once more.
            stop = b.select(b.cmp("icmp sge", count, int_const(lanes)), end, begin)
        else:
            whole = b.intrinsic("smax", b.bin("and", count, int_const(-lanes)), int_const(0))
            stop = b.bin("add", begin, whole)
        rounds(stop)
        b.when(b.cmp("icmp slt", stop, b.local(end)), lambda: round_(stop, rest=True), rare=True)

    def may_write_twice(self, node: NestLoop) -> bool:
        """Whether an element written again is the same: nothing that is read is overwritten."""
        if node.role != "p" or node.loops:
            return False
        places = self.plan.places
        written = {places.get(s.value) for s in node.leaves}
        return all([
            s.kind == "pointwise"
            or (s.kind == "part" and s.part.combine is None and not s.part.serial)
            for s in node.leaves
        ]) and all([
            places.get(v) is None or places[v] not in written
            for s in node.leaves for v, _ in s.reads
        ])  # fmt: skip

    def _rows_at_hand(self, nest: Nest, node: NestLoop, depth: int) -> None:
        """Before a loop inside lanes: the rows, one a lane, that are the same in its rounds."""
        made = {s.value for s in nest.stages}
        for s in node.stages():
            env = list(self.running[id(s)].env)
            for a in s.order[depth + 1 :]:
                env[a] = Idx(0)
            for v, index in s.reads:
                st = self.storage.get(v)
                if v in made or not isinstance(st, Mem):
                    continue
                plain = all([type(i) is int or type(i) is IVar for i in index])
                if plain and all([i != ivars(64)[s.order[depth]] for i in index]):
                    row = structures.row_of(v, [self.index(i, env) for i in index])
                    if row is not None:
                        self.rows(v, st, row)

    def totals(self, node: NestLoop, depth: int) -> list[Total]:
        """Of the long sums that a loop reduces: where their running sums go now and then."""
        if node.role != "r":
            return []
        rounds = SUM_ROUNDS if _innermost(node) else SUM_LOOPS
        if type(node.dim) is int and node.dim <= rounds * max(node.lanes, 1):
            return []
        return [t for s in node.stages() for t in self.running[id(s)].totals]

    def in_stretches(
        self, begin: Val, end: Val, step: int, innermost: bool, totals: list[Total],
        write: Callable[[Val], None],
    ) -> None:  # fmt: skip
        """A loop that hands its running sums over after each stretch of rounds but the last."""
        if not totals:
            self.b.repeat(begin, end, step, write)
            return
        stretch = step * (SUM_ROUNDS if innermost else SUM_LOOPS)

        def one(i: Val) -> None:
            b = self.b
            following = b.bin("add", i, int_const(stretch))
            b.repeat(i, b.intrinsic("smin", following, b.local(end)), step, write)

            def hand_over() -> None:
                for t in totals:
                    t.take(self.b)

            b.when(b.cmp("icmp slt", following, b.local(end)), hand_over)

        self.b.repeat(begin, end, stretch, one)

    def _tail(self, node: NestLoop, begin: Val, end: Val, i: Val, lanes: int) -> Tail | None:
        """How much of the vector from ``i`` is in range; None for all."""
        if type(node.dim) is int and node.dim % lanes == 0 and begin.ref == "0":
            return None
        return self.rest(self.b.bin("sub", end, i), lanes)

    def _set_index(self, s: Stage, depth: int, node: NestLoop, i: Idx, blocks: bool) -> None:
        env, axis = self.running[id(s)].env, s.order[depth]
        env[axis] = i
        if not blocks and s.kind == "cumulative" and s.roles[depth] == "s":
            if s.value.defn.reverse:
                last = indexing.sub(self.b, self.dim(node.dim), 1)
                env[axis] = Idx(indexing.sub(self.b, last, indexing.val(i.base)))

    def leaf(self, nest: Nest, stages: Sequence[Stage]) -> None:
        """One element (or vector) of each stage."""
        for s in stages:
            r = self.running[id(s)]
            if s.kind == "part":
                self._part(r)
            elif self._in_place(s):
                continue
            elif s.kind == "reduce":
                reductions.step(self, r)
            elif s.kind == "cumulative":
                reductions.cumulative_step(self, r, self.expr(s.expr, r.env))
            elif s.kind == "init":
                self.store(s.value, self.memory(s.value), r.index,
                           reductions.initial(s.value.defn.kind, s.value.dtype))  # fmt: skip
            elif s.kind == "accumulate":
                self._accumulated(r)
            else:
                self._pointwise(nest, r)

    def _accumulated(self, r: Running) -> None:
        """Further elements added to a result in memory."""
        s, v = r.stage, r.stage.value
        kind = v.defn.kind
        axis = s.order[s.roles.rindex("r")]
        total = self.fresh_load(v, self.memory(s.value), r.index)
        for row in r.rows or (r.env[axis],):
            r.env[axis] = row
            x = self.expr(s.expr, r.env)
            total = reductions.merge(self.b, kind, total, x, v.dtype)
        self.store(v, self.memory(s.value), r.index, total)

    def _pointwise(self, nest: Nest, r: Running) -> None:
        s, v = r.stage, r.stage.value
        x = self.expr(s.expr, r.env)
        if v not in nest.contracted:
            self.store(v, self.memory(s.value), r.index, x)
        # What an update starts from is overwritten later.
        if type(v.defn) is not Update or v.defn.base is None:
            self.remember(v, r.index, x)
        for u in self.early.get(v, ()):
            self.load(u, r.index)

    def _part(self, r: Running) -> None:
        """Write one element of an update, if its tests hold."""
        s, part, b = r.stage, r.stage.part, self.b
        cond = self.tests(part.tests, r.env)

        def write() -> None:
            v, st = s.value, self.memory(s.value)
            dest = [self.index(i, r.env) for i in part.dest]
            x = self.expr(s.expr, r.env)
            if part.combine is not None:
                old = self.fresh_load(v, st, dest)
                x = ops.apply(b, part.combine, [old, x], [v.dtype] * 2, v.dtype, None)
            self.store(v, st, dest, x)

        if type(cond) is Val:
            b.when(cond, write)
        elif cond:
            write()
