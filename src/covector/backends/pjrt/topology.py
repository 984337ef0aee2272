"""Devices that are not there: what plugins compile for without one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn

from covector.backends.pjrt import functions, plugins
from covector.backends.pjrt.lower import Text
from covector.backends.pjrt.options import compile_options
from covector.backends.pjrt.program import Called
from covector.core.backend import CompilerOptions
from covector.core.device import Device
from covector.core.errors import at_user_line

# The text of a GpuTargetConfigProto, from NVIDIA's public data sheet of the H100 SXM5 and the
# table of compute capabilities in CUDA's programming guide.
_H100 = """gpu_device_info {
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: 233472
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.98
  device_memory_size: 84942979072
  shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 minor: 0 }
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""

# Options for names of topologies, beside which no others need be given.
_KNOWN: dict[tuple[str, str], dict[str, Any]] = {
    ("cuda", "h100"): {"target_config": _H100, "topology": "1x1x1"},
}


class AbsentDevice(Device):
    """A device of a topology, for which programs are compiled and on which nothing runs.

    Attributes
    ----------
    platform, device_kind : str
    id, process_index : int
    """

    def __init__(self, topology: Topology, description: dict[str, Any]) -> None:
        self.topology = topology
        self.platform = topology.platform
        self.id: int = description["id"]
        self.process_index: int = description["process_index"]
        self.device_kind: str = description["kind"]
        self.local_hardware_id: None = None
        self._attributes = description["attributes"]

    def memory_stats(self) -> None:
        """What is known of the memory: nothing."""
        return None

    def _memories(self) -> NoReturn:
        raise NotImplementedError(
            f"the memories of {self!r} are not known: the device is described by a topology and "
            f"need not exist{at_user_line()}"
        )

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__.get("_attributes", {})
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"AbsentDevice(platform={self.platform!r}, id={self.id}, kind={self.device_kind!r})"


class Topology:
    """Devices as a plugin describes them."""

    def __init__(self, platform: str, name: str, options: dict[str, Any], pjrt: Any) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        if platform == "tpu":
            # Else the plugin looks for a machine's description on the network, for half a minute.
            os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        self.platform = platform
        known = _KNOWN.get((platform, name.lower()), {})
        try:
            self.plugin = pjrt.load(plugins.find(platform).path)
            self.native = pjrt.create_topology(self.plugin, name, {**known, **options})
        except pjrt.DeviceError as e:
            names = ", ".join([repr(n) for p, n in _KNOWN if p == platform])
            if names and not known and not options:
                raise ValueError(
                    f"the topology {name!r} of {platform} is unknown; known by name: {names}. For "
                    "another one give target_config, the text of a GpuTargetConfigProto, and "
                    f"topology (the plugin says: {e}){at_user_line()}"
                ) from e
            raise ValueError(
                f"the plugin of {platform} makes no topology of the name {name!r} and the options "
                f"{sorted(options)}: {e}{at_user_line()}"
            ) from e
        self.devices = [AbsentDevice(self, d) for d in self.native.devices()]

    @property
    def platform_version(self) -> str:
        """The version of the plugin's compiler."""
        return str(self.native.platform_version)


class AbsentExecutable:
    """A program compiled for a device that is not there."""

    def __init__(self, device: AbsentDevice, name: str, data: bytes) -> None:
        self.device = device
        self.name = name
        self.data = data

    def donate(self, given: Any) -> None:
        """Arguments that are given for good: the compiled program says so itself."""

    def call(self, args: Any) -> NoReturn:
        raise RuntimeError(
            f"the program {self.name} was compiled for {self.device!r}, which is not a device of "
            f"this process: it cannot be called here{at_user_line()}"
        )


class AbsentProgram:
    """What `AbsentExecutable` is to backends."""

    def __init__(
        self, devices: Sequence[AbsentDevice], text: Text, called: Called,
        options: CompilerOptions = (),
    ) -> None:  # fmt: skip
        device = devices[0]
        if text.targets:
            functions.register(device.topology.plugin, device.platform, text.targets)
        encoded = compile_options([d.id for d in devices], dict(options))
        data = device.topology.native.compile(text.with_places.encode(), encoded)
        self.executable = AbsentExecutable(device, called.name, data)
        self.module = called
        self.devices = [d.id for d in devices]

    @property
    def code_bytes(self) -> int:
        """The size of the program, of which the machine code is the larger part."""
        return len(self.executable.data)
