"""What the values of the loop IR read directly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Cumulative,
    LibraryCall,
    Loop,
    Pointwise,
    Reduce,
    Update,
    Value,
    index_loads,
    loads,
)


def reads_of(v: Value) -> set[Value]:
    """Values that the definition of ``v`` mentions, nested blocks included."""
    d = v.defn
    t = type(d)
    out: set[Value] = set()
    if t in (Pointwise, Reduce, Cumulative):
        out.update(ld.value for ld in loads(d.expr))
    elif t is Update:
        if d.base is not None:
            out.add(d.base)
        if d.pointwise is not None:
            out.update(ld.value for ld in loads(d.pointwise))
        for p in d.parts:
            out.update(ld.value for ld in loads(p.expr))
            for i in (*p.dest, *(i for test in p.tests for i in test)):
                out.update(ld.value for ld in index_loads(i))
    elif t is LibraryCall:
        out.update(d.operands)
    elif t is Loop:
        out.update(d.inits)
    elif t is Branch:
        out.add(d.index)
    for block in sub_blocks(d):
        out |= block_reads(block)
    return out


def sub_blocks(d: Any) -> Sequence[Block]:
    """The blocks nested in a definition."""
    if type(d) is Loop:
        return [b for b in (d.cond, d.body) if b is not None]
    return d.blocks if type(d) is Branch else ()


def block_reads(block: Block) -> set[Value]:
    """Values that a block mentions, its own among them."""
    out = set(block.results)
    for v in block.values:
        if v.output_index == 0:
            out |= reads_of(v)
    return out
