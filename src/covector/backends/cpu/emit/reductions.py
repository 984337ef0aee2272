"""Reductions and running results: identities, merging, accumulators."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from covector.backends.cpu.emit import indexing, memory
from covector.backends.cpu.emit.indexing import AnyIdx, Idx
from covector.backends.cpu.emit.storage import Mem, Regs, positions
from covector.backends.cpu.emit.values import ValueEmitter
from covector.backends.cpu.numerics import calls, ops
from covector.backends.cpu.numerics.number import Cx, Number, real
from covector.backends.cpu.writer import Function, Val, float_const, int_const
from covector.compiler.ir.nodes import Combination, Cumulative, Reduce, Value
from covector.compiler.schedule.loops import SUM_ROUNDS
from covector.compiler.schedule.nodes import Nest, Stage
from covector.core import dtypes
from covector.core.dtypes import DType

_OPS = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "and": "and", "or": "or",
        "xor": "xor"}  # fmt: skip


def initial(kind: Combination, dtype: DType) -> Number:
    """The identity of a reduction, as a constant."""
    base = kind.name.removeprefix("arg")
    if base in ("sum", "or", "xor"):
        return ops.literal(0, dtype)
    if base == "prod":
        return ops.literal(1, dtype)
    if base == "and":
        return ops.literal(True if dtype == dtypes.bool_ else -1 if dtype in dtypes.SIGNED
                           else dtypes.LIMITS[dtype][1], dtype)  # fmt: skip
    if base == "logaddexp":
        return ops.literal(-np.inf, dtype)
    low = base == "max"
    if dtype == dtypes.bool_:
        return ops.literal(not low, dtype)
    if dtype in dtypes.INTEGERS:
        return ops.literal(dtypes.LIMITS[dtype][not low], dtype)
    inf = -np.inf if low else np.inf
    if dtype in dtypes.COMPLEX:
        return ops.literal(complex(inf, inf), dtype)
    return float_const(inf, ops.register_type(dtype))


def merge(b: Function, kind: Combination, x: Number, y: Number, dtype: DType) -> Number:
    """``x`` and ``y`` reduced; small floats are not rounded here."""
    wide = dtypes.float32 if dtype in dtypes.ROUNDED else dtype
    if kind.name == "logaddexp":
        return _logaddexp(b, real(x), real(y))
    return ops.apply(b, _OPS[kind.name], [x, y], [wide, wide], wide, None)


def _logaddexp(b: Function, x: Val, y: Val) -> Val:
    top = ops.float_max(b, x, y)
    low = b.bin("fsub", b.intrinsic("fabs", b.bin("fsub", x, y)), float_const(0.0, x.ty))
    tail = calls.emit(b, "log1p", calls.emit(b, "exp", b.un("fneg", low)))
    total = b.bin("fadd", top, tail)
    infinite = b.cmp("fcmp oeq", b.intrinsic("fabs", top), float_const(np.inf, x.ty))
    return b.select(infinite, top, total)


def parts(x: Number) -> tuple[Val, ...]:
    return (x.re, x.im) if isinstance(x, Cx) else (x,)


def whole(parts: Sequence[Val]) -> Number:
    return Cx(*parts) if len(parts) == 2 else parts[0]


class Accumulator:
    """Stack slots for a running result; LLVM turns them into registers."""

    def __init__(self, b: Function, start: Number, lanes: int) -> None:
        self.lanes = lanes
        self.types = [(v.ty, lanes or v.lanes) for v in parts(start)]
        kept = [(b.number_type(ty, n), n) for ty, n in self.types]
        # Deep branches may have a million of them: numbers take no more than their own bytes.
        self.aligned = [64 if n else memory.align_of(ty) for ty, n in kept]
        self.slots = [
            b.alloca(Val("", ty, n).type, 1, align)
            for (ty, n), align in zip(kept, self.aligned, strict=True)
        ]
        self.set(b, start)

    def set(self, b: Function, x: Number) -> None:
        for slot, v, (_, n), align in zip(
            self.slots, parts(x), self.types, self.aligned, strict=True
        ):
            v = b.local(b.number(b.splat(v, n) if n else v))
            b.line(f"store {v.type} {v.ref}, ptr {b.local(slot).ref}, align {align}")

    def get(self, b: Function) -> Number:
        out = []
        for slot, (ty, n), align in zip(self.slots, self.types, self.aligned, strict=True):
            kept = b.number_type(ty, n)
            text = f"load {Val('', kept, n).type}, ptr {b.local(slot).ref}, align {align}"
            found = b.impure(text, kept, n)
            out.append(found if kept == ty else b.condition(found))
        return whole(out)


class Total:
    """The sum of what an accumulator has held until it was emptied.

    Floats of 32 bits and less are summed in double precision. The sum of doubles is kept in two
    parts, the second what the rounding of the first has lost [1]_.

    References
    ----------
    .. [1] D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B.
    """

    def __init__(self, b: Function, acc: Accumulator) -> None:
        self.acc = acc
        self.high = [self._zeros(b, n) for _, n in acc.types]
        self.low = [self._zeros(b, n) if ty == "double" else None for ty, n in acc.types]
        self.used = Accumulator(b, Val("false", "i1"), 0)

    @staticmethod
    def _zeros(b: Function, lanes: int) -> Accumulator:
        return Accumulator(b, float_const(0.0, "double"), lanes)

    def take(self, b: Function) -> None:
        """Add the accumulator, and empty it."""
        for x, high, low in zip(parts(self.acc.get(b)), self.high, self.low, strict=True):
            x = b.cast("fpext", x, "double")
            old = real(high.get(b))
            new = b.bin("fadd", old, x)
            high.set(b, new)
            if low is not None:
                virtual = b.bin("fsub", new, old)
                lost = b.bin(
                    "fadd", b.bin("fsub", old, b.bin("fsub", new, virtual)),
                    b.bin("fsub", x, virtual),
                )  # fmt: skip
                low.set(b, b.bin("fadd", real(low.get(b)), lost))
        self.acc.set(b, whole([float_const(0.0, ty) for ty, _ in self.acc.types]))
        self.used.set(b, Val("true", "i1"))

    def give(self, b: Function) -> None:
        """Add the total to the accumulator, if anything was taken from it."""

        def add() -> None:
            found = []
            for x, high, low in zip(parts(self.acc.get(b)), self.high, self.low, strict=True):
                y = b.cast("fpext", x, "double")
                if low is not None:
                    # What infinities have lost is no number.
                    lost = real(low.get(b))
                    known = b.cmp("fcmp ord", lost, lost)
                    y = b.bin("fadd", y, b.select(known, lost, float_const(0.0, "double")))
                found.append(b.cast("fptrunc", b.bin("fadd", real(high.get(b)), y), x.ty))
            self.acc.set(b, whole(found))

        b.when(real(self.used.get(b)), add)


class Running:
    """A stage while its loops are written: its indices, and what it has found so far."""

    __slots__ = ("stage", "env", "rows", "slots", "where", "totals")

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        # Axes folded into a later one stay at zero.
        self.env: list[AnyIdx] = [Idx(0)] * 64
        # Indices along the reduced axis that one pass over a row of results accumulates.
        self.rows: list[Idx] = []
        # An accumulator a result; for a search, of the best element, and where that is.
        self.slots: list[Accumulator] = []
        self.where: Accumulator
        # Where a long sum of floats is kept.
        self.totals: list[Total] = []

    @property
    def index(self) -> list[AnyIdx]:
        """The index of the element at hand."""
        return self.env[: self.stage.value.ndim]


def start(em: ValueEmitter, r: Running, lanes: int) -> None:
    """Before the first reducing loop of a stage: an accumulator per result at hand."""
    s = r.stage
    b, d, v = em.b, s.value.defn, s.value
    if s.kind == "cumulative":
        if s.roles[-1] == "s":
            r.slots = [Accumulator(b, _wide(initial(d.kind, v.dtype), d.kind), 0)]
        return
    if d.kind.finds:
        # No element has been better yet: all that were seen equal the identity.
        r.slots = [Accumulator(b, initial(d.kind, s.expr.dtype), lanes)]
        r.where = Accumulator(b, _nowhere(v), lanes)
        return
    identity = initial(d.kind, v.dtype)
    r.slots = [Accumulator(b, identity, lanes) for _ in results_of(s)]
    r.totals = []
    if d.kind.name == "sum" and v.dtype in dtypes.INEXACT and is_long(s):
        r.totals = [Total(b, acc) for acc in r.slots]


def is_long(s: Stage) -> bool:
    """Whether a stage may reduce so many elements that a running sum loses digits."""
    known = 1
    for e in s.value.defn.extents:
        if type(e) is not int:
            return True
        known *= e
    return known > SUM_ROUNDS


def places_of(s: Stage) -> list[tuple[int, int]]:
    """The index variables of results that the loops of a stage walk inside those reduced, each
    with its extent."""
    found = []
    for q in range(s.depth if s.few else s.roles.rindex("r") + 1, s.depth):
        dim = s.dims[q]
        assert type(dim) is int, "places are written out"
        found.append((s.order[q], dim))
    return found


def results_of(s: Stage) -> Sequence[tuple[Idx, ...]]:
    """For each running result at hand, its index: whole where results are few, else in its row."""
    return positions(s.value.shape if s.few else [dim for _, dim in places_of(s)])


def step(em: ValueEmitter, r: Running) -> None:
    """One element (or vector) of the reduced expression, for each result it goes to."""
    s = r.stage
    d, v = s.value.defn, s.value
    if d.kind.finds:
        _arg_step(em, r, real(em.expr(s.expr, r.env)))
    elif s.few:
        for position, acc in zip(results_of(s), r.slots, strict=True):
            r.env[: v.ndim] = position
            _take(em, r, acc)
    else:
        place = 0
        for a, dim in places_of(s):
            at = r.env[a].base
            assert type(at) is int, "places are written out"
            place = place * dim + at
        _take(em, r, r.slots[place])


def _take(em: ValueEmitter, r: Running, acc: Accumulator) -> None:
    """The element (or vector) at hand, merged into a running result."""
    s = r.stage
    b, d, v = em.b, s.value.defn, s.value
    x = em.expr(s.expr, r.env)
    if em.lanes:
        x = _splat(b, x, em.lanes)
        # Lanes that run over a reduced axis are masked; lanes that are rows are not.
        reduced = [a for a, role in zip(s.order, s.roles, strict=True) if role == "r"]
        if em.tail is not None and any([r.env[a].stride != 0 for a in reduced]):
            ident = parts(initial(d.kind, v.dtype))
            pairs = zip(parts(x), ident, strict=True)
            x = whole([memory.mask_out(b, p, q, em.tail) for p, q in pairs])
    acc.set(b, merge(b, d.kind, acc.get(b), x, v.dtype))


def _splat(b: Function, x: Number, lanes: int) -> Number:
    return whole([b.splat(p, lanes) for p in parts(x)])


def _better(b: Function, kind: Combination, x: Val, best: Val, dtype: DType) -> Val:
    """Whether ``x`` comes before ``best`` (NaN comes first)."""
    if x.ty in ("float", "double"):
        op = "fcmp ogt" if kind.name == "argmax" else "fcmp olt"
        nan = b.bin("and", b.cmp("fcmp uno", x, x), b.cmp("fcmp ord", best, best))
        return b.bin("or", b.cmp(op, x, best), nan)
    sign = "s" if dtype in dtypes.SIGNED else "u"
    return b.cmp(f"icmp {sign}{'gt' if kind.name == 'argmax' else 'lt'}", x, best)


def _nowhere(v: Value) -> Val:
    """A position after all others, of the type in which positions are counted."""
    bits = 64 if v.dtype.itemsize > 4 else 32
    return Val(str(2 ** (bits - 1) - 1), f"i{bits}")


def _arg_step(em: ValueEmitter, r: Running, x: Val) -> None:
    s = r.stage
    b, d, v, lanes = em.b, s.value.defn, s.value, em.lanes
    (best,), where = r.slots, r.where
    i = r.env[v.ndim + len(d.extents) - 1]
    narrow = _nowhere(v).ty == "i32"
    at = indexing.val(i.base)
    if narrow:
        at = b.cast("trunc", at, "i32")
    if lanes:
        x, at = b.splat(x, lanes), b.splat(at, lanes)
        if not i.uniform:
            ids = b.lane_ids(lanes)
            at = b.bin("add", at, b.cast("trunc", ids, "i32") if narrow else ids)
            if em.tail is not None:
                x = memory.mask_out(b, x, real(initial(d.kind, s.expr.dtype)), em.tail)
    old = real(best.get(b))
    take = _better(b, d.kind, x, old, s.expr.dtype)
    best.set(b, b.select(take, x, old))
    where.set(b, b.select(take, at, real(where.get(b))))


def _first_best(em: ValueEmitter, r: Running) -> Val:
    """The position found by an arg-reduction: of equal elements the first."""
    s = r.stage
    b, d, v = em.b, s.value.defn, s.value
    best, where = real(r.slots[0].get(b)), real(r.where.get(b))
    lanes = best.lanes if not em.lanes else 0
    while lanes > 1:
        half = lanes // 2
        x, y = (some_lanes(b, best, k, half) for k in (0, half))
        p, q = (some_lanes(b, where, k, half) for k in (0, half))
        tie = b.bin("xor", _better(b, d.kind, x, y, s.expr.dtype), Val("true", "i1"))
        later = b.bin("and", tie, b.cmp("icmp slt", q, p))
        take = b.bin("or", _better(b, d.kind, y, x, s.expr.dtype), later)
        best, where, lanes = b.select(take, y, x), b.select(take, q, p), half
    if where.lanes and not em.lanes:
        where = b.ins("lane0", f"extractelement {where.type} %s, i32 0", (where,), where.ty, 0)
    none = b.cmp("icmp eq", where, _nowhere(v))
    return b.select(none, Val("0", where.ty), where)


def horizontal(b: Function, kind: Combination, x: Number, dtype: DType) -> Number:
    """The lanes of ``x`` reduced to one, by halves."""
    lanes = parts(x)[0].lanes
    while lanes > 1:
        half = lanes // 2
        lo = [some_lanes(b, p, 0, half) for p in parts(x)]
        hi = [some_lanes(b, p, half, half) for p in parts(x)]
        x = merge(b, kind, whole(lo), whole(hi), dtype)
        lanes = half
    out = []
    for p in parts(x):
        if p.lanes:
            p = b.ins("lane0", f"extractelement {p.type} %s, i32 0", (p,), p.ty, 0)
        out.append(p)
    return whole(out)


def some_lanes(b: Function, p: Val, offset: int, count: int, stride: int = 1) -> Val:
    """A vector of some lanes of another."""
    ids = ", ".join(f"i32 {offset + k * stride}" for k in range(count))
    return b.ins(
        ("half", offset, count, stride),
        f"shufflevector {p.type} %s, {p.type} poison, <{count} x i32> <{ids}>",
        (p,), p.ty, count,
    )  # fmt: skip


def result(em: ValueEmitter, r: Running) -> list[Number]:
    """The finished results as numbers of the value's dtype."""
    s = r.stage
    b, d, v = em.b, s.value.defn, s.value
    if d.kind.finds:
        where = _first_best(em, r)
        kind = dtypes.int32 if where.ty == "i32" else dtypes.int64
        return [ops.convert(b, where, kind, v.dtype)]
    for total in r.totals:
        total.give(b)
    out = []
    for acc in r.slots:
        x = acc.get(b)
        if acc.lanes and not em.lanes:
            x = horizontal(b, d.kind, x, v.dtype)
        out.append(x)
    return out


