"""Whether a schedule and a storage plan compute what their program says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from covector.compiler.access import key_of
from covector.compiler.ir.nodes import (
    Block,
    Branch,
    Constant,
    Index,
    Input,
    Loop,
    LoopProgram,
    Reduce,
    Strips,
    Update,
    Value,
)
from covector.compiler.schedule.loops import joins_rows
from covector.compiler.schedule.nest import Around, keeps_a_row, reads_locally, reads_own_round
from covector.compiler.schedule.nodes import Extent, Nest, NestLoop, Schedule, Stage, Step, Times
from covector.compiler.schedule.sharing import chase, identity, step_reads
from covector.compiler.schedule.show import names_of
from covector.compiler.schedule.spills import step_spills
from covector.compiler.schedule.storage import Current, Next, Piece, Place, Storage, last_heir

_KINDS = ("inline", "reg", "mem")


class ScheduleError(ValueError):
    """A schedule or storage plan that breaks a rule."""


def verify(program: LoopProgram, schedule: Schedule, storage: Storage | None = None) -> None:
    """Raise `ScheduleError` where a rule is broken."""
    names = names_of(program)
    _Order(names, schedule).program(program)
    if storage is not None:
        _Lives(names, schedule, storage).program(program)


class _Checker:
    def __init__(self, names: Mapping[Value, str], schedule: Schedule) -> None:
        self.names = names
        self.schedule = schedule

    def fail(self, v: Value | None, rule: str) -> NoReturn:
        where = f"{self.names.get(v, 'a value')}: " if v is not None else ""
        raise ScheduleError(where + rule)


# --- order, loops, what is used up -------------------------------------------------------


class _Order(_Checker):
    """Each stored value is computed, once, before it is read."""

    def program(self, p: LoopProgram) -> None:
        self.block(p.block, {*p.inputs, *p.consts})

    def block(self, block: Block, ready: set[Value]) -> None:
        steps = self.schedule.steps.get(block)
        if steps is None:
            self.fail(None, "a block has no steps")
        stages = [s for step in steps if type(step) is Nest for s in step.stages]
        # The stages of a value that are still to come.
        left = Counter([s.value for s in stages])
        traffic = _Traffic(self.schedule, block)
        for v in block.values:
            if _uninitialised(v):
                ready.add(v)
            kind = self.schedule.kinds.get(v)
            if kind not in _KINDS:
                self.fail(v, "a value is inline, in registers or in memory")
            if left[v] and left[v] != _stage_count(v, [s for _, s in traffic.makers[v]]):
                self.fail(v, "all stages of a value are in the steps of its block")
        for step in steps:
            if type(step) is Nest:
                self.nest(traffic, step, ready, left)
            else:
                assert type(step) is Value
                self.value(step, ready)
        for v in (*block.results, *[v for v in block.values if not self.schedule.inline(v)]):
            for u in chase(self.schedule, v):
                if u not in ready and type(v.defn) not in (Input, Constant):
                    self.fail(u, "a stored value is computed in the steps of its block")

    def value(self, v: Value, ready: set[Value]) -> None:
        d = v.defn
        if v in ready:
            self.fail(v, "a value is computed once")
        if type(d) is Loop:
            bound = {*d.carries, *([d.counter] if d.counter is not None else [])}
            self.read(d.inits, ready)
            if d.cond is not None:
                self.block(d.cond, ready | bound)
            self.block(d.body, ready | bound)
            ready.update(d.results)
        elif type(d) is Branch:
            self.read((d.index,), ready)
            for b in d.blocks:
                self.block(b, set(ready))
            ready.update(d.results)
        elif type(d) is Strips:
            self.block(d.block, ready | {d.lane})
            ready.update(d.results)
        else:
            self.read(step_reads(self.schedule, v), ready)
            ready.update(d.results)
        ready.add(v)

    def read(self, values: Iterable[Value], ready: set[Value]) -> None:
        for v in values:
            for u in chase(self.schedule, v):
                if u not in ready:
                    self.fail(u, "a stored value is computed before it is read")

    def nest(self, traffic: _Traffic, nest: Nest, ready: set[Value], left: Counter[Value]) -> None:
        self.loops(nest.root, ())
        for s in nest.stages:
            self.read([u for u, _ in s.reads], ready)
            left[s.value] -= 1
            if not left[s.value]:
                ready.add(s.value)
        around = Around(nest.root)
        for v in nest.contracted:
            self.used_up(traffic, nest, around, v)
        for v in nest.rows:
            self.row(traffic, nest, v)

    def loops(self, node: NestLoop | Stage, path: tuple[NestLoop, ...]) -> None:
        if type(node) is NestLoop:
            if node.lanes and (node.unrolled or any([n.lanes for n in path])):
                self.fail(None, "one loop around a stage is in the lanes of vectors")
            for c in node.children:
                self.loops(c, (*path, node))
            return
        assert type(node) is Stage
        v = node.value
        if node.dims != tuple([n.dim for n in path]):
            self.fail(v, "the extents of a stage are those of the loops around it")
        if len(node.order) != node.depth or len(node.roles) != node.depth:
            self.fail(v, "a stage has an index variable and a role for each loop")
        for role, n in zip(node.roles, path, strict=True):
            if role not in ("p", n.role):
                self.fail(v, f"a loop of role {n.role} is none of role {role}")
        if _size(_walked(node)) != _size(_domain(node)):
            self.fail(v, "the loops around a stage walk its domain once")

    def used_up(self, traffic: _Traffic, nest: Nest, around: Around, v: Value) -> None:
        """``v`` is read only in the loops that compute it."""
        producers = [s for at, s in traffic.makers.get(v, ()) if at is nest]
        if len(producers) != 1:
            self.fail(v, "what is used up is computed by one stage of its nest")
        (producer,) = producers
        local = all(
            [at is nest and reads_locally(around, producer, s, i)
             for at, s, i in traffic.readers.get(v, ())]
        )  # fmt: skip
        if not local or v in traffic.elsewhere:
            self.fail(v, "what is used up in its loops is read in them only")

    def row(self, traffic: _Traffic, nest: Nest, v: Value) -> None:
        """No element of ``v`` is read in another round of the outermost loop than its own."""
        producers = [s for at, s in traffic.makers.get(v, ()) if at is nest]
        if len(producers) != 1 or not keeps_a_row(nest, producers[0]):
            self.fail(v, "a row is computed by one stage in a round of the outermost loop")
        own = [
            at is nest and reads_own_round(producers[0], s, i)
            for at, s, i in traffic.readers.get(v, ())
        ]
        if not all(own) or v in traffic.elsewhere or self.schedule.kinds.get(v) != "mem":
            self.fail(v, "a row is read in the round that computes it only")


class _Traffic:
    """Who computes and who reads the values of a block.

    Attributes
    ----------
    makers : dict
        The stages that compute a value, each with its nest.
    readers : dict
        The stages that read a value, each with its nest and the index.
    elsewhere : set
        Values that other steps read, and the results.
    """

    def __init__(self, schedule: Schedule, block: Block) -> None:
        self.makers: dict[Value, list[tuple[Nest, Stage]]] = {}
        self.readers: dict[Value, list[tuple[Nest, Stage, tuple[Index, ...]]]] = {}
        self.elsewhere: set[Value] = set(block.results)
        for step in schedule.steps[block]:
            if type(step) is not Nest:
                self.elsewhere.update(step_reads(schedule, step))
                continue
            for s in step.stages:
                self.makers.setdefault(s.value, []).append((step, s))
                for u, index in s.reads:
                    self.readers.setdefault(u, []).append((step, s, index))


def _stage_count(v: Value, stages: Sequence[Stage]) -> int:
    """How many stages compute ``v``."""
    d = v.defn
    if type(d) is Update and not joins_rows(v, d):
        return len(d.parts) + (d.base is not None)
    return 2 if any([s.kind in ("init", "accumulate") for s in stages]) else 1


def _walked(s: Stage) -> list[Extent]:
    """The loops of a stage but those around pieces of later ones."""
    return [d for d, r in zip(s.dims, s.roles, strict=True) if r not in "tb"]


def _domain(s: Stage) -> list[Extent]:
    """The sizes of the index variables of a stage."""
    v, d = s.value, s.value.defn
    if s.kind == "part":
        return list(s.part.extents)
    if type(d) is Reduce and s.kind != "init":
        return [*(() if s.few else v.shape), *d.extents]
    return list(v.shape)


def _size(extents: Sequence[Extent]) -> tuple[int, Counter[object]]:
    """Their product: the constant factor, and the sizes known at run time."""
    constant, sizes = 1, Counter[object]()
    stack = list(extents)
    while stack:
        d = stack.pop()
        if type(d) is int:
            constant *= d
        elif type(d) is Times:
            stack += [d.a, d.b]
        else:
            sizes[d] += 1
    return constant, sizes


# --- lives in buffers --------------------------------------------------------------------

# The value that a place holds.
_Owners = dict[Place, Value | None]


class _Lives(_Checker):
    """What a step reads is still in its place, and pieces are used while they are ours."""

    def __init__(self, names: Mapping[Value, str], schedule: Schedule, storage: Storage) -> None:
        super().__init__(names, schedule)
        self.plan = storage
        self.clock = 0

    def program(self, p: LoopProgram) -> None:
        owners: _Owners = {}
        for v in (*p.inputs, *p.consts):
            self.write(v, owners)
        self.block(p.block, owners, outermost=True)
        copied = {v for v, _ in self.plan.copies}
        for v in p.block.results:
            if type(v.defn) not in (Input, Constant) and v not in copied:
                self.read(v, owners)
                if type(self.plan.places.get(v)) is Piece:
                    self.fail(v, "a result is in a buffer of the caller")

    def block(self, block: Block, owners: _Owners, outermost: bool = False) -> None:
        for step in self.schedule.steps[block]:
            self.clock += outermost
            self.step(step, owners)

    def step(self, step: Step, owners: _Owners) -> None:
        for u in step_spills(self.schedule, step):
            if u not in self.plan.spilled:
                self.fail(u, "what is read at positions known at run time is in memory")
        if type(step) is Nest:
            for s in step.stages:
                self.stage(step, s, owners)
            return
        assert type(step) is Value
        d = step.defn
        if type(d) is Loop:
            self.loop(step, d, owners)
        elif type(d) is Branch:
            self.branch(step, d, owners)
        elif type(d) is Strips:
            self.block(d.block, owners)
            for r in d.results:
                self.write(r, owners)
        else:
            for v in step_reads(self.schedule, step):
                self.read(v, owners)
            for r in d.results:
                if r in self.plan.places:
                    self.write(r, owners)

    def read(self, v: Value, owners: _Owners) -> None:
        for u in chase(self.schedule, v):
            place = self.plan.places.get(u)
            if place is None:
                continue
            self.inside(u, place)
            if owners.get(place) is not u:
                self.fail(u, "a value is in its place as long as it is read")

    def write(self, v: Value, owners: _Owners) -> None:
        place = self.plan.places.get(v)
        if place is None:
            self.fail(v, "what is stored has a place")
        self.inside(v, place)
        owners[place] = v

    def inside(self, v: Value, place: Place) -> None:
        if type(place) is Piece:
            if place.number >= len(self.plan.pieces):
                self.fail(v, f"the workspace has no piece {place.number}")
            use = self.plan.pieces[place.number]
            if not use.start <= self.clock <= use.end:
                self.fail(v, f"piece {place.number} of the workspace is used outside its life")

    def stage(self, nest: Nest, s: Stage, owners: _Owners) -> None:
        v = s.value
        place = self.plan.places.get(v)
        for u, index in s.reads:
            if u in nest.contracted or u is v:
                continue
            self.read(u, owners)
            shared = place is not None and self.plan.places.get(u) == place
            if shared and not _in_place(s, index):
                self.fail(v, "an array is overwritten by what reads it element by element")
        if v in nest.contracted or self.schedule.kinds.get(v) == "reg":
            if place is not None:
                self.fail(v, "what is not stored has no place")
            return
        if s.kind == "pointwise" and type(v.defn) is Update and v.defn.parts:
            base = v.defn.base
            if base is not None and place == self.plan.places.get(base):
                # Nothing is copied: the base is there until the first part is written.
                return
        self.write(v, owners)

    def loop(self, step: Value, d: Loop, owners: _Owners) -> None:
        carries = self.plan.carries.get(step)
        if carries is None or len(carries) != len(d.inits):
            self.fail(step, "the plan says how each value of a loop is carried")
        for c, init in zip(carries, d.inits, strict=True):
            if c.filled or c.home is None:
                self.read(init, owners)
            if c.home is not None:
                if not c.filled and not _uninitialised(init):
                    self.read(init, owners)
                    if self.plan.places.get(init) != c.home:
                        self.fail(c.value, "the initial value of a carry is in its buffer")
                self.inside(c.value, c.home)
        for c in carries:
            if c.home is not None:
                owners[c.home] = None
            if c.value in self.plan.places:
                owners[self.plan.places[c.value]] = c.value
        if d.cond is not None:
            self.block(d.cond, owners)
        self.block(d.body, owners)
        for k, c in enumerate(carries):
            if c.how == "swap" and not c.written:
                last = carries[last_heir(carries, k)].value
                self.left(c.out, Current(last), owners)
            elif c.how == "move" and c.source is not None:
                self.left(c.out, Current(carries[c.source].value), owners)
            elif c.how == "swap" and c.written == "computed":
                self.left(c.out, Next(c.value), owners)
            elif c.how != "reg" or c.home is not None:
                self.read(c.out, owners)
        for c in carries:
            if c.home is not None:
                owners[c.home] = c.result

    def left(self, v: Value, place: Place, owners: _Owners) -> None:
        """``v`` is at ``place`` when a round ends."""
        if owners.get(place) is not v:
            self.fail(v, "a carry's new value is where the next round looks for it")

    def branch(self, step: Value, d: Branch, owners: _Owners) -> None:
        self.read(d.index, owners)
        ends = []
        joins = self.plan.joins.get(step)
        if joins is None or len(joins) != len(d.blocks):
            self.fail(step, "the plan says how the results of each case are joined")
        for b, copied in zip(d.blocks, joins, strict=True):
            mine = dict(owners)
            self.block(b, mine)
            for r, result, copy in zip(b.results, d.results, copied, strict=True):
                self.read(r, mine)
                place = self.plan.places.get(result)
                if place is not None and not copy and self.plan.places.get(r) != place:
                    self.fail(result, "a branch leaves its result in its place")
            ends.append(mine)
        for place in {p for end in ends for p in end}:
            found = {id(end.get(place)) for end in ends}
            owners[place] = ends[0].get(place) if len(found) == 1 else None
        for result in d.results:
            if result in self.plan.places:
                self.write(result, owners)


def _in_place(s: Stage, index: Sequence[Index]) -> bool:
    d = s.value.defn
    if s.kind == "part":
        return key_of(index) == key_of(s.part.dest)
    return type(d) is Update or bool(getattr(d, "flat", False)) or identity(index)


def _uninitialised(v: Value) -> bool:
    return type(v.defn) is Update and v.defn.base is None and not v.defn.parts
