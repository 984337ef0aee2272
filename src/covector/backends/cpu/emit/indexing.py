"""Indices in emitted code: integers, affine in the lane of a vector, or one per lane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from covector.backends.cpu.writer import Function, Val, int_const
from covector.compiler.ir.nodes import Dim, Index, IOp
from covector.compiler.schedule.nodes import Extent

Scalar = int | Val

_LEAST, _MOST = -(2**31), 2**31 - 1


@dataclass(slots=True, frozen=True)
class Run:
    """Neighbours along an axis, all in bounds, of which an index that is no line is one a lane.

    Attributes
    ----------
    start : Val
        The index of the first one.
    ahead : int
        How far behind it this one is.
    last : int, Sym or IOp
        The most that ``start`` may be; it is not negative.
    """

    start: Val
    ahead: int
    last: Index

    def reaches(self, far: int) -> bool:
        """Whether as many bits as `start` has do for what is so far behind this one."""
        last, ahead = self.last, self.ahead + far
        if type(last) is int:
            return last + ahead <= _MOST
        return type(last) is IOp and last.op == "-" and type(last.b) is int and ahead < last.b

    def length(self, size: Dim) -> int:
        """How many follow each other in bounds of an axis of this size, as far as one can tell."""
        last = self.last
        if type(last) is int and type(size) is int:
            return size - last
        if type(last) is IOp and last.op == "-" and last.a == size and type(last.b) is int:
            return last.b
        return 1


class Idx:
    """``base + stride * lane``, or ``vec`` where the lanes follow no line.

    Lanes of a ``wild`` index may be out of bounds where the result is not used. Those of ``vec``
    have 32 bits as long as they need no more: `to_vector` widens them. In a stretch of a loop in
    which no condition changes, ``way`` has what ``base`` was at its start, and how far it is from
    there. Of ``vec``, ``run`` knows which others are beside it.
    """

    __slots__ = ("base", "stride", "vec", "wild", "way", "run")

    def __init__(
        self, base: Scalar, stride: Scalar = 0, vec: Val | None = None, wild: bool = False,
        way: tuple[Scalar, Val] | None = None, run: Run | None = None,
    ) -> None:  # fmt: skip
        self.base = base
        self.stride = stride
        self.vec = vec
        self.wild = wild
        self.way = way
        self.run = run

    @property
    def uniform(self) -> bool:
        return self.vec is None and type(self.stride) is int and self.stride == 0

    def key(self) -> object:
        """Equal for equal indices."""
        if self.vec is not None:
            return ("v", self.vec.ref, id(self.vec.fn))
        base, stride = self.base, self.stride
        return (
            base if isinstance(base, int) else (base.ref, id(base.fn)),
            stride if isinstance(stride, int) else stride.ref,
        )


class Emitting(Protocol):
    """What indices ask of the emitter."""

    b: Function
    lanes: int

    def dim(self, d: Extent) -> Scalar: ...


class PartIdx:
    """A coordinate of a position in a box (`ir.IPart`), computed only where it is asked for."""

    __slots__ = ("em", "position", "dims", "axis")

    def __init__(self, em: Emitting, position: AnyIdx, dims: tuple[Dim, ...], axis: int) -> None:
        self.em = em
        self.position = position
        self.dims = dims
        self.axis = axis

    def _resolved(self) -> Idx:
        b, lanes = self.em.b, self.em.lanes
        inner: Scalar = 1
        for d in self.dims[self.axis + 1 :]:
            inner = mul(b, inner, self.em.dim(d))
        found = combine(b, "//", self.position, Idx(inner), lanes)
        if self.axis:
            found = combine(b, "%", found, Idx(self.em.dim(self.dims[self.axis])), lanes)
        return found

    @property
    def base(self) -> Scalar:
        return self._resolved().base

    @property
    def stride(self) -> Scalar:
        return self._resolved().stride

    @property
    def vec(self) -> Val | None:
        return self._resolved().vec

    @property
    def uniform(self) -> bool:
        return self.position.uniform

    @property
    def way(self) -> None:
        return None

    @property
    def wild(self) -> bool:
        return self.position.wild

    def key(self) -> object:
        return ("part", self.position.key(), self.dims, self.axis)


AnyIdx = Idx | PartIdx


def whole_box(index: Sequence[AnyIdx], shape: Sequence[Dim], k: int) -> tuple[AnyIdx, int] | None:
    """The position, and how many dimensions of ``shape`` from ``k`` on it takes up.

    None unless these indices are all coordinates of one position in a box of those sizes.
    """
    first = index[k]
    if type(first) is not PartIdx or first.axis:
        return None
    axis, at, n = 0, first.position.key(), len(first.dims)
    while k < len(index):
        i = index[k]
        if type(i) is PartIdx:
            if axis == n or i.axis != axis or i.dims != first.dims or i.position.key() != at:
                return None
            if shape[k] is not i.dims[axis] and shape[k] != i.dims[axis]:
                return None
            axis += 1
        elif shape[k] != 1:
            return None
        k += 1
        if axis == n:
            return first.position, k
    return None


def val(x: Scalar) -> Val:
    return int_const(x) if isinstance(x, int) else x


def add(b: Function, x: Scalar, y: Scalar) -> Scalar:
    if isinstance(x, int):
        if isinstance(y, int):
            return x + y
        if x == 0:
            return y
    elif isinstance(y, int) and y == 0:
        return x
    return b.bin("add", val(x), val(y))


def sub(b: Function, x: Scalar, y: Scalar) -> Scalar:
    if isinstance(y, int):
        return add(b, x, -y)
    return b.bin("sub", val(x), y)


def mul(b: Function, x: Scalar, y: Scalar) -> Scalar:
    if type(x) is int and type(y) is int:
        return x * y
    for p, q in ((x, y), (y, x)):
        if type(p) is int and p == 0:
            return 0
        if type(p) is int and p == 1:
            return q
    return b.bin("mul", val(x), val(y))


def further(b: Function, i: Idx, far: int) -> Idx:
    """The one of a run that is so far behind this one, in as many bits."""
    run = i.run
    assert run is not None
    ahead = run.ahead + far
    vec = b.bin("add", run.start, int_const(ahead, run.start.ty))
    return Idx(0, 0, vec, i.wild, None, Run(run.start, ahead, run.last))


def start(i: AnyIdx) -> tuple[AnyIdx, int]:
    """The first of a run that an index is of, and how far behind that it is."""
    if type(i) is not Idx or i.run is None:
        return i, 0
    return Idx(0, 0, i.run.start, i.wild), i.run.ahead


def to_vector(b: Function, i: AnyIdx, lanes: int) -> Val:
    """One index per lane."""
    if i.vec is not None:
        return i.vec if i.vec.ty == "i64" else b.cast("sext", i.vec, "i64")
    base = b.splat(val(i.base), lanes)
    if type(i.stride) is int and i.stride == 0:
        return base
    ids = b.lane_ids(lanes)
    step = ids if i.stride == 1 else b.bin("mul", b.splat(val(i.stride), lanes), ids)
    return b.bin("add", base, step)


def is_narrow(i: AnyIdx) -> bool:
    """Whether the lanes of an index have 32 bits."""
    return type(i) is Idx and i.vec is not None and i.vec.ty == "i32"


def narrow(b: Function, i: AnyIdx, lanes: int) -> Val:
    """One index per lane, in 32 bits."""
    if i.vec is not None:
        return b.cast("trunc", i.vec, "i32")
    base = b.splat(b.cast("trunc", val(i.base), "i32"), lanes)
    if type(i.stride) is int and i.stride == 0:
        return base
    ids = Val(f"<{', '.join(f'i32 {k}' for k in range(lanes))}>", "i32", lanes)
    return b.bin("add", base, times(b, ids, i.stride))


def times(b: Function, x: Val, y: Scalar) -> Val:
    """A vector times a number, in as many bits as the vector has."""
    return x if type(y) is int and y == 1 else b.bin("mul", x, b.cast("trunc", val(y), x.ty))


def lanes_from(b: Function, op: str, lane: Scalar, lanes: int) -> Val:
    """One i1 a lane: ``k op lane``, for ``sge`` or ``slt``; compared as small numbers."""
    near = b.intrinsic("smin", b.intrinsic("smax", val(lane), int_const(0)), int_const(lanes))
    ids = Val(f"<{', '.join(f'i32 {k}' for k in range(lanes))}>", "i32", lanes)
    return b.cmp(f"icmp {op}", ids, b.splat(b.cast("trunc", near, "i32"), lanes))


def combine(b: Function, op: str, x: AnyIdx, y: AnyIdx, lanes: int) -> Idx:
    """``x op y`` for the operations of `ir.IOp`."""
    wild = x.wild or y.wild
    if x.vec is None and y.vec is None:
        if op == "+":
            if y.way is not None:
                x, y = y, x
            way = _moved(b, add, x, y)
            return Idx(add(b, x.base, y.base), add(b, x.stride, y.stride), None, wild, way)
        if op == "-":
            way = _moved(b, sub, x, y)
            return Idx(sub(b, x.base, y.base), sub(b, x.stride, y.stride), None, wild, way)
        if op == "*":
            if y.uniform:
                way = x.way if y.base == 1 else None
                return Idx(mul(b, x.base, y.base), mul(b, x.stride, y.base), None, wild, way)
            if x.uniform:
                return Idx(mul(b, x.base, y.base), mul(b, y.stride, x.base), None, wild)
        if x.uniform and y.uniform:
            return Idx(_scalar(b, op, x.base, y.base), 0, None, wild)
    for i, j in ((x, y), (y, x)):
        if i.vec is not None and j.uniform:
            found = _narrow(b, op, i.vec, j.base)
            if found is not None:
                return Idx(0, 0, found, wild)
    u, w = to_vector(b, x, lanes), to_vector(b, y, lanes)
    return Idx(0, 0, _apply(b, op, u, w), wild)


def _moved(
    b: Function, op: Callable[[Function, Scalar, Scalar], Scalar], x: AnyIdx, y: AnyIdx
) -> tuple[Scalar, Val] | None:
    """The way of ``x op y``, where ``y`` stays as it is."""
    if x.way is None or y.way is not None or not y.uniform:
        return None
    return op(b, x.way[0], y.base), x.way[1]


def chosen(b: Function, cond: Val, x: AnyIdx, y: AnyIdx) -> AnyIdx | None:
    """``x`` if a condition that is the same for all lanes holds, else ``y``, if they differ in
    where they start alone."""
    if x.key() == y.key():
        return x
    if type(x) is not Idx or type(y) is not Idx:
        return None
    if x.vec is not None or y.vec is not None or x.stride != y.stride:
        return None
    wild = x.wild or y.wild
    if x.way is not None and y.way is not None and x.way[1] is y.way[1]:
        start = b.select(cond, val(x.way[0]), val(y.way[0]))
        return Idx(b.bin("add", start, x.way[1]), x.stride, None, wild, (start, x.way[1]))
    return Idx(b.select(cond, val(x.base), val(y.base)), x.stride, None, wild)


def _narrow(b: Function, op: str, x: Val, y: Scalar) -> Val | None:
    """``x op y`` of a vector and a number in as many bits as the vector has, if they do."""
    if y == {"+": 0, "*": 1}.get(op):
        return x
    if x.ty != "i32" or op not in ("min", "max"):
        return None
    if type(y) is int:
        return _apply(b, op, x, int_const(y, "i32")) if _LEAST <= y <= _MOST else None
    if op == "max":
        return None
    # A limit that run-time sizes make; one that is so far below 0 is not told from others there.
    near = b.intrinsic("smin", b.intrinsic("smax", val(y), int_const(_LEAST)), int_const(_MOST))
    return b.intrinsic("smin", x, b.cast("trunc", near, "i32"))


def _scalar(b: Function, op: str, x: Scalar, y: Scalar) -> Scalar:
    if type(x) is int and type(y) is int:
        match op:
            case "//":
                return x // y
            case "%":
                return x % y
            case "min":
                return min(x, y)
            case "max":
                return max(x, y)
    return _apply(b, op, val(x), val(y))


def _apply(b: Function, op: str, x: Val, y: Val) -> Val:
    match op:
        case "+":
            return b.bin("add", x, y)
        case "-":
            return b.bin("sub", x, y)
        case "*":
            return b.bin("mul", x, y)
        case "//":
            return b.bin("udiv", x, y)
        case "%":
            return b.bin("urem", x, y)
        case "min":
            return b.intrinsic("smin", x, y)
        case "max":
            return b.intrinsic("smax", x, y)
    raise AssertionError(op)
