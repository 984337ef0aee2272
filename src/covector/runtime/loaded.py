"""Compiled functions as bytes, and compiled functions that were loaded from such.

The bytes are a `Frame`: a head of JSON, and behind it those of constants and of the machine code,
an object file or what a plugin serialises. The head says

======================  =====================================================================
covector                the release, which must be the same
platform                of the devices
devices                 identifier and kind of each; the first ``runs_on`` run the program
target                  what the backend says that its code depends on
program                 what the backend knows of the code
name, text              of the function; its jaxpr, to read
ins, outs, constants    types of the flat arguments, of the results, of the constants
kept                    the arguments that the program takes
donated, taken          which arguments are donated, and which of those kept are given for good
references              which arguments are references, and which of them are written
where, committed        where it runs
given, results          how arguments and results lie on several devices
moves                   where results are moved
cost, memory            what `cost_analysis` and `memory_analysis` say
======================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

import covector
from covector.core import processes
from covector.core.backend import (
    Packed,
    PackingBackend,
    Signature,
    all_devices,
    elsewhere,
    get_backend,
    has_one_memory,
)
from covector.core.device import Space
from covector.core.errors import at_user_line
from covector.core.frames import Frame
from covector.core.jaxpr import types_alone
from covector.runtime.encoding import (
    array_code,
    arrays_of,
    aval_code,
    aval_of,
    sharding_code,
    sharding_of,
)
from covector.runtime.execution import Spread, partitioned
from covector.runtime.moves import Moves
from covector.runtime.placement import Placement, placement
from covector.runtime.stages import Compiled, MemoryStats
from covector.sharding.base import SingleDeviceSharding
from covector.sharding.mesh import Mesh
from covector.sharding.named import NamedSharding
from covector.transforms.jit import Entry
from covector.transforms.references import RefUse

FRAME = Frame(b"covector program", 1, "deserialize_and_load", "serialize", "a compiled program")


class Loaded(Compiled):
    """A compiled function that was loaded: of its program only the types and the text are known."""

    def __init__(
        self, head: dict[str, Any], entry: Entry, where: Placement, given: Sequence[Any],
        at: Spread | None, program: Any,
    ) -> None:  # fmt: skip
        self._head = head
        self._jitted = cast(Any, SimpleNamespace(name=head["name"], keep_unused=False))
        self._entry = entry
        self._donated = tuple(head["donated"])
        self._where = where
        self._given = given
        self._at = at
        assert entry.moves is not None
        self._moves = entry.moves[0]
        self._program, self._kept, self._taken = program, head["kept"], head["taken"]

    def as_text(self, dialect: str | None = None) -> str:
        """The jaxpr: the other stages are not kept with the machine code."""
        if dialect not in (None, "jaxpr"):
            raise ValueError(
                f"unknown dialect {dialect!r}: a program that was loaded is shown as jaxpr, the "
                f"other stages are not kept with its machine code{at_user_line()}"
            )
        text: str = self._head["text"]
        return text

    def cost_analysis(self) -> dict[str, float]:
        """What the compiled function said that was serialised."""
        return dict(self._head["cost"])

    def memory_analysis(self) -> MemoryStats:
        """What the compiled function said that was serialised."""
        return MemoryStats(*self._head["memory"])


# --- to bytes ---------------------------------------------------------------------------------


def serialized(compiled: Compiled) -> bytes:
    """The bytes of a compiled function."""
    name, entry, where = compiled._jitted.name, compiled._entry, compiled._where
    platform = _platform_of(where.device)
    devices = _Devices(where.sharding.devices)
    _check_processes(name, devices.listed)
    backend = get_backend(platform)
    if not hasattr(backend, "pack"):
        raise NotImplementedError(
            f"serialize: the backend of {platform} does not write programs to files, it has no "
            f"method pack; write the function to a file with covector.export{at_user_line()}"
        )
    references = _references_code(entry, name)
    packed: Packed = cast(PackingBackend, backend).pack(compiled._program, compiled._lowered)
    arrays = [array_code(c) for c in packed.constants]
    memory = compiled.memory_analysis()
    at, moves = compiled._at, compiled._moves
    head = {
        "covector": covector.__version__,
        "platform": platform,
        "runs_on": len(devices.listed),
        "target": packed.target,
        "program": packed.head,
        "name": name,
        "text": compiled.as_text("jaxpr"),
        "ins": [aval_code(a) for a in entry.closed.in_avals],
        "outs": [aval_code(a) for a in entry.closed.out_avals],
        "constants": [code for code, _ in arrays],
        "kept": compiled._kept,
        "donated": compiled._donated,
        "taken": compiled._taken,
        "references": references,
        "where": devices.code(where.sharding),
        "committed": where.committed,
        "given": None if at is None else [devices.code(s) for s in compiled._in_shardings()],
        "results": None if at is None else [devices.code(s) for s in at.shardings],
        "moves": None if moves is None else [devices.code(m) for m in moves.results],
        "devices": [[d.id, d.device_kind] for d in devices.listed],
        "cost": compiled.cost_analysis(),
        "memory": [
            memory.argument_size_in_bytes, memory.output_size_in_bytes, memory.temp_size_in_bytes,
            memory.alias_size_in_bytes, memory.generated_code_size_in_bytes,
        ],
    }  # fmt: skip
    return bytes(FRAME.packed(head, b"".join([*[data for _, data in arrays], packed.code])))


def _platform_of(device: Any) -> str:
    """The platform of a device's backend: GPUs of all makers have one of their own."""
    return str(getattr(getattr(device, "client", None), "platform", device.platform))


