"""From LLVM IR to machine code, and machine code to a callable address (on llvmlite)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from covector import _native
from covector.backends.cpu import aside
from covector.core.config import config
from covector.core.record import Record

if TYPE_CHECKING:
    from covector.backends.cpu.texts import Text
    from covector.backends.cpu.writer import Vectors

_ids = itertools.count()


@functools.cache
def _llvm() -> Any:
    """llvmlite's binding. Its objects are used aside only (`aside`)."""

    def start() -> Any:
        import llvmlite.binding as llvm
        from llvmlite.binding.ffi import lib

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        return llvm, lib._lock

    llvm, lock = aside.call(start)
    # Which its objects take that go, in whatever thread.
    aside.register(lock)
    return llvm


# What the levels of x86-64 have, each with what those before it have (System V ABI, AMD64
# supplement, version 1.0, section 3.1.1), as LLVM calls it.
_LEVELS = {
    "x86-64-v2": ("cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"),
    "x86-64-v3": ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"),
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


class Processor(Record):
    """A processor that code is generated for: its name and its features, as LLVM calls them."""

    name: str
    features: str

    def has(self, feature: str) -> bool:
        return f"+{feature}" in self.features.split(",")


@functools.cache
def host() -> Processor:
    """The processor that this runs on."""
    llvm = _llvm()
    return aside.call(
        lambda: Processor(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    )


def processor() -> Processor:
    """The processor that the option ``cpu`` says.

    Raises
    ------
    ValueError
        If this one lacks something of it.
    """
    return host() if config.cpu == "native" else _of_level(config.cpu)


@functools.cache
def _of_level(level: str) -> Processor:
    names = list(_LEVELS)
    features = [f for name in names[: names.index(level) + 1] for f in _LEVELS[name]]
    lacking = [f for f in features if not host().has(f)]
    if lacking:
        raise ValueError(
            f"programs cannot be compiled for cpu={level!r}: this processor ({host().name}) has no "
            f"{', '.join(lacking)}. Choose a lower level or 'native', by the option cpu or by "
            "COVECTOR_CPU"
        )
    # LLVM takes halves of the widest vectors on some processors, but not if these are asked for.
    return Processor(level, ",".join([*[f"+{f}" for f in features], "-prefer-256-bit"]))


def cpu_description() -> str:
    """What generates code, and for which processor; object code runs only on its like."""
    version = ".".join(map(str, _llvm().llvm_version_info))
    found = processor()
    return f"LLVM {version} {found.name} {found.features}"


def system() -> str:
    """The architecture and system of this process, as LLVM calls them."""
    return str(aside.call(_llvm().get_process_triple))


def vectors() -> Vectors:
    """What the processor does with vectors."""
    from covector.backends.cpu.writer import Vectors  # not needed for code that is on disk

    found = processor()
    # Elsewhere LLVM may not know how to keep it from what it does with conditions.
    wide = found.has("avx2") and not found.has("avx512f")
    return Vectors(_gathers(), not wide)


def _gathers() -> int:
    """Bits of the longest indices with which numbers from any places are loaded by one instruction,
    not one a number.

    The first AMD processors are slow at it. Later ones take about as long from a cache, whose loads
    wait for one another less often.
    """
    found = processor()
    if host().name.startswith("znver"):
        return 32 if found.has("avx512f") else 0
    return 64 if found.has("avx2") else 0


# Descriptions of processors that no thread uses, by what they were made for.
_idle: defaultdict[tuple[int, Processor], list[Any]] = defaultdict(list)


@contextlib.contextmanager
def _machine(opt: int, wanted: Processor) -> Iterator[Any]:
    """A description of the processor, for one thread at a time: LLVM notes in it what it finds."""
    idle = _idle[opt, wanted]
    try:
        machine = idle.pop()
    except IndexError:
        machine = _new_machine(opt, wanted)
    yield machine
    idle.append(machine)


def _new_machine(opt: int, wanted: Processor) -> Any:
    target = _llvm().Target.from_default_triple()
    return target.create_target_machine(
        cpu=wanted.name, features=wanted.features, opt=opt, reloc="pic", codemodel="small", jit=True
    )


class _Engine:
    """LLVM's loader, for processors and systems whose object code the native core does not load.

    LLVM gives back the code of one program, but not what it notes of it (40 KB); only with the
    engine, which goes when all programs are gone that it loaded. A new one takes a millisecond.
    """

    PROGRAMS = 64

    __slots__ = ("_jit", "_room")

    def __init__(self) -> None:
        # The engine takes the machine it is given.
        self._jit = _llvm().create_lljit_compiler(_new_machine(2, host()))
        self._room = self.PROGRAMS

    @property
    def is_full(self) -> bool:
        return self._room == 0

    def load(self, code: bytes) -> Any:
        """What keeps object code loaded, and knows the address of ``entry`` in it."""
        self._room -= 1
        builder = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
        tracker = builder.export_symbol("entry").link(self._jit, f"covector{next(_ids)}")
        # Its finalizer, which needs the engine, runs before it lets go of its attributes.
        tracker.engine = self
        return tracker


_engine: _Engine | None = None
_loading = threading.RLock()


@functools.cache
def _passes(opt: int) -> Any:
    """The few passes that the emitted code profits from.

    llvmlite never gives back the passes of a manager, so there is one.
    """
    passes = _llvm().create_new_module_pass_manager()
    passes.add_sroa_pass()
    if opt:
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
    return passes


def level() -> int | None:
    """How hard LLVM is to try, where options say so."""
    if config.disable_most_optimizations:
        return 0
    asked: str = config.optimization_level
    return None if asked == "UNKNOWN" else int(asked[1:])


def asked_for() -> str:
    """What options say of the code, in keys of it; empty for what they are by default."""
    asked, cpu = level(), config.cpu
    return ("" if asked is None else f"O{asked}\n") + ("" if cpu == "native" else f"{cpu}\n")


def effort_for(text: Text) -> int:
    """How hard LLVM tries."""
    asked = level()
    return text.effort if asked is None else asked


class _Task(Record):
    """Modules to compile: how hard, for which processor, and whether LLVM looks for faults."""

    effort: int
    wanted: Processor
    verify: bool

    @contextlib.contextmanager
    def module(self, text: str) -> Iterator[Any]:
        """A module after the passes."""
        llvm = _llvm()
        with (
            contextlib.closing(llvm.create_context()) as context,
            contextlib.closing(llvm.parse_assembly(text, context=context)) as module,
        ):
            if self.verify:
                module.verify()
            # A builder for each run: it keeps what watched the run, which llvmlite frees then, and
            # a second run would call it, or write of passes it skips to the error stream.
            with (
                _machine(2, self.wanted) as machine,
                contextlib.closing(
                    llvm.create_pipeline_tuning_options(speed_level=self.effort)
                ) as options,
                contextlib.closing(llvm.create_pass_builder(machine, options)) as builder,
            ):
                _passes(self.effort).run(module, builder)
            yield module

    def compile(self, text: str) -> bytes:
        """Object code of a module."""
        with self.module(text) as module, _machine(self.effort, self.wanted) as machine:
            return _emitted(machine, module)


def _task(effort: int) -> _Task:
    return _Task(effort, processor(), config.enable_checks)


def compile_objects(texts: Sequence[str], effort: int) -> list[bytes]:
    """Object code of modules, which are compiled on all processors at once."""
    if not texts:
        return []
    task = _task(effort)
    made: dict[int, bytes] = {}
    # The longest first.
    todo = deque(sorted(range(len(texts)), key=lambda k: -len(texts[k])))

    def work() -> None:
        while True:
            try:
                k = todo.popleft()
            except IndexError:
                return
            try:
                made[k] = task.compile(texts[k])
            except BaseException:
                todo.clear()
                raise

    try:
        aside.call_all([work] * min(len(texts), _native.num_threads()))
        # A child that a signal handler forks here has not the threads that were at some of them.
        lost = [k for k in range(len(texts)) if k not in made]
        if lost:
            todo.extend(lost)
            aside.call(work)
    finally:
        todo.clear()  # after an interrupt nobody looks at the rest
    return [made[k] for k in range(len(texts))]


def _emitted(machine: Any, module: Any) -> bytes:
    """Object code of a module, without llvmlite's lock, which lets one thread in at a time.

    What LLVM does for modules of different contexts, with different machines, may go on at once.
    """
    from llvmlite.binding import ffi

    emit = ffi.lib.LLVMPY_TargetMachineEmitToMemory
    if not hasattr(emit, "_cfn"):
        return bytes(machine.emit_object(module))
    with ffi.OutputString() as error:
        buffer = emit._cfn(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def assembly(text: Text) -> str:
    """What is compiled, to read."""
    task = _task(effort_for(text))

    def write() -> str:
        with task.module(text.text) as module, _machine(task.effort, task.wanted) as machine:
            return str(machine.emit_assembly(module))

    return aside.call(write)


def optimised(text: Text) -> str:
    """The LLVM IR after the passes."""
    task = _task(effort_for(text))

    def write() -> str:
        with task.module(text.text) as module:
            return str(module)

    return aside.call(write)


def load_objects(files: list[tuple[str, bytes]]) -> tuple[int, Any]:
    """Address of ``entry`` in object code, and what keeps it loaded; files with a name have a
    function ``function``, which others call by that name."""
    if _native.loads_code:
        return _native.load_code(files, "entry")
    ((_, code),) = files
    return _load_by_llvm(code)


def _load_by_llvm(code: bytes) -> tuple[int, Any]:
    def load() -> tuple[int, Any]:
        global _engine
        if _engine is None or _engine.is_full:
            _engine = _Engine()
        tracker = _engine.load(code)
        return tracker["entry"], tracker

    with _loading:
        return aside.call(load)
