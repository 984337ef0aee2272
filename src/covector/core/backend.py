"""What a backend offers: devices, transfers, and programs lowered from jaxprs and compiled.

The CPU's backend is built in, and that of devices with a PJRT plugin. Others are found by entry
points of the group ``covector.backends``, whose name is the platform and whose object is a
`Backend` or a function that makes one. They are read only when a platform that is not built in is
asked for.
"""

from __future__ import annotations

import copyreg
import importlib
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from covector.core import collector, presence
from covector.core import config as options
from covector.core.avals import Array, ShapedArray
from covector.core.config import config
from covector.core.device import Device
from covector.core.errors import at_user_line
from covector.core.jaxpr import ClosedJaxpr
from covector.core.record import Record
from covector.core.trace import Primitive

F = TypeVar("F", bound=Callable[..., Any])
GROUP = "covector.backends"


class Program(Protocol):
    """A compiled program.

    Attributes
    ----------
    executable : _native.Executable
        Called with one array per argument of the jaxpr; returns one array per result.
    """

    executable: Any


# Options of a platform's compiler for one program, in the order of their names.
CompilerOptions = tuple[tuple[str, bool | int | float | str], ...]


class Module(Protocol):
    """A program lowered for one platform.

    Attributes
    ----------
    platform : str
    dialects : tuple of str
        Names of the texts it has, in the order of the stages.
    default_dialect : str
        The text that is shown if none is named.
    """

    platform: str
    dialects: tuple[str, ...]
    default_dialect: str

    def as_text(self, dialect: str) -> str:
        """The program at one stage of its way to the device."""

    def compile(self, device: Device, placement: int | Sequence[int]) -> Program:
        """Compile for ``device``; the results have the native ``placement``, which is on it, or
        each its own on several devices.

        A platform whose compiler has options takes them as a third parameter, ``options``, and
        says so with ``has_options``.
        """


class Packed(Record):
    """A compiled program as bytes.

    Attributes
    ----------
    target : dict
        What it runs on: whatever must be the same where it is loaded. Like ``head``, of JSON.
    head : dict
        What is to be known of the code.
    code : bytes
    constants : list of Array
    """

    target: dict[str, Any]
    head: dict[str, Any]
    code: bytes
    constants: list[Array]


class Signature(Record):
    """What a program takes and returns, and where it runs.

    Attributes
    ----------
    name : str
    ins, outs : list of ShapedArray
    devices : tuple of Device
    layout : Layout or None
        On several devices with memories of their own.
    placement : int or sequence of int
        Of the results, for `Module.compile`.
    """

    name: str
    ins: list[ShapedArray]
    outs: list[ShapedArray]
    devices: tuple[Device, ...]
    layout: Layout | None
    placement: int | Sequence[int]


class Layout:
    """Where a program on several devices has its arguments and results.

    Attributes
    ----------
    replicated : NamedSharding
        What all devices of the mesh have whole.
    operands, results : tuple of NamedSharding
        On the same mesh.
    """

    __slots__ = ("replicated", "operands", "results", "_hash")

    def __init__(self, replicated: Any, operands: Sequence[Any], results: Sequence[Any]) -> None:
        self.replicated = replicated
        self.operands = tuple(operands)
        self.results = tuple(results)
        self._hash = hash((self.replicated, self.operands, self.results))

    @property
    def mesh(self) -> Any:
        return self.replicated.mesh

    @property
    def devices(self) -> tuple[Any, ...]:
        """The devices, in the order of the mesh."""
        found: tuple[Any, ...] = self.replicated.devices
        return found

    def kept(self, operands: Sequence[int]) -> Layout:
        """The same without the operands that a program does not take."""
        return Layout(self.replicated, [self.operands[i] for i in operands], self.results)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and (
            (self.replicated, self.operands, self.results)
            == (other.replicated, other.operands, other.results)
        )

    def __hash__(self) -> int:
        return self._hash


class Backend(Protocol):
    """One kind of device, with its transfers, its compiler and its caches."""

    platform: str

    def devices(self) -> Sequence[Device]:
        """The devices of this process."""

    def put(self, x: Array, device: Device, placement: int) -> Array:
        """``x``, wherever it is, on ``device``; ``placement`` is the native index of that.

        Where devices have several memories, a fourth parameter, ``memory_kind``, is given for
        others than the default one.
        """

    def lower(self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str) -> Module:
        """Lower ``jaxpr``; arguments marked in ``donated`` may be overwritten."""


class Counted:
    """What clients of JAX's say of their devices, of those that a backend has."""

    devices: Callable[[], list[Any]]
    all_devices: Callable[[], list[Any]]

    def device_count(self) -> int:
        """The number of devices, those of other processes included."""
        return len(self.all_devices())

    def local_devices(self) -> list[Any]:
        """The devices of this process."""
        return self.devices()

    def local_device_count(self) -> int:
        """The number of devices of this process."""
        return len(self.devices())


