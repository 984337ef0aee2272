"""Room for recursion over the levels of a program: loops and branches inside each other.

Python's limit guards against recursion that never ends. What goes down the levels of a program ends
with it; but it may take more frames a level than the tracing of the program did.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Up to so many levels the limit is left as it is; `descends` makes room for as many at a time.
_LEVELS = 8
# At most so many frames a level (differentiating a branch takes 12, lowering it 9).
_FRAMES = 40
_lock = threading.Lock()


class _Depth(threading.local):
    levels = 0


_depth = _Depth()


@contextlib.contextmanager
def room_for(levels: int) -> Iterator[None]:
    """Have room for recursion over so many levels."""
    more = levels * _FRAMES if levels >= _LEVELS else 0
    _raise_limit(more)
    try:
        yield
    finally:
        _raise_limit(-more)


def descends(fun: Callable[P, T]) -> Callable[P, T]:
    """Have ``fun``, which calls itself once a level, make room as it goes."""

    @functools.wraps(fun)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        depth = _depth
        depth.levels += 1
        try:
            if depth.levels % _LEVELS:
                return fun(*args, **kwargs)
            with room_for(_LEVELS):
                return fun(*args, **kwargs)
        finally:
            depth.levels -= 1

    return wrapped


def _raise_limit(by: int) -> None:
    if by:
        # The limit is the process's, and others may be raising it. A thread that is too deep for
        # a lower one keeps the higher.
        with _lock, contextlib.suppress(RecursionError):
            sys.setrecursionlimit(sys.getrecursionlimit() + by)
