"""Loops and branches of the program: carried values in registers or in buffers."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.interrupts import Lookout
from covector.backends.cpu.emit.nests import NestEmitter
from covector.backends.cpu.emit.reductions import Accumulator
from covector.backends.cpu.emit.storage import Mem, Regs
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import real
from covector.backends.cpu.writer import Val, Vectors, int_const
from covector.compiler.ir.nodes import Block, Branch, Loop, LoopProgram, Value
from covector.compiler.schedule.nodes import Schedule
from covector.compiler.schedule.storage import Carry, Current, Next, Place, Storage, last_heir
from covector.core import dtypes


class BlockEmitter(NestEmitter):
    """An emitter that runs blocks."""

    def __init__(
        self, program: LoopProgram, schedule: Schedule, plan: Storage, vectors: Vectors
    ) -> None:
        super().__init__(program, schedule, plan, vectors)
        self.lookout = Lookout(self)

    @abstractmethod
    def block(self, block: Block) -> None:
        """Run the steps of ``block``."""


_UNROLLED = 4  # rounds
_WHILE = ("while", "do", "again", "end")
_Slot = Mem | list[Accumulator]


def _byte_size(em: BlockEmitter, v: Value) -> Val:
    n: int | Val = v.dtype.itemsize
    for d in v.shape:
        n = indexing.mul(em.b, n, em.dim(d))
    return indexing.val(n)


def _copy_bytes(em: BlockEmitter, dst: Val, src: Val, size: Val) -> None:
    b = em.b
    em.module.declare("llvm.memmove.p0.p0.i64", "void", "ptr, ptr, i64, i1")
    b.line(
        f"call void @llvm.memmove.p0.p0.i64(ptr {b.local(dst).ref}, ptr {b.local(src).ref}, "
        f"i64 {b.local(size).ref}, i1 false)"
    )


class _Carried:
    """A carried value in the code: its slots in registers, or what points to its buffers."""

    def __init__(self, plan: Carry) -> None:
        self.plan = plan
        self.slots: list[Accumulator] = []
        # Where the address of the buffer at hand is kept, and that of the next one.
        self.current: Val
        self.next: Val

    @property
    def moves(self) -> bool:
        return self.plan.how in ("swap", "move")

    @property
    def home(self) -> Place:
        assert self.plan.home is not None
        return self.plan.home

    @property
    def other(self) -> Place:
        assert self.plan.other is not None
        return self.plan.other


def loop(em: BlockEmitter, step: Value, d: Loop) -> None:
    """Emit a `Loop`; its results are stored when it ends."""
    b = em.b
    carries = [_Carried(c) for c in em.plan.carries[step]]
    for c, init in zip(carries, d.inits, strict=True):
        _prepare(em, c, init)

    def test(i: Val, end: Val | None, looks: bool = True) -> Val:
        if d.counter is not None:
            em.storage[d.counter] = Regs([i])
        for c in carries:
            _open(em, c)
        if d.cond is None:
            assert end is not None
            go = b.cmp("icmp slt", i, end)
        else:
            em.block(d.cond)
            go = em.some_lane(em.scalar(d.cond.results[0]))
        return em.lookout.goes_on(go) if looks else go

    end = None if d.trips is None else indexing.val(em.dim(d.trips))
    stretch = em.lookout.stretch(d)
    if end is None or stretch is None:

        def round_() -> None:
            _body(em, d, carries)
            em.lookout.round(d)

        b.loop(int_const(0), 1, lambda i: test(i, end), lambda _: round_(), _WHILE)
    else:

        def several(k: Val) -> None:
            for j in range(_UNROLLED):
                i = b.bin("add", k, int_const(j))
                test(i, indexing.val(end), False)
                _body(em, d, carries)

        def some(k: Val, stop: Val) -> None:
            if em.lookout.is_straight(d):
                # Rounds of a few instructions wait for the counting of rounds.
                many = b.bin("and", b.bin("sub", stop, k), int_const(-_UNROLLED))
                middle = b.bin("add", k, many)
                b.repeat(k, middle, _UNROLLED, several)
                k = middle
            b.loop(k, 1, lambda i: test(i, stop, False), lambda _: _body(em, d, carries), _WHILE)

        em.lookout.stretches(d, stretch, end, some)
    _settle(em, [c for c in carries if c.plan.source is not None or c.plan.heir is not None])
    for c in carries:
        _close(em, c)


def _prepare(em: BlockEmitter, c: _Carried, init: Value) -> None:
    """Before the loop: initial values into slots or buffers."""
    b, plan = em.b, c.plan
    if plan.home is None:
        if plan.how == "fixed":
            em.storage[plan.value] = Regs(em.elements(init))
        else:
            lanes = em.lanes if plan.value.defn.what == "lanes" else 0
            c.slots = [Accumulator(b, x, lanes) for x in em.elements(init)]
        return
    home = em.place(plan.result)
    if plan.filled:
        em.store_whole(init, home.ptr)
    if plan.how == "fixed":
        em.storage[plan.value] = home
    elif c.moves:
        other = em.address_of(c.other)
        c.current, c.next = b.alloca("ptr", 1, 8), b.alloca("ptr", 1, 8)
        b.line(f"store ptr {b.local(home.ptr).ref}, ptr {c.current.ref}")
        b.line(f"store ptr {b.local(other).ref}, ptr {c.next.ref}")


def _open(em: BlockEmitter, c: _Carried) -> None:
    """At the head of each round: the carry as the body sees it."""
    b, plan = em.b, c.plan
    if plan.how == "reg":
        em.storage[plan.value] = Regs([s.get(b) for s in c.slots])
    elif c.moves:
        ptr = b.impure(f"load ptr, ptr {c.current.ref}", "ptr")
        em.addresses[Current(plan.value)] = ptr
        em.place(plan.value)
    elif plan.how == "inplace":
        em.place(plan.value)


def _body(em: BlockEmitter, d: Loop, carries: Sequence[_Carried]) -> None:
    b = em.b
    for c in carries:
        if c.plan.written:
            ptr = b.impure(f"load ptr, ptr {c.next.ref}", "ptr")
            em.addresses[Next(c.plan.value)] = ptr
    em.block(d.body)
    news = [(c, em.elements(c.plan.out)) for c in carries if c.plan.how == "reg"]
    for c in carries:
        if c.plan.written == "copied":
            em.store_whole(c.plan.out, em.address_of(Next(c.plan.value)))
    for c, elements in news:
        for slot, x in zip(c.slots, elements, strict=True):
            slot.set(b, x)
    for k, c in enumerate(carries):
        if c.moves:
            _turn(em, c, [c.plan for c in carries], k)


def _turn(em: BlockEmitter, c: _Carried, plans: Sequence[Carry], k: int) -> None:
    """At the end of a round: the carry's buffer of the next one."""
    b, plan = em.b, c.plan
    source = plans[last_heir(plans, k) if plan.source is None else plan.source]
    left = b.local(em.memory(source.value).ptr)
    # What is left over is written next, unless the new value is there already.
    new = em.address_of(Next(plan.value)) if plan.written else left
    b.line(f"store ptr {b.local(new).ref}, ptr {c.current.ref}")
    if plan.written:
        b.line(f"store ptr {left.ref}, ptr {c.next.ref}")


