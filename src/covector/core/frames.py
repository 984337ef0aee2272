"""Frames of bytes for files: what they are, a version, lengths, a checksum, and two parts.

The head is JSON; behind it stand the bytes of arrays and of code. Nothing of a frame is looked at
before its checksum is found right.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

from covector.core.errors import at_user_line
from covector.core.record import Record

_LAYOUT = struct.Struct("<16sIQQ32s")


class Frame(Record):
    """A kind of frame.

    Attributes
    ----------
    magic : bytes
        16 bytes, with which all of the kind begin.
    version : int
        Of the format; one that is read by no earlier release gets the next number.
    reads, writes : str
        The functions that do, for messages.
    what : str
        What is in it, with an article.
    """

    magic: bytes
    version: int
    reads: str
    writes: str
    what: str

    def packed(self, head: dict[str, Any], blob: bytes) -> bytearray:
        """The bytes of this content."""
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=True).encode()
        digest = hashlib.sha256(text + blob).digest()
        frame = _LAYOUT.pack(self.magic, self.version, len(text), len(blob), digest)
        return bytearray(frame + text + blob)

    def unpacked(self, data: Any) -> tuple[dict[str, Any], bytes]:
        """The content.

        Raises
        ------
        ValueError
            If the bytes are no such frame, are damaged or of a later version.
        """
        try:
            data = bytes(memoryview(data))
        except TypeError as e:
            raise TypeError(
                f"{self.reads} takes the bytes that {self.writes} gave, got {type(data).__name__}"
                f"{at_user_line()}"
            ) from e
        if data[: len(self.magic)] != self.magic[: len(data)] or not data:
            raise ValueError(
                f"{self.reads}: the bytes are not those of {self.what}; {self.writes} gives such"
                f"{at_user_line()}"
            )
        if len(data) < _LAYOUT.size:
            raise ValueError(f"{self._cut(len(data))}{at_user_line()}")
        _, version, head, blob, digest = _LAYOUT.unpack_from(data)
        if version > self.version:
            raise ValueError(
                f"{self.reads}: the file is of format {version}, written by a later release of "
                f"Covector, and this one reads formats up to {self.version}: install a later "
                f"release, or write the file with this one{at_user_line()}"
            )
        content = data[_LAYOUT.size :]
        if len(content) < head + blob:
            raise ValueError(f"{self._cut(len(data), _LAYOUT.size + head + blob)}{at_user_line()}")
        whole = len(content) == head + blob and version > 0
        if not whole or hashlib.sha256(content).digest() != digest:
            raise ValueError(
                f"{self.reads}: the file of {self.what} is damaged, its checksum does not fit its "
                f"content: write it again{at_user_line()}"
            )
        return json.loads(content[:head]), content[head:]

    def _cut(self, length: int, whole: int | None = None) -> str:
        of = f" of {whole}" if whole is not None else ""
        return f"{self.reads}: the file of {self.what} is cut off: it has {length} bytes{of}"
