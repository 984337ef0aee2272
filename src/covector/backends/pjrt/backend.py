"""Devices of PJRT plugins as a backend: arrays on them, and programs compiled by the plugin."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from covector import _native
from covector.backends.pjrt import errors, functions, mappings, plugins, settings
from covector.backends.pjrt.lower import Text, lower_text, rule_of
from covector.backends.pjrt.options import compile_options
from covector.backends.pjrt.program import Called, PjrtProgram, on_device
from covector.backends.pjrt.topology import AbsentDevice, AbsentProgram, Topology
from covector.core import dtypes, processes, stored
from covector.core.avals import Array
from covector.core.backend import (
    GPU,
    CompilerOptions,
    Counted,
    Layout,
    Packed,
    Signature,
    reduce_device,
)
from covector.core.config import config, listeners
from covector.core.device import Device
from covector.core.errors import at_user_line, warn
from covector.core.jaxpr import ClosedJaxpr, Jaxpr, nesting
from covector.core.levels import room_for
from covector.core.monitoring import CACHE_HIT, CACHE_MISS, EVENTS, tell
from covector.core.native_parts import native_part

# Numbers of the plugins' element types (PJRT_Buffer_Type).
_ELEMENTS = {
    "bool": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "uint8": 6, "uint16": 7,
    "uint32": 8, "uint64": 9, "float16": 10, "float32": 11, "float64": 12, "bfloat16": 13,
    "complex64": 14, "complex128": 15, "float8_e5m2": 16, "float8_e4m3fn": 17,
    "float8_e4m3b11fnuz": 18, "float8_e5m2fnuz": 19, "float8_e4m3fnuz": 20, "int4": 21,
    "uint4": 22, "int2": 24, "uint2": 25, "float8_e4m3": 26, "float8_e3m4": 27,
    "float8_e8m0fnu": 28, "float4_e2m1fn": 29,
}  # fmt: skip

_lock = threading.Lock()
_ready = False

# XLA's memory for results of the host comes fresh from the system: from this size on, programs are
# given that of dead ones.
_LARGE = 1 << 20


def native() -> Any:
    """The native module of plugins, which is made when it is first asked for."""
    global _ready
    if not _ready:
        with _lock:
            if not _ready:
                pjrt = native_part("pjrt")
                types = {dtypes.code_of[dtypes.key_dtype]: _ELEMENTS["uint64"]}
                for dtype, code in dtypes.code_of.items():
                    if str(dtype) in _ELEMENTS:
                        types[code] = _ELEMENTS[str(dtype)]
                pjrt.set_types(types)
                pjrt.set_error_maker(errors.made)
                _ready = True
    return _native.pjrt


@functools.cache
def _processor() -> str:
    """The processor of the host, for which parts of programs are compiled."""
    from covector.backends.cpu import codegen  # loads LLVM

    return str(codegen.cpu_description())


class PjrtDevice(Device):
    """A device of a plugin.

    Attributes
    ----------
    platform, device_kind : str
        For example ``"gpu"`` and ``"NVIDIA H100 80GB HBM3"``. GPUs of all makers are of one
        platform, as far as programs are concerned; that of `client` says whose they are.
    id, process_index, local_hardware_id : int
    """

    def __init__(self, backend: PjrtBackend, position: int, description: dict[str, Any]) -> None:
        self._backend = backend
        self._position = position
        self._description = description
        self.platform = "gpu" if backend.platform in GPU else backend.platform
        self.id: int = description["id"]
        self.addressable: bool = description["addressable"]
        self.local_hardware_id: int = description["local_hardware_id"]
        self.device_kind: str = description["kind"]

    @property
    def process_index(self) -> int:  # type: ignore[override]
        # A client that knows nothing of others says 0 in every process.
        return self._description["process_index"] if self._backend.has_peers else processes.index

    @property
    def host_id(self) -> int:
        return self.process_index

    @property
    def client(self) -> PjrtBackend:
        return self._backend

    def memory_stats(self) -> dict[str, int] | None:
        self.check_addressable("memory_stats")
        return self._backend.client.memory_stats(self._position) or None

    def check_addressable(self, what: str) -> None:
        """Raise the error for a device of another process."""
        if not self.addressable:
            raise ValueError(
                f"{what}: {self!r} is a device of process {self.process_index}, and this is "
                f"process {processes.index}, which cannot address it: take one of "
                f"covector.local_devices({self.platform!r}), or a sharding over the devices of "
                f"all processes{at_user_line()}"
            )

    def _memories(self) -> list[tuple[int, str]]:
        self.check_addressable("the memories of a device")
        found = list(self._description["memories"])
        standard = max(self._description["default_memory"], 0)
        return [*found[standard : standard + 1], *found[:standard], *found[standard + 1 :]]

    def place_of(self, memory_kind: str | None) -> int:
        """The number of a memory in the plugin's list; -1 stands for the default one."""
        if memory_kind is None:
            return -1
        return [kind for _, kind in self._description["memories"]].index(memory_kind)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__.get("_description", {}).get("attributes", {})
        if name in attributes:
            return attributes[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __reduce__(self) -> Any:
        return reduce_device(self)

    def __repr__(self) -> str:
        names = {"cuda": "CudaDevice", "rocm": "RocmDevice", "tpu": "TpuDevice"}
        platform = self._backend.platform
        kind = names.get(platform, f"{platform.title().replace('_', '')}Device")
        return f"{kind}(id={self.id})"


class PjrtModule:
    """A jaxpr lowered to StableHLO."""

    dialects = ("jaxpr", "stablehlo", "portable stablehlo")
    default_dialect = "stablehlo"
    has_options = True

    def __init__(
        self, backend: PjrtBackend, closed: ClosedJaxpr, donated: Sequence[bool], name: str,
        layout: Layout | None = None,
    ) -> None:  # fmt: skip
        self.layout = layout
        self.platform = backend.platform
        self.backend = backend
        self.jaxpr = closed
        self.name = name
        self._aliases = _aliases(closed, donated, layout)
        self.text = self._lowered()

    def _lowered(self, portable: bool = False) -> Text:
        return lower_text(
            self.jaxpr, self._aliases, self.name, self.platform, self.layout, portable=portable
        )

    def as_text(self, dialect: str) -> str:
        """The program in one of the `dialects`, and as ``stablehlo with places``.

        What is ``portable`` needs nothing that is installed here, as NVIDIA's functions are.
        """
        match dialect:
            case "portable stablehlo":
                return self._lowered(portable=True).plain
            case "jaxpr":
                return str(self.jaxpr)
            case "stablehlo with places":
                return self.text.with_places
        return self.text.plain

    @property
    def called(self) -> Called:
        """What the program takes beside the arguments."""
        t = self.text
        return Called(self.name, t.hoisted, list(t.donated), tuple(sorted(t.targets)), t.callbacks)

    def compile(
        self,
        device: PjrtDevice | AbsentDevice,
        placement: int | Sequence[int],
        options: CompilerOptions = (),
    ) -> PjrtProgram | AbsentProgram:
        """The program compiled by the plugin, and loaded on ``device`` if that is there."""
        if self.layout is not None:
            return self._compile_spread(self.layout, placement, options)
        assert isinstance(placement, int)
        if isinstance(device, AbsentDevice):
            return AbsentProgram([device], self.text, self.called, options)
        spares = self.text.large(_LARGE) if self.platform == "xla_cpu" else []
        found = self._load([device.id], spares, options)
        types = self.jaxpr.in_avals, self.jaxpr.out_avals
        return on_device(self.backend, *found, device, *types, self.called, placement, spares)

    def _load(
        self, devices: list[int], spares: list[int], options: CompilerOptions
    ) -> tuple[Any, bytes | None]:
        try:
            return self.backend.load(self.text, devices, spares, options)
        except errors.DeviceError as e:
            if not self.backend.client.usable:
                raise  # the compiler was not asked
            text = self.text.with_places
            raise errors.not_compiled(e, self.name, self.platform, text, self.jaxpr) from None

    def _compile_spread(self, layout: Layout, results: Any, options: CompilerOptions) -> Any:
        """The program on several devices, partitioned by the plugin."""
        from covector.backends.pjrt import spread  # few processes need it

        if self.text.callbacks:
            raise NotImplementedError(
                f"{self.name} calls Python (pure_callback, io_callback, debug.print) on several "
                f"devices of the platform {self.platform}, which is not supported: call it on the "
                f"CPU's devices, or outside of the program{at_user_line()}"
            )
        if isinstance(layout.devices[0], AbsentDevice):
            return AbsentProgram(layout.devices, self.text, self.called, options)
        if not any(d.addressable for d in layout.devices):
            raise ValueError(
                f"{self.name} runs on {layout.mesh!r}, none of whose devices is of this process, "
                f"{processes.index}: only processes with a part of its mesh call a program"
                f"{at_user_line()}"
            )
        ids = [d.id for d in layout.devices]
        loaded, data = self._load(ids, [], options)
        made = spread.executable(
            native(), loaded, layout, self.backend, self.called, self.jaxpr, results
        )
        return PjrtProgram(self.backend, ids, loaded, data, made, self.called)


def _aliases(
    closed: ClosedJaxpr, donated: Sequence[bool], layout: Layout | None = None
) -> dict[int, int]:
    """The result that takes over each donated argument: the first of its type that is free."""
    free = list(enumerate(closed.out_avals))
    out: dict[int, int] = {}
    for i, (aval, given) in enumerate(zip(closed.in_avals, donated, strict=True)):
        for position, (k, result) in enumerate(free if given else ()):
            same = layout is None or layout.operands[i].is_equivalent_to(
                layout.results[k], aval.ndim
            )
            if aval.shape == result.shape and aval.dtype == result.dtype and same:
                out[i] = k
                del free[position]
                break
    return out


class PjrtBackend(Counted):
    """The devices of one plugin; its client starts when they are first asked for.

    Attributes
    ----------
    platform : str
        That of the plugin: ``"cuda"``, where that of its devices is ``"gpu"``.
    """

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self._client: Any = None
        self._plugin: Any = None
        self._flags: dict[str, Any] = {}
        self._options: dict[str, Any] = {}
        self._devices: list[PjrtDevice] = []
        self.has_peers = False
        self._start = threading.Lock()
        # Programs loaded so far.
        self._loads = 0

    @property
    def client(self) -> Any:
        """The native client."""
        if self._client is None:
            with self._start:
                if self._client is None:
                    self._client = self._made()
        return self._client

    def _made(self) -> Any:
        found = plugins.find(self.platform)
        options = settings.client_options(self.platform)
        try:
            client = native().create_client(self.plugin, options, self._store())
        except (RuntimeError, MemoryError) as e:
            raise errors.not_started(found, e) from None
        client.call(self.platform)
        self._options = options
        for name in settings.options_of(self.platform):
            listeners.setdefault(name, []).append(self._tell_late)
        atexit.register(client.close)
        self._flags = settings.compile_flags(self.platform, found.path)
        self._devices = [PjrtDevice(self, k, d) for k, d in enumerate(client.devices())]
        self.has_peers = settings.has_peers(self.platform) or not all(
            d.addressable for d in self._devices
        )
        if not any(d.addressable for d in self._devices):
            raise errors.not_started(found, RuntimeError("it has no devices"))
        return client

    def check_not_started(self) -> None:
        """Raise the error where this process is to join others, and the client is one alone."""
        if self._client is not None and self.platform not in settings.WITHOUT_PEERS:
            raise RuntimeError(
                f"initialize comes too late for {self.platform}, whose client has started and "
                "does not know these processes: call it before the first use of its devices, and "
                f"once in a process{at_user_line()}"
            )

    def _store(self) -> tuple[str, int, str, str] | None:
        """The service by which the clients of several processes find each other."""
        if not settings.has_peers(self.platform):
            return None
        from covector.distributed.bootstrap import current_job  # few processes need it

        store = current_job().store
        assert store is not None
        return (*store.address, store.token, f"pjrt/{self.platform}/")

    def _tell_late(self, name: str) -> None:
        """Warn of an option that the client, which runs, was made without."""
        if settings.client_options(self.platform) != self._options:
            have = ", ".join(f"{k}={v!r}" for k, v in self._options.items()) or "none"
            warn(
                f"the option {name} comes too late for {self.platform}, whose client has started "
                f"and keeps the options it was made with ({have}): set it before the first use of "
                f"its devices, or in the environment, COVECTOR_{name.upper()}"
            )

    def make_room(self) -> None:
        """See to it that another program can be loaded."""
        if self.platform == "xla_cpu":
            self._loads += 1
            if self._loads % mappings.EVERY == 0:
                mappings.keep_free()

    def load(
        self, text: Text, devices: list[int], spares: list[int], given: CompilerOptions
    ) -> tuple[Any, bytes | None]:
        """The program of a module, loaded on devices: from the cache on disk, with the bytes that
        were there, or compiled now, with the options that were given for it."""
        client, options = self.client, compile_options(devices, {**self.flags(), **dict(given)})
        self.make_room()
        if text.targets or text.callbacks:
            functions.register(self.plugin, self.platform, text.targets)
        # Where operations stand in the user's files changes nothing.
        key = f"{self._version}\n{options.hex()}\n{spares}\n{text.plain}"
        name = stored.digest(key.encode())
        # Processes may compile a program together: all of them do, or none.
        alone = all([d.addressable for d in self._devices if d.id in devices])
        found = stored.load(name, key) if alone else None
        if found is not None:
            with contextlib.suppress(errors.DeviceError):
                loaded = client.deserialize(found[0])
                if EVENTS:
                    tell(EVENTS, CACHE_HIT)
                return loaded, found[0]
        if EVENTS:
            tell(EVENTS, CACHE_MISS)
        start = time.perf_counter()
        try:
            loaded = client.compile(text.with_spares(spares).encode(), options)
        except RuntimeError as e:
            raise errors.thrown(e) from None
        seconds = time.perf_counter() - start
        if alone and config.enable_compilation_cache:
            with contextlib.suppress(errors.DeviceError):  # not all plugins can
                stored.store(name, key, loaded.serialize(), None, seconds)
        return loaded, None

    def pack(self, program: Any, lower: Callable[[], Any]) -> Packed:
        """The bytes of a program."""
        from covector.backends.pjrt import packing  # few processes need it

        return packing.pack(program)

    def unpack(self, packed: Packed, signature: Signature) -> PjrtProgram:
        """The program of these bytes."""
        from covector.backends.pjrt import packing

        return packing.unpack(self, native(), packed, signature)

    @property
    def platform_version(self) -> str:
        """The version of the plugin's compiler, as it says."""
        return str(self.client.platform_version)

    # --- native functions ---

    @property
    def plugin(self) -> Any:
        """The native plugin, which needs no device."""
        if self._plugin is None:
            settings.prepare_environment(self.platform)
            self._plugin = native().load(plugins.find(self.platform).path)
        return self._plugin

    def register_ffi_type(self, name: str, number: int, info: int) -> None:
        """Make a type of the states of native functions known to the plugin."""
        functions.register_type(self.plugin, self.platform, name, number, info)

    @property
    def _version(self) -> str:
        """What compiled programs depend on beside their text: the plugin and the device."""
        client, kinds = self.client, sorted({d.device_kind for d in self._devices})
        info = os.stat(self._plugin.path)
        return (
            f"{client.platform_name} {client.platform_version} {self._plugin.version} {kinds} "
            f"{info.st_size} {info.st_mtime_ns} {_processor()}"
        )

    def flags(self) -> dict[str, Any]:
        """XLA's flags for the programs of this platform."""
        return self._flags

    def started(self) -> list[PjrtDevice]:
        """The devices of this process, if they were asked for before."""
        return [d for d in self._devices if d.addressable]

    def devices(self) -> list[PjrtDevice]:
        self.client  # noqa: B018 - starts it
        return self.started()

    def all_devices(self) -> list[PjrtDevice]:
        """The devices of all processes."""
        self.client  # noqa: B018 - starts it
        return list(self._devices)

    def topology(self, name: str, options: dict[str, Any]) -> list[AbsentDevice]:
        """Devices that need not be there, as the plugin describes them."""
        return Topology(self.platform, name, options, native()).devices

    def put(
        self, x: Array, device: PjrtDevice, placement: int, memory_kind: str | None = None
    ) -> Array:
        if isinstance(device, AbsentDevice):
            raise RuntimeError(
                f"{x.aval.str_short()} cannot be put on {device!r}: it is not a device of this "
                f"process{at_user_line()}"
            )
        device.check_addressable("device_put")
        return self.client.put(x, device._position, device.place_of(memory_kind), placement)

    def put_spread(self, x: Array, sharding: Any, placement: int) -> Array:
        from covector.backends.pjrt import spread

        shards = spread.spread_over(self, x, sharding)
        return spread.wrapped(shards, x._code, x.weak_type, placement)

    def of_block(
        self, local: Array, sharding: Any, shape: tuple[int, ...], placement: int,
        agree: str | None,
    ) -> Array:  # fmt: skip
        """The array over several processes of which this one has ``local``; that all find the same
        shape is checked if ``agree`` says for whom."""
        from covector.backends.pjrt import spread
        from covector.distributed.bootstrap import check_shapes

        if agree is not None:
            check_shapes(sharding, shape, agree)
        shards = spread.of_block(self, local, sharding, shape)
        return spread.wrapped(shards, local._code, local.weak_type, placement)

    def lower_spread(
        self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout
    ) -> PjrtModule:
        return self._lowered(jaxpr, donated, name, layout)

    def check_rules(self, jaxpr: Jaxpr) -> None:
        """Raise the error for an operation of a jaxpr that this platform does not run."""
        from covector.backends.pjrt import rules  # noqa: F401 - fills the table

        for eqn in jaxpr.eqns:
            rule_of(eqn, self.platform)

    def lower(self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str) -> PjrtModule:
        return self._lowered(jaxpr, donated, name, None)

    def _lowered(
        self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout | None
    ) -> PjrtModule:
        from covector.backends.pjrt import rules  # noqa: F401 - fills the table

        with room_for(nesting(jaxpr.jaxpr)):
            return PjrtModule(self, jaxpr, donated, name, layout)