class PackingBackend(Backend, Protocol):
    """A backend whose programs are written to files, by `experimental.serialize_executable`."""

    def pack(self, program: Program, lower: Callable[[], Module]) -> Packed:
        """The bytes of a program; ``lower`` makes its module again."""

    def unpack(self, packed: Packed, signature: Signature) -> Program:
        """The program, loaded without a compilation.

        Raises the RuntimeError of `elsewhere` if it is for another target.
        """


def elsewhere(name: str, made_for: str, here: str) -> RuntimeError:
    """The error for machine code that does not run here."""
    return RuntimeError(
        f"deserialize_and_load: the machine code of {name} was compiled for {made_for}, and this "
        f"is {here}: compile the function here, or write it to a file with covector.export, which "
        f"holds no machine code{at_user_line()}"
    )


class SpreadingBackend(Backend, Protocol):
    """A backend whose devices have memories of their own, and which partitions programs.

    Where devices share one memory, as the logical ones of the CPU do (its attribute
    ``one_memory``), an array on several of them is one buffer, and a program on it one program:
    there is nothing to do, unless there are devices of other processes among them. Primitives in
    its attribute ``kept`` are left to it, though they have an expansion.
    """

    def put_spread(self, x: Array, sharding: Any, placement: int) -> Array:
        """``x``, wherever it is, on the devices of a sharding."""

    def lower_spread(
        self, jaxpr: ClosedJaxpr, donated: Sequence[bool], name: str, layout: Layout
    ) -> Module:
        """Lower a program that runs on several devices; the module's ``compile`` is given the
        placements of the results."""


def spreads(backend: Any, sharding: Any) -> bool:
    """Whether an array with a sharding has parts in several memories."""
    if not hasattr(backend, "put_spread"):
        return False
    return not has_one_memory(backend) or not sharding.is_fully_addressable


def has_one_memory(backend: Any) -> bool:
    """Whether the devices of a backend share one memory (its attribute ``one_memory``), so that the
    ``compile`` of its modules takes a placement for each result."""
    return bool(getattr(backend, "one_memory", False))


def check_spread(backend: Backend, sharding: Any) -> None:
    """Raise the error for several devices of a backend that knows one at a time."""
    if sharding.num_devices > 1 and not spreads(backend, sharding) and not has_one_memory(backend):
        raise NotImplementedError(
            f"the backend {backend.platform!r} has no arrays on several devices, as {sharding!r} "
            "says: it defines neither put_spread and lower_spread, nor one_memory"
            f"{at_user_line()}"
        )


class LoweringRules(dict[Primitive, Callable[..., Any]]):
    """The rules by which a backend lowers primitives, keyed by the primitive itself."""

    def rule(self, *primitives: Primitive) -> Callable[[F], F]:
        """Register the decorated function as the rule of ``primitives``, which have none yet."""

        def register(fn: F) -> F:
            for p in primitives:
                if not isinstance(p, Primitive):
                    raise TypeError(f"a rule is registered for a primitive, not for {p!r}")
                if p in self:
                    raise ValueError(f"the primitive {p} has two rules")
                self[p] = fn
            return fn

        return register


def all_devices(backend: Any) -> list[Device]:
    """The devices of a backend, those of other processes included (its ``all_devices``)."""
    everywhere = getattr(backend, "all_devices", None)
    return list(backend.devices() if everywhere is None else everywhere())


def device_like(platform: str, ident: int) -> Device:
    """The device that a pickled one stands for."""
    for device in all_devices(get_backend(platform)):
        if device.id == ident:
            return device
    raise RuntimeError(f"this process has no device {ident} of the platform {platform!r}")


def reduce_device(device: Device) -> tuple[Any, ...]:
    """For `copyreg`: devices are copied and pickled as themselves."""
    return device_like, (device.platform, device.id)


# The variable by which users name plugins.
NAMED_PLUGINS = "COVECTOR_PJRT_PLUGINS"
_REQUIRED = ("platform", "devices", "put", "lower")
_PLUGINS = "covector.backends.pjrt"
_BUILT_IN = {
    "cpu": "covector.backends.cpu.backend",
    **dict.fromkeys(("cuda", "rocm", "tpu", "metal", "xla_cpu"), f"{_PLUGINS}.backend"),
}
# The platforms that programs know by one name, that of their devices' attribute `platform`.
GPU = ("cuda", "rocm")
loaded: dict[str, Backend] = {}


def default_platform() -> str:
    """The platform of arrays and programs that are nowhere in particular."""
    named = config.platforms or config.platform_name
    return named.split(",")[0].strip() if named else "cpu"


