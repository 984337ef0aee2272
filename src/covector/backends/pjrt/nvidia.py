"""NVIDIA's libraries of linear algebra, by the handlers that the package ``jax-cuda*-plugin`` has.

Its modules only hand out handlers of XLA's FFI interface; they are found beside the plugin, and
nothing of JAX is imported.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import Any

from covector.backends.pjrt import plugins
from covector.core.errors import warn
from covector.runtime import foreign

_MODULES = ("_solver", "_linalg", "_sparse")
# Of CUDA, newest first, where the plugin's place does not say which it is for.
_VERSIONS = ("15", "14", "13", "12")


@functools.cache
def cuda_version() -> int:
    """The version of CUDA that the handlers are for, 0 where there are none."""
    try:
        path = plugins.find("cuda").path
    except RuntimeError:
        return 0
    known = re.search(r"xla_cuda(\d+)", path)
    for version in (known[1],) if known else _VERSIONS:
        if plugins.folders_of(_package(version)):
            return int(version)
    return 0


def _package(version: Any) -> str:
    return f"jax_cuda{version}_plugin"


@functools.cache
def targets() -> frozenset[str]:
    """The names of the handlers, which programs can call from now on."""
    version = cuda_version()
    if not version:
        return frozenset()
    try:
        found = {}
        for module in _MODULES:
            found.update(importlib.import_module(f"{_package(version)}.{module}").registrations())
        made = [_target(name, capsule) for name, capsule in found.items()]
    except (ImportError, OSError, ValueError) as e:
        warn(
            f"jax-cuda{version}-plugin is installed, but its functions cannot be used: {e}. Linear "
            "algebra on the GPU runs as programs of ours, which are slower; install the package in "
            "the version of the plugin"
        )
        return frozenset()
    for target in made:
        foreign.add_target("cuda", target)
    return frozenset(found)


def _target(name: str, capsule: Any) -> foreign.Target:
    return foreign.Target(name, (0, 0, 0, foreign.address_of(capsule)), 0, capsule)
