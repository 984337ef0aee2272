"""Slices, paddings and concatenations along a dimension that processes split: of what they have,
processes send each other what lies across the borders of their parts.

A *range* is a part of a dimension, for each process along the axes that split it. The part of a
result that a process has comes from a range of an operand. What lies in the part of a neighbour at
one distance is sent by all processes at once, in pieces of one size, so that all have the same
collectives. Programs of all have the same equations, too, where one joins or pads with nothing: the
order in which collectives start (`overlap`) follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from covector.core.avals import ShapedArray
from covector.primitives.structure import concatenate, pad_p, slice_p
from covector.sharding.partition.collective import collective
from covector.sharding.partition.mesh import Axes, ProcessMesh
from covector.sharding.partition.part import Part
from covector.sharding.propagate import Split

# For each process along some axes, where a part of a dimension begins and ends.
Ranges = Sequence[tuple[int, int]]


class Across(Part):
    """A value that is whole along a dimension, and is made only if something asks for all of it:
    parts of it come from parts of what it is made of.

    Attributes
    ----------
    dim : int
    over : Axes
        The axes that split that dimension of what it is made of.
    window : callable
        ``window(ranges)`` gives what this process needs of it.
    sent : callable
        ``sent(ranges)``: how many rows processes send for that.
    """

    __slots__ = ("dim", "over", "window", "sent", "_whole", "_made")

    def __init__(
        self, aval: ShapedArray, split: Split, dim: int, over: Axes,
        window: Callable[[Ranges], Any], sent: Callable[[Ranges], int], whole: Callable[[], Any],
    ) -> None:  # fmt: skip
        self.aval, self.split = aval, split
        self.cut = None
        self._others = {}
        self.dim, self.over, self.window, self.sent = dim, over, window, sent
        self._whole = whole
        self._made: Any = None

    @property
    def value(self) -> Any:  # type: ignore[override]
        if self._made is None:
            self._made = self._whole()
        return self._made

    def at(self, mesh: ProcessMesh, split: Split) -> Any:
        if self._made is None and split == _with(self.split, self.dim, self.over):
            if split not in self._others:
                n = self.aval.shape[self.dim]
                self._others[split] = self.window(parts_of(n, mesh.count(self.over)))
        return super().at(mesh, split)

    def settled(self, mesh: ProcessMesh) -> Part:
        """The value split as what it is made of is, if it can be, and less is sent for that than
        for all of it."""
        n, count = self.aval.shape[self.dim], mesh.count(self.over)
        if n == 0 or n % count:
            return self
        ranges = parts_of(n, count)
        if self.sent(ranges) >= (count - 1) * (n // count):
            return self
        return Part(self.aval, _with(self.split, self.dim, self.over), self.window(ranges))


def parts_of(n: int, count: int) -> Ranges:
    """The ranges of equal parts."""
    size = n // count
    return [(k * size, (k + 1) * size) for k in range(count)]


def over_of(p: Part, dim: int) -> Axes:
    """The axes that split a dimension of a value, or of what it is made of."""
    return p.over if isinstance(p, Across) and p.dim == dim else p.split[dim]


def _with(split: Split, dim: int, axes: Axes) -> Split:
    return (*split[:dim], axes, *split[dim + 1 :])


def _resized(aval: ShapedArray, dim: int, n: int) -> ShapedArray:
    shape = (*aval.shape[:dim], n, *aval.shape[dim + 1 :])
    return ShapedArray(shape, aval.dtype, aval.weak_type)


def _clipped(a: int, b: int, n: int) -> tuple[int, int]:
    first = min(max(a, 0), n)
    return first, max(min(b, n), first)


def _rest(p: Part, dim: int) -> Split:
    """How the other dimensions are split."""
    return _with(p.split, dim, ())


def _window(p: Part, dim: int, ranges: Ranges, mesh: ProcessMesh, over: Axes) -> Any:
    """What this process needs of a value along a dimension."""
    if isinstance(p, Across) and p.dim == dim and p.over == over:
        return p.window(ranges)
    if p.split[dim] == over:
        return _received(p.value, dim, ranges, mesh, over)
    first, stop = ranges[mesh.index(over)]
    return _cut(p.at(mesh, _rest(p, dim)), dim, first, stop)


def _rows_sent(p: Part, dim: int, ranges: Ranges, mesh: ProcessMesh, over: Axes) -> int:
    if isinstance(p, Across) and p.dim == dim and p.over == over:
        return p.sent(ranges)
    if p.split[dim] != over:
        return 0
    size = p.aval.shape[dim] // mesh.count(over)
    return sum(n for d, n in _pieces(ranges, size).items() if d)


def _overlap(ranges: Ranges, size: int, k: int, j: int) -> tuple[int, int]:
    """What process ``k`` needs of the part of ``j``, in that part."""
    return _clipped(ranges[k][0] - j * size, ranges[k][1] - j * size, size)


def _pieces(ranges: Ranges, size: int) -> dict[int, int]:
    """The most that a process needs of one at each distance."""
    found: dict[int, int] = {}
    count = len(ranges)
    for k in range(count):
        for j in range(count):
            first, stop = _overlap(ranges, size, k, j)
            if stop > first:
                found[j - k] = max(found.get(j - k, 0), stop - first)
    return dict(sorted(found.items()))


def _received(x: Any, dim: int, ranges: Ranges, mesh: ProcessMesh, over: Axes) -> Any:
    """What this process needs, of parts that all have: its own, and pieces of others."""
    here, ranks = mesh.index(over), mesh.group(over)
    size, count = x.shape[dim], len(ranges)
    rows = []
    for d, length in _pieces(ranges, size).items():
        first, stop = _overlap(ranges, size, here, here + d)
        if d == 0:
            rows.append(_cut(x, dim, first, stop))
            continue
        pairs = []
        for k in range(max(0, -d), min(count, count - d)):
            a, b = _overlap(ranges, size, k, k + d)
            if b > a:
                pairs.append((k + d, k))
        to = here - d
        begin = _overlap(ranges, size, to, here)[0] if 0 <= to < count else 0
        begin = min(begin, size - length)
        piece = _cut(x, dim, begin, begin + length)
        got = collective(piece, "permute", ranks, pairs)
        begin = min(first, size - length)
        rows.append(_cut(got, dim, first - begin, stop - begin))
    return concatenate(rows or [_cut(x, dim, 0, 0)], dim)


def mapped(p: Part, fun: Callable[[Any], Any], aval: ShapedArray) -> Part:
    """What ``fun``, which runs along other dimensions, makes of a value: of the type ``aval``."""
    if not isinstance(p, Across):
        return Part(aval, p.split, fun(p.value))
    return Across(
        aval, p.split, p.dim, p.over, lambda ranges: fun(p.window(ranges)), p.sent,
        lambda: fun(p.value),
    )  # fmt: skip


def _cut(x: Any, dim: int, first: int, stop: int, stride: int = 1) -> Any:
    """A slice along a dimension; one equation, even where it is all of it."""
    shape = x.shape
    return slice_p.bind(
        x,
        start_indices=(*[0] * dim, first, *[0] * (len(shape) - dim - 1)),
        limit_indices=(*shape[:dim], stop, *shape[dim + 1 :]),
        strides=None if stride == 1 else (*[1] * dim, stride, *[1] * (len(shape) - dim - 1)),
    )


# --- the operations --------------------------------------------------------------------------


def sliced(p: Part, dim: int, start: int, limit: int, stride: int, mesh: ProcessMesh) -> Part:
    """A static slice along a dimension that is split."""
    over, n = over_of(p, dim), -(-(limit - start) // stride)

    def of_operand(ranges: Ranges) -> Ranges:
        return [(start + stride * a, start + stride * (b - 1) + 1) if b > a else (0, 0)
                for a, b in ranges]  # fmt: skip

    def window(ranges: Ranges) -> Any:
        x = _window(p, dim, of_operand(ranges), mesh, over)
        return x if stride == 1 else _cut(x, dim, 0, x.shape[dim], stride)

    def whole() -> Any:
        return _cut(p.at(mesh, _rest(p, dim)), dim, start, limit, stride)

    return Across(
        _resized(p.aval, dim, n), _rest(p, dim), dim, over, window,
        lambda ranges: _rows_sent(p, dim, of_operand(ranges), mesh, over), whole,
    ).settled(mesh)  # fmt: skip


def padded(p: Part, fill: Any, dim: int, low: int, high: int, mesh: ProcessMesh) -> Part:
    """A padding at the ends of a dimension that is split; what is negative cuts off."""
    over, n = over_of(p, dim), p.aval.shape[dim]

    def of_operand(ranges: Ranges) -> Ranges:
        return [_clipped(a - low, b - low, n) for a, b in ranges]

    def window(ranges: Ranges) -> Any:
        a, b = ranges[mesh.index(over)]
        x = _window(p, dim, of_operand(ranges), mesh, over)
        before = min(max(low - a, 0), b - a)
        return _ends(x, fill, dim, before, b - a - before - x.shape[dim])

    def whole() -> Any:
        return _ends(p.at(mesh, _rest(p, dim)), fill, dim, low, high)

    return Across(
        _resized(p.aval, dim, n + low + high), _rest(p, dim), dim, over, window,
        lambda ranges: _rows_sent(p, dim, of_operand(ranges), mesh, over), whole,
    ).settled(mesh)  # fmt: skip


def _ends(x: Any, fill: Any, dim: int, low: int, high: int) -> Any:
    config = tuple([(low, high, 0) if k == dim else (0, 0, 0) for k in range(len(x.shape))])
    return pad_p.bind(x, fill, padding_config=config)


def joined(parts: Sequence[Part], dim: int, mesh: ProcessMesh) -> Part | None:
    """A concatenation along a dimension; None where operands are split in different ways."""
    overs = {over_of(p, dim) for p in parts} - {()}
    rest = _rest(parts[0], dim)
    if len(overs) != 1 or any(_rest(p, dim) != rest for p in parts):
        return None
    (over,) = overs
    starts = [0]
    for p in parts:
        starts.append(starts[-1] + p.aval.shape[dim])

    def of_operand(k: int, ranges: Ranges) -> Ranges:
        n = parts[k].aval.shape[dim]
        return [_clipped(a - starts[k], b - starts[k], n) for a, b in ranges]

    def window(ranges: Ranges) -> Any:
        found = [
            _window(p, dim, of_operand(k, ranges), mesh, over) for k, p in enumerate(parts)
        ]  # fmt: skip
        return concatenate(found, dim)

    def sent(ranges: Ranges) -> int:
        return sum(
            _rows_sent(p, dim, of_operand(k, ranges), mesh, over) for k, p in enumerate(parts)
        )

    def whole() -> Any:
        return concatenate([p.at(mesh, rest) for p in parts], dim)

    aval = _resized(parts[0].aval, dim, starts[-1])
    return Across(aval, rest, dim, over, window, sent, whole).settled(mesh)
