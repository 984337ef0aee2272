"""Object code on disk, by what it was compiled from, for which processor, and by which version."""

from __future__ import annotations

import functools
import math
import os
from typing import Any

import covector
from covector import _native
from covector.backends.cpu import codegen
from covector.core import formats, stored


def runtime_functions() -> str:
    """Where code finds the functions of the native core: at these places of its table."""
    return repr(sorted(_native.runtime_slots.items()))


@functools.cache
def _version() -> bytes:
    """Changes whenever the compiler does: a hash of the source files it is made of."""
    info = os.stat(formats.__file__)
    files = [f"formats {info.st_size} {info.st_mtime_ns}"]
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(os.path.dirname(here))
    # The rows of the primitives say what operations cost, by which programs are scheduled.
    roots = [os.path.join(package, name) for name in ("compiler", "numerics", "primitives")]
    for root in (here, *roots):
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith(".py"):
                    info = os.stat(os.path.join(folder, name))
                    files.append(f"{name} {info.st_size} {info.st_mtime_ns}")
    files.append(getattr(covector, "__version__", ""))
    files.append(runtime_functions())
    return stored.digest("\n".join(files).encode())


def _name(key: str) -> bytes:
    return stored.digest(_version() + codegen.cpu_description().encode() + b"\n" + key.encode())


def load(key: str) -> tuple[bytes, Any] | None:
    """Object code and metadata stored for ``key``, if whole and ours."""
    return stored.load(_name(key), key)


def store(key: str, code: bytes, meta: Any, seconds: float = math.inf) -> None:
    """Keep object code, which took so long to make, for later processes."""
    stored.store(_name(key), key, code, meta, seconds)
