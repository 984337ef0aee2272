"""Elements of values: indices, expressions, loads and stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from covector import _native
from covector.backends.cpu.emit import ahead, indexing, memory, structures
from covector.backends.cpu.emit.ahead import Ahead
from covector.backends.cpu.emit.indexing import AnyIdx, Idx, Run
from covector.backends.cpu.emit.memory import Guard, Tail
from covector.backends.cpu.emit.storage import Mem, Regs, flat_positions, positions
from covector.backends.cpu.numerics import ops
from covector.backends.cpu.numerics.number import Cx, Number, real
from covector.backends.cpu.writer import Function, Module, Val, Vectors, int_const
from covector.compiler.ir.nodes import (
    Expr,
    FromIndex,
    IDyn,
    Index,
    IOp,
    IPart,
    IVar,
    Lit,
    Load,
    LoopProgram,
    Op,
    Pointwise,
    Sym,
    Test,
    Update,
    Value,
    Where,
    iop,
)
from covector.compiler.ir.walk import loads
from covector.compiler.schedule.loops import numbers
from covector.compiler.schedule.nodes import Extent, Schedule, Times
from covector.compiler.schedule.storage import Argument, Piece, Place, Storage
from covector.core import dtypes
from covector.core.dtypes import DType

ZERO = int_const(0)
# What compiled code, and what it calls, returns if all went well.
STATUSES = _native.statuses
OK = STATUSES["ok"]
# Elements, roughly, between two looks for signals: some tens of microseconds.
PATIENCE = 1 << 16
# Elements of a short piece of an array.
SHORT = 64
TRUE, FALSE = Val("true", "i1"), Val("false", "i1")

# A comparison of indices: how, and which.
Limit = tuple[str, AnyIdx, AnyIdx]


def _is_uniform(limit: Limit) -> bool:
    """Whether a comparison is the same for all lanes."""
    return limit[1].uniform and limit[2].uniform


def _reads(index: Index) -> bool:
    """Whether something is read for an index."""
    return any(True for _ in loads(index))


def _last(i: IOp) -> Index | None:
    """The most that an index is which is kept between 0 and a limit."""
    if i.op == "max" and i.b == 0 and type(i.a) is IOp and i.a.op == "min":
        return i.a.b
    if i.op != "inside":
        return None
    return i.b.a if type(i.b) is IOp and i.b.op == "+" and i.b.b == 1 else iop("-", i.b, 1)


def _is_long(tests: Sequence[Test]) -> bool:
    """Whether indices may be in a range for long."""
    return all([
        type(hi) is not int or type(lo) is not int or hi - lo > SHORT for _, lo, hi in tests
    ])  # fmt: skip


class ValueEmitter:
    """Writes elements of values. The current function is ``b``; ``lanes`` of the current loop."""

    def __init__(
        self, program: LoopProgram, schedule: Schedule, plan: Storage, vectors: Vectors
    ) -> None:
        self.program = program
        self.schedule = schedule
        self.plan = plan
        self.module = Module(vectors)
        self.root = Function(
            self.module, "entry", "define i32 @entry(ptr %bufs, ptr %params, ptr %rt)", None
        )
        self.b = self.root
        self.storage: dict[Value, Mem | Regs] = {}
        self.lanes = 0
        self.tail: Tail | None = None
        # Of strips: the value that is the index along them, and what it is in the lanes.
        self.strip: Value | None = None
        self.lane = Idx(0)
        # What is read of it step by step, an element of each lane's row.
        self.ahead: dict[Value, Ahead] = {}
        # What is written past the caches: the bits of an address that are zero where it is.
        self.streamed: dict[Value, Val] = {}
        # Of what there is no more than a row: along which axis it lies, and where.
        self.at_hand: dict[Value, tuple[int, Idx]] = {}
        # The lanes whose results are used, inside a condition that differs between them.
        self.guard: Guard | None = None
        # The condition on which the result is used, where it is one for all lanes.
        self.within: Val | None = None
        # Whether conditions on indices are the same for all lanes; whether those around what is
        # written hold where it runs; whether an index is only used where they hold.
        self.steady = False
        # What of such conditions is known where the code at hand runs, by their names.
        self.known: dict[str, bool] = {}
        # On which side of the loop at hand each border is at which a condition changes: the begin,
        # or not; and of which sides the borders are that no vector reaches across.
        self.borders: dict[int | str, bool] = {}
        self.zone: frozenset[bool] = frozenset()
        self.certain = True
        self.granted = False
        # The level of the innermost branch: what is read in it is not read before it.
        self.floor = 0
        self.rt = Val("%rt", "ptr", 0, self.root, 0)
        self._params: dict[int, Val] = {}
        # The addresses of places; those of carries that go round hold for one round.
        self.addresses: dict[Place, Val] = {}
        self.workspace: Val
        # Rows of results, a row a lane, that are written when all their elements are known; and
        # the level of the loop whose rounds are the lanes.
        self.pending: dict[object, structures.Pending] = {}
        self.row_level = 0
        self._spilled: dict[tuple[int, Value], Mem] = {}
        self._stamp = 0

    # --- interface of the function ---

    def argument(self, k: int) -> Val:
        """The ``k``-th pointer of the caller's buffer list."""
        b = self.root
        ref = b.name_value()
        b.prologue += [
            f"  {ref}.a = getelementptr ptr, ptr %bufs, i64 {k}",
            f"  {ref} = load ptr, ptr {ref}.a",
        ]
        return Val(ref, "ptr", 0, b, 0)

    def param(self, slot: int) -> Val:
        """The ``slot``-th run-time integer."""
        found = self._params.get(slot)
        if found is None:
            b = self.root
            ref = b.name_value()
            b.prologue += [
                f"  {ref}.a = getelementptr i64, ptr %params, i64 {slot}",
                f"  {ref} = load i64, ptr {ref}.a, !range !{{i64 0, i64 4611686018427387904}}",
            ]
            found = self._params[slot] = Val(ref, "i64", 0, b, 0)
        return found

    def parameters(self) -> Iterable[Val]:
        """The run-time integers that were asked for."""
        return self._params.values()

    def dim(self, d: Extent) -> int | Val:
        """A dimension (or a product of dimensions) as a number in the code."""
        if type(d) is int:
            return d
        if type(d) is Sym:
            return self.b.local(self.param(d.slot))
        assert type(d) is Times
        return indexing.mul(self.b, self.dim(d.a), self.dim(d.b))

    def runtime(self, name: str) -> Val:
        """The address of a function of the native runtime library."""
        slot = _native.runtime_slots[name]
        at = f"getelementptr ptr, ptr %s, i64 {slot}"
        p = self.b.ins(("rt", slot), at, (self.rt,), "ptr", 0)
        return self.b.ins(("rtf", slot), "load ptr, ptr %s", (p,), "ptr", 0)

    def leave_unless_ok(self, status: Val, *first: str) -> None:
        """End the program with the status of a call that failed, after some instructions."""
        b = self.b
        assert b is self.root, "only the program itself can be left"
        b.unless(b.cmp("icmp eq", status, int_const(OK, "i32")), *first, f"ret i32 {status.ref}")

    def look_out(self) -> None:
        """Let the main thread handle signals that have come, which may end the program."""
        self.leave_unless_ok(self.signals())

    def signals(self) -> Val:
        """The status of the program once signals that have come are handled."""
        # This touches nothing that the program works on, which LLVM may keep in registers.
        call = f"call i32 {self.runtime('poll').ref}() cold memory(inaccessiblemem: readwrite)"
        return self.b.impure(call, "i32")

    # --- places ---

    def address_of(self, place: Place) -> Val:
        """The pointer to a place of the storage plan."""
        found = self.addresses.get(place)
        if found is None:
            if type(place) is Argument:
                found = self.argument(place.position)
            else:
                assert type(place) is Piece
                found = self._piece(place.number)
            self.addresses[place] = found
        return found

    def _piece(self, number: int) -> Val:
        """The address of a piece of the workspace; its offset is a parameter."""
        root = self.root
        offset = self.param(len(self.program.syms) + number)
        ref = root.name_value()
        root.prologue.append(
            f"  {ref} = getelementptr i8, ptr {self.workspace.ref}, i64 {offset.ref}"
        )
        return Val(ref, "ptr", 0, root, 0)

    def place(self, v: Value) -> Mem:
        """From here on, ``v`` is where the plan says."""
        mem = Mem(self.address_of(self.plan.places[v]), self.b.level, self.b)
        self.storage[v] = mem
        return mem

    def memory(self, v: Value) -> Mem:
        """Where a value is that has been placed."""
        st = self.storage[v]
        assert isinstance(st, Mem), f"{v} is not in memory"
        return st

    def pointer(self, v: Value) -> Val:
        """The address of a value for a call."""
        st = self.storage[v]
        mem = st if isinstance(st, Mem) else self.spill(v, st)
        return self.b.local(mem.ptr)

    def spill(self, v: Value, st: Regs) -> Mem:
        """A copy on the stack of an array held in registers, as far out as its elements allow."""
        assert v in self.plan.spilled, f"{v} is not planned to be in memory"
        b = self.b
        key = (id(b), v)
        found = self._spilled.get(key)
        if found is not None and found.level <= b.level:
            return found
        ty = memory.memory_type(v.dtype)
        parts = 2 if st.elements and isinstance(st.elements[0], Cx) else 1
        ptr = b.alloca(f"[{parts * max(1, len(st.elements))} x {ty}]")
        level = 0
        for x in st.elements:
            for p in x if isinstance(x, Cx) else (x,):
                level = max(level, b.local(p).level)
        scopes, outer = b.scopes, (self.lanes, self.tail)
        b.scopes, self.lanes, self.tail = scopes[: level + 1], 0, None
        for k, x in enumerate(st.elements):
            memory.store_scalar(b, ptr, v.dtype, int_const(k), x)
        b.scopes, (self.lanes, self.tail) = scopes, outer
        mem = self._spilled[key] = Mem(ptr, level, b)
        return mem

    # --- indices ---

    def index(self, i: Index, env: Sequence[AnyIdx]) -> AnyIdx:
        if type(i) is IVar:
            return env[i.axis]
        if type(i) is int:
            return Idx(i)
        if type(i) is Sym:
            return Idx(self.dim(i))
        if type(i) is IOp:
            return self._combined(i, self.index(i.a, env), self.index(i.b, env))
        if type(i) is IPart:
            return indexing.PartIdx(self, self.index(i.position, env), i.dims, i.axis)
        assert type(i) is IDyn
        if type(i.expr) is Load and i.expr.value is self.strip:
            return self.lane
        outer = self.certain, self.granted
        self.certain, self.granted = self.certain and not self.granted, False
        found = self.expr(i.expr, env)
        self.certain, self.granted = outer
        if i.expr.dtype == dtypes.int32 and real(found).lanes:
            return Idx(0, 0, real(found))
        v = real(ops.convert(self.b, found, i.expr.dtype, dtypes.int64))
        if v.lanes:
            return Idx(0, 0, v)
        return Idx(int(v.ref)) if v.fn is None else Idx(v)

    def _combined(self, i: IOp, x: AnyIdx, y: AnyIdx) -> Idx:
        """The index ``i`` of what its operands are."""
        if i.op == "inside":
            found = self._inside(x, y)
        elif self._is_ahead(i, x, y):
            assert type(x) is Idx and type(y.base) is int
            return indexing.further(self.b, x, y.base)
        else:
            found = indexing.combine(self.b, i.op, x, y, self.lanes)
        if found.vec is not None:
            last = _last(i)
            if last is not None:
                found.run = Run(found.vec, 0, last)
        return found

    def _is_ahead(self, i: IOp, x: AnyIdx, y: AnyIdx) -> bool:
        """Whether ``x + y`` is one of a run, a number of elements behind ``x``."""
        if i.op != "+" or self.program.large or type(x) is not Idx or x.run is None:
            return False
        if type(y) is not Idx or not y.uniform or type(y.base) is not int:
            return False
        return y.base >= 0 and x.run.reaches(y.base)

    def _inside(self, i: AnyIdx, size: AnyIdx) -> Idx:
        """An index that a condition guards: lanes it rules out are masked when it is used."""
        masked = self.guard is not None and not i.uniform
        if (masked or self.granted) and i.vec is None:
            return Idx(i.base, i.stride, None, True, i.way)
        known = i.uniform and type(i.base) is int and type(size.base) is int
        if self.within is not None and self.guard is None and i.uniform and not known:
            return Idx(self.b.select(self.within, indexing.val(i.base), ZERO))
        last = indexing.combine(self.b, "-", size, Idx(1), self.lanes)
        i = indexing.combine(self.b, "min", i, last, self.lanes)
        return indexing.combine(self.b, "max", i, Idx(0), self.lanes)

    def address(self, v: Value, index: Sequence[AnyIdx]) -> Idx:
        """Position in row-major order of an element of ``v``."""
        if v in self.at_hand:
            axis, row = self.at_hand[v]
            index = [*index[:axis], row, *index[axis + 1 :]]
        strides: list[int | Val] = [1] * v.ndim
        for k in range(v.ndim - 2, -1, -1):
            strides[k] = indexing.mul(self.b, strides[k + 1], self.dim(v.shape[k + 1]))
        # Where lanes of an index have 32 bits, so have those of the position.
        few = not self.program.large and any(map(indexing.is_narrow, index))
        total = Idx(0)
        vec: Val | None = None
        k = 0
        while k < v.ndim:
            i, end = indexing.whole_box(index, v.shape, k) or (index[k], k + 1)
            stride = strides[end - 1]
            if few and i.vec is not None:
                part = indexing.times(self.b, indexing.narrow(self.b, i, self.lanes), stride)
                vec = part if vec is None else self.b.bin("add", vec, part)
            else:
                term = indexing.combine(self.b, "*", i, Idx(stride), self.lanes)
                total = indexing.combine(self.b, "+", total, term, self.lanes)
            k = end
        if vec is None:
            return total
        if not total.uniform or total.base != 0:
            vec = self.b.bin("add", vec, indexing.narrow(self.b, total, self.lanes))
        return Idx(0, 0, vec, any([i.wild for i in index]))

    # --- expressions ---

    def expr(self, e: Expr, env: Sequence[AnyIdx]) -> Number:
        if type(e) is Load:
            return self.load(e.value, [self.index(i, env) for i in e.index])
        if type(e) is Op:
            args = [self.expr(a, env) for a in e.args]
            return ops.apply(self.b, e.name, args, [a.dtype for a in e.args], e.dtype, e.attr)
        if type(e) is Lit:
            return ops.literal(e.value, e.dtype)
        if type(e) is FromIndex:
            return self._from_index(e, env)
        assert type(e) is Where
        return self._where(e, env)

    def _from_index(self, e: FromIndex, env: Sequence[AnyIdx]) -> Number:
        i = self.index(e.index, env)
        v = indexing.val(i.base) if i.uniform else indexing.to_vector(self.b, i, self.lanes)
        return ops.convert(self.b, v, dtypes.int64, e.dtype)

    def _where(self, e: Where, env: Sequence[AnyIdx]) -> Number:
        b = self.b
        element = self._element(e, env)
        if element is not None:
            return self.load(*element)
        if self.steady:
            same = self._condition(e.tests, env)
            if type(same) is Val:
                return self._branched(same, e, env)
            if same is not None:
                return self._certainly(e.then if same else e.other, env)
        limits = self._asked(e.tests, env)
        # First what is the same for all lanes, of which something may be known.
        same = limits is not None and self._all([x for x in limits if _is_uniform(x)])
        if limits is None or same is False:
            return self._certainly(e.other, env)
        cond = same if type(same) is Val else None
        # Whether the condition holds for all lanes, or for none, where that can be told.
        every: Val | None = cond or TRUE
        none: Val | None = FALSE if cond is None else b.bin("xor", cond, TRUE)
        for op, x, y in [x for x in limits if not _is_uniform(x)]:
            ok = self.compare(op, x, y)
            assert type(ok) is Val
            cond = ok if cond is None else b.bin("and", cond, ok)
            yes, no = self._of_all_lanes(op, x, y, ok)
            every = None if every is None or yes is None else b.bin("and", every, yes)
            none = None if none is None or no is None else b.bin("or", none, no)
        if cond is None:
            return self._certainly(e.then, env)
        outer = self.certain, self.granted
        self.certain = self.granted = False
        if not cond.lanes:
            around = self.within
            self.within = cond if around is None else b.bin("and", around, cond)
            then = self.expr(e.then, env)
            against = b.bin("xor", cond, TRUE)
            self.within = against if around is None else b.bin("and", around, against)
            other = self.expr(e.other, env)
            self.within = around
        else:
            then = self._under(Guard(cond, every), e.then, env)
            other = self._under(Guard(b.bin("xor", cond, TRUE), none), e.other, env)
        self.certain, self.granted = outer
        return ops.select(b, cond, then, other)

    def _certainly(self, e: Expr, env: Sequence[AnyIdx]) -> Number:
        """That of two expressions which is the one, as the conditions between them are known."""
        granted = self.granted
        if self.steady or self.zone:
            self.granted = self.certain
        out = self.expr(e, env)
        self.granted = granted
        return out

    def _branched(self, cond: Val, e: Where, env: Sequence[AnyIdx]) -> Number:
        """One of two expressions, of which the other is not computed."""
        granted, self.granted = self.granted, self.certain

        def side(x: Expr) -> list[Val]:
            floor, self.floor = self.floor, self.b.level
            found = self.expr(x, env)
            self.floor = floor
            parts = (found.re, found.im) if isinstance(found, Cx) else (found,)
            return [self.b.local(self.b.splat(p, self.lanes)) for p in parts]

        parts = self.b.branch(cond, lambda: side(e.then), lambda: side(e.other))
        self.granted = granted
        return Cx(*parts) if len(parts) == 2 else parts[0]

    def _element(self, e: Expr, env: Sequence[AnyIdx]) -> tuple[Value, list[AnyIdx]] | None:
        """The one element that an expression is, if it has conditions which are the same for all
        lanes and choose between elements of one value."""
        if type(e) is Load:
            return self._behind(e.value, [self.index(i, env) for i in e.index], True)
        if type(e) is not Where:
            return None
        cond = self._condition(e.tests, env)
        if cond is None:
            return None
        granted, self.granted = self.granted, self.certain
        if type(cond) is bool:
            found = self._element(e.then if cond else e.other, env)
            self.granted = granted
            return found
        sides = [self._side(x, env) for x in (e.then, e.other)]
        found = self._joined(cond, *sides)
        if found is None:
            sides = [self._element(x, env) for x in (e.then, e.other)]
            found = self._joined(cond, *sides)
        self.granted = granted
        return None if found is None else self._behind(*found, True)

    def _side(self, e: Expr, env: Sequence[AnyIdx]) -> tuple[Value, list[AnyIdx]] | None:
        if type(e) is not Load:
            return None
        return self._behind(e.value, [self.index(i, env) for i in e.index], False)

    def _behind(self, v: Value, index: list[AnyIdx], chosen: bool) -> tuple[Value, list[AnyIdx]]:
        """What an element of a value that is not stored is an element of.

        Conditions are looked behind only if ``chosen``.
        """
        while self.schedule.inline(v):
            e = v.defn.expr
            if type(e) is Load:
                v, index = e.value, [self.index(i, index) for i in e.index]
                continue
            found = self._element(e, index) if chosen and type(e) is Where else None
            return found or (v, index)
        return v, index

    def _joined(
        self,
        cond: Val,
        x: tuple[Value, list[AnyIdx]] | None,
        y: tuple[Value, list[AnyIdx]] | None,
    ) -> tuple[Value, list[AnyIdx]] | None:
        """One of two elements of the same value."""
        if x is None or y is None or x[0] is not y[0]:
            return None
        index = [indexing.chosen(self.b, cond, i, j) for i, j in zip(x[1], y[1], strict=True)]
        known = [i for i in index if i is not None]
        return (x[0], known) if len(known) == len(index) else None

    def _condition(self, tests: Sequence[Test], env: Sequence[AnyIdx]) -> Val | bool | None:
        """Whether all tests hold; None if that differs between lanes."""
        limits = self._asked(tests, env)
        if limits is None:
            return False
        return self._all(limits) if all(map(_is_uniform, limits)) else None

    def _all(self, limits: Sequence[Limit]) -> Val | bool:
        """Whether all comparisons hold."""
        cond: Val | bool = True
        for op, x, y in limits:
            ok = self.compare(op, x, y)
            if ok is False:
                return False
            if ok is not True:
                cond = self.b.bin("and", cond, ok) if type(cond) is Val else ok
        if type(cond) is Val and cond.ref in self.known:
            return self.known[cond.ref]
        return cond

    def usual(
        self, e: Expr, env: Sequence[AnyIdx], found: dict[str, tuple[Val, bool]], seen: set[object]
    ) -> None:
        """Add the conditions in an expression that are the same for all lanes, by their names, and
        whether they hold where elements are those of the longest pieces.

        Nothing is read: what indices compute is not looked at.
        """
        if type(e) is Where:
            given = not any([_reads(i) for test in e.tests for i in test])
            cond = self._condition(e.tests, env) if given else None
            long = _is_long(e.tests)
            if type(cond) is Val:
                found[cond.ref] = cond, long
            for x, holds in ((e.then, True), (e.other, False)):
                if cond is None or (cond is holds if type(cond) is bool else long is holds):
                    self.usual(x, env, found, seen)
        elif type(e) is Op:
            for a in e.args:
                self.usual(a, env, found, seen)
        elif type(e) is Load and self.schedule.inline(e.value) and not any(map(_reads, e.index)):
            index = [self.index(i, env) for i in e.index]
            key = (e.value, *[i.key() for i in index])
            if key not in seen:
                seen.add(key)
                self.usual(e.value.defn.expr, index, found, seen)

    def _under(self, guard: Guard, e: Expr, env: Sequence[AnyIdx]) -> Number:
        """An expression of which only these lanes are used."""
        outer = self.guard
        self.guard = guard.both(self.b, outer)
        out = self.expr(e, env)
        self.guard = outer
        return out

    def _of_all_lanes(
        self, op: str, x: AnyIdx, y: AnyIdx, ok: Val
    ) -> tuple[Val | None, Val | None]:
        """Whether all lanes of a comparison hold, and whether none does."""
        b = self.b
        if not ok.lanes:
            return ok, b.bin("xor", ok, TRUE)
        if not y.uniform or x.vec is not None or type(x.stride) is not int or x.stride != 1:
            return None, None
        first, bound = indexing.val(x.base), indexing.val(y.base)
        last = b.bin("add", first, int_const(self.lanes - 1))
        if op == "sge":
            return b.cmp("icmp sge", first, bound), b.cmp("icmp slt", last, bound)
        return b.cmp("icmp slt", last, bound), b.cmp("icmp sge", first, bound)

    def compare(self, op: str, x: AnyIdx, y: AnyIdx) -> Val | bool:
        """A comparison (``sge slt``, ``ult`` of scalars), decided at once where it is possible."""
        if x.uniform and y.uniform:
            if type(x.base) is int and type(y.base) is int:
                return x.base >= y.base if op == "sge" else x.base < y.base
            return self.b.cmp(f"icmp {op}", indexing.val(x.base), indexing.val(y.base))
        b = self.b
        if y.uniform and x.vec is None and type(x.stride) is int and x.stride == 1:
            # The lanes from, or before, the one at which the index is y.
            lane = indexing.sub(b, y.base, indexing.val(x.base))
            return indexing.lanes_from(b, op, lane, self.lanes)
        u = indexing.to_vector(b, x, self.lanes)
        return b.cmp(f"icmp {op}", u, indexing.to_vector(b, y, self.lanes))

    def _asked(self, tests: Sequence[Test], env: Sequence[AnyIdx]) -> list[Limit] | None:
        """The comparisons of conditions between elements, without those that hold here; None where
        one does not."""
        asked: list[Limit] = []
        for test in tests:
            i, lo, hi = [self.index(x, env) for x in test]
            if i.way is not None and self.zone:
                limits: list[Limit] = [("sge", i, lo), ("slt", i, hi)]
                found = [self._holds(x) for x in limits]
                if False in found:
                    return None
                asked += [x for x, holds in zip(limits, found, strict=True) if not holds]
                continue
            if self.steady:
                # The first element gives the answer of the others.
                i, lo, hi = [x if x.way is None else Idx(x.way[0]) for x in (i, lo, hi)]
            asked += self._limits(i, lo, hi)
        return asked

    def _holds(self, limit: Limit) -> bool | None:
        """Whether a comparison holds in this zone of the loop at hand, if that can be told."""
        op, x, y = limit
        assert x.way is not None
        border = indexing.sub(self.b, y.base, x.way[0])
        key = border if isinstance(border, int) else self.b.local(border).ref
        at_begin = self.borders.get(key)
        return None if at_begin not in self.zone else (op == "sge") == at_begin

    def _limits(self, i: AnyIdx, lo: AnyIdx, hi: AnyIdx) -> list[Limit]:
        """The comparisons that make up ``lo <= i < hi``."""
        scalar = i.uniform and lo.uniform and hi.uniform and type(i.base) is Val
        if not scalar or lo.base != 0:
            return [("sge", i, lo), ("slt", i, hi)]
        # Negative numbers are large ones without a sign: one comparison will do.
        most = self.b.intrinsic("smax", indexing.val(hi.base), int_const(0))
        return [("ult", i, Idx(most))]

    def tests(self, tests: Sequence[Test], env: Sequence[AnyIdx]) -> Val | bool:
        """Whether all tests hold, decided at once where that is possible."""
        indices = [[self.index(x, env) for x in test] for test in tests]
        return self._all([x for i in indices for x in self._limits(*i)])

    # --- elements of values ---

    def remember(self, v: Value, index: Sequence[AnyIdx], x: Number) -> None:
        """Keep the element for other readers in this loop."""
        scope = self.b.scope
        scope.memo[("elem", v, *[i.key() for i in index])] = x

    def recall(self, key: object) -> Any:
        """What was kept under a key here or around, if anything."""
        for scope in reversed(self.b.scopes):
            found = scope.memo.get(key)
            if found is not None:
                return found
        return None

    def load(self, v: Value, index: Sequence[AnyIdx]) -> Number:
        """An element of ``v`` (one per lane where the index varies with the lane)."""
        key: tuple[object, ...] = ("elem", v, *[i.key() for i in index])
        found = self.recall(key)
        if found is None and self.guard is not None and any([i.wild for i in index]):
            key = (key, self.guard.mask.ref, id(self.guard.mask.fn))
            found = self.recall(key)
        if found is not None:
            return found
        st = self.storage.get(v)
        if st is None:
            assert type(v.defn) in (Pointwise, Update), f"{v} is read before it is computed"
            out = self.expr(v.defn.expr, index)
        elif isinstance(st, Regs):
            k = flat_positions(v, index)
            if k is not None:
                return st.elements[k]
            out = self._from_memory(v, self.spill(v, st), index)
        else:
            out = self._from_memory(v, st, index)
        self.b.scope.memo[key] = out
        return out

    def _from_memory(self, v: Value, st: Mem, index: Sequence[AnyIdx]) -> Number:
        b = self.b
        pair = structures.pair_of(v, index) if self.lanes else None
        if pair is not None:
            return self._from_pairs(v, st, pair)
        at = self.address(v, index)
        level = max(st.level if st.fn is b else 0, self.floor)
        if at.uniform:
            if v in self.at_hand:
                level = b.level  # each round has another row there
            ptr, base = self._from_start(st.ptr, v.dtype, at)
            return memory.load_scalar(b, ptr, v.dtype, base, v, level)
        guard = self.guard if at.wild else None
        row = structures.row_of(v, index) if guard is None else None
        if row is not None:
            return self._from_rows(v, st, row)
        stride = at.stride if at.vec is None and type(at.stride) is int else 0
        if guard is None and 1 < stride <= memory.FEW_APART and v.dtype not in dtypes.COMPLEX:
            base = indexing.val(at.base)
            return memory.load_apart(b, st.ptr, v.dtype, base, stride, self.lanes, self.tail)
        if abs(stride) == 1:
            load = memory.load_vector if at.stride == 1 else memory.load_reversed
            ptr, base = self._from_start(st.ptr, v.dtype, at)
            return load(b, ptr, v.dtype, base, self.lanes, self.tail, guard)
        found = self._from_block(v, st, at, index) if v in self.ahead and guard is None else None
        if found is not None:
            return found
        return memory.gather(b, st.ptr, v.dtype, at, self.lanes, self.tail, guard)

    def _from_block(self, v: Value, st: Mem, at: Idx, index: Sequence[AnyIdx]) -> Number | None:
        """The next element of each lane's row, of a block that is read ahead; None if it is not the
        next."""
        lanes = [k for k, i in enumerate(index) if not i.uniform]
        if len(lanes) > 1 or at.vec is not None or index[lanes[0]] is not self.lane:
            return None
        before = lanes[0] + 1
        place = self.address(v, [*[Idx(0)] * before, *index[before:]]).base
        if type(place) is not Val:
            return None
        raw = ahead.load(
            self.b, self.ahead[v], st.ptr, memory.memory_type(v.dtype), indexing.val(at.base),
            place, indexing.val(at.stride), self.lanes, None if self.tail is None else
            self.tail.left, self.schedule.target.vector_bytes,
        )  # fmt: skip
        return memory.from_memory(self.b, [raw], v.dtype)

    def _from_pairs(self, v: Value, st: Mem, pair: structures.Pair) -> Number:
        """An element of the pair of each lane; the other is at hand with it."""
        key = ("pair", v, *[i.key() for i in pair.index], pair.ahead)
        found: tuple[Val, Val] | None = self.recall(key)
        if found is None:
            at = self.address(v, pair.index)
            far = self.address(v, [Idx(k) for k in pair.ahead])
            ty = memory.memory_type(v.dtype)
            ptr = st.ptr
            if far.base != 0:
                ptr = memory.gep(self.b, ptr, ty, indexing.val(far.base))
            found = memory.gather_pairs(self.b, ptr, ty, at, self.lanes, self.tail, pair.others)
            self.b.scope.memo[key] = found
        return memory.from_memory(self.b, (found[pair.place],), v.dtype)

    def _from_rows(self, v: Value, st: Mem, row: structures.Row) -> Number:
        """An element of the row of each lane; the others are at hand with it."""
        n = numbers(v.dtype)
        found = self.rows(v, st, row)
        return memory.from_memory(self.b, found[n * row.place : n * (row.place + 1)], v.dtype)

    def rows(self, v: Value, st: Mem, row: structures.Row) -> list[Val]:
        """The numbers of the row of each lane, one vector for each place in a row."""
        key = ("rows", v, *[i.key() for i in row.index])
        found: list[Val] | None = self.recall(key)
        if found is None:
            n = numbers(v.dtype)
            first = indexing.mul(self.b, self.address(v, row.index).base, n)
            found = structures.load(
                self.b, st.ptr, memory.memory_type(v.dtype), indexing.val(first), n * row.length,
                self.lanes, self.tail,
            )  # fmt: skip
            self.b.scope.memo[key] = found
        return found

    def _to_rows(self, v: Value, st: Mem, row: structures.Row, x: Number) -> None:
        """Keep an element of the row of each lane until the rows are whole."""
        n = numbers(v.dtype)
        key = (v, *[i.key() for i in row.index])
        rows = self.pending.get(key)
        if rows is None:
            first = indexing.val(indexing.mul(self.b, self.address(v, row.index).base, n))
            ty = memory.memory_type(v.dtype)
            rows = structures.Pending(st.ptr, first, ty, n * row.length)
            self.pending[key] = rows
        for k, part in enumerate(memory.to_memory(self.b, x, v.dtype)):
            rows.parts[n * row.place + k] = self.b.local(self.b.splat(part, self.lanes))
        if len(rows.parts) == rows.length:
            structures.store(self.b, self.pending.pop(key), self.lanes, self.tail)

    def _from_start(self, ptr: Val, dtype: DType, at: Idx) -> tuple[Val, Val]:
        """Where a stretch of elements starts, and how far from there one is."""
        if at.way is None or dtype in dtypes.COMPLEX:
            return ptr, indexing.val(at.base)
        start, far = at.way
        return memory.gep(self.b, ptr, memory.memory_type(dtype), indexing.val(start)), far

    def store(self, v: Value, st: Mem, index: Sequence[AnyIdx], x: Number) -> None:
        at = self.address(v, index)
        if self.lanes and not at.uniform:
            assert at.vec is None, f"scattered vector store to {v}"
            base = indexing.val(at.base)
            row = structures.row_of(v, index) if self.b.level == self.row_level else None
            if row is not None:
                self._to_rows(v, st, row, x)
            elif type(at.stride) is int and at.stride == 1:
                ptr, base = self._from_start(st.ptr, v.dtype, at)
                memory.store_vector(
                    self.b, ptr, v.dtype, base, x, self.lanes, self.tail, self.streamed.get(v)
                )
            else:
                stride = indexing.val(at.stride)
                memory.scatter(self.b, st.ptr, v.dtype, base, stride, x, self.lanes, self.tail)
        else:
            ptr, base = self._from_start(st.ptr, v.dtype, at)
            memory.store_scalar(self.b, ptr, v.dtype, base, x)

    def scalar(self, v: Value) -> Val:
        """The value of a rank-0 array that is not complex."""
        return real(self.load(v, ()))

    def some_lane(self, test: Val) -> Val:
        """Whether a condition holds for one of the lanes in range."""
        if not test.lanes:
            return test
        if self.tail is not None:
            test = self.b.bin("and", test, self.tail.mask(self.b))
        return self.b.any_lane(test)

    def elements(self, v: Value) -> list[Number]:
        """All elements of an array of constant size."""
        return [self.load(v, pos) for pos in positions(v.shape)]

    def fresh_load(self, v: Value, st: Mem, index: Sequence[AnyIdx]) -> Number:
        """The element in memory now, never one remembered."""
        at = self.address(v, index)
        if self.lanes and not at.uniform:
            return memory.load_vector(
                self.b, st.ptr, v.dtype, indexing.val(at.base), self.lanes, self.tail
            )
        self._stamp -= 1
        return memory.load_scalar(
            self.b, st.ptr, v.dtype, indexing.val(at.base), self._stamp, self.b.level
        )
