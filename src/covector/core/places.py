"""Places in the user's code: which one an equation says that it comes from.

An operation that the user's code applies comes from the line that runs. One that a rule applies
comes from the equation that the rule is of: whoever goes through a jaxpr equation by equation says
to the traces that record (`at_equations`) which place they are to write down. A rule that the user
wrote counts as code of the user's again (`users_code`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from covector import _native


class ScopedPlace(tuple):
    """File, line and function of an operation in a `named_scope`.

    Attributes
    ----------
    scope : str
        The names of the scopes, the outermost first, with slashes between them.
    """

    scope: str

    @staticmethod
    def within(name: str, place: Any) -> Any:
        """``place``, which may be None, in the scope ``name``."""
        if place is None:
            return None
        made = ScopedPlace(place)
        inner = scope_of(place)
        made.scope = f"{name}/{inner}" if inner else name
        return made

    def marked(self, by: str) -> ScopedPlace:
        """The place in the scopes that a transformation makes: ``transpose(outer)/inner``."""
        made = ScopedPlace(self)
        outer, slash, inner = self.scope.partition("/")
        made.scope = f"{by}({outer}){slash}{inner}"
        return made


def scope_of(place: Any) -> str:
    """The scopes that an operation stands in, empty if there are none."""
    return place.scope if type(place) is ScopedPlace else ""


class _Eager(threading.local):
    """What stands for the traces that record, where operations are computed at once."""

    place: Any = None


_eager = _Eager()


def _recording(trace: Any) -> list[Any]:
    """The traces, from ``trace`` outward, that may record what is applied under it."""
    found = []
    while trace is not None:
        if trace.records:
            found.append(trace)
            if trace.captures:  # nothing goes on to its parent
                return found
        trace = trace.parent
    found.append(_eager)
    return found


def place_of(trace: Any) -> Any:
    """The place of the equation whose rule runs under ``trace``; None where the user runs."""
    while trace is not None:
        if trace.records:
            return trace.place
        trace = trace.parent
    return _eager.place


def inherited(trace: Any) -> Any:
    """The place for what is recorded in a program within an operation under ``trace``.

    The scope is that of the operation, and is not said again.
    """
    place = place_of(trace)
    return tuple(place) if type(place) is ScopedPlace else place


class at_equations:
    """Context manager: what is applied in the block comes from equations.

    It gives a function to be called with the ``source_info`` of each of them, before its rule.

    Parameters
    ----------
    mark : str
        Put around the scopes, for what is not a part of the function itself.
    """

    __slots__ = ("_mark", "_recording")

    def __init__(self, mark: str = "") -> None:
        self._mark = mark

    def __enter__(self) -> Callable[[Any], None]:
        self._recording = [
            (t, t.place, scope_of(t.place)) for t in _recording(_native.current_trace())
        ]
        return self._at

    def _at(self, place: Any) -> None:
        if self._mark and type(place) is ScopedPlace:
            place = place.marked(self._mark)
        for trace, outer, scope in self._recording:
            trace.place = (ScopedPlace.within(scope, place) if scope else place) or outer

    def __exit__(self, *exc: object) -> None:
        for trace, outer, _ in self._recording:
            trace.place = outer


class users_code:
    """Context manager: the block is a rule of the user's, whose lines are those of what it applies.

    The scopes around the equation that the rule is of are around these, too.
    """

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        self._outer = []
        for trace in _recording(_native.current_trace()):
            if trace.place is not None:
                self._outer.append((trace, trace.place, len(getattr(trace, "eqns", ()))))
                trace.place = None

    def __exit__(self, *exc: object) -> None:
        for trace, place, start in self._outer:
            trace.place = place
            scope = scope_of(place)
            if scope and trace is not _eager:
                for eqn in trace.eqns[start:]:
                    eqn.source_info = ScopedPlace.within(scope, eqn.source_info)
