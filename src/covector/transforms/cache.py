"""Caches that live as long as the jaxpr or function that they are about."""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from covector import _native
from covector.core.errors import unwrapped
from covector.core.jaxpr import ClosedJaxpr
from covector.core.levels import descends
from covector.core.trace import current_trace, eval_trace
from covector.transforms.vmap import axis_env, varies_by_type

T = TypeVar("T")

_CACHES: list[Any] = []


def context_key() -> tuple[Any, ...]:
    """Everything around a call that changes what tracing it gives."""
    trace = current_trace()
    if trace is eval_trace:
        return (_native.context_key(),)
    names = tuple(axis_env(trace))
    if not names:
        return (_native.context_key(),)
    checked = [varies_by_type(name, trace) for name, _ in names]
    return (_native.context_key(), *names, *checked)


def cached_on_jaxpr(fun: Callable[..., T]) -> Callable[..., T]:
    """Remember ``fun(closed, *hashable_args)`` while ``closed`` is alive."""
    cache: weakref.WeakKeyDictionary[ClosedJaxpr, dict[Any, T]] = weakref.WeakKeyDictionary()
    _CACHES.append(cache)

    @descends
    @functools.wraps(fun)
    def wrapped(closed: ClosedJaxpr, *args: Any) -> T:
        entries = cache.get(closed)
        if entries is None:
            entries = cache[closed] = {}
        key = (args, context_key())
        found = entries.get(key)
        if found is None:
            found = entries[key] = fun(closed, *args)
        return found

    return wrapped


class FunctionCache:
    """Results remembered per function object, dropped together with it.

    Bound methods and other objects that cannot be referred to weakly get no entry of their
    own: `entries` then returns a dict nobody else sees.
    """

    __slots__ = ("_cache",)

    def __init__(self) -> None:
        self._cache: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()
        _CACHES.append(self._cache)

    def entries(self, fun: Any) -> dict[Any, Any]:
        fun = unwrapped(fun)
        # Only plain functions: other callables may compare equal without being the same.
        if type(fun) is not types.FunctionType:
            return {}
        found = self._cache.get(fun)
        if found is None:
            found = self._cache[fun] = {}
        return found


class Latest(dict[Any, Any]):
    """The latest entries of a cache; the oldest goes when there are more than ``most``."""

    def __init__(self, most: int) -> None:
        self.most = most
        on_clear(self)

    def add(self, key: Any, value: Any) -> None:
        self.pop(key, None)
        self[key] = value
        while len(self) > self.most:
            try:
                oldest = next(iter(self))
            except (RuntimeError, StopIteration):
                continue  # another thread has changed it meanwhile
            self.pop(oldest, None)


def on_clear(cache: Any) -> None:
    """Have ``cache.clear()`` called by `clear_all`."""
    _CACHES.append(cache)


def clear_all() -> None:
    """Forget everything."""
    for cache in _CACHES:
        cache.clear()
