"""Loops look out for signals: now and then, by how much their rounds have done."""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.nests import NestEmitter
from covector.backends.cpu.emit.values import FALSE, OK, PATIENCE
from covector.backends.cpu.writer import Val, int_const
from covector.compiler.access import cost
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Dim,
    LibraryCall,
    Loop,
    Pointwise,
    Reduce,
    Value,
)
from covector.compiler.schedule.nodes import Nest, NestLoop, Stage

# An element of a library call, in those of other loops.
_LIBRARY = 16
# The cost of a round that is repeated in the code.
_FEW = 16

Work = int | Val


class Lookout:
    """What is left until the loops of a function look out again.

    The program itself is left at once. A task cannot be: it notes in ``flag``, memory that all
    tasks see, that its program is to end, and its loops stop.
    """

    def __init__(self, em: NestEmitter, flag: Val | None = None) -> None:
        self.em = em
        self.flag = flag
        self._left: Val | None = None
        self._stopped: Val | None = None
        # Elements of a round of each loop; sizes are known at the program's begin.
        self._rounds: dict[Loop, Work] = {}

    def round(self, loop: Loop) -> None:
        """At the end of a round: count it, and look out when the count is up."""
        if self._short_work(loop) is not None:
            return
        self._count(indexing.val(self._round_work(loop)))

    def _count(self, done: Val) -> None:
        b, left = self.em.b, self._counter()
        done = b.local(done)
        before = b.impure(f"load i64, ptr {left.ref}", "i64")
        now = b.impure(f"sub i64 {before.ref}, {done.ref}", "i64")
        b.line(f"store i64 {now.ref}, ptr {left.ref}")
        b.when(b.cmp("icmp slt", now, int_const(0)), lambda: self._look(left), rare=True)

    def stretch(self, loop: Loop) -> int | None:
        """How many rounds of a loop that only counts may go by without a look."""
        if loop.cond is not None or self._short_work(loop) is not None:
            return None
        work = self._round_work(loop)
        return max(PATIENCE // work, 1) if type(work) is int else None

    def is_straight(self, loop: Loop) -> bool:
        """Whether a round is a few cheap elements, computed one after the other."""
        work = 0
        for s in self.em.schedule.steps[loop.body]:
            if type(s) is Nest:
                if self.em.is_idle(s):
                    continue
                if type(s.root) is not Stage or s.root.kind not in ("part", "pointwise"):
                    return False
                work += 1
            elif type(s) is Value and type(s.defn) is Pointwise and s.constant_size() == 1:
                work += cost(s.defn.expr)
            else:
                return False
        return work <= _FEW

    def stretches(
        self, loop: Loop, stretch: int, end: Val, write: Callable[[Val, Val], None]
    ) -> None:
        """``write(begin, stop)`` for each ``stretch`` of rounds up to ``end``, with looks between.

        Rounds in which nothing is counted are faster.
        """
        b = self.em.b

        def some(k: Val) -> None:
            stop = b.intrinsic("smin", b.bin("add", k, int_const(stretch)), b.local(end))
            write(k, stop)
            rounds = b.bin("sub", stop, k)
            self._count(b.bin("mul", rounds, indexing.val(self._round_work(loop))))

        end = b.local(end)
        b.loop(
            int_const(0), stretch, lambda k: self.goes_on(b.cmp("icmp slt", k, end)), some
        )  # fmt: skip

    def goes_on(self, test: Val) -> Val:
        """Whether a loop goes on, if its own test holds."""
        if self.flag is None:
            return test
        self._counter()
        assert self._stopped is not None
        b = self.em.b
        stopped = b.impure(f"load i1, ptr {self._stopped.ref}", "i1")
        return b.select(stopped, FALSE, b.local(test))

    def is_wanted(self, test: Val) -> Val:
        """Whether ``test`` holds, and no task has noted that the program is to end."""
        b = self.em.b
        return b.select(self._is_flagged(), FALSE, b.local(test))

    def _is_flagged(self) -> Val:
        b = self.em.b
        assert self.flag is not None
        text = f"load atomic i32, ptr {b.local(self.flag).ref} monotonic, align 4"
        return b.cmp("icmp ne", b.impure(text, "i32"), int_const(OK, "i32"))

    def _look(self, left: Val) -> None:
        b = self.em.b
        b.line(f"store i64 {PATIENCE}, ptr {left.ref}")
        if self.flag is None:
            self.em.look_out()
            return
        assert self._stopped is not None
        flag, status = b.local(self.flag).ref, self.em.signals()
        bad = b.cmp("icmp ne", status, int_const(OK, "i32"))
        b.when(bad, lambda: b.line(f"store atomic i32 {status.ref}, ptr {flag} monotonic, align 4"))
        b.line(f"store i1 {self._is_flagged().ref}, ptr {self._stopped.ref}")

    def _counter(self) -> Val:
        if self._left is None:
            fn = self.em.root if self.flag is None else self.em.b
            self._left = fn.alloca("i64", 1, 8)
            fn.prologue.append(f"  store i64 {PATIENCE}, ptr {self._left.ref}")
            if self.flag is not None:
                self._stopped = fn.alloca("i1", 1, 1)
                fn.prologue.append(f"  store i1 false, ptr {self._stopped.ref}")
        return self._left

    def _short_work(self, loop: Loop) -> int | None:
        """What the whole loop does if it is over before the next look is due."""
        if loop.cond is not None or type(loop.trips) is not int:
            return None
        work = self._round_work(loop)
        return loop.trips * work if type(work) is int and loop.trips * work < PATIENCE else None

    def _round_work(self, loop: Loop) -> Work:
        found = self._rounds.get(loop)
        if found is None:
            found = self._block_work(loop.body)
            if loop.cond is not None:
                found = self._sum(found, self._block_work(loop.cond))
            self._rounds[loop] = found
        return found

    def _sum(self, x: Work, y: Work) -> Work:
        return indexing.add(self.em.b, x, y)

    def _block_work(self, block: Block) -> Work:
        work: Work = 1
        for step in self.em.schedule.steps[block]:
            work = self._sum(work, self._step_work(step))
        return work

    def _step_work(self, step: Nest | Value) -> Work:
        """Elements that a step touches, without the loops that look out themselves."""
        em = self.em
        if type(step) is Nest:
            if em.is_idle(step):
                return 0
            root = step.root
            if type(root) is Stage:
                return 1
            assert type(root) is NestLoop
            return indexing.mul(em.b, em.inner_work(root), em.dim(root.dim))
        assert type(step) is Value
        d = step.defn
        if type(d) is Loop:
            return self._short_work(d) or 1
        if type(d) is Branch:
            total: Work = 1
            for case in d.blocks:
                total = self._sum(total, self._block_work(case))
            return total
        if type(d) is LibraryCall:
            return indexing.mul(em.b, self._sizes((*d.operands, *d.results)), _LIBRARY)
        if type(d) is Reduce and d.results:
            return self._product((*d.results[0].shape, *d.extents))
        return step.constant_size() or 1

    def _sizes(self, values: tuple[Value, ...]) -> Work:
        total: Work = 1
        for v in values:
            total = self._sum(total, self._product(v.shape))
        return total

    def _product(self, dims: tuple[Dim, ...]) -> Work:
        size: Work = 1
        for d in dims:
            size = indexing.mul(self.em.b, size, self.em.dim(d))
        return size
