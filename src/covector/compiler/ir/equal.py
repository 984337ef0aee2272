"""Whether two programs of the loop IR are the same, node by node."""

from __future__ import annotations

from typing import Any

from covector.compiler.ir.nodes import NODES, Lit, LoopProgram, Node, Value

_KINDS = frozenset(NODES)


def _fields(kind: type) -> tuple[str, ...]:
    names = [name for cls in kind.__mro__ for name in getattr(cls, "__slots__", ())]
    return tuple([name for name in names if name != "__weakref__"])


_FIELDS = {kind: _fields(kind) for kind in NODES}


class _Comparison:
    """One comparison. Values stand for each other as their definitions do."""

    def __init__(self) -> None:
        self.pairs: dict[Value, Value] = {}

    def same(self, a: Any, b: Any) -> bool:
        kind = type(a)
        if kind is not type(b):
            return False
        if kind in (tuple, list):
            return len(a) == len(b) and all(map(self.same, a, b))
        if kind is dict:
            return list(a) == list(b) and all(map(self.same, a.values(), b.values()))
        if kind not in _KINDS:
            return bool(a == b)
        if kind is Lit:
            return a.dtype == b.dtype and a.bits() == b.bits()
        if kind is Value:
            if a in self.pairs:
                return self.pairs[a] is b
            self.pairs[a] = b
        return all(self.same(getattr(a, name), getattr(b, name)) for name in _FIELDS[kind])

    def programs(self, p: LoopProgram, q: LoopProgram) -> bool:
        # Values in the order of their definition, so that none is reached through another.
        heads = [(p.inputs, q.inputs), (p.consts, q.consts), (p.block.values, q.block.values)]
        return all(self.same(a, b) for a, b in heads) and self.same(p, q)


def equal(p: LoopProgram, q: LoopProgram) -> bool:
    """Whether two programs are the same but for the identity of their objects.

    Constants are compared by their bits.
    """
    return _Comparison().programs(p, q)


def equal_nodes(a: Node, b: Node) -> bool:
    """The same for expressions and indices."""
    return _Comparison().same(a, b)
