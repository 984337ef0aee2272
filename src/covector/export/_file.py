"""The frame of a file: what it is, its version, its length, a checksum, and two parts.

The head is JSON; behind it stand the bytes of arrays.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

from covector.core.errors import at_user_line

_MAGIC = b"covector export\n"
# Of the format of the file; one that is read by no earlier release gets the next number.
VERSION = 1
_FRAME = struct.Struct("<16sIQQ32s")


class Refused(Exception):
    """What is wrong with the content of a file, for the message of an error."""


def packed(head: dict[str, Any], blob: bytes) -> bytearray:
    """A file of this content."""
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=True).encode()
    digest = hashlib.sha256(text + blob).digest()
    return bytearray(_FRAME.pack(_MAGIC, VERSION, len(text), len(blob), digest) + text + blob)


def unpacked(data: Any) -> tuple[dict[str, Any], bytes]:
    """The content of a file.

    Raises
    ------
    ValueError
        If it is none, is damaged or of a later version.
    """
    try:
        data = bytes(memoryview(data))
    except TypeError as e:
        raise TypeError(
            f"deserialize takes the bytes that serialize gave, got {type(data).__name__}"
            f"{at_user_line()}"
        ) from e
    if data[: len(_MAGIC)] != _MAGIC[: len(data)] or not data:
        raise ValueError(
            "deserialize: the bytes are not those of an exported function; Exported.serialize "
            f"gives such{at_user_line()}"
        )
    if len(data) < _FRAME.size:
        raise ValueError(f"{_cut(len(data))}{at_user_line()}")
    _, version, head, blob, digest = _FRAME.unpack_from(data)
    if version > VERSION:
        raise ValueError(
            f"deserialize: the file is of format {version}, written by a later release of "
            f"Covector, and this one reads formats up to {VERSION}: install a later release, or "
            f"write the file with this one{at_user_line()}"
        )
    content = data[_FRAME.size :]
    if len(content) < head + blob:
        raise ValueError(f"{_cut(len(data), _FRAME.size + head + blob)}{at_user_line()}")
    content = content[: head + blob]
    if len(data) > _FRAME.size + len(content) or hashlib.sha256(content).digest() != digest:
        raise ValueError(
            "deserialize: the file of an exported function is damaged, its checksum does not fit "
            f"its content: write it again{at_user_line()}"
        )
    return json.loads(content[:head]), content[head:]


def _cut(length: int, whole: int | None = None) -> str:
    of = f" of {whole}" if whole is not None else ""
    return f"deserialize: the file of an exported function is cut off: it has {length} bytes{of}"
