"""Short rows in the lanes of vectors: an array of structures, a structure a lane.

A structure of ``k`` numbers lies one after the other in memory. Vectors of neighbours are read and
written, and their numbers sorted by shuffles; for ``k = f * m`` first by the remainder of their
place by ``f``, then each of the ``f`` streams as structures of ``m`` numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from covector.backends.cpu.emit import indexing, memory
from covector.backends.cpu.emit.indexing import AnyIdx, Idx
from covector.backends.cpu.emit.memory import Tail
from covector.backends.cpu.writer import Function, Val, int_const
from covector.compiler.ir.nodes import Dim, Value
from covector.compiler.schedule.loops import STRUCTURE, numbers
from covector.core import dtypes


@dataclass(slots=True)
class Row:
    """Elements of a value, one of the row of each lane.

    Attributes
    ----------
    index : tuple of Idx
        Of the first element of the rows.
    place : int
        Which of a row's elements it is.
    length : int
        Elements of a row.
    """

    index: tuple[AnyIdx, ...]
    place: int
    length: int


def row_of(v: Value, index: Sequence[AnyIdx]) -> Row | None:
    """The short rows that elements of ``v`` are in, if the lanes are neighbours along one axis
    and what lies behind it is the same in all of them, known as the code is written."""
    lane = -1
    for p, i in enumerate(index):
        if i.uniform:
            continue
        if lane >= 0 or type(i) is not Idx or i.vec is not None or i.wild:
            return None
        if type(i.stride) is not int or i.stride != 1:
            return None
        lane = p
    if lane < 0 or lane == len(index) - 1:
        return None
    place, length = 0, 1
    for i, dim in zip(index[lane + 1 :], v.shape[lane + 1 :], strict=True):
        base = i.base if type(i) is Idx else None
        if type(dim) is not int or type(base) is not int:
            return None
        # Of merged loops, the last index counts the elements of several axes.
        place, length = place * dim + base, length * dim
    if not (0 <= place < length and 2 <= length * numbers(v.dtype) <= STRUCTURE):
        return None
    zeros = [Idx(0)] * (len(index) - lane - 1)
    return Row((*index[: lane + 1], *zeros), place, length)


@dataclass(slots=True)
class Pair:
    """Elements of a value, one of the two of each lane that are neighbours in memory.

    Attributes
    ----------
    index : tuple of Idx
        Computed places in bounds.
    ahead : tuple of int
        How far behind them the first one is, along each axis.
    place : int
        Which of the two it is.
    others : bool
        Whether other pairs are so far from the same places.
    """

    index: tuple[AnyIdx, ...]
    ahead: tuple[int, ...]
    place: int
    others: bool


def pair_of(v: Value, index: Sequence[AnyIdx]) -> Pair | None:
    """The two neighbours, both in bounds, one of which is at a computed place in each lane.

    Behind the axis along which it is computed are short rows, in places that are known as the code
    is written.
    """
    if v.dtype in dtypes.COMPLEX or any([i.wild for i in index]):
        return None
    place, length, k = 0, 1, v.ndim - 1
    while k >= 0:
        last, dim = index[k], v.shape[k]
        if type(last) is not Idx:
            return None
        if last.vec is not None:
            break
        if type(dim) is not int or not last.uniform or type(last.base) is not int:
            return None
        place, length, k = place + last.base * length, length * dim, k - 1
    else:
        return None
    room = length
    if last.run is not None:
        place, room = place + last.run.ahead * length, length * last.run.length(v.shape[k])
    # Elements follow each other in twos from the first one on.
    first = place - place % 2
    if not 0 <= first < room - 1:
        return None
    starts, ahead = zip(*map(indexing.start, index[: k + 1]), strict=True)
    rest = v.ndim - 1 - k
    behind = (first // length, *[0] * (rest - 1), first % length) if rest else (first,)
    others = room > 3 or any([_is_long(i, n) for i, n in zip(index[:k], v.shape, strict=False)])
    return Pair((*starts, *[Idx(0)] * rest), (*ahead[:k], *behind), place - first, others)


def _is_long(i: AnyIdx, size: Dim) -> bool:
    return type(i) is Idx and i.run is not None and i.run.length(size) > 1


@dataclass(slots=True)
class Pending:
    """Rows of results, of which some elements are known.

    Attributes
    ----------
    ptr, first : Val
        The array, and where in it the first number of the first row is.
    ty : str
        What the numbers are in memory.
    length : int
        Numbers of a row.
    parts : dict
        Vectors of numbers, by their place in a row.
    """

    ptr: Val
    first: Val
    ty: str
    length: int
    parts: dict[int, Val] = field(default_factory=dict)


def load(
    b: Function, ptr: Val, ty: str, first: Val, length: int, lanes: int, tail: Tail | None
) -> list[Val]:
    """The numbers of rows, one vector for each place in a row; zero in lanes out of range."""
    p = memory.gep(b, ptr, ty, first)
    starts = [memory.gep(b, p, ty, int_const(q * lanes)) for q in range(length)]
    t = f"<{lanes} x {ty}>"

    def whole() -> list[Val]:
        text = f"load {t}, ptr %s, align {memory.align_of(ty)}"
        return [b.impure(text % b.local(at).ref, ty, lanes) for at in starts]

    def partly() -> list[Val]:
        assert tail is not None
        helper = memory.tail_load(b.module, ty, lanes)
        out = []
        for left, at in zip(_left(b, tail, length, lanes), starts, strict=True):
            text = f"call fastcc {t} @{helper}(ptr {b.local(at).ref}, i64 {left.ref})"
            out.append(b.impure(text, ty, lanes))
        return out

    if tail is None:
        return apart(b, whole())
    return apart(b, b.branch(tail.full, whole, partly))


def store(b: Function, rows: Pending, lanes: int, tail: Tail | None) -> None:
    """Write rows all of whose numbers are known, in range only."""
    ty, t = rows.ty, f"<{lanes} x {rows.ty}>"
    vectors = together(b, [b.local(rows.parts[k]) for k in range(rows.length)])
    p = memory.gep(b, rows.ptr, ty, rows.first)
    starts = [b.local(memory.gep(b, p, ty, int_const(q * lanes))) for q in range(rows.length)]

    def whole() -> None:
        for v, at in zip(vectors, starts, strict=True):
            b.line(f"store {t} {v.ref}, ptr {at.ref}, align {memory.align_of(ty)}")

    def partly() -> None:
        assert tail is not None
        helper = memory.tail_store(b.module, ty, lanes)
        for v, at, left in zip(vectors, starts, _left(b, tail, rows.length, lanes), strict=True):
            b.line(f"call fastcc void @{helper}({t} {v.ref}, ptr {at.ref}, i64 {left.ref})")

    if tail is None:
        whole()
    else:
        b.either(tail.full, whole, partly, memory.STORED)


def _left(b: Function, tail: Tail, length: int, lanes: int) -> list[Val]:
    """How many numbers from the start of each vector on are in rows that are in range."""
    left = b.impure(f"mul i64 {b.local(tail.left).ref}, {length}", "i64")
    return [b.impure(f"sub i64 {left.ref}, {q * lanes}", "i64") for q in range(length)]


def _factor(n: int) -> int:
    """The smallest prime factor."""
    return next((f for f in range(2, n) if n % f == 0), n)


def apart(b: Function, vectors: Sequence[Val]) -> list[Val]:
    """Of ``k`` vectors that follow each other, vectors of every ``k``-th number."""
    k, lanes = len(vectors), vectors[0].lanes
    if k == 1:
        return list(vectors)
    f = _factor(k)
    m = k // f
    streams: list[list[Val]] = [[] for _ in range(f)]
    for g in range(m):
        group = vectors[g * f : (g + 1) * f]
        for j in range(f):
            streams[j].append(_picked(b, group, [divmod(r * f + j, lanes) for r in range(lanes)]))
    sorted_ = [apart(b, s) for s in streams]
    return [sorted_[j % f][j // f] for j in range(k)]


def together(b: Function, parts: Sequence[Val]) -> list[Val]:
    """Vectors that follow each other, of whose numbers every ``k``-th is in one of ``parts``."""
    k, lanes = len(parts), parts[0].lanes
    if k == 1:
        return list(parts)
    f = _factor(k)
    m = k // f
    streams = [together(b, parts[j::f]) for j in range(f)]
    out = []
    for g in range(m):
        group = [s[g] for s in streams]
        for q in range(f):
            places = [divmod(q * lanes + r, f) for r in range(lanes)]
            out.append(_picked(b, group, [(j, r) for r, j in places]))
    return out


def _picked(b: Function, group: Sequence[Val], places: Sequence[tuple[int, int]]) -> Val:
    """A vector of numbers from several: for each lane which one, and which of its lanes."""
    lanes = len(places)
    used = sorted({source for source, _ in places})
    out, known = group[used[0]], {used[0]}
    for source in used[1:] or used:
        other = group[source]
        ids = []
        for r, (at, lane) in enumerate(places):
            if at == source:
                ids.append(lane + lanes if source != used[0] else lane)
            elif at not in known:
                ids.append(-1)
            else:
                ids.append(lane if len(known) == 1 else r)
        known.add(source)
        mask = ", ".join("i32 poison" if i < 0 else f"i32 {i}" for i in ids)
        out = b.ins(
            ("shuffle", mask),
            f"shufflevector {out.type} %s, {out.type} %s, <{lanes} x i32> <{mask}>",
            (out, other), out.ty, lanes,
        )  # fmt: skip
    return out
