"""Where arrays are: shardings, committed or not, and the device that a program runs on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from covector import _native
from covector.core import avals, processes
from covector.core.avals import Array, ShapedArray
from covector.core.backend import SpreadingBackend, check_spread, get_backend, spreads
from covector.core.config import config, places_set
from covector.core.device import Device, Space
from covector.core.errors import at_user_line
from covector.runtime.transfers import transfer
from covector.sharding.base import Sharding, SingleDeviceSharding
from covector.transforms import shapes

_OF_HOSTS = ("pinned_host", "unpinned_host")


class Placement:
    """A sharding, whether arrays are committed to it, and the native index of the two."""

    __slots__ = ("sharding", "committed", "index")

    def __init__(self, sharding: Sharding, committed: bool, index: int) -> None:
        self.sharding = sharding
        self.committed = committed
        self.index = index

    @property
    def device(self) -> Device:
        """The device, or the first of several."""
        return self.sharding.devices[0]


_placements: dict[tuple[Sharding, bool], Placement] = {}


def _first_cpu() -> Sharding:
    return SingleDeviceSharding(get_backend("cpu").devices()[0])


_native.set_default_sharding(_first_cpu)


def _type_on(aval: ShapedArray, sharding: Any) -> ShapedArray:
    from covector.sharding.types import placed_aval  # where there are such types

    return placed_aval(aval, sharding)


def _on_mesh(spec: Any) -> Any:
    from covector.sharding.constraints import resolved

    return resolved(spec, "the sharding of a ShapeDtypeStruct")


shapes.type_on, shapes.on_mesh = _type_on, _on_mesh


def placement(sharding: Sharding, committed: bool) -> Placement:
    """The placement for a sharding; equal ones are one object."""
    if not _placements:
        first = _first_cpu()
        _placements[first, False] = Placement(first, False, 0)
    found = _placements.get((sharding, committed))
    if found is None:
        if sharding.typed:
            # What gives the types of such arrays, and derivatives.
            from covector.sharding import backward, derivatives  # noqa: F401
        index = _native.add_placement(sharding, committed, sharding.spread, sharding.typed)
        found = _placements.setdefault((sharding, committed), Placement(sharding, committed, index))
    return found


def placement_of(x: Array) -> Placement:
    """Where an array is."""
    return placement(x.sharding, x.committed)


def default_placement() -> Placement:
    """Where arrays are made and programs run that are nowhere in particular."""
    if places_set():
        mesh = mesh_in_place()
        if mesh is not None:
            return on_all_of(mesh, False)
    device = config.default_device
    if device is None or isinstance(device, str):
        device = get_backend(device).devices()[0]
    else:
        check_addressable(device, "the default device")
    return placement(SingleDeviceSharding(device), False)


def check_addressable(device: Device, what: str) -> None:
    """Raise the error for a device of another process, where this one has no part of arrays."""
    if device.process_index != processes.index:
        raise ValueError(
            f"{what}: {device!r} is a device of process {device.process_index}, and this is "
            f"process {processes.index}, which cannot address it: take one of "
            f"covector.local_devices({device.platform!r}), or a sharding over the devices of all "
            f"processes{at_user_line()}"
        )


def on_all_of(mesh: Any, committed: bool) -> Placement:
    """On all devices of a mesh, each of which has the whole."""
    from covector.sharding.named import replicated

    return placement(replicated(mesh), committed)


def mesh_in_place() -> Any:
    """The mesh that is set, if one is."""
    context = sys.modules.get("covector.sharding.context")
    return None if context is None else context.concrete_mesh(entered=False)


def as_sharding(where: Any, what: str) -> Sharding:
    """A device or sharding as a sharding, a `PartitionSpec` as one on the mesh that is set."""
    if type(where) is Sharding:
        raise TypeError(
            f"{what} takes a device, or a sharding that says where, such as SingleDeviceSharding; "
            f"Sharding is their base class{at_user_line()}"
        )
    if isinstance(where, Sharding):
        return _on_devices(where, what) if where.spread else where
    if isinstance(where, Space):
        return in_space(default_placement().sharding, where)
    if hasattr(where, "platform"):
        return SingleDeviceSharding(where)
    if hasattr(where, "partitions"):
        from covector.sharding.constraints import resolved

        return _on_devices(resolved(where, what), what)
    raise TypeError(
        f"{what} takes a device, such as those of covector.devices(), a sharding or a "
        "memory.Space, got "
        f"{where!r}{at_user_line()}"
    )


def _on_devices(sharding: Sharding, what: str) -> Sharding:
    from covector.sharding.constraints import on_devices

    found: Sharding = on_devices(sharding, what)
    return found


def in_space(sharding: Sharding, space: Space) -> Sharding:
    """A sharding in the memory that a `Space` stands for."""
    if space is Space.Device:
        return sharding.with_memory_kind(None)
    if space is Space.Any or sharding.memory_kind in _OF_HOSTS:
        return sharding
    for device in sharding.device_set:
        memories: list[Any] = getattr(device, "addressable_memories", list)()
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
    sharding = where.sharding
    if sharding.spread:
        sharding.check(x.shape, "device_put")
    if x.sharding == sharding:
        return x._placed(where.index)
    device = where.device
    backend = get_backend(device.platform)
    transfer("device_to_device", f"{x.aval.str_short()}, from {_where(x)} to {_named(sharding)}")
    if sharding.spread:
        check_spread(backend, sharding)
    if sharding.spread and spreads(backend, sharding):
        moved = cast(SpreadingBackend, backend).put_spread(x, sharding, where.index)
    else:
        check_addressable(device, "device_put")
        in_default = sharding == sharding.with_memory_kind(None)
        kind = () if in_default else (sharding.memory_kind,)
        moved = backend.put(x, device, where.index, *kind)
    if type(moved) is not Array or moved._placement != where.index:
        raise RuntimeError(
            f"the backend {device.platform!r} did not put {x.aval.str_short()} on {device!r}: its "
            f"method put returned {moved!r:.80}"
        )
    return moved


def target_of(
    args: Iterable[Any], what: Callable[[], str], names: Callable[[], Sequence[str]] | None = None
) -> Placement:
    """Where a program with these arguments runs: where the committed ones are.

    ``what`` gives its name and ``names`` those of the arguments, for the message. Arguments that
    are spread over the same devices may be so in different ways.

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
            elif at != home and not _same_devices(at, home):
                known = names() if names is not None else ()
                one, two = (known[i] if i < len(known) else str(i) for i in (first, k))
                raise ValueError(
                    f"{what()} got arguments that are committed to different devices: argument "
                    f"{one}, {found.aval.str_short()}, is on {_where(found)}, argument {two}, "
                    f"{x.aval.str_short()}, on {_where(x)}. Move one of them with device_put"
                    f"{at_user_line()}"
                )
            elif at.spread and not home.spread:
                found, first, home = x, k, at
    return default_placement() if found is None else placement(home, True)


def _same_devices(a: Sharding, b: Sharding) -> bool:
    return (a.spread or b.spread) and a.device_set == b.device_set


def _where(x: Array) -> str:
    return _named(x.sharding)


def _named(sharding: Sharding) -> str:
    """The devices of a sharding, for messages."""
    found = sorted(sharding.device_set, key=lambda d: (d.platform, d.id))
    if len(found) > 4 and [d.id for d in found] == list(range(found[0].id, found[-1].id + 1)):
        return f"{found[0]!r} to {found[-1]!r}"
    return ", ".join(map(repr, found))


def _made_on_host(x: Array, beside: Sequence[Any]) -> Array:
    """A new array, which is on the host, where a program on ``beside`` would put it."""
    if not beside:
        transfer("host_to_device", x.aval.str_short())
    where = target_of(beside, lambda: "a function that runs on the host")
    if where.sharding.spread and all([getattr(b, "shape", ()) != x.shape for b in beside]):
        # The result is not laid out as an operand of another shape is: each device has all of it.
        where = on_all_of(cast(Any, where.sharding).mesh, True)
    return put(x, where)


avals.arrive = _made_on_host
