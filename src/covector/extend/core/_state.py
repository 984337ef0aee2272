"""What is being traced around the running code."""

from __future__ import annotations

import weakref
from typing import Any

from covector.core.trace import JaxprTrace, Trace, current_trace
from covector.transforms.cache import context_key
from covector.transforms.vmap import BatchTrace, axis_env


class TraceTag:
    """Marks which traces belong to one application of a transformation; a new one is no other.

    Examples
    --------
    >>> from covector.extend.core import TraceTag
    >>> TraceTag() == TraceTag()
    False
    """

    __slots__ = ("__weakref__",)


class _TraceState:
    """Compares equal while the same trace and options are current."""

    __slots__ = ("_trace", "_key")

    def __init__(self) -> None:
        self._trace = weakref.ref(current_trace())
        self._key = context_key()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _TraceState)
            and self._trace() is not None
            and self._trace() is other._trace()
            and self._key == other._key
        )

    def __hash__(self) -> int:
        return hash(self._key)


def get_opaque_trace_state(convention: str | None = None) -> Any:
    """Something that compares equal as long as the same trace is current.

    Parameters
    ----------
    convention : str, optional
        Has no effect.

    Returns
    -------
    object

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend.core import get_opaque_trace_state
    >>> outside = get_opaque_trace_state()
    >>> outside == get_opaque_trace_state()
    True
    >>> cv.eval_shape(lambda: print(outside == get_opaque_trace_state()))
    False
    """
    return _TraceState()


def find_top_trace(_: Any) -> Trace:
    """The trace that operations are handed to.

    Parameters
    ----------
    _ : object
        Operands; they do not count.

    Returns
    -------
    Trace

    Examples
    --------
    >>> from covector.extend.core import find_top_trace
    >>> find_top_trace(())
    EvalTrace(EvalTrace)
    """
    return current_trace()


def _traces() -> list[Trace]:
    """The current trace and those around it."""
    found: list[Trace] = []
    at: Trace | None = current_trace()
    while at is not None:
        found.append(at)
        at = at.parent
    return found


def unsafe_get_axis_names_DO_NOT_USE() -> list[Any]:  # noqa: N802 - the public name
    """Names of the mapped axes around the running code.

    Returns
    -------
    list

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> f = lambda x: print(core.unsafe_get_axis_names_DO_NOT_USE())
    >>> cv.vmap(f, axis_name="i")(cv.numpy.ones(2))
    ['i']
    """
    return [name for name, _ in axis_env()]


def nonempty_axis_env_DO_NOT_USE() -> bool:  # noqa: N802 - the public name
    """Whether an axis with a name is mapped around the running code.

    Returns
    -------
    bool

    Examples
    --------
    >>> from covector.extend import core
    >>> core.nonempty_axis_env_DO_NOT_USE()
    False
    """
    return bool(unsafe_get_axis_names_DO_NOT_USE())


def unsafe_am_i_under_a_jit_DO_NOT_USE() -> bool:  # noqa: N802 - the public name
    """Whether the running code is traced to a program.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> core.unsafe_am_i_under_a_jit_DO_NOT_USE()
    False
    >>> cv.eval_shape(lambda: print(core.unsafe_am_i_under_a_jit_DO_NOT_USE()))
    True
    """
    return any(isinstance(t, JaxprTrace) for t in _traces())


def unsafe_am_i_under_a_vmap_DO_NOT_USE() -> bool:  # noqa: N802 - the public name
    """Whether the running code is mapped.

    Returns
    -------
    bool

    Examples
    --------
    >>> import covector as cv
    >>> from covector.extend import core
    >>> f = lambda x: print(core.unsafe_am_i_under_a_vmap_DO_NOT_USE())
    >>> cv.vmap(f)(cv.numpy.ones(2))
    True
    """
    return any(isinstance(t, BatchTrace) for t in _traces())
