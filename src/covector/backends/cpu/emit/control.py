"""Loops and branches of the program: carried values in registers or in buffers."""

from __future__ import annotations

from typing import Any

from covector.backends.cpu.emit import indexing
from covector.backends.cpu.emit.reductions import Accumulator
from covector.backends.cpu.emit.storage import Mem, Regs, Sharing, chase
from covector.backends.cpu.emit.writer import Scope, Val, int_const
from covector.backends.cpu.numerics import ops
from covector.compiler.ir.nodes import Bound, Branch, Loop, Update, Value
from covector.compiler.ir.walk import block_reads
from covector.core import dtypes


def _byte_size(em: Any, v: Value) -> Val:
    n: Any = v.dtype.itemsize
    for d in v.shape:
        n = indexing.mul(em.b, n, em.dim(d))
    return indexing.val(n)


def _copy_bytes(em: Any, dst: Val, src: Val, size: Val) -> None:
    b = em.b
    em.module.declare("llvm.memmove.p0.p0.i64", "void", "ptr, ptr, i64, i1")
    b.line(
        f"call void @llvm.memmove.p0.p0.i64(ptr {b.local(dst).ref}, ptr {b.local(src).ref}, "
        f"i64 {b.local(size).ref}, i1 false)"
    )


class _Carry:
    """How one carried value is kept between rounds.

    In registers (``reg``), in a buffer that each round updates (``inplace``) or leaves alone
    (``fixed``), in two buffers in turn (``swap``), or in that of another carry (``move``).
    """

    def __init__(self, value: Value, result: Value, out: Value) -> None:
        self.value = value
        self.result = result
        self.out = out
        self.how = "reg"
        self.slots: list[Accumulator] = []
        self.home: Mem | None = None
        self.current: Val | None = None
        self.next: Val | None = None
        self.other: Mem | None = None
        # The carry whose buffer it takes over each round, and the one that takes over its own.
        self.source: _Carry | None = None
        self.heir: _Carry | None = None

    @property
    def last(self) -> _Carry:
        """The carry whose buffer is left over when buffers have moved on to their heirs."""
        c = self
        while c.heir is not None:
            c = c.heir
        return c


def loop(em: Any, d: Loop) -> None:
    """Emit a `Loop`; its results are stored when it ends."""
    b = em.b
    plan = em.plan
    steps = plan.steps[d.body]
    kept = [c for c in d.carries if plan.kinds[c] == "mem"]
    sharing = Sharing(plan, d.body, steps, kept)
    carries = [
        _Carry(c, r, out)
        for c, r, out in zip(d.carries, d.results, d.body.results, strict=True)
    ]  # fmt: skip
    _find_moves([c for c in carries if c.value in kept])
    for c, init in zip(carries, d.inits, strict=True):
        _prepare(em, c, init, sharing)
    head, body, latch, done = (b.name_label(s) for s in ("while", "do", "again", "end"))
    b.scopes.append(Scope(head))
    level = b.level
    iv, nxt = b.name_value(), b.name_value()
    counter = Val(iv, "i64", 0, b, level)
    if d.counter is not None:
        em.storage[d.counter] = Regs([counter])
    for c in carries:
        _open(em, c)
    if d.cond is not None:
        em.block(d.cond, {})
        go = b.local(em.scalar(d.cond.results[0]))
    else:
        go = b.cmp("icmp slt", counter, indexing.val(em.dim(d.trips)))
    b.line(f"br i1 {go.ref}, label %{body}, label %{done}")
    b.start_block(body)
    _body(em, d, carries, steps, sharing)
    inner = b.scopes.pop()
    outer = b.scope
    before = outer.label
    outer.lines += [
        f"  br label %{head}",
        f"{head}:",
        f"  {iv} = phi i64 [ 0, %{before} ], [ {nxt}, %{latch} ]",
        *inner.lines,
        f"  br label %{latch}",
        f"{latch}:",
        f"  {nxt} = add nsw i64 {iv}, 1",
        f"  br label %{head}",
        f"{done}:",
    ]
    outer.label = done
    _settle(em, [c for c in carries if c.source is not None or c.heir is not None])
    for c in carries:
        _close(em, c)


