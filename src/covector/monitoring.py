"""Events for those who watch a program: counters, durations, values (`covector.monitoring`).

The library itself tells of ``/jax/core/compile/jaxpr_trace_duration``,
``/jax/core/compile/jaxpr_to_mlir_module_duration`` (lowering) and
``/jax/core/compile/backend_compile_duration``, each with ``fun_name``, and of
``/jax/compilation_cache/cache_hits`` and ``cache_misses``: the names that listeners of JAX know.

Examples
--------
>>> import covector as cv
>>> seen = []
>>> cv.monitoring.register_event_duration_secs_listener(
...     lambda event, seconds, **metadata: seen.append(event.split("/")[-1])
... )
>>> y = cv.jit(lambda x: x + 1)(1.0)
>>> seen
['jaxpr_trace_duration', 'jaxpr_to_mlir_module_duration', 'backend_compile_duration']
>>> cv.monitoring.clear_event_listeners()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.monitoring import DURATIONS, EVENTS, SCALARS, TIME_SPANS, tell


def record_event(event: str, **kwargs: str | int) -> None:
    """Tell the listeners to events that one has happened.

    Parameters
    ----------
    event : str
        Its name, for example ``"/library/part/event"``.
    **kwargs
        What else there is to say.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_event_listener(lambda event, **more: print(event, more))
    >>> cv.monitoring.record_event("/data/read", rows=3)
    /data/read {'rows': 3}
    >>> cv.monitoring.clear_event_listeners()
    """
    tell(EVENTS, event, **kwargs)


def record_event_duration_secs(event: str, duration: float, **kwargs: str | int) -> None:
    """Tell the listeners to durations how long something took.

    Parameters
    ----------
    event : str
        Its name.
    duration : float
        In seconds.
    **kwargs
        What else there is to say.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_event_duration_secs_listener(lambda *what, **more: print(what, more))
    >>> cv.monitoring.record_event_duration_secs("/data/read", 0.5)
    ('/data/read', 0.5) {}
    >>> cv.monitoring.clear_event_listeners()
    """
    tell(DURATIONS, event, duration, **kwargs)


def record_event_time_span(
    event: str, start_time: float, end_time: float, **kwargs: str | int
) -> None:
    """Tell the listeners to spans of time when something began and ended.

    Parameters
    ----------
    event : str
        Its name.
    start_time, end_time : float
        In seconds, of one clock.
    **kwargs
        What else there is to say.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_event_time_span_listener(lambda *what, **more: print(what))
    >>> cv.monitoring.record_event_time_span("/data/read", 1.0, 1.5)
    ('/data/read', 1.0, 1.5)
    >>> cv.monitoring.clear_event_listeners()
    """
    tell(TIME_SPANS, event, start_time, end_time, **kwargs)


def record_scalar(event: str, value: float | int, **kwargs: str | int) -> None:
    """Tell the listeners to values of one.

    Parameters
    ----------
    event : str
        Its name.
    value : float or int
    **kwargs
        What else there is to say.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_scalar_listener(lambda event, value, **more: print(event, value))
    >>> cv.monitoring.record_scalar("/train/loss", 0.25)
    /train/loss 0.25
    >>> cv.monitoring.clear_event_listeners()
    """
    tell(SCALARS, event, value, **kwargs)


def register_event_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with each event.

    Parameters
    ----------
    callback : callable
        ``callback(event, **metadata)``

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> names = []
    >>> cv.monitoring.register_event_listener(lambda event, **metadata: names.append(event))
    >>> cv.monitoring.record_event("/data/read")
    >>> names
    ['/data/read']
    >>> cv.monitoring.clear_event_listeners()
    """
    _register(EVENTS, callback)


def register_event_duration_secs_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with each duration.

    Parameters
    ----------
    callback : callable
        ``callback(event, duration, **metadata)``

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> times = {}
    >>> cv.monitoring.register_event_duration_secs_listener(
    ...     lambda event, duration, **metadata: times.update({event: duration})
    ... )
    >>> cv.monitoring.record_event_duration_secs("/data/read", 0.5)
    >>> times
    {'/data/read': 0.5}
    >>> cv.monitoring.clear_event_listeners()
    """
    _register(DURATIONS, callback)


def register_event_time_span_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with each span of time.

    Parameters
    ----------
    callback : callable
        ``callback(event, start_time, end_time, **metadata)``

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_event_time_span_listener(
    ...     lambda event, start, end, **metadata: print(event, end - start)
    ... )
    >>> cv.monitoring.record_event_time_span("/data/read", 1.0, 1.5)
    /data/read 0.5
    >>> cv.monitoring.clear_event_listeners()
    """
    _register(TIME_SPANS, callback)


