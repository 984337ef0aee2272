"""From LLVM IR to machine code, and machine code to a callable address (on llvmlite)."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from typing import TYPE_CHECKING, Any

from covector.core.config import config

if TYPE_CHECKING:
    from covector.backends.cpu.writer import Text

_ids = itertools.count()
# Whoever is inside LLVM holds it; a signal handler may come back to it.
_lock = threading.RLock()


@functools.cache
def _llvm() -> Any:
    import llvmlite.binding as llvm
    from llvmlite.binding.ffi import lib

    # A process is not forked while a thread is inside LLVM, or the child could never enter it.
    # Objects of llvmlite that go take its own lock alone.
    def enter() -> None:
        _lock.acquire()
        lib._lock.__enter__()

    def leave() -> None:
        lib._lock.__exit__(None, None, None)
        _lock.release()

    os.register_at_fork(before=enter, after_in_parent=leave, after_in_child=leave)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def cpu_description() -> str:
    """What generates code, and for which processor; object code runs only on its like."""
    llvm = _llvm()
    version = ".".join(map(str, llvm.llvm_version_info))
    return f"LLVM {version} {llvm.get_host_cpu_name()} {_features()}"


@functools.cache
def _features() -> str:
    llvm = _llvm()
    features = llvm.get_host_cpu_features()
    return features.flatten()


@functools.cache
def _machine(opt: int) -> Any:
    llvm = _llvm()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=opt, reloc="pic",
        codemodel="small", jit=True,
    )  # fmt: skip


@functools.cache
def _jit() -> Any:
    llvm = _llvm()
    return llvm.create_lljit_compiler(_machine(2))


def _optimise(module: Any, opt: int) -> None:
    """The few passes that the emitted code profits from."""
    llvm = _llvm()
    options = llvm.create_pipeline_tuning_options(speed_level=opt)
    builder = llvm.create_pass_builder(_machine(2), options)
    pm = llvm.create_new_function_pass_manager()
    pm.add_sroa_pass()
    if opt:
        pm.add_instruction_combine_pass()
        pm.add_simplify_cfg_pass()
    for fn in module.functions:
        if not fn.is_declaration:
            pm.run(fn, builder)


def _optimised_module(text: Text) -> tuple[Any, Any]:
    """The module after the passes, and the machine to generate its code."""
    llvm = _llvm()
    module = llvm.parse_assembly(text.text, context=llvm.create_context())
    if config.enable_checks:
        module.verify()
    _optimise(module, text.effort)
    return module, _machine(text.effort)


def compile_object(text: Text) -> bytes:
    """Object code of a module."""
    with _lock:
        module, machine = _optimised_module(text)
        return machine.emit_object(module)


def assembly(text: Text) -> str:
    """What `compile_object` produces, to read."""
    with _lock:
        module, machine = _optimised_module(text)
        return machine.emit_assembly(module)


def optimised(text: Text) -> str:
    """The LLVM IR after the passes."""
    with _lock:
        return str(_optimised_module(text)[0])


def load_object(code: bytes) -> tuple[int, Any]:
    """Address of ``entry`` in object code, and what keeps it loaded."""
    llvm = _llvm()
    with _lock:
        name = f"covector{next(_ids)}"
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        tracker = builder.export_symbol("entry").link(_jit(), name)
        return tracker["entry"], tracker
