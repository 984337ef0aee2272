"""Which values take over the buffer of another one: updates, loops, branches in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from covector.compiler.access import Access, key_of
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Constant,
    Index,
    Input,
    IVar,
    LibraryCall,
    Loop,
    Strips,
    Update,
    Value,
    ivars,
)
from covector.compiler.ir.walk import block_reads, reads_of, sub_blocks, written_out
from covector.compiler.schedule.kinds import reads_where_it_writes
from covector.compiler.schedule.nodes import Nest, Schedule, Stage, Step
from covector.core.record import Record

# Library calls each result of which may lie where the operand in its place does.
IN_PLACE = frozenset(("sort",))


class Sharing(Record):
    """For one block, which values take over the buffer of another.

    Attributes
    ----------
    alias : mapping
        Value to the one whose buffer it takes over.
    inner : mapping
        The same within the blocks of branches; what is of no use afterwards is theirs to change.
    reads : tuple of set
        The stored values that each step reads.
    """

    alias: Mapping[Value, Value]
    inner: Mapping[Block, Sharing]
    reads: tuple[set[Value], ...]

    def root(self, v: Value) -> Value:
        """The value whose buffer ``v`` is in after all."""
        while v in self.alias:
            v = self.alias[v]
        return v


def share(
    schedule: Schedule, block: Block, carries: Sequence[Value] = (), donated: Sequence[Value] = ()
) -> Sharing:
    """What shares buffers in ``block``; its carries and what is donated may be overwritten."""
    return _Sharer(schedule, block, carries, donated).sharing()


class _Sharer:
    """Goes through the steps of a block in order."""

    def __init__(
        self, schedule: Schedule, block: Block, carries: Sequence[Value], donated: Sequence[Value]
    ) -> None:
        self.schedule = schedule
        self.block = block
        self.steps = schedule.steps[block]
        self.donated = set(donated)
        self.own = set(block.values) | set(carries) | self.donated
        self.results = set(block.results)
        self.alias: dict[Value, Value] = {}
        self.inner: dict[Block, Sharing] = {}
        self.taken: set[Value] = set()
        self.reads = tuple([step_reads(schedule, s) for s in self.steps])
        # The last step that reads a value, and the first that writes a part of an update.
        self.last = {v: k for k, reads in enumerate(self.reads) for v in reads}
        self.first_part: dict[Value, int] = {}

    def sharing(self) -> Sharing:
        for k, step in enumerate(self.steps):
            if type(step) is Nest:
                for s in step.stages:
                    if s.kind == "part":
                        self.first_part.setdefault(s.value, k)
        for k, step in enumerate(self.steps):
            if type(step) is Nest:
                for s in step.stages:
                    self._stage(k, step, s)
                continue
            assert type(step) is Value
            if type(step.defn) is Loop:
                self._loop(k, step.defn)
            elif type(step.defn) is Branch:
                self._branch(k, step.defn)
            elif type(step.defn) is LibraryCall:
                self._call(k, step.defn)
        return Sharing(self.alias, self.inner, self.reads)

    def _free(self, u: Value, k: int) -> bool:
        """Whether ``u`` is of no use after step ``k``, and its buffer ours."""
        donated = u in self.donated
        return (
            u in self.own
            and u not in self.taken
            and u not in self.results
            and (donated or self.schedule.kinds.get(u) == "mem")
            and (donated or not isinstance(u.defn, (Input, Constant)))
            and self.last.get(u, -1) <= k
        )

    def _take(self, v: Value, u: Value) -> None:
        self.alias[v] = u
        self.taken.add(u)

    def _stage(self, k: int, nest: Nest, s: Stage) -> None:
        v = s.value
        if type(v.defn) is Update:
            base = v.defn.base
            if v in self.alias or base is None or not v.defn.parts:
                return
            first = self.first_part.get(v)
            if first is not None and (
                self._free(base, first - 1)
                or (self._free(base, first) and _read_where_written(self.steps[first], v, base))
            ):
                self._take(v, base)
        elif s.kind == "pointwise" and v not in nest.contracted and v.ndim:
            u = _overwritten(nest, s, lambda u: self._free(u, k))
            if u is not None:
                self._take(v, u)

    def _call(self, k: int, d: LibraryCall) -> None:
        """A call that works in place has no need of copies of what is of no use afterwards."""
        if d.kind not in IN_PLACE:
            return
        operands = [u for u, w in zip(d.operands, d.attrs["wanted"], strict=True) if w]
        for r, u in zip(d.results, operands, strict=True):
            if d.operands.count(u) == 1 and self._free(u, k):
                self._take(r, u)

    def _loop(self, k: int, d: Loop) -> None:
        inner = _read_inside(self.schedule, d)
        for r, init in zip(d.results, d.inits, strict=True):
            if (
                self.schedule.kinds.get(r) == "mem"
                and d.inits.count(init) == 1
                and init not in inner
                and init.shape == r.shape
                and self._free(init, k)
            ):
                self._take(r, init)

    def _branch(self, k: int, d: Branch) -> None:
        mine = [u for u in self.reads[k] if self._free(u, k)]
        for b in d.blocks:
            self.inner[b] = share(self.schedule, b, mine)
        for r, u in self._kept(d):
            if r not in self.alias and self._free(u, k):
                self._take(r, u)

    def _kept(self, d: Branch) -> Iterator[tuple[Value, Value]]:
        """Results, with what blocks return or update in their place and nowhere else."""
        places: dict[Value, set[int | None]] = {}
        for b in d.blocks:
            for k, v in enumerate(b.results):
                u = self.inner[b].root(v)
                places.setdefault(u, set()).add(k)
                for w in chase(self.schedule, v) - {u}:
                    places.setdefault(w, set()).add(None)
        for u, at in places.items():
            (k_, *rest) = at
            if k_ is not None and not rest and self.schedule.kinds.get(d.results[k_]) == "mem":
                yield d.results[k_], u


def _read_inside(schedule: Schedule, d: Loop) -> set[Value]:
    """Stored values that the blocks of a loop read."""
    out: set[Value] = set()
    for block in sub_blocks(d):
        for v in block_reads(block):
            out |= chase(schedule, v)
    return out


def _read_where_written(nest: Step, v: Value, base: Value) -> bool:
    """Whether a nest reads ``base`` only as it writes the part of its update ``v``, and there each
    element that is overwritten by what it goes into."""
    if type(nest) is not Nest or not reads_where_it_writes(v.defn):
        return False
    return all([
        s.value is v and (s.kind != "part" or key_of(index) == key_of(s.part.dest))
        for s in nest.stages for u, index in s.reads if u is base
    ])  # fmt: skip


def _overwritten(nest: Nest, stage: Stage, free: Callable[[Value], bool]) -> Value | None:
    """A value that ``stage`` reads element by element and that is of no use afterwards."""
    v = stage.value
    if v.defn.flat:
        u: Value = v.defn.expr.value
        return u if len(nest.stages) == 1 and free(u) else None
    for u, index in stage.reads:
        if u.shape != v.shape or u.dtype.itemsize != v.dtype.itemsize or not free(u):
            continue
        if u in nest.contracted or u is v:
            continue
        if identity(index) and _only_here(nest, stage, u):
            return u
    return None


def _only_here(nest: Nest, stage: Stage, u: Value) -> bool:
    """Whether the stages of a nest read ``u`` element by element, and none after ``stage``."""
    later = False
    for other in nest.stages:
        for w, index in other.reads:
            if w is u and (later or not identity(index)):
                return False
        later |= other is stage
    return True


def identity(index: Sequence[Index]) -> bool:
    """Whether an index is that of the element being computed."""
    return all([type(i) is IVar and i.axis == k for k, i in enumerate(index)])


def chase(schedule: Schedule, v: Value) -> set[Value]:
    """``v`` itself, or what it is computed from if it is not stored."""
    if not schedule.inline(v):
        return {v}
    access = Access()
    access.add(v.defn.expr, ivars(64), schedule.inline)
    return {u for u, _ in access.reads}


def step_reads(schedule: Schedule, step: Step) -> set[Value]:
    """Stored values that a step of a schedule reads."""
    if type(step) is Nest:
        return {v for s in step.stages for v, _ in s.reads}
    assert type(step) is Value
    d = step.defn
    if type(d) is LibraryCall:
        return set(d.operands)
    if type(d) in (Loop, Branch, Strips):
        return {u for v in reads_of(step) for u in chase(schedule, v)}
    access = Access()
    for expr in written_out(d):
        access.add(expr, ivars(64), schedule.inline)
    return {v for v, _ in access.reads}
