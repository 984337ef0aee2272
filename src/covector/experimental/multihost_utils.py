"""Values of several processes (`covector.experimental.multihost_utils`).

All processes call the same functions in the same order. With one process, what it has is what all
have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from covector.core import tree
from covector.core.avals import Array, is_array_like, to_array
from covector.core.device import Device
from covector.core.errors import at_user_line, describe
from covector.core.errors import export as _export
from covector.core.trace import Primitive, Tracer
from covector.distributed import get_communicator
from covector.experimental.ode import safe_zip
from covector.runtime.devices import device_put, process_count, process_index
from covector.runtime.process_parts import (
    global_array_to_host_local_array_impl,
    global_array_to_host_local_array_p,
    gtl_abstract_eval,
    host_local_array_to_global_array_impl,
    host_local_array_to_global_array_p,
    ltg_abstract_eval,
    ltg_batcher,
)
from covector.sharding.mesh import Mesh
from covector.sharding.named import NamedSharding
from covector.sharding.spec import PartitionSpec
from covector.sharding.spec import PartitionSpec as P
from covector.tree_util import tree_flatten, tree_unflatten


class ProcessFailureError(Exception):
    """Processes failed in a block of `live_devices`.

    Parameters
    ----------
    failed_devices : set of Device
        Their devices.

    Examples
    --------
    >>> from covector.experimental.multihost_utils import ProcessFailureError
    >>> ProcessFailureError(set()).failed_devices
    set()
    """

    def __init__(self, failed_devices: set[Device]) -> None:
        super().__init__(f"processes failed; their devices: {failed_devices}")
        self.failed_devices = failed_devices


def _others() -> Any:
    """The collectives of all processes; None where there is one."""
    return get_communicator() if process_count() > 1 else None


def _values(in_tree: Any, what: str) -> Any:
    """The arrays of a tree in the memory of the host."""

    def one(x: Any) -> np.ndarray:
        if isinstance(x, Tracer):
            raise TypeError(
                f"{what} takes values, and {x.describe()} is traced: call it outside of the "
                f"transformed function{at_user_line()}"
            )
        if not is_array_like(x):
            raise TypeError(f"{what} takes arrays and numbers, got {describe(x)}{at_user_line()}")
        return np.asarray(x)

    return tree.map(one, in_tree)


def process_allgather(in_tree: Any, tiled: bool = False) -> Any:
    """The values of all processes, in the memory of each.

    Parameters
    ----------
    in_tree : pytree of arrays
        An array over several processes is given whole.
    tiled : bool
        Join them along the first axis, rather than along a new one. True for arrays over several
        processes.

    Returns
    -------
    pytree of numpy.ndarray

    Raises
    ------
    TypeError
        If a leaf is no array, or traced.
    ValueError
        If it is over several processes, without ``tiled``.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> multihost_utils.process_allgather(cv.numpy.arange(3))
    array([[0, 1, 2]], dtype=int32)
    """
    others = _others()

    def one(x: Any) -> np.ndarray:
        if isinstance(x, Array) and not x.is_fully_addressable:
            if not tiled:
                raise ValueError(
                    "process_allgather: an array over several processes is given whole, with "
                    f"tiled=True; got {x.aval.str_short()}{at_user_line()}"
                )
            whole = device_put(x, NamedSharding(x.sharding.mesh, PartitionSpec()))
            return np.asarray(whole)
        value = np.asarray(_values(x, "process_allgather"))
        rows = value[None] if others is None else others.allgather(value)
        if not tiled:
            return rows
        return rows.reshape(-1) if value.ndim == 0 else rows.reshape(-1, *value.shape[1:])

    return tree.map(one, in_tree)


def broadcast_one_to_all(in_tree: Any, is_source: bool | None = None) -> Any:
    """The values of one process, in the memory of each.

    Parameters
    ----------
    in_tree : pytree of arrays
    is_source : bool, optional
        Whether they are this process's, in all processes or in none. By default those of the first
        process are taken.

    Returns
    -------
    pytree of numpy.ndarray

    Raises
    ------
    TypeError
        If a leaf is no array, or traced.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> multihost_utils.broadcast_one_to_all({"a": cv.numpy.arange(3)})
    {'a': array([0, 1, 2], dtype=int32)}
    """
    others = _others()
    found = _values(in_tree, "broadcast_one_to_all")
    if others is None:
        return found
    root = 0
    if is_source is not None:
        sources = np.flatnonzero(others.allgather(np.asarray(bool(is_source))))
        if len(sources) != 1:
            raise ValueError(
                f"broadcast_one_to_all: is_source is to be True in one process; it is in "
                f"{[int(k) for k in sources]}{at_user_line()}"
            )
        root = int(sources[0])
    return tree.map(lambda x: others.broadcast(x, root), found)


def assert_equal(in_tree: Any, fail_message: str = "") -> None:
    """Check that all processes have the same values.

    Parameters
    ----------
    in_tree : pytree of arrays
    fail_message : str
        What the error begins with.

    Returns
    -------
    None

    Raises
    ------
    AssertionError
        If they differ, NaN from itself, too.

    Examples
    --------
    >>> from covector.experimental import multihost_utils
    >>> multihost_utils.assert_equal({"epoch": 3}, "processes are in different epochs")
    """
    first = broadcast_one_to_all(in_tree)
    same = tree.map(lambda a, b: bool(np.all(np.asarray(a) == b)), in_tree, first)
    if not all(tree.leaves(same)):
        said = f"{fail_message}: " if fail_message else "assert_equal: "
        raise AssertionError(
            f"{said}process {process_index()} has {in_tree}, which differs from {first}, that of "
            f"the first process{at_user_line()}"
        )


def sync_global_devices(name: str) -> None:
    """Wait until all processes are here.

    Parameters
    ----------
    name : str
        Of the place in the program, the same in all processes.

    Returns
    -------
    None

    Raises
    ------
    TypeError
        If it is something else.

    Examples
    --------
    >>> from covector.experimental import multihost_utils
    >>> multihost_utils.sync_global_devices("weights are written")
    """
    if not isinstance(name, str):
        raise TypeError(f"sync_global_devices takes a name, got {describe(name)}{at_user_line()}")
    others = _others()
    if others is not None:
        others.agree("sync_global_devices", name.encode())


def reached_preemption_sync_point(step_id: int) -> bool:
    """Whether the processes are to save what they have at this step, before they are ended.

    Parameters
    ----------
    step_id : int
        The number of the step, the same in all processes.

    Returns
    -------
    bool
        False: Covector hears of no such notices.

    Examples
    --------
    >>> from covector.experimental import multihost_utils
    >>> multihost_utils.reached_preemption_sync_point(3)
    False
    """
    return False


@contextlib.contextmanager
def live_devices(devices: Sequence[Device]) -> Iterator[list[Device]]:
    """Context manager: those of ``devices`` whose processes are alive.

    Parameters
    ----------
    devices : sequence of Device
        At least one of this process.

    Returns
    -------
    context manager
        Of a list of devices.

    Raises
    ------
    ValueError
        If none is of this process.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> with multihost_utils.live_devices(cv.devices()[:1]) as devices:
    ...     devices
    [CpuDevice(id=0)]
    """
    if process_count() > 1:
        raise NotImplementedError(
            "live_devices: processes cannot go on without one that has failed; there are "
            f"{process_count()}. Start again with fewer, from a checkpoint{at_user_line()}"
        )
    here = process_index()
    found = list(devices)
    if not any(d.process_index == here for d in found):
        raise ValueError(
            f"live_devices takes at least one device of this process, got {found}{at_user_line()}"
        )
    yield found


def _each(prim: Primitive, arrays: Any, mesh: Any, pspecs: Any) -> Any:
    """The primitive of each array, with the spec that it has."""
    what = prim.name
    if not isinstance(mesh, Mesh):
        raise TypeError(f"{what} takes a Mesh, got {mesh!r}{at_user_line()}")
    is_leaf = lambda x: x is None or isinstance(x, PartitionSpec)  # noqa: E731
    for spec in tree.leaves(pspecs, is_leaf=is_leaf):
        if not isinstance(spec, PartitionSpec):
            raise ValueError(
                f"{what}: pspecs holds PartitionSpecs, got {spec!r}; PartitionSpec() stands for "
                f"arrays that are whole on each device{at_user_line()}"
            )
    leaves, treedef = tree.flatten(arrays)
    specs = tree.broadcast_prefix(pspecs, arrays, is_leaf=is_leaf)
    return tree.unflatten(
        treedef,
        [
            prim.bind(to_array(x) if not isinstance(x, Tracer) else x, global_mesh=mesh, pspec=spec)
            for x, spec in zip(leaves, specs, strict=True)
        ],
    )


def host_local_array_to_global_array(local_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """The arrays that the parts which processes have make up.

    Parameters
    ----------
    local_inputs : pytree of arrays
        What the devices of this process have.
    global_mesh : Mesh
    pspecs : PartitionSpec or pytree of those
        How the arrays are split, a prefix of their tree.

    Returns
    -------
    pytree of Array
        On the devices of the mesh.

    Raises
    ------
    ValueError
        If an array cannot be split so.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> from covector.sharding import PartitionSpec as P
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> x = multihost_utils.host_local_array_to_global_array(cv.numpy.arange(4), mesh, P("x"))
    >>> x.sharding.spec
    P('x',)
    """
    prim = host_local_array_to_global_array_p
    return _each(prim, local_inputs, global_mesh, pspecs)


def global_array_to_host_local_array(global_inputs: Any, global_mesh: Mesh, pspecs: Any) -> Any:
    """What the devices of this process have of arrays on all.

    Parameters
    ----------
    global_inputs : pytree of arrays
    global_mesh : Mesh
    pspecs : PartitionSpec or pytree of those
        How the arrays are split, a prefix of their tree.

    Returns
    -------
    pytree of Array

    Raises
    ------
    ValueError
        If an array cannot be split so.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import multihost_utils
    >>> from covector.sharding import PartitionSpec as P
    >>> mesh = cv.make_mesh((1,), ("x",))
    >>> multihost_utils.global_array_to_host_local_array(cv.numpy.arange(4), mesh, P("x"))
    Array([0, 1, 2, 3], dtype=int32)
    """
    prim = global_array_to_host_local_array_p
    return _each(prim, global_inputs, global_mesh, pspecs)


__all__ = [
    "P",
    "ProcessFailureError",
    "assert_equal",
    "broadcast_one_to_all",
    "global_array_to_host_local_array",
    "global_array_to_host_local_array_impl",
    "global_array_to_host_local_array_p",
    "gtl_abstract_eval",
    "host_local_array_to_global_array",
    "host_local_array_to_global_array_impl",
    "host_local_array_to_global_array_p",
    "live_devices",
    "ltg_abstract_eval",
    "ltg_batcher",
    "process_allgather",
    "reached_preemption_sync_point",
    "safe_zip",
    "sync_global_devices",
    "tree_flatten",
    "tree_unflatten",
]
_export(globals(), __all__)
