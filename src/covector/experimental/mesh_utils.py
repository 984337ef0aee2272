"""Arrays of devices for meshes (`covector.experimental.mesh_utils`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from covector.core.backend import all_devices, get_backend
from covector.core.device import Device
from covector.core.errors import at_user_line
from covector.core.errors import export as _export

# By the kind of device, ``handler(mesh_shape, devices, **options)``: the array of devices for
# machines in which some are nearer each other than others, or None.
device_kind_handler_dict: dict[str, Callable[..., np.ndarray | None]] = {}


def create_device_mesh(
    mesh_shape: Sequence[int],
    devices: Sequence[Device] | None = None,
    *,
    contiguous_submeshes: bool = False,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """An array of devices for a `covector.sharding.Mesh`.

    Devices of one process follow each other along the last axes, over which most is sent.

    Parameters
    ----------
    mesh_shape : sequence of int
        The sizes of the axes; more is sent over the later ones.
    devices : sequence of Device, optional
        By default all there are.
    contiguous_submeshes, allow_split_physical_axes : bool
        For the function that ``device_kind_handler_dict`` has for this kind of device. Without
        one, devices are taken in the order of their processes and numbers.

    Returns
    -------
    numpy.ndarray
        Of devices, of the shape ``mesh_shape``.

    Raises
    ------
    ValueError
        If there are not as many devices as the mesh has.

    Examples
    --------
    >>> import covector as cv
    >>> from covector.experimental import mesh_utils
    >>> devices = mesh_utils.create_device_mesh((1, 1))
    >>> print(cv.sharding.Mesh(devices, ("x", "y")))
    Mesh('x': 1, 'y': 1, axis_types=(Auto, Auto))
    """
    sizes = tuple([int(n) for n in mesh_shape])
    found = list(all_devices(get_backend(None)) if devices is None else devices)
    if math.prod(sizes) != len(found):
        raise ValueError(
            f"create_device_mesh: a mesh of the shape {sizes} has {math.prod(sizes)} devices; "
            f"there are {len(found)}. Pass as many of them (devices=){at_user_line()}"
        )
    handler = device_kind_handler_dict.get(found[0].device_kind) if found else None
    if handler is not None:
        made = handler(
            sizes,
            found,
            contiguous_submeshes=contiguous_submeshes,
            allow_split_physical_axes=allow_split_physical_axes,
        )
        if made is not None:
            return made
    # Those that were passed are in the order in which they were.
    ordered = sorted(found, key=lambda d: (d.process_index, d.id)) if devices is None else found
    return _array(ordered).reshape(sizes)


def _array(devices: Sequence[Device]) -> np.ndarray:
    out = np.empty(len(devices), dtype=object)
    out[:] = devices
    return out


def create_hybrid_device_mesh(
    mesh_shape: Sequence[int],
    dcn_mesh_shape: Sequence[int],
    devices: Sequence[Device] | None = None,
    *,
    process_is_granule: bool = False,
    should_sort_granules_by_key: bool = True,
    allow_split_physical_axes: bool = False,
) -> np.ndarray:
    """An array of devices for a mesh of groups that a slower network connects.

    Along each axis, groups follow each other, with the devices of a group together.

    Parameters
    ----------
    mesh_shape : sequence of int
        The sizes of the axes within a group.
    dcn_mesh_shape : sequence of int
        The number of groups along each axis.
    devices : sequence of Device, optional
        By default all there are.
    process_is_granule : bool
        Each process is a group; otherwise those devices are one that have the same
        ``slice_index``.
    should_sort_granules_by_key : bool
        Groups are in the order of their numbers, not in that of ``devices``.
    allow_split_physical_axes : bool
        As that of `create_device_mesh`.

    Returns
    -------
    numpy.ndarray
        Of devices. The size of an axis is the product of those in both shapes.

    Raises
    ------
    ValueError
        If the numbers of groups and of the devices in each are not those of the shapes.

    Examples
    --------
    >>> from covector.experimental import mesh_utils
    >>> mesh_utils.create_hybrid_device_mesh((1, 1), (1, 1), process_is_granule=True)
    array([[CpuDevice(id=0)]], dtype=object)
    """
    inner = tuple([int(n) for n in mesh_shape])
    outer = tuple([int(n) for n in dcn_mesh_shape])
    if len(inner) != len(outer):
        raise ValueError(
            "create_hybrid_device_mesh: mesh_shape and dcn_mesh_shape are of the same axes, got "
            f"{inner} and {outer}{at_user_line()}"
        )
    found = list(all_devices(get_backend(None)) if devices is None else devices)
    name = "process_index" if process_is_granule else "slice_index"
    groups: dict[int, list[Device]] = {}
    for device in found:
        if not hasattr(device, name):
            raise ValueError(
                f"create_hybrid_device_mesh: {device!r} has no slice_index. With "
                f"process_is_granule=True, processes are the groups{at_user_line()}"
            )
        groups.setdefault(getattr(device, name), []).append(device)
    keys = sorted(groups) if should_sort_granules_by_key else list(groups)
    if len(keys) != math.prod(outer):
        raise ValueError(
            f"create_hybrid_device_mesh: dcn_mesh_shape={outer} has {math.prod(outer)} groups; the "
            f"devices are of {len(keys)}, by their {name}: {keys}{at_user_line()}"
        )
    meshes = [
        create_device_mesh(inner, groups[k], allow_split_physical_axes=allow_split_physical_axes)
        for k in keys
    ]
    out = np.empty(outer + inner, dtype=object)
    for at, mesh in zip(np.ndindex(*outer), meshes, strict=True):
        out[at] = mesh
    n = len(inner)
    order = [axis for k in range(n) for axis in (k, n + k)]
    return out.transpose(order).reshape([a * b for a, b in zip(outer, inner, strict=True)])


__all__ = ["create_device_mesh", "create_hybrid_device_mesh", "device_kind_handler_dict"]
_export(globals(), __all__)
