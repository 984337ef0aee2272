"""Arrays and programs on the devices of several processes: each has its part of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covector import _native
from covector.backends.cpu.module import CpuModule
from covector.core import processes
from covector.core.avals import Array, spec_of_type
from covector.core.backend import Layout
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.core.trace import trace_to_jaxpr
from covector.distributed import calls
from covector.distributed.bootstrap import current_job
from covector.runtime.shards import bits, from_bits, must_be_gathered, part_of, within
from covector.sharding.mapped import shard_map_p
from covector.sharding.named import replicated
from covector.sharding.partition.mesh import ProcessMesh, process_mesh
from covector.sharding.partition.overlap import overlapped
from covector.sharding.partition.program import partition
from covector.sharding.propagate import Split
from covector.transforms.cache import Latest

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
                found.append(part_of(self.local, within(index, block, self.shape), device))
            self._parts = found
        return self._parts

    def to_host(self) -> Any:
        """The bytes of the whole array, where this process has it."""
        if self.local.shape != self.shape:
            raise must_be_gathered(self.shape, self.sharding)
        return bits(self.local).reshape(-1).view("uint8")


def _mesh(sharding: Any) -> ProcessMesh:
    return process_mesh(sharding.mesh)


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
    if have.mesh != sharding.mesh:
        whole = _run(x, held, have.update(spec=()))
        return spread_over(whole.local, sharding)
    return _run(x, held, sharding)


def _run(x: Array, held: Block, sharding: Any) -> Block:
    aval = x.aval
    key = (aval.shape, aval.dtype, held.sharding, sharding)
    program = _movers.get(key)
    if program is None:
        plain = aval.update(shape=tuple(aval.shape))
        jaxpr, _ = trace_to_jaxpr(lambda a: [a], [plain])
        layout = Layout(replicated(sharding.mesh), [held.sharding], [sharding])
        module = AcrossModule(ClosedJaxpr(jaxpr, []), [False], "device_put", layout)
        program = LocalProgram(module)
        _movers.add(key, program)
    (local,) = program.call([held.local])
    return Block(local, sharding, tuple(x.shape), program.module.results[0])


_movers = Latest(256)


class AcrossModule:
    """A jaxpr partitioned for the CPU of one process.

    Attributes
    ----------
    local : ClosedJaxpr
        The program of this process.
    results : list of Split
        How its results are parts of the whole.
    """

    platform = "cpu"
    dialects = CpuModule.dialects
    default_dialect = CpuModule.default_dialect

    def __init__(
        self, closed: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout
    ) -> None:
        self.jaxpr = closed
        self.layout = layout
        self.donated = list(donated)
        self.name = name
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
        self.local = partition(closed, consts, operands, self.results, mesh, name)

    def _constant(self, c: Any) -> tuple[Split, Any]:
        if isinstance(getattr(c, "_handle", None), Block):
            held = spread_over(c, c.sharding.update(mesh=self.layout.mesh))
            return held.split, held.local
        return ((),) * len(c.shape), c

    def lower(self) -> CpuModule:
        """The program of this process, lowered for the job that it belongs to now."""
        return self._lowered(self.local.map_jaxpr(lambda jaxpr: overlapped(jaxpr, calls.sends)))

    def as_text(self, dialect: str) -> str:
        """The program of this process, before its collectives are overlapped."""
        with calls.only_shown():
            return self._lowered(self.local).as_text(dialect)

    def _lowered(self, local: ClosedJaxpr) -> CpuModule:
        return CpuModule(local, self.donated, self.name)

    def compile(self, device: Any, placement: Sequence[int]) -> AcrossProgram:
        """What runs the program; ``placement`` is that of each result."""
        return AcrossProgram(self, placement)


class LocalProgram:
    """The compiled program of this process; a job compiles it anew, for its collectives."""

    def __init__(self, module: AcrossModule) -> None:
        self.module = module
        self._job: Any = None
        self._made: Any = None

    def made(self) -> Any:
        """The program for the job of this time."""
        job = current_job()
        if self._job is not job:
            made = self.module.lower().compile(None, 0)
            made.executable.donate([k for k, d in enumerate(self.module.donated) if d])
            self._job, self._made = job, made
        return self._made

    def call(self, arrays: list[Array]) -> Sequence[Array]:
        """The parts of the results, from those of the arguments."""
        found: Sequence[Array] = self.made().executable.call(arrays)
        return found


class AcrossProgram:
    """A program over several processes, bound to its sizes."""

    def __init__(self, module: AcrossModule, placement: Sequence[int]) -> None:
        self.local = local = LocalProgram(module)
        jaxpr = module.jaxpr.jaxpr
        ins, outs = (
            [spec_of_type(v.aval) for v in variables] for variables in (jaxpr.invars, jaxpr.outvars)
        )
        operands = module.layout.operands
        results = list(zip(outs, module.layout.results, module.results, placement, strict=True))

        def call(arrays: list[Array]) -> list[Array]:
            given = [spread_over(x, s).local for x, s in zip(arrays, operands, strict=True)]
            return [
                _wrapped(Block(part, sharding, shape, split), code, weak, where)
                for part, ((code, shape, weak), sharding, split, where) in zip(
                    local.call(given), results, strict=True
                )
            ]

        self.executable = _native.HostedExecutable(call, ins, outs, module.name)

    @property
    def workspace_bytes(self) -> int:
        """Of the program of this process."""
        return int(self.local.made().workspace_bytes)
