"""From a program of the loop IR to its schedule.

For each block: which values live in registers, in memory or nowhere (`kinds`), which stages
share a nest of loops, in what order the steps run, what is used up where it is computed, and
how the loops run (`loops`).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from covector.compiler.access import Access
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    LibraryCall,
    Loop,
    Strips,
    Update,
    Value,
    ivars,
    stands_alone,
)
from covector.compiler.ir.walk import sub_blocks, written_out
from covector.compiler.schedule.kinds import find_kinds, inner_reads, small
from covector.compiler.schedule.loops import place_loops
from covector.compiler.schedule.nest import (
    Around,
    Growing,
    chain,
    collapse,
    keeps_a_row,
    reads_locally,
    reads_own_round,
)
from covector.compiler.schedule.nodes import Nest, Schedule, Stage, Step
from covector.compiler.schedule.stages import make, stages_of
from covector.compiler.target import HOST, REGISTER_ELEMENTS, Target

# How many of the last nests a stage may join.
_LOOK_BACK = 4
_When = tuple[int, int]
_START: _When = (0, 0)


def plan(block: Block, target: Target = HOST) -> Schedule:
    """The schedule of the program whose outermost block is ``block``."""
    return _Planner(block, target).schedule()


def copy_nest(v: Value, copy: Value, schedule: Schedule) -> Nest:
    """The loops that compute ``copy``, which has the elements of ``v``."""
    stage = make(copy, "pointwise", range(v.ndim), v.shape, "p" * v.ndim, schedule.inline)
    return place_loops(Nest(collapse(chain(stage))), schedule.target)


class _Open(Growing):
    """A nest that further stages may join, and when it runs."""

    __slots__ = ("when",)

    def __init__(
        self, stage: Stage, private: Callable[[Value, Set[Value]], bool],
        again: Callable[[Stage], bool], when: _When,
    ) -> None:  # fmt: skip
        super().__init__(stage, private, again)
        self.when = when


class _Planner:
    def __init__(self, block: Block, target: Target) -> None:
        self.target = target
        self.block = block
        self.kinds, self.limit = find_kinds(block)
        self.steps: dict[Block, tuple[Step, ...]] = {}

    def schedule(self) -> Schedule:
        self._blocks(self.block, self.limit)
        return Schedule(self.target, self.kinds, self.steps)

    def _blocks(self, block: Block, limit: int) -> None:
        small_ones = {v for v in block.values if self.kinds[v] == "reg" and small(v, limit)}
        outside = self._read_outside(block, small_ones)
        order = _Order(self, block, small_ones, outside)
        self.steps[block] = self._contracted(outside, order.steps())
        for v in block.values:
            if v.output_index == 0:
                inner = REGISTER_ELEMENTS if type(v.defn) is Strips else limit
                for sub in sub_blocks(v.defn):
                    self._blocks(sub, inner)

    def inline(self, v: Value) -> bool:
        return self.kinds.get(v) == "inline"

    # --- contraction ---

    def _contracted(self, outside: set[Value], steps: list[Step]) -> tuple[Step, ...]:
        """The steps, their nests finished: what is used up in the loops that compute it is found,
        loops are merged, and it is decided how they run."""
        readers: dict[Value, list[tuple[Nest, Stage, Any]]] = {}
        for step in steps:
            if type(step) is Nest:
                for s in step.stages:
                    for u, index in s.reads:
                        readers.setdefault(u, []).append((step, s, index))
        out: list[Step] = []
        for step in steps:
            if type(step) is not Nest:
                out.append(step)
                continue
            around = Around(step.root)
            used_up = [
                s.value for s in step.stages
                if _may_contract(s) and s.value not in outside
                and all(at is step and reads_locally(around, s, reader, index)
                        for at, reader, index in readers.get(s.value, ()))
            ]  # fmt: skip
            nest = place_loops(
                Nest(collapse(step.root), frozenset(used_up)), self.target, self.limit
            )
            rows = [
                s.value for s in nest.stages
                if s.value not in nest.contracted and s.value not in outside
                and self.kinds[s.value] == "mem" and keeps_a_row(nest, s)
                and all([at is step and reads_own_round(s, reader, index)
                         for at, reader, index in readers.get(s.value, ())])
            ]  # fmt: skip
            out.append(Nest(nest.root, nest.contracted, frozenset(rows), nest.tasks))
        return tuple(out)

    def _read_outside(self, block: Block, small_ones: Set[Value]) -> set[Value]:
        """Values that others than nests of this block read."""
        outside: set[Value] = set(block.results)
        for u in block.values:
            if self.inline(u):
                continue
            d = u.defn
            if type(d) is LibraryCall:
                outside.update(d.operands)
            elif type(d) is Loop:
                outside.update(d.inits)
            elif type(d) is Branch:
                outside.add(d.index)
        outside |= inner_reads(block)
        for u in list(outside):
            if self.inline(u):
                outside.update(self.expr_reads(u.defn.expr))
        for u in block.values:
            alone = stands_alone(u.defn) and u.output_index == 0
            if self.inline(u) or sub_blocks(u.defn) or not (alone or u in small_ones):
                continue
            for expr in written_out(u.defn):
                outside.update(self.expr_reads(expr))
        return outside

    def expr_reads(self, expr: Any) -> list[Value]:
        """Stored values that elements are computed from."""
        access = Access()
        access.add(expr, ivars(64), self.inline)
        return [u for u, _ in access.reads]


def _may_contract(s: Stage) -> bool:
    v = s.value
    started = type(v.defn) is Update and v.defn.base is not None
    return s.kind in ("pointwise", "reduce") and v.ndim > 0 and not started


class _Order:
    """The steps of one block, in order."""

    def __init__(
        self, planner: _Planner, block: Block, small_ones: Set[Value], outside: Set[Value]
    ) -> None:
        self.planner = planner
        self.block = block
        # Values that are straight-line code in registers.
        self.small = small_ones
        self.outside = outside
        self.stages = {
            v: stages_of(v, planner.inline) for v in block.values
            if not (planner.inline(v) or stands_alone(v.defn) or v in small_ones)
        }  # fmt: skip
        # The stages that read a value.
        self.readers: dict[Value, list[Stage]] = {}
        for stages in self.stages.values():
            for s in stages:
                for u, _ in s.reads:
                    self.readers.setdefault(u, []).append(s)
        self.open: list[_Open] = []
        # When each value is ready. Nests, calls and control flow follow one another, (k, 0);
        # small arrays come as early as what they read allows, (k, 1).
        self.when: dict[Value, _When] = {}
        self.order: list[tuple[_When, Value | _Open]] = []
        self.count = 0

    def steps(self) -> list[Step]:
        for v in self.block.values:
            if self.planner.inline(v):
                continue
            if stands_alone(v.defn):
                self._call(v)
            elif v in self.small:
                self._unrolled(v)
            elif not self._beside_another(v):
                for stage in self.stages[v]:
                    self.when[v] = self._nest_of(stage)
        ordered = sorted(self.order, key=lambda e: e[0])
        return [Nest(s.root) if isinstance(s, _Open) else s for _, s in ordered]

    def _call(self, v: Value) -> None:
        if v.output_index == 0:
            self.open.clear()
            self.count += 1
            self.order.append(((self.count, 0), v))
        self.when[v] = (self.count, 0)

    def _ready(self, values: list[Value]) -> _When:
        return max([self.when.get(u, _START) for u in values], default=_START)

    def _unrolled(self, v: Value) -> None:
        d = v.defn
        expr = d.pointwise if type(d) is Update else d.expr
        self.when[v] = when = (self._ready(self.planner.expr_reads(expr))[0], 1)
        self.order.append((when, v))

    def _private(self, v: Value, made: Set[Value]) -> bool:
        """Whether stages alone read a value, each of one that is ``made`` or a reduction of it."""
        return v not in self.outside and all([
            s.value in made or (s.kind == "reduce" and not s.few and s.depth >= v.ndim)
            for s in self.readers.get(v, ())
        ])  # fmt: skip

    def _again(self, stage: Stage) -> bool:
        """Whether what a stage computes goes into stages with further loops."""
        stack, seen = [stage.value], {stage.value}
        while stack:
            for s in self.readers.get(stack.pop(), ()):
                if s.depth > stage.depth:
                    return True
                if s.kind == "pointwise" and s.value not in seen:
                    seen.add(s.value)
                    stack.append(s.value)
        return False

    def _beside_another(self, v: Value) -> bool:
        """Put a reduction into memory into the loops of one that reads the same."""
        stages = self.stages[v]
        if [s.kind for s in stages] != ["init", "accumulate"]:
            return False
        ready = self._ready([u for u, _ in stages[1].reads])
        for entry in self.open[: -_LOOK_BACK - 1 : -1]:
            if entry.when < ready:
                break
            if entry.join_sum(*stages):
                self.when[v] = entry.when
                return True
            if entry.comes_before(stages[1]):
                break
        return False

    def _nest_of(self, stage: Stage) -> _When:
        """Put a stage into one of the last nests, or into a new one."""
        ready = self._ready([u for u, _ in stage.reads])
        for entry in self.open[: -_LOOK_BACK - 1 : -1]:
            if entry.when < ready:
                break
            if entry.join(stage):
                return entry.when
            if entry.comes_before(stage):
                break
        self.count += 1
        entry = _Open(stage, self._private, self._again, (self.count, 0))
        self.order.append((entry.when, entry))
        self.open.append(entry)
        return entry.when
