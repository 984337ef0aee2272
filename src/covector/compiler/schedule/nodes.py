"""The schedule as data: stages, the loops that several of them share, steps of blocks.

Nothing here changes once it is made. A stage is one pass over a domain, a nest is a tree of
loops with stages as its leaves, and the steps of a block are nests, small arrays written out
in registers, library calls, loops and branches, in the order in which they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from covector.compiler.ir.nodes import Block, Dim, Expr, Index, Part, Test, Value
from covector.compiler.target import Target
from covector.core.record import Record


class Times(Record):
    """The extent of two loops merged into one."""

    a: Extent
    b: Extent

    def __str__(self) -> str:
        return f"{self.a}*{self.b}"


Extent = Dim | Times


def times(a: Extent, b: Extent) -> Extent:
    """``a * b``, folded where both are constants or one is 1."""
    if a == 1:
        return b
    if b == 1:
        return a
    return a * b if type(a) is int and type(b) is int else Times(a, b)


class Stage(Record):
    """One pass over a domain: it computes a value, or one part of an update.

    Index variables that no loop walks (folded into a later one) stay at zero.

    Attributes
    ----------
    value : Value
    kind : str
        ``pointwise``, ``reduce``, ``init`` and ``accumulate`` (a reduction into memory),
        ``cumulative`` or ``part``.
    order : tuple of int
        The index variable of each loop, outermost first.
    dims : tuple of Extent
        The extent of each loop.
    roles : str
        A letter a loop: ``p`` parallel, ``r`` reduction, ``s`` serial; ``t`` tile and ``b``
        blocks of a later loop.
    number : int
        Which part of the update it is.
    few : bool
        A reduction to a few numbers: its loops are those reduced, results are written out.
    expr : Expr
        What an element is.
    reads : tuple of (Value, index)
        The stored values that an element is computed from.
    other : frozenset of int
        Index variables used other than as plain subscripts.
    tests : tuple of Test
        The conditions under which it reads one element or another.
    """

    value: Value
    kind: str
    order: tuple[int, ...]
    dims: tuple[Extent, ...]
    roles: str
    number: int
    few: bool
    # The rest follows from the value's definition.
    expr: Expr
    reads: tuple[tuple[Value, tuple[Index, ...]], ...]
    other: frozenset[int]
    tests: tuple[Test, ...]

    def __eq__(self, other: object) -> bool:
        return type(other) is Stage and self[:7] == other[:7]

    def __hash__(self) -> int:
        return hash(self[:7])

    def stages(self) -> Iterator[Stage]:
        """Itself, as of a loop those inside it."""
        yield self

    @property
    def depth(self) -> int:
        return len(self.order)

    @property
    def part(self) -> Part:
        """The part of an update that it writes."""
        found: Part = self.value.defn.parts[self.number]
        return found


class NestLoop(Record):
    """A loop of a nest, and in order what runs inside it.

    Attributes
    ----------
    dim : Extent
    role : str
        As of a stage.
    children : tuple
        Loops, or stages.
    lanes : int
        Rounds that are the lanes of one vector; 0 for scalar code.
    unrolled : bool
        Whether its rounds are written out.
    together : int
        Rounds of a reduction that one pass over a row of results takes.
    stretches : bool
        Whether it runs from one border to the next, where a condition on its index changes.
    apart : bool
        Whether the rounds that fill no vector are written once more, behind those that do.
    """

    dim: Extent
    role: str
    children: tuple[NestLoop | Stage, ...]
    lanes: int = 0
    unrolled: bool = False
    together: int = 1
    stretches: bool = False
    apart: bool = False

    def stages(self) -> Iterator[Stage]:
        for c in self.children:
            yield from c.stages()

    @property
    def leaves(self) -> tuple[Stage, ...]:
        """Those of its children that are stages."""
        return tuple([c for c in self.children if type(c) is Stage])

    @property
    def loops(self) -> tuple[NestLoop, ...]:
        """Those of its children that are loops."""
        return tuple([c for c in self.children if type(c) is NestLoop])


class Nest:
    """Stages that share loops.

    Attributes
    ----------
    root : NestLoop or Stage
        A stage if there is no loop at all.
    contracted : frozenset of Value
        Values that no one reads outside the loops that compute them: never stored.
    rows : frozenset of Value
        Values of which a row is enough: no one reads an element in another round of the outermost
        loop than that in which it is computed. No more is stored unless another value is there.
    tasks : str
        ``loop`` where the outermost loop is cut into tasks for threads, ``partial`` where each
        task has results of its own, which are merged in order, ``groups`` where each task
        begins and ends between elements that are written to different places, ``copies`` where
        each merges elements into a copy of the places; else nothing.
    stages : tuple of Stage
        Those of ``root``, in order.
    """

    __slots__ = ("root", "contracted", "rows", "tasks", "stages")
    root: NestLoop | Stage
    contracted: frozenset[Value]
    rows: frozenset[Value]
    tasks: str
    stages: tuple[Stage, ...]

    def __init__(
        self,
        root: NestLoop | Stage,
        contracted: frozenset[Value] = frozenset(),
        rows: frozenset[Value] = frozenset(),
        tasks: str = "",
    ) -> None:
        put = object.__setattr__
        put(self, "root", root)
        put(self, "contracted", contracted)
        put(self, "rows", rows)
        put(self, "tasks", tasks)
        put(self, "stages", tuple(root.stages()))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a nest does not change: {name}")

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is Nest
            and self.root == other.root
            and self.contracted == other.contracted
            and self.rows == other.rows
            and self.tasks == other.tasks
        )


Step = Nest | Value


class Schedule(Record):
    """The schedule of a program.

    Attributes
    ----------
    target : Target
    kinds : mapping
        Value to ``reg`` (registers), ``mem`` (memory) or ``inline`` (computed where it is read).
    steps : mapping
        Block to its steps: nests, and values (a small array, a call, a loop, a branch).
    """

    target: Target
    kinds: Mapping[Value, str]
    steps: Mapping[Block, tuple[Step, ...]]

    def inline(self, v: Value) -> bool:
        return self.kinds.get(v) == "inline"
