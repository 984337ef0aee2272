"""Devices, and moving arrays to and from them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes, processes, tree
from covector.core.avals import Array, to_array
from covector.core.backend import all_devices, get_backend
from covector.core.device import Space
from covector.core.errors import at_user_line, describe
from covector.core.layout import Format, check_layout
from covector.core.places import ScopedPlace
from covector.core.prefixes import spread
from covector.core.trace import (
    Composed,
    EagerTrace,
    JaxprTrace,
    Trace,
    Tracer,
    current_trace,
    eval_trace,
    set_current_trace,
)
from covector.runtime.moves import move_p
from covector.runtime.placement import as_sharding, in_space, placement, placement_of, put
from covector.runtime.transfers import asked_for, heard_of
from covector.sharding.base import Sharding
from covector.transforms.arguments import api_boundary


def devices(backend: str | None = None) -> list[Any]:
    """All devices of a backend (the default one, if none is named).

    Parameters
    ----------
    backend : str, optional
        For example ``"cpu"``.

    Returns
    -------
    list of Device
        Those of this process, where several compute together.

    Raises
    ------
    RuntimeError
        If there is no such backend.

    Examples
    --------
    >>> import covector as cv
    >>> cv.devices("cpu")
    [CpuDevice(id=0)]
    """
    return all_devices(get_backend(backend))


def local_devices(
    process_index: int | None = None, backend: str | None = None, host_id: int | None = None
) -> list[Any]:
    """The devices of this process.

    Parameters
    ----------
    process_index : int, optional
        Devices of this process, by default of the one that asks.
    backend : str, optional
        For example ``"cpu"``.
    host_id : int, optional
        Another name of ``process_index``.

    Returns
    -------
    list of Device

    Examples
    --------
    >>> import covector as cv
    >>> cv.local_devices() == cv.devices()
    True
    >>> cv.local_devices(process_index=1)
    []
    """
    index = process_index if process_index is not None else host_id
    if index is None:
        return list(get_backend(backend).devices())
    return [d for d in devices(backend) if d.process_index == index]


def device_count(backend: str | None = None) -> int:
    """Number of devices.

    Parameters
    ----------
    backend : str, optional
        For example ``"cpu"``.

    Returns
    -------
    int
        1 for CPUs: threads on all of their cores are one device.

    Examples
    --------
    >>> import covector as cv
    >>> cv.device_count()
    1
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """Number of devices of this process.

    Parameters
    ----------
    backend : str, optional
        For example ``"cpu"``.

    Returns
    -------
    int

    Examples
    --------
    >>> import covector as cv
    >>> cv.local_device_count()
    1
    """
    return len(local_devices(backend=backend))


def default_backend() -> str:
    """Name of the platform that arrays are put on by default: ``"cpu"``, ``"gpu"`` or ``"tpu"``.

    Returns
    -------
    str

    Examples
    --------
    >>> import covector as cv
    >>> cv.default_backend()
    'cpu'
    """
    return str(get_backend().devices()[0].platform)


def process_index(backend: str | None = None) -> int:
    """Number of this process among those that compute together.

    Parameters
    ----------
    backend : str, optional
        Has no effect.

    Returns
    -------
    int
        0, unless `distributed.initialize` was called.

    Examples
    --------
    >>> import covector as cv
    >>> cv.process_index()
    0
    """
    return processes.index


def process_count(backend: str | None = None) -> int:
    """Number of processes that compute together.

    Parameters
    ----------
    backend : str, optional
        Has no effect.

    Returns
    -------
    int
        1, unless `distributed.initialize` was called.

    Examples
    --------
    >>> import covector as cv
    >>> cv.process_count()
    1
    """
    return processes.count


def process_indices(backend: str | None = None) -> list[int]:
    """Numbers of the processes that compute together.

    Parameters
    ----------
    backend : str, optional
        Has no effect.

    Returns
    -------
    list of int

    Examples
    --------
    >>> import covector as cv
    >>> cv.process_indices()
    [0]
    """
    return list(range(processes.count))


host_id = process_index
host_count = process_count
host_ids = process_indices


def _is_place(x: Any) -> bool:
    """Whether it is a device, or a spec of a sharding."""
    return hasattr(x, "platform") or hasattr(x, "partitions")


def _is_option(x: Any) -> bool:
    return x is None or isinstance(x, (bool, Sharding, Space)) or _is_place(x)


