"""Devices that need not be there, to compile for (``covector.experimental.topologies``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector.core.backend import default_platform, get_backend
from covector.core.device import Device
from covector.core.errors import at_user_line
from covector.core.errors import export as _export
from covector.sharding import mesh
from covector.sharding.mesh import AxisType, Mesh

__all__ = [
    "Device", "TopologyDescription", "get_attached_topology", "get_topology_desc", "make_mesh",
]  # fmt: skip


class TopologyDescription:
    """Devices of one kind and how they are connected.

    Parameters
    ----------
    devices : list of Device

    Attributes
    ----------
    devices : list of Device

    Examples
    --------
    >>> from covector.experimental import topologies
    >>> topologies.get_attached_topology("cpu").devices
    [CpuDevice(id=0)]
    """

    def __init__(self, devices: list[Device]) -> None:
        self.devices = list(devices)

    def __repr__(self) -> str:
        return f"TopologyDescription(devices={self.devices})"


def get_attached_topology(platform: str | None = None) -> TopologyDescription:
    """The devices of this process.

    Parameters
    ----------
    platform : str, optional
        By default that of the default device.

    Returns
    -------
    TopologyDescription

    Examples
    --------
    >>> from covector.experimental import topologies
    >>> len(topologies.get_attached_topology().devices)
    1
    """
    return TopologyDescription(list(get_backend(platform).devices()))


def get_topology_desc(
    topology_name: str = "", platform: str | None = None, **kwargs: Any
) -> TopologyDescription:
    """Devices as the plugin of a platform describes them, which need not exist.

    A function is compiled for one of them by ``jit(f).trace(x).lower(lowering_platforms=("tpu",))
    .compile(device_assignment=(device,))``, or by arguments that are `ShapeDtypeStruct` with
    ``sharding=SingleDeviceSharding(device)``.

    Parameters
    ----------
    topology_name : str
        For TPUs kind and shape, such as ``"v5e:2x2"``; for CUDA ``"h100"``, or any name with the
        options below.
    platform : str, optional
        By default that of the default device.
    **kwargs
        Options of the plugin. That of CUDA takes ``target_config``, the text of a
        GpuTargetConfigProto, and ``topology``, the numbers of partitions, of hosts in each and of
        devices in each of those, such as ``"1x1x1"``.

    Returns
    -------
    TopologyDescription

    Raises
    ------
    NotImplementedError
        If the backend of the platform compiles only for devices that are there.
    ValueError
        If the plugin knows no such topology.
    RuntimeError
        If the plugin is not installed.

    Examples
    --------
    >>> from covector.experimental import topologies
    >>> try:
    ...     device = topologies.get_topology_desc("v5e:2x2", "tpu").devices[0]
    ... except RuntimeError:
    ...     print("the plugin of TPUs is not installed")
    ... else:
    ...     print(device.device_kind)  # TPU v5 lite
    the plugin of TPUs is not installed
    """
    name = default_platform() if platform is None else platform
    describe = getattr(get_backend(name), "topology", None)
    if describe is None:
        raise NotImplementedError(
            f"get_topology_desc: the backend of {name} compiles for the devices of this process "
            "alone; the platforms of plugins, such as cuda and tpu, for others too"
            f"{at_user_line()}"
        )
    return TopologyDescription(describe(topology_name, kwargs))


def make_mesh(
    topo: TopologyDescription,
    mesh_shape: Sequence[int],
    axis_names: tuple[str, ...],
    *,
    contiguous_submeshes: bool = False,
) -> Mesh:
    """A mesh of the devices of a topology, to compile for.

    Parameters
    ----------
    topo : TopologyDescription
    mesh_shape : sequence of int
    axis_names : tuple of str
    contiguous_submeshes : bool
        Devices are taken in their order in any case.

    Returns
    -------
    Mesh
        With axes of the type Auto.

    Raises
    ------
    ValueError
        If the topology has fewer devices than the mesh.

    Examples
    --------
    >>> from covector.experimental import topologies
    >>> topologies.make_mesh(topologies.get_attached_topology("cpu"), (1,), ("x",)).shape["x"]
    1
    """
    auto = (AxisType.Auto,) * len(axis_names)
    return mesh.make_mesh(mesh_shape, axis_names, auto, devices=topo.devices)


_export(globals(), __all__)
