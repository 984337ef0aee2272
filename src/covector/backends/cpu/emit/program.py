"""From the loop IR and its plan to LLVM IR: the program, its blocks and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.backends.cpu.emit import control, library, reductions
from covector.backends.cpu.emit.nests import NestEmitter
from covector.backends.cpu.emit.storage import Mem, Regs, Sharing, positions
from covector.backends.cpu.emit.writer import Val
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Constant,
    Cumulative,
    Input,
    LibraryCall,
    Load,
    Loop,
    Pointwise,
    Reduce,
    Update,
    Value,
    ivars,
)
from covector.compiler.schedule.nest import Nest, Stage, collapse


class Emitter(NestEmitter):
    """Writes one program."""

    def run(self) -> str:
        """The module's text."""
        p = self.program
        for k, v in enumerate(p.inputs):
            self.storage[v] = Mem(self.argument(k), 0)
        first = len(p.inputs)
        for k, v in enumerate(p.consts):
            self.storage[v] = Mem(self.argument(first + k), 0)
        first += len(p.consts)
        outs: dict[Value, Val] = {}
        copies: list[tuple[Value, Val]] = []
        donated = [v for v, d in zip(p.inputs, p.donated, strict=False) if d]
        steps = self.plan.steps[p.block]
        sharing = Sharing(self.plan, p.block, steps, donated=donated)
        k = first
        for position, v in enumerate(p.block.results):
            if type(v.defn) in (Input, Constant):
                continue
            ptr = self.argument(k)
            k += 1
            origin = sharing.root(v)
            if origin in donated and v not in outs:
                # The caller passes the same address for the argument and the result.
                self.donations.append((p.inputs.index(origin), position))
                outs[v] = self.storage[origin].ptr  # type: ignore[union-attr]
            elif v in outs or self.plan.kinds[v] == "reg":
                copies.append((v, ptr))
            else:
                outs[v] = ptr
        self.buffers.workspace = self.argument(k)
        self.block(p.block, outs, sharing)
        for v, ptr in copies:
            self.store_whole(v, ptr)
        self.root.line("ret i32 0")
        self.root.finish()
        return self.module.text() + '\n!0 = !{!"branch_weights", i32 2000, i32 1}\n'

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
        stage = Stage(copy, "pointwise", range(v.ndim), v.shape, "p" * v.ndim, copy.defn.expr)
        stage.access.add(copy.defn.expr, ivars(64), self.plan.inline)
        nest = Nest(stage)
        collapse(nest)
        self.nest(nest)

    def block(self, block: Block, dest: dict[Value, Val], sharing: Sharing | None = None) -> None:
        """Run the steps of ``block``; values in ``dest`` are computed at those addresses."""
        steps = self.plan.steps[block]
        outer = self.buffers.enter(block, steps, dest, sharing)
        self.run_steps(steps)
        self.buffers.leave(outer)

    def run_steps(self, steps: Sequence[Any]) -> None:
        for k, step in enumerate(steps):
            self.buffers.step(k)
            if isinstance(step, Nest):
                self.nest(step)
            elif type(step.defn) is Loop:
                control.loop(self, step.defn)
            elif type(step.defn) is Branch:
                control.branch(self, step.defn)
            elif type(step.defn) is LibraryCall:
                library.call(self, step.defn)
            else:
                self.storage[step] = Regs(self._unroll(step))

    def _unroll(self, v: Value) -> list[Any]:
        """Elements of a small array, each as straight-line code."""
        d = v.defn
        if type(d) is Pointwise:
            return [self.expr(d.expr, pos) for pos in positions(v.shape)]
        if type(d) is Update:
            return [self.expr(d.pointwise, pos) for pos in positions(v.shape)]
        if type(d) is Reduce:
            return reductions.unrolled(self, v, d)
        assert type(d) is Cumulative
        return reductions.unrolled_cumulative(self, v, d)
