"""Native functions as plugins know them: registered by name, for XLA's name of the platform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from covector.backends.pjrt import errors
from covector.runtime import foreign

# What XLA calls the platforms that it calls native functions on.
_PLATFORMS = {"xla_cpu": "Host", "cuda": "CUDA", "rocm": "ROCM"}
_STATES = (0, 3)

# Plugins are loaded once for all clients and topologies, so that what they know is kept here.
_registered: dict[tuple[str, str], foreign.Target] = {}


def register(plugin: Any, platform: str, names: Iterable[str]) -> None:
    """Make native functions, and what runs Python's, known to a plugin."""
    where = _PLATFORMS[platform]
    version = plugin.start_ffi(where)
    for name in sorted(names):
        target = foreign.find_target(name, platform)
        if _registered.get((plugin.path, name)) is target:
            continue
        if target.oldest > version:
            raise RuntimeError(
                f"the native function {name!r} was built for version "
                f"{foreign.dotted(target.oldest)} of XLA's FFI interface, the plugin of "
                f"{platform} has {foreign.dotted(version)}: build it with covector/ffi.h, "
                "which fits every version, or with the header of a jaxlib of the plugin's age"
            )
        try:
            plugin.register_handlers(name, where, target.handlers, target.traits)
        except errors.DeviceError as e:
            raise RuntimeError(
                f"the plugin of {platform} refuses the native function {name!r}: {e}"
            ) from None
        _registered[plugin.path, name] = target


def register_type(plugin: Any, platform: str, name: str, number: int, info: int) -> None:
    """Make a type of the states of native functions known to a plugin."""
    version = plugin.start_ffi(_PLATFORMS[platform])
    if version < _STATES:
        raise foreign.native().Failure(
            f"the plugin of {platform} has version {foreign.dotted(version)} of XLA's FFI "
            f"interface; states of user types are to be had from {foreign.dotted(_STATES)} on"
        )
    try:
        plugin.register_type(name, number, info)
    except errors.DeviceError as e:
        raise foreign.native().Failure(str(e)) from None
