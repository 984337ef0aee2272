"""Which axes of a mesh each dimension of an array is split over."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from covector.core.avals import NO_MARKS, Marks
from covector.core.errors import at_user_line, boundaries

# What a dimension is split over: nothing, an axis, or several axes, the first the slowest.
Part = Any


@boundaries
class PartitionSpec:
    """For each dimension of an array, the axes of a mesh over which it is split.

    Parameters
    ----------
    *partitions : None, name, or tuple of names
        One for each dimension, as far as they go: dimensions without one, or with None, are not
        split. A tuple names several axes, the first of which counts slowest.
        `PartitionSpec.UNCONSTRAINED` leaves a dimension to the compiler, in constraints.
    unreduced : set of names
        Axes over which the array is a sum that has not been taken yet.
    reduced : set of names
        Axes over which the cotangent of the array is such a sum.

    Raises
    ------
    TypeError
        If a partition is something else.

    Examples
    --------
    >>> from covector.sharding import PartitionSpec as P
    >>> P("x", None, ("y", "z"))
    P('x', None, ('y', 'z'))
    >>> P("x")[0], len(P("x", "y"))
    ('x', 2)
    """

    __slots__ = ("partitions", "unreduced", "reduced", "_hash")
    partitions: tuple[Part, ...]
    unreduced: frozenset[Hashable]
    reduced: frozenset[Hashable]
    UNCONSTRAINED: Any

    def __init__(
        self,
        *partitions: Part,
        unreduced: Iterable[Hashable] = frozenset(),
        reduced: Iterable[Hashable] = frozenset(),
    ) -> None:
        self.partitions = tuple([_part(p) for p in partitions])
        self.unreduced = _axes("unreduced", unreduced)
        self.reduced = _axes("reduced", reduced)
        both = self.unreduced & self.reduced
        if both:
            raise ValueError(
                f"PartitionSpec: {', '.join(sorted(map(repr, both)))} in both unreduced and "
                f"reduced: a sum over an axis is taken or not{at_user_line()}"
            )
        if self.unreduced or self.reduced:
            split = {n for p in self.partitions for n in names_in(p)}
            twice = split & (self.unreduced | self.reduced)
            if twice:
                raise ValueError(
                    f"PartitionSpec: {', '.join(sorted(map(repr, twice)))} splits a dimension, and "
                    f"is in unreduced or reduced: along an axis, an array is split, or it is a sum "
                    f"or what all have{at_user_line()}"
                )
        self._hash = hash((self.partitions, self.unreduced, self.reduced))

    def __iter__(self) -> Iterator[Part]:
        return iter(self.partitions)

    def __len__(self) -> int:
        return len(self.partitions)

    def __getitem__(self, at: Any) -> Any:
        return self.partitions[at]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PartitionSpec):
            return (
                self.partitions == other.partitions
                and self.unreduced == other.unreduced
                and self.reduced == other.reduced
            )
        if isinstance(other, tuple):
            plain = not self.unreduced and not self.reduced
            return plain and self.partitions == PartitionSpec(*other).partitions
        return NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: PartitionSpec | tuple[Part, ...]) -> PartitionSpec:
        return self.update(partitions=(*self.partitions, *other))

    def __radd__(self, other: tuple[Part, ...]) -> PartitionSpec:
        return self.update(partitions=(*other, *self.partitions))

    def __reduce__(self) -> Any:
        return _make, (self.partitions, self.unreduced, self.reduced)

    def __repr__(self) -> str:
        items = [repr(p) for p in self.partitions]
        for name in ("unreduced", "reduced"):
            axes = getattr(self, name)
            if axes:
                items.append(f"{name}={{{', '.join(sorted(map(repr, axes)))}}}")
        return f"P({', '.join(items)}{',' if len(items) == 1 and self.partitions else ''})"

    def count(self, value: Part) -> int:
        """How many dimensions are split over exactly ``value``.

        Parameters
        ----------
        value : None, name, or tuple of names

        Returns
        -------
        int

        Examples
        --------
        >>> from covector.sharding import PartitionSpec as P
        >>> P("x", None, None).count(None)
        2
        """
        return self.partitions.count(_part(value))

    def index(self, value: Part) -> int:
        """The first dimension that is split over exactly ``value``.

        Parameters
        ----------
        value : None, name, or tuple of names

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If there is none.

        Examples
        --------
        >>> from covector.sharding import PartitionSpec as P
        >>> P("x", "y").index("y")
        1
        """
        return self.partitions.index(_part(value))

    @property
    def marks(self) -> Marks:
        """What it says of sums."""
        return Marks(self.unreduced, self.reduced)

    def with_marks(self, marks: Marks) -> PartitionSpec:
        """The same, with this said of sums."""
        return self.update(unreduced=marks.unreduced, reduced=marks.reduced)

    def update(
        self, partitions: Any = None, unreduced: Any = None, reduced: Any = None
    ) -> PartitionSpec:
        """The same with something else in place of a part.

        Parameters
        ----------
        partitions : sequence, optional
        unreduced, reduced : set of names, optional

        Returns
        -------
        PartitionSpec

        Examples
        --------
        >>> from covector.sharding import PartitionSpec as P
        >>> P("x", "y").update(partitions=("y", None))
        P('y', None)
        """
        return PartitionSpec(
            *(self.partitions if partitions is None else partitions),
            unreduced=self.unreduced if unreduced is None else unreduced,
            reduced=self.reduced if reduced is None else reduced,
        )


P = PartitionSpec


def _axes(what: str, names: Any) -> frozenset[Hashable]:
    """The axes of ``unreduced`` or ``reduced``."""
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise TypeError(
            f"PartitionSpec: {what} is a set of names of axes, such as {{'x'}}, got {names!r}"
            f"{at_user_line()}"
        )
    return frozenset(names)


def _make(
    partitions: tuple[Part, ...], unreduced: frozenset[Hashable], reduced: frozenset[Hashable]
) -> PartitionSpec:
    return PartitionSpec(*partitions, unreduced=unreduced, reduced=reduced)


def named_in(spec: PartitionSpec) -> frozenset[Hashable]:
    """The axes that a spec names."""
    return frozenset([n for p in spec for n in names_in(p)]) | spec.unreduced | spec.reduced


def unmarked(spec: PartitionSpec) -> PartitionSpec:
    """How a spec says that arrays are split, without what it says of sums."""
    return spec.with_marks(NO_MARKS) if spec.unreduced or spec.reduced else spec


def of_cotangent(spec: PartitionSpec) -> PartitionSpec:
    """The spec of the cotangents of what lies so."""
    return spec.with_marks(spec.marks.of_cotangent)


class _Unconstrained:
    """A dimension whose split the compiler chooses."""

    def __repr__(self) -> str:
        return "UNCONSTRAINED"

    def __reduce__(self) -> str:
        return "UNCONSTRAINED"


UNCONSTRAINED = PartitionSpec.UNCONSTRAINED = _Unconstrained()


def _part(part: Part) -> Part:
    """A partition in its one form: a tuple of one name is that name, of none, None."""
    if part is None or part is UNCONSTRAINED:
        return part
    if isinstance(part, (tuple, list)):
        names = tuple(part)
        for name in names:
            _check_name(name, part)
        return None if not names else names[0] if len(names) == 1 else names
    _check_name(part, part)
    return part


def _check_name(name: Any, part: Part) -> None:
    try:
        hash(name)
    except TypeError:
        name = None
    if name is None or isinstance(name, (tuple, PartitionSpec)):
        raise TypeError(
            "PartitionSpec takes for each dimension None, the name of an axis of a mesh, or a "
            f"tuple of names, got {part!r}{at_user_line()}"
        )


def names_in(part: Part) -> tuple[Hashable, ...]:
    """The axes over which a dimension is split."""
    if part is None or part is UNCONSTRAINED:
        return ()
    return part if type(part) is tuple else (part,)


def part_of(names: Iterable[Hashable]) -> Part:
    """The partition over these axes."""
    found = tuple(names)
    return None if not found else found[0] if len(found) == 1 else found