def _find_moves(carries: list[_Carry]) -> None:
    """Find carries that become others: the buffers go round, nothing is copied."""
    free = {c.value: c for c in carries if c.out is not c.value}
    for c in carries:
        if c.out is not c.value and c.out in free:
            c.source = free.pop(c.out)
            c.source.heir = c


def _prepare(em: Any, c: _Carry, init: Value, sharing: Sharing) -> None:
    """Before the loop: initial values into slots or buffers."""
    b, plan, out = em.b, em.plan, c.out
    if plan.kinds[c.value] == "reg":
        if out is c.value:
            c.how = "fixed"
            em.storage[c.value] = Regs(em.elements(init))
            return
        c.slots = [Accumulator(b, x, 0) for x in em.elements(init)]
        return
    c.home = em.buffers.place(c.result)
    uninitialised = type(init.defn) is Update and init.defn.base is None and not init.defn.parts
    st = em.storage.get(init)
    if not uninitialised and not (isinstance(st, Mem) and st.ptr.ref == c.home.ptr.ref):
        em.store_whole(init, c.home.ptr)
    if out is c.value:
        c.how = "fixed"
        em.storage[c.value] = c.home
        return
    if sharing.root(out) is c.value:
        c.how = "inplace"
        return
    c.how = "swap" if c.source is None else "move"
    c.other = em.buffers.temporary(c.value.shape, c.value.dtype.itemsize)
    c.current, c.next = b.alloca("ptr", 1, 8), b.alloca("ptr", 1, 8)
    b.line(f"store ptr {b.local(c.home.ptr).ref}, ptr {c.current.ref}")
    b.line(f"store ptr {b.local(c.other.ptr).ref}, ptr {c.next.ref}")


def _open(em: Any, c: _Carry) -> None:
    """At the head of each round: the carry as the body sees it."""
    b = em.b
    if c.how == "reg":
        em.storage[c.value] = Regs([s.get(b) for s in c.slots])
    elif c.how == "inplace":
        assert c.home is not None
        em.storage[c.value] = Mem(c.home.ptr, b.level, b, c.home.temp)
    elif c.how in ("swap", "move"):
        assert c.current is not None
        ptr = b.impure(f"load ptr, ptr {c.current.ref}", "ptr")
        em.storage[c.value] = Mem(ptr, b.level, b)


def _body(em: Any, d: Loop, carries: list[_Carry], steps: Any, sharing: Sharing) -> None:
    b = em.b
    dest: dict[Value, Val] = {}
    targets: dict[_Carry, Val] = {}
    fresh = set(d.body.values)
    for c in carries:
        out, root = c.out, sharing.root(c.out)
        if c.how == "inplace":
            assert c.home is not None
            dest[out] = c.home.ptr
        elif c.how == "swap" and root is not c.last.value:
            assert c.next is not None
            target = targets[c] = b.impure(f"load ptr, ptr {c.next.ref}", "ptr")
            if (
                out in fresh
                and out not in dest
                and em.plan.kinds[out] == "mem"
                and type(root.defn) is not Bound
            ):
                dest[out] = target
    outer = em.buffers.enter(d.body, steps, dest, sharing)
    em.run_steps(steps)
    em.buffers.leave(outer)
    news = [(c, em.elements(c.out)) for c in carries if c.how == "reg"]
    for c, target in targets.items():
        if dest.get(c.out) is not target:
            em.store_whole(c.out, target)
    for c, elements in news:
        for slot, x in zip(c.slots, elements, strict=True):
            slot.set(b, x)
    for c in carries:
        # What is left over is written next, unless the new value is there already.
        if c.how == "swap":
            assert c.current is not None and c.next is not None
            left = b.local(em.storage[c.last.value].ptr)
            b.line(f"store ptr {targets.get(c, left).ref}, ptr {c.current.ref}")
            if c in targets:
                b.line(f"store ptr {left.ref}, ptr {c.next.ref}")
        elif c.how == "move":
            assert c.current is not None and c.source is not None
            ptr = b.local(em.storage[c.source.value].ptr)
            b.line(f"store ptr {ptr.ref}, ptr {c.current.ref}")


