"""What the nodes of the loop IR read."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence

from covector.compiler.ir.nodes import (
    Block,
    Defn,
    Expr,
    IVar,
    LibraryCall,
    Load,
    Node,
    Op,
    Update,
    Value,
    Where,
)
from covector.compiler.ir.visit import Visitor


class _Loads(Visitor):
    __slots__ = ("found",)

    def __init__(self, found: list[Load]) -> None:
        self.found = found

    def load(self, node: Load) -> None:
        self.found.append(node)
        for i in node.index:
            if type(i) is not IVar:
                self.visit(i)


def loads(node: Node) -> list[Load]:
    """Loads within an expression or an index, those inside indices included."""
    found: list[Load] = []
    _Loads(found).visit(node)
    return found


def parts_of(expr: Expr) -> Iterator[Expr]:
    """The expression and all within it, what indices compute left out."""
    yield expr
    if type(expr) is Op or type(expr) is Where:
        for c in expr.children():
            if isinstance(c, Expr):
                yield from parts_of(c)


def reads_of(v: Value) -> set[Value]:
    """Values that the definition of ``v`` mentions, and those that its blocks do from outside."""
    d: Defn = v.defn
    out = set(d.uses())
    for node in d.children():
        out.update([ld.value for ld in loads(node)])
    for block in d.nested():
        out |= block_reads(block)
    return out


def written_out(d: Defn) -> Sequence[Node]:
    """The expressions of an element, where all that a value is made of is written out."""
    if type(d) is Update:
        assert d.pointwise is not None
        return (d.pointwise,)
    return d.children()


def sub_blocks(d: Defn) -> Sequence[Block]:
    """The blocks nested in a definition."""
    return d.nested()


# Every block around one asks for what it reads.
_block_reads: weakref.WeakKeyDictionary[Block, frozenset[Value]] = weakref.WeakKeyDictionary()


def block_reads(block: Block) -> frozenset[Value]:
    """Values from outside a block that it mentions, nested blocks included."""
    found = _block_reads.get(block)
    if found is None:
        out = set(block.results)
        for v in block.values:
            if v.output_index == 0:
                out |= reads_of(v)
        found = _block_reads[block] = frozenset(out.difference(block.values))
    return found


def all_values(block: Block) -> Iterator[Value]:
    """The values of a block, those of nested blocks behind the first of their own definition."""
    todo = [iter(block.values)]
    while todo:
        for v in todo[-1]:
            yield v
            nested = v.defn.nested() if v.output_index == 0 else ()
            if nested:
                todo.extend([iter(b.values) for b in reversed(nested)])
                break
        else:
            todo.pop()


def definitions(block: Block) -> Iterator[Defn]:
    """The definitions of a block, those of nested blocks behind their own."""
    for v in all_values(block):
        if v.output_index == 0:
            yield v.defn


def library_calls(block: Block) -> set[str]:
    """Kinds of library calls."""
    return {d.kind for d in definitions(block) if type(d) is LibraryCall}
