"""Programs that a plugin has compiled and loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from covector.backends.pjrt import errors
from covector.core.avals import Array, ShapedArray, spec_of_type
from covector.core.record import Record


class Called(Record):
    """What a program is called with, beside the arguments.

    Attributes
    ----------
    name : str
    hoisted : list of Array
        Constants, which follow the arguments.
    donated : list of int
        Arguments whose memory results take over.
    targets : tuple of str
        Native functions that it calls.
    callbacks : list
        What keeps the Python functions alive that it calls.
    """

    name: str
    hoisted: list[Array]
    donated: list[int]
    targets: tuple[str, ...]
    callbacks: list[Any]

    @property
    def in_messages(self) -> str:
        """The program in messages: the plugin names no native function that reports an error."""
        what = "functions" if len(self.targets) > 1 else "function"
        calls = f" (it calls the native {what} {', '.join(self.targets)})"
        return self.name + calls * bool(self.targets)


class PjrtProgram:
    """A program loaded on devices.

    Attributes
    ----------
    backend : PjrtBackend
    devices : list of int
        Their identifiers.
    loaded : native Loaded
    executable : native Executable
    data : bytes or None
        What it was read from; of a program that was compiled here, the plugin gives the bytes.
    module : Called
        What its code takes beside the arguments.
    spares : list of int
        Results that it is given memory for.
    """

    def __init__(
        self, backend: Any, devices: Sequence[int], loaded: Any, data: bytes | None,
        executable: Any, module: Called, spares: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self.backend = backend
        self.devices = list(devices)
        self.loaded = loaded
        self.data = data
        self.executable = executable
        self.module = module
        self.spares = list(spares)

    @property
    def code_bytes(self) -> int:
        """The size of the machine code, as far as the plugin says it."""
        with contextlib.suppress(errors.DeviceError):
            return int(self.loaded.memory_stats()["generated_code_size_in_bytes"])
        return 0


def on_device(
    backend: Any, loaded: Any, data: bytes | None, device: Any, ins: Sequence[ShapedArray],
    outs: Sequence[ShapedArray], called: Called, placement: int, spares: Sequence[int],
) -> PjrtProgram:  # fmt: skip
    """What calls a program that is loaded on one device."""
    executable = loaded.executable(
        device._position, [spec_of_type(a) for a in ins], [spec_of_type(a) for a in outs],
        called.hoisted, called.name, called.in_messages, placement, spares, called.callbacks,
    )  # fmt: skip
    return PjrtProgram(backend, [device.id], loaded, data, executable, called, spares)
