"""Effects: why an equation stays in a program although nothing uses its results."""

from __future__ import annotations


class Effect:
    """A kind of effect; applications of a primitive name theirs (`def_effectful_abstract_eval`).

    Examples
    --------
    >>> from covector.extend.core import Effect
    >>> class Logged(Effect):
    ...     pass
    """

    __slots__ = ("__dict__",)
