"""Rows of strips read a block ahead: many elements of each lane's row, turned to vectors of lanes.

Where a loop over time reads one element a step of each lane's row, its neighbours in memory are
those of the next steps. A block of them is read from all rows at once and turned by shuffles, pairs
of lanes first: J. O. Eklundh, "A fast computer method for matrix transposing", 1972.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covector.backends.cpu.emit import memory
from covector.backends.cpu.writer import Function, Module, Val, int_const
from covector.compiler.access import Access
from covector.compiler.ir.nodes import Block, Bound, IDyn, Index, IOp, Load, Sym, Value, ivars
from covector.compiler.ir.walk import definitions
from covector.compiler.schedule.loops import numbers
from covector.compiler.schedule.nodes import Schedule

# Bytes in which the elements of vectors are moved by the cheapest shuffles.
_GROUP = 16
# Bytes of numbers, at least, of which a block is read at once.
LEAST = 4


@dataclass(slots=True)
class Ahead:
    """A block of a value's rows.

    Attributes
    ----------
    block : Val
        Vectors of lanes, one after the other.
    held : Val
        Where it is kept which block that is: the position of its first element in the first row.
    """

    block: Val
    held: Val


def values_read(block: Block, lane: Value, schedule: Schedule) -> list[Value]:
    """What is read step by step in the loops of a block, an element of each lane's row."""
    access = Access()
    for defn in definitions(block):
        for e in defn.children():
            access.add(e, ivars(64), schedule.inline)
    found: dict[Value, None] = {}
    for v, index in access.reads:
        at = [k for k, i in enumerate(index) if is_lane(i, lane)]
        if len(at) != 1 or numbers(v.dtype) > 1:
            continue
        rest = index[at[0] + 1 :]
        counted = any(map(_counts, rest)) and all(map(_is_steady, rest))
        if counted and memory.align_of(memory.memory_type(v.dtype)) >= LEAST:
            found[v] = None
    return list(found)


def is_lane(i: Index, lane: Value) -> bool:
    """Whether an index is that of the lanes of a strip."""
    return type(i) is IDyn and type(i.expr) is Load and i.expr.value is lane


def _counts(i: Index) -> bool:
    """Whether an index goes with the steps of a loop."""
    if type(i) is IOp:
        return i.op in "+-" and (_counts(i.a) or _counts(i.b))
    return type(i) is IDyn and type(i.expr) is Load and _is_counter(i.expr.value)


def _is_counter(v: Value) -> bool:
    return type(v.defn) is Bound and v.defn.what == "counter"


def _is_steady(i: Index) -> bool:
    return type(i) is int or type(i) is Sym or _counts(i) or (
        type(i) is IOp and _is_steady(i.a) and _is_steady(i.b)
    )  # fmt: skip


def start(b: Function, ty: str, lanes: int, vector_bytes: int) -> Ahead:
    """No block is held."""
    width = vector_bytes // memory.align_of(ty)
    held = b.alloca("i64", 1, 8)
    b.line(f"store i64 -1, ptr {held.ref}")
    return Ahead(b.alloca(f"[{width * lanes} x {ty}]"), held)


def load(
    b: Function, ahead: Ahead, ptr: Val, ty: str, at: Val, place: Val, stride: Val, lanes: int,
    left: Val | None, vector_bytes: int,
) -> Val:  # fmt: skip
    """The element at ``place`` of each lane's row; the first one is at ``at`` in memory.

    Rows are ``stride`` apart; ``left`` of the lanes are in range, others read the last of these.
    """
    width = vector_bytes // memory.align_of(ty)
    within = b.bin("and", place, int_const(width - 1))
    first = b.local(b.bin("sub", at, within))
    columns = b.local(b.bin("add", b.bin("sub", stride, place), within))
    stride = b.local(stride)
    p = b.local(memory.gep(b, ptr, ty, first))
    held = b.impure(f"load i64, ptr {ahead.held.ref}", "i64")
    name = _fill(b.module, ty, lanes, width)
    rows = b.local(left).ref if left is not None else str(lanes)

    def fill() -> None:
        b.line(f"store i64 {first.ref}, ptr {ahead.held.ref}")
        b.line(
            f"call fastcc void @{name}(ptr {p.ref}, i64 {stride.ref}, i64 {columns.ref}, "
            f"i64 {rows}, ptr {ahead.block.ref})"
        )

    b.either(b.cmp("icmp eq", first, held), lambda: None, fill, ("held", "fill", "filled"))
    start = b.local(b.bin("mul", within, int_const(lanes)))
    q = b.local(memory.gep(b, ahead.block, ty, start))
    size = memory.align_of(ty)
    return b.impure(f"load <{lanes} x {ty}>, ptr {q.ref}, align {min(64, lanes * size)}", ty, lanes)