def _check_processes(name: str, devices: Sequence[Any]) -> None:
    absent = [d for d in devices if hasattr(d, "topology")]
    ranks = {d.process_index for d in devices}
    if len(ranks) > 1 or (not absent and ranks != {processes.index}):
        raise NotImplementedError(
            f"serialize: {name} runs on devices of several processes, which is not supported: each "
            "compiles its part of it. Write the function to a file with covector.export"
            f"{at_user_line()}"
        )


def _references_code(entry: Entry, name: str) -> Any:
    refs = entry.refs
    if entry.hoisted or (refs is not None and refs.given):
        raise NotImplementedError(
            f"serialize: {name} closes over references or traced values, which belong to this "
            f"process: pass them as arguments{at_user_line()}"
        )
    return None if refs is None else [refs.arguments, refs.written]


class _Devices:
    """The devices that shardings name, and shardings by their positions among them."""

    def __init__(self, first: Sequence[Any]) -> None:
        self.listed = list(first)

    def _position(self, device: Any) -> int:
        if device not in self.listed:
            self.listed.append(device)
        return self.listed.index(device)

    def code(self, s: Any) -> Any:
        match s:
            case None:
                return None
            case Space():
                return {"space": s.name}
            case SingleDeviceSharding():
                return {"device": self._position(s.devices[0]), "memory": s.memory_kind}
            case NamedSharding():
                at = [self._position(d) for d in s.devices]
                return {"axes": sharding_code(s), "devices": at, "memory": s.memory_kind}
        raise NotImplementedError(f"serialize: {s!r} has no bytes{at_user_line()}")


# --- from bytes -------------------------------------------------------------------------------


def loaded(
    data: bytes, in_tree: Any, out_tree: Any, backend: Any, devices: Sequence[Any] | None
) -> Loaded:
    """The compiled function of some bytes, on the devices that it was compiled for, or others."""
    head, blob = FRAME.unpacked(data)
    name = head["name"]
    if head["covector"] != covector.__version__:
        raise ValueError(
            f"deserialize_and_load: the machine code of {name} is of Covector {head['covector']}, "
            f"this is {covector.__version__}: compile the function here, or write it to a file "
            f"with covector.export, which other releases read{at_user_line()}"
        )
    found = _devices_of(head, backend, devices)
    sharding = _sharding_of(found)
    where = placement(sharding(head["where"]), head["committed"] or devices is not None)
    entry = _entry(head, in_tree, out_tree, sharding)
    at, given = None, []
    if head["results"] is not None:
        given = [sharding(s) for s in head["given"]]
        at = partitioned(where, [sharding(s) for s in head["results"]], given)
    owner = get_backend(head["platform"])
    n = sum([c[-1] for c in head["constants"]])
    packed = Packed(
        head["target"], head["program"], blob[n:], arrays_of(head["constants"], blob[:n])
    )
    each = at is not None and (at.layout is not None or has_one_memory(owner))
    closed, kept = entry.closed, head["kept"]
    signature = Signature(
        name, [closed.in_avals[i] for i in kept], closed.out_avals,
        tuple(found[: head["runs_on"]]),
        None if at is None or at.layout is None else at.layout.kept(kept),
        at.results if at is not None and each else where.index,
    )  # fmt: skip
    program = cast(PackingBackend, owner).unpack(packed, signature)
    program.executable.donate(head["taken"])
    return Loaded(head, entry, where, given, at, program)


