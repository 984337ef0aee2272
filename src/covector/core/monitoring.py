"""Events of the library and its users, and who listens to them (`covector.monitoring`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

EVENTS: list[Callable[..., Any]] = []
DURATIONS: list[Callable[..., Any]] = []
TIME_SPANS: list[Callable[..., Any]] = []
SCALARS: list[Callable[..., Any]] = []

# What the library itself tells: names that listeners of JAX know.
TRACED = "/jax/core/compile/jaxpr_trace_duration"
LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
COMPILED = "/jax/core/compile/backend_compile_duration"
CACHE_HIT = "/jax/compilation_cache/cache_hits"
CACHE_MISS = "/jax/compilation_cache/cache_misses"


def tell(listeners: list[Callable[..., Any]], *what: Any, **metadata: Any) -> None:
    """Call the listeners; those that come or go meanwhile make no difference."""
    for listener in tuple(listeners):
        listener(*what, **metadata)
