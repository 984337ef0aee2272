"""Small arrays in registers that are read at positions known at run time only.

Such an array has a copy on the stack, written where it is first read so.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence

from covector.compiler.access import Access
from covector.compiler.ir.nodes import (
    Branch,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    LibraryCall,
    Loop,
    Node,
    Sym,
    Value,
    ivars,
    product,
)
from covector.compiler.ir.visit import Walk
from covector.compiler.ir.walk import written_out
from covector.compiler.schedule.nodes import Nest, NestLoop, Schedule, Stage, Step

_ALL = range(64)


def spilled(schedule: Schedule) -> frozenset[Value]:
    """The arrays in registers with a copy on the stack."""
    steps = [step for steps in schedule.steps.values() for step in steps]
    return frozenset([v for step in steps for v in step_spills(schedule, step)])


def step_spills(schedule: Schedule, step: Step) -> Iterator[Value]:
    """The arrays in registers of which a step needs a copy on the stack."""
    if type(step) is Nest:
        for s in step.stages:
            yield from _moving_reads(schedule, step, s)
        return
    assert type(step) is Value
    d = step.defn
    if type(d) is LibraryCall:
        yield from [v for v in d.operands if schedule.kinds.get(v) == "reg"]
    elif type(d) is Loop:
        yield from _copied(schedule, [*d.inits, *d.body.results])
    elif type(d) is Branch:
        yield from _copied(schedule, [v for b in d.blocks for v in b.results])
    else:
        running = _ALL if d.results else ()
        for expr in written_out(d):
            yield from _of_expr(schedule, expr, running)


def _copied(schedule: Schedule, values: Iterable[Value]) -> Iterator[Value]:
    """Arrays read where values that are not stored are written to a buffer."""
    for v in values:
        if schedule.inline(v):
            yield from _of_expr(schedule, v.defn.expr, _ALL)


def _of_expr(schedule: Schedule, expr: Node, running: Container[int]) -> list[Value]:
    access = Access()
    access.add(expr, ivars(64), schedule.inline)
    return _moving(schedule, access.reads, running)


def _moving_reads(schedule: Schedule, nest: Nest, s: Stage) -> list[Value]:
    """Arrays in registers that a stage reads where its loops have got to."""
    found = [(u, index) for u, index in s.reads if index and schedule.kinds.get(u) == "reg"]
    return _moving(schedule, found, _running(nest.root, s) or ()) if found else []


def _running(node: NestLoop | Stage, s: Stage, depth: int = 0) -> set[int] | None:
    """The index variables of ``s`` that are not written out; None if it is not in ``node``."""
    if type(node) is Stage:
        return set() if node is s else None
    assert type(node) is NestLoop
    for c in node.children:
        found = _running(c, s, depth + 1)
        if found is not None:
            return found if node.unrolled else found | {s.order[depth]}
    return None


def _moving(
    schedule: Schedule, reads: Sequence[tuple[Value, Sequence[Index]]], running: Container[int]
) -> list[Value]:
    """Values in registers that are read at an index which is not written out."""
    fixed = _Fixed(running).visit
    return [
        v for v, index in reads
        if schedule.kinds.get(v) == "reg" and not all(map(fixed, index))
    ]  # fmt: skip


class _Fixed(Walk):
    """Whether an index is a number in the code, given the variables that are not."""

    def __init__(self, running: Container[int]) -> None:
        self.running = running

    def constant(self, node: int) -> bool:
        return True

    def sym(self, node: Sym) -> bool:
        return False

    def ivar(self, node: IVar) -> bool:
        return node.axis not in self.running

    def iop(self, node: IOp) -> bool:
        return self.visit(node.a) and self.visit(node.b)

    def part(self, node: IPart) -> bool:
        return product(node.dims) is not None and self.visit(node.position)

    def dyn(self, node: IDyn) -> bool:
        return False
