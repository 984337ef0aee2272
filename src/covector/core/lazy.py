"""Public names that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from covector import _native
from covector.core.errors import export, unwrapped


def _missing(module: str, name: str, known: list[str]) -> str:
    text = f"module {module!r} has no attribute {name!r}"
    if name.startswith("_"):
        return text  # Python itself asks for these
    if hasattr(builtins, name):
        return f"{text}: it is Python's own {name!r}; a dtype has its size in its name"
    import difflib

    close = difflib.get_close_matches(name, known, 1, 0.8)
    if close:
        return f"{text}; it has {close[0]!r}"
    return (
        f"{text}; docs/differences.md in Covector's source tree lists what other libraries have "
        "and Covector does not"
    )


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
    AttributeError: module 'small' has no attribute 'shape_of'; docs/differences.md in \
Covector's source tree lists what other libraries have and Covector does not
    """
    own = namespace["__name__"]

    def getattr_(name: str) -> Any:
        if name in where:
            value = getattr(importlib.import_module(where[name]), name)
            # A function with two names stays one object.
            for other, module in where.items():
                if module == where[name] and unwrapped(namespace.get(other)) is value:
                    return namespace.setdefault(name, namespace[other])
            found = {"__name__": own, name: value}
            export(found, (name,))
            # The first of several threads gives all of them its object.
            return namespace.setdefault(name, found[name])
        if name in modules:
            return importlib.import_module(f"{own}.{name}")
        raise AttributeError(_missing(own, name, dir_()), name=name)

    def dir_() -> list[str]:
        public = namespace.get("__all__") or (n for n in namespace if not n.startswith("_"))
        return sorted({*public, *where, *modules})

    return _native.Boundary(getattr_), dir_
