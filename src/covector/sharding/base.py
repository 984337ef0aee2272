"""Shardings: how the elements of an array are spread over devices."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import ClassVar

from covector.core import processes
from covector.core.device import Device
from covector.core.errors import at_user_line, boundaries

Index = tuple[slice, ...]


@boundaries
class Sharding:
    """How the elements of an array are spread over devices.

    The base of all shardings; see `SingleDeviceSharding`.

    Examples
    --------
    >>> import covector as cv
    >>> isinstance(cv.numpy.ones(2).sharding, cv.sharding.Sharding)
    True
    """

    __slots__ = ()
    # Whether elements may be on several devices, so that an array has a shard on each.
    spread: ClassVar[bool] = False
    # Whether types of arrays say it.
    typed: bool = False

    @property
    def device_set(self) -> set[Device]:
        """The devices that hold elements."""
        raise NotImplementedError("the class Sharding is abstract: a subclass says the devices")

    def devices_indices_map(self, global_shape: Sequence[int]) -> Mapping[Device, Index]:
        """For each device, the slices of an array of ``global_shape`` that it holds."""
        raise NotImplementedError("the class Sharding is abstract: a subclass says the slices")

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the part that one device holds."""
        raise NotImplementedError("the class Sharding is abstract: a subclass says the shape")

    @property
    def addressable_devices(self) -> set[Device]:
        """The devices that belong to this process."""
        return self.device_set

    def addressable_devices_indices_map(
        self, global_shape: Sequence[int]
    ) -> Mapping[Device, Index | None]:
        """`devices_indices_map` of this process."""
        return self.devices_indices_map(global_shape)

    @property
    def has_addressable_devices(self) -> bool:
        """Whether a device belongs to this process."""
        return bool(self.addressable_devices)

    @property
    def is_fully_addressable(self) -> bool:
        """Whether all devices belong to this process."""
        return len(self.addressable_devices) == len(self.device_set)

    @property
    def is_fully_replicated(self) -> bool:
        """Whether each device holds all elements."""
        raise NotImplementedError("the class Sharding is abstract: a subclass says the slices")

    @property
    def num_devices(self) -> int:
        """The number of devices."""
        return len(self.device_set)

    @property
    def memory_kind(self) -> str | None:
        """The kind of memory on the devices; None stands for their default."""
        return None

    def with_memory_kind(self, kind: str | None) -> Sharding:
        """The same in another kind of memory; None stands for the default of the devices."""
        raise NotImplementedError("the class Sharding is abstract: a subclass says the memory")

    def has_sum(self, device: Device) -> bool:
        """Whether a device has what there is of sums over devices that are not taken: of an array
        that is such a sum, the first has one, and the terms of the others are zeros."""
        return not any(self.term_of(device))

    def term_of(self, device: Device) -> tuple[int, ...]:
        """Where a device is along the axes over which the array is a sum that is not taken."""
        return ()

    def check(self, shape: Sequence[int], what: str) -> None:
        """Raise an error of ``what`` if an array of this shape cannot lie so; here all can."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices, in their order; the first one stands for all where one does."""
        return tuple(self.device_set)

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether an array of ``ndim`` dimensions is spread in the same way."""
        return self == other


@boundaries
class SingleDeviceSharding(Sharding):
    """All elements on one device.

    Parameters
    ----------
    device : Device
    memory_kind : str, optional
        The kind of memory, one of those of `Device.addressable_memories`; by default the one where
        programs have their arrays.

    Raises
    ------
    TypeError
        If ``device`` is no device.
    ValueError
        If it has no such memory.

    Examples
    --------
    >>> import covector as cv
    >>> s = cv.sharding.SingleDeviceSharding(cv.devices("cpu")[0])
    >>> cv.device_put(cv.numpy.ones(2), s).sharding == s
    True
    >>> s.shard_shape((3, 4))
    (3, 4)
    """

    __slots__ = ("_device", "_memory_kind")

    def __init__(self, device: Device, *, memory_kind: str | None = None) -> None:
        if not hasattr(device, "platform"):
            raise TypeError(
                f"SingleDeviceSharding takes a device, such as those of covector.devices(), got "
                f"{device!r}{at_user_line()}"
            )
        if memory_kind is not None:
            kind = device.memory(memory_kind).kind
            memory_kind = None if kind == device.default_memory().kind else kind
        self._device = device
        self._memory_kind = memory_kind

    @property
    def memory_kind(self) -> str | None:
        if self._memory_kind is None:
            # Devices that are not here do not know theirs, and those of others need not say them.
            with contextlib.suppress(NotImplementedError, AttributeError):
                return self._device.default_memory().kind
        return self._memory_kind

    def with_memory_kind(self, kind: str | None) -> SingleDeviceSharding:
        return SingleDeviceSharding(self._device, memory_kind=kind)

    @property
    def device_set(self) -> set[Device]:
        return {self._device}

    @property
    def addressable_devices(self) -> set[Device]:
        return {self._device} if self._device.process_index == processes.index else set()

    def devices_indices_map(self, global_shape: Sequence[int]) -> Mapping[Device, Index]:
        return {self._device: (slice(None),) * len(global_shape)}

    def shard_shape(self, global_shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(global_shape)

    @property
    def is_fully_replicated(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SingleDeviceSharding)
            and self._device == other._device
            and self._memory_kind == other._memory_kind
        )

    def __hash__(self) -> int:
        return hash((self._device, self._memory_kind))

    def __repr__(self) -> str:
        kind = f", memory_kind={self._memory_kind!r}" if self._memory_kind else ""
        return f"SingleDeviceSharding(device={self._device!r}{kind})"


def make_single_device_sharding(
    device: Device, *, memory_kind: str | None = None
) -> SingleDeviceSharding:
    """The sharding of arrays that are on one device.

    Parameters
    ----------
    device : Device
    memory_kind : str, optional
        The kind of its memory.

    Returns
    -------
    SingleDeviceSharding

    Raises
    ------
    ValueError
        If the device has no memory of this kind.

    Examples
    --------
    >>> import covector as cv
    >>> cv.sharding.make_single_device_sharding(cv.devices("cpu")[0])
    SingleDeviceSharding(device=CpuDevice(id=0))
    """
    return SingleDeviceSharding(device, memory_kind=memory_kind)
