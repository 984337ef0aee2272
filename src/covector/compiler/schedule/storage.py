"""The storage plan: where each value in memory is while a program runs.

A place is a buffer of the caller (an argument, a constant, a result), a piece of the
workspace, or one of the two buffers that a carried value has in turn. Values share a place
where one is computed from the last use of the other (`sharing`). All of it is decided here,
before anything is written: what is donated, what is copied, and which small arrays in
registers need a copy on the stack because they are read at positions known at run time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from covector.compiler.ir.nodes import (
    Block,
    Bound,
    Branch,
    Constant,
    Dim,
    Input,
    Loop,
    LoopProgram,
    Strips,
    Sym,
    Update,
    Value,
)
from covector.compiler.ir.walk import block_reads
from covector.compiler.schedule.nodes import Nest, Schedule, Step
from covector.compiler.schedule.sharing import Sharing, chase, share
from covector.compiler.schedule.spills import spilled
from covector.core.record import Record


class Argument(Record):
    """A buffer of the caller: inputs, constants, then results that are computed."""

    position: int
    kind: str = "argument"


class Piece(Record):
    """A piece of the workspace."""

    number: int
    kind: str = "piece"


class Current(Record):
    """The buffer in which a carried value is in this round."""

    carry: Value
    kind: str = "current"


class Next(Record):
    """The buffer in which a carried value is to be in the next round."""

    carry: Value
    kind: str = "next"


Place = Argument | Piece | Current | Next


class PieceUse(Record):
    """What a piece of the workspace holds, and the first and last outermost step that use it."""

    dims: tuple[Dim, ...]
    itemsize: int
    start: int
    end: int


class Carry(Record):
    """How one carried value is kept between rounds.

    Attributes
    ----------
    value, result, out : Value
        The carry as the body sees it, after the last round, and what the body makes of it.
    how : str
        ``reg`` (in registers), ``fixed`` (left alone), ``inplace`` (a buffer that each round
        updates), ``swap`` (two buffers in turn), ``move`` (in the buffer of another carry).
    home, other : Place or None
        Its buffer, and the second one.
    filled : bool
        Whether the initial value has to be written to ``home``.
    written : str
        For ``swap``, how the new value gets into the next buffer: ``computed`` there,
        ``copied``, or nothing where it is left there by others.
    source, heir : int or None
        The carry whose buffer it takes over each round, and the one that takes over its own.
    """

    value: Value
    result: Value
    out: Value
    how: str
    home: Place | None = None
    other: Piece | None = None
    filled: bool = False
    written: str = ""
    source: int | None = None
    heir: int | None = None


def last_heir(carries: Sequence[Carry], k: int) -> int:
    """The carry whose buffer is left over when buffers have moved on to their heirs."""
    while (heir := carries[k].heir) is not None:
        k = heir
    return k


class Storage(Record):
    """The storage plan of a program.

    Attributes
    ----------
    places : mapping
        Value to place, of those in memory.
    carries : mapping
        Step that is a loop to how its carries are kept.
    joins : mapping
        Step that is a branch to, for each block and result, whether it is copied at the end.
    pieces : tuple of PieceUse
    donations : tuple of (input, result)
        Pairs for which the caller passes one address.
    copies : tuple of (Value, Argument)
        Results that are copied when all has been computed.
    spilled : frozenset of Value
        Small arrays in registers that have a copy on the stack where they are read.
    """

    places: Mapping[Value, Place]
    carries: Mapping[Value, tuple[Carry, ...]]
    joins: Mapping[Value, tuple[tuple[bool, ...], ...]]
    pieces: tuple[PieceUse, ...]
    donations: tuple[tuple[int, int], ...]
    copies: tuple[tuple[Value, Argument], ...]
    spilled: frozenset[Value]
    workspace: int


def plan_storage(program: LoopProgram, schedule: Schedule) -> Storage:
    """The storage plan of a scheduled program."""
    return _Planner(program, schedule).storage()


class _Planner:
    """Walks the steps in the order in which they run."""

    def __init__(self, program: LoopProgram, schedule: Schedule) -> None:
        self.program = program
        self.schedule = schedule
        self.places: dict[Value, Place] = {}
        self.carries: dict[Value, tuple[Carry, ...]] = {}
        self.joins: dict[Value, tuple[tuple[bool, ...], ...]] = {}
        self.pieces: list[PieceUse] = []
        # The outermost step at hand, counted from 1.
        self.clock = 0

    def storage(self) -> Storage:
        p = self.program
        for k, v in enumerate([*p.inputs, *p.consts]):
            self.places[v] = Argument(k)
        donated = [v for v, d in zip(p.inputs, p.donated, strict=False) if d]
        sharing = share(self.schedule, p.block, donated=donated)
        dest, copies, donations, workspace = self._results(sharing, donated)
        self._block(p.block, dest, sharing, outermost=True)
        return Storage(
            self.places, self.carries, self.joins, tuple(self.pieces), donations, copies,
            spilled(self.schedule), workspace,
        )  # fmt: skip

    def _results(
        self, sharing: Sharing, donated: Sequence[Value]
    ) -> tuple[
        dict[Value, Place], tuple[tuple[Value, Argument], ...], tuple[tuple[int, int], ...], int
    ]:
        """Where results are computed, which are copied, and which overwrite an argument."""
        p = self.program
        dest: dict[Value, Place] = {}
        copies: list[tuple[Value, Argument]] = []
        donations: list[tuple[int, int]] = []
        k = len(p.inputs) + len(p.consts)
        for position, v in enumerate(p.block.results):
            if type(v.defn) in (Input, Constant):
                continue
            origin = sharing.root(v)
            if origin in donated and v not in dest:
                # The caller passes the same address for the argument and the result.
                donations.append((p.inputs.index(origin), position))
                dest[v] = self.places[origin]
            elif v in dest or self.schedule.kinds[v] == "reg":
                copies.append((v, Argument(k)))
            else:
                dest[v] = Argument(k)
            k += 1
        return dest, tuple(copies), tuple(donations), k

    # --- blocks and steps ---

    def _block(
        self, block: Block, dest: Mapping[Value, Place], sharing: Sharing, outermost: bool = False
    ) -> None:
        """Place what a block computes, results at ``dest``."""
        targets = dict(dest)
        for v, place in dest.items():
            u = v
            while u in sharing.alias:
                u = sharing.alias[u]
                targets.setdefault(u, place)
        scope = _Scope(targets, sharing)
        for k, step in enumerate(self.schedule.steps[block]):
            if outermost:
                self.clock += 1
                self._touch(sharing.reads[k])
            self._step(step, scope)

    def _step(self, step: Step, scope: _Scope) -> None:
        if type(step) is Nest:
            for s in step.stages:
                v = s.value
                if v in self.places:
                    self._touch((v,))
                elif v not in step.contracted and not (s.kind == "reduce" and s.few):
                    self._place(v, scope)
            return
        assert type(step) is Value
        d = step.defn
        if type(d) is Loop:
            self._loop(step, d, scope)
        elif type(d) is Branch:
            self._branch(step, d, scope)
        elif type(d) is Strips:
            dest: dict[Value, Place] = {}
            for r, inner, whole in zip(d.results, d.block.results, d.whole, strict=True):
                place = self._place(r, scope)
                if whole:
                    dest[inner] = place
            self._block(d.block, dest, share(self.schedule, d.block))
        else:
            # A library call, or a reduction of several values.
            for r in d.results:
                self._place(r, scope)

    def _touch(self, values: Iterable[Value]) -> None:
        """The step at hand uses these values."""
        for v in values:
            place = self.places.get(v)
            if type(place) is Piece:
                self._extend(place)

    def _extend(self, piece: Piece) -> None:
        use = self.pieces[piece.number]
        if use.end != self.clock:
            self.pieces[piece.number] = PieceUse(use.dims, use.itemsize, use.start, self.clock)

    def _place(self, v: Value, scope: _Scope) -> Place:
        """Give ``v`` a place."""
        place = scope.dest.get(v)
        shared = scope.sharing.alias.get(v)
        if place is None and shared is not None:
            place = self.places.get(shared)
        if place is None:
            place = self._piece(v)
        elif type(place) is Piece:
            self._extend(place)
        self.places[v] = place
        return place

    def _piece(self, v: Value) -> Piece:
        self.pieces.append(PieceUse(tuple(v.shape), v.dtype.itemsize, self.clock, self.clock))
        return Piece(len(self.pieces) - 1)

    # --- loops ---

    def _loop(self, step: Value, d: Loop, scope: _Scope) -> None:
        kinds = self.schedule.kinds
        kept = [c for c in d.carries if kinds[c] == "mem"]
        sharing = share(self.schedule, d.body, carries=kept)
        moves = _find_moves(d, kept)
        carries = [
            self._carry(d, k, moves, sharing, scope) for k in range(len(d.carries))
        ]  # fmt: skip
        if d.cond is not None:
            self._block(d.cond, {}, share(self.schedule, d.cond))
        dest: dict[Value, Place] = {}
        fresh = set(d.body.values)
        for k, c in enumerate(carries):
            root = sharing.root(c.out)
            if c.how == "inplace":
                assert c.home is not None
                dest[c.out] = c.home
            elif c.how == "swap" and root is not carries[last_heir(carries, k)].value:
                there = (
                    c.out in fresh and c.out not in dest and kinds[c.out] == "mem"
                    and type(root.defn) is not Bound
                )  # fmt: skip
                if there:
                    dest[c.out] = Next(c.value)
                carries[k] = c._replace(written="computed" if there else "copied")
        self._block(d.body, dest, sharing)
        self.carries[step] = tuple(carries)

    def _carry(
        self, d: Loop, k: int, moves: Mapping[int, int], sharing: Sharing, scope: _Scope
    ) -> Carry:
        """How carry ``k`` is kept; ``moves`` tells whose buffer a carry takes over."""
        value, result, out, init = d.carries[k], d.results[k], d.body.results[k], d.inits[k]
        source = moves.get(k)
        heir = next((h for h, s in moves.items() if s == k), None)
        if self.schedule.kinds[value] == "reg":
            return Carry(value, result, out, "fixed" if out is value else "reg")
        home = self._place(result, scope)
        empty = type(init.defn) is Update and init.defn.base is None and not init.defn.parts
        filled = not empty and self.places.get(init) != home
        if out is value:
            self.places[value] = home
            return Carry(value, result, out, "fixed", home, None, filled)
        if sharing.root(out) is value:
            self.places[value] = home
            return Carry(value, result, out, "inplace", home, None, filled)
        how = "swap" if source is None else "move"
        other = self._piece(value)
        self.places[value] = Current(value)
        return Carry(value, result, out, how, home, other, filled, "", source, heir)

    # --- branches ---

    def _branch(self, step: Value, d: Branch, scope: _Scope) -> None:
        kinds = self.schedule.kinds
        for r in d.results:
            if kinds[r] != "reg":
                self._place(r, scope)
        joins = []
        for b in d.blocks:
            sharing = scope.sharing.inner[b]
            fresh = set(b.values)
            reads = {u for v in block_reads(b) for u in chase(self.schedule, v)}
            dest: dict[Value, Place] = {}
            for r, result in zip(b.results, d.results, strict=True):
                old = scope.sharing.alias.get(result)
                if (
                    kinds[result] != "reg" and r in fresh and r not in dest and kinds[r] == "mem"
                    and (old not in reads or sharing.root(r) is old)
                ):  # fmt: skip
                    dest[r] = self.places[result]
            self._block(b, dest, sharing)
            joins.append(tuple([
                kinds[result] != "reg" and self.places.get(r) != self.places[result]
                for r, result in zip(b.results, d.results, strict=True)
            ]))  # fmt: skip
        self.joins[step] = tuple(joins)


class _Scope:
    """For the block at hand: where values are to be computed, and what shares a buffer."""

    __slots__ = ("dest", "sharing")

    def __init__(self, dest: Mapping[Value, Place], sharing: Sharing) -> None:
        self.dest = dest
        self.sharing = sharing


def _find_moves(d: Loop, kept: Sequence[Value]) -> dict[int, int]:
    """Carries that become others, by whose buffer they take over: nothing is copied."""
    mine = [k for k, c in enumerate(d.carries) if c in kept and d.body.results[k] is not c]
    free = {d.carries[k]: k for k in mine}
    return {k: free.pop(d.body.results[k]) for k in mine if d.body.results[k] in free}


# --- the workspace -----------------------------------------------------------------------


def piece_sizes(pieces: Sequence[PieceUse]) -> list[tuple[object, ...]]:
    """Sizes and lifetimes of the workspace's pieces, as data for `workspace.workspace_layout`."""
    out: list[tuple[object, ...]] = []
    for t in pieces:
        dims = tuple([("s", d.slot) if type(d) is Sym else d for d in t.dims])
        out.append((dims, t.itemsize, t.start, t.end))
    return out
