"""The toy's devices, buffers and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from covector import _native
from covector.core import dtypes
from covector.core.avals import Array, ShapedArray
from covector.core.jaxpr import ClosedJaxpr
from covector.runtime.transfers import transfer
from covector_toy import rules  # noqa: F401 - fills the table
from covector_toy.interpreter import check, run, to_value, value_type


class ToyDevice:
    """One of the two devices; ``transfers`` counts what came to it."""

    platform = "toy"
    device_kind = "toy"
    process_index = 0

    def __init__(self, ident: int) -> None:
        self.id = ident
        self.transfers = 0

    def __repr__(self) -> str:
        return f"ToyDevice(id={self.id})"


class ToyBuffer:
    """Memory of a device: only `to_host` gets at it from outside."""

    def __init__(self, device: ToyDevice, value: np.ndarray) -> None:
        self.device = device
        self.value = value

    def to_host(self) -> Any:
        transfer("device_to_host", f"{self.value.dtype}{list(self.value.shape)}")
        return np.ascontiguousarray(self.value).view(np.uint8).reshape(-1)


class ToyProgram:
    def __init__(self, executable: Any) -> None:
        self.executable = executable


class ToyModule:
    """A jaxpr, as it is: the interpreter reads it."""

    platform = "toy"
    dialects = ("jaxpr",)
    default_dialect = "jaxpr"

    def __init__(self, closed: ClosedJaxpr, donated: Sequence[bool], name: str) -> None:
        self.closed = closed
        self.name = name
        check(closed.jaxpr)

    def as_text(self, dialect: str) -> str:
        return str(self.closed)

    def compile(self, device: ToyDevice, placement: int) -> ToyProgram:
        backend = device.backend
        specs = [(dtypes.code_of[a.dtype], a.shape, a.weak_type) for a in self.closed.in_avals]
        consts = [backend.value_on(c, device) for c in self.closed.consts]

        def call(arrays: list[Any]) -> list[Any]:
            args = [backend.value_on(x, device) for x in arrays]
            outs = run(self.closed.jaxpr, consts, args)
            return [
                backend.array(device, v, a, placement)
                for v, a in zip(outs, self.closed.out_avals, strict=True)
            ]

        outs = [(dtypes.code_of[a.dtype], a.shape, a.weak_type) for a in self.closed.out_avals]
        return ToyProgram(_native.HostedExecutable(call, specs, outs, self.name))


class ToyBackend:
    platform = "toy"

    def __init__(self) -> None:
        self._devices = [ToyDevice(0), ToyDevice(1)]
        for d in self._devices:
            d.backend = self

    def devices(self) -> list[ToyDevice]:
        return list(self._devices)

    def value_on(self, x: Any, device: ToyDevice) -> np.ndarray:
        """The elements of ``x`` in the memory of ``device``."""
        handle = x._handle if isinstance(x, Array) else None
        if isinstance(handle, ToyBuffer) and handle.device is device:
            return handle.value
        device.transfers += 1
        return np.array(handle.value if isinstance(handle, ToyBuffer) else to_value(x))

    def array(self, device: ToyDevice, value: Any, aval: ShapedArray, placement: int) -> Any:
        value = np.asarray(value)
        assert value.shape == aval.shape and value.dtype == value_type(aval), (
            value.shape, value.dtype, aval,
        )  # fmt: skip
        return _native.opaque_array(
            ToyBuffer(device, value), dtypes.code_of[aval.dtype], aval.shape, aval.weak_type,
            placement,
        )  # fmt: skip

    def put(self, x: Any, device: ToyDevice, placement: int) -> Any:
        return self.array(device, self.value_on(x, device), x.aval, placement)

    def lower(self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str) -> ToyModule:
        return ToyModule(jaxpr, donated, name)
