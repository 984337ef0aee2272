"""The CPU as a backend: its device, and programs compiled once for all sizes."""

from __future__ import annotations

import copyreg
import os
import re
import time
import weakref
from collections.abc import Sequence
from typing import Any

from covector import _native
from covector.backends import cpu
from covector.backends.cpu import cache, codegen, fortran
from covector.compiler.ir.nodes import Constant, Input, LoopProgram
from covector.compiler.ir.show import key, show
from covector.compiler.ir.walk import library_calls
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify
from covector.compiler.schedule.workspace import workspace_layout
from covector.core import dtypes, processes
from covector.core.avals import Array
from covector.core.backend import Layout, reduce_device
from covector.core.config import config
from covector.core.device import Device
from covector.core.jaxpr import ClosedJaxpr
from covector.core.monitoring import CACHE_HIT, CACHE_MISS, EVENTS, tell
from covector.transforms.cache import Latest, on_clear

# Programs that touch more elements than this, or call a library, release the interpreter lock
# while they run; others do where their loops look out for signals, which takes some time to come.
_LONG = 1 << 15


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


def count() -> int:
    """The number of logical devices: threads on all processors run the programs of each."""
    n = int(config.num_cpu_devices)
    if n < 1:
        found = re.findall(_XLA_FLAG, os.environ.get("XLA_FLAGS", ""))
        n = int(found[-1]) if found else 1
    return max(n, 1)


_XLA_FLAG = r"--xla_force_host_platform_device_count=(\d+)"


class Code:
    """Machine code of a size-erased program."""

    __slots__ = ("address", "temps", "donations", "keepalive", "__weakref__")

    def __init__(self, address: int, meta: Any, keepalive: Any) -> None:
        self.address = address
        self.temps, self.donations = meta
        self.keepalive = keepalive


# Code that programs use, and the latest that was asked for.
_used: weakref.WeakValueDictionary[str, Code] = weakref.WeakValueDictionary()
_latest = Latest(256)
on_clear(_used)
statistics = {"compiled": 0, "loaded": 0, "shared": 0}


def _code(program: LoopProgram) -> Code:
    """Code for a program: from memory, from disk, or compiled now."""
    level = codegen.level()
    text = key(program) if level is None else f"O{level}\n{key(program)}"
    found = _used.get(text)
    if found is not None:
        statistics["shared"] += 1
        _latest.add(text, found)
        return found
    stored = cache.load(text)
    if stored is not None:
        obj, meta = stored
        statistics["loaded"] += 1
        if EVENTS:
            tell(EVENTS, CACHE_HIT)
    else:
        if EVENTS:
            tell(EVENTS, CACHE_MISS)
        start = time.perf_counter()
        module, meta = cpu.generate.llvm_text(program)
        obj = codegen.compile_object(module)
        cache.store(text, obj, meta, time.perf_counter() - start)
        statistics["compiled"] += 1
    address, tracker = codegen.load_object(obj)
    code = _used.setdefault(text, Code(address, meta, tracker))
    _latest.add(text, code)
    return code


def programs_in_memory() -> int:
    """The number of programs whose machine code is loaded."""
    return len(_used)


class CpuProgram:
    """Machine code bound to the sizes of one program."""

    def __init__(self, executable: _native.CpuExecutable) -> None:
        self.executable = executable

    @property
    def workspace_bytes(self) -> int:
        return self.executable.workspace_bytes


class CpuModule:
    """A jaxpr lowered for the CPU."""

    platform = "cpu"
    dialects = ("jaxpr", "simplified", "loop", "schedule", "llvm", "optimised", "asm")
    default_dialect = "llvm"

    def __init__(self, closed: ClosedJaxpr, donated: Sequence[bool], name: str) -> None:
        self.jaxpr = closed
        self.name = name
        self.simplified = simplify(closed)
        lowered = lower(self.simplified, name, donated)
        self.program, self.consts = lowered.program, lowered.consts
        self.keepalive = lowered.keepalive

    def as_text(self, dialect: str) -> str:
        """The program as ``jaxpr``, ``simplified`` jaxpr, ``loop`` IR, ``schedule``,
        ``llvm`` IR, ``optimised`` LLVM IR or ``asm``."""
        match dialect:
            case "jaxpr":
                return str(self.jaxpr)
            case "simplified":
                return str(self.simplified)
            case "loop":
                return show(self.program)
            case "schedule":
                text: str = cpu.generate.schedule_text(self.program)
                return text
            case "optimised":
                return codegen.optimised(cpu.generate.llvm_text(self.program)[0])
            case "asm":
                return codegen.assembly(cpu.generate.llvm_text(self.program)[0])
        text = cpu.generate.llvm_text(self.program)[0].text
        return text

    def compile(self, device: CpuDevice, placement: int | Sequence[int]) -> CpuProgram:
        """Code for the program, bound to its sizes."""
        program = self.program
        calls = library_calls(program.block)
        fortran.load_for(calls)
        code = _code(program)
        sizes = [s.value for s in program.syms]
        offsets, workspace = workspace_layout(code.temps, sizes)
        jaxpr = self.simplified.jaxpr
        specs = [(dtypes.code_of[v.aval.dtype], v.aval.shape) for v in jaxpr.invars]
        outs, kinds = self._outputs()
        elements = sum(v.aval.size for v in [*jaxpr.invars, *jaxpr.outvars])
        long = elements > _LONG or bool(calls)
        return CpuProgram(_native.CpuExecutable(
            code.address, [*sizes, *offsets], self.consts, specs, outs, kinds, workspace,
            code.donations, long, (code, self.keepalive), self.name, placement,
        ))  # fmt: skip

    def _outputs(self) -> tuple[list[Any], list[int]]:
        """Types of the results, and where each comes from: computed, an input or a constant."""
        outs: list[Any] = []
        kinds: list[int] = []
        # The types of the original: simplification drops changes of weak type alone.
        pairs = zip(self.jaxpr.jaxpr.outvars, self.program.block.results, strict=True)
        for v, r in pairs:
            outs.append((dtypes.code_of[v.aval.dtype], v.aval.shape, v.aval.weak_type))
            if isinstance(r.defn, Input):
                kinds.append(r.defn.position)
            elif isinstance(r.defn, Constant):
                kinds.append(_native.constant_output + r.defn.position)
            else:
                kinds.append(-1)
        return outs, kinds


class CpuBackend:
    """The CPU backend."""

    platform = "cpu"
    one_memory = True

    def __init__(self) -> None:
        self._devices = [CpuDevice(0)]
        self._absent: dict[tuple[int, int], CpuDevice] = {}

    def devices(self) -> list[CpuDevice]:
        # The others have been told how many there are.
        n = processes.devices[processes.index] if processes.devices else count()
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
        self, local: Array, sharding: Any, shape: tuple[int, ...], placement: int
    ) -> Array:
        """The array over several processes of which this one has ``local``."""
        from covector.backends.cpu import across

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


backend = CpuBackend()
copyreg.pickle(CpuDevice, reduce_device)
