"""The frame of a file of an exported function: see `covector.core.frames`."""

from __future__ import annotations

from covector.core.frames import Frame


class Refused(Exception):
    """What is wrong with the content of a file, for the message of an error."""


FRAME = Frame(b"covector export\n", 1, "deserialize", "Exported.serialize", "an exported function")
