"""From a scheduled program to LLVM IR: the program, its blocks and their steps."""

from __future__ import annotations

from collections.abc import Callable

from covector.backends.cpu.emit import control, copies, folds, library, reductions, strips
from covector.backends.cpu.emit.control import BlockEmitter
from covector.backends.cpu.emit.storage import Mem, Regs, positions
from covector.backends.cpu.emit.values import OK
from covector.backends.cpu.numerics.number import Number
from covector.backends.cpu.texts import Text
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Cumulative,
    LibraryCall,
    Loop,
    Pointwise,
    Reduce,
    Strips,
    Update,
    Value,
)
from covector.compiler.schedule.nodes import Nest, NestLoop
from covector.compiler.schedule.storage import Argument

# Nests of a program from which on it is looked which of them are alike.
REPETITIVE = 8


class Emitter(BlockEmitter):
    """Writes one program."""

    def run(self) -> Text:
        """The module's text."""
        p, plan = self.program, self.plan
        self.alike = {}
        nests = [s for steps in self.schedule.steps.values() for s in steps if type(s) is Nest]
        self.repetitive = len(nests) >= REPETITIVE
        for k, v in enumerate([*p.inputs, *p.consts]):
            self.storage[v] = Mem(self.address_of(Argument(k)), 0)
        for k in range(len(p.inputs) + len(p.consts), plan.workspace):
            self.address_of(Argument(k))
        self.workspace = self.argument(plan.workspace)
        self.block(p.block)
        for v, place in plan.copies:
            self.store_whole(v, self.address_of(place))
        self.root.line(f"ret i32 {OK}")
        self.root.finish()
        return self.module.text()

    def block(self, block: Block) -> None:
        """Run the steps of ``block``."""
        for step in self.schedule.steps[block]:
            if type(step) is Nest:
                self.nest(step)
                continue
            assert type(step) is Value
            d = step.defn
            if type(d) is Loop:
                control.loop(self, step, d)
            elif type(d) is Branch:
                control.branch(self, step, d)
            elif type(d) is Strips:
                strips.strips(self, step, d)
            elif type(d) is LibraryCall:
                library.call(self, d)
            elif type(d) is Reduce and d.results:
                folds.fold(self, d)
            else:
                self.storage[step] = Regs(self._unroll(step))

    def copies(self, nest: Nest, root: NestLoop, alone: Callable[[], None]) -> None:
        copies.write(self, nest, root, alone)

    def _unroll(self, v: Value) -> list[Number]:
        """Elements of a small array, each as straight-line code."""
        d = v.defn
        if type(d) is Pointwise:
            return [self.expr(d.expr, pos) for pos in positions(v.shape)]
        if type(d) is Update:
            assert d.pointwise is not None
            return [self.expr(d.pointwise, pos) for pos in positions(v.shape)]
        if type(d) is Reduce:
            return reductions.unrolled(self, v, d)
        assert type(d) is Cumulative
        return reductions.unrolled_cumulative(self, v, d)
