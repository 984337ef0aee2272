"""Finding traced values that outlive the trace that made them (option `check_tracer_leaks`)."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable
from typing import Any

from covector.core import errors

_SHOWN = 3


def check(trace: Any, tracer: type[Any], made_at: Callable[[Any], str]) -> None:
    """Raise the error for values of a trace that has ended and that something still holds.

    ``tracer`` is the class of traced values, and ``made_at(x)`` a clause on where one was made.
    """
    # One walk of the heap; what it finds may only wait for the collector, which walks it again.
    if not _values(trace, tracer):
        return
    gc.collect()
    leaked = _values(trace, tracer)
    if not leaked:
        return
    lines = [f"\n  {x.describe()}{made_at(x)}{_holder(x, leaked)}" for x in leaked[:_SHOWN]]
    more = f"\n  and {len(leaked) - _SHOWN} more" if len(leaked) > _SHOWN else ""
    raise errors.UnexpectedTracerError(
        f"leaked: {trace.describe()} has ended, and these traced values are still held:"
        f"{''.join(lines)}{more}\nReturn them as results instead of keeping them"
        f"{errors.at_user_line()}"
    )


def _values(trace: Any, tracer: type[Any]) -> list[Any]:
    """The values of a trace that are not freed."""
    return [x for x in gc.get_referrers(trace) if isinstance(x, tracer) and x._trace is trace]


def _holder(x: Any, leaked: list[Any]) -> str:
    """A clause on what holds ``x``."""
    for holder in gc.get_referrers(x):
        if holder is leaked or isinstance(holder, types.FrameType):
            continue
        if isinstance(holder, dict):
            keys = [k for k, v in holder.items() if v is x]
            if "__name__" in holder:
                return f", held by the global name {keys[0]} of {holder['__name__']}"
            return f", held by a dictionary under {keys[0]!r}"
        if isinstance(holder, types.CellType):
            return ", held by a variable that a function closes over"
        return f", held by {_described(holder)}"
    return ""


def _described(holder: Any) -> str:
    kind = type(holder).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
