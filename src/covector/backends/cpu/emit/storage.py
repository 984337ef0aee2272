"""Where values are while code is written: registers, and places of the storage plan."""

from __future__ import annotations

from collections.abc import Sequence

from covector.backends.cpu.emit.indexing import AnyIdx, Idx
from covector.backends.cpu.numerics.number import Number
from covector.backends.cpu.writer import Function, Val
from covector.compiler.ir.nodes import Dim, Value


class Mem:
    """A value in memory. ``level`` is the loop depth in ``fn`` from which it may be read."""

    __slots__ = ("ptr", "level", "fn")

    def __init__(self, ptr: Val, level: int, fn: Function | None = None) -> None:
        self.ptr = ptr
        self.level = level
        self.fn = fn


class Regs:
    """A small array in registers, element by element."""

    __slots__ = ("elements",)

    def __init__(self, elements: list[Number]) -> None:
        self.elements = elements


def flat_positions(v: Value, index: Sequence[AnyIdx]) -> int | None:
    """Row-major position of a constant index; None if it varies at run time."""
    pos = 0
    for i, d in zip(index, v.shape, strict=True):
        if not i.uniform:
            return None
        base = i.base
        if type(base) is not int:
            return None
        assert type(d) is int
        pos = pos * d + base
    return pos


def positions(shape: Sequence[Dim]) -> list[tuple[Idx, ...]]:
    """All indices of a constant shape, in row-major order."""
    out: list[tuple[Idx, ...]] = [()]
    for d in shape:
        assert type(d) is int
        out = [(*p, Idx(k)) for p in out for k in range(d)]
    return out