def _put(x: Any, where: Any, may_alias: bool | None) -> Any:
    if isinstance(x, Tracer) or getattr(x, "dtype", None) == dtypes.float0:
        if where is None or not isinstance(x, Tracer):
            return x
        if isinstance(where, Format):
            check_layout(where.layout, x.shape, x.aval.str_short(), "device_put")
            where = where.sharding
        to = where if isinstance(where, Space) else as_sharding(where, "device_put")
        if isinstance(to, Sharding) and to.spread:
            from covector.runtime import constraints

            prim = constraints.reshard_p if to.typed else constraints.sharding_constraint_p
            to.check(x.shape, "device_put")
            return prim.bind(x, sharding=to)
        return x if to is Space.Any else move_p.bind(x, where=to, source=None)
    if where is None and may_alias is not False:
        return to_array(x)
    given = x if type(x) is Array else None
    array = to_array(x)
    if where is None:
        target = placement_of(array)
    elif isinstance(where, Format):
        check_layout(where.layout, array.shape, array.aval.str_short(), "device_put")
        target = placement(as_sharding(where.sharding, "device_put"), True)
    elif isinstance(where, Space):
        target = placement(in_space(array.sharding, where), True)
    else:
        target = placement(as_sharding(where, "device_put"), True)
    with heard_of() if given is None else contextlib.nullcontext():
        out = put(array, target)  # of what was on the host the guard has heard
    if may_alias is False and given is not None and out._on_host and given._on_host:
        out = given._copied()._placed(target.index)
    return out


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
        NumPy arrays are copied; arrays that are there are returned as they are.
    device : Device or Sharding, optional
        Where the arrays are to be and to stay (they are *committed*), or a pytree of such, a
        prefix of ``x``; a `memory.Space` leaves them on their device. Without it, arrays stay
        where they are and new ones go to the default device.
    src : optional
        Where the arrays are; has no effect.
    donate : bool or pytree
        Whether arrays given may be deleted.
    may_alias : bool, optional
        False makes the result share no memory with an array given.

    Returns
    -------
    pytree of arrays

    Raises
    ------
    TypeError
        If ``device`` is no device.

    Examples
    --------
    >>> import numpy
    >>> import covector as cv
    >>> cv.device_put({"w": numpy.zeros(2, "float32"), "n": 3})
    {'w': Array([0., 0.], dtype=float32), 'n': Array(3, dtype=int32, weak_type=True)}
    """
    leaves, treedef = tree.flatten(x)
    wheres, donates, aliases = (
        spread(option, x, _is_option, f"device_put: {what}", "one value")
        for option, what in ((device, "device"), (donate, "donate"), (may_alias, "may_alias"))
    )
    sources = leaves if donate is not False else [None] * len(leaves)
    with asked_for():
        outs = [_put(*each) for each in zip(leaves, wheres, aliases, strict=True)]
    for given, out, gives in zip(sources, outs, donates, strict=True):
        if gives and type(given) is Array and out is not given:
            given.delete()
    return tree.unflatten(treedef, outs)


def device_get(x: Any) -> Any:
    """NumPy arrays of the values of arrays in a pytree.

    Parameters
    ----------
    x : pytree
        Python numbers and strings in it stay as they are.

    Returns
    -------
    pytree of numpy.ndarray
        They share the memory of the arrays and cannot be written to. NumPy knows no PRNG keys:
        these stay arrays, on the CPU.

    Raises
    ------
    TracerArrayConversionError
        If a value is traced.

    Examples
    --------
    >>> import covector as cv
    >>> cv.device_get({"x": cv.numpy.arange(2), "n": 3})
    {'x': array([0, 1], dtype=int32), 'n': 3}
    """

    def get(leaf: Any) -> Any:
        if isinstance(leaf, Tracer):
            return np.asarray(leaf)  # raises the error for tracers
        if isinstance(leaf, (bool, int, float, complex, str, bytes)) or leaf is None:
            return leaf
        if dtypes.is_extended(getattr(leaf, "dtype", None)):
            return device_put(leaf, devices("cpu")[0])
        return np.asarray(leaf)

    with asked_for():
        return tree.map(get, x)


def live_arrays(platform: str | None = None) -> list[Any]:
    """All arrays that exist on the devices of a platform, the oldest first.

    Parameters
    ----------
    platform : str, optional
        By default the default backend.

    Returns
    -------
    list of Array

    Raises
    ------
    RuntimeError
        If there is no such platform.

    Examples
    --------
    To find what holds memory:

    >>> import covector as cv
    >>> x = cv.numpy.zeros((1000, 1000))
    >>> largest = max(cv.live_arrays(), key=lambda a: a.nbytes)
    >>> largest.nbytes >= 4_000_000
    True
    """
    wanted = set(get_backend(platform).devices())
    return [x for x in _native.live_arrays() if not wanted.isdisjoint(x.sharding.device_set)]


def copy_to_host_async(x: Any) -> Any:
    """Start copying arrays to the host (on CPUs they are there).

    Programs and other copies go on meanwhile; reading the arrays waits for the end.

    Parameters
    ----------
    x : pytree
        Leaves that are not arrays are passed over.

    Returns
    -------
    pytree
        ``x``

    Examples
    --------
    >>> import covector as cv
    >>> cv.copy_to_host_async(cv.numpy.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    for leaf in tree.leaves(x):
        start = getattr(leaf, "copy_to_host_async", None)
        if start is not None:
            start()
    return x


def block_until_ready(x: Any) -> Any:
    """Wait until all arrays in a pytree are computed; returns the pytree.

    Parameters
    ----------
    x : pytree
        Leaves that are not arrays are passed over.

    Returns
    -------
    pytree
        ``x``

    Examples
    --------
    For measuring times:

    >>> import covector as cv
    >>> cv.block_until_ready({"y": cv.jit(cv.numpy.square)(3)})
    {'y': Array(9, dtype=int32, weak_type=True)}
    """
    if type(x) is Array:
        return x.block_until_ready()
    for leaf in tree.leaves(x):
        wait = getattr(leaf, "block_until_ready", None)
        if wait is not None:
            wait()
    return x


def effects_barrier() -> None:
    """Wait until the effects of all running programs have happened.

    Callbacks run before the call of a program returns, so that there is nothing to wait for.

    Returns
    -------
    None

    Examples
    --------
    >>> import covector as cv
    >>> cv.jit(lambda x: cv.debug.print("x = {}", x))(1)
    x = 1
    >>> cv.effects_barrier()
    """


@contextlib.contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Context manager: operations on known values are computed at once while tracing.

    Those on traced values are traced as ever.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import covector as cv
    >>> @cv.jit
    ... def f(x):
    ...     with cv.ensure_compile_time_eval():
    ...         n = int(cv.numpy.sum(cv.numpy.arange(3)))
    ...     return x * n
    >>> f(2)
    Array(6, dtype=int32, weak_type=True)
    """
    trace = current_trace()
    with set_current_trace(trace if trace is eval_trace else EagerTrace(trace)):
        yield


class named_scope(contextlib.ContextDecorator):
    """Context manager and decorator that names the operations of a block, for profiles.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> import covector as cv
    >>> with cv.named_scope("attention"):
    ...     y = cv.numpy.ones(3) * 2
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"named_scope takes a string, got {describe(name)}{at_user_line()}")
        self.name = name
        self._opened: list[list[tuple[JaxprTrace, int]]] = []

    def _recreate_cm(self) -> named_scope:
        # Of a decorated function each call has its own.
        return named_scope(self.name)

    def __enter__(self) -> str:
        trace: Trace | None = current_trace()
        recording = []
        while trace is not None:
            if isinstance(trace, JaxprTrace):
                recording.append((trace, len(trace.eqns)))
            trace = trace.parent
        self._opened.append(recording)
        return self.name

    def __exit__(self, *exc: object) -> None:
        # Named when the block ends, so that operations outside of any cost nothing.
        for trace, start in self._opened.pop():
            for eqn in trace.eqns[start:]:
                eqn.source_info = ScopedPlace.within(self.name, eqn.source_info)


def named_call(fun: Callable[..., Any], *, name: str | None = None) -> Callable[..., Any]:
    """``fun``, its operations named after it (or ``name``) in profiles.

    Parameters
    ----------
    fun : callable
    name : str, optional

    Returns
    -------
    callable

    Examples
    --------
    >>> import covector as cv
    >>> cv.named_call(cv.numpy.sin, name="wave")(0.0)
    Array(0., dtype=float32, weak_type=True)
    """

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with named_scope(name or str(getattr(fun, "__name__", "call"))):
            return fun(*args, **kwargs)

    return wrapped


def print_environment_info(return_string: bool = False) -> str | None:
    """Versions and devices, for bug reports.

    Parameters
    ----------
    return_string : bool
        Return the text rather than print it.

    Returns
    -------
    str or None

    Examples
    --------
    >>> import covector as cv
    >>> text = cv.print_environment_info(return_string=True)
    >>> "devices: [CpuDevice(id=0)]" in text
    True
    """
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


def _device_put(*xs: Any, devices: Sequence[Any], **params: Any) -> list[Any]:
    return [device_put(x, d) for x, d in zip(xs, devices, strict=True)]


device_put_p = Composed("device_put", _device_put, True)
