"""Covector's operations by name, as files of programs refer to them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from typing import Any

from covector.core.trace import Composed, Primitive

# The packages whose modules define operations.
_PACKAGES = ("core", "primitives", "transforms", "control_flow", "lax", "random", "runtime")


def _found() -> dict[str, Primitive]:
    """The operations of all modules that are imported."""
    out = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("covector."):
            for x in list(vars(module).values()):
                if isinstance(x, Primitive) and not isinstance(x, Composed):
                    out[x.name] = x
    return out


@functools.cache
def _all() -> dict[str, Primitive]:
    """The operations of the library: what is not imported yet is."""
    for package in _PACKAGES:
        path = importlib.import_module(f"covector.{package}").__path__
        for module in pkgutil.walk_packages(path, f"covector.{package}."):
            importlib.import_module(module.name)
    return _found()


_known: dict[str, Primitive] = {}


def by_name(name: str) -> Primitive | None:
    """The operation of a name, or None."""
    if name not in _known:
        _known.update(_found())
    if name not in _known:
        _known.update(_all())
    return _known.get(name)


def is_ours(prim: Any) -> bool:
    """Whether an operation is one of the library, rather than of a user."""
    return by_name(prim.name) is prim
