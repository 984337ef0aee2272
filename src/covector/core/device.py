"""Devices, and the memories that they have."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from covector.core.errors import at_user_line


class Space(enum.Enum):
    """Where arrays are: in the memory of the device that computes, or of its host.

    `covector.device_put` takes them in place of a device: the array stays on its device, and goes
    to the memory ``Device`` where programs have their arrays, or ``Host`` where it waits. ``Any``
    leaves it where it is.

    Examples
    --------
    >>> import covector as cv
    >>> x = cv.device_put(cv.numpy.arange(3.0), cv.memory.Space.Host)
    >>> x.sharding.memory_kind
    'pinned_host'
    >>> cv.device_put(x, cv.memory.Space.Device).sharding.memory_kind
    'device'
    """

    Device = 0
    Host = 1
    Any = 2

    def __repr__(self) -> str:
        return f"Space.{self.name}"


class Memory:
    """A memory of a device.

    Attributes
    ----------
    kind : str
        For example ``"device"``, or ``"pinned_host"``: memory of the host that the device reads.
    id : int
    platform : str
    process_index : int
    """

    __slots__ = ("device", "id", "kind")

    def __init__(self, device: Device, ident: int, kind: str) -> None:
        self.device = device
        self.id = ident
        self.kind = kind

    @property
    def platform(self) -> str:
        return self.device.platform

    @property
    def process_index(self) -> int:
        return self.device.process_index

    def addressable_by_devices(self) -> list[Device]:
        """The devices that read it."""
        return [self.device]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and (self.device, self.id) == (other.device, other.id)

    def __hash__(self) -> int:
        return hash((self.device, self.id))

    def __repr__(self) -> str:
        return f"Memory(kind={self.kind!r}, device={self.device!r})"


class Device:
    """A place where arrays live and programs run.

    Backends derive their devices from it, or make objects with the first four attributes.

    Attributes
    ----------
    platform : str
        For example ``"cpu"``.
    id : int
    process_index : int
    device_kind : str
    local_hardware_id : int or None
        Its number on this machine.

    Examples
    --------
    >>> import covector as cv
    >>> cv.devices()[0].platform
    'cpu'
    """

    platform: str
    id: int
    process_index: int
    device_kind: str
    local_hardware_id: int | None = None

    def addressable_memories(self) -> list[Memory]:
        """The memories that the device reads and writes.

        Returns
        -------
        list of Memory

        Examples
        --------
        >>> import covector as cv
        >>> device = cv.devices("cpu")[0]
        >>> device.addressable_memories()[0]
        Memory(kind='device', device=CpuDevice(id=0))
        >>> [memory.kind for memory in device.addressable_memories()]
        ['device', 'pinned_host', 'unpinned_host']
        """
        return [Memory(self, *each) for each in self._memories()]

    def default_memory(self) -> Memory:
        """The memory where arrays are unless another is named.

        Returns
        -------
        Memory

        Examples
        --------
        >>> import covector as cv
        >>> cv.devices("cpu")[0].default_memory().kind
        'device'
        """
        return self.addressable_memories()[0]

    def memory(self, kind: str) -> Memory:
        """The memory of a kind.

        Parameters
        ----------
        kind : str

        Returns
        -------
        Memory

        Raises
        ------
        ValueError
            If the device has no such memory.

        Examples
        --------
        >>> import covector as cv
        >>> cv.devices("cpu")[0].memory("device").id
        0
        """
        found = self.addressable_memories()
        for each in found:
            if each.kind == kind:
                return each
        known = ", ".join(repr(m.kind) for m in found)
        raise ValueError(
            f"{self!r} has no memory of the kind {kind!r}; it has {known}{at_user_line()}"
        )

    def memory_stats(self) -> dict[str, int] | None:
        """Bytes in use, their peak and the limit, as far as they are known; None if they are not.

        Returns
        -------
        dict or None

        Examples
        --------
        >>> import covector as cv
        >>> x = cv.numpy.arange(1_000_000.0) + 1
        >>> x.device.memory_stats()["bytes_in_use"] >= x.nbytes
        True
        """
        return None

    def _memories(self) -> Sequence[tuple[int, str]]:
        """The number and kind of each memory, the default one first."""
        return ((0, "device"),)
