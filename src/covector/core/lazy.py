"""Public names that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from covector.core.errors import export


def lazy_names(
    namespace: dict[str, Any], where: Mapping[str, str], modules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a module some of whose names come late.

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of the module.
    where : mapping of str to str
        For each such name, the module that defines it.
    modules : collection of str
        Modules below this one that are names of it too.

    Returns
    -------
    tuple of two functions

    Examples
    --------
    >>> names = {"__name__": "small"}
    >>> find, names_of = lazy_names(names, {"dtype_of": "covector.core.dtypes"})
    >>> names_of()
    ['dtype_of']
    >>> find("shape_of")
    Traceback (most recent call last):
    AttributeError: module 'small' has no attribute 'shape_of'
    """
    own = namespace["__name__"]

    def getattr_(name: str) -> Any:
        if name in where:
            namespace[name] = getattr(importlib.import_module(where[name]), name)
            export(namespace, (name,))
            return namespace[name]
        if name in modules:
            return importlib.import_module(f"{own}.{name}")
        raise AttributeError(f"module {own!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return sorted({*(n for n in namespace if not n.startswith("_")), *where, *modules})

    return getattr_, dir_
