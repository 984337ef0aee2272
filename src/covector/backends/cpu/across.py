"""Arrays and programs on the devices of several processes: each has its part of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import _native
from covector.core import dtypes, processes
from covector.core.avals import Array
from covector.core.backend import Layout, get_backend
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.core.trace import trace_to_jaxpr
from covector.runtime.shards import bits, from_bits, part_of
from covector.sharding.mapped import shard_map_p
from covector.sharding.named import replicated
from covector.sharding.partition.mesh import ProcessMesh, process_mesh
from covector.sharding.partition.program import partition
from covector.sharding.propagate import Split

# Primitives of which the partitioner has the programs inside.
KEPT = frozenset((shard_map_p,))


class Block:
    """What this process has of an array: one block of it, of which its devices have parts.

    Attributes
    ----------
    local : Array
    sharding : NamedSharding
        Of the whole.
    shape : tuple of int
        Of the whole.
    """

    __slots__ = ("local", "sharding", "shape", "split", "_parts")

    def __init__(self, local: Array, sharding: Any, shape: tuple[int, ...], split: Split) -> None:
        self.local = local
        self.sharding = sharding
        self.shape = shape
        self.split = split
        self._parts: list[Any] | None = None

    @property
    def parts(self) -> list[Any]:
        """The parts of the devices of the sharding; None for those of other processes."""
        if self._parts is None:
            block = _mesh(self.sharding).block(self.shape, self.split)
            found: list[Any] = []
            for device, index in self.sharding.devices_indices_map(self.shape).items():
                if device.process_index != processes.index:
                    found.append(None)
                    continue
                within = [_within(*each) for each in zip(index, block, self.shape, strict=True)]
                found.append(part_of(self.local, tuple(within), device))
            self._parts = found
        return self._parts

    def to_host(self) -> Any:
        """The bytes of the whole array, where this process has it."""
        if self.local.shape != self.shape:
            count = len({d.process_index for d in self.sharding.devices})
            raise RuntimeError(
                f"an array of the shape {self.shape} is spread over the devices of {count} "
                f"processes, {self.sharding!r}, and process {processes.index} has a part of it. "
                "Its attribute addressable_shards has that; "
                "covector.experimental.multihost_utils.process_allgather gives all of it to each "
                f"process, and jit(lambda x: x, out_shardings=...) lays it out anew{at_user_line()}"
            )
        return bits(self.local).reshape(-1).view("uint8")


def _within(index: slice, block: slice, size: int) -> slice:
    first, stop, _ = index.indices(size)
    return slice(first - block.start, stop - block.start)


def _mesh(sharding: Any) -> ProcessMesh:
    return process_mesh(sharding.mesh, processes.index)


def _split(sharding: Any, shape: Sequence[int], what: str) -> Split:
    return _mesh(sharding).split(sharding.spec, shape, what)


def put(x: Array, sharding: Any, placement: int) -> Array:
    """``x``, wherever it is, on the devices of a sharding.

    Of an array that is not spread over processes, all of which have it, each takes its part.
    """
    return _wrapped(spread_over(x, sharding), x._code, x.weak_type, placement)


def _wrapped(block: Block, code: int, weak: bool, placement: int) -> Array:
    return _native.opaque_array(block, code, block.shape, weak, placement)


def of_block(local: Array, sharding: Any, shape: tuple[int, ...], placement: int) -> Array:
    """The array of which this process has ``local``."""
    split = _split(sharding, shape, "an array")
    return _wrapped(Block(local, sharding, shape, split), local._code, local.weak_type, placement)


def spread_over(x: Array, sharding: Any) -> Block:
    """What this process has of ``x`` on the devices of a sharding."""
    held = x._handle
    if isinstance(held, Block):
        return held if held.sharding == sharding else _moved(x, held, sharding)
    split = _split(sharding, x.shape, "device_put")
    block = _mesh(sharding).block(x.shape, split)
    host = x._to_host()
    whole = all(s.start == 0 and s.stop == n for s, n in zip(block, x.shape, strict=True))
    local = host if whole else from_bits(bits(host)[block], x)
    return Block(local._placed(0), sharding, tuple(x.shape), split)


def _moved(x: Array, held: Block, sharding: Any) -> Block:
    """The same array laid out anew, by a program that does nothing else."""
    have = held.sharding
    if have.device_set != sharding.device_set:
        raise ValueError(
            f"device_put moves no array from processes to others, here from {have!r} to "
            f"{sharding!r}: both meshes must have the same devices{at_user_line()}"
        )
    if dict(have.mesh.shape) != dict(sharding.mesh.shape) or have.mesh != sharding.mesh:
        whole = _run(x, held, have.update(spec=()))
        return spread_over(whole.local, sharding)
    return _run(x, held, sharding)


def _run(x: Array, held: Block, sharding: Any) -> Block:
    aval = x.aval
    plain = aval.update(shape=tuple(aval.shape))
    jaxpr, _ = trace_to_jaxpr(lambda a: [a], [plain])
    layout = Layout(replicated(sharding.mesh), [held.sharding], [sharding])
    module = AcrossModule(ClosedJaxpr(jaxpr, []), [False], "device_put", layout)
    (local,) = module.inner.compile(None, 0).executable.call([held.local])  # type: ignore[arg-type]
    return Block(local, sharding, tuple(x.shape), module.results[0])


class AcrossModule:
    """A jaxpr partitioned, and lowered for the CPU of one process."""

    platform = "cpu"

    def __init__(
        self, closed: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout
    ) -> None:
        self.jaxpr = closed
        self.layout = layout
        mesh = _mesh(layout.replicated)
        jaxpr = closed.jaxpr
        operands, self.results = (
            [
                mesh.split(s.spec, v.aval.shape, name)
                for s, v in zip(shardings, variables, strict=True)
            ]
            for shardings, variables in (
                (layout.operands, jaxpr.invars), (layout.results, jaxpr.outvars),
            )
        )  # fmt: skip
        consts = [self._constant(c) for c in closed.consts]
        local = partition(closed, consts, operands, self.results, mesh)
        self.inner: Any = get_backend("cpu").lower(local, donated, name)
        self.donated = [k for k, d in enumerate(donated) if d]
        self.dialects = self.inner.dialects
        self.default_dialect = self.inner.default_dialect
        self.name = name

    def _constant(self, c: Any) -> tuple[Split, Any]:
        if isinstance(getattr(c, "_handle", None), Block):
            held = spread_over(c, c.sharding.update(mesh=self.layout.mesh))
            return held.split, held.local
        return ((),) * len(c.shape), c

    def as_text(self, dialect: str) -> str:
        """The program of this process."""
        return self.inner.as_text(dialect)

    def compile(self, device: Any, placement: Sequence[int]) -> Any:
        """What runs the program; ``placement`` is that of each result."""
        program = self.inner.compile(device, 0)
        program.executable.donate(self.donated)
        jaxpr = self.jaxpr.jaxpr
        ins, outs = (
            [(dtypes.code_of[v.aval.dtype], v.aval.shape, v.aval.weak_type) for v in variables]
            for variables in (jaxpr.invars, jaxpr.outvars)
        )
        operands, run = self.layout.operands, program.executable.call
        results = list(zip(outs, self.layout.results, self.results, placement, strict=True))

        def call(arrays: list[Array]) -> list[Array]:
            given = [spread_over(x, s).local for x, s in zip(arrays, operands, strict=True)]
            made = run(given)
            return [
                _wrapped(Block(local, sharding, shape, split), code, weak, where)
                for local, ((code, shape, weak), sharding, split, where) in zip(
                    made, results, strict=True
                )
            ]

        return AcrossProgram(
            _native.HostedExecutable(call, ins, outs, self.name), program.workspace_bytes
        )


class AcrossProgram:
    """A program of this process, bound to its sizes."""

    def __init__(self, executable: _native.HostedExecutable, workspace_bytes: int) -> None:
        self.executable = executable
        self.workspace_bytes = workspace_bytes
