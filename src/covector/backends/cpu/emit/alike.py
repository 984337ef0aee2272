"""Nests that are alike but for the arrays they work on: the code of one is that of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from covector.backends.cpu.emit.reductions import parts
from covector.backends.cpu.emit.storage import Mem, Regs
from covector.backends.cpu.writer import Val
from covector.compiler.ir.nodes import Value
from covector.compiler.ir.show import SHORT, Writer
from covector.compiler.schedule.nodes import Nest, NestLoop, Stage

if TYPE_CHECKING:
    from covector.backends.cpu.emit.values import ValueEmitter

# What a task is given: where an array of the nest is, or one of its numbers in registers, by the
# array's number and its own; or a value of the program that is the same for all nests.
Given = tuple[int, int] | Val


class _Known(dict[Value, str]):
    """Names, which a value gets where it is first met."""

    def __init__(self, meet: Callable[[Value], str]) -> None:
        self.meet = meet

    def __missing__(self, v: Value) -> str:
        return self.meet(v)


class Signature(Writer):
    """What the code of a nest is written from: its loops, definitions, and where values are.

    Attributes
    ----------
    values : list of Value
        Those that it works on, in the order in which the text names them.
    """

    __slots__ = ("values", "_em", "_made", "_places", "_whole")

    def __init__(self, em: ValueEmitter, nest: Nest) -> None:
        super().__init__()
        self.lines.append(f"{em.floor}")
        self.names = _Known(self._meet)
        self.values: list[Value] = []
        self._em = em
        self._made = {s.value for s in nest.stages}
        # Places and addresses by when they were first met: which arrays are one in memory.
        self._places: dict[object, int] = {}
        self._whole = True
        self._tree(nest.root)
        held = ", ".join(sorted([self.names[v] for v in nest.contracted]))
        rows = ", ".join(sorted([self.names[v] for v in nest.rows]))
        self.lines.append(f"held {held} {rows}")

    def text(self) -> str | None:
        """None where it cannot be told what the code depends on."""
        return "\n".join(self.lines) if self._whole else None

    def _tree(self, node: NestLoop | Stage) -> None:
        if type(node) is Stage:
            self.lines.append(
                f"{self.names[node.value]} {node.kind} {node.order} {_all(node.dims)} {node.roles} "
                f"{node.number} {node.few}"
            )
            return
        assert type(node) is NestLoop
        self.lines.append(
            f"for {node.dim} {node.role} {node.lanes} {node.unrolled} {node.together} "
            f"{node.stretches} {node.apart}"
        )
        for c in node.children:
            self._tree(c)
        self.lines.append("end")

    def _meet(self, v: Value) -> str:
        name = f"v{len(self.values)}"
        self.names[v] = name
        self.values.append(v)
        left = f"{name}:{SHORT[v.dtype]}[{_all(v.shape)}]{v.output_index} "
        em = self._em
        inline = em.schedule.inline(v)
        if not inline:
            left += f"at {self._same(em.plan.places.get(v))} {self._stored(em.storage.get(v))} "
        if inline or v in self._made:
            show = self.definitions.get(type(v.defn))
            if show is None:
                self._whole = False
            else:
                show(self, v.defn, v, left, "")
        else:
            self.lines.append(left)
        return name

    def _stored(self, st: Mem | Regs | None) -> str:
        if type(st) is Mem:
            return f"memory {self._same(st.ptr.ref)} {st.level} {st.fn is self._em.b}"
        return " ".join([
            x.ref if x.fn is None else f"{x.type} {self._same(x.ref)} {x.level}" for x in _held(st)
        ])  # fmt: skip

    def _same(self, x: object) -> int:
        return self._places.setdefault(x, len(self._places))

    def captures(self, given: Sequence[Given]) -> list[Val]:
        """What the task of this nest is given, where that of one like it was given ``given``."""
        storage, values = self._em.storage, self.values
        return [
            _held(storage[values[g[0]]])[g[1]] if isinstance(g, tuple) else g for g in given
        ]  # fmt: skip

    def given(self, captures: Sequence[Val]) -> list[Given] | None:
        """What a task has captured; None if that is something that another would not have."""
        em = self._em
        held: dict[str, Given] = {}
        for k, v in enumerate(self.values):
            for n, x in enumerate(_held(em.storage.get(v))):
                held.setdefault(x.ref, (k, n))
        for common in (em.rt, *em.parameters()):
            held.setdefault(common.ref, common)
        if not all([c.ref in held for c in captures]):
            return None
        return [held[c.ref] for c in captures]


def _held(st: Mem | Regs | None) -> list[Val]:
    """The address of an array, or the numbers of one in registers."""
    if type(st) is Mem:
        return [st.ptr]
    return [p for x in st.elements for p in parts(x)] if type(st) is Regs else []


def _all(xs: Sequence[object]) -> str:
    return ",".join(map(str, xs))