def rounded(b: Function, x: Number, dtype: DType) -> Number:
    return ops.round_small(b, real(x), dtype) if dtype in dtypes.ROUNDED else x


def finish(em: ValueEmitter, nest: Nest, r: Running) -> None:
    """After the loops of a reduction: keep or store the result."""
    s = r.stage
    if s.kind == "cumulative":
        return
    b, v = em.b, s.value
    xs = [rounded(b, x, v.dtype) for x in result(em, r)]
    if s.few:
        em.storage[v] = Regs(xs)
        return
    st = em.storage.get(v)
    for position, x in zip(results_of(s), xs, strict=True):
        for (a, _), i in zip(places_of(s), position, strict=True):
            r.env[a] = i
        if isinstance(st, Mem) and v not in nest.contracted:
            em.store(v, st, r.index, x)
        em.remember(v, r.index, x)


def cumulative_step(em: ValueEmitter, r: Running, x: Number) -> None:
    """One element of a running result."""
    s = r.stage
    b, v, d = em.b, s.value, s.value.defn
    st = em.memory(v)
    index = r.index
    if s.roles[-1] == "s":
        (acc,) = r.slots
        # Running sums of floats are kept in double precision.
        precise = dtypes.float64 if acc.types[0][0] == "double" else v.dtype
        if v.dtype in dtypes.COMPLEX:
            precise = dtypes.complex128 if precise == dtypes.float64 else v.dtype
        y = merge(b, d.kind, acc.get(b), _wide(x, d.kind, b), precise)
        acc.set(b, y)
        y = whole([_narrowed(b, p, q.ty) for p, q in zip(parts(y), parts(x), strict=True)])
    else:
        # The running row is the previous row of the result.
        i = r.env[d.axis]
        n = em.dim(v.shape[d.axis])
        if d.reverse:
            first = b.cmp("icmp eq", indexing.val(i.base), indexing.val(indexing.sub(b, n, 1)))
            before = b.intrinsic("smin", indexing.val(indexing.add(b, i.base, 1)),
                                 indexing.val(indexing.sub(b, n, 1)))  # fmt: skip
        else:
            first = b.cmp("icmp eq", indexing.val(i.base), int_const(0))
            before = b.intrinsic("smax", indexing.val(indexing.sub(b, i.base, 1)), int_const(0))
        at = [*index]
        at[d.axis] = Idx(before)
        prev = em.fresh_load(v, st, at)
        prev = ops.select(b, first, _as(b, initial(d.kind, v.dtype), prev), prev)
        y = merge(b, d.kind, prev, x, v.dtype)
    y = rounded(b, y, v.dtype)
    em.store(v, st, index, y)
    em.remember(v, index, y)


