"""What a process has of the values of a program, and how it comes by other parts of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.avals import ShapedArray
from covector.primitives.structure import slice_in_dim
from covector.sharding.partition.collective import exchanged, gathered
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
    cut : callable, optional
        ``cut(split)`` computes another part anew from what the value is computed from, or returns
        None where that cannot be.
    """

    __slots__ = ("aval", "split", "value", "cut", "_others")

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
