"""What a process has of the values of a program, and how it comes by other parts of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.avals import ShapedArray, aval_of
from covector.core.structural import convert_element_type, zeros
from covector.primitives.structure import slice_in_dim
from covector.sharding.partition.collective import collective, exchanged, gathered, scattered
from covector.sharding.partition.mesh import Axes, ProcessMesh
from covector.sharding.propagate import Split, nowhere


class Part:
    """What a process has of a value.

    Attributes
    ----------
    aval : ShapedArray
        The type of the whole.
    split : Split
        Over which axes of processes each dimension is split.
    value : array
        Of the type of the whole.
    cut : callable, optional
        ``cut(split)`` computes another part anew from what the value is computed from, or returns
        None where that cannot be.
    """

    __slots__ = ("aval", "split", "value", "cut", "_others")
    value: Any

    def __init__(
        self,
        aval: ShapedArray,
        split: Split,
        value: Any,
        cut: Callable[[Split], Any] | None = None,
    ) -> None:
        self.aval = aval
        self.split = split
        self.value = value
        self.cut = cut
        self._others: dict[Split, Any] = {}

    @property
    def whole(self) -> bool:
        """Whether each process has all."""
        return not any(self.split)

    def at(self, mesh: ProcessMesh, split: Split) -> Any:
        """The part of a process where the value is split so."""
        if split == self.split:
            return self.value
        found = self._others.get(split)
        if found is None:
            found = self.cut(split) if self.cut is not None and self.whole else None
            if found is None:
                found = moved(self.value, self.split, split, mesh)
            self._others[split] = found
        return found

    def gathered(self, mesh: ProcessMesh) -> Any:
        """All of it."""
        return self.at(mesh, nowhere(self.aval))


class Terms(Part):
    """A part that is a sum over processes, of which this one has a term.

    What asks for it has the processes add their terms: all of them, or, where the part that is
    asked for is split over these processes, each those of its part.

    Attributes
    ----------
    terms : array
        What this process has; small floats in float32, as they are rounded once.
    axes : Axes
        Over which the terms are added.
    total : array, optional
        The sum, if it is known.
    """

    __slots__ = ("terms", "axes", "mesh", "_sum")

    def __init__(
        self, aval: ShapedArray, split: Split, terms: Any, axes: Axes, mesh: ProcessMesh,
        total: Any = None,
    ) -> None:  # fmt: skip
        self.aval, self.split = aval, split
        self.cut = None
        self._others = {}
        self.terms, self.axes, self.mesh = terms, axes, mesh
        self._sum = total

    @property
    def value(self) -> Any:  # type: ignore[override]
        if self._sum is None:
            self._sum = self._typed(collective(self.terms, "sum", self.mesh.group(self.axes)))
        return self._sum

    @property
    def added(self) -> bool:
        """Whether the sum has been asked for."""
        return self._sum is not None

    def like(self, other: Terms) -> bool:
        """Whether it is a sum over the same processes, of as many elements."""
        mine, others = ((p.axes, p.split, p.aval.shape) for p in (self, other))
        return mine == others

    def _typed(self, x: Any) -> Any:
        return x if x.dtype == self.aval.dtype else convert_element_type(x, self.aval.dtype)

    def at(self, mesh: ProcessMesh, split: Split) -> Any:
        if self._sum is None and split not in self._others:
            dims = [k for k, (a, b) in enumerate(zip(self.split, split, strict=True)) if a != b]
            if len(dims) == 1 and split[dims[0]] == (*self.split[dims[0]], *self.axes):
                x = scattered(self.terms, dims[0], mesh.group(self.axes))
                self._others[split] = self._typed(x)
        return super().at(mesh, split)


def terms_of(p: Part, split: Split, axes: Axes, mesh: ProcessMesh) -> Any:
    """What this process has of a value as a sum over ``axes`` that is split so: its term, or, where
    the sum is known, all of it in the first process, and zeros in the others."""
    if isinstance(p, Terms) and set(p.axes) == set(axes) and p.split == split:
        x = p.terms
        return x if x.dtype == p.aval.dtype else convert_element_type(x, p.aval.dtype)
    x = p.at(mesh, split)
    return x if mesh.index(axes) == 0 else zeros(aval_of(x))


def moved(x: Any, have: Split, want: Split, mesh: ProcessMesh) -> Any:
    """The part of a value that is split as ``want`` says, from that as ``have`` says."""
    swap = _swapped(have, want)
    if swap is not None:
        give, take, axes = swap
        return exchanged(x, take, give, mesh.group(axes))
    common = [_prefix(a, b) for a, b in zip(have, want, strict=True)]
    for dim, (axes, n) in enumerate(zip(have, common, strict=True)):
        if len(axes) > n:
            x = gathered(x, dim, mesh.group(axes[n:]))
    for dim, (axes, n) in enumerate(zip(want, common, strict=True)):
        rest = axes[n:]
        if rest:
            size = x.shape[dim] // mesh.count(rest)
            k = mesh.index(rest)
            x = slice_in_dim(x, k * size, (k + 1) * size, axis=dim)
    return x


def _prefix(a: Axes, b: Axes) -> int:
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def _swapped(have: Split, want: Split) -> tuple[int, int, Axes] | None:
    """The dimension that gives up axes to another one which takes them, and the axes."""
    differ = [k for k, (a, b) in enumerate(zip(have, want, strict=True)) if a != b]
    if len(differ) != 2:
        return None
    for give, take in (differ, differ[::-1]):
        n, m = len(want[give]), len(have[take])
        axes = have[give][n:]
        if axes and have[give][:n] == want[give] and want[take] == have[take][:m] + axes:
            return give, take, axes
    return None