def _wide(x: Number, kind: Combination, b: Function | None = None) -> Number:
    """The parts of a number that is added up, floats in double precision."""
    if kind.name != "sum":
        return x
    return whole([
        p if p.ty != "float" else
        float_const(0.0, "double") if b is None else b.cast("fpext", p, "double")
        for p in parts(x)
    ])  # fmt: skip


def _narrowed(b: Function, x: Val, ty: str) -> Val:
    return b.cast("fptrunc", x, ty) if ty in ("float", "double") else x


def _as(b: Function, x: Number, like: Number) -> Number:
    return whole([b.splat(p, q.lanes) for p, q in zip(parts(x), parts(like), strict=True)])


# --- unrolled ----------------------------------------------------------------------------


def unrolled(em: ValueEmitter, v: Value, d: Reduce) -> list[Number]:
    """Elements of a small reduction as straight-line code."""
    b = em.b
    out = []
    for pos in positions(v.shape):
        if d.kind.finds:
            out.append(_unrolled_arg(em, v, d, pos))
            continue
        acc = None
        for inner in positions(d.extents):
            x = em.expr(d.expr, (*pos, *inner))
            acc = x if acc is None else merge(b, d.kind, acc, x, v.dtype)
        if acc is None:
            acc = initial(d.kind, v.dtype)
        out.append(rounded(b, acc, v.dtype))
    return out


