"""The CPU as a backend: its device, and programs compiled once for all sizes."""

from __future__ import annotations

import copyreg
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from covector import _native
from covector.backends.cpu.module import CpuModule, programs_in_memory, statistics
from covector.core import processes
from covector.core.avals import Array
from covector.core.backend import Counted, Layout, Packed, Signature, reduce_device
from covector.core.config import config
from covector.core.device import Device
from covector.core.jaxpr import ClosedJaxpr

__all__ = ["CpuBackend", "CpuDevice", "backend", "programs_in_memory", "statistics"]


class CpuDevice(Device):
    """The host processor."""

    platform = "cpu"
    device_kind = "cpu"
    local_hardware_id = 0

    def __init__(self, number: int, process: int | None = None) -> None:
        self._number = number
        self._process = process  # None stands for this one, whatever its number

    @property
    def id(self) -> int:  # type: ignore[override]
        return sum(processes.devices[: self.process_index]) + self._number

    @property
    def process_index(self) -> int:  # type: ignore[override]
        return processes.index if self._process is None else self._process

    @property
    def host_id(self) -> int:
        return self.process_index

    @property
    def client(self) -> CpuBackend:
        return backend

    def _memories(self) -> tuple[tuple[int, str], ...]:
        # All are the same memory: programs that name those of an accelerator's host run here.
        return ((0, "device"), (1, "pinned_host"), (2, "unpinned_host"))

    def memory_stats(self) -> dict[str, int]:
        return dict(_native.allocator_stats())

    def __repr__(self) -> str:
        return f"CpuDevice(id={self.id})"


def _count() -> int:
    """The number of logical devices: threads on all processors run the programs of each."""
    n = int(config.num_cpu_devices)
    if n < 1:
        found = re.findall(_XLA_FLAG, os.environ.get("XLA_FLAGS", ""))
        n = int(found[-1]) if found else 1
    return max(n, 1)


_XLA_FLAG = r"--xla_force_host_platform_device_count=(\d+)"


class CpuBackend(Counted):
    """The CPU backend."""

    platform = "cpu"
    one_memory = True

    def __init__(self) -> None:
        self._devices = [CpuDevice(0)]
        self._absent: dict[tuple[int, int], CpuDevice] = {}

    def devices(self) -> list[CpuDevice]:
        # The others have been told how many there are.
        n = processes.devices[processes.index] if processes.devices else _count()
        while len(self._devices) < n:
            self._devices.append(CpuDevice(len(self._devices)))
        return self._devices[:n]

    def all_devices(self) -> list[CpuDevice]:
        """The devices of all processes."""
        found: list[CpuDevice] = []
        for process, n in enumerate(processes.devices or (0,)):
            if not processes.devices or process == processes.index:
                found += self.devices()
                continue
            for k in range(n):
                found.append(self._absent.setdefault((process, k), CpuDevice(k, process)))
        return found

    @property
    def kept(self) -> frozenset[Any]:
        """Primitives that programs of several processes keep, though they have an expansion."""
        from covector.backends.cpu import across

        return across.KEPT

    def put_spread(self, x: Array, sharding: Any, placement: int) -> Array:
        """The parts of ``x`` that this process has of those on the devices of several."""
        from covector.backends.cpu import across

        return across.put(x, sharding, placement)

    def of_block(
        self, local: Array, sharding: Any, shape: tuple[int, ...], placement: int,
        agree: str | None,
    ) -> Array:  # fmt: skip
        """The array over several processes of which this one has ``local``; that all find the same
        shape is checked if ``agree`` says for whom."""
        from covector.backends.cpu import across
        from covector.distributed.bootstrap import check_shapes

        if agree is not None:
            check_shapes(sharding, shape, agree)
        return across.of_block(self.put(local, self.devices()[0], 0), sharding, shape, placement)

    def lower_spread(
        self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout
    ) -> Any:
        """The program of this process, of one of several."""
        from covector.backends.cpu import across

        return across.AcrossModule(jaxpr, donated, name, layout)

    def put(
        self, x: Array, device: CpuDevice, placement: int, memory_kind: str | None = None
    ) -> Array:
        """``x`` in host memory, which all CPU devices share."""
        return x._to_host()._placed(placement)

    def lower(self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str) -> CpuModule:
        return CpuModule(jaxpr, donated, name)

    def pack(self, program: Any, lower: Callable[[], Any]) -> Packed:
        """The bytes of a program."""
        from covector.backends.cpu import packing  # few processes need it

        return packing.pack(program, lower)

    def unpack(self, packed: Packed, signature: Signature) -> Any:
        """The program of these bytes."""
        from covector.backends.cpu import packing

        return packing.unpack(packed, signature)

    @property
    def platform_version(self) -> str:
        """What compiles programs, and for which processor."""
        from covector.backends.cpu import codegen  # loads LLVM

        return codegen.cpu_description().rsplit(" ", 1)[0]


backend = CpuBackend()
copyreg.pickle(CpuDevice, reduce_device)
