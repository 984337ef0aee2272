"""Where values are while the code runs: registers, and buffers that are reused.

A buffer is an argument of the program, one of its results, or a piece of the workspace.
Values share a buffer where one is computed from the last use of the other (`alias`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from covector.backends.cpu.emit.indexing import Idx
from covector.backends.cpu.emit.writer import Function, Val
from covector.compiler.access import Access
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Constant,
    Input,
    IVar,
    LibraryCall,
    Loop,
    Sym,
    Update,
    Value,
    ivars,
)
from covector.compiler.ir.walk import block_reads, reads_of, sub_blocks
from covector.compiler.schedule.nest import Nest
from covector.compiler.schedule.plan import Plan


class Temp:
    """A piece of the workspace: its size, and the first and last step that use it."""

    __slots__ = ("dims", "itemsize", "start", "end")

    def __init__(self, dims: Sequence[Any], itemsize: int, start: int) -> None:
        self.dims = tuple(dims)
        self.itemsize = itemsize
        self.start = start
        self.end = start


class Mem:
    """A value in memory. ``level`` is the loop depth in ``fn`` from which it may be read."""

    __slots__ = ("ptr", "level", "fn", "temp")

    def __init__(
        self, ptr: Val, level: int, fn: Function | None = None, temp: Temp | None = None
    ) -> None:
        self.ptr = ptr
        self.level = level
        self.fn = fn
        self.temp = temp

    @property
    def used(self) -> int:
        return self.temp.end if self.temp else 0

    @used.setter
    def used(self, clock: int) -> None:
        if self.temp is not None and clock > self.temp.end:
            self.temp.end = clock


class Regs:
    """A small array in registers, element by element."""

    __slots__ = ("elements",)

    def __init__(self, elements: list[Any]) -> None:
        self.elements = elements


def flat_positions(v: Value, index: Sequence[Idx]) -> int | None:
    """Row-major position of a constant index; None if it varies at run time."""
    pos = 0
    for i, d in zip(index, v.shape, strict=True):
        if not i.uniform or type(i.base) is not int:
            return None
        pos = pos * d + i.base  # type: ignore[operator]
    return pos


def positions(shape: Sequence[Any]) -> list[tuple[Idx, ...]]:
    """All indices of a constant shape, in row-major order."""
    out: list[tuple[Idx, ...]] = [()]
    for d in shape:
        assert type(d) is int
        out = [(*p, Idx(k)) for p in out for k in range(d)]
    return out


class Sharing:
    """For one block, which values take over the buffer of another."""

    def __init__(
        self, plan: Plan, block: Block, steps: Sequence[Any], carries: Sequence[Value] = (),
        donated: Sequence[Value] = (),
    ) -> None:  # fmt: skip
        self.alias: dict[Value, Value] = {}
        self.plan = plan
        # The same within the blocks of branches; what is of no use afterwards is theirs to change.
        self.inner: dict[Block, Sharing] = {}
        own = set(block.values) | set(carries) | set(donated)
        taken: set[Value] = set()
        reads = [step_reads(plan, s) for s in steps]
        last: dict[Value, int] = {}
        for k, rs in enumerate(reads):
            for v in rs:
                last[v] = k
        results = set(block.results)
        first_part: dict[Value, int] = {}
        for k, step in enumerate(steps):
            if isinstance(step, Nest):
                for s in step.stages:
                    if s.kind == "part":
                        first_part.setdefault(s.value, k)

        def free(u: Value, k: int) -> bool:
            return (
                u in own
                and u not in taken
                and u not in results
                and (u in donated or plan.kinds.get(u) == "mem")
                and (u in donated or not isinstance(u.defn, (Input, Constant)))
                and last.get(u, -1) <= k
            )

        for k, step in enumerate(steps):
            if isinstance(step, Nest):
                for s in step.stages:
                    v = s.value
                    if type(v.defn) is Update:
                        base = v.defn.base
                        if v in self.alias or base is None or not v.defn.parts:
                            continue
                        first = first_part.get(v)
                        if first is not None and free(base, first - 1):
                            self.alias[v] = base
                            taken.add(base)
                    elif s.kind == "pointwise" and v not in step.contracted and v.ndim:
                        u = _overwritten(step, s, lambda u, k=k: free(u, k))
                        if u is not None:
                            self.alias[v] = u
                            taken.add(u)
            elif type(step.defn) is Loop:
                d = step.defn
                inner = _read_inside(plan, d)
                for r, init in zip(d.results, d.inits, strict=True):
                    if (
                        plan.kinds.get(r) == "mem"
                        and d.inits.count(init) == 1
                        and init not in inner
                        and init.shape == r.shape
                        and free(init, k)
                    ):
                        self.alias[r] = init
                        taken.add(init)
            elif type(step.defn) is Branch:
                mine = [u for u in reads[k] if free(u, k)]
                for b in step.defn.blocks:
                    self.inner[b] = Sharing(plan, b, plan.steps[b], mine)
                for r, u in self._kept(step.defn):
                    if r not in self.alias and free(u, k):
                        self.alias[r] = u
                        taken.add(u)

    def _kept(self, d: Branch) -> Iterator[tuple[Value, Value]]:
        """Results, with what blocks return or update in their place and nowhere else."""
        places: dict[Value, set[int | None]] = {}
        for b in d.blocks:
            for k, v in enumerate(b.results):
                u = self.inner[b].root(v)
                places.setdefault(u, set()).add(k)
                for w in chase(self.plan, v) - {u}:
                    places.setdefault(w, set()).add(None)
        for u, at in places.items():
            (k, *rest) = at
            if k is not None and not rest and self.plan.kinds.get(d.results[k]) == "mem":
                yield d.results[k], u

    def root(self, v: Value) -> Value:
        while v in self.alias:
            v = self.alias[v]
        return v


def _read_inside(plan: Plan, d: Loop) -> set[Value]:
    """Stored values that the blocks of a loop read."""
    out: set[Value] = set()
    for block in sub_blocks(d):
        for v in block_reads(block):
            out |= chase(plan, v)
    return out


def _overwritten(nest: Nest, stage: Any, free: Any) -> Value | None:
    """A value that ``stage`` reads element by element and that is of no use afterwards."""
    v = stage.value
    if v.defn.flat:
        u = v.defn.expr.value
        return u if len(nest.stages) == 1 and free(u) else None
    position = nest.stages.index(stage)
    for u, index in stage.access.reads:
        if u.shape != v.shape or u.dtype.itemsize != v.dtype.itemsize or not free(u):
            continue
        if u in nest.contracted or u is v:
            continue
        ok = True
        for k, other in enumerate(nest.stages):
            for w, idx in other.access.reads:
                if w is u and (k > position or not _identity(idx, other)):
                    ok = False
        if ok and _identity(index, stage):
            return u
    return None


def _identity(index: Sequence[Any], stage: Any) -> bool:
    return all(type(i) is IVar and i.axis == k for k, i in enumerate(index))


def chase(plan: Plan, v: Value) -> set[Value]:
    """``v`` itself, or what it is computed from if it is not stored."""
    if not plan.inline(v):
        return {v}
    access = Access()
    access.add(v.defn.expr, ivars(64), plan.inline)
    return {u for u, _ in access.reads}


def step_reads(plan: Plan, step: Any) -> set[Value]:
    """Stored values that a step of a schedule reads."""
    out: set[Value] = set()
    if isinstance(step, Nest):
        for s in step.stages:
            out.update(v for v, _ in s.access.reads)
        return out
    d = step.defn
    t = type(d)
    if t is LibraryCall:
        return set(d.operands)
    if t in (Loop, Branch):
        for v in reads_of(step):
            out |= chase(plan, v)
        return out
    expr = d.pointwise if t is Update else d.expr
    access = Access()
    access.add(expr, ivars(64), plan.inline)
    return {v for v, _ in access.reads}


class Buffers:
    """Buffers of one program, given out as its values are computed."""

    def __init__(self, em: Any) -> None:
        self.em = em
        self.workspace: Val
        self.temps: list[Temp] = []
        self.clock = 0
        self.depth = 0
        self.stamp = 0
        self.dest: dict[Value, Val] = {}
        self.sharing: Sharing | None = None
        self._spilled: dict[tuple[int, Value], Mem] = {}

    def enter(
        self, block: Block, steps: Sequence[Any], dest: dict[Value, Val],
        sharing: Sharing | None = None,
    ) -> Any:  # fmt: skip
        outer = (self.dest, self.sharing)
        self.sharing = sharing or Sharing(self.em.plan, block, steps)
        self.dest = dict(dest)
        for v, ptr in dest.items():
            u = v
            while u in self.sharing.alias:
                u = self.sharing.alias[u]
                self.dest.setdefault(u, ptr)
        self.depth += 1
        return outer

    def leave(self, outer: Any) -> None:
        self.dest, self.sharing = outer
        self.depth -= 1

    def step(self, k: int) -> None:
        """A step of the outermost block begins; buffers live for whole such steps."""
        if self.depth == 1:
            self.clock += 1

    def place(self, v: Value) -> Mem:
        """Give ``v`` a buffer."""
        em = self.em
        assert self.sharing is not None
        shared = self.sharing.alias.get(v)
        st = em.storage.get(shared) if shared is not None else None
        if v in self.dest:
            mem = Mem(self.dest[v], em.b.level, em.b)
        elif isinstance(st, Mem):
            mem = Mem(st.ptr, em.b.level, em.b, st.temp)
        else:
            mem = self.temporary(v.shape, v.dtype.itemsize)
        em.storage[v] = mem
        mem.used = self.clock
        return mem

    def temporary(self, shape: Sequence[Any], itemsize: int) -> Mem:
        """A piece of the workspace."""
        em = self.em
        slot = len(em.program.syms) + len(self.temps)
        temp = Temp(shape, itemsize, self.clock)
        self.temps.append(temp)
        root = em.root
        offset = em.param(slot)
        ref = root.name_value()
        root.prologue.append(
            f"  {ref} = getelementptr i8, ptr {self.workspace.ref}, i64 {offset.ref}"
        )
        return Mem(Val(ref, "ptr", 0, root, 0), em.b.level, em.b, temp)

    def spill(self, v: Value, st: Regs) -> Mem:
        """A copy in memory of an array held in registers."""
        em, b = self.em, self.em.b
        key = (id(b), v)
        found = self._spilled.get(key)
        if found is not None and found.level <= b.level:
            return found
        from covector.backends.cpu.emit import memory
        from covector.backends.cpu.numerics.complex_math import Cx

        ty = memory.memory_type(v.dtype)
        parts = 2 if st.elements and isinstance(st.elements[0], Cx) else 1
        ptr = b.alloca(f"[{parts * max(1, len(st.elements))} x {ty}]")
        level = 0
        for x in st.elements:
            for p in x if isinstance(x, Cx) else (x,):
                level = max(level, b.local(p).level)
        scopes = b.scopes
        b.scopes = scopes[: level + 1]
        saved = em.lanes, em.tail
        em.lanes, em.tail = 0, None
        from covector.backends.cpu.emit.writer import int_const

        for k, x in enumerate(st.elements):
            memory.store_scalar(b, ptr, v.dtype, int_const(k), x)
        em.lanes, em.tail = saved
        b.scopes = scopes
        mem = self._spilled[key] = Mem(ptr, level, b)
        return mem


def temp_sizes(temps: Sequence[Temp]) -> list[tuple[Any, ...]]:
    """Sizes and lifetimes of the workspace's pieces, as data for `workspace_layout`."""
    out = []
    for t in temps:
        dims = tuple(("s", d.slot) if type(d) is Sym else d for d in t.dims)
        out.append((dims, t.itemsize, t.start, t.end))
    return out


def workspace_layout(
    sizes: Sequence[tuple[Any, ...]], params: Sequence[int]
) -> tuple[list[int], int]:
    """Offset of each piece, reusing space of pieces no longer in use, and the total."""
    placed: list[tuple[int, int, int, int]] = []
    offsets, total = [], 0
    for dims, itemsize, start, end in sizes:
        n = itemsize
        for d in dims:
            n *= params[d[1]] if type(d) is tuple else d
        n = (max(n, 1) + 127) // 64 * 64
        at = 0
        for p0, p1, _, _ in sorted(p for p in placed if p[2] <= end and p[3] >= start):
            if at + n <= p0:
                break
            at = max(at, p1)
        placed.append((at, at + n, start, end))
        offsets.append(at)
        total = max(total, at + n)
    return offsets, total