def _fill(module: Module, ty: str, lanes: int, width: int) -> str:
    """A function that fills a block of ``width`` vectors: from ``%p`` on, in rows ``%s`` apart, of
    which ``%l`` have ``%c`` more elements each."""
    name = f"fill_{lanes}{ty}"
    if name in module.declarations:
        return name
    size = memory.align_of(ty)
    # Those of the next block of each row lie in other lines, which nothing else fetches in time.
    module.declare("llvm.prefetch.p0", "void", "ptr, i32, i32, i32", "nounwind")
    body = [
        "entry:",
        f"  %rows = icmp sge i64 %l, {lanes}",
        f"  %columns = icmp sge i64 %c, {width}",
        "  %all = and i1 %rows, %columns",
        "  br i1 %all, label %whole, label %some, !prof !0",
        "whole:",
    ]
    for group in range(0, lanes, width):
        rows = []
        for r in range(group, group + width):
            body += [
                f"  %o{r} = mul i64 %s, {r}",
                f"  %a{r} = getelementptr {ty}, ptr %p, i64 %o{r}",
                f"  %r{r} = load <{width} x {ty}>, ptr %a{r}, align {size}",
                f"  %n{r} = getelementptr {ty}, ptr %a{r}, i64 {width}",
                f"  call void @llvm.prefetch.p0(ptr %n{r}, i32 0, i32 3, i32 1)",
            ]
            rows.append(f"%r{r}")
        for k, v in enumerate(_turned(body, f"g{group}", rows, ty, size)):
            body += [
                f"  %t{group}.{k} = getelementptr {ty}, ptr %to, i64 {k * lanes + group}",
                f"  store <{width} x {ty}> {v}, ptr %t{group}.{k}, align {width * size}",
            ]
    body += [
        "  ret void",
        # The last row that there is stands for those that there are not.
        "some:",
        "  %last = sub i64 %l, 1",
        "  br label %row",
        "row:",
        "  %i = phi i64 [ 0, %some ], [ %i1, %rowend ]",
        "  %in = icmp slt i64 %i, %l",
        "  %j = select i1 %in, i64 %i, i64 %last",
        "  %o = mul i64 %s, %j",
        f"  %a = getelementptr {ty}, ptr %p, i64 %o",
        "  br label %column",
        "column:",
        "  %k = phi i64 [ 0, %row ], [ %k1, %copied ]",
        "  %more = icmp slt i64 %k, %c",
        f"  %room = icmp slt i64 %k, {width}",
        "  %go = and i1 %more, %room",
        "  br i1 %go, label %copied, label %rowend",
        "copied:",
        f"  %f = getelementptr {ty}, ptr %a, i64 %k",
        f"  %x = load {ty}, ptr %f, align {size}",
        f"  %d0 = mul i64 %k, {lanes}",
        "  %d = add i64 %d0, %i",
        f"  %t = getelementptr {ty}, ptr %to, i64 %d",
        f"  store {ty} %x, ptr %t, align {size}",
        "  %k1 = add i64 %k, 1",
        "  br label %column",
        "rowend:",
        "  %i1 = add i64 %i, 1",
        f"  %done = icmp eq i64 %i1, {lanes}",
        "  br i1 %done, label %end, label %row",
        "end:",
        "  ret void",
    ]
    head = (
        f"define internal fastcc void @{name}(ptr %p, i64 %s, i64 %c, i64 %l, ptr %to) noinline {{"
    )
    module.declarations[name] = "\n".join([head, *body, "}"])
    return name


def _turned(body: list[str], stem: str, rows: Sequence[str], ty: str, size: int) -> list[str]:
    """The columns of as many rows as each has elements."""
    n = len(rows)
    few = min(n, _GROUP // size)

    def shuffled(a: str, b: str, ids: Sequence[int]) -> str:
        ref = f"%{stem}s{len(body)}"
        mask = ", ".join(f"i32 {i}" for i in ids)
        body.append(
            f"  {ref} = shufflevector <{n} x {ty}> {a}, <{n} x {ty}> {b}, <{n} x i32> <{mask}>"
        )
        return ref

    def interleaved(a: str, b: str, run: int, high: bool) -> str:
        """Runs of elements of ``a`` and ``b`` in turns, from the halves of each group."""
        ids: list[int] = []
        for g in range(0, n, few):
            at = g + (few // 2 if high else 0)
            for k in range(at, at + few // 2, run):
                ids += [*range(k, k + run), *range(n + k, n + k + run)]
        return shuffled(a, b, ids)

    # Of each `few` rows, the elements of a column next to each other in each group.
    blocks = [list(rows[k : k + few]) for k in range(0, n, few)]
    for rows_ in blocks:
        run = 1
        while run < few:
            out = list(rows_)
            for k in range(few):
                if k & run:
                    continue
                a, b = rows_[k], rows_[k | run]
                out[k], out[k | run] = (interleaved(a, b, run, high) for high in (False, True))
            rows_[:] = out
            run *= 2
    # Column c of a group is where the bits of c in reverse are.
    width = few.bit_length() - 1
    columns = [""] * n
    for c in range(few):
        place = int(format(c, f"0{width}b")[::-1], 2) if width else 0
        vectors = [rows_[place] for rows_ in blocks]
        run = 1
        while run < len(vectors):
            out = list(vectors)
            for k in range(len(vectors)):
                if k & run:
                    continue
                a, b = vectors[k], vectors[k | run]
                for high in (False, True):
                    ids: list[int] = []
                    for g in range(len(vectors)):
                        # Blocks of groups that change places.
                        source = (g & ~run) | (run if high else 0)
                        base = source * few + (n if g & run else 0)
                        ids += range(base, base + few)
                    out[k | (run if high else 0)] = shuffled(a, b, ids)
            vectors = out
            run *= 2
        for g, v in enumerate(vectors):
            columns[g * few + c] = v
    return columns
