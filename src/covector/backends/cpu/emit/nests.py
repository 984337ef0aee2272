"""Nests of loops: vectors and their ragged ends, blocks, rows, tasks for threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.backends.cpu.emit import indexing, library, reductions
from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.emit.storage import Mem
from covector.backends.cpu.emit.values import ValueEmitter
from covector.backends.cpu.emit.writer import Function, Val, int_const
from covector.backends.cpu.numerics import ops
from covector.compiler.access import cost, variables
from covector.compiler.ir.nodes import IOp, IVar, Update
from covector.compiler.schedule.nest import Nest, NestLoop, Stage
from covector.core import dtypes

# Elements (weighted by cost) that one task of a parallel loop should cover.
GRAIN = 16384
VECTOR_BYTES = 64
# Loops of at most this many rounds altogether are written out.
UNROLL_LOOP = 8
# So are loops inside the lanes of a vector, one lane to a row.
SHORT_ROW = 12
# A running result waits for the one before: loops that only reduce keep this many of them.
CHAINS = 4
# Rounds of a reduction that one pass over a row of results takes, if they are this cheap.
ROUNDS_TOGETHER = 4
CHEAP_ROUND = 8
# Elements of a blocked axis that are walked before the other axis moves on.
BLOCK = 16
_VECTOR_KINDS = ("pointwise", "reduce", "init", "accumulate", "part")


class NestEmitter(ValueEmitter):
    """Writes nests of loops."""

    def nest(self, nest: Nest) -> None:
        for s in nest.stages:
            v = s.value
            if (
                v not in self.storage
                and v not in nest.contracted
                and not (s.kind == "reduce" and s.few)
            ):
                self.buffers.place(v)
            # Axes folded into a later one by `collapse` stay at zero.
            s.env = [Idx(0)] * 64
        if all(self._in_place(s) for s in nest.stages):
            return
        root = nest.root
        if isinstance(root, Stage):
            self._leaf(nest, [root])
        elif reductions.parallel(self, nest):
            pass
        elif self._worth_threads(root):
            self._outline(nest, root)
        else:
            self._loop(nest, root, 0, None)
        for s in nest.stages:
            st = self.storage.get(s.value)
            if isinstance(st, Mem):
                st.level = self.b.level if st.fn is self.b else st.level

    def _in_place(self, s: Stage) -> bool:
        """Whether the stage copies the base of an update, or what is reshaped, onto itself."""
        d = s.value.defn
        if s.kind != "pointwise" or not (type(d) is Update or d.flat):
            return False
        source = d.base if type(d) is Update else d.expr.value
        base, own = self.storage.get(source), self.storage.get(s.value)
        return (
            isinstance(base, Mem) and isinstance(own, Mem)
            and self.b.local(base.ptr).ref == self.b.local(own.ptr).ref
        )  # fmt: skip

    def _worth_threads(self, root: NestLoop) -> bool:
        if self.in_parallel or root.role not in ("p", "t", "b"):
            return False
        if not all(s.roles[0] == root.role for s in root.stages()):
            return False
        total = self._constant_work(root)
        return total is None or total > 2 * GRAIN

    def _constant_work(self, node: NestLoop | Stage) -> int | None:
        if isinstance(node, Stage):
            return 1
        if type(node.dim) is not int:
            return None
        total = 0
        for c in node.children:
            w = self._constant_work(c)
            if w is None:
                return None
            total += w
        return total if node.role in ("t", "b") else total * node.dim

    def inner_work(self, node: NestLoop | Stage) -> int | Val:
        """Elements that one round of this loop touches, roughly, as a run-time number."""
        if isinstance(node, Stage):
            return 1
        best: int | Val = 1
        for c in node.children:
            if isinstance(c, NestLoop):
                w = indexing.mul(self.b, self.inner_work(c), self.dim(c.dim))
                best = w if type(best) is int and best == 1 else indexing.add(self.b, best, w)
        return best

    def grain(self, root: NestLoop) -> Val:
        """Rounds of the outermost loop per task: a multiple of the vector length."""
        b = self.b
        work = self.inner_work(root)
        if root.role in ("t", "b"):
            return int_const(1024 if root.role == "t" else BLOCK)
        if type(work) is int:
            return int_const(max(1, GRAIN // max(work, 1)) if work > 1 else GRAIN)
        safe = b.intrinsic("umax", indexing.val(work), int_const(1))
        return b.intrinsic("umax", b.bin("udiv", int_const(GRAIN), safe), int_const(1))

    def outlined(self, write: Any) -> tuple[Function, Any]:
        """A function of (frame, begin, end) written by ``write(begin, end)``."""
        parent = self.b
        name = self.module.fresh("body")
        child = Function(
            self.module, name,
            f"define internal void @{name}(ptr %frame, i64 %begin, i64 %end) noinline", parent,
        )  # fmt: skip
        self.b = child
        self.in_parallel = True
        saved, saved_lanes = self.tail, self.lanes
        self.tail, self.lanes = None, 0
        out = write(Val("%begin", "i64", 0, child, 0), Val("%end", "i64", 0, child, 0))
        child.line("ret void")
        self.in_parallel = False
        self.tail, self.lanes = saved, saved_lanes
        self.b = parent
        child.finish()
        return child, out

    def frame(self, child: Function) -> Val:
        """Memory with what the outlined function captured."""
        b = self.b
        frame = b.alloca(f"[{64 * max(1, len(child.captures))} x i8]")
        for slot, v in enumerate(child.captures):
            v = b.local(v)
            p = b.ins(("frame", slot), f"getelementptr i8, ptr %s, i64 {64 * slot}", (frame,),
                      "ptr", 0)  # fmt: skip
            b.line(f"store {v.type} {v.ref}, ptr {p.ref}, align 64")
        return frame

    def parallel_for(self, child: Function, n: Val, grain: Val) -> None:
        """Run the outlined body over [0, n), on threads when there is more than one task."""
        b = self.b
        frame = self.frame(child)
        n, grain = b.local(n), b.local(grain)
        few = b.cmp("icmp sle", n, grain)
        fn = library.runtime_function(self, library.PARALLEL_FOR)
        direct, threads, done = (b.name_label(s) for s in ("direct", "threads", "done"))
        b.line(f"br i1 {few.ref}, label %{direct}, label %{threads}")
        b.start_block(direct)
        b.line(f"call void @{child.name}(ptr {frame.ref}, i64 0, i64 {n.ref})")
        b.line(f"br label %{done}")
        b.start_block(threads)
        b.line(
            f"call void {fn.ref}(ptr {b.local(self.rt).ref}, ptr @{child.name}, ptr {frame.ref}, "
            f"i64 {n.ref}, i64 {grain.ref})"
        )
        b.line(f"br label %{done}")
        b.start_block(done)

    def _outline(self, nest: Nest, root: NestLoop) -> None:
        n, grain = indexing.val(self.dim(root.dim)), self.grain(root)
        child, _ = self.outlined(lambda begin, end: self._loop(nest, root, 0, (begin, end)))
        self.parallel_for(child, n, grain)

    def _loop(self, nest: Nest, node: NestLoop, depth: int, span: Any) -> None:
        """Emit one loop of a nest over ``span`` or its whole extent."""
        if node.role in ("t", "b"):
            begin, end = span or (int_const(0), indexing.val(self.dim(node.dim)))
            if node.role == "t":
                self._inside_tile(nest, node, depth, begin, end)
            else:
                self._counted(nest, node, depth, begin, end, 0, block=BLOCK)
            return
        if self._rows(node):
            begin, end = span or (int_const(0), indexing.val(self.dim(node.dim)))
            self._counted(nest, node, depth, begin, end, self._row_lanes(node))
            return
        starting = [
            s for s in node.stages()
            if s.kind in ("reduce", "cumulative") and _first_reduced(s) == depth
        ]  # fmt: skip
        for s in starting:
            reductions.start(self, s, self.lanes or self.lanes_of(node, s))
        if (self.lanes and _short(node)) or (span is None and self._unrolls(node)):
            for k in range(node.dim):
                self._round(nest, node, depth, k)
            for s in starting:
                reductions.finish(self, nest, s)
            return
        begin, end = span or (int_const(0), indexing.val(self.dim(node.dim)))
        if _last_reduced(node):
            self._accumulate(nest, node, depth, end)
            return
        leaf = isinstance(node.children[0], Stage) and not self.lanes
        lanes = self._vector_lanes(node, depth) if leaf else 0
        self._counted(nest, node, depth, begin, end, lanes)
        for s in starting:
            reductions.finish(self, nest, s)

    def _unrolls(self, node: NestLoop) -> bool:
        """Whether a loop is so short that it is written out."""
        if node.dim == 1:
            return True
        work = self._constant_work(node)
        return work is not None and work <= UNROLL_LOOP and not self.in_parallel

    def _round(self, nest: Nest, node: NestLoop, depth: int, k: int) -> None:
        """One round of a loop that is written out."""
        for s in node.stages():
            at = k
            if s.kind == "cumulative" and s.roles[depth] == "s" and s.value.defn.reverse:
                at = node.dim - 1 - k
            s.env[s.order[depth]] = Idx(at)
        if isinstance(node.children[0], Stage):
            self._leaf(nest, node.children)  # type: ignore[arg-type]
        else:
            for c in node.children:
                assert isinstance(c, NestLoop)
                self._loop(nest, c, depth + 1, None)

    def _rows(self, node: NestLoop) -> bool:
        """Whether the rounds of a loop are the lanes of vectors, and rows (or columns searched)
        inside it are walked element by element: short rows are written out."""
        if node.role != "p" or isinstance(node.children[0], Stage) or self.lanes:
            return False
        if type(node.dim) is int and node.dim < 4:
            return False
        if all(_searches_columns(s) for s in node.stages()):
            return True
        if not all(_short(c) and c.dim != 8 for c in node.children):  # type: ignore[arg-type]
            return False
        if any(isinstance(g, NestLoop) for c in node.children for g in c.children):  # type: ignore
            return False
        return (
            all(s.kind == "pointwise" or s.kind == "reduce" for s in node.stages())
            and self._row_lanes(node) > 1
        )

    def _row_lanes(self, node: NestLoop) -> int:
        lanes = min(self._stage_lanes(s) for s in node.stages())
        while type(node.dim) is int and lanes > node.dim:
            lanes //= 2
        return lanes

    def _inside_tile(self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val) -> None:
        """What a tile (or block) of one axis contains; a later loop runs over its span."""
        axis = next(iter(node.stages())).order[depth]
        for c in node.children:
            assert isinstance(c, NestLoop)
            self._loop_in_tile(nest, c, depth + 1, (axis, begin, end))

    def _loop_in_tile(self, nest: Nest, node: NestLoop, depth: int, tile: Any) -> None:
        """A loop inside a tile: over the tile's span if it is the tiled axis."""
        axis, begin, end = tile
        if next(iter(node.stages())).order[depth] == axis:
            self._counted(nest, node, depth, begin, end, self._vector_lanes(node, depth))
        else:
            whole = indexing.val(self.dim(node.dim))
            if _last_reduced(node):
                self._accumulate(nest, node, depth, whole, tile)
            else:
                self._counted(nest, node, depth, int_const(0), whole, 0, tile)

    def _accumulate(self, nest: Nest, node: NestLoop, depth: int, n: Val, tile: Any = None) -> None:
        """A reduced loop around rows of results in memory: several rounds to a pass over them."""
        b = self.b
        stages = list(node.stages())
        inner = node.children[0]
        assert isinstance(inner, NestLoop)
        together = 1
        if all(isinstance(c, Stage) and cost(c.expr) <= CHEAP_ROUND for c in inner.children):
            together = ROUNDS_TOGETHER

        def passes(step: int) -> Any:
            def write(i: Val) -> None:
                for s in stages:
                    s.rows = [Idx(indexing.add(self.b, i, k)) for k in range(step)]
                if tile is not None:
                    self._loop_in_tile(nest, inner, depth + 1, tile)
                else:
                    self._loop(nest, inner, depth + 1, None)

            return write

        if together == 1:
            self.repeat(n, passes(1))
            return
        most = b.bin("sub", n, b.bin("urem", n, int_const(together)))
        self.repeat(most, passes(together), step=together)
        self.repeat(n, passes(1), most)

    def lanes_of(self, node: NestLoop, stage: Stage) -> int:
        """Lanes of the innermost loop in which ``stage`` runs."""
        if stage in node.children:
            # A loop that is written out works on scalars.
            return 0 if self._unrolls(node) else self._vector_lanes(node, stage.depth - 1)
        for c in node.children:
            if isinstance(c, NestLoop) and any(s is stage for s in c.stages()):
                return self.lanes_of(c, stage)
        return 0

    def _vector_lanes(self, node: NestLoop, depth: int) -> int:
        lanes = VECTOR_BYTES // 4
        for s in node.children:
            assert isinstance(s, Stage)
            if s.kind not in _VECTOR_KINDS or s.roles[-1] == "s":
                return 0
            if s.kind == "part" and not _part_vectorises(s):
                return 0
            lanes = min(lanes, self._stage_lanes(s))
        if all(self._only_reduces(s) for s in node.children):  # type: ignore[arg-type]
            lanes *= CHAINS
        dim = node.dim
        if type(dim) is int:
            while lanes > dim:
                lanes //= 2
        return lanes if lanes > 1 else 0

    def _only_reduces(self, s: Stage) -> bool:
        """Whether a stage does little but take the next elements in order to a running result."""
        last = s.order[-1]
        return (
            s.kind == "reduce" and not s.few and self.plan.weight(s.expr) <= CHEAP_ROUND
            and all(
                type(i) is IVar and k == len(index) - 1
                for _, index in s.access.reads for k, i in enumerate(index)
                if last in variables(i)
            )
        )  # fmt: skip

    def _stage_lanes(self, s: Stage) -> int:
        """Lanes that fill the vectors of the widest element a stage works on."""
        size = 4
        for dt in (s.value.dtype, s.expr.dtype, *(v.dtype for v, _ in s.access.reads)):
            size = max(size, dt.itemsize // 2 if dt in dtypes.COMPLEX else dt.itemsize)
        return VECTOR_BYTES // size

    def _counted(
        self, nest: Nest, node: NestLoop, depth: int, begin: Val, end: Val, lanes: int,
        tile: Any = None, block: int = 0,
    ) -> None:  # fmt: skip
        """``for i in [begin, end)`` in steps of ``block``, ``lanes`` or 1, around the children."""
        outer_lanes, outer_tail = self.lanes, self.tail

        def round_(i: Val) -> None:
            b = self.b
            if lanes:
                self.lanes = lanes
                if type(node.dim) is int and node.dim % lanes == 0 and begin.ref == "0":
                    self.tail = None
                else:
                    left = b.bin("sub", end, i)
                    self.tail = Tail(left, b.cmp("icmp sge", left, int_const(lanes)), lanes)
            for s in node.stages():
                axis = s.order[depth]
                s.env[axis] = Idx(i, 1 if lanes else 0)
                if not block and s.kind == "cumulative" and s.roles[depth] == "s":
                    if s.value.defn.reverse:
                        last = indexing.sub(b, self.dim(node.dim), 1)
                        s.env[axis] = Idx(indexing.sub(b, last, i))
            if block:
                stop = b.intrinsic("smin", b.bin("add", i, int_const(block)), end)
                self._inside_tile(nest, node, depth, i, stop)
            elif isinstance(node.children[0], Stage):
                self._leaf(nest, node.children)  # type: ignore[arg-type]
            else:
                for c in node.children:
                    assert isinstance(c, NestLoop)
                    if tile is not None:
                        self._loop_in_tile(nest, c, depth + 1, tile)
                    else:
                        self._loop(nest, c, depth + 1, None)
            self.lanes, self.tail = outer_lanes, outer_tail

        self.repeat(end, round_, begin, block or lanes or 1)

    def _leaf(self, nest: Nest, stages: Sequence[Stage]) -> None:
        """One element (or vector) of each stage."""
        for s in stages:
            v = s.value
            if s.kind == "part":
                self._part(s)
                continue
            if self._in_place(s):
                continue
            index = s.env[: v.ndim]
            if s.kind == "reduce":
                reductions.step(self, s)
            elif s.kind == "cumulative":
                reductions.cumulative_step(self, s, self.expr(s.expr, s.env))
            elif s.kind == "init":
                st = self.storage[v]
                assert isinstance(st, Mem)
                self.store(v, st, index, reductions.initial(v.defn.kind, v.dtype))
            elif s.kind == "accumulate":
                st = self.storage[v]
                assert isinstance(st, Mem)
                axis = next(a for a, r in zip(reversed(s.order), reversed(s.roles), strict=True)
                            if r == "r")  # fmt: skip
                total = self._fresh_load(v, st, index)
                for row in s.rows or [s.env[axis]]:
                    s.env[axis] = row
                    x = self.expr(s.expr, s.env)
                    total = reductions.merge(self.b, v.defn.kind, total, x, v.dtype)
                self.store(v, st, index, total)
            else:
                x = self.expr(s.expr, s.env)
                if v not in nest.contracted:
                    st = self.storage[v]
                    assert isinstance(st, Mem)
                    self.store(v, st, index, x)
                # What an update starts from is overwritten later.
                if type(v.defn) is not Update:
                    self.remember(v, index, x)

    def _part(self, s: Stage) -> None:
        """Write one element of an update, if its tests hold."""
        part, v, b = s.part, s.value, self.b
        assert part is not None
        st = self.storage[v]
        assert isinstance(st, Mem)
        cond: Val | None = None
        for test in part.tests:
            i, lo, hi = (self.index(x, s.env) for x in test)
            for op, x, y in (("sge", i, lo), ("slt", i, hi)):
                ok = self._compare(op, x, y)
                if ok is False:
                    return
                if ok is not True:
                    cond = ok if cond is None else b.bin("and", cond, ok)

        def write() -> None:
            dest = [self.index(i, s.env) for i in part.dest]
            x = self.expr(s.expr, s.env)
            if part.combine is not None:
                old = self._fresh_load(v, st, dest)
                x = ops.apply(b, part.combine, [old, x], [v.dtype] * 2, v.dtype, None)
            self.store(v, st, dest, x)

        if cond is None:
            write()
            return
        self.guarded(cond, write)


def _short(node: NestLoop) -> bool:
    """Whether a loop inside the lanes of a vector is written out."""
    return type(node.dim) is int and 1 <= node.dim <= SHORT_ROW


def _searches_columns(s: Stage) -> bool:
    """Whether a stage looks for a position along an axis which is not the one in memory order."""
    if s.kind != "reduce" or not s.value.defn.kind.startswith("arg") or s.depth < 2:
        return False
    column = s.order[-2]
    return (
        column < s.value.ndim
        and all(
            not any(column in variables(i) for i in index[:-1])
            and (column not in variables(index[-1]) or type(index[-1]) is IVar)
            for _, index in s.access.reads
            if index
        )
        and any(index and column in variables(index[-1]) for _, index in s.access.reads)
    )


def _last_reduced(node: NestLoop) -> bool:
    """Whether a loop is the innermost one reduced, around rows of results in memory."""
    if node.role != "r" or not all(s.kind == "accumulate" for s in node.stages()):
        return False
    inner = node.children[0]
    return isinstance(inner, NestLoop) and inner.role == "p"


def _first_reduced(s: Stage) -> int:
    """Depth of the first loop over which ``s`` carries a running result."""
    for q, r in enumerate(s.roles):
        if r in ("r", "s"):
            return q
    return -1


def _part_vectorises(s: Stage) -> bool:
    """Whether the innermost loop of a part writes consecutive elements, unconditionally."""
    part = s.part
    assert part is not None
    last = s.order[-1]
    if last in part.serial or not part.dest:
        return False
    for i in part.dest[:-1]:
        if last in variables(i):
            return False
    for test in part.tests:
        for i in test:
            if last in variables(i):
                return False
    end = part.dest[-1]
    while type(end) is IOp and end.op == "+":
        if last in variables(end.a) and last not in variables(end.b):
            end = end.a
        elif last in variables(end.b) and last not in variables(end.a):
            end = end.b
        else:
            return False
    return type(end) is IVar
