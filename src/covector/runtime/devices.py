"""Devices, and moving arrays to and from them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes, tree
from covector.core.avals import Array, to_array
from covector.core.backend import get_backend
from covector.core.errors import at_user_line, describe
from covector.core.trace import Tracer, eval_trace, set_current_trace
from covector.transforms.arguments import api_boundary


def devices(backend: str | None = None) -> list[Any]:
    """All devices of a backend (the default one, if none is named)."""
    return get_backend(backend).devices()


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Any]:
    """The devices of this process."""
    found = devices(backend)
    index = process_index if process_index is not None else host_id
    return found if index is None else [d for d in found if d.process_index == index]


def device_count(backend: str | None = None) -> int:
    """Number of devices."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """Number of devices of this process."""
    return len(local_devices(backend=backend))


def default_backend() -> str:
    """Name of the platform that arrays are put on by default, for example ``"cpu"``."""
    return get_backend().platform


def process_index(backend: str | None = None) -> int:
    """Number of this process among those that compute together."""
    return 0


def process_count(backend: str | None = None) -> int:
    """Number of processes that compute together."""
    return 1


def process_indices(backend: str | None = None) -> list[int]:
    """Numbers of the processes that compute together."""
    return [0]


host_id = process_index
host_count = process_count
host_ids = process_indices


def _put(x: Any) -> Any:
    if isinstance(x, Tracer) or type(x) is Array:
        return x
    if getattr(x, "dtype", None) == dtypes.float0:
        return x
    return to_array(x)


@api_boundary
def device_put(
    x: Any,
    device: Any = None,
    *,
    src: Any = None,
    donate: Any = False,
    may_alias: Any = None,
) -> Any:
    """Arrays on a device, from NumPy arrays, scalars or arrays, in pytrees.

    Parameters
    ----------
    x : pytree
    device : optional
        A device, or one per leaf; by default the default device.

    Returns
    -------
    pytree of arrays
    """
    for d in tree.leaves(device):
        platform = getattr(d, "platform", None)
        if platform is not None and platform != default_backend():
            raise ValueError(
                f"device_put: {d!r} is not a device of the default backend {default_backend()}"
                f"{at_user_line()}"
            )
    return tree.map(_put, x)


def device_get(x: Any) -> Any:
    """NumPy arrays of the values of arrays in a pytree."""

    def get(leaf: Any) -> Any:
        if isinstance(leaf, Tracer):
            return np.asarray(leaf)  # raises the error for tracers
        if isinstance(leaf, (bool, int, float, complex, str, bytes)) or leaf is None:
            return leaf
        return np.asarray(leaf)

    return tree.map(get, x)


def live_arrays(platform: str | None = None) -> list[Any]:
    """All arrays that exist on the devices of a platform, the oldest first."""
    if platform is not None and platform != default_backend():
        get_backend(platform)  # raises the error for unknown ones
        return []
    return _native.live_arrays()


def copy_to_host_async(x: Any) -> Any:
    """Start copying arrays to the host (on CPUs they are there)."""
    return x


def block_until_ready(x: Any) -> Any:
    """Wait until all arrays in a pytree are computed; returns the pytree."""
    if type(x) is Array:
        return x.block_until_ready()
    for leaf in tree.leaves(x):
        wait = getattr(leaf, "block_until_ready", None)
        if wait is not None:
            wait()
    return x


def effects_barrier() -> None:
    """Wait until the effects of all running programs have happened."""


@contextlib.contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Context manager: operations on known values are computed at once while tracing.

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     with cv.ensure_compile_time_eval():
    ...         n = int(cv.numpy.sum(cv.numpy.arange(3)))
    ...     return x * n
    """
    with set_current_trace(eval_trace):
        yield


class named_scope(contextlib.ContextDecorator):
    """Context manager and decorator that names the operations of a block, for profiles."""

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"named_scope takes a string, got {describe(name)}{at_user_line()}")
        self.name = name

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *exc: object) -> None:
        return None


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """``fun``, its operations named after it (or ``name``) in profiles."""

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with named_scope(name or getattr(fun, "__name__", "call")):
            return fun(*args, **kwargs)

    return wrapped


def print_environment_info(return_string: bool = False) -> str | None:
    """Versions and devices, for bug reports."""
    import platform
    import sys

    import llvmlite

    from covector import __version__

    lines = [
        f"covector: {__version__}",
        f"numpy: {np.__version__}",
        f"llvmlite: {llvmlite.__version__}",
        f"python: {sys.version}",
        f"devices: {devices()}",
        f"platform: {platform.platform()}",
    ]
    text = "\n".join(lines)
    if return_string:
        return text
    print(text)
    return None
