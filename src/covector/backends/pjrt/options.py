"""The options of a compilation, in the form that plugins take: a protocol buffer.

The fields are those of ``xla/pjrt/proto/compile_options.proto``.
"""

from __future__ import annotations

from collections.abc import Sequence


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        low = value & 0x7F
        value >>= 7
        if not value:
            out.append(low)
            return bytes(out)
        out.append(low | 0x80)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _override(name: str, value: bool | int | str | float) -> bytes:
    """An entry of the map of XLA's flags that hold for this compilation."""
    import struct

    match value:
        case bool():
            held = _number(2, int(value))
        case int():
            held = _number(3, value)
        case float():
            held = _varint(4 << 3 | 1) + struct.pack("<d", value)
        case _:
            held = _bytes(1, value.encode())
    return _bytes(7, _bytes(1, name.encode()) + _bytes(2, held))


def compile_options(
    devices: Sequence[int], flags: dict[str, bool | int | str | float] | None = None
) -> bytes:
    """Options of a program that runs on one device, or one a partition on several.

    Parameters
    ----------
    devices : sequence of int
        The identifiers of the devices.
    flags : dict
        XLA's flags for this program.
    """
    n = len(devices)
    assignment = _number(1, 1) + _number(2, n)
    for d in devices:
        assignment += _bytes(3, _bytes(1, _varint(d)))
    build = _number(1, -1) + _number(4, 1) + _number(5, n)
    if n > 1:
        build += _number(6, 1) + _number(19, 1)
    build += _bytes(9, assignment)
    return _bytes(3, build) + b"".join([_override(k, v) for k, v in (flags or {}).items()])
