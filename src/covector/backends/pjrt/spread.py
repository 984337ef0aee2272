"""Arrays and programs on several devices of a plugin, which partitions the programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core.avals import Array, spec_of_type
from covector.core.backend import Layout
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr, Jaxpr
from covector.core.trace import trace_to_jaxpr
from covector.distributed.bootstrap import check_programs
from covector.runtime.placement import placement
from covector.runtime.shards import bits, from_bits, must_be_gathered, within
from covector.runtime.transfers import transfer
from covector.sharding.base import Index, Sharding, SingleDeviceSharding
from covector.sharding.named import replicated
from covector.sharding.partition.mesh import process_mesh
from covector.sharding.partition.program import digest_of
from covector.sharding.propagate import split_of
from covector.transforms.cache import Latest


class Shards:
    """The parts of an array, one on each device in the order of its sharding.

    Attributes
    ----------
    parts : list of Array or None
        None for the devices of other processes.
    sharding : Sharding
    shape : tuple of int
        Of the whole.
    """

    __slots__ = ("parts", "sharding", "shape")

    def __init__(self, parts: list[Any], sharding: Sharding, shape: tuple[int, ...]) -> None:
        self.parts = parts
        self.sharding = sharding
        self.shape = shape

    @property
    def local(self) -> Array:
        """What this process has, as one array on the host."""
        like = next(p for p in self.parts if p is not None)
        return from_bits(self._joined(_block_here(self.sharding, self.shape)), like)

    def wait(self) -> None:
        """Wait until the parts of this process are computed; what went wrong is raised."""
        for part in self.parts:
            if part is not None:
                part.block_until_ready()

    def is_ready(self) -> bool:
        """Whether they are."""
        return all(part is None or part.is_ready() for part in self.parts)

    def to_host(self) -> Any:
        """The bytes of the whole array, where this process has it."""
        part = next(p for p in self.parts if p is not None)
        count = len(self.sharding.device_set)
        what = f"{part.dtype}{list(self.shape)}, spread over {count} devices"
        transfer("device_to_host", what)
        return self._joined(_whole(self.shape)).reshape(-1).view(np.uint8)

    def _joined(self, block: Index) -> np.ndarray:
        """The elements of a block, of which this process must have every part."""
        found: dict[str, tuple[Index, Array]] = {}
        indices = self.sharding.devices_indices_map(self.shape).values()
        for part, index in zip(self.parts, indices, strict=True):
            if part is not None:
                found.setdefault(str(index), (within(index, block, self.shape), part))
        sizes = [s.stop - s.start for s in block]
        if sum([part.size for _, part in found.values()]) != math.prod(sizes):
            raise must_be_gathered(self.shape, self.sharding)
        out: np.ndarray | None = None
        for index, part in found.values():
            elements = bits(part)
            if out is None:
                out = np.empty(sizes, elements.dtype)
            out[index] = elements
        assert out is not None
        return out


def _whole(shape: Sequence[int]) -> Index:
    return tuple([slice(0, n) for n in shape])


def _block_here(sharding: Any, shape: tuple[int, ...]) -> Index:
    """Where in an array of ``shape`` that is which the devices of this process have."""
    mesh = process_mesh(sharding.mesh)
    return mesh.block(shape, mesh.split(sharding.spec, shape, "an array"))


def single(device: Any) -> int:
    """The native placement of a part on a device."""
    return placement(SingleDeviceSharding(device), True).index


def wrapped(shards: Shards, code: int, weak: bool, where: int) -> Array:
    """The array of these parts."""
    return _native.opaque_array(shards, code, shards.shape, weak, where)


def spread_over(backend: Any, x: Array, sharding: Any) -> Shards:
    """``x``, wherever it is, in parts on the devices of a sharding.

    Of an array that is not spread over processes, all of which have it, each takes its part.
    """
    held = x._handle
    if isinstance(held, Shards):
        if held.sharding == sharding:
            return held
        if not held.sharding.is_fully_addressable:
            return _moved(backend, x, held, sharding)
    return cut(backend, x, sharding, tuple(x.shape), _whole(x.shape))


def of_block(backend: Any, local: Array, sharding: Any, shape: tuple[int, ...]) -> Shards:
    """The parts of an array of ``shape``, of which this process has the block ``local``."""
    return cut(backend, local, sharding, shape, _block_here(sharding, shape))


def cut(backend: Any, x: Array, sharding: Any, shape: tuple[int, ...], block: Index) -> Shards:
    """Each device of this process gets its part of ``x``, which is a block of the whole."""
    elements = bits(x)
    parts: list[Any] = []
    for d, index in sharding.devices_indices_map(shape).items():
        if not d.addressable:
            parts.append(None)
            continue
        mine = from_bits(elements[within(index, block, shape)], x)
        parts.append(backend.client.put(mine, d._position, -1, single(d)))
    return Shards(parts, sharding, shape)


_movers = Latest(256)


def _moved(backend: Any, x: Array, held: Shards, sharding: Any) -> Shards:
    """An array over several processes laid out anew, by a program that does nothing else."""
    have: Any = held.sharding
    if have.device_set != sharding.device_set:
        raise ValueError(
            f"device_put moves no array from processes to others, here from {have!r} to "
            f"{sharding!r}: both meshes must have the same devices{at_user_line()}"
        )
    if have.is_equivalent_to(sharding, x.ndim):
        return Shards(held.parts, sharding, held.shape)
    if have.mesh != sharding.mesh:
        whole = held
        if not have.is_fully_replicated:
            whole = _moved(backend, x, held, have.update(spec=()))
        return cut(backend, whole.local, sharding, held.shape, _whole(held.shape))
    key = (x.aval.shape, x.aval.dtype, have, sharding)
    program = _movers.get(key)
    if program is None:
        jaxpr, _ = trace_to_jaxpr(lambda a: [a], [x.aval.update(shape=held.shape)])
        layout = Layout(replicated(have.mesh), [have], [sharding])
        module = backend.lower_spread(ClosedJaxpr(jaxpr, []), [False], "device_put", layout)
        where = placement(sharding, True).index
        program = module.compile(layout.devices[0], [where]).executable
        _movers.add(key, program)
    (made,) = program.call([x])
    shards: Shards = made._handle
    return shards


def _digest(jaxpr: Jaxpr, layout: Layout) -> str:
    """What tells a program from others, in all processes."""
    splits = [
        [split_of(s.spec, len(a.shape)) for s, a in zip(shardings, avals, strict=True)]
        for shardings, avals in (
            (layout.operands, jaxpr.in_avals), (layout.results, jaxpr.out_avals),
        )
    ]  # fmt: skip
    return digest_of(jaxpr, *splits)


def executable(
    native: Any, loaded: Any, layout: Layout, backend: Any, called: Any, jaxpr: ClosedJaxpr,
    results: Sequence[int],
) -> Any:  # fmt: skip
    """What calls a program: it takes arrays as their parts, and makes arrays of parts.

    A process gives and gets those of its devices. Before the first call, processes look whether
    they all call the same program: the plugin's collectives would wait without end for one that
    does not, or mix up what belongs to different programs.
    """
    ins, outs = ([spec_of_type(a) for a in avals] for avals in (jaxpr.in_avals, jaxpr.out_avals))
    here = [k for k, d in enumerate(layout.devices) if d.addressable]
    positions = [layout.devices[k]._position for k in here]
    places = [single(layout.devices[k]) for k in here]
    nothing = [None] * len(layout.devices)
    local = [
        (code, sharding.shard_shape(shape), weak)
        for (code, shape, weak), sharding in zip(outs, layout.results, strict=True)
    ]
    constants = [spread_over(backend, c, layout.replicated) for c in called.hoisted]
    donated = called.donated

    ranks = sorted({d.process_index for d in layout.devices})
    unchecked = len(ranks) > 1

    def call(arrays: list[Array]) -> list[Array]:
        nonlocal unchecked
        if unchecked:
            check_programs(ranks, called.name, _digest(jaxpr.jaxpr, layout))
            unchecked = False
        given = [spread_over(backend, x, s) for x, s in zip(arrays, layout.operands, strict=True)]
        given += constants
        arguments = [[s.parts[k] for s in given] for k in here]
        del given
        made = native.execute_on(loaded, positions, arguments, local, places, donated, called.name)
        found = []
        for n, spec in enumerate(zip(outs, layout.results, results, strict=True)):
            (code, shape, weak), sharding, where = spec
            parts: list[Any] = list(nothing)
            for k, on in zip(here, made, strict=True):
                parts[k] = on[n]
            found.append(wrapped(Shards(parts, sharding, shape), code, weak, where))
        return found

    return _native.HostedExecutable(call, ins, outs, called.name)
