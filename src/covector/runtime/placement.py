"""Where arrays are: shardings, committed or not, and the device that a program runs on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from covector import _native
from covector.core import avals
from covector.core.avals import Array
from covector.core.backend import Device, get_backend
from covector.core.config import config
from covector.core.device import Space
from covector.core.errors import at_user_line
from covector.runtime.transfers import transfer

Index = tuple[slice, ...]
_OF_HOSTS = ("pinned_host", "unpinned_host")


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

    def is_equivalent_to(self, other: Sharding, ndim: int) -> bool:
        """Whether an array of ``ndim`` dimensions is spread in the same way."""
        return self == other


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


class Placement:
    """A sharding, whether arrays are committed to it, and the native index of the two."""

    __slots__ = ("sharding", "committed", "index")

    def __init__(self, sharding: Sharding, committed: bool, index: int) -> None:
        self.sharding = sharding
        self.committed = committed
        self.index = index

    @property
    def device(self) -> Device:
        """The device, where it is the only one."""
        (device,) = self.sharding.device_set
        return device


_placements: dict[tuple[Sharding, bool], Placement] = {}


def _first_cpu() -> Sharding:
    return SingleDeviceSharding(get_backend("cpu").devices()[0])


_native.set_default_sharding(_first_cpu)


def placement(sharding: Sharding, committed: bool) -> Placement:
    """The placement for a sharding; equal ones are one object."""
    if not _placements:
        first = _first_cpu()
        _placements[first, False] = Placement(first, False, 0)
    found = _placements.get((sharding, committed))
    if found is None:
        index = _native.add_placement(sharding, committed)
        found = _placements.setdefault((sharding, committed), Placement(sharding, committed, index))
    return found


def placement_of(x: Array) -> Placement:
    """Where an array is."""
    return placement(x.sharding, x.committed)


def default_placement() -> Placement:
    """Where arrays are made and programs run that are nowhere in particular."""
    device = config.default_device
    if device is None or isinstance(device, str):
        device = get_backend(device).devices()[0]
    return placement(SingleDeviceSharding(device), False)


def as_sharding(where: Any, what: str) -> Sharding:
    """A device or sharding as a sharding."""
    if type(where) is Sharding:
        raise TypeError(
            f"{what} takes a device, or a sharding that says where, such as SingleDeviceSharding; "
            f"Sharding is their base class{at_user_line()}"
        )
    if isinstance(where, Sharding):
        return where
    if isinstance(where, Space):
        return in_space(default_placement().sharding, where)
    if hasattr(where, "platform"):
        return SingleDeviceSharding(where)
    raise TypeError(
        f"{what} takes a device, such as those of covector.devices(), a sharding or a "
        "memory.Space, got "
        f"{where!r}{at_user_line()}"
    )


def in_space(sharding: Sharding, space: Space) -> Sharding:
    """A sharding in the memory that a `Space` stands for."""
    if space is Space.Device:
        return sharding.with_memory_kind(None)
    if space is Space.Any or sharding.memory_kind in _OF_HOSTS:
        return sharding
    for device in sharding.device_set:
        memories = getattr(device, "addressable_memories", list)()
        known = {m.kind for m in memories}
        for kind in _OF_HOSTS:
            if kind in known:
                return sharding.with_memory_kind(kind)
    raise ValueError(f"the devices of {sharding!r} read no memory of their host{at_user_line()}")


def put(x: Array, where: Placement) -> Array:
    """``x`` at a placement: itself if it is there, on the same memory if only the commitment
    differs."""
    if x._placement == where.index:
        return x
    if x.sharding == where.sharding:
        return x._placed(where.index)
    device = where.device
    transfer("device_to_device", f"{x.aval.str_short()}, from {_where(x)} to {device!r}")
    sharding = where.sharding
    in_default = sharding == sharding.with_memory_kind(None)
    kind = () if in_default else (sharding.memory_kind,)
    moved = get_backend(device.platform).put(x, device, where.index, *kind)
    if type(moved) is not Array or moved._placement != where.index:
        raise RuntimeError(
            f"the backend {device.platform!r} did not put {x.aval.str_short()} on {device!r}: its "
            f"method put returned {moved!r:.80}"
        )
    return moved


def target_of(
    args: Iterable[Any], what: str, names: Callable[[], Sequence[str]] | None = None
) -> Placement:
    """Where a program with these arguments runs: where the committed ones are.

    ``names`` gives the names of the arguments, for the message.

    Raises
    ------
    ValueError
        If arguments are committed to different devices.
    """
    found: Array | None = None
    for k, x in enumerate(args):
        if type(x) is Array and x._placement and x.committed:
            at = x.sharding.with_memory_kind(None)  # what is in another memory is brought there
            if found is None:
                found, first, home = x, k, at
            elif at != home:
                known = names() if names is not None else ()
                one, two = (known[i] if i < len(known) else str(i) for i in (first, k))
                raise ValueError(
                    f"{what} got arguments that are committed to different devices: argument "
                    f"{one}, {found.aval.str_short()}, is on {_where(found)}, argument {two}, "
                    f"{x.aval.str_short()}, on {_where(x)}. Move one of them with device_put"
                    f"{at_user_line()}"
                )
    return default_placement() if found is None else placement(home, True)


def _where(x: Array) -> str:
    return ", ".join(sorted(map(repr, x.sharding.device_set)))


def _made_on_host(x: Array, beside: Sequence[Any]) -> Array:
    """A new array, which is on the host, where a program on ``beside`` would put it."""
    if not beside:
        transfer("host_to_device", x.aval.str_short())
    return put(x, target_of(beside, "a function that runs on the host"))


avals.arrive = _made_on_host
