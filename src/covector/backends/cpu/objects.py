"""Object code of programs, in parts: those that were compiled before are found again, in memory or
on disk, the others are compiled on all processors at once.

The code of a program is one file, or several behind a table of their names and lengths.
"""

from __future__ import annotations

import marshal
import time
from typing import TYPE_CHECKING, Any

from covector import _native
from covector.backends.cpu import cache, codegen
from covector.transforms.cache import Latest

if TYPE_CHECKING:
    from covector.backends.cpu.texts import Part, Text

_MAGIC = b"PARTS"
# Parts from which a program leaves its parts on disk: of smaller ones, what changes is the program.
_KEPT = 3
_latest = Latest(256)
statistics = {"parts compiled": 0, "parts found": 0}


def compile_program(text: Text) -> bytes:
    """Object code of a program."""
    parts = text.parts() if _native.loads_code else [text.whole]
    effort = codegen.effort_for(text)
    made = [_known(p, effort) for p in parts]
    missing = [k for k, code in enumerate(made) if code is None]
    start = time.perf_counter()
    compiled = codegen.compile_objects([parts[k].text for k in missing], effort)
    seconds = time.perf_counter() - start
    statistics["parts compiled"] += len(missing)
    statistics["parts found"] += len(parts) - len(missing)
    for k, code in zip(missing, compiled, strict=True):
        made[k] = code
        if parts[k].name:
            key = _key(parts[k], effort)
            _latest.add(key, code)
            if len(parts) >= _KEPT:
                cache.store(key, code, None, seconds)
    if len(parts) == 1:
        (code,) = compiled
        return code
    files = [(p.name, code) for p, code in zip(parts, made, strict=True)]
    return _MAGIC + marshal.dumps(files)


def _key(part: Part, effort: int) -> str:
    """What the code of a function depends on, with the processor and the version."""
    return f"{codegen.asked_for()}function O{effort} {codegen.processor()}\n{part.text}"


def _known(part: Part, effort: int) -> bytes | None:
    """The code of a part that was compiled before."""
    if not part.name:
        return None
    key = _key(part, effort)
    code: bytes | None = _latest.get(key)
    if code is None:
        found = cache.load(key)
        if found is None:
            return None
        code = found[0]
    _latest.add(key, code)
    return code


def load(code: bytes) -> tuple[int, Any]:
    """Address of the entry of a program, and what keeps it loaded.

    Raises
    ------
    ValueError
        If it is not what `compile_program` gives.
    """
    if not code.startswith(_MAGIC):
        return codegen.load_objects([("", code)])
    try:
        files = marshal.loads(code[len(_MAGIC) :])
    except (EOFError, ValueError, TypeError) as e:
        raise ValueError(f"object code that cannot be loaded: {e}") from None
    return codegen.load_objects(files)
