"""What a backend offers the transformations: devices, and programs compiled from jaxprs.

Backends register themselves when they are imported; `get_backend` imports the one asked
for, so that a process pays only for what it uses.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from covector.core.config import config
from covector.core.jaxpr import ClosedJaxpr


@runtime_checkable
class Device(Protocol):
    """A place where arrays live and programs run.

    Attributes
    ----------
    platform : str
        For example ``"cpu"``.
    id : int
    process_index : int
    device_kind : str

    Examples
    --------
    >>> import covector as cv
    >>> cv.devices()[0].platform
    'cpu'
    """

    platform: str
    id: int
    process_index: int
    device_kind: str


class Program(Protocol):
    """A compiled program.

    Attributes
    ----------
    executable : _native.Executable
        Called with one array per argument of the jaxpr; returns one array per result.
    """

    executable: Any

    def as_text(self, dialect: str) -> str:
        """The program at one stage of its compilation (``jaxpr``, ``loop``, ``llvm``, ``asm``)."""


class Backend(Protocol):
    """One kind of device."""

    platform: str

    def devices(self) -> list[Device]: ...

    def compile(self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str) -> Program:
        """Compile ``jaxpr``; arguments marked in ``donated`` may be overwritten."""


_MODULES = {"cpu": "covector.backends.cpu"}
_backends: dict[str, Backend] = {}


def register_backend(backend: Backend) -> None:
    _backends[backend.platform] = backend


def get_backend(platform: str | None = None) -> Backend:
    """The backend for ``platform``, or the default one.

    Raises
    ------
    RuntimeError
        If there is no such backend.
    """
    if platform is None:
        platform = (config.platforms or "cpu").split(",")[0]
    found = _backends.get(platform)
    if found is None:
        module = _MODULES.get(platform)
        if module is None:
            raise RuntimeError(
                f"unknown backend {platform!r}; available: {', '.join(sorted(_MODULES))}"
            )
        importlib.import_module(module)
        found = _backends[platform]
    return found
