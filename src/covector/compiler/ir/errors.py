"""What is wrong with a text or program of the loop IR, and where."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where in a text something stands, from 1."""

    line: int
    column: int


class LoopTextError(ValueError):
    """A text of the loop IR that is not one, or a program that makes no sense.

    Attributes
    ----------
    line, column : int
        Where, from 1.
    rule : str
        What should be, but is not.
    """

    def __init__(self, rule: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {rule}")
        self.rule = rule
        self.line = line
        self.column = column
