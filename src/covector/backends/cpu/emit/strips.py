"""Strips: a block for each index, the indices in the lanes of vectors, strips of them as tasks."""

from __future__ import annotations

from collections.abc import Iterator

from covector.backends.cpu.emit import ahead, indexing, memory, structures
from covector.backends.cpu.emit.control import BlockEmitter
from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.emit.interrupts import Lookout, Work
from covector.backends.cpu.emit.storage import Mem, positions
from covector.backends.cpu.emit.values import OK
from covector.backends.cpu.writer import Val
from covector.compiler.access import Access, cost
from covector.compiler.ir.nodes import Block, Loop, Strips, Value, ivars
from covector.compiler.ir.walk import definitions, loads
from covector.compiler.schedule.loops import GRAIN, numbers
from covector.core import dtypes

# Rounds that a loop with a condition is taken to go on for.
_ROUNDS = 16
# Numbers that are carried, up to which a strip is two vectors: one waits while the other goes on.
_TWO = 4


def strips(em: BlockEmitter, step: Value, d: Strips) -> None:
    """Emit `Strips`; the results are stored as strips end."""
    b = em.b
    for r in d.results:
        em.place(r)
    lanes = _lanes(em, d)
    flag = b.alloca("i32", 1, 4)
    b.line(f"store i32 {OK}, ptr {flag.ref}")
    n = indexing.val(em.dim(d.extent))
    grain = em.rounds_of(GRAIN, _work(em, d.block), lanes)
    child = em.outlined(lambda begin, end: _task(em, d, begin, end, lanes, flag))
    em.parallel_for(child, n, grain)
    em.leave_unless_ok(b.impure(f"load i32, ptr {flag.ref}", "i32"))


def _lanes(em: BlockEmitter, d: Strips) -> int:
    """Indices of a strip: vectors of the widest number that is computed."""
    size, carried = 4, 0
    for v in _values(d.block):
        size = max(size, v.dtype.itemsize // numbers(v.dtype))
    for v, whole in zip(d.block.results, d.whole, strict=True):
        carried += 0 if whole else v.dtype.itemsize * (v.constant_size() or 0) // size
    return em.schedule.target.lanes(size) * (2 if carried <= _TWO else 1)


def _values(block: Block) -> Iterator[Value]:
    """The values that belong to an index, in the loops inside too."""
    for v in block.values:
        if v.ndim or v.dtype not in (dtypes.int64, dtypes.int32):
            yield v
        if v.output_index == 0:
            for inner in v.defn.nested():
                yield from _values(inner)


def _work(em: BlockEmitter, block: Block) -> Work:
    """Simple operations for one index, roughly."""
    total: Work = 1
    for v in block.values:
        d = v.defn
        if v.output_index:
            continue
        if type(d) is Loop:
            rounds: Work = _ROUNDS if d.trips is None else em.dim(d.trips)
            inner = indexing.add(
                em.b, _work(em, d.body), 0 if d.cond is None else _work(em, d.cond)
            )
            total = indexing.add(em.b, total, indexing.mul(em.b, rounds, inner))
        else:
            own = sum([cost(e) for e in d.children()])
            total = indexing.add(em.b, total, max(1, own) * (v.constant_size() or 1))
    return total


def _task(em: BlockEmitter, d: Strips, begin: Val, end: Val, lanes: int, flag: Val) -> None:
    """The strips of a task."""
    outer = em.strip, em.lane, em.lookout, em.row_level, em.ahead
    em.strip, em.lookout = d.lane, Lookout(em, flag)
    width = em.schedule.target.vector_bytes
    em.ahead = {
        v: ahead.start(em.b, memory.memory_type(v.dtype), lanes, width)
        for v in ahead.values_read(d.block, d.lane, em.schedule)
        if isinstance(em.storage.get(v), Mem) and lanes * v.dtype.itemsize >= width
    }

    def strip(i: Val) -> None:
        b = em.b
        em.lanes, em.row_level, em.lane = lanes, b.level, Idx(i, 1)
        em.tail = em.rest(b.bin("sub", end, i), lanes)
        _take(em, d)
        em.block(d.block)
        for result, v, whole in zip(d.results, d.block.results, d.whole, strict=True):
            if whole:
                continue
            st = em.memory(result)
            for at, x in zip(positions(v.shape), em.elements(v), strict=True):
                em.store(result, st, (em.lane, *at), x)
        assert not em.pending, "rows are written whole"
        em.lanes, em.tail = 0, None

    def goes_on(i: Val) -> Val:
        return em.lookout.is_wanted(em.b.cmp("icmp slt", i, end))

    em.b.loop(begin, lanes, goes_on, strip)
    em.strip, em.lane, em.lookout, em.row_level, em.ahead = outer


def _take(em: BlockEmitter, d: Strips) -> None:
    """Take from memory what belongs to the indices of a strip, before the loops that use it."""
    access = Access()
    for defn in definitions(d.block):
        for e in defn.children():
            access.add(e, ivars(64), em.schedule.inline)
    for v, index in access.reads:
        st = em.storage.get(v)
        if not isinstance(st, Mem) or not any([ahead.is_lane(i, d.lane) for i in index]):
            continue
        # Where in a row an element is, is of no matter: all are at hand with it.
        at = [
            em.lane if ahead.is_lane(i, d.lane) else Idx(i if type(i) is int else 0) for i in index
        ]
        if any([loads(i) and not ahead.is_lane(i, d.lane) for i in index]):
            continue
        row = structures.row_of(v, at)
        if row is not None:
            em.rows(v, st, row)
        elif all([type(i) is int or ahead.is_lane(i, d.lane) for i in index]):
            em.load(v, at)
