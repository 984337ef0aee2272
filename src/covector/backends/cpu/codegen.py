"""From LLVM IR to machine code, and machine code to a callable address (on llvmlite)."""

from __future__ import annotations

import functools
import itertools
import re
import threading
from typing import Any

from covector.core.config import config

# Instructions of a basic block in code that is compiled in a hurry.
BLOCK_LENGTH = 200
_SOURCE = re.compile(r"%([\w.]+) \]")
_ids = itertools.count()
_lock = threading.Lock()


@functools.cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

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


def optimisation_level(text: str) -> int:
    """How hard LLVM is to try: it needs more than linear time for long straight-line code."""
    longest = run = 0
    for line in text.split("\n"):
        if line.startswith("  "):
            run += 1
        else:
            longest, run = max(longest, run), 0
    return 0 if longest > 3000 else 1 if longest > 1200 else 2


def _cut(text: str) -> str:
    """The same code in basic blocks of bounded length.

    Where LLVM's fast instruction selection meets something it does not know, it hands the rest
    of the block to the general one, which takes quadratic time.
    """
    out: list[str] = []
    last: dict[str, str] = {}  # block to the last piece of it
    begin = length = pieces = 0
    label = ""
    for line in text.split("\n"):
        if line.startswith("define"):
            begin, label = len(out), ""
        elif line.endswith(":") and not line.startswith(" "):
            label, length = line[:-1], 0
        elif line.startswith("  ") and label:
            length += 1
            if length > BLOCK_LENGTH and " phi " not in line:
                pieces += 1
                last[label] = name = f"piece{pieces}"
                out += [f"  br label %{name}", f"{name}:"]
                length = 0
        out.append(line)
        if line == "}" and last:
            for k in range(begin, len(out)):
                if " phi " in out[k]:
                    out[k] = _SOURCE.sub(functools.partial(_moved, last), out[k])
            last = {}
    return "\n".join(out)


def _moved(last: dict[str, str], source: re.Match[str]) -> str:
    """The block from which a phi takes a value, after cutting."""
    return f"%{last.get(source[1], source[1])} ]"


def _optimised_module(text: str) -> tuple[Any, Any]:
    """The module after the passes, and the machine to generate its code."""
    llvm = _llvm()
    level = optimisation_level(text)
    if level == 0:
        text = _cut(text)
    module = llvm.parse_assembly(text, context=llvm.create_context())
    if config.enable_checks:
        module.verify()
    _optimise(module, level)
    return module, _machine(level)


def compile_object(text: str) -> bytes:
    """Object code of a module."""
    with _lock:
        module, machine = _optimised_module(text)
        return machine.emit_object(module)


def assembly(text: str) -> str:
    """What `compile_object` produces, to read."""
    with _lock:
        module, machine = _optimised_module(text)
        return machine.emit_assembly(module)


def optimised(text: str) -> str:
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