def get_backend(platform: str | None = None) -> Backend:
    """The backend for ``platform``, or the default one.

    Raises
    ------
    RuntimeError
        If there is no such backend, or if it does not load.
    """
    if platform is None:
        platform = default_platform()
        if platform == options.detected_platform():
            return _detected(platform)
    found = loaded.get(platform)
    if found is None:
        if os.environ.get(NAMED_PLUGINS):
            # A wrong entry is an error, even where another platform is used.
            importlib.import_module(f"{_PLUGINS}.plugins").named_by_user()
        if platform == "gpu":
            return get_backend(_which_gpu())
        if platform in _BUILT_IN:
            with collector.paused():
                made = importlib.import_module(_BUILT_IN[platform])
                found = made.backend if platform == "cpu" else made.PjrtBackend(platform)
        else:
            found = _load(platform)
            for kind in {type(d) for d in found.devices()}:
                copyreg.pickle(kind, reduce_device)
        found = loaded.setdefault(platform, found)
    return found


def _which_gpu() -> str:
    """The platform of the GPUs: the one in use, else that of this machine, else that installed."""
    for name in GPU:
        if name in loaded:
            return name
    for seen in presence.detect():
        if seen.platform in GPU:
            return seen.platform
    installed = importlib.import_module(f"{_PLUGINS}.plugins").installed()
    return next((name for name in GPU if name in installed), GPU[0])


def _detected(platform: str) -> Backend:
    """The backend of the device that this machine has, or the CPU's if that does not start."""
    try:
        found = get_backend(platform)
        found.devices()
    except Exception as e:
        if options.forget_detected():
            from covector.core.errors import warn  # few processes need it

            warn(
                f"this machine has a device of the platform {platform}, which is not used: {e}; "
                "the CPU is. COVECTOR_PLATFORMS=cpu says no more of it"
            )
        return get_backend(None)
    return found


_factories: dict[str, Callable[[], Backend]] = {}


def add_factory(platform: str, factory: Callable[[], Backend]) -> None:
    """Have ``factory`` make the backend of a platform when it is first asked for.

    Raises
    ------
    ValueError
        If there is one already.
    """
    if platform in _BUILT_IN or platform in loaded or platform in _factories:
        raise ValueError(f"there is a backend of the platform {platform!r} already")
    _factories[platform] = factory


def _load(platform: str) -> Backend:
    """The backend that a factory makes, or that an entry point names."""
    factory = _factories.get(platform)
    if factory is not None:
        made_here = factory()
        _check(made_here, platform, f"the backend {platform!r} that its factory made")
        return made_here
    plugins = importlib.import_module(f"{_PLUGINS}.plugins").installed()
    point = _entry_point(platform, plugins)
    if point is None:
        plugin: Backend = importlib.import_module(f"{_PLUGINS}.backend").PjrtBackend(platform)
        return plugin
    # A folder without metadata has no name.
    dist = point.dist
    owner = (
        f"the distribution {dist.name} {dist.version}"
        if dist is not None and dist.name
        else f"the entry point {point.name} = {point.value}"
    )
    what = f"the backend {platform!r} of {owner}"
    if point.pattern.match(point.value) is None:
        raise RuntimeError(
            f"{what} is given as {point.value!r}, which is not of the form MODULE:OBJECT"
        )
    try:
        made = point.load()
        backend: Backend = made() if callable(made) else made
    except (Exception, SystemExit) as e:
        raise RuntimeError(f"{what} does not load: {type(e).__name__}: {e}") from e
    _check(backend, platform, what)
    return backend


def _entry_point(platform: str, plugins: Collection[str]) -> Any:
    """The one entry point of a platform; None for one of ``plugins``."""
    # Not at the top: few processes need it.
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP)
    named = [p for p in points if p.name == platform]
    if not named:
        if platform in plugins:
            return None
        available = sorted({"cpu", *plugins, *loaded, *(p.name for p in points)})
        others = ", ".join(sorted({*_BUILT_IN} - {*available}))
        raise RuntimeError(
            f"unknown backend {platform!r}; available: {', '.join(available)}"
            + (f"; known, and not installed: {others}" if others else "")
        )
    owners = sorted({p.dist.name if p.dist else p.value for p in named})
    if len(owners) > 1:
        raise RuntimeError(
            f"the backend {platform!r} is offered by several distributions: {', '.join(owners)}; "
            "uninstall all but one"
        )
    return named[0]


def _check(backend: Backend, platform: str, what: str) -> None:
    """Raise where something is no backend of ``platform``."""
    lacking = [name for name in _REQUIRED if not hasattr(backend, name)]
    if lacking:
        raise RuntimeError(f"{what} lacks {', '.join(lacking)}, which a backend must have")
    if backend.platform != platform:
        raise RuntimeError(f"{what} says that its platform is {backend.platform!r}")
    try:
        devices = list(backend.devices())
    except Exception as e:
        raise RuntimeError(f"{what} does not say its devices: {type(e).__name__}: {e}") from e
    if not devices:
        raise RuntimeError(f"{what} has no devices")
    strange = [d for d in devices if getattr(d, "platform", None) != platform]
    if strange:
        raise RuntimeError(
            f"{what} has a device {strange[0]!r} that is none of this platform: its attribute "
            "platform must say so"
        )


options.check_platform = get_backend
