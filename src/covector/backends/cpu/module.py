"""Programs for the CPU: lowered, compiled once for all sizes, kept."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Sequence
from typing import Any

from covector import _native
from covector.backends import cpu
from covector.backends.cpu import cache, codegen, fortran, objects
from covector.compiler.ir.nodes import Constant, Input, LoopProgram
from covector.compiler.ir.show import key, show
from covector.compiler.ir.walk import library_calls
from covector.compiler.lower.lowering import lower
from covector.compiler.passes import simplify
from covector.compiler.schedule.workspace import workspace_layout
from covector.core import dtypes
from covector.core.jaxpr import ClosedJaxpr
from covector.core.monitoring import CACHE_HIT, CACHE_MISS, EVENTS, tell
from covector.core.record import Record
from covector.transforms.cache import Latest, on_clear

# Programs that touch more elements than this, or call a library, release the interpreter lock
# while they run; others do where their loops look out for signals, which takes some time to come.
_LONG = 1 << 15


class Code:
    """Machine code of a size-erased program.

    Attributes
    ----------
    key : str
        What it was made from; empty for what was read from a file, of which ``kept`` has the bytes.
    size : int
        Of the object code, in bytes.
    processor : Processor
        That it is for.
    """

    __slots__ = (
        "address", "temps", "donations", "keepalive", "key", "size", "kept", "processor",
        "__weakref__",
    )  # fmt: skip

    def __init__(self, key: str, obj: bytes, meta: Any, processor: codegen.Processor) -> None:
        self.address, self.keepalive = objects.load(obj)
        self.temps, self.donations = meta
        self.key, self.size = key, len(obj)
        self.kept = b"" if key else obj
        self.processor = processor


# Code that programs use, and the latest that was asked for.
_used: weakref.WeakValueDictionary[str, Code] = weakref.WeakValueDictionary()
_latest = Latest(256)
on_clear(_used)
statistics = {"compiled": 0, "loaded": 0, "shared": 0}


def _code(program: LoopProgram) -> Code:
    """Code for a program: from memory, from disk, or compiled now."""
    text = codegen.asked_for() + key(program)
    found = _used.get(text)
    if found is not None:
        statistics["shared"] += 1
        _latest.add(text, found)
        return found
    code = _used.setdefault(text, Code(text, *_object_code(text, program), codegen.processor()))
    _latest.add(text, code)
    return code


def _object_code(text: str, program: LoopProgram) -> tuple[bytes, Any]:
    """Object code and what is known of it: from disk, or compiled now."""
    stored = cache.load(text)
    if stored is not None:
        statistics["loaded"] += 1
        if EVENTS:
            tell(EVENTS, CACHE_HIT)
        return stored
    if EVENTS:
        tell(EVENTS, CACHE_MISS)
    start = time.perf_counter()
    module, meta = cpu.generate.llvm_text(program)
    obj = objects.compile_program(module)
    cache.store(text, obj, meta, time.perf_counter() - start)
    statistics["compiled"] += 1
    return obj, meta


def programs_in_memory() -> int:
    """The number of programs whose machine code is loaded."""
    return len(_used)


class Binding(Record):
    """What machine code is called with.

    Attributes
    ----------
    sizes : tuple of int
        The run-time sizes.
    consts : list of Array
    ins, outs : list
        Types of the arguments and results.
    kinds : list of int
        Where each result comes from: computed, an input or a constant.
    calls : tuple of str
        Kinds of library calls.
    callbacks : list
        What keeps the functions alive that it calls.
    name : str
    """

    sizes: tuple[int, ...]
    consts: list[Any]
    ins: list[Any]
    outs: list[Any]
    kinds: list[int]
    calls: tuple[str, ...]
    callbacks: list[Any]
    name: str

    @property
    def long(self) -> bool:
        """Whether it releases the interpreter lock while it runs."""
        elements = sum(math.prod(spec[1]) for spec in (*self.ins, *self.outs))
        return elements > _LONG or bool(self.calls)


class CpuProgram:
    """Machine code bound to the sizes of one program."""

    def __init__(self, code: Code, binding: Binding, placement: int | Sequence[int]) -> None:
        self.code = code
        self.binding = b = binding
        offsets, workspace = workspace_layout(code.temps, b.sizes)
        self.executable = _native.CpuExecutable(
            code.address, [*b.sizes, *offsets], b.consts, b.ins, b.outs, b.kinds, workspace,
            code.donations, b.long, (code, b.callbacks), b.name, placement,
        )  # fmt: skip

    @property
    def workspace_bytes(self) -> int:
        return self.executable.workspace_bytes

    @property
    def code_bytes(self) -> int:
        """The size of the object code."""
        return self.code.size


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

    def compile(self, device: Any, placement: int | Sequence[int]) -> CpuProgram:
        """Code for the program, bound to its sizes."""
        program = self.program
        calls = library_calls(program.block)
        fortran.load_for(calls)
        jaxpr = self.simplified.jaxpr
        ins = [(dtypes.code_of[v.aval.dtype], v.aval.shape) for v in jaxpr.invars]
        outs, kinds = self._outputs()
        binding = Binding(
            tuple([s.value for s in program.syms]), self.consts, ins, outs, kinds,
            tuple(sorted(calls)), self.keepalive, self.name,
        )  # fmt: skip
        return CpuProgram(_code(program), binding, placement)

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