def _entry(
    head: dict[str, Any], in_tree: Any, out_tree: Any, sharding: Callable[[Any], Any]
) -> Entry:
    """What is known of the traced function."""
    ins, outs = ([aval_of(a) for a in head[part]] for part in ("ins", "outs"))
    refs = None if head["references"] is None else RefUse(head["references"][0], [],
                                                          head["references"][1])  # fmt: skip
    results = len(outs) - (0 if refs is None else len(refs.written))
    for what, given, expected in (
        ("in_tree", in_tree, len(ins)), ("out_tree", out_tree, results),
    ):  # fmt: skip
        if getattr(given, "num_leaves", None) != expected:
            raise ValueError(
                f"deserialize_and_load: {what} must be the structure with {expected} leaves that "
                f"serialize gave beside the bytes of {head['name']}, got {given!r}{at_user_line()}"
            )
    entry = Entry(types_alone(ins, outs), [], in_tree, out_tree, refs)
    moves = head["moves"]
    targets = None if moves is None else tuple([sharding(m) for m in moves])
    entry.moves = (None if targets is None else Moves(targets, frozenset()),)
    return entry


def _devices_of(head: dict[str, Any], backend: Any, given: Sequence[Any] | None) -> list[Any]:
    """The devices that stand for those in the bytes."""
    name, platform, table, n = (head[k] for k in ("name", "platform", "devices", "runs_on"))
    if backend is not None:
        other = backend if hasattr(backend, "platform") else get_backend(backend)
        if other.platform != platform:
            raise _wrong(name, f"the platform {platform}", f"backend is that of {other.platform}")
    known = all_devices(get_backend(platform))
    if given is None:
        by_id = {d.id: d for d in known}
        lacking = [i for i, _ in table if i not in by_id]
        if lacking:
            ids = ", ".join(map(str, lacking))
            raise RuntimeError(
                f"deserialize_and_load: {name} was compiled for the device {ids} of {platform}, "
                f"and this process has {sorted(by_id)}: give execution_devices, {n} of those it "
                f"has, or compile the function here{at_user_line()}"
            )
        found = [by_id[i] for i, _ in table]
    else:
        given = list(given)
        if len(set(given)) != n or len(given) != n:
            raise _wrong(name, _count(n), f"execution_devices has {len(set(given))}")
        strange = [d for d in given if d not in known]
        if strange:
            raise _wrong(name, f"devices of {platform}", f"execution_devices has {strange[0]!r}")
        by_id = {d.id: d for d in known}
        found = [*given, *[by_id.get(i, given[0]) for i, _ in table[n:]]]
    for d, (_, kind) in zip(found, table, strict=True):
        if d.device_kind != kind:
            raise elsewhere(name, f"a device of the kind {kind!r}", f"a {d.device_kind!r}")
    return found


def _count(n: int) -> str:
    return f"{n} device{'s' * (n != 1)}"


def _wrong(name: str, expected: str, given: str) -> ValueError:
    return ValueError(
        f"deserialize_and_load: the machine code of {name} was compiled for {expected}, and "
        f"{given}: compile the function for it, or write it to a file with covector.export, which "
        f"holds no machine code{at_user_line()}"
    )


def _sharding_of(devices: Sequence[Any]) -> Callable[[Any], Any]:
    """What reads the codes of `_Devices`, on these."""

    def read(code: Any) -> Any:
        if code is None:
            return None
        if "space" in code:
            return Space[code["space"]]
        if "device" in code:
            return SingleDeviceSharding(devices[code["device"]], memory_kind=code["memory"])
        found = sharding_of(code["axes"])
        axes = found.mesh
        grid = np.empty(len(code["devices"]), dtype=object)
        grid[:] = [devices[k] for k in code["devices"]]
        mesh = Mesh(grid.reshape(axes.axis_sizes), axes.axis_names, axes.axis_types)
        return NamedSharding(mesh, found.spec, memory_kind=code["memory"])

    return read
