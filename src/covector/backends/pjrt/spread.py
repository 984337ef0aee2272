"""Arrays and programs on several devices of a plugin, which partitions the programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core.avals import Array, spec_of_type
from covector.core.backend import Layout
from covector.runtime.placement import placement
from covector.runtime.shards import bits, from_bits
from covector.sharding.base import Sharding, SingleDeviceSharding


class Shards:
    """The parts of an array, one on each device in the order of its sharding."""

    __slots__ = ("parts", "sharding", "shape")

    def __init__(self, parts: list[Array], sharding: Sharding, shape: tuple[int, ...]) -> None:
        self.parts = parts
        self.sharding = sharding
        self.shape = shape

    def to_host(self) -> Any:
        """The bytes of the whole array."""
        whole: np.ndarray | None = None
        seen: set[Any] = set()
        for part, index in zip(
            self.parts, self.sharding.devices_indices_map(self.shape).values(), strict=True
        ):
            key = tuple([(s.start, s.stop) for s in index])
            if key in seen:
                continue
            seen.add(key)
            elements = bits(part)
            if whole is None:
                whole = np.empty(self.shape, elements.dtype)
            whole[index] = elements
        assert whole is not None
        return whole.reshape(-1).view(np.uint8)


def single(device: Any) -> int:
    """The native placement of a part on a device."""
    return placement(SingleDeviceSharding(device), True).index


def wrapped(shards: Shards, code: int, weak: bool, where: int) -> Array:
    """The array of these parts."""
    return _native.opaque_array(shards, code, shards.shape, weak, where)


def spread_over(client: Any, x: Array, sharding: Any) -> Shards:
    """``x``, wherever it is, in parts on the devices of a sharding."""
    held = x._handle
    if isinstance(held, Shards) and held.sharding == sharding:
        return held
    elements = bits(x)
    parts = [
        client.put(from_bits(elements[index], x), d._position, -1, single(d))
        for d, index in sharding.devices_indices_map(x.shape).items()
    ]
    return Shards(parts, sharding, x.shape)


def executable(
    native: Any, client: Any, loaded: Any, layout: Layout, module: Any, results: Sequence[int]
) -> Any:
    """What calls a program: it takes arrays as their parts, and makes arrays of parts."""
    jaxpr, text = module.jaxpr, module.text
    ins, outs = ([spec_of_type(a) for a in avals] for avals in (jaxpr.in_avals, jaxpr.out_avals))
    devices = layout.devices
    positions = [d._position for d in devices]
    places = [single(d) for d in devices]
    local = [
        (code, sharding.shard_shape(shape), weak)
        for (code, shape, weak), sharding in zip(outs, layout.results, strict=True)
    ]
    constants = [spread_over(client, c, layout.replicated) for c in text.hoisted]
    donated = list(text.donated)

    def call(arrays: list[Array]) -> list[Array]:
        given = [spread_over(client, x, s) for x, s in zip(arrays, layout.operands, strict=True)]
        given += constants
        arguments = [[s.parts[k] for s in given] for k in range(len(devices))]
        del given
        made = native.execute_on(loaded, positions, arguments, local, places, donated, module.name)
        return [
            wrapped(Shards([on[k] for on in made], sharding, shape), code, weak, where)
            for k, ((code, shape, weak), sharding, where) in enumerate(
                zip(outs, layout.results, results, strict=True)
            )
        ]

    return _native.HostedExecutable(call, ins, outs, module.name)
