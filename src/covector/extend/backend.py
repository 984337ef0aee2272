"""Backends: which there are, adding one, what they keep (`covector.extend.backend`)."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import covector
from covector.core import backend as _backend
from covector.core.config import config
from covector.core.errors import export as _export
from covector.core.errors import meaningless
from covector.runtime.placement import default_placement

# Caches of users, which are emptied with ours.
_caches: weakref.WeakSet[Any] = weakref.WeakSet()


def backend_xla_version(platform: str | None = None) -> int | None:
    """The version of XLA that a platform is built with: there is none.

    Parameters
    ----------
    platform : str, optional

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.backend_xla_version()
    """
    return None


def get_backend(platform: Any = None) -> Any:
    """The backend of a platform.

    Parameters
    ----------
    platform : str, optional
        By default that of arrays which are nowhere in particular.

    Returns
    -------
    Backend

    Raises
    ------
    RuntimeError
        If there is none.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.get_backend().platform
    'cpu'
    """
    return platform if hasattr(platform, "devices") else _backend.get_backend(platform)


def backends() -> dict[str, Any]:
    """The backends that are in use.

    Returns
    -------
    dict
        By their platforms; the default one is among them.

    Examples
    --------
    >>> import covector as cv
    >>> "cpu" in cv.extend.backend.backends()
    True
    """
    _backend.get_backend()
    return dict(_backend.loaded)


def get_default_device() -> Any:
    """The device of arrays that are nowhere in particular.

    Returns
    -------
    Device

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.get_default_device()
    CpuDevice(id=0)
    """
    given = config.default_device
    if given is None:
        return default_placement().device
    return _backend.get_backend(given).devices()[0] if isinstance(given, str) else given


def clear_in_memory_compilation_cache() -> None:
    """Forget compiled programs that are kept in memory.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.clear_in_memory_compilation_cache()
    """
    covector.clear_caches()


def register_backend_cache(cache: Any, for_what: str) -> None:
    """Have `clear_backends` empty a cache.

    Parameters
    ----------
    cache : object
        With a method ``cache_clear``.
    for_what : str
        What it is for; has no effect.

    Returns
    -------
    None

    Examples
    --------
    >>> import functools
    >>> import covector as cv
    >>> sizes = functools.lru_cache(lambda device: 1)
    >>> cv.extend.backend.register_backend_cache(sizes, "sizes of devices")
    """
    _caches.add(cache)


def clear_backends(_crash: bool = False) -> None:
    """Forget compiled programs, and what caches of users hold. Arrays stay.

    Parameters
    ----------
    _crash : bool
        Has no effect.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.clear_backends()
    """
    for cache in _caches:
        cache.cache_clear()
    covector.clear_caches()


def get_compile_options(
    num_replicas: int,
    num_partitions: int,
    device_assignment: Any = None,
    env_options_overrides: dict[str, str] | None = None,
    fdo_profile: bytes | None = None,
    detailed_logging: bool = True,
    backend: Any = None,
) -> Any:
    """Not to be had: options of XLA.

    Parameters
    ----------
    num_replicas, num_partitions, device_assignment, env_options_overrides, fdo_profile
    detailed_logging, backend

    Returns
    -------
    None

    Raises
    ------
    NotImplementedError
        Always.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.get_compile_options(1, 1)
    Traceback (most recent call last):
    NotImplementedError: get_compile_options: these are options of XLA, which Covector has not: \
use covector.config
    """
    raise meaningless(
        "get_compile_options",
        "these are options of XLA, which Covector has not: use covector.config",
    )


def register_backend_factory(
    name: str,
    factory: Callable[[], Any],
    *,
    priority: int = 0,
    fail_quietly: bool = True,
    experimental: bool = False,
    make_topology: Callable[..., Any] | None = None,
    c_api: Any = None,
) -> None:
    """Add a backend; see docs/adding-a-backend.md for what it must have.

    Parameters
    ----------
    name : str
        Its platform.
    factory : callable
        Makes it, when it is first asked for.
    priority : int
        Has no effect: the option ``platforms`` says which backend is the default.
    fail_quietly, experimental : bool
        Have no effect.
    make_topology, c_api : optional
        Those of XLA; must be None.

    Returns
    -------
    None

    Raises
    ------
    ValueError
        If there is a backend of this name.

    Examples
    --------
    >>> import covector as cv
    >>> cv.extend.backend.register_backend_factory("cpu", lambda: None)
    Traceback (most recent call last):
    ValueError: there is a backend of the platform 'cpu' already
    """
    if make_topology is not None or c_api is not None:
        raise meaningless("register_backend_factory", "make_topology and c_api are of XLA")
    _backend.add_factory(name, factory)


__all__ = [
    "backend_xla_version",
    "backends",
    "clear_backends",
    "clear_in_memory_compilation_cache",
    "get_backend",
    "get_compile_options",
    "get_default_device",
    "register_backend_cache",
    "register_backend_factory",
]
_export(globals(), __all__)
