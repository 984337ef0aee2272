"""Programs of plugins in files: what the plugin serialises, and what it is called with."""

from __future__ import annotations

import os
from typing import Any

from covector.backends.pjrt import errors, functions, nvidia, spread
from covector.backends.pjrt.options import compile_options, with_options
from covector.backends.pjrt.program import Called, PjrtProgram, on_device
from covector.backends.pjrt.topology import AbsentProgram
from covector.core.backend import Packed, Signature, elsewhere
from covector.core.errors import at_user_line
from covector.core.jaxpr import types_alone


def pack(program: Any) -> Packed:
    """The bytes of a program.

    Raises
    ------
    ValueError
        If it calls functions of this process.
    NotImplementedError
        If the plugin serialises no programs.
    """
    called: Called = program.module
    if called.callbacks:
        raise ValueError(
            f"serialize: {called.name} calls a Python function, which has no bytes: call it "
            f"outside of what is compiled{at_user_line()}"
        )
    if isinstance(program, AbsentProgram):
        topology = program.executable.device.topology
        plugin, version, platform = topology.plugin, None, topology.platform
        data, spares = program.executable.data, []
    else:
        backend = program.backend
        plugin, version, platform = backend.plugin, backend.platform_version, backend.platform
        spares = program.spares
        data = program.data if program.data is not None else _serialised(program, platform)
    target = {"version": version, **_build(plugin), "features": _features(platform)}
    head = {
        "devices": program.devices, "donated": called.donated, "targets": called.targets,
        "spares": spares,
    }  # fmt: skip
    return Packed(target, head, data, called.hoisted)


def _serialised(program: PjrtProgram, platform: str) -> bytes:
    try:
        return bytes(program.loaded.serialize())
    except errors.DeviceError as e:
        raise NotImplementedError(
            f"serialize: the plugin of {platform} serialises no programs: {e}; write the function "
            f"to a file with covector.export{at_user_line()}"
        ) from e


def _build(plugin: Any) -> dict[str, Any]:
    """What tells builds of a plugin apart. A topology's version is not that of a client."""
    return {"interface": list(plugin.version), "bytes": os.stat(plugin.path).st_size}


def _features(platform: str) -> str:
    """Those of the processor, where programs run on it."""
    if platform != "xla_cpu":
        return ""
    from covector.backends.cpu import codegen  # loads LLVM

    return codegen.host().features


def unpack(backend: Any, native: Any, packed: Packed, signature: Signature) -> PjrtProgram:
    """The program of these bytes, if the plugin is that it was compiled with."""
    name, head, devices = signature.name, packed.head, signature.devices
    _check_target(backend, packed.target, name)
    called = Called(name, packed.constants, head["donated"], tuple(head["targets"]), [])
    if called.targets:
        if backend.platform == "cuda":
            nvidia.targets()
        functions.register(backend.plugin, backend.platform, called.targets)
    backend.make_room()
    data = packed.code
    ids = [d.id for d in devices]
    try:
        if ids != head["devices"]:
            data = with_options(data, compile_options(ids, backend.flags()))
        loaded = backend.client.deserialize(data)
    except (errors.DeviceError, ValueError) as e:
        raise RuntimeError(
            f"deserialize_and_load: the plugin of {backend.platform} does not load the program "
            f"{name}: {e}: compile it again{at_user_line()}"
        ) from e
    ins, outs, where = signature.ins, signature.outs, signature.placement
    if signature.layout is None:
        assert isinstance(where, int)
        return on_device(
            backend, loaded, data, devices[0], ins, outs, called, where, head["spares"]
        )
    assert not isinstance(where, int)
    made = spread.executable(
        native, loaded, signature.layout, backend, called, types_alone(ins, outs), where
    )
    return PjrtProgram(backend, ids, loaded, data, made, called)


def _check_target(backend: Any, target: dict[str, Any], name: str) -> None:
    have = {"version": backend.platform_version, **_build(backend.plugin)}
    wanted = {k: v for k, v in target.items() if k in have and v is not None}
    have = {k: have[k] for k in wanted}
    if wanted != have:
        what = f"a plugin of {backend.platform}"
        raise elsewhere(name, f"{what} that says {wanted}", f"one that says {have}")
    if target["features"]:
        from covector.backends.cpu.packing import check_features

        check_features(target["features"], name, "another processor")
