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


# The field of `xla.ExecutableAndOptionsProto` that has the options; the other one is the program.
_PROGRAM, _OPTIONS = 1, 2


def with_options(data: bytes, options: bytes) -> bytes:
    """A serialised program with other options: on other devices.

    Raises
    ------
    ValueError
        If the bytes are not of the form that XLA's plugins for CPUs and GPUs give.
    """
    fields, at = [], 0
    while at < len(data):
        start = at
        key, at = _read_varint(data, at)
        size, at = _read_varint(data, at)
        at += size
        if key not in (_PROGRAM << 3 | 2, _OPTIONS << 3 | 2) or at > len(data):
            raise ValueError("the plugin serialises programs in a form that is not known")
        fields.append((key >> 3, data[start:at]))
    if sorted(number for number, _ in fields) != [_PROGRAM, _OPTIONS]:
        raise ValueError("the plugin serialises programs in a form that is not known")
    (program,) = [field for number, field in fields if number == _PROGRAM]
    return program + _bytes(_OPTIONS, options)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next one is."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("the plugin serialises programs in a form that is not known")