def register_scalar_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with each value.

    Parameters
    ----------
    callback : callable
        ``callback(event, value, **metadata)``

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_scalar_listener(lambda event, value, **metadata: print(value))
    >>> cv.monitoring.record_scalar("/train/loss", 0.25)
    0.25
    >>> cv.monitoring.clear_event_listeners()
    """
    _register(SCALARS, callback)


def unregister_event_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with events no longer.

    Parameters
    ----------
    callback : callable
        What `register_event_listener` was given.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If it is no listener.

    Examples
    --------
    >>> import covector as cv
    >>> listener = lambda event, **metadata: print(event)
    >>> cv.monitoring.register_event_listener(listener)
    >>> cv.monitoring.unregister_event_listener(listener)
    >>> cv.monitoring.record_event("/data/read")
    """
    _unregister(EVENTS, callback, "event")


def unregister_event_duration_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with durations no longer.

    Parameters
    ----------
    callback : callable
        What `register_event_duration_secs_listener` was given.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If it is no listener.

    Examples
    --------
    >>> import covector as cv
    >>> listener = lambda event, duration, **metadata: print(event)
    >>> cv.monitoring.register_event_duration_secs_listener(listener)
    >>> cv.monitoring.unregister_event_duration_listener(listener)
    >>> cv.monitoring.record_event_duration_secs("/data/read", 0.5)
    """
    _unregister(DURATIONS, callback, "event_duration_secs")


def unregister_event_time_span_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with spans of time no longer.

    Parameters
    ----------
    callback : callable
        What `register_event_time_span_listener` was given.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If it is no listener.

    Examples
    --------
    >>> import covector as cv
    >>> listener = lambda event, start, end, **metadata: print(event)
    >>> cv.monitoring.register_event_time_span_listener(listener)
    >>> cv.monitoring.unregister_event_time_span_listener(listener)
    >>> cv.monitoring.record_event_time_span("/data/read", 0.0, 0.5)
    """
    _unregister(TIME_SPANS, callback, "event_time_span")


def unregister_scalar_listener(callback: Callable[..., Any]) -> None:
    """Have a function called with values no longer.

    Parameters
    ----------
    callback : callable
        What `register_scalar_listener` was given.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If it is no listener.

    Examples
    --------
    >>> import covector as cv
    >>> listener = lambda event, value, **metadata: print(value)
    >>> cv.monitoring.register_scalar_listener(listener)
    >>> cv.monitoring.unregister_scalar_listener(listener)
    >>> cv.monitoring.record_scalar("/train/loss", 0.25)
    """
    _unregister(SCALARS, callback, "scalar")


def clear_event_listeners() -> None:
    """Have no function called any longer, with events, durations, spans of time or values.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.monitoring.register_event_listener(lambda event, **metadata: print(event))
    >>> cv.monitoring.clear_event_listeners()
    >>> cv.monitoring.record_event("/data/read")
    """
    for listeners in (EVENTS, DURATIONS, TIME_SPANS, SCALARS):
        listeners.clear()


def _register(listeners: list[Callable[..., Any]], callback: Callable[..., Any]) -> None:
    if not callable(callback):
        raise TypeError(f"a listener is a function, got {describe(callback)}{at_user_line()}")
    listeners.append(callback)


def _unregister(
    listeners: list[Callable[..., Any]], callback: Callable[..., Any], what: str
) -> None:
    if callback not in listeners:
        raise ValueError(
            f"{describe(callback)} is no listener: it was not given to register_{what}_listener, "
            f"or taken away since{at_user_line()}"
        )
    listeners.remove(callback)


__all__ = [
    "clear_event_listeners",
    "record_event",
    "record_event_duration_secs",
    "record_event_time_span",
    "record_scalar",
    "register_event_duration_secs_listener",
    "register_event_listener",
    "register_event_time_span_listener",
    "register_scalar_listener",
    "unregister_event_duration_listener",
    "unregister_event_listener",
    "unregister_event_time_span_listener",
    "unregister_scalar_listener",
]

_export(globals(), __all__)
