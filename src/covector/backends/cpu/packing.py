"""Programs of the CPU in files: object code, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from covector.backends import cpu
from covector.backends.cpu import cache, codegen, fortran, objects
from covector.backends.cpu.module import Binding, Code, CpuModule, CpuProgram
from covector.compiler.ir.show import key
from covector.core import dtypes, stored
from covector.core.backend import Packed, Signature, elsewhere
from covector.core.errors import at_user_line


def pack(program: Any, lower: Callable[[], Any]) -> Packed:
    """The bytes of a program.

    Raises
    ------
    ValueError
        If it calls functions of this process.
    NotImplementedError
        If it is of several processes.
    """
    if type(program) is not CpuProgram:
        raise NotImplementedError(
            "serialize: a program of several processes has no bytes: each compiles its part of it; "
            f"write the function to a file with covector.export{at_user_line()}"
        )
    b = program.binding
    if b.callbacks:
        raise ValueError(
            f"serialize: {b.name} calls a Python function or a native one that was registered in "
            "this process, which have no bytes: call it outside of what is compiled"
            f"{at_user_line()}"
        )
    obj, (temps, donations) = _object_code(program.code, b.name, lower)
    head = {
        "sizes": b.sizes, "kinds": b.kinds, "calls": b.calls, "temps": temps,
        "donations": donations,
    }  # fmt: skip
    return Packed(_target(program.code.processor), head, obj, b.consts)


def _object_code(code: Code, name: str, lower: Callable[[], CpuModule]) -> tuple[bytes, Any]:
    """Object code with what is known of it, which is not kept in memory."""
    if code.kept:
        return code.kept, (code.temps, code.donations)
    found = cache.load(code.key)
    if found is not None:
        return found
    program = lower().program
    if codegen.asked_for() + key(program) != code.key:
        raise RuntimeError(
            f"serialize: options have changed since {name} was compiled, and its machine code is "
            f"not in the cache on disk: compile it again{at_user_line()}"
        )
    module, meta = cpu.generate.llvm_text(program)
    return objects.compile_program(module), meta


def unpack(packed: Packed, signature: Signature) -> CpuProgram:
    """The program of these bytes, if this processor runs it."""
    _check_target(packed.target, signature.name)
    head = packed.head
    fortran.load_for(head["calls"])
    processor = codegen.Processor(packed.target["processor"], packed.target["features"])
    meta = _tuples(head["temps"]), _tuples(head["donations"])
    code = Code("", packed.code, meta, processor)
    binding = Binding(
        tuple(head["sizes"]), packed.constants,
        [(dtypes.code_of[a.dtype], a.shape) for a in signature.ins],
        [(dtypes.code_of[a.dtype], a.shape, a.weak_type) for a in signature.outs],
        head["kinds"], tuple(head["calls"]), [], signature.name,
    )  # fmt: skip
    return CpuProgram(code, binding, signature.placement)


def _tuples(x: Any) -> Any:
    return tuple(map(_tuples, x)) if isinstance(x, list) else x


# --- what code runs on ------------------------------------------------------------------------


def _target(processor: codegen.Processor) -> dict[str, Any]:
    return {
        "system": codegen.system(), "processor": processor.name, "features": processor.features,
        "runtime": _runtime(),
    }  # fmt: skip


def _runtime() -> str:
    return stored.digest(cache.runtime_functions().encode()).hex()


def _check_target(target: dict[str, Any], name: str) -> None:
    system = codegen.system()
    if target["system"] != system:
        raise elsewhere(name, f"the system {target['system']}", system)
    if target["runtime"] != _runtime():
        raise elsewhere(name, "another build of Covector", "one with other functions")
    check_features(target["features"], name, f"the processor {target['processor']}")


def check_features(features: str, name: str, made_for: str) -> None:
    """Raise the error for code of features that this processor does not have."""
    host = codegen.host()
    lacking = [f[1:] for f in features.split(",") if f[:1] == "+" and not host.has(f[1:])]
    if lacking:
        raise elsewhere(name, made_for, f"{host.name}, which has no {', '.join(lacking)}")
