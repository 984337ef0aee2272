"""Native functions of users in programs: which, and with which attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from covector.core.effects import Effect

Layout = tuple[int, ...]


class ForeignEffect(Effect):
    """Of native functions that do more than compute their results."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Foreign"


EFFECTS = frozenset((ForeignEffect(),))


class ForeignFunction:
    """A registered native function, in the place of the Python function of a `pure_callback`.

    Attributes
    ----------
    name : str
        What it was registered under.
    attributes : tuple of pairs
        Names and values, as `runtime.foreign.attribute` makes them.
    aliases : tuple of pairs
        Arguments, and the results whose memory they are given in.
    layouts : pair of tuples of tuples of int
        The order of the axes in memory of each argument and result, the major one first: the
        program hands arrays over with their axes in this order.
    levels : tuple
        Mapped axes that it is called for each element of, the outermost first: their sizes, and
        which arguments have them.
    effects : frozenset
    """

    __slots__ = ("name", "attributes", "aliases", "layouts", "levels", "effects")

    def __init__(
        self,
        name: str,
        attributes: tuple[tuple[str, Any], ...],
        aliases: tuple[tuple[int, int], ...],
        layouts: tuple[tuple[Layout, ...], tuple[Layout, ...]],
        levels: tuple[tuple[int, tuple[bool, ...]], ...],
        effects: frozenset[Any],
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.aliases = aliases
        self.layouts = layouts
        self.levels = levels
        self.effects = effects

    @property
    def operation(self) -> str:
        """What messages call a call of it."""
        return f"ffi_call of {self.name}"

    @property
    def __name__(self) -> str:
        return self.name

    def each(self, axis_size: int, mapped: Sequence[bool]) -> ForeignFunction:
        """The function that calls this one for each element of axis 0 of the mapped arguments."""
        levels = ((axis_size, tuple(mapped)), *self.levels)
        return ForeignFunction(
            self.name, self.attributes, self.aliases, self.layouts, levels, self.effects
        )

    def __call__(self, *args: Any) -> NoReturn:
        raise NotImplementedError(
            f"the native function {self.name} runs on the CPU and on devices of XLA's plugins: "
            "put its operands there, or give another function for this device"
        )

    def _key(self) -> tuple[Any, ...]:
        return (
            self.name, self.attributes, self.aliases, self.layouts, self.levels, self.effects
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignFunction) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"ForeignFunction({self.name})"


def logical_axes(shape: Sequence[int], layout: Layout) -> list[int]:
    """For each axis of an array its place in memory; those before ``layout``'s are mapped ones."""
    lead = len(shape) - len(layout)
    return [*range(lead), *[lead + layout.index(d) for d in range(len(layout))]]
