"""Native functions of users in programs: which, and with which attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from covector.core.effects import Effect


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
        Names and values: numbers, strings, or ``(bytes, dtype name, shape)``.
    aliases : tuple of pairs
        Arguments, and the results whose memory they are given in.
    levels : tuple
        Mapped axes that it is called for each element of, the outermost first: their sizes, and
        which arguments have them.
    effects : frozenset
    """

    __slots__ = ("name", "attributes", "aliases", "levels", "effects")

    def __init__(
        self,
        name: str,
        attributes: tuple[tuple[str, Any], ...],
        aliases: tuple[tuple[int, int], ...],
        levels: tuple[tuple[int, tuple[bool, ...]], ...],
        effects: frozenset[Any],
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.aliases = aliases
        self.levels = levels
        self.effects = effects

    @property
    def __name__(self) -> str:
        return self.name

    def each(self, axis_size: int, mapped: Sequence[bool]) -> ForeignFunction:
        """The function that calls this one for each element of axis 0 of the mapped arguments."""
        levels = ((axis_size, tuple(mapped)), *self.levels)
        return ForeignFunction(self.name, self.attributes, self.aliases, levels, self.effects)

    def __call__(self, *args: Any) -> NoReturn:
        raise NotImplementedError(
            f"the native function {self.name} runs on the CPU: put its operands there, or give "
            "another function for this device"
        )

    def _key(self) -> tuple[Any, ...]:
        return (self.name, self.attributes, self.aliases, self.levels, self.effects)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignFunction) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"ForeignFunction({self.name})"