def _settle(em: BlockEmitter, carries: Sequence[_Carried]) -> None:
    """After the loop: carries whose buffers went round are copied to where they belong."""
    b = em.b
    now = [b.impure(f"load ptr, ptr {c.current.ref}", "ptr") for c in carries]
    moved = None
    for c, ptr in zip(carries, now, strict=True):
        away = b.cmp("icmp ne", ptr, em.address_of(c.home))
        moved = away if moved is None else b.bin("or", moved, away)
    if moved is None:
        return

    def copy() -> None:
        # Those that moved are set aside; then no home is of use to another carry.
        for step in range(3):
            for c, ptr in zip(carries, now, strict=True):
                home, other = em.address_of(c.home), em.address_of(c.other)
                size = _byte_size(em, c.plan.value)
                if c.plan.how == "move" and step == 0:
                    _copy_bytes(em, other, ptr, size)
                elif c.plan.how == "move" and step == 2:
                    _copy_bytes(em, home, other, size)
                elif c.plan.how == "swap" and step == 1:
                    _copy_bytes(em, home, ptr, size)

    b.when(moved, copy)


def _close(em: BlockEmitter, c: _Carried) -> None:
    """After the loop: the result."""
    b, plan = em.b, c.plan
    if plan.how == "reg":
        em.storage[plan.result] = Regs([s.get(b) for s in c.slots])
    elif plan.how == "fixed" and plan.home is None:
        em.storage[plan.result] = em.storage[plan.value]
    elif plan.how == "swap" and plan.heir is None:
        ptr = b.impure(f"load ptr, ptr {c.current.ref}", "ptr")
        home = em.address_of(c.home)
        away = b.cmp("icmp ne", ptr, home)
        size = _byte_size(em, plan.value)
        b.when(away, lambda: _copy_bytes(em, home, ptr, size))


def branch(em: BlockEmitter, step: Value, d: Branch) -> None:
    """Emit a `Branch`."""
    b = em.b
    index = b.local(real(ops.convert(b, em.scalar(d.index), d.index.dtype, dtypes.int32)))
    slots = [_slots(em, r) for r in d.results]
    # An index out of range takes the first or the last block.
    low = b.select(b.cmp("icmp slt", index, int_const(0, "i32")), int_const(0, "i32"), index)
    b.choose(low, [
        functools.partial(_case, em, block, slots, copied)
        for block, copied in zip(d.blocks, em.plan.joins[step], strict=True)
    ])  # fmt: skip
    for r, slot in zip(d.results, slots, strict=True):
        if not isinstance(slot, Mem):
            em.storage[r] = Regs([s.get(b) for s in slot])


def _case(em: BlockEmitter, block: Block, slots: Sequence[_Slot], copied: Sequence[bool]) -> None:
    """One block of a branch, its results left where they belong."""
    em.block(block)
    for r, slot, copy in zip(block.results, slots, copied, strict=True):
        if not isinstance(slot, Mem):
            for s, x in zip(slot, em.elements(r), strict=True):
                s.set(em.b, x)
        elif copy:
            em.store_whole(r, slot.ptr)


def _slots(em: BlockEmitter, r: Value) -> _Slot:
    """Where the blocks of a branch leave a result."""
    if em.schedule.kinds[r] != "reg":
        return em.place(r)
    zero = ops.literal(0, r.dtype)
    return [Accumulator(em.b, zero, 0) for _ in range(r.constant_size() or 0)]