def _settle(em: Any, carries: list[_Carry]) -> None:
    """After the loop: carries whose buffers went round are copied to where they belong."""
    b = em.b
    now = [b.impure(f"load ptr, ptr {c.current.ref}", "ptr") for c in carries]
    moved = None
    for c, ptr in zip(carries, now, strict=True):
        assert c.home is not None
        away = b.cmp("icmp ne", ptr, c.home.ptr)
        moved = away if moved is None else b.bin("or", moved, away)
    if moved is None:
        return

    def copy() -> None:
        # Those that moved are set aside; then no home is of use to another carry.
        for step in range(3):
            for c, ptr in zip(carries, now, strict=True):
                assert c.home is not None and c.other is not None
                home, size = c.home.ptr, _byte_size(em, c.value)
                if c.how == "move" and step == 0:
                    _copy_bytes(em, c.other.ptr, ptr, size)
                elif c.how == "move" and step == 2:
                    _copy_bytes(em, home, c.other.ptr, size)
                elif c.how == "swap" and step == 1:
                    _copy_bytes(em, home, ptr, size)

    em.guarded(moved, copy)


def _close(em: Any, c: _Carry) -> None:
    """After the loop: the result."""
    b = em.b
    if c.how == "reg":
        em.storage[c.result] = Regs([s.get(b) for s in c.slots])
    elif c.how == "fixed":
        st = em.storage[c.value]
        if isinstance(st, Regs):
            em.storage[c.result] = st
    elif c.how == "swap" and c.heir is None:
        assert c.home is not None and c.current is not None
        ptr = b.impure(f"load ptr, ptr {c.current.ref}", "ptr")
        away = b.cmp("icmp ne", ptr, c.home.ptr)
        size = _byte_size(em, c.value)
        home = c.home
        em.guarded(away, lambda: _copy_bytes(em, home.ptr, ptr, size))
    if isinstance(c.home, Mem):
        c.home.used = em.buffers.clock
        if c.other is not None:
            c.other.used = em.buffers.clock


def branch(em: Any, d: Branch) -> None:
    """Emit a `Branch`."""
    b, plan, outside = em.b, em.plan, em.buffers.sharing
    index = b.local(ops.convert(b, em.scalar(d.index), d.index.dtype, dtypes.int32))
    slots: list[Any] = []
    for r in d.results:
        if plan.kinds[r] == "reg":
            n = r.constant_size() or 0
            zero = ops.literal(0, r.dtype)
            slots.append([Accumulator(b, zero, 0) for _ in range(n)])
        else:
            slots.append(em.buffers.place(r))
    labels = [b.name_label("case") for _ in d.blocks]
    done = b.name_label("join")
    # An index out of range takes the first or the last block.
    low = b.select(b.cmp("icmp slt", index, int_const(0, "i32")), int_const(0, "i32"), index)
    cases = " ".join(f"i32 {k}, label %{lb}" for k, lb in enumerate(labels[:-1]))
    texts: list[str] = []
    for blk, label in zip(d.blocks, labels, strict=True):
        b.scopes.append(Scope(label))
        dest: dict[Value, Val] = {}
        fresh, sharing = set(blk.values), outside.inner[blk]
        reads = {u for v in block_reads(blk) for u in chase(plan, v)}
        for r, slot, result in zip(blk.results, slots, d.results, strict=True):
            old = outside.alias.get(result)
            if (
                isinstance(slot, Mem) and r in fresh and r not in dest and plan.kinds[r] == "mem"
                and (old not in reads or sharing.root(r) is old)
            ):  # fmt: skip
                dest[r] = slot.ptr
        em.block(blk, dest, sharing)
        for r, slot in zip(blk.results, slots, strict=True):
            if not isinstance(slot, Mem):
                for s, x in zip(slot, em.elements(r), strict=True):
                    s.set(b, x)
                continue
            st = em.storage.get(r)
            if not isinstance(st, Mem) or b.local(st.ptr).ref != b.local(slot.ptr).ref:
                em.store_whole(r, slot.ptr)
        inner = b.scopes.pop()
        texts += [f"{label}:", *inner.lines, f"  br label %{done}"]
    outer = b.scope
    # What the blocks share was written before this point.
    switch = f"  switch i32 {low.ref}, label %{labels[-1]} [ {cases} ]"
    outer.lines += [switch, *texts, f"{done}:"]
    outer.label = done
    for r, slot in zip(d.results, slots, strict=True):
        if not isinstance(slot, Mem):
            em.storage[r] = Regs([s.get(b) for s in slot])
