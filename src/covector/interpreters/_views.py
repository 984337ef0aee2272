"""Rule tables of the library as tables of rules with other arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from covector.core.trace import Primitive

Rule = Callable[..., Any]


class RuleView(MutableMapping[Primitive, Rule]):
    """A rule table, whose rules are converted when they are stored and when they are read.

    Parameters
    ----------
    table : dict
        The table.
    stored, read : callable
        Of a primitive and a rule: the rule in the form of the table, or in that of the view.
    """

    __slots__ = ("_table", "_stored", "_read")

    def __init__(
        self,
        table: dict[Primitive, Any],
        stored: Callable[[Primitive, Rule], Rule],
        read: Callable[[Primitive, Rule], Rule],
    ) -> None:
        self._table = table
        self._stored = stored
        self._read = read

    def __getitem__(self, prim: Primitive) -> Rule:
        rule = self._table[prim]
        given = getattr(rule, "given", None)
        return self._read(prim, rule) if given is None else given

    def __setitem__(self, prim: Primitive, rule: Rule) -> None:
        stored = self._stored(prim, rule)
        stored.given = rule  # type: ignore[attr-defined]
        self._table[prim] = stored

    def __delitem__(self, prim: Primitive) -> None:
        del self._table[prim]

    def __iter__(self) -> Iterator[Primitive]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, prim: object) -> bool:
        return prim in self._table