def _unrolled_arg(em: ValueEmitter, v: Value, d: Reduce, pos: tuple[Idx, ...]) -> Number:
    b = em.b
    best: Val | None = None
    where = int_const(0)
    for inner in positions(d.extents):
        x = real(em.expr(d.expr, (*pos, *inner)))
        here = indexing.val(inner[-1].base)
        if best is None:
            best, where = x, here
            continue
        take = _better(b, d.kind, x, best, d.expr.dtype)
        best, where = b.select(take, x, best), b.select(take, here, where)
    return ops.convert(b, where, dtypes.int64, v.dtype)


def unrolled_cumulative(em: ValueEmitter, v: Value, d: Cumulative) -> list[Number]:
    b = em.b
    places = positions(v.shape)
    numbers = list(itertools.product(*[range(n) for n in v.shape if type(n) is int]))
    results: list[Number | None] = [None] * len(places)
    running: dict[tuple[int, ...], Number] = {}
    order = sorted(range(len(places)), key=lambda k: numbers[k][d.axis], reverse=d.reverse)
    for k in order:
        row = (*numbers[k][: d.axis], *numbers[k][d.axis + 1 :])
        x = em.expr(d.expr, places[k])
        acc = running.get(row)
        running[row] = y = x if acc is None else merge(b, d.kind, acc, x, v.dtype)
        results[k] = rounded(b, y, v.dtype)
    return [x for x in results if x is not None]
