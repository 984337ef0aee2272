"""What plugins refuse, said to people: which operation, at which of their lines, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from covector import _native
from covector.backends.pjrt.plugins import Found, remedy
from covector.core import backend as backends
from covector.core.errors import JaxRuntimeError, SourceFrame, at_user_line
from covector.core.jaxpr import ClosedJaxpr, all_jaxprs

# The codes of plugins' errors (those of gRPC and absl::Status).
_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_EXHAUSTED = 8
_LONGEST = 600


class DeviceError(JaxRuntimeError):
    """What a device, or the compiler for it, refused.

    Attributes
    ----------
    code : str
        Its kind, for example ``"INVALID_ARGUMENT"``.
    full : str
        All that the plugin says.
    """

    def __init__(self, text: str, code: str = "UNKNOWN", full: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.full = full or text


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has not as much memory as was asked for."""


def made(code: int, text: str) -> DeviceError:
    """The error for what a plugin says; called by the native core."""
    name = _CODES[code] if 0 <= code < len(_CODES) else f"code {code}"
    if code == _EXHAUSTED or "out of memory" in text.lower():
        short = f"RESOURCE_EXHAUSTED: {shortened(text)}{_memory()}"
        return DeviceMemoryError(short + at_user_line(), "RESOURCE_EXHAUSTED", text)
    return DeviceError(shortened(text), name, text)


def thrown(error: RuntimeError) -> DeviceError:
    """The error for an exception of the plugin's C++ that came through its interface."""
    if isinstance(error, DeviceError):
        return error
    text = str(error).removeprefix("Bad StatusOr access: ")
    code, colon, rest = text.partition(": ")
    if not colon or code not in _CODES:
        return DeviceError(shortened(text), full=text)
    return DeviceError(shortened(rest), code, rest)


def shortened(text: str) -> str:
    """The beginning of a message, the rest of which would fill pages."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    short = " ".join(lines[:3]) if len(lines) > 3 else " ".join(lines)
    return short if len(short) <= _LONGEST else f"{short[:_LONGEST]}…"


# --- memory -----------------------------------------------------------------------------------


def _memory() -> str:
    """Which memory the devices have, and what holds it."""
    lines = []
    for each in list(backends.loaded.values()):
        for device in getattr(each, "started", list)():
            stats = _stats_of(device)
            if stats:
                lines.append(f"{device!r}: {stats}")
    by_platform: dict[str, list[Any]] = {}
    live = [x for x in _native.live_arrays() if not x.is_deleted() and not x._on_host]
    parts = {id(p) for x in live for p in getattr(x._handle, "parts", ())}
    for x in live:
        if id(x) not in parts:
            by_platform.setdefault(x.sharding.devices[0].platform, []).append(x)
    for platform, arrays in by_platform.items():
        arrays.sort(key=lambda x: x.nbytes, reverse=True)
        total = sum(x.nbytes for x in arrays)
        largest = ", ".join(f"{x.aval.str_short()} ({size(x.nbytes)})" for x in arrays[:5])
        lines.append(
            f"arrays on {platform} hold {size(total)} in {len(arrays)}, the largest {largest}"
        )
    lines.append(
        "delete what is needed no longer, donate arguments (donate_argnums), or save "
        "memory of derivatives by covector.checkpoint; covector.live_arrays() lists the arrays"
    )
    return "".join(f"\n  {line}" for line in lines)


def _stats_of(device: Any) -> str:
    try:
        stats = device.memory_stats()
    except RuntimeError:
        return ""
    if not stats:
        return ""
    said = {"bytes_in_use": "in use", "bytes_limit": "in all", "peak_bytes_in_use": "at the peak",
            "largest_free_block_bytes": "in the largest free block"}  # fmt: skip
    return ", ".join(f"{size(stats[k])} {word}" for k, word in said.items() if k in stats)


def size(n: float) -> str:
    """A number of bytes."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


# --- starting ---------------------------------------------------------------------------------


def not_started(found: Found, error: Exception) -> RuntimeError:
    """The error for a plugin that is there, and whose devices are not."""
    why = shortened(str(error)).rstrip(".")
    advice = remedy(found.platform, why)
    more = f"; {advice}" if advice else ""
    return RuntimeError(
        f"the plugin for {found.platform} ({found.source}) does not start: {why}{more}"
    )


# --- compilation ------------------------------------------------------------------------------

_AT = re.compile(
    r'^(?:loc\("?)?(?P<file>[^\n"]*?)"?:(?P<line>\d+):\d+\)?: error: (?P<what>.*)$', re.M
)
_DIMENSIONS = re.compile(r"\bdimensions=\[([\d, ]+)\]")
_USED = re.compile(r" loc\(#loc(\d+)\)$")
_PLACE = re.compile(
    r'^#loc(\d+) = loc\((?:"[^\n]*"\()?"(?P<file>(?:[^"\\]|\\.)*)":(?P<line>\d+)', re.M
)


def not_compiled(
    error: DeviceError, name: str, platform: str, text: str, closed: ClosedJaxpr
) -> DeviceError:
    """The error for a program that a plugin's compiler refuses."""
    what, file, line = _blamed(error.full, text)
    where = ""
    if file is not None:
        frame, primitives = _equations_at(closed, file, line)
        if primitives:
            where = f" because of {primitives} at {frame}"
        else:
            where = f" because of {file}:{line}"
    kind = DeviceMemoryError if isinstance(error, DeviceMemoryError) else DeviceError
    return kind(
        f"the compiler for {platform} refuses the program {name}{where}: {shortened(what)}",
        error.code,
        error.full,
    )


def _blamed(message: str, text: str) -> tuple[str, str | None, int]:
    """What is wrong, and where: the first place that the compiler names."""
    found = _AT.search(message)
    if found is None:
        # It may name what is called, or the shape that is too large.
        parts = [f"@{word}(" for word in re.findall(r"[A-Za-z_][\w.]{2,}", message)]
        for sizes in _DIMENSIONS.findall(message):
            parts.append(f"tensor<{'x'.join(sizes.split(', '))}x")
        for part in parts:
            lines = [k for k, line in enumerate(text.split("\n")) if part in line]
            if lines:
                return (message, *_place(text, lines[0] + 1))
        return message, None, 0
    file, line, what = found["file"], int(found["line"]), found["what"]
    if file in ("-", "<unknown>", "<stdin>"):
        return (what, *_place(text, line))
    return what, file, line


def _place(text: str, line: int) -> tuple[str | None, int]:
    """The place in the user's code that a line of a module comes from."""
    lines = text.split("\n")
    used = _USED.search(lines[line - 1]) if 0 < line <= len(lines) else None
    if used is not None:
        for place in _PLACE.finditer(text):
            if place[1] == used[1]:
                return place["file"], int(place["line"])
    return None, 0


def _equations_at(closed: ClosedJaxpr, file: str, line: int) -> tuple[str, str]:
    """A place in full, and the operations of a program that come from it."""
    frame, names = f"{file}:{line}", dict[str, None]()
    for source, name in _places_of(all_jaxprs(closed.jaxpr)):
        if str(source[0]) == file and source[1] == line:
            frame = str(SourceFrame(*source))
            names[name] = None
    return frame, ", ".join(list(names)[:3])


def _places_of(jaxprs: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    for jaxpr in jaxprs:
        for eqn in jaxpr.eqns:
            if eqn.source_info is not None:
                yield eqn.source_info, eqn.primitive.name
