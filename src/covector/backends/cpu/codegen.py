"""From LLVM IR to machine code, and machine code to a callable address (on llvmlite)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from covector import _native
from covector.core.config import config
from covector.core.record import Record

if TYPE_CHECKING:
    from covector.backends.cpu.texts import Text
    from covector.backends.cpu.writer import Vectors

_ids = itertools.count()
# Whoever is inside LLVM holds it; a signal handler may come back to it.
_lock = threading.RLock()


# llvmlite's own lock, which alone its objects take that go; None until it is loaded.
_llvm_lock: Any = None


_held: list[Any] = []


def _before_fork() -> None:
    """A process is not forked while a thread is inside LLVM, or the child could never enter it;
    nor while one imports a module, which then could never be imported there."""
    deadline = time.monotonic() + 5
    _lock.acquire()
    while _others_import() and time.monotonic() < deadline:
        _lock.release()
        time.sleep(0.001)
        _lock.acquire()
    if _llvm_lock is not None:
        _llvm_lock.__enter__()
        _held.append(_llvm_lock)


def _after_fork() -> None:
    if _held:
        _held.pop().__exit__(None, None, None)
    _lock.release()


def _others_import() -> bool:
    me = threading.get_ident()
    # Python makes its lock of the import system new in a child, but not those of modules.
    locks = getattr(importlib._bootstrap, "_module_locks", {})  # type: ignore[attr-defined]
    owners = [getattr(ref(), "owner", None) for ref in list(locks.values())]
    return any(owner not in (None, me) for owner in owners)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


@functools.cache
def _llvm() -> Any:
    global _llvm_lock
    import llvmlite.binding as llvm
    from llvmlite.binding.ffi import lib

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _llvm_lock = lib._lock
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
    return Processor(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


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
    return str(_llvm().get_process_triple())


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


@functools.cache
def _machine(opt: int, wanted: Processor, thread: int = -1) -> Any:
    """A description of the processor, for one thread at a time: LLVM notes in it what it finds."""
    return _new_machine(opt, wanted)


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


def _optimise(module: Any, opt: int) -> None:
    llvm = _llvm()
    with contextlib.ExitStack() as stack:
        # A builder for each run: it keeps what watched the run, which llvmlite frees then, and a
        # second run would call it, or write of passes it skips to the error stream.
        options = _closing(stack, llvm.create_pipeline_tuning_options(speed_level=opt))
        builder = _closing(stack, llvm.create_pass_builder(_machine(2, processor()), options))
        _passes(opt).run(module, builder)


def _closing(stack: contextlib.ExitStack, thing: Any) -> Any:
    """An object of llvmlite, closed with the stack.

    What its destructor would do instead could swallow an interrupt: Python ignores what is
    raised there.
    """
    stack.callback(thing.close)
    return thing


@contextlib.contextmanager
def _optimised_module(text: str, effort: int) -> Iterator[Any]:
    """The module after the passes."""
    llvm = _llvm()
    with contextlib.ExitStack() as stack:
        context = llvm.create_context()
        module = llvm.parse_assembly(text, context=context)

        # By one step: were an interrupt to come between two, the module would outlive its context.
        def close() -> None:
            module.close()
            context.close()

        stack.callback(close)
        if config.enable_checks:
            module.verify()
        _optimise(module, effort)
        yield module


def compile_objects(texts: Sequence[str], effort: int) -> list[bytes]:
    """Object code of modules, which are compiled on all processors at once."""
    if not texts:
        return []
    wanted = processor()
    made: dict[int, bytes] = {}
    failed: list[BaseException] = []
    todo = deque(sorted(range(len(texts)), key=lambda k: -len(texts[k])))

    def work(thread: int, longest: int | None = None) -> None:
        try:
            while not failed:
                try:
                    k = todo.popleft() if longest is None else longest
                except IndexError:
                    return
                longest = None
                with _optimised_module(texts[k], effort) as module:
                    made[k] = _emitted(_machine(effort, wanted, thread), module)
        except BaseException as e:
            failed.append(e)

    with _lock:
        _llvm()
        # For this thread, whose stack may be made for it.
        longest = todo.popleft()
        others: list[threading.Thread] = []
        for k in range(1, min(len(texts), _native.num_threads())):
            t = threading.Thread(target=work, args=(k,), name=f"covector compiler {k}")
            try:
                t.start()
            except RuntimeError:
                break  # the system gives no more, or the interpreter exits
            others.append(t)
        work(0, longest)
        _join(others, failed)
        # A child of a process that was forked here, by a signal handler, has no other threads.
        todo.extend(set(range(len(texts))) - made.keys())
        work(0)
    if failed:
        raise failed[0]
    return [made[k] for k in range(len(texts))]


def _join(threads: Sequence[threading.Thread], failed: list[BaseException]) -> None:
    """Wait for threads, which use what is gone afterwards, even if told to stop."""
    for t in threads:
        while t.is_alive():
            try:
                t.join()
            except BaseException as e:
                failed.append(e)


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
    effort = effort_for(text)
    with _lock, _optimised_module(text.text, effort) as module:
        return str(_machine(effort, processor()).emit_assembly(module))


def optimised(text: Text) -> str:
    """The LLVM IR after the passes."""
    with _lock, _optimised_module(text.text, effort_for(text)) as module:
        return str(module)


def load_objects(files: list[tuple[str, bytes]]) -> tuple[int, Any]:
    """Address of ``entry`` in object code, and what keeps it loaded; files with a name have a
    function ``function``, which others call by that name."""
    if _native.loads_code:
        return _native.load_code(files, "entry")
    ((_, code),) = files
    return _load_by_llvm(code)


def _load_by_llvm(code: bytes) -> tuple[int, Any]:
    global _engine
    with _lock:
        if _engine is None or _engine.is_full:
            _engine = _Engine()
        tracker = _engine.load(code)
        return tracker["entry"], tracker
